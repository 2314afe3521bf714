//! A report: groups of requests as rows, in an order, with their total, in every format.
//!
//! The rows always add up to the total: those that `--top` leaves out stand in a row of their own.

mod csv;
mod html;
mod json;
mod markdown;
mod text;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::id::ModelId;
use crate::money::Usd;
use crate::period::Calendar;
use crate::query::Dimension;
use crate::query::Group;
use crate::query::Key;
use crate::report::Billing;
use crate::summary::Totals;

pub use self::csv::cell_for_spreadsheets;
pub use self::csv::csv;
pub use self::html::html;
pub use self::json::Asked;
pub use self::json::json;
pub use self::markdown::markdown;
pub use self::text::Repeats;
pub use self::text::text;

/// What stands where nothing says where requests belong.
const UNATTRIBUTED: &str = "unattributed";

/// Where a row stands in a dimension.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// In a period of time.
    Period {
        /// When it begins.
        begins: Timestamp,
        /// What the calendar calls it.
        name: String,
    },
    /// Under a name.
    Name(String),
    /// Nowhere.
    Unattributed,
    /// So many others, which are not shown one by one.
    Others(usize),
    /// Anywhere: the row is not told apart in this dimension.
    Any,
}

impl Label {
    /// Returns the label of a key in the calendar.
    pub fn of(key: &Key, dimension: &Dimension, calendar: &Calendar) -> Self {
        match (key, dimension) {
            (Key::Begins(at), Dimension::Time(unit)) => {
                Self::Period { begins: *at, name: calendar.label(*unit, *at) }
            }
            (Key::Begins(at), _) => Self::Name(at.to_string()),
            (Key::Name(name), _) => Self::Name(name.clone()),
            (Key::Unattributed, _) => Self::Unattributed,
        }
    }

    /// Returns the label as text; a name is as foreign as before.
    pub fn text(&self) -> String {
        match self {
            Self::Period { name, .. } | Self::Name(name) => name.clone(),
            Self::Unattributed => UNATTRIBUTED.to_owned(),
            Self::Others(1) => "1 other".to_owned(),
            Self::Others(n) => format!("{n} others"),
            Self::Any => String::new(),
        }
    }
}

/// A row of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it stands in each dimension.
    pub labels: Vec<Label>,
    /// What its requests come to.
    pub totals: Totals,
    /// Price rows of its charges, sorted.
    pub models: Vec<ModelId>,
    /// What it came to before, in a comparison.
    pub before: Option<Totals>,
}

/// What rows are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Time as it goes, all else the dearest first.
    Usual,
    /// The dearest first.
    Cost,
    /// What has the most requests first.
    Requests,
    /// What has the most tokens first.
    Tokens,
    /// What changed most first, in a comparison; else as [`Order::Cost`].
    Change,
    /// By name.
    Name,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// What the rows are told apart by.
    pub by: Vec<Dimension>,
    /// The rows.
    pub rows: Vec<Row>,
    /// What all of them come to.
    pub total: Row,
    /// What the amounts are to the reader.
    pub billing: Billing,
}

impl Sheet {
    /// Returns the report of groups, in the usual order; `before` are those of the period to compare with.
    pub fn new(
        by: &[Dimension],
        groups: Vec<Group>,
        before: Option<Vec<Group>>,
        calendar: &Calendar,
        billing: Billing,
    ) -> Self {
        let labels = |group: &Group| -> Vec<Label> {
            group.keys.iter().zip(by).map(|(key, dimension)| Label::of(key, dimension, calendar)).collect()
        };
        let compares = before.is_some();
        let mut rows: Vec<Row> = Vec::with_capacity(groups.len());
        for group in groups {
            let before = compares.then(Totals::default);
            rows.push(Row { labels: labels(&group), totals: group.totals, models: group.models, before });
        }
        let places: BTreeMap<Vec<Label>, usize> =
            rows.iter().enumerate().map(|(place, row)| (row.labels.clone(), place)).collect();
        for group in before.into_iter().flatten() {
            let labels = labels(&group);
            match places.get(&labels) {
                Some(place) => rows[*place].before = Some(group.totals),
                None => rows.push(Row {
                    labels,
                    totals: Totals::default(),
                    models: Vec::new(),
                    before: Some(group.totals),
                }),
            }
        }
        let total = sum(vec![Label::Any; by.len()], &rows, compares);
        let mut sheet = Self { by: by.to_vec(), rows, total, billing };
        sheet.sort(Order::Usual);
        sheet
    }

