//! Finds, reads and edits models.json files, keeping their form.
//!
//! A project's prices live in `.claude/data/models.json`, a user's own in `models.json` of cmat's configuration
//! folder. What a change does not mean to change keeps every byte: form, key order, indentation, unknown keys.
//! Nothing here knows what a price means; that is [`crate::pricing`].

mod edit;
mod import;

use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use crate::disk;
use crate::disk::replace;
use crate::disk::replace::Access;
use crate::disk::replace::ReplaceError;
use crate::disk::replace::Replaced;
use crate::json_edit::Document;
use crate::json_edit::SyntaxError;
use crate::pricing::Loaded;
use crate::pricing::MAX_TABLE_BYTES;
use crate::pricing::PriceSource;
use crate::pricing::PriceTable;
use crate::pricing::PricingError;
use crate::pricing::Source;

pub use edit::Change;
pub use edit::EditError;
pub use edit::NewRow;
pub use import::ImportError;
pub use import::ImportedRow;
pub use import::imported_rows;

/// Where a project's models.json is, from the project's folder.
const IN_PROJECT: &str = ".claude/data/models.json";
/// Most bytes that are read of another tool's price file.
const MAX_IMPORT_BYTES: u64 = 64 << 20;

/// Why a models.json cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ModelsFileError {
    /// The file exists and cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no price table.
    #[error(transparent)]
    NotATable(#[from] PricingError),
    /// The file is not JSON, so it cannot be changed.
    #[error("`{}` is not JSON, so it stays as it is", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// The place.
        source: SyntaxError,
    },
    /// The change makes no sense for this file.
    #[error("`{}` stays as it is", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// Why.
        source: EditError,
    },
    /// The folder of a new file cannot be made.
    #[error("cannot make the folder of `{}`", path.display())]
    Folder {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another program changed the file at the same time.
    #[error("`{}` was changed by another program just now; run the command again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] ReplaceError),
}

/// Returns the path of a project's models.json, whether or not there is one.
pub fn project_path(project: &Path) -> PathBuf {
    project.join(IN_PROJECT)
}

/// Returns the path of the user's own models.json in cmat's configuration folder, whether or not there is one.
pub fn user_path(user_dir: &Path) -> PathBuf {
    user_dir.join("models.json")
}

/// Returns the price table of a project: its own rows, then the user's, then the built-in list prices.
///
/// # Errors
///
/// [`ModelsFileError`] if a file is there and cannot be read, or is no price table. Rows that cannot be used are
/// warnings.
pub fn load(project: Option<&Path>, user_dir: Option<&Path>) -> Result<Loaded, ModelsFileError> {
    let mut files = Vec::new();
    for (source, path) in
        [(PriceSource::Project, project.map(project_path)), (PriceSource::User, user_dir.map(user_path))]
    {
        let Some(path) = path else { continue };
        if let Some(json) = read(&path)? {
            files.push((source, path.display().to_string(), json));
        }
    }
    let sources: Vec<Source<'_>> =
        files.iter().map(|(source, origin, json)| Source { source: *source, origin, json }).collect();
    Ok(PriceTable::with(&sources)?)
}

/// Returns the text of another tool's price file, of at most 64 MiB.
///
/// # Errors
///
/// [`ModelsFileError::Read`] if it cannot be read.
pub fn read_prices(path: &Path) -> Result<String, ModelsFileError> {
    let mut text = String::new();
    disk::open_regular(path)
        .and_then(|file| file.take(MAX_IMPORT_BYTES).read_to_string(&mut text))
        .map_err(|source| ModelsFileError::Read { path: path.to_owned(), source })?;
    Ok(text)
}

/// Returns the text of a models.json; `None` if there is no such file.
///
/// Of a file that is too long, one byte more than is accepted is read: enough to refuse it.
fn read(path: &Path) -> Result<Option<String>, ModelsFileError> {
    let mut text = String::new();
    let limit = u64::try_from(MAX_TABLE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    match disk::open_regular(path).and_then(|file| file.take(limit).read_to_string(&mut text)) {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ModelsFileError::Read { path: path.to_owned(), source }),
    }
}

/// A models.json that is about to be changed, or to be made.
#[derive(Debug)]
pub struct ModelsFile {
    path: PathBuf,
    /// The text as found; `None` if there is no file yet.
    found: Option<String>,
    document: Document,
}

