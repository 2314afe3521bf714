//! Brings the task queues to what the ledger says.
//!
//! Figures are compared and kept before they are replaced, and the lock is held only for the replacement itself,
//! never across a ledger transaction. A queue that cannot be read or locked stays as it is: what it should show
//! is marked in the ledger, and the next run tries again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use crate::booking;
use crate::booking::BookingError;
use crate::booking::Books;
use crate::booking::Queues;
use crate::booking::foreign::figures;
use crate::booking::foreign::keys_of;
use crate::id::TaskId;
use crate::ledger::Durability;
use crate::ledger::LedgerError;
use crate::ledger::foreign::Projection;
use crate::ledger::foreign::Which;
use crate::ledger::task::TaskDescription;
use crate::project::Project;
use crate::summary::TaskSummary;
use crate::task_queue::Change;
use crate::task_queue::CostKeys;
use crate::task_queue::Finding;
use crate::task_queue::QueueDocument;
use crate::task_queue::QueueError;
use crate::task_queue::QueuedTask;
use crate::task_queue::TaskQueue;

/// How long a queue that is being written, or locked, is waited for at most.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// What a projection came to.
#[derive(Debug, Default)]
pub struct Projected {
    /// Tasks whose keys were written.
    pub n_written: u64,
    /// Queues that could not be brought up to date yet, and why.
    pub deferred: Vec<QueueError>,
    /// Tasks that cannot show their cost as they stand in their queue.
    pub n_refused: u64,
    /// Tasks of which the ledger holds what cmat did not write; the others do not suffer from it.
    pub faults: Vec<(String, LedgerError)>,
    /// What a person should know of the queues: figures of others that were replaced, tasks that stand there oddly.
    pub notes: Vec<String>,
}

impl Projected {
    /// Returns whether every queue shows what the ledger knows.
    pub fn is_complete(&self) -> bool {
        self.deferred.is_empty() && self.n_refused == 0 && self.faults.is_empty()
    }
}

/// What one task's keys hold and shall hold.
struct Plan {
    projection: Projection,
    /// The task as the queue has it.
    queued: Option<QueuedTask>,
    found: CostKeys,
    /// This ledger never meant to put there what was found.
    is_anothers: bool,
    /// `None`: they are another writer's alone, and stay.
    wanted: Option<CostKeys>,
}

impl Plan {
    /// Returns what was found of another writer.
    fn finding(&self) -> Option<Finding> {
        let task = self.projection.name.clone();
        self.is_anothers.then(|| Finding { task, figures: figures(&self.found) })
    }

    /// Returns what shall be put into the keys, if that changes them.
    fn change(&self) -> Option<&CostKeys> {
        self.wanted.as_ref().filter(|wanted| **wanted != self.found)
    }
}

impl Books {
    /// Writes what the ledger knows into every queue that does not show it yet.
    ///
    /// # Errors
    /// Only those of the ledger; a queue that refuses is reported in [`Projected::deferred`].
    pub fn project_pending(&mut self) -> Result<Projected, BookingError> {
        self.project_queues(Which::Pending)
    }

    /// Compares every queue with the ledger and restores what others changed or erased.
    ///
    /// # Errors
    /// As [`Books::project_pending`].
    pub fn project_all(&mut self) -> Result<Projected, BookingError> {
        self.project_queues(Which::All)
    }

    /// Has the queue of `project` show those of its tasks that cmat recorded before the queue had them.
    ///
    /// # Errors
    /// Only those of the ledger; a queue that cannot be read shows nothing new.
    pub fn show_late_tasks(&mut self, project: &Project) -> Result<(), BookingError> {
        let Some(queue) = booking::find_queue(project) else { return Ok(()) };
        let Ok(document) = queue.read(self.deadline.min(Instant::now() + LONGEST_WAIT)) else {
            return Ok(());
        };
        for queued in document.tasks() {
            let found = self.ledger.tasks_named(&queued.id)?;
            if let Some((task, _)) = found.into_iter().find(|(_, root)| *root == project.root) {
                let mut recording = self.ledger.record(Durability::Repeatable, self.now)?;
                recording.show_in_queue(task, queue.path())?;
                recording.commit()?;
            }
        }
        Ok(())
    }

    fn project_queues(&mut self, which: Which) -> Result<Projected, BookingError> {
        self.settle_remainders()?;
        let mut projected = Projected::default();
        let mut by_queue: BTreeMap<PathBuf, Vec<Projection>> = BTreeMap::new();
        for projection in self.ledger.projections(which)? {
            by_queue.entry(projection.queue.clone()).or_default().push(projection);
        }
        for (queue, projections) in by_queue {
            let deadline = self.deadline.min(Instant::now() + LONGEST_WAIT);
            if let Err(error) =
                self.project(&TaskQueue::new(&queue), projections, deadline, &mut projected)?
            {
                projected.deferred.push(error);
            }
        }
        Ok(projected)
    }

