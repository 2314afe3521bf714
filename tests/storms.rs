//! Many processes at once, and processes killed at any moment: what is recorded is exact, and no queue is ever torn.
//!
//! `CMAT_STORM=full` makes the storms larger. What they measure is printed, never asserted; the figures of one run
//! stand in `docs/reliability.md`.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]
#![expect(clippy::print_stderr, reason = "the figures are for whoever runs the storms")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test reads its own switch, and writes what other programs write"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
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
use std::time::SystemTime;

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

    /// A stage with the transcripts of so many sessions.
    fn with_sessions(n_sessions: usize) -> Self {
        let stage = Self::new();
        (0..n_sessions).for_each(|n| stage.write_session(n));
        stage
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

    /// Returns when each intent that is still there got its name, by the number of its session.
    fn named_intents(&self) -> Vec<(usize, SystemTime)> {
        let Ok(outbox) = fs::read_dir(self.root.join("cmat/outbox")) else { return Vec::new() };
        let paths = outbox.map(|entry| entry.unwrap().path());
        let intents = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        intents
            .map(|path| {
                // Renaming sets the time of the last change of the inode.
                let metadata = fs::metadata(&path).unwrap();
                let since_1970 = Duration::new(
                    u64::try_from(metadata.ctime()).unwrap(),
                    u32::try_from(metadata.ctime_nsec()).unwrap(),
                );
                let intent: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
                let session = intent["intent"]["session"].as_str().unwrap();
                (session[1..].parse().unwrap(), SystemTime::UNIX_EPOCH + since_1970)
            })
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
    if times.is_empty() {
        return eprintln!("{what}: none");
    }
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
        // A reader that never rests would take a core from those that write.
        thread::sleep(Duration::from_millis(1));
    }
    n_polls
}

#[test]
fn hooks_of_many_sessions_at_once_add_up() {
    let (n_processes, n_rounds) = (size(30, 200), size(3, 20));
    let stage = Stage::with_sessions(n_processes * n_rounds);
    let ended = AtomicBool::new(false);
    let (mut times, mut until_intent) = (Vec::new(), Vec::new());
    thread::scope(|scope| {
        let polls = scope.spawn(|| poll(&stage.queue(), &ended));
        for round in 0..n_rounds {
            let first = round * n_processes;
            let (began, waiting): (Vec<_>, Vec<_>) = (first..first + n_processes)
                .map(|n| {
                    let (began, started) = (SystemTime::now(), Instant::now());
                    let hook = stage.hook(n);
                    (began, scope.spawn(move || wait(hook, started)))
                })
                .unzip();
            times.extend(waiting.into_iter().map(|hook| hook.join().unwrap()));
            let named = stage.named_intents().into_iter().filter(|(n, _)| *n >= first);
            until_intent.extend(named.map(|(n, at)| at.duration_since(began[n - first]).unwrap_or_default()));
        }
        ended.store(true, Ordering::Relaxed);
        eprintln!("the queue was read {} times and was whole each time", polls.join().unwrap());
    });
    print_times(&format!("hooks, {n_processes} at once"), times);
    print_times("until the intent has its name, of those still there", until_intent);
    stage.reconcile();
    stage.check(n_processes * n_rounds);
}

#[test]
fn extractions_of_many_sessions_at_once_add_up() {
    let (n_processes, n_rounds) = (size(30, 200), size(2, 20));
    let stage = Stage::with_sessions(n_processes * n_rounds);
    let ended = AtomicBool::new(false);
    let times = thread::scope(|scope| {
        let polls = scope.spawn(|| poll(&stage.queue(), &ended));
        let mut times = Vec::new();
        for round in 0..n_rounds {
            let first = round * n_processes;
            let extractions: Vec<_> =
                (first..first + n_processes).map(|n| (Instant::now(), stage.extract(n))).collect();
            for (started, extraction) in extractions {
                let output = extraction.wait_with_output().unwrap();
                assert!(output.status.success(), "{output:?}");
                times.push(started.elapsed());
            }
        }
        ended.store(true, Ordering::Relaxed);
        eprintln!("the queue was read {} times and was whole each time", polls.join().unwrap());
        times
    });
    print_times(&format!("extractions, {n_processes} at once"), times);
    // Nothing was left to anybody.
    stage.check(n_processes * n_rounds);
}

