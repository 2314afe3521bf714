//! How a budget stands, and what the strictest of several says about going on.

use crate::budget::Budget;
use crate::budget::OnExceed;
use crate::budget::Unpriced;
use crate::money::Usd;
use crate::period::Period;

/// What was spent of a budget, and what a person added to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// The cost of what is priced.
    pub cost: Usd,
    /// Requests without a price, whose cost is not in it.
    pub n_unpriced: u64,
    /// Whether a price in it was guessed.
    pub estimated: bool,
}

/// A budget at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The budget.
    pub budget: Budget,
    /// Which one of the scope's kind is meant; empty for the user.
    pub name: String,
    /// The time that counts.
    pub period: Period,
    /// What was spent in it.
    pub spent: Spent,
    /// What overrides in force add to the limit.
    pub added: Usd,
    /// What the period is expected to come to, if enough is known.
    pub expected: Option<Usd>,
}

/// What follows from a budget, mildest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing stands in the way.
    Go,
    /// Somebody should be asked.
    Ask,
    /// Only with this model.
    Downgrade(String),
    /// Stop.
    Block,
}

/// Why a budget stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The limit is reached.
    Reached,
    /// The limit would be passed by what is about to be spent.
    WouldPass,
    /// Nobody knows what part of it costs.
    Unpriced,
}

impl Standing {
    /// Returns the limit with what overrides add.
    pub fn limit(&self) -> Usd {
        self.budget.limit + self.added
    }

    /// Returns what is left; zero if nothing is.
    pub fn left(&self) -> Usd {
        (self.limit() - self.spent.cost).max(Usd::ZERO)
    }

    /// Returns how much of the limit is used, in whole percent, rounded down: 100 is used up.
    pub fn percent(&self) -> u64 {
        percent(self.spent.cost, self.limit())
    }

    /// Returns which warnings are due: the thresholds that are reached.
    pub fn warnings(&self) -> impl Iterator<Item = u32> + '_ {
        let reached = self.percent();
        self.budget.warn.iter().copied().filter(move |threshold| u64::from(*threshold) <= reached)
    }

    /// Returns the thresholds that the expected amount reaches.
    pub fn forecasts(&self) -> impl Iterator<Item = u32> + '_ {
        let reached = self.expected.map_or(0, |expected| percent(expected, self.limit()));
        self.budget.forecast.iter().copied().filter(move |threshold| u64::from(*threshold) <= reached)
    }

    /// Returns why `estimate` more may not be spent; zero asks whether anything may.
    pub fn cause(&self, estimate: Usd) -> Option<Cause> {
        if self.spent.cost >= self.limit() {
            Some(Cause::Reached)
        } else if self.spent.cost + estimate > self.limit() {
            Some(Cause::WouldPass)
        } else if self.spent.n_unpriced > 0 && self.budget.unpriced == Unpriced::Block {
            Some(Cause::Unpriced)
        } else {
            None
        }
    }

    /// Returns what follows for spending `estimate` more; `uses` says whether that is with the model of that name.
    pub fn verdict(&self, estimate: Usd, uses: &mut dyn FnMut(&str) -> bool) -> Verdict {
        match (self.cause(estimate), &self.budget.on_exceed) {
            (None, _) => Verdict::Go,
            (Some(Cause::Unpriced), _) | (Some(_), OnExceed::Block) => Verdict::Block,
            (Some(_), OnExceed::Warn) => Verdict::Go,
            (Some(_), OnExceed::Ask) => Verdict::Ask,
            (Some(_), OnExceed::Downgrade(cheaper)) if uses(cheaper.as_str()) => Verdict::Go,
            (Some(_), OnExceed::Downgrade(cheaper)) => Verdict::Downgrade(cheaper.as_str().to_owned()),
        }
    }
}

/// Returns the standing whose verdict is the strictest, the first of several; `None` if nothing stands in the way.
pub fn strictest<'a>(
    standings: &'a [Standing],
    estimate: Usd,
    uses: &mut dyn FnMut(&str) -> bool,
) -> Option<(&'a Standing, Verdict)> {
    let judged = standings.iter().map(|standing| (standing, standing.verdict(estimate, uses)));
    let standing_in_the_way = judged.filter(|(_, verdict)| *verdict != Verdict::Go);
    standing_in_the_way.reduce(|first, next| if next.1 > first.1 { next } else { first })
}

fn percent(part: Usd, whole: Usd) -> u64 {
    if whole <= Usd::ZERO {
        return u64::MAX;
    }
    u64::try_from((part.pico().max(0).saturating_mul(100)) / whole.pico()).unwrap_or(u64::MAX)
}
