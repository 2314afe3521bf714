//! What would have been cheaper: savings computed from the owner's own requests, each with its arithmetic.
//!
//! Pure: requests are taken one by one, in the order of their times. Nothing is said of how good another model's work
//! would have been. Pieces of advice may be about the same requests, so their savings do not add up.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use jiff::Timestamp;

use crate::cache_use;
use crate::cache_use::SHORT_TIME;
use crate::cache_use::Step;
use crate::cache_use::Thread;
use crate::cache_use::Threads;
use crate::money::Usd;
use crate::pricing::Alternative;
use crate::pricing::CostByKind;
use crate::pricing::Fit;
use crate::pricing::Kinship;
use crate::pricing::Match;
use crate::pricing::Model;
use crate::pricing::Price;
use crate::pricing::PriceTable;
use crate::pricing::Reason;
use crate::pricing::Terms;
use crate::pricing::Tokenizer;
use crate::usage::TokenUsage;

/// What is taken of a request: one of its charges.
#[derive(Debug, Clone)]
pub struct Charged<'a> {
    /// The thread that it belongs to.
    pub thread: Thread,
    /// What it was used for, in the dimension that was asked for.
    pub used_for: Option<String>,
    /// When it was made.
    pub at: Timestamp,
    /// Its tokens.
    pub tokens: TokenUsage,
    /// Its web searches.
    pub web_search_requests: u64,
    /// The price that it was charged with.
    pub price: &'a Price,
    /// What it cost.
    pub cost: CostByKind,
    /// That price was guessed.
    pub estimated: bool,
}

/// Something that would have been cheaper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    /// Another model for a use.
    Model(Box<OtherModel>),
    /// Writing to the cache for another time.
    CacheTime(CacheTime),
    /// Not going on in a session whose cache has run out.
    Resumption(Resumptions),
    /// Prompts that stay below the dearer price.
    LongPrompt(LongPrompts),
}

impl Advice {
    /// Returns how much less it would have cost.
    pub fn saving(&self) -> Usd {
        match self {
            Self::Model(other) => other.paid.total() - other.instead.total(),
            Self::CacheTime(time) => match time.instead {
                WrittenFor::OneHour => time.rewrites - time.premium,
                WrittenFor::FiveMinutes => time.premium - time.rewrites,
            },
            Self::Resumption(late) => late.extra,
            Self::LongPrompt(long) => long.paid - long.instead,
        }
    }

    /// Returns whether the saving is the most that it can be: what would have been done instead costs something too.
    pub fn is_at_most(&self) -> bool {
        matches!(self, Self::Resumption(_) | Self::LongPrompt(_))
    }

    /// Returns whether a price or a count in it is not certain.
    pub fn is_estimated(&self) -> bool {
        match self {
            Self::Model(other) => other.estimated,
            Self::CacheTime(time) => time.estimated,
            Self::Resumption(late) => late.estimated,
            Self::LongPrompt(long) => long.estimated,
        }
    }
}

/// Requests for a use on a model, and what they would have cost on another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherModel {
    /// The use; `None`: nothing says what for.
    pub used_for: Option<String>,
    /// The model's price row.
    pub model: String,
    /// The other one's.
    pub other: String,
    /// How they differ.
    pub kinship: Kinship,
    /// What the same text counts on the other.
    pub tokenizer: Tokenizer,
    /// How many requests.
    pub requests: u64,
    /// Their tokens.
    pub tokens: TokenUsage,
    /// What they cost.
    pub paid: CostByKind,
    /// What they would have cost at the other's prices of the same days; 130 % of the tokens where it counts more.
    pub instead: CostByKind,
    /// A price is not certain, or the other counts tokens otherwise.
    pub estimated: bool,
}

/// For how long something is written to the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrittenFor {
    /// Five minutes.
    FiveMinutes,
    /// One hour.
    OneHour,
}

