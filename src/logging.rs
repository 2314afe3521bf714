//! Where words about the run go: for a hook to a log in the data folder, otherwise to stderr.
//!
//! A log line holds ids, counts, durations and error texts; never a word of a prompt or an answer.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;

use tracing_subscriber::filter::LevelFilter;

use crate::disk::replace;

/// Name of the log in the data folder.
pub const FILE_NAME: &str = "cmat.log";

/// Size at which a log becomes the old log, in bytes.
const MAX_LOG_BYTES: u64 = 1 << 20;

/// Sends faults of a hook to the log in `data_dir`; a log that cannot be written is done without.
pub fn to_file(data_dir: &Path) {
    let Ok(log) = open(data_dir) else { return };
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_target(false)
        .with_max_level(LevelFilter::INFO)
        .with_writer(Mutex::new(log))
        // A full disk drops lines of the log; the words about that would reach the user.
        .log_internal_errors(false)
        .finish();
    // It fails if a subscriber is set already, which then stays.
    let _already_set = tracing::subscriber::set_global_default(subscriber);
}

/// Sends warnings, and with `verbose` more, to stderr.
pub fn to_stderr(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_target(false)
        .with_ansi(false)
        .without_time()
        .with_max_level(level)
        .with_writer(io::stderr)
        .finish();
    let _already_set = tracing::subscriber::set_global_default(subscriber);
}

/// Returns the logs that there are, the present one first.
pub fn files(data_dir: &Path) -> Vec<PathBuf> {
    [data_dir.join(FILE_NAME), old_log(data_dir)].into_iter().filter(|path| path.is_file()).collect()
}

fn old_log(data_dir: &Path) -> PathBuf {
    data_dir.join(format!("{FILE_NAME}.1"))
}

fn open(data_dir: &Path) -> io::Result<File> {
    replace::create_private_folder(data_dir)?;
    let path = data_dir.join(FILE_NAME);
    if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MAX_LOG_BYTES) {
        replace::set_aside(&path, &old_log(data_dir))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}
