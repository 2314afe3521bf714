//! The made-up project of `cmat demo`: its tasks, and the sessions in which Claude Code worked on them.
//!
//! Nothing in it was ever said to a model. It holds one of each case that decides whether a sum is right:
//! repeated lines, subagents, a resumed session, one-hour cache writes, a long prompt, fast mode, an unknown
//! model, and a hook that is killed.

/// When the commands of the demo are asked: after the last session.
pub(super) const ASKED: &str = "2026-11-20T18:00:00Z";

const SONNET: &str = "claude-sonnet-5-5";
const OPUS: &str = "claude-opus-5-5";
const HAIKU: &str = "claude-haiku-5-5";
/// A model that no price table has.
const UNKNOWN: &str = "claude-unheard-of-1";

/// Which Claude Code wrote a transcript.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// One that writes a message's lines while it arrives, each with the output counted until then.
    Old,
    /// One that writes them when it has arrived, all with the final counts.
    Current,
}

impl Client {
    /// Returns its version.
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::Old => "2.1.118",
            Self::Current => "2.1.330",
        }
    }
}

/// A task of the queue.
pub(super) struct Task {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) agent: &'static str,
    pub(super) enhancement: &'static str,
}

/// A stretch of a session, from its start or resumption to the SessionEnd hook.
pub(super) struct Run {
    pub(super) task: &'static str,
    /// The same id again: the session was resumed.
    pub(super) session: &'static str,
    pub(super) client: Client,
    pub(super) prompt: &'static str,
    pub(super) requests: &'static [Request],
    pub(super) subagent: Option<Subagent>,
    /// When the hook runs.
    pub(super) ended: &'static str,
    pub(super) fate: Fate,
}

/// A subagent, which has a transcript of its own.
pub(super) struct Subagent {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) requests: &'static [Request],
}

/// What becomes of the hook at the end of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It does all it has to do.
    Finishes,
    /// It is killed once it has written down what it is about to do.
    IsKilled,
}

/// One request to the API, and how many lines of the transcript repeat it.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) at: &'static str,
    pub(super) model: &'static str,
    pub(super) n_lines: usize,
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) write_5m: u64,
    pub(super) write_1h: u64,
    pub(super) read: u64,
    pub(super) speed: &'static str,
}

/// `tokens`: input, output, cache write for five minutes, for one hour, cache read.
const fn request(at: &'static str, model: &'static str, n_lines: usize, tokens: [u64; 5]) -> Request {
    let [input, output, write_5m, write_1h, read] = tokens;
    Request { at, model, n_lines, input, output, write_5m, write_1h, read, speed: "standard" }
}

const fn fast(request: Request) -> Request {
    Request { speed: "fast", ..request }
}

pub(super) const TASKS: &[Task] = &[
    Task { id: "SHOP-101", title: "Say what paying must do", agent: "analyst", enhancement: "checkout" },
    Task { id: "SHOP-102", title: "Plan the payment flow", agent: "architect", enhancement: "checkout" },
    Task { id: "SHOP-103", title: "Build the payment form", agent: "implementer", enhancement: "checkout" },
    Task { id: "SHOP-104", title: "Test paying by card", agent: "tester", enhancement: "checkout" },
    Task { id: "SHOP-105", title: "Choose a search index", agent: "architect", enhancement: "search" },
    Task { id: "SHOP-106", title: "Build the search box", agent: "implementer", enhancement: "search" },
    Task { id: "SHOP-107", title: "Describe the search", agent: "documenter", enhancement: "search" },
];

