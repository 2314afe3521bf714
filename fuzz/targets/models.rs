//! Any bytes as a models.json: a clear answer, and whatever is accepted prices every model without a panic.

#![no_main]

use cmat::pricing::PriceSource;
use cmat::pricing::PriceTable;
use cmat::pricing::Source;
use cmat::pricing::Terms;
use cmat::usage::TokenUsage;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

const MODELS: [&str; 4] = ["claude-opus-5-5", "us.anthropic.claude-sonnet-4-20250514-v1:0", "gpt", ""];

const TOKENS: TokenUsage = TokenUsage {
    input: 1 << 40,
    output: u64::MAX,
    cache_write_5m: 1,
    cache_write_1h: 0,
    cache_read: 1 << 40,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(json) = std::str::from_utf8(bytes) else { return };
    let source = Source { source: PriceSource::Project, origin: "models.json", json };
    match PriceTable::with(&[source]) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(loaded) => {
            let rows = loaded.table.list_all().iter().map(|model| model.id.as_str());
            for model in MODELS.into_iter().chain(rows) {
                if let Some(found) = loaded.table.find_or_default(model) {
                    let (price, _) =
                        loaded.table.price(&found, &Terms::standard(Timestamp::UNIX_EPOCH), u64::MAX);
                    // Too much money is an error, not a panic.
                    let _cost = price.cost(&TOKENS, u64::MAX);
                }
            }
            let _off = loaded.table.off_list_rows(Timestamp::UNIX_EPOCH);
            for warning in &loaded.warnings {
                assert!(!warning.to_string().is_empty());
            }
        }
    }
});