#[test]
fn what_is_killed_at_any_moment_is_finished_by_the_next_run() {
    let stage = Stage::new();
    let n_kills = size(60, 1000);
    stage.write_session(0);
    let whole_run = wait(stage.hook(0), Instant::now());
    let (mut n_killed, mut n_late, mut n_late_safe) = (0, 0, 0);
    for n in 1..n_kills {
        stage.write_session(n);
        let is_hook = n % 3 != 2;
        let begin = if is_hook { Stage::hook } else { Stage::extract };
        let started = Instant::now();
        let mut victim = begin(&stage, n);
        // The moment of the kill moves through all that the process does.
        thread::sleep(whole_run * u32::try_from(n * 37 % 100).unwrap() / 80);
        let is_late = started.elapsed() >= Duration::from_millis(20);
        victim.kill().unwrap();
        let was_killed = !victim.wait().unwrap().success();
        n_killed += usize::from(was_killed);
        // Every other hook that left an intent is left to whoever comes next; the others run again, done or not.
        let session = format!("\"session\":\"s{n}\"");
        let has_intent = stage.intents().iter().any(|intent| intent.contains(&session));
        if is_hook && is_late && was_killed {
            n_late += 1;
            n_late_safe += usize::from(has_intent);
        }
        if n % 2 == 1 || !has_intent {
            assert!(begin(&stage, n).wait_with_output().unwrap().status.success());
        }
    }
    eprintln!("{n_killed} of {n_kills} processes were killed before their end");
    eprintln!("of {n_late} hooks killed after 20 ms, {n_late_safe} had their intent safe");
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

/// How a program that knows no lock writes the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Foreign {
    /// Truncates the file and writes it anew, as the Python CMAT does.
    InPlace,
    /// Renames a new file over it.
    ByRename,
}

/// Rewrites the queue over and over until `ended`, a key of its own more each time; returns how often.
fn rewrite(queue: &Path, how: Foreign, ended: &AtomicBool) -> usize {
    let mut n_writes = 0;
    while !ended.load(Ordering::Relaxed) {
        let Ok(mut whole) = serde_json::from_slice::<Value>(&fs::read(queue).unwrap()) else { continue };
        whole["theirs"][n_writes.to_string()] = json!(n_writes);
        let text = serde_json::to_vec_pretty(&whole).unwrap();
        match how {
            Foreign::InPlace => fs::write(queue, text).unwrap(),
            Foreign::ByRename => {
                let new = queue.with_extension("theirs");
                fs::write(&new, text).unwrap();
                fs::rename(new, queue).unwrap();
            }
        }
        n_writes += 1;
        thread::sleep(Duration::from_millis(n_writes as u64 * 7 % 20));
    }
    n_writes
}

#[test]
fn beside_a_writer_without_the_lock_our_costs_are_right_after_one_reconcile() {
    for how in [Foreign::InPlace, Foreign::ByRename] {
        let (n_processes, n_rounds) = (size(8, 50), size(3, 20));
        let stage = Stage::with_sessions(n_processes * n_rounds);
        let ended = AtomicBool::new(false);
        let n_writes = thread::scope(|scope| {
            let writer = scope.spawn(|| rewrite(&stage.queue(), how, &ended));
            for round in 0..n_rounds {
                let first = round * n_processes;
                let hooks: Vec<_> = (first..first + n_processes).map(|n| stage.hook(n)).collect();
                for hook in hooks {
                    wait(hook, Instant::now());
                }
            }
            ended.store(true, Ordering::Relaxed);
            writer.join().unwrap()
        });
        let queue: Value = serde_json::from_slice(&fs::read(stage.queue()).unwrap()).unwrap();
        let n_kept = queue["theirs"].as_object().map_or(0, serde_json::Map::len);
        eprintln!(
            "of {n_writes} updates of a writer without the lock ({how:?}) {} were lost",
            n_writes - n_kept
        );
        stage.reconcile();
        stage.check(n_processes * n_rounds);
    }
}

#[test]
fn a_frozen_process_holds_nobody_up() {
    let stage = Stage::new();
    let n_frozen = size(4, 20);
    stage.write_session(0);
    let whole_run = wait(stage.hook(0), Instant::now());
    let mut times = Vec::new();
    for n in 1..=n_frozen {
        let (victim, other) = (2 * n - 1, 2 * n);
        stage.write_session(victim);
        stage.write_session(other);
        let frozen = stage.hook(victim);
        let signal = |name: &str| {
            let kill = Command::new("kill").args([name, &frozen.id().to_string()]).status().unwrap();
            assert!(kill.success());
        };
        thread::sleep(whole_run * u32::try_from(n * 37 % 100).unwrap() / 100);
        signal("-STOP");
        let started = Instant::now();
        times.push(wait(stage.hook(other), started));
        signal("-CONT");
        wait(frozen, started);
        // It may have been frozen before it was told anything.
        wait(stage.hook(victim), started);
    }
    print_times("hooks beside a frozen one", times);
    stage.reconcile();
    stage.check(2 * n_frozen + 1);
}
