//! What a session spent beyond its requests: the client's own count, less what the transcript shows.
//!
//! Searches, compactions, prompt hooks and attempts that were cut off are in no line of a transcript, but the client
//! counts them (client reference, section 5). Its count has traps: a fork's begins with its parent's, what a killed
//! run spent is lost, and after an interruption it is written before the last answers. Where it cannot be right, nothing
//! is taken from it, and the session's cost is a lower bound. A pure function of facts: their order changes nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::client_count::ClientCount;
use crate::client_count::ModelCount;
use crate::pricing;
use crate::usage::Origin;
use crate::usage::RawTokens;
use crate::usage::RequestFacts;
use crate::usage::TokenUsage;

/// Tokens of each kind and searches, signed: what is left of a count.
type Balance = [i128; 6];

/// What a session spent beyond its requests, between one count of its client's and the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remainder {
    /// When the client counted it.
    pub at: Timestamp,
    /// The model that was asked for, by its plain name.
    pub model: String,
    /// Token counts.
    pub tokens: RawTokens,
    /// Web searches.
    pub web_search_requests: u64,
}

/// What the client's count says of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It never counted.
    NeverCounted,
    /// All that it counted is known: requests, and these remainders.
    Complete(Vec<Remainder>),
    /// The count and the requests do not fit: something may be missing, and nobody knows what.
    AtLeast,
}

/// Whose requests a session shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// Its own.
    OwnRequests,
    /// Another's among them: it is a fork, whose count begins with that of its parent.
    AnothersToo,
}

/// A comparison of what the client counted for a session with the requests that the session shows, each told once, in
/// any order. It holds sums, not requests: a session may have any number of them.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// The counts, by time.
    counts: Vec<&'a ClientCount>,
    /// What is shown up to each count, beyond the one before it.
    runs: Vec<Run>,
    /// Whether a request was made after the last count.
    goes_on: bool,
}

/// The requests between one count and the next.
#[derive(Debug, Clone, Default)]
struct Run {
    shown: BTreeMap<String, Balance>,
    /// Where the last one in front was made.
    last_origin: Option<Origin>,
}

impl<'a> Comparison<'a> {
    /// Returns a comparison of `counts` with no request yet.
    pub fn new(counts: &'a [ClientCount]) -> Self {
        let mut counts: Vec<&ClientCount> = counts.iter().collect();
        counts.sort_by_cached_key(|count| (count.at, balances(count).values().flatten().sum::<i128>()));
        let runs = vec![Run::default(); counts.len()];
        Self { counts, runs, goes_on: false }
    }

    /// Returns whether a request that was made at `at` comes after all counts: then the verdict is [`Verdict::AtLeast`],
    /// whatever else the session shows.
    pub fn ends_before(&self, at: Timestamp) -> bool {
        self.counts.last().is_some_and(|last| last.at < at)
    }

    /// Adds a request that the session shows.
    pub fn add(&mut self, request: &RequestFacts) {
        let origin = &request.origin;
        let run = self.counts.partition_point(|count| count.at < origin.timestamp);
        let Some(run) = self.runs.get_mut(run) else {
            self.goes_on = true;
            return;
        };
        add_shown(&mut run.shown, request);
        if !origin.sidechain && run.last_origin.as_ref().is_none_or(|last| last < origin) {
            run.last_origin = Some(origin.clone());
        }
    }

    /// Returns where the last request in front was made that is not later than `at`, the time of a count.
    pub fn origin_before(&self, at: Timestamp) -> Option<&Origin> {
        let n_runs = self.counts.partition_point(|count| count.at <= at);
        self.runs[..n_runs].iter().filter_map(|run| run.last_origin.as_ref()).max()
    }

    /// Returns what the counts say of the requests that were added.
    pub fn verdict(&self, shows: Shows) -> Verdict {
        let Some(last) = self.counts.last() else { return Verdict::NeverCounted };
        if self.goes_on {
            return Verdict::AtLeast;
        }
        let Some(whole) = beyond(last, None, &self.runs) else { return Verdict::AtLeast };
        match shows {
            Shows::AnothersToo if !whole.is_empty() => Verdict::AtLeast,
            _ => Verdict::Complete(self.by_run().unwrap_or(whole)),
        }
    }

    /// Returns what is left of each count, less the one before it; `None` if a request stands behind a count that holds
    /// it already, as after an interruption.
    fn by_run(&self) -> Option<Vec<Remainder>> {
        let mut left = Vec::new();
        let mut before = None;
        for (count, run) in self.counts.iter().zip(&self.runs) {
            left.extend(beyond(count, before, std::slice::from_ref(run))?);
            before = Some(*count);
        }
        Some(left)
    }
}