impl ModelsFile {
    /// Reads the file at `path`, or begins a new one.
    ///
    /// # Errors
    ///
    /// [`ModelsFileError`] if the file is there and is not a price table in JSON.
    pub fn open(path: &Path) -> Result<Self, ModelsFileError> {
        let found = read(path)?;
        let text = found.clone().unwrap_or_else(|| edit::EMPTY.to_owned());
        let origin = path.display().to_string();
        PriceTable::with(&[Source { source: PriceSource::Project, origin: &origin, json: &text }])?;
        let document = Document::parse(text)
            .map_err(|source| ModelsFileError::NotJson { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), found, document })
    }

    /// Returns where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the file exists.
    pub fn exists(&self) -> bool {
        self.found.is_some()
    }

    /// Returns the text as it is now, changes included.
    pub fn text(&self) -> &str {
        self.document.text()
    }

    /// Returns whether the file has a row with this id.
    pub fn has_row(&self, id: &str) -> bool {
        edit::has_row(&self.document, id)
    }

    /// Makes `id` the default: marks its row, or names it if another table has it.
    pub fn set_default(&mut self, id: &str) -> Result<(), ModelsFileError> {
        self.change(|document| edit::set_default(document, id))
    }

    /// Adds a row in the file's form.
    pub fn add(&mut self, row: &NewRow) -> Result<(), ModelsFileError> {
        self.change(|document| edit::add(document, row))
    }

    /// Removes the row with this id.
    pub fn remove(&mut self, id: &str) -> Result<(), ModelsFileError> {
        self.change(|document| edit::remove(document, id))
    }

    /// Sets the pricing keys of the row with this id, and returns what changes: nothing if all are the same.
    pub fn set_pricing(
        &mut self,
        id: &str,
        pricing: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Vec<Change>, ModelsFileError> {
        let mut changes = Vec::new();
        self.change(|document| {
            let (text, changed) = edit::set_pricing(document, id, pricing)?;
            changes = changed;
            Ok(text)
        })?;
        Ok(changes)
    }

    /// Writes the file if it changed, and its folder if it is new.
    ///
    /// # Errors
    ///
    /// [`ModelsFileError::Changed`] if the file is no longer the one that was read.
    pub fn save(&self) -> Result<(), ModelsFileError> {
        let text = self.document.text();
        if let Some(found) = &self.found {
            if found == text {
                return Ok(());
            }
            let is_unchanged = || matches!(read(&self.path), Ok(Some(now)) if now == *found);
            let content = |out: &mut dyn io::Write| out.write_all(text.as_bytes());
            return match replace::replace_unless_changed(&self.path, content, is_unchanged)? {
                Replaced::Done => Ok(()),
                Replaced::Changed => Err(ModelsFileError::Changed { path: self.path.clone() }),
            };
        }
        if let Some(folder) = self.path.parent() {
            let failed = |source| ModelsFileError::Folder { path: self.path.clone(), source };
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        Ok(replace::create_new(&self.path, text.as_bytes(), Access::Shared)?)
    }

    /// Takes a new text over, if it is a price table with no more faults than before.
    fn change(
        &mut self,
        edit: impl FnOnce(&Document) -> Result<String, EditError>,
    ) -> Result<(), ModelsFileError> {
        let wrong = |source| ModelsFileError::Edit { path: self.path.clone(), source };
        let text = edit(&self.document).map_err(wrong)?;
        let origin = self.path.display().to_string();
        let loaded =
            |json| PriceTable::with(&[Source { source: PriceSource::Project, origin: &origin, json }]);
        let (known, now) = (loaded(self.document.text())?.warnings, loaded(&text)?.warnings);
        if let Some(new) = now.iter().filter(|_| now.len() > known.len()).find(|new| !known.contains(new)) {
            return Err(wrong(EditError::Refused { fault: Box::new(new.clone()) }));
        }
        self.document = Document::parse(text)
            .map_err(|source| ModelsFileError::NotJson { path: self.path.clone(), source })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = include_str!("../fixtures/models/list.json");

    /// A project folder with this models.json.
    fn project(json: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = project_path(folder.path());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        replace::write(&path, json.as_bytes(), Access::Shared).unwrap();
        folder
    }

    #[test]
    fn a_projects_rows_go_before_the_users() {
        let (mine, user) = (project(LIST), tempfile::tempdir().unwrap());
        let row = r#"{"models":[{"id":"claude-sonnet-4-20250514","pricing":{"input":1,"output":2}}]}"#;
        replace::write(&user_path(user.path()), row.as_bytes(), Access::Private).unwrap();
        let source = |project: Option<&Path>| {
            let table = load(project, Some(user.path())).unwrap().table;
            table.get("claude-sonnet-4-20250514").unwrap().source
        };
        assert_eq!(source(Some(mine.path())), PriceSource::Project);
        assert_eq!(source(None), PriceSource::User);
        assert!(load(Some(user.path()), None).unwrap().warnings.is_empty());
    }

    #[test]
    fn says_where_a_file_is_broken() {
        let folder = project("{\n  \"models\": [}\n");
        let error = load(Some(folder.path()), None).unwrap_err().to_string();
        let path = project_path(folder.path());
        assert_eq!(error, format!("price table `{}` is not JSON at line 2, column 14", path.display()));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let error = load(Some(folder.path()), None).unwrap_err().to_string();
        assert_eq!(error, format!("cannot read `{}`", path.display()));
    }

    #[test]
    fn a_new_file_states_nothing_but_what_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = project_path(folder.path());
        let mut file = ModelsFile::open(&path).unwrap();
        assert!(!file.exists());
        file.set_default("claude-haiku-5-5").unwrap();
        file.save().unwrap();
        let table = load(Some(folder.path()), None).unwrap().table;
        assert_eq!(table.get_default().id.as_str(), "claude-haiku-5-5");
        assert_eq!(table.list_all().len(), PriceTable::built_in().list_all().len());
    }

    #[test]
    fn refuses_a_change_that_could_not_be_used() {
        let folder = project(LIST);
        let path = project_path(folder.path());
        let mut file = ModelsFile::open(&path).unwrap();
        let error = file.set_default("claude-9").unwrap_err();
        assert_eq!(error.to_string(), format!("`{}` stays as it is", path.display()));
        file.save().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), LIST);
    }

    #[test]
    fn sees_that_another_program_wrote_meanwhile() {
        let folder = project(LIST);
        let path = project_path(folder.path());
        let mut file = ModelsFile::open(&path).unwrap();
        file.set_default("claude-opus-4-5-20251101").unwrap();
        replace::write(&path, b"{\"models\":[]}", Access::Shared).unwrap();
        assert!(matches!(file.save(), Err(ModelsFileError::Changed { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"models\":[]}");
    }
}
