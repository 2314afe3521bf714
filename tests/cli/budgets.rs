//! `cmat budget …`: limits are written, summed up and held, and nobody loosens one by the way.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use crate::harness::OPUS;
use crate::harness::SONNET;
use crate::harness::TestProject;
use crate::harness::feed;
use crate::harness::request;

/// A session of 20 November that costs $0.018 for task_1, and one of the 21st that costs $0.50.
pub(crate) fn project() -> TestProject {
    let mut today = request("msg_2", OPUS, [0, 20_000, 0, 0]);
    today["timestamp"] = "2026-11-21T08:00:00.000Z".into();
    let project = TestProject::new()
        .task("task_1", "checkout")
        .task("task_2", "login")
        .session("s-1", &[request("msg_1", SONNET, [1_000, 1_000, 0, 0])])
        .session("s-2", &[today]);
    assert_eq!(project.end_session("task_1", "s-1"), "");
    assert_eq!(project.end_session("task_2", "s-2"), "");
    project
}

impl TestProject {
    pub(crate) fn user_config(&self) -> std::path::PathBuf {
        self.home().join(".config/cmat/config.toml")
    }

    fn write_user_config(&self, text: &str) {
        fs::create_dir_all(self.user_config().parent().unwrap()).unwrap();
        fs::write(self.user_config(), text).unwrap();
    }
}

