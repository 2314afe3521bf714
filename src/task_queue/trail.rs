//! What a cmat found in a queue that it had not put there, and replaced: kept in the lock file, for whom it was of.
//!
//! A cmat that is killed right after it replaced the queue does not know whether it did. If another machine's cmat, with a
//! ledger of its own, writes before it runs again, the queue itself tells no more. The trail does: figures that stand in
//! it stood in the queue.

use std::io;

use crate::disk::lock::FileLock;

/// How many findings are kept; each matters only until the cmat that is meant runs again.
const MAX_FINDINGS: usize = 64;

/// Longest finding that is kept, in bytes: figures are short, unless somebody else has written them.
const MAX_FINDING_BYTES: usize = 1000;

/// Figures of a task that stood in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The task, as the queue names it.
    pub task: String,
    /// The figures, in the form that ledgers keep them.
    pub figures: String,
}

impl Finding {
    fn line(&self) -> String {
        format!("{}\n", serde_json::json!([self.task, self.figures]))
    }
}

/// Returns the findings, the latest last; what is no finding is passed over.
pub(super) fn read(lock: &FileLock) -> io::Result<Vec<Finding>> {
    let finding = |line: &str| {
        let (task, figures) = serde_json::from_str(line).ok()?;
        Some(Finding { task, figures })
    };
    Ok(lock.note()?.lines().filter_map(finding).collect())
}

/// Adds findings, and leaves out the oldest if there are too many.
pub(super) fn extend(lock: &FileLock, found: &[Finding]) -> io::Result<()> {
    let mut findings = read(lock)?;
    findings.retain(|known| !found.contains(known));
    findings.extend(found.iter().filter(|finding| finding.line().len() <= MAX_FINDING_BYTES).cloned());
    let n_old = findings.len().saturating_sub(MAX_FINDINGS);
    let note: String = findings[n_old..].iter().map(Finding::line).collect();
    lock.leave_note(&note)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn finding(n: usize) -> Finding {
        Finding { task: format!("größe\n{n}"), figures: format!("[\"{n}\"]") }
    }

    #[test]
    fn keeps_the_latest_findings_once_each() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FileLock::acquire(&folder.path().join("lock"), Instant::now()).unwrap();
        for n in 0..100 {
            extend(&lock, &[finding(n)]).unwrap();
        }
        extend(&lock, &[finding(50)]).unwrap();
        let expected: Vec<_> = (36..100).filter(|n| *n != 50).chain([50]).map(finding).collect();
        assert_eq!(read(&lock).unwrap(), expected);
        let long = Finding { task: "t".repeat(MAX_FINDING_BYTES), figures: String::new() };
        extend(&lock, &[long]).unwrap();
        assert_eq!(read(&lock).unwrap(), expected);
    }

    #[test]
    fn passes_over_what_is_no_finding() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FileLock::acquire(&folder.path().join("lock"), Instant::now()).unwrap();
        lock.leave_note(&format!("[1]\n{}[\"torn\", \"x", finding(1).line())).unwrap();
        assert_eq!(read(&lock).unwrap(), [finding(1)]);
    }
}
