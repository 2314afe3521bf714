//! Made-up transcripts of a few sessions: forks with and without marks, resumes, subagents, echoes, growing output.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use serde_json::json;

use crate::id::SessionId;
use crate::money::Usd;

/// Price of a token of each model in pico-dollars: input, output, written to the cache, read from it.
const PRICES: [(&str, [i128; 4]); 2] = [
    ("claude-haiku-4-5", [1_000_000, 5_000_000, 1_250_000, 100_000]),
    ("claude-opus-4-8", [5_000_000, 25_000_000, 6_250_000, 500_000]),
];

/// Branches, and none.
const BRANCHES: [Option<&str>; 4] = [Some("main"), Some("feature/PAY-1-checkout"), Some("fix/#7"), None];

/// Something that happens while sessions run.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A file grows to a size, maybe in the middle of a line, and is read.
    Grow(Index, Index),
    /// Somebody says which task a session is for.
    Assign(Index),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<Index>(), any::<Index>()).prop_map(|(file, size)| Step::Grow(file, size)),
        1 => any::<Index>().prop_map(Step::Assign),
    ]
}

/// A request that a session makes.
#[derive(Debug, Clone)]
struct Made {
    model: usize,
    input: u64,
    /// Output as its lines state it, growing.
    output: Vec<u64>,
    /// Tokens written to the cache, and read from it.
    cache: (u64, u64),
    /// In the file of a subagent, by its number.
    by_agent: Option<usize>,
    /// The main file echoes the subagent's line.
    echoed: bool,
    /// Number of the branch it is made on.
    branch: usize,
    /// What the person asked for before it: nothing, something, or a slash command.
    asked: Option<bool>,
    /// Number of the pull request that is linked after it.
    linked: Option<u32>,
}

fn made() -> impl Strategy<Value = Made> {
    let said = (0..BRANCHES.len(), any::<Option<bool>>(), prop::option::weighted(0.2, 1..4_u32));
    (
        0..PRICES.len(),
        (1..5000_u64, (0..900_u64, 0..900_u64)),
        prop::collection::vec(1..900_u64, 1..4),
        prop::option::of(0..2_usize),
        any::<bool>(),
        said,
    )
        .prop_map(|(model, (input, cache), mut output, by_agent, echoed, (branch, asked, linked))| {
            output.sort_unstable();
            Made { model, input, output, cache, by_agent, echoed, branch, asked, linked }
        })
}

/// A session: begun anew, or as a fork of an earlier one.
#[derive(Debug, Clone)]
struct Run {
    fork_of: Option<(Index, bool)>,
    has_plain_line: bool,
    made: Vec<Made>,
    /// The client's own count at its end: how much output it holds that no line shows, and whether it lacks the first
    /// request, as after a kill.
    counted: Option<(u64, bool)>,
}

fn run() -> impl Strategy<Value = Run> {
    let fork = prop::option::of((any::<Index>(), any::<bool>()));
    let counted = prop::option::of((0..500_u64, any::<bool>()));
    (fork, any::<bool>(), prop::collection::vec(made(), 0..6), counted)
        .prop_map(|(fork_of, has_plain_line, made, counted)| Run { fork_of, has_plain_line, made, counted })
}

pub(super) fn corpus() -> impl Strategy<Value = Corpus> {
    prop::collection::vec(run(), 1..5).prop_map(|runs| Corpus::of(&runs))
}

/// Transcripts by path below the folder of a project, and what their requests cost.
#[derive(Debug)]
pub(super) struct Corpus {
    pub(super) files: BTreeMap<PathBuf, Vec<u8>>,
    sessions: BTreeSet<SessionId>,
    cost: i128,
}

impl Corpus {
    fn of(runs: &[Run]) -> Self {
        let mut corpus = Self { files: BTreeMap::new(), sessions: BTreeSet::new(), cost: 0 };
        let mut histories: Vec<Vec<Value>> = Vec::new();
        for (n, run) in runs.iter().enumerate() {
            // Names that don't sort as the sessions began.
            let session = format!("s{}", (n * 7 + 3) % 10);
            corpus.sessions.insert(session.parse().unwrap());
            let mut main = Vec::new();
            if run.has_plain_line {
                main.push(json!({"type": "mode", "sessionId": session, "timestamp": time(n, 0)}));
            }
            if let (Some((parent, marked)), true) = (&run.fork_of, n > 0) {
                let parent = parent.index(n);
                main.extend(histories[parent].iter().map(|line| copy(line, &session, parent, *marked)));
            }
            for (place, made) in run.made.iter().enumerate() {
                corpus.cost += made.cost();
                main.extend(made.prompt(&session, &time(n, place + 1)));
                let lines = made.lines(&format!("{n}-{place}"), &session, &time(n, place + 1));
                if let Some(agent) = made.by_agent {
                    corpus.append(&format!("{session}/subagents/agent-{agent}.jsonl"), &lines);
                    let echo = json!({"type": "progress", "uuid": format!("echo-{n}-{place}"),
                        "sessionId": session, "timestamp": time(n, place + 1), "data": {"message": lines[0]}});
                    main.extend(made.echoed.then_some(echo));
                } else {
                    main.extend(lines);
                }
                // Before the first answer it would be a line by which a session claims what it shares.
                let is_answered = main.iter().any(|line| line["type"] == "assistant");
                main.extend(made.linked.filter(|_| is_answered).map(|number| {
                    json!({"type": "pr-link", "sessionId": session, "timestamp": time(n, place + 1),
                        "prNumber": number, "prRepository": "o/r"})
                }));
            }
            main.extend(run.count(&session));
            corpus.append(&format!("{session}.jsonl"), &main);
            let is_repeated = |line: &Value| line["type"] == "assistant" || line["type"] == "user";
            histories.push(main.into_iter().filter(is_repeated).collect());
        }
        corpus
    }

