//! The clients, installed from npm into the build folder, once for all runs.
//!
//! `npm ci` checks each package against `npm/package-lock.json`; no install script runs. The native binary is used
//! as it is: Node is needed for npm only.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::process::Command;

const MANIFEST: &str = include_str!("npm/package.json");
const LOCK: &str = include_str!("npm/package-lock.json");

/// Three binaries of some 80 MB each, packed.
const PATIENCE: Duration = Duration::from_secs(300);

/// The clients of `npm/package.json`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Version {
    /// Does not mark the lines that a fork copies, has no `cost-state`.
    V2_1_197,
    /// Does not mark the lines that a fork copies, has `cost-state`.
    V2_1_290,
    /// Marks the lines that a fork copies.
    V2_1_330,
}

impl Version {
    const ALL: [Self; 3] = [Self::V2_1_197, Self::V2_1_290, Self::V2_1_330];

    fn binary(self, folder: &Path) -> PathBuf {
        let version = match self {
            Self::V2_1_197 => "2.1.197",
            Self::V2_1_290 => "2.1.290",
            Self::V2_1_330 => "2.1.330",
        };
        let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
        folder.join(format!(
            "node_modules/claude-{version}/node_modules/@anthropic-ai/claude-code-{os}-{arch}/claude"
        ))
    }
}

/// Whether it is a failure that the client is not there.
pub(crate) fn is_required() -> bool {
    ["CI", "CMAT_REQUIRE_CLIENT"].iter().any(|name| std::env::var_os(name).is_some())
}

/// Returns the client's program, installed if need be, or why it is not there.
pub(crate) fn client(version: Version) -> Result<PathBuf, String> {
    INSTALLED
        .get_or_init(|| install().map_err(|error| error.to_string()))
        .clone()
        .map(|folder| version.binary(&folder))
}

/// Returns why the clients are not there, if a scenario asked for one in vain.
pub(crate) fn refusal() -> Option<&'static str> {
    INSTALLED.get()?.as_ref().err().map(String::as_str)
}

static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();

fn install() -> io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client");
    fs::create_dir_all(&folder)?;
    // Other runs of this binary may install at the same moment.
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    let done = folder.join("installed.json");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == LOCK) {
        return Ok(folder);
    }
    fs::write(folder.join("package.json"), MANIFEST)?;
    fs::write(folder.join("package-lock.json"), LOCK)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(npm_ci(&folder))?;
    fs::write(&done, LOCK)?;
    Ok(folder)
}

async fn npm_ci(folder: &Path) -> io::Result<()> {
    let npm = Command::new("npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--fetch-retries=1",
            "--fetch-timeout=60000",
            "--loglevel=error",
        ])
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(PATIENCE, npm).await {
        Err(_) => return Err(io::Error::other(format!("npm did not end within {PATIENCE:?}"))),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Err(io::Error::other("npm not found"));
        }
        Ok(output) => output?,
    };
    // The binaries are optional dependencies of their package: npm succeeds without them.
    let missing = Version::ALL.iter().map(|version| version.binary(folder)).find(|binary| !binary.exists());
    let stderr = String::from_utf8_lossy(&output.stderr);
    let words = stderr.lines().take(4).collect::<Vec<_>>().join("; ");
    match missing {
        _ if !output.status.success() => Err(io::Error::other(format!("npm ci failed: {words}"))),
        Some(binary) => Err(io::Error::other(format!("npm left out `{}`: {words}", binary.display()))),
        None => Ok(()),
    }
}
