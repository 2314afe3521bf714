//! Alerts: where they go, that each goes once, and that they wait for who is not there.

use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::Value;
use serde_json::json;

use crate::harness::OPUS;
use crate::harness::TestProject;
use crate::harness::feed;
use crate::harness::request;
use crate::schemas;

/// Longest that something is waited for that happens at once on a machine at rest.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request that reached the listener: its head and its body.
#[derive(Debug)]
struct Posted {
    head: String,
    body: Value,
}

/// Listens on loopback, at a port that was found free, and answers each request with `status`.
fn listen(port: u16, status: &'static str) -> (u16, Receiver<Posted>) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut reader = BufReader::new(connection.unwrap());
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|n| n > 2) {}
            let length = head
                .to_lowercase()
                .split("content-length: ")
                .nth(1)
                .map_or(0, |rest| rest.lines().next().unwrap().trim().parse().unwrap());
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            reader.into_inner().write_all(answer.as_bytes()).unwrap();
            if sender.send(Posted { head, body: serde_json::from_slice(&body).unwrap() }).is_err() {
                return;
            }
        }
    });
    (port, receiver)
}

/// Returns a port of loopback at which nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A project of whose budget of $0.60 $0.50 are spent in session `s-1`, on a branch with a hostile name.
fn project(alert: &str) -> TestProject {
    let mut made = request("msg_1", OPUS, [0, 20_000, 0, 0]);
    made["timestamp"] = "2026-11-21T11:59:00.000Z".into();
    made["gitBranch"] = "x\";$(touch pwned)\u{1b}[31m<b>".into();
    let project = TestProject::new().session("s-1", &[made]);
    assert!(project.run(["reconcile", "--all"]).contains("new request"));
    project.stdout(["budget", "set", "--total", "0.60", "--branch", "*"]);
    let config = project.home().join(".config/cmat/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n[alert]\n{alert}\n")).unwrap();
    project.write(".git/HEAD", "ref: refs/heads/x\";$(touch pwned)\u{1b}[31m<b>\n");
    project
}

impl TestProject {
    /// Runs a hook before a prompt as `cmat init --enforce` installs it.
    fn prompted(&self) -> String {
        let folders = [self.cmat_home(), self.home().join(".config/cmat")];
        let mut command = self.cmat(["hook", "user-prompt", "--data-dir"]);
        command.arg(&folders[0]).arg("--config-dir").arg(&folders[1]);
        command.env("CLAUDECODE", "1").env("CLAUDE_PROJECT_DIR", self.project());
        let stdin = self.session_end("s-1", &self.transcript_path("s-1"));
        self.seen(&feed(&mut command, stdin).wait_with_output().unwrap())
    }

