//! Hours, days, weeks and months as the wall clock of a zone has them, and the words for ranges of days.
//!
//! The ledger keeps UTC instants; a person asks for days. Between the two stands a [`Calendar`], which knows the
//! zone with its summer time and the first day of a week. Pure: `now` is an argument.

use std::fmt;
use std::str::FromStr;

use jiff::Span;
use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::Zoned;
use jiff::civil::Date;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

/// How long a period of the calendar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// An hour of the wall clock; one that summer time repeats is two.
    Hour,
    /// From midnight to midnight: 23, 24 or 25 hours.
    Day,
    /// Seven days, from the calendar's first day of the week.
    Week,
    /// From the first of a month to the first of the next.
    Month,
}

/// An interval of UTC instants: `begins` is in it, `ends` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first instant; [`Timestamp::MIN`] if it is open.
    pub begins: Timestamp,
    /// The first instant that is no longer in it; [`Timestamp::MAX`] if it is open.
    pub ends: Timestamp,
}

impl Period {
    /// All time.
    pub const ALL: Self = Self { begins: Timestamp::MIN, ends: Timestamp::MAX };

    /// Returns whether the instant lies in the period.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.begins <= at && at < self.ends
    }
}

/// Days from `first` to `last`, both in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first day.
    pub first: Date,
    /// The last day, not before the first.
    pub last: Date,
}

/// Why a period cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// The text names no day.
    #[error(
        "`{text}` is no day: expected a date such as 2026-11-01, 20261101, 2026-11 or 2026, a number of days such as 7d, \
         or today, yesterday, this-week, last-week, this-month, last-month, this-year, last-year"
    )]
    NotADay {
        /// The text as found, its beginning at most.
        text: String,
    },
    /// The beginning lies behind the end.
    #[error("since {since} is after until {until}")]
    Reversed {
        /// The first day asked for.
        since: Date,
        /// The last day asked for.
        until: Date,
    },
    /// A day lies outside of the years that can be computed with.
    #[error("the days asked for lie outside of the calendar")]
    OutOfRange,
}

/// A day or several in words, as `--since` and `--until` take them; which days it means depends on today.
///
/// ```
/// use cmat::period::DayWords;
/// use jiff::civil::{Weekday, date};
///
/// let days = "7d".parse::<DayWords>()?.days(date(2026, 11, 22), Weekday::Monday)?;
/// assert_eq!((days.first, days.last), (date(2026, 11, 16), date(2026, 11, 22)));
/// # Ok::<(), cmat::period::PeriodError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayWords {
    /// `2026-11-01` or `20261101`.
    Date(Date),
    /// `2026-11`: from its first day to its last.
    Month(Date),
    /// `7d`: so many days, today the last of them; 1 or more.
    Last(u32),
    /// A year, by its first day.
    Year(Date),
    /// `today`, `yesterday`: so many days ago.
    DaysAgo(u32),
    /// `this-week`, `last-week` and their like: the whole one that was so many ago.
    Ago(WholeUnit, u32),
}

/// What `this-…` and `last-…` go with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WholeUnit {
    /// A week.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl FromStr for DayWords {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let text = text.trim();
        let not_a_day = || PeriodError::NotADay { text: text.chars().take(40).collect() };
        let words = match text {
            "today" => Self::DaysAgo(0),
            "yesterday" => Self::DaysAgo(1),
            "this-week" => Self::Ago(WholeUnit::Week, 0),
            "last-week" => Self::Ago(WholeUnit::Week, 1),
            "this-month" => Self::Ago(WholeUnit::Month, 0),
            "last-month" => Self::Ago(WholeUnit::Month, 1),
            "this-year" => Self::Ago(WholeUnit::Year, 0),
            "last-year" => Self::Ago(WholeUnit::Year, 1),
            _ => return written(text).ok_or_else(not_a_day),
        };
        Ok(words)
    }
}

