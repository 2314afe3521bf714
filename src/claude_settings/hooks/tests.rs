//! What is merged into settings, and taken out again.

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
    let text =
        r#"{"hooks": {"SessionEnd": [{"hooks": [{"command": "a"}, {"command": "b"}, {"command": "c"}]}]}}"#;
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
    let expected = Installed { event: "SessionEnd".to_owned(), command: "cmat hook session-end".to_owned() };
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
    let commands = Hook::of_user("/home/o'neil/a b.sh", &RECORDING[..2]).into_iter().map(|hook| hook.command);
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
