//! `cmat init` and `cmat uninstall`: what they change, what they leave, and that one undoes the other.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;
use walkdir::WalkDir;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::feed;
use crate::harness::request;

const SCRIPT: &str = ".claude/hooks/on-session-end-cost.sh";
const PYTHON_SCRIPT: &str = "#!/bin/bash\npython3 -m core costs extract \"$CMAT_CURRENT_TASK_ID\" \"$1\"\n";

/// Returns every file below a folder with its content and its mode.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, (Vec<u8>, u32)> {
    WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            (name, (fs::read(entry.path()).unwrap(), entry.metadata().unwrap().permissions().mode() & 0o777))
        })
        .collect()
}

/// Lets the hook's script find cmat.
pub(crate) fn on_path(project: TestProject) -> TestProject {
    let bin = Path::new(env!("CARGO_BIN_EXE_cmat")).parent().unwrap().to_str().unwrap();
    project.env("PATH", format!("{bin}:/usr/bin:/bin"))
}

pub(crate) fn in_git(project: TestProject) -> TestProject {
    on_path(project).file(".git/HEAD", "ref: refs/heads/main\n")
}

fn settings_with(command: &str) -> String {
    let settings =
        serde_json::json!({"hooks": {"SessionEnd": [{"hooks": [{"type": "command", "command": command}]}]}});
    format!("{settings:#}\n")
}

/// Checks that a dry run writes nothing, a second run changes nothing, and uninstalling restores every byte.
fn check_there_and_back(settings: Option<&str>) {
    let mut project = in_git(TestProject::new()).file(".gitignore", "/target\n");
    if let Some(settings) = settings {
        project = project.file(".claude/settings.json", settings);
    }
    let before = files(&project.project());
    project.stdout(["init", "--dry-run"]);
    assert_eq!(files(&project.project()), before);
    project.stdout(["init"]);
    let installed = files(&project.project());
    assert_eq!(installed[SCRIPT].1 & 0o111, 0o111);
    assert!(!project.stdout(["init"]).contains("  + "));
    assert_eq!(files(&project.project()), installed);
    project.stdout(["uninstall", "--dry-run"]);
    assert_eq!(files(&project.project()), installed);
    project.stdout(["uninstall"]);
    assert_eq!(files(&project.project()), before, "{settings:?}");
}

