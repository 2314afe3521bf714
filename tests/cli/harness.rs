//! A project, a home and a cmat of its own for each test. Nothing of the tester's machine shows through: the
//! environment is cleared, width, zone and clock are fixed, and paths below the temporary folder are named.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::schemas;

pub(crate) const SONNET: &str = "claude-sonnet-4-20250514";
pub(crate) const OPUS: &str = "claude-opus-4-8";

/// A test that takes longer hangs; the slowest takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(600);

/// A folder that holds `home`, `project` and `cmat` (the data folder), removed at the end.
pub(crate) struct TestProject {
    _watched: Sender<()>,
    _folder: TempDir,
    root: PathBuf,
    queue: Value,
    env: BTreeMap<String, String>,
    user: User,
}

/// With which rights cmat runs.
#[derive(Clone, Copy, PartialEq)]
enum User {
    /// As the tester, who may be the superuser.
    Tester,
    /// As one for whom the permissions of files hold, even if the tester is the superuser.
    Ordinary,
}

impl TestProject {
    /// A project without a task queue, in which no session has ended.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["home", "project/.claude/data"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let queue = json!({
            "queue_metadata": {"created": "2026-11-01T08:00:00+00:00Z", "version": "2.0.0"},
            "tasks": [],
            "agent_status": {},
        });
        let (env, user) = (BTreeMap::new(), User::Tester);
        Self { _watched: watched(), _folder: folder, root, queue, env, user }
    }

    /// Sets a variable of the environment of every later run.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// Makes the permissions of files hold for cmat, also where the tester is the superuser.
    pub(crate) fn ordinary_user(mut self) -> Self {
        self.user = User::Ordinary;
        self
    }

    /// Adds a task to the queue and writes it as the Python program does.
    pub(crate) fn task(mut self, id: &str, enhancement: &str) -> Self {
        self.queue["tasks"].as_array_mut().unwrap().push(json!({
            "id": id,
            "title": format!("Work on {enhancement}"),
            "assigned_agent": "implementer",
            "priority": "normal",
            "task_type": "implementation",
            "status": "active",
            "created": "2026-11-01T08:00:00+00:00Z",
            "result": null,
            "metadata": {
                "enhancement_title": enhancement,
                "workflow_step": 0,
                "cost_input_tokens": null,
                "cost_output_tokens": null,
                "cost_cache_creation_tokens": null,
                "cost_cache_read_tokens": null,
                "cost_usd": null,
                "cost_model": null,
                "session_id": null,
            },
        }));
        self.write(".claude/data/task_queue.json", serde_json::to_string_pretty(&self.queue).unwrap());
        self
    }

    /// Writes a session's main transcript where Claude Code would, a line for each entry.
    pub(crate) fn session(self, session: &str, entries: &[Value]) -> Self {
        let mut text = String::new();
        for entry in entries {
            let mut entry = entry.clone();
            entry["sessionId"] = json!(session);
            entry["cwd"] = json!(self.project());
            writeln!(text, "{entry}").unwrap();
        }
        self.transcript(session, text)
    }

    /// Writes the bytes of a session's main transcript where Claude Code would.
    pub(crate) fn transcript(self, session: &str, bytes: impl AsRef<[u8]>) -> Self {
        write(&self.transcript_path(session), bytes);
        self
    }

    /// Writes a file of the project.
    pub(crate) fn file(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.write(path, bytes);
        self
    }

    pub(crate) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        write(&self.project().join(path), bytes);
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// cmat's own folder.
    pub(crate) fn cmat_home(&self) -> PathBuf {
        self.root.join("cmat")
    }

    pub(crate) fn queue_path(&self) -> PathBuf {
        self.project().join(".claude/data/task_queue.json")
    }

    pub(crate) fn transcript_path(&self, session: &str) -> PathBuf {
        let folder = self.home().join(".claude/projects").join(dashed(&self.project()));
        folder.join(format!("{session}.jsonl"))
    }

    /// Returns the seven cost keys of a task as the queue has them, a line for each.
    pub(crate) fn stored(&self, task: &str) -> String {
        let queue: Value = serde_json::from_slice(&fs::read(self.queue_path()).unwrap()).unwrap();
        let tasks = queue["tasks"].as_array().unwrap();
        let metadata = &tasks.iter().find(|found| found["id"] == task).unwrap()["metadata"];
        let keys = metadata.as_object().unwrap().iter();
        let cost_keys = keys.filter(|(key, _)| key.starts_with("cost_") || *key == "session_id");
        cost_keys.map(|(key, value)| format!("{key}: {value}\n")).collect()
    }

    /// Returns the built program, to be run in this project and nothing else.
    pub(crate) fn cmat<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let cmat = env!("CARGO_BIN_EXE_cmat");
        let mut command = Command::new(cmat);
        if self.user == User::Ordinary && is_superuser() {
            command = Command::new("setpriv");
            command.args(["--bounding-set=-dac_override,-dac_read_search", cmat]);
        }
        command.args(args).current_dir(self.project());
        self.surround(&mut command);
        command
    }

    /// Gives a command this project's environment and no other.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.home())
            .env("CMAT_HOME", self.cmat_home())
            .env("COLUMNS", "100")
            .env("TZ", "UTC")
            .env("CMAT_NOW", "2026-11-21T12:00:00Z")
            .env("LANG", "C.UTF-8")
            .env("USER", "dana")
            // A busy machine must not look like a slow hook; a test that is about time sets its own.
            .env("CMAT_DEADLINE_MS", "60000")
            .envs(&self.env)
            .stdin(Stdio::null());
    }

    /// Runs cmat and returns all that a person would see of it.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        self.seen(&self.cmat(args).output().unwrap())
    }

    /// Runs cmat, which must succeed without a word on stderr, and returns stdout.
    pub(crate) fn stdout<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        let output = self.cmat(args).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", self.seen(&output));
        self.seen(&output)
    }

    /// Runs the hook with the bytes on stdin.
    pub(crate) fn hook(&self, stdin: impl AsRef<[u8]>) -> String {
        self.seen(&feed(&mut self.cmat(["hook", "session-end"]), stdin).wait_with_output().unwrap())
    }

    /// Ends a session of a task as Claude Code does, and returns what it would see: nothing.
    pub(crate) fn end_session(&self, task: &str, session: &str) -> String {
        self.seen(&self.ending_session(task, session).wait_with_output().unwrap())
    }

    /// Begins to end a session of a task.
    pub(crate) fn ending_session(&self, task: &str, session: &str) -> Child {
        self.running_hook("session-end", task, session)
    }

    /// Runs a hook of another event as Claude Code does, and returns what it would see: nothing.
    pub(crate) fn at_event(&self, event: &str, task: &str, session: &str) -> String {
        self.seen(&self.running_hook(event, task, session).wait_with_output().unwrap())
    }

    fn running_hook(&self, event: &str, task: &str, session: &str) -> Child {
        let mut command = self.cmat(["hook", event]);
        command
            .env("CMAT_CURRENT_TASK_ID", task)
            .env("CLAUDECODE", "1")
            .env("CLAUDE_CODE_SESSION_ID", session)
            .env("CLAUDE_PROJECT_DIR", self.project());
        feed(&mut command, self.session_end(session, &self.transcript_path(session)))
    }

    /// Returns what Claude Code writes to the hook's stdin.
    pub(crate) fn session_end(&self, session: &str, transcript: &Path) -> String {
        let event = json!({
            "session_id": session,
            "transcript_path": transcript,
            "cwd": self.project(),
            "prompt_id": "8a7be3a1-6a1e-4f6b-9b0a-2f6f3f1c9d11",
            "hook_event_name": "SessionEnd",
            "reason": "other",
        });
        format!("{event}\n")
    }

    /// Returns stdout, stderr and the exit code in one text, with this test's folders named; a JSON document must be as
    /// its schema says.
    pub(crate) fn seen(&self, output: &Output) -> String {
        let mut seen = String::from_utf8_lossy(&output.stdout).into_owned();
        schemas::check(&seen);
        if !output.stderr.is_empty() {
            write!(seen, "--- stderr\n{}", String::from_utf8_lossy(&output.stderr)).unwrap();
        }
        match output.status.code() {
            Some(0) => {}
            Some(code) => writeln!(seen, "--- exit {code}").unwrap(),
            None => writeln!(seen, "--- {}", output.status).unwrap(),
        }
        for folder in ["project", "home", "cmat"] {
            seen = seen.replace(self.root.join(folder).to_str().unwrap(), &format!("[{folder}]"));
        }
        seen.replace(&dashed(&self.root), "-root").replace(self.root.to_str().unwrap(), "[root]")
    }
}

