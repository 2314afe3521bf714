//! A word that stands in all that is said in a session of the real client stands in nothing that cmat keeps or says.

use serde_json::Value;
use serde_json::json;

use crate::api::Block;
use crate::scenarios::Agent;
use crate::scenarios::asks_agent;
use crate::scenarios::calls;
use crate::scenarios::says;
use crate::stage::Stage;

/// Stands in every text of the conversation, and nowhere else.
const CANARY: &str = "qXcanary7Zq";

/// Prompt, answer, thought, a tool's input and output, a failed tool, a subagent and its prompt, a question beside.
pub(crate) async fn nothing_of_a_conversation(stage: Stage) {
    let mut think = says("qXcanary7Zq, I think.");
    think.blocks.insert(0, Block::Thinking("What is qXcanary7Zq?"));
    let mut agent = asks_agent(Agent::Foreground);
    mark(&mut agent.blocks);
    stage.api_answers([
        calls("Bash", json!({"command": "echo the word is qXcanary7Zq | tee qXcanary7Zq.txt"})),
        calls("Bash", json!({"command": "cat /nowhere/qXcanary7Zq"})),
        calls("Read", json!({"file_path": "qXcanary7Zq.txt"})),
        agent,
        think,
        says("qXcanary7Zq aside."),
    ]);
    stage.api_answers_subagents([
        calls("Bash", json!({"command": "ls qXcanary7Zq*"})),
        says("qXcanary7Zq it is."),
    ]);
    let mut conversation = stage.conversation("task_1");
    conversation.say("Say qXcanary7Zq").await;
    conversation.request(json!({"subtype": "side_question", "question": "And qXcanary7Zq?"})).await;
    conversation.end().await;
    assert!(stage.written().iter().filter(|text| text.contains(CANARY)).count() >= 2, "it was said");
    // A line that nobody can read is told of by its number.
    stage.tear_transcripts(&format!("{{\"type\":\"assistant\",\"usage\":{{}} {CANARY}\n"));
    let session = stage.served()[0].session.clone();
    for command in [
        &["reconcile", "--all"][..],
        &["costs", "show", "task_1", "--breakdown", "--history"],
        &["explain", "task_1", "--all"],
        &["explain", &session],
        &["report", "--by", "task,model,agent,session,operation,skill"],
        &["sessions", "show", &session],
        &["export", "json", "-"],
        &["export", "ledger", "-"],
        &["export", "csv", "-", "--columns", "all"],
        &["doctor"],
        &["costs", "show", "nothing"],
    ] {
        let said = stage.said(command).await;
        assert!(!said.is_empty() && !said.contains(CANARY), "{command:?}: {said}");
    }
    let kept = stage.kept();
    assert!(kept.iter().any(|text| text.starts_with("SQLite format 3")), "the ledger is among the files");
    assert!(!kept.iter().any(|text| text.contains(CANARY)));
}

/// Puts the word into what the blocks' tools are told.
fn mark(blocks: &mut [Block]) {
    for block in blocks {
        if let Block::Tool { input, .. } = block {
            input["prompt"] = Value::from(CANARY);
            input["description"] = Value::from(CANARY);
        }
    }
}
