//! Makes a usage record of a line's entry, or says why it is none.
//!
//! Two kinds of line hold usage of an API answer: `assistant` with `message.usage`, and `progress` with the copy of a
//! subagent's line in `data.message`. `toolUseResult.usage`, `compactMetadata`, `cost-state`, `api-request*` and
//! `attachment` lines repeat or estimate it and are never read (client reference, section 10).

use std::sync::Arc;

use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use sha2::Digest;
use sha2::Sha256;

use super::entry::Answer;
use super::entry::Counts;
use super::entry::Entry;
use super::entry::Message;
use super::entry::Step;
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

    fn model(&self) -> &'entry str {
        self.message.model.text().or(self.answer.requested_model.text()).unwrap_or(UNNAMED_MODEL)
    }

    fn request_session(&self) -> Option<&'entry str> {
        self.answer.request_session.text().or(self.entry.answer.request_session.text())
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

    fn origin(&self, timestamp: Timestamp, session: &SessionId, last: Option<&Origin>) -> Origin {
        let entry = self.entry;
        let of_last = |text: fn(&Origin) -> &Option<Arc<str>>| last.and_then(|last| text(last).as_ref());
        Origin {
            timestamp,
            sidechain: self.sidechain,
            session: session.clone(),
            branch: shared(&entry.branch, of_last(|last| &last.branch)),
            cwd: shared(&entry.cwd, of_last(|last| &last.cwd)),
            agent_id: self.agent_id.map(cut),
            agent: kept(&entry.attribution_agent).or_else(|| kept(&entry.agent_name)),
            skill: kept(&entry.skill),
            mcp_server: kept(&entry.mcp_server),
            client_version: shared(&entry.version, of_last(|last| &last.client_version)),
        }
    }

    fn flags(&self, last: Option<&Flags>) -> Result<Flags, SkipReason> {
        let usage = self.usage;
        let model = self.model();
        Ok(Flags {
            stop_reason: shared(&self.message.stop_reason, last.and_then(|last| last.stop_reason.as_ref())),
            model: match last.map(|last| &last.model) {
                Some(known) if known.as_str() == model => known.clone(),
                _ => identifier("message.model", model, ModelId::new)?,
            },
            requested_model: optional("requestedModel", self.answer.requested_model.text(), ModelId::new)?,
            speed: kept(&usage.speed),
            service_tier: shared(&usage.service_tier, last.and_then(|last| last.service_tier.as_ref())),
            inference_geo: kept(&usage.inference_geo),
            web_search_requests: self.web_searches()?,
            iterations: steps(usage).map(iteration).collect::<Result<_, _>>()?,
            empty_content: self.message.content == Leaf::EmptyList,
        })
    }

    fn web_searches(&self) -> Result<u64, SkipReason> {
        let tools = self.usage.server_tool_use.0.as_deref();
        count("web_search_requests", tools.map(|tools| tools.web_search_requests).unwrap_or_default())
    }

    /// Returns the session that the line names, else `session`.
    fn session(&self, session: &SessionId) -> Result<SessionId, SkipReason> {
        match self.entry.session.text() {
            Some(named) if named != session.as_str() => identifier("sessionId", named, SessionId::new),
            _ => Ok(session.clone()),
        }
    }

    /// Merges the line into `last`, if it repeats that request: it comes no earlier and says the same, but for its counts and
    /// its `uuid`. Returns whether it does; if not, `last` is as it was.
    ///
    /// What other lines come to is [`UsageRecord::merge`]; to make a record of each line for that costs twice as much.
    fn repeats(&self, last: &mut UsageRecord, timestamp: Timestamp, session: &SessionId) -> bool {
        let facts = &last.facts;
        let is_same = matches!(&facts.key, RequestKey::Message(id) if self.message.id.text() == Some(id.as_str()))
            && self.entry.session.text().unwrap_or(session.as_str()) == last.session.as_str()
            && self.request_session() == last.request_session.as_ref().map(SessionId::as_str)
            && self.answer.request_id.text() == facts.request_id.as_ref().map(RequestId::as_str)
            && (timestamp > facts.origin.timestamp
                || timestamp == facts.origin.timestamp && self.is_from(&facts.origin))
            && self.says(&facts.flags);
        if !is_same {
            return false;
        }
        let uuid = optional("uuid", self.uuid(), MessageId::new);
        let (Ok(tokens), Ok(uuid)) = (tokens(&self.usage.counts), uuid) else { return false };
        last.merge_later(&tokens, uuid);
        true
    }

    /// Returns whether this is the line's origin, but for its time and session.
    fn is_from(&self, origin: &Origin) -> bool {
        let entry = self.entry;
        let agent = entry.attribution_agent.text().or(entry.agent_name.text());
        self.sidechain == origin.sidechain
            && entry.branch.text() == origin.branch.as_deref()
            && entry.cwd.text() == origin.cwd.as_deref()
            && self.agent_id == origin.agent_id.as_deref()
            && agent == origin.agent.as_deref()
            && entry.skill.text() == origin.skill.as_deref()
            && entry.mcp_server.text() == origin.mcp_server.as_deref()
            && entry.version.text() == origin.client_version.as_deref()
    }

    /// Returns whether these are the line's flags.
    fn says(&self, flags: &Flags) -> bool {
        let usage = self.usage;
        let is_step = |(step, known): (&Step<'_>, &Iteration)| {
            step.kind.text().unwrap_or_default() == &*known.kind
                && step.model.text() == known.model.as_ref().map(ModelId::as_str)
                && tokens(&step.counts).is_ok_and(|tokens| tokens == known.tokens)
        };
        self.message.stop_reason.text() == flags.stop_reason.as_deref()
            && self.model() == flags.model.as_str()
            && self.answer.requested_model.text() == flags.requested_model.as_ref().map(ModelId::as_str)
            && usage.speed.text() == flags.speed.as_deref()
            && usage.service_tier.text() == flags.service_tier.as_deref()
            && usage.inference_geo.text() == flags.inference_geo.as_deref()
            && self.web_searches().is_ok_and(|searches| searches == flags.web_search_requests)
            && steps(usage).count() == flags.iterations.len()
            && steps(usage).zip(&flags.iterations).all(is_step)
            && (self.message.content == Leaf::EmptyList) == flags.empty_content
    }
}

