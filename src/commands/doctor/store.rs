//! Is what cmat keeps there, whole, private, and free of what hooks left undone.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::commands::chain;
use crate::commands::doctor::Check;
use crate::commands::doctor::Site;
use crate::commands::installation::quoted;
use crate::commands::installation::shown;
use crate::config::Config;
use crate::disk;
use crate::disk::file_system;
use crate::disk::file_system::FileSystem;
use crate::disk::replace;
use crate::ledger;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::backup;
use crate::logging;
use crate::outbox::Outbox;
use crate::report::counted;

const LEDGER: &str = "ledger";

/// How long the ledger is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a fault in the log is news.
const RECENT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Most that is read of a log, in bytes.
const MAX_LOG_BYTES: u64 = 4 << 20;

/// Opens the ledger if there is one, and checks it.
pub(super) fn open(config: &Config) -> (Option<Ledger>, Check) {
    let path = config.data_dir.join(ledger::FILE_NAME);
    if !path.exists() {
        let check = match backup::list(&config.data_dir).is_empty() {
            true => Check::good(LEDGER, "none yet: the first session that ends makes it"),
            false => broken_ledger(format!("{} is gone", shown(&path, config))),
        };
        return (None, check);
    }
    let ledger = match Ledger::open(&config.data_dir, PATIENCE) {
        Ok(ledger) => ledger,
        Err(fault @ LedgerError::FormatTooNew { .. }) => {
            return (None, Check::failed(LEDGER, chain(&fault), "cargo install cmat"));
        }
        Err(fault) if fault.is_loss() => return (None, broken_ledger(chain(&fault))),
        Err(fault @ LedgerError::ReadOnly { .. }) => {
            let fix = format!("chmod -R u+rwX {}", quoted(&config.data_dir));
            return (None, Check::failed(LEDGER, chain(&fault), fix));
        }
        Err(fault) => {
            return (None, Check::failed(LEDGER, chain(&fault), "see what it says, then: cmat doctor"));
        }
    };
    match (ledger.integrity_faults(), ledger.n_all_requests()) {
        (Ok(faults), Ok(n)) => match faults.first() {
            None => {
                let check = Check::good(
                    LEDGER,
                    format!("{}, sound, {}", shown(&path, config), counted(n, "request")),
                );
                (Some(ledger), check)
            }
            Some(first) => (None, broken_ledger(format!("damaged: {first}"))),
        },
        (Err(fault), _) | (_, Err(fault)) => (None, broken_ledger(chain(&fault))),
    }
}

/// Returns the check for a ledger that cannot be used.
pub(super) fn broken_ledger(detail: String) -> Check {
    Check::failed(
        LEDGER,
        detail,
        "cmat doctor --fix: keeps it, and rebuilds it from its backup and the transcripts",
    )
}

/// Checks that the ledger is where locks and shared memory work.
pub(super) fn file_system(site: &Site<'_>) -> Check {
    const NAME: &str = "file system";
    let found = nearest(&site.config.data_dir).map(file_system::of);
    match found {
        Some(Ok(FileSystem::Remote(name))) => Check::attention(
            NAME,
            format!("the data folder is on {name}: slower, and never safe on two machines at once"),
            "set CMAT_HOME to a folder on this machine",
        ),
        Some(Err(fault)) => Check::attention(NAME, format!("unknown: {fault}"), "look: df -T"),
        _ => Check::good(NAME, "on this machine"),
    }
}

/// Checks that there are backups, and tells of damaged ledgers that are kept.
pub(super) fn backups(site: &Site<'_>) -> Check {
    const NAME: &str = "backups";
    let folder = &site.config.data_dir;
    let newest = match backup::list(folder).first() {
        Some(newest) => format!("the newest is of {}", newest.made.strftime("%Y-%m-%d")),
        None => "none yet".to_owned(),
    };
    match backup::set_aside_before(folder).last() {
        None => Check::good(NAME, newest),
        Some(damaged) => Check::attention(
            NAME,
            format!("{newest}; a damaged ledger is kept as {}", site.shown(damaged)),
            "delete it once you do not miss anything",
        ),
    }
}

