//! What stands in no line of a transcript, but in the client's own count: it is booked as not itemised.

use serde_json::json;

use crate::api::Block;
use crate::api::Pace;
use crate::api::Reply;
use crate::scenarios::calls;
use crate::scenarios::says;
use crate::stage::Certainty::AtLeast;
use crate::stage::Certainty::Exact;
use crate::stage::Stage;
use crate::truth::Tokens;

/// The requests of a compaction are in no line of the transcript: the client's own count has them.
pub(crate) async fn compacted(stage: Stage) {
    stage.api_answers([says("Hello.")]);
    stage.claude("task_1", &["Say hello"]).await;
    let session = stage.served()[0].session.clone();
    stage.api_answers([says("They said hello."), says("They said hello.")]);
    stage.claude("task_1", &["/compact", "--resume", &session]).await;
    assert_eq!(stage.served().len(), 3);
    stage.assert_spent("task_1", &stage.served(), 1, Exact).await;
    stage.api_answers([says("Still here.")]);
    stage.claude("task_1", &["Are you there?", "--resume", &session]).await;
    stage.assert_spent("task_1", &stage.served(), 2, Exact).await;
}

/// Searches that the API makes while it answers stand in the transcript, with what they cost beside tokens.
pub(crate) async fn searched(stage: Stage) {
    stage.api_answers([searches("Found it.", 2)]);
    stage.claude("task_1", &["Look it up"]).await;
    stage.assert_cost("task_1", &stage.served(), Exact).await;
}

/// The tool that searches makes a request of its own, which no line tells of; its searches are in the client's count.
pub(crate) async fn searched_by_the_tool(stage: Stage) {
    stage.api_answers([
        calls("WebSearch", json!({"query": "rust"})),
        searches("Found it.", 1),
        says("There."),
    ]);
    stage.claude("task_1", &["Look it up"]).await;
    let served = stage.served();
    assert_eq!(served.len(), 3);
    stage.assert_spent("task_1", &served, 2, Exact).await;
}

/// A question beside the conversation.
pub(crate) async fn side_question(stage: Stage) {
    let mut conversation = stage.conversation("task_1");
    stage.api_answers([says("Hello.")]);
    conversation.say("Say hello").await;
    stage.api_answers([says("An aside.")]);
    conversation.request(json!({"subtype": "side_question", "question": "By the way?"})).await;
    conversation.end().await;
    let served = stage.served();
    assert_eq!(served.len(), 2);
    stage.assert_spent("task_1", &served, 1, Exact).await;
}

/// A stream that breaks before its first word is asked for again. The attempt was paid for; no line tells of it.
pub(crate) async fn cut_at_once_and_retried(stage: Stage) {
    stage.api_answers([Reply { pace: Pace::Cut, blocks: Vec::new(), ..says("") }, says("Hello.")]);
    stage.claude("task_1", &["Say hello"]).await;
    let served = stage.served();
    assert_eq!(served.len(), 2);
    stage.assert_itemised("task_1", &served, 1, Exact).await;
}

/// One that breaks later leaves a line of what had come: how much was written, and is to be paid, nobody knows.
pub(crate) async fn cut_and_retried(stage: Stage) {
    stage.api_answers([Reply { pace: Pace::Cut, ..says("Hel") }, says("Hello.")]);
    stage.claude("task_1", &["Say hello"]).await;
    let served = stage.served();
    assert_eq!(served.len(), 2);
    stage.assert_itemised("task_1", &served, 2, AtLeast).await;
}

fn searches(text: &'static str, searches: u64) -> Reply {
    let tokens = Tokens { input: 31, output: 57, write_5m: 0, write_1h: 0, read: 1009, searches };
    Reply { tokens, blocks: vec![Block::Text(text)], pace: Pace::Swift }
}