/// Returns what `count` holds beyond the count before it and beyond what `runs` show; `None` if it holds less.
fn beyond(count: &ClientCount, before: Option<&ClientCount>, runs: &[Run]) -> Option<Vec<Remainder>> {
    let mut left = balances(count);
    let undivided = undivided_writes(count);
    for (model, balance) in before.map(balances).unwrap_or_default() {
        subtract(left.entry(model).or_default(), &balance);
    }
    for (model, balance) in runs.iter().flat_map(|run| &run.shown) {
        let mut balance = *balance;
        if undivided.contains(model) {
            (balance[2], balance[3]) = (balance[2] + balance[3], 0);
        }
        subtract(left.entry(model.clone()).or_default(), &balance);
    }
    let left = left.into_iter().filter(|(_, balance)| balance.iter().any(|count| *count != 0));
    left.map(|(model, balance)| remainder(count.at, model, balance)).collect()
}

fn subtract(from: &mut Balance, balance: &Balance) {
    from.iter_mut().zip(balance).for_each(|(left, taken)| *left -= taken);
}

fn remainder(at: Timestamp, model: String, balance: Balance) -> Option<Remainder> {
    let mut counts = [0; 6];
    for (count, left) in counts.iter_mut().zip(balance) {
        *count = u64::try_from(left).ok()?;
    }
    let [input, output, cache_write_5m, cache_write_1h, cache_read, web_search_requests] = counts;
    let cache_write = cache_write_5m.checked_add(cache_write_1h)?;
    let tokens = RawTokens { input, output, cache_read, cache_write, cache_write_5m, cache_write_1h };
    Some(Remainder { at, model, tokens, web_search_requests })
}

/// Returns what the client counted, by the plain names of the models.
fn balances(count: &ClientCount) -> BTreeMap<String, Balance> {
    let mut balances: BTreeMap<String, Balance> = BTreeMap::new();
    for (model, ModelCount { tokens, web_search_requests }) in &count.models {
        add(&mut balances, pricing::model_name(model.as_str()), &tokens.billed(), *web_search_requests);
    }
    balances
}

/// Returns the models whose cache writes the client did not divide into those of five minutes and those of an hour.
fn undivided_writes(count: &ClientCount) -> Vec<String> {
    let is_undivided =
        |counted: &ModelCount| counted.tokens.cache_write_5m + counted.tokens.cache_write_1h == 0;
    let models = count.models.iter().filter(|(_, counted)| is_undivided(counted));
    models.map(|(model, _)| pricing::model_name(model.as_str())).collect()
}

/// Adds what a request shows, by the plain name of the model that was asked for.
///
/// Compactions and advisor answers on the way are not in the request's own counts.
fn add_shown(balances: &mut BTreeMap<String, Balance>, request: &RequestFacts) {
    let flags = &request.flags;
    let asked = flags.requested_model.as_ref().unwrap_or(&flags.model);
    let name = pricing::model_name(asked.as_str());
    add(balances, name, &request.tokens.billed(), flags.web_search_requests);
    for step in
        flags.iterations.iter().filter(|step| ["compaction", "advisor_message"].contains(&&*step.kind))
    {
        let model = step.model.as_ref().unwrap_or(asked);
        add(balances, pricing::model_name(model.as_str()), &step.tokens.billed(), 0);
    }
}

