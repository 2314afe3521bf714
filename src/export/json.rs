//! One JSON document: what was asked, a row for each charge or day, summaries, totals.

use std::fmt;
use std::io;
use std::io::Write;

use serde_json::Value as Json;
use serde_json::json;

use crate::export::CostByName;
use crate::export::Export;
use crate::export::Exported;
use crate::export::OPERATION;
use crate::export::Row;
use crate::export::column::Column;
use crate::export::column::Content;
use crate::export::column::Level;
use crate::export::column::Value;
use crate::money::Usd;
use crate::printable::printable_json;
use crate::report::json::Amounts;

/// Writes rows as JSON.
#[derive(Debug)]
pub struct JsonDocument<W> {
    out: W,
    columns: Vec<Column>,
    amounts: Amounts,
    exported: Exported,
    by_model: Option<CostByName>,
    by_operation: Option<CostByName>,
    /// Members behind the rows.
    after: Json,
}

impl<W: Write> JsonDocument<W> {
    /// Begins with the members of `before` and ends with those of `after`, both of them objects. Sums of days are
    /// summarised only by what their columns tell apart.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(
        mut out: W,
        level: Level,
        columns: Vec<Column>,
        amounts: Amounts,
        before: &Json,
        after: Json,
    ) -> io::Result<Self> {
        let before = printable_json(before);
        let members = before.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        write!(out, "{{{members},\"rows\":[")?;
        let summary = |content: Content| {
            let is_told = level == Level::Request || columns.iter().any(|column| column.content == content);
            is_told.then(CostByName::new)
        };
        let (by_model, by_operation) = (summary(Content::Model), summary(Content::Name(OPERATION)));
        Ok(Self { out, columns, amounts, exported: Exported::default(), by_model, by_operation, after })
    }

    fn member(&mut self, column: Column, row: &Row<'_>) -> io::Result<()> {
        write!(self.out, "\"{}\":", column.name)?;
        match column.content.of(row) {
            Value::None => self.out.write_all(b"null"),
            Value::Text(text) if text.is_ascii() => Ok(serde_json::to_writer(&mut self.out, &text)?),
            Value::Text(text) => write!(self.out, "{}", printable_json(&text.into_owned().into())),
            Value::Count(count) => write!(self.out, "{count}"),
            Value::Usd(amount) => self.amount(&amount),
            Value::Rounded(amount) => self.amount(&amount.fixed(6)),
            Value::Flag(flag) => write!(self.out, "{flag}"),
        }
    }

    fn amount(&mut self, amount: &impl fmt::Display) -> io::Result<()> {
        match self.amounts {
            Amounts::Strings => write!(self.out, "\"{amount}\""),
            Amounts::Numbers => write!(self.out, "{amount}"),
        }
    }
}

impl<W: Write> Export for JsonDocument<W> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.out.write_all(if self.exported.rows == 0 { b"\n{" } else { b",\n{" })?;
        for n in 0..self.columns.len() {
            if n > 0 {
                self.out.write_all(b",")?;
            }
            self.member(self.columns[n], row)?;
        }
        self.out.write_all(b"}")?;
        self.exported.add(row);
        let cost = row.cost.total();
        add(&mut self.by_model, row.model, cost);
        add(&mut self.by_operation, row.names[OPERATION].as_deref().unwrap_or(""), cost);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        let mut after = json!({
            "totals": self.exported,
            "summaries": {},
        });
        for (name, costs) in [("model", self.by_model), ("operation", self.by_operation)] {
            if let Some(costs) = costs {
                after["summaries"][name] = json!(costs);
            }
        }
        if let (Json::Object(after), Json::Object(more)) = (&mut after, self.after) {
            after.extend(more);
        }
        let after = printable_json(&self.amounts.written_in(&after));
        writeln!(self.out, "\n],{}", after.trim_start_matches('{'))?;
        self.out.flush()
    }
}

fn add(costs: &mut Option<CostByName>, name: &str, cost: Usd) {
    let Some(costs) = costs else { return };
    match costs.get_mut(name) {
        Some(sum) => *sum += cost,
        None => {
            costs.insert(name.to_owned(), cost);
        }
    }
}
