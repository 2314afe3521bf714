//! Folders, environment, clock: the only reader of the process's surroundings.
//!
//! Everything else takes what it needs from a [`Config`] as an argument.

pub mod alerts;
pub mod budgets;
pub mod client;
mod file;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::Context as _;
use etcetera::BaseStrategy as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::attribution;
use crate::attribution::rules::Rulebook;
use crate::attribution::rules::Rules;
use crate::config::file::ConfigFile;
use crate::period::Calendar;
use crate::pricing::UnknownModel;
use crate::project;
use crate::project::Project;
use crate::report::Billing;

/// How long Claude Code lets a SessionEnd hook run unless it is told otherwise (client reference, section 2).
const CLIENT_LIMIT: Duration = Duration::from_millis(1500);

/// How much of what is no time zone is told, in characters.
const MAX_ZONE_CHARS: usize = 40;

/// Longest time that a hook is believed to be granted.
const LONGEST_LIMIT: Duration = Duration::from_secs(60 * 60);

/// A calendar whose zone is looked for when somebody asks: that reads the whole time zone database, which most hooks need
/// not wait for.
pub type LazyCalendar = Arc<LazyLock<Calendar, Box<dyn FnOnce() -> Calendar + Send>>>;

/// What the process was started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The ledger, the outbox and the log: `$CMAT_HOME`, else `cmat` in the platform's data folder.
    pub data_dir: PathBuf,
    /// The user's own settings and models.json: `cmat` in the platform's config folder.
    pub user_dir: PathBuf,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The present folder.
    pub cwd: PathBuf,
    /// The project at hand.
    pub project: Project,
    /// Folders in which Claude Code keeps `projects/` and its settings; the first one is written to.
    pub claude_folders: Vec<PathBuf>,
    /// What a hook is told by its environment.
    pub hook: HookEnvironment,
    /// What happens with models that no price row is for.
    pub unknown_model: UnknownModel,
    /// Whose days and weeks are meant: `CMAT_TZ`, else what is configured, else the machine's zone.
    pub calendar: LazyCalendar,
    /// What amounts are to the user.
    pub billing: Billing,
    /// Where programs are looked for: `PATH`.
    pub search_path: Vec<PathBuf>,
    /// The folders are those that a hook was installed with, whatever the environment says.
    pub has_fixed_folders: bool,
    /// Set inside Claude Code and its tools.
    pub inside_claude_code: bool,
    /// Whose records these are where `CMAT_USER` did not say so: `USER`, else `LOGNAME`, else the number of the account,
    /// such as `uid-1000`.
    pub user: String,
    /// `CMAT_NOW`: the time that a test fixes.
    pub fixed_now: Option<Timestamp>,
    /// Why configuration files were left out, each with its file.
    pub faults: Vec<String>,
}

/// What a hook is told by its environment.
#[derive(Debug, Clone, Default)]
pub struct HookEnvironment {
    /// `CMAT_CURRENT_TASK_ID`.
    pub task: Option<String>,
    /// `CMAT_SESSION_ID`, else `CLAUDE_CODE_SESSION_ID`.
    pub session: Option<String>,
    /// `CMAT_TRANSCRIPT_PATH`.
    pub transcript: Option<PathBuf>,
    /// `CMAT_ENHANCEMENT`.
    pub enhancement: Option<String>,
    /// `CMAT_AGENT`.
    pub agent: Option<String>,
    /// `CMAT_TAGS`, as `key=value` pairs between commas.
    pub tags: BTreeMap<String, String>,
    /// `CMAT_USER`.
    pub user: Option<String>,
    /// `CMAT_RUN`: the `cmat run` that it belongs to.
    pub run: Option<String>,
    /// `CMAT_PROJECT_DIR`, else `CLAUDE_PROJECT_DIR`.
    pub project_dir: Option<PathBuf>,
    /// `CLAUDE_CODE_SESSION_ATTENDED`: somebody sits before the client and can be asked.
    pub attended: bool,
    /// How long the hook may take: `CMAT_DEADLINE_MS`, else 0.7 of what the client grants: where two hundred
    /// hooks run at once on two cores, they end up to a fifth of a second after it.
    pub limit: Duration,
}

