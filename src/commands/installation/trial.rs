//! Runs an installed hook command as Claude Code would, where it can do no harm.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use crate::config::Config;
use crate::disk::backoff::Backoff;
use crate::disk::replace;
use crate::disk::replace::Access;
use crate::ledger;
use crate::outbox::Outbox;

/// How long the hook is waited for; its own deadline is far below.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of what it prints is looked at, in bytes.
const MAX_SHOWN_BYTES: u64 = 1 << 16;

/// Variables that would have the hook record something, or give it another deadline than Claude Code does.
const UNSET: [&str; 8] = [
    "CMAT_CURRENT_TASK_ID",
    "CMAT_SESSION_ID",
    "CMAT_TRANSCRIPT_PATH",
    "CMAT_ENHANCEMENT",
    "CMAT_AGENT",
    "CMAT_TAGS",
    "CMAT_RUN",
    "CMAT_DEADLINE_MS",
];

/// The budget of a trial: a check that finds none would end before it reaches a ledger. Nothing is spent of it.
const BUDGET: &str =
    "[[budget]]\nscope = \"user\"\nperiod = \"total\"\nlimit = \"1\"\non_exceed = \"warn\"\n";

/// What a hook command did.
#[derive(Debug)]
pub(in crate::commands) struct Trial {
    /// How long it took.
    pub(in crate::commands) took: Duration,
    /// How it ended; `None` if it had to be ended.
    pub(in crate::commands) status: Option<ExitStatus>,
    /// The first line that it printed, which should be none but where budgets speak.
    pub(in crate::commands) stdout: String,
    /// What it printed on stderr.
    pub(in crate::commands) stderr: String,
    /// cmat took note of the session.
    pub(in crate::commands) reached: bool,
}

/// Runs `command` as at `event`: for a session without a transcript, in a project and with a data folder that go afterwards.
pub(in crate::commands) fn run(command: &str, event: &str, config: &Config) -> io::Result<Trial> {
    let folder = tempfile::tempdir()?;
    let [data, own, project] = ["data", "config", "project"].map(|name| folder.path().join(name));
    // With a `.claude` of its own it is a project, whatever lies above it.
    std::fs::create_dir_all(project.join(".claude"))?;
    std::fs::create_dir_all(&own)?;
    replace::write(&own.join("config.toml"), BUDGET.as_bytes(), Access::Private).map_err(io::Error::other)?;
    let command = elsewhere(command, &data, &own);
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &*command]).current_dir(&config.project.worktree);
    shell.env("CLAUDE_PROJECT_DIR", &config.project.worktree).env("CLAUDECODE", "1");
    shell.env("CMAT_HOME", &data).env("CMAT_PROJECT_DIR", &project);
    for name in UNSET {
        shell.env_remove(name);
    }
    shell.stdin(Stdio::piped()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let started = Instant::now();
    let mut child = shell.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that reads nothing is told apart by what it does not do.
        let _unread = stdin.write_all(told(&project, event).as_bytes());
    }
    let mut backoff = Backoff::until(started + PATIENCE);
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if backoff.pause() => {}
            None => {
                child.kill()?;
                child.wait()?;
                break None;
            }
        }
    };
    let reached = data.join(ledger::FILE_NAME).exists()
        || Outbox::new(&data).list().is_ok_and(|intents| !intents.is_empty());
    let took = started.elapsed();
    Ok(Trial { took, status, stdout: text(&mut stdout)?, stderr: text(&mut stderr)?, reached })
}

/// Returns the command with these folders in place of those that it names itself: its own records stay as they are.
fn elsewhere<'a>(command: &'a str, data: &Path, own: &Path) -> Cow<'a, str> {
    let Some((program, _folders)) = command.split_once(" --data-dir ") else { return command.into() };
    let [data, own] = [data, own].map(|path| path.to_string_lossy().replace('\'', r"'\''"));
    format!("{program} --data-dir '{data}' --config-dir '{own}'").into()
}

/// Returns what Claude Code would write to the hook's stdin.
fn told(project: &Path, event: &str) -> String {
    let told = json!({
        "session_id": "cmat-doctor",
        "transcript_path": project.join("cmat-doctor.jsonl"),
        "cwd": project,
        "hook_event_name": event,
        "reason": "other",
    });
    format!("{told}\n")
}

/// Returns the first line of what was printed.
fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(MAX_SHOWN_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned())
}