/// Checks that only the user can look into what cmat keeps.
pub(super) fn data_folder(site: &Site<'_>) -> Check {
    const NAME: &str = "data folder";
    let folder = &site.config.data_dir;
    let name = site.shown(folder);
    if !folder.exists() {
        return match nearest(folder).is_some_and(is_writable) {
            true => Check::good(NAME, format!("{name}, not there yet")),
            false => {
                Check::failed(NAME, format!("{name} cannot be made"), "set CMAT_HOME to a folder that can")
            }
        };
    }
    let outbox = folder.join("outbox");
    let files = [ledger::FILE_NAME, logging::FILE_NAME].map(|file| folder.join(file));
    if !is_writable(folder) || (outbox.exists() && !is_writable(&outbox)) {
        let fix = format!("chmod -R u+rwX {}", quoted(folder));
        return Check::failed(NAME, format!("{name} cannot be written"), fix);
    }
    match [folder.clone(), outbox].iter().chain(&files).find(|path| replace::is_open_to_others(path)) {
        Some(open) => {
            let detail = format!("others may look into {}", site.shown(open));
            Check::attention(NAME, detail, "cmat doctor --fix")
        }
        None => Check::good(NAME, format!("{name}, for you only")),
    }
}

/// Checks what hooks left undone, and what they complained of.
pub(super) fn checks(site: &Site<'_>) -> Result<Vec<Check>, LedgerError> {
    Ok(vec![hook_runs(site)?, log(site)])
}

fn hook_runs(site: &Site<'_>) -> Result<Check, LedgerError> {
    const NAME: &str = "hook runs left";
    let outbox = Outbox::new(&site.config.data_dir);
    let names = match outbox.list() {
        Ok(names) => names,
        Err(fault) => {
            let fix = format!("chmod -R u+rwX {}", quoted(&site.config.data_dir));
            return Ok(Check::failed(NAME, chain(&fault), fix));
        }
    };
    let mut n_left = 0_usize;
    for name in &names {
        if let Some(ledger) = &site.ledger
            && ledger.is_booked(&name.to_string())?
        {
            continue;
        }
        if let Err(fault) = outbox.read(name) {
            return Ok(Check::failed(NAME, chain(&fault), "move the file away, then: cmat reconcile --all"));
        }
        n_left += 1;
    }
    Ok(match n_left {
        0 => Check::good(NAME, "none"),
        n => Check::attention(NAME, format!("{} not finished", counted(n, "run")), "cmat reconcile"),
    })
}

/// A line of the log.
#[derive(Deserialize)]
struct LogLine {
    timestamp: Timestamp,
    level: String,
    fields: LogFields,
}

#[derive(Deserialize)]
struct LogFields {
    #[serde(default)]
    message: String,
}

fn log(site: &Site<'_>) -> Check {
    const NAME: &str = "log";
    let logs = logging::files(&site.config.data_dir);
    let texts = logs.iter().rev().filter_map(|path| {
        let mut text = Vec::new();
        disk::open_regular(path).ok()?.take(MAX_LOG_BYTES).read_to_end(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    });
    let text: String = texts.collect();
    let is_recent = |line: &LogLine| site.now.duration_since(line.timestamp).unsigned_abs() <= RECENT;
    let faults: Vec<LogLine> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &LogLine| ["WARN", "ERROR"].contains(&line.level.as_str()) && is_recent(line))
        .collect();
    match (faults.last(), logs.first()) {
        (Some(last), Some(path)) => Check::attention(
            NAME,
            format!("{} in 7 days, the last: {}", counted(faults.len(), "fault"), last.fields.message),
            format!("look: tail -n {} {}", faults.len().min(20), quoted(path)),
        ),
        _ => Check::good(NAME, "no fault in 7 days"),
    }
}

fn nearest(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| folder.exists())
}

fn is_writable(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
}
