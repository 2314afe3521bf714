//! Which requests a question is about: days and conditions as a person names them.

use std::path::Path;

use jiff::Timestamp;

use crate::booking::Books;
use crate::cli::SelectionArgs;
use crate::commands::Context;
use crate::commands::NotFound;
use crate::commands::Usage;
use crate::commands::report::NOTHING_RECORDED;
use crate::period::DayWords;
use crate::period::Days;
use crate::period::Period;
use crate::period::RangeWords;
use crate::query::Condition;
use crate::query::Dimension;
use crate::query::Filter;
use crate::report::sheet::Asked;

/// How many days are recent, today included.
const RECENT_DAYS: u32 = 30;

/// The requests that were asked for.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    /// Which they are.
    pub(super) filter: Filter,
    /// Their days, if the first was named; today is the last if no other was named.
    pub(super) days: Option<Days>,
}

impl Context<'_> {
    /// Returns the requests that are meant.
    ///
    /// # Errors
    /// If the first day lies behind the last, or if no request has a value that was asked for.
    pub(super) fn selection(&self, args: &SelectionArgs, books: &Books) -> anyhow::Result<Selection> {
        let conditions = args.conditions.iter().map(|condition| self.in_full(condition)).collect();
        let (period, days) = self.period(args)?;
        for condition in &args.conditions {
            self.check_name(&self.in_full(condition), books)?;
        }
        Ok(Selection { filter: Filter { period, conditions }, days })
    }

    /// Returns the same; if no day is named, of the last 30 days.
    pub(super) fn recent_selection(&self, args: &SelectionArgs, books: &Books) -> anyhow::Result<Selection> {
        let mut args = args.clone();
        if (args.since, args.until, args.during) == (None, None, None) {
            args.since = Some(DayWords::Last(RECENT_DAYS));
        }
        self.selection(&args, books)
    }

    /// Returns what a document says of the question that it answers.
    pub(super) fn asked<'a>(&self, filter: &'a Filter, days: Option<Days>) -> Asked<'a> {
        let timezone = self.config.calendar.zone_name();
        Asked { filter, days, compared: None, timezone, now: self.config.now() }
    }

    fn period(&self, args: &SelectionArgs) -> anyhow::Result<(Period, Option<Days>)> {
        let calendar = &self.config.calendar;
        let (since, until) = match args.during {
            Some(RangeWords { since, until }) => (Some(since), Some(until)),
            None => (args.since, args.until),
        };
        let days = |since, until| self.days(since, until);
        Ok(match (since, until) {
            (None, None) => (Period::ALL, None),
            (Some(since), Some(until)) => {
                let days = days(since, until)?;
                (calendar.period_of(days), Some(days))
            }
            (Some(since), None) => {
                let days = days(since, DayWords::DaysAgo(0))?;
                // What another machine's clock dates into the future is not left out.
                (Period { ends: Timestamp::MAX, ..calendar.period_of(days) }, Some(days))
            }
            (None, Some(until)) => {
                let days = days(until, until)?;
                (Period { begins: Timestamp::MIN, ..calendar.period_of(days) }, None)
            }
        })
    }

    /// Returns the days from the first of `since` to the last of `until`.
    pub(super) fn days(&self, since: DayWords, until: DayWords) -> anyhow::Result<Days> {
        let calendar = &self.config.calendar;
        let today = calendar.day(self.config.now());
        Days::between(since, until, today, calendar.week_start)
            .map_err(|error| Usage(error.to_string()).into())
    }

    /// Returns the condition with the path of a project that was named as `.` or by its folder.
    fn in_full(&self, condition: &Condition) -> Condition {
        let mut condition = condition.clone();
        if let (Dimension::Project, Some(name)) = (&condition.dimension, &condition.value) {
            let folder = self.config.cwd.join(name);
            if folder.is_dir() {
                let project = crate::project::find(&folder, self.config.home.as_deref());
                condition.value = Some(project.root.to_string_lossy().into_owned());
            }
        }
        condition
    }

    fn check_name(&self, condition: &Condition, books: &Books) -> anyhow::Result<()> {
        let Some(name) = &condition.value else { return Ok(()) };
        let named = Filter { conditions: vec![condition.clone()], ..Filter::ALL };
        if books.ledger.groups(&named, &[], &self.config.calendar)?.is_empty() {
            let dimension = &condition.dimension;
            if books.ledger.is_empty()? {
                return Err(NotFound(NOTHING_RECORDED.to_owned()).into());
            }
            if *dimension == Dimension::Project && Path::new(name) == self.config.project.root {
                return Err(NotFound(
                    "no request of this project is recorded; `cmat reconcile` reads its transcripts"
                        .to_owned(),
                )
                .into());
            }
            return Err(NotFound(format!(
                "no request has {dimension} `{name}`; `cmat report --by {dimension}` shows all"
            ))
            .into());
        }
        Ok(())
    }
}
