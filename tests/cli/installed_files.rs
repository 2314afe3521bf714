//! The files that a project has once cmat is installed in it: the hook script, and the settings that run it; what is
//! said where they do not work, and whether they go again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::TestProject;
use crate::harness::feed;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/hooks/on-session-end-cost.sh");
const FAKE_CMAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/fake-cmat.sh");
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.claude");

/// Runs the hook script where `cmat` stands in the given folder of the home, and returns what is seen.
fn run_script(project: &TestProject, cmat_in: &str, extra_env: &[(&str, String)], args: &[&str]) -> String {
    let cmat = project.home().join(cmat_in).join("cmat");
    fs::create_dir_all(cmat.parent().unwrap()).unwrap();
    symlink(FAKE_CMAT, &cmat).unwrap();
    let mut command = Command::new(SCRIPT);
    project.surround(&mut command);
    command.args(args).envs(extra_env.iter().cloned());
    project.seen(&feed(&mut command, "{}").wait_with_output().unwrap())
}

#[test]
fn the_script_hands_stdin_and_arguments_to_cmat_wherever_it_is_installed() {
    let project = TestProject::new();
    let bin = |folder: &str| project.home().join(folder).to_str().unwrap().to_owned();
    let expected = "{} | cmat hook session-end transcript.jsonl\n";
    let on_path = [("PATH", format!("{}:/usr/bin:/bin", bin("tools")))];
    let args = ["transcript.jsonl"];
    assert_eq!(run_script(&project, "tools", &on_path, &args), expected);
    assert_eq!(run_script(&project, "cargo/bin", &[("CARGO_HOME", bin("cargo"))], &args), expected);
    assert_eq!(run_script(&project, ".cargo/bin", &[], &args), expected);
}

#[test]
fn the_script_is_told_the_event_and_takes_the_end_for_granted() {
    let check = |args: &[&str], expected: &str| {
        let seen = run_script(&TestProject::new(), ".cargo/bin", &[], args);
        assert_eq!(seen, format!("{{}} | cmat hook {expected}\n"));
    };
    check(&[], "session-end");
    check(&["/a/transcript.jsonl", "s-1"], "session-end /a/transcript.jsonl s-1");
    check(&["stop"], "stop");
    check(&["session-start", "x"], "session-start x");
}

#[test]
fn the_script_blocks_nothing_whatever_is_called_cmat() {
    let project = TestProject::new();
    let tools = project.home().join("tools");
    fs::create_dir_all(&tools).unwrap();
    let other = tools.join("cmat");
    fs::write(&other, "#!/bin/sh\necho unknown command >&2\nexit 2\n").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    let on_path = [("PATH", format!("{}:/usr/bin:/bin", tools.display()))];
    // Ours is not the first on PATH, but it is there.
    let seen = run_script(&project, ".cargo/bin", &on_path, &["stop"]);
    assert_snapshot!(seen, @r"
    {} | cmat hook stop
    --- stderr
    unknown command
    ");
}

#[test]
fn the_script_is_silent_where_there_is_no_cmat() {
    assert_eq!(run_script(&TestProject::new(), "elsewhere", &[], &[]), "");
}

#[test]
fn the_example_settings_run_the_script_of_the_project() {
    assert_snapshot!(fs::read_to_string(format!("{EXAMPLE}/settings.json")).unwrap(), @r#"
    {
      "hooks": {
        "SessionEnd": [
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
        "SessionStart": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh session-start",
                "timeout": 30
              }
            ]
          }
        ],
        "Stop": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh stop",
                "timeout": 30
              }
            ]
          }
        ],
        "SubagentStop": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh subagent-stop",
                "timeout": 30
              }
            ]
          }
        ]
      }
    }
    "#);
    let installed = Path::new(EXAMPLE).join("hooks/on-session-end-cost.sh");
    assert_eq!(fs::read(installed).unwrap(), fs::read(SCRIPT).unwrap());
}

