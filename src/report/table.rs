//! Plain tables: a heading, right-aligned figures, no borders.

use comfy_table::CellAlignment;
use comfy_table::Table;
use comfy_table::presets;
use unicode_width::UnicodeWidthStr;

/// Which side a column's cells stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Names.
    Left,
    /// Figures.
    Right,
}

/// Returns `rows` below `headings`, each line indented by two spaces and without trailing spaces.
pub fn render(headings: &[(&str, Side)], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headings.iter().map(|(heading, _)| *heading));
    for row in rows {
        table.add_row(row);
    }
    for (column, (_, side)) in table.column_iter_mut().zip(headings) {
        column.set_padding((0, 2));
        column.set_cell_alignment(match side {
            Side::Left => CellAlignment::Left,
            Side::Right => CellAlignment::Right,
        });
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Returns how many columns of a terminal a line takes.
pub fn width(line: &str) -> usize {
    UnicodeWidthStr::width(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn aligns_names_left_and_figures_right() {
        let rows = [("a", "1"), ("größer", "1,234")].map(|(a, b)| vec![a.to_owned(), b.to_owned()]);
        assert_snapshot!(render(&[("NAME", Side::Left), ("COST", Side::Right)], rows), @r"
          NAME     COST
          a           1
          größer  1,234
        ");
    }
}
