//! Makes a usage record of a line's entry, or says why it is none.
//!
//! Two kinds of line hold usage of an API answer: `assistant` with `message.usage`, and `progress` with the copy of a
//! subagent's line in `data.message`. `toolUseResult.usage`, `compactMetadata`, `cost-state`, `api-request*` and
//! `attachment` lines repeat or estimate it and are never read (client reference, section 10).

use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use sha2::Digest;
use sha2::Sha256;

use super::entry::Answer;
use super::entry::Counts;
use super::entry::Entry;
use super::entry::Message;
use super::entry::Usage;
use super::json::Leaf;
use super::json::Spelled;
use super::records::readable;
use super::skipped::SkipReason;
use crate::id::IdError;
use crate::id::MessageId;
use crate::id::ModelId;
use crate::id::RequestId;
use crate::id::SessionId;
use crate::usage::Flags;
use crate::usage::Iteration;
use crate::usage::Origin;
use crate::usage::RawTokens;
use crate::usage::RequestFacts;
use crate::usage::RequestKey;
use crate::usage::UsageRecord;

/// Largest count that is believed; a context of 2^40 tokens would be a million times the largest known.
pub(super) const MAX_TOKENS: u64 = 1 << 40;

/// Longest text that is kept of what describes a request, in bytes: a path may be 4,096.
const MAX_TEXT_BYTES: usize = 4096;

/// The model of messages that the client wrote itself.
pub(super) const SYNTHETIC_MODEL: &str = "<synthetic>";

/// The kind of line that an answer stands in.
pub(super) const ASSISTANT: &str = "assistant";

/// The model of a usage line that names none: no price table knows it, so its tokens count and its cost is unknown.
const UNNAMED_MODEL: &str = "unknown";

/// An answer's usage, whichever kind of line it stands in.
struct Sighting<'entry, 'line> {
    /// The line.
    entry: &'entry Entry<'line>,
    /// The answer: the line's own, or the copy in a `progress` line.
    answer: &'entry Answer<'line>,
    message: &'entry Message<'line>,
    usage: &'entry Usage<'line>,
    agent_id: Option<&'entry str>,
    sidechain: bool,
}

impl<'entry, 'line> Sighting<'entry, 'line> {
    fn of(entry: &'entry Entry<'line>) -> Option<Self> {
        let own_agent = entry.agent_id.text();
        let (answer, agent_id, sidechain) = match entry.kind.text()? {
            ASSISTANT => (&entry.answer, own_agent, entry.is_sidechain == Leaf::True),
            "progress" => {
                let progress = entry.progress.0.as_deref()?;
                (progress.answer.0.as_deref()?, progress.agent_id.text().or(own_agent), true)
            }
            _ => return None,
        };
        let message = answer.message.0.as_deref()?;
        let usage = message.usage.0.as_deref()?;
        let is_the_clients = message.model.text() == Some(SYNTHETIC_MODEL)
            || answer.is_api_error == Leaf::True
            || entry.answer.is_api_error == Leaf::True;
        (!is_the_clients).then_some(Self { entry, answer, message, usage, agent_id, sidechain })
    }

    /// Returns the time of the answer: a copy's own, else that of the line.
    fn timestamp(&self, of_line: Option<Timestamp>) -> Option<Timestamp> {
        let is_copy = !std::ptr::eq(self.answer, &self.entry.answer);
        is_copy.then(|| timestamp(&self.answer.timestamp)).flatten().or(of_line)
    }

    fn uuid(&self) -> Option<&'entry str> {
        self.answer.uuid.text().or(self.entry.answer.uuid.text())
    }

    /// Returns what makes the answer known: its id, else the line's, else a hash of the text it was read from.
    fn key(&self, text: &[u8]) -> Result<RequestKey, SkipReason> {
        if let Some(id) = self.message.id.text() {
            return identifier("message.id", id, MessageId::new).map(RequestKey::Message);
        }
        if let Some(uuid) = self.uuid() {
            return identifier("uuid", uuid, MessageId::new).map(RequestKey::Line);
        }
        let hash: String =
            Sha256::digest(&*readable(text)).iter().map(|byte| format!("{byte:02x}")).collect();
        identifier("message.id", &hash, MessageId::new).map(RequestKey::Hash)
    }

    fn origin(&self, timestamp: Timestamp, session: &SessionId) -> Origin {
        let entry = self.entry;
        Origin {
            timestamp,
            sidechain: self.sidechain,
            session: session.clone(),
            branch: kept(&entry.branch),
            cwd: kept(&entry.cwd),
            agent_id: self.agent_id.map(cut),
            agent: kept(&entry.attribution_agent).or_else(|| kept(&entry.agent_name)),
            skill: kept(&entry.skill),
            mcp_server: kept(&entry.mcp_server),
            client_version: kept(&entry.version),
        }
    }

    fn flags(&self) -> Result<Flags, SkipReason> {
        let usage = self.usage;
        let requested = &self.answer.requested_model;
        let model = self.message.model.text().or(requested.text()).unwrap_or(UNNAMED_MODEL);
        let tools = usage.server_tool_use.0.as_deref();
        let searches = tools.map(|tools| tools.web_search_requests);
        Ok(Flags {
            stop_reason: kept(&self.message.stop_reason),
            model: identifier("message.model", model, ModelId::new)?,
            requested_model: optional("requestedModel", requested.text(), ModelId::new)?,
            speed: kept(&usage.speed),
            service_tier: kept(&usage.service_tier),
            inference_geo: kept(&usage.inference_geo),
            web_search_requests: count("web_search_requests", searches.unwrap_or_default())?,
            iterations: iterations(usage)?,
            empty_content: self.message.content == Leaf::EmptyList,
        })
    }
}

