//! What `cmat init` writes, whole: the difference that it shows beforehand, and the settings for all projects.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use insta::assert_snapshot;

use crate::harness::TestProject;
use crate::init::files;
use crate::init::in_git;
use crate::init::on_path;

#[test]
fn a_dry_run_shows_the_difference() {
    let project = in_git(TestProject::new()).file(".claude/settings.json", "{\r\n\t\"model\": \"opus\"\r\n}");
    assert_snapshot!(project.run(["init", "--dry-run"]), @r#"
    --- /dev/null
    +++ .claude/hooks/on-session-end-cost.sh
    @@ -0,0 +1,11 @@
    +#!/bin/sh
    +# Claude Code runs this when a session starts, answers and ends, and describes the session on stdin; `cmat hook EVENT`
    +# records what it cost. The event is the first argument; without one, the session ends. It never disturbs a session: it
    +# ends with 0, which blocks nothing, and where `cmat` is not to be found, it does nothing.
    +case "${1-}" in
    +    "" | *[!a-z-]*) set -- session-end "$@" ;;
    +esac
    +for cmat in "$(command -v cmat)" "${CARGO_HOME:-$HOME/.cargo}/bin/cmat" "$HOME/.cargo/bin/cmat"; do
    +    [ -x "$cmat" ] && "$cmat" hook "$@" && exit 0
    +done
    +exit 0
    --- .claude/settings.json
    +++ .claude/settings.json
    @@ -1,3 +1,49 @@
     {
    -	"model": "opus"
    +	"model": "opus",
    +	"hooks": {
    +		"SessionEnd": [
    +			{
    +				"hooks": [
    +					{
    +						"type": "command",
    +						"command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh",
    +						"timeout": 30
    +					}
    +				]
    +			}
    +		],
    +		"SessionStart": [
    +			{
    +				"hooks": [
    +					{
    +						"type": "command",
    +						"command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh session-start",
    +						"timeout": 30
    +					}
    +				]
    +			}
    +		],
    +		"Stop": [
    +			{
    +				"hooks": [
    +					{
    +						"type": "command",
    +						"command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh stop",
    +						"timeout": 30
    +					}
    +				]
    +			}
    +		],
    +		"SubagentStop": [
    +			{
    +				"hooks": [
    +					{
    +						"type": "command",
    +						"command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh subagent-stop",
    +						"timeout": 30
    +					}
    +				]
    +			}
    +		]
    +	}
     }
    \ No newline at end of file
    --- /dev/null
    +++ .gitignore
    @@ -0,0 +1,4 @@
    +# cmat: files of this machine
    +task_queue.json.lock
    +.claude/cmat.task
    +*.cmat-backup
    "#);
    project.stdout(["init"]);
    assert_snapshot!(project.run(["uninstall", "--dry-run"]), @r#"
    --- .claude/settings.json
    +++ .claude/settings.json
    @@ -1,49 +1,3 @@
     {
    -	"model": "opus",
    -	"hooks": {
    -		"SessionEnd": [
    -			{
    -				"hooks": [
    -					{
    -						"type": "command",
    -						"command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh",
    -						"timeout": 30
    -					}
    -				]
    -			}
    -		],
    -		"SessionStart": [
    -			{
    -				"hooks": [
    -					{
    -						"type": "command",
    -						"command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh session-start",
    -						"timeout": 30
    -					}
    -				]
    -			}
    -		],
    -		"Stop": [
    -			{
    -				"hooks": [
    -					{
    -						"type": "command",
    -						"command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh stop",
    -						"timeout": 30
    -					}
    -				]
    -			}
    -		],
    -		"SubagentStop": [
    -			{
    -				"hooks": [
    -					{
    -						"type": "command",
    -						"command": "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks/on-session-end-cost.sh subagent-stop",
    -						"timeout": 30
    -					}
    -				]
    -			}
    -		]
    -	}
    +	"model": "opus"
     }
    \ No newline at end of file
    --- .claude/hooks/on-session-end-cost.sh
    +++ /dev/null
    @@ -1,11 +0,0 @@
    -#!/bin/sh
    -# Claude Code runs this when a session starts, answers and ends, and describes the session on stdin; `cmat hook EVENT`
    -# records what it cost. The event is the first argument; without one, the session ends. It never disturbs a session: it
    -# ends with 0, which blocks nothing, and where `cmat` is not to be found, it does nothing.
    -case "${1-}" in
    -    "" | *[!a-z-]*) set -- session-end "$@" ;;
    -esac
    -for cmat in "$(command -v cmat)" "${CARGO_HOME:-$HOME/.cargo}/bin/cmat" "$HOME/.cargo/bin/cmat"; do
    -    [ -x "$cmat" ] && "$cmat" hook "$@" && exit 0
    -done
    -exit 0
    --- .gitignore
    +++ /dev/null
    @@ -1,4 +0,0 @@
    -# cmat: files of this machine
    -task_queue.json.lock
    -.claude/cmat.task
    -*.cmat-backup
    "#);
}

