//! The price table of each project, loaded when a request of it is first priced.

use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;

use crate::models_file;
use crate::models_file::ModelsFileError;
use crate::pricing;
use crate::pricing::Charge;
use crate::pricing::PriceTable;
use crate::pricing::UnknownModel;
use crate::pricing::Warning;
use crate::usage::RequestFacts;

/// Price tables by project.
#[derive(Debug)]
pub struct PriceTables {
    user_dir: PathBuf,
    unknown_model: UnknownModel,
    tables: HashMap<Option<PathBuf>, PriceTable>,
    faults: Vec<ModelsFileError>,
    warnings: Vec<Warning>,
}

impl PriceTables {
    /// Returns tables that read the user's models.json from `user_dir`.
    pub fn new(user_dir: &Path, unknown_model: UnknownModel) -> Self {
        Self {
            user_dir: user_dir.to_owned(),
            unknown_model,
            tables: HashMap::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Prices a request with the table of `project`.
    ///
    /// A models.json that cannot be read does not stop the booking: the built-in prices hold, the fault is kept
    /// for [`PriceTables::faults`], and `cmat reprice` puts it right once the file is mended.
    pub fn charges(&mut self, project: Option<&Path>, facts: &RequestFacts) -> Vec<Charge> {
        let key = project.map(Path::to_owned);
        let table = self.tables.entry(key).or_insert_with(|| {
            match models_file::load(project, Some(&self.user_dir)) {
                Ok(loaded) => {
                    self.warnings.extend(loaded.warnings);
                    loaded.table
                }
                Err(fault) => {
                    self.faults.push(fault);
                    PriceTable::built_in().clone()
                }
            }
        });
        pricing::charges(facts, table, self.unknown_model)
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
