//! Clients that are interrupted, terminated and killed: what is known then, and what is said of the rest.

use std::time::Duration;

use serde_json::json;

use crate::api::Pace;
use crate::api::Reply;
use crate::scenarios::Agent;
use crate::scenarios::asks_agent;
use crate::scenarios::calls;
use crate::scenarios::endless;
use crate::scenarios::says;
use crate::stage::Certainty::AtLeast;
use crate::stage::Certainty::Exact;
use crate::stage::Stage;

/// An interrupted response: the transcript holds what `message_start` told, the rest of the output is unknown; the
/// client may estimate some of it.
pub(crate) async fn interrupted(stage: Stage) {
    stage.api_answers([calls("Bash", json!({"command": "pwd"})), endless("This will take")]);
    stage.claude_stopped("task_1", &["Write a book"], "This will take", "INT").await;
    stage.assert_itemised("task_1", &stage.served(), 2, AtLeast).await;
}

/// A client that is terminated leaves no line of the response that it was reading.
pub(crate) async fn terminated(stage: Stage) {
    stage.api_answers([calls("Bash", json!({"command": "pwd"})), endless("This will take")]);
    stage.claude_stopped("task_1", &["Write a book"], "This will take", "TERM").await;
    stage.assert_cost("task_1", &stage.served()[..1], AtLeast).await;
}

/// A client that is killed runs no hook at the end: its task was told at the start. The session that is resumed knows
/// nothing of what the killed run spent.
pub(crate) async fn killed(stage: Stage) {
    stage.api_answers([says("Hello.")]);
    stage.claude("task_1", &["Say hello"]).await;
    let session = stage.served()[0].session.clone();
    stage.api_answers([calls("Bash", json!({"command": "pwd"})), endless("This will take")]);
    let args = ["Write a book", "--resume", &session];
    stage.claude_stopped("task_1", &args, "This will take", "KILL").await;
    let known = stage.served()[..2].to_vec();
    // No turn was over, so no hook has told of the answer within it: the command that asks finds it.
    stage.assert_spent("task_1", &known, 2, AtLeast).await;
    stage.api_answers([says("Here again.")]);
    stage.claude("task_1", &["Go on", "--resume", &session]).await;
    let served = stage.served();
    stage.assert_spent("task_1", &[&known[..], &served[3..]].concat(), 3, AtLeast).await;
}

/// Each end of a turn records what stands in the transcript by then: the client is killed before the session's end, and
/// its transcripts are gone.
pub(crate) async fn killed_between_turns(stage: Stage) {
    let mut conversation = stage.conversation("task_1");
    stage.api_answers([calls("Bash", json!({"command": "pwd"})), says("Here.")]);
    conversation.say("Where are we?").await;
    // The client writes a turn's last answer a little after the hook ran: the next one finds it.
    stage.until_written(1).await;
    stage.api_answers([says("Still here.")]);
    conversation.say("And now?").await;
    conversation.kill().await;
    stage.remove_transcripts();
    stage.assert_recorded_first("task_1", 2).await;
}

/// A client that is killed when it had written all: nothing is missing, though no hook told of the last answer.
pub(crate) async fn killed_when_all_was_written(stage: Stage) {
    let mut conversation = stage.conversation("task_1");
    stage.api_answers([calls("Bash", json!({"command": "pwd"})), says("Here.")]);
    conversation.say("Where are we?").await;
    stage.until_written(1).await;
    conversation.kill().await;
    stage.assert_spent("task_1", &stage.served(), 2, Exact).await;
}

/// The end of a subagent is told too: what it had written then outlives the kill of its client and the transcripts.
pub(crate) async fn killed_after_a_subagent(stage: Stage) {
    stage.api_answers([asks_agent(Agent::Foreground), endless("This will take")]);
    // The client writes a line some time after it has it: by the end of this answer it has written the one before.
    let slow = Reply { pace: Pace::Slow(Duration::from_millis(500)), ..says("Nothing there.") };
    stage.api_answers_subagents([calls("Bash", json!({"command": "ls"})), slow]);
    stage.claude_stopped("task_1", &["Have an agent look"], "This will take", "KILL").await;
    stage.remove_transcripts();
    stage.assert_recorded_first("task_1", 2).await;
}
