//! A disk that is full for a whole run: nothing can be written, to the ledger or anywhere. There is room again then.

use std::fs;
use std::process::Command;
use std::process::Output;

use crate::stage::Run;
use crate::stage::Stage;

/// What needs room. (A file may be told to be longer without any.)
const WRITES: &str = "write,pwrite64,pwritev,fallocate,mkdir";

/// The files of the ledger, from the root; none of them has room.
const LEDGER: [&str; 3] = ["cmat/ledger.db", "cmat/ledger.db-wal", "cmat/ledger.db-shm"];

/// Nothing in the files below `folders` can grow.
fn run_without_room(stage: &Stage, run: &Run, files: &[&str]) -> Output {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={WRITES}")]);
    for file in files {
        command.arg("-P").arg(stage.root.join(file));
    }
    command.args(["-e", &format!("inject={WRITES}:error=ENOSPC")]).arg(env!("CARGO_BIN_EXE_cmat"));
    stage.run_by(command, run)
}

/// A session was read, and another one of the same task ends.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.say("s1", 0..3);
    let before = stage.run(&stage.hook("session-end", "s1", "task_1"));
    assert!(before.status.success() && before.stderr.is_empty(), "{before:?}");
    stage.say("s2", 0..3);
    stage
}

fn cost(stage: &Stage) -> String {
    stage.stdout(["costs", "show", "task_1"])
}

/// The hook says nothing and keeps what it was told; a command says that the disk is full. Both are made good.
pub(crate) fn under_the_ledger() {
    let stage = stage();
    let queue = fs::read(stage.queue()).unwrap();
    let n_intents = stage.n_intents();
    let hook = run_without_room(&stage, &stage.hook("session-end", "s2", "task_1"), &LEDGER);
    assert!(hook.status.success() && hook.stdout.is_empty() && hook.stderr.is_empty(), "{hook:?}");
    assert_eq!(stage.n_intents(), n_intents + 1, "what the hook was told waits");
    assert_eq!(fs::read(stage.queue()).unwrap(), queue);
    let log = fs::read_to_string(stage.root.join("cmat/cmat.log")).unwrap();
    assert!(log.contains("no room for the ledger"), "{log}");
    let transcript = stage.transcript("s2").to_str().unwrap().to_owned();
    for command in [Run::of(["costs", "extract", "task_1", &transcript]), Run::of(["reconcile", "--all"])] {
        let output = run_without_room(&stage, &command, &LEDGER);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && words.contains("no room for the ledger"), "{output:?}");
        assert_eq!(fs::read(stage.queue()).unwrap(), queue);
    }
    // The next command that has room finishes it.
    assert!(cost(&stage).contains("600,006"), "{}", cost(&stage));
    assert!(fs::read_to_string(stage.queue()).unwrap().contains("\"600006\""));
    assert!(stage.ledger_faults().is_empty());
    let idle = stage.stdout(["reconcile", "--all"]);
    assert!(idle.ends_with("0 new requests; 0 hook runs finished, 0 tasks written\n"), "{idle}");
}

/// Where not even a note has room, the requests are found in the transcripts.
pub(crate) fn under_everything() {
    let stage = stage();
    let queue = fs::read(stage.queue()).unwrap();
    let hook = run_without_room(&stage, &stage.hook("session-end", "s2", "task_1"), &[]);
    assert!(hook.status.success() && hook.stdout.is_empty() && hook.stderr.is_empty(), "{hook:?}");
    assert_eq!(fs::read(stage.queue()).unwrap(), queue);
    let found = stage.stdout(["reconcile", "--all"]);
    assert!(found.contains("3 new requests"), "{found}");
    // Which task it was for, a person may say.
    stage.stdout(["task", "assign", "s2", "task_1"]);
    assert!(cost(&stage).contains("600,006"), "{}", cost(&stage));
    assert!(fs::read_to_string(stage.queue()).unwrap().contains("\"600006\""));
    assert!(stage.ledger_faults().is_empty());
}
