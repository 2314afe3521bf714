//! The documents for people: each command that they show prints what they say it prints, in the demo's project.
//!
//! In a block marked `console`, a line that begins with `$ ` is a command and the lines below it are what it prints.
//! `UPDATE_DOCUMENTS=1 cargo test --test cli documents` writes down what the commands print now.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use cmat::query::Dimension;
use regex::Regex;
use serde_json::Value;

use crate::demo::KeptDemo;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns README.md and what is in docs/.
fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut documents: Vec<PathBuf> =
        docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    documents.sort();
    documents.insert(0, root().join("README.md"));
    documents
}

/// Returns the document with what its commands print in place of what it says they print.
fn with_real_outputs(document: &str, demo: &KeptDemo) -> String {
    let mut real = String::new();
    let mut n_commands = None;
    for line in document.lines() {
        let is_fence = line.starts_with("```");
        if is_fence {
            n_commands = (line == "```console").then_some(0);
        }
        match (&mut n_commands, line.strip_prefix("$ ")) {
            (Some(n_commands), Some(command)) => {
                let gap = if *n_commands > 0 { "\n" } else { "" };
                real.push_str(&format!("{gap}{line}\n{}", demo.shell(command)));
                *n_commands += 1;
            }
            (Some(_), None) if !is_fence => {}
            _ => real.push_str(&format!("{line}\n")),
        }
    }
    real
}

#[test]
fn each_shown_command_prints_what_the_document_says() {
    for path in documents() {
        let document = fs::read_to_string(&path).unwrap();
        let real = with_real_outputs(&document, &KeptDemo::new());
        if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
            fs::write(&path, &real).unwrap();
        } else {
            assert_eq!(document, real, "{}", path.display());
        }
    }
}

/// Returns the keys of a document and of all that is in it.
fn keys(document: &Value) -> BTreeSet<String> {
    match document {
        Value::Object(fields) => {
            fields.iter().flat_map(|(key, value)| keys(value).into_iter().chain([key.clone()])).collect()
        }
        Value::Array(rows) => rows.iter().flat_map(keys).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn each_key_of_a_json_document_is_described() {
    let described = fs::read_to_string(root().join("docs/json.md")).unwrap();
    let demo = KeptDemo::new();
    let commands =
        described.lines().filter_map(|line| line.strip_prefix("Printed by `cmat ")?.strip_suffix("`."));
    let mut schemas = BTreeSet::new();
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        let document = demo.document(&words);
        let schema = document["schema"].as_str().unwrap_or("(none)").to_owned();
        assert!(described.contains(&format!("\n## `{schema}`")), "{schema} of `cmat {command}`");
        for key in keys(&document) {
            assert!(described.contains(&format!("`{key}`")), "`{key}` of `cmat {command}`");
        }
        schemas.insert(schema);
    }
    assert!(schemas.len() >= 5, "{schemas:?}");
}

#[test]
fn what_reports_group_by_is_named_in_the_help_and_the_documentation() {
    let help = KeptDemo::new().shell("cmat report --help").replace('\n', " ");
    let about = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = about(&help);
    let listed = help.split_once("What to group by:").unwrap().1.split_once(';').unwrap().0;
    let documented = fs::read_to_string(root().join("docs/reports.md")).unwrap();
    let documented = documented.split_once("## What to group by").unwrap().1.split_once("\n## ").unwrap().0;
    for dimension in Dimension::all() {
        let name = dimension.to_string();
        assert!(listed.split(", ").any(|listed| listed.trim() == name), "{name} in: {listed}");
        assert!(documented.contains(&format!("`{name}`")), "{name} in: {documented}");
    }
}

#[test]
fn the_doctor_has_the_checks_that_the_readme_names() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let table = readme.split("| check of `cmat doctor` |").nth(1).unwrap().split("\n\n").next().unwrap();
    let demo = KeptDemo::new();
    demo.shell("cmat init");
    let doctor = demo.document(&["doctor"]);
    let checks: BTreeSet<&str> =
        doctor["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    let name = Regex::new("`([^`]+)`").unwrap();
    let cells = table.lines().filter_map(|row| row.split('|').nth(2));
    for found in cells.flat_map(|cell| name.captures_iter(cell)) {
        let name = &found[1];
        assert!(checks.contains(name), "README.md names `{name}`, doctor has {checks:?}");
    }
}