    fn project(
        &mut self,
        queue: &TaskQueue,
        projections: Vec<Projection>,
        deadline: Instant,
        projected: &mut Projected,
    ) -> Result<Result<(), QueueError>, BookingError> {
        let mut waiting = projections;
        while !waiting.is_empty() {
            let document = match queue.read(deadline) {
                Ok(document) => document,
                Err(error) => return Ok(Err(error)),
            };
            let findings = match self.findings(queue, &document, &waiting, deadline)? {
                Ok(findings) => findings,
                Err(error) => return Ok(Err(error)),
            };
            let plans = self.plan(&document, std::mem::take(&mut waiting), &findings, projected)?;
            drop(document);
            let (change, changed) = match replace(self.queues, queue, &plans, deadline) {
                Ok(replaced) => replaced,
                Err(error) => return Ok(Err(error)),
            };
            projected.n_written += change.written.len() as u64;
            projected.n_refused += change.malformed.len() as u64;
            projected.notes.extend(oddities(queue, &change));
            let mut recording = self.ledger.record(Durability::Repeatable, self.now)?;
            for plan in plans {
                if changed.contains(plan.projection.name.as_str()) {
                    waiting.push(plan.projection);
                } else if let (Some(_), Some(wanted)) = (&plan.queued, &plan.wanted)
                    && !is_kept_out(&change, &plan.projection.name)
                {
                    recording.shows(&plan.projection, &figures(wanted))?;
                } else {
                    // Its cost stays in the ledger until the queue has it, and there is none to show before it has
                    // one: figures of others are not taken note of, so that they still count then.
                    recording.settled(&plan.projection)?;
                }
            }
            recording.commit()?;
            if !waiting.is_empty() && Instant::now() >= deadline {
                return Ok(Err(QueueError::Restless { path: queue.path().to_owned() }));
            }
        }
        Ok(Ok(()))
    }

    /// Compares what the queue shows with the ledger, keeps what others wrote, and decides what it shall show.
    fn plan(
        &mut self,
        document: &QueueDocument,
        projections: Vec<Projection>,
        findings: &[Finding],
        projected: &mut Projected,
    ) -> Result<Vec<Plan>, BookingError> {
        let mut plans = Vec::new();
        for projection in projections {
            let name = projection.name.clone();
            match self.plan_task(document, projection, findings, &mut projected.notes) {
                Ok(plan) => plans.push(plan),
                Err(BookingError::Ledger(fault)) if fault.is_of_a_row() => {
                    projected.faults.push((name, fault));
                }
                Err(fault) => return Err(fault),
            }
        }
        let mut recording = self.ledger.record(Durability::Repeatable, self.now)?;
        for plan in &plans {
            if let Some(QueuedTask { title, enhancement, assigned_agent, task_type, .. }) = &plan.queued {
                let description = TaskDescription {
                    title: title.as_deref(),
                    enhancement: enhancement.as_deref(),
                    agent: assigned_agent.as_deref(),
                    task_type: task_type.as_deref(),
                };
                recording.describe_task(plan.projection.task, &description)?;
            }
            if let Some(wanted) = plan.change() {
                recording.will_show(&plan.projection, &figures(wanted))?;
            }
        }
        recording.commit()?;
        Ok(plans)
    }

    fn plan_task(
        &mut self,
        document: &QueueDocument,
        mut projection: Projection,
        findings: &[Finding],
        notes: &mut Vec<String>,
    ) -> Result<Plan, BookingError> {
        let queued = TaskId::new(&projection.name).ok().and_then(|id| document.task(&id));
        let found = queued.as_ref().map(|task| task.costs.clone()).unwrap_or_default();
        let mut wanted = self.wanted(&projection, &found)?;
        if wanted.as_ref().is_some_and(|wanted| *wanted != found) && self.is_foreign(&projection, &found)? {
            self.make_sure(&mut projection, findings)?;
            projection.baseline = Some(self.keep(&projection, &found, notes)?);
            // What is planned from here on holds the change that this was.
            projection.changes = projection.changes.saturating_add(1);
            wanted = self.wanted(&projection, &found)?;
        }
        let is_anothers = wanted.as_ref().is_some_and(|wanted| *wanted != found)
            && found != CostKeys::default()
            && !self.ledger.is_shown(projection.task, &projection.queue, &figures(&found))?;
        Ok(Plan { projection, queued, found, is_anothers, wanted })
    }