/// Reads a date, a month or a number of days.
fn written(text: &str) -> Option<DayWords> {
    if let Some(number) = text.strip_suffix('d') {
        let n_days: u32 = is_digits(number).then(|| number.parse().ok())??;
        return (n_days > 0).then_some(DayWords::Last(n_days));
    }
    let parts: Vec<&str> = text.split('-').collect();
    if !parts.iter().all(|part| is_digits(part)) {
        return None;
    }
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    match lengths.as_slice() {
        [8] => date(&text[..4], &text[4..6], &text[6..]).map(DayWords::Date),
        [4, 2, 2] => date(parts[0], parts[1], parts[2]).map(DayWords::Date),
        [4] => date(text, "01", "01").map(DayWords::Year),
        [4, 2] => date(parts[0], parts[1], "01").map(DayWords::Month),
        _ => None,
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn date(year: &str, month: &str, day: &str) -> Option<Date> {
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

impl DayWords {
    /// Returns the days that are meant, seen from `today`.
    ///
    /// # Errors
    /// If they lie before the first or behind the last year of the calendar (±9999).
    pub fn days(self, today: Date, week_start: Weekday) -> Result<Days, PeriodError> {
        let shifted = |day: Date, by: Span| day.checked_add(by).map_err(|_| PeriodError::OutOfRange);
        let days_before = |n: u32| Span::new().try_days(-i64::from(n)).map_err(|_| PeriodError::OutOfRange);
        let (first, next) = match self {
            Self::Date(day) => (day, shifted(day, 1.day())?),
            Self::Month(first) => (first, shifted(first, 1.month())?),
            Self::Year(first) => (first, shifted(first, 1.year())?),
            Self::Last(n) => (shifted(today, days_before(n - 1)?)?, shifted(today, 1.day())?),
            Self::DaysAgo(n) => {
                let day = shifted(today, days_before(n)?)?;
                (day, shifted(day, 1.day())?)
            }
            Self::Ago(WholeUnit::Week, n) => {
                let first = shifted(first_of_week(today, week_start)?, (-7 * i64::from(n)).days())?;
                (first, shifted(first, 7.days())?)
            }
            Self::Ago(WholeUnit::Month, n) => {
                let first = shifted(today.first_of_month(), (-i64::from(n)).months())?;
                (first, shifted(first, 1.month())?)
            }
            Self::Ago(WholeUnit::Year, n) => {
                let first = shifted(today.first_of_year(), (-i64::from(n)).years())?;
                (first, shifted(first, 1.year())?)
            }
        };
        Ok(Days { first, last: shifted(next, -1.day())? })
    }
}

/// Days in words from `A` to `B`, or those of one word: `2026-10-01..2026-10-31`, `last-month`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeWords {
    /// Where it begins.
    pub since: DayWords,
    /// Where it ends.
    pub until: DayWords,
}

impl FromStr for RangeWords {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let (since, until) = text.split_once("..").unwrap_or((text, text));
        if since.is_empty() || until.is_empty() {
            return Err(PeriodError::NotADay { text: text.chars().take(40).collect() });
        }
        Ok(Self { since: since.parse()?, until: until.parse()? })
    }
}

impl Days {
    /// Returns the days from the first of `since` to the last of `until`.
    ///
    /// # Errors
    /// If the first lies behind the last, or a day outside of the calendar.
    pub fn between(
        since: DayWords,
        until: DayWords,
        today: Date,
        week_start: Weekday,
    ) -> Result<Self, PeriodError> {
        let first = since.days(today, week_start)?.first;
        let last = until.days(today, week_start)?.last;
        match first <= last {
            true => Ok(Self { first, last }),
            false => Err(PeriodError::Reversed { since: first, until: last }),
        }
    }

    /// Returns how many days they are.
    pub fn count(self) -> u32 {
        let days = self.last.duration_since(self.first).as_hours() / 24 + 1;
        u32::try_from(days).unwrap_or(u32::MAX)
    }

    /// Returns the days that stand directly before these: as many whole months if these are whole months, else as
    /// many days.
    ///
    /// # Errors
    /// If they lie before the calendar's first year.
    pub fn previous(self) -> Result<Self, PeriodError> {
        let out_of_range = |_| PeriodError::OutOfRange;
        let last = self.first.checked_sub(1.day()).map_err(out_of_range)?;
        let is_months = self.first.day() == 1 && self.last == self.last.last_of_month();
        let first = if is_months {
            let months = (i64::from(self.last.year()) - i64::from(self.first.year())) * 12
                + i64::from(self.last.month())
                - i64::from(self.first.month())
                + 1;
            self.first.checked_sub(months.months())
        } else {
            self.first.checked_sub(i64::from(self.count()).days())
        };
        Ok(Self { first: first.map_err(out_of_range)?, last })
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{} to {}", self.first, self.last)
        }
    }
}

