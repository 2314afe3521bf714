//! What usage costs: a pure function of a request and a price table.
//!
//! ```text
//! models.json ─▶ rows ─▶ PriceTable ─▶ the row an id means ─▶ the price on that day ─▶ Charge
//! ```
//!
//! Each request is priced on its own, never an aggregate: tiers, dates and modifiers are decided per request. No
//! price stands in the code; the list prices are the shipped `models.json`. This room never reads a file or the
//! clock, and never prices what it does not know as zero.

mod alternative;
mod charge;
mod fields;
mod off_list;
mod parse;
mod pattern;
mod price;
mod row;
mod spelling;
mod table;

pub use alternative::Alternative;
pub use alternative::Kinship;
pub use alternative::Tokenizer;
pub use charge::Charge;
pub use charge::ChargeKind;
pub use charge::UnknownModel;
pub use charge::Unpriced;
pub use charge::charges;
pub use charge::is_billed_alike;
pub use charge::note_dearer;
pub use fields::RowFault;
pub use off_list::OffList;
pub use parse::MAX_TABLE_BYTES;
pub use parse::PricingError;
pub use parse::Warning;
pub use pattern::Pattern;
pub use pattern::PatternError;
pub use pattern::PatternKind;
pub use price::CostByKind;
pub use price::CostError;
pub use price::Price;
pub use price::Terms;
pub use row::DatedPrices;
pub use row::Days;
pub use row::FastPrices;
pub use row::Fit;
pub use row::Model;
pub use row::PriceSource;
pub use row::Rates;
pub use row::StatedRates;
pub use row::Tier;
pub use row::TokenKind;
pub use spelling::model_name;
pub use table::BUILT_IN_JSON;
pub use table::Loaded;
pub use table::Match;
pub use table::PriceTable;
pub use table::Reason;
pub use table::Source;

#[cfg(test)]
mod tests;
