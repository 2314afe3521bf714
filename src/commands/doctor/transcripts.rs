//! Are there transcripts, were they read before they go, and are their counts right.

use std::fs;
use std::path::PathBuf;

use jiff::SignedDuration;
use jiff::Timestamp;

use crate::booking::encoding;
use crate::claude_settings::Preferences;
use crate::commands::Context;
use crate::commands::doctor::Check;
use crate::commands::doctor::Site;
use crate::commands::installation;
use crate::commands::reconcile;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::health::Counted;
use crate::ledger::health::Doubt;
use crate::money::Usd;
use crate::printable::Printable;
use crate::report::COST_PLACES;
use crate::report::counted;
use crate::summary::ClientSays;

const TOKEN_COUNTS: &str = "token counts";
const LOWER_BOUNDS: &str = "lower bounds";
const CLIENTS_COUNTS: &str = "client's own count";
const ENDS: &str = "sessions ended";
const CLOCK: &str = "clock";

/// Days after which Claude Code deletes transcripts, unless `cleanupPeriodDays` says otherwise.
const CLEANUP_DAYS: u64 = 30;

/// A transcript younger than this may belong to a session that has not ended.
const SETTLED: SignedDuration = SignedDuration::from_hours(24);

/// A request may be dated so much later than now: clocks are set now and then.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A transcript on disk.
struct Found {
    path: PathBuf,
    bytes: u64,
    modified: Timestamp,
}

pub(super) fn checks(site: &Site<'_>, context: &Context<'_>) -> Result<Vec<Check>, LedgerError> {
    let found: Vec<Found> = reconcile::transcripts(context).into_iter().filter_map(look).collect();
    let of_ledger = match &site.ledger {
        Some(ledger) => [
            token_counts(ledger)?,
            lower_bounds(ledger)?,
            clients_counts(ledger)?,
            ends(ledger, site)?,
            clock(ledger, site)?,
        ],
        None => [TOKEN_COUNTS, LOWER_BOUNDS, CLIENTS_COUNTS, ENDS, CLOCK].map(Check::nothing_yet),
    };
    let mut checks = vec![present(&found, site)?, retention(&found, site)?];
    checks.extend(foreign(&found, site));
    checks.extend(of_ledger);
    Ok(checks)
}

fn look(path: PathBuf) -> Option<Found> {
    let path = path.canonicalize().ok()?;
    let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    let modified = metadata.modified().ok()?.try_into().ok()?;
    Some(Found { path, bytes: metadata.len(), modified })
}

fn present(found: &[Found], site: &Site<'_>) -> Result<Check, LedgerError> {
    const NAME: &str = "transcripts found";
    let Some(newest) = found.iter().map(|transcript| transcript.modified).max() else {
        let folders: Vec<_> =
            site.config.claude_folders.iter().map(|folder| site.shown(&folder.join("projects"))).collect();
        let fix = "claude, or set CLAUDE_CONFIG_DIR to the folder that it uses";
        return Ok(Check::attention(NAME, format!("none in {}", folders.join(", ")), fix));
    };
    let bytes = found.iter().map(|transcript| transcript.bytes).sum();
    let ended = match &site.ledger {
        Some(ledger) => ledger.sessions_without_transcript()?,
        None => None,
    };
    let without = ended
        .map(|Counted { n, .. }| format!("; {} ended without one, as empty ones do", counted(n, "session")));
    Ok(Check::good(
        NAME,
        format!(
            "{}, {}, newest {}{}",
            counted(found.len(), "file"),
            size(bytes),
            age(site.now.duration_since(newest)),
            without.unwrap_or_default()
        ),
    ))
}

/// Nothing is found in what is no text, and nobody is told of a line of it; other programs make such files.
fn foreign(found: &[Found], site: &Site<'_>) -> Option<Check> {
    let mut foreign =
        found.iter().filter_map(|transcript| Some((transcript, encoding::foreign(&transcript.path).ok()??)));
    let (first, kind) = foreign.next()?;
    let more = match foreign.count() {
        0 => String::new(),
        n => format!("; nor in {}", counted(n, "other file")),
    };
    Some(Check::attention(
        "foreign files",
        format!("nothing is read in {}: {kind}{more}", site.shown(&first.path)),
        format!("look: head -c 64 {} | od -c", installation::quoted(&first.path)),
    ))
}

/// Claude Code deletes transcripts; what the ledger has not read by then is lost.
fn retention(found: &[Found], site: &Site<'_>) -> Result<Check, LedgerError> {
    const NAME: &str = "retention";
    // The local settings come first, then the project's, then the user's.
    let mut files = installation::settings_files(site.config);
    files.sort_by_key(|(scope, path)| {
        (*scope == installation::Scope::User, !path.ends_with("settings.local.json"))
    });
    let days = files
        .into_iter()
        .find_map(|(_, path)| Preferences::read(&path).ok()?.cleanup_period_days)
        .unwrap_or(CLEANUP_DAYS);
    let deletes = format!("Claude Code deletes transcripts after {days} days");
    let read = match &site.ledger {
        Some(ledger) => ledger.read_files()?,
        None => Default::default(),
    };
    let is_settled = |transcript: &&Found| site.now.duration_since(transcript.modified) >= SETTLED;
    let n_unread =
        found.iter().filter(is_settled).filter(|transcript| !read.contains(&transcript.path)).count();
    if n_unread > 0 {
        let detail = format!("{deletes}; {} not in the ledger", counted(n_unread, "transcript"));
        return Ok(Check::attention(NAME, detail, "cmat reconcile --all"));
    }
    let kept = match &site.ledger {
        Some(ledger) => ledger.first_request()?.map(|first| (ledger.n_all_requests(), first)),
        None => None,
    };
    Ok(match kept {
        Some((n, first)) => {
            let day = first.strftime("%Y-%m-%d");
            Check::good(NAME, format!("{deletes}; the ledger keeps {} since {day}", counted(n?, "request")))
        }
        None => Check::good(NAME, deletes),
    })
}