/// What a line's entry comes to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made, for each line")]
pub(super) enum Seen {
    /// No usage of an API answer.
    Nothing,
    /// The request that was read before it, once more, at this time; it is merged.
    Again(Timestamp),
    /// A request, or a copy of one.
    Request(UsageRecord),
}

/// Returns what an entry read from `text` comes to, behind the request `last`.
///
/// `session` is the session of an entry that names none, `time` what it states as its time, or that of one before if it
/// states none.
pub(super) fn seen(
    entry: &Entry<'_>,
    text: &[u8],
    session: &SessionId,
    time: Option<Timestamp>,
    mut last: Option<&mut UsageRecord>,
) -> Result<Seen, SkipReason> {
    let Some(sighting) = Sighting::of(entry) else { return Ok(Seen::Nothing) };
    let timestamp = sighting.timestamp(time).ok_or(SkipReason::NoTimestamp)?;
    if last.as_deref_mut().is_some_and(|last| sighting.repeats(last, timestamp, session)) {
        return Ok(Seen::Again(timestamp));
    }
    let session = sighting.session(session)?;
    let last = last.map(|last| &last.facts);
    let flags = sighting.flags(last.map(|last| &last.flags))?;
    Ok(Seen::Request(UsageRecord {
        request_session: optional("requestSessionId", sighting.request_session(), SessionId::new)?,
        uuid: optional("uuid", sighting.uuid(), MessageId::new)?,
        n_lines: 1,
        facts: RequestFacts {
            key: sighting.key(text)?,
            request_id: optional("requestId", sighting.answer.request_id.text(), RequestId::new)?,
            tokens: tokens(&sighting.usage.counts)?,
            complete: flags.stop_reason.is_some(),
            flags,
            origin: sighting.origin(timestamp, &session, last.map(|last| &last.origin)),
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

fn steps<'usage, 'line>(usage: &'usage Usage<'line>) -> impl Iterator<Item = &'usage Step<'line>> {
    usage.iterations.0.iter().filter_map(|step| step.0.as_deref())
}

fn iteration(step: &Step<'_>) -> Result<Iteration, SkipReason> {
    Ok(Iteration {
        kind: kept(&step.kind).unwrap_or_default(),
        model: optional("iterations.model", step.model.text(), ModelId::new)?,
        tokens: tokens(&step.counts)?,
    })
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

fn identifier<'text, T>(
    field: &'static str,
    text: &'text str,
    parse: fn(&'text str) -> Result<T, IdError>,
) -> Result<T, SkipReason> {
    parse(text).map_err(|source| SkipReason::BadId { field, source })
}

fn optional<'text, T>(
    field: &'static str,
    text: Option<&'text str>,
    parse: fn(&'text str) -> Result<T, IdError>,
) -> Result<Option<T>, SkipReason> {
    text.map(|text| identifier(field, text, parse)).transpose()
}

fn kept(leaf: &Leaf<'_>) -> Option<Arc<str>> {
    leaf.text().map(cut)
}

/// Returns what is kept of a text, which the request before it mostly has too.
fn shared(leaf: &Leaf<'_>, of_last: Option<&Arc<str>>) -> Option<Arc<str>> {
    let text = leaf.text()?;
    let is_same = |last: &&Arc<str>| &***last == text;
    Some(of_last.filter(is_same).map_or_else(|| cut(text), Arc::clone))
}

fn cut(text: &str) -> Arc<str> {
    text[..text.floor_char_boundary(MAX_TEXT_BYTES)].into()
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
