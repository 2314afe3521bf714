//! A report for a terminal or a pipe: aligned columns, a total.

use crate::money::Usd;
use crate::money::grouped;
use crate::printable::Printable;
use crate::report::Certainty;
use crate::report::sheet::Label;
use crate::report::sheet::Row;
use crate::report::sheet::Sheet;
use crate::report::sheet::before;
use crate::report::table;
use crate::report::table::Side;
use crate::summary::Totals;

/// What stands where a row's label is that of the row above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// Nothing, as a person reads it.
    Blank,
    /// The label again, as `awk` reads it.
    Written,
}

/// What two decimal places would show as nothing.
const HALF_A_CENT: Usd = Usd::from_pico(5_000_000_000);

/// A column of figures: its heading, and what a row has there. The last ones are given up first on a narrow terminal.
type Column = (&'static str, fn(&Totals) -> String);

/// The columns of figures but the cost, in the order in which they stand.
const FIGURES: [Column; 5] = [
    ("requests", |totals| grouped(totals.requests)),
    ("input", |totals| grouped(totals.tokens.input)),
    ("output", |totals| grouped(totals.tokens.output)),
    ("c.write", |totals| grouped(totals.tokens.cache_write())),
    ("c.read", |totals| grouped(totals.tokens.cache_read)),
];

/// How many columns of figures there are beside the costs.
pub(super) const N_FIGURES: usize = FIGURES.len();

/// Returns the report as aligned text, at most `width` columns wide if that can be done by leaving out figures; the
/// labels and the cost always stand.
pub fn text(sheet: &Sheet, repeats: Repeats, width: Option<usize>) -> String {
    let fits = |text: &String| width.is_none_or(|width| text.lines().all(|line| table::width(line) <= width));
    let mut n_figures = N_FIGURES;
    let mut text = with_figures(sheet, repeats, n_figures);
    while !fits(&text) && n_figures > 0 {
        n_figures -= 1;
        text = with_figures(sheet, repeats, n_figures);
    }
    text
}

/// Returns the report with the first `n_figures` columns of figures, and the costs.
fn with_figures(sheet: &Sheet, repeats: Repeats, n_figures: usize) -> String {
    let names: Vec<String> = headings(sheet, n_figures).iter().map(|name| name.to_uppercase()).collect();
    let side = |place: usize| if place < sheet.by.len() { Side::Left } else { Side::Right };
    let headings: Vec<(&str, Side)> =
        names.iter().enumerate().map(|(place, name)| (name.as_str(), side(place))).collect();
    let mut previous: &[Label] = &[];
    let mut rows = Vec::with_capacity(sheet.rows.len() + 1);
    for row in &sheet.rows {
        let mut cells = labels(row, previous, repeats);
        cells.extend(figures(sheet, row, n_figures));
        rows.push(cells);
        previous = &row.labels;
    }
    let mut total = vec![String::new(); sheet.by.len()];
    total[0] = "Total".to_owned();
    total.extend(figures(sheet, &sheet.total, n_figures));
    rows.push(total);
    table::render(&headings, rows)
}

/// Returns what the columns are called, with the first `n_figures` columns of figures.
pub(super) fn headings(sheet: &Sheet, n_figures: usize) -> Vec<String> {
    let mut headings: Vec<String> = sheet.by.iter().map(ToString::to_string).collect();
    headings.extend(FIGURES.iter().take(n_figures).map(|(heading, _)| (*heading).to_owned()));
    headings.push(sheet.cost_heading().to_owned());
    if sheet.compares() {
        headings.extend(["before", "change", "%"].map(str::to_owned));
    }
    headings
}

fn labels(row: &Row, previous: &[Label], repeats: Repeats) -> Vec<String> {
    let mut is_repeated = repeats == Repeats::Blank;
    let text = |(place, label): (usize, &Label)| {
        is_repeated = is_repeated && previous.get(place) == Some(label) && place + 1 < row.labels.len();
        if is_repeated { String::new() } else { Printable(&label.text()).to_string() }
    };
    row.labels.iter().enumerate().map(text).collect()
}

/// Returns what stands in the first `n_figures` columns of figures, and the costs.
pub(super) fn figures(sheet: &Sheet, row: &Row, n_figures: usize) -> Vec<String> {
    let places = sheet.places();
    let mut cells: Vec<String> =
        FIGURES.iter().take(n_figures).map(|(_, figure)| figure(&row.totals)).collect();
    cells.push(amount(&row.totals, places));
    if let Some(before) = &row.before {
        cells.extend([amount(before, places), change(row, places), change_in_percent(row)]);
    }
    cells
}

/// Returns an amount with its marks: `$8.42`, `~$8.42+`.
fn amount(totals: &Totals, places: u32) -> String {
    let certainty = Certainty::of(totals);
    let tilde = if certainty.estimated { "~" } else { "" };
    let plus = if certainty.at_least { "+" } else { "" };
    let cost = totals.cost.total();
    // Little is not shown as nothing beside what is large.
    let is_little = Usd::ZERO < cost && cost < HALF_A_CENT;
    let places = if is_little { super::super::places(cost) } else { places };
    format!("{tilde}${}{plus}", cost.rounded(places))
}

/// Returns how much more a row cost than before, with its sign.
fn change(row: &Row, places: u32) -> String {
    let change = row.totals.cost.total() - before(row);
    let sign = if change < Usd::ZERO { "-" } else { "+" };
    let size = if change < Usd::ZERO { -change } else { change };
    format!("{sign}${}", size.rounded(places))
}

/// Returns the same in percent of before; `new` where there was nothing.
fn change_in_percent(row: &Row) -> String {
    let (now, before) = (row.totals.cost.total(), before(row));
    if before == Usd::ZERO {
        return if now == Usd::ZERO { String::new() } else { "new".to_owned() };
    }
    let (change, before) = ((now - before).pico(), before.pico().unsigned_abs());
    let per_mille = change.unsigned_abs().saturating_mul(1000).saturating_add(before / 2) / before;
    let sign = if change < 0 { "-" } else { "+" };
    format!("{sign}{}.{}", grouped(per_mille / 10), per_mille % 10)
}