/// Wrong counts come from lines that could not be read, and from copies that disagree.
fn token_counts(ledger: &Ledger) -> Result<Check, LedgerError> {
    if let Some(Counted { n, example }) = ledger.doubtful_requests(Doubt::Conflicting)? {
        let detail = format!("copies of {} disagree; the greatest counts were taken", counted(n, "request"));
        return Ok(Check::attention(TOKEN_COUNTS, detail, format!("cmat explain {}", Printable(&example))));
    }
    Ok(match ledger.all_skipped_lines()? {
        (0, _) => Check::good(TOKEN_COUNTS, "every line was read, no two copies differ"),
        (n, None) => {
            Check::attention(TOKEN_COUNTS, format!("{} left out", counted(n, "line")), "cmat reconcile --all")
        }
        (n, Some((path, first))) => Check::attention(
            TOKEN_COUNTS,
            format!("{} left out, such as line {}: {}", counted(n, "line"), first.line, first.reason),
            format!("look: sed -n {}p {} | cut -c1-500", first.line, installation::quoted(&path)),
        ),
    })
}

fn lower_bounds(ledger: &Ledger) -> Result<Check, LedgerError> {
    Ok(match ledger.doubtful_requests(Doubt::CutShort)? {
        None => Check::good(LOWER_BOUNDS, "every answer was recorded to its end"),
        Some(Counted { n, example }) => Check::attention(
            LOWER_BOUNDS,
            format!("{} cut short: the cost is at least what is shown", counted(n, "answer")),
            format!("look: cmat explain {}", Printable(&example)),
        ),
    })
}

/// Clients since 2.1.252 count for themselves, also what they leave out of their transcripts.
fn clients_counts(ledger: &Ledger) -> Result<Check, LedgerError> {
    let says = ledger.clients_say(None)?;
    let (fit, unfit): (Vec<_>, Vec<_>) = says.iter().partition(|says| says.fits);
    let sum = |of: fn(&ClientSays) -> Usd| fit.iter().map(|says| of(says)).sum::<Usd>().rounded(COST_PLACES);
    let detail = match fit.len() {
        0 => "no session has one that fits".to_owned(),
        n => format!(
            "{}: reported ${}, computed ${}, of which ${} not itemised",
            counted(n, "session"),
            sum(|says| says.reported),
            sum(|says| says.computed),
            sum(|says| says.not_itemised),
        ),
    };
    Ok(match unfit.last() {
        _ if says.is_empty() => Check::good(CLIENTS_COUNTS, "no session has one"),
        None => Check::good(CLIENTS_COUNTS, detail),
        Some(last) => Check::attention(
            CLIENTS_COUNTS,
            format!("{detail}; {} may cost more than is known", counted(unfit.len(), "other")),
            format!("look: cmat explain {}", last.session),
        ),
    })
}

/// A client that is killed runs no hook at its end. Its requests are found all the same; what it had not written is not.
fn ends(ledger: &Ledger, site: &Site<'_>) -> Result<Check, LedgerError> {
    let never = match site.now.checked_sub(SETTLED) {
        Ok(since) => ledger.sessions_never_ended(since)?,
        Err(_before_all_time) => None,
    };
    Ok(match never {
        None => Check::good(ENDS, "none was left without an end"),
        Some(Counted { n, example }) => Check::attention(
            ENDS,
            format!("{} never ended: killed, or the hook did not run", counted(n, "session")),
            format!("look: cmat sessions show {}", Printable(&example)),
        ),
    })
}

/// What is dated wrongly belongs to other days and budgets, and maybe to other prices.
fn clock(ledger: &Ledger, site: &Site<'_>) -> Result<Check, LedgerError> {
    let latest = ledger.latest_request()?;
    let ahead = latest.map(|(at, key)| (at.duration_since(site.now), key));
    Ok(match ahead.filter(|(ahead, _)| *ahead > SKEW) {
        None => Check::good(CLOCK, "no request is dated later than now"),
        Some((ahead, key)) => {
            let by = age(ahead);
            let by = by.strip_suffix(" ago").unwrap_or(&by);
            let detail = format!("a request is dated {by} later than now: one of the clocks was wrong");
            Check::attention(CLOCK, detail, format!("look: cmat explain {}", Printable(&key)))
        }
    })
}

/// Returns a size as people write it: `1.9 GB`.
fn size(bytes: u64) -> String {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit / (unit / 10)),
        None => format!("{bytes} B"),
    }
}

/// Returns how long ago something was: `2 min ago`.
fn age(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    let units = [("days", 86_400), ("h", 3_600), ("min", 60)];
    match units.into_iter().find(|(_, unit)| seconds >= *unit) {
        Some(("days", unit)) if seconds < 2 * unit => "1 day ago".to_owned(),
        Some((name, unit)) => format!("{} {name} ago", seconds / unit),
        None => format!("{seconds} s ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_sizes_as_people_do() {
        let sizes = [0, 999, 1_000, 1_950_000, 1_900_000_000, 12_000_000_000].map(size);
        assert_eq!(sizes, ["0 B", "999 B", "1.0 kB", "1.9 MB", "1.9 GB", "12.0 GB"]);
    }

    #[test]
    fn writes_ages_as_people_do() {
        let ages =
            [-5, 59, 60, 7_200, 86_400, 172_800].map(|seconds| age(SignedDuration::from_secs(seconds)));
        assert_eq!(ages, ["0 s ago", "59 s ago", "1 min ago", "2 h ago", "1 day ago", "2 days ago"]);
    }
}
