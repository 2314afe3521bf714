//! The FinOps Foundation's validator applies its rules of FOCUS 1.2 to the export.
//!
//! It wants Python 3.12, but one line of it alone, an f-string, is none to Python 3.11; there that line is rewritten.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::install;
use crate::stage::Stage;

/// pyarrow 22 took away what the validator's pandas calls.
const PACKAGES: [&str; 2] = ["focus-validator==2.2.1", "pyarrow<22"];

/// The line as it is, and as Python 3.11 reads it.
const QUOTED: [&str; 2] = [r#"k.replace('\"', '\"\"')"#, "k.replace(chr(34), chr(34) * 2)"];

/// A rule that fails of itself. "InvoiceId-C-005-C: MUST NOT be null when the charge is on an invoice" is one branch of
/// an alternative: its sibling, "MUST be null when it is not", holds for each row, and so does the rule above both.
/// The validator judges the branch alone. What cmat exports is on no invoice.
const ONE_BRANCH_OF_TWO: &str = "InvoiceId-C-005-C";

pub(crate) fn install() -> Result<PathBuf, String> {
    install::python("focus-validator", &PACKAGES, |python| {
        let path = package(python)?.join("config_objects/focus_to_duckdb_converter.py");
        let code = fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
        fs::write(&path, code.replace(QUOTED[0], QUOTED[1])).map_err(|error| error.to_string())
    })
}

fn package(python: &Path) -> Result<PathBuf, String> {
    let ask = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let folder = install::run(Command::new(python).args(["-c", ask]))?;
    Ok(Path::new(folder.trim_end()).join("focus_validator"))
}

pub(crate) fn rules_pass(python: PathBuf, stage: Stage) {
    let file = stage.export("focus", "focus.csv", &[]);
    // It looks for its lists of currencies in the present folder.
    let folder = package(&python).unwrap().parent().unwrap().to_owned();
    let output = Command::new(python.with_file_name("focus-validator"))
        .arg("--data-file")
        .arg(file)
        .args(["--validate-version", "1.2", "--focus-dataset", "CostAndUsage", "--block-download"])
        .current_dir(folder)
        .env("HOME", stage.path("home"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let of = |verdict: &str| told.lines().filter(|line| line.contains(verdict)).collect::<Vec<_>>();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(of(": PASS").len() > 100, "{told}{words}");
    let failed = of(": FAIL");
    assert!(failed.iter().all(|rule| rule.contains(ONE_BRANCH_OF_TWO)), "{failed:#?}");
}
