//! Settings files: what a change would make of one, and making it.

use std::fs;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use crate::claude_settings::hooks;
use crate::claude_settings::hooks::Hook;
use crate::claude_settings::hooks::Installed;
use crate::claude_settings::hooks::MergeError;
use crate::claude_settings::hooks::Owner;
use crate::disk;
use crate::disk::replace;
use crate::disk::replace::Access;
use crate::disk::replace::ReplaceError;
use crate::disk::replace::Replaced;
use crate::json_edit::Document;

/// Largest script that is looked into, in bytes.
const MAX_SCRIPT_BYTES: u64 = 1 << 20;

/// Why a settings file was not changed; it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The settings file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not what Claude Code reads; a person has to add the hook, see [`crate::claude_settings::snippet`].
    #[error("cannot merge hooks into `{}`", path.display())]
    Merge {
        /// The settings file.
        path: PathBuf,
        /// What is wrong with it, and where.
        source: MergeError,
    },
    /// Somebody changed the file after it was read.
    #[error("`{}` was changed meanwhile, it was not written: run the command again", path.display())]
    Changed {
        /// The settings file.
        path: PathBuf,
    },
    /// The folder of the file cannot be made.
    #[error("cannot make the folder of `{}`", path.display())]
    Folder {
        /// The settings file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The new version, or the copy of the old one, cannot be written.
    #[error("cannot change the settings")]
    Write(#[from] ReplaceError),
}

/// What becomes of a Python CMAT's cost hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PythonHook {
    /// It stays, and [`Plan::python_hooks`] names it. If its script has the place of cmat's, no hook is added.
    Keep,
    /// It is removed.
    Remove,
}

/// Where the scripts are that hook commands name.
#[derive(Debug, Clone, Copy)]
pub struct HookScripts<'path> {
    /// What `$CLAUDE_PROJECT_DIR` and a relative path mean.
    pub project: &'path Path,
    /// What `$HOME` and `~` mean.
    pub home: &'path Path,
}

impl HookScripts<'_> {
    /// Tells whose a hook is, looking into the script that it runs.
    pub fn owner(&self, installed: &Installed) -> Owner {
        let scripts = words(&installed.command).into_iter().filter_map(|word| self.read(&word));
        let script = scripts.reduce(|all, next| all + "\n" + &next);
        installed.owner(script.as_deref())
    }

    fn read(&self, word: &str) -> Option<String> {
        let below = |root: &Path, prefix: &str| word.strip_prefix(prefix).map(|rest| root.join(rest));
        let path = below(self.project, "$CLAUDE_PROJECT_DIR/")
            .or_else(|| below(self.project, "${CLAUDE_PROJECT_DIR}/"))
            .or_else(|| below(self.home, "$HOME/"))
            .or_else(|| below(self.home, "${HOME}/"))
            .or_else(|| below(self.home, "~/"))
            .unwrap_or_else(|| self.project.join(word));
        let mut content = Vec::new();
        disk::open_regular(&path).ok()?.take(MAX_SCRIPT_BYTES).read_to_end(&mut content).ok()?;
        // A program such as `/bin/sh` is not a script; its bytes say nothing.
        String::from_utf8(content).ok()
    }
}

/// Returns the words of a shell command, quotes removed; enough for the commands that stand in settings.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for character in command.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, space) if space.is_whitespace() => words.push(String::new()),
            _ => words.iter_mut().last().expect("there is a first word").push(character),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What a change would make of a settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The settings file.
    pub path: PathBuf,
    /// What it holds; `None` if it does not exist.
    pub before: Option<String>,
    /// What it would hold.
    pub after: String,
    /// Hooks that would be removed.
    pub removed: Vec<Installed>,
    /// Hooks of the Python CMAT that would stay.
    pub python_hooks: Vec<Installed>,
}

impl Plan {
    /// Tells whether the file would change.
    pub fn is_change(&self) -> bool {
        self.before.as_deref().unwrap_or_default() != self.after
    }

    /// Changes the file, keeping a copy of the old version beside it, whose path is returned.
    ///
    /// The copy is one file, the version before cmat's last change.
    pub fn save(&self) -> Result<Option<PathBuf>, SettingsError> {
        match &self.before {
            _ if !self.is_change() => Ok(None),
            None => self.create().map(|()| None),
            Some(before) => self.replace(before).map(Some),
        }
    }

