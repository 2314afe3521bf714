//! What requests read of what the cache held for them: each beside the one before it in the same thread.
//!
//! A thread is what one agent of a session sends to one model. After a request the cache holds its prompt as far as it
//! was read from there or written there. Pure: requests are told in the order of their times, one by one.

use std::collections::HashMap;

use jiff::SignedDuration;
use jiff::Timestamp;

use crate::money::Usd;
use crate::pricing::Price;
use crate::usage::TokenUsage;

/// How long the cache holds what is written for five minutes.
pub const SHORT_TIME: SignedDuration = SignedDuration::from_mins(5);
/// How long it holds what is written for one hour.
pub const LONG_TIME: SignedDuration = SignedDuration::from_hours(1);

/// Requests that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thread {
    /// Its session.
    pub session: String,
    /// Its subagent; `None` is the session itself.
    pub agent_id: Option<String>,
    /// Id of the price row of the model.
    pub model: String,
}

/// A request beside the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How long after the last one that used the cache; never negative.
    pub gap: SignedDuration,
    /// Tokens that the cache held when the one before had been answered.
    pub held: u64,
    /// Tokens of these that were read.
    pub read: u64,
    /// The thread wrote for an hour last.
    pub for_an_hour: bool,
    /// Tokens that were held and sent again all the same: as input, or to be written anew.
    pub sent_again: TokenUsage,
}

/// What is known of each thread so far.
#[derive(Debug, Default)]
pub struct Threads {
    last: HashMap<Thread, Last>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    at: Timestamp,
    held: u64,
    for_an_hour: bool,
}

impl Threads {
    /// Takes the next request of a thread; returns how it stands beside the one before, `None` for the first.
    pub fn next(&mut self, thread: &Thread, at: Timestamp, tokens: &TokenUsage) -> Option<Step> {
        let before = self.last.get(thread).copied();
        let wrote_for_an_hour = tokens.cache_write_1h > 0;
        let for_an_hour = match tokens.cache_write() {
            0 => before.is_some_and(|before| before.for_an_hour),
            _ => wrote_for_an_hour,
        };
        let held = tokens.cache_read.saturating_add(tokens.cache_write());
        // What uses no cache leaves in it what was there.
        if held > 0 || before.is_none() {
            self.last.insert(thread.clone(), Last { at, held, for_an_hour });
        }
        let before = before?;
        let mut missed = before.held.saturating_sub(tokens.cache_read);
        let mut take = |sent: u64| {
            let taken = sent.min(missed);
            missed -= taken;
            taken
        };
        let sent_again = TokenUsage {
            cache_write_5m: take(tokens.cache_write_5m),
            cache_write_1h: take(tokens.cache_write_1h),
            input: take(tokens.input),
            ..TokenUsage::default()
        };
        Some(Step {
            gap: at.duration_since(before.at).max(SignedDuration::ZERO),
            held: before.held,
            read: before.held.min(tokens.cache_read),
            for_an_hour: before.for_an_hour,
            sent_again,
        })
    }
}

impl Step {
    /// Returns whether the cache held what the request before had left there.
    pub fn is_in_time(&self) -> bool {
        self.gap < if self.for_an_hour { LONG_TIME } else { SHORT_TIME }
    }
}

/// Returns how many tokens these are.
pub fn count(tokens: &TokenUsage) -> u64 {
    tokens.prompt()
}

/// Returns how much more `sent` cost at `price` than reading as many tokens from the cache; nothing where that cannot be
/// told.
pub fn dearer_than_reading(sent: &TokenUsage, price: &Price) -> Usd {
    let read = TokenUsage { cache_read: count(sent), ..TokenUsage::default() };
    let cost = |tokens: &TokenUsage| price.cost(tokens, 0).map(|cost| cost.total());
    match (cost(sent), cost(&read)) {
        (Ok(sent), Ok(read)) => sent - read,
        _ => Usd::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread() -> Thread {
        Thread { session: "s".to_owned(), agent_id: None, model: "m".to_owned() }
    }

    fn tokens(input: u64, write: u64, read: u64) -> TokenUsage {
        TokenUsage { input, cache_write_5m: write, cache_read: read, ..TokenUsage::default() }
    }

    #[test]
    fn what_was_held_and_not_read_was_sent_again() {
        let mut threads = Threads::default();
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        assert_eq!(threads.next(&thread(), at(0), &tokens(5, 1_000, 0)), None);
        let hit = threads.next(&thread(), at(1), &tokens(5, 200, 1_000)).unwrap();
        assert_eq!((hit.held, hit.read, count(&hit.sent_again)), (1_000, 1_000, 0));
        let miss = threads.next(&thread(), at(10), &tokens(7, 1_150, 100)).unwrap();
        assert_eq!((miss.held, miss.read), (1_200, 100));
        assert!(!miss.is_in_time());
        assert_eq!(miss.sent_again, tokens(0, 1_100, 0));
        // A prompt that became shorter sends less again than was held.
        let shorter = threads.next(&thread(), at(11), &tokens(7, 90, 0)).unwrap();
        assert_eq!(shorter.sent_again, tokens(7, 90, 0));
        assert!(shorter.is_in_time());
    }

    #[test]
    fn threads_do_not_share() {
        let mut threads = Threads::default();
        let other = Thread { model: "n".to_owned(), ..thread() };
        assert_eq!(threads.next(&thread(), Timestamp::UNIX_EPOCH, &tokens(0, 10, 0)), None);
        assert_eq!(threads.next(&other, Timestamp::UNIX_EPOCH, &tokens(0, 10, 0)), None);
    }
}
