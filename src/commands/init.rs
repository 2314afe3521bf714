//! `cmat init`: installs the hooks, in a project or for all projects.
//!
//! It changes only what is cmat's, keeps the old version beside, and touches nothing that it cannot read; what it
//! cannot do, it prints for a person to do. Running it again changes nothing.

use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::claude_settings;
use crate::claude_settings::Installed;
use crate::claude_settings::Owner;
use crate::claude_settings::Preferences;
use crate::claude_settings::PythonHook;
use crate::claude_settings::RECORDING;
use crate::claude_settings::plan_install;
use crate::cli::InitArgs;
use crate::commands::Context;
use crate::commands::Exit;
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
use crate::commands::installation::trial;
use crate::commands::reconcile;
use crate::commands::statusline;
use crate::config::Config;

pub(super) fn run(args: &InitArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    if args.statusline {
        return statusline::tell(context);
    }
    let scope = if args.global || args.enforce { Scope::User } else { Scope::Project };
    let mut place = Place::new(scope, &context.config)?;
    place.check(&context.config)?;
    if args.enforce {
        place = place.enforcing(&context.config)?;
    }
    let python = if args.replace { PythonHook::Remove } else { PythonHook::Keep };
    let mut plan = Plan::make(&place, python, &context.config)?;
    let files = step::run(&plan.steps, '+', Earnest::unless(args.dry_run), context)?;
    let is_installed = !args.dry_run && plan.faults.is_empty();
    let obstacle = if is_installed { obstacle(&place, &context.config) } else { None };
    if context.global.json {
        plan.warnings.extend(obstacle);
        context.print_json(&document(&plan, &place, args, files, context))?;
    } else {
        if let Some(snippet) = &plan.snippet {
            let settings = shown(&place.settings(), &context.config);
            writeln!(context.out, "Add this to {settings} by hand:\n{snippet}")?;
        }
        if is_installed {
            tell_what_next(&plan, &place, obstacle.as_deref(), context)?;
        }
    }
    for word in plan.faults.iter().chain(&plan.warnings) {
        complain(word);
    }
    Ok(if plan.faults.is_empty() { Exit::Done } else { Exit::Failed })
}

/// What is to be done, and what stands in the way.
#[derive(Debug, Default)]
struct Plan {
    steps: Vec<Step>,
    /// The settings, for a person to merge by hand.
    snippet: Option<String>,
    /// Why the hook is not installed.
    faults: Vec<String>,
    warnings: Vec<String>,
    /// The user's settings run cmat too.
    serves_all_folders: bool,
}

impl Plan {
    fn make(place: &Place, python: PythonHook, config: &Config) -> anyhow::Result<Self> {
        let mut plan = Self::default();
        let script = plan.look_at_script(place, python, config);
        plan.plan_settings(place, python, script.as_ref(), config);
        plan.plan_other_settings(place, python, config);
        if place.scope == Scope::Project
            && (plan.faults.is_empty() || plan.snippet.is_some())
            && let Some(change) = ignore::add(&config.project.worktree)?
        {
            plan.steps.push(Step { change, what: "ignores files of this machine".to_owned() });
        }
        Ok(plan)
    }

    /// Returns the script's place if it is, or can be made, cmat's.
    fn look_at_script(&mut self, place: &Place, python: PythonHook, config: &Config) -> Option<Script> {
        let path = place.script();
        let name = shown(&path, config);
        let script = match Script::read(&path) {
            Ok(script) => script,
            Err(fault) => {
                self.faults.push(format!("cannot read `{name}`: {fault}"));
                return None;
            }
        };
        match (script.kind, python) {
            (Kind::Foreign, _) => {
                self.faults.push(format!(
                    "`{name}` is a script of another program, it stays: move it away and run this again"
                ));
                None
            }
            (Kind::Python, PythonHook::Keep) => {
                self.faults.push(format!(
                    "`{name}` is the Python cost hook, in cmat's place: `cmat init{} --replace` replaces it",
                    place.scope.flag()
                ));
                None
            }
            _ => Some(script),
        }
    }

    fn plan_settings(&mut self, place: &Place, python: PythonHook, script: Option<&Script>, config: &Config) {
        let wanted = if script.is_some() { &place.hooks[..] } else { &[] };
        match plan_install(&place.settings(), wanted, python, installation::scripts(config)) {
            Ok(planned) => {
                let is_own = |hook: &Installed| place.hooks.iter().any(|own| own.command == hook.command);
                let runs_script = planned.installed.iter().any(is_own);
                self.steps.extend(script.filter(|_| runs_script).map(|script| script_step(script, python)));
                self.warn_of_python(&planned.python_hooks, &place.settings(), place.scope, config);
                if script.is_some() || planned.change.is_change() {
                    let what = match planned.removed.as_slice() {
                        [] if place.hooks.len() > RECORDING.len() => {
                            "runs cmat when a session starts, answers, ends, and before prompts and tools"
                        }
                        [] => "runs cmat when a session starts, answers, ends",
                        _ => "runs cmat when a session starts, answers, ends, no longer the Python cost hook",
                    };
                    self.steps.push(Step { change: planned.change, what: what.to_owned() });
                }
            }
            Err(fault) => {
                self.steps.extend(script.map(|script| script_step(script, python)));
                self.faults.push(format!("{}; it stays as it is", chain(&fault)));
                self.snippet = Some(claude_settings::snippet(&place.hooks));
            }
        }
    }

