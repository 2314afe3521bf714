//! Brings the task queues to what the ledger says.
//!
//! Figures are compared and kept before they are replaced, and the lock is held only for the replacement itself,
//! never across a ledger transaction. A queue that cannot be read or locked stays as it is: what it should show
//! is marked in the ledger, and the next run tries again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use walkdir::WalkDir;

use crate::booking;
use crate::booking::BookingError;
use crate::booking::Books;
use crate::booking::Queues;
use crate::id::ModelId;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::Durability;
use crate::ledger::foreign::ForeignFigures;
use crate::ledger::foreign::Projection;
use crate::ledger::foreign::Which;
use crate::ledger::task::TaskDescription;
use crate::money::Usd;
use crate::printable::Printable;
use crate::project::Project;
use crate::summary::Elsewhere;
use crate::summary::TaskSummary;
use crate::summary::Totals;
use crate::task_queue::Change;
use crate::task_queue::CostKeys;
use crate::task_queue::QueueDocument;
use crate::task_queue::QueueError;
use crate::task_queue::QueuedTask;
use crate::task_queue::TaskQueue;

/// How long a queue that is being written, or locked, is waited for at most.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// The most tokens of a kind that are believed of another writer's figures; the ledger can add up many of them.
const MOST_TOKENS: u64 = 1 << 50;

/// The most money that is believed of them: half a million USD.
const MOST_USD: Usd = Usd::from_pico(1 << 59);

/// What a projection came to.
#[derive(Debug, Default)]
pub struct Projected {
    /// Tasks whose keys were written.
    pub n_written: u64,
    /// Queues that could not be brought up to date yet, and why.
    pub deferred: Vec<QueueError>,
    /// Tasks that cannot show their cost as they stand in their queue.
    pub n_refused: u64,
    /// What a person should know of the queues: figures of others that were replaced, tasks that stand there oddly.
    pub notes: Vec<String>,
}

impl Projected {
    /// Returns whether every queue shows what the ledger knows.
    pub fn is_complete(&self) -> bool {
        self.deferred.is_empty() && self.n_refused == 0
    }
}

/// What one task's keys hold and shall hold.
struct Plan {
    projection: Projection,
    /// The task as the queue has it.
    queued: Option<QueuedTask>,
    found: CostKeys,
    /// `None`: they are another writer's alone, and stay.
    wanted: Option<CostKeys>,
}

