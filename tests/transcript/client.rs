//! What the real client wrote, beside what the API really served to it.
//!
//! `served.jsonl` is the truth; `lacking.tsv` beside it lists what the client leaves out of its transcripts.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use cmat::transcript::Slice;
use cmat::transcript::Tail;
use cmat::usage::RawTokens;
use cmat::usage::RequestFacts;
use cmat::usage::RequestKey;
use serde_json::Value;

use crate::read;
use crate::transcripts;

const SERVED_FOLDER: &str = "fixtures/client-transcripts/corpus-2.1.330";

/// Sessions whose last request was interrupted or killed, by the first part of their ids.
const UNANSWERED: [&str; 4] = ["8cb58e52", "b7ed9832", "5ee553af", "1c8a6c5e"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(SERVED_FOLDER)
}

fn read_file(path: &Path) -> Slice {
    let slice = read(&std::fs::read(path).unwrap());
    assert_eq!((slice.n_skipped, &slice.torn), (0, &None), "{}", path.display());
    slice
}

/// Requests of a folder's transcripts, by message id, their copies merged; what a fork repeats is not among them.
fn requests(folder: &Path) -> BTreeMap<String, RequestFacts> {
    let mut requests: BTreeMap<String, RequestFacts> = BTreeMap::new();
    for path in transcripts(folder.join("projects")) {
        for record in read_file(&path).records.iter().filter(|record| record.request_session.is_none()) {
            let RequestKey::Message(id) = &record.facts.key else { panic!("no message id") };
            let known = requests.entry(id.as_str().to_owned()).or_insert_with(|| record.facts.clone());
            known.merge(&record.facts);
        }
    }
    requests
}

#[test]
fn transcripts_hold_what_was_served_but_for_what_the_client_leaves_out() {
    let lacking = std::fs::read_to_string(folder().join("lacking.tsv")).unwrap();
    let mut lacking: BTreeMap<&str, &str> = lacking
        .lines()
        .skip(1)
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            (columns[1], columns[2])
        })
        .collect();
    let mut requests = requests(&folder());
    let served = std::fs::read_to_string(folder().join("served.jsonl")).unwrap();
    for response in served.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let id = response["message_id"].as_str().unwrap();
        let found = requests.remove(id);
        if response["http"] != 200 {
            assert_eq!(found, None, "{id} failed and costs nothing");
            continue;
        }
        match (lacking.remove(id), found) {
            (None, Some(facts)) => assert_served(&facts, &response),
            (Some("absent"), None) => {}
            (Some("partial"), Some(facts)) => {
                let truth = tokens(&response["usage"]);
                assert!(!facts.complete && facts.tokens.output < truth.output, "{id} is a lower bound");
                assert_eq!(
                    RawTokens { output: truth.output, ..facts.tokens },
                    truth,
                    "{id} but for its output"
                );
            }
            (expected, found) => panic!("{id} of {}: {expected:?}, {found:?}", response["session"]),
        }
    }
    assert!(requests.is_empty(), "never served: {:?}", requests.keys());
    assert!(lacking.is_empty(), "never served: {lacking:?}");
}

fn assert_served(facts: &RequestFacts, response: &Value) {
    let id = response["message_id"].as_str().unwrap();
    assert!(facts.complete && !facts.conflicting, "{id}");
    assert_eq!(facts.tokens, tokens(&response["usage"]), "{id}");
    assert_eq!(facts.flags.model.as_str(), response["model"], "{id}");
    assert_eq!(facts.flags.speed.as_deref() == Some("fast"), response["usage"]["speed"] == "fast", "{id}");
    assert_eq!(facts.flags.inference_geo.as_deref(), response["usage"]["inference_geo"].as_str(), "{id}");
    assert_eq!(facts.origin.agent_id.as_deref(), response["agent"].as_str(), "{id}");
    assert_eq!(facts.origin.session.as_str(), response["session"], "{id}");
}

fn tokens(usage: &Value) -> RawTokens {
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    RawTokens {
        input: count(&usage["input_tokens"]),
        output: count(&usage["output_tokens"]),
        cache_read: count(&usage["cache_read_input_tokens"]),
        cache_write: count(&usage["cache_creation_input_tokens"]),
        cache_write_5m: count(&usage["cache_creation"]["ephemeral_5m_input_tokens"]),
        cache_write_1h: count(&usage["cache_creation"]["ephemeral_1h_input_tokens"]),
    }
}

#[test]
fn only_interrupted_sessions_end_without_an_answer() {
    for path in transcripts("fixtures/client-transcripts") {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "served.jsonl" {
            continue;
        }
        let is_expected = UNANSWERED.iter().any(|session| name.starts_with(session));
        assert_eq!(read_file(&path).tail == Tail::Unanswered, is_expected, "{}", path.display());
    }
}

#[test]
fn a_fork_names_the_session_of_each_request_it_repeats() {
    let fork = transcripts(folder())
        .into_iter()
        .find(|path| path.ends_with("4ba29412-c7de-4c21-95e6-36d1eab0f6f9.jsonl"));
    let records = read_file(&fork.unwrap()).records;
    let from: Vec<_> = records
        .iter()
        .map(|record| record.request_session.as_ref().map_or("-", |session| &session.as_str()[..8]))
        .collect();
    assert_eq!(from, ["979402bc", "979402bc", "-"]);
}