/// What writing for another time would have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheTime {
    /// What would have been better.
    pub instead: WrittenFor,
    /// It is about subagents, not about sessions themselves.
    pub of_subagents: bool,
    /// Sessions with a pause of five minutes to an hour.
    pub sessions: u64,
    /// How many such pauses.
    pub pauses: u64,
    /// Tokens that were written again after them, or would have been.
    pub rewritten: u64,
    /// How much more that costs than reading them.
    pub rewrites: Usd,
    /// Tokens whose writing costs more for an hour.
    pub written: u64,
    /// How much more.
    pub premium: Usd,
    /// A price is not certain.
    pub estimated: bool,
}

/// Requests that came when the cache had run out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resumptions {
    /// How many sessions.
    pub sessions: u64,
    /// How many times.
    pub times: u64,
    /// Tokens that were sent again.
    pub sent_again: u64,
    /// How much more that cost than reading them.
    pub extra: Usd,
    /// A price is not certain.
    pub estimated: bool,
}

/// Requests that paid the price of long prompts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LongPrompts {
    /// The model's price row.
    pub model: String,
    /// Prompts of more tokens pay it.
    pub above: u64,
    /// How many requests.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt: u64,
    /// What they cost.
    pub paid: Usd,
    /// What the same tokens cost in shorter prompts.
    pub instead: Usd,
    /// A price is not certain.
    pub estimated: bool,
}

/// Takes requests and says what would have been cheaper.
#[derive(Debug)]
pub struct Adviser<'table> {
    table: &'table PriceTable,
    threads: Threads,
    /// Of each model so far.
    alternatives: HashMap<String, Vec<Alternative<'table>>>,
    models: BTreeMap<(Option<String>, String), OfModel>,
    /// Of sessions themselves, of subagents.
    writing: [Writing; 2],
    late: (Resumptions, BTreeSet<String>),
    long: BTreeMap<(String, u64), LongPrompts>,
}

/// What one model did for one use.
#[derive(Debug, Default)]
struct OfModel {
    requests: u64,
    tokens: TokenUsage,
    paid: CostByKind,
    estimated: bool,
    /// On each alternative, in their order; whether a price of it is not certain.
    instead: Vec<(CostByKind, bool)>,
}

/// What was written to the cache for each time.
#[derive(Debug)]
struct Writing {
    for_minutes: (CacheTime, BTreeSet<String>),
    for_an_hour: (CacheTime, BTreeSet<String>),
}

impl Writing {
    fn new(of_subagents: bool) -> Self {
        let nothing = |instead| CacheTime {
            instead,
            of_subagents,
            sessions: 0,
            pauses: 0,
            rewritten: 0,
            rewrites: Usd::ZERO,
            written: 0,
            premium: Usd::ZERO,
            estimated: false,
        };
        Self {
            for_minutes: (nothing(WrittenFor::OneHour), BTreeSet::new()),
            for_an_hour: (nothing(WrittenFor::FiveMinutes), BTreeSet::new()),
        }
    }
}

impl<'table> Adviser<'table> {
    /// Returns one that knows the models of `table`.
    pub fn new(table: &'table PriceTable) -> Self {
        Self {
            table,
            threads: Threads::default(),
            alternatives: HashMap::new(),
            models: BTreeMap::new(),
            writing: [Writing::new(false), Writing::new(true)],
            late: Default::default(),
            long: BTreeMap::new(),
        }
    }

    /// Takes the next request.
    pub fn take(&mut self, charged: &Charged<'_>) {
        let step = self.threads.next(&charged.thread, charged.at, &charged.tokens);
        self.take_model(charged);
        self.take_writing(charged, step.as_ref());
        if let Some(step) = step.filter(|step| !step.is_in_time()) {
            self.take_resumption(charged, &step);
        }
        self.take_long_prompt(charged);
    }

