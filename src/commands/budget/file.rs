//! The budgets of the user's config.toml: one set, one removed, every comment kept.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::bail;
use toml_edit::ArrayOfTables;
use toml_edit::DocumentMut;
use toml_edit::InlineTable;
use toml_edit::Item;
use toml_edit::Table;
use toml_edit::TableLike;
use toml_edit::Value;

use crate::disk::change::Change;
use crate::disk::change::OldVersion;
use crate::disk::change::read_text;
use crate::disk::replace::Access;

/// A budget to be written: which one it is, and the keys that are set.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// The scope as text.
    pub(super) scope: String,
    /// The period as text.
    pub(super) period: &'static str,
    /// The project that it is narrowed to.
    pub(super) project: Option<String>,
    /// The other keys, in the order in which a new entry has them. One that is already there keeps its other keys.
    pub(super) keys: Vec<(&'static str, Value)>,
    /// Keys that go.
    pub(super) without: Vec<&'static str>,
    /// Keys that only a new entry gets.
    pub(super) new_keys: Vec<(&'static str, Value)>,
}

/// The user's config.toml.
pub(super) struct UserFile {
    path: PathBuf,
    before: Option<String>,
    document: DocumentMut,
}

impl UserFile {
    /// Reads the file; one that is not there is empty.
    pub(super) fn read(user_dir: &Path) -> anyhow::Result<Self> {
        let path = user_dir.join("config.toml");
        let before = read_text(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let document = before
            .as_deref()
            .unwrap_or_default()
            .parse()
            .with_context(|| format!("`{}` is no TOML; nothing was changed", path.display()))?;
        Ok(Self { path, before, document })
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a budget in, or changes the one that is there.
    pub(super) fn set(&mut self, setting: &Setting) -> anyhow::Result<()> {
        for entry in self.entries()? {
            if is_same(entry, setting) {
                for (key, value) in &setting.keys {
                    set(entry, key, value.clone());
                }
                for key in &setting.without {
                    entry.remove(key);
                }
                return Ok(());
            }
        }
        let project = setting.project.as_ref().map(|path| ("project", Value::from(path)));
        let own = [("scope", Value::from(&setting.scope)), ("period", Value::from(setting.period))];
        let keys = own.into_iter().chain(project).chain(setting.keys.iter().cloned());
        let keys = keys.chain(setting.new_keys.iter().cloned());
        match self.document.get_mut("budget") {
            Some(Item::Value(Value::Array(list))) => {
                let mut entry = InlineTable::new();
                keys.for_each(|(key, value)| {
                    entry.insert(key, value);
                });
                list.push(entry);
            }
            Some(Item::ArrayOfTables(list)) => list.push(table(keys)),
            _ => {
                let mut list = ArrayOfTables::new();
                list.push(table(keys));
                self.document.insert("budget", Item::ArrayOfTables(list));
            }
        }
        Ok(())
    }

    /// Returns what a key of a budget says: a word, or another value as it stands in the file.
    pub(super) fn value(&mut self, setting: &Setting, key: &str) -> anyhow::Result<Option<String>> {
        let entry = self.entries()?.into_iter().find(|entry| is_same(&**entry, setting));
        Ok(entry.and_then(|entry| {
            let value = entry.get(key)?.as_value()?;
            Some(value.as_str().map_or_else(|| value.to_string().trim().to_owned(), str::to_owned))
        }))
    }

    /// Removes the budgets for which `is_meant` holds, given scope and period; returns how many.
    pub(super) fn remove(&mut self, is_meant: impl Fn(&str, &str) -> bool) -> anyhow::Result<usize> {
        self.entries()?;
        let meant = |entry: &dyn TableLike| is_meant(text(entry, "scope"), text(entry, "period"));
        let mut n_removed = 0;
        let is_empty = match self.document.get_mut("budget") {
            Some(Item::Value(Value::Array(list))) => {
                list.retain(|value| {
                    let is_kept = !value.as_inline_table().is_some_and(|entry| meant(entry));
                    n_removed += usize::from(!is_kept);
                    is_kept
                });
                list.is_empty()
            }
            Some(Item::ArrayOfTables(list)) => {
                list.retain(|entry| {
                    let is_kept = !meant(entry);
                    n_removed += usize::from(!is_kept);
                    is_kept
                });
                list.is_empty()
            }
            _ => false,
        };
        if is_empty {
            self.document.remove("budget");
        }
        Ok(n_removed)
    }

    /// Writes the file if it changed.
    pub(super) fn save(self) -> anyhow::Result<()> {
        let change = Change {
            path: self.path,
            before: self.before,
            after: Some(self.document.to_string()),
            access: Access::Private,
            old_version: OldVersion::Dropped,
        };
        change.save()?;
        Ok(())
    }

    fn entries(&mut self) -> anyhow::Result<Vec<&mut dyn TableLike>> {
        let path = self.path.display();
        match self.document.get_mut("budget") {
            None => Ok(Vec::new()),
            Some(Item::ArrayOfTables(list)) => {
                Ok(list.iter_mut().map(|entry| entry as &mut dyn TableLike).collect())
            }
            Some(Item::Value(Value::Array(list))) => {
                let entry = |value| match value {
                    &mut Value::InlineTable(ref mut entry) => Ok(entry as &mut dyn TableLike),
                    _ => bail!("`budget` in `{path}` holds something that is no table; nothing was changed"),
                };
                list.iter_mut().map(entry).collect()
            }
            Some(_) => bail!("`budget` in `{path}` is no list; nothing was changed"),
        }
    }
}

fn table<'a>(keys: impl Iterator<Item = (&'a str, Value)>) -> Table {
    let mut entry = Table::new();
    for (key, value) in keys {
        entry.insert(key, Item::Value(value));
    }
    entry
}

/// Sets a key and keeps what stands around its value: blanks, a comment.
fn set(entry: &mut dyn TableLike, key: &str, mut value: Value) {
    match entry.get_mut(key) {
        Some(Item::Value(old)) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        _ => {
            entry.insert(key, Item::Value(value));
        }
    }
}

fn is_same(entry: &dyn TableLike, setting: &Setting) -> bool {
    text(entry, "scope") == setting.scope
        && text(entry, "period") == setting.period
        && text(entry, "project") == setting.project.as_deref().unwrap_or_default()
}

fn text<'a>(entry: &'a dyn TableLike, key: &str) -> &'a str {
    entry.get(key).and_then(Item::as_str).unwrap_or_default()
}
