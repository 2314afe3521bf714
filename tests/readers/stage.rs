//! A project with all that exports tell apart, and cmat in it.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::install::run;

/// Requests beside those of the demo: other terms, no price, names that are hostile to a form.
const RECORDED: [&[&str]; 5] = [
    &["--model", "claude-haiku-4-5", "--input", "550", "--output", "100", "--batch", "--tag", "chapter=3"],
    &["--model", "claude-opus-5-5", "--input", "7", "--web-searches", "3", "--cache-write-1h", "1234"],
    &["--model", "a-model-of-nobody", "--input", "10", "--output", "20"],
    &[
        "--model",
        "claude-sonnet-4-5",
        "--output",
        "9",
        "--enhancement",
        "=1+1; \"quoted\"  | é",
        "--agent",
        "a:b  c",
    ],
    &["--model", "claude-sonnet-4-5", "--input", "1", "--requests", "12", "--at", "2026-02-28T23:59:59.999Z"],
];

/// A ledger to export from.
pub(crate) struct Stage {
    folder: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let stage = Self { folder: TempDir::new().unwrap() };
        let demo = stage.path("demo");
        run(stage.program(stage.folder.path()).args(["demo", "--keep"]).arg(&demo)).unwrap();
        for arguments in RECORDED {
            run(stage.cmat().arg("record").args(arguments)).unwrap();
        }
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Exports to `name`, and returns where that is.
    pub(crate) fn export(&self, form: &str, name: &str, more: &[&str]) -> PathBuf {
        let path = self.path(name);
        run(self.cmat().args(["export", form]).arg(&path).args(more)).unwrap();
        path
    }

    /// Returns the exact sum, as cmat itself reports it.
    pub(crate) fn total(&self) -> String {
        let report = run(self.cmat().args(["report", "--json"])).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        report["totals"]["cost_usd"].as_str().unwrap().to_owned()
    }

    fn cmat(&self) -> Command {
        self.program(&self.path("demo/project"))
    }

    fn program(&self, folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cmat"));
        command.current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.path("home")).env("CMAT_HOME", self.path("demo/cmat"));
        command.env("CMAT_NOW", "2026-11-21T12:00:00Z").env("TZ", "UTC");
        command
    }
}
