//! Orders of a report, rows that are left out, and foreign names in each form.

use insta::assert_snapshot;

use super::*;

fn group(keys: &[&str], cost: &str, requests: u64) -> Group {
    let key = |name: &&str| if name.is_empty() { Key::Unattributed } else { Key::Name((*name).to_owned()) };
    let mut totals = Totals { requests, ..Totals::default() };
    totals.cost.output = cost.parse().unwrap();
    let (first, last) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    Group { keys: keys.iter().map(key).collect(), totals, models: Vec::new(), first, last }
}

fn sheet(by: &[&str], groups: Vec<Group>, before: Option<Vec<Group>>) -> Sheet {
    let by: Vec<Dimension> = by.iter().map(|name| name.parse().unwrap()).collect();
    Sheet::new(&by, groups, before, &Calendar::default(), Billing::Api)
}

/// Returns the report with no figure but the costs.
fn shown(sheet: &Sheet) -> String {
    text(sheet, Repeats::Blank, Some(1))
}

fn by_branch_and_model() -> Sheet {
    let groups = vec![
        group(&["a", "opus"], "1", 9),
        group(&["a", "haiku"], "2", 1),
        group(&["b", "opus"], "2.5", 2),
        group(&["", "opus"], "0.1", 1),
        group(&["c", "opus"], "0.2", 1),
        group(&["d", "opus"], "0.3", 1),
    ];
    sheet(&["branch", "model"], groups, None)
}

#[test]
fn the_dearest_whole_comes_first_and_its_dearest_part() {
    let mut sheet = by_branch_and_model();
    assert_snapshot!(shown(&sheet), @r"
    BRANCH        MODEL     COST
    a             haiku  $2.0000
                  opus   $1.0000
    b             opus   $2.5000
    d             opus   $0.3000
    c             opus   $0.2000
    unattributed  opus   $0.1000
    Total                $6.1000
    ");
    sheet.sort(Order::Name);
    let labels =
        |sheet: &Sheet| -> Vec<String> { sheet.rows.iter().map(|row| row.labels[0].text()).collect() };
    assert_eq!(labels(&sheet), ["a", "a", "b", "c", "d", "unattributed"]);
    sheet.sort(Order::Requests);
    assert_eq!(labels(&sheet), ["a", "a", "b", "c", "d", "unattributed"]);
}

#[test]
fn little_is_not_shown_as_nothing_beside_what_is_large() {
    let sheet = sheet(&["branch"], vec![group(&["a"], "12.345", 9), group(&["b"], "0.0047", 1)], None);
    assert_snapshot!(shown(&sheet), @r"
    BRANCH     COST
    a        $12.34
    b       $0.0047
    Total    $12.35
    ");
}

#[test]
fn what_is_left_out_stands_in_a_row_of_its_own_and_what_is_unattributed_stays() {
    let mut sheet = by_branch_and_model();
    sheet.keep_top(1);
    assert_snapshot!(shown(&sheet), @r"
    BRANCH        MODEL     COST
    a             haiku  $2.0000
                  opus   $1.0000
    unattributed  opus   $0.1000
    3 others             $3.0000
    Total                $6.1000
    ");
}

#[test]
fn a_comparison_has_the_rows_of_both_periods() {
    let now = vec![group(&["a"], "3", 1), group(&["new"], "1", 1)];
    let before = vec![group(&["a"], "2", 1), group(&["gone"], "0.5", 1)];
    let mut sheet = sheet(&["branch"], now, Some(before));
    assert_snapshot!(shown(&sheet), @r"
    BRANCH     COST   BEFORE    CHANGE       %
    a       $3.0000  $2.0000  +$1.0000   +50.0
    new     $1.0000  $0.0000  +$1.0000     new
    gone    $0.0000  $0.5000  -$0.5000  -100.0
    Total   $4.0000  $2.5000  +$1.5000   +60.0
    ");
    sheet.sort(Order::Change);
    assert_eq!(sheet.rows[2].labels, [Label::Name("gone".to_owned())]);
}

#[test]
fn a_foreign_name_is_a_name_in_every_form() {
    let names =
        ["=cmd|' /C calc'!A0", "@team <b>&\"x\"</b>", "a|b`c``d", "\u{1b}[31m\u{202e}red", "größer 日本"];
    let groups = names.iter().map(|name| group(&[name], "1", 1)).collect();
    let sheet = sheet(&["branch"], groups, None);
    assert_snapshot!(text(&sheet, Repeats::Written, None), @r#"
    BRANCH                 REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
    \u{1b}[31m\u{202e}red         1      0       0        0       0  $1.0000
    =cmd|' /C calc'!A0            1      0       0        0       0  $1.0000
    @team <b>&"x"</b>             1      0       0        0       0  $1.0000
    a|b`c``d                      1      0       0        0       0  $1.0000
    größer 日本                   1      0       0        0       0  $1.0000
    Total                         5      0       0        0       0  $5.0000
    "#);
    let first_cells: Vec<String> =
        csv(&sheet).lines().map(|line| line.split(",1,0").next().unwrap().to_owned()).collect();
    assert_snapshot!(first_cells[1..].join("\n"), @r#"
    \u{1b}[31m\u{202e}red
    '=cmd|' /C calc'!A0
    "'@team <b>&""x""</b>"
    a|b`c``d
    größer 日本
    "#);
    assert_snapshot!(markdown(&sheet, Some(7)), @r#"
    <!-- cmat:pr:7 -->
    | branch | requests | input | output | c.write | c.read | cost |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: |
    | `\u{1b}[31m\u{202e}red` | 1 | 0 | 0 | 0 | 0 | $1.0000 |
    | `=cmd\|' /C calc'!A0` | 1 | 0 | 0 | 0 | 0 | $1.0000 |
    | `@team <b>&"x"</b>` | 1 | 0 | 0 | 0 | 0 | $1.0000 |
    | ``` a\|b`c``d ``` | 1 | 0 | 0 | 0 | 0 | $1.0000 |
    | `größer 日本` | 1 | 0 | 0 | 0 | 0 | $1.0000 |
    | **Total** | **5** | **0** | **0** | **0** | **0** | **$5.0000** |
    "#);
    let cells: Vec<String> = html(&sheet, "A <caption>")
        .lines()
        .filter(|line| line.contains("row\""))
        .map(|line| line[..line.find("</th>").unwrap()].to_owned())
        .collect();
    assert_snapshot!(cells.join("\n"), @r#"
    <tr><th scope="row">\u{1b}[31m\u{202e}red
    <tr><th scope="row">=cmd|&#39; /C calc&#39;!A0
    <tr><th scope="row">@team &lt;b&gt;&amp;&quot;x&quot;&lt;/b&gt;
    <tr><th scope="row">a|b`c``d
    <tr><th scope="row">größer 日本
    <tr><th scope="row">Total
    "#);
}
