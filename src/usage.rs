//! Usage: what one API request reported, how its copies merge, and its token counts as they are billed.
//!
//! A transcript repeats each request: a line for each content block, and again in resumed, forked and subagent
//! files. [`RequestFacts::merge`] is the one rule that makes a request of its copies. It is commutative,
//! associative and idempotent, so neither order nor repetition of lines changes a figure.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::id::MessageId;
use crate::id::ModelId;
use crate::id::RequestId;
use crate::id::SessionId;

/// What makes two lines copies of the same request.
///
/// Almost always the API's `message.id`. A line without one is known by its `uuid`, else by the hash of its
/// bytes; such lines never merge with a request that has an id, because the kind is part of the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKey {
    /// `message.id` of the API.
    Message(MessageId),
    /// `uuid` of a line without `message.id`.
    Line(MessageId),
    /// SHA-256 of a line that has neither, in hexadecimal.
    Hash(MessageId),
    /// What another program or a person told of, and no transcript shows: a hash of who and what.
    Record(MessageId),
    /// No request: what the client counted for a session beyond its requests, see [`crate::remainder`].
    Remainder(MessageId),
}

/// Token counts as the API's `usage` states them, copies merged by the maximum of each.
///
/// `cache_write` is the total of both kinds; a line may state the total and no split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
pub struct RawTokens {
    /// `input_tokens`: prompt tokens outside the cache.
    pub input: u64,
    /// `output_tokens`, thinking included.
    pub output: u64,
    /// `cache_read_input_tokens`.
    pub cache_read: u64,
    /// `cache_creation_input_tokens`: both kinds of cache write.
    pub cache_write: u64,
    /// `cache_creation.ephemeral_5m_input_tokens`.
    pub cache_write_5m: u64,
    /// `cache_creation.ephemeral_1h_input_tokens`.
    pub cache_write_1h: u64,
}

impl RawTokens {
    /// Takes the maximum of each field.
    pub fn merge(&mut self, other: &Self) {
        self.input = self.input.max(other.input);
        self.output = self.output.max(other.output);
        self.cache_read = self.cache_read.max(other.cache_read);
        self.cache_write = self.cache_write.max(other.cache_write);
        self.cache_write_5m = self.cache_write_5m.max(other.cache_write_5m);
        self.cache_write_1h = self.cache_write_1h.max(other.cache_write_1h);
    }

    /// Returns the counts as they are billed: the one-hour part is at most the total, the rest is five-minute.
    ///
    /// A split without a total (no such line was seen, but nothing forbids it) counts as its own total.
    pub fn billed(&self) -> TokenUsage {
        let total = if self.cache_write == 0 {
            self.cache_write_5m.saturating_add(self.cache_write_1h)
        } else {
            self.cache_write
        };
        let cache_write_1h = self.cache_write_1h.min(total);
        TokenUsage {
            input: self.input,
            output: self.output,
            cache_write_5m: total - cache_write_1h,
            cache_write_1h,
            cache_read: self.cache_read,
        }
    }
}

/// Token counts as they are billed, each kind at its own price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Prompt tokens outside the cache.
    pub input: u64,
    /// Tokens of the answer, thinking included.
    pub output: u64,
    /// Tokens written to the cache for five minutes.
    pub cache_write_5m: u64,
    /// Tokens written to the cache for one hour.
    pub cache_write_1h: u64,
    /// Tokens read from the cache.
    pub cache_read: u64,
}

impl TokenUsage {
    /// Returns the sum of both, or `None` if a count would pass `u64`.
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        Some(Self {
            input: self.input.checked_add(other.input)?,
            output: self.output.checked_add(other.output)?,
            cache_write_5m: self.cache_write_5m.checked_add(other.cache_write_5m)?,
            cache_write_1h: self.cache_write_1h.checked_add(other.cache_write_1h)?,
            cache_read: self.cache_read.checked_add(other.cache_read)?,
        })
    }

    /// Returns the sum of both, each count at most `u64::MAX`.
    pub fn saturating_add(&self, other: &Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_write_5m: self.cache_write_5m.saturating_add(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            cache_read: self.cache_read.saturating_add(other.cache_read),
        }
    }

    /// Returns the tokens written to the cache, both kinds; saturates.
    pub fn cache_write(&self) -> u64 {
        self.cache_write_5m.saturating_add(self.cache_write_1h)
    }

    /// Returns the size of the prompt: input, cache reads and cache writes; saturates.
    ///
    /// The long-prompt tiers are decided by it (the price reference, rule 4).
    pub fn prompt(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write())
    }
}

