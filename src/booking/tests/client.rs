//! The real client's transcripts, recorded: each session comes to what was served to it, and forks count once.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use walkdir::WalkDir;

use super::rooms::Rooms;
use crate::ledger::totals::Scope;
use crate::summary::ExplainedRequest;
use crate::usage::RawTokens;
use crate::usage::TokenUsage;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/client-transcripts").join(path)
}

/// Records all sessions of a folder of Claude Code's, in the order of their names or against it.
fn recorded(folder: &str, backwards: bool) -> Rooms {
    let rooms = Rooms::new();
    let projects =
        WalkDir::new(fixture(folder).join("projects")).min_depth(2).max_depth(2).sort_by_file_name();
    let mut mains: Vec<_> = projects.into_iter().map(|entry| entry.unwrap().into_path()).collect();
    mains.retain(|path| path.is_file());
    if backwards {
        mains.reverse();
    }
    for main in mains {
        rooms.books.borrow_mut().book_session(&main, None, None).unwrap();
    }
    rooms
}

/// Returns the requests that a session owns: id and tokens of each.
fn owned(rooms: &Rooms, session: &str) -> BTreeMap<String, (u64, u64, u64, u64, u64)> {
    let mut booked = booked(rooms, session);
    booked.retain(|id, _| !id.starts_with("not-itemised-"));
    booked
}

/// Returns all that is booked for a session, what its client counted beyond its requests included.
fn booked(rooms: &Rooms, session: &str) -> BTreeMap<String, (u64, u64, u64, u64, u64)> {
    let books = rooms.books.borrow();
    let requests = books.ledger.explain(Scope::Session(&session.parse().unwrap()), None).unwrap().first;
    let tokens = |request: &ExplainedRequest| {
        let mut sum = TokenUsage::default();
        for charge in &request.charges {
            sum = sum.checked_add(&charge.tokens).unwrap();
        }
        (sum.input, sum.output, sum.cache_write_5m, sum.cache_write_1h, sum.cache_read)
    };
    requests.iter().map(|request| (request.id.clone(), tokens(request))).collect()
}

fn served_tokens(usage: &Value) -> (u64, u64, u64, u64, u64) {
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let raw = RawTokens {
        input: count(&usage["input_tokens"]),
        output: count(&usage["output_tokens"]),
        cache_read: count(&usage["cache_read_input_tokens"]),
        cache_write: count(&usage["cache_creation_input_tokens"]),
        cache_write_5m: count(&usage["cache_creation"]["ephemeral_5m_input_tokens"]),
        cache_write_1h: count(&usage["cache_creation"]["ephemeral_1h_input_tokens"]),
    };
    let billed = raw.billed();
    (billed.input, billed.output, billed.cache_write_5m, billed.cache_write_1h, billed.cache_read)
}

#[test]
fn each_session_owns_what_was_served_to_it() {
    let folder = "corpus-2.1.330";
    let lacking = std::fs::read_to_string(fixture(folder).join("lacking.tsv")).unwrap();
    let lacking: Vec<&str> = lacking.lines().skip(1).map(|line| line.split('\t').nth(1).unwrap()).collect();
    let served = std::fs::read_to_string(fixture(folder).join("served.jsonl")).unwrap();
    let served: Vec<Value> = served.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for backwards in [false, true] {
        let rooms = recorded(folder, backwards);
        let mut expected: BTreeMap<&str, BTreeMap<String, _>> = BTreeMap::new();
        for response in served.iter().filter(|response| response["http"] == 200) {
            let (session, id) =
                (response["session"].as_str().unwrap(), response["message_id"].as_str().unwrap());
            let of_session = expected.entry(session).or_default();
            if !lacking.contains(&id) {
                of_session.insert(id.to_owned(), served_tokens(&response["usage"]));
            }
        }
        for (session, expected) in expected {
            let mut owned = owned(&rooms, session);
            owned.retain(|id, _| !lacking.contains(&id.as_str()));
            assert_eq!(owned, expected, "{session}");
        }
    }
}

/// Returns what a session spent beyond its requests, as it is booked, and whether that is at least what it spent.
fn not_itemised(rooms: &Rooms, session: &str) -> (Vec<TokenUsage>, bool) {
    let books = rooms.books.borrow();
    let scope = Scope::Session(&session.parse().unwrap());
    let requests = books.ledger.explain(scope, None).unwrap().first;
    let booked = requests.iter().filter(|request| request.not_itemised);
    let tokens = booked.flat_map(|request| &request.charges).map(|charge| charge.tokens).collect();
    (tokens, books.ledger.totals(scope).unwrap().unwrap_or_default().lower_bound)
}

