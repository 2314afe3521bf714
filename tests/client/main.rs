//! Runs the real Claude Code client, with cmat's hook installed, and compares what the tasks then carry with
//! what the API served.
//!
//! The client comes from npm, pinned by `npm/package-lock.json`; the API is a script on loopback ([`api`]). Each
//! scenario has its own home, project, ledger and API, and ends by itself. Nothing here reaches the network but
//! the one installation. Where npm or its registry cannot be reached, that is said at the end of the output and
//! no scenario runs; with `CI` or `CMAT_REQUIRE_CLIENT` in the environment it is a failure.
#![expect(clippy::print_stderr, reason = "what was skipped is said aloud")]
#![expect(clippy::unwrap_used, reason = "a test ends there")]
#![expect(clippy::disallowed_methods, reason = "a test reads its own environment and writes its own folders")]

mod api;
mod budgets;
mod conversation;
mod install;
mod kills;
mod privacy;
mod scenarios;
mod stage;
mod truth;
mod unlisted;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::Arguments;
use libtest_mimic::Completion;
use libtest_mimic::Failed;
use libtest_mimic::Trial;

use crate::install::Version;
use crate::install::Version::V2_1_197;
use crate::install::Version::V2_1_290;
use crate::install::Version::V2_1_330;
use crate::stage::Stage;

/// A scenario that takes longer hangs; the slowest takes a few seconds.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let trials = vec![
        trial("plain", V2_1_330, scenarios::plain),
        trial("global_hook", V2_1_330, scenarios::global_hook),
        trial("tool_use", V2_1_330, scenarios::tool_use),
        trial("slow_blocks", V2_1_330, scenarios::slow_blocks),
        trial("subagent", V2_1_330, scenarios::subagent),
        trial("background_subagent", V2_1_330, scenarios::background_subagent),
        trial("resume", V2_1_330, scenarios::resume),
        trial("resume_for_another_task", V2_1_330, scenarios::resume_for_another_task),
        trial("second_session", V2_1_330, scenarios::second_session),
        trial("parallel_sessions", V2_1_330, scenarios::parallel_sessions),
        trial("fork_2.1.330", V2_1_330, scenarios::fork),
        trial("fork_2.1.290", V2_1_290, scenarios::fork),
        trial("fork_2.1.197", V2_1_197, scenarios::fork),
        trial("blocked", V2_1_330, scenarios::blocked),
        trial("prompt_over_budget", V2_1_330, budgets::prompt_over_budget),
        trial("cheaper_model_goes_on", V2_1_330, budgets::cheaper_model_goes_on),
        trial("tool_over_budget", V2_1_330, budgets::tool_over_budget),
        trial("subagent_over_budget", V2_1_330, budgets::subagent_over_budget),
        trial("override_by_the_agent", V2_1_330, budgets::override_by_the_agent),
        trial("clear", V2_1_330, scenarios::clear),
        trial("nested", V2_1_330, scenarios::nested),
        trial("interrupted", V2_1_330, kills::interrupted),
        trial("terminated", V2_1_330, kills::terminated),
        trial("killed", V2_1_330, kills::killed),
        trial("killed_between_turns", V2_1_330, kills::killed_between_turns),
        trial("killed_when_all_was_written", V2_1_330, kills::killed_when_all_was_written),
        trial("killed_after_a_subagent", V2_1_330, kills::killed_after_a_subagent),
        trial("compacted", V2_1_330, unlisted::compacted),
        trial("searched", V2_1_330, unlisted::searched),
        trial("searched_by_the_tool", V2_1_330, unlisted::searched_by_the_tool),
        trial("side_question", V2_1_330, unlisted::side_question),
        trial("cut_at_once_and_retried", V2_1_330, unlisted::cut_at_once_and_retried),
        trial("cut_and_retried", V2_1_330, unlisted::cut_and_retried),
        trial("nothing_of_a_conversation", V2_1_330, privacy::nothing_of_a_conversation),
    ];
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    if conclusion.num_ignored > 0
        && let Some(why) = install::refusal()
    {
        eprintln!("SKIPPED: real-client tests: {why}");
        eprintln!(
            "SKIPPED: {} scenarios did not run; CMAT_REQUIRE_CLIENT=1 makes that a failure",
            conclusion.num_ignored
        );
    }
    conclusion.exit_code()
}

fn trial<F>(name: &str, version: Version, scenario: fn(Stage) -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::ignorable_test(name, move || match install::client(version) {
        Ok(client) => play(client, scenario).map(|()| Completion::Completed),
        Err(why) if install::is_required() => Err(why.into()),
        Err(_) => Ok(Completion::ignored_with("no client")),
    })
}

fn play<F: Future<Output = ()>>(client: PathBuf, scenario: fn(Stage) -> F) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let play = async { scenario(Stage::new(client).await).await };
        tokio::time::timeout(PATIENCE, play).await.map_err(|_| format!("no end after {PATIENCE:?}").into())
    })
}