/// One entry of `usage.iterations`: a step of the request that the API ran, and maybe bills, on its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Iteration {
    /// `type`: `message`, `fallback_message`, `compaction`, `advisor_message`, or one we don't know.
    pub kind: Arc<str>,
    /// The model that ran it, if it is another than the request's.
    pub model: Option<ModelId>,
    /// Its token counts.
    pub tokens: RawTokens,
}

/// What a request says of itself beside its token counts. Of several copies, the greatest one's flags hold.
///
/// Stored as JSON without what most requests do not say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flags {
    /// `stop_reason`; `None` while the answer was still streaming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<Arc<str>>,
    /// `message.model`: the model that answered, which is the one billed.
    pub model: ModelId,
    /// `requestedModel`, by which the client itself prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_model: Option<ModelId>,
    /// `usage.speed`: `standard` or `fast`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Arc<str>>,
    /// `usage.service_tier`: `standard`, `batch` or `priority`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<Arc<str>>,
    /// `usage.inference_geo`: `us`, `global`, `not_available`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_geo: Option<Arc<str>>,
    /// `usage.server_tool_use.web_search_requests`, billed per request.
    #[serde(default, skip_serializing_if = "is_none")]
    pub web_search_requests: u64,
    /// `usage.iterations`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub iterations: Vec<Iteration>,
    /// The answer has no content blocks: a refusal like that is not billed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_content: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Where and when a request was made. Of several copies, the smallest one's origin holds.
///
/// The order of the fields is the order of comparison: timestamp, sidechain, session, then the rest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// `timestamp` in UTC, to the millisecond.
    pub timestamp: Timestamp,
    /// `isSidechain`: a subagent's line, or a copy of history in a side question's file.
    pub sidechain: bool,
    /// The session that the copy names, else the one whose file it stands in.
    pub session: SessionId,
    /// `gitBranch`.
    pub branch: Option<Arc<str>>,
    /// `cwd`.
    pub cwd: Option<Arc<str>>,
    /// `agentId` of a subagent.
    pub agent_id: Option<Arc<str>>,
    /// `attributionAgent`, else `agentName`: the kind of agent.
    pub agent: Option<Arc<str>>,
    /// `attributionSkill`.
    pub skill: Option<Arc<str>>,
    /// `attributionMcpServer`.
    pub mcp_server: Option<Arc<str>>,
    /// `version` of the client.
    pub client_version: Option<Arc<str>>,
}

/// A request as far as its copies tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFacts {
    /// What makes lines copies of this request.
    pub key: RequestKey,
    /// `requestId`: the smallest one stated, if any.
    pub request_id: Option<RequestId>,
    /// Token counts, the maximum of each.
    pub tokens: RawTokens,
    /// Flags of the greatest copy.
    pub flags: Flags,
    /// Origin of the smallest copy.
    pub origin: Origin,
    /// Some copy has a `stop_reason`: the output count is final. Else it is only a lower bound
    /// (clients before 2.1.59 and interrupted answers, transcript reference section 2).
    pub complete: bool,
    /// Copies disagree about input or cache counts, which never happens in an honest transcript.
    pub conflicting: bool,
}

impl RequestFacts {
    /// Merges another copy of the same request into this one.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.key, other.key, "only copies of one request merge");
        let mine = (self.tokens.output, self.flags.stop_reason.is_some());
        let theirs = (other.tokens.output, other.flags.stop_reason.is_some());
        if (theirs, &other.flags) > (mine, &self.flags) {
            self.flags = other.flags.clone();
        }
        if other.origin < self.origin {
            self.origin = other.origin.clone();
        }
        self.request_id = smallest(self.request_id.take(), other.request_id.clone());
        self.complete |= other.complete;
        self.conflicting |= other.conflicting;
        self.merge_tokens(&other.tokens);
    }

    /// Merges the counts of another copy, and notes if it disagrees about what was sent.
    fn merge_tokens(&mut self, tokens: &RawTokens) {
        self.conflicting |= self.tokens.input != tokens.input
            || self.tokens.cache_read != tokens.cache_read
            || self.tokens.cache_write != tokens.cache_write;
        self.tokens.merge(tokens);
    }
}