/// How a person counts days and weeks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// The zone whose wall clock counts.
    pub zone: TimeZone,
    /// The first day of a week.
    pub week_start: Weekday,
}

impl Default for Calendar {
    /// UTC, with weeks that begin on Monday.
    fn default() -> Self {
        Self { zone: TimeZone::UTC, week_start: Weekday::Monday }
    }
}

impl Calendar {
    /// Returns the zone's name: `Europe/Berlin`, or its offset where it has no name.
    pub fn zone_name(&self) -> String {
        match self.zone.iana_name() {
            Some(name) => name.to_owned(),
            None => {
                self.zone.to_fixed_offset().map_or_else(|_| "local".to_owned(), |offset| offset.to_string())
            }
        }
    }

    /// Returns the day of an instant.
    pub fn day(&self, at: Timestamp) -> Date {
        self.zone.to_datetime(at).date()
    }

    /// Returns the first instant of a day: midnight, or what follows it where the clock skips midnight.
    pub fn start_of_day(&self, day: Date) -> Timestamp {
        day.to_zoned(self.zone.clone())
            .and_then(|midnight| midnight.start_of_day())
            .map_or(Timestamp::MAX, |start| start.timestamp())
    }

    /// Returns the instants of the days.
    pub fn period_of(&self, days: Days) -> Period {
        let ends = days.last.tomorrow().map_or(Timestamp::MAX, |next| self.start_of_day(next));
        Period { begins: self.start_of_day(days.first), ends }
    }

    /// Returns the hour, day, week or month that holds an instant.
    pub fn period(&self, unit: Unit, at: Timestamp) -> Period {
        let day = self.day(at);
        let days = match unit {
            Unit::Hour => return self.hour(at),
            Unit::Day => Days { first: day, last: day },
            Unit::Week => {
                let first = first_of_week(day, self.week_start).unwrap_or(day);
                Days { first, last: first.checked_add(6.days()).unwrap_or(Date::MAX) }
            }
            Unit::Month => Days { first: day.first_of_month(), last: day.last_of_month() },
        };
        self.period_of(days)
    }

    /// Returns the hour of the wall clock; a change of the clock ends one and begins another.
    fn hour(&self, at: Timestamp) -> Period {
        let clock = at.to_zoned(self.zone.clone());
        let into_it = i64::from(clock.minute()) * 60 + i64::from(clock.second());
        let second = at.as_second() - i64::from(at.subsec_nanosecond() < 0);
        let begins = Timestamp::from_second(second - into_it).unwrap_or(Timestamp::MIN);
        let ends = Timestamp::from_second(second - into_it + 3600).unwrap_or(Timestamp::MAX);
        let just_after = Timestamp::from_second(second + 1).unwrap_or(Timestamp::MAX);
        let changed = self.zone.preceding(just_after).next().map(|change| change.timestamp());
        let changes = self.zone.following(at).next().map(|change| change.timestamp());
        Period {
            begins: changed.map_or(begins, |change| begins.max(change)),
            ends: changes.map_or(ends, |change| ends.min(change)),
        }
    }

    /// Returns the name of the period that begins at an instant: its first day, its month, or its hour with the
    /// offset of the clock.
    pub fn label(&self, unit: Unit, begins: Timestamp) -> String {
        let clock = begins.to_zoned(self.zone.clone());
        match unit {
            Unit::Hour => hour_label(&clock),
            Unit::Day | Unit::Week => clock.date().to_string(),
            Unit::Month => clock.strftime("%Y-%m").to_string(),
        }
    }
}

fn hour_label(clock: &Zoned) -> String {
    clock.strftime("%Y-%m-%dT%H:%M%:z").to_string()
}

fn first_of_week(day: Date, week_start: Weekday) -> Result<Date, PeriodError> {
    let days_in = i64::from(day.weekday().since(week_start));
    day.checked_sub(days_in.days()).map_err(|_| PeriodError::OutOfRange)
}

#[cfg(test)]
mod tests;