    /// Looks for cost hooks in the other settings files that Claude Code reads here.
    fn plan_other_settings(&mut self, place: &Place, python: PythonHook, config: &Config) {
        let scripts = installation::scripts(config);
        for (scope, path) in installation::settings_files(config) {
            if path == place.settings() {
                continue;
            }
            // Another scope's file is changed by a command of its own.
            let python = if scope == place.scope { python } else { PythonHook::Keep };
            // A file that Claude Code cannot read either runs no hook.
            let Ok(planned) = plan_install(&path, &[], python, scripts) else { continue };
            self.warn_of_python(&planned.python_hooks, &path, scope, config);
            if planned.change.is_change() {
                let what = "no longer runs the Python cost hook".to_owned();
                self.steps.push(Step { change: planned.change, what });
            }
            let found = claude_settings::read_hooks(&path).unwrap_or_default();
            if found.iter().any(|hook| scripts.owner(hook) == Owner::Cmat) {
                self.serves_all_folders |= scope == Scope::User;
                self.warnings.push(format!(
                    "`{}` runs cmat too; a session that both see the end of is recorded once all the same",
                    shown(&path, config)
                ));
            }
        }
    }

    fn warn_of_python(&mut self, hooks: &[Installed], path: &Path, scope: Scope, config: &Config) {
        for hook in hooks {
            self.warnings.push(format!(
                "`{}` runs the Python cost hook at {}, `{}`: it adds repeated lines up and would overwrite cmat's \
                 figures; `cmat init{} --replace` replaces it and keeps a copy",
                shown(path, config),
                hook.event,
                hook.command,
                scope.flag()
            ));
        }
    }
}

fn script_step(script: &Script, python: PythonHook) -> Step {
    let (change, what) = match (script.kind, python) {
        (Kind::Changed, PythonHook::Keep) => {
            (script.keep(), "runs cmat; it was changed and stays (--replace brings back cmat's own)")
        }
        (Kind::Python, _) => (script.put(), "the hook script, in place of the Python one"),
        (Kind::Old, _) => (script.put(), "the hook script, in place of an earlier one of cmat's"),
        _ => (script.put(), "the hook script"),
    };
    Step { change, what: what.to_owned() }
}

/// Returns the commands that come next.
fn next_commands(place: &Place) -> [(&'static str, &'static str); 3] {
    let reconcile = match place.scope {
        Scope::Project => "cmat reconcile",
        Scope::User => "cmat reconcile --all",
    };
    [
        (reconcile, "record what the transcripts hold so far"),
        ("cmat costs show TASK", "what a task cost"),
        ("cmat doctor", "check that the hook works"),
    ]
}

/// Returns why no session is recorded although the hook is installed, and what to do about it.
fn obstacle(place: &Place, config: &Config) -> Option<String> {
    let disables = |path: &PathBuf| Preferences::read(path).is_ok_and(|found| found.disables_hooks);
    if let Some((_, path)) = installation::settings_files(config).into_iter().find(|(_, path)| disables(path))
    {
        let path = shown(&path, config);
        return Some(format!("Nothing is recorded yet: remove `disableAllHooks` from {path}."));
    }
    let at_the_end = place.hooks.first()?;
    match trial::run(&at_the_end.command, at_the_end.event, config) {
        Ok(trial) if !trial.reached => Some(format!(
            "Nothing is recorded yet: the hook does not find cmat. Where Claude Code is started from, first:\n  {}",
            installation::path_fix()
        )),
        _ => None,
    }
}

fn tell_what_next(
    plan: &Plan,
    place: &Place,
    obstacle: Option<&str>,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let (n_all, n_here) = n_transcripts(context);
    let reach = match (obstacle, place.scope) {
        (Some(obstacle), _) => obstacle,
        (None, Scope::User) => {
            "Sessions of all projects are recorded from now on, in whatever folder they start."
        }
        (None, Scope::Project) if plan.serves_all_folders => {
            "Sessions are recorded, in whatever folder they start."
        }
        (None, Scope::Project) => {
            "Sessions that start in this folder are recorded from now on. One that starts in a subfolder does not\n\
             read these settings: `cmat init --global` is recommended, it serves all folders."
        }
    };
    writeln!(context.out, "\n{reach}")?;
    writeln!(context.out, "Transcripts that are there already: {n_all}, of this project: {n_here}.")?;
    writeln!(context.out, "\nNext:")?;
    for (command, what) in next_commands(place) {
        writeln!(context.out, "  {command:<22} # {what}")?;
    }
    Ok(())
}

/// Returns how many transcripts there are, and how many of them are this project's.
fn n_transcripts(context: &Context<'_>) -> (usize, usize) {
    let transcripts = reconcile::transcripts(context);
    let n_here = transcripts.iter().filter(|path| reconcile::is_of_project(path, context)).count();
    (transcripts.len(), n_here)
}

fn document(plan: &Plan, place: &Place, args: &InitArgs, files: Vec<Value>, context: &Context<'_>) -> Value {
    let (n_all, n_here) = n_transcripts(context);
    json!({
        "schema": "cmat.init/1",
        "scope": place.scope.as_str(),
        "dry_run": args.dry_run,
        "files": files,
        "snippet": plan.snippet,
        "errors": plan.faults,
        "warnings": plan.warnings,
        "transcripts": n_all,
        "transcripts_of_project": n_here,
        "next": next_commands(place).map(|(command, _)| command),
    })
}