/// Returns a transcript line with the usage of one request: input, output, cache write (5 minutes), cache read.
pub(crate) fn request(id: &str, model: &str, [input, output, write, read]: [u64; 4]) -> Value {
    json!({
        "type": "assistant",
        "uuid": format!("uuid-{id}"),
        "timestamp": "2026-11-20T12:00:00.000Z",
        "requestId": format!("req-{id}"),
        "gitBranch": "main",
        "isSidechain": false,
        "version": "2.1.330",
        "message": {
            "id": id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": "Done."}],
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": input,
                "output_tokens": output,
                "cache_creation_input_tokens": write,
                "cache_read_input_tokens": read,
                "cache_creation": {"ephemeral_5m_input_tokens": write, "ephemeral_1h_input_tokens": 0},
                "service_tier": "standard",
            },
        },
    })
}

/// Ends all tests, and names the one that called this, if it hangs: a child waits for what never comes.
fn watched() -> Sender<()> {
    let (watched, ended) = mpsc::channel();
    let name = thread::current().name().unwrap_or("a test").to_owned();
    thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            // The macros that print are captured, and shown at the end of the test only.
            let _unheard = writeln!(std::io::stderr(), "`{name}` does not end: given up after {PATIENCE:?}");
            std::process::exit(101);
        }
    });
    watched
}

/// Returns the name that Claude Code files a folder's transcripts under.
fn dashed(path: &Path) -> String {
    path.to_str().unwrap().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

fn is_superuser() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Starts a command with the bytes on its stdin. It need not read them: the hook may have seen enough.
pub(crate) fn feed(command: &mut Command, stdin: impl AsRef<[u8]>) -> Child {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _unread = child.stdin.take().unwrap().write_all(stdin.as_ref());
    child
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
