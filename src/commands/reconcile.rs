//! `cmat reconcile`: reads what transcripts hold and hooks left undone.
//!
//! With `--dry-run` all of it happens to a copy of the ledger and the outbox, and no task queue is written.

use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use serde_json::json;
use walkdir::WalkDir;

use crate::booking::Books;
use crate::booking::leftovers::Ripe;
use crate::booking::reading;
use crate::booking::reading::Told;
use crate::booking::session_files;
use crate::cli::ReconcileArgs;
use crate::commands::Context;
use crate::commands::Exit;
use crate::commands::NotFound;
use crate::commands::TO_ITS_END;
use crate::commands::chain;
use crate::commands::complain;
use crate::commands::costs;
use crate::commands::faults_of;
use crate::commands::faults_of_queues;
use crate::commands::git;
use crate::commands::rebuild;
use crate::commands::rehearsal::Rehearsal;
use crate::config::budgets::Budgets;
use crate::guard;
use crate::id::TaskId;
use crate::money::Usd;
use crate::outbox::Outbox;
use crate::report::counted;
use crate::summary::Elsewhere;

/// Which transcripts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transcripts {
    /// Those of the project at hand.
    OfProject,
    /// Those of all projects.
    All,
}

/// What a person adopts where the ledger knows it all.
const NOTHING: Elsewhere =
    Elsewhere { entries: 1, input: 0, output: 0, cache_write: 0, cache_read: 0, cost: Usd::ZERO };

/// What reading transcripts came to.
#[derive(Debug, Default)]
pub(super) struct Visited {
    pub(super) n_sessions: u64,
    pub(super) n_unreadable: u64,
    n_elsewhere: u64,
}

/// What reconciling came to, or would come to.
#[derive(Debug)]
struct Reconciled {
    visited: Visited,
    n_new: u64,
    n_finished: u64,
    /// What tasks had beyond the ledger.
    adopted: Vec<(TaskId, Elsewhere)>,
    n_written: u64,
    is_complete: bool,
}

impl Reconciled {
    /// Tells whether anything was behind.
    fn found_drift(&self) -> bool {
        self.n_new > 0
            || self.n_finished > 0
            || self.n_written > 0
            || self.adopted.iter().any(|(_, more)| *more != NOTHING)
    }
}

pub(super) fn run(args: &ReconcileArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let reconciled = if args.dry_run {
        let rehearsal = Rehearsal::prepare(&context.config, Instant::now() + TO_ITS_END)?;
        let mut books = rehearsal.books(Instant::now() + TO_ITS_END)?;
        reconcile(args, &mut books, &Outbox::new(&rehearsal.config.data_dir), context)?
    } else {
        let mut books = rebuild::open(context, Instant::now() + TO_ITS_END)?;
        reconcile(args, &mut books, &context.outbox(), context)?
    };
    tell(args, &reconciled, context)?;
    Ok(match reconciled {
        _ if args.dry_run && reconciled.found_drift() => Exit::FailedCheck,
        Reconciled { is_complete: false, .. } => Exit::Deferred,
        _ => Exit::Done,
    })
}

fn reconcile(
    args: &ReconcileArgs,
    books: &mut Books,
    outbox: &Outbox,
    context: &Context<'_>,
) -> anyhow::Result<Reconciled> {
    let last = books.ledger.last_stored()?;
    let finished = books.finish_leftovers(outbox, Ripe::All)?;
    let mood = if args.dry_run { "`cmat reconcile` would say: " } else { "" };
    for fault in faults_of(&finished, books) {
        complain(&format!("{mood}Warning: {fault}"));
    }
    let which = if args.all { Transcripts::All } else { Transcripts::OfProject };
    let visited = visit(which, books, context)?;
    let adopted = adopt(&args.adopt, books, context)?;
    books.show_late_tasks(&context.config.project)?;
    git::note_commits(books, &context.config.project.root)?;
    let projected = books.project_all()?;
    books.ledger.sum_up_all()?;
    if !args.dry_run {
        guard::roll_up(&books.ledger, &Budgets::read(&context.config))?;
    }
    for fault in faults_of_queues(&projected) {
        complain(&format!("{mood}{fault}"));
    }
    // What a dry run did not write is found once more.
    let n_written_before = if args.dry_run { 0 } else { finished.projected.n_written };
    Ok(Reconciled {
        visited,
        n_new: books.ledger.n_stored_after(last)?,
        n_finished: finished.n_booked,
        adopted,
        n_written: projected.n_written + n_written_before,
        is_complete: projected.is_complete(),
    })
}