impl Config {
    /// Reads the surroundings; `project` is the folder that the command line names.
    ///
    /// A configuration file that cannot be understood is left out and told by [`Self::faults`]: what a repository says
    /// must not keep anybody from asking what was spent.
    ///
    /// # Errors
    /// If there is neither a home folder nor `CMAT_HOME`, or if `CMAT_TZ` is no time zone.
    pub fn read(project: Option<&Path>) -> anyhow::Result<Self> {
        let read = Self::without_file(project)?.with_files();
        match variable("CMAT_TZ").map(|name| time_zone(&name.to_string_lossy()).context("CMAT_TZ")) {
            Some(zone) => Ok(read.with_zone(zone?)),
            None => Ok(read),
        }
    }

    /// Reads the surroundings for a hook, which goes on whatever the files and `CMAT_TZ` say.
    ///
    /// # Errors
    /// If there is neither a home folder nor `CMAT_HOME`, or no present folder.
    pub fn for_hook() -> anyhow::Result<Self> {
        match Self::read(None) {
            Ok(config) => Ok(config),
            Err(_unusable) => Ok(Self::without_file(None)?.with_files()),
        }
    }

    /// Takes what the files say.
    fn with_files(self) -> Self {
        let (file, faults) = ConfigFile::in_force(&self.project.worktree, &self.user_dir);
        let (zone, week_start) = (file.zone(), file.week_start());
        let calendar = lazy(move || Calendar { zone: zone.unwrap_or_else(TimeZone::system), week_start });
        let faults = faults.iter().map(|fault| format!("{fault:#}")).collect();
        Self { unknown_model: file.unknown_model(), calendar, billing: file.billing(), faults, ..self }
    }

    /// Reads the surroundings without configuration files.
    ///
    /// # Errors
    /// If there is neither a home folder nor `CMAT_HOME`, or no present folder.
    pub fn without_file(project: Option<&Path>) -> anyhow::Result<Self> {
        let folders = etcetera::choose_base_strategy().ok();
        let home = folders.as_ref().map(|folders| folders.home_dir().to_owned());
        let data_dir = path_variable("CMAT_HOME")
            .or_else(|| folders.as_ref().map(|folders| folders.data_dir().join("cmat")))
            .context("there is no home folder to keep the ledger in: set CMAT_HOME to a folder")?;
        let user_dir =
            folders.as_ref().map_or_else(|| data_dir.clone(), |folders| folders.config_dir().join("cmat"));
        let cwd = std::env::current_dir()
            .or_else(|error| home.clone().ok_or(error))
            .context("there is no present folder")?;
        if let Some(project) = project {
            anyhow::ensure!(project.is_dir(), "there is no folder `{}`", project.display());
        }
        let hook = hook_environment(&cwd);
        let start =
            project.map(Path::to_owned).or_else(|| hook.project_dir.clone()).unwrap_or_else(|| cwd.clone());
        Ok(Self {
            project: project::find(&start, home.as_deref()),
            claude_folders: claude_folders(home.as_deref()),
            data_dir: std::path::absolute(data_dir)?,
            user_dir,
            home,
            cwd,
            hook,
            unknown_model: UnknownModel::Default,
            calendar: lazy(Calendar::default),
            billing: Billing::default(),
            search_path: variable("PATH")
                .map(|path| std::env::split_paths(&path).collect())
                .unwrap_or_default(),
            has_fixed_folders: false,
            faults: Vec::new(),
            inside_claude_code: variable("CLAUDECODE").is_some(),
            fixed_now: variable("CMAT_NOW").and_then(|text| text.to_str()?.parse().ok()),
            user: ["USER", "LOGNAME"]
                .iter()
                .find_map(|name| variable(name)?.into_string().ok())
                .unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw())),
        })
    }

    /// Returns the rules by which requests of each project are attributed: its own files say them, then the user's.
    ///
    /// A file that cannot be understood is told in the log, and the user's rules hold in its place.
    pub fn rulebook(&self) -> Rulebook {
        let (user_dir, user) = (self.user_dir.clone(), self.user.clone());
        let known: Mutex<HashMap<Option<PathBuf>, Rules>> = Mutex::default();
        Rulebook::new(move |project| {
            // Whoever panicked with it left it as it was.
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            let find = || rules(project, &user_dir, user.clone());
            known.entry(project.map(Path::to_owned)).or_insert_with(find).clone()
        })
    }

    /// Returns the configuration of a hook that was installed with these folders: what a project's settings put into
    /// the environment must not loosen a budget.
    pub fn fixed(self, data_dir: Option<PathBuf>, user_dir: Option<PathBuf>) -> Self {
        if data_dir.is_none() && user_dir.is_none() {
            return self;
        }
        let has_fixed_folders = data_dir.is_some() && user_dir.is_some();
        let project_dir = path_variable("CLAUDE_PROJECT_DIR").map(|folder| self.cwd.join(folder));
        let start = project_dir.clone().unwrap_or_else(|| self.cwd.clone());
        Self {
            project: project::find(&start, self.home.as_deref()),
            hook: HookEnvironment { project_dir, ..self.hook },
            data_dir: data_dir.unwrap_or(self.data_dir),
            user_dir: user_dir.unwrap_or(self.user_dir),
            has_fixed_folders,
            fixed_now: None,
            ..self
        }
    }

    /// Takes the days of `zone` for those that are meant.
    pub fn with_zone(self, zone: TimeZone) -> Self {
        let before = Arc::clone(&self.calendar);
        let calendar = lazy(move || Calendar { zone, week_start: before.week_start });
        Self { calendar, ..self }
    }

    /// Returns why the machine's zone is not known, where days are meant to be those of it: `TZ` names none.
    pub fn zone_fault(&self) -> Option<String> {
        let name = variable("TZ").filter(|_| self.calendar.zone.is_unknown())?;
        let unknown = UnknownZone(name.to_string_lossy().chars().take(MAX_ZONE_CHARS).collect());
        Some(format!("TZ: {unknown}; days are those of UTC"))
    }

    /// Returns who is at work: `CMAT_USER`, else the user.
    pub fn person(&self) -> &str {
        self.hook.user.as_deref().unwrap_or(&self.user)
    }

    /// Returns the present time in UTC; a test fixes it with `CMAT_NOW`.
    #[expect(clippy::disallowed_methods, reason = "this is the reader of the clock")]
    pub fn now(&self) -> Timestamp {
        self.fixed_now.unwrap_or_else(Timestamp::now)
    }
}

