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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Another program's hooks, and the user's other settings, in the user's own style.
    const BUSY: &str = r#"{
    "model": "opus",
    "hooks": {
        "SessionEnd": [
            {
                "hooks": [
                    {"type": "command", "command": "notify-send bye"}
                ]
            }
        ],
        "Stop": []
    },
    "unknown": 1.10
}
"#;

    fn document(text: &str) -> Document {
        Document::parse(text).unwrap()
    }

    /// The hook at the end of a session, of a project.
    fn at_the_end() -> Hook {
        Hook::of_project(&RECORDING).swap_remove(0)
    }

    fn installed_with(text: &str, hook: &Hook) -> String {
        with(&document(text), hook).unwrap()
    }

    fn is_ours(found: &Installed) -> bool {
        found.command == PROJECT_SCRIPT
    }

    /// Adds the project's hook, takes it out again, and returns the text in between.
    fn check_there_and_back(text: &str) -> String {
        let after = installed_with(text, &at_the_end());
        assert_eq!(without(&document(&after), is_ours).unwrap(), text);
        after
    }

    fn check_owner(command: &str, script: Option<&str>, expected: Owner) {
        let found = Installed { event: "SessionEnd".to_owned(), command: command.to_owned() };
        assert_eq!(found.owner(script), expected, "{command}");
    }

    #[test]
    fn adds_its_group_after_the_others_in_their_style() {
        insta::assert_snapshot!(check_there_and_back(BUSY), @r#"
        {
            "model": "opus",
            "hooks": {
                "SessionEnd": [
                    {
                        "hooks": [
                            {"type": "command", "command": "notify-send bye"}
                        ]
                    },
                    {
                        "hooks": [
                            {
                                "type": "command",
                                "command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh",
                                "timeout": 30
                            }
                        ]
                    }
                ],
                "Stop": []
            },
            "unknown": 1.10
        }
        "#);
    }

    #[test]
    fn adds_what_is_missing_on_the_way() {
        assert_eq!(check_there_and_back("{}"), snippet(&[at_the_end()]));
        check_there_and_back("{\n\t\"model\": \"opus\"\n}\n");
        check_there_and_back(r#"{"hooks":{"Stop":[]}}"#);
        let after = installed_with("{\"hooks\": null}", &at_the_end());
        assert_eq!(installed(&document(&after)).unwrap().len(), 1);
    }

    #[test]
    fn a_hook_about_some_tools_says_which_and_has_a_group_of_its_own() {
        let event = Event { matcher: Some("Bash"), timeout_s: 5, ..RECORDING[2] };
        insta::assert_snapshot!(snippet(&Hook::of_project(&[event, RECORDING[2]])), @r#"
        {
          "hooks": {
            "Stop": [
              {
                "matcher": "Bash",
                "hooks": [
                  {
                    "type": "command",
                    "command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh stop",
                    "timeout": 5
                  }
                ]
              },
              {
                "hooks": [
                  {
                    "type": "command",
                    "command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh stop",
                    "timeout": 30
                  }
                ]
              }
            ]
          }
        }
        "#);
    }

    #[test]
    fn takes_only_its_own_out_of_a_shared_group() {
        let text = r#"{"hooks": {"SessionEnd": [{"hooks": [{"command": "a"}, {"command": "b"}, {"command": "c"}]}]}}"#;
        let after = without(&document(text), |found| found.command == "b").unwrap();
        assert_eq!(after, text.replace(r#"{"command": "b"}, "#, ""));
        let after = without(&document(text), |_| true).unwrap();
        assert_eq!(after, "{}");
    }

    #[test]
    fn knows_whose_a_hook_is() {
        let ours = "for cmat in …; do\n  exec \"$cmat\" hook session-end \"$@\"\ndone\n";
        let python = "\"$PYTHON_CMD\" -m cmat costs extract \"$TASK_ID\" \"$TRANSCRIPT_PATH\"\n";
        check_owner(PROJECT_SCRIPT, Some(ours), Owner::Cmat);
        check_owner(PROJECT_SCRIPT, None, Owner::Cmat);
        check_owner(&format!("{PROJECT_SCRIPT} stop"), None, Owner::Cmat);
        check_owner(PROJECT_SCRIPT, Some(python), Owner::PythonCmat);
        check_owner(".claude/hooks/on-session-end-cost.sh", Some("python run.py\n"), Owner::PythonCmat);
        check_owner("python3 -m core costs extract", None, Owner::PythonCmat);
        check_owner("cmat hook session-end", None, Owner::Cmat);
        check_owner("cmat hook stop || true", None, Owner::Cmat);
        check_owner("notify-send bye", None, Owner::Other);
        check_owner("python3 .claude/hooks/on-session-end-cost.py", None, Owner::PythonCmat);
        check_owner("python3 log.py", Some("import sys"), Owner::Other);
    }

    #[test]
    fn reads_commands_with_arguments() {
        let text = r#"{"hooks":{"SessionEnd":[{"hooks":[{"command":"cmat","args":["hook","session-end"]},{"url":"x"}]}, 5]}}"#;
        let found = installed(&document(text)).unwrap();
        let expected =
            Installed { event: "SessionEnd".to_owned(), command: "cmat hook session-end".to_owned() };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn touches_nothing_of_another_shape() {
        let error = |text| with(&document(text), &at_the_end()).unwrap_err().to_string();
        assert_eq!(error("[]"), "`settings.json` is not an object");
        assert_eq!(error(r#"{"hooks": []}"#), "`hooks` is not an object");
        assert_eq!(error(r#"{"hooks": {"SessionEnd": {}}}"#), "`hooks.SessionEnd` is not a list");
    }

    #[test]
    fn quotes_a_path_for_the_shell() {
        let commands =
            Hook::of_user("/home/o'neil/a b.sh", &RECORDING[..2]).into_iter().map(|hook| hook.command);
        let quoted = r"'/home/o'\''neil/a b.sh'";
        assert_eq!(commands.collect::<Vec<_>>(), [quoted.to_owned(), format!("{quoted} session-start")]);
    }

    proptest! {
        #[test]
        fn what_is_added_can_be_taken_out(n_groups in 0..3_usize, n_events in 0..3_usize, pretty in any::<bool>()) {
            let group = json!({"matcher": "", "hooks": [{"type": "command", "command": "x"}]});
            let mut events = json!({});
            for event in ["Stop", "SessionEnd", "SessionStart"].iter().take(n_events) {
                events[event] = Json::from(vec![group.clone(); n_groups + 1]);
            }
            let settings = if n_events > 0 { json!({"a": 1, "hooks": events}) } else { json!({"a": 1}) };
            check_there_and_back(&if pretty { format!("{settings:#}\n") } else { settings.to_string() });
        }
    }
}
