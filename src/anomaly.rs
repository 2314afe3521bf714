//! What stands out in the owner's own past: amounts far above their like, and a cache that stopped hitting.
//!
//! Whole numbers throughout, and no model of the future. The method is explained in `docs/advice.md`.

use jiff::Timestamp;

use crate::cache_use;
use crate::cache_use::Step;
use crate::money::Usd;

/// With fewer others than this nothing is said of a session.
pub const ENOUGH_SESSIONS: usize = 10;

/// With fewer others than this nothing is said of an hour.
pub const ENOUGH_HOURS: usize = 20;

/// So many times the median is the least that is far above.
const TIMES_MEDIAN: i128 = 3;

/// Requests in a row that miss what the cache holds, to be told.
const MISSES: u64 = 3;

/// With fewer tokens than this in the cache a miss is of no weight.
const WORTH_HOLDING: u64 = 10_000;

const MILLION: i128 = 1_000_000;

/// Where amounts begin to be far above others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// How many others there are.
    pub n_others: usize,
    /// Half of them are no higher.
    pub median: Usd,
    /// Three of four are no higher.
    pub upper_quartile: Usd,
    /// What is above this is far above them.
    pub limit: Usd,
}

impl Fence {
    /// Returns the fence that the sorted `amounts` make, without the one at `left_out`; `None` if there are no others,
    /// or half of them are nothing.
    ///
    /// Amounts of sessions spread in ratios, so the fence is Tukey's for ratios: as often above the upper quartile as
    /// that is above the median, three times over; and three times the median at least.
    pub fn beside(amounts: &[Usd], left_out: usize) -> Option<Self> {
        let n_others = amounts.len().checked_sub(1)?;
        // The smallest of the others that so many percent of them do not exceed.
        let percentile = |percent: usize| {
            let at = (n_others * percent).div_ceil(100).checked_sub(1)?;
            amounts.get(at + usize::from(at >= left_out)).copied()
        };
        let (median, upper_quartile) = (percentile(50)?, percentile(75)?);
        if median <= Usd::ZERO {
            return None;
        }
        let ratio = upper_quartile.pico().saturating_mul(MILLION) / median.pico();
        let further = |amount: i128| amount.saturating_mul(ratio) / MILLION;
        let limit = further(further(further(upper_quartile.pico())));
        let limit = limit.max(median.pico().saturating_mul(TIMES_MEDIAN));
        Some(Self { n_others, median, upper_quartile, limit: Usd::from_pico(limit) })
    }
}

/// Returns the positions of the `amounts` above zero that are far above the others and at least `min`, each with its
/// fence; or an error with how many there are, if those are no more than `enough`.
pub fn far_above(amounts: &[Usd], enough: usize, min: Usd) -> Result<Vec<(usize, Fence)>, usize> {
    let mut sorted: Vec<(Usd, usize)> = amounts
        .iter()
        .enumerate()
        .filter(|(_, amount)| **amount > Usd::ZERO)
        .map(|(n, amount)| (*amount, n))
        .collect();
    if sorted.len() <= enough {
        return Err(sorted.len());
    }
    sorted.sort();
    let sizes: Vec<Usd> = sorted.iter().map(|(amount, _)| *amount).collect();
    let mut found = Vec::new();
    for (at, (amount, n)) in sorted.into_iter().enumerate() {
        if let Some(fence) = Fence::beside(&sizes, at)
            && amount > fence.limit
            && amount >= min
        {
            found.push((n, fence));
        }
    }
    Ok(found)
}