#[test]
fn promises_nothing_where_no_hook_reaches_cmat() {
    let check = |project: &TestProject, expected: &str| {
        let seen = project.stdout(["init"]);
        assert!(seen.contains(expected) && !seen.contains("recorded from now on"), "{seen}");
    };
    check(&TestProject::new(), "\nNothing is recorded yet: the hook does not find cmat.");
    let disabled = TestProject::new().file(".claude/settings.local.json", r#"{"disableAllHooks": true}"#);
    check(
        &disabled,
        "\nNothing is recorded yet: remove `disableAllHooks` from .claude/settings.local.json.\n",
    );
}

#[test]
fn takes_its_folder_along_and_says_where_else_it_is() {
    let project = TestProject::new();
    for scope in [&["init"][..], &["init", "--global"], &["uninstall"]] {
        project.run(scope);
    }
    assert!(!project.project().join(".claude/hooks").exists());
    assert_snapshot!(project.run(["uninstall"]), @"cmat is not installed in this project, but for all projects: `cmat uninstall --global`");
}

#[test]
fn hooks_of_other_events_that_a_person_added_go_too() {
    let project = TestProject::new();
    project.run(["init"]);
    let path = project.project().join(".claude/settings.json");
    let mut settings: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let group = |command: &str| serde_json::json!([{"hooks": [{"type": "command", "command": command}]}]);
    settings["hooks"]["PostToolUse"] = group("cmat hook stop || true");
    settings["hooks"]["SubagentStop"] = group("notify-send done");
    fs::write(&path, settings.to_string()).unwrap();
    project.run(["uninstall"]);
    let left: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(left, serde_json::json!({"hooks": {"SubagentStop": group("notify-send done")}}));
}

/// What an earlier cmat left behind: a script that knows the end of a session only, and settings that run it.
fn installed_by_an_earlier_cmat() -> TestProject {
    let bin = Path::new(env!("CARGO_BIN_EXE_cmat")).parent().unwrap().display().to_string();
    let project = TestProject::new().env("PATH", format!("{bin}:/usr/bin:/bin"));
    project.run(["init"]);
    let path = project.project().join(".claude/settings.json");
    let mut settings: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for event in ["SessionStart", "Stop", "SubagentStop"] {
        settings["hooks"].as_object_mut().unwrap().remove(event);
    }
    fs::write(&path, format!("{settings:#}\n")).unwrap();
    let script = r#"#!/bin/sh
# Claude Code runs this when a session ends and describes the session on stdin; `cmat` records what it cost.
# It never disturbs a session: where `cmat` is not to be found, it does nothing.
for cmat in "$(command -v cmat)" "${CARGO_HOME:-$HOME/.cargo}/bin/cmat" "$HOME/.cargo/bin/cmat"; do
    [ -x "$cmat" ] && exec "$cmat" hook session-end "$@"
done
exit 0
"#;
    project.write(".claude/hooks/on-session-end-cost.sh", script);
    project
}

#[test]
fn brings_what_an_earlier_cmat_installed_up_to_date() {
    let project = installed_by_an_earlier_cmat();
    let doctor = || project.run(["doctor"]);
    let line = |seen: &str| seen.lines().find(|line| line.contains("hook installed")).unwrap().to_owned();
    assert_snapshot!(line(&doctor()), @"  !    hook installed         .claude/settings.json, but not at SessionStart, Stop, SubagentStop");
    assert_snapshot!(project.run(["init"]), @r"
      + .claude/hooks/on-session-end-cost.sh    the hook script, in place of an earlier one of cmat's
      + .claude/settings.json                   runs cmat when a session starts, answers, ends

    Sessions that start in this folder are recorded from now on. One that starts in a subfolder does not
    read these settings: `cmat init --global` is recommended, it serves all folders.
    Transcripts that are there already: 0, of this project: 0.

    Next:
      cmat reconcile         # record what the transcripts hold so far
      cmat costs show TASK   # what a task cost
      cmat doctor            # check that the hook works
    ");
    assert_snapshot!(line(&doctor()), @"  ok   hook installed         .claude/settings.json");
    let script = fs::read(project.project().join(".claude/hooks/on-session-end-cost.sh")).unwrap();
    assert_eq!(script, fs::read(SCRIPT).unwrap());
    let settings = fs::read(project.project().join(".claude/settings.json")).unwrap();
    assert_eq!(settings, fs::read(format!("{EXAMPLE}/settings.json")).unwrap());
    assert!(!project.stdout(["init"]).contains("  + "));
}

#[test]
fn takes_out_what_an_earlier_cmat_installed() {
    let project = installed_by_an_earlier_cmat();
    project.stdout(["uninstall"]);
    assert!(!project.project().join(".claude/hooks").exists());
    assert!(!project.project().join(".claude/settings.json").exists());
}
