//! The runs in which calls fail: what stands there before, and what runs.

use std::fs;

use crate::stage::Run;
use crate::stage::Stage;
use crate::stage::taken_apart;
use crate::trace::Fault;
use crate::trace::Injection;

/// A run that is disturbed.
pub(crate) struct Victim {
    pub(crate) name: &'static str,
    /// Prepares the stage and returns the run.
    pub(crate) prepare: fn(&Stage) -> Run,
}

/// All of them.
pub(crate) const ALL: &[Victim] = &[
    Victim { name: "the_first_hook", prepare: first_hook },
    Victim { name: "a_later_hook", prepare: later_hook },
    Victim { name: "a_session_start", prepare: session_start },
    Victim { name: "a_stop", prepare: stop },
    Victim { name: "costs_extract", prepare: extract },
    Victim { name: "reconcile", prepare: reconcile },
    Victim { name: "costs_show", prepare: show },
    Victim { name: "init", prepare: init },
    Victim { name: "models_set_default", prepare: set_default },
    Victim { name: "task_use", prepare: task_use },
];

fn done(stage: &Stage, run: &Run) {
    let output = stage.run(run);
    assert!(output.status.success() && output.stderr.is_empty(), "{run:?}: {output:?}");
}

/// The first hook of all: it makes the ledger.
fn first_hook(stage: &Stage) -> Run {
    stage.say("s1", 0..20);
    stage.hook("session-end", "s1", "task_1")
}

/// A session that was read before goes on, and another one's figures stand in the queue.
fn later_hook(stage: &Stage) -> Run {
    stage.say("s0", 0..3);
    done(stage, &stage.hook("session-end", "s0", "task_2"));
    stage.say("s1", 0..10);
    done(stage, &stage.hook("session-start", "s1", "task_1"));
    done(stage, &stage.hook("stop", "s1", "task_1"));
    stage.say("s1", 10..20);
    stage.hook("session-end", "s1", "task_1")
}

/// A session is bound to another task than before.
fn session_start(stage: &Stage) -> Run {
    stage.say("s1", 0..10);
    done(stage, &stage.hook("session-end", "s1", "task_1"));
    stage.hook("session-start", "s1", "task_2")
}

/// A session has answered; its task is known.
fn stop(stage: &Stage) -> Run {
    done(stage, &stage.hook("session-start", "s1", "task_1"));
    stage.say("s1", 0..10);
    stage.hook("stop", "s1", "task_1")
}

fn extract(stage: &Stage) -> Run {
    stage.say("s1", 0..10);
    Run::of(["costs", "extract", "task_1", stage.transcript("s1").to_str().unwrap()])
}

/// A hook was killed after its intent, another is booked and still there, a third session has no hook at all, and
/// another program has erased what the queue showed.
fn leave_work(stage: &Stage) {
    stage.say("s1", 0..10);
    stage.say("s2", 0..5);
    stage.say("s3", 0..2);
    done(stage, &stage.hook("session-end", "s1", "task_1"));
    let (without_costs, _) = taken_apart(&fs::read_to_string(stage.queue()).unwrap()).unwrap();
    fs::write(stage.queue(), serde_json::to_string_pretty(&without_costs).unwrap()).unwrap();
    let killed = stage.hook("session-end", "s2", "task_2");
    // The folder is synced when the intent in it has its name.
    let named = Injection { call: "fsync".to_owned(), ordinal: 2, fault: Fault::Kill };
    let n_intents = stage.n_intents();
    let (_, output) = stage.disturb(&killed, &named);
    assert!(!output.status.success() && stage.n_intents() == n_intents + 1, "{output:?}");
}

fn reconcile(stage: &Stage) -> Run {
    leave_work(stage);
    Run::of(["reconcile", "--all"])
}

fn show(stage: &Stage) -> Run {
    leave_work(stage);
    Run::of(["costs", "show", "task_2"])
}

fn init(stage: &Stage) -> Run {
    fs::write(stage.root.join("project/.claude/settings.json"), "{\"theirs\": 1}\n").unwrap();
    Run::of(["init"])
}

fn set_default(stage: &Stage) -> Run {
    let models = "{\"models\": [{\"pattern\": \"claude-mine-*\", \"name\": \"Mine\", \"input\": 1.10, \
        \"output\": 5, \"cache_write\": 2, \"cache_read\": 1}], \"default_model\": \"claude-haiku-4-5\"}\n";
    fs::write(stage.root.join("project/.claude/data/models.json"), models).unwrap();
    Run::of(["models", "set-default", "claude-opus-4-8"])
}

fn task_use(stage: &Stage) -> Run {
    fs::write(stage.root.join("project/.claude/cmat.task"), "task_2\n").unwrap();
    Run::of(["task", "use", "task_1"])
}