pub(super) const RUNS: &[Run] = &[
    Run {
        task: "SHOP-101",
        session: "1c0ffee1-0101-4000-8000-5b0900000101",
        client: Client::Old,
        prompt: "What must the checkout do? Read the notes first.",
        requests: &[
            request("2026-11-18T09:02:11Z", SONNET, 3, [6, 812, 24_310, 0, 15_204]),
            request("2026-11-18T09:02:48Z", SONNET, 2, [9, 2_946, 1_874, 0, 39_514]),
            request("2026-11-18T09:04:20Z", SONNET, 2, [11, 3_120, 3_402, 0, 41_388]),
        ],
        subagent: None,
        ended: "2026-11-18T09:05:10Z",
        fate: Fate::Finishes,
    },
    Run {
        task: "SHOP-102",
        session: "1c0ffee1-0102-4000-8000-5b0900000102",
        client: Client::Current,
        prompt: "Plan the payment flow; the notes are in docs/checkout.md.",
        requests: &[
            request("2026-11-18T11:20:03Z", OPUS, 2, [4, 1_430, 0, 62_118, 15_204]),
            request("2026-11-18T12:01:37Z", OPUS, 3, [7, 6_205, 0, 2_551, 77_322]),
        ],
        subagent: None,
        ended: "2026-11-18T12:03:00Z",
        fate: Fate::Finishes,
    },
    Run {
        task: "SHOP-105",
        session: "1c0ffee1-0105-4000-8000-5b0900000105",
        client: Client::Current,
        prompt: "Which index suits ten thousand products?",
        requests: &[request("2026-11-18T14:10:40Z", OPUS, 2, [212, 2_871, 18_040, 0, 15_204])],
        subagent: None,
        ended: "2026-11-18T14:12:00Z",
        fate: Fate::Finishes,
    },
    Run {
        task: "SHOP-103",
        session: "1c0ffee1-0103-4000-8000-5b0900000103",
        client: Client::Current,
        prompt: "Build the form of the plan. Look for the old one first.",
        requests: &[
            request("2026-11-19T08:31:09Z", SONNET, 3, [5, 1_204, 31_870, 0, 15_204]),
            request("2026-11-19T08:36:52Z", SONNET, 3, [8, 5_466, 4_915, 0, 47_074]),
        ],
        subagent: Some(Subagent {
            id: "a5b09103c0ffee001",
            name: "Explore",
            requests: &[
                request("2026-11-19T08:32:30Z", HAIKU, 2, [3, 640, 21_377, 0, 0]),
                request("2026-11-19T08:33:02Z", HAIKU, 1, [14, 1_188, 2_960, 0, 21_377]),
            ],
        }),
        ended: "2026-11-19T08:40:00Z",
        fate: Fate::Finishes,
    },
    Run {
        task: "SHOP-106",
        session: "1c0ffee1-0106-4000-8000-5b0900000106",
        client: Client::Current,
        prompt: "Build the search box.",
        requests: &[
            request("2026-11-19T10:15:00Z", UNKNOWN, 2, [6, 1_960, 22_480, 0, 15_204]),
            request("2026-11-19T10:18:31Z", UNKNOWN, 2, [9, 3_415, 2_204, 0, 37_684]),
        ],
        subagent: None,
        ended: "2026-11-19T10:20:00Z",
        fate: Fate::Finishes,
    },
    Run {
        task: "SHOP-103",
        session: "1c0ffee1-0103-4000-8000-5b0900000103",
        client: Client::Current,
        prompt: "Now show what the bank answers.",
        requests: &[request("2026-11-20T09:00:26Z", SONNET, 2, [7, 2_310, 52_944, 0, 15_204])],
        subagent: None,
        ended: "2026-11-20T09:02:00Z",
        fate: Fate::Finishes,
    },
    Run {
        task: "SHOP-103",
        session: "1c0ffee1-0103-4000-8000-5b0900000203",
        client: Client::Current,
        prompt: "Why does the form send twice?",
        requests: &[request("2026-11-20T13:44:50Z", OPUS, 2, [190, 2_044, 26_302, 0, 15_204])],
        subagent: None,
        ended: "2026-11-20T13:47:00Z",
        fate: Fate::Finishes,
    },
    Run {
        task: "SHOP-107",
        session: "1c0ffee1-0107-4000-8000-5b0900000107",
        client: Client::Current,
        prompt: "Describe the search for the handbook.",
        requests: &[request("2026-11-20T15:02:12Z", HAIKU, 2, [24, 4_402, 19_118, 0, 15_204])],
        subagent: None,
        ended: "2026-11-20T15:04:00Z",
        fate: Fate::Finishes,
    },
    Run {
        task: "SHOP-104",
        session: "1c0ffee1-0104-4000-8000-5b0900000104",
        client: Client::Current,
        prompt: "Test paying by card, quickly; have somebody read the logs.",
        requests: &[
            fast(request("2026-11-20T17:30:05Z", OPUS, 3, [5, 1_120, 28_406, 0, 15_204])),
            fast(request("2026-11-20T17:34:41Z", OPUS, 2, [8, 2_390, 3_316, 0, 43_610])),
        ],
        subagent: Some(Subagent {
            id: "a5b09104c0ffee001",
            name: "log-reader",
            requests: &[request("2026-11-20T17:32:10Z", HAIKU, 2, [4, 1_655, 131_072, 0, 0])],
        }),
        ended: "2026-11-20T17:36:00Z",
        fate: Fate::IsKilled,
    },
];

/// The commands that are shown.
pub(super) const COMMANDS: &[&[&str]] = &[
    &["costs", "enhancement", "checkout", "--breakdown"],
    &["explain", "SHOP-104"],
    &["costs", "show", "SHOP-103", "--breakdown"],
    &["costs", "show", "SHOP-106"],
];
