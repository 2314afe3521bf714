//! What the budgets say of what is about to be spent: the sums of the ledger, held against the rules.
//!
//! It reads what was spent and says what follows; who asked is told by a command or a hook. It neither reads
//! transcripts nor prints.

pub mod bypass;
pub mod raising;
pub mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::booking::Books;
use crate::booking::prices::PriceTables;
use crate::budget::Budget;
use crate::budget::Span;
use crate::budget::forecast;
use crate::budget::forecast::Habit;
use crate::budget::scope;
use crate::budget::scope::Subject;
use crate::budget::standing::Standing;
use crate::budget::standing::Verdict;
use crate::budget::standing::strictest;
use crate::config::budgets::Budgets;
use crate::id::ModelId;
use crate::id::SessionId;
use crate::ledger::Durability;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::notices::Notice;
use crate::ledger::notices::NoticeKind;
use crate::ledger::overrides;
use crate::ledger::overrides::Override;
use crate::money::Usd;
use crate::period::Period;
use crate::project;
use crate::project::Project;
use crate::query::Condition;
use crate::query::Dimension;
use crate::query::Filter;

/// What is known of a session from outside of the ledger.
#[derive(Debug, Clone, Default)]
pub struct Known<'a> {
    /// The session; `None` for one that has not begun.
    pub session: Option<&'a SessionId>,
    /// The task that it was started for.
    pub task: Option<&'a str>,
    /// The task of the worktree, where the session names none.
    pub task_file: Option<&'a str>,
    /// The enhancement that it was started for.
    pub enhancement: Option<&'a str>,
    /// The kind of agent that is at work.
    pub agent: Option<&'a str>,
    /// The model that is to be used, by the id of its price row.
    pub model: Option<&'a str>,
    /// The tags that it was started with, if any.
    pub tags: Option<&'a BTreeMap<String, String>>,
}

/// Returns what the next request of a session in `project` will be counted for.
pub fn subject(ledger: &Ledger, project: &Project, known: &Known<'_>) -> Result<Subject, LedgerError> {
    let last = known.session.map(|session| ledger.latest_of(session)).transpose()?.unwrap_or_default();
    let text = |text: Option<&str>| text.map(str::to_owned);
    let task = text(known.task).or(last.task).or_else(|| text(known.task_file));
    let of_task = match &task {
        Some(task) => ledger.enhancement_of(&project.root, task)?,
        None => None,
    };
    Ok(Subject {
        project: Some(project.root.to_string_lossy().into_owned()),
        branch: project::branch(&project.worktree).or(last.branch),
        enhancement: of_task.or_else(|| text(known.enhancement)).or(last.enhancement),
        task,
        agent: text(known.agent),
        model: text(known.model).or(last.model),
        tags: known.tags.filter(|tags| !tags.is_empty()).cloned().unwrap_or(last.tags),
    })
}

/// Lets budgets that name a model name the price row that it is priced by in `project`.
pub fn name_rows(budgets: &mut Budgets, prices: &mut PriceTables, project: &Project) {
    for budget in &mut budgets.all {
        if budget.scope.dimension == scope::Dimension::Model
            && let Some(name) = &mut budget.scope.name
            && let Some(row) = prices.row_of(Some(&project.root), name)
        {
            row.as_str().clone_into(name);
        }
    }
}

/// Returns a test whether `model`, a price row, is what a model's name means; `row` finds rows.
pub fn uses(model: Option<&str>, mut row: impl FnMut(&str) -> Option<ModelId>) -> impl FnMut(&str) -> bool {
    move |name| model.is_some_and(|model| model == name || row(name).is_some_and(|row| row.as_str() == model))
}

/// Returns how each budget stands that `subject` is counted for, at `now`.
pub fn standings(
    ledger: &Ledger,
    budgets: &Budgets,
    subject: &Subject,
    now: Timestamp,
) -> Result<Vec<Standing>, LedgerError> {
    let overrides = ledger.overrides(now)?;
    let mut standings = Vec::new();
    for budget in &budgets.all {
        let Some(name) = budget.scope.name_of(subject) else { continue };
        let is_elsewhere = |path: &PathBuf| subject.project.as_deref() != path.to_str();
        if budget.within.as_ref().is_some_and(is_elsewhere) {
            continue;
        }
        standings.push(standing(ledger, budget, name, &overrides, &budgets.trusted, now)?);
    }
    Ok(standings)
}

/// Returns what stands in the way of spending `estimate` more in a session of `project`, with its reason; `None` if
/// nothing does. A zero asks whether anything may be spent. `cmat run` asks this before it starts a client.
pub fn gate(
    books: &mut Books,
    budgets: &mut Budgets,
    project: &Project,
    known: &Known<'_>,
    estimate: Usd,
) -> Result<Option<(Standing, Verdict)>, LedgerError> {
    name_rows(budgets, &mut books.prices, project);
    let subject = subject(&books.ledger, project, known)?;
    let standings = standings(&books.ledger, budgets, &subject, books.now)?;
    let row = |name: &str| books.prices.row_of(Some(&project.root), name);
    let stop = strictest(&standings, estimate, &mut uses(subject.model.as_deref(), row));
    Ok(stop.map(|(standing, verdict)| (standing.clone(), verdict)))
}

