//! `cmat demo`: a made-up project in a folder of its own, through the hook that Claude Code would run.
//!
//! Everything that is shown is what the running program says when it is asked; the demo itself computes nothing.
//! It needs no network and touches neither the user's ledger nor a Claude Code folder.

mod story;
mod transcripts;

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::bail;
use anyhow::ensure;
use serde_json::json;
use tempfile::TempDir;

use crate::booking::session_files;
use crate::cli::DemoArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::PATIENCE;
use crate::commands::demo::story::Fate;
use crate::commands::demo::story::RUNS;
use crate::commands::demo::story::Run;
use crate::commands::demo::story::TASKS;
use crate::commands::screen;
use crate::config;
use crate::disk::replace;
use crate::disk::replace::Access;
use crate::ledger::Durability;
use crate::ledger::Ledger;
use crate::outbox::Outbox;

/// How often the outbox is looked at while a hook begins.
const GLANCE: Duration = Duration::from_millis(1);

/// The exit code of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// What the demo ends with.
const NEXT: &str = "\
Next, in a project of yours:
  cmat init        installs the hook; from then on each session is recorded when it ends
  cmat reconcile   reads the transcripts that are there already
  cmat doctor      checks that all of it works
";

pub(super) fn run(args: &DemoArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;
    let place = Place::new(args.keep.as_deref().map(|folder| context.config.cwd.join(folder)))?;
    let stage = Stage::set(place.path())?;
    let answers = stage.perform(&interrupted);
    if interrupted.load(Ordering::Relaxed) {
        drop(place);
        process::exit(INTERRUPTED);
    }
    let answers = answers?;
    if context.global.json {
        let answers = answers.iter().map(|(command, output)| json!({ "command": command, "output": output }));
        let document = json!({ "schema": "cmat.demo/1", "commands": answers.collect::<Vec<_>>() });
        context.print_json(&document)?;
        return Ok(Exit::Done);
    }
    write!(context.out, "{}", introduction())?;
    for (command, output) in answers {
        let output = if context.global.ascii { screen::ascii(&output) } else { output };
        write!(context.out, "\n$ {command}\n{output}")?;
    }
    write!(context.out, "\n{NEXT}")?;
    if args.keep.is_some() {
        let [project, data, claude] =
            [stage.project(), stage.data(), stage.claude()].map(|path| shell_word(&path));
        writeln!(
            context.out,
            "\nKept. To ask more:  cd {project} && export CMAT_HOME={data} CLAUDE_CONFIG_DIR={claude}"
        )?;
    }
    Ok(Exit::Done)
}

fn introduction() -> String {
    let mut enhancements: Vec<&str> = TASKS.iter().map(|task| task.enhancement).collect();
    enhancements.dedup();
    let n_killed = RUNS.iter().filter(|run| run.fate == Fate::IsKilled).count();
    format!(
        "A made-up project: {} enhancements, {} tasks. Claude Code's sessions ended {} times, and each end ran the\n\
         real hook. {n_killed} hook was killed at work; the first command below finished what it had begun.\n",
        enhancements.len(),
        TASKS.len(),
        RUNS.len(),
    )
}

