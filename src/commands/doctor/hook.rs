//! Is the hook installed, does it run, and does nothing work against it.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crate::claude_settings;
use crate::claude_settings::Installed;
use crate::claude_settings::Owner;
use crate::claude_settings::Preferences;
use crate::claude_settings::RECORDING;
use crate::claude_settings::plan_uninstall;
use crate::commands::chain;
use crate::commands::doctor::Check;
use crate::commands::doctor::Site;
use crate::commands::installation;
use crate::commands::installation::Place;
use crate::commands::installation::Scope;
use crate::commands::installation::path_fix;
use crate::commands::installation::script::is_executable;
use crate::commands::installation::trial;
use crate::commands::installation::trial::Trial;
use crate::config;

/// The check whether the hooks run.
const RUNS: &str = "hook runs";

/// What cmat's script is called, wherever it is.
const SCRIPT_NAME: &str = "on-session-end-cost.sh";

/// The exit code of a shell that does not find a command.
const NOT_FOUND: i32 = 127;

/// The exit code of a shell that may not run a command.
const NOT_EXECUTABLE: i32 = 126;

/// How much of what a hook printed is shown.
const MAX_SHOWN_CHARS: usize = 200;

/// A hook and where it stands.
struct Found {
    scope: Scope,
    path: PathBuf,
    hook: Installed,
}

/// What the settings files hold.
#[derive(Default)]
struct Settings {
    own: Vec<Found>,
    python: Vec<Found>,
    faults: Vec<String>,
    disabled_by: Option<PathBuf>,
}

pub(super) fn checks(site: &Site<'_>) -> Vec<Check> {
    let settings = read_settings(site);
    let mut checks = vec![readable(&settings, site), installed(&settings, site)];
    let mut scripts: Vec<_> = settings.own.iter().map(|found| script_of(&found.hook.command)).collect();
    scripts.sort_unstable();
    scripts.dedup();
    checks.extend(scripts.into_iter().map(|script| runs(script, &settings, site)));
    checks.push(second_writer(&settings, site));
    checks.push(own_program(site));
    checks.push(client(site));
    checks
}

fn read_settings(site: &Site<'_>) -> Settings {
    let own: Vec<_> = [Scope::Project, Scope::User]
        .into_iter()
        .filter_map(|scope| Some(Place::new(scope, site.config).ok()?.hooks))
        .flatten()
        .collect();
    let scripts = installation::scripts(site.config);
    let mut settings = Settings::default();
    for (scope, path) in installation::settings_files(site.config) {
        let found = |hook: Installed| Found { scope, path: path.clone(), hook };
        match (plan_uninstall(&path, &own, scripts), claude_settings::read_hooks(&path)) {
            (Ok(plan), Ok(hooks)) => {
                settings.own.extend(plan.removed.into_iter().map(found));
                let of_python = |hook: &Installed| scripts.owner(hook) == Owner::PythonCmat;
                settings.python.extend(hooks.into_iter().filter(of_python).map(found));
            }
            (Err(fault), _) | (_, Err(fault)) => settings.faults.push(chain(&fault)),
        }
        if Preferences::read(&path).is_ok_and(|preferences| preferences.disables_hooks) {
            settings.disabled_by = Some(path);
        }
    }
    settings
}

fn readable(settings: &Settings, site: &Site<'_>) -> Check {
    const NAME: &str = "settings";
    match (settings.faults.first(), &settings.disabled_by) {
        (Some(fault), _) => {
            Check::failed(NAME, fault, "mend the file there: Claude Code cannot read it either")
        }
        (None, Some(path)) => {
            let path = site.shown(path);
            Check::failed(NAME, format!("`disableAllHooks` in {path}"), format!("remove it from {path}"))
        }
        (None, None) => Check::good(NAME, "readable, hooks are not disabled"),
    }
}

fn installed(settings: &Settings, site: &Site<'_>) -> Check {
    const NAME: &str = "hook installed";
    let Some(at_the_end) = settings.own.iter().find(|found| found.hook.event == RECORDING[0].name) else {
        let fix = match Place::new(Scope::Project, site.config) {
            Ok(_) => "cmat init",
            Err(_) => "cmat init --global",
        };
        return Check::failed(NAME, "no settings run cmat when a session ends", fix);
    };
    let mut places: Vec<_> = settings.own.iter().map(|found| site.shown(&found.path)).collect();
    places.dedup();
    let places = places.join(", ");
    let serves_all = settings.own.iter().any(|found| found.scope == Scope::User);
    let below = site.config.cwd.strip_prefix(&site.config.project.worktree).unwrap_or_else(|_| Path::new(""));
    if !serves_all && below != Path::new("") {
        let detail = format!("{places}, which sessions started here, in {}, do not read", below.display());
        return Check::attention(NAME, detail, "cmat init --global");
    }
    let is_missing = |event: &&str| !settings.own.iter().any(|found| found.hook.event == *event);
    let missing: Vec<_> = RECORDING.iter().map(|event| event.name).filter(is_missing).collect();
    if !missing.is_empty() {
        let detail = format!("{places}, but not at {}", missing.join(", "));
        return Check::attention(NAME, detail, format!("cmat init{}", at_the_end.scope.flag()));
    }
    Check::good(NAME, places)
}