    fn create(&self) -> Result<(), SettingsError> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)
                .map_err(|source| SettingsError::Folder { path: self.path.clone(), source })?;
        }
        match replace::create_new(&self.path, self.after.as_bytes(), Access::Shared) {
            Err(ReplaceError::Exists { path }) => Err(SettingsError::Changed { path }),
            done => Ok(done?),
        }
    }

    fn replace(&self, before: &str) -> Result<PathBuf, SettingsError> {
        let mut copy = self.path.clone().into_os_string();
        copy.push(".cmat-backup");
        let copy = PathBuf::from(copy);
        replace::write(&copy, before.as_bytes(), Access::Private)?;
        let is_unchanged = || read_text(&self.path).is_ok_and(|text| text.as_deref() == Some(before));
        let content = |out: &mut dyn io::Write| out.write_all(self.after.as_bytes());
        match replace::replace_unless_changed(&self.path, content, is_unchanged)? {
            Replaced::Done => Ok(copy),
            Replaced::Changed => Err(SettingsError::Changed { path: self.path.clone() }),
        }
    }
}

/// Returns the hooks of a settings file; none if it does not exist.
pub fn read_hooks(path: &Path) -> Result<Vec<Installed>, SettingsError> {
    let Some(text) = read_text(path)? else { return Ok(Vec::new()) };
    merged(path, &text, hooks::installed)
}

/// Returns what a settings file would be with `wanted`, each unless cmat already has a hook at its event.
pub fn plan_install(
    path: &Path,
    wanted: &[Hook],
    python: PythonHook,
    scripts: HookScripts<'_>,
) -> Result<Plan, SettingsError> {
    let before = read_text(path)?;
    let text = before.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or("{}\n").to_owned();
    let found = merged(path, &text, hooks::installed)?;
    let of_python = |hook: &Installed| scripts.owner(hook) == Owner::PythonCmat;
    let python_found: Vec<_> = found.into_iter().filter(of_python).collect();
    let (mut after, removed, python_hooks) = match python {
        PythonHook::Keep => (text, Vec::new(), python_found),
        PythonHook::Remove => {
            (merged(path, &text, |text| hooks::without(text, of_python))?, python_found, Vec::new())
        }
    };
    for hook in wanted {
        let is_present = |found: &Installed| {
            found.event == hook.event
                && (found.command == hook.command || scripts.owner(found) == Owner::Cmat)
        };
        if !merged(path, &after, hooks::installed)?.iter().any(is_present) {
            after = merged(path, &after, |text| hooks::with(text, hook))?;
        }
    }
    Ok(Plan { path: path.to_path_buf(), before, after, removed, python_hooks })
}

/// Returns what a settings file would be without cmat's hooks.
pub fn plan_uninstall(path: &Path, scripts: HookScripts<'_>) -> Result<Plan, SettingsError> {
    let before = read_text(path)?;
    let text = before.clone().unwrap_or_default();
    let of_cmat = |hook: &Installed| scripts.owner(hook) == Owner::Cmat;
    let (after, removed) = if text.trim().is_empty() {
        (text, Vec::new())
    } else {
        let found = merged(path, &text, hooks::installed)?;
        (
            merged(path, &text, |text| hooks::without(text, of_cmat))?,
            found.into_iter().filter(of_cmat).collect(),
        )
    };
    Ok(Plan { path: path.to_path_buf(), before, after, removed, python_hooks: Vec::new() })
}

fn merged<T>(
    path: &Path,
    text: &str,
    merge: impl FnOnce(&Document) -> Result<T, MergeError>,
) -> Result<T, SettingsError> {
    Document::parse(text)
        .map_err(MergeError::from)
        .and_then(|document| merge(&document))
        .map_err(|source| SettingsError::Merge { path: path.to_path_buf(), source })
}