    fn take_model(&mut self, charged: &Charged<'_>) {
        let model = charged.thread.model.clone();
        let table = self.table;
        let others = self.alternatives.entry(model.clone()).or_insert_with(|| table.alternatives(&model));
        if others.is_empty() {
            return;
        }
        let of_model = self.models.entry((charged.used_for.clone(), model)).or_default();
        of_model.requests += 1;
        of_model.tokens = of_model.tokens.saturating_add(&charged.tokens);
        of_model.paid = added(of_model.paid, charged.cost);
        of_model.estimated |= charged.estimated;
        of_model.instead.resize(others.len(), Default::default());
        for (other, (instead, is_guessed)) in others.iter().zip(&mut of_model.instead) {
            let tokens = match other.tokenizer {
                Tokenizer::More => with_more_tokens(&charged.tokens),
                Tokenizer::Same | Tokenizer::Fewer => charged.tokens,
            };
            let (price, fit) = price_of(table, other.model, charged, tokens.prompt());
            match price.cost(&tokens, charged.web_search_requests) {
                Ok(cost) => *instead = added(*instead, cost),
                // Too large to record: as dear as it was.
                Err(_) => *instead = added(*instead, charged.cost),
            }
            *is_guessed |= fit == Fit::Estimated || other.tokenizer != Tokenizer::Same;
        }
    }

    fn take_writing(&mut self, charged: &Charged<'_>, step: Option<&Step>) {
        let Writing { for_minutes, for_an_hour } =
            &mut self.writing[usize::from(charged.thread.agent_id.is_some())];
        let tokens = &charged.tokens;
        let pause = step.filter(|step| step.gap >= SHORT_TIME && step.gap < cache_use::LONG_TIME);
        let dearer = |tokens: u64| {
            let written = |written| charged.price.cost(&written, 0).map(|cost| cost.total());
            let hour = written(TokenUsage { cache_write_1h: tokens, ..TokenUsage::default() });
            let minutes = written(TokenUsage { cache_write_5m: tokens, ..TokenUsage::default() });
            hour.and_then(|hour| minutes.map(|minutes| hour - minutes)).unwrap_or_default()
        };
        // What was written again after a pause would have been read; all else would have been written for an hour.
        let again = pause.filter(|step| !step.for_an_hour).map_or(0, |step| step.sent_again.cache_write_5m);
        if tokens.cache_write_5m > 0 {
            let (time, sessions) = for_minutes;
            time.note(again, tokens.cache_write_5m - again, charged, &dearer);
            if again > 0 {
                time.pauses += 1;
                sessions.insert(charged.thread.session.clone());
            }
        }
        // What was read after a pause would have been written again.
        let read = pause.filter(|step| step.for_an_hour).map_or(0, |step| step.read);
        if tokens.cache_write_1h > 0 || read > 0 {
            let (time, sessions) = for_an_hour;
            time.note(read, tokens.cache_write_1h, charged, &dearer);
            if read > 0 {
                time.pauses += 1;
                sessions.insert(charged.thread.session.clone());
            }
        }
    }

    fn take_resumption(&mut self, charged: &Charged<'_>, step: &Step) {
        let sent_again = cache_use::count(&step.sent_again);
        if sent_again == 0 {
            return;
        }
        let (late, sessions) = &mut self.late;
        late.times += 1;
        late.sent_again = late.sent_again.saturating_add(sent_again);
        late.extra += cache_use::dearer_than_reading(&step.sent_again, charged.price);
        late.estimated |= charged.estimated;
        sessions.insert(charged.thread.session.clone());
    }

    fn take_long_prompt(&mut self, charged: &Charged<'_>) {
        let Some(above) = charged.price.tier_above else { return };
        let Some(model) = self.table.get(charged.price.model.as_str()) else { return };
        let (long, _) = price_of(self.table, model, charged, charged.tokens.prompt());
        let (short, _) = price_of(self.table, model, charged, 0);
        // A row that was changed since says nothing of what was charged.
        if long.rates != charged.price.rates || long.factor != charged.price.factor {
            return;
        }
        let Ok(instead) = short.cost(&charged.tokens, charged.web_search_requests) else { return };
        let model = charged.price.model.as_str().to_owned();
        let found = self.long.entry((model.clone(), above)).or_default();
        (found.model, found.above) = (model, above);
        found.requests += 1;
        found.prompt = found.prompt.saturating_add(charged.tokens.prompt());
        found.paid += charged.cost.total();
        found.instead += instead.total();
        found.estimated |= charged.estimated;
    }

