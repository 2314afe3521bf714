//! `costs show` and `costs enhancement` as text, byte for byte as people know them.

use std::fmt::Write as _;

use crate::id::ModelId;
use crate::money::grouped;
use crate::pricing::CostByKind;
use crate::printable::Printable;
use crate::report::Certainty;
use crate::report::amount;
use crate::report::amount_in_words;
use crate::report::percentage;
use crate::report::table;
use crate::report::table::Side;
use crate::summary::TaskSummary;
use crate::summary::Totals;

/// Column at which the values of a task end.
const TASK_EDGE: usize = 30;
/// Column at which the values of an enhancement end.
const ENHANCEMENT_EDGE: usize = 25;
/// Column at which an enhancement's number of tasks ends.
const TASKS_EDGE: usize = 23;

/// The figures of the seven lines of `costs show`, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSheet {
    /// The dearest model, and how many more.
    pub model: String,
    /// Input tokens.
    pub input: String,
    /// Output tokens.
    pub output: String,
    /// Cache write tokens of both kinds.
    pub cache_write: String,
    /// Cache read tokens.
    pub cache_read: String,
    /// Total cost, with its marks.
    pub cost: String,
}

impl TaskSheet {
    /// Returns the sheet of a task.
    pub fn of(summary: &TaskSummary) -> Self {
        Self {
            model: model_line(&summary.models),
            input: grouped(summary.input()),
            output: grouped(summary.output()),
            cache_write: grouped(summary.cache_write()),
            cache_read: grouped(summary.cache_read()),
            cost: amount(summary.cost(), Certainty::of(&summary.totals)),
        }
    }

    /// Returns the seven lines.
    pub fn render(&self, task: &str) -> String {
        let mut text = format!("Cost for task {}:\n  Model: {}\n", Printable(task), Printable(&self.model));
        line(&mut text, "Input Tokens:", &self.input, TASK_EDGE);
        line(&mut text, "Output Tokens:", &self.output, TASK_EDGE);
        line(&mut text, "Cache Creation:", &self.cache_write, TASK_EDGE);
        line(&mut text, "Cache Read:", &self.cache_read, TASK_EDGE);
        line(&mut text, "Total Cost:", &self.cost, TASK_EDGE);
        text
    }
}

/// Returns the dearest model's id and how many more there are: `claude-opus-4-8 (+1 more)`.
fn model_line(models: &[(ModelId, Totals)]) -> String {
    match models {
        [] => "-".to_owned(),
        [(model, _)] => model.as_str().to_owned(),
        [(model, _), others @ ..] => format!("{} (+{} more)", model.as_str(), others.len()),
    }
}

fn line(text: &mut String, label: &str, value: &str, edge: usize) {
    let width = edge.saturating_sub(2 + label.len() + 1);
    let _infallible = writeln!(text, "  {label} {:>width$}", Printable(value));
}

/// Returns what `--breakdown` adds to a task: its models, its sessions, its kinds of tokens.
pub fn task_breakdown(summary: &TaskSummary) -> String {
    let mut text = String::from("\n");
    let models = summary.models.iter().map(|(model, totals)| (model.to_string(), totals));
    text.push_str(&totals_table("MODEL", models));
    text.push('\n');
    let sessions = summary.sessions.iter().map(|share| (share.session.to_string(), &share.totals));
    text.push_str(&totals_table("SESSION", sessions));
    let beyond = &summary.not_itemised;
    if *beyond != Totals::default() {
        let _infallible = writeln!(
            text,
            "\n  of this, not itemised  {} in, {} out, {} cache write, {} cache read  {}\n  (the client counted it \
             beyond the requests of its transcript: searches, compactions, hooks, attempts cut off)",
            grouped(beyond.tokens.input),
            grouped(beyond.tokens.output),
            grouped(beyond.tokens.cache_write()),
            grouped(beyond.tokens.cache_read),
            amount_in_words(beyond.cost.total(), Certainty::of(beyond)),
        );
    }
    if summary.elsewhere.entries > 0 {
        let _infallible = writeln!(
            text,
            "\n  recorded elsewhere  {} in, {} out, {} cache write, {} cache read  ${}",
            grouped(summary.elsewhere.input),
            grouped(summary.elsewhere.output),
            grouped(summary.elsewhere.cache_write),
            grouped(summary.elsewhere.cache_read),
            summary.elsewhere.cost.rounded(crate::report::COST_PLACES),
        );
    }
    text.push_str(&by_kind(&summary.totals.cost));
    text
}

/// What an enhancement comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnhancementSheet<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its tasks that have a cost.
    pub tasks: &'a [TaskSummary],
    /// What was spent for it outside of tasks.
    pub without_task: Option<&'a Totals>,
}

