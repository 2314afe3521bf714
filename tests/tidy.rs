//! Checks of the source tree that neither the compiler nor clippy makes: who may use whom, and what each file
//! must have or must not hold.
//!
//! The order of the rooms is that of `pub mod` in `src/lib.rs`; there is no second list of it.

#![expect(clippy::unwrap_used, reason = "a file that cannot be read fails the check")]

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use regex::Regex;
use walkdir::WalkDir;

/// Rooms that take bytes and values and give values: no file, environment, clock, process or network.
const PURE: &[&str] = &[
    "id",
    "printable",
    "money",
    "usage",
    "client_count",
    "period",
    "json_edit",
    "hook_input",
    "transcript",
    "attribution",
    "pricing",
    "remainder",
    "import",
    "budget",
    "summary",
    "estimate",
    "cache_use",
    "anomaly",
    "advice",
    "query",
    "report",
    "export",
];

/// What a pure room must not touch.
const IMPURE: &str = r"\bstd::(fs|env|process|net)\b|::now\(\)";

/// What may not stay in the code. (Each pattern is written so that it does not find itself.)
const LEFTOVERS: &[(&str, &str)] = &[
    (r"\b(dbg|todo|unimplemented)!", "a macro for the time of writing"),
    (r"\b(FIXM[E]|TOD[O]|XX[X]|HAC[K])\b", "a note to oneself: open an issue instead"),
    (r"#\[ignor[e]", "a test that does not run: mend or remove it"),
    (r"#\[should_pani[c]", "a test that cannot say what went wrong: assert on the error"),
    (r"#!?\[allo[w]\(", "a lint switched off for ever: `#[expect(…, reason = \"…\")]`"),
];

/// Longest file, in lines. One that needs more holds two things.
const MAX_LINES: usize = 500;

/// A Rust file of the project.
struct Source {
    /// Path from the root of the project.
    path: PathBuf,
    text: String,
}

impl Source {
    /// Returns the room that the file belongs to: its name or first folder below `src`, `lib` and `main` included.
    fn room(&self) -> &str {
        let below = self.path.strip_prefix("src").unwrap();
        let first = below.components().next().unwrap();
        Path::new(first.as_os_str()).file_stem().unwrap().to_str().unwrap()
    }

    /// Returns the numbered lines of code without comments, those of the file's own tests included.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = |(_, line): &(usize, &str)| !line.trim_start().starts_with("//");
        self.text.lines().enumerate().map(|(n, line)| (n + 1, line)).filter(code)
    }

    /// Returns the numbered lines of code that the program is made of.
    fn shipped_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test_file = self.path.file_stem().is_some_and(|stem| stem == "tests");
        let own_tests = self.text.find("#[cfg(test)]\nmod tests").unwrap_or(self.text.len());
        let n_shipped = if is_test_file { 0 } else { self.text[..own_tests].lines().count() };
        self.code().take_while(move |(n, _)| *n <= n_shipped)
    }

    fn at(&self, line: usize, problem: impl std::fmt::Display) -> String {
        format!("{}:{line}: {problem}", self.path.display())
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the Rust files below the folders, in the order of their paths.
fn sources(folders: &[&str]) -> Vec<Source> {
    let files = folders.iter().flat_map(|folder| WalkDir::new(root().join(folder)).sort_by_file_name());
    files
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs"))
        .map(|entry| Source {
            path: entry.path().strip_prefix(root()).unwrap().to_path_buf(),
            text: fs::read_to_string(entry.path()).unwrap(),
        })
        .collect()
}

/// Returns the rooms in the order in which `src/lib.rs` names them.
fn rooms() -> Vec<String> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let module = Regex::new(r"(?m)^pub mod (\w+);").unwrap();
    module.captures_iter(&lib).map(|found| found[1].to_owned()).collect()
}

/// Returns one problem for each line that the pattern finds.
fn found<'source>(
    source: &'source Source,
    lines: impl Iterator<Item = (usize, &'source str)>,
    pattern: &str,
    why: &str,
) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    lines
        .filter_map(|(n, line)| Some((n, pattern.find(line)?.as_str())))
        .map(|(n, text)| source.at(n, format_args!("`{text}`: {why}")))
        .collect()
}