/// One request as one session in one file shows it: all its lines there, merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    /// The session that the lines name; for the owner of a request that several sessions show.
    pub session: SessionId,
    /// `requestSessionId`: the session that a forked copy came from.
    pub request_session: Option<SessionId>,
    /// Smallest `uuid` of the lines: a fork repeats it, a line of one's own does not.
    pub uuid: Option<MessageId>,
    /// Number of lines merged into this record.
    pub n_lines: u64,
    /// The request.
    pub facts: RequestFacts,
}

impl UsageRecord {
    /// Merges another line of the same request, session and file.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.session, other.session, "only lines of one session merge");
        self.request_session = smallest(self.request_session.take(), other.request_session.clone());
        self.uuid = smallest(self.uuid.take(), other.uuid.clone());
        self.n_lines = self.n_lines.saturating_add(other.n_lines);
        self.facts.merge(&other.facts);
    }

    /// Merges a later line that says the same but for its counts and its `uuid`, which most do that repeat a request.
    pub fn merge_later(&mut self, tokens: &RawTokens, uuid: Option<MessageId>) {
        self.uuid = smallest(self.uuid.take(), uuid);
        self.n_lines = self.n_lines.saturating_add(1);
        self.facts.merge_tokens(tokens);
    }
}

fn smallest<T: Ord>(mine: Option<T>, theirs: Option<T>) -> Option<T> {
    match (mine, theirs) {
        (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
        (mine, theirs) => mine.or(theirs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy of one request, as far as it had come.
    fn copy(output: u64, stop_reason: Option<&str>, searches: u64) -> RequestFacts {
        RequestFacts {
            key: RequestKey::Message(MessageId::new("msg_1").unwrap()),
            request_id: None,
            tokens: RawTokens { output, ..RawTokens::default() },
            flags: Flags {
                stop_reason: stop_reason.map(Arc::from),
                model: ModelId::new("claude-opus-4-8").unwrap(),
                requested_model: None,
                speed: None,
                service_tier: None,
                inference_geo: None,
                web_search_requests: searches,
                iterations: Vec::new(),
                empty_content: false,
            },
            origin: Origin {
                timestamp: Timestamp::UNIX_EPOCH,
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
            complete: stop_reason.is_some(),
            conflicting: false,
        }
    }

    #[test]
    fn a_sum_that_passes_the_largest_count_is_none_or_stops_there() {
        let all = |count| TokenUsage {
            input: count,
            output: count,
            cache_write_5m: count,
            cache_write_1h: count,
            cache_read: count,
        };
        assert_eq!(all(1).checked_add(&all(2)), Some(all(3)));
        assert_eq!(all(1).saturating_add(&all(2)), all(3));
        assert_eq!(all(u64::MAX).checked_add(&TokenUsage { cache_read: 1, ..TokenUsage::default() }), None);
        assert_eq!(all(u64::MAX).saturating_add(&all(1)), all(u64::MAX));
    }

    #[test]
    fn copies_conflict_if_one_count_of_what_was_sent_differs_and_stay_so() {
        let sent = |tokens| RequestFacts { tokens, ..copy(3, None, 0) };
        let merged = |tokens| {
            let mut merged = sent(RawTokens { output: 3, ..RawTokens::default() });
            merged.merge(&sent(tokens));
            merged
        };
        let none = RawTokens::default();
        for tokens in [
            RawTokens { input: 1, ..none },
            RawTokens { cache_read: 1, ..none },
            RawTokens { cache_write: 1, ..none },
        ] {
            let mut conflicting = merged(tokens);
            assert!(conflicting.conflicting, "{tokens:?}");
            conflicting.merge(&conflicting.clone());
            assert!(conflicting.conflicting, "{tokens:?}");
        }
        assert!(!merged(RawTokens { output: 9, ..none }).conflicting);
    }

    #[test]
    fn what_a_request_did_is_what_its_last_copy_says_whichever_comes_first() {
        let [begun, stopped, told] = [copy(3, None, 9), copy(3, Some("end_turn"), 1), copy(120, None, 2)];
        for (one, other, expected) in
            [(&begun, &stopped, 1), (&begun, &told, 2), (&stopped, &told, 2), (&begun, &copy(3, None, 4), 9)]
        {
            for (first, second) in [(one, other), (other, one)] {
                let mut merged = first.clone();
                merged.merge(second);
                assert_eq!(merged.flags.web_search_requests, expected, "{first:?} {second:?}");
            }
        }
    }
}
