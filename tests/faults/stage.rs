//! A home, a project with a queue and a data folder, which can be put back to how they were before a fault.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use cmat::ledger::Ledger;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use walkdir::WalkDir;

use crate::trace;
use crate::trace::Injection;

/// What a run changes; transcripts are only read.
const CHANGING: [&str; 3] = ["project", "cmat", "other/cmat"];

/// The program that is tested.
const CMAT: &str = env!("CARGO_BIN_EXE_cmat");

/// The task queue, from the root.
const QUEUE: &str = "project/.claude/data/task_queue.json";

/// The tasks of the queue.
pub(crate) const TASKS: [&str; 3] = ["task_1", "task_2", "task_3"];

/// The files of a test.
pub(crate) struct Stage {
    folder: Rc<TempDir>,
    pub(crate) root: PathBuf,
    /// Where home and data folder are.
    machine: PathBuf,
}

/// A run of cmat: its arguments, and what Claude Code would tell it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    pub(crate) arguments: Vec<String>,
    pub(crate) stdin: String,
    /// `CMAT_CURRENT_TASK_ID`.
    pub(crate) task: Option<&'static str>,
}

impl Run {
    pub(crate) fn of<const N: usize>(arguments: [&str; N]) -> Self {
        Self { arguments: arguments.map(str::to_owned).to_vec(), ..Self::default() }
    }

    pub(crate) fn is_hook(&self) -> bool {
        self.arguments[0] == "hook"
    }
}

/// All that a user can see: the queue, answers, files of cmat in the project; by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<String, String>);

impl Seen {
    pub(crate) fn queue(&self) -> &str {
        &self.0[QUEUE]
    }

    /// Returns whether a cost is an estimate.
    pub(crate) fn is_estimated(&self) -> bool {
        self.0.values().any(|text| text.contains("\"estimated\":true"))
    }

