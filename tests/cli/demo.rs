//! `cmat demo`: what it shows and leaves behind, and what other ways to read its transcripts would say.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use serde_json::json;

use crate::harness::TestProject;

/// The demo, kept in a folder of a test's own.
pub(crate) struct KeptDemo {
    project: TestProject,
}

impl KeptDemo {
    pub(crate) fn new() -> Self {
        let project = TestProject::new();
        project.run(["demo", "--keep", "shop"]);
        Self { project }
    }

    fn folder(&self) -> PathBuf {
        self.project.project().join("shop")
    }

    /// Returns cmat as a person would run it in the demo's project.
    pub(crate) fn cmat(&self, arguments: &[&str]) -> Command {
        let mut command = self.project.cmat(arguments);
        command
            .current_dir(self.folder().join("project"))
            .env("HOME", self.folder().join("home"))
            .env("CMAT_HOME", self.folder().join("cmat"))
            .env("CMAT_NOW", "2026-11-20T18:00:00Z");
        command
    }

    /// Returns what a person would see.
    pub(crate) fn seen(&self, arguments: &[&str]) -> String {
        let output = self.cmat(arguments).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// Runs a line of shell in the demo's project and returns what a person would see.
    pub(crate) fn shell(&self, line: &str) -> String {
        let program = Path::new(env!("CARGO_BIN_EXE_cmat")).parent().unwrap();
        let cmat = self.cmat(&[]);
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &format!("exec 2>&1; {line}")])
            .current_dir(cmat.get_current_dir().unwrap())
            .env_clear()
            .envs(cmat.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("PATH", format!("{}:/usr/bin:/bin", program.display()));
        String::from_utf8(shell.output().unwrap().stdout).unwrap()
    }

    /// Returns the document that a command prints with `--json`.
    pub(crate) fn document(&self, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.cmat(&[arguments, &["--json"]].concat()).output().unwrap().stdout)
            .unwrap()
    }
}

#[test]
fn shows_the_same_each_time_and_no_path() {
    let project = TestProject::new();
    let shown = project.stdout(["demo"]);
    assert_eq!(project.stdout(["demo"]), shown);
    let temporary = std::env::temp_dir().canonicalize().unwrap();
    assert!(!shown.contains(temporary.to_str().unwrap()), "{shown}");
    assert!(shown.ends_with("  cmat doctor      checks that all of it works\n"), "{shown}");
    assert!(!project.cmat_home().exists(), "the demo touched the user's own ledger");
}

#[test]
fn an_interrupted_one_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let is_empty = || fs::read_dir(temporary.path()).unwrap().next().is_none();
    let mut demo = TestProject::new().cmat(["demo"]).env("TMPDIR", temporary.path()).spawn().unwrap();
    while is_empty() {
        assert!(demo.try_wait().unwrap().is_none(), "it made no folder");
        std::thread::yield_now();
    }
    let sent = Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(demo.wait().unwrap().code(), Some(130));
    assert!(is_empty());
}

#[test]
fn what_it_keeps_is_a_project_to_ask_more_of() {
    let demo = KeptDemo::new();
    assert_eq!(
        demo.seen(&["costs", "enhancement", "search"]),
        "Cost for enhancement 'search':\n  Tasks:              3\n  Input Tokens:       251\n  \
         Output Tokens:   12,648\n  Total Cost:    ~$0.3978\n\
         estimated: a model or a price table is missing, so another price was taken (`cmat models check`)\n"
    );
    let again = demo.project.run(["demo", "--keep", "shop"]);
    assert_eq!(again, "--- stderr\nError: `[project]/shop` is not empty: name a new folder\n--- exit 1\n");
}

#[test]
fn the_queue_shows_each_task_also_the_one_whose_hook_was_killed() {
    let demo = KeptDemo::new();
    let queue = fs::read(demo.folder().join("project/.claude/data/task_queue.json")).unwrap();
    let queue: Value = serde_json::from_slice(&queue).unwrap();
    let stored: Vec<_> =
        queue["tasks"].as_array().unwrap().iter().map(|task| &task["metadata"]["cost_usd"]).collect();
    assert_eq!(stored, ["0.1524", "0.6886", "0.5023", "0.5673", "0.1515", "0.2416", "0.0047"]);
}

/// How else the lines of a transcript could be read.
#[derive(Clone, Copy)]
enum Reading {
    /// Each line as a request of its own.
    EachLine,
    /// The first line of each request, whatever it holds.
    FirstLine,
}

impl Reading {
    /// Returns a transcript in which cmat can only see what this way of reading sees.
    fn of(self, transcript: &str) -> String {
        let mut seen = BTreeSet::new();
        let mut lines = String::new();
        for (n, line) in transcript.lines().enumerate() {
            let mut entry: Value = serde_json::from_str(line).unwrap();
            if let Some(id) = entry["message"]["id"].as_str().map(str::to_owned) {
                match self {
                    Self::EachLine => entry["message"]["id"] = json!(format!("{id}-{n}")),
                    Self::FirstLine if !seen.insert(id) => continue,
                    Self::FirstLine => {}
                }
            }
            lines.push_str(&format!("{entry}\n"));
        }
        lines
    }
}

/// Returns what the demo's checkout would cost if its transcripts were read so.
fn checkout_read(demo: &KeptDemo, reading: Reading) -> String {
    let other_ledger = tempfile::tempdir().unwrap();
    let transcripts = jsonl_files(&demo.folder().join("home/.claude/projects"));
    for path in &transcripts {
        fs::write(path, reading.of(&fs::read_to_string(path).unwrap())).unwrap();
    }
    let ask = |arguments: &[&str]| {
        let mut command = demo.cmat(arguments);
        command.env("CMAT_HOME", other_ledger.path()).output().unwrap()
    };
    for task in ["SHOP-101", "SHOP-102", "SHOP-103", "SHOP-104"] {
        for session in demo.document(&["costs", "show", task])["sessions"].as_array().unwrap() {
            let name = format!("{}.jsonl", session["session"].as_str().unwrap());
            let transcript = transcripts.iter().find(|path| path.ends_with(&name)).unwrap();
            let extracted = ask(&["costs", "extract", task, transcript.to_str().unwrap()]);
            assert!(extracted.status.success(), "{extracted:?}");
        }
    }
    let answer: Value =
        serde_json::from_slice(&ask(&["costs", "enhancement", "checkout", "--json"]).stdout).unwrap();
    answer["cost_usd"].as_str().unwrap().to_owned()
}

fn jsonl_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(jsonl_files(&path)),
            false => files.push(path),
        }
    }
    files
}

#[test]
fn other_ways_to_read_its_transcripts_are_wrong_as_the_readme_says() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let check = |reading, expected: &str, row: &str| {
        assert_eq!(checkout_read(&KeptDemo::new(), reading), expected);
        assert!(readme.contains(row), "README.md lacks {row}");
    };
    check(Reading::EachLine, "4.47358852", "adds them up | $4.4736 |");
    check(Reading::FirstLine, "1.841930995", "first line of each request | $1.8419 |");
}