    /// Returns the alerts, once all of them are delivered, or `n` attempts were made at each.
    fn alerts_after(&self, is_done: impl Fn(&Value) -> bool) -> Vec<Value> {
        for _ in 0..PATIENCE.as_millis() / 20 {
            let json = self.stdout(["budget", "alerts", "--json"]);
            let rows = serde_json::from_str::<Value>(&json).unwrap()["rows"].as_array().unwrap().clone();
            if !rows.is_empty() && rows.iter().all(&is_done) {
                return rows;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{}", self.run(["budget", "alerts"]));
    }
}

#[test]
fn an_alert_goes_to_the_address_once_and_waits_while_nobody_is_there() {
    let port = closed_port();
    let project = project(&format!("webhook = {{ url = 'http://127.0.0.1:{port}/secret' }}"));
    // Nobody listens: it is raised, tried and kept.
    let seen = project.run(["budget", "alerts", "--deliver"]);
    assert!(seen.contains("1 attempt: no connection: ") && seen.ends_with("--- exit 1\n"), "{seen}");
    assert!(!seen.contains("secret"), "{seen}");
    let doctor = project.run(["doctor"]);
    assert!(doctor.contains("1 alert not delivered yet: no connection: "), "{doctor}");

    let (_, posted) = listen(port, "503 Service Unavailable");
    let seen = project.run(["budget", "alerts", "--deliver"]);
    assert!(seen.contains("2 attempts: the address answered 503"), "{seen}");
    assert_eq!(posted.recv_timeout(PATIENCE).unwrap().body["percent"], 80);
    drop(posted);

    let (port, posted) = listen(0, "204 No Content");
    let config = project.home().join(".config/cmat/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let at = text.find("127.0.0.1:").unwrap();
    let rest = text[at..].split_once('/').unwrap().1;
    fs::write(&config, format!("{}127.0.0.1:{port}/{rest}", &text[..at])).unwrap();
    assert!(project.stdout(["budget", "alerts", "--deliver"]).contains("delivered"));
    let Posted { head, body } = posted.recv_timeout(PATIENCE).unwrap();
    assert!(
        head.starts_with("POST /secret HTTP/1.1\r\n") && head.contains("content-type: application/json"),
        "{head}"
    );
    schemas::check(&body.to_string());
    assert_snapshot!(serde_json::to_string_pretty(&body).unwrap(), @r#"
    {
      "schema": "cmat.alert/1",
      "at": "2026-11-21T12:00:00Z",
      "text": "cmat: 83 % of a budget used – branch \"x\";$(touch pwned)\\u{1b}[31m<b>\" $0.5000 of $0.6000 (total).",
      "kind": "spent",
      "percent": 80,
      "budget": "branch:*/total",
      "name": "x\";$(touch pwned)\u001b[31m<b>",
      "project": null,
      "period": "total",
      "period_begins": null,
      "timezone": "UTC",
      "limit_usd": "0.6",
      "spent_usd": "0.5",
      "used_percent": 83,
      "expected_usd": null,
      "estimated": false,
      "unpriced_requests": 0,
      "on_exceed": "block"
    }
    "#);
    assert_snapshot!(project.stdout(["budget", "alerts"]), @r#"
    RAISED            THRESHOLD  CHANNEL  STATE      ALERT
    2026-11-21 12:00       80 %  webhook  delivered  cmat: 83 % of a budget used – branch "x";$(touch pwned)\u{1b}[31m<b>" $0.5000 of $0.6000 (total).
    "#);
    // However often it is looked at: nothing goes out again.
    for _ in 0..3 {
        project.prompted();
        project.stdout(["budget", "alerts", "--deliver"]);
    }
    assert!(posted.try_recv().is_err());
    assert!(project.run(["doctor"]).contains("1 channel"));
}

#[test]
fn a_hook_leaves_it_to_a_process_of_its_own() {
    let (port, posted) = listen(0, "200 OK");
    let project = project(&format!("webhook = {{ url = 'http://127.0.0.1:{port}/' }}"));
    assert!(project.prompted().contains("83 % of a budget used"));
    let sent = posted.recv_timeout(PATIENCE).unwrap().body;
    assert!(sent["text"].as_str().unwrap().contains("83 %"), "{sent}");
    project.alerts_after(|alert| !alert["delivered"].is_null());
    // The next threshold goes too.
    let mut more = request("msg_2", OPUS, [0, 20_000, 0, 0]);
    more["timestamp"] = "2026-11-21T11:59:30.000Z".into();
    more["gitBranch"] = "x\";$(touch pwned)\u{1b}[31m<b>".into();
    more["sessionId"] = "s-1".into();
    more["cwd"] = json!(project.project());
    let path = project.transcript_path("s-1");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{more}\n")).unwrap();
    assert!(project.prompted().contains(r#""decision":"block""#));
    assert_eq!(posted.recv_timeout(PATIENCE).unwrap().body["percent"], 100);
}

#[test]
fn of_two_thresholds_the_higher_one_goes_and_the_list_tells_them_apart() {
    let project = project("command = ['/bin/true']");
    project.stdout(["budget", "set", "--total", "0.50", "--branch", "*"]);
    assert_snapshot!(project.stdout(["budget", "alerts", "--deliver"]), @r#"
    RAISED            THRESHOLD  CHANNEL  STATE                        ALERT
    2026-11-21 12:00      100 %  command  delivered                    cmat: 100 % of a budget used – branch "x";$(touch pwned)\u{1b}[31m<b>" $0.5000 of $0.5000 (total).
    2026-11-21 12:00       80 %  command  not sent: a higher one went  cmat: 100 % of a budget used – branch "x";$(touch pwned)\u{1b}[31m<b>" $0.5000 of $0.5000 (total).
    "#);
    let rows = project.alerts_after(|alert| !alert["delivered"].is_null());
    let states: Vec<&Value> = rows.iter().map(|alert| &alert["state"]).collect();
    assert_eq!(states, ["delivered", "passed_over"]);
}

#[test]
fn a_program_gets_it_on_its_stdin_and_no_shell_sees_it() {
    // Beside it, a notifier that keeps what it was told.
    let project = project("desktop = true\ncommand = ['/bin/sh', '-c', 'cat > \"$HOME/told\"']");
    let bin = project.home().join("bin");
    fs::create_dir(&bin).unwrap();
    let notifier = bin.join("notify-send");
    fs::write(&notifier, "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$HOME/notified\"\n").unwrap();
    fs::set_permissions(&notifier, fs::Permissions::from_mode(0o755)).unwrap();
    let project = project.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    project.stdout(["budget", "alerts", "--deliver"]);
    let told: Value =
        serde_json::from_str(&fs::read_to_string(project.home().join("told")).unwrap()).unwrap();
    schemas::check(&told.to_string());
    assert_eq!(told["name"], "x\";$(touch pwned)\u{1b}[31m<b>");
    assert_snapshot!(fs::read_to_string(project.home().join("notified")).unwrap(), @r#"
    --app-name=cmat
    --
    cmat
    cmat: 83 % of a budget used – branch "x";$(touch pwned)\u{1b}[31m&lt;b&gt;" $0.5000 of $0.6000 (total).
    "#);
    assert!(!project.project().join("pwned").exists());
    let seen = project.stdout(["budget", "alerts", "--test", "--json"]);
    assert_eq!(schemas::check(&seen).as_deref(), Some("cmat.budget.alerts.test/1"));
}

#[test]
fn trials_say_what_is_wrong() {
    let none = TestProject::new();
    assert_snapshot!(none.run(["budget", "alerts"]), @"alerts go nowhere: `alert` in your config.toml says where (docs/budgets.md)");
    assert_snapshot!(none.run(["budget", "alerts", "--test"]), @"
    --- stderr
    alerts go nowhere: `alert` in your config.toml says where (docs/budgets.md)
    --- exit 1
    ");
    let project = project("webhook = { url_env = 'NOT_SET' }\ncommand = ['/nowhere/tell']");
    assert_snapshot!(project.run(["budget", "alerts", "--test"]), @"
    webhook: failed: the variable `NOT_SET` is not set (no address)
    command: failed: `/nowhere/tell` cannot be run: No such file or directory (os error 2) (/nowhere/tell)
    --- exit 1
    ");
    let slow = self::project("command = ['/bin/false']");
    assert_snapshot!(slow.run(["budget", "alerts", "--test"]), @"
    command: failed: `/bin/false` failed: exit status: 1 (/bin/false)
    --- exit 1
    ");
}

#[test]
fn a_repository_cannot_send_anything_anywhere() {
    let (port, posted) = listen(0, "200 OK");
    let alert = format!("[alert]\nwebhook = {{ url = 'http://127.0.0.1:{port}/' }}\n");
    let project = project("");
    project.write(".claude/cmat.toml", &alert);
    let seen = project.run(["budget", "alerts", "--test"]);
    assert!(seen.contains("sets `alert`, which a file of the project may not"), "{seen}");
    fs::remove_file(project.project().join(".claude/cmat.toml")).unwrap();
    // Nor by the environment that its settings give to hooks.
    project.write("evil/cmat/config.toml", &alert);
    let evil = project.project().join("evil");
    for (name, value) in [
        ("CMAT_MANAGED_CONFIG", evil.join("cmat/config.toml")),
        ("XDG_CONFIG_HOME", evil.clone()),
        ("CMAT_WEBHOOK_URL", format!("http://127.0.0.1:{port}/").into()),
    ] {
        for event in ["user-prompt", "pre-tool", "stop", "session-end"] {
            let mut command = project.cmat(["hook", event]);
            command.env("CLAUDECODE", "1").env("CLAUDE_PROJECT_DIR", project.project()).env(name, &value);
            let stdin = project.session_end("s-1", &project.transcript_path("s-1"));
            feed(&mut command, stdin).wait_with_output().unwrap();
        }
    }
    assert!(posted.recv_timeout(Duration::from_secs(1)).is_err());
}
