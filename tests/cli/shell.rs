//! What a shell, a terminal and a manual get of cmat: completions, pages, colours, a pager.

use std::process::Command;

use insta::assert_snapshot;

use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

fn project() -> TestProject {
    let project =
        TestProject::new().task("task_1", "login").session("s1", &[request("m", SONNET, [1, 1, 0, 0])]);
    assert_eq!(project.end_session("task_1", "s1"), "");
    project
}

/// Returns what bash would offer for the last of `words`.
fn offered(project: &TestProject, words: &[&str]) -> String {
    let mut command = project.cmat(["--"]);
    let index = words.len() - 1;
    command.args(words).env("CMAT_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index.to_string());
    command.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true");
    project.seen(&command.output().unwrap())
}

#[test]
fn commands_tasks_and_enhancements_complete() {
    let project = project();
    assert_snapshot!(offered(&project, &["cmat", "reatt"]), @"reattribute");
    assert_snapshot!(offered(&project, &["cmat", "costs", "show", "task"]), @"task_1");
    assert_snapshot!(offered(&project, &["cmat", "explain", "task"]), @"task_1");
    assert_snapshot!(offered(&project, &["cmat", "costs", "enhancement", "lo"]), @"login");
    let hostile = project.run(["task", "new", "x", "--enhancement", "a\u{1b}[2J"]);
    assert_eq!(hostile, "T-1\n");
    assert_snapshot!(offered(&project, &["cmat", "costs", "enhancement", "a"]), @"");
    let nowhere = TestProject::new();
    assert_snapshot!(offered(&nowhere, &["cmat", "costs", "show", "t"]), @"");
}

#[test]
fn dimensions_and_what_requests_have_in_them_complete() {
    let project = project();
    let tagged = ["--tag", "chapter=3", "--at", "2026-11-19", "--id", "job"];
    let record = ["record", "--model", SONNET, "--input", "1", "--agent", "o'neil: x"];
    project.stdout(record.into_iter().chain(tagged));
    project.stdout(["report"]);
    assert_snapshot!(offered(&project, &["cmat", "report", "--by", "task,mo"]), @r"
    task,month
    task,model
    ");
    assert_snapshot!(offered(&project, &["cmat", "report", "--by", "tag"]), @"tag:chapter");
    assert_snapshot!(offered(&project, &["cmat", "cache", "--by", "sk"]), @"skill");
    assert_snapshot!(offered(&project, &["cmat", "report", "--where", "br"]), @"branch=");
    assert_snapshot!(offered(&project, &["cmat", "report", "--where", "day"]), @"");
    assert_snapshot!(offered(&project, &["cmat", "report", "--where", "branch=m"]), @"branch=main");
    assert_snapshot!(offered(&project, &["cmat", "export", "csv", "-", "--where", "agent="]), @r"
    agent=implementer
    agent=o'neil: x
    ");
    assert_snapshot!(offered(&project, &["cmat", "forecast", "--where", "weather="]), @"");
    assert_snapshot!(offered(&project, &["cmat", "explain", "enhancement:l"]), @"enhancement:login");
    assert_snapshot!(offered(&project, &["cmat", "estimate", "--like", "l"]), @"login");
    assert_snapshot!(offered(&project, &["cmat", "sessions", "show", "s"]), @"s1");
}

#[test]
fn the_version_is_a_command_too() {
    let project = TestProject::new();
    let version = project.stdout(["version"]);
    assert_eq!(version, format!("cmat {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(project.stdout(["--version"]), version);
}

#[test]
fn each_shell_gets_its_script() {
    let project = TestProject::new();
    for (shell, sign) in
        [("bash", "complete "), ("zsh", "#compdef"), ("fish", "complete "), ("powershell", "Register-")]
    {
        let script = project.stdout(["completions", shell]);
        assert!(script.contains(sign) && script.contains("CMAT_COMPLETE"), "{shell}: {script}");
    }
    assert!(project.run(["completions", "tcsh"]).ends_with("--- exit 2\n"));
}

/// Returns what bash offers at the end of a line whose last words it took apart, and what it is to put in.
fn offered_in_bash(project: &TestProject, words: &[&str], last: &str) -> String {
    let mut command = Command::new("bash");
    let line = words.join(" ").replace(" = ", "=").replace(" : ", ":").replace(" =", "=").replace(" :", ":");
    let script = r#"
        source <(cmat completions bash)
        COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 last=$2
        shift 2
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        function_of_cmat=$(complete -p cmat | sed 's/.*-F //; s/ .*//')
        $function_of_cmat cmat "$last" "" 2>/dev/null
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    command.args(["--norc", "-c", script, "bash", &line, last]).args(words);
    project.surround(&mut command);
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_cmat")).parent().unwrap();
    command.env("PATH", format!("{}:/usr/bin:/bin", folder.display())).current_dir(project.project());
    project.seen(&command.output().unwrap())
}

#[test]
fn bash_completes_behind_an_equals_sign_and_a_colon_where_it_begins_new_words() {
    let project = project();
    project.stdout(["report"]);
    let offered = |words: &[&str], last: &str| offered_in_bash(&project, words, last);
    assert_snapshot!(offered(&["cmat", "report", "--where", "branch", "="], ""), @"main");
    assert_snapshot!(offered(&["cmat", "report", "--where", "branch", "=", "m"], "m"), @"main");
    assert_snapshot!(offered(&["cmat", "report", "--where", "br"], "br"), @"branch=");
    assert_snapshot!(offered(&["cmat", "explain", "enhancement", ":", "l"], "l"), @"login");
    assert_snapshot!(offered(&["cmat", "costs", "show", "task"], "task"), @"task_1");
    assert_snapshot!(offered(&["cmat", "costs", "sh"], "sh"), @"show");
}

#[test]
fn each_command_gets_a_page() {
    let project = TestProject::new();
    let told = project.stdout(["man", "pages"]);
    let pages = std::fs::read_dir(project.project().join("pages")).unwrap().count();
    assert_eq!(told, format!("{pages} pages in pages\n"));
    let page = std::fs::read_to_string(project.project().join("pages/cmat-costs-show.1")).unwrap();
    assert!(page.contains("cmat\\-costs\\-show"), "{page}");
    assert!(
        page.contains(".SH EXAMPLES\n.nf\n\\&cmat costs show task_1702345678_12345 \\-\\-breakdown\n.fi\n"),
        "{page}"
    );
    assert!(!project.project().join("pages/cmat-hook.1").exists());
    let project = project.file("taken", "a file");
    assert_snapshot!(project.run(["man", "taken"]), @"
    --- stderr
    Error: cannot make `taken`: File exists (os error 17)
    --- exit 1
    ");
}

#[test]
fn colours_mark_what_the_words_say_and_only_where_they_are_wanted() {
    let project = TestProject::new();
    let missing = ["costs", "show", "nothing"];
    let plain = project.run(missing);
    assert!(plain.contains("\nError: ") && !plain.contains('\u{1b}'), "{plain}");
    let coloured = project.run(missing.into_iter().chain(["--color", "always"]));
    assert_eq!(coloured, plain.replace("Error:", "\u{1b}[1;31mError:\u{1b}[0m"));
    let project = project.env("CLICOLOR_FORCE", "1");
    assert_eq!(project.run(missing), coloured);
    assert_eq!(project.run(missing.into_iter().chain(["--color", "never"])), plain);
    let project = project.env("NO_COLOR", "1");
    assert_eq!(project.run(missing), plain);
}

#[test]
fn words_can_be_kept_back_but_for_errors() {
    let project = TestProject::new();
    assert_snapshot!(project.run(["task", "list", "-q"]), @"");
    let seen = project.run(["costs", "show", "nothing", "--quiet"]);
    assert!(seen.contains("Error: ") && seen.ends_with("--- exit 1\n"), "{seen}");
}

#[test]
fn ascii_is_for_what_cmat_writes_itself() {
    let project = TestProject::new();
    project.run(["task", "new", "größe → 日本"]);
    assert_snapshot!(project.run(["task", "list", "--ascii"]), @"
    TASK  ENHANCEMENT     COST  TITLE
    T-1   -            $0.0000  größe -> 日本
    ");
    for command in ["statusline", "forecast", "estimate"] {
        let seen = project.run([command, "--ascii"]);
        assert!(seen.is_ascii() && !seen.contains("unexpected"), "{command}: {seen}");
    }
}

/// Runs cmat on a terminal of a few lines, with a pager that marks what it was given.
fn on_a_terminal(project: &TestProject, lines: u32, arguments: &str) -> String {
    let line = format!("stty rows {lines} cols 100; {} {arguments}", env!("CARGO_BIN_EXE_cmat"));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(project.project());
    project.surround(&mut command);
    command.env("PAGER", "sed 's/^/paged: /'").env("TERM", "xterm");
    project.seen(&command.output().unwrap()).replace('\r', "")
}

#[test]
fn a_pager_shows_what_is_longer_than_the_screen() {
    let project = TestProject::new();
    let short = on_a_terminal(&project, 50, "models show claude-opus-4-8");
    assert!(short.starts_with("Model: claude-opus-4-8") && !short.contains("paged: "), "{short}");
    let long = on_a_terminal(&project, 5, "models show claude-opus-4-8");
    assert_eq!(long.lines().count(), short.lines().count(), "{long}");
    assert!(long.lines().all(|line| line.starts_with("paged: ")), "{long}");
    let json = on_a_terminal(&project, 1, "models show claude-opus-4-8 --json");
    assert!(!json.contains("paged: "), "{json}");
    let failed = on_a_terminal(&project, 50, "costs show nothing");
    assert!(failed.contains("\u{1b}[1;31mError:\u{1b}[0m"), "{failed}");
}