/// Returns the usage record of an entry read from `text`; `None` if the entry holds no usage of an API answer.
///
/// `session` is the session of an entry that names none, `time` what it states as its time, or that of one before if it
/// states none.
pub(super) fn usage_record(
    entry: &Entry<'_>,
    text: &[u8],
    session: &SessionId,
    time: Option<Timestamp>,
) -> Result<Option<UsageRecord>, SkipReason> {
    let Some(sighting) = Sighting::of(entry) else { return Ok(None) };
    let answer = sighting.answer;
    let timestamp = sighting.timestamp(time).ok_or(SkipReason::NoTimestamp)?;
    let session =
        optional("sessionId", entry.session.text(), SessionId::new)?.unwrap_or_else(|| session.clone());
    let request_session = answer.request_session.text().or(entry.answer.request_session.text());
    let flags = sighting.flags()?;
    Ok(Some(UsageRecord {
        request_session: optional("requestSessionId", request_session, SessionId::new)?,
        uuid: optional("uuid", sighting.uuid(), MessageId::new)?.map(|uuid| uuid.as_str().to_owned()),
        n_lines: 1,
        facts: RequestFacts {
            key: sighting.key(text)?,
            request_id: optional("requestId", answer.request_id.text(), RequestId::new)?,
            tokens: tokens(&sighting.usage.counts)?,
            complete: flags.stop_reason.is_some(),
            flags,
            origin: sighting.origin(timestamp, &session),
            conflicting: false,
        },
        session,
    }))
}

/// Returns the instant that a line states, to the millisecond.
pub(super) fn timestamp(text: &Leaf<'_>) -> Option<Timestamp> {
    let exact: Timestamp = text.text()?.parse().ok()?;
    Timestamp::from_millisecond(exact.as_millisecond()).ok()
}

fn tokens(counts: &Counts<'_>) -> Result<RawTokens, SkipReason> {
    let split = counts.split.0.as_deref();
    let five_minutes = split.map(|split| split.five_minutes).unwrap_or_default();
    let one_hour = split.map(|split| split.one_hour).unwrap_or_default();
    Ok(RawTokens {
        input: count("input_tokens", counts.input)?,
        output: count("output_tokens", counts.output)?,
        cache_read: count("cache_read_input_tokens", counts.cache_read)?,
        cache_write: count("cache_creation_input_tokens", counts.cache_write)?,
        cache_write_5m: count("ephemeral_5m_input_tokens", five_minutes)?,
        cache_write_1h: count("ephemeral_1h_input_tokens", one_hour)?,
    })
}

fn iterations(usage: &Usage<'_>) -> Result<Vec<Iteration>, SkipReason> {
    let steps = usage.iterations.0.iter().filter_map(|step| step.0.as_deref());
    steps
        .map(|step| {
            Ok(Iteration {
                kind: kept(&step.kind).unwrap_or_default(),
                model: optional("iterations.model", step.model.text(), ModelId::new)?,
                tokens: tokens(&step.counts)?,
            })
        })
        .collect()
}

/// Returns a count; one that is missing or `null` is 0.
fn count(field: &'static str, number: Spelled<'_>) -> Result<u64, SkipReason> {
    number.0.map_or(Some(0), whole_number).ok_or(SkipReason::BadCount { field })
}

/// Returns the number that `text` spells, if it is whole and from 0 to [`MAX_TOKENS`]; `4.0` and `1e3` are whole.
pub(super) fn whole_number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(u64::from(digit)) }
    });
    let number = match digits {
        Some(_) if text.is_empty() => return None,
        Some(number) => number,
        None => {
            let text = std::str::from_utf8(text).ok()?;
            let decimal = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()?;
            if !decimal.is_integer() {
                return None;
            }
            decimal.to_u64()?
        }
    };
    (number <= MAX_TOKENS).then_some(number)
}

fn identifier<T>(
    field: &'static str,
    text: &str,
    parse: fn(String) -> Result<T, IdError>,
) -> Result<T, SkipReason> {
    parse(text.to_owned()).map_err(|source| SkipReason::BadId { field, source })
}

fn optional<T>(
    field: &'static str,
    text: Option<&str>,
    parse: fn(String) -> Result<T, IdError>,
) -> Result<Option<T>, SkipReason> {
    text.map(|text| identifier(field, text, parse)).transpose()
}

fn kept(leaf: &Leaf<'_>) -> Option<String> {
    leaf.text().map(cut)
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_whole_numbers_in_any_spelling() {
        let check = |text: &str, count| assert_eq!(whole_number(text.as_bytes()), count, "{text}");
        check("0", Some(0));
        check("-0", Some(0));
        check("4.0", Some(4));
        check("1.5e1", Some(15));
        check("1099511627776", Some(MAX_TOKENS));
        for text in ["1099511627777", "-1", "0.5", "1e400", "1e-400", "\"7\"", "true", "[]", "{}", ""] {
            check(text, None);
        }
    }
}