/// Returns a path as one word of a POSIX shell.
fn shell_word(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Where the demo takes place.
enum Place {
    /// A folder that is removed at the end.
    Temporary(TempDir),
    /// A folder that stays.
    Kept(PathBuf),
}

impl Place {
    fn new(keep: Option<PathBuf>) -> anyhow::Result<Self> {
        let Some(folder) = keep else {
            return Ok(Self::Temporary(tempfile::tempdir().context("cannot make a temporary folder")?));
        };
        let taken = match fs::read_dir(&folder) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error).with_context(|| format!("cannot use `{}`", folder.display())),
        };
        ensure!(!taken, "`{}` is not empty: name a new folder", folder.display());
        fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        Ok(Self::Kept(folder))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

/// The folders of the demo, and the program that works in them.
struct Stage {
    root: PathBuf,
    program: PathBuf,
}

impl Stage {
    /// Makes a project with a task queue, a home with no session yet, and a place for the ledger.
    fn set(folder: &Path) -> anyhow::Result<Self> {
        let root = folder.canonicalize().with_context(|| format!("cannot use `{}`", folder.display()))?;
        let program = config::current_program().context("cannot tell where this program is")?;
        let stage = Self { root, program };
        let queue_folder = stage.project().join(".claude/data");
        for folder in [&queue_folder, &stage.transcripts()] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        }
        let queue = queue_folder.join("task_queue.json");
        replace::write(&queue, transcripts::queue().as_bytes(), Access::Shared)?;
        Ok(stage)
    }

    fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    fn data(&self) -> PathBuf {
        self.root.join("cmat")
    }

    fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// Claude Code's folder.
    fn claude(&self) -> PathBuf {
        self.home().join(".claude")
    }

    fn transcripts(&self) -> PathBuf {
        self.claude().join("projects").join(session_files::dashed(&self.project()))
    }

    /// Plays all runs, asks all commands and returns each with its answer; ends early when `interrupted`.
    fn perform(&self, interrupted: &AtomicBool) -> anyhow::Result<Vec<(String, String)>> {
        let go_on = || {
            ensure!(!interrupted.load(Ordering::Relaxed), "interrupted");
            Ok(())
        };
        // While it is open SQLite keeps its log from one hook to the next, which saves most of the syncs.
        let mut ledger = Ledger::open(&self.data(), PATIENCE)?;
        for run in RUNS {
            go_on()?;
            self.play(run, &mut ledger).with_context(|| format!("session {} of the demo", run.session))?;
        }
        let mut answers = Vec::new();
        for arguments in story::COMMANDS {
            go_on()?;
            answers.push((format!("cmat {}", arguments.join(" ")), self.ask(arguments)?));
        }
        Ok(answers)
    }

    /// Appends what Claude Code would write during a run, then ends the session.
    fn play(&self, run: &Run, ledger: &mut Ledger) -> anyhow::Result<()> {
        let project = self.project();
        let cwd = project.to_str().context("the folder's name is not UTF-8")?;
        let transcript = self.transcripts().join(format!("{}.jsonl", run.session));
        append(&transcript, &transcripts::main_lines(run, cwd))?;
        if let Some(subagent) = &run.subagent {
            let folder = transcript.with_extension("").join("subagents");
            let lines = transcripts::subagent_lines(run, subagent, cwd);
            append(&folder.join(format!("agent-{}.jsonl", subagent.id)), &lines)?;
        }
        match run.fate {
            Fate::Finishes => finish(self.hook(run, &transcript)?),
            Fate::IsKilled => self.kill_at_work(run, &transcript, ledger),
        }
    }

    /// Starts the hook as Claude Code does.
    fn hook(&self, run: &Run, transcript: &Path) -> anyhow::Result<Child> {
        let told = json!({
            "session_id": run.session,
            "transcript_path": transcript,
            "cwd": self.project(),
            "hook_event_name": "SessionEnd",
            "reason": "other",
        });
        let mut hook = self
            .cmat(&["hook", "session-end"], run.ended)
            .env("CMAT_CURRENT_TASK_ID", run.task)
            .env("CLAUDE_PROJECT_DIR", self.project())
            // However slow the machine is, the demo shows the same.
            .env("CMAT_DEADLINE_MS", "60000")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run `{}`", self.program.display()))?;
        let mut stdin = hook.stdin.take().context("the hook has no stdin")?;
        // If it is gone already, its end tells more than a broken pipe.
        let _unread = stdin.write_all(told.to_string().as_bytes());
        Ok(hook)
    }

    /// Kills the hook when its intent is on disk and nothing else is done: it cannot get at the ledger.
    fn kill_at_work(&self, run: &Run, transcript: &Path, ledger: &mut Ledger) -> anyhow::Result<()> {
        let held = ledger.record(Durability::Repeatable, run.ended.parse()?)?;
        let outbox = Outbox::new(&self.data());
        let before = outbox.list()?;
        let mut hook = self.hook(run, transcript)?;
        let deadline = Instant::now() + PATIENCE;
        while outbox.list()?.iter().all(|name| before.contains(name)) {
            if Instant::now() >= deadline || hook.try_wait()?.is_some() {
                bail!("the hook wrote no intent");
            }
            thread::sleep(GLANCE);
        }
        hook.kill()?;
        hook.wait()?;
        drop(held);
        Ok(())
    }

    /// Runs a command and returns what a person would see of it.
    fn ask(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let Output { status, stdout, stderr } = self
            .cmat(arguments, story::ASKED)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run `{}`", self.program.display()))?;
        let seen = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        ensure!(status.success(), "`cmat {}` failed: {seen}", arguments.join(" "));
        Ok(seen)
    }

    /// Returns this very program in the demo's surroundings and no others.
    fn cmat(&self, arguments: &[&str], now: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(self.project())
            .env_clear()
            .env("HOME", self.home())
            .env("CMAT_HOME", self.data())
            .env("CMAT_NOW", now);
        command
    }
}

/// Waits for the hook, which must end as silently as Claude Code expects.
fn finish(hook: Child) -> anyhow::Result<()> {
    let Output { status, stdout, stderr } = hook.wait_with_output()?;
    ensure!(
        status.success() && stdout.is_empty() && stderr.is_empty(),
        "the hook was not silent: {}",
        String::from_utf8_lossy(&[stdout, stderr].concat())
    );
    Ok(())
}

fn append(path: &Path, lines: &str) -> anyhow::Result<()> {
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
        let mut file: File = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(lines.as_bytes())
    });
    written.with_context(|| format!("cannot write `{}`", path.display()))
}
