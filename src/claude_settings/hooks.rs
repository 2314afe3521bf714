//! The `hooks` of a settings text: which there are, one more, some fewer.
//!
//! Text in, text out; never touches the file.

use serde_json::Value as Json;
use serde_json::json;

use crate::json_edit::Array;
use crate::json_edit::Document;
use crate::json_edit::Edits;
use crate::json_edit::Kind;
use crate::json_edit::Object;
use crate::json_edit::SyntaxError;
use crate::json_edit::Value;

/// The script that a project's settings name. The Python CMAT's has the same name.
const PROJECT_SCRIPT: &str = r#""$CLAUDE_PROJECT_DIR"/.claude/hooks/on-session-end-cost.sh"#;

/// Seconds that Claude Code grants a hook. Without it the one at the end is killed after 1.5 s.
const TIMEOUT_S: u32 = 30;

/// How the program is told that a prompt is about to be sent.
const USER_PROMPT: &str = " hook user-prompt";

/// How the program is told that a tool is about to run.
const PRE_TOOL: &str = " hook pre-tool";

/// Why hooks cannot be merged into a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// The text is not JSON; Claude Code cannot read it either.
    #[error("it is not JSON")]
    Syntax(#[from] SyntaxError),
    /// Something else stands where hooks belong.
    #[error("`{place}` is not {expected}")]
    Shape {
        /// Path of keys, such as `hooks.SessionEnd`.
        place: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// An event of Claude Code, and how cmat's script is run at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// What Claude Code calls it, such as `SessionEnd`.
    pub name: &'static str,
    /// What the script is told, such as `stop`.
    pub argument: Option<&'static str>,
    /// Which tools or sources it is about; all, if there is none.
    pub matcher: Option<&'static str>,
    /// Seconds that Claude Code grants the script.
    pub timeout_s: u32,
}

impl Event {
    const fn new(name: &'static str, argument: Option<&'static str>) -> Self {
        Self { name, argument, matcher: None, timeout_s: TIMEOUT_S }
    }
}

/// The events that cost is recorded at. The first alone records all of a session that ends in order.
pub const RECORDING: [Event; 4] = [
    // Without an argument, as a Python CMAT's script of the same name is run.
    Event::new("SessionEnd", None),
    Event::new("SessionStart", Some("session-start")),
    Event::new("Stop", Some("stop")),
    Event::new("SubagentStop", Some("subagent-stop")),
];

/// A hook that cmat installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The event that it runs at, such as `SessionEnd`.
    pub event: &'static str,
    /// Which tools or sources it is about; all, if there is none.
    pub matcher: Option<&'static str>,
    /// The shell command.
    pub command: String,
    /// Seconds that Claude Code grants it.
    pub timeout_s: u32,
}

impl Hook {
    /// Returns the hooks of a project: they run the script in its `.claude/hooks`.
    pub fn of_project(events: &[Event]) -> Vec<Self> {
        Self::of(PROJECT_SCRIPT, events)
    }

    /// Returns the hooks for all projects: they run a script by its absolute path.
    pub fn of_user(script: &str, events: &[Event]) -> Vec<Self> {
        Self::of(&format!("'{}'", script.replace('\'', r"'\''")), events)
    }

    fn of(script: &str, events: &[Event]) -> Vec<Self> {
        let words = |event: &Event| [Some(script), event.argument].into_iter().flatten().collect::<Vec<_>>();
        let hook = |event: &Event| Self {
            event: event.name,
            matcher: event.matcher,
            command: words(event).join(" "),
            timeout_s: event.timeout_s,
        };
        events.iter().map(hook).collect()
    }

    /// Returns the hooks that hold budgets: they run the program itself, with the folders of its records and of its
    /// configuration, so that nothing in the environment of a session leads elsewhere. All three are words of a shell
    /// command.
    pub fn enforcing(program: &str, data_dir: &str, config_dir: &str) -> Vec<Self> {
        let events = [("UserPromptSubmit", USER_PROMPT), ("PreToolUse", PRE_TOOL)];
        let hook = |(event, argument)| Self {
            event,
            matcher: None,
            command: format!("{program}{argument} --data-dir {data_dir} --config-dir {config_dir}"),
            timeout_s: TIMEOUT_S,
        };
        events.map(hook).to_vec()
    }

    fn group(&self) -> Json {
        let hooks = json!([{"type": "command", "command": self.command, "timeout": self.timeout_s}]);
        match self.matcher {
            Some(matcher) => json!({"matcher": matcher, "hooks": hooks}),
            None => json!({"hooks": hooks}),
        }
    }
}

impl Installed {
    /// Returns whether it asks cmat before a prompt or a tool.
    pub fn holds_budgets(&self) -> bool {
        self.command.contains(USER_PROMPT) || self.command.contains(PRE_TOOL)
    }
}

/// Whose a hook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// cmat's own.
    Cmat,
    /// The Python CMAT's, which writes costs too, but sums repeated lines.
    PythonCmat,
    /// Somebody else's, none of cmat's business.
    Other,
}

/// A hook that a settings text holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The event that it runs at.
    pub event: String,
    /// The shell command, with its `args` if it has some.
    pub command: String,
}

impl Installed {
    /// Tells whose hook this is, given the content of the script that it runs, as far as that can be read.
    pub fn owner(&self, script: Option<&str>) -> Owner {
        let calls =
            |words: &str| self.command.contains(words) || script.is_some_and(|text| text.contains(words));
        let names_script = self.command.contains("on-session-end-cost.sh");
        let names_python = self.command.contains("on-session-end-cost.py");
        if calls("hook session-") || calls("cmat hook ") || calls(USER_PROMPT) || calls(PRE_TOOL) {
            Owner::Cmat
        } else if calls("costs extract") || names_python || (names_script && calls("python")) {
            Owner::PythonCmat
        } else if self.command.starts_with(PROJECT_SCRIPT) && script.is_none() {
            Owner::Cmat
        } else {
            Owner::Other
        }
    }
}

