//! The scenarios: what the API answers, what the user does, and which task then costs what.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::api::Block;
use crate::api::Pace;
use crate::api::Reply;
use crate::stage::Certainty::Exact;
use crate::stage::Stage;
use crate::stage::TASKS;
use crate::truth::Tokens;

/// Whether the turn waits for its subagent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agent {
    Foreground,
    Background,
}

/// One prompt, one answer.
pub(crate) async fn plain(stage: Stage) {
    stage.api_answers([says("Hello.")]);
    stage.claude("task_1", &["Say hello"]).await;
    stage.assert_cost("task_1", &stage.served(), Exact).await;
    stage.assert_no_cost("task_2").await;
}

/// The hook of the user's own records a session that starts in a subfolder, which reads no settings of the project,
/// and runs beside the project's hook in one that starts above.
pub(crate) async fn global_hook(stage: Stage) {
    stage.install_globally().await;
    for folder in ["deep/er", "."] {
        stage.api_answers([says("Hello.")]);
        stage.claude_in(folder, "task_1", &["Say hello"]).await;
        stage.assert_cost("task_1", &stage.served(), Exact).await;
    }
}

/// Two requests, with a shell command between them that leaves the project folder.
pub(crate) async fn tool_use(stage: Stage) {
    stage.api_answers([calls("Bash", json!({"command": "mkdir sub && cd sub && pwd"})), says("Done.")]);
    stage.claude("task_1", &["Make a folder"]).await;
    stage.assert_cost("task_1", &stage.served(), Exact).await;
}

/// One response of several blocks, which come slowly: as many lines, one request.
pub(crate) async fn slow_blocks(stage: Stage) {
    let many = Reply {
        tokens: Tokens { input: 3, output: 999, write_5m: 0, write_1h: 4001, read: 15_001, searches: 0 },
        blocks: vec![
            Block::Thinking("Two commands."),
            Block::Text("Both at once."),
            bash("echo one"),
            bash("echo two"),
        ],
        pace: Pace::Slow(Duration::from_millis(300)),
    };
    stage.api_answers([many, says("Done.")]);
    stage.claude("task_1", &["Run two commands"]).await;
    stage.assert_cost("task_1", &stage.served(), Exact).await;
}

/// A subagent with a model of its own, whose lines stand in a file of its own.
pub(crate) async fn subagent(stage: Stage) {
    stage.api_answers([asks_agent(Agent::Foreground), says("The agent looked.")]);
    stage.api_answers_subagents([calls("Bash", json!({"command": "ls"})), says("Nothing there.")]);
    stage.claude("task_1", &["Have an agent look"]).await;
    let served = stage.served();
    assert!(served.iter().any(|response| response.model == "claude-haiku-5-5"), "{served:?}");
    stage.assert_cost("task_1", &served, Exact).await;
}

/// A subagent that outlives the turn which started it.
pub(crate) async fn background_subagent(stage: Stage) {
    let slow = Reply { pace: Pace::Slow(Duration::from_millis(700)), ..says("Nothing there.") };
    stage.api_answers([asks_agent(Agent::Background), says("I wait."), says("The agent looked.")]);
    stage.api_answers_subagents([slow]);
    stage.claude("task_1", &["Have an agent look"]).await;
    stage.assert_cost("task_1", &stage.served(), Exact).await;
}

/// The hook fires at the end of each run, each time with the whole transcript.
pub(crate) async fn resume(stage: Stage) {
    stage.api_answers([says("Hello.")]);
    stage.claude("task_1", &["Say hello"]).await;
    let session = stage.served()[0].session.clone();
    stage.assert_cost("task_1", &stage.served(), Exact).await;
    stage.api_answers([calls("Bash", json!({"command": "pwd"})), says("Here.")]);
    stage.claude("task_1", &["Where are we?", "--resume", &session]).await;
    assert!(stage.served().iter().all(|response| response.session == session));
    stage.assert_cost("task_1", &stage.served(), Exact).await;
}

/// A session that goes on for another task: each task pays for its own turns.
pub(crate) async fn resume_for_another_task(stage: Stage) {
    stage.api_answers([says("Hello.")]);
    stage.claude("task_1", &["Say hello"]).await;
    let of_first = stage.served();
    let session = of_first[0].session.clone();
    stage.api_answers([calls("Bash", json!({"command": "pwd"})), says("Here.")]);
    stage.claude("task_2", &["Where are we?", "--resume", &session]).await;
    stage.assert_cost("task_1", &of_first, Exact).await;
    stage.assert_cost("task_2", &stage.served().split_off(1), Exact).await;
}

/// Two sessions of a task add up.
pub(crate) async fn second_session(stage: Stage) {
    for answer in ["One.", "Two."] {
        stage.api_answers([says(answer)]);
        stage.claude("task_1", &["Count"]).await;
    }
    let served = stage.served();
    assert_ne!(served[0].session, served[1].session);
    stage.assert_cost("task_1", &served, Exact).await;
}