#[test]
fn budgets_are_set_and_stand_as_what_was_spent() {
    let project = project();
    assert_snapshot!(project.stdout(["budget", "status"]), @"no budget holds here; one is set with, for example:  cmat budget set --monthly 50");
    assert_snapshot!(project.stdout(["set-budget", "--daily", "5.00", "--monthly", "0.60"]), @"
    user/day: $5.00, in ~/.config/cmat/config.toml
    user/month: $0.60, in ~/.config/cmat/config.toml
    No session of Claude Code stops at a budget yet: cmat init --enforce installs what asks them
    ");
    assert_snapshot!(project.stdout(["budget", "set", "--total", "0.5", "--enhancement", "login", "--on-exceed", "ask"]), @"
    enhancement:login/total: $0.50, in ~/.config/cmat/config.toml
    No session of Claude Code stops at a budget yet: cmat init --enforce installs what asks them
    ");
    assert_snapshot!(project.stdout(["budget", "set", "--total", "2", "--task", "*", "--warn", "50,90,50"]), @"
    task:*/total: $2.00, in ~/.config/cmat/config.toml
    No session of Claude Code stops at a budget yet: cmat init --enforce installs what asks them
    ");
    assert_snapshot!(project.stdout(["budget", "list"]), @"
      BUDGET                     LIMIT  WARN      WHEN USED UP  ZONE  FILE
      user/day                   $5.00  80,100 %  block         UTC   user
      user/month               $0.6000  80,100 %  block         UTC   user
      enhancement:login/total  $0.5000  80,100 %  ask           UTC   user
      task:*/total               $2.00  50,90 %   block         UTC   user
    ");
    assert_snapshot!(project.stdout(["budget", "status"]), @"
      SCOPE              PERIOD    SPENT    LIMIT   USED  FORECAST  STATE
      user               day       $0.50    $5.00   10 %         –  ok
      user               month   $0.5180  $0.6000   86 %         –  ok
      enhancement:login  total   $0.5000  $0.5000  100 %         –  x asks before tools
      task:*             total         –    $2.00      –         –  each on its own
    ");
    let of_task = project.env("CMAT_CURRENT_TASK_ID", "task_1");
    assert_snapshot!(of_task.stdout(["budget", "status"]), @"
      SCOPE              PERIOD    SPENT    LIMIT   USED  FORECAST  STATE
      user               day       $0.50    $5.00   10 %         –  ok
      user               month   $0.5180  $0.6000   86 %         –  ok
      enhancement:login  total   $0.5000  $0.5000  100 %         –  x asks before tools
      task:task_1        total     $0.02    $2.00    0 %         –  ok
    ");
}

#[test]
fn what_was_spent_is_told_with_the_budgets() {
    let project = project();
    assert!(!project.stdout(["status"]).contains("LIMIT"));
    project.stdout(["budget", "set", "--monthly", "1"]);
    let status = project.stdout(["budget", "status"]);
    assert!(status.contains("month"));
    let json = |arguments: &[&str]| -> Value { serde_json::from_str(&project.stdout(arguments)).unwrap() };
    let rows = json(&["budget", "status", "--json"])["rows"].take();
    for command in ["status", "summary"] {
        assert!(project.stdout([command]).contains(&status), "{command}");
        assert_eq!(json(&[command, "--json"])["budgets"], rows, "{command}");
    }
}

#[test]
fn a_check_says_whether_an_amount_may_be_spent() {
    let project = project();
    assert_snapshot!(project.stdout(["budget", "check", "--estimate", "1000"]), @"ok: no budget holds here");
    project.stdout(["budget", "set", "--monthly", "1"]);
    assert_snapshot!(project.stdout(["budget", "check"]), @"ok: $0.48 left – user $0.52 of $1.00 (this month)");
    assert_snapshot!(project.stdout(["budget", "check", "--estimate", "0.482"]), @"ok: $0.48 left – user $0.52 of $1.00 (this month)");
    assert_snapshot!(project.run(["budget", "check", "--estimate", "0.483"]), @r#"
    --- stderr
    cmat: $0.48 more would pass the budget – user $0.52 of $1.00 (this month).
      Why: cmat budget status   Continue, from your own terminal: cmat budget override user/month --amount 0.3 --for 2h --reason "…"
    --- exit 3
    "#);
    let json: Value = serde_json::from_str(&project.stdout(["budget", "check", "--json"])).unwrap();
    assert_eq!((&json["ok"], &json["rows"][0]["left_usd"]), (&true.into(), &"0.482".into()));
}

#[test]
fn amounts_that_are_none_are_refused_and_nothing_is_written() {
    let project = TestProject::new();
    for (amount, expected) in [
        ("-5", "`-5` is negative: an amount is above zero"),
        ("0", "`0` is zero: an amount is above zero"),
        ("1,000", "`1,000` has a comma: write a point before cents"),
        ("$5", "`$5` names a currency or a unit: amounts are US dollars"),
        ("5 EUR", "`5 EUR` names a currency or a unit: amounts are US dollars"),
        (
            "1234567890123456789012345678901234567890",
            "is too large: an amount is at most 1000000000 US dollars",
        ),
    ] {
        let seen = project.run(["budget", "set", "--daily", amount]);
        assert!(seen.contains(expected) && seen.ends_with("--- exit 2\n"), "{seen}");
        let seen = project.run(["budget", "check", "--estimate", amount]);
        assert!(seen.contains(expected) && seen.ends_with("--- exit 2\n"), "{seen}");
    }
    assert!(!project.user_config().exists());
    assert_snapshot!(project.run(["budget", "set", "--daily", "5", "--warn", "80,abc"]), @"
    --- stderr
    error: invalid value 'abc' for '--warn <PERCENT,…>': expected a whole number, such as 80

    For more information, try '--help'.
    --- exit 2
    ");
    assert_snapshot!(project.run(["budget", "set", "--daily", "5", "--warn", "0"]), @"
    --- stderr
    Error: `--warn`: 0 is out of range, thresholds are percentages from 1 to 1000
    --- exit 1
    ");
    assert!(!project.user_config().exists());
}

#[test]
fn who_sets_a_budget_hears_that_nothing_stops_at_it_yet() {
    let project = TestProject::new();
    let enforced = || -> Value {
        let document = project.stdout(["budget", "set", "--daily", "5", "--json"]);
        serde_json::from_str::<Value>(&document).unwrap()["enforced"].take()
    };
    assert_snapshot!(project.stdout(["budget", "set", "--daily", "5"]), @"
    user/day: $5.00, in ~/.config/cmat/config.toml
    No session of Claude Code stops at a budget yet: cmat init --enforce installs what asks them
    ");
    assert_snapshot!(project.stdout(["budget", "set", "--weekly", "9", "--on-exceed", "warn"]), @"user/week: $9.00, in ~/.config/cmat/config.toml");
    assert_eq!(enforced(), false);
    project.stdout(["init"]);
    assert_eq!(enforced(), false);
    project.run(["init", "--enforce"]);
    assert_eq!(enforced(), true);
    assert_snapshot!(project.stdout(["budget", "set", "--daily", "6"]), @"user/day: $6.00, in ~/.config/cmat/config.toml");
}

#[test]
fn a_model_that_no_price_is_known_of_is_told() {
    let project = TestProject::new();
    let set = |option: &str, model: &str| project.run(["budget", "set", "--daily", "5", option, model]);
    assert_snapshot!(set("--downgrade-to", "hiku"), @"
    --- stderr
    Error: no price row is for `hiku`, so no session could go on with it: name a model, as `cmat models list --all` does, or a family of models, such as haiku
    --- exit 1
    ");
    assert!(!project.user_config().exists());
    for known in ["haiku", "claude-haiku-4-5"] {
        assert!(set("--downgrade-to", known).starts_with("user/day: $5.00"));
    }
    assert_snapshot!(set("--model", "claude-sonet-4"), @"
    model:claude-sonet-4/day: $5.00, in ~/.config/cmat/config.toml
    No session of Claude Code stops at a budget yet: cmat init --enforce installs what asks them
    --- stderr
    Warning: no price row is for `claude-sonet-4`, so no money is counted for it (`cmat models list --all` shows them, `cmat models add` adds one)
    ");
    for known in ["sonnet", "claude-sonnet-4-5", "*"] {
        assert!(!set("--model", known).contains("Warning"), "{known}");
    }
    let told =
        || project.run(["doctor"]).lines().find(|line| line.contains("cheaper models")).map(str::to_owned);
    assert_eq!(told(), None);
    let config = fs::read_to_string(project.user_config()).unwrap();
    project.write_user_config(&config.replace("claude-haiku-4-5", "claude-hiku"));
    assert_snapshot!(told().unwrap(), @"  !    cheaper models         user/day downgrades to `claude-hiku`, which no price row is for: it blocks");
}

#[test]
fn the_users_file_keeps_its_comments() {
    let project = TestProject::new();
    project.write_user_config(
        "# mine\nbilling = \"api\" # as it is\nbudget = [\n  # what I agreed to\n  { scope = \"user\", period = \"month\", limit = \"50.00\", warn = [50, 80, 100], forecast=[100], on_exceed = \"block\" }, # until May\n]\n",
    );
    project.stdout(["budget", "set", "--monthly", "60", "--on-exceed", "warn"]);
    project.stdout(["budget", "set", "--daily", "5"]);
    assert_snapshot!(fs::read_to_string(project.user_config()).unwrap(), @r#"
    # mine
    billing = "api" # as it is
    budget = [
      # what I agreed to
      { scope = "user", period = "month", limit = "60.00", warn = [50, 80, 100], forecast=[100], on_exceed = "warn" }, { scope = "user", period = "day", limit = "5.00", on_exceed = "block", timezone = "UTC" }, # until May
    ]
    "#);
}

#[test]
fn a_file_that_is_no_toml_is_said_and_stays() {
    let project = project();
    project.write_user_config("budget = [\n");
    let seen = project.run(["budget", "set", "--daily", "5"]);
    assert!(seen.contains("`[home]/.config/cmat/config.toml` is not a configuration of cmat"), "{seen}");
    assert_eq!(fs::read_to_string(project.user_config()).unwrap(), "budget = [\n");
    project.write_user_config("[[budget]]\nscope = \"user\"\nperiod = \"day\"\nlimit = \"5,00\"\n");
    assert_snapshot!(project.run(["budget", "status"]), @"
    no budget holds here; one is set with, for example:  cmat budget set --monthly 50
    --- stderr
    Warning: `[home]/.config/cmat/config.toml`, line 1: `limit`: `5,00` has a comma: write a point before cents and nothing between thousands, such as 1000.50; this budget is not enforced
    ");
}

#[test]
fn what_a_configuration_file_says_wrong_stops_no_question() {
    let project = project();
    project.write(".claude/cmat.toml", "[budgets]\ndaily = 5\n");
    let warning = "`[project]/.claude/cmat.toml` is not a configuration of cmat";
    let commands: [&[&str]; 4] = [
        &["costs", "show", "task_1"],
        &["report"],
        &["budget", "status"],
        &["budget", "set", "--daily", "5"],
    ];
    for command in commands {
        let seen = project.run(command);
        assert!(seen.contains(warning) && !seen.contains("--- exit"), "{command:?}: {seen}");
    }
    let seen = project.run(["doctor"]);
    let check = seen.lines().find(|line| line.contains("configuration  ")).unwrap_or_default();
    assert!(check.contains("x    ") && check.contains(warning), "{seen}");
    // What the other files say holds all the same.
    project.write_user_config("billing = \"subscription\"\n");
    assert!(project.run(["report"]).contains("amounts are API value, not a bill"));
}

#[test]
fn a_repository_adds_and_tightens_and_never_loosens() {
    let project = project().file(
        ".claude/cmat.toml",
        "[[budget]]\nscope = \"user\"\nperiod = \"month\"\nlimit = \"1000\"\non_exceed = \"warn\"\n\
         [[budget]]\nscope = \"task:task_2\"\nperiod = \"total\"\nlimit = \"0.40\"\n",
    );
    project.stdout(["budget", "set", "--monthly", "0.51"]);
    assert_snapshot!(project.stdout(["budget", "status"]), @"
      SCOPE        PERIOD    SPENT      LIMIT   USED  FORECAST  STATE
      user         month   $0.5180    $0.5100  101 %         –  x blocks at next prompt
      user         month     $0.52  $1,000.00    0 %         –  ok
      task:task_2  total   $0.5000    $0.4000  125 %         –  x blocks at next prompt
    ");
    let seen = project.run(["budget", "check"]);
    assert!(seen.contains("budget reached – user $0.5180 of $0.5100 (this month)"), "{seen}");
}

#[test]
fn a_managed_budget_holds_beside_the_users() {
    let project = project();
    project.write("managed.toml", "[[budget]]\nscope = \"user\"\nperiod = \"day\"\nlimit = \"0.50\"\n");
    let managed = project.project().join("managed.toml");
    let project = project.env("CMAT_MANAGED_CONFIG", managed.to_str().unwrap());
    project.stdout(["budget", "set", "--daily", "100"]);
    assert_snapshot!(project.run(["budget", "check"]), @"
    --- stderr
    cmat: budget reached – user $0.5000 of $0.5000 (today).
      Why: cmat budget status   It cannot be overridden: ask whoever set it.
    --- exit 3
    ");
}

#[test]
fn a_day_ends_at_midnight_of_the_budgets_own_zone_and_a_clock_that_jumps_back_gives_nothing_back() {
    let project = project();
    project.stdout(["budget", "set", "--daily", "0.5", "-z", "Asia/Tokyo"]);
    let check = |now: &str| {
        let mut command = project.cmat(["budget", "check"]);
        command.env("CMAT_NOW", now).output().unwrap().status.code()
    };
    // The request was made at 17:00 in Tokyo.
    assert_eq!(check("2026-11-21T14:59:59Z"), Some(3));
    assert_eq!(check("2026-11-21T15:00:00Z"), Some(0));
    assert_eq!(check("2026-11-20T10:00:00Z"), Some(3));
    assert_eq!(check("2026-10-20T10:00:00Z"), Some(3));
}

#[test]
fn prices_of_a_repository_do_not_make_a_budget_last_longer_unless_the_user_trusts_it() {
    let prices = r#"{"models": [{"id": "claude-opus-4-8", "name": "Cheap", "pattern": "claude-opus-4-8.*",
        "pricing": {"input": 0.1, "output": 0.1, "cache_write": 0.1, "cache_read": 0.1}}]}"#;
    let mut today = request("msg_2", OPUS, [0, 20_000, 0, 0]);
    today["timestamp"] = "2026-11-21T08:00:00.000Z".into();
    let project = TestProject::new()
        .file(".claude/data/models.json", prices)
        .task("task_1", "checkout")
        .session("s-1", &[today]);
    assert_eq!(project.end_session("task_1", "s-1"), "");
    let shown = project.run(["costs", "show", "task_1"]);
    assert!(shown.contains("$0.0020"), "{shown}");
    project.stdout(["budget", "set", "--daily", "0.40"]);
    let seen = project.run(["budget", "check"]);
    assert!(seen.contains("budget reached – user $0.5000 of $0.4000 (today)"), "{seen}");
    let config = fs::read_to_string(project.user_config()).unwrap();
    project.write_user_config(&format!("trust = [{:?}]\n{config}", project.project()));
    assert_snapshot!(project.run(["budget", "check"]), @"ok: $0.3980 left – user $0.0020 of $0.4000 (today)");
}

/// A request of $0.25 on each day of November up to the 21st, but for weekends, and one of $0.25 more today.
fn habitual() -> TestProject {
    let requests = (1..=21).filter(|day| day % 7 > 1).map(|day| {
        let mut request = request(&format!("msg_{day}"), OPUS, [0, 10_000, 0, 0]);
        request["timestamp"] = format!("2026-11-{day:02}T08:00:00.000Z").into();
        request
    });
    let mut today = request("msg_today", OPUS, [0, 10_000, 0, 0]);
    today["timestamp"] = "2026-11-21T11:00:00.000Z".into();
    let requests: Vec<Value> = requests.chain([today]).collect();
    let project = TestProject::new().task("task_1", "checkout").session("s-1", &requests);
    assert_eq!(project.end_session("task_1", "s-1"), "");
    project
}

#[test]
fn a_forecast_says_what_periods_come_to_and_how_sure_that_is() {
    let project = habitual();
    assert_snapshot!(project.run(["forecast"]), @"
    PERIOD      ENDS          SPENT  EXPECTED  80 % RANGE
    today       2026-11-21  $0.2500   $0.2500  $0.2500 – $0.2500
    this week   2026-11-22  $1.5000   $1.5000  $1.5000 – $1.5000
    this month  2026-11-30  $4.0000   $5.5000  $5.5000 – $5.5000
    from 19 days before today, 15 of them active
    ");
    assert_snapshot!(project.run(["forecast", "--where", "task=nothing"]), @"
    --- stderr
    Error: no request has task `nothing`; `cmat report --by task` shows all
    --- exit 1
    ");
    assert_snapshot!(self::project().run(["forecast"]), @"
      PERIOD      ENDS          SPENT  EXPECTED  80 % RANGE
      today       2026-11-21  $0.5000         –  –
      this week   2026-11-22  $0.5180         –  –
      this month  2026-11-30  $0.5180         –  –
    --- stderr
    too little is known to look ahead: 5 active days are needed, of the last 56 there are 1
    ");
    let json: Value = serde_json::from_str(&project.stdout(["forecast", "--json"])).unwrap();
    assert_eq!(json["schema"], "cmat.forecast/1");
}

#[test]
fn a_budget_tells_once_that_it_is_expected_to_be_passed() {
    let project = habitual();
    project.stdout(["budget", "set", "--monthly", "5.00", "--forecast", "90,100"]);
    let status = project.stdout(["budget", "status"]);
    assert_snapshot!(status, @"
    SCOPE  PERIOD  SPENT  LIMIT  USED  FORECAST  STATE
    user   month   $4.00  $5.00  80 %     $5.50  ok
    ");
    let told = br#"{"session_id":"s-1","hook_event_name":"UserPromptSubmit","prompt":"go on"}"#;
    let prompt =
        || project.seen(&feed(&mut project.cmat(["hook", "user-prompt"]), told).wait_with_output().unwrap());
    assert_snapshot!(prompt(), @r#"{"systemMessage":"cmat: 80 % of a budget used – user $4.00 of $5.00 (this month).\ncmat: 100 % of a budget expected – user $4.00 of $5.00 (this month), on the way to $5.50."}"#);
    assert_eq!(prompt(), "");
    assert_snapshot!(project.stdout(["budget", "status"]), @"
    SCOPE  PERIOD  SPENT  LIMIT  USED  FORECAST  STATE
    user   month   $4.00  $5.00  80 %     $5.50  ! warned 80 % 12:00
    ");
}

#[test]
fn a_tag_with_its_value_is_a_scope() {
    let mut today = request("msg_1", OPUS, [0, 20_000, 0, 0]);
    today["timestamp"] = "2026-11-21T08:00:00.000Z".into();
    let project = TestProject::new().session("s-1", &[today]).env("CMAT_TAGS", "chapter=3");
    assert_eq!(project.end_session("task_1", "s-1"), "");
    project.stdout(["budget", "set", "--total", "0.40", "--tag", "chapter=3"]);
    project.stdout(["budget", "set", "--total", "0.40", "--tag", "chapter=4"]);
    assert_snapshot!(project.stdout(["budget", "status"]), @"
      SCOPE          PERIOD    SPENT    LIMIT   USED  FORECAST  STATE
      tag:chapter=3  total   $0.5000  $0.4000  125 %         –  x blocks at next prompt
      tag:chapter=4  total   $0.0000  $0.4000    0 %         –  ok
    ");
    let seen = project.run(["budget", "check"]);
    assert!(seen.contains("budget reached – tag \"chapter=3\" $0.5000 of $0.4000"), "{seen}");
    let seen = project.env("CMAT_TAGS", "chapter=4").run(["budget", "check"]);
    assert!(seen.starts_with("ok: $0.4000 left"), "{seen}");
    assert_snapshot!(self::project().run(["budget", "set", "--total", "1", "--tag", "chapter"]), @"
    --- stderr
    Error: scope `tag` is about one value of a tag: write `tag:KEY=VALUE`, such as `tag:chapter=3`
    --- exit 1
    ");
}

/// Asserts that what each budget counts is what a report of the same requests says.
#[track_caller]
fn assert_counted(project: &TestProject, what: &str) {
    let json = |args: &[&str]| -> Value { serde_json::from_str(&project.stdout(args)).unwrap() };
    let stands = json(&["budget", "status", "--json"]);
    let rows = stands["rows"].as_array().unwrap();
    assert!(rows.len() >= 6, "{stands}");
    for row in rows {
        let (scope, name) = (row["scope"].as_str().unwrap(), row["name"].as_str().unwrap_or_default());
        let dimension = scope.split(':').next().unwrap();
        let condition = match dimension {
            "user" => None,
            "tag" => Some(format!("tag:{}", name)),
            _ => Some(format!("{dimension}={name}")),
        };
        let mut args = vec!["report", "--by", "model", "--json"];
        args.extend(condition.iter().flat_map(|condition| ["--where", condition.as_str()]));
        let seen = project.run(&args);
        let report: Value = serde_json::from_str(seen.lines().next().unwrap_or_default()).unwrap_or_default();
        let spent = report["totals"]["cost_usd"].as_str().unwrap_or("0");
        assert_eq!(row["spent_usd"], spent, "{what}: {scope} {name}\n{seen}");
    }
}

#[test]
fn a_total_is_exact_whatever_becomes_of_its_requests() {
    let mut project = TestProject::new().task("t-1", "login").task("t-2", "login");
    for (n, (model, branch)) in
        [(SONNET, "main"), (OPUS, "feature/x"), ("who-knows", "main"), (OPUS, "main"), (SONNET, "main")]
            .into_iter()
            .enumerate()
    {
        let requests: Vec<Value> = (0..3)
            .map(|m| {
                let mut made = request(&format!("msg_{n}_{m}"), model, [100 * m, 7_777 + m, 1_000, 50_000]);
                made["gitBranch"] = branch.into();
                made
            })
            .collect();
        project = project.session(&format!("s-{n}"), &requests);
    }
    let mut config = String::new();
    for scope in
        ["user", "task:t-1", "enhancement:login", "branch:main", "agent:implementer", "tag:chapter=3"]
    {
        config += &format!("[[budget]]\nscope = '{scope}'\nperiod = 'total'\nlimit = '100'\n");
    }
    config += &format!("[[budget]]\nscope = 'model:{OPUS}'\nperiod = 'total'\nlimit = '100'\n");
    project.write_user_config(&config);
    let project = project.env("CMAT_TAGS", "chapter=3");
    for (session, task) in [("s-0", "t-1"), ("s-1", "t-2"), ("s-2", "t-1"), ("s-4", "t-1")] {
        project.end_session(task, session);
        assert_counted(&project, session);
    }
    project.run(["reconcile", "--all"]);
    assert_counted(&project, "reconcile");
    // A session that goes on: what is rolled up of it does not count twice, nor what comes to it twice.
    let path = project.transcript_path("s-0");
    let text = fs::read_to_string(&path).unwrap();
    let more = text.lines().next().unwrap().replace("msg_0_0", "msg_more");
    fs::write(&path, format!("{text}{more}\n{more}\n")).unwrap();
    project.end_session("t-1", "s-0");
    assert_counted(&project, "more");
    project.run(["task", "assign", "s-0", "t-2"]);
    assert_counted(&project, "assign");
    project.write(
        ".claude/data/models.json",
        r#"{"models":[{"id":"who-knows","pricing":{"input":1,"output":2}}]}"#,
    );
    project.run(["reprice"]);
    assert_counted(&project, "reprice");
    project.run(["reattribute"]);
    assert_counted(&project, "reattribute");
    project.run(["forget", "s-1"]);
    assert_counted(&project, "forget");
    project.run(["forget", "--before", "2030-01-01"]);
    assert_counted(&project, "forget all");
}
