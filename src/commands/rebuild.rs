//! Puts a ledger that is damaged or gone back, and says so: what of it can be had again comes from a backup, from what
//! hooks left and from the transcripts.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::booking;
use crate::booking::BookingError;
use crate::booking::Books;
use crate::booking::foreign;
use crate::booking::leftovers::Ripe;
use crate::commands::Context;
use crate::commands::LEDGER_PATIENCE;
use crate::commands::PATIENCE;
use crate::commands::TO_ITS_END;
use crate::commands::chain;
use crate::commands::complain;
use crate::commands::faults_of;
use crate::commands::faults_of_queues;
use crate::commands::open_books;
use crate::commands::reconcile;
use crate::commands::reconcile::Transcripts;
use crate::ledger;
use crate::ledger::LedgerError;
use crate::ledger::backup;
use crate::ledger::backup::Recovered;
use crate::report::counted;

/// Opens the ledger to book or to ask; puts it back first if it is damaged or gone.
pub(super) fn open(context: &Context<'_>, deadline: Instant) -> anyhow::Result<Books> {
    match open_books(&context.config, deadline) {
        Err(fault) if is_loss(&fault) => {
            rebuild(context)?;
            open_books(&context.config, deadline.max(Instant::now() + LEDGER_PATIENCE))
        }
        opened => opened,
    }
}

/// Returns whether an error comes from a ledger that is damaged or gone.
pub(super) fn is_loss(fault: &anyhow::Error) -> bool {
    fault.chain().any(|cause| match (cause.downcast_ref(), cause.downcast_ref()) {
        (Some(fault), _) | (_, Some(BookingError::Ledger(fault))) => LedgerError::is_loss(fault),
        _ => false,
    })
}

/// Sets a damaged ledger aside, brings a backup back and reads all transcripts; tells of it on stderr.
///
/// A ledger that is sound stays as it is, and false is returned.
pub(super) fn rebuild(context: &Context<'_>) -> anyhow::Result<bool> {
    let config = &context.config;
    let Some(recovered) = backup::recover(&config.data_dir, config.now(), LEDGER_PATIENCE)? else {
        return Ok(false);
    };
    complain(&told(&recovered, context));
    let mut books = open_books(config, Instant::now() + TO_ITS_END)?;
    let last = books.ledger.last_stored()?;
    let finished = books.finish_leftovers(&context.outbox(), Ripe::All)?;
    for fault in faults_of(&finished, &mut books) {
        complain(&format!("Warning: {fault}"));
    }
    let visited = reconcile::visit(Transcripts::All, &mut books, context)?;
    books.show_late_tasks(&config.project)?;
    let projected = books.project_all()?;
    for fault in faults_of_queues(&projected) {
        complain(&format!("Warning: {fault}"));
    }
    let n_new = books.ledger.n_stored_after(last)?;
    complain(&format!(
        "The ledger is back: {} read, {}. {}",
        counted(visited.n_sessions, "session"),
        counted(n_new, "new request"),
        match &recovered.backup {
            Some(_) => "What hooks and people said of tasks since that backup is lost.",
            None => "What hooks and people said of tasks is lost.",
        },
    ));
    tell_what_only_the_queue_knows(&books, context)?;
    Ok(true)
}

/// Tells of tasks whose cost stands in the queue of this project alone.
fn tell_what_only_the_queue_knows(books: &Books, context: &Context<'_>) -> anyhow::Result<()> {
    let project = &context.config.project;
    let Some(queue) = booking::find_queue(project) else { return Ok(()) };
    let Ok(document) = queue.read(Instant::now() + PATIENCE) else { return Ok(()) };
    let mut recorded = BTreeSet::new();
    for row in books.ledger.tasks_of_project(&project.root)? {
        let summary = books.ledger.task_summary(row)?;
        if summary.totals.requests > 0 || summary.elsewhere.entries > 0 {
            recorded.insert(summary.task);
        }
    }
    let only_there: Vec<_> = document
        .tasks()
        .filter(|queued| !recorded.contains(&queued.id))
        .filter_map(|queued| foreign::as_stored(&queued, &project.root))
        .collect();
    if let Some(first) = only_there.first() {
        complain(&format!(
            "`{}` shows the cost of {} that the ledger knows nothing of, such as {2}: `cmat reconcile --adopt {2}` \
             books it",
            queue.path().display(),
            counted(only_there.len(), "task"),
            first.task,
        ));
    }
    Ok(())
}

fn told(recovered: &Recovered, context: &Context<'_>) -> String {
    let ledger = context.config.data_dir.join(ledger::FILE_NAME);
    let what = match &recovered.aside {
        Some(aside) => format!("was damaged; it is kept as `{}`", aside.display()),
        None => "was gone".to_owned(),
    };
    let instead = match &recovered.backup {
        Some(backup) => format!("The backup of {} took its place", backup.made),
        None => "There is no backup of it".to_owned(),
    };
    format!("Warning: the ledger `{}` {what}. {instead}; all transcripts are being read.", ledger.display())
}

/// Makes a backup of the ledger if it is time for one; a fault is told, and nothing else depends on it.
pub(super) fn back_up_if_due(context: &Context<'_>) {
    let (folder, now) = (&context.config.data_dir, context.config.now());
    if !backup::is_due(folder, now) || !folder.join(ledger::FILE_NAME).exists() {
        return;
    }
    let made = ledger::Ledger::open(folder, LEDGER_PATIENCE).and_then(|ledger| ledger.back_up(folder, now));
    match made {
        Ok(()) | Err(LedgerError::ReadOnly { .. }) => {}
        Err(fault) => complain(&format!("Warning: no backup of the ledger was made: {}", chain(&fault))),
    }
}
