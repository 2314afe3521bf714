//! What a budget says of a sum, and what a file may say of a budget.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::budget::entry::Entry;
use crate::budget::entry::Place;
use crate::budget::scope::ScopeError;
use crate::budget::scope::Subject;
use crate::budget::standing::Cause;
use crate::budget::standing::Spent;
use crate::budget::standing::Standing;
use crate::budget::standing::Verdict;
use crate::budget::standing::strictest;

fn read(toml: &str, origin: Origin) -> Result<Budget, String> {
    let entry: Entry = toml::from_str(toml).map_err(|error| error.message().to_owned())?;
    let calendar = Calendar::default();
    let project = (origin == Origin::Project).then(|| Path::new("/home/ann/app"));
    entry.budget(&Place { origin, project, calendar: &calendar }).map_err(|error| error.to_string())
}

fn budget(toml: &str) -> Budget {
    read(toml, Origin::User).unwrap()
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn standing(toml: &str, spent: &str) -> Standing {
    let budget = budget(toml);
    Standing {
        period: budget.period(Timestamp::UNIX_EPOCH),
        budget,
        name: String::new(),
        spent: Spent { cost: usd(spent), ..Spent::default() },
        added: Usd::ZERO,
        expected: None,
    }
}

const DAY: &str = "scope = 'user'\nperiod = 'day'\nlimit = '5.00'\n";

#[test]
fn an_entry_needs_a_scope_a_period_and_a_limit() {
    let found = budget(DAY);
    assert_eq!((found.id().as_str(), found.limit, found.span), ("user/day", usd("5"), Span::Day));
    assert_eq!((found.warn, found.on_exceed, found.overridable), (vec![80, 100], OnExceed::Block, true));
    assert_eq!(budget("scope = 'user'\nperiod = 'total'\nlimit = 7").limit, usd("7"));
    assert!(!read(DAY, Origin::Managed).unwrap().overridable);
    let of_project = read("scope = 'task:*'\nperiod = 'total'\nlimit = '1'", Origin::Project).unwrap();
    assert_eq!(of_project.within.as_deref(), Some(Path::new("/home/ann/app")));
    assert_eq!(of_project.id(), "task:*/total");
}

#[test]
fn an_entry_that_is_no_budget_says_why() {
    for (toml, expected) in [
        ("period = 'day'\nlimit = '5'", "missing field `scope`"),
        (
            "scope = 'user'\nperiod = 'year'\nlimit = '5'",
            "unknown variant `year`, expected one of `day`, `week`, `month`, `total`",
        ),
        (
            "scope = 'user'\nperiod = 'day'\nlimit = 5.5",
            "invalid type: floating point `5.5`, expected an amount in quotes, such as \"50.00\"",
        ),
        ("scope = 'user'\nperiod = 'day'\nlimit = -5", "`limit`: `-5` is negative: an amount is above zero"),
        (
            "scope = 'team'\nperiod = 'day'\nlimit = '5'",
            "`scope`: `team` is no scope: expected `user`, or `project:`, `branch:`, `task:`, `enhancement:`, `agent:` or `model:` and a name, or `*` for each one on its own, or `tag:KEY=VALUE`",
        ),
        (
            "scope = 'task'\nperiod = 'day'\nlimit = '5'",
            "`scope`: scope `task` lacks a name: write `task:NAME`, or `task:*` for each one on its own",
        ),
        (
            "scope = 'user:ann'\nperiod = 'day'\nlimit = '5'",
            "`scope`: scope `user` has no name: it is all that you spend",
        ),
        (
            "scope = 'user'\nperiod = 'day'\nlimit = '5'\nwarn = [0]",
            "`warn`: 0 is out of range, thresholds are percentages from 1 to 1000",
        ),
        (
            "scope = 'user'\nperiod = 'total'\nlimit = '5'\nforecast = [100]",
            "`forecast` needs a period with an end: a total has none",
        ),
        (
            "scope = 'user'\nperiod = 'day'\nlimit = '5'\non_exceed = 'downgrade'",
            "`downgrade_to` names the cheaper model of `on_exceed = \"downgrade\"`: name one, such as `claude-haiku-4-5`",
        ),
        (
            "scope = 'user'\nperiod = 'day'\nlimit = '5'\ntimezone = 'Mars/Base'",
            "`timezone`: `Mars/Base` is no time zone, expected a name such as `Europe/Berlin`",
        ),
        (
            "scope = 'user'\nperiod = 'day'\nlimit = '5'\nproject = 'app'",
            "`project`: expected an absolute path",
        ),
        (
            "scope = 'user'\nperiod = 'day'\nlimit = '5'\nlimits = '6'",
            "unknown field `limits`, expected one of `scope`, `period`, `limit`, `project`, `warn`, `forecast`, `on_exceed`, `downgrade_to`, `unpriced`, `timezone`, `week_start`, `overridable`",
        ),
    ] {
        assert_eq!(read(toml, Origin::User).unwrap_err(), expected, "{toml}");
    }
    let elsewhere = format!("{DAY}project = '/home/ann/other'");
    assert_eq!(
        read(&elsewhere, Origin::Project).unwrap_err(),
        "`project`: a project's file speaks of that project alone, remove it"
    );
}

#[test]
fn a_scope_is_about_its_own_name_or_each() {
    let subject = Subject {
        project: Some("/home/ann/app".to_owned()),
        task: Some("T-1".to_owned()),
        model: Some("claude-opus-4-8".to_owned()),
        tags: [("chapter".to_owned(), "3".to_owned())].into(),
        ..Subject::default()
    };
    let name = |scope: &str| scope.parse::<Scope>().unwrap().name_of(&subject).map(str::to_owned);
    assert_eq!(name("tag:chapter=3").as_deref(), Some("chapter=3"));
    assert_eq!(name("tag:chapter=4"), None);
    for scope in ["tag:*", "tag:chapter", "tag:chapter=", "tag:a key=3"] {
        assert_eq!(scope.parse::<Scope>(), Err(ScopeError::Tag), "{scope}");
    }
    assert_eq!(name("user").as_deref(), Some(""));
    assert_eq!(name("task:T-1").as_deref(), Some("T-1"));
    assert_eq!(name("task:*").as_deref(), Some("T-1"));
    assert_eq!(name("task:T-2"), None);
    assert_eq!(name("branch:*"), None);
    assert_eq!(name("project:/home/ann/app").as_deref(), Some("/home/ann/app"));
}

#[test]
fn the_limit_is_used_up_when_it_is_reached_and_not_to_be_passed() {
    let four = standing(DAY, "4.00");
    assert_eq!((four.percent(), four.left()), (80, usd("1")));
    assert_eq!(four.warnings().collect::<Vec<_>>(), [80]);
    assert_eq!(four.verdict(Usd::ZERO, &mut |_| false), Verdict::Go);
    assert_eq!(four.cause(usd("1")), None);
    assert_eq!(four.cause(usd("1.01")), Some(Cause::WouldPass));
    let almost = standing(DAY, "4.999999999999");
    assert_eq!((almost.percent(), almost.cause(Usd::ZERO)), (99, None));
    let five = standing(DAY, "5");
    assert_eq!((five.percent(), five.cause(Usd::ZERO)), (100, Some(Cause::Reached)));
    assert_eq!(five.verdict(Usd::ZERO, &mut |_| false), Verdict::Block);
    let added = Standing { added: usd("2"), ..five };
    assert_eq!((added.left(), added.verdict(Usd::ZERO, &mut |_| false)), (usd("2"), Verdict::Go));
}

#[test]
fn what_has_no_price_blocks_only_where_it_is_said() {
    let unpriced = |toml: &str| {
        let mut found = standing(toml, "1");
        found.spent.n_unpriced = 3;
        found.verdict(Usd::ZERO, &mut |_| false)
    };
    assert_eq!(unpriced(DAY), Verdict::Go);
    assert_eq!(unpriced(&format!("{DAY}unpriced = 'block'\non_exceed = 'warn'")), Verdict::Block);
}

#[test]
fn the_strictest_decides() {
    let of = |on_exceed: &str, spent: &str| standing(&format!("{DAY}on_exceed = '{on_exceed}'"), spent);
    let cheaper = standing(&format!("{DAY}on_exceed = 'downgrade'\ndowngrade_to = 'haiku'"), "6");
    let all = [of("warn", "9"), of("ask", "6"), cheaper.clone(), of("block", "4")];
    let verdict = |standings: &[Standing], model| {
        strictest(standings, Usd::ZERO, &mut |name| model == Some(name)).map(|(_, verdict)| verdict)
    };
    assert_eq!(verdict(&all, Some("opus")), Some(Verdict::Downgrade("haiku".to_owned())));
    assert_eq!(verdict(&all, Some("haiku")), Some(Verdict::Ask));
    assert_eq!(verdict(&[of("block", "5"), cheaper], Some("haiku")), Some(Verdict::Block));
    assert_eq!(verdict(&[of("warn", "9")], None), None);
    assert_eq!(verdict(&[], None), None);
}

#[test]
fn a_day_is_the_day_of_the_budgets_own_zone_also_across_summer_time() {
    let berlin = budget(&format!("{DAY}timezone = 'Europe/Berlin'"));
    assert_eq!(berlin.calendar.zone, TimeZone::get("Europe/Berlin").unwrap());
    let begins = |at: &str| berlin.period(at.parse().unwrap()).begins.to_string();
    assert_eq!(begins("2026-03-28T22:59:59Z"), "2026-03-27T23:00:00Z");
    assert_eq!(begins("2026-03-28T23:00:00Z"), "2026-03-28T23:00:00Z");
    // The clock goes forward: that day has 23 hours.
    assert_eq!(begins("2026-03-29T21:59:59Z"), "2026-03-28T23:00:00Z");
    assert_eq!(begins("2026-03-29T22:00:00Z"), "2026-03-29T22:00:00Z");
    // It goes back: 25 hours.
    assert_eq!(begins("2026-10-25T22:59:59Z"), "2026-10-24T22:00:00Z");
    assert_eq!(begins("2026-10-25T23:00:00Z"), "2026-10-25T23:00:00Z");
}
