//! `cmat doctor --fix`: mends what needs no question.
//!
//! Permissions, a damaged ledger, what hooks left, what others erased from task queues, unfinished files of killed runs. A
//! file that cmat does not understand stays as it is.

use std::path::PathBuf;
use std::time::Instant;

use crate::booking::leftovers::Ripe;
use crate::commands::Context;
use crate::commands::TO_ITS_END;
use crate::commands::complain;
use crate::commands::faults_of;
use crate::commands::faults_of_queues;
use crate::commands::rebuild;
use crate::disk::replace;
use crate::disk::unfinished;
use crate::ledger;
use crate::ledger::backup;
use crate::logging;
use crate::outbox;
use crate::report::counted;

/// Mends what it can and returns what that was; what stands in the way is told on stderr.
pub(super) fn run(context: &Context<'_>) -> Vec<String> {
    let mut fixed = Vec::new();
    if !context.config.data_dir.exists() {
        return fixed;
    }
    permissions(context, &mut fixed);
    unfinished(context, &mut fixed);
    if let Err(fault) = ledger(context, &mut fixed) {
        complain(&format!("Warning: not fixed: {fault:#}"));
    }
    fixed
}

fn permissions(context: &Context<'_>, fixed: &mut Vec<String>) {
    for path in kept(context) {
        match replace::make_private(&path) {
            Ok(false) => {}
            Ok(true) => fixed.push(format!("`{}` is for you only", path.display())),
            Err(fault) => complain(&format!("Warning: not fixed: `{}`: {fault}", path.display())),
        }
    }
}

/// Returns what cmat keeps in the data folder, the folder first; other files there are somebody else's.
fn kept(context: &Context<'_>) -> Vec<PathBuf> {
    let folder = &context.config.data_dir;
    let mut kept = vec![folder.clone()];
    kept.extend(["", "-wal", "-shm"].map(|ending| folder.join(format!("{}{ending}", ledger::FILE_NAME))));
    kept.extend([outbox::FOLDER, backup::FOLDER].map(|name| folder.join(name)));
    kept.extend(logging::files(folder));
    kept.extend(backup::list(folder).into_iter().map(|backup| backup.path));
    kept.extend(backup::set_aside_before(folder));
    kept.retain(|path| path.exists());
    kept
}

fn unfinished(context: &Context<'_>, fixed: &mut Vec<String>) {
    let (folder, now) = (&context.config.data_dir, context.config.now());
    let folders = [folder.clone(), folder.join(outbox::FOLDER), folder.join(backup::FOLDER)];
    let n: usize = folders.iter().map(|folder| unfinished::remove_abandoned_in(folder, now)).sum();
    if n > 0 {
        fixed.push(format!("{} of killed runs removed", counted(n, "unfinished file")));
    }
}

/// Puts the ledger back if it is damaged or gone, finishes what hooks left and brings all queues to it.
fn ledger(context: &Context<'_>, fixed: &mut Vec<String>) -> anyhow::Result<()> {
    let folder = &context.config.data_dir;
    let had_one = folder.join(ledger::FILE_NAME).exists() || !backup::list(folder).is_empty();
    if !had_one && context.outbox().list()?.is_empty() {
        return Ok(());
    }
    if rebuild::rebuild(context)? {
        fixed.push("the ledger is back".to_owned());
    }
    let mut books = rebuild::open(context, Instant::now() + TO_ITS_END)?;
    let finished = books.finish_leftovers(&context.outbox(), Ripe::All)?;
    for fault in faults_of(&finished, &mut books) {
        complain(&format!("Warning: {fault}"));
    }
    if finished.n_booked > 0 {
        fixed.push(format!("{} finished", counted(finished.n_booked, "hook run")));
    }
    books.show_late_tasks(&context.config.project)?;
    let projected = books.project_all()?;
    for fault in faults_of_queues(&projected) {
        complain(&format!("Warning: {fault}"));
    }
    let n_written = finished.projected.n_written + projected.n_written;
    if n_written > 0 {
        fixed.push(format!("{} brought to what the ledger knows", counted(n_written, "task in a queue")));
    }
    books.ledger.sum_up_all()?;
    books.ledger.checkpoint()?;
    rebuild::back_up_if_due(context);
    Ok(())
}
