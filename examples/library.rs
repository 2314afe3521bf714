//! cmat as a library: models, prices, and a transcript booked for a task.
//!
//! `cargo run --example library -- TRANSCRIPT` books a transcript into a ledger in a temporary folder.

use std::error::Error;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use cmat::booking::Books;
use cmat::booking::Queues;
use cmat::booking::prices::PriceTables;
use cmat::ledger::Ledger;
use cmat::models_file;
use cmat::models_file::ModelsFile;
use cmat::pricing::PriceTable;
use cmat::pricing::UnknownModel;
use cmat::project;
use cmat::usage::TokenUsage;
use jiff::Timestamp;

/// How long an example may wait for the ledger.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    models_and_prices(&models_file::load(Some(folder.path()), None)?.table)?;
    choose_default(folder.path())?;
    match std::env::args_os().nth(1) {
        Some(transcript) => book(Path::new(&transcript), folder.path()),
        None => Ok(()),
    }
}

#[expect(clippy::print_stdout, reason = "an example shows what it finds")]
fn models_and_prices(table: &PriceTable) -> Result<(), Box<dyn Error>> {
    println!("{} models, by default {}", table.list_all().len(), table.get_default().name);
    let sonnet = table.get("claude-sonnet-4-20250514").ok_or("a model that is built in")?;
    let found = table.get_by_pattern("us.anthropic.claude-sonnet-4-20250514-v1:0").ok_or("the same")?;
    assert_eq!(found.model.id, sonnet.id);

    let tokens = TokenUsage { input: 12_345, output: 3_456, cache_read: 8_901, ..TokenUsage::default() };
    let day: Timestamp = "2025-06-01T12:00:00Z".parse()?;
    println!("${}", table.calculate_cost("claude-sonnet-4-20250514", &tokens, day)?);
    Ok(())
}

fn choose_default(project: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = ModelsFile::open(&models_file::project_path(project))?;
    file.set_default("claude-sonnet-5-5")?;
    file.save()?;
    let table = models_file::load(Some(project), None)?.table;
    assert_eq!(table.get_default().id.as_str(), "claude-sonnet-5-5");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example shows what it finds")]
fn book(transcript: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut books = Books {
        ledger: Ledger::open(folder, PATIENCE)?,
        prices: PriceTables::new(folder, UnknownModel::Default),
        home: None,
        claude_folders: Vec::new(),
        now: "2026-11-21T12:00:00Z".parse()?,
        deadline: Instant::now() + PATIENCE,
        queues: Queues::Written,
    };
    let project = project::find(folder, None);
    match books.extract_and_store(&"task_1702345678_12345".parse()?, transcript, None, &project)? {
        Some(extracted) => println!("${}", extracted.task.cost()),
        None => println!("no usage in {}", transcript.display()),
    }
    Ok(())
}
