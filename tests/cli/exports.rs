//! What requests cost, written out for other programs: whole files, exact sums, nothing half-written.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;
use serde_json::json;

use crate::harness::OPUS;
use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::request;

/// A task with two requests on two days, and one request on a branch that begins like a formula.
fn project() -> TestProject {
    let mut late = request("msg_2", OPUS, [200, 20, 1000, 0]);
    late["timestamp"] = "2026-11-21T00:30:00.000Z".into();
    let mut foreign = request("msg_3", SONNET, [300, 30, 0, 0]);
    foreign["gitBranch"] = "=cmd|'/c calc'!A1, \"x\"".into();
    foreign["timestamp"] = "2026-11-21T09:00:00.000Z".into();
    let project = TestProject::new()
        .task("task_1", "login")
        .session("s1", &[request("msg_1", SONNET, [100, 10, 0, 5000]), late])
        .session("s2", &[foreign]);
    assert_eq!(project.end_session("task_1", "s1"), "");
    project.stdout(["reconcile"]);
    project
}

/// A project with so many requests that an export of them takes a while.
fn of_many_requests() -> TestProject {
    let calls: String =
        (0..12_000).map(|n| format!("2026-11-01T09:00:00,analysis,job,{n},0,{n},0.000000\n")).collect();
    let header = "timestamp,operation,job,prompt_tokens,completion_tokens,total_tokens,cost_estimate_usd\n";
    let project = TestProject::new().file("log.csv", format!("{header}{calls}"));
    project.stdout(["import", "token-csv", "log.csv"]);
    project
}

/// Returns what an export to stdout prints there, the hashes of prices left out.
fn printed(project: &TestProject, args: &[&str]) -> String {
    let output = project.cmat(["export"].iter().chain(args)).output().unwrap();
    assert!(output.status.success(), "{}", project.seen(&output));
    let text = String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n");
    let folder = project.project();
    let hash = regex::Regex::new(r"\b[0-9a-f]{16}\b").unwrap();
    hash.replace_all(&text.replace(folder.to_str().unwrap(), "[project]"), "[price]").into_owned()
}

