//! Plain-text accounting, as hledger and its like read it: a transaction for each day, project, task and model.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::io::Write;
use std::path::Path;

use jiff::civil::Date;

use crate::export::ENHANCEMENT;
use crate::export::Export;
use crate::export::PROJECT;
use crate::export::Row;
use crate::export::TASK;
use crate::export::column::bearable;
use crate::money::Usd;

/// What the costs are set against.
const AGAINST: &str = "liabilities:claude";

/// What the rows of a transaction have in common.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    day: Date,
    account: String,
    task: Option<String>,
    enhancement: Option<String>,
    model: String,
}

/// Writes what requests cost as a journal.
#[derive(Debug)]
pub struct Journal<W> {
    out: W,
    remark: String,
    costs: BTreeMap<Entry, Usd>,
}

impl<W: Write> Journal<W> {
    /// Returns a journal that begins with `remark`, a line of our own.
    pub fn new(out: W, remark: &str) -> Self {
        Self { out, remark: remark.to_owned(), costs: BTreeMap::new() }
    }
}

impl<W: Write> Export for Journal<W> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        let name = |n: usize| row.names[n].as_deref().map(one_line);
        let entry = Entry {
            day: row.day,
            account: account(row.names[PROJECT].as_deref()),
            task: name(TASK),
            enhancement: name(ENHANCEMENT),
            model: one_line(row.model),
        };
        *self.costs.entry(entry).or_default() += row.cost.total();
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        writeln!(self.out, "; {}\n", self.remark)?;
        writeln!(self.out, "commodity $1000.00\n")?;
        let accounts: BTreeSet<&str> = self.costs.keys().map(|entry| entry.account.as_str()).collect();
        for account in accounts.into_iter().chain([AGAINST]) {
            writeln!(self.out, "account {account}")?;
        }
        for (entry, cost) in self.costs.iter().filter(|(_, cost)| **cost != Usd::ZERO) {
            let Entry { day, account, task, enhancement, model } = entry;
            let tag =
                |name: &str, value: &Option<String>| value.as_deref().map(|value| format!("{name}:{value}"));
            let tags: Vec<String> =
                [tag("task", task), tag("enhancement", enhancement)].into_iter().flatten().collect();
            let comment = if tags.is_empty() { String::new() } else { format!("  ; {}", tags.join(", ")) };
            writeln!(self.out, "\n{day} * {model}{comment}")?;
            writeln!(self.out, "    {account}  ${cost}\n    {AGAINST}  $-{cost}")?;
        }
        self.out.flush()
    }
}

/// Returns the account of a project: the name of its folder, in letters that mean nothing in a journal.
fn account(project: Option<&str>) -> String {
    let name = project.and_then(|path| Path::new(path).file_name()?.to_str()).unwrap_or("unattributed");
    let plain: String = name
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .collect();
    format!("expenses:claude:{plain}")
}

/// Returns a text without what ends a description, a tag or a line.
fn one_line(text: &str) -> String {
    let safe = bearable(text);
    safe.chars().map(|c| if matches!(c, ';' | ',' | '|') { ' ' } else { c }).collect()
}
