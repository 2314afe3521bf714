//! Whole prices: the stated examples, dates, tiers, modifiers, iterations, refusals, unknown models.

use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;

use super::*;
use crate::id::MessageId;
use crate::id::ModelId;
use crate::id::SessionId;
use crate::money::Usd;
use crate::usage::Flags;
use crate::usage::Iteration;
use crate::usage::Origin;
use crate::usage::RawTokens;
use crate::usage::RequestFacts;
use crate::usage::RequestKey;
use crate::usage::TokenUsage;

const NOON: &str = "2026-11-20T12:00:00Z";

fn request(model: &str, at: &str, tokens: RawTokens) -> RequestFacts {
    RequestFacts {
        key: RequestKey::Message(MessageId::new("msg_1").unwrap()),
        request_id: None,
        tokens,
        flags: Flags {
            stop_reason: Some("end_turn".into()),
            model: ModelId::new(model).unwrap(),
            requested_model: None,
            speed: None,
            service_tier: None,
            inference_geo: None,
            web_search_requests: 0,
            iterations: Vec::new(),
            empty_content: false,
        },
        origin: Origin {
            timestamp: at.parse().unwrap(),
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
        complete: true,
        conflicting: false,
    }
}

fn in_out(input: u64, output: u64) -> RawTokens {
    RawTokens { input, output, ..RawTokens::default() }
}

fn priced(request: &RequestFacts) -> Vec<Charge> {
    charges(request, PriceTable::built_in(), UnknownModel::Default)
}

fn total(charges: &[Charge]) -> String {
    charges.iter().map(|charge| charge.cost.unwrap().total()).sum::<Usd>().to_string()
}

#[track_caller]
fn check(model: &str, at: &str, tokens: RawTokens, expected: &str) {
    assert_eq!(total(&priced(&request(model, at, tokens))), expected, "{model} at {at}");
}

#[test]
fn the_stated_examples_come_out() {
    // A resume tailored by Claude 3 Sonnet; pictures of a novel described by Haiku 3.5.
    check("claude-3-sonnet-20240229", "2025-01-01T10:30:00Z", in_out(2000, 1000), "0.021");
    let haiku = "claude-3-5-haiku-20241022";
    for (input, output, expected) in [
        (550, 100, "0.00084"),
        (13_750, 2_500, "0.021"),
        (50_000, 10_000, "0.08"),
        (50 * 550, 50 * 100, "0.042"),
        (600 * 550, 600 * 100, "0.504"),
    ] {
        check(haiku, "2024-12-26T14:30:00Z", in_out(input, output), expected);
    }
    let mut batch = request(haiku, "2024-12-26T14:30:00Z", in_out(600 * 550, 600 * 100));
    batch.flags.service_tier = Some("batch".into());
    assert_eq!(total(&priced(&batch)), "0.252");
    let tokens = RawTokens { cache_read: 8_901, ..in_out(12_345, 3_456) };
    check("claude-sonnet-4-20250514", "2025-06-01T00:00:00Z", tokens, "0.0915453");
}

/// Five steps of one enhancement, each with the prices of an object-form file.
#[test]
fn the_demo_of_five_steps_comes_out() {
    let json = include_str!("../../fixtures/models/object.json");
    let source = Source { source: PriceSource::Project, origin: "models.json", json };
    let table = PriceTable::with(&[source]).unwrap().table;
    let mut sum = Usd::ZERO;
    for (model, input, output, cache_write, cache_read, expected) in [
        ("claude-opus-4-5-20251101", 6, 4_274, 88_965, 237_683, "0.78175275"),
        ("claude-sonnet-4-5-20250929", 83, 8_178, 96_650, 392_959, "0.6032442"),
        ("claude-sonnet-4-5-20250929", 311, 9_793, 136_651, 1_655_216, "1.15683405"),
        ("claude-sonnet-4-5-20250929", 275, 7_599, 52_973, 1_294_106, "0.70169055"),
        ("claude-sonnet-4-5-20250929", 171, 6_850, 90_686, 756_789, "0.6703722"),
    ] {
        let tokens = RawTokens { cache_write, cache_read, ..in_out(input, output) };
        let tokens = tokens.billed();
        let cost = table.calculate_cost(model, &tokens, "2025-12-29T12:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(cost.to_string(), expected);
        sum += cost;
    }
    assert_eq!(sum.to_string(), "3.91389375");
}

#[test]
fn a_price_changes_at_midnight_utc() {
    let read = RawTokens { cache_read: 1_000_000, ..RawTokens::default() };
    check("claude-sonnet-5-5", "2026-10-06T23:59:59.999Z", read, "0.2");
    check("claude-sonnet-5-5", "2026-10-07T00:00:00Z", read, "0.1");
    check("claude-sonnet-5-5", "2026-10-07T01:00:00+02:00", read, "0.2");
    // Before the release there was no other price.
    check("claude-sonnet-5-5", "2020-01-01T00:00:00Z", read, "0.2");
    assert!(!priced(&request("claude-sonnet-5-5", "2020-01-01T00:00:00Z", read))[0].estimated);
}

#[test]
fn a_long_prompt_pays_the_tier_for_every_token() {
    let haiku = "claude-haiku-5-5";
    let tokens = |input| RawTokens {
        input,
        output: 1000,
        cache_read: 30_000,
        cache_write: 20_000,
        ..RawTokens::default()
    };
    check(haiku, NOON, tokens(50_000), "0.0083");
    check(haiku, NOON, tokens(50_001), "0.0415005");
    let sonnet = "claude-sonnet-4-5-20250929";
    check(sonnet, "2026-04-29T12:00:00Z", in_out(200_001, 0), "1.200006");
    check(sonnet, "2026-04-30T00:00:00Z", in_out(200_001, 0), "0.600003");
    let price = priced(&request(haiku, NOON, tokens(50_001)))[0].price.clone().unwrap();
    assert_eq!(price.tier_above, Some(100_000));
}

#[test]
fn fast_mode_costs_more_only_while_it_is_offered() {
    let fast = |model: &str, at: &str, speed: &str| {
        let mut request = request(model, at, in_out(1_000_000, 0));
        request.flags.speed = Some(speed.into());
        let charge = priced(&request).remove(0);
        (charge.cost.unwrap().total().to_string(), charge.price.unwrap().fast)
    };
    let opus = "claude-opus-4-7";
    assert_eq!(fast(opus, "2026-05-11T23:59:59Z", "fast"), ("5".into(), false));
    assert_eq!(fast(opus, "2026-05-12T00:00:00Z", "fast"), ("30".into(), true));
    assert_eq!(fast(opus, "2026-05-12T00:00:00Z", "standard"), ("5".into(), false));
    assert_eq!(fast(opus, "2026-07-24T00:00:00Z", "fast"), ("5".into(), false));
    assert_eq!(fast("claude-sonnet-5-5", NOON, "fast"), ("2".into(), false));
    assert_eq!(fast("anthropic/claude-opus-5.5-fast", NOON, "standard"), ("8".into(), true));
}

#[test]
fn batch_and_us_inference_multiply_tokens_but_not_searches() {
    let mut request = request("claude-opus-5-5", NOON, in_out(1_000_000, 0));
    request.flags.web_search_requests = 3;
    assert_eq!(total(&priced(&request)), "4.03");
    request.flags.inference_geo = Some("us".into());
    assert_eq!(total(&priced(&request)), "4.43");
    request.flags.service_tier = Some("batch".into());
    assert_eq!(total(&priced(&request)), "2.23");
    assert_eq!(priced(&request)[0].price.as_ref().unwrap().factor.to_string(), "0.55");
    request.flags.inference_geo = Some("global".into());
    assert_eq!(total(&priced(&request)), "2.03");
    // Models before the 4.6 generation have no such surcharge.
    request.flags.model = ModelId::new("claude-opus-4-5").unwrap();
    request.flags.inference_geo = Some("us".into());
    assert_eq!(total(&priced(&request)), "2.53");
    request.flags.service_tier = None;
    request.flags.model = ModelId::new("anthropic/claude-opus-4.5:batch").unwrap();
    assert_eq!(total(&priced(&request)), "2.53");
}

fn iteration(kind: &str, model: Option<&str>, tokens: RawTokens) -> Iteration {
    Iteration { kind: kind.into(), model: model.map(|model| ModelId::new(model).unwrap()), tokens }
}

#[track_caller]
fn check_parts(request: &RequestFacts, expected: &[(ChargeKind, &str, &str)]) {
    let charges = priced(request);
    let parts: Vec<(ChargeKind, &str, String)> = charges
        .iter()
        .map(|charge| (charge.kind, charge.model.as_str(), total(std::slice::from_ref(charge))))
        .collect();
    let parts: Vec<(ChargeKind, &str, &str)> =
        parts.iter().map(|(kind, model, cost)| (*kind, *model, cost.as_str())).collect();
    assert_eq!(parts, expected);
}

#[test]
fn iterations_that_sum_to_the_request_are_charges_of_their_own() {
    let mut request = request("claude-haiku-5-5", NOON, in_out(120_000, 0));
    let half = in_out(60_000, 0);
    request.flags.iterations = vec![iteration("message", None, half), iteration("message", None, half)];
    // Each prompt is below the tier; their sum would be above it.
    let haiku = "claude-haiku-5-5";
    check_parts(&request, &[(ChargeKind::Message, haiku, "0.006"), (ChargeKind::Message, haiku, "0.006")]);
    request.flags.iterations[1] = iteration("fallback_message", Some("claude-opus-5-5"), half);
    check_parts(
        &request,
        &[(ChargeKind::Message, haiku, "0.006"), (ChargeKind::FallbackMessage, "claude-opus-5-5", "0.24")],
    );
    request.flags.iterations.pop();
    check_parts(&request, &[(ChargeKind::Message, haiku, "0.06")]);
}

/// A refusal by one model and the answer by another: the request's own counts are those of the answer only.
#[test]
fn a_fallback_of_which_only_the_answer_is_stated_is_one_charge() {
    let answer = RawTokens { cache_read: 54_112, ..in_out(2, 136) };
    let refused =
        RawTokens { cache_read: 32_238, cache_write: 21_874, cache_write_1h: 21_874, ..in_out(2, 2) };
    let mut request = request("claude-opus-4-8", NOON, answer);
    request.flags.iterations = vec![
        iteration("message", Some("claude-fable-5"), refused),
        iteration("fallback_message", Some("claude-opus-4-8"), answer),
    ];
    check_parts(&request, &[(ChargeKind::Message, "claude-opus-4-8", "0.030466")]);
}

#[test]
fn compaction_and_advisor_are_billed_beside_the_request() {
    let mut request = request("claude-opus-5-5", NOON, in_out(1_000, 0));
    request.flags.iterations = vec![
        iteration("compaction", None, in_out(100_000, 0)),
        iteration("message", None, in_out(1_000, 0)),
        iteration("advisor_message", Some("claude-fable-5-2"), in_out(10_000, 0)),
        iteration("something_new", None, in_out(1, 0)),
    ];
    check_parts(
        &request,
        &[
            (ChargeKind::Message, "claude-opus-5-5", "0.004"),
            (ChargeKind::Compaction, "claude-opus-5-5", "0.4"),
            (ChargeKind::AdvisorMessage, "claude-fable-5-2", "0.08"),
        ],
    );
}

#[test]
fn a_refusal_without_an_answer_is_free() {
    let mut request = request("claude-fable-5", NOON, in_out(50_000, 1));
    request.flags.stop_reason = Some("refusal".into());
    assert_eq!(total(&priced(&request)), "0.50005");
    request.flags.empty_content = true;
    let charge = priced(&request).remove(0);
    assert_eq!((charge.cost, charge.price), (Some(CostByKind::default()), None));
}

#[test]
fn an_unknown_model_is_estimated_or_unpriced_but_never_free() {
    let unknown = |model: &str, policy| {
        let charge =
            charges(&request(model, NOON, in_out(1_000_000, 0)), PriceTable::built_in(), policy).remove(0);
        (charge.cost.map(|cost| cost.total().to_string()), charge.estimated, charge.unpriced)
    };
    let nobody_knows = (None, false, Some(Unpriced::UnknownModel));
    assert_eq!(unknown("claude-nova-9", UnknownModel::Default), (Some("4".into()), true, None));
    assert_eq!(unknown("claude-nova-9", UnknownModel::Unpriced), nobody_knows);
    assert_eq!(unknown("gpt-5", UnknownModel::Default), nobody_knows);
    let table = PriceTable::built_in();
    let error = table.calculate_cost("gpt-5", &TokenUsage::default(), NOON.parse().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "model `gpt-5` is in no price table; `cmat models add` adds it");
}

#[test]
fn usage_beyond_reason_is_unpriced_with_a_reason() {
    let charge = priced(&request("claude-opus-5-5", NOON, in_out(u64::MAX, u64::MAX))).remove(0);
    assert_eq!((charge.cost, charge.unpriced), (None, Some(Unpriced::TooLarge)));
    // Each component fits, their sum does not.
    let tokens = in_out(2_000_000_000_000, 400_000_000_000);
    let charge = priced(&request("claude-opus-5-5", NOON, tokens)).remove(0);
    assert_eq!(charge.unpriced, Some(Unpriced::TooLarge));
}

#[test]
fn one_hour_writes_without_a_price_cost_twice_the_input() {
    let json = include_str!("../../fixtures/models/list.json");
    let source = Source { source: PriceSource::Project, origin: "models.json", json };
    let table = PriceTable::with(&[source]).unwrap().table;
    let tokens = RawTokens { cache_write: 2_000_000, cache_write_1h: 1_000_000, ..RawTokens::default() };
    let request = request("claude-sonnet-4-20250514", NOON, tokens);
    let charge = charges(&request, &table, UnknownModel::Default).remove(0);
    let cost = charge.cost.unwrap();
    assert_eq!(
        (cost.cache_write_5m.to_string(), cost.cache_write_1h.to_string()),
        ("3.75".into(), "6".into())
    );
    assert_eq!(charge.price.unwrap().derived, [TokenKind::CacheWrite1h]);
}

#[test]
fn a_price_is_stored_as_it_is() {
    let mut request = request("claude-haiku-5-5", NOON, in_out(100_001, 0));
    request.flags.inference_geo = Some("us".into());
    let price = priced(&request).remove(0).price.unwrap();
    let json = serde_json::to_string(&price).unwrap();
    insta::assert_snapshot!(json, @r#"{"model":"claude-haiku-5-5","name":"Claude Haiku 5.5","source":"built_in","effective_from":null,"rates":{"input":"0.5","output":"2.5","cache_write_5m":"0.625","cache_write_1h":"1","cache_read":"0.05"},"derived":[],"tier_above":100000,"fast":false,"batch":false,"us_inference":true,"factor":"1.1","web_search_per_1000":"10"}"#);
    assert_eq!(serde_json::from_str::<Price>(&json).unwrap(), price);
}

/// Prices with a gap: what is not known for a day is taken from before it, and marked.
#[test]
fn a_day_without_a_price_is_estimated() {
    let json = r#"{"models": [{"id": "claude-x", "prices": [
        {"effective_from": "2026-03-01", "effective_until": "2026-04-01", "input": 1, "output": 1},
        {"effective_from": "2026-05-01", "input": 2, "output": 1}]}]}"#;
    let source = Source { source: PriceSource::Project, origin: "models.json", json };
    let table = PriceTable::with(&[source]).unwrap().table;
    for (at, expected, estimated) in [
        ("2026-02-28T23:59:59Z", "1", true),
        ("2026-03-01T00:00:00Z", "1", false),
        ("2026-04-01T00:00:00Z", "1", true),
        ("2026-05-01T00:00:00Z", "2", false),
    ] {
        let charge =
            charges(&request("claude-x", at, in_out(1_000_000, 0)), &table, UnknownModel::Default).remove(0);
        let cost = charge.cost.unwrap().total().to_string();
        assert_eq!((cost.as_str(), charge.estimated), (expected, estimated), "{at}");
    }
}

