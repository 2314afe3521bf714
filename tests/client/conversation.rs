//! The client as a program of other programs: prompts come one by one on its stdin, answers on its stdout.

use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::io::Lines;
use tokio::process::Child;
use tokio::process::ChildStdin;
use tokio::process::ChildStdout;

use crate::stage::assert_no_hook_failed;

/// What has the client talk so.
pub(crate) const STREAMED: [&str; 3] =
    ["--input-format=stream-json", "--output-format=stream-json", "--verbose"];

/// A client that waits for prompts.
pub(crate) struct Conversation {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Conversation {
    /// Talks to a client, whose stdin and stdout are pipes.
    pub(crate) fn with(mut child: Child) -> Self {
        let stdin = child.stdin.take().expect("stdin is piped");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        Self { child, stdin, lines }
    }

    /// Says something, and waits for the end of the turn.
    pub(crate) async fn say(&mut self, prompt: &str) {
        self.write(&json!({"type": "user", "message": {"role": "user", "content": prompt}})).await;
        self.until("\"type\":\"result\"").await;
    }

    /// Asks the client for something that is no prompt, and waits until it is done.
    pub(crate) async fn request(&mut self, request: Value) {
        self.write(&json!({"type": "control_request", "request_id": "1", "request": request})).await;
        let response = self.until("\"type\":\"control_response\"").await;
        assert!(response.contains("\"subtype\":\"success\""), "{response}");
    }

    /// Kills the client.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Says no more, and waits for the client's end.
    pub(crate) async fn end(mut self) {
        drop(self.stdin);
        while self.lines.next_line().await.unwrap().is_some() {}
        let output = self.child.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_no_hook_failed(&output);
    }

    async fn write(&mut self, message: &Value) {
        self.stdin.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn until(&mut self, text: &str) -> String {
        loop {
            let line = self.lines.next_line().await.unwrap().expect("the client goes on");
            if line.contains(text) {
                return line;
            }
        }
    }
}
