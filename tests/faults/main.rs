//! Faults of the system, one at each call: the disk says no, or the process dies there. What then stands on disk must
//! be old or new, never half, and one `cmat reconcile` must make it exact.
//!
//! Needs `strace`, which counts the calls and makes them fail ([`trace`]). Where there is none, that is said at the
//! end of the output and nothing runs; on Linux with `CI` in the environment it is a failure. By default a few calls
//! of each kind fail; `CMAT_STORM=full` lets each one fail in each way.
#![expect(clippy::print_stderr, reason = "what was tried, and what was skipped, is said aloud")]
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "a test reads its own switch and writes its own folders")]

mod full_disk;
mod injected;
mod machines;
mod order;
mod stage;
mod trace;
mod victims;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use libtest_mimic::Completion;
use libtest_mimic::Trial;

fn main() -> ExitCode {
    let mut trials: Vec<Trial> = victims::ALL
        .iter()
        .map(|victim| {
            trial(&format!("each_call_fails_in/{}", victim.name), || injected::each_call_fails(victim))
        })
        .collect();
    trials.push(trial("the_intent_is_safe_before_anything_else", order::intent_comes_first));
    trials.push(trial("no_hook_talks_to_a_network_or_starts_a_program", order::stays_at_home));
    trials
        .push(trial("an_alert_is_delivered_by_a_process_that_the_hook_leaves", order::leaves_alerts_behind));
    trials.push(trial("a_hook_syncs_at_most_eight_times", order::syncs_little));
    trials.push(trial("a_kill_beside_another_machine_counts_once", machines::kill_beside_another_machine));
    trials.push(trial("a_full_disk_under_the_ledger_loses_nothing", full_disk::under_the_ledger));
    trials.push(trial("a_full_disk_loses_no_request", full_disk::under_everything));
    trials.push(trial("nothing_happens_between_last_look_and_rename", order::looks_last));
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    if conclusion.num_ignored > 0 {
        eprintln!("SKIPPED: {} tests of faults: there is no `strace` here", conclusion.num_ignored);
    }
    conclusion.exit_code()
}

fn trial(name: &str, run: impl Fn() + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || {
        if trace::is_there() {
            run();
            return Ok(Completion::Completed);
        }
        if cfg!(target_os = "linux") && std::env::var_os("CI").is_some() {
            return Err("there is no `strace` here, and CI needs it".into());
        }
        Ok(Completion::ignored_with("no strace"))
    })
}