    /// Returns what differs from `goal`, or `None`.
    pub(crate) fn difference(&self, goal: &Self) -> Option<String> {
        let names: BTreeSet<_> = self.0.keys().chain(goal.0.keys()).collect();
        let different = names.into_iter().filter(|name| self.0.get(*name) != goal.0.get(*name));
        let text: String = different
            .map(|name| format!("{name} is {:?} instead of {:?}\n", self.0.get(name), goal.0.get(name)))
            .collect();
        (!text.is_empty()).then_some(text)
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["project/.claude/data", "saved"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        for machine in ["", "other"] {
            fs::create_dir_all(root.join(machine).join("home/.claude/projects/p")).unwrap();
            fs::create_dir_all(root.join(machine).join("cmat")).unwrap();
        }
        let stage = Self { folder: Rc::new(folder), machine: root.clone(), root };
        let tasks = TASKS.map(|id| {
            json!({"id": id, "title": "größe \u{1F600}", "estimate": 1.10, "metadata": {"enhancement_title": "e",
                "mine": [1, 2.50, null]}})
        });
        let queue = json!({"queue_metadata": {"version": "2.0"}, "tasks": tasks, "agent_status": {}});
        fs::write(stage.queue(), serde_json::to_string_pretty(&queue).unwrap()).unwrap();
        stage
    }

    /// Returns another machine that shares the project.
    pub(crate) fn other_machine(&self) -> Self {
        let machine = self.root.join("other");
        Self { folder: Rc::clone(&self.folder), root: self.root.clone(), machine }
    }

    pub(crate) fn queue(&self) -> PathBuf {
        self.root.join(QUEUE)
    }

    pub(crate) fn transcript(&self, session: &str) -> PathBuf {
        self.machine.join(format!("home/.claude/projects/p/{session}.jsonl"))
    }

    /// Appends requests `from..to` to the transcript of a session.
    pub(crate) fn say(&self, session: &str, requests: std::ops::Range<u64>) {
        let mut text = String::new();
        for n in requests {
            let line = json!({
                "type": "assistant", "uuid": format!("u-{session}-{n}"), "sessionId": session,
                "timestamp": format!("2026-11-20T12:00:{n:02}.000Z"), "cwd": self.root.join("project"),
                "message": {"id": format!("msg-{session}-{n}"), "model": "claude-haiku-4-5",
                    "stop_reason": "end_turn", "content": [],
                    "usage": {"input_tokens": 100_000 + n, "output_tokens": 1}},
            });
            writeln!(text, "{line}").unwrap();
        }
        let path = self.transcript(session);
        let mut file = fs::File::options().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Returns a run of a hook for a session.
    pub(crate) fn hook(&self, event: &str, session: &str, task: &'static str) -> Run {
        let stdin = json!({"session_id": session, "transcript_path": self.transcript(session),
            "cwd": self.root.join("project"), "reason": "other"});
        Run { stdin: stdin.to_string(), task: Some(task), ..Run::of(["hook", event]) }
    }

    /// Has `command`, which runs cmat somehow, do a run.
    pub(crate) fn run_by(&self, mut command: Command, run: &Run) -> Output {
        command
            .args(&run.arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.machine.join("home"))
            .env("CMAT_HOME", self.machine.join("cmat"))
            .env("CMAT_NOW", "2026-11-21T12:00:00Z")
            .env("CMAT_DEADLINE_MS", "60000")
            .env("TZ", "UTC")
            // The time zones that cmat brings: those of the machine are in many folders, which each run would open.
            .env("TZDIR", self.root.join("no-time-zones"))
            .current_dir(self.root.join("project"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(task) = run.task {
            command.env("CMAT_CURRENT_TASK_ID", task);
        }
        let mut child = command.spawn().unwrap();
        // Who was killed reads nothing.
        let _unread = child.stdin.take().unwrap().write_all(run.stdin.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs cmat.
    pub(crate) fn run(&self, run: &Run) -> Output {
        self.run_by(Command::new(CMAT), run)
    }

    /// Runs cmat under `strace` and returns its calls (as `-e trace=` takes them) with what came out.
    pub(crate) fn trace(&self, run: &Run, calls: &str) -> (PathBuf, Output) {
        let log = self.root.join("trace");
        let output = self.run_by(trace::watching(Path::new(CMAT), calls, &log), run);
        (log, output)
    }

    /// Runs cmat and lets one call fail; returns whether it came to that, with what came out.
    pub(crate) fn disturb(&self, run: &Run, injection: &Injection) -> (bool, Output) {
        let log = self.root.join("trace");
        let output = self.run_by(trace::failing(Path::new(CMAT), &log, injection), run);
        (trace::was_hit(&log), output)
    }

    /// Runs cmat, which must succeed without a word on stderr, and returns stdout.
    pub(crate) fn stdout<const N: usize>(&self, arguments: [&str; N]) -> String {
        let output = self.run(&Run::of(arguments));
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Remembers how everything is now.
    pub(crate) fn save(&self) {
        for name in CHANGING {
            copy_folder(&self.root.join(name), &self.root.join("saved").join(name));
        }
    }

    /// Puts everything back to how it was when it was saved.
    pub(crate) fn restore(&self) {
        for name in CHANGING {
            copy_folder(&self.root.join("saved").join(name), &self.root.join(name));
        }
    }

    /// Returns all that a user can see.
    pub(crate) fn seen(&self) -> Seen {
        let mut seen = BTreeMap::new();
        for task in TASKS {
            let output = self.run(&Run::of(["costs", "show", task, "--json"]));
            seen.insert(format!("costs show {task}"), String::from_utf8(output.stdout).unwrap());
        }
        let files = WalkDir::new(self.root.join("project")).into_iter().map(Result::unwrap);
        for entry in files.filter(|entry| entry.file_type().is_file()) {
            let name = entry.path().strip_prefix(&self.root).unwrap().to_str().unwrap();
            let is_passing = name.ends_with(".lock") || name.contains("/.cmat-");
            if !is_passing {
                seen.insert(name.to_owned(), fs::read_to_string(entry.path()).unwrap());
            }
        }
        Seen(seen)
    }

    /// Returns whether an intent is on disk.
    pub(crate) fn has_intent(&self) -> bool {
        self.n_intents() > 0
    }

    pub(crate) fn n_intents(&self) -> usize {
        let outbox = fs::read_dir(self.root.join("cmat/outbox")).into_iter().flatten();
        let is_intent = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|end| end == "json");
        outbox.map(Result::unwrap).filter(is_intent).count()
    }

    /// Returns what is wrong with the ledger file itself.
    pub(crate) fn ledger_faults(&self) -> Vec<String> {
        let ledger = Ledger::open(&self.root.join("cmat"), Duration::from_secs(30)).unwrap();
        ledger.integrity_faults().unwrap()
    }
}

/// Makes the folder `to` a copy of `from`.
fn copy_folder(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    for entry in WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Returns a queue without the seven keys that cmat writes, and those keys by task.
pub(crate) fn taken_apart(queue: &str) -> serde_json::Result<(Value, Vec<String>)> {
    let mut queue: Value = serde_json::from_str(queue)?;
    let mut costs = Vec::new();
    for task in queue["tasks"].as_array_mut().unwrap() {
        let metadata = task["metadata"].as_object_mut().unwrap();
        let is_cost = |key: &str| key.starts_with("cost_") || key == "session_id";
        let (own, others): (Map<_, _>, Map<_, _>) =
            std::mem::take(metadata).into_iter().partition(|(key, _)| is_cost(key));
        *metadata = others;
        costs.push(Value::Object(own).to_string());
    }
    Ok((queue, costs))
}
