//! Days across summer time, and the words for them.

use jiff::civil::date;

use super::*;

fn calendar(zone: &str) -> Calendar {
    Calendar { zone: TimeZone::get(zone).unwrap(), week_start: Weekday::Monday }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Sunday, 22 November 2026.
fn days(text: &str) -> String {
    let today = date(2026, 11, 22);
    match text.parse::<RangeWords>() {
        Ok(range) => Days::between(range.since, range.until, today, Weekday::Monday)
            .map_or_else(|error| error.to_string(), |days| days.to_string()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn words_are_the_days_that_a_person_means() {
    for (words, expected) in [
        ("2026-11-01", "2026-11-01"),
        ("20261101", "2026-11-01"),
        ("2026-02", "2026-02-01 to 2026-02-28"),
        ("today", "2026-11-22"),
        ("yesterday", "2026-11-21"),
        ("1d", "2026-11-22"),
        ("7d", "2026-11-16 to 2026-11-22"),
        ("this-week", "2026-11-16 to 2026-11-22"),
        ("last-week", "2026-11-09 to 2026-11-15"),
        ("this-month", "2026-11-01 to 2026-11-30"),
        ("last-month", "2026-10-01 to 2026-10-31"),
        ("this-year", "2026-01-01 to 2026-12-31"),
        ("last-year", "2025-01-01 to 2025-12-31"),
        ("2026-10-01..today", "2026-10-01 to 2026-11-22"),
        ("last-month..yesterday", "2026-10-01 to 2026-11-21"),
    ] {
        assert_eq!(days(words), expected, "{words}");
    }
}

#[test]
fn what_is_no_day_is_an_error_that_says_what_is_one() {
    for text in ["", "0d", "-7d", "d", "+7d", "2026-13-01", "2026-02-30", "202611", "2026-11-1", "soon", "٣d"]
    {
        let error = days(text);
        assert!(error.contains("is no day: expected a date such as 2026-11-01"), "{text}: {error}");
    }
    assert_eq!(days("today..yesterday"), "since 2026-11-22 is after until 2026-11-21");
    assert_eq!(days("4294967295d"), "the days asked for lie outside of the calendar");
}

#[test]
fn a_week_begins_on_the_day_that_is_set() {
    let days = "this-week".parse::<DayWords>().unwrap().days(date(2026, 11, 22), Weekday::Sunday).unwrap();
    assert_eq!(days.to_string(), "2026-11-22 to 2026-11-28");
    let calendar = Calendar { week_start: Weekday::Saturday, ..Calendar::default() };
    let week = calendar.period(Unit::Week, at("2026-11-20T23:59:59.999Z"));
    assert_eq!(week.begins, at("2026-11-14T00:00:00Z"));
    assert_eq!(week.ends, at("2026-11-21T00:00:00Z"));
}

#[test]
fn what_is_before_has_as_many_days_or_months() {
    let check = |text: &str, expected: &str| {
        let range: RangeWords = text.parse().unwrap();
        let days = Days::between(range.since, range.until, date(2026, 11, 22), Weekday::Monday).unwrap();
        assert_eq!(days.previous().unwrap().to_string(), expected, "{text}");
    };
    check("7d", "2026-11-09 to 2026-11-15");
    check("today", "2026-11-21");
    check("last-month", "2026-09-01 to 2026-09-30");
    check("2026-02..2026-03", "2025-12-01 to 2026-01-31");
    check("last-year", "2025-01-01 to 2025-12-31".replace("2025", "2024").as_str());
}

#[test]
fn days_are_as_long_as_the_wall_clock_says() {
    let hours = |zone: &str, day: Date| {
        let period = calendar(zone).period_of(Days { first: day, last: day });
        period.ends.duration_since(period.begins).as_hours()
    };
    assert_eq!(hours("Europe/Berlin", date(2026, 3, 29)), 23);
    assert_eq!(hours("Europe/Berlin", date(2026, 10, 25)), 25);
    assert_eq!(hours("America/New_York", date(2026, 3, 8)), 23);
    assert_eq!(hours("America/New_York", date(2026, 11, 1)), 25);
    assert_eq!(hours("America/New_York", date(2026, 11, 2)), 24);
}

#[test]
fn midnight_begins_a_day() {
    let berlin = calendar("Europe/Berlin");
    assert_eq!(berlin.day(at("2026-10-24T21:59:59.999Z")), date(2026, 10, 24));
    assert_eq!(berlin.day(at("2026-10-24T22:00:00Z")), date(2026, 10, 25));
    // Havana skips midnight: the day begins at one.
    let day = calendar("America/Havana").period(Unit::Day, at("2026-03-08T12:00:00Z"));
    assert_eq!(day.begins, at("2026-03-08T05:00:00Z"));
}

#[test]
fn an_hour_that_comes_twice_is_two_hours() {
    let berlin = calendar("Europe/Berlin");
    let label = |text: &str| berlin.label(Unit::Hour, berlin.period(Unit::Hour, at(text)).begins);
    assert_eq!(label("2026-10-25T00:59:59Z"), "2026-10-25T02:00+02:00");
    assert_eq!(label("2026-10-25T01:00:00Z"), "2026-10-25T02:00+01:00");
    assert_eq!(label("2026-10-25T01:59:59.999Z"), "2026-10-25T02:00+01:00");
    // Half an hour is added on Lord Howe Island: 1:30 to 2:00 comes twice.
    let island = calendar("Australia/Lord_Howe");
    let hour = island.period(Unit::Hour, at("2026-04-04T15:10:00Z"));
    assert_eq!((hour.begins, hour.ends), (at("2026-04-04T15:00:00Z"), at("2026-04-04T15:30:00Z")));
    assert_eq!(island.label(Unit::Hour, hour.begins), "2026-04-05T01:30+10:30");
}

#[test]
fn periods_follow_each_other_without_a_gap() {
    for zone in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"] {
        let calendar = calendar(zone);
        for unit in [Unit::Hour, Unit::Day, Unit::Week, Unit::Month] {
            let mut period = calendar.period(unit, at("2026-02-20T12:00:00Z"));
            while period.ends < at("2026-12-01T00:00:00Z") {
                assert!(period.contains(period.begins) && !period.contains(period.ends));
                assert_eq!(calendar.period(unit, period.begins), period, "{zone}");
                let next = calendar.period(unit, period.ends);
                assert_eq!(next.begins, period.ends, "{zone}");
                period = next;
            }
        }
    }
}