fn add(balances: &mut BTreeMap<String, Balance>, model: String, tokens: &TokenUsage, searches: u64) {
    let TokenUsage { input, output, cache_write_5m, cache_write_1h, cache_read } = *tokens;
    let counts = [input, output, cache_write_5m, cache_write_1h, cache_read, searches].map(i128::from);
    let balance = balances.entry(model).or_default();
    balance.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::MessageId;
    use crate::id::ModelId;
    use crate::usage::Flags;
    use crate::usage::RequestKey;

    const MODEL: &str = "claude-sonnet-4-6";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn tokens(input: u64, output: u64) -> RawTokens {
        RawTokens { input, output, ..RawTokens::default() }
    }

    fn count(second: i64, model: &str, input: u64, output: u64) -> ClientCount {
        let model_count = ModelCount { tokens: tokens(input, output), web_search_requests: 0 };
        let models = BTreeMap::from([(ModelId::new(model).unwrap(), model_count)]);
        ClientCount { session: "s".parse().unwrap(), at: at(second), cost: None, models }
    }

    fn request(second: i64, input: u64, output: u64) -> RequestFacts {
        let key = RequestKey::Message(MessageId::new(format!("m-{second}")).unwrap());
        RequestFacts {
            key,
            request_id: None,
            tokens: tokens(input, output),
            flags: Flags {
                stop_reason: None,
                // Asked for by another name than the one that answered.
                model: ModelId::new("claude-opus-4-8").unwrap(),
                requested_model: Some(ModelId::new("claude-sonnet-4-6-20260217[1m]").unwrap()),
                speed: None,
                service_tier: None,
                inference_geo: None,
                web_search_requests: 0,
                iterations: Vec::new(),
                empty_content: false,
            },
            origin: Origin {
                timestamp: at(second),
                sidechain: false,
                session: "s".parse().unwrap(),
                branch: None,
                cwd: None,
                agent_id: None,
                agent: None,
                skill: None,
                mcp_server: None,
                client_version: None,
            },
            complete: true,
            conflicting: false,
        }
    }

    fn compared(counts: &[ClientCount], requests: &[RequestFacts], shows: Shows) -> Verdict {
        let mut comparison = Comparison::new(counts);
        requests.iter().for_each(|request| comparison.add(request));
        comparison.verdict(shows)
    }

    /// Checks the verdict on counts and requests, each told by second, input and output, in any order of them.
    fn check(counts: &[(i64, u64, u64)], requests: &[(i64, u64, u64)], expected: Option<&[(i64, u64, u64)]>) {
        let mut counts: Vec<_> =
            counts.iter().map(|(second, input, output)| count(*second, MODEL, *input, *output)).collect();
        let mut requests: Vec<_> =
            requests.iter().map(|(second, input, output)| request(*second, *input, *output)).collect();
        for _ in 0..2 {
            let found = compared(&counts, &requests, Shows::OwnRequests);
            let left = expected.map(|expected| {
                let remainder = |(second, input, output): &(i64, u64, u64)| Remainder {
                    at: at(*second),
                    model: MODEL.to_owned(),
                    tokens: tokens(*input, *output),
                    web_search_requests: 0,
                };
                expected.iter().map(remainder).collect()
            });
            assert_eq!(found, left.map_or(Verdict::AtLeast, Verdict::Complete));
            counts.reverse();
            requests.reverse();
            counts.push(counts[0].clone());
        }
    }

    #[test]
    fn what_is_left_is_told_where_it_was_counted() {
        check(&[(9, 10, 20)], &[(1, 4, 5), (9, 6, 15)], Some(&[]));
        check(&[(9, 10, 20)], &[(1, 4, 5)], Some(&[(9, 6, 15)]));
        check(&[(9, 10, 20), (19, 30, 40)], &[(1, 4, 5), (11, 20, 19)], Some(&[(9, 6, 15), (19, 0, 1)]));
    }

    #[test]
    fn a_count_that_does_not_fit_says_only_that_something_may_be_missing() {
        // Lines follow; a killed run was not counted; one kind of tokens was counted too low.
        check(&[(9, 10, 20)], &[(1, 4, 5), (10, 1, 1)], None);
        check(&[(9, 10, 20), (29, 20, 30)], &[(1, 10, 20), (11, 5, 5), (21, 10, 10)], None);
        check(&[(9, 10, 20)], &[(1, 11, 5)], None);
    }

    #[test]
    fn after_an_interruption_the_answer_stands_behind_the_count_that_holds_it() {
        check(&[(9, 10, 20), (19, 30, 40)], &[(10, 10, 3), (11, 20, 20)], Some(&[(19, 0, 17)]));
    }

    #[test]
    fn a_remainder_is_made_where_the_last_request_in_front_was_made() {
        let on_branch = |second, branch: &str, sidechain| {
            let mut request = request(second, 1, 1);
            request.origin.branch = Some(branch.into());
            request.origin.sidechain = sidechain;
            request
        };
        let requests = [
            on_branch(15, "behind", true),
            on_branch(12, "second", false),
            on_branch(5, "first", false),
            on_branch(4, "earlier", false),
            on_branch(20, "later", false),
        ];
        let counts = [count(9, MODEL, 9, 9), count(19, MODEL, 9, 9), count(19, MODEL, 9, 9)];
        let mut comparison = Comparison::new(&counts);
        requests.iter().for_each(|request| comparison.add(request));
        let branch =
            |second| comparison.origin_before(at(second)).map(|origin| origin.branch.as_deref().unwrap());
        assert_eq!((branch(9), branch(19)), (Some("first"), Some("second")));
        assert!(Comparison::new(&counts).origin_before(at(19)).is_none());
    }

    #[test]
    fn a_fork_is_known_only_if_nothing_is_left() {
        let requests = [request(1, 10, 20)];
        let verdict = |input| compared(&[count(9, MODEL, input, 20)], &requests, Shows::AnothersToo);
        assert_eq!(verdict(10), Verdict::Complete(Vec::new()));
        assert_eq!(verdict(11), Verdict::AtLeast);
        assert_eq!(compared(&[], &requests, Shows::AnothersToo), Verdict::NeverCounted);
    }

    #[test]
    fn cache_writes_that_the_client_did_not_divide_are_compared_as_a_sum() {
        let writes = |cache_write, cache_write_5m, cache_write_1h| RawTokens {
            cache_write,
            cache_write_5m,
            cache_write_1h,
            ..RawTokens::default()
        };
        let request = RequestFacts { tokens: writes(30, 10, 20), ..request(1, 0, 0) };
        let verdict = |tokens| {
            let model_count = ModelCount { tokens, web_search_requests: 0 };
            let models = BTreeMap::from([(ModelId::new(MODEL).unwrap(), model_count)]);
            let count = ClientCount { models, ..count(9, MODEL, 0, 0) };
            compared(&[count], std::slice::from_ref(&request), Shows::OwnRequests)
        };
        assert_eq!(verdict(writes(30, 0, 0)), Verdict::Complete(Vec::new()));
        assert_eq!(verdict(writes(30, 10, 20)), Verdict::Complete(Vec::new()));
        assert_eq!(verdict(writes(30, 20, 10)), Verdict::AtLeast);
    }
}
