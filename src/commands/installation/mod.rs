//! Where cmat is installed, and the files that this takes; what `init`, `uninstall` and `doctor` share.

pub(super) mod ignore;
pub(super) mod script;
pub(super) mod step;
pub(super) mod trial;

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::bail;

use crate::claude_settings;
use crate::claude_settings::Hook;
use crate::claude_settings::HookScripts;
use crate::claude_settings::Installed;
use crate::claude_settings::RECORDING;
use crate::config;
use crate::config::Config;
use crate::printable::Printable;

/// Name of a settings file in a `.claude` folder.
const SETTINGS: &str = "settings.json";

/// Whose sessions run cmat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those that are started in this project's folder.
    Project,
    /// All of this user's.
    User,
}

impl Scope {
    /// Returns the word for it in JSON.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::User => "user",
        }
    }

    /// Returns how the command is told.
    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::Project => "",
            Self::User => " --global",
        }
    }
}

/// Where the hooks are installed: a `.claude` folder.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Whose sessions it serves.
    pub(super) scope: Scope,
    /// The hooks that are installed there, the one at the end of a session first.
    pub(super) hooks: Vec<Hook>,
    folder: PathBuf,
}

impl Place {
    /// Returns the place of a scope.
    ///
    /// A session reads the settings of the folder that it was started in, so a project's are its worktree's.
    pub(super) fn new(scope: Scope, config: &Config) -> anyhow::Result<Self> {
        match scope {
            Scope::User => Self::of_user(config),
            Scope::Project => Self::of_project(config),
        }
    }

    fn of_project(config: &Config) -> anyhow::Result<Self> {
        let worktree = &config.project.worktree;
        let folder = worktree.join(".claude");
        let is_users = |claude: &PathBuf| {
            *claude == folder
                || claude.canonicalize().is_ok_and(|real| folder.canonicalize().is_ok_and(|own| own == real))
        };
        if config.claude_folders.iter().any(is_users) || config.home.as_ref() == Some(worktree) {
            bail!(
                "`{}` is not a project: its `.claude` holds your settings for all projects, use --global",
                worktree.display()
            );
        }
        Ok(Self { scope: Scope::Project, hooks: Hook::of_project(&RECORDING), folder })
    }

    fn of_user(config: &Config) -> anyhow::Result<Self> {
        let folder =
            config.claude_folders.first().context("there is no home folder: set CLAUDE_CONFIG_DIR")?;
        let folder = std::path::absolute(folder)?;
        let script = script::path(&folder);
        let script = script.to_str().with_context(|| format!("`{}` is not UTF-8", script.display()))?;
        Ok(Self { scope: Scope::User, hooks: Hook::of_user(script, &RECORDING), folder })
    }

    /// Adds the hooks that hold budgets.
    pub(super) fn enforcing(mut self, config: &Config) -> anyhow::Result<Self> {
        let program = config::current_program().context("the path of the running cmat is unknown")?;
        let words = [&program, &config.data_dir, &config.user_dir].map(|path| quoted(path));
        self.hooks.extend(Hook::enforcing(&words[0], &words[1], &words[2]));
        Ok(self)
    }

    /// Refuses a place in which no file can be made, or only one that nobody meant.
    pub(super) fn check(&self, config: &Config) -> anyhow::Result<()> {
        let script = self.script();
        let folders = [Some(self.folder.as_path()), script.parent()];
        for folder in folders.into_iter().flatten().filter(|folder| folder.is_symlink() || folder.exists()) {
            refuse_dangling(folder, config)?;
            if !folder.is_dir() {
                bail!("`{}` is no folder: move it away; nothing was changed", shown(folder, config));
            }
        }
        for file in [&self.settings(), &script] {
            refuse_dangling(file, config)?;
            if file.is_dir() {
                bail!("`{}` is a folder: move it away; nothing was changed", shown(file, config));
            }
        }
        Ok(())
    }

    /// Returns the settings file that names the hooks.
    pub(super) fn settings(&self) -> PathBuf {
        self.folder.join(SETTINGS)
    }

    /// Returns the script that the hooks run.
    pub(super) fn script(&self) -> PathBuf {
        script::path(&self.folder)
    }
}

/// Refuses a link to what is not there: it is somebody's, and nobody knows what was meant to be there.
fn refuse_dangling(path: &Path, config: &Config) -> anyhow::Result<()> {
    match path.read_link() {
        Ok(target) if !path.exists() => bail!(
            "`{}` is a link to `{}`, which is not there: make that, or remove the link; nothing was changed",
            shown(path, config),
            Printable(&target.to_string_lossy())
        ),
        _ => Ok(()),
    }
}

/// Returns whether hooks that hold budgets are installed for all projects.
pub(super) fn holds_budgets(config: &Config) -> bool {
    let users = settings_files(config).into_iter().filter(|(scope, _)| *scope == Scope::User);
    let hooks = users.flat_map(|(_, path)| claude_settings::read_hooks(&path).unwrap_or_default());
    hooks.into_iter().any(|hook| hook.holds_budgets())
}

/// Returns the hooks that ask the budgets before prompts and tools of sessions in this project; `None` where one of the
/// two is missing, and nothing stops.
pub(super) fn enforcing_hooks(config: &Config) -> Option<[Installed; 2]> {
    let files = settings_files(config).into_iter();
    let hooks: Vec<Installed> =
        files.flat_map(|(_, path)| claude_settings::read_hooks(&path).unwrap_or_default()).collect();
    let at = |event: &str| hooks.iter().find(|hook| hook.event == event && hook.holds_budgets()).cloned();
    Some([at("UserPromptSubmit")?, at("PreToolUse")?])
}

/// Returns what paths in hook commands mean.
pub(super) fn scripts(config: &Config) -> HookScripts<'_> {
    HookScripts {
        project: &config.project.worktree,
        home: config.home.as_deref().unwrap_or_else(|| Path::new("/")),
    }
}

/// Returns the settings files that Claude Code reads in this project, each with the scope that it belongs to.
pub(super) fn settings_files(config: &Config) -> Vec<(Scope, PathBuf)> {
    let project = config.project.worktree.join(".claude");
    let user = config.claude_folders.first().map(|folder| (Scope::User, folder.join(SETTINGS)));
    let mut files =
        vec![(Scope::Project, project.join(SETTINGS)), (Scope::Project, project.join("settings.local.json"))];
    files.retain(|(_, path)| user.as_ref().is_none_or(|(_, user)| user != path));
    files.extend(user);
    files
}

/// Returns a path as people write it: below the project, below `~`, or whole.
pub(super) fn shown(path: &Path, config: &Config) -> String {
    let text = match (path.strip_prefix(&config.project.worktree), &config.home) {
        (Ok(below), _) if below != Path::new("") => below.display().to_string(),
        (_, Some(home)) => match path.strip_prefix(home) {
            Ok(below) => format!("~/{}", below.display()),
            Err(_) => path.display().to_string(),
        },
        _ => path.display().to_string(),
    };
    Printable(&text).to_string()
}

/// Returns the command that lets the hook's script find this program.
pub(super) fn path_fix() -> String {
    match config::current_program().and_then(|own| own.parent().map(quoted)) {
        Some(folder) => format!("export PATH={folder}:$PATH"),
        None => "cargo install cmat".to_owned(),
    }
}

/// Returns a path as one word of a shell command.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@%,:=".contains(c);
    match text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}
