//! Makes a ledger of many requests, the same each time, to measure reports with.
//!
//! `cargo run --release --example make_ledger -- FOLDER REQUESTS`: sessions of 200 requests, one each 20 seconds, by a
//! main agent on one model and a subagent on another; 40 tasks of 8 enhancements in the projects
//! `FOLDER/project-0` to `-2`, some of no task.

use std::error::Error;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use cmat::attribution::BindingSource;
use cmat::id::MessageId;
use cmat::id::ModelId;
use cmat::id::SessionId;
use cmat::id::TaskId;
use cmat::ledger::Durability;
use cmat::ledger::Ledger;
use cmat::ledger::binding::NewBinding;
use cmat::ledger::recording::Recording;
use cmat::ledger::recording::Sureness;
use cmat::pricing;
use cmat::pricing::PriceTable;
use cmat::pricing::UnknownModel;
use cmat::project::Project;
use cmat::transcript::Slice;
use cmat::usage::Flags;
use cmat::usage::Origin;
use cmat::usage::RawTokens;
use cmat::usage::RequestFacts;
use cmat::usage::RequestKey;
use cmat::usage::UsageRecord;
use jiff::SignedDuration;
use jiff::Timestamp;

/// Requests of a session.
const PER_SESSION: u64 = 200;

/// When the first request was made.
const BEGINNING: &str = "2025-12-01T00:00:00Z";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = std::path::absolute(PathBuf::from(arguments.next().ok_or("FOLDER REQUESTS")?))?;
    let n_requests: u64 = arguments.next().ok_or("FOLDER REQUESTS")?.to_str().ok_or("REQUESTS")?.parse()?;
    let mut ledger = Ledger::open(&folder, Duration::from_secs(5))?;
    let now: Timestamp = "2026-11-21T12:00:00Z".parse()?;
    let n_sessions = n_requests / PER_SESSION;
    for first in (0..n_sessions).step_by(20) {
        let mut recording = ledger.record(Durability::Repeatable, now)?;
        for session in first..n_sessions.min(first + 20) {
            // Whatever their number, the sessions lie in the same year.
            let seconds = i64::try_from(session * 340 * 86_400 / n_sessions)?;
            let begins = BEGINNING.parse::<Timestamp>()? + SignedDuration::from_secs(seconds);
            record(&mut recording, &folder, session, begins)?;
        }
        recording.commit()?;
    }
    ledger.sum_up_all()?;
    Ok(())
}

/// Records a session of a task, or of none.
fn record(
    recording: &mut Recording<'_>,
    folder: &Path,
    n: u64,
    begins: Timestamp,
) -> Result<(), Box<dyn Error>> {
    let session = SessionId::new(format!("{n:08x}-0000-4000-8000-000000000000"))?;
    let root = folder.join(format!("project-{}", n % 3));
    let project = Project { root: root.clone(), worktree: root.clone() };
    let table = PriceTable::built_in();
    let price =
        &mut |_: Option<&Path>, facts: &RequestFacts| pricing::charges(facts, table, UnknownModel::Default);
    recording.session_in_project(&session, &project, Sureness::Told, price)?;
    if !n.is_multiple_of(7) {
        let task = recording.task(&root, &TaskId::new(format!("task-{}", n % 40))?)?;
        let enhancement = format!("enhancement-{}", n % 8);
        let binding = NewBinding {
            task: Some(task),
            enhancement: Some(&enhancement),
            agent: None,
            tags: None,
            user: None,
            since: None,
            said: begins,
            source: BindingSource::Environment,
        };
        recording.bind_session(&session, &binding)?;
    }
    let file = recording.file(&root.join(format!("{n}.jsonl")), &session)?;
    let records = (0..PER_SESSION).map(|request| of_request(&session, n, request, begins));
    let slice = Slice { records: records.collect::<Result<_, _>>()?, ..Slice::default() };
    recording.slice(file, &slice, price)?;
    Ok(())
}

fn of_request(
    session: &SessionId,
    n: u64,
    request: u64,
    begins: Timestamp,
) -> Result<UsageRecord, Box<dyn Error>> {
    let by_subagent = request % 5 > 2;
    let model = match (by_subagent, n % 2) {
        (true, _) => "claude-haiku-4-5-20251001",
        (false, 0) => "claude-sonnet-4-5-20250929",
        (false, _) => "claude-opus-4-5-20251101",
    };
    let cache_write = (n + request * 37) % 2_000;
    let facts = RequestFacts {
        key: RequestKey::Message(MessageId::new(format!("msg_{n:08x}{request:08x}"))?),
        request_id: None,
        tokens: RawTokens {
            input: 3 + request % 7,
            output: 100 + (n * request) % 900,
            cache_read: 10_000 + request * 100,
            cache_write,
            cache_write_5m: cache_write,
            cache_write_1h: 0,
        },
        flags: Flags {
            stop_reason: Some("end_turn".into()),
            model: ModelId::new(model)?,
            requested_model: None,
            speed: None,
            service_tier: Some("standard".into()),
            inference_geo: None,
            web_search_requests: 0,
            iterations: Vec::new(),
            empty_content: false,
        },
        origin: Origin {
            timestamp: begins + SignedDuration::from_secs(i64::try_from(request)? * 20),
            sidechain: by_subagent,
            session: session.clone(),
            branch: Some(format!("feature/{}", n % 60).into()),
            cwd: None,
            agent_id: by_subagent.then(|| "a1".into()),
            agent: by_subagent.then(|| "explorer".into()),
            skill: None,
            mcp_server: None,
            client_version: Some("2.1.330".into()),
        },
        complete: true,
        conflicting: false,
    };
    let session = session.clone();
    Ok(UsageRecord { session, request_session: None, uuid: None, n_lines: 2, facts })
}
