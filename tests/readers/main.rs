//! Has the programs that exports are for read them: DuckDB, hledger, the validator of FOCUS.
//!
//! DuckDB and the validator come from PyPI, into the build folder, once for all runs; hledger is a package of the
//! system. Where one cannot be had, that is said at the end of the output and its test does not run; with `CI` or
//! `CMAT_REQUIRE_READERS` in the environment it is a failure.
#![expect(clippy::print_stderr, reason = "what was skipped is said aloud")]
#![expect(clippy::unwrap_used, reason = "a test ends there")]
#![expect(clippy::disallowed_methods, reason = "a test reads its own environment and writes its own folders")]

mod duckdb;
mod focus;
mod hledger;
mod install;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use libtest_mimic::Arguments;
use libtest_mimic::Completion;
use libtest_mimic::Trial;

use crate::stage::Stage;

/// What was missing.
static MISSING: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn main() -> ExitCode {
    let trials = vec![
        trial("duckdb", duckdb::install, duckdb::sums_agree),
        trial("hledger", hledger::find, hledger::balances),
        trial("focus", focus::install, focus::rules_pass),
    ];
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    for why in MISSING.lock().unwrap().iter() {
        eprintln!("SKIPPED: {why}; CMAT_REQUIRE_READERS=1 makes that a failure");
    }
    conclusion.exit_code()
}

fn trial(name: &'static str, reader: fn() -> Result<PathBuf, String>, test: fn(PathBuf, Stage)) -> Trial {
    Trial::ignorable_test(name, move || match reader() {
        Ok(program) => {
            test(program, Stage::new());
            Ok(Completion::Completed)
        }
        Err(why) if install::is_required() => Err(why.into()),
        Err(why) => {
            MISSING.lock().unwrap().push(format!("{name}: {why}"));
            Ok(Completion::ignored_with("no reader"))
        }
    })
}