fn read_text(path: &Path) -> Result<Option<String>, SettingsError> {
    let mut text = String::new();
    match disk::open_regular(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SettingsError::Read { path: path.to_path_buf(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTHON_SCRIPT: &str = "#!/bin/bash\npython3 -m cmat costs extract \"$TASK_ID\"\n";
    const OUR_SCRIPT: &str = "#!/bin/sh\nexec cmat hook session-end \"$@\"\n";

    struct Project {
        folder: tempfile::TempDir,
    }

    impl Project {
        /// Makes a project with this script and these settings, where they are given.
        fn new(script: Option<&str>, settings: Option<&str>) -> Self {
            let project = Self { folder: tempfile::tempdir().unwrap() };
            fs::create_dir_all(project.folder.path().join(".claude/hooks")).unwrap();
            let put = |path: PathBuf, text: Option<&str>| {
                text.map(|text| replace::write(&path, text.as_bytes(), Access::Shared).unwrap())
            };
            put(project.folder.path().join(".claude/hooks/on-session-end-cost.sh"), script);
            put(project.settings(), settings);
            project
        }

        fn settings(&self) -> PathBuf {
            self.folder.path().join(".claude/settings.json")
        }

        fn scripts(&self) -> HookScripts<'_> {
            HookScripts { project: self.folder.path(), home: Path::new("/nonexistent") }
        }

        fn install(&self, python: PythonHook) -> Plan {
            plan_install(&self.settings(), &[Hook::of_project()], python, self.scripts()).unwrap()
        }

        fn text(&self) -> Option<String> {
            fs::read_to_string(self.settings()).ok()
        }
    }

    fn settings_with(command: &str) -> String {
        format!("{:#}", serde_json::json!({"hooks": {"SessionEnd": [{"hooks": [{"command": command}]}]}}))
    }

    #[test]
    fn installs_once_and_takes_out_what_it_installed() {
        let project = Project::new(Some(OUR_SCRIPT), None);
        assert_eq!(project.install(PythonHook::Keep).save().unwrap(), None);
        assert_eq!(project.text().unwrap(), format!("{}\n", hooks::snippet(&[Hook::of_project()])));
        assert!(!project.install(PythonHook::Keep).is_change());
        let plan = plan_uninstall(&project.settings(), project.scripts()).unwrap();
        assert_eq!(plan.removed.len(), 1);
        let copy = plan.save().unwrap().unwrap();
        assert_eq!(project.text().unwrap(), "{}\n");
        assert!(fs::read_to_string(copy).unwrap().contains("on-session-end-cost.sh"));
    }

    #[test]
    fn leaves_the_python_hook_unless_told_to_remove_it() {
        for command in [
            "python3 -m core costs extract",
            &Hook::of_project().command,
            ".claude/hooks/on-session-end-cost.sh",
        ] {
            let project = Project::new(Some(PYTHON_SCRIPT), Some(&settings_with(command)));
            let kept = project.install(PythonHook::Keep);
            assert_eq!(kept.python_hooks.len(), 1, "{command}");
            assert!(
                kept.after
                    .contains(command.trim_start_matches('"').trim_start_matches("$CLAUDE_PROJECT_DIR\""))
            );
            let replaced = project.install(PythonHook::Remove);
            assert_eq!((replaced.removed.len(), replaced.python_hooks.len()), (1, 0));
            assert_eq!(replaced.after, hooks::snippet(&[Hook::of_project()]));
        }
    }

    #[test]
    fn leaves_hooks_of_others_alone() {
        let project = Project::new(None, Some(&settings_with("notify-send bye")));
        assert_eq!(plan_uninstall(&project.settings(), project.scripts()).unwrap().removed, []);
        assert!(project.install(PythonHook::Remove).after.contains("notify-send bye"));
    }

    #[test]
    fn touches_nothing_that_it_cannot_parse() {
        let project = Project::new(None, Some("{\n  // a comment\n}"));
        let error =
            plan_install(&project.settings(), &[Hook::of_project()], PythonHook::Remove, project.scripts());
        assert_eq!(
            format!("{:#}", anyhow::Error::from(error.unwrap_err())),
            format!(
                "cannot merge hooks into `{}`: it is not JSON: \
                 line 2, column 3: expected a key in double quotes or `}}`, found `/`",
                project.settings().display()
            )
        );
        assert_eq!(project.text().unwrap(), "{\n  // a comment\n}");
    }

    #[test]
    fn does_not_overwrite_what_changed_since_the_plan() {
        let project = Project::new(None, Some("{}"));
        let plan = project.install(PythonHook::Keep);
        replace::write(&project.settings(), b"{\"a\": 1}", Access::Shared).unwrap();
        assert!(matches!(plan.save(), Err(SettingsError::Changed { .. })));
        assert_eq!(project.text().unwrap(), "{\"a\": 1}");
    }

    #[test]
    fn nothing_to_take_out_of_a_missing_file() {
        let project = Project::new(None, None);
        let plan = plan_uninstall(&project.settings(), project.scripts()).unwrap();
        assert_eq!(plan.after, "");
        plan.save().unwrap();
        assert_eq!(project.text(), None);
    }

    #[test]
    fn finds_scripts_behind_quotes_and_variables() {
        assert_eq!(words(r#"sh  "$HOME"/'a b'.sh x"#), ["sh", "$HOME/a b.sh", "x"]);
    }
}
