//! Savings that can be computed by hand.

use super::*;

/// A request of a session at a minute of 20 November 2026, at the list price.
struct Made {
    model: &'static str,
    minute: i64,
    tokens: TokenUsage,
}

fn tokens([input, output, minutes, hour, read]: [u64; 5]) -> TokenUsage {
    TokenUsage { input, output, cache_write_5m: minutes, cache_write_1h: hour, cache_read: read }
}

fn advice(made: &[Made]) -> Vec<Advice> {
    let table = PriceTable::built_in();
    let mut adviser = Adviser::new(table);
    for Made { model, minute, tokens } in made {
        let at = Timestamp::from_second(1_795_132_800 + minute * 60).unwrap();
        let found = table.get_by_pattern(model).unwrap();
        let (price, _) = table.price(&found, &Terms::standard(at), tokens.prompt());
        let thread = Thread { session: "s".to_owned(), agent_id: None, model: price.model.to_string() };
        let cost = price.cost(tokens, 0).unwrap();
        let used_for = Some("docs".to_owned());
        let (tokens, price) = (*tokens, &price);
        adviser.take(&Charged {
            thread,
            used_for,
            at,
            tokens,
            web_search_requests: 0,
            price,
            cost,
            estimated: false,
        });
    }
    adviser.advice(Usd::ZERO)
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

#[test]
fn another_model_is_priced_request_by_request() {
    // Below and above the long prompts of Haiku 5.5: $0.50 and $2.50 for output.
    let made = [90_000, 110_000].map(|input| Made {
        model: "claude-sonnet-5-5",
        minute: 0,
        tokens: tokens([input, 10_000, 0, 0, 0]),
    });
    let found = advice(&made);
    let [Advice::Model(other)] = found.as_slice() else { panic!("{found:?}") };
    // 200,000 × $2 + 20,000 × $10, and 90,000 × $0.1 + 10,000 × $0.5 + 110,000 × $0.5 + 10,000 × $2.5.
    assert_eq!((other.paid.total(), other.instead.total()), (usd("0.6"), usd("0.094")));
    assert_eq!((other.other.as_str(), other.requests, other.estimated), ("claude-haiku-5-5", 2, false));
    assert_eq!(found[0].saving(), usd("0.506"));
}

#[test]
fn a_tokenizer_that_counts_more_is_reckoned_with() {
    let made = Made { model: "claude-opus-4-6", minute: 0, tokens: tokens([0, 100_000, 0, 0, 0]) };
    let found = advice(&[made]);
    let [Advice::Model(smaller)] = found.as_slice() else { panic!("{found:?}") };
    // 130,000 tokens at $20 are more than 100,000 at $25, so only the smaller one is left: 130,000 at $10.
    assert_eq!((smaller.other.as_str(), smaller.instead.total()), ("claude-sonnet-5-5", usd("1.3")));
    assert!(smaller.estimated);
}

#[test]
fn an_hour_pays_where_pauses_are_short_and_resuming_later_costs_either_way() {
    let pauses = |pause: i64| {
        let request = |n: i64, tokens| Made { model: "claude-haiku-5-5", minute: n * pause, tokens };
        advice(&[
            request(0, tokens([0, 0, 80_000, 0, 0])),
            request(1, tokens([0, 0, 81_000, 0, 0])),
            request(2, tokens([0, 0, 82_000, 0, 0])),
        ])
    };
    let found = pauses(20);
    let [Advice::Resumption(late), Advice::CacheTime(time)] = found.as_slice() else { panic!("{found:?}") };
    // 80,000 and 81,000 tokens written at $0.125 instead of read at $0.01.
    assert_eq!((late.times, late.sent_again, late.extra), (2, 161_000, usd("0.018515")));
    // What is left, 80,000 + 1,000 + 1,000, at $0.2 instead of $0.125.
    assert_eq!((time.instead, time.pauses, time.rewritten), (WrittenFor::OneHour, 2, 161_000));
    assert_eq!((time.rewrites, time.written, time.premium), (usd("0.018515"), 82_000, usd("0.00615")));
    assert_eq!(found[1].saving(), usd("0.012365"));
    // After two hours neither holds.
    let found = pauses(120);
    assert!(matches!(found.as_slice(), [Advice::Resumption(_)]), "{found:?}");
    assert_eq!(pauses(2), []);
}

#[test]
fn five_minutes_pay_where_nobody_pauses() {
    let request = |minute, tokens| Made { model: "claude-haiku-5-5", minute, tokens };
    let quick = [request(0, tokens([0, 0, 0, 50_000, 0])), request(1, tokens([0, 0, 0, 1_000, 50_000]))];
    let found = advice(&quick);
    let [Advice::CacheTime(time)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((time.instead, time.written, time.rewritten), (WrittenFor::FiveMinutes, 51_000, 0));
    assert_eq!(found[0].saving(), usd("0.003825"));
    // One pause, and the hour has paid.
    let slow = [request(0, tokens([0, 0, 0, 50_000, 0])), request(30, tokens([0, 0, 0, 1_000, 50_000]))];
    assert_eq!(advice(&slow), []);
}

#[test]
fn long_prompts_are_held_against_the_ordinary_price() {
    let made = Made { model: "claude-haiku-5-5", minute: 0, tokens: tokens([100_001, 1_000, 0, 0, 0]) };
    let found = advice(&[made]);
    let [Advice::LongPrompt(long)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((long.above, long.requests, long.prompt), (100_000, 1, 100_001));
    assert_eq!((long.paid, long.instead), (usd("0.0525005"), usd("0.0105001")));
    assert!(found[0].is_at_most());
}
