//! Python packages, each in a folder of its own below the build folder.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

/// Whether it is a failure that a reader is not there.
pub(crate) fn is_required() -> bool {
    ["CI", "CMAT_REQUIRE_READERS"].iter().any(|name| std::env::var_os(name).is_some())
}

/// Returns a Python that has `packages`, or why there is none. `mend` completes what was installed.
pub(crate) fn python(
    name: &str,
    packages: &[&str],
    mend: fn(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readers");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    // Other runs of this binary may install at the same moment.
    let lock = File::create(folder.join(format!("{name}.lock"))).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let home = folder.join(name);
    let python = home.join("bin/python");
    let (done, wanted) = (home.join("installed"), packages.join("\n"));
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let venv = ["-m", "venv", "--clear"].map(Path::new).into_iter().chain([home.as_path()]);
    run(Command::new("python3").args(venv))?;
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=1", "--timeout=60"];
    // What it means for a Python that a package does not name is the business of `mend`.
    run(Command::new(&python).args(pip).arg("--ignore-requires-python").args(packages))?;
    mend(&python)?;
    fs::write(&done, wanted).map_err(|error| error.to_string())?;
    Ok(python)
}

/// Returns what a program prints, or its last words.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("`{name}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    let last: Vec<&str> = words.lines().rev().filter(|line| !line.trim().is_empty()).take(5).collect();
    Err(format!("`{name}` failed: {}", last.into_iter().rev().collect::<Vec<_>>().join("; ")))
}
