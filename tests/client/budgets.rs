//! Budgets inside the real client: what is stopped, what was paid by then, and who may go on.

use serde_json::json;

use crate::scenarios::Agent;
use crate::scenarios::asks_agent;
use crate::scenarios::calls;
use crate::scenarios::says;
use crate::stage::Stage;

/// A prompt over the budget sends nothing and shows our words; a person's override lets the next one through.
pub(crate) async fn prompt_over_budget(stage: Stage) {
    stage.enforce("0.02").await;
    stage.api_answers([says("Hello.")]);
    stage.claude("task_1", &["Say hello"]).await;
    assert_eq!(stage.served().len(), 1);
    let stdout = stage.claude("task_1", &["Say it again"]).await;
    assert!(stdout.contains("cmat: budget reached – user $0.0266 of $0.0200 (total)."), "{stdout}");
    assert!(stdout.contains("cmat budget override user/total --amount"), "{stdout}");
    assert_eq!(stage.served().len(), 1, "a blocked prompt sends nothing");

    let refused =
        stage.said(&["budget", "override", "user", "--amount", "1", "--for", "1h", "--reason", "x"]).await;
    assert!(refused.contains("is for a person: run it in a terminal"), "{refused}");
    let given = stage.at_terminal("cmat budget override user --amount 1 --for 1h --reason 'it is me'").await;
    assert!(given.contains("user/total +$1.00 until "), "{given}");
    stage.api_answers([says("Hello again.")]);
    stage.claude("task_1", &["Say it again"]).await;
    assert_eq!(stage.served().len(), 2);
    // The override's time is over.
    stage.ledger().execute("UPDATE override SET ends = 60000", []).unwrap();
    let stdout = stage.claude("task_1", &["Say it once more"]).await;
    assert!(stdout.contains("cmat: budget reached"), "{stdout}");
    assert_eq!(stage.served().len(), 2);
    let audit = stage.said(&["audit", "--verify"]).await;
    assert!(audit.contains("\"it is me\"") && audit.contains("the chain is whole"), "{audit}");
}

/// A budget that is used up in mid-session stops the next tool and the loop: what was sent by then is all that is paid.
pub(crate) async fn tool_over_budget(stage: Stage) {
    stage.enforce("0.0115").await;
    let touch = |name: &str| calls("Bash", json!({"command": format!("touch {name}")}));
    stage.api_answers([touch("one"), touch("two")]);
    stage.claude("task_1", &["Make files"]).await;
    assert_eq!(stage.served().len(), 2, "the second request passed the budget, no third one was sent");
    assert!(stage.has_file("one") && !stage.has_file("two"));
    // What docs/budgets.md says of how far it was passed.
    let status = stage.said(&["budget", "status"]).await;
    assert!(status.contains("$0.0183  $0.0115"), "{status}");
}

/// A budget that only a cheaper model may go past lets a session begin with that one, and with no other.
pub(crate) async fn cheaper_model_goes_on(stage: Stage) {
    stage.enforce("0.02").await;
    let set = ["budget", "set", "--total", "0.02", "--downgrade-to", "claude-haiku-5-5"];
    stage.said(&set).await;
    stage.api_answers([says("Hello.")]);
    stage.claude("task_1", &["Say hello"]).await;
    let stdout = stage.claude("task_1", &["Say it again"]).await;
    assert!(stdout.contains("Go on with a cheaper model: /model claude-haiku-5-5"), "{stdout}");
    assert_eq!(stage.served().len(), 1, "a blocked prompt sends nothing");
    for model in ["claude-haiku-5-5", "haiku"] {
        let n_before = stage.served().len();
        stage.api_answers([says("Hello, cheaply.")]);
        stage.claude("task_1", &["Say it again", "--model", model]).await;
        let served = stage.served();
        assert_eq!(served.len(), n_before + 1, "{model} goes on");
        assert_eq!(served[n_before].model, "claude-haiku-5-5");
    }
    // A session that goes on with it.
    stage.api_answers([says("Once more.")]);
    stage.claude("task_1", &["And again", "--continue", "--model", "haiku"]).await;
    assert_eq!(stage.served().len(), 4);
}

/// What a subagent spends counts at once: its own next tool is stopped by it.
pub(crate) async fn subagent_over_budget(stage: Stage) {
    // The session's first request costs $0.009169, the subagent's $0.000306.
    stage.enforce("0.0094").await;
    stage.api_answers([asks_agent(Agent::Foreground), says("The agent looked.")]);
    stage.api_answers_subagents([calls("Bash", json!({"command": "touch one"}))]);
    stage.claude("task_1", &["Have an agent look"]).await;
    let served = stage.served();
    assert_eq!(served.len(), 3, "the subagent sends no second request, the session one more with its result");
    assert!(!stage.has_file("one"), "the subagent's own request used the budget up");
    let stdout = stage.claude("task_1", &["Again"]).await;
    assert!(stdout.contains("cmat: budget reached"), "{stdout}");
    assert_eq!(stage.served().len(), served.len());
}

/// An agent that runs the override itself is refused, told why, and kept in the audit.
pub(crate) async fn override_by_the_agent(stage: Stage) {
    stage.enforce("1").await;
    let command = "env -u CLAUDECODE cmat budget override user --amount 100 --for 1h --reason please";
    stage.api_answers([calls("Bash", json!({"command": command})), says("I may not.")]);
    stage.claude("task_1", &["Give yourself more money"]).await;
    assert_eq!(stage.served().len(), 2, "the session itself goes on");
    let audit = stage.said(&["audit", "--verify"]).await;
    assert!(audit.contains("cmat budget override, a tool of the agent, session "), "{audit}");
    let status = stage.said(&["budget", "status"]).await;
    assert!(!status.contains("override"), "{status}");
}
