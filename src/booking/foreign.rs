//! What another program or machine put into a task's keys: kept whole, and added to the task or adopted.
//!
//! An increase by a session that this machine does not know was recorded elsewhere, and is added at once. Anything else
//! (a second cost hook; a ledger that was rebuilt and knows less than the queue) is replaced, told, and added only if a
//! person says so.

use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use walkdir::WalkDir;

use crate::attribution::BindingSource;
use crate::booking;
use crate::booking::BookingError;
use crate::booking::Books;
use crate::booking::projection::LONGEST_WAIT;
use crate::id::ModelId;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::Durability;
use crate::ledger::binding::NewBinding;
use crate::ledger::foreign::ForeignFigures;
use crate::ledger::foreign::KeptFigures;
use crate::ledger::foreign::Projection;
use crate::ledger::task::TaskRow;
use crate::money::Usd;
use crate::printable::Printable;
use crate::project::Project;
use crate::summary::Elsewhere;
use crate::summary::TaskSummary;
use crate::summary::Totals;
use crate::task_queue::CostKeys;
use crate::task_queue::Finding;
use crate::task_queue::QueueDocument;
use crate::task_queue::QueueError;
use crate::task_queue::QueuedTask;
use crate::task_queue::TaskQueue;

/// The most tokens of a kind that are believed of another writer's figures; the ledger can add up many of them.
const MOST_TOKENS: u64 = 1 << 50;

/// The most money that is believed of them: half a million USD.
const MOST_USD: Usd = Usd::from_pico(1 << 59);

impl Books {
    /// Adds to `task` of `project` what its queue holds, or held, beyond what this ledger knows; the audit has a line.
    ///
    /// What the figures hold that the ledger knows is what was recorded up to the last request of the session that
    /// they name. If nobody said what that session worked on, it is the task. Returns `None` if no figures of others
    /// were found that are not counted already.
    ///
    /// # Errors
    /// Only those of the ledger; nothing is changed then. A queue that cannot be read has no new figures.
    pub fn adopt(&mut self, project: &Project, task: &TaskId) -> Result<Option<Elsewhere>, BookingError> {
        let mut recording = self.ledger.record(Durability::Repeatable, self.now)?;
        let row = recording.task(&project.root, task)?;
        let queue = booking::find_queue(project);
        if let Some(queue) = &queue {
            recording.show_in_queue(row, queue.path())?;
        }
        recording.commit()?;
        let deadline = self.deadline.min(Instant::now() + LONGEST_WAIT);
        let document = queue.as_ref().and_then(|queue| queue.read(deadline).ok());
        if let (Some(queue), Some(document)) = (&queue, document)
            && let Some(queued) = document.task(task)
        {
            let mut projections = self.ledger.projections_of(row)?;
            projections.retain(|projection| projection.queue == queue.path());
            // Who cannot tell them from its own keeps them with the next projection.
            let findings = self.findings(queue, &document, &projections, deadline)?;
            for (mut projection, findings) in projections.into_iter().zip(&findings) {
                if self.is_foreign(&projection, &queued.costs)? {
                    self.make_sure(&mut projection, findings)?;
                    // The next projection would keep them as well.
                    self.keep(&projection, &queued.costs, &mut Vec::new())?;
                }
            }
        }
        let kept = self.ledger.figures_not_counted(row)?;
        let usd = |kept: &KeptFigures| -> Option<Usd> { keys_of(&kept.found).usd?.parse().ok() };
        let Some(greatest) = kept.iter().max_by_key(|kept| usd(kept)) else { return Ok(None) };
        let found = keys_of(&greatest.found);
        self.bind_if_nobody_did(found.session_id.as_deref(), project, row)?;
        let more = self.beyond_the_ledger(row, greatest, &found)?;
        let mut recording = self.ledger.record(Durability::Irreplaceable, self.now)?;
        recording.adopt(row, greatest, more)?;
        let detail =
            json!({ "task": task, "found": found.pairs().map(|(_, value)| value), "cost": more.cost });
        recording.audit("adopted", &detail)?;
        recording.commit()?;
        Ok(Some(more))
    }

    fn bind_if_nobody_did(
        &mut self,
        session: Option<&str>,
        project: &Project,
        task: TaskRow,
    ) -> Result<(), BookingError> {
        let Some(Ok(session)) = session.map(SessionId::new) else { return Ok(()) };
        let is_here = self.ledger.project_of(&session)?.is_some_and(|of| of.root == project.root);
        if !is_here || self.ledger.has_task(&session)? {
            return Ok(());
        }
        let mut recording = self.ledger.record(Durability::Irreplaceable, self.now)?;
        recording.bind_session(
            &session,
            &NewBinding {
                task: Some(task),
                enhancement: None,
                agent: None,
                tags: None,
                user: None,
                since: None,
                said: self.now,
                source: BindingSource::Command,
            },
        )?;
        recording.commit()?;
        Ok(())
    }

