//! Rows summed up by day and all that tells requests apart, sessions excepted.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;

use jiff::civil::Date;

use crate::export::DIMENSIONS;
use crate::export::Export;
use crate::export::PriceId;
use crate::export::Row;
use crate::export::SESSION;
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

/// Sums rows up and gives the sums to another export.
pub struct Daily {
    next: Box<dyn Export>,
    day: Option<Date>,
    sums: HashMap<Common, Sum>,
}

impl std::fmt::Debug for Daily {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daily").field("sums", &self.sums.len()).finish_non_exhaustive()
    }
}

impl Daily {
    /// Returns an export that gives `next` the sums of each day; rows come in an order of time.
    pub fn new(next: Box<dyn Export>) -> Self {
        Self { next, day: None, sums: HashMap::new() }
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
        let mut names = row.names.clone().map(|name| name.map(Cow::into_owned));
        names[SESSION] = None;
        let common = Common {
            day: row.day,
            names,
            model: row.model.to_owned(),
            price: row.price.map(|price| price.hash.clone()),
            source: row.source.map(str::to_owned),
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
