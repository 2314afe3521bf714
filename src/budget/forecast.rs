//! What a period is expected to come to, by what the days before cost.
//!
//! Whole numbers throughout: amounts in pico-dollars, the spread of days in micro-dollars squared. The method is
//! explained in `docs/budgets.md`.

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::money::Usd;
use crate::period::Calendar;

/// How many days before today are looked at.
pub const HISTORY_DAYS: u16 = 56;

/// How many of them must have cost something.
pub const MIN_ACTIVE_DAYS: usize = 5;

/// From how many days on each weekday is expected to be like its own kind: two of each.
const WEEKDAYS_FROM: i128 = 14;

const PICO_PER_MICRO: i128 = 1_000_000;

/// Student's t for a range that holds 80 of 100, in thousandths, from these degrees of freedom on.
const T_80: [(i128, i128); 14] = [
    (1, 3078),
    (2, 1886),
    (3, 1638),
    (4, 1533),
    (5, 1476),
    (6, 1440),
    (7, 1415),
    (8, 1397),
    (9, 1383),
    (10, 1372),
    (15, 1341),
    (20, 1325),
    (30, 1310),
    (49, 1299),
];

/// There are too few days to say what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "too little is known to look ahead: {MIN_ACTIVE_DAYS} active days are needed, of the last {HISTORY_DAYS} there are {n_active}"
)]
pub struct TooFewDays {
    /// Days that cost something.
    pub n_active: usize,
}

/// What days usually cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Habit {
    /// Days that were looked at, from the first that cost something.
    pub n_days: u16,
    /// Of those, the days that cost something.
    pub n_active: usize,
    /// Pico-dollars of a day, Monday first.
    means: [i128; 7],
    /// Of what a day costs beside the mean of its kind, in micro-dollars squared.
    variance: i128,
    /// Degrees of freedom of the variance.
    freedom: i128,
}

/// What a period is expected to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// At its end.
    pub expected: Usd,
    /// In eight of ten cases not less than this; never less than what was spent.
    pub low: Usd,
    /// In eight of ten cases not more than this.
    pub high: Usd,
}

impl Habit {
    /// Returns what the days before `today` show; `days` are those that cost something, each once.
    ///
    /// # Errors
    /// If fewer than [`MIN_ACTIVE_DAYS`] of the last [`HISTORY_DAYS`] cost something.
    pub fn of(days: &[(Date, Usd)], today: Date) -> Result<Self, TooFewDays> {
        let oldest = history_begins(today);
        let past: Vec<(Date, i128)> = days
            .iter()
            .filter(|(day, cost)| oldest <= *day && *day < today && *cost > Usd::ZERO)
            .map(|(day, cost)| (*day, cost.pico()))
            .collect();
        let n_active = past.len();
        let first = past.iter().map(|(day, _)| *day).min();
        let Some(first) = first.filter(|_| n_active >= MIN_ACTIVE_DAYS) else {
            return Err(TooFewDays { n_active });
        };
        let all = days_between(first, today);
        let cost = |day: Date| past.iter().find(|(other, _)| *other == day).map_or(0, |(_, cost)| *cost);
        let n_days = i128::from(u16::try_from(all.len()).unwrap_or(HISTORY_DAYS));
        let by_weekday = n_days >= WEEKDAYS_FROM;
        let means = [0, 1, 2, 3, 4, 5, 6].map(|weekday| {
            let alike = all.iter().filter(|day| !by_weekday || weekday_of(**day) == weekday);
            let (n, sum) = alike.fold((0, 0), |(n, sum), day| (n + 1, sum + cost(*day)));
            sum / i128::max(n, 1)
        });
        let squares = all.iter().map(|day| {
            let beside = (cost(*day) - means[weekday_of(*day)]) / PICO_PER_MICRO;
            beside.saturating_mul(beside)
        });
        let freedom = n_days - if by_weekday { 7 } else { 1 };
        let variance = squares.fold(0, i128::saturating_add) / freedom;
        Ok(Self { n_days: u16::try_from(n_days).unwrap_or(HISTORY_DAYS), n_active, means, variance, freedom })
    }

    /// Returns what a period that ends at `ends`, and in which `spent` was spent until `now`, is expected to come to.
    pub fn forecast(&self, spent: Usd, now: Timestamp, ends: Timestamp, calendar: &Calendar) -> Forecast {
        let today = calendar.day(now);
        let last = calendar.day(ends.saturating_sub(1.millisecond()).unwrap_or(ends));
        let tomorrow = today.tomorrow().unwrap_or(today);
        let begins = calendar.start_of_day(today);
        let seconds = |from: Timestamp, to: Timestamp| i128::from((to.as_second() - from.as_second()).max(0));
        let next = calendar.start_of_day(tomorrow);
        let (rest, length) = (seconds(now, next), seconds(begins, next).max(1));
        let later = days_between(tomorrow, last.tomorrow().unwrap_or(last));
        let of_today = self.means[weekday_of(today)].saturating_mul(rest) / length;
        let of_later: i128 = later.iter().map(|day| self.means[weekday_of(*day)]).sum();
        let expected = spent.pico() + of_today + of_later;

        // The spread of so many days, and that of the mean itself, which every one of them shares.
        let n_later = i128::from(u32::try_from(later.len()).unwrap_or(u32::MAX));
        let n_seconds = n_later.saturating_mul(length) + rest;
        let of_days = self.variance.saturating_mul(n_seconds) / length;
        let of_mean = of_days.saturating_mul(n_seconds) / (length * i128::from(self.n_days));
        let deviation = of_days.saturating_add(of_mean).isqrt();
        let t = T_80.iter().rev().find(|(from, _)| *from <= self.freedom).map_or(T_80[0].1, |(_, t)| *t);
        let half = (deviation.saturating_mul(t) / 1000).saturating_mul(PICO_PER_MICRO);
        Forecast {
            expected: Usd::from_pico(expected),
            low: Usd::from_pico((expected - half).max(spent.pico())),
            high: Usd::from_pico(expected.saturating_add(half)),
        }
    }
}

