//! Many processes at once, and processes killed at any moment: what is recorded is exact, and no queue is ever torn.
//!
//! `CMAT_STORM=full` makes the storms larger. What they measure is printed, never asserted.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]
#![expect(clippy::print_stderr, reason = "the figures are for whoever runs the storms")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test reads its own switch, and writes what other programs write"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use cmat::disk::lock::FileLock;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

/// Requests of each session; each has one input token more than the one before.
const N_REQUESTS: u64 = 20;

/// How many tasks the sessions work for.
const N_TASKS: usize = 10;

/// Returns the size of a storm: small by default, large on demand.
fn size(small: usize, full: usize) -> usize {
    if std::env::var_os("CMAT_STORM").is_some_and(|value| value == "full") { full } else { small }
}

/// A home, a project with a queue, and a data folder.
struct Stage {
    _folder: TempDir,
    root: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("home/.claude/projects/p")).unwrap();
        fs::create_dir_all(root.join("project/.claude/data")).unwrap();
        let tasks: Vec<Value> =
            (0..N_TASKS).map(|n| json!({"id": task(n), "title": "x".repeat(500), "metadata": {}})).collect();
        fs::write(
            root.join("project/.claude/data/task_queue.json"),
            serde_json::to_vec_pretty(&json!({ "tasks": tasks })).unwrap(),
        )
        .unwrap();
        Self { _folder: folder, root }
    }

    fn queue(&self) -> PathBuf {
        self.root.join("project/.claude/data/task_queue.json")
    }

    fn transcript(&self, n: usize) -> PathBuf {
        self.root.join(format!("home/.claude/projects/-{}/s{n}.jsonl", dashed(&self.root.join("project"))))
    }

    /// Writes the transcript of session `n`.
    fn write_session(&self, n: usize) {
        let mut text = String::new();
        for k in 0..N_REQUESTS {
            let line = json!({
                "type": "assistant", "uuid": format!("u-{n}-{k}"), "sessionId": format!("s{n}"),
                "timestamp": format!("2026-11-20T12:00:{k:02}.000Z"), "cwd": self.root.join("project"),
                "message": {"id": format!("msg-{n}-{k}"), "model": "claude-haiku-4-5", "stop_reason": "end_turn",
                    "content": [{"type": "text", "text": "x".repeat(2000)}],
                    "usage": {"input_tokens": 1000 + k, "output_tokens": 1}},
            });
            writeln!(text, "{line}").unwrap();
        }
        let path = self.transcript(n);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn cmat(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cmat"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.root.join("home"))
            .env("CMAT_HOME", self.root.join("cmat"))
            .env("CLAUDE_PROJECT_DIR", self.root.join("project"))
            .current_dir(self.root.join("project"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Begins the hook of session `n`.
    fn hook(&self, n: usize) -> Child {
        let mut hook = self
            .cmat(&["hook", "session-end"])
            .env("CMAT_CURRENT_TASK_ID", task(n % N_TASKS))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let told = json!({"session_id": format!("s{n}"), "transcript_path": self.transcript(n),
            "cwd": self.root.join("project"), "hook_event_name": "SessionEnd", "reason": "other"});
        // A hook that was killed reads nothing.
        let _unread = hook.stdin.take().unwrap().write_all(told.to_string().as_bytes());
        hook
    }

    /// Returns the intents that hooks left.
    fn intents(&self) -> Vec<String> {
        let Ok(outbox) = fs::read_dir(self.root.join("cmat/outbox")) else { return Vec::new() };
        outbox
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    }

    /// Begins the extraction of session `n`.
    fn extract(&self, n: usize) -> Child {
        let transcript = self.transcript(n);
        let task = task(n % N_TASKS);
        self.cmat(&["costs", "extract", &task, transcript.to_str().unwrap()]).spawn().unwrap()
    }

    fn reconcile(&self) {
        let output = self.cmat(&["reconcile", "--all"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Checks that each task shows what the sessions below `n_sessions` came to.
    fn check(&self, n_sessions: usize) {
        let per_session: u64 = (0..N_REQUESTS).map(|k| 1000 + k).sum();
        let queue: Value = serde_json::from_slice(&fs::read(self.queue()).unwrap()).unwrap();
        for n in 0..N_TASKS {
            let n_own = (0..n_sessions).filter(|session| session % N_TASKS == n).count() as u64;
            let metadata = &queue["tasks"][n]["metadata"];
            let shown = metadata["cost_input_tokens"].as_str().map_or(0, |text| text.parse().unwrap());
            assert_eq!(shown, n_own * per_session, "{}: {metadata}", task(n));
            let output = self.cmat(&["costs", "show", &task(n), "--json"]).output().unwrap();
            if n_own > 0 {
                let show: Value = serde_json::from_slice(&output.stdout).unwrap();
                assert_eq!(show["requests"], n_own * N_REQUESTS);
                assert_eq!(show["input_tokens"], n_own * per_session);
            }
        }
        assert_eq!(self.intents(), [""; 0], "nothing waits any more");
    }
}

fn task(n: usize) -> String {
    format!("task_{n}")
}

fn dashed(path: &Path) -> String {
    let text = path.to_str().unwrap();
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// Waits for a process; returns how long it took since `started`.
fn wait(child: Child, started: Instant) -> Duration {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    started.elapsed()
}

fn print_times(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_millis();
    eprintln!("{what}: {} runs, p50 {} ms, p99 {} ms, longest {} ms", times.len(), at(50), at(99), at(100));
}

/// Reads the queue over and over until `ended`; returns how often. Each time it must be whole.
fn poll(queue: &Path, ended: &AtomicBool) -> usize {
    let mut n_polls = 0;
    while !ended.load(Ordering::Relaxed) {
        let bytes = fs::read(queue).unwrap();
        let whole: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(whole["tasks"].as_array().unwrap().len(), N_TASKS);
        n_polls += 1;
        thread::yield_now();
    }
    n_polls
}

#[test]
fn hooks_of_many_sessions_at_once_add_up() {
    let stage = Stage::new();
    let (n_processes, n_rounds) = (size(30, 200), size(3, 20));
    for n in 0..n_processes * n_rounds {
        stage.write_session(n);
    }
    let ended = AtomicBool::new(false);
    let mut times = Vec::new();
    thread::scope(|scope| {
        let polls = scope.spawn(|| poll(&stage.queue(), &ended));
        for round in 0..n_rounds {
            let sessions = round * n_processes..(round + 1) * n_processes;
            let waiting: Vec<_> = sessions
                .map(|n| {
                    let started = Instant::now();
                    let hook = stage.hook(n);
                    scope.spawn(move || wait(hook, started))
                })
                .collect();
            times.extend(waiting.into_iter().map(|hook| hook.join().unwrap()));
        }
        ended.store(true, Ordering::Relaxed);
        eprintln!("the queue was read {} times and was whole each time", polls.join().unwrap());
    });
    print_times(&format!("hooks, {n_processes} at once"), times);
    stage.reconcile();
    stage.check(n_processes * n_rounds);
}

#[test]
fn what_is_killed_at_any_moment_is_finished_by_the_next_run() {
    let stage = Stage::new();
    let n_kills = size(60, 1000);
    stage.write_session(0);
    let whole_run = wait(stage.hook(0), Instant::now());
    let mut n_killed = 0;
    for n in 1..n_kills {
        stage.write_session(n);
        let begin = if n % 3 == 2 { Stage::extract } else { Stage::hook };
        let mut victim = begin(&stage, n);
        // The moment of the kill moves through all that the process does.
        thread::sleep(whole_run * u32::try_from(n * 37 % 100).unwrap() / 80);
        victim.kill().unwrap();
        n_killed += usize::from(!victim.wait().unwrap().success());
        // Every other hook that left an intent is left to whoever comes next; the others run again, done or not.
        let session = format!("\"session\":\"s{n}\"");
        if n % 2 == 1 || !stage.intents().iter().any(|intent| intent.contains(&session)) {
            assert!(begin(&stage, n).wait_with_output().unwrap().status.success());
        }
    }
    eprintln!("{n_killed} of {n_kills} processes were killed before their end");
    stage.reconcile();
    stage.check(n_kills);
}

#[test]
fn a_hook_beside_a_lock_that_is_never_given_back_records_and_leaves_the_rest_to_the_next() {
    let stage = Stage::new();
    stage.write_session(0);
    let lock = FileLock::acquire(&stage.queue().with_extension("json.lock"), Instant::now()).unwrap();
    let before = fs::read(stage.queue()).unwrap();
    let started = Instant::now();
    let time = wait(stage.hook(0), started);
    print_times("hook beside a held lock", vec![time]);
    assert!(time < Duration::from_secs(10), "it does not wait for ever");
    assert_eq!(fs::read(stage.queue()).unwrap(), before);
    drop(lock);
    stage.reconcile();
    stage.check(1);
}