#[test]
fn csv_has_a_row_for_each_request_and_no_formulas() {
    assert_snapshot!(printed(&project(), &["csv", "-"]), @r#"
    timestamp,date,project,branch,ticket,pr,enhancement,task,session,request,agent,operation,model,input_tokens,output_tokens,cache_write_5m_tokens,cache_write_1h_tokens,cache_read_tokens,list_cost_usd,discount_usd,cost_usd,price_id,estimated,user
    2026-11-20T12:00:00.000Z,2026-11-20,[project],main,,,login,task_1,s1,msg_1,implementer,implementation,claude-sonnet-4-20250514,100,10,0,0,5000,0.00195,0,0.00195,[price],false,dana
    2026-11-21T00:30:00.000Z,2026-11-21,[project],main,,,login,task_1,s1,msg_2,implementer,implementation,claude-opus-4-8,200,20,1000,0,0,0.00775,0,0.00775,[price],false,dana
    2026-11-21T09:00:00.000Z,2026-11-21,[project],"'=cmd|'/c calc'!A1, ""x""",,,,,s2,msg_3,,,claude-sonnet-4-20250514,300,30,0,0,0,0.00135,0,0.00135,[price],false,dana
    "#);
}

#[test]
fn an_export_is_a_cost_command_too_and_tells_little_as_more_than_nothing() {
    let project = project();
    let seen = project.run(["cost", "export", "csv", "-", "--columns", "task,cost_usd"]);
    assert_eq!(seen, project.run(["export", "csv", "-", "--columns", "task,cost_usd"]));
    assert_snapshot!(seen, @r"
    task,cost_usd
    task_1,0.00195
    task_1,0.00775
    ,0.00135
    --- stderr
    3 requests, $0.0110 → stdout
    ");
}

#[test]
fn what_a_request_was_made_by_is_told_to_whoever_asks() {
    let mut made = request("m", SONNET, [10, 1, 0, 0]);
    made["attributionSkill"] = "pdf".into();
    made["attributionMcpServer"] = "github".into();
    let asked = json!({
        "type": "user", "uuid": "p", "timestamp": "2026-11-20T11:59:00Z",
        "message": {"content": "<command-message>review</command-message>\n<command-name>/review</command-name>"},
    });
    let project = TestProject::new().session("s", &[asked, made]);
    project.stdout(["reconcile", "--all"]);
    let columns = ["--columns", "request,skill,command,mcp_server,commit,task"];
    assert_snapshot!(printed(&project, &[&["csv", "-"][..], &columns].concat()), @r"
    request,skill,command,mcp_server,commit,task
    m,pdf,/review,github,,
    ");
    let daily = ["csv", "-", "--level", "daily", "--columns", "date,mcp_server,cost_usd"];
    assert_snapshot!(printed(&project, &daily), @r"
    date,mcp_server,cost_usd
    2026-11-20,github,0.000045
    ");
}

#[test]
fn days_are_summed_up_and_are_those_of_the_zone() {
    let columns = "date,branch,task,model,requests,input_tokens,cost_usd";
    let project = project();
    assert_snapshot!(printed(&project, &["csv", "-", "--level", "daily", "--columns", columns]), @r#"
    date,branch,task,model,requests,input_tokens,cost_usd
    2026-11-20,main,task_1,claude-sonnet-4-20250514,1,100,0.00195
    2026-11-21,"'=cmd|'/c calc'!A1, ""x""",,claude-sonnet-4-20250514,1,300,0.00135
    2026-11-21,main,task_1,claude-opus-4-8,1,200,0.00775
    "#);
    let berlin = ["csv", "-", "--level", "daily", "--columns", "date,requests", "-z", "America/New_York"];
    assert_snapshot!(printed(&project, &berlin), @r"
    date,requests
    2026-11-20,2
    2026-11-21,1
    ");
    let one_day = ["csv", "-", "--since", "2026-11-20", "--until", "2026-11-20", "--columns", "request"];
    assert_snapshot!(printed(&project, &one_day), @r"
    request
    msg_1
    ");
    assert_snapshot!(printed(&project, &["csv", "-", "--where", "task=", "--columns", "request"]), @r"
    request
    msg_3
    ");
    assert_snapshot!(printed(&project, &["csv", "-", "--days", "1", "--columns", "request"]), @r"
    request
    msg_2
    msg_3
    ");
}

#[test]
fn the_older_log_is_written_and_read_back() {
    let project = project();
    assert_snapshot!(printed(&project, &["csv", "-", "--columns", "legacy"]), @r"
    timestamp,operation,job,prompt_tokens,completion_tokens,total_tokens,cost_estimate_usd
    2026-11-20T12:00:00.000Z,implementation,task_1,5100,10,5110,0.001950
    2026-11-21T00:30:00.000Z,implementation,task_1,1200,20,1220,0.007750
    2026-11-21T09:00:00.000Z,unattributed,s2,300,30,330,0.001350
    ");
    project.run(["export", "csv", "log.csv", "--columns", "legacy"]);
    let other = TestProject::new().file("log.csv", fs::read(project.project().join("log.csv")).unwrap());
    assert_snapshot!(other.run(["import", "token-csv", "log.csv", "--dry-run"]), @"3 records, 3 new: $0.0207 by the price table, $0.0110 as the file says (nothing is recorded: --dry-run)");
}

#[test]
fn json_has_rows_and_sums() {
    let text = printed(&project(), &["json", "-", "--columns", "timestamp,request,model,cost_usd"]);
    assert_snapshot!(text, @r#"
    {"schema":"cmat.export/1","generated_at":"2026-11-21T12:00:00Z","timezone":"UTC","currency":"USD","billing":"api","filter":{"since":null,"before":null,"where":[]},"rows":[
    {"timestamp":"2026-11-20T12:00:00.000Z","request":"msg_1","model":"claude-sonnet-4-20250514","cost_usd":"0.00195"},
    {"timestamp":"2026-11-21T00:30:00.000Z","request":"msg_2","model":"claude-opus-4-8","cost_usd":"0.00775"},
    {"timestamp":"2026-11-21T09:00:00.000Z","request":"msg_3","model":"claude-sonnet-4-20250514","cost_usd":"0.00135"}
    ],"totals":{"rows":3,"requests":3,"cost_usd":"0.01105","estimated":false,"lower_bound":false,"unpriced":false},"summaries":{"model":{"claude-opus-4-8":"0.00775","claude-sonnet-4-20250514":"0.0033"},"operation":{"":"0.00135","implementation":"0.0097"}},"remark":"Written by cmat: an estimate from list prices, not an invoice.","budgets":[]}
    "#);
    assert!(serde_json::from_str::<Value>(&text).is_ok());
}

#[test]
fn days_in_json_are_summarised_by_what_they_tell_and_budgets_stand_beside() {
    let project = project();
    project.stdout(["budget", "set", "--monthly", "50"]);
    let daily = ["json", "-", "--level", "daily", "--columns", "date,model,requests"];
    let document: Value = serde_json::from_str(&printed(&project, &daily)).unwrap();
    assert_eq!(document["rows"].as_array().unwrap().len(), 3);
    let summaries: Vec<&String> = document["summaries"].as_object().unwrap().keys().collect();
    assert_eq!(summaries, ["model"]);
    let budget = &document["budgets"][0];
    assert_eq!((&budget["limit_usd"], &budget["spent_usd"]), (&"50".into(), &"0.01105".into()));
}

#[test]
fn accounting_balances() {
    assert_snapshot!(printed(&project(), &["ledger", "-"]), @r"
    ; Written by cmat: an estimate from list prices, not an invoice.

    commodity $1000.00

    account expenses:claude:project
    account liabilities:claude

    2026-11-20 * claude-sonnet-4-20250514  ; task:task_1, enhancement:login
        expenses:claude:project  $0.00195
        liabilities:claude  $-0.00195

    2026-11-21 * claude-sonnet-4-20250514
        expenses:claude:project  $0.00135
        liabilities:claude  $-0.00135

    2026-11-21 * claude-opus-4-8  ; task:task_1, enhancement:login
        expenses:claude:project  $0.00775
        liabilities:claude  $-0.00775
    ");
}

#[test]
fn focus_has_a_row_for_each_kind_of_token_of_a_day() {
    let text = printed(&project(), &["focus", "-", "--where", "task=task_1"]);
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let headings = rows.headers().unwrap().clone();
    let told = [
        "ChargePeriodStart",
        "SkuId",
        "ListUnitPrice",
        "PricingQuantity",
        "PricingUnit",
        "BilledCost",
        "Tags",
    ];
    let places = told.map(|name| headings.iter().position(|heading| heading == name).unwrap());
    let mut seen = String::new();
    for row in rows.records() {
        let row = row.unwrap();
        seen += &format!("{}\n", places.map(|place| &row[place]).join("  "));
    }
    assert_snapshot!(seen, @r#"
    2026-11-20T00:00:00Z  claude-sonnet-4-20250514/input  3.0  0.0001  1000000 Tokens  0.0003  {"task":"task_1","enhancement":"login","branch":"main","operation":"implementation","agent":"implementer","user":"dana"}
    2026-11-20T00:00:00Z  claude-sonnet-4-20250514/output  15.0  0.00001  1000000 Tokens  0.00015  {"task":"task_1","enhancement":"login","branch":"main","operation":"implementation","agent":"implementer","user":"dana"}
    2026-11-20T00:00:00Z  claude-sonnet-4-20250514/cache_read  0.3  0.005  1000000 Tokens  0.0015  {"task":"task_1","enhancement":"login","branch":"main","operation":"implementation","agent":"implementer","user":"dana"}
    2026-11-21T00:00:00Z  claude-opus-4-8/input  5.0  0.0002  1000000 Tokens  0.001  {"task":"task_1","enhancement":"login","branch":"main","operation":"implementation","agent":"implementer","user":"dana"}
    2026-11-21T00:00:00Z  claude-opus-4-8/output  25.0  0.00002  1000000 Tokens  0.0005  {"task":"task_1","enhancement":"login","branch":"main","operation":"implementation","agent":"implementer","user":"dana"}
    2026-11-21T00:00:00Z  claude-opus-4-8/cache_write_5m  6.25  0.001  1000000 Tokens  0.00625  {"task":"task_1","enhancement":"login","branch":"main","operation":"implementation","agent":"implementer","user":"dana"}
    "#);
}

#[test]
fn a_subscription_is_billed_nothing() {
    let project = project().file(".claude/cmat.toml", "billing = \"subscription\"\n");
    let text = printed(&project, &["focus", "-"]);
    assert!(text.lines().skip(1).all(|line| line.starts_with("0.0,")), "{text}");
}

#[test]
fn a_file_that_is_there_stays_unless_it_may_go() {
    let project = project();
    assert_snapshot!(project.run(["export", "csv", "costs.csv"]), @r"
    --- stderr
    3 requests, $0.0110 → costs.csv
    ");
    let before = fs::read(project.project().join("costs.csv")).unwrap();
    assert_snapshot!(project.run(["export", "json", "costs.csv"]), @r"
    --- stderr
    Error: `[project]/costs.csv` already exists; `--force` replaces it
    --- exit 1
    ");
    assert_eq!(fs::read(project.project().join("costs.csv")).unwrap(), before);
    assert_snapshot!(project.run(["export", "json", "costs.csv", "--force"]), @r"
    --- stderr
    3 requests, $0.0110 → costs.csv
    ");
    assert_ne!(fs::read(project.project().join("costs.csv")).unwrap(), before);
}

#[test]
fn a_full_disk_leaves_no_half_file() {
    // More than the limit lets through, which is enough for the ledger to be opened.
    let project = of_many_requests();
    let program = project.cmat(["export"]).get_program().to_owned();
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1024; exec \"$@\"", "sh"]).arg(program);
    limited.args(["export", "csv", "costs.csv", "--columns", "all"]).current_dir(project.project());
    project.surround(&mut limited);
    let seen = project.seen(&limited.output().unwrap());
    assert!(seen.starts_with("--- stderr\nError: the export could not be written: File too large"), "{seen}");
    let names: Vec<_> =
        fs::read_dir(project.project()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("costs")), "{names:?}");
}

#[test]
fn an_export_that_a_signal_ends_leaves_nothing() {
    let project = of_many_requests();
    for signal in ["INT", "TERM"] {
        let mut export = project.cmat(["export", "csv", "costs.csv", "--force"]).spawn().unwrap();
        let is_begun = || unfinished(&project).iter().any(|name| name.starts_with(".cmat-costs.csv-"));
        while !is_begun() && export.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let pid = export.id().to_string();
        std::process::Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
        export.wait().unwrap();
        assert_eq!(unfinished(&project), [""; 0], "{signal}");
    }
}

/// Returns the names of the files in the project that are not whole.
fn unfinished(project: &TestProject) -> Vec<String> {
    let names = fs::read_dir(project.project()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".cmat-")).collect()
}

#[test]
fn a_folder_has_a_file_for_each_day() {
    let project = project();
    assert_snapshot!(project.run(["export", "parquet", "lake", "--partition"]).replace(&machine(&project), "[machine]"), @r"
    --- stderr
    3 requests, $0.0110 → [project]/lake/date=*/part-[machine].parquet
    ");
    let days = || -> Vec<String> {
        let mut days: Vec<_> = fs::read_dir(project.project().join("lake"))
            .unwrap()
            .map(|day| day.unwrap().file_name().into_string().unwrap())
            .collect();
        days.sort();
        days
    };
    assert_eq!(days(), ["date=2026-11-20", "date=2026-11-21"]);
    let again = project.run(["export", "parquet", "lake", "--partition"]);
    assert!(again.contains("already exists; `--force` replaces it"), "{again}");
    let replaced = project.run(["export", "parquet", "lake", "--partition", "--force"]);
    assert!(replaced.starts_with("--- stderr\n3 requests, "), "{replaced}");
}

/// Returns the name of this machine, as the files of a folder have it.
fn machine(project: &TestProject) -> String {
    let day = fs::read_dir(project.project().join("lake/date=2026-11-20")).unwrap().next().unwrap().unwrap();
    let name = day.file_name().into_string().unwrap();
    name.trim_start_matches("part-").trim_end_matches(".parquet").to_owned()
}

#[test]
fn what_cannot_be_exported_is_told() {
    let project = TestProject::new();
    assert_snapshot!(project.run(["export", "csv", "-", "--columns", "date,weather"]), @r"
    --- stderr
    error: invalid value 'date,weather' for '--columns <COLUMNS>': `weather` is no column: expected `legacy`, `all` or some of timestamp, date, project, branch, ticket, pr, enhancement, task, session, request, agent, operation, model, requests, input_tokens, output_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, web_search_requests, list_cost_usd, discount_usd, cost_usd, price_id, estimated, lower_bound, user, source, commit, skill, command, mcp_server, cost_reported_usd

    For more information, try '--help'.
    --- exit 2
    ");
    for columns in ["legacy", "date,timestamp", "session"] {
        let seen = project.run(["export", "csv", "-", "--level", "daily", "--columns", columns]);
        assert!(seen.contains("Error: a sum of a day has no `") && seen.ends_with("exit 2\n"), "{seen}");
    }
    assert_snapshot!(project.run(["export", "focus", "-", "--level", "daily"]), @r"
    --- stderr
    Error: `--columns` and `--level` are for csv, json and parquet
    --- exit 2
    ");
    assert_snapshot!(project.run(["export", "csv", "lake", "--partition"]), @r"
    --- stderr
    Error: `--partition` is for parquet
    --- exit 2
    ");
    assert_snapshot!(project.run(["export", "csv", "no/such/folder/costs.csv"]), @"
    --- stderr
    Error: cannot write a new version of `[project]/no/such/folder/costs.csv`: there is no folder `[project]/no/such/folder`
    --- exit 1
    ");
    assert_snapshot!(project.run(["export", "csv", "-", "--since", "2026-11-02", "--until", "2026-11-01"]), @r"
    --- stderr
    Error: since 2026-11-02 is after until 2026-11-01
    --- exit 2
    ");
    assert_snapshot!(project.run(["export", "csv", "-", "--where", "weather=fine"]), @r"
    --- stderr
    error: invalid value 'weather=fine' for '--where <DIMENSION=VALUE>': `weather` is no dimension: expected one of hour, day, week, month, task, enhancement, branch, ticket, pr, commit, agent, skill, command, mcp-server, operation, model, session, project, user, tag:KEY

    For more information, try '--help'.
    --- exit 2
    ");
    assert_snapshot!(project.run(["export", "csv", "-", "--columns", "date"]), @r"
    date
    --- stderr
    0 requests, $0.0000 → stdout
    no requests are recorded that this asks for
    ");
}