#[test]
fn installs_for_all_projects_by_an_absolute_path() {
    let project = on_path(TestProject::new());
    let before = files(&project.home());
    assert_snapshot!(project.run(["init", "--global"]), @r"
      + ~/.claude/hooks/on-session-end-cost.sh  the hook script
      + ~/.claude/settings.json                 runs cmat when a session starts, answers, ends

    Sessions of all projects are recorded from now on, in whatever folder they start.
    Transcripts that are there already: 0, of this project: 0.

    Next:
      cmat reconcile --all   # record what the transcripts hold so far
      cmat costs show TASK   # what a task cost
      cmat doctor            # check that the hook works
    ");
    assert_eq!(files(&project.project()), BTreeMap::new());
    assert_snapshot!(fs::read_to_string(project.home().join(".claude/settings.json")).unwrap().replace(project.home().to_str().unwrap(), "[home]"), @r#"
    {
      "hooks": {
        "SessionEnd": [
          {
            "hooks": [
              {
                "type": "command",
                "command": "'[home]/.claude/hooks/on-session-end-cost.sh'",
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
                "command": "'[home]/.claude/hooks/on-session-end-cost.sh' session-start",
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
                "command": "'[home]/.claude/hooks/on-session-end-cost.sh' stop",
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
                "command": "'[home]/.claude/hooks/on-session-end-cost.sh' subagent-stop",
                "timeout": 30
              }
            ]
          }
        ]
      }
    }
    "#);
    assert_snapshot!(project.run(["init"]), @r"
      + .claude/hooks/on-session-end-cost.sh    the hook script
      + .claude/settings.json                   runs cmat when a session starts, answers, ends

    Sessions are recorded, in whatever folder they start.
    Transcripts that are there already: 0, of this project: 0.

    Next:
      cmat reconcile         # record what the transcripts hold so far
      cmat costs show TASK   # what a task cost
      cmat doctor            # check that the hook works
    --- stderr
    `~/.claude/settings.json` runs cmat too; a session that both see the end of is recorded once all the same
    ");
    assert_snapshot!(project.run(["uninstall", "--global"]), @r"
    - ~/.claude/settings.json                 no longer runs cmat
    - ~/.claude/hooks/on-session-end-cost.sh  the hook script
    ");
    assert_eq!(files(&project.home()), before);
}

#[test]
fn a_place_in_which_nothing_can_be_made_is_told_and_left_as_it_is() {
    let refused = |prepare: &dyn Fn(&Path)| {
        let project = TestProject::new();
        fs::remove_dir_all(project.project().join(".claude")).unwrap();
        prepare(&project.project());
        let before = files(&project.project());
        let seen = project.run(["init"]);
        assert_eq!(files(&project.project()), before, "{seen}");
        seen
    };
    let claude = |project: &Path| project.join(".claude");
    assert_snapshot!(refused(&|project| fs::write(claude(project), "x").unwrap()), @"
    --- stderr
    Error: `.claude` is no folder: move it away; nothing was changed
    --- exit 1
    ");
    assert_snapshot!(refused(&|project| symlink("/nowhere", claude(project)).unwrap()), @"
    --- stderr
    Error: `.claude` is a link to `/nowhere`, which is not there: make that, or remove the link; nothing was changed
    --- exit 1
    ");
    assert_snapshot!(refused(&|project| {
        fs::create_dir(claude(project)).unwrap();
        fs::write(claude(project).join("hooks"), "x").unwrap();
    }), @"
    --- stderr
    Error: `.claude/hooks` is no folder: move it away; nothing was changed
    --- exit 1
    ");
    assert_snapshot!(refused(&|project| {
        fs::create_dir(claude(project)).unwrap();
        symlink("../dotfiles/settings.json", claude(project).join("settings.json")).unwrap();
    }), @"
    --- stderr
    Error: `.claude/settings.json` is a link to `../dotfiles/settings.json`, which is not there: make that, or remove the link; nothing was changed
    --- exit 1
    ");
    assert_snapshot!(refused(&|project| fs::create_dir_all(claude(project).join("settings.json")).unwrap()), @"
    --- stderr
    Error: `.claude/settings.json` is a folder: move it away; nothing was changed
    --- exit 1
    ");
}