#[test]
fn what_transcripts_lack_is_booked_from_the_clients_own_count() {
    // Sessions whose count is not what was served, or that say no more than what is there at least.
    let odd = [
        ("d2e83ffa", "it estimated the output of two attempts that were cut off: 10 tokens, 6 were served"),
        ("8cb58e52", "interrupted: the answer stands behind the count"),
        ("b7ed9832", "terminated while it streamed: the client counted nothing"),
        ("5ee553af", "killed while it streamed"),
        ("29af31e8", "told to write no transcript"),
        ("4ba29412", "a fork: its count begins with that of its parent, subagents included"),
    ];
    let folder = "corpus-2.1.330";
    let served = std::fs::read_to_string(fixture(folder).join("served.jsonl")).unwrap();
    let mut expected: BTreeMap<String, (u64, u64, u64, u64, u64)> = BTreeMap::new();
    for response in served.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let session = expected.entry(response["session"].as_str().unwrap().to_owned()).or_default();
        if response["http"] == 200 {
            let tokens = served_tokens(&response["usage"]);
            *session = (
                session.0 + tokens.0,
                session.1 + tokens.1,
                session.2 + tokens.2,
                session.3 + tokens.3,
                session.4 + tokens.4,
            );
        }
    }
    for backwards in [false, true] {
        let rooms = recorded(folder, backwards);
        for (session, expected) in &expected {
            let sum = booked(&rooms, session).into_values().fold((0, 0, 0, 0, 0), |sum, tokens| {
                (sum.0 + tokens.0, sum.1 + tokens.1, sum.2 + tokens.2, sum.3 + tokens.3, sum.4 + tokens.4)
            });
            let (beyond, is_at_least) = not_itemised(&rooms, session);
            match &session[..8] {
                "d2e83ffa" => {
                    assert_eq!(sum, (expected.0, expected.1 + 4, expected.2, expected.3, expected.4));
                    assert_eq!((beyond.len(), is_at_least), (1, false));
                }
                "8cb58e52" | "4ba29412" => assert_eq!((beyond, is_at_least), (vec![], true), "{session}"),
                id if odd.iter().any(|(odd, _)| *odd == id) => assert_eq!(beyond, [], "{session}"),
                _ => assert_eq!((sum, is_at_least), (*expected, false), "{session}"),
            }
        }
        let of = |session| not_itemised(&rooms, session).0;
        let compacted = [TokenUsage {
            input: 12,
            output: 60,
            cache_write_5m: 600,
            cache_read: 41_000,
            cache_write_1h: 0,
        }];
        assert_eq!(of("1f34360a-7212-4c37-8433-d3c92037fff8"), compacted);
        let searched =
            [TokenUsage { input: 9, output: 7, cache_write_5m: 11, cache_read: 13, cache_write_1h: 0 }];
        assert_eq!(of("f01a1bd0-5cff-4d5c-807e-a470e39c0644"), searched);
    }
}

#[test]
fn a_fork_owns_only_what_it_asked_itself_whether_the_client_marks_copies_or_not() {
    let parent = "979402bc-b927-4668-9cb4-94b8d5931378";
    let fork = "4ba29412-c7de-4c21-95e6-36d1eab0f6f9";
    let check = |order: [&str; 2], mark: &str| {
        let rooms = Rooms::new();
        for session in order {
            let file = format!("{session}.jsonl");
            let path = fixture("corpus-2.1.330/projects/-home-dev-proj").join(&file);
            let text = std::fs::read_to_string(path).unwrap().replace("\"requestSessionId\"", mark);
            rooms.write(Path::new(&file), text.as_bytes());
            rooms.read(Path::new(&file));
        }
        let n_owned = [parent, fork].map(|session| owned(&rooms, session).len());
        assert_eq!(n_owned, [2, 1], "{order:?} with {mark}");
    };
    for order in [[parent, fork], [fork, parent]] {
        check(order, "\"requestSessionId\"");
        // As clients up to 2.1.290 wrote it.
        check(order, "\"formerly\"");
    }
}