fn lazy(calendar: impl FnOnce() -> Calendar + Send + 'static) -> LazyCalendar {
    Arc::new(LazyLock::new(Box::new(calendar)))
}

/// No zone has that name.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no time zone: expected a name such as Europe/Berlin or UTC")]
pub struct UnknownZone(String);

/// Returns the time zone of that name in the time zone database.
///
/// # Errors
/// If there is none.
pub fn time_zone(name: &str) -> Result<TimeZone, UnknownZone> {
    TimeZone::get(name.trim()).map_err(|_| UnknownZone(name.chars().take(MAX_ZONE_CHARS).collect()))
}

/// Returns whether a person sees what is printed.
pub fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// When words are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coloured {
    /// On a terminal that shows colours, unless `NO_COLOR` is set; anywhere if `CLICOLOR_FORCE` is.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Returns whether words on stderr are coloured.
pub fn is_coloured(wish: Coloured) -> bool {
    let is_set = |name| variable(name).is_some_and(|value| value != "0");
    match wish {
        Coloured::Always => true,
        Coloured::Never => false,
        // <https://no-color.org>: whatever it is set to.
        Coloured::Auto if variable("NO_COLOR").is_some() => false,
        Coloured::Auto if is_set("CLICOLOR_FORCE") => true,
        Coloured::Auto => {
            std::io::stderr().is_terminal() && variable("TERM").is_some_and(|terminal| terminal != "dumb")
        }
    }
}

/// The program that shows what is longer than the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pager {
    /// A command for the shell: `PAGER`, else `less`.
    pub command: std::ffi::OsString,
    /// The user has set options of `less`.
    pub has_options: bool,
}