/// Returns the hooks of a settings text that run a command, in their order.
pub(super) fn installed(document: &Document) -> Result<Vec<Installed>, MergeError> {
    let mut found = Vec::new();
    for event in events(document)? {
        for group in event.groups.elements() {
            found.extend(handlers(group).into_iter().flat_map(|list| list.elements()).filter_map(
                |handler| Some(Installed { event: event.name.clone(), command: command_line(handler)? }),
            ));
        }
    }
    Ok(found)
}

/// Returns the text with one more hook, in a group of its own, after those that are there.
pub(super) fn with(document: &Document, hook: &Hook) -> Result<String, MergeError> {
    let root = root(document)?;
    let mut edits = document.edits();
    match hooks(root)? {
        None => edits.set_members(root, &[("hooks", json!({hook.event: [hook.group()]}))]),
        Some(hooks) => match hooks.get(hook.event) {
            None => edits.set_members(hooks, &[(hook.event, json!([hook.group()]))]),
            Some(groups) => edits.push_elements(list(groups, hook.event)?, &[hook.group()]),
        },
    }
    Ok(edits.apply())
}

/// Returns the text without the hooks that `is_removed` picks, nor the groups and lists that this empties.
pub(super) fn without(
    document: &Document,
    is_removed: impl Fn(&Installed) -> bool,
) -> Result<String, MergeError> {
    let mut edits = document.edits();
    let mut emptied = Vec::new();
    let events = events(document)?;
    for event in &events {
        if remove_from_event(&mut edits, event, &is_removed) == Left::Nothing {
            emptied.push(event.name.as_str());
        }
    }
    match hooks(root(document)?)? {
        Some(hooks) if !emptied.is_empty() && emptied.len() < hooks.entries().count() => {
            edits.remove_members(hooks, &emptied);
        }
        Some(_) if !emptied.is_empty() => edits.remove_members(root(document)?, &["hooks"]),
        _ => {}
    }
    Ok(edits.apply())
}

/// Returns the settings that hold these hooks and nothing else, for a person to merge by hand.
pub fn snippet(hooks: &[Hook]) -> String {
    let mut events = json!({});
    for hook in hooks {
        match events[hook.event].as_array_mut() {
            Some(groups) => groups.push(hook.group()),
            None => events[hook.event] = json!([hook.group()]),
        }
    }
    format!("{:#}", json!({"hooks": events}))
}

/// The list of hook groups of one event.
struct Groups<'doc> {
    name: String,
    groups: Array<'doc>,
}

/// Whether a removal left something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Something,
    Nothing,
}

/// Edits an event's groups, unless all of them go: then the event itself is for the caller to remove.
fn remove_from_event<'doc>(
    edits: &mut Edits<'doc>,
    event: &Groups<'doc>,
    is_removed: &impl Fn(&Installed) -> bool,
) -> Left {
    let (mut partly, mut wholly, mut n_groups) = (Vec::new(), Vec::new(), 0);
    for (n, group) in event.groups.elements().enumerate() {
        n_groups += 1;
        let Some(list) = handlers(group) else { continue };
        let is_picked = |handler| {
            let command = command_line(handler);
            command.is_some_and(|command| is_removed(&Installed { event: event.name.clone(), command }))
        };
        let picked: Vec<_> =
            list.elements().enumerate().filter_map(|(n, handler)| is_picked(handler).then_some(n)).collect();
        match picked.len() {
            0 => {}
            all if all == list.elements().count() => wholly.push(n),
            _ => partly.push((list, picked)),
        }
    }
    if wholly.len() == n_groups && n_groups > 0 {
        return Left::Nothing;
    }
    for (list, picked) in partly {
        edits.remove_elements(list, &picked);
    }
    edits.remove_elements(event.groups, &wholly);
    Left::Something
}

fn root(document: &Document) -> Result<Object<'_>, MergeError> {
    let shape = || MergeError::Shape { place: "settings.json".to_owned(), expected: "an object" };
    document.root().as_object().ok_or_else(shape)
}

fn hooks(root: Object<'_>) -> Result<Option<Object<'_>>, MergeError> {
    let shape = || MergeError::Shape { place: "hooks".to_owned(), expected: "an object" };
    let value = root.get("hooks").filter(|hooks| hooks.kind() != Kind::Null);
    value.map(|hooks| hooks.as_object().ok_or_else(shape)).transpose()
}

fn list<'doc>(groups: Value<'doc>, event: &str) -> Result<Array<'doc>, MergeError> {
    let shape = || MergeError::Shape { place: format!("hooks.{event}"), expected: "a list" };
    groups.as_array().ok_or_else(shape)
}

fn events(document: &Document) -> Result<Vec<Groups<'_>>, MergeError> {
    let mut events = Vec::new();
    for entry in hooks(root(document)?)?.into_iter().flat_map(|hooks| hooks.entries()) {
        let name = entry.key.as_str().unwrap_or_default().into_owned();
        events.push(Groups { groups: list(entry.value, &name)?, name });
    }
    Ok(events)
}

fn handlers(group: Value<'_>) -> Option<Array<'_>> {
    group.get("hooks")?.as_array()
}

fn command_line(handler: Value<'_>) -> Option<String> {
    let mut line = handler.get("command")?.as_str()?.into_owned();
    let args = handler.get("args").and_then(|args| args.as_array());
    for arg in args.into_iter().flat_map(|args| args.elements()).filter_map(|arg| arg.as_str()) {
        line.push(' ');
        line.push_str(&arg);
    }
    Some(line)
}

#[cfg(test)]
mod tests;
