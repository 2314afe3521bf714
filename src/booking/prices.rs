//! The price table of each project, loaded when a request of it is first priced.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use crate::id::ModelId;
use crate::models_file;
use crate::models_file::ModelsFileError;
use crate::pricing;
use crate::pricing::Charge;
use crate::pricing::PriceTable;
use crate::pricing::UnknownModel;
use crate::pricing::Warning;
use crate::usage::RequestFacts;

/// The price table of a project.
#[derive(Debug)]
enum Table {
    /// With all its files; whether the project has one of its own.
    Whole(PriceTable, bool),
    /// A file could not be read: the built-in one stands in for it.
    Replaced,
}

/// Price tables by project.
#[derive(Debug)]
pub struct PriceTables {
    user_dir: PathBuf,
    unknown_model: UnknownModel,
    /// The user's own, for requests of no project.
    of_user: Option<Table>,
    /// By the project's path as it is written: to compare paths part by part for each request would cost more.
    by_project: BTreeMap<OsString, Table>,
    faults: Vec<ModelsFileError>,
    warnings: Vec<Warning>,
}

impl PriceTables {
    /// Returns tables that read the user's models.json from `user_dir`.
    pub fn new(user_dir: &Path, unknown_model: UnknownModel) -> Self {
        Self {
            user_dir: user_dir.to_owned(),
            unknown_model,
            of_user: None,
            by_project: BTreeMap::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Prices a request with the table of `project`.
    ///
    /// A models.json that cannot be read does not stop the booking: the built-in prices are taken and marked as
    /// estimated, the fault is kept for [`PriceTables::faults`], and `cmat reprice` puts it right once the file is
    /// mended.
    pub fn charges(&mut self, project: Option<&Path>, facts: &RequestFacts) -> Vec<Charge> {
        let unknown_model = self.unknown_model;
        let (mut charges, has_own_prices) = match self.table(project) {
            Table::Whole(table, is_own) => (pricing::charges(facts, table, unknown_model), *is_own),
            Table::Replaced => {
                let mut charges = pricing::charges(facts, PriceTable::built_in(), unknown_model);
                for charge in &mut charges {
                    charge.estimated |= charge.price.is_some();
                }
                (charges, false)
            }
        };
        if has_own_prices && let Table::Whole(of_user, _) = self.table(None) {
            let by_user = pricing::charges(facts, of_user, unknown_model);
            pricing::note_dearer(&mut charges, &by_user);
        }
        charges
    }

    /// Returns the price row that a model of `project` is priced by, of a family alone (`haiku`) that of its newest model;
    /// `None` if there is none.
    pub fn row_of(&mut self, project: Option<&Path>, model: &str) -> Option<ModelId> {
        let table = match self.table(project) {
            Table::Whole(table, _) => table,
            Table::Replaced => PriceTable::built_in(),
        };
        let found = table.get_by_pattern(model).map(|found| found.model);
        found.or_else(|| table.newest_of(model)).map(|model| model.id.clone())
    }

    fn table(&mut self, project: Option<&Path>) -> &Table {
        let is_known = project
            .map_or(self.of_user.is_some(), |project| self.by_project.contains_key(project.as_os_str()));
        let loaded = (!is_known).then(|| self.load(project));
        match (project, loaded) {
            (None, Some(loaded)) => self.of_user.insert(loaded),
            (None, None) => self.of_user.as_ref().expect("it is known"),
            (Some(project), Some(loaded)) => self.by_project.entry(project.into()).or_insert(loaded),
            (Some(project), None) => &self.by_project[project.as_os_str()],
        }
    }

    fn load(&mut self, project: Option<&Path>) -> Table {
        match models_file::load(project, Some(&self.user_dir)) {
            Ok(loaded) => {
                self.warnings.extend(loaded.warnings);
                let is_own = project.is_some_and(|project| models_file::project_path(project).exists());
                Table::Whole(loaded.table, is_own)
            }
            Err(fault) => {
                self.faults.push(fault);
                Table::Replaced
            }
        }
    }

    /// Returns the price tables that could not be used so far, and forgets them.
    pub fn faults(&mut self) -> Vec<ModelsFileError> {
        std::mem::take(&mut self.faults)
    }

    /// Returns what of the price tables was not used so far, and forgets it.
    pub fn warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }
}