/// Adds to tasks of this project what their queue holds beyond the ledger.
fn adopt(
    tasks: &[String],
    books: &mut Books,
    context: &Context<'_>,
) -> anyhow::Result<Vec<(TaskId, Elsewhere)>> {
    let project = &context.config.project;
    let mut adopted = Vec::new();
    for task in tasks {
        let task = TaskId::new(task)?;
        if !costs::is_known_task(&task, books, project)? {
            return Err(NotFound(format!("task not found: {task} (`cmat task list` lists them)")).into());
        }
        match books.adopt(project, &task)? {
            Some(more) => adopted.push((task, more)),
            None => complain(&format!("task {task}: no figures of others that are not counted already")),
        }
    }
    Ok(adopted)
}

/// Reads on in transcripts.
pub(super) fn visit(which: Transcripts, books: &mut Books, context: &Context<'_>) -> anyhow::Result<Visited> {
    let mut visited = Visited::default();
    let mut unread = Vec::new();
    let known = books.ledger.files()?;
    for folder in transcript_folders(context) {
        for filed in session_files::filed_in(&folder) {
            if which == Transcripts::OfProject && !is_of_project(&filed.main, context) {
                visited.n_elsewhere += 1;
                continue;
            }
            match reading::unread_of(&filed, &known) {
                Ok(found) => {
                    visited.n_sessions += 1;
                    unread.extend(found);
                }
                Err(fault) => {
                    visited.n_unreadable += 1;
                    complain(&chain(&fault));
                }
            }
        }
    }
    drop(known);
    let progress = progress(unread.iter().map(|file| file.n_bytes).fold(0, u64::saturating_add));
    books.read_unread(unread, &mut |told| match told {
        Told::Read(n_bytes) => progress.inc(n_bytes),
        Told::Fault(fault) => {
            visited.n_sessions = visited.n_sessions.saturating_sub(1);
            visited.n_unreadable += 1;
            progress.suspend(|| complain(&chain(&fault)));
        }
    })?;
    progress.finish_and_clear();
    Ok(visited)
}

/// Returns a bar on stderr that nobody sees where stderr is no terminal.
fn progress(n_bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "reading transcripts {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    )
    .expect("the template has no placeholder but those of indicatif");
    ProgressBar::new(n_bytes).with_style(style)
}

fn tell(args: &ReconcileArgs, reconciled: &Reconciled, context: &mut Context<'_>) -> anyhow::Result<()> {
    let Reconciled { visited, n_new, n_finished, adopted, n_written, .. } = reconciled;
    if context.global.json {
        return context.print_json(&json!({
            "schema": "cmat.reconcile/1",
            "dry_run": args.dry_run,
            "sessions": visited.n_sessions,
            "new_requests": n_new,
            "intents_booked": n_finished,
            "tasks_written": n_written,
            "adopted": adopted.iter().map(|(task, more)| json!({ "task": task, "cost_usd": more.cost })).collect::<Vec<_>>(),
            "unreadable": visited.n_unreadable,
        }));
    }
    let sessions = counted(visited.n_sessions, "session");
    let requests = counted(*n_new, "new request");
    let hook_runs = counted(*n_finished, "hook run");
    let tasks = counted(*n_written, "task");
    if args.dry_run {
        writeln!(
            context.out,
            "{sessions} read; to do: {requests} to record, {hook_runs} to finish, {tasks} to write\n\
             Dry run: nothing was changed."
        )?;
    } else {
        writeln!(context.out, "{sessions} read, {requests}; {hook_runs} finished, {tasks} written")?;
    }
    for (task, more) in adopted {
        match *more == NOTHING {
            true => writeln!(context.out, "task {task}: the ledger knows all that its queue held")?,
            false => writeln!(
                context.out,
                "task {task}: ${} added, which its queue held beyond the ledger",
                more.cost.fixed(4)
            )?,
        }
    }
    if visited.n_sessions == 0 && visited.n_elsewhere > 0 {
        complain(&format!(
            "{} of other projects: `cmat reconcile --all` reads them",
            counted(visited.n_elsewhere, "transcript")
        ));
    }
    Ok(())
}

/// Returns the folders in which Claude Code keeps the transcripts of each project.
fn transcript_folders(context: &Context<'_>) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = context
        .config
        .claude_folders
        .iter()
        .flat_map(|folder| WalkDir::new(folder.join("projects")).min_depth(1).max_depth(1).into_iter())
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_dir())
        .map(walkdir::DirEntry::into_path)
        .collect();
    folders.sort();
    folders
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

/// Tells whether the client filed the transcript under this project.
pub(super) fn is_of_project(transcript: &Path, context: &Context<'_>) -> bool {
    let folder = transcript.parent().and_then(Path::file_name);
    folder.is_some_and(|folder| {
        session_files::is_filed_under(&folder.to_string_lossy(), &context.config.project)
    })
}
