//! The summary at the end of a run: prices, the run, all there is; costs to six places.

use std::fmt::Write as _;

use crate::money::grouped;
use crate::pricing::Price;
use crate::printable::Printable;
use crate::report::Certainty;
use crate::summary::Totals;

/// The line above and below.
const WIDTH: usize = 80;

/// What is told at the end of a run.
#[derive(Debug)]
pub struct Banner<'a> {
    /// The sessions, and the task that they were for.
    pub name: &'a str,
    /// Prices that were used.
    pub prices: &'a [Price],
    /// What the run came to.
    pub run: &'a Totals,
    /// What all that is recorded comes to.
    pub all: &'a Totals,
}

impl Banner<'_> {
    /// Returns the lines.
    pub fn render(&self) -> String {
        let line = "=".repeat(WIDTH);
        let mut text = format!("\n{line}\nCLAUDE CODE COST SUMMARY\n{line}\n\n");
        for Price { name, rates, .. } in self.prices {
            let _infallible = writeln!(
                text,
                "Pricing ({}):\n  Input:  ${} / million tokens\n  Output: ${} / million tokens\n",
                Printable(name),
                rates.input.displayed(),
                rates.output.displayed(),
            );
        }
        let _infallible = writeln!(
            text,
            "Current Session: {}\n  API Calls: {}\n{}  Session Cost: {}\n",
            Printable(self.name),
            grouped(self.run.requests),
            tokens(self.run, ""),
            cost(self.run),
        );
        let _infallible = writeln!(
            text,
            "Cumulative Total (All Time):\n{}  Total Cost: {}\n\n{line}",
            tokens(self.all, "Total "),
            cost(self.all),
        );
        text
    }
}

/// Input is the whole prompt, the cached part of it too.
fn tokens(totals: &Totals, prefix: &str) -> String {
    let (input, output) = (totals.tokens.prompt(), totals.tokens.output);
    format!(
        "  {prefix}Input Tokens: {}\n  {prefix}Output Tokens: {}\n  Total Tokens: {}\n",
        grouped(input),
        grouped(output),
        grouped(input.saturating_add(output)),
    )
}

fn cost(totals: &Totals) -> String {
    let Certainty { estimated, at_least } = Certainty::of(totals);
    let (tilde, plus) = (if estimated { "~" } else { "" }, if at_least { "+" } else { "" });
    format!("{tilde}${}{plus} USD", totals.cost.total().rounded(6))
}