/// Returns how many times `amount` is the other one, with one decimal place.
pub fn times(amount: Usd, other: Usd) -> String {
    let tenths = (amount.pico().saturating_mul(10) + other.pico() / 2).checked_div(other.pico()).unwrap_or(0);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Requests in a row that did not read what the cache held for them, although it was in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misses {
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// How many.
    pub requests: u64,
    /// Tokens that the cache held for them, added up.
    pub held: u64,
    /// Of these, tokens that they read.
    pub read: u64,
    /// Tokens that were held and sent again.
    pub sent_again: u64,
    /// How much more these cost than reading them.
    pub extra: Usd,
    /// What the requests cost in all.
    pub cost: Usd,
}

/// The misses of a thread.
#[derive(Debug, Default)]
pub struct MissCounter {
    row: Option<Misses>,
}

impl MissCounter {
    /// Takes the next request of the thread, which cost `cost`, of that `extra` for what it sent again; returns the row of
    /// misses that it ends, if that is to be told.
    pub fn next(&mut self, at: Timestamp, step: Option<&Step>, cost: Usd, extra: Usd) -> Option<Misses> {
        let missed = step.filter(|step| is_miss(step));
        let Some(step) = missed else { return self.end() };
        let row = self.row.get_or_insert(Misses {
            first: at,
            last: at,
            requests: 0,
            held: 0,
            read: 0,
            sent_again: 0,
            extra: Usd::ZERO,
            cost: Usd::ZERO,
        });
        row.last = at;
        row.requests += 1;
        row.held = row.held.saturating_add(step.held);
        row.read = row.read.saturating_add(step.read);
        row.sent_again = row.sent_again.saturating_add(cache_use::count(&step.sent_again));
        row.extra += extra;
        row.cost += cost;
        None
    }

    /// Ends the row; returns it if it is to be told.
    pub fn end(&mut self) -> Option<Misses> {
        self.row.take().filter(|row| row.requests >= MISSES)
    }
}

/// Returns whether a request sent again most of what the cache held for it: it read less than a quarter. A prompt that
/// is new and shorter, as after a compaction, sends little again.
fn is_miss(step: &Step) -> bool {
    step.is_in_time()
        && step.held >= WORTH_HOLDING
        && step.read < step.held / 4
        && cache_use::count(&step.sent_again) > step.held / 2
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::usage::TokenUsage;

    fn cents(amounts: &[i128]) -> Vec<Usd> {
        amounts.iter().map(|cents| Usd::from_pico(cents * 10_000_000_000)).collect()
    }

    #[test]
    fn the_fence_is_made_by_the_others_alone() {
        // Ten others from 1 to 10: the median is 5, the upper quartile 8, and 8 × 1.6³ is 32.768.
        let amounts = cents(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 33]);
        let found = far_above(&amounts, 10, Usd::ZERO).unwrap();
        let fence = Fence {
            n_others: 10,
            median: amounts[4],
            upper_quartile: amounts[7],
            limit: "0.32768".parse().unwrap(),
        };
        assert_eq!(found, [(10, fence)]);
        assert_eq!(far_above(&cents(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 32]), 10, Usd::ZERO), Ok(vec![]));
        assert_eq!(far_above(&amounts, 10, "0.34".parse().unwrap()), Ok(vec![]));
    }

    #[test]
    fn amounts_that_are_all_alike_need_three_times_as_much() {
        let mut amounts = cents(&[5; 20]);
        amounts.push("0.15".parse().unwrap());
        assert_eq!(far_above(&amounts, 10, Usd::ZERO), Ok(vec![]));
        amounts[3] = "0.151".parse().unwrap();
        let found = far_above(&amounts, 10, Usd::ZERO).unwrap();
        assert_eq!((found[0].0, found[0].1.limit), (3, "0.15".parse().unwrap()));
    }

    #[test]
    fn too_few_are_said_to_be() {
        // What costs nothing is no session to compare with.
        assert_eq!(far_above(&cents(&[0, 0, 1, 1, 1, 900]), 4, Usd::ZERO), Err(4));
    }

    #[test]
    fn amounts_of_any_size_are_compared() {
        let huge = Usd::from_pico(9_000_000_000_000_000_000);
        let mut amounts = vec![Usd::from_pico(1); 30];
        amounts.extend([huge; 12]);
        assert!(far_above(&amounts, 10, Usd::ZERO).is_ok());
        assert_eq!(times(huge, Usd::from_pico(1)), "9000000000000000000.0");
    }

    fn step(gap: i64, held: u64, read: u64) -> Step {
        Step {
            gap: SignedDuration::from_mins(gap),
            held,
            read,
            for_an_hour: false,
            sent_again: TokenUsage { cache_write_5m: held - read, ..TokenUsage::default() },
        }
    }

    #[test]
    fn three_misses_in_a_row_are_told_and_one_that_is_late_is_none() {
        let mut counter = MissCounter::default();
        let (cost, extra) = ("0.5".parse().unwrap(), "0.1".parse().unwrap());
        let mut next = |minute: i64, step: Option<Step>| {
            counter.next(Timestamp::from_second(minute * 60).unwrap(), step.as_ref(), cost, extra)
        };
        assert_eq!(next(0, None), None);
        for minute in 1..=2 {
            assert_eq!(next(minute, Some(step(1, 50_000, 0))), None);
        }
        // The cache had run out: that is no fault of it, and ends the row.
        assert_eq!(next(10, Some(step(8, 50_000, 0))), None);
        for minute in 11..=13 {
            assert_eq!(next(minute, Some(step(1, 50_000, 1_000))), None);
        }
        let told = next(14, Some(step(1, 50_000, 50_000))).unwrap();
        assert_eq!((told.requests, told.held, told.read, told.sent_again), (3, 150_000, 3_000, 147_000));
        assert_eq!((told.extra, told.cost), ("0.3".parse().unwrap(), "1.5".parse().unwrap()));
        assert_eq!(told.last.as_second() - told.first.as_second(), 120);
    }
}