impl EnhancementSheet<'_> {
    /// Returns the totals of tasks and of what has no task; figures recorded elsewhere are not in it.
    pub fn totals(&self) -> Totals {
        let mut totals = self.without_task.cloned().unwrap_or_default();
        for task in self.tasks {
            totals.add(&task.totals);
        }
        totals
    }

    /// Returns the five lines.
    pub fn render(&self) -> String {
        let outside = self.without_task.cloned().unwrap_or_default();
        let sum = |of_task: fn(&TaskSummary) -> u64, outside: u64| {
            self.tasks.iter().map(of_task).fold(outside, u64::saturating_add)
        };
        let cost = self.tasks.iter().map(TaskSummary::cost).sum::<crate::money::Usd>() + outside.cost.total();
        let mut text = format!("Cost for enhancement '{}':\n", Printable(self.name));
        line(&mut text, "Tasks:", &grouped(self.tasks.len() as u64), TASKS_EDGE);
        line(
            &mut text,
            "Input Tokens:",
            &grouped(sum(TaskSummary::input, outside.tokens.input)),
            ENHANCEMENT_EDGE,
        );
        line(
            &mut text,
            "Output Tokens:",
            &grouped(sum(TaskSummary::output, outside.tokens.output)),
            ENHANCEMENT_EDGE,
        );
        line(&mut text, "Total Cost:", &amount(cost, Certainty::of(&self.totals())), ENHANCEMENT_EDGE);
        text
    }

    /// Returns what `--breakdown` adds: its tasks and its kinds of tokens.
    pub fn breakdown(&self) -> String {
        let mut rows: Vec<Vec<String>> = self.tasks.iter().map(task_row).collect();
        if let Some(totals) = self.without_task {
            let mut row = vec!["(no task)".to_owned(), String::new(), String::new()];
            row.extend(figures(totals));
            rows.push(row);
        }
        let headings = [
            ("TASK", Side::Left),
            ("AGENT", Side::Left),
            ("MODEL", Side::Left),
            ("INPUT", Side::Right),
            ("OUTPUT", Side::Right),
            ("C.WRITE", Side::Right),
            ("C.READ", Side::Right),
            ("COST", Side::Right),
        ];
        format!("\n{}{}", table::render(&headings, rows), by_kind(&self.totals().cost))
    }
}

fn task_row(task: &TaskSummary) -> Vec<String> {
    vec![
        task.task.to_string(),
        Printable(task.agent.as_deref().unwrap_or("")).to_string(),
        Printable(&model_line(&task.models)).to_string(),
        grouped(task.input()),
        grouped(task.output()),
        grouped(task.cache_write()),
        grouped(task.cache_read()),
        amount_in_words(task.cost(), Certainty::of(&task.totals)),
    ]
}

fn figures(totals: &Totals) -> [String; 5] {
    [
        grouped(totals.tokens.input),
        grouped(totals.tokens.output),
        grouped(totals.tokens.cache_write()),
        grouped(totals.tokens.cache_read),
        amount_in_words(totals.cost.total(), Certainty::of(totals)),
    ]
}

/// Returns a table of totals under their names.
pub fn totals_table<'a>(heading: &str, rows: impl Iterator<Item = (String, &'a Totals)>) -> String {
    let headings = [
        (heading, Side::Left),
        ("REQUESTS", Side::Right),
        ("INPUT", Side::Right),
        ("OUTPUT", Side::Right),
        ("C.WRITE", Side::Right),
        ("C.READ", Side::Right),
        ("COST", Side::Right),
    ];
    let rows = rows.map(|(name, totals)| {
        let mut row = vec![name, grouped(totals.requests)];
        row.extend(figures(totals));
        row
    });
    table::render(&headings, rows)
}

/// Returns the line that says which kinds of tokens the money went to.
fn by_kind(cost: &CostByKind) -> String {
    let total = cost.total();
    let search = if cost.web_search > crate::money::Usd::ZERO {
        format!("   web search {}", percentage(cost.web_search, total))
    } else {
        String::new()
    };
    format!(
        "\n  cost by kind   input {}   output {}   cache write {}   cache read {}{search}\n",
        percentage(cost.input, total),
        percentage(cost.output, total),
        percentage(cost.cache_write_5m + cost.cache_write_1h, total),
        percentage(cost.cache_read, total),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn the_layout_of_a_task_is_a_contract() {
        let sheet = TaskSheet {
            model: "claude-sonnet-4-20250514".to_owned(),
            input: grouped(12_345_u64),
            output: grouped(3_456_u64),
            cache_write: grouped(0_u64),
            cache_read: grouped(8_901_u64),
            cost: "$0.0789".to_owned(),
        };
        assert_eq!(
            sheet.render("task_1702345678_12345"),
            include_str!("../../fixtures/outputs/costs_show.txt")
        );
    }

    #[test]
    fn figures_that_are_too_wide_move_the_edge_but_keep_a_space() {
        let mut text = String::new();
        line(&mut text, "Input Tokens:", "123,456,789,012,345", TASK_EDGE);
        assert_snapshot!(text, @"  Input Tokens: 123,456,789,012,345");
    }
}