    fn append(&mut self, path: &str, lines: &[Value]) {
        let bytes = self.files.entry(path.into()).or_default();
        for line in lines {
            bytes.extend(format!("{line}\n").bytes());
        }
    }

    pub(super) fn sessions(&self) -> Vec<SessionId> {
        self.sessions.iter().cloned().collect()
    }

    pub(super) fn cost(&self) -> Usd {
        Usd::from_pico(self.cost)
    }
}

impl Run {
    /// Returns the line with the client's own count.
    fn count(&self, session: &str) -> Option<Value> {
        let (hidden, lacks_first) = self.counted?;
        let mut models = json!({});
        for (n, (model, _)) in PRICES.iter().enumerate() {
            let asked = self.made.iter().skip(usize::from(lacks_first)).filter(|made| made.model == n);
            let sum = |tokens: fn(&Made) -> u64| asked.clone().map(tokens).sum::<u64>();
            models[model] = json!({
                "inputTokens": sum(|made| made.input),
                "outputTokens": sum(Made::largest_output) + hidden,
                "cacheReadInputTokens": sum(|made| made.cache.1),
                "cacheCreationInputTokens": sum(|made| made.cache.0),
            });
        }
        Some(json!({"type": "cost-state", "sessionId": session, "totalCostUSD": 0.1, "modelUsage": models}))
    }
}

impl Made {
    fn largest_output(&self) -> u64 {
        self.output.iter().copied().max().unwrap_or_default()
    }

    fn cost(&self) -> i128 {
        let [input, output, write, read] = PRICES[self.model].1;
        let (written, was_read) = self.cache;
        input * i128::from(self.input)
            + output * i128::from(self.largest_output())
            + write * i128::from(written)
            + read * i128::from(was_read)
    }

    fn prompt(&self, session: &str, timestamp: &str) -> Option<Value> {
        let command = "<command-message>go</command-message>\n<command-name>/go</command-name>";
        let content = if self.asked? { command } else { "please" };
        Some(json!({"type": "user", "uuid": format!("prompt-{timestamp}"), "sessionId": session,
            "timestamp": timestamp, "message": {"content": content}}))
    }

    fn lines(&self, id: &str, session: &str, timestamp: &str) -> Vec<Value> {
        let last = self.output.len() - 1;
        let line = |(n, output): (usize, &u64)| {
            json!({
                "type": "assistant",
                "uuid": format!("uuid-{id}-{n}"),
                "sessionId": session,
                "timestamp": timestamp,
                "cwd": "/nowhere",
                "gitBranch": BRANCHES[self.branch],
                "isSidechain": self.by_agent.is_some(),
                "agentId": self.by_agent.map(|agent| agent.to_string()),
                "requestId": format!("req-{id}"),
                "message": {
                    "id": format!("msg-{id}"),
                    "model": PRICES[self.model].0,
                    "content": [{"type": "text"}],
                    "stop_reason": (n == last).then_some("end_turn"),
                    "usage": {
                        "input_tokens": self.input,
                        "output_tokens": output,
                        "cache_creation_input_tokens": self.cache.0,
                        "cache_read_input_tokens": self.cache.1,
                    },
                },
            })
        };
        self.output.iter().enumerate().map(line).collect()
    }
}

/// Returns the line as a fork repeats it.
fn copy(line: &Value, session: &str, parent: usize, marked: bool) -> Value {
    let mut line = line.clone();
    if marked {
        line["requestSessionId"] = json!(format!("s{}", (parent * 7 + 3) % 10));
    }
    line["sessionId"] = json!(session);
    line
}

/// A session goes on for more than a quarter of an hour.
fn time(session: usize, place: usize) -> String {
    format!("2026-11-0{}T12:{:02}:00.000Z", session + 1, 7 * place)
}
