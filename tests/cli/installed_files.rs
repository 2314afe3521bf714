//! The files that a project has once cmat is installed in it: the hook script, and the settings that run it; what is
//! said where they do not work, and whether they go again.

use std::fs;
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
fn run_script(project: &TestProject, cmat_in: &str, extra_env: &[(&str, String)]) -> String {
    let cmat = project.home().join(cmat_in).join("cmat");
    fs::create_dir_all(cmat.parent().unwrap()).unwrap();
    symlink(FAKE_CMAT, &cmat).unwrap();
    let mut command = Command::new(SCRIPT);
    project.surround(&mut command);
    command.arg("transcript.jsonl").envs(extra_env.iter().cloned());
    project.seen(&feed(&mut command, "{}").wait_with_output().unwrap())
}

#[test]
fn the_script_hands_stdin_and_arguments_to_cmat_wherever_it_is_installed() {
    let project = TestProject::new();
    let bin = |folder: &str| project.home().join(folder).to_str().unwrap().to_owned();
    let expected = "{} | cmat hook session-end transcript.jsonl\n";
    let on_path = [("PATH", format!("{}:/usr/bin:/bin", bin("tools")))];
    assert_eq!(run_script(&project, "tools", &on_path), expected);
    assert_eq!(run_script(&project, "cargo/bin", &[("CARGO_HOME", bin("cargo"))]), expected);
    assert_eq!(run_script(&project, ".cargo/bin", &[]), expected);
}

#[test]
fn the_script_is_silent_where_there_is_no_cmat() {
    assert_eq!(run_script(&TestProject::new(), "elsewhere", &[]), "");
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
    settings["hooks"]["Stop"] = group("cmat hook stop || true");
    settings["hooks"]["SubagentStop"] = group("notify-send done");
    fs::write(&path, settings.to_string()).unwrap();
    project.run(["uninstall"]);
    let left: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(left, serde_json::json!({"hooks": {"SubagentStop": group("notify-send done")}}));
}
