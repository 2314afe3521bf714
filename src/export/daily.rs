//! Rows summed up by day and by what the columns tell requests apart by.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;

use jiff::civil::Date;

use crate::export::DIMENSIONS;
use crate::export::Export;
use crate::export::OPERATION;
use crate::export::PriceId;
use crate::export::Row;
use crate::export::SESSION;
use crate::export::TASK;
use crate::export::column::Column;
use crate::export::column::Content;
use crate::money::Usd;
use crate::pricing::CostByKind;
use crate::summary::Totals;
use crate::usage::TokenUsage;

/// What rows that are summed up have in common.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Common {
    day: Date,
    names: [Option<String>; DIMENSIONS.len()],
    model: String,
    price: Option<String>,
    source: Option<String>,
    unpriced: bool,
}

/// What they come to.
#[derive(Debug, Default)]
struct Sum {
    totals: Totals,
    list_cost: Usd,
    price: Option<PriceId>,
}

/// What tells rows of a day apart.
#[derive(Debug)]
struct ToldApart {
    names: [bool; DIMENSIONS.len()],
    model: bool,
    price: bool,
    source: bool,
}

impl ToldApart {
    fn by(columns: &[Column]) -> Self {
        let has = |content: Content| columns.iter().any(|column| column.content == content);
        let mut names = std::array::from_fn(|n| has(Content::Name(n)));
        names[TASK] |= has(Content::Job);
        names[OPERATION] |= has(Content::Legacy);
        names[SESSION] = false;
        Self { names, model: has(Content::Model), price: has(Content::PriceId), source: has(Content::Source) }
    }
}

/// Sums rows up and gives the sums to another export.
pub struct Daily {
    next: Box<dyn Export>,
    told_apart: ToldApart,
    day: Option<Date>,
    sums: HashMap<Common, Sum>,
}

impl std::fmt::Debug for Daily {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daily").field("sums", &self.sums.len()).finish_non_exhaustive()
    }
}

impl Daily {
    /// Returns an export that gives `next` the sums of each day, told apart by those of the `columns` that are names;
    /// never by session. What has no price stands apart always. Rows come in an order of time.
    pub fn new(next: Box<dyn Export>, columns: &[Column]) -> Self {
        Self { next, told_apart: ToldApart::by(columns), day: None, sums: HashMap::new() }
    }

    fn end_of_day(&mut self) -> io::Result<()> {
        let mut sums: Vec<(Common, Sum)> = self.sums.drain().collect();
        sums.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (common, sum) in &sums {
            self.next.row(&row(common, sum))?;
        }
        Ok(())
    }
}

impl Export for Daily {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        if self.day.replace(row.day) != Some(row.day) {
            self.end_of_day()?;
        }
        let told = &self.told_apart;
        let name = |n: usize| row.names[n].as_deref().filter(|_| told.names[n]).map(str::to_owned);
        let common = Common {
            day: row.day,
            names: std::array::from_fn(name),
            model: if told.model { row.model.to_owned() } else { String::new() },
            price: row.price.filter(|_| told.price).map(|price| price.hash.clone()),
            source: row.source.filter(|_| told.source).map(str::to_owned),
            unpriced: row.unpriced,
        };
        let sum = self.sums.entry(common).or_default();
        sum.totals.add(&Totals {
            requests: row.requests,
            tokens: row.tokens,
            web_search_requests: row.web_search_requests,
            cost: row.cost,
            estimated: row.estimated,
            lower_bound: row.lower_bound,
            ..Totals::default()
        });
        sum.list_cost += row.list_cost;
        if sum.price.is_none() {
            sum.price = row.price.cloned();
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.end_of_day()?;
        self.next.finish()
    }
}

fn row<'a>(common: &'a Common, sum: &'a Sum) -> Row<'a> {
    let Totals { requests, tokens, web_search_requests, cost, estimated, lower_bound, .. } = &sum.totals;
    let (tokens, cost): (TokenUsage, CostByKind) = (*tokens, *cost);
    Row {
        at: None,
        day: common.day,
        names: std::array::from_fn(|n| common.names[n].as_deref().map(Cow::Borrowed)),
        request: None,
        model: &common.model,
        price: sum.price.as_ref(),
        requests: *requests,
        tokens,
        web_search_requests: *web_search_requests,
        cost,
        list_cost: sum.list_cost,
        estimated: *estimated,
        lower_bound: *lower_bound,
        unpriced: common.unpriced,
        source: common.source.as_deref(),
        cost_reported: None,
    }
}