#[track_caller]
fn assert_none(problems: impl IntoIterator<Item = String>) {
    let problems: Vec<String> = problems.into_iter().collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn a_room_uses_only_rooms_before_it() {
    let rooms = rooms();
    let position = |room: &str| rooms.iter().position(|name| name == room);
    let mention = Regex::new(r"\bcrate::(\w+)").unwrap();
    let mut problems = Vec::new();
    for source in sources(&["src"]) {
        let Some(own) = position(source.room()) else { continue };
        for (n, line) in source.code() {
            for used in mention.captures_iter(line) {
                if position(&used[1]).is_none_or(|used| used > own) {
                    let room = source.room();
                    problems.push(source.at(n, format_args!("`{}` does not come before `{room}`", &used[0])));
                }
            }
        }
    }
    assert_none(problems);
}

#[test]
fn every_room_is_in_the_list() {
    let rooms = rooms();
    let known = |source: &Source| {
        ["lib", "main"].contains(&source.room()) || rooms.iter().any(|room| room == source.room())
    };
    let unlisted = sources(&["src"]).into_iter().filter(|source| !known(source));
    assert_none(unlisted.map(|source| source.at(1, "no `pub mod` of src/lib.rs leads here")));
    let missing = PURE.iter().filter(|room| !rooms.iter().any(|name| name == *room));
    assert_none(missing.map(|room| format!("pure room `{room}` is not in src/lib.rs")));
}

#[test]
fn pure_rooms_take_their_world_as_arguments() {
    let why = "a pure room takes it as an argument";
    let pure = sources(&["src"]).into_iter().filter(|source| PURE.contains(&source.room()));
    assert_none(pure.flat_map(|source| found(&source, source.shipped_code(), IMPURE, why)));
}

#[test]
fn only_config_reads_the_environment() {
    let why = "only the room `config` and main.rs read the environment";
    let others = sources(&["src"]).into_iter().filter(|source| !["config", "main"].contains(&source.room()));
    assert_none(others.flat_map(|source| found(&source, source.shipped_code(), r"\bstd::env\b", why)));
}

#[test]
fn only_alerts_open_connections() {
    let why = "only the room `alerts` opens connections";
    let others = sources(&["src"]).into_iter().filter(|source| source.room() != "alerts");
    let network = r"\bureq\b|\bstd::net\b|\b(Tcp|Udp|Unix)(Stream|Socket|Listener)\b";
    assert_none(others.flat_map(|source| found(&source, source.shipped_code(), network, why)));
}

#[test]
fn no_binary_float_comes_near_money() {
    let why = "amounts, prices and shares are decimals or integers";
    assert_none(
        sources(&["src"]).iter().flat_map(|source| found(source, source.code(), r"\bf(32|64)\b", why)),
    );
}

#[test]
fn each_use_of_a_room_has_a_line_of_its_own() {
    let several = r"^\s*(pub(\(\w+\))? )?use crate(::\{|.*[{*]|[^;]*$)";
    let why = "one item of the crate in a line, so that `grep` shows who uses whom";
    assert_none(sources(&["src"]).iter().flat_map(|source| found(source, source.code(), several, why)));
}

#[test]
fn each_file_says_what_it_is_for_and_holds_one_thing() {
    let mut problems = Vec::new();
    for source in sources(&["src", "tests", "benches", "examples", "fuzz"]) {
        let n_lines = source.text.lines().count();
        if !source.text.starts_with("//! ") {
            problems.push(source.at(1, "does not begin with `//!`: what it is for, what it never does"));
        }
        if n_lines > MAX_LINES {
            problems.push(source.at(n_lines, format_args!("more than {MAX_LINES} lines: two things")));
        }
    }
    assert_none(problems);
}

#[test]
fn nothing_is_left_over() {
    let files = sources(&["src", "tests", "benches", "examples", "fuzz"]);
    assert_none(files.iter().flat_map(|source| {
        let lines = || source.text.lines().enumerate().map(|(n, line)| (n + 1, line));
        LEFTOVERS.iter().flat_map(move |(pattern, why)| found(source, lines(), pattern, why))
    }));
}

#[test]
fn each_dependency_says_what_it_is_for() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut problems = Vec::new();
    let mut section = "";
    for (n, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            section = line;
        } else if section.contains("dependencies]") && line.contains(" = ") && !line.contains("  # ") {
            problems.push(format!("Cargo.toml:{}: `{line}` has no comment on what it is for", n + 1));
        }
    }
    assert_none(problems);
}

#[test]
fn the_project_has_what_a_stranger_looks_for() {
    let expected = [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Cargo.lock",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
    ];
    let missing = expected.iter().filter(|name| !root().join(name).is_file());
    assert_none(missing.map(|name| format!("{name} is missing")));
}

#[test]
fn the_map_of_the_house_has_its_rooms_in_their_order() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let row = Regex::new(r"(?m)^\| `(\w+)` \| ").unwrap();
    let rows = row.captures_iter(&map).map(|found| found[1].to_owned());
    let rooms = rooms();
    let mapped: Vec<String> = rows.filter(|row| rooms.contains(row)).collect();
    assert_eq!(mapped[..rooms.len().min(mapped.len())], rooms);
}
