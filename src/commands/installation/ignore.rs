//! The lines of `.gitignore` for files that belong to one machine.
//!
//! They stand in a block of their own, so that they can be told from a line that somebody else wrote.

use std::path::Path;
use std::path::PathBuf;

use crate::disk::change::Change;
use crate::disk::change::OldVersion;
use crate::disk::change::read_text;
use crate::disk::replace::Access;

/// The first line of the block.
const HEADING: &str = "# cmat: files of this machine";

/// What is not for the others: the lock beside a task queue, the task at hand, old versions of settings.
const LINES: [&str; 3] = ["task_queue.json.lock", ".claude/cmat.task", "*.cmat-backup"];

/// Returns the change that adds what is missing; `None` if the folder is no git worktree.
pub(in crate::commands) fn add(worktree: &Path) -> anyhow::Result<Option<Change>> {
    change(worktree, |text| Some(with_lines(text.unwrap_or_default())))
}

/// Returns the change that takes the block out again; `None` if the folder is no git worktree.
pub(in crate::commands) fn remove(worktree: &Path) -> anyhow::Result<Option<Change>> {
    change(worktree, |text| text.map(without_block).filter(|text| !text.is_empty()))
}

fn change(
    worktree: &Path,
    new_text: impl FnOnce(Option<&str>) -> Option<String>,
) -> anyhow::Result<Option<Change>> {
    if !worktree.join(".git").exists() {
        return Ok(None);
    }
    let path: PathBuf = worktree.join(".gitignore");
    let before = read_text(&path)
        .map_err(|source| anyhow::Error::from(source).context(format!("cannot read `{}`", path.display())))?;
    let after = new_text(before.as_deref());
    Ok(Some(Change { path, before, after, access: Access::Shared, old_version: OldVersion::Dropped }))
}

/// Returns the text with a block of the lines that it lacks, in its own kind of line ends.
fn with_lines(text: &str) -> String {
    let missing: Vec<&str> =
        LINES.into_iter().filter(|line| !text.lines().any(|found| found.trim_end() == *line)).collect();
    if missing.is_empty() {
        return text.to_owned();
    }
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let block = [&[HEADING], missing.as_slice()].concat().join(newline);
    // A file without a last line end stays one.
    match text.is_empty() || text.ends_with('\n') {
        true => format!("{text}{block}{newline}"),
        false => format!("{text}{newline}{block}"),
    }
}

/// Returns the text without the block: its heading and the lines that follow it, as far as they are cmat's.
fn without_block(text: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let Some(start) = lines.iter().position(|line| line.trim_end() == HEADING) else {
        return text.to_owned();
    };
    let n_own = lines[start + 1..].iter().take_while(|line| LINES.contains(&line.trim_end())).count();
    let (before, after) = (lines[..start].concat(), lines[start + 1 + n_own..].concat());
    match text.ends_with('\n') || !after.is_empty() {
        true => before + &after,
        false => before.trim_end_matches('\n').trim_end_matches('\r').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(with_lines(text), expected);
        assert_eq!(with_lines(expected), expected, "once is enough");
        assert_eq!(without_block(expected), text);
    }

    #[test]
    fn adds_what_is_missing_and_takes_it_out_again() {
        let block = "# cmat: files of this machine\ntask_queue.json.lock\n.claude/cmat.task\n*.cmat-backup\n";
        check("", block);
        check("/target\n", &format!("/target\n{block}"));
        check("/target", &format!("/target\n{}", block.trim_end()));
        check("/target\r\n", &format!("/target\r\n{}", block.replace('\n', "\r\n")));
        check(
            "*.cmat-backup\n.claude/cmat.task\n",
            "*.cmat-backup\n.claude/cmat.task\n# cmat: files of this machine\ntask_queue.json.lock\n",
        );
    }

    #[test]
    fn takes_out_nothing_but_its_block() {
        let foreign = ".claude/cmat.task\n*.cmat-backup\n";
        assert_eq!(without_block(foreign), foreign);
        let block = with_lines("a\n");
        assert_eq!(without_block(&format!("{block}\n# other\nb\n")), "a\n\n# other\nb\n");
    }
}
