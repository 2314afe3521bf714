//! `cmat reconcile`: reads what transcripts hold and hooks left undone.

use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use walkdir::WalkDir;

use crate::booking::leftovers::Ripe;
use crate::booking::session_files;
use crate::cli::ReconcileArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::TO_ITS_END;
use crate::commands::chain;
use crate::commands::complain;
use crate::commands::faults_of;
use crate::commands::faults_of_queues;
use crate::commands::open_books;
use crate::project;
use crate::report::counted;

pub(super) fn run(args: &ReconcileArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let mut books = open_books(&context.config, Instant::now() + TO_ITS_END)?;
    let before = books.ledger.n_all_requests()?;
    let finished = books.finish_leftovers(&context.outbox(), Ripe::All)?;
    for fault in faults_of(&finished, &mut books) {
        complain(&format!("Warning: {fault}"));
    }
    let mut n_sessions = 0_u64;
    let mut n_unreadable = 0_u64;
    let mut n_elsewhere = 0_u64;
    for transcript in transcripts(context) {
        if !args.all && !is_of_project(&transcript, context) {
            n_elsewhere += 1;
            continue;
        }
        match books.book_session(&transcript, None, None) {
            Ok(_booked) => n_sessions += 1,
            Err(crate::booking::BookingError::Ledger(fault)) => return Err(fault.into()),
            Err(fault) => {
                n_unreadable += 1;
                complain(&chain(&fault));
            }
        }
    }
    books.show_late_tasks(&context.config.project)?;
    let projected = books.project_all()?;
    books.ledger.sum_up_all()?;
    for fault in faults_of_queues(&projected) {
        complain(&fault);
    }
    let n_new = books.ledger.n_all_requests()?.saturating_sub(before);
    let n_restored = projected.n_written + finished.projected.n_written;
    if context.global.json {
        context.print_json(&json!({
            "schema": "cmat.reconcile/1",
            "sessions": n_sessions,
            "new_requests": n_new,
            "intents_booked": finished.n_booked,
            "tasks_written": n_restored,
            "unreadable": n_unreadable,
        }))?;
    } else {
        writeln!(
            context.out,
            "{} read, {}; {} finished, {} written",
            counted(n_sessions, "session"),
            counted(n_new, "new request"),
            counted(finished.n_booked, "hook run"),
            counted(n_restored, "task"),
        )?;
        if n_sessions == 0 && n_elsewhere > 0 {
            complain(&format!(
                "{} of other projects: `cmat reconcile --all` reads them",
                counted(n_elsewhere, "transcript")
            ));
        }
    }
    Ok(if projected.is_complete() { Exit::Done } else { Exit::Deferred })
}

/// Returns the main transcripts of all Claude Code folders, and agents' files without a main one.
pub(super) fn transcripts(context: &Context<'_>) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = context
        .config
        .claude_folders
        .iter()
        .flat_map(|folder| {
            WalkDir::new(folder.join("projects")).min_depth(2).max_depth(2).sort_by_file_name().into_iter()
        })
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_dir() || session_files::is_transcript(entry.path()))
        .map(|entry| match entry.file_type().is_dir() {
            // A folder of subagents stands for its session, whose own file may be gone.
            true => entry.path().with_extension("jsonl"),
            false => entry.into_path(),
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Tells whether the client filed the transcript under this project: a folder named after the path.
///
/// The name is lossy (every character but letters and digits is `-`), so another project may share it; its
/// sessions are then read too, and belong to their own project all the same.
pub(super) fn is_of_project(transcript: &Path, context: &Context<'_>) -> bool {
    let project::Project { root, worktree } = &context.config.project;
    let Some(folder) = transcript.parent().and_then(Path::file_name) else { return false };
    let folder = folder.to_string_lossy();
    [root, worktree].into_iter().any(|path| {
        let name = dashed(path);
        folder == name.as_str() || folder.starts_with(&format!("{name}-"))
    })
}

/// Returns what Claude Code calls the folder of a project's transcripts.
pub(super) fn dashed(path: &Path) -> String {
    path.to_string_lossy().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}