#[test]
fn points_out_a_price_far_from_the_list() {
    let json = include_str!("../../fixtures/models/list.json");
    let source = Source { source: PriceSource::Project, origin: "models.json", json };
    let table = PriceTable::with(&[source]).unwrap().table;
    let at = NOON.parse().unwrap();
    let rows: Vec<String> = table.off_list_rows(at).iter().map(OffList::to_string).collect();
    assert_eq!(
        rows,
        ["row `claude-opus-4-5-20251101` prices input at $15.00 per million tokens, \
          3 × the list price ($5.00)"]
    );
    // The same row is right for the model that cost so much.
    assert_eq!(table.off_list("claude-opus-4-1-20250805", at), None);
    assert_eq!(PriceTable::built_in().off_list("claude-opus-5-5", at), None);
}

#[test]
fn kinds_and_reasons_are_stored_by_the_names_they_have_in_json() {
    let in_json = |name: serde_json::Value| name.as_str().unwrap().to_owned();
    for kind in [
        ChargeKind::Message,
        ChargeKind::FallbackMessage,
        ChargeKind::Compaction,
        ChargeKind::AdvisorMessage,
        ChargeKind::NotItemised,
    ] {
        assert_eq!(kind.as_str(), in_json(serde_json::to_value(kind).unwrap()));
    }
    for reason in [Unpriced::UnknownModel, Unpriced::TooLarge] {
        assert_eq!(reason.as_str(), in_json(serde_json::to_value(reason).unwrap()));
    }
}