    /// Returns whether each row says what it came to before.
    pub fn compares(&self) -> bool {
        self.total.before.is_some()
    }

    /// Brings the rows into an order: first those of the first dimension, each as a whole, then within each of them
    /// those of the next.
    pub fn sort(&mut self, order: Order) {
        let mut weights: BTreeMap<Vec<Label>, i128> = BTreeMap::new();
        for row in &self.rows {
            for depth in 1..=row.labels.len() {
                *weights.entry(row.labels[..depth].to_vec()).or_default() += weight(row, order);
            }
        }
        let by = &self.by;
        self.rows.sort_by(|a, b| {
            let of_level = |depth: usize| {
                let by_name = a.labels[depth].cmp(&b.labels[depth]);
                let in_time = matches!(by[depth], Dimension::Time(_)) && order == Order::Usual;
                if order == Order::Name || in_time {
                    return by_name;
                }
                let weight = |row: &Row| weights.get(&row.labels[..=depth]).copied().unwrap_or_default();
                weight(b).cmp(&weight(a)).then(by_name)
            };
            (0..by.len()).map(of_level).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
    }

    /// Keeps the rows of the first `n` labels of the first dimension and what is unattributed; all others are summed
    /// up in one row.
    pub fn keep_top(&mut self, n: usize) {
        let mut kept: BTreeSet<Label> = BTreeSet::new();
        let mut others: BTreeSet<Label> = BTreeSet::new();
        let (mut rows, mut left_out) = (Vec::new(), Vec::new());
        for row in std::mem::take(&mut self.rows) {
            let Some(first) = row.labels.first().cloned() else { continue };
            if kept.contains(&first) || first == Label::Unattributed {
                rows.push(row);
            } else if kept.len() < n {
                kept.insert(first);
                rows.push(row);
            } else {
                others.insert(first);
                left_out.push(row);
            }
        }
        if !left_out.is_empty() {
            let mut labels = vec![Label::Any; self.by.len()];
            labels[0] = Label::Others(others.len());
            rows.push(sum(labels, &left_out, self.compares()));
        }
        self.rows = rows;
    }

    /// Returns what the column of amounts is called.
    pub(super) fn cost_heading(&self) -> &'static str {
        match self.billing {
            Billing::Api => "cost",
            Billing::Subscription => "API value",
        }
    }

    /// Returns how many decimal places show the amounts of this report.
    pub(super) fn places(&self) -> u32 {
        super::places(self.total.totals.cost.total().max(before(&self.total)))
    }
}

fn sum(labels: Vec<Label>, rows: &[Row], compares: bool) -> Row {
    let mut whole =
        Row { labels, totals: Totals::default(), models: Vec::new(), before: compares.then(Totals::default) };
    let mut models: BTreeSet<&ModelId> = BTreeSet::new();
    for row in rows {
        whole.totals.add(&row.totals);
        models.extend(&row.models);
        if let (Some(whole), Some(before)) = (&mut whole.before, &row.before) {
            whole.add(before);
        }
    }
    whole.models = models.into_iter().cloned().collect();
    whole
}

/// Returns what a row cost before.
fn before(row: &Row) -> Usd {
    row.before.as_ref().map_or(Usd::ZERO, |before| before.cost.total())
}

fn weight(row: &Row, order: Order) -> i128 {
    match order {
        Order::Usual | Order::Name | Order::Cost => row.totals.cost.total().max(before(row)).pico(),
        Order::Requests => row.totals.requests.into(),
        Order::Tokens => {
            let tokens = row.totals.tokens;
            i128::from(tokens.prompt()) + i128::from(tokens.output)
        }
        Order::Change => (row.totals.cost.total() - before(row)).pico().abs(),
    }
}

#[cfg(test)]
mod tests;
