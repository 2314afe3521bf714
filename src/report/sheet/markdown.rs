//! A report as a table of GitHub's Markdown.

use std::fmt::Write as _;

use crate::printable::Printable;
use crate::report::sheet::Label;
use crate::report::sheet::Row;
use crate::report::sheet::Sheet;
use crate::report::sheet::text;

/// Returns the report as a Markdown table; with the number of a pull request, behind a hidden mark by which a later
/// comment finds this one and takes its place.
pub fn markdown(sheet: &Sheet, pull_request: Option<u32>) -> String {
    let mut out = String::new();
    if let Some(number) = pull_request {
        let _infallible = writeln!(out, "<!-- cmat:pr:{number} -->");
    }
    let headings = text::headings(sheet, text::N_FIGURES);
    let rule =
        (0..headings.len()).map(|place| if place < sheet.by.len() { "---" } else { "---:" }.to_owned());
    line(&mut out, &headings);
    line(&mut out, &rule.collect::<Vec<_>>());
    for row in &sheet.rows {
        let labels = row.labels.iter().map(|label| match label {
            Label::Name(name) => code(name),
            other => other.text(),
        });
        let cells: Vec<String> = labels.chain(figures(sheet, row)).collect();
        line(&mut out, &cells);
    }
    let mut total = vec![String::new(); sheet.by.len()];
    total[0] = "Total".to_owned();
    total.extend(figures(sheet, &sheet.total));
    let bold = |cell: &String| if cell.is_empty() { String::new() } else { format!("**{cell}**") };
    line(&mut out, &total.iter().map(bold).collect::<Vec<_>>());
    out
}

fn line(out: &mut String, cells: &[String]) {
    let _infallible = writeln!(out, "| {} |", cells.join(" | "));
}

fn figures(sheet: &Sheet, row: &Row) -> Vec<String> {
    // Two tildes would strike out what stands between them.
    text::figures(sheet, row, text::N_FIGURES).iter().map(|figure| figure.replace('~', "\\~")).collect()
}

/// Returns foreign text as code, in which it names nobody, links nowhere and ends no cell.
fn code(name: &str) -> String {
    let name = Printable(name).to_string().replace('|', "\\|");
    let longest = name.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if longest > 0 || name.trim().is_empty() { " " } else { "" };
    format!("{fence}{pad}{name}{pad}{fence}")
}
