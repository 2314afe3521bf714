//! `cost-state` lines: what the client itself has counted for the session (client reference, section 5).

use jiff::Timestamp;
use memchr::memrchr;
use serde_json::Value;

use super::entry::Own;
use super::find::Finder;
use super::records::each_record;
use super::records::readable;
use super::request;
use super::request::whole_number;
use crate::client_count::ClientCount;
use crate::client_count::ModelCount;
use crate::id::ModelId;
use crate::id::SessionId;
use crate::usage::RawTokens;

/// Longest line that is believed, in bytes; one of ten models has 3,000.
const MAX_BYTES: usize = 64 << 10;

/// Returns what the client had counted by `line`, if it is a `cost-state` line; it states no time of its own, `at` is that
/// of the lines before it.
///
/// A line that is not as the client writes it, or that no time is known for, counts as absent.
pub(super) fn client_counts(line: &[u8], at: Option<Timestamp>) -> Vec<ClientCount> {
    let mut found = Vec::new();
    if let Some(at) = at {
        each_record::<Own<'_>>(line, |_own, text| found.extend(client_count(text, at)));
    }
    found
}

/// Returns the time of the last of `lines` that states one.
pub(super) fn last_time(lines: &[u8], finder: &Finder) -> Option<Timestamp> {
    let mut lines = lines;
    while !lines.is_empty() {
        let body = lines.strip_suffix(b"\n").unwrap_or(lines);
        let start = memrchr(b'\n', body).map_or(0, |at| at + 1);
        let line = &body[start..];
        let mut time = None;
        if finder.may_hold_timestamp(line) {
            each_record::<Own<'_>>(line, |own, _text| {
                time = request::timestamp(&own.timestamp).or(time);
            });
        }
        if time.is_some() {
            return time;
        }
        lines = &lines[..start];
    }
    None
}

fn client_count(text: &[u8], at: Timestamp) -> Option<ClientCount> {
    let line: Value = (text.len() <= MAX_BYTES).then(|| serde_json::from_str(&readable(text)).ok())??;
    if line["type"] != "cost-state" {
        return None;
    }
    let models = line["modelUsage"].as_object()?;
    let models = models.iter().map(|(model, count)| Some((ModelId::new(model).ok()?, counted(count)?)));
    Some(ClientCount {
        session: SessionId::new(line["sessionId"].as_str()?).ok()?,
        at,
        // The client counts in binary floating point, which leaves digits below a pico-dollar.
        cost: line["totalCostUSD"].as_number().and_then(|dollars| dollars.to_string().parse().ok()),
        models: models.collect::<Option<_>>()?,
    })
}

fn counted(model: &Value) -> Option<ModelCount> {
    let stated = |key: &str| whole_number(model[key].as_number()?.to_string().as_bytes());
    let optional = |key: &str| if model[key].is_null() { Some(0) } else { stated(key) };
    Some(ModelCount {
        tokens: RawTokens {
            input: stated("inputTokens")?,
            output: stated("outputTokens")?,
            cache_read: stated("cacheReadInputTokens")?,
            cache_write: stated("cacheCreationInputTokens")?,
            cache_write_5m: optional("cacheCreationEphemeral5mInputTokens")?,
            cache_write_1h: optional("cacheCreationEphemeral1hInputTokens")?,
        },
        web_search_requests: optional("webSearchRequests")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::find::Marked;
    use super::*;

    const TIMED: &str = r#"{"type":"user","timestamp":"2026-11-20T12:00:00.500Z","toolUseResult":{"timestamp":"1999-01-01T00:00:00Z"}}"#;

    fn check(lines: &str, expected: &[(&str, &str, u64)]) {
        let mut found = Vec::new();
        let (bytes, finder) = (lines.as_bytes(), Finder::get());
        for marked in finder.marked(bytes).filter(Marked::may_be_cost_state) {
            let at = last_time(&bytes[..marked.line.start], finder);
            found.extend(client_counts(&bytes[marked.line.clone()], at));
        }
        let found: Vec<_> = found
            .iter()
            .map(|count| {
                let output = count.models.values().map(|model| model.tokens.output).sum();
                (count.at.to_string(), count.cost.unwrap_or_default().to_string(), output)
            })
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(at, cost, output)| ((*at).to_owned(), (*cost).to_owned(), *output))
            .collect();
        assert_eq!(found, expected, "{lines}");
    }

    fn state(cost: &str, model: &str) -> String {
        format!(
            r#"{{"type":"cost-state","sessionId":"s","totalCostUSD":{cost},"modelUsage":{{"m":{{"inputTokens":1,{model}"cacheReadInputTokens":0,"cacheCreationInputTokens":0}}}}}}"#
        )
    }

    #[test]
    fn takes_the_time_of_the_line_before() {
        let good = state("0.058901999999999996", r#""outputTokens":7,"#);
        let at = "2026-11-20T12:00:00.5Z";
        check(&format!("{TIMED}\n{{\"type\":\"mode\"}}\n{good}\n"), &[(at, "0.058902", 7)]);
        check(&format!("{TIMED}\n{good}\n{good}"), &[(at, "0.058902", 7); 2]);
        check(&good, &[]);
    }

    #[test]
    fn leaves_out_what_the_client_would_not_write() {
        for bad in [
            state("0", ""),
            state("0", r#""outputTokens":-1,"#),
            state("0", r#""outputTokens":"7","#),
            state("0", r#""outputTokens":7,"#).replace(r#""sessionId":"s","#, ""),
            state("0", r#""outputTokens":7,"#).replace("cost-state", "cost-states"),
            r#"{"type":"user","message":"cost-state"}"#.to_owned(),
            r#"{"type":"cost-state"#.to_owned(),
        ] {
            check(&format!("{TIMED}\n{bad}\n"), &[]);
        }
        let text = r#"{"type":"user","message":{"content":"\"type\":\"cost-state\""}}"#;
        check(&format!("{TIMED}\n{text}\n"), &[]);
    }
}
