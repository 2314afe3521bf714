//! Each call of a run fails once, in each way, and the promises hold all the same.

use std::collections::BTreeMap;
use std::process::Output;

use anyhow::bail;
use anyhow::ensure;

use crate::stage::Run;
use crate::stage::Seen;
use crate::stage::Stage;
use crate::stage::taken_apart;
use crate::trace;
use crate::trace::Fault;
use crate::trace::Injection;
use crate::victims::Victim;

/// What can fail: opening, writing, syncing, naming, removing, locking, reading.
const CALLS: &str = "open,openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,\
    unlink,unlinkat,mkdir,fchmod,flock,read,pread64,getdents64,fcntl";

/// Calls that leave the disk as it is: a kill there is one at the next call that changes it.
const READING: [&str; 4] = ["read", "pread64", "getdents64", "fcntl"];

/// Calls that fail by default; with `CMAT_STORM=full` all of [`CALLS`] do.
const QUICK: [&str; 10] = [
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "fsync",
    "fdatasync",
    "renameat",
    "renameat2",
    "unlink",
    "mkdir",
];

/// How many calls of one name fail by default.
const N_QUICK: usize = 4;

/// What came of the faults of one victim.
#[derive(Debug, Default)]
struct Tally {
    n_cases: usize,
    n_hit: usize,
    /// The process died, or the disk failed, before the intent was safe: only running again could help.
    n_run_again: usize,
    /// The price table could not be read: only `cmat reprice` makes the estimate exact.
    n_repriced: usize,
}

/// Lets each call of the victim fail, one after the other, each time from the same beginning.
pub(crate) fn each_call_fails(victim: &Victim) {
    let stage = Stage::new();
    let run = (victim.prepare)(&stage);
    stage.save();
    let before = std::fs::read_to_string(stage.queue()).unwrap();
    let (log, output) = stage.trace(&run, CALLS);
    assert!(output.status.success(), "{output:?}");
    let ordinals = trace::ordinals(&trace::calls(&log), &stage.root);
    stage.stdout(["reconcile", "--all"]);
    let goal = stage.seen();

    let is_full = std::env::var_os("CMAT_STORM").is_some_and(|size| size == "full");
    let injections = if is_full { all(&ordinals) } else { some(&ordinals) };
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    for injection in injections {
        stage.restore();
        let (was_hit, output) = stage.disturb(&run, &injection);
        tally.n_cases += 1;
        tally.n_hit += usize::from(was_hit);
        let case = Case { stage: &stage, run: &run, injection: &injection, before: &before, goal: &goal };
        if let Err(fault) = case.check(&output, &mut tally) {
            broken.push(format!("{injection}: {fault:#}: {output:?}"));
        }
    }
    eprintln!("{}: {tally:?}", victim.name);
    assert!(broken.is_empty(), "\n{}", broken.join("\n\n"));
    assert!(tally.n_hit * 100 >= tally.n_cases * 95, "{}: {tally:?}", victim.name);
}

/// Returns each call in each way that makes a difference.
fn all(ordinals: &BTreeMap<String, Vec<usize>>) -> Vec<Injection> {
    let mut injections = Vec::new();
    for (call, ordinals) in ordinals {
        let is_reading = READING.contains(&call.as_str());
        let faults: &[Fault] = if is_reading { &[Fault::InputOutput] } else { &Fault::ALL };
        for &ordinal in ordinals {
            injections.extend(faults.iter().map(|&fault| Injection { call: call.clone(), ordinal, fault }));
        }
    }
    injections
}

/// Returns a few calls of each name, spread over the run, the ways taking turns.
fn some(ordinals: &BTreeMap<String, Vec<usize>>) -> Vec<Injection> {
    let mut injections = Vec::new();
    for (call, ordinals) in ordinals.iter().filter(|(call, _)| QUICK.contains(&call.as_str())) {
        let stride = ordinals.len().div_ceil(N_QUICK);
        for &ordinal in ordinals.iter().step_by(stride) {
            let fault = Fault::ALL[injections.len() % Fault::ALL.len()];
            injections.push(Injection { call: call.clone(), ordinal, fault });
        }
    }
    injections
}

/// One fault, and what it is judged by.
struct Case<'a> {
    stage: &'a Stage,
    run: &'a Run,
    injection: &'a Injection,
    /// The queue before the run.
    before: &'a str,
    goal: &'a Seen,
}

impl Case<'_> {
    fn check(&self, output: &Output, tally: &mut Tally) -> anyhow::Result<()> {
        self.check_ending(output)?;
        self.check_queue()?;
        let had_intent = self.stage.has_intent();
        self.reconcile()?;
        self.check_queue()?;
        let mut seen = self.stage.seen();
        if seen != *self.goal && !had_intent && !output.status.success() {
            // Nothing is promised before the intent is safe, nor by a command that says it failed, but that the
            // same run then does it.
            tally.n_run_again += 1;
            let again = self.stage.run(self.run);
            ensure!(again.status.success(), "run again: {again:?}");
            self.reconcile()?;
            seen = self.stage.seen();
        }
        if seen.is_estimated() {
            // A price table that cannot be read: the built-in prices hold, say that they are not sure, and stay.
            tally.n_repriced += 1;
            let again = self.stage.run(&Run::of(["reprice"]));
            ensure!(again.status.success() && again.stderr.is_empty(), "reprice: {again:?}");
            self.reconcile()?;
            seen = self.stage.seen();
        }
        if let Some(difference) = seen.difference(self.goal) {
            bail!("{difference}");
        }
        let idle = self.reconcile()?;
        ensure!(idle.ends_with("0 new requests; 0 hook runs finished, 0 tasks written\n"), "{idle}");
        let faults = self.stage.ledger_faults();
        ensure!(faults.is_empty(), "{faults:?}");
        Ok(())
    }

    fn reconcile(&self) -> anyhow::Result<String> {
        let output = self.stage.run(&Run::of(["reconcile", "--all"]));
        ensure!(output.status.success() && output.stderr.is_empty(), "reconcile: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// A hook ends well and silently; a command that fails says so, and neither panics.
    fn check_ending(&self, output: &Output) -> anyhow::Result<()> {
        if self.injection.fault == Fault::Kill && !output.status.success() {
            return Ok(());
        }
        let code = output.status.code();
        if self.run.is_hook() {
            ensure!(
                code == Some(0) && output.stdout.is_empty() && output.stderr.is_empty(),
                "the hook's end"
            );
        } else {
            ensure!([Some(0), Some(1), Some(4)].contains(&code), "exit code {code:?}");
            let words = String::from_utf8_lossy(&output.stderr);
            ensure!(!words.contains("panicked"), "{words}");
            ensure!(code == Some(0) || !words.is_empty(), "it failed without a word");
        }
        Ok(())
    }

    /// The queue is whole, others' bytes are as they were, and the costs of each task are the old or the new ones.
    fn check_queue(&self) -> anyhow::Result<()> {
        let queue = std::fs::read_to_string(self.stage.queue())?;
        if queue == self.before || queue == self.goal.queue() {
            return Ok(());
        }
        let (others, found) = taken_apart(&queue)?;
        let (others_before, before) = taken_apart(self.before)?;
        let (_, goal) = taken_apart(self.goal.queue())?;
        ensure!(others == others_before, "what others wrote: {others}");
        for ((found, before), goal) in found.iter().zip(&before).zip(&goal) {
            ensure!(found == before || found == goal, "{found} is neither {before} nor {goal}");
        }
        Ok(())
    }
}
