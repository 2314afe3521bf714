//! Settings files: which hooks they have, and what a change would make of one.

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
use crate::disk::change::Change;
use crate::disk::change::OldVersion;
use crate::disk::change::copy_path;
use crate::disk::change::read_text;
use crate::disk::replace::Access;
use crate::json_edit::Document;

/// Settings that set nothing, in the layout of a new file.
const EMPTY: &str = "{}\n";

/// Largest script that is looked into, in bytes.
const MAX_SCRIPT_BYTES: u64 = 1 << 20;

/// Why hooks were not found in a settings file, or not merged into it; it is as it was.
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
        installed.owner(self.script(installed).as_deref())
    }

    /// Returns the text of the scripts that a hook runs, as far as they can be read.
    fn script(&self, installed: &Installed) -> Option<String> {
        let scripts = words(&installed.command).into_iter().filter_map(|word| self.read(&word));
        scripts.reduce(|all, next| all + "\n" + &next)
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
    /// The file, and what becomes of it.
    pub change: Change,
    /// cmat's hooks that it would hold; those wanted run cmat once their script is there.
    pub installed: Vec<Installed>,
    /// Hooks that would be removed.
    pub removed: Vec<Installed>,
    /// Hooks of the Python CMAT that would stay.
    pub python_hooks: Vec<Installed>,
}

/// Returns the hooks of a settings file; none if it does not exist.
pub fn read_hooks(path: &Path) -> Result<Vec<Installed>, SettingsError> {
    match read(path)? {
        Some(text) if !text.trim().is_empty() => merged(path, &text, hooks::installed),
        _ => Ok(Vec::new()),
    }
}

/// Returns what a settings file would be with `wanted`, each unless cmat already has a hook at its event.
pub fn plan_install(
    path: &Path,
    wanted: &[Hook],
    python: PythonHook,
    scripts: HookScripts<'_>,
) -> Result<Plan, SettingsError> {
    let before = read(path)?;
    let text = before.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or(EMPTY);
    let found = merged(path, text, hooks::installed)?;
    let of_python = |hook: &Installed| scripts.owner(hook) == Owner::PythonCmat;
    let python_found: Vec<_> = found.into_iter().filter(of_python).collect();
    let (cleared, removed, python_hooks) = match python {
        PythonHook::Keep => (text.to_owned(), Vec::new(), python_found),
        PythonHook::Remove => {
            (merged(path, text, |text| hooks::without(text, of_python))?, python_found, Vec::new())
        }
    };
    let mut after = cleared;
    for hook in wanted {
        let is_present = |found: &Installed| {
            found.event == hook.event && (is_own(found, wanted, scripts) || is_one_of(found, wanted))
        };
        if !merged(path, &after, hooks::installed)?.iter().any(is_present) {
            after = merged(path, &after, |text| hooks::with(text, hook))?;
        }
    }
    let mut installed = merged(path, &after, hooks::installed)?;
    installed.retain(|hook| is_own(hook, wanted, scripts) || is_one_of(hook, wanted));
    installed.retain(|hook| !python_hooks.contains(hook));
    let after = if after == text { before.clone() } else { Some(after) };
    let mut change = change(path, before.clone(), after);
    if before.is_some() && version_before(path, text, wanted)?.is_some() {
        // Nobody but cmat changed it since that version, which is the one to keep.
        change.old_version = OldVersion::Dropped;
    }
    Ok(Plan { change, installed, removed, python_hooks })
}

/// Returns what a settings file would be without cmat's hooks: those of `own`, and all that run cmat.
///
/// If nothing else changed since they were installed, that is the version from before, to the byte.
pub fn plan_uninstall(path: &Path, own: &[Hook], scripts: HookScripts<'_>) -> Result<Plan, SettingsError> {
    let before = read(path)?;
    let text = before.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or(EMPTY);
    let of_cmat = |hook: &Installed| is_own(hook, own, scripts);
    let mut removed = merged(path, text, hooks::installed)?;
    removed.retain(of_cmat);
    let after = match &before {
        Some(text) if !removed.is_empty() => match version_before(path, text, own)? {
            Some(version) => version,
            None => Some(merged(path, text, |text| hooks::without(text, of_cmat))?),
        },
        _ => before.clone(),
    };
    Ok(Plan { change: change(path, before, after), installed: Vec::new(), removed, python_hooks: Vec::new() })
}

