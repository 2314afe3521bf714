//! What pricing costs: reading the built-in table (on the way of every hook), finding a row, charging a request.

#![expect(clippy::unwrap_used, reason = "a benchmark whose input is wrong has nothing to measure")]

use cmat::id::MessageId;
use cmat::id::ModelId;
use cmat::id::SessionId;
use cmat::pricing;
use cmat::pricing::PriceTable;
use cmat::pricing::UnknownModel;
use cmat::usage::Flags;
use cmat::usage::Origin;
use cmat::usage::RawTokens;
use cmat::usage::RequestFacts;
use cmat::usage::RequestKey;

fn main() {
    divan::main();
}

/// Builds a table anew, as `PriceTable::built_in` does once for a process.
#[divan::bench]
fn read_the_built_in_table() -> PriceTable {
    PriceTable::with(&[]).unwrap().table
}

#[divan::bench(args = ["claude-opus-5-5", "us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-nova-9", "gpt-5"])]
fn find_a_row(id: &str) -> bool {
    PriceTable::built_in().get_by_pattern(id).is_some()
}

#[divan::bench]
fn charge_a_request(bencher: divan::Bencher<'_, '_>) {
    let request = request();
    let table = PriceTable::built_in();
    bencher.bench(|| pricing::charges(&request, table, UnknownModel::Default));
}

fn request() -> RequestFacts {
    RequestFacts {
        key: RequestKey::Message(MessageId::new("msg_1").unwrap()),
        request_id: None,
        tokens: RawTokens {
            input: 6,
            output: 812,
            cache_read: 61_020,
            cache_write: 14_210,
            cache_write_5m: 0,
            cache_write_1h: 14_210,
        },
        flags: Flags {
            stop_reason: Some("end_turn".into()),
            model: ModelId::new("claude-opus-5-5").unwrap(),
            requested_model: None,
            speed: Some("standard".into()),
            service_tier: Some("standard".into()),
            inference_geo: Some("not_available".into()),
            web_search_requests: 0,
            iterations: Vec::new(),
            empty_content: false,
        },
        origin: Origin {
            timestamp: "2026-11-20T12:00:00Z".parse().unwrap(),
            sidechain: false,
            session: SessionId::new("s").unwrap(),
            branch: None,
            cwd: None,
            agent_id: None,
            agent: None,
            skill: None,
            mcp_server: None,
            client_version: None,
        },
        complete: true,
        conflicting: false,
    }
}