    /// Returns what a task's keys shall hold, which hold `found`; `None` if cmat has no say in them.
    fn wanted(&self, projection: &Projection, found: &CostKeys) -> Result<Option<CostKeys>, BookingError> {
        let summary = self.ledger.task_summary(projection.task)?;
        if summary.totals.requests == 0 && summary.elsewhere.entries == 0 {
            // What was booked for it has gone to another task, or it never was ours.
            let is_ours = self.ledger.is_shown(projection.task, &projection.queue, &figures(found))?;
            return Ok(is_ours.then(CostKeys::default));
        }
        let wanted = cost_keys(&summary, found);
        let is_ours =
            |session: &String| summary.sessions.iter().any(|share| share.session.as_str() == session);
        let is_from_elsewhere = found.session_id.as_ref().is_some_and(|session| !is_ours(session));
        let is_noted =
            projection.baseline.as_deref().is_some_and(|noted| sums(&keys_of(noted)) == sums(found));
        // Two machines that know the same sum would change each other's last session for ever. Only if that sum was
        // taken note of: another session may happen to cost the same.
        let agrees = is_from_elsewhere && is_noted && sums(found) == sums(&wanted);
        Ok(Some(if agrees { found.clone() } else { wanted }))
    }
}

/// Replaces the keys of all planned tasks at once, or tells which it would.
///
/// Returns what came of it, and which tasks somebody changed since they were planned.
fn replace(
    queues: Queues,
    queue: &TaskQueue,
    plans: &[Plan],
    deadline: Instant,
) -> Result<(Change, BTreeSet<String>), QueueError> {
    let differing: BTreeMap<&str, &Plan> = plans
        .iter()
        .filter(|plan| plan.queued.is_some() && plan.change().is_some())
        .map(|plan| (plan.projection.name.as_str(), plan))
        .collect();
    if differing.is_empty() {
        return Ok((Change::default(), BTreeSet::new()));
    }
    let ids: BTreeSet<TaskId> = differing.keys().filter_map(|name| TaskId::new(*name).ok()).collect();
    if queues == Queues::Compared {
        return Ok((Change { written: ids, ..Change::default() }, BTreeSet::new()));
    }
    let mut changed = BTreeSet::new();
    let locked = queue.lock(deadline)?;
    // Before it goes: its writer may not have lived to know that it stood there.
    let found: Vec<Finding> = differing.values().filter_map(|plan| plan.finding()).collect();
    locked.keep_findings(&found)?;
    let change = locked.update(&ids, |task| {
        let plan = differing.get(task.id.as_str())?;
        if task.costs == plan.found || Some(&task.costs) == plan.wanted.as_ref() {
            changed.remove(task.id.as_str());
            return plan.wanted.clone();
        }
        changed.insert(task.id.as_str().to_owned());
        None
    })?;
    Ok((change, changed))
}

/// Returns whether a task could not be written: it was taken out of the queue meanwhile, or stands there oddly.
fn is_kept_out(change: &Change, task: &str) -> bool {
    change.missing.iter().chain(&change.malformed).any(|kept_out| kept_out.as_str() == task)
}

/// Tells of tasks that stand in a queue in a way that keeps their cost from being shown, or shown twice.
fn oddities(queue: &TaskQueue, change: &Change) -> Vec<String> {
    let path = queue.path().display();
    let malformed = change.malformed.iter().map(|task| {
        format!("task {task}: its `metadata` in `{path}` is no object, so it cannot show the cost")
    });
    let repeated = change
        .repeated
        .iter()
        .map(|task| format!("task {task} stands in `{path}` more than once; the first one shows the cost"));
    malformed.chain(repeated).collect()
}

/// Returns the seven values that show what a task comes to; `found` fills in what only another writer knows.
fn cost_keys(summary: &TaskSummary, found: &CostKeys) -> CostKeys {
    CostKeys {
        input_tokens: Some(summary.input().to_string()),
        output_tokens: Some(summary.output().to_string()),
        cache_creation_tokens: Some(summary.cache_write().to_string()),
        cache_read_tokens: Some(summary.cache_read().to_string()),
        usd: Some(summary.cost().fixed(4)),
        model: summary.models.first().map(|(model, _)| model.as_str().to_owned()).or(found.model.clone()),
        session_id: summary.last_session().map(|id| id.as_str().to_owned()).or(found.session_id.clone()),
    }
}

/// The five values of the seven that add up.
fn sums(keys: &CostKeys) -> [Option<&str>; 5] {
    let [sums @ .., _model, _session] = keys.pairs().map(|(_, value)| value);
    sums
}