/// Tells whether a hook runs cmat, or would if its script were there.
fn is_own(found: &Installed, own: &[Hook], scripts: HookScripts<'_>) -> bool {
    match scripts.owner(found) {
        Owner::Cmat => true,
        Owner::PythonCmat => false,
        Owner::Other => is_one_of(found, own) && scripts.script(found).is_none(),
    }
}

fn is_one_of(found: &Installed, hooks: &[Hook]) -> bool {
    hooks.iter().any(|hook| found.event == hook.event && found.command == hook.command)
}

/// Returns the version that the first of `own` were installed into, if that alone leads to `text`; its inner `None` is
/// no file.
fn version_before(path: &Path, text: &str, own: &[Hook]) -> Result<Option<Option<String>>, SettingsError> {
    let copy = read(&copy_path(path))?;
    let base = copy.as_deref().filter(|copy| !copy.trim().is_empty()).unwrap_or(EMPTY);
    let mut installed = base.to_owned();
    for hook in own {
        // An old version that is not even JSON is none that hooks were merged into.
        let Ok(merged) = merged(path, &installed, |text| hooks::with(text, hook)) else { return Ok(None) };
        installed = merged;
        // An earlier cmat, or one that was told to do less, installed the first few.
        if installed == text {
            return Ok(Some(copy));
        }
    }
    Ok(None)
}