#[test]
fn the_users_own_price_is_noted_where_it_is_dearer() {
    let by = |model| priced(&request(model, NOON, in_out(1_000_000, 0)));
    let (cheap, dear, unpriced) = ("claude-haiku-4-5", "claude-opus-4-8", "gpt-5");
    for (by_project, by_user, expected) in [
        (cheap, dear, Some("5")),
        (unpriced, dear, Some("5")),
        (dear, cheap, None),
        (dear, dear, None),
        (dear, unpriced, None),
    ] {
        let mut charges = by(by_project);
        note_dearer(&mut charges, &by(by_user));
        let noted = charges[0].dearer.map(|cost| cost.to_string());
        assert_eq!(noted.as_deref(), expected, "{by_project} beside {by_user}");
    }
}

#[test]
fn copies_are_billed_alike_unless_one_thing_of_the_bill_differs() {
    let first = request("claude-opus-4-8", NOON, in_out(1, 1));
    let changed = |change: fn(&mut RequestFacts)| {
        let mut copy = first.clone();
        change(&mut copy);
        is_billed_alike(&first, &copy)
    };
    assert!(changed(|copy| copy.flags.stop_reason = None));
    assert!(changed(|copy| copy.origin.timestamp = "2026-11-20T23:59:59Z".parse().unwrap()));
    assert!(!changed(|copy| copy.origin.timestamp = "2026-11-21T00:00:00Z".parse().unwrap()));
    assert!(!changed(|copy| copy.flags.speed = Some("fast".into())));
    assert!(!changed(|copy| copy.flags.web_search_requests = 1));
    assert!(!changed(|copy| copy.flags.model = ModelId::new("claude-haiku-4-5").unwrap()));
    assert!(!changed(|copy| copy.tokens.output = 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn the_parts_sum_to_the_whole_and_equal_the_rational_model(
        row in 0..PriceTable::built_in().list_all().len(),
        day in 0_i64..1_100,
        counts in prop::array::uniform6(0_u64..3_000_000),
        speed in prop::sample::select(vec![None, Some("fast"), Some("standard")]),
        tier in prop::sample::select(vec![None, Some("batch"), Some("priority")]),
        geo in prop::sample::select(vec![None, Some("us"), Some("global")]),
    ) {
        let model = &PriceTable::built_in().list_all()[row];
        let at: jiff::Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        let at = at + jiff::SignedDuration::from_hours(24 * day);
        let [input, output, write_5m, write_1h, cache_read, searches] = counts;
        let tokens = RawTokens {
            input, output, cache_read,
            cache_write: write_5m + write_1h, cache_write_5m: write_5m, cache_write_1h: write_1h,
        };
        let mut request = request(model.id.as_str(), &at.to_string(), tokens);
        request.flags.speed = speed.map(Into::into);
        request.flags.service_tier = tier.map(Into::into);
        request.flags.inference_geo = geo.map(Into::into);
        request.flags.web_search_requests = searches;
        let charge = priced(&request).remove(0);
        let (cost, price) = (charge.cost.unwrap(), charge.price.unwrap());
        let factor = ratio(price.factor);
        let expected = [
            (cost.input, input, price.rates.input, &factor),
            (cost.output, output, price.rates.output, &factor),
            (cost.cache_write_5m, write_5m, price.rates.cache_write_5m, &factor),
            (cost.cache_write_1h, write_1h, price.rates.cache_write_1h, &factor),
            (cost.cache_read, cache_read, price.rates.cache_read, &factor),
            (cost.web_search, searches * 1000, price.web_search_per_1000, &ratio(rust_decimal::Decimal::ONE)),
        ];
        let mut total = Usd::ZERO;
        for (found, tokens, rate, factor) in expected {
            let pico = BigRational::from(BigInt::from(tokens) * 1_000_000) * ratio(rate.per_million()) * factor;
            // The shipped prices need no rounding: a pico-dollar is finer than any of them times a token.
            prop_assert_eq!(BigRational::from(BigInt::from(found.pico())), pico);
            total += found;
        }
        prop_assert_eq!(cost.total(), total);
        prop_assert!(!charge.estimated);
    }
}

/// The quick subset, or as many as `CMAT_PROPTEST_CASES` says.
#[expect(clippy::disallowed_methods, reason = "the number of cases is the tester's choice")]
fn cases() -> u32 {
    std::env::var("CMAT_PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(500)
}

fn ratio(decimal: rust_decimal::Decimal) -> BigRational {
    BigRational::new(decimal.mantissa().into(), BigInt::from(10).pow(decimal.scale()))
}
