//! Is a task named, and does its queue show what it cost.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use crate::booking;
use crate::booking::foreign;
use crate::claude_settings::Preferences;
use crate::commands::chain;
use crate::commands::doctor::Check;
use crate::commands::doctor::Site;
use crate::commands::installation;
use crate::disk::lock::FileLock;
use crate::id::TaskId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::foreign::Projection;
use crate::ledger::foreign::Which;
use crate::ledger::health::Counted;
use crate::printable::Printable;
use crate::report::counted;
use crate::task_file;
use crate::task_queue::QueueDocument;
use crate::task_queue::TaskQueue;

const UP_TO_DATE: &str = "queue up to date";
const FIGURES_OF_OTHERS: &str = "figures of others";

/// How long a queue, and its lock, are waited for.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) fn checks(site: &Site<'_>) -> Result<Vec<Check>, LedgerError> {
    let queue = booking::find_queue(&site.config.project);
    let document = queue.as_ref().map(|queue| queue.read(Instant::now() + PATIENCE));
    let tasks = document.as_ref().and_then(|document| document.as_ref().ok());
    let mut checks = vec![environment(tasks, site)];
    checks.push(match (&queue, &document) {
        (Some(queue), Some(Ok(document))) => readable(queue, document, site),
        (_, Some(Err(fault))) => {
            Check::failed("task queue", chain(fault), "mend the file there, then: cmat reconcile")
        }
        _ => Check::good("task queue", "none: `cmat task new` makes tasks without one"),
    });
    match &site.ledger {
        Some(ledger) => {
            checks.extend([up_to_date(ledger, queue.as_ref().zip(tasks))?, figures_of_others(ledger)?])
        }
        None => checks.extend([UP_TO_DATE, FIGURES_OF_OTHERS].map(Check::nothing_yet)),
    }
    Ok(checks)
}

fn up_to_date(ledger: &Ledger, queue: Option<(&TaskQueue, &QueueDocument)>) -> Result<Check, LedgerError> {
    Ok(match ledger.projections(Which::Pending)?.len() {
        0 => match n_changed(ledger, queue)? {
            0 => Check::good(UP_TO_DATE, "shows what the ledger knows"),
            n => Check::attention(
                UP_TO_DATE,
                format!("another program changed the cost of {}", counted(n, "task")),
                "cmat reconcile",
            ),
        },
        n => {
            Check::attention(UP_TO_DATE, format!("{} not written yet", counted(n, "task")), "cmat reconcile")
        }
    })
}

/// Returns how many tasks of a queue show something else than the ledger took note of there last.
fn n_changed(ledger: &Ledger, queue: Option<(&TaskQueue, &QueueDocument)>) -> Result<usize, LedgerError> {
    let Some((queue, document)) = queue else { return Ok(0) };
    let mut shown = BTreeMap::new();
    for task in document.tasks() {
        // Of several with one id the first is the task.
        shown.entry(task.id.as_str().to_owned()).or_insert_with(|| foreign::figures(&task.costs));
    }
    let projections = ledger.projections(Which::All)?;
    let is_changed = |projection: &&Projection| {
        let noted = projection.baseline.as_ref();
        noted.is_some_and(|noted| shown.get(&projection.name).is_some_and(|shown| shown != noted))
    };
    Ok(projections.iter().filter(|projection| projection.queue == queue.path()).filter(is_changed).count())
}

fn figures_of_others(ledger: &Ledger) -> Result<Check, LedgerError> {
    Ok(match ledger.replaced_figures()? {
        None => Check::good(FIGURES_OF_OTHERS, "none was replaced"),
        Some(Counted { n, example }) => {
            let task = Printable(&example);
            Check::attention(
                FIGURES_OF_OTHERS,
                format!("{} replaced in the queue and kept, such as of {task}", counted(n, "set")),
                format!(
                    "cmat init --replace, if a second cost hook wrote them; else cmat reconcile --adopt {task}"
                ),
            )
        }
    })
}

/// The variables that name a task: without one, and without `cmat task use`, a session counts for none.
fn environment(queue: Option<&QueueDocument>, site: &Site<'_>) -> Check {
    const NAME: &str = "environment variables";
    const FIX: &str = "export CMAT_CURRENT_TASK_ID=TASK, or: cmat task use TASK";
    let in_settings = || {
        installation::settings_files(site.config).into_iter().find_map(|(_, path)| {
            let task = Preferences::read(&path).ok()?.env.remove("CMAT_CURRENT_TASK_ID")?;
            Some((task, site.shown(&path)))
        })
    };
    let named = match &site.config.hook.task {
        Some(task) => Some((task.clone(), "CMAT_CURRENT_TASK_ID".to_owned())),
        None => in_settings(),
    };
    let named = match named {
        Some((task, by)) => TaskId::new(task).map(|task| Some((task, by))).map_err(|fault| fault.to_string()),
        None => task_file::read(&site.config.project.worktree)
            .map(|task| task.map(|task| (task, ".claude/cmat.task".to_owned())))
            .map_err(|fault| chain(&fault)),
    };
    match named {
        Err(fault) => Check::failed(NAME, format!("the task cannot be used: {fault}"), FIX),
        Ok(None) => Check::attention(NAME, "no task is named: sessions count for none", FIX),
        Ok(Some((task, by))) => match queue.map(|queue| queue.task(&task).is_some()) {
            Some(false) => {
                Check::attention(NAME, format!("{by} names {task}, which is not in the task queue"), FIX)
            }
            _ => Check::good(NAME, format!("{by} names {task}")),
        },
    }
}

fn readable(queue: &TaskQueue, document: &QueueDocument, site: &Site<'_>) -> Check {
    const NAME: &str = "task queue";
    let path = site.shown(queue.path());
    let mut ids: Vec<TaskId> = document.tasks().map(|task| task.id).collect();
    let n_tasks = ids.len();
    ids.sort();
    if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
        let detail = format!("{path}: several tasks have the id {}", pair[0]);
        return Check::attention(NAME, detail, "give each its own; the cost is written to the first");
    }
    let mut lock = queue.path().as_os_str().to_owned();
    lock.push(".lock");
    let lock = std::path::PathBuf::from(lock);
    // Where no lock file is, nobody holds it, and none is to be made.
    if lock.exists()
        && let Err(fault) = FileLock::acquire(&lock, Instant::now() + PATIENCE)
    {
        return Check::attention(NAME, chain(&fault), "end the program that holds it, then: cmat reconcile");
    }
    if std::fs::metadata(queue.path()).is_ok_and(|file| file.permissions().readonly()) {
        let fix = format!("chmod u+w {}", installation::quoted(queue.path()));
        return Check::failed(NAME, format!("{path} is read-only"), fix);
    }
    Check::good(NAME, format!("{path}, {}", counted(n_tasks, "task")))
}