/// Returns the first day that is looked at.
pub fn history_begins(today: Date) -> Date {
    today.checked_sub(i64::from(HISTORY_DAYS).days()).unwrap_or(Date::MIN)
}

/// Returns the days from `first` to the one before `end`.
fn days_between(first: Date, end: Date) -> Vec<Date> {
    first.series(1.day()).take_while(|day| *day < end).collect()
}

fn weekday_of(day: Date) -> usize {
    usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn dollars(n: i128) -> Usd {
        Usd::from_pico(n * 1_000_000_000_000)
    }

    /// Saturday, 21 November 2026.
    const TODAY: Date = date(2026, 11, 21);

    fn history(n_days: i64, cost: impl Fn(Date) -> i128) -> Vec<(Date, Usd)> {
        let first = TODAY.checked_sub(n_days.days()).unwrap();
        days_between(first, TODAY).into_iter().map(|day| (day, dollars(cost(day)))).collect()
    }

    fn at_end_of_month(habit: &Habit, spent: Usd, now: &str) -> Forecast {
        let calendar = Calendar::default();
        let ends = calendar.start_of_day(date(2026, 12, 1));
        habit.forecast(spent, now.parse().unwrap(), ends, &calendar)
    }

    #[test]
    fn four_active_days_are_too_few() {
        let days = history(35, |day| i128::from(day.day() % 7 == 0));
        assert_eq!(Habit::of(&days, TODAY), Err(TooFewDays { n_active: 4 }));
        // Neither today nor what is long ago counts.
        let mut more = days;
        more.extend([(TODAY, dollars(1)), (date(2026, 9, 1), dollars(1)), (date(2027, 1, 1), dollars(1))]);
        assert_eq!(Habit::of(&more, TODAY), Err(TooFewDays { n_active: 4 }));
    }

    #[test]
    fn days_that_are_all_alike_leave_no_doubt() {
        let habit = Habit::of(&history(10, |_| 2), TODAY).unwrap();
        // Half of today, nine days to come.
        let seen = at_end_of_month(&habit, dollars(30), "2026-11-21T12:00:00Z");
        assert_eq!(seen, Forecast { expected: dollars(49), low: dollars(49), high: dollars(49) });
    }

    #[test]
    fn each_weekday_is_expected_to_be_like_its_own_kind() {
        let works = |day: Date| if weekday_of(day) < 5 { 10 } else { 0 };
        let habit = Habit::of(&history(28, works), TODAY).unwrap();
        // Saturday and four days of weekends cost nothing; six days of work are left: 23 to 27, and the 30th.
        let seen = at_end_of_month(&habit, dollars(150), "2026-11-21T00:00:00Z");
        assert_eq!(seen, Forecast { expected: dollars(210), low: dollars(210), high: dollars(210) });
    }

    #[test]
    fn the_range_is_students_t_of_what_days_differ_by() {
        // $1 and $3 in turn, ten days: the mean is 2, the variance 10 × 1² / 9, nine degrees of freedom.
        let habit = Habit::of(&history(10, |day| 1 + 2 * i128::from(day.day() % 2)), TODAY).unwrap();
        let seen = at_end_of_month(&habit, dollars(30), "2026-11-21T00:00:00Z");
        assert_eq!(seen.expected, dollars(50));
        // sqrt(10/9 × (10 + 10²/10)) = 4.714, times 1.383, is 6.520.
        assert_eq!((seen.low.rounded(3), seen.high.rounded(3)), ("43.480".to_owned(), "56.520".to_owned()));
        // Never below what is spent, at the end of the period nothing else.
        let seen = at_end_of_month(&habit, dollars(30), "2026-11-30T23:59:59Z");
        assert_eq!(seen.low, dollars(30));
        assert!(seen.expected < dollars(31), "{seen:?}");
    }

    #[test]
    fn amounts_of_any_size_are_computed_with() {
        let huge = |day: Date| if day.day() % 2 == 0 { 1_000_000_000 } else { 1 };
        let habit = Habit::of(&history(56, huge), TODAY).unwrap();
        let seen = at_end_of_month(&habit, dollars(1), "2026-11-01T00:00:00Z");
        assert!(seen.low <= seen.expected && seen.expected <= seen.high, "{seen:?}");
    }
}
