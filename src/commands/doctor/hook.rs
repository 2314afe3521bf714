//! Is the hook installed, does it run, and does nothing work against it.

use std::path::Path;
use std::path::PathBuf;

use crate::claude_settings;
use crate::claude_settings::Installed;
use crate::claude_settings::Owner;
use crate::claude_settings::Preferences;
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

/// The event at which costs are recorded.
const EVENT: &str = "SessionEnd";

/// The exit code of a shell that does not find a command.
const NOT_FOUND: i32 = 127;

/// The exit code of a shell that may not run a command.
const NOT_EXECUTABLE: i32 = 126;

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
    let mut commands: Vec<_> = settings.own.iter().map(|found| &found.hook.command).collect();
    commands.sort();
    commands.dedup();
    checks.extend(commands.into_iter().map(|command| runs(command, site)));
    checks.push(second_writer(&settings, site));
    checks.push(own_program(site));
    checks.push(client(site));
    checks
}

fn read_settings(site: &Site<'_>) -> Settings {
    let own: Vec<_> = [Scope::Project, Scope::User]
        .into_iter()
        .filter_map(|scope| Some(Place::new(scope, site.config).ok()?.hook))
        .collect();
    let scripts = installation::scripts(site.config);
    let mut settings = Settings::default();
    for (scope, path) in installation::settings_files(site.config) {
        let found = |hook: Installed| Found { scope, path: path.clone(), hook };
        match (plan_uninstall(&path, &own, scripts), claude_settings::read_hooks(&path)) {
            (Ok(plan), Ok(hooks)) => {
                settings.own.extend(plan.removed.into_iter().filter(|hook| hook.event == EVENT).map(found));
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
    if settings.own.is_empty() {
        let fix = match Place::new(Scope::Project, site.config) {
            Ok(_) => "cmat init",
            Err(_) => "cmat init --global",
        };
        return Check::failed(NAME, "no settings run cmat when a session ends", fix);
    }
    let mut places: Vec<_> = settings.own.iter().map(|found| site.shown(&found.path)).collect();
    places.dedup();
    let places = places.join(", ");
    let serves_all = settings.own.iter().any(|found| found.scope == Scope::User);
    let below = site.config.cwd.strip_prefix(&site.config.project.worktree).unwrap_or_else(|_| Path::new(""));
    if !serves_all && below != Path::new("") {
        let detail = format!("{places}, which sessions started here, in {}, do not read", below.display());
        return Check::attention(NAME, detail, "cmat init --global");
    }
    Check::good(NAME, places)
}

/// Runs an installed command for real and judges it by what it did.
fn runs(command: &str, site: &Site<'_>) -> Check {
    const NAME: &str = "hook runs";
    let failed = |detail: String, fix: &str| Check::failed(NAME, detail, fix);
    let init = match command.contains("$CLAUDE_PROJECT_DIR") {
        true => "cmat init",
        false => "cmat init --global",
    };
    let trial = match trial::run(command, site.config) {
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
        Some(Some(0)) if !stdout.is_empty() => {
            failed(format!("printed `{stdout}`: stdout must be empty"), init)
        }
        Some(Some(0)) => {
            Check::good(NAME, format!("{} → cmat, in {} ms", site_command(command), took.as_millis()))
        }
        Some(code) => {
            let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
            failed(format!("ended with {code}: {stderr}"), init)
        }
    }
}

/// Shortens a command to the name of its script.
fn site_command(command: &str) -> &str {
    command.rsplit('/').next().unwrap_or(command).trim_end_matches(['"', '\''])
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