/// Rolls up if there are budgets, which count what is rolled up fastest; reports roll up themselves.
pub fn roll_up(ledger: &Ledger, budgets: &Budgets) -> Result<(), LedgerError> {
    if budgets.all.is_empty() { Ok(()) } else { ledger.roll_up() }
}

/// Returns how `budget` stands for the one of its scope's kind that is called `name`.
pub fn standing(
    ledger: &Ledger,
    budget: &Budget,
    name: &str,
    overrides: &[Override],
    trusted: &[PathBuf],
    now: Timestamp,
) -> Result<Standing, LedgerError> {
    let period = budget.period(now);
    let spent = ledger.spent(&filter(budget, name, period), trusted)?;
    Ok(Standing {
        budget: budget.clone(),
        name: name.to_owned(),
        period,
        spent,
        added: overrides::added(overrides, budget),
        expected: None,
    })
}

/// Lets a standing say what its period is expected to come to, if it has an end and enough is known.
pub fn look_ahead(
    ledger: &Ledger,
    standing: &mut Standing,
    trusted: &[PathBuf],
    now: Timestamp,
) -> Result<(), LedgerError> {
    let budget = &standing.budget;
    if budget.span == Span::Total {
        return Ok(());
    }
    let today = budget.calendar.day(now);
    let begins = budget.calendar.start_of_day(forecast::history_begins(today));
    let past = filter(budget, &standing.name, Period { begins, ends: Timestamp::MAX });
    let days = ledger.spent_by_day(&past, &budget.calendar, trusted)?;
    standing.expected = Habit::of(&days, today).ok().map(|habit| {
        habit.forecast(standing.spent.cost, now, standing.period.ends, &budget.calendar).expected
    });
    Ok(())
}

/// Does the same where a threshold of the forecast was not told yet in the period: nobody else waits for it.
pub fn look_ahead_to_tell(
    ledger: &Ledger,
    standings: &mut [Standing],
    trusted: &[PathBuf],
    now: Timestamp,
) -> Result<(), LedgerError> {
    for standing in standings {
        let mut is_told = true;
        for percent in &standing.budget.forecast {
            is_told &= ledger.told(&notice(standing, NoticeKind::Expected, *percent))?.is_some();
        }
        if !is_told {
            look_ahead(ledger, standing, trusted, now)?;
        }
    }
    Ok(())
}

/// Returns which requests count. There is no last instant: a clock that is set back must not make money come back.
fn filter(budget: &Budget, name: &str, period: Period) -> Filter {
    let mut name = name;
    let dimension = match budget.scope.dimension {
        scope::Dimension::User => None,
        scope::Dimension::Tag => scope::tag(name).map(|(key, value)| {
            name = value;
            Dimension::Tag(key.to_owned())
        }),
        scope::Dimension::Project => Some(Dimension::Project),
        scope::Dimension::Branch => Some(Dimension::Branch),
        scope::Dimension::Task => Some(Dimension::Task),
        scope::Dimension::Enhancement => Some(Dimension::Enhancement),
        scope::Dimension::Agent => Some(Dimension::Agent),
        scope::Dimension::Model => Some(Dimension::Model),
    };
    let named = dimension.map(|dimension| Condition { dimension, value: Some(name.to_owned()) });
    let within = budget.within.as_ref().map(|path| Condition {
        dimension: Dimension::Project,
        value: Some(path.to_string_lossy().into_owned()),
    });
    // Conditions on one dimension would be alternatives; that of the scope is the same then.
    let within =
        within.filter(|within| named.as_ref().is_none_or(|named| named.dimension != within.dimension));
    Filter {
        period: Period { begins: period.begins, ends: Timestamp::MAX },
        conditions: named.into_iter().chain(within).collect(),
    }
}

/// Returns the thresholds that are reached and were not told in their period, the highest of each budget, and notes
/// that they all are told now.
pub fn fresh_notices(
    ledger: &mut Ledger,
    standings: &[Standing],
    now: Timestamp,
) -> Result<Vec<(Standing, Notice)>, LedgerError> {
    let mut fresh = Vec::new();
    for standing in standings {
        for notice in notices(standing) {
            if ledger.told(&notice)?.is_none() {
                fresh.push((standing, notice));
            }
        }
    }
    if fresh.is_empty() {
        return Ok(Vec::new());
    }
    // Several sessions may be about to tell the same: the ledger lets one of them.
    let mut told: Vec<(Standing, Notice)> = Vec::new();
    let mut recording = ledger.record(Durability::Repeatable, now)?;
    for (standing, notice) in fresh {
        if recording.tell(&notice)? {
            let same = |(_, other): &(Standing, Notice)| {
                (&other.budget, &other.name, other.kind) == (&notice.budget, &notice.name, notice.kind)
            };
            told.retain(|other| !same(other));
            told.push((standing.clone(), notice));
        }
    }
    recording.commit()?;
    Ok(told)
}

/// Returns the notices that are due, in ascending order of each kind.
pub fn notices(standing: &Standing) -> impl Iterator<Item = Notice> + '_ {
    let of = |kind: NoticeKind| move |percent: u32| notice(standing, kind, percent);
    let spent = standing.warnings().map(of(NoticeKind::Spent));
    spent.chain(standing.forecasts().map(of(NoticeKind::Expected)))
}

fn notice(standing: &Standing, kind: NoticeKind, percent: u32) -> Notice {
    Notice {
        budget: standing.budget.key(),
        name: standing.name.clone(),
        period: standing.period.begins,
        kind,
        percent,
    }
}