#[test]
fn says_what_it_changed_and_what_comes_next() {
    let project = in_git(TestProject::new())
        .file(".claude/settings.json", "{\n    \"model\": \"opus\"\n}\n")
        .session("s-1", &[request("m-1", SONNET, [1, 1, 0, 0])]);
    assert_snapshot!(project.run(["init"]), @r"
      + .claude/hooks/on-session-end-cost.sh    the hook script
      + .claude/settings.json                   runs cmat when a session starts, answers, ends (before: settings.json.cmat-backup)
      + .gitignore                              ignores files of this machine

    Sessions that start in this folder are recorded from now on. One that starts in a subfolder does not
    read these settings: `cmat init --global` is recommended, it serves all folders.
    Transcripts that are there already: 1, of this project: 1.

    Next:
      cmat reconcile         # record what the transcripts hold so far
      cmat costs show TASK   # what a task cost
      cmat doctor            # check that the hook works
    ");
    assert_snapshot!(project.run(["init"]), @r"
      = .claude/hooks/on-session-end-cost.sh    the hook script
      = .claude/settings.json                   runs cmat when a session starts, answers, ends
      = .gitignore                              ignores files of this machine

    Sessions that start in this folder are recorded from now on. One that starts in a subfolder does not
    read these settings: `cmat init --global` is recommended, it serves all folders.
    Transcripts that are there already: 1, of this project: 1.

    Next:
      cmat reconcile         # record what the transcripts hold so far
      cmat costs show TASK   # what a task cost
      cmat doctor            # check that the hook works
    ");
    assert_snapshot!(fs::read_to_string(project.project().join(".claude/settings.json")).unwrap(), @r#"
    {
        "model": "opus",
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
    assert_snapshot!(project.run(["uninstall"]), @r"
    - .claude/settings.json                   no longer runs cmat
    - .claude/hooks/on-session-end-cost.sh    the hook script
    - .gitignore                              no longer ignores cmat's files
    ");
    assert_snapshot!(project.run(["uninstall"]), @"cmat is not installed in this project");
}

#[test]
fn uninstalling_restores_every_byte() {
    for settings in [
        None,
        Some(""),
        Some("{}"),
        Some("{\"a\":1.10,\"a\":2}"),
        Some("{\r\n\t\"hooks\" : { \"SessionEnd\" : [ ] }\r\n}\r\n"),
        Some("\u{feff}{\"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"x\"}]}]}}"),
        Some(&settings_with("notify-send bye")),
    ] {
        check_there_and_back(settings);
    }
}

#[test]
fn touches_nothing_that_it_cannot_parse() {
    let project =
        TestProject::new().file(".claude/settings.json", "{\n  // my model\n  \"model\": \"opus\"\n}\n");
    assert_snapshot!(project.run(["init"]), @r#"
      + .claude/hooks/on-session-end-cost.sh    the hook script
    Add this to .claude/settings.json by hand:
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
    --- stderr
    cannot merge hooks into `[project]/.claude/settings.json`: it is not JSON: line 2, column 3: expected a key in double quotes or `}`, found `/`; it stays as it is
    --- exit 1
    "#);
    assert_eq!(
        files(&project.project())[".claude/settings.json"].0,
        b"{\n  // my model\n  \"model\": \"opus\"\n}\n"
    );
    for broken in ["{\"hooks\": []}", "{\"hooks\": {\"SessionEnd\": {}}}", "[]", "{", "\u{0}"] {
        project.write(".claude/settings.json", broken);
        assert!(project.run(["init"]).ends_with("--- exit 1\n"), "{broken}");
        assert!(project.run(["uninstall"]).ends_with("--- exit 1\n"), "{broken}");
        assert_eq!(files(&project.project())[".claude/settings.json"].0, broken.as_bytes());
    }
}

#[test]
fn leaves_the_python_hook_unless_told_to_replace_it() {
    let project = on_path(TestProject::new())
        .file(SCRIPT, PYTHON_SCRIPT)
        .file(".claude/settings.json", settings_with(&format!("\"$CLAUDE_PROJECT_DIR\"/{SCRIPT}")));
    let before = files(&project.project());
    assert_snapshot!(project.run(["init"]), @r#"
    --- stderr
    `.claude/hooks/on-session-end-cost.sh` is the Python cost hook, in cmat's place: `cmat init --replace` replaces it
    `.claude/settings.json` runs the Python cost hook at SessionEnd, `"$CLAUDE_PROJECT_DIR"/.claude/hooks/on-session-end-cost.sh`: it adds repeated lines up and would overwrite cmat's figures; `cmat init --replace` replaces it and keeps a copy
    --- exit 1
    "#);
    assert_eq!(files(&project.project()), before);
    assert_snapshot!(project.run(["init", "--replace"]), @r"
      + .claude/hooks/on-session-end-cost.sh    the hook script, in place of the Python one (before: on-session-end-cost.sh.cmat-backup)
      + .claude/settings.json                   runs cmat when a session starts, answers, ends, no longer the Python cost hook (before: settings.json.cmat-backup)

    Sessions that start in this folder are recorded from now on. One that starts in a subfolder does not
    read these settings: `cmat init --global` is recommended, it serves all folders.
    Transcripts that are there already: 0, of this project: 0.

    Next:
      cmat reconcile         # record what the transcripts hold so far
      cmat costs show TASK   # what a task cost
      cmat doctor            # check that the hook works
    ");
    let after = files(&project.project());
    assert_eq!(after[&format!("{SCRIPT}.cmat-backup")].0, PYTHON_SCRIPT.as_bytes());
    assert!(project.run(["init"]).contains("= .claude/settings.json"));
    assert_snapshot!(project.run(["uninstall"]), @r"
      - .claude/settings.json                   no longer runs cmat (before: settings.json.cmat-backup)
      - .claude/hooks/on-session-end-cost.sh    the hook script
    --- stderr
    the script that stood there before cmat's is in `.claude/hooks/on-session-end-cost.sh.cmat-backup`
    ");
}

#[test]
fn warns_of_a_python_hook_beside_it() {
    let project = on_path(TestProject::new()).file(
        ".claude/settings.local.json",
        settings_with("python3 -m core costs extract \"$CMAT_CURRENT_TASK_ID\""),
    );
    assert_snapshot!(project.run(["init"]), @r#"
      + .claude/hooks/on-session-end-cost.sh    the hook script
      + .claude/settings.json                   runs cmat when a session starts, answers, ends

    Sessions that start in this folder are recorded from now on. One that starts in a subfolder does not
    read these settings: `cmat init --global` is recommended, it serves all folders.
    Transcripts that are there already: 0, of this project: 0.

    Next:
      cmat reconcile         # record what the transcripts hold so far
      cmat costs show TASK   # what a task cost
      cmat doctor            # check that the hook works
    --- stderr
    `.claude/settings.local.json` runs the Python cost hook at SessionEnd, `python3 -m core costs extract "$CMAT_CURRENT_TASK_ID"`: it adds repeated lines up and would overwrite cmat's figures; `cmat init --replace` replaces it and keeps a copy
    "#);
    assert_snapshot!(project.run(["init", "--replace"]), @r"
      = .claude/hooks/on-session-end-cost.sh    the hook script
      = .claude/settings.json                   runs cmat when a session starts, answers, ends
      + .claude/settings.local.json             no longer runs the Python cost hook (before: settings.local.json.cmat-backup)

    Sessions that start in this folder are recorded from now on. One that starts in a subfolder does not
    read these settings: `cmat init --global` is recommended, it serves all folders.
    Transcripts that are there already: 0, of this project: 0.

    Next:
      cmat reconcile         # record what the transcripts hold so far
      cmat costs show TASK   # what a task cost
      cmat doctor            # check that the hook works
    ");
}

#[test]
fn leaves_scripts_of_others_and_changed_ones() {
    let project = on_path(TestProject::new()).file(SCRIPT, "#!/bin/sh\necho bye\n");
    let before = files(&project.project());
    assert_snapshot!(project.run(["init", "--replace"]), @r"
    --- stderr
    `.claude/hooks/on-session-end-cost.sh` is a script of another program, it stays: move it away and run this again
    --- exit 1
    ");
    assert_eq!(files(&project.project()), before);
    let mine = "#!/bin/sh\nCMAT_TAGS=team=a exec cmat hook session-end\n";
    project.write(SCRIPT, mine);
    assert_snapshot!(project.run(["init"]), @r"
      + .claude/hooks/on-session-end-cost.sh    runs cmat; it was changed and stays (--replace brings back cmat's own)
      + .claude/settings.json                   runs cmat when a session starts, answers, ends

    Sessions that start in this folder are recorded from now on. One that starts in a subfolder does not
    read these settings: `cmat init --global` is recommended, it serves all folders.
    Transcripts that are there already: 0, of this project: 0.

    Next:
      cmat reconcile         # record what the transcripts hold so far
      cmat costs show TASK   # what a task cost
      cmat doctor            # check that the hook works
    ");
    assert_eq!(files(&project.project())[SCRIPT], (mine.as_bytes().to_vec(), 0o755));
    assert_snapshot!(project.run(["uninstall"]), @r"
      - .claude/settings.json                   no longer runs cmat
    --- stderr
    `.claude/hooks/on-session-end-cost.sh` was changed by somebody and stays
    ");
    assert_eq!(files(&project.project())[SCRIPT].0, mine.as_bytes());
    project.stdout(["init", "--replace"]);
    assert_ne!(files(&project.project())[SCRIPT].0, mine.as_bytes());
}

#[test]
fn the_home_folder_is_no_project() {
    let project = TestProject::new();
    let output = project.cmat(["init"]).current_dir(project.home()).output().unwrap();
    assert_snapshot!(project.seen(&output), @r"
    --- stderr
    Error: `[home]` is not a project: its `.claude` holds your settings for all projects, use --global
    --- exit 1
    ");
    assert_eq!(files(&project.home()), BTreeMap::new());
}

#[test]
fn says_it_in_json() {
    let project = in_git(TestProject::new());
    let document: Value = serde_json::from_str(&project.stdout(["init", "--json"])).unwrap();
    assert_eq!(document["schema"], "cmat.init/1");
    let changes: Vec<_> = document["files"].as_array().unwrap().iter().map(|file| &file["change"]).collect();
    assert_eq!(changes, ["created"; 3]);
    let document: Value =
        serde_json::from_str(&project.stdout(["uninstall", "--json", "--dry-run"])).unwrap();
    assert_eq!(document["schema"], "cmat.uninstall/1");
    assert!(document["files"][0]["difference"].as_str().unwrap().contains("-  \"hooks\": {"), "{document}");
}

#[test]
fn what_it_installs_records_a_session_once_however_often_it_is_installed() {
    let bin = Path::new(env!("CARGO_BIN_EXE_cmat")).parent().unwrap().to_str().unwrap();
    let project = TestProject::new()
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .task("task_1", "checkout")
        .session("s-1", &[request("m-1", SONNET, [12_345, 3_456, 0, 8_901])]);
    project.stdout(["init"]);
    project.stdout(["init"]);
    assert!(project.run(["init", "--global"]).contains("recorded once all the same"));
    for folder in [project.home(), project.project()] {
        let settings: Value =
            serde_json::from_slice(&fs::read(folder.join(".claude/settings.json")).unwrap()).unwrap();
        let command = settings["hooks"]["SessionEnd"][0]["hooks"][0]["command"].as_str().unwrap();
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", command]).current_dir(project.project());
        project.surround(&mut shell);
        shell.env("CLAUDE_PROJECT_DIR", project.project()).env("CMAT_CURRENT_TASK_ID", "task_1");
        let told = project.session_end("s-1", &project.transcript_path("s-1"));
        assert_eq!(project.seen(&feed(&mut shell, told).wait_with_output().unwrap()), "");
    }
    assert_snapshot!(project.stored("task_1"), @r#"
    cost_input_tokens: "12345"
    cost_output_tokens: "3456"
    cost_cache_creation_tokens: "0"
    cost_cache_read_tokens: "8901"
    cost_usd: "0.0915"
    cost_model: "claude-sonnet-4-20250514"
    session_id: "s-1"
    "#);
}