/// Runs the installed commands of a script for real and judges it by what they did, the first fault first.
fn runs(script: &str, settings: &Settings, site: &Site<'_>) -> Check {
    let mut hooks: Vec<&Installed> = Vec::new();
    for Found { hook, .. } in &settings.own {
        if script_of(&hook.command) == script && !hooks.contains(&hook) {
            hooks.push(hook);
        }
    }
    let mut slowest = Duration::ZERO;
    for hook in &hooks {
        match runs_at(hook, site) {
            Ok(took) => slowest = slowest.max(took),
            Err(fault) => return fault,
        }
    }
    let name = script.rsplit('/').next().unwrap_or(script);
    let events = if hooks.len() > 1 { format!(", at {} events", hooks.len()) } else { String::new() };
    Check::good(RUNS, format!("{name} → cmat, in {} ms{events}", slowest.as_millis()))
}

/// Runs an installed command, and returns how long it took, or what is wrong with it.
fn runs_at(hook: &Installed, site: &Site<'_>) -> Result<Duration, Check> {
    let Installed { event, command } = hook;
    let failed = |detail: String, fix: &str| Err(Check::failed(RUNS, detail, fix));
    let init = match command.contains("$CLAUDE_PROJECT_DIR") {
        true => "cmat init",
        false => "cmat init --global",
    };
    let trial = match trial::run(command, event, site.config) {
        Ok(trial) => trial,
        Err(fault) => return failed(format!("could not be tried: {fault}"), "cmat doctor, again"),
    };
    let Trial { took, status, stdout, stderr, reached } = trial;
    match status.map(|status| status.code()) {
        None => failed("did not end within 10 s".to_owned(), init),
        Some(Some(NOT_FOUND)) => failed(format!("not found: {command}"), init),
        Some(Some(NOT_EXECUTABLE)) => failed(format!("not executable: {command}"), init),
        Some(Some(0)) if !reached => failed(
            "ended without reaching cmat: its script does not find the program".to_owned(),
            &path_fix(),
        ),
        Some(Some(0)) if !(stdout.is_empty() || speaks(event) && is_object(&stdout)) => {
            let shown: String = stdout.chars().take(MAX_SHOWN_CHARS).collect();
            let expected = if speaks(event) { "expected one JSON object" } else { "stdout must be empty" };
            failed(format!("printed `{shown}`: {expected}"), init)
        }
        Some(Some(0)) => Ok(took),
        Some(code) => {
            let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
            failed(format!("ended with {code}: {stderr}"), init)
        }
    }
}

/// Returns whether budgets may say something at an event.
fn speaks(event: &str) -> bool {
    matches!(event, "SessionStart" | "UserPromptSubmit" | "PreToolUse")
}

fn is_object(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object())
}

/// Returns a command up to the name of cmat's script, if it runs that: what follows is the event.
fn script_of(command: &str) -> &str {
    match command.find(SCRIPT_NAME) {
        Some(at) => &command[..at + SCRIPT_NAME.len()],
        None => command,
    }
}

fn second_writer(settings: &Settings, site: &Site<'_>) -> Check {
    const NAME: &str = "second cost writer";
    match settings.python.first() {
        None => Check::good(NAME, "none"),
        Some(Found { scope, path, hook }) => Check::failed(
            NAME,
            format!("{}: {} → {}", site.shown(path), hook.event, hook.command),
            format!("cmat init{} --replace", scope.flag()),
        ),
    }
}

fn own_program(site: &Site<'_>) -> Check {
    const NAME: &str = "cmat on PATH";
    let cargo = site.config.home.iter().map(|home| home.join(".cargo/bin"));
    let places = site.config.search_path.iter().cloned().chain(cargo);
    let found = places.map(|folder| folder.join("cmat")).find(|path| is_executable(path));
    match found {
        None => Check::attention(NAME, "not found", path_fix()),
        Some(found) => {
            let is_this = config::current_program().is_none_or(|own| {
                found.canonicalize().is_ok_and(|found| own.canonicalize().is_ok_and(|own| own == found))
            });
            match is_this {
                true => Check::good(NAME, site.shown(&found)),
                false => Check::attention(
                    NAME,
                    format!("{} is another cmat than this", site.shown(&found)),
                    path_fix(),
                ),
            }
        }
    }
}

fn client(site: &Site<'_>) -> Check {
    const NAME: &str = "Claude Code";
    let found =
        site.config.search_path.iter().map(|folder| folder.join("claude")).find(|path| is_executable(path));
    match found {
        Some(found) => Check::good(NAME, site.shown(&found)),
        None => Check::attention(NAME, "`claude` is not on PATH", "npm install -g @anthropic-ai/claude-code"),
    }
}
