//! What git says of a project's branches: which commits are on them, and where pull requests go.
//!
//! Asked by commands only, never by a hook: a repository may be large, and git slow. The commits are stored, because
//! a branch that is merged is mostly deleted.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use jiff::Timestamp;

use crate::booking::Books;
use crate::ledger::Durability;
use crate::ledger::notes::WorkedBranch;

/// How many commits of a branch are looked at.
const MAX_COMMITS: &str = "--max-count=20000";

/// Characters of a commit's hash that are kept: as many as GitHub and GitLab need at most.
const HASH_CHARACTERS: usize = 12;

/// Stores the commits of those branches of the project at `root` on which requests were made.
///
/// A branch that git does not know any more keeps what was stored; a folder that is no repository, or a machine
/// without git, changes nothing.
pub(super) fn note_commits(books: &mut Books, root: &Path) -> anyhow::Result<()> {
    let worked = books.ledger.worked_branches(root)?;
    if worked.is_empty() {
        return Ok(());
    }
    let Some(known) = ask(root, &["for-each-ref", "--format=%(refname)", "refs/heads/"]) else {
        return Ok(());
    };
    let known: BTreeSet<&str> = known.lines().filter_map(|name| name.strip_prefix("refs/heads/")).collect();
    for branch in worked.iter().filter(|branch| known.contains(branch.name.as_str())) {
        let Some(commits) = commits(root, branch) else { continue };
        let now = books.now;
        let mut recording = books.ledger.record(Durability::Repeatable, now)?;
        if recording.branch_commits(root, &branch.name, &commits)? {
            recording.commit()?;
        }
    }
    Ok(())
}

/// Returns the commits of a branch since the first request on it, by the times when their authors wrote them: a rebase
/// keeps those.
fn commits(root: &Path, branch: &WorkedBranch) -> Option<BTreeSet<(Timestamp, String)>> {
    let since = format!("--since=@{}", branch.since.as_second());
    let name = format!("refs/heads/{}", branch.name);
    let format = "--format=%at %H";
    let arguments =
        ["log", "--no-show-signature", "--first-parent", MAX_COMMITS, &since, format, &name, "--"];
    let listed = ask(root, &arguments)?;
    let commit = |line: &str| {
        let (at, hash) = line.split_once(' ')?;
        let at = Timestamp::from_second(at.parse().ok()?).ok()?;
        Some((at, hash.get(..HASH_CHARACTERS)?.to_owned()))
    };
    Some(listed.lines().filter_map(commit).collect())
}

/// Returns the repository that the project at `root` is pushed to, as `owner/repository`.
pub(super) fn repository(root: &Path) -> Option<String> {
    let url = ask(root, &["config", "--get", "remote.origin.url"])?;
    let url = url.trim().trim_end_matches('/');
    let path = url.strip_suffix(".git").unwrap_or(url);
    let mut names = path.rsplit(['/', ':']);
    let (repository, owner) = (names.next()?, names.next()?);
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
    (is_name(owner) && is_name(repository)).then(|| format!("{owner}/{repository}"))
}

/// Returns what git prints, if it succeeds; nothing of the repository's configuration is run.
fn ask(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["--no-pager", "-c", "core.fsmonitor=false", "-c", "log.showSignature=false"])
        .args(arguments)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