impl Plan {
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
            let plans = self.plan(&document, std::mem::take(&mut waiting), &mut projected.notes)?;
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
        notes: &mut Vec<String>,
    ) -> Result<Vec<Plan>, BookingError> {
        let mut plans = Vec::new();
        for mut projection in projections {
            let queued = TaskId::new(&projection.name).ok().and_then(|id| document.task(&id));
            let found = queued.as_ref().map(|task| task.costs.clone()).unwrap_or_default();
            let mut wanted = self.wanted(&projection, &found)?;
            if wanted.as_ref().is_some_and(|wanted| *wanted != found)
                && self.is_foreign(&projection, &found)?
            {
                projection.baseline = Some(self.keep(&projection, &found, notes)?);
                wanted = self.wanted(&projection, &found)?;
            }
            plans.push(Plan { projection, queued, found, wanted });
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

    /// Returns whether figures are neither empty nor ours nor kept already.
    fn is_foreign(&self, projection: &Projection, found: &CostKeys) -> Result<bool, BookingError> {
        let text = figures(found);
        Ok(*found != CostKeys::default()
            && projection.baseline.as_ref() != Some(&text)
            && !self.ledger.is_shown(projection.task, &projection.queue, &text)?
            && !self.ledger.is_kept(projection.task, &projection.queue, &text)?)
    }

    /// Keeps what another writer left, and adds its increase to the task if it is from elsewhere; returns the new
    /// baseline of the task's keys.
    fn keep(
        &mut self,
        projection: &Projection,
        found: &CostKeys,
        notes: &mut Vec<String>,
    ) -> Result<String, BookingError> {
        let text = figures(found);
        let baseline = projection.baseline.as_deref().map(keys_of).unwrap_or_default();
        let increase = match found.session_id.as_deref().map(SessionId::new) {
            Some(Ok(session)) if !self.is_known_session(&session)? => increase(&baseline, found),
            _ => None,
        };
        if increase.is_none() {
            notes.push(format!(
                "task {}: another program had put cost_usd {} into `{}`; that is kept in the ledger, and replaced there \
                 by what cmat recorded (`cmat doctor` tells more)",
                Printable(&projection.name),
                Printable(found.usd.as_deref().unwrap_or("-")),
                projection.queue.display(),
            ));
        }
        let mut recording = self.ledger.record(Durability::Irreplaceable, self.now)?;
        recording.foreign_figures(
            projection,
            &ForeignFigures {
                found: &text,
                expected: projection.baseline.as_deref(),
                seen: self.now,
                increase,
                model: found.model.as_deref(),
                session: found.session_id.as_deref(),
            },
        )?;
        recording.commit()?;
        Ok(text)
    }

    fn is_known_session(&self, session: &SessionId) -> Result<bool, BookingError> {
        let file_name = format!("{}.jsonl", session.as_str());
        let stands_in = |folder: &PathBuf| {
            WalkDir::new(folder.join("projects"))
                .min_depth(2)
                .max_depth(2)
                .into_iter()
                .filter_map(Result::ok)
                .any(|entry| entry.file_name() == Path::new(&file_name))
        };
        Ok(self.ledger.knows_session(session)? || self.claude_folders.iter().any(stands_in))
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
    let change = queue.lock(deadline)?.update(&ids, |task| {
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

/// Returns what a task comes to by the figures that stand in its queue; `None` if they are none.
///
/// For tasks that the ledger has no request of: another program recorded them, before cmat or elsewhere.
pub fn as_stored(queued: &QueuedTask, project: &Path) -> Option<TaskSummary> {
    queued.costs.usd.as_ref()?;
    let elsewhere = increase(&CostKeys::default(), &queued.costs)?;
    let model = queued.costs.model.as_deref().and_then(|id| ModelId::new(id).ok());
    Some(TaskSummary {
        task: queued.id.clone(),
        project: project.to_owned(),
        title: queued.title.clone(),
        enhancement: queued.enhancement.clone(),
        agent: queued.assigned_agent.clone(),
        totals: Totals::default(),
        models: model.map(|id| (id, Totals::default())).into_iter().collect(),
        sessions: Vec::new(),
        elsewhere,
    })
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

/// The seven values as the ledger stores them.
fn figures(keys: &CostKeys) -> String {
    serde_json::json!(keys.pairs().map(|(_, value)| value)).to_string()
}

fn keys_of(figures: &str) -> CostKeys {
    let values: [Option<String>; 7] = serde_json::from_str(figures).unwrap_or_default();
    let [input_tokens, output_tokens, cache_creation_tokens, cache_read_tokens, usd, model, session_id] =
        values;
    CostKeys { input_tokens, output_tokens, cache_creation_tokens, cache_read_tokens, usd, model, session_id }
}

/// Returns what `found` has more than `baseline`, or `None` if any field fell, is no number or is absurd.
fn increase(baseline: &CostKeys, found: &CostKeys) -> Option<Elsewhere> {
    let count = |value: &Option<String>| {
        let count = value.as_deref().map_or(Some(0), |text| text.trim().parse::<u64>().ok());
        count.filter(|count| *count <= MOST_TOKENS)
    };
    let more =
        |found: &Option<String>, baseline: &Option<String>| count(found)?.checked_sub(count(baseline)?);
    let amount = |value: &Option<String>| {
        let amount = value.as_deref().map_or(Some(Usd::ZERO), |text| text.parse().ok());
        amount.filter(|amount| *amount <= MOST_USD)
    };
    let cost = amount(&found.usd)? - amount(&baseline.usd)?;
    (cost >= Usd::ZERO).then_some(Elsewhere {
        entries: 1,
        input: more(&found.input_tokens, &baseline.input_tokens)?,
        output: more(&found.output_tokens, &baseline.output_tokens)?,
        cache_write: more(&found.cache_creation_tokens, &baseline.cache_creation_tokens)?,
        cache_read: more(&found.cache_read_tokens, &baseline.cache_read_tokens)?,
        cost,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(input: &str, usd: &str) -> CostKeys {
        CostKeys { input_tokens: Some(input.to_owned()), usd: Some(usd.to_owned()), ..CostKeys::default() }
    }

    #[test]
    fn figures_survive_being_stored() {
        let keys = keys("12", "0.5000");
        assert_eq!(keys_of(&figures(&keys)), keys);
    }

    #[test]
    fn an_increase_needs_every_field_to_stand_or_grow() {
        let check = |baseline, found, expected: Option<(u64, &str)>| {
            let increase = increase(&baseline, &found).map(|more| (more.input, more.cost.to_string()));
            assert_eq!(increase, expected.map(|(input, cost)| (input, cost.to_owned())));
        };
        check(CostKeys::default(), keys("12", "0.5"), Some((12, "0.5")));
        check(keys("10", "0.5"), keys("12", "0.75"), Some((2, "0.25")));
        check(keys("13", "0.5"), keys("12", "0.75"), None);
        check(keys("10", "0.8"), keys("12", "0.75"), None);
        check(keys("10", "0.5"), keys("much", "0.75"), None);
        check(keys("10", "0.5"), keys("18446744073709551615", "0.75"), None);
        check(keys("10", "0.5"), keys("12", "99999999999999999"), None);
    }
}