/// Returns the pager; `None` if `PAGER` says that there shall be none.
pub fn pager() -> Option<Pager> {
    #[expect(clippy::disallowed_methods, reason = "this is the reader of the environment")]
    let command = std::env::var_os("PAGER").unwrap_or_else(|| "less".into());
    let is_none = command.is_empty() || command == "cat";
    (!is_none).then(|| Pager { command, has_options: variable("LESS").is_some() })
}

/// Returns how many lines the terminal shows, if stdout is one.
pub fn height() -> Option<usize> {
    let size = terminal_size::terminal_size_of(std::io::stdout());
    size.map(|(_, height)| usize::from(height.0)).filter(|height| *height > 0)
}

/// Returns how many columns a line may take: those of the terminal, else what `COLUMNS` says.
pub fn width() -> Option<usize> {
    let of_terminal =
        terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    let said = || variable("COLUMNS")?.to_str()?.parse().ok();
    of_terminal.or_else(said).filter(|width| *width > 0)
}

/// Returns the name of this machine, in letters that a file name may have.
pub fn machine_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
    if plain.is_empty() { "machine".to_owned() } else { plain }
}

/// Returns the path of the running program.
pub fn current_program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

fn rules(project: Option<&Path>, user_dir: &Path, user: String) -> Rules {
    // Where no project is, there are no files of one either.
    let nowhere = user_dir.join("no project");
    let (file, faults) = ConfigFile::in_force(project.unwrap_or(&nowhere), user_dir);
    for fault in faults {
        tracing::warn!("{fault:#}");
    }
    let mut rules = file.rules().unwrap_or_default();
    rules.user = Some(user);
    rules
}

fn hook_environment(cwd: &Path) -> HookEnvironment {
    let text = |name: &str| variable(name)?.into_string().ok().filter(|text| !text.trim().is_empty());
    let milliseconds = |name: &str| {
        let limit = Duration::from_millis(text(name)?.trim().parse().ok()?);
        // What is added to an instant must not overflow.
        Some(limit.min(LONGEST_LIMIT))
    };
    let client_limit = milliseconds("CLAUDE_CODE_SESSIONEND_HOOKS_TIMEOUT_MS").unwrap_or(CLIENT_LIMIT);
    HookEnvironment {
        task: text("CMAT_CURRENT_TASK_ID"),
        session: text("CMAT_SESSION_ID").or_else(|| text("CLAUDE_CODE_SESSION_ID")),
        transcript: path_variable("CMAT_TRANSCRIPT_PATH"),
        enhancement: text("CMAT_ENHANCEMENT"),
        agent: text("CMAT_AGENT"),
        tags: text("CMAT_TAGS").map(|tags| parse_tags(&tags)).unwrap_or_default(),
        user: text("CMAT_USER"),
        run: text("CMAT_RUN"),
        // Whole: the run that finishes what this one leaves may stand elsewhere.
        project_dir: path_variable("CMAT_PROJECT_DIR")
            .or_else(|| path_variable("CLAUDE_PROJECT_DIR"))
            .map(|folder| cwd.join(folder)),
        attended: text("CLAUDE_CODE_SESSION_ATTENDED").is_some_and(|word| word == "1"),
        limit: milliseconds("CMAT_DEADLINE_MS").unwrap_or(client_limit * 7 / 10),
    }
}

fn parse_tags(tags: &str) -> BTreeMap<String, String> {
    tags.split(',')
        .filter_map(|tag| tag.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .filter(|(key, value)| attribution::is_tag_key(key) && !value.is_empty())
        .collect()
}

fn claude_folders(home: Option<&Path>) -> Vec<PathBuf> {
    let named = path_variable("CLAUDE_CONFIG_DIR");
    let usual = home.map(|home| [home.join(".claude"), home.join(".config/claude")]);
    let mut folders: Vec<PathBuf> = named.into_iter().chain(usual.into_iter().flatten()).collect();
    folders.dedup();
    folders
}

fn path_variable(name: &str) -> Option<PathBuf> {
    variable(name).map(PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "this is the reader of the environment")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tags_as_pairs() {
        let expected =
            BTreeMap::from([("chapter".to_owned(), "3".to_owned()), ("a".to_owned(), "b=c".to_owned())]);
        assert_eq!(parse_tags("chapter=3, a = b=c, nothing, =x, empty=, no key=1"), expected);
    }
}
