//! What a scenario plays on: a home, a project with a task queue and cmat's hook, the API, and the programs.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::process::Command;
use walkdir::WalkDir;

use crate::api;
use crate::api::Api;
use crate::api::Caller;
use crate::api::Reply;
use crate::conversation::Conversation;
use crate::conversation::STREAMED;
use crate::truth;
use crate::truth::Bill;
use crate::truth::Served;
use crate::truth::Tokens;

/// The tasks of the project's queue.
pub(crate) const TASKS: [&str; 2] = ["task_1", "task_2"];

/// How sure a task's figures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// All that was spent is there.
    Exact,
    /// The transcript may not hold all of it.
    AtLeast,
}

/// A home, a project and an API of their own.
pub(crate) struct Stage {
    folder: TempDir,
    client: PathBuf,
    api: Api,
}

impl Stage {
    /// Sets up the project and installs the hook.
    pub(crate) async fn new(client: PathBuf) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let stage = Self { folder, client, api: Api::start().await };
        for name in ["home", "project/.claude/data"] {
            fs::create_dir_all(stage.path(name)).unwrap();
        }
        fs::write(stage.queue_path(), format!("{:#}", queue())).unwrap();
        succeeded(stage.program("git").args(["init", "--quiet", "--initial-branch=main"]).output().await);
        succeeded(Ok(stage.cmat(&["init"]).await));
        stage
    }

    /// Installs the hook for all projects too.
    pub(crate) async fn install_globally(&self) {
        succeeded(Ok(self.cmat(&["init", "--global"]).await));
    }

    /// Lets a budget for all that is spent stop prompts and tools.
    pub(crate) async fn enforce(&self, limit: &str) {
        succeeded(Ok(self.cmat(&["init", "--enforce"]).await));
        succeeded(Ok(self.cmat(&["budget", "set", "--total", limit, "--warn", "100"]).await));
    }

    /// Runs cmat and returns what it says on stdout and stderr.
    pub(crate) async fn said(&self, args: &[&str]) -> String {
        let output = self.cmat(args).await;
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
    }

    /// Runs a shell command as a person at a terminal does, and returns what the terminal shows.
    pub(crate) async fn at_terminal(&self, command: &str) -> String {
        let output = self.program("script").args(["-qec", command, "/dev/null"]).output().await;
        String::from_utf8_lossy(&succeeded(output).stdout).into_owned()
    }

    /// Opens the ledger's file, to put into it what only time would.
    pub(crate) fn ledger(&self) -> rusqlite::Connection {
        let ledger = rusqlite::Connection::open(self.path("cmat/ledger.db")).unwrap();
        ledger.busy_timeout(Duration::from_secs(30)).unwrap();
        ledger
    }

    /// Returns whether the project holds a file of that name.
    pub(crate) fn has_file(&self, name: &str) -> bool {
        self.path("project").join(name).exists()
    }

    /// Tells the API what to answer the session itself, after what it was told before.
    pub(crate) fn api_answers(&self, replies: impl IntoIterator<Item = Reply>) {
        replies.into_iter().for_each(|reply| self.api.will_answer(Caller::Main, reply));
    }

    /// Tells the API what to answer subagents.
    pub(crate) fn api_answers_subagents(&self, replies: impl IntoIterator<Item = Reply>) {
        replies.into_iter().for_each(|reply| self.api.will_answer(Caller::Subagent, reply));
    }

    /// Returns what the API served so far.
    pub(crate) fn served(&self) -> Vec<Served> {
        self.api.served()
    }

    /// Writes the user's own settings of the client.
    pub(crate) fn user_settings(&self, settings: &Value) {
        fs::create_dir_all(self.path("home/.claude")).unwrap();
        fs::write(self.path("home/.claude/settings.json"), settings.to_string()).unwrap();
    }

    /// Runs the client for `task` to its end and returns what it printed.
    pub(crate) async fn claude(&self, task: &str, args: &[&str]) -> String {
        self.claude_in(".", task, args).await
    }

    /// Runs the client in a folder of the project, which is made if it is not there.
    pub(crate) async fn claude_in(&self, folder: &str, task: &str, args: &[&str]) -> String {
        let folder = self.path("project").join(folder);
        fs::create_dir_all(&folder).unwrap();
        let output = succeeded(self.client(task, args).current_dir(folder).output().await);
        assert_no_hook_failed(&output);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Begins a conversation with the client for `task`.
    pub(crate) fn conversation(&self, task: &str) -> Conversation {
        let mut client = self.client(task, &STREAMED);
        Conversation::with(client.stdin(Stdio::piped()).spawn().unwrap())
    }

    /// Runs the client for `task`, and sends it `signal` when `text` has reached it.
    pub(crate) async fn claude_stopped(&self, task: &str, args: &[&str], text: &str, signal: &str) {
        let streamed = ["--output-format=stream-json", "--include-partial-messages", "--verbose"];
        let mut child = self.client(task, &[args, &streamed].concat()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        while !lines.next_line().await.unwrap().expect("the text comes before the end").contains(text) {}
        // The client writes its lines a little later than it prints them; a kill would take the answer before too.
        self.until_written(self.api.n_begun() - 2).await;
        let id = child.id().expect("the client still runs").to_string();
        succeeded(self.program("sh").args(["-c", "kill -s \"$0\" \"$1\"", signal, &id]).output().await);
        while lines.next_line().await.unwrap().is_some() {}
        let output = child.wait_with_output().await.unwrap();
        assert_no_hook_failed(&output);
    }

    /// Removes all that the client wrote of its sessions.
    pub(crate) fn remove_transcripts(&self) {
        fs::remove_dir_all(self.path("home/.claude/projects")).unwrap();
    }

    /// Waits until a transcript holds the response that was served as number `n`.
    pub(crate) async fn until_written(&self, n: usize) {
        let id = format!("\"id\":\"{}\"", api::message_id(n));
        while !self.written().iter().any(|text| text.contains(&id)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns all that the client has written of its sessions.
    pub(crate) fn written(&self) -> Vec<String> {
        texts_below(&self.path("home/.claude/projects"))
    }

    /// Appends `bytes` to every transcript.
    pub(crate) fn tear_transcripts(&self, bytes: &str) {
        let files = WalkDir::new(self.path("home/.claude/projects")).into_iter().filter_map(Result::ok);
        for file in files.filter(|file| file.path().extension().is_some_and(|end| end == "jsonl")) {
            let text = fs::read_to_string(file.path()).unwrap();
            fs::write(file.path(), text + bytes).unwrap();
        }
    }

    /// Returns the texts of all files that cmat writes, or changes.
    pub(crate) fn kept(&self) -> Vec<String> {
        [texts_below(&self.path("cmat")), texts_below(&self.path("project/.claude"))].concat()
    }

    /// Asserts that `task` carries what `served` cost, in `costs show` and in the task queue.
    pub(crate) async fn assert_cost(&self, task: &str, served: &[Served], certainty: Certainty) {
        // First the queue as the hook left it: a command would finish what a hook did not.
        let stored = self.metadata(task);
        let output = self.cmat(&["costs", "show", task, "--json"]).await;
        let show: Value = serde_json::from_slice(&succeeded(Ok(output)).stdout).unwrap();
        let bill = Bill::of(served);
        assert_eq!(Bill::shown(&show), bill, "`{task}` in {show:#}");
        assert_eq!(show["lower_bound"], certainty == Certainty::AtLeast, "`{task}` in {show:#}");
        assert_eq!(show["estimated"], false, "`{task}` in {show:#}");
        assert_sessions(&show, served);
        assert_eq!(show["metadata"], without(&stored, "enhancement_title"));
        let writes = bill.tokens.write_5m + bill.tokens.write_1h;
        for (key, expected) in [
            ("cost_input_tokens", bill.tokens.input.to_string()),
            ("cost_output_tokens", bill.tokens.output.to_string()),
            ("cost_cache_creation_tokens", writes.to_string()),
            ("cost_cache_read_tokens", bill.tokens.read.to_string()),
            ("cost_usd", bill.usd_4()),
            ("session_id", served.last().expect("something was served").session.clone()),
        ] {
            assert_eq!(stored[key], expected, "`{key}` of `{task}`");
        }
    }

    /// Asserts that `task` costs what `served` did, of which `n_itemised` responses are requests of transcripts.
    pub(crate) async fn assert_spent(
        &self,
        task: &str,
        served: &[Served],
        n_itemised: u64,
        certainty: Certainty,
    ) {
        let output = self.cmat(&["costs", "show", task, "--json"]).await;
        let show: Value = serde_json::from_slice(&succeeded(Ok(output)).stdout).unwrap();
        let bill = Bill { requests: n_itemised, ..Bill::of(served) };
        assert_eq!(Bill::shown(&show), bill, "`{task}` in {show:#}");
        assert_eq!(show["lower_bound"], certainty == Certainty::AtLeast, "`{task}` in {show:#}");
        assert_eq!(self.metadata(task)["cost_usd"], bill.usd_4(), "`{task}` in its queue");
    }

    /// Asserts that `task` costs what `served` did, of which `n_itemised` responses are requests of transcripts; of
    /// responses that were broken off, the output may be an estimate of the client's.
    pub(crate) async fn assert_itemised(
        &self,
        task: &str,
        served: &[Served],
        n_itemised: u64,
        certainty: Certainty,
    ) {
        let output = self.cmat(&["costs", "show", task, "--json"]).await;
        let show: Value = serde_json::from_slice(&succeeded(Ok(output)).stdout).unwrap();
        let (mut bill, shown) = (Bill { requests: n_itemised, ..Bill::of(served) }, Bill::shown(&show));
        let beyond = shown.tokens.output.checked_sub(bill.tokens.output);
        let estimated = beyond.unwrap_or_else(|| panic!("less than {bill:?} in {show:#}"));
        let estimate = Tokens { output: estimated, ..Tokens::default() };
        bill.tokens += estimate;
        bill.pico_usd += Served { tokens: estimate, ..served[0].clone() }.pico_usd();
        assert_eq!(shown, bill, "`{task}` in {show:#}");
        assert_eq!(show["lower_bound"], certainty == Certainty::AtLeast, "`{task}` in {show:#}");
    }

    /// Asserts that nothing is known of a cost of `task`.
    pub(crate) async fn assert_no_cost(&self, task: &str) {
        let output = self.cmat(&["costs", "show", task, "--json"]).await;
        if output.status.success() {
            let show: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(Bill::shown(&show), Bill::default(), "{show:#}");
        } else {
            assert_eq!(output.status.code(), Some(1), "{output:?}");
        }
        assert_eq!(without(&self.metadata(task), "enhancement_title"), json!({}));
    }

    /// Asserts that of `task` the ledger holds at least the `n_least` responses that were served first, and nothing that
    /// was not served; no transcript is left to tell more.
    pub(crate) async fn assert_recorded_first(&self, task: &str, n_least: usize) {
        let output = self.cmat(&["costs", "show", task, "--json"]).await;
        let show: Value = serde_json::from_slice(&succeeded(Ok(output)).stdout).unwrap();
        let (served, shown) = (self.served(), Bill::shown(&show));
        let is_first = |n: usize| Bill::of(&served[..n]) == shown;
        assert!((n_least..=served.len()).any(is_first), "`{task}` in {show:#}");
    }

    /// Returns the path of the client's program.
    pub(crate) fn client_path(&self) -> &Path {
        &self.client
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn queue_path(&self) -> PathBuf {
        self.path("project/.claude/data/task_queue.json")
    }

    /// Returns the metadata of `task` in the queue, after a look whether the rest is as it was.
    fn metadata(&self, task: &str) -> Value {
        let mut found: Value = serde_json::from_slice(&fs::read(self.queue_path()).unwrap()).unwrap();
        let n = TASKS.iter().position(|id| *id == task).expect("a task of the queue");
        let metadata = found["tasks"][n]["metadata"].clone();
        let mut as_it_was = queue();
        for tasks in [&mut found, &mut as_it_was] {
            tasks["tasks"].as_array_mut().unwrap().iter_mut().for_each(|task| task["metadata"] = Value::Null);
        }
        assert_eq!(found, as_it_was, "the rest of the task queue has changed");
        metadata
    }

    async fn cmat(&self, args: &[&str]) -> Output {
        self.program(env!("CARGO_BIN_EXE_cmat")).args(args).output().await.unwrap()
    }

    fn client(&self, task: &str, args: &[&str]) -> Command {
        let mut client = self.program(&self.client);
        client.args(["-p", "--model=claude-sonnet-4-6", "--dangerously-skip-permissions"]).args(args);
        client.env("CMAT_CURRENT_TASK_ID", task);
        // On a busy machine too, the hook ends its work itself.
        client.env("CMAT_DEADLINE_MS", "20000");
        client.env("ANTHROPIC_BASE_URL", self.api.base_url());
        client.env("ANTHROPIC_API_KEY", "made-up");
        client.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
        client.env("DISABLE_AUTOUPDATER", "1");
        // The client refuses to skip permissions for root elsewhere.
        client.env("IS_SANDBOX", "1");
        client
    }

    fn program(&self, program: impl AsRef<Path>) -> Command {
        let cmat = Path::new(env!("CARGO_BIN_EXE_cmat")).parent().expect("a program is in a folder");
        let mut command = Command::new(program.as_ref());
        command.env_clear().current_dir(self.path("project"));
        command.env("HOME", self.path("home")).env("CMAT_HOME", self.path("cmat"));
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", cmat.display()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

pub(crate) fn assert_no_hook_failed(output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("hook"), "a hook failed: {stderr}");
}

/// Returns the texts of all files below `folder`; what is no text stands there as far as it is.
fn texts_below(folder: &Path) -> Vec<String> {
    let files = WalkDir::new(folder).into_iter().filter_map(Result::ok);
    let bytes = files.filter_map(|file| fs::read(file.path()).ok());
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

fn assert_sessions(show: &Value, served: &[Served]) {
    let sessions = show["sessions"].as_array().unwrap_or_else(|| panic!("no sessions in {show:#}"));
    for session in sessions {
        let own: Vec<_> =
            served.iter().filter(|response| session["session"] == *response.session).cloned().collect();
        let bill = Bill::of(&own);
        assert_eq!(session["requests"], bill.requests, "{session:#}");
        assert_eq!(truth::pico(&session["cost_usd"]), bill.pico_usd, "{session:#}");
    }
    let ids: std::collections::BTreeSet<_> = served.iter().map(|response| &response.session).collect();
    assert_eq!(sessions.len(), ids.len(), "sessions of {show:#}");
}

fn queue() -> Value {
    let tasks = TASKS.map(|id| {
        json!({
            "id": id, "title": "A task", "assigned_agent": "implementer", "task_type": "implementation",
            "status": "active", "metadata": {"enhancement_title": "Exact costs"},
        })
    });
    json!({"queue_metadata": {"version": "1.0"}, "tasks": tasks, "agent_status": {}})
}

fn without(object: &Value, key: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().expect("metadata is an object").remove(key);
    object
}

fn succeeded(output: std::io::Result<Output>) -> Output {
    let output = output.expect("the program starts");
    let words = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{}\n{}\n{}", output.status, words[0], words[1]);
    output
}
