//! A report as a piece of HTML, to be put into a page.

use std::fmt::Write as _;

use crate::printable::Printable;
use crate::report::sheet::Sheet;
use crate::report::sheet::text;

/// Returns the report as an HTML table with a caption; all foreign text is escaped, and no style is set.
pub fn html(sheet: &Sheet, caption: &str) -> String {
    let headings = text::headings(sheet, text::N_FIGURES);
    let mut out = String::new();
    let _infallible = writeln!(out, "<table class=\"cmat-report\">\n<caption>{}</caption>", escaped(caption));
    let headings: String =
        headings.iter().map(|name| format!("<th scope=\"col\">{}</th>", escaped(name))).collect();
    let _infallible = writeln!(out, "<thead>\n<tr>{headings}</tr>\n</thead>\n<tbody>");
    for row in &sheet.rows {
        let labels: Vec<String> = row.labels.iter().map(|label| label.text()).collect();
        line(&mut out, &labels, &text::figures(sheet, row, text::N_FIGURES));
    }
    out.push_str("</tbody>\n<tfoot>\n");
    let mut total = vec![String::new(); sheet.by.len()];
    total[0] = "Total".to_owned();
    line(&mut out, &total, &text::figures(sheet, &sheet.total, text::N_FIGURES));
    out.push_str("</tfoot>\n</table>\n");
    out
}

fn line(out: &mut String, labels: &[String], figures: &[String]) {
    let labels: String =
        labels.iter().map(|label| format!("<th scope=\"row\">{}</th>", escaped(label))).collect();
    let figures: String = figures.iter().map(|figure| format!("<td>{}</td>", escaped(figure))).collect();
    let _infallible = writeln!(out, "<tr>{labels}{figures}</tr>");
}

/// Returns text as HTML shows it, as content and between quotation marks.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in Printable(text).to_string().chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
