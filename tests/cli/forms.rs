//! What reports look like: every form, narrow and wide, coloured or not, with nothing to tell, in a comparison, on the
//! days on which the clock is changed.

use insta::assert_snapshot;

use crate::harness::OPUS;
use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::report::at;

/// The forms of a report.
const FORMS: [&str; 6] = ["table", "plain", "csv", "markdown", "html", "json"];

/// Two requests of a task on two models, and one of none on a branch whose name would be markup.
fn project() -> TestProject {
    let project = TestProject::new()
        .task("T-1", "checkout")
        .session(
            "one",
            &[
                at("2026-11-19T12:00:00Z", "feature/a", "m1", SONNET),
                at("2026-11-20T12:00:00Z", "feature/a", "m2", OPUS),
            ],
        )
        .session("two", &[at("2026-11-20T14:00:00Z", "<b>|`x`,\"", "m3", SONNET)]);
    project.end_session("T-1", "one");
    project.stdout(["reconcile", "--all"]);
    project
}

#[test]
fn a_table_is_as_wide_as_the_terminal_and_the_cost_is_always_in_it() {
    let project = project();
    let shown = |width: &str| {
        let mut report = project.cmat(["report", "--by", "enhancement,branch,model", "--format", "table"]);
        project.seen(&report.env("COLUMNS", width).output().unwrap())
    };
    assert_snapshot!(shown("200"), @r#"
    ENHANCEMENT   BRANCH     MODEL                     REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST
    checkout      feature/a  claude-opus-4-8                  1     10     100    1,000  10,000  $0.0138
                             claude-sonnet-4-20250514         1     10     100    1,000  10,000  $0.0083
    unattributed  <b>|`x`,"  claude-sonnet-4-20250514         1     10     100    1,000  10,000  $0.0083
    Total                                                     3     30     300    3,000  30,000  $0.0304
    "#);
    assert_snapshot!(shown("80"), @r#"
    ENHANCEMENT   BRANCH     MODEL                     REQUESTS  INPUT     COST
    checkout      feature/a  claude-opus-4-8                  1     10  $0.0138
                             claude-sonnet-4-20250514         1     10  $0.0083
    unattributed  <b>|`x`,"  claude-sonnet-4-20250514         1     10  $0.0083
    Total                                                     3     30  $0.0304
    "#);
    assert_snapshot!(shown("40"), @r#"
    ENHANCEMENT   BRANCH     MODEL                        COST
    checkout      feature/a  claude-opus-4-8           $0.0138
                             claude-sonnet-4-20250514  $0.0083
    unattributed  <b>|`x`,"  claude-sonnet-4-20250514  $0.0083
    Total                                              $0.0304
    "#);
    assert_snapshot!(shown("1"), @r#"
    ENHANCEMENT   BRANCH     MODEL                        COST
    checkout      feature/a  claude-opus-4-8           $0.0138
                             claude-sonnet-4-20250514  $0.0083
    unattributed  <b>|`x`,"  claude-sonnet-4-20250514  $0.0083
    Total                                              $0.0304
    "#);
}

#[test]
fn no_colour_and_no_width_changes_what_a_program_reads() {
    let project = project();
    for form in FORMS {
        let report = ["report", "--by", "branch", "--format", form];
        let plain = project.stdout(report);
        assert!(!plain.contains('\u{1b}'), "{form}: {plain}");
        for colour in ["auto", "always", "never"] {
            assert_eq!(project.stdout(report.iter().chain(&["--color", colour])), plain, "{form} {colour}");
        }
    }
    let project = project.env("CLICOLOR_FORCE", "1").env("COLUMNS", "200");
    for form in FORMS.iter().filter(|form| **form != "table") {
        let report = project.stdout(["report", "--by", "branch", "--format", form]);
        assert!(!report.contains('\u{1b}'), "{form}: {report}");
    }
}

#[test]
fn where_nothing_is_asked_for_each_form_is_empty_and_says_so() {
    let project = project();
    for form in FORMS {
        let report = ["report", "--during", "2020-01", "--format", form];
        let seen = project.run(report);
        let (told, words) = seen.split_once("--- stderr\n").unwrap();
        assert_eq!(words, "no requests are recorded that this asks for\n", "{form}");
        match form {
            "table" | "plain" => assert_eq!(told, ""),
            "csv" => assert!(told.starts_with("day,requests,") && told.lines().count() == 1, "{told}"),
            "markdown" => assert_snapshot!(told, @r"
            | day | requests | input | output | c.write | c.read | cost |
            | --- | ---: | ---: | ---: | ---: | ---: | ---: |
            | **Total** | **0** | **0** | **0** | **0** | **0** | **$0.0000** |
            "),
            "html" => assert_snapshot!(told, @r#"
            <table class="cmat-report">
            <caption>Cost of Claude Code requests, 2020-01-01 to 2020-01-31</caption>
            <thead>
            <tr><th scope="col">day</th><th scope="col">requests</th><th scope="col">input</th><th scope="col">output</th><th scope="col">c.write</th><th scope="col">c.read</th><th scope="col">cost</th></tr>
            </thead>
            <tbody>
            </tbody>
            <tfoot>
            <tr><th scope="row">Total</th><td>0</td><td>0</td><td>0</td><td>0</td><td>0</td><td>$0.0000</td></tr>
            </tfoot>
            </table>
            "#),
            _ => {
                assert_snapshot!(told, @r#"{"schema":"cmat.report/1","generated_at":"2026-11-21T12:00:00Z","timezone":"UTC","currency":"USD","billing":"api","filter":{"since":"2020-01-01T00:00:00Z","before":"2020-02-01T00:00:00Z","where":[],"days":["2020-01-01","2020-01-31"]},"by":["day"],"rows":[],"totals":{"requests":0,"input_tokens":0,"output_tokens":0,"cache_write_5m_tokens":0,"cache_write_1h_tokens":0,"cache_read_tokens":0,"web_search_requests":0,"cost_usd":"0","cost_input_usd":"0","cost_output_usd":"0","cost_cache_write_usd":"0","cost_cache_read_usd":"0","cost_web_search_usd":"0","estimated":false,"lower_bound":false,"unpriced_models":[],"models":[]},"warnings":[]}"#)
            }
        }
    }
}

#[test]
fn a_comparison_has_every_form() {
    let project = project();
    let form = |form: &str| {
        let compared = ["--during", "2026-11-20", "--compare", "previous", "--format", form];
        project.stdout(["report", "--by", "branch"].iter().chain(&compared))
    };
    assert_snapshot!(form("plain"), @r#"
    BRANCH     REQUESTS  INPUT  OUTPUT  C.WRITE  C.READ     COST   BEFORE    CHANGE       %
    feature/a         1     10     100    1,000  10,000  $0.0138  $0.0083  +$0.0055   +66.7
    <b>|`x`,"         1     10     100    1,000  10,000  $0.0083  $0.0000  +$0.0083     new
    Total             2     20     200    2,000  20,000  $0.0221  $0.0083  +$0.0138  +166.7
    "#);
    assert_snapshot!(form("csv"), @r#"
    branch,requests,input_tokens,output_tokens,cache_write_5m_tokens,cache_write_1h_tokens,cache_read_tokens,web_search_requests,cost_usd,cost_input_usd,cost_output_usd,cost_cache_write_usd,cost_cache_read_usd,cost_web_search_usd,estimated,lower_bound,models,unpriced_models,cost_before_usd,cost_change_usd
    feature/a,1,10,100,1000,0,10000,0,0.0138,0.00005,0.0025,0.00625,0.005,0,false,false,claude-opus-4-8,,0.00828,0.00552
    "<b>|`x`,""",1,10,100,1000,0,10000,0,0.00828,0.00003,0.0015,0.00375,0.003,0,false,false,claude-sonnet-4-20250514,,0,0.00828
    "#);
    assert_snapshot!(form("markdown"), @r#"
    | branch | requests | input | output | c.write | c.read | cost | before | change | % |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | `feature/a` | 1 | 10 | 100 | 1,000 | 10,000 | $0.0138 | $0.0083 | +$0.0055 | +66.7 |
    | `` <b>\|`x`," `` | 1 | 10 | 100 | 1,000 | 10,000 | $0.0083 | $0.0000 | +$0.0083 | new |
    | **Total** | **2** | **20** | **200** | **2,000** | **20,000** | **$0.0221** | **$0.0083** | **+$0.0138** | **+166.7** |
    "#);
    assert_snapshot!(form("html"), @r#"
    <table class="cmat-report">
    <caption>Cost of Claude Code requests, 2026-11-20</caption>
    <thead>
    <tr><th scope="col">branch</th><th scope="col">requests</th><th scope="col">input</th><th scope="col">output</th><th scope="col">c.write</th><th scope="col">c.read</th><th scope="col">cost</th><th scope="col">before</th><th scope="col">change</th><th scope="col">%</th></tr>
    </thead>
    <tbody>
    <tr><th scope="row">feature/a</th><td>1</td><td>10</td><td>100</td><td>1,000</td><td>10,000</td><td>$0.0138</td><td>$0.0083</td><td>+$0.0055</td><td>+66.7</td></tr>
    <tr><th scope="row">&lt;b&gt;|`x`,&quot;</th><td>1</td><td>10</td><td>100</td><td>1,000</td><td>10,000</td><td>$0.0083</td><td>$0.0000</td><td>+$0.0083</td><td>new</td></tr>
    </tbody>
    <tfoot>
    <tr><th scope="row">Total</th><td>2</td><td>20</td><td>200</td><td>2,000</td><td>20,000</td><td>$0.0221</td><td>$0.0083</td><td>+$0.0138</td><td>+166.7</td></tr>
    </tfoot>
    </table>
    "#);
}

#[test]
fn the_hour_that_comes_twice_is_two_and_the_one_that_is_skipped_is_none() {
    let hour = |time: &str, id: &str| at(time, "main", id, SONNET);
    let project = TestProject::new().session(
        "one",
        &[
            // Berlin: 29 March has no hour from two to three.
            hour("2026-03-28T22:59:59.999Z", "a1"),
            hour("2026-03-28T23:00:00Z", "a2"),
            hour("2026-03-29T00:59:59.999Z", "a3"),
            hour("2026-03-29T01:00:00Z", "a4"),
            hour("2026-03-29T21:59:59.999Z", "a5"),
            hour("2026-03-29T22:00:00Z", "a6"),
            // Berlin: 25 October has two of them.
            hour("2026-10-25T00:30:00Z", "b1"),
            hour("2026-10-25T01:30:00Z", "b2"),
            // New York: 1 November has 25 hours.
            hour("2026-11-01T03:59:59.999Z", "c1"),
            hour("2026-11-01T04:00:00Z", "c2"),
            hour("2026-11-01T05:30:00Z", "c3"),
            hour("2026-11-01T06:30:00Z", "c4"),
            hour("2026-11-02T04:59:59.999Z", "c5"),
            hour("2026-11-02T05:00:00Z", "c6"),
        ],
    );
    project.stdout(["reconcile", "--all"]);
    let told = |zone: &str, by: &str, since: &str, until: &str| {
        let days = ["--since", since, "--until", until, "-z", zone, "--format", "csv"];
        let csv = project.stdout(["report", "--by", by].iter().chain(&days));
        let cells = csv.lines().skip(1).map(|line| line.split(',').take(2).collect::<Vec<_>>().join(" "));
        cells.collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(told("Europe/Berlin", "day", "2026-03-28", "2026-03-30"), @r"
    2026-03-28 1
    2026-03-29 4
    2026-03-30 1
    ");
    assert_snapshot!(told("Europe/Berlin", "day", "2026-03-29", "2026-03-29"), @"2026-03-29 4");
    assert_snapshot!(told("Europe/Berlin", "hour", "2026-03-29", "2026-03-29"), @r"
    2026-03-29T00:00+01:00 1
    2026-03-29T01:00+01:00 1
    2026-03-29T03:00+02:00 1
    2026-03-29T23:00+02:00 1
    ");
    assert_snapshot!(told("Europe/Berlin", "hour", "2026-10-25", "2026-10-25"), @r"
    2026-10-25T02:00+02:00 1
    2026-10-25T02:00+01:00 1
    ");
    assert_snapshot!(told("America/New_York", "day", "2026-10-31", "2026-11-02"), @r"
    2026-10-31 1
    2026-11-01 4
    2026-11-02 1
    ");
    assert_snapshot!(told("America/New_York", "hour", "2026-11-01", "2026-11-01"), @r"
    2026-11-01T00:00-04:00 1
    2026-11-01T01:00-04:00 1
    2026-11-01T01:00-05:00 1
    2026-11-01T23:00-05:00 1
    ");
    assert_snapshot!(told("America/New_York", "week", "2026-10-26", "2026-11-02"), @r"
    2026-10-26 5
    2026-11-02 1
    ");
}
