//! Each JSON document is as its schema in `schemas/` says: those that are asked for here, and those of all other tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::TestProject;

/// A session of the demo.
const SESSION: &str = "1c0ffee1-0105-4000-8000-5b0900000105";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

/// Returns where the schema of a name such as `cmat.report/1` stands.
fn path(name: &str) -> PathBuf {
    folder().join(format!("{}.json", name.replace('/', ".")))
}

/// Lets no object have a key that the schema does not tell of: readers must pass over such a key, but here is printed
/// only what is published.
fn close(schema: &mut Value) {
    if let Some(object) = schema.as_object_mut() {
        if object.contains_key("properties") {
            object.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        object.values_mut().for_each(close);
    } else if let Some(each) = schema.as_array_mut() {
        each.iter_mut().for_each(close);
    }
}

/// Holds a document against the schema that it names; text that is no such document passes.
#[track_caller]
pub(crate) fn check(text: &str) -> Option<String> {
    let document: Value = serde_json::from_str(text).ok()?;
    let name = document.get("schema")?.as_str()?.to_owned();
    let schema = fs::read_to_string(path(&name)).unwrap_or_else(|fault| panic!("schema of {name}: {fault}"));
    let mut schema: Value = serde_json::from_str(&schema).unwrap();
    close(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(&document).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{name}: {}\n{text}", faults.join("\n"));
    Some(name)
}

#[test]
fn each_document_has_a_schema_that_says_what_it_is() {
    let project = TestProject::new();
    let kept = project.project().join("kept");
    project.stdout(["demo", "--keep", kept.to_str().unwrap()]);
    let ask = |command: &str| {
        let mut cmat = project.cmat(command.split(' ').chain(["--json"]));
        cmat.current_dir(kept.join("project")).env("CMAT_HOME", kept.join("cmat"));
        let output = cmat.env("CLAUDE_CONFIG_DIR", kept.join("home/.claude")).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        check(&text).unwrap_or_else(|| panic!("{command}: {text}"))
    };
    let of_session = |path: &Path| path.file_stem().is_some_and(|stem| stem == SESSION);
    let folders = fs::read_dir(kept.join("home/.claude/projects")).unwrap();
    let mut transcripts = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    let transcript = transcripts.find_map(|file| Some(file.unwrap().path()).filter(|path| of_session(path)));
    let log = "timestamp,operation,job,prompt_tokens,completion_tokens,total_tokens,cost_estimate_usd\n\
               2025-03-10T09:00:00.123456,analysis,acme,1000,200,1200,0.030000\n";
    fs::write(kept.join("project/log.csv"), log).unwrap();
    let asked = [
        "advise --min 0.0001",
        "anomalies",
        "audit",
        "budget set --monthly 50",
        "budget alerts",
        "budget check --estimate 1000",
        "budget list",
        "budget status",
        "cache --by agent,tag:chapter --since 30d",
        "calc --model claude-opus-5-5 --input 2000 --output 1000",
        "costs enhancement checkout",
        &format!("costs extract SHOP-104 {}", transcript.unwrap().display()),
        "costs show SHOP-104",
        "costs show none",
        "demo",
        "doctor",
        "estimate --like checkout",
        "estimate --turns 3",
        "explain SHOP-106",
        "explain branch:main",
        "export json -",
        "export json - --level daily",
        "forecast",
        "forget --before 2026-10-01 --dry-run",
        "import token-csv log.csv",
        "init --dry-run",
        "init --statusline",
        "models check",
        "models list --all",
        "models show claude-haiku-5-5 --history",
        "models which claude-opus-5-5",
        "models update --dry-run",
        "reattribute --dry-run",
        "reconcile --dry-run",
        "record --model claude-opus-5-5 --input 5 --output 7",
        "report --by branch,model --during 2026-11 --compare 2026-10",
        "report --by hour,task,ticket,user,tag:chapter --top 2",
        "reprice --dry-run",
        "sessions",
        &format!("sessions show {SESSION}"),
        "stats",
        "stats reset --note again",
        "status",
        "summary --days 30",
        "task new Extra",
        "task list",
        "task use SHOP-104",
        "task link SHOP-104 --pr 42",
        &format!("task assign {SESSION} SHOP-106"),
        "uninstall --dry-run",
    ];
    let named: BTreeSet<String> = asked.into_iter().map(ask).collect();
    // These need a terminal, which the tests of budgets have, or somebody who listens, as in those of alerts.
    let elsewhere =
        ["cmat.budget.override/1", "cmat.budget.remove/1", "cmat.alert/1", "cmat.budget.alerts.test/1"];
    let published: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| !elsewhere.iter().any(|other| path(other).ends_with(name)))
        .collect();
    let files = named.iter().map(|name| path(name).file_name().unwrap().to_str().unwrap().to_owned());
    assert_eq!(published, files.collect());
}

#[test]
fn each_document_that_the_program_names_has_a_schema() {
    let mut named = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => named.extend(names_in(&fs::read_to_string(entry.path()).unwrap())),
            }
        }
    }
    assert!(named.contains("cmat.report/1"));
    let without: Vec<_> = named.iter().filter(|name| !path(name).exists()).collect();
    assert_eq!(without, Vec::<&String>::new(), "these need a file in schemas/");
}

/// Returns the names of documents in a source file: those strings in it that are `cmat.`, words and a version.
fn names_in(source: &str) -> impl Iterator<Item = String> {
    let is_name = |text: &&str| {
        text.strip_prefix("cmat.").and_then(|name| name.split_once('/')).is_some_and(|(words, version)| {
            words.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.')
                && version.parse::<u32>().is_ok()
        })
    };
    source.split('"').filter(is_name).map(str::to_owned)
}
