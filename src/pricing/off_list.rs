//! Prices far from the list price: obeyed, because the user may have a contract, but pointed out.

use std::fmt;

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::money::Rate;
use crate::pricing::price::Terms;
use crate::pricing::row::PriceSource;
use crate::pricing::row::TokenKind;
use crate::pricing::table::PriceTable;
use crate::printable::Printable;

/// How many times the list price, or what part of it, is worth a word.
const FAR: Decimal = Decimal::from_parts(3, 0, 0, false, 0);

/// A price that is at least 3 times the list price, or at most a third of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffList {
    /// The model id that was asked for.
    pub model_id: String,
    /// The row that prices it.
    pub row: String,
    /// The kind of token that is farthest off, input or output.
    pub kind: TokenKind,
    /// What the row says, in USD per million tokens.
    pub rate: Rate,
    /// The list price.
    pub list: Rate,
}

impl fmt::Display for OffList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (row, kind) = (Printable(&self.row), self.kind.label());
        write!(f, "row `{row}` prices {kind} at ${} per million tokens, ", self.rate.displayed())?;
        match self.rate.per_million().checked_div(self.list.per_million()) {
            Some(times) if times > Decimal::ONE => write!(f, "{} × ", times.round_dp(2).normalize())?,
            _ => f.write_str("far below ")?,
        }
        f.write_str("the list price")?;
        if self.model_id != self.row {
            write!(f, " of `{}`", Printable(&self.model_id))?;
        }
        write!(f, " (${})", self.list.displayed())
    }
}

impl PriceTable {
    /// Returns how the price in force at `at` for `model_id` differs from the list price, if it is far off.
    pub fn off_list(&self, model_id: &str, at: Timestamp) -> Option<OffList> {
        let found =
            self.get_by_pattern(model_id).filter(|found| found.model.source != PriceSource::BuiltIn)?;
        let listed = Self::built_in().get_by_pattern(model_id)?;
        let terms = Terms::standard(at);
        let (price, _) = self.price(&found, &terms, 0);
        let (list, _) = Self::built_in().price(&listed, &terms, 0);
        let kind = [TokenKind::Input, TokenKind::Output]
            .into_iter()
            .find(|kind| is_far(price.rates.of(*kind), list.rates.of(*kind)))?;
        Some(OffList {
            model_id: model_id.to_owned(),
            row: found.model.id.as_str().to_owned(),
            kind,
            rate: price.rates.of(kind),
            list: list.rates.of(kind),
        })
    }

    /// Returns the rows of the project's and the user's files whose own id is priced far off the list at `at`.
    pub fn off_list_rows(&self, at: Timestamp) -> Vec<OffList> {
        let foreign = self.list_all().iter().filter(|model| model.source != PriceSource::BuiltIn);
        foreign.filter_map(|model| self.off_list(model.id.as_str(), at)).collect()
    }
}

fn is_far(rate: Rate, list: Rate) -> bool {
    let (rate, list) = (rate.per_million(), list.per_million());
    rate != list && (rate >= list * FAR || rate * FAR <= list)
}
