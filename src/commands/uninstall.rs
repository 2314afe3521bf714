//! `cmat uninstall`: takes cmat's hook, script and ignore lines out again, and nothing else.
//!
//! Recorded costs stay. A script that somebody changed stays, and so does every hook of others.

use serde_json::json;

use crate::claude_settings::plan_uninstall;
use crate::cli::UninstallArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::budget::refuse_inside_claude_code;
use crate::commands::chain;
use crate::commands::complain;
use crate::commands::installation;
use crate::commands::installation::Place;
use crate::commands::installation::Scope;
use crate::commands::installation::ignore;
use crate::commands::installation::script::Kind;
use crate::commands::installation::script::Script;
use crate::commands::installation::shown;
use crate::commands::installation::step;
use crate::commands::installation::step::Earnest;
use crate::commands::installation::step::Step;
use crate::config::Config;
use crate::disk::change::copy_path;
use crate::ledger;

pub(super) fn run(args: &UninstallArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let scope = if args.global { Scope::User } else { Scope::Project };
    if scope == Scope::User && !args.dry_run && installation::holds_budgets(&context.config) {
        // An agent must not take out what stops it.
        refuse_inside_claude_code("cmat uninstall --global", context)?;
    }
    let place = Place::new(scope, &context.config)?;
    let plan = Plan::make(&place, &context.config)?;
    let files = step::run(&plan.steps, '-', Earnest::unless(args.dry_run), context)?;
    if !args.dry_run
        && plan.steps.iter().any(|step| step.change.path == place.script())
        && let Some(folder) = place.script().parent()
    {
        // With other hooks in it, it stays.
        let _not_empty = std::fs::remove_dir(folder);
    }
    let ledger = context.config.data_dir.join(ledger::FILE_NAME);
    if context.global.json {
        context.print_json(&json!({
            "schema": "cmat.uninstall/1",
            "scope": place.scope.as_str(),
            "dry_run": args.dry_run,
            "files": files,
            "errors": plan.faults,
            "warnings": plan.warnings,
            "ledger": ledger.exists().then_some(&ledger),
        }))?;
    } else if !args.dry_run {
        if plan.steps.is_empty() {
            writeln!(context.out, "{}", not_installed(scope, &context.config))?;
        }
        if ledger.exists() {
            writeln!(context.out, "\nRecorded costs stay, in {}", shown(&ledger, &context.config))?;
        }
    }
    for word in plan.faults.iter().chain(&plan.warnings) {
        complain(word);
    }
    Ok(if plan.faults.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Returns what is said where there is nothing to take out.
fn not_installed(scope: Scope, config: &Config) -> &'static str {
    let is_users = || {
        let place = Place::new(Scope::User, config).ok()?;
        let planned = plan_uninstall(&place.settings(), &place.hooks, installation::scripts(config)).ok()?;
        (!planned.removed.is_empty()).then_some(())
    };
    match scope {
        Scope::User => "cmat is not installed for all projects",
        Scope::Project if is_users().is_some() => {
            "cmat is not installed in this project, but for all projects: `cmat uninstall --global`"
        }
        Scope::Project => "cmat is not installed in this project",
    }
}

/// What is to be done, and what stands in the way.
#[derive(Debug, Default)]
struct Plan {
    steps: Vec<Step>,
    faults: Vec<String>,
    warnings: Vec<String>,
}

impl Plan {
    fn make(place: &Place, config: &Config) -> anyhow::Result<Self> {
        let mut plan = Self::default();
        for (scope, path) in installation::settings_files(config) {
            if scope != place.scope {
                continue;
            }
            match plan_uninstall(&path, &place.hooks, installation::scripts(config)) {
                Ok(planned) => {
                    plan.add(Step { change: planned.change, what: "no longer runs cmat".to_owned() });
                }
                Err(fault) => plan.faults.push(format!("{}; it stays as it is", chain(&fault))),
            }
        }
        plan.plan_script(place, config)?;
        if place.scope == Scope::Project
            && let Some(change) = ignore::remove(&config.project.worktree)?
        {
            plan.add(Step { change, what: "no longer ignores cmat's files".to_owned() });
        }
        Ok(plan)
    }

    fn plan_script(&mut self, place: &Place, config: &Config) -> anyhow::Result<()> {
        let path = place.script();
        let name = shown(&path, config);
        let script = Script::read(&path)
            .map_err(|fault| anyhow::Error::from(fault).context(format!("cannot read `{name}`")))?;
        match script.kind {
            // A hook that is still there would fail without its script, and say so at the end of each session.
            Kind::Current | Kind::Old if self.faults.is_empty() => {
                self.add(Step { change: script.remove(), what: "the hook script".to_owned() });
            }
            Kind::Changed => self.warnings.push(format!("`{name}` was changed by somebody and stays")),
            _ => {}
        }
        let old_script = copy_path(&path);
        if old_script.exists() {
            let old_script = shown(&old_script, config);
            self.warnings.push(format!("the script that stood there before cmat's is in `{old_script}`"));
        }
        Ok(())
    }

    fn add(&mut self, step: Step) {
        if step.is_change() {
            self.steps.push(step);
        }
    }
}