    /// Returns what `found` holds beyond what the ledger knows to be in it; no field is less than nothing.
    fn beyond_the_ledger(
        &self,
        task: TaskRow,
        kept: &KeptFigures,
        found: &CostKeys,
    ) -> Result<Elsewhere, BookingError> {
        let known = match self.ledger.totals_until(task, found.session_id.as_deref())? {
            Some(totals) => {
                let before = self.ledger.counted_before(task, kept)?;
                Elsewhere {
                    entries: 1,
                    input: totals.tokens.input.saturating_add(before.input),
                    output: totals.tokens.output.saturating_add(before.output),
                    cache_write: totals.tokens.cache_write().saturating_add(before.cache_write),
                    cache_read: totals.tokens.cache_read.saturating_add(before.cache_read),
                    cost: totals.cost.total() + before.cost,
                }
            }
            None => counts(&kept.expected.as_deref().map(keys_of).unwrap_or_default()),
        };
        let found = counts(found);
        Ok(Elsewhere {
            entries: 1,
            input: found.input.saturating_sub(known.input),
            output: found.output.saturating_sub(known.output),
            cache_write: found.cache_write.saturating_sub(known.cache_write),
            cache_read: found.cache_read.saturating_sub(known.cache_read),
            // The queue has four decimals: what rounding hides is nothing more.
            cost: if found.cost.fixed(4) == known.cost.fixed(4) {
                Usd::ZERO
            } else {
                (found.cost - known.cost).max(Usd::ZERO)
            },
        })
    }

    /// Returns whether figures are neither empty nor ours nor kept already.
    pub(super) fn is_foreign(&self, projection: &Projection, found: &CostKeys) -> Result<bool, BookingError> {
        let text = figures(found);
        Ok(*found != CostKeys::default()
            && projection.baseline.as_ref() != Some(&text)
            && !self.ledger.is_shown(projection.task, &projection.queue, &text)?
            && !self.ledger.is_kept(projection.task, &projection.queue, &text)?)
    }

    /// Returns what other cmats found in a queue, if one of its tasks was changed by others while nobody knows whether this
    /// ledger's own last change was made: its writer was killed.
    pub(super) fn findings(
        &self,
        queue: &TaskQueue,
        document: &QueueDocument,
        projections: &[Projection],
        deadline: Instant,
    ) -> Result<Result<Vec<Finding>, QueueError>, BookingError> {
        for projection in projections {
            let queued = TaskId::new(&projection.name).ok().and_then(|id| document.task(&id));
            let Some(QueuedTask { costs, .. }) = queued else { continue };
            if self.is_foreign(projection, &costs)?
                && self.ledger.is_unsure(projection.task, &projection.queue, None)?
            {
                return Ok(queue.lock(deadline).and_then(|locked| locked.findings()));
            }
        }
        Ok(Ok(Vec::new()))
    }

    /// Takes for known what this ledger put into a task's keys if another cmat found it there.
    pub(super) fn make_sure(
        &self,
        projection: &mut Projection,
        findings: &[Finding],
    ) -> Result<(), BookingError> {
        for Finding { figures, .. } in findings.iter().rev().filter(|found| found.task == projection.name) {
            if self.ledger.is_unsure(projection.task, &projection.queue, Some(figures))? {
                projection.baseline = Some(figures.clone());
                break;
            }
        }
        Ok(())
    }

    /// Keeps what another writer left, and adds its increase to the task if it is from elsewhere; returns the new
    /// baseline of the task's keys.
    pub(super) fn keep(
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
            let had_put = match &found.usd {
                Some(usd) => format!("cost_usd {}", Printable(usd)),
                None => "figures without cost_usd".to_owned(),
            };
            notes.push(format!(
                "task {0}: another program had put {had_put} into `{1}`; that is kept in the ledger, and replaced there \
                 by what cmat recorded (`cmat reconcile --adopt {0}` adds what it holds beyond that)",
                Printable(&projection.name),
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
        not_itemised: Totals::default(),
        elsewhere,
    })
}

/// Returns the seven values as the ledger stores them.
pub fn figures(keys: &CostKeys) -> String {
    serde_json::json!(keys.pairs().map(|(_, value)| value)).to_string()
}

pub(super) fn keys_of(figures: &str) -> CostKeys {
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

/// Returns what figures say, a field that is no number or absurd as nothing.
fn counts(keys: &CostKeys) -> Elsewhere {
    let count = |value: &Option<String>| {
        let count = value.as_deref().and_then(|text| text.trim().parse::<u64>().ok());
        count.filter(|count| *count <= MOST_TOKENS).unwrap_or(0)
    };
    let cost = keys.usd.as_deref().and_then(|text| text.parse::<Usd>().ok());
    Elsewhere {
        entries: 1,
        input: count(&keys.input_tokens),
        output: count(&keys.output_tokens),
        cache_write: count(&keys.cache_creation_tokens),
        cache_read: count(&keys.cache_read_tokens),
        cost: cost.filter(|cost| *cost <= MOST_USD).unwrap_or(Usd::ZERO),
    }
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