    /// Returns what would have saved `min` at least, the largest saving first.
    pub fn advice(self, min: Usd) -> Vec<Advice> {
        let mut all = Vec::new();
        for ((used_for, model), of_model) in self.models {
            let others = self.alternatives.get(&model).into_iter().flatten();
            for (other, (instead, is_guessed)) in others.zip(of_model.instead) {
                all.push(Advice::Model(Box::new(OtherModel {
                    used_for: used_for.clone(),
                    model: model.clone(),
                    other: other.model.id.as_str().to_owned(),
                    kinship: other.kinship,
                    tokenizer: other.tokenizer,
                    requests: of_model.requests,
                    tokens: of_model.tokens,
                    paid: of_model.paid,
                    instead,
                    estimated: of_model.estimated || is_guessed,
                })));
            }
        }
        let count = |sessions: &BTreeSet<String>| u64::try_from(sessions.len()).unwrap_or(u64::MAX);
        for Writing { for_minutes, for_an_hour } in self.writing {
            for (time, sessions) in [for_minutes, for_an_hour] {
                all.push(Advice::CacheTime(CacheTime { sessions: count(&sessions), ..time }));
            }
        }
        let (late, sessions) = self.late;
        all.push(Advice::Resumption(Resumptions { sessions: count(&sessions), ..late }));
        all.extend(self.long.into_values().map(Advice::LongPrompt));
        all.retain(|advice| advice.saving() > Usd::ZERO && advice.saving() >= min);
        // A stable order: that of the names where savings are alike.
        all.sort_by_key(|advice| std::cmp::Reverse(advice.saving()));
        all
    }
}

impl CacheTime {
    fn note(&mut self, rewritten: u64, written: u64, charged: &Charged<'_>, dearer: &dyn Fn(u64) -> Usd) {
        let again = TokenUsage { cache_write_5m: rewritten, ..TokenUsage::default() };
        self.rewritten = self.rewritten.saturating_add(rewritten);
        self.rewrites += cache_use::dearer_than_reading(&again, charged.price);
        self.written = self.written.saturating_add(written);
        self.premium += dearer(written);
        self.estimated |= charged.estimated;
    }
}

/// Returns the price of a row for a request on the terms that it was charged on.
fn price_of(table: &PriceTable, model: &Model, charged: &Charged<'_>, prompt: u64) -> (Price, Fit) {
    let terms = Terms {
        at: charged.at,
        fast: charged.price.fast,
        batch: charged.price.batch,
        us_inference: charged.price.us_inference,
    };
    let found = Match { model, reason: Reason::Id, removed: Vec::new(), fast: false, batch: false };
    table.price(&found, &terms, prompt)
}

/// Returns 130 % of each count, rounded up.
fn with_more_tokens(tokens: &TokenUsage) -> TokenUsage {
    let more = |count: u64| count.saturating_mul(13).div_ceil(10);
    TokenUsage {
        input: more(tokens.input),
        output: more(tokens.output),
        cache_write_5m: more(tokens.cache_write_5m),
        cache_write_1h: more(tokens.cache_write_1h),
        cache_read: more(tokens.cache_read),
    }
}

fn added(a: CostByKind, b: CostByKind) -> CostByKind {
    CostByKind {
        input: a.input + b.input,
        output: a.output + b.output,
        cache_write_5m: a.cache_write_5m + b.cache_write_5m,
        cache_write_1h: a.cache_write_1h + b.cache_write_1h,
        cache_read: a.cache_read + b.cache_read,
        web_search: a.web_search + b.web_search,
    }
}

#[cfg(test)]
mod tests;
