//! Two machines share a project, each with a ledger of its own; one is killed, and the other writes before it runs again.

use std::fs;

use serde_json::Value;

use crate::stage::Run;
use crate::stage::Stage;
use crate::trace;
use crate::trace::Call;
use crate::trace::Fault;
use crate::trace::Injection;

/// Calls on whose way a process is killed.
const CALLS: &str = "openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,flock,fcntl,statx,fstat,\
    newfstatat,stat,close,read";

/// How many of them by default; all with `CMAT_STORM=full`.
const N_QUICK: usize = 30;

/// Whether the queue had been replaced or not when the process was killed, what it spent counts once in the end.
pub(crate) fn kill_beside_another_machine() {
    let stage = Stage::new();
    let other = stage.other_machine();
    stage.say("s1", 0..1);
    done(&stage, &stage.hook("session-end", "s1", "task_1"));
    stage.say("s2", 0..2);
    other.say("s3", 0..4);
    stage.save();
    let run = stage.hook("session-end", "s2", "task_1");
    let (log, output) = stage.trace(&run, CALLS);
    assert!(output.status.success(), "{output:?}");
    let calls = trace::calls(&log);
    let injections = from_the_lock_on(&calls);
    let is_full = std::env::var_os("CMAT_STORM").is_some_and(|size| size == "full");
    let stride = if is_full { 1 } else { injections.len().div_ceil(N_QUICK) };
    let (mut n_before, mut n_after) = (0, 0);
    for injection in injections.iter().step_by(stride) {
        stage.restore();
        let (was_hit, _killed) = stage.disturb(&run, injection);
        if !was_hit {
            continue;
        }
        match shown(&stage).as_str() {
            "100000" => n_before += 1,
            "300001" => n_after += 1,
            other => panic!("{injection}: the queue shows {other}"),
        }
        done(&other, &other.hook("session-end", "s3", "task_1"));
        for _ in 0..2 {
            for machine in [&stage, &other] {
                let output = machine.run(&Run::of(["reconcile", "--all"]));
                assert!(output.status.success(), "{injection}: {output:?}");
            }
        }
        assert_eq!(shown(&stage), "700007", "{injection}");
        for machine in [&stage, &other] {
            let show: Value =
                serde_json::from_str(&machine.stdout(["costs", "show", "task_1", "--json"])).unwrap();
            assert_eq!(show["input_tokens"], 700_007, "{injection}: {show:#}");
        }
    }
    eprintln!("killed {n_before} times before the queue was replaced, {n_after} times after it");
    assert!(n_before > 0 && n_after > 0, "{n_before} before, {n_after} after");
}

/// Returns a kill at each call from the one that locks the queue on.
fn from_the_lock_on(calls: &[Call]) -> Vec<Injection> {
    let own: Vec<&Call> = calls.iter().filter(|call| call.thread == calls[0].thread).collect();
    let is_lock = |call: &&Call| call.name == "flock" && call.rest.contains("task_queue.json.lock");
    let locked = own.iter().position(is_lock).expect("the queue is locked");
    let ordinal = |n: usize| own[..=n].iter().filter(|call| call.name == own[n].name).count();
    let kill = |n: usize| Injection { call: own[n].name.clone(), ordinal: ordinal(n), fault: Fault::Kill };
    (locked..own.len()).map(kill).collect()
}

/// Returns the input tokens that the queue shows.
fn shown(stage: &Stage) -> String {
    let queue: Value = serde_json::from_slice(&fs::read(stage.queue()).unwrap()).unwrap();
    queue["tasks"][0]["metadata"]["cost_input_tokens"].as_str().unwrap_or("-").to_owned()
}

fn done(stage: &Stage, run: &Run) {
    let output = stage.run(run);
    assert!(output.status.success() && output.stderr.is_empty(), "{run:?}: {output:?}");
}