fn change(path: &Path, before: Option<String>, after: Option<String>) -> Change {
    let path = path.to_path_buf();
    Change { path, before, after, access: Access::Shared, old_version: OldVersion::Kept }
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

fn read(path: &Path) -> Result<Option<String>, SettingsError> {
    read_text(path).map_err(|source| SettingsError::Read { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::claude_settings::hooks::RECORDING;
    use crate::disk::replace;

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

        fn install(&self, wanted: &[Hook], python: PythonHook) -> Plan {
            plan_install(&self.settings(), wanted, python, self.scripts()).unwrap()
        }

        fn uninstall(&self) -> Plan {
            plan_uninstall(&self.settings(), &wanted(), self.scripts()).unwrap()
        }

        fn hooks(&self) -> Vec<String> {
            read_hooks(&self.settings()).unwrap().into_iter().map(|hook| hook.command).collect()
        }

        fn text(&self) -> Option<String> {
            fs::read_to_string(self.settings()).ok()
        }
    }

    fn wanted() -> Vec<Hook> {
        Hook::of_project(&RECORDING)
    }

    /// What an installation of the hook at the end alone wants.
    fn at_the_end() -> Vec<Hook> {
        Hook::of_project(&RECORDING[..1])
    }

    fn settings_with(command: &str) -> String {
        format!("{:#}", serde_json::json!({"hooks": {"SessionEnd": [{"hooks": [{"command": command}]}]}}))
    }

    /// Installs into the settings, twice, and checks that uninstalling leaves the folder as it was.
    fn check_there_and_back(settings: Option<&str>, wanted: &[Hook]) {
        let project = Project::new(Some(OUR_SCRIPT), settings);
        project.install(wanted, PythonHook::Keep).change.save().unwrap();
        let mut installed = project.hooks();
        installed.retain(|command| command.contains("on-session-end-cost.sh"));
        installed.sort();
        let mut expected: Vec<_> = wanted.iter().map(|hook| hook.command.clone()).collect();
        expected.sort();
        assert_eq!(installed, expected);
        assert!(!project.install(wanted, PythonHook::Keep).change.is_change());
        let plan = project.uninstall();
        assert_eq!(plan.removed.len(), wanted.len());
        plan.change.save().unwrap();
        assert_eq!(project.text().as_deref(), settings);
        assert!(!copy_path(&project.settings()).exists());
    }

    #[test]
    fn installs_once_and_takes_out_what_it_installed() {
        for settings in [
            None,
            Some(""),
            Some(" \n"),
            Some("{}"),
            Some("{\n}\n"),
            Some("{\"a\":1}"),
            Some("{\"hooks\": {}}"),
            Some("{\"hooks\": {\"SessionEnd\": []}}\n"),
            Some("\u{feff}{\r\n\t\"b\" : [ ],\r\n\t\"hooks\" : { \"Stop\": [] }\r\n}\r\n"),
            Some(
                "{\"hooks\": {\"Stop\": [{\"matcher\": \"\", \"hooks\": [{\"command\": \"notify-send\"}]}]}}",
            ),
        ] {
            check_there_and_back(settings, &wanted());
            check_there_and_back(settings, &at_the_end());
        }
    }

    #[test]
    fn brings_an_installation_of_one_hook_up_to_date() {
        let project = Project::new(Some(OUR_SCRIPT), Some("{\"a\": 1.10}\n"));
        project.install(&at_the_end(), PythonHook::Keep).change.save().unwrap();
        let plan = project.install(&wanted(), PythonHook::Keep);
        assert_eq!(plan.installed.len(), wanted().len());
        plan.change.save().unwrap();
        let fresh = Project::new(Some(OUR_SCRIPT), Some("{\"a\": 1.10}\n"));
        fresh.install(&wanted(), PythonHook::Keep).change.save().unwrap();
        assert_eq!(project.text(), fresh.text());
        project.uninstall().change.save().unwrap();
        assert_eq!(project.text().unwrap(), "{\"a\": 1.10}\n");
        assert!(!copy_path(&project.settings()).exists());
    }

    #[test]
    fn adds_nothing_at_an_event_that_runs_cmat_already() {
        let settings = "{\"hooks\": {\"Stop\": [{\"hooks\": [{\"command\": \"cmat hook stop || true\"}]}]}}";
        let project = Project::new(Some(OUR_SCRIPT), Some(settings));
        project.install(&wanted(), PythonHook::Keep).change.save().unwrap();
        let at_stop = |hook: &Installed| hook.event == "Stop";
        let found = read_hooks(&project.settings()).unwrap();
        assert_eq!((found.len(), found.iter().filter(|hook| at_stop(hook)).count()), (4, 1));
    }

    #[test]
    fn takes_out_only_its_own_if_the_file_changed_since() {
        let project = Project::new(Some(OUR_SCRIPT), Some("{\"hooks\": {}}"));
        project.install(&wanted(), PythonHook::Keep).change.save().unwrap();
        let changed = project.text().unwrap().replacen('{', "{\"model\": \"opus\", ", 1);
        replace::write(&project.settings(), changed.as_bytes(), Access::Shared).unwrap();
        let copy = project.uninstall().change.save().unwrap().unwrap();
        assert_eq!(project.text().unwrap(), "{\"model\": \"opus\"}");
        assert_eq!(read_text(&copy).unwrap(), Some(changed));
    }

    #[test]
    fn takes_its_hook_out_although_the_script_is_gone_but_not_that_of_another_script() {
        for (script, n_removed) in [(None, 1), (Some("echo bye"), 0)] {
            let settings = settings_with(&at_the_end()[0].command);
            let project = Project::new(script, Some(&settings));
            assert_eq!(project.uninstall().removed.len(), n_removed, "{script:?}");
        }
    }

    #[test]
    fn leaves_the_python_hook_unless_told_to_remove_it() {
        for command in [
            "python3 -m core costs extract",
            &at_the_end()[0].command,
            ".claude/hooks/on-session-end-cost.sh",
        ] {
            let project = Project::new(Some(PYTHON_SCRIPT), Some(&settings_with(command)));
            let kept = project.install(&at_the_end(), PythonHook::Keep);
            assert_eq!(kept.python_hooks.len(), 1, "{command}");
            let is_in_the_way = command == at_the_end()[0].command;
            assert_eq!(
                (kept.installed.len(), kept.change.is_change()),
                (usize::from(!is_in_the_way), !is_in_the_way)
            );
            let replaced = project.install(&wanted(), PythonHook::Remove);
            assert_eq!((replaced.removed.len(), replaced.python_hooks.len()), (1, 0));
            assert_eq!(replaced.change.after, Some(hooks::snippet(&wanted())));
        }
    }

    #[test]
    fn leaves_hooks_of_others_alone() {
        let project = Project::new(None, Some(&settings_with("notify-send bye")));
        assert_eq!(project.uninstall().removed, []);
        assert!(!project.uninstall().change.is_change());
        assert!(
            project.install(&wanted(), PythonHook::Remove).change.after.unwrap().contains("notify-send bye")
        );
    }

    #[test]
    fn touches_nothing_that_it_cannot_parse() {
        let project = Project::new(None, Some("{\n  // a comment\n}"));
        let error = plan_install(&project.settings(), &wanted(), PythonHook::Remove, project.scripts());
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
    fn nothing_to_take_out_of_a_missing_file() {
        let project = Project::new(None, None);
        assert!(!project.uninstall().change.is_change());
        let nothing_wanted = plan_install(&project.settings(), &[], PythonHook::Remove, project.scripts());
        assert!(!nothing_wanted.unwrap().change.is_change());
    }

    #[test]
    fn finds_scripts_behind_quotes_and_variables() {
        assert_eq!(words(r#"sh  "$HOME"/'a b'.sh x"#), ["sh", "$HOME/a b.sh", "x"]);
    }
}
