//! The order of a hook's system calls: what must be safe on disk before what else begins.

use std::fs;
use std::path::Path;

use crate::stage::Stage;
use crate::trace;
use crate::trace::Call;

const CALLS: &str = "%file,%desc,%network,%process";

/// Returns the calls of a hook that ends a session: the first of all, and one when there is a ledger.
fn hooks(stage: &Stage) -> [Vec<Call>; 2] {
    ["s1", "s2"].map(|session| {
        stage.say(session, 0..10);
        let (log, output) = stage.trace(&stage.hook("session-end", session, "task_1"), CALLS);
        assert!(
            output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
            "{output:?}"
        );
        trace::calls(&log)
    })
}

/// Returns where the first call stands that one of the names is about, with the text in its arguments.
fn position(calls: &[Call], names: &[&str], text: &str) -> usize {
    let found = calls.iter().position(|call| names.contains(&call.name.as_str()) && call.rest.contains(text));
    found.unwrap_or_else(|| panic!("no {names:?} of `{text}`"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The intent is written, synced, renamed, and its folder synced, before transcript, ledger or queue are touched.
pub(crate) fn intent_comes_first() {
    let stage = Stage::new();
    let outbox = stage.root.join("cmat/outbox");
    let unfinished = outbox.join(".cmat-");
    for calls in hooks(&stage) {
        let written = position(&calls, &["write"], text(&unfinished));
        let synced = position(&calls, &["fsync", "fdatasync"], text(&unfinished));
        let renamed = position(&calls, &["rename", "renameat", "renameat2"], text(&unfinished));
        let safe = position(&calls, &["fsync"], &format!("{}>", text(&outbox)));
        assert!(written < synced && synced < renamed && renamed < safe);
        for other in ["home/.claude/projects", "cmat/ledger.db", "project/.claude/data"] {
            let other = stage.root.join(other);
            let touched = calls.iter().position(|call| call.rest.contains(text(&other))).unwrap();
            assert!(safe < touched, "`{}` before the intent: {:?}", other.display(), calls[touched]);
        }
    }
}

/// No socket of any family, no other program.
pub(crate) fn stays_at_home() {
    for calls in hooks(&Stage::new()) {
        let alien = ["socket", "connect", "socketpair", "fork", "vfork"];
        let found = calls.iter().find(|call| alien.contains(&call.name.as_str()));
        assert!(found.is_none(), "{found:?}");
        assert_eq!(calls.iter().filter(|call| call.name == "execve").count(), 1);
        let clones = calls.iter().filter(|call| call.name.starts_with("clone"));
        assert!(clones.into_iter().all(|call| call.rest.contains("CLONE_THREAD")), "a process was made");
    }
}

/// With alerts to be delivered no thread of a hook opens a socket either: only the process that it leaves behind does.
pub(crate) fn leaves_alerts_behind() {
    for event in ["user-prompt", "pre-tool", "stop", "session-end"] {
        let stage = Stage::new();
        let folder = stage.root.join("home/.config/cmat");
        fs::create_dir_all(&folder).unwrap();
        let config = "alert = { webhook = { url = 'http://127.0.0.1:9/' } }\n\
                      [[budget]]\nscope = 'user'\nperiod = 'total'\nlimit = '0.5'\non_exceed = 'warn'\n";
        fs::write(folder.join("config.toml"), config).unwrap();
        stage.say("s1", 0..10);
        let mut run = stage.hook(event, "s1", "task_1");
        if ["user-prompt", "pre-tool"].contains(&event) {
            let data = stage.root.join("cmat");
            let folders = ["--data-dir", text(&data), "--config-dir", text(&folder)];
            run.arguments.extend(folders.map(str::to_owned));
        }
        let (log, output) = stage.trace(&run, "%network,%process");
        assert!(output.status.success() && output.stderr.is_empty(), "{event}: {output:?}");
        let left = trace::processes_of(&log, "deliver-alerts");
        let sockets = || trace::calls(&log).into_iter().filter(|call| call.rest.contains("AF_"));
        let own: Vec<Call> = sockets().filter(|call| !left.contains(&call.thread)).collect();
        assert!(own.is_empty(), "{event}: {own:?}");
        let is_tried = sockets().any(|call| call.name == "connect" && call.rest.contains("127.0.0.1"));
        assert!(is_tried, "{event}: nothing was sent, so nothing was shown");
    }
}

/// Each sync can take a slow disk tens of milliseconds, in the run that makes the ledger too.
pub(crate) fn syncs_little() {
    let n_syncs = hooks(&Stage::new()).map(|calls| {
        calls.iter().filter(|call| ["fsync", "fdatasync"].contains(&call.name.as_str())).count()
    });
    eprintln!("a hook syncs {} times, the first of all {} times", n_syncs[1], n_syncs[0]);
    assert!(n_syncs.iter().all(|n| *n <= 8), "{n_syncs:?}");
}

/// Whoever writes the queue without its lock loses only between the last look and the rename: nothing is in between.
pub(crate) fn looks_last() {
    let stage = Stage::new();
    let queue = stage.queue();
    for calls in hooks(&stage) {
        let renamed = position(&calls, &["rename", "renameat", "renameat2"], text(&queue));
        let last = &calls[renamed - 1];
        let is_look = ["stat", "statx", "newfstatat"].contains(&last.name.as_str());
        assert!(is_look && last.rest.contains(&format!("{}\"", text(&queue))), "{last:?}");
    }
}
