//! What the client itself counted for a session: tokens by model, and what it takes them to cost.
//!
//! It counts what transcripts leave out (client reference, section 5): searches, compactions, prompt hooks, attempts
//! that were cut off. Words only; what follows from them is decided in [`crate::remainder`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::id::ModelId;
use crate::id::SessionId;
use crate::money::Usd;
use crate::usage::RawTokens;

/// A `cost-state` line of a transcript: what the client had counted for the session by then, all its runs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCount {
    /// The session.
    pub session: SessionId,
    /// Time of the last line before it that states one, UTC: it has none of its own.
    pub at: Timestamp,
    /// What the client takes it to cost, at its own prices.
    pub cost: Option<Usd>,
    /// By the model that was asked for, as the client spells it.
    pub models: BTreeMap<ModelId, ModelCount>,
}

/// What the client counted for one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct ModelCount {
    /// Token counts. A client before 2.1.330 states no split of cache writes.
    pub tokens: RawTokens,
    /// Web searches.
    pub web_search_requests: u64,
}