/// Two sessions that end at the same moment, for tasks of the same queue.
pub(crate) async fn parallel_sessions(stage: Stage) {
    let sessions = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];
    let args = sessions.map(|session| ["Count", "--session-id", session]);
    stage.api_answers([says("One."), says("Two.")]);
    tokio::join!(stage.claude("task_1", &args[0]), stage.claude("task_2", &args[1]));
    for (task, session) in TASKS.into_iter().zip(sessions) {
        let own: Vec<_> = stage.served().into_iter().filter(|response| response.session == session).collect();
        stage.assert_cost(task, &own, Exact).await;
    }
}

/// A fork copies the history of its parent: what is shared counts once, for the task of the parent, which goes on.
pub(crate) async fn fork(stage: Stage) {
    stage.api_answers([calls("Bash", json!({"command": "pwd"})), says("Here.")]);
    stage.claude("task_1", &["Where are we?"]).await;
    let mut of_parent = stage.served();
    let parent = of_parent[0].session.clone();
    stage.api_answers([says("Still here.")]);
    stage.claude("task_2", &["And now?", "--resume", &parent, "--fork-session"]).await;
    let of_fork = stage.served().split_off(2);
    assert_ne!(of_fork[0].session, parent);
    stage.assert_cost("task_1", &of_parent, Exact).await;
    stage.assert_cost("task_2", &of_fork, Exact).await;
    stage.api_answers([says("As before.")]);
    stage.claude("task_1", &["And then?", "--resume", &parent]).await;
    of_parent.extend(stage.served().split_off(3));
    stage.assert_cost("task_1", &of_parent, Exact).await;
    stage.assert_cost("task_2", &of_fork, Exact).await;
}

/// A prompt that another hook blocks costs nothing.
pub(crate) async fn blocked(stage: Stage) {
    let block: Value = json!({"type": "command", "command": "echo no money left >&2; exit 2"});
    stage.user_settings(&json!({"hooks": {"UserPromptSubmit": [{"hooks": [block]}]}}));
    let stdout = stage.claude("task_1", &["Say hello"]).await;
    assert!(stdout.contains("no money left"), "{stdout}");
    assert_eq!(stage.served().len(), 0);
    stage.assert_no_cost("task_1").await;
}

/// A session that is cleared goes on as another one of the same process: both add up.
pub(crate) async fn clear(stage: Stage) {
    let mut conversation = stage.conversation("task_1");
    stage.api_answers([says("Hello.")]);
    conversation.say("Say hello").await;
    conversation.say("/clear").await;
    stage.api_answers([calls("Bash", json!({"command": "pwd"})), says("Here.")]);
    conversation.say("Where are we?").await;
    conversation.end().await;
    let served = stage.served();
    assert_ne!(served[0].session, served[1].session);
    stage.assert_cost("task_1", &served, Exact).await;
}

/// A client that a command of the session starts is a session of its own, for the same task.
pub(crate) async fn nested(stage: Stage) {
    let client = stage.client_path().display();
    let arguments = "-p --model=claude-haiku-5-5 --dangerously-skip-permissions 'Say hello' </dev/null";
    let inner = format!("'{client}' {arguments}");
    stage.api_answers([calls("Bash", json!({"command": inner})), says("Hello."), says("It said hello.")]);
    stage.claude("task_1", &["Ask another"]).await;
    let served = stage.served();
    assert_ne!(served[0].session, served[1].session);
    assert_eq!(served[1].model, "claude-haiku-5-5");
    // The session that ends last is the outer one.
    stage.assert_cost("task_1", &served, Exact).await;
}

pub(crate) fn says(text: &'static str) -> Reply {
    Reply {
        tokens: Tokens { input: 12, output: 120, write_5m: 1001, write_1h: 2003, read: 30_007, searches: 0 },
        blocks: vec![Block::Text(text)],
        pace: Pace::Swift,
    }
}

pub(crate) fn endless(text: &'static str) -> Reply {
    Reply { pace: Pace::Stuck, ..says(text) }
}

pub(crate) fn calls(name: &'static str, input: Value) -> Reply {
    Reply {
        tokens: Tokens { input: 4, output: 83, write_5m: 509, write_1h: 0, read: 20_011, searches: 0 },
        blocks: vec![Block::Text("I look."), Block::Tool { name, input }],
        pace: Pace::Swift,
    }
}

pub(crate) fn asks_agent(agent: Agent) -> Reply {
    let input = json!({
        "description": "Look around", "prompt": "Look around", "subagent_type": "general-purpose", "model": "haiku",
        "run_in_background": agent == Agent::Background,
    });
    calls("Agent", input)
}

fn bash(command: &str) -> Block {
    Block::Tool { name: "Bash", input: json!({"command": command, "description": "Runs a command"}) }
}
