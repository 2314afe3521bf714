//! A budget as a configuration file writes it.

use std::path::Path;
use std::path::PathBuf;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::Deserializer;

use crate::budget::Budget;
use crate::budget::OnExceed;
use crate::budget::Origin;
use crate::budget::Span;
use crate::budget::Unpriced;
use crate::budget::amount;
use crate::budget::amount::AmountError;
use crate::budget::scope::ScopeError;
use crate::id::ModelId;
use crate::period::Calendar;

/// Percentages that are told unless the budget names its own.
pub const WARN: [u32; 2] = [80, 100];

/// The highest percentage that is taken.
const MAX_PERCENT: u32 = 1_000;

/// How many percentages a budget can name.
const MAX_THRESHOLDS: usize = 20;

/// An entry of the list `budget` in a configuration file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    scope: String,
    period: PeriodWord,
    #[serde(deserialize_with = "amount_text")]
    limit: String,
    project: Option<PathBuf>,
    warn: Option<Vec<u32>>,
    #[serde(default)]
    forecast: Vec<u32>,
    #[serde(default)]
    on_exceed: OnExceedWord,
    downgrade_to: Option<String>,
    #[serde(default)]
    unpriced: UnpricedWord,
    timezone: Option<String>,
    week_start: Option<WeekdayWord>,
    overridable: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PeriodWord {
    Day,
    Week,
    Month,
    Total,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnExceedWord {
    Warn,
    Ask,
    Downgrade,
    #[default]
    Block,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnpricedWord {
    #[default]
    Warn,
    Block,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WeekdayWord {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Why an entry is no budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The scope cannot be read.
    #[error("`scope`: {0}")]
    Scope(#[from] ScopeError),
    /// The limit cannot be read.
    #[error("`limit`: {0}")]
    Limit(#[from] AmountError),
    /// A threshold is out of range.
    #[error("`{key}`: {percent} is out of range, thresholds are percentages from 1 to 1000")]
    Percent {
        /// `warn` or `forecast`.
        key: &'static str,
        /// As found.
        percent: u32,
    },
    /// There are too many thresholds.
    #[error("`{0}` has more than 20 thresholds")]
    Thresholds(&'static str),
    /// `total` has no end that could be forecast.
    #[error("`forecast` needs a period with an end: a total has none")]
    ForecastOfTotal,
    /// The model to go on with is missing, or useless.
    #[error("`downgrade_to` names the cheaper model of `on_exceed = \"downgrade\"`: {0}")]
    DowngradeTo(&'static str),
    /// The zone is unknown.
    #[error("`timezone`: `{0}` is no time zone, expected a name such as `Europe/Berlin`")]
    Zone(String),
    /// A path that is not absolute, or in a project's file.
    #[error("`project`: {0}")]
    Project(&'static str),
}

/// Where an entry stands.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// Which file.
    pub origin: Origin,
    /// The project whose file it is, for [`Origin::Project`].
    pub project: Option<&'a Path>,
    /// The zone and week of budgets that name none.
    pub calendar: &'a Calendar,
}

impl Entry {
    /// Returns the budget that the entry at `place` means.
    ///
    /// A project's file speaks of the spending in that project alone: more would be none of its business.
    pub fn budget(self, place: &Place<'_>) -> Result<Budget, EntryError> {
        let within = match (self.project, place.origin) {
            (None, Origin::Project) => place.project.map(Path::to_owned),
            (Some(_), Origin::Project) => {
                return Err(EntryError::Project("a project's file speaks of that project alone, remove it"));
            }
            (Some(path), _) if !path.is_absolute() => {
                return Err(EntryError::Project("expected an absolute path"));
            }
            (path, _) => path,
        };
        let span = match self.period {
            PeriodWord::Day => Span::Day,
            PeriodWord::Week => Span::Week,
            PeriodWord::Month => Span::Month,
            PeriodWord::Total => Span::Total,
        };
        let forecast = thresholds("forecast", self.forecast)?;
        if span == Span::Total && !forecast.is_empty() {
            return Err(EntryError::ForecastOfTotal);
        }
        Ok(Budget {
            scope: self.scope.parse()?,
            within,
            span,
            limit: amount::parse(&self.limit)?,
            warn: thresholds("warn", self.warn.unwrap_or_else(|| WARN.to_vec()))?,
            forecast,
            on_exceed: on_exceed(self.on_exceed, self.downgrade_to)?,
            unpriced: match self.unpriced {
                UnpricedWord::Warn => Unpriced::Warn,
                UnpricedWord::Block => Unpriced::Block,
            },
            calendar: Calendar {
                zone: match self.timezone {
                    Some(name) => TimeZone::get(&name).map_err(|_| EntryError::Zone(name))?,
                    None => place.calendar.zone.clone(),
                },
                week_start: self.week_start.map_or(place.calendar.week_start, weekday),
            },
            origin: place.origin,
            overridable: self.overridable.unwrap_or(place.origin != Origin::Managed),
        })
    }
}

fn on_exceed(word: OnExceedWord, downgrade_to: Option<String>) -> Result<OnExceed, EntryError> {
    let missing = EntryError::DowngradeTo("name one, such as `claude-haiku-4-5`");
    match (word, downgrade_to) {
        (OnExceedWord::Downgrade, None) => Err(missing),
        (OnExceedWord::Downgrade, Some(model)) => {
            ModelId::new(model).map(OnExceed::Downgrade).map_err(|_| missing)
        }
        (_, Some(_)) => Err(EntryError::DowngradeTo("remove it, or set `on_exceed` to that")),
        (OnExceedWord::Warn, None) => Ok(OnExceed::Warn),
        (OnExceedWord::Ask, None) => Ok(OnExceed::Ask),
        (OnExceedWord::Block, None) => Ok(OnExceed::Block),
    }
}

/// Returns the thresholds in their order, each once.
pub fn thresholds(key: &'static str, mut percents: Vec<u32>) -> Result<Vec<u32>, EntryError> {
    if percents.len() > MAX_THRESHOLDS {
        return Err(EntryError::Thresholds(key));
    }
    if let Some(percent) = percents.iter().find(|percent| !(1..=MAX_PERCENT).contains(*percent)) {
        return Err(EntryError::Percent { key, percent: *percent });
    }
    percents.sort_unstable();
    percents.dedup();
    Ok(percents)
}

fn weekday(word: WeekdayWord) -> Weekday {
    match word {
        WeekdayWord::Monday => Weekday::Monday,
        WeekdayWord::Tuesday => Weekday::Tuesday,
        WeekdayWord::Wednesday => Weekday::Wednesday,
        WeekdayWord::Thursday => Weekday::Thursday,
        WeekdayWord::Friday => Weekday::Friday,
        WeekdayWord::Saturday => Weekday::Saturday,
        WeekdayWord::Sunday => Weekday::Sunday,
    }
}

/// Reads an amount as text; a whole number is exact too, one with a point is not.
fn amount_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Amount;
    impl serde::de::Visitor<'_> for Amount {
        type Value = String;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an amount in quotes, such as \"50.00\"")
        }

        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_i64<E>(self, whole: i64) -> Result<String, E> {
            Ok(whole.to_string())
        }
    }
    deserializer.deserialize_any(Amount)
}
