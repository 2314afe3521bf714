//! Finishes what hooks left: intents that no run booked, queues that do not show what the ledger knows.

use std::time::Duration;
use std::time::Instant;

use crate::attribution::BindingSource;
use crate::booking::Assignment;
use crate::booking::BookingError;
use crate::booking::Books;
use crate::booking::find_files;
use crate::booking::projection::Projected;
use crate::booking::reading::Reach;
use crate::id::SessionId;
use crate::ledger::Durability;
use crate::outbox::Event;
use crate::outbox::Intent;
use crate::outbox::IntentName;
use crate::outbox::Outbox;
use crate::outbox::OutboxError;
use crate::project;
use crate::project::Project;

/// So many booked intents does a hook leave for a command to remove.
const MANY_BOOKED: usize = 32;

/// Which intents are finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ripe {
    /// All of them.
    All,
    /// Those older than this: younger ones may have a hook at work.
    Older(Duration),
}

/// What finishing came to.
#[derive(Debug, Default)]
pub struct Finished {
    /// Intents that were booked now.
    pub n_booked: u64,
    /// Intents whose transcripts are not read to their end yet; the next run reads on.
    pub n_left: u64,
    /// Intents that are booked, now or before; their files can go.
    booked: Vec<IntentName>,
    /// Intents that cannot be read; they stay where they are.
    pub unreadable: Vec<OutboxError>,
    /// Transcripts that could not be read, and intents that a row of the ledger stands in the way of.
    pub faults: Vec<BookingError>,
    /// What the task queues came to.
    pub projected: Projected,
}

impl Books {
    /// Books what an intent says: the session's files, its task, its end or that it goes on.
    ///
    /// The name of the intent, if it is in the outbox, is noted in the ledger, so that a later run may remove its
    /// file; not so if the deadline came before the end of the transcript: then the next run reads on.
    ///
    /// # Errors
    /// A transcript that is no regular file never will be one: its intent is booked all the same, without usage,
    /// and the error is returned.
    pub fn book_intent(&mut self, name: Option<&IntentName>, intent: &Intent) -> Result<(), BookingError> {
        let folder = intent.project_dir.as_ref().unwrap_or(&intent.cwd);
        let project = project::find(folder, self.home.as_deref());
        let transcript = intent.transcript.as_ref();
        let found = transcript.map(|path| find_files(path, intent.session.as_ref())).transpose();
        let (found, fault) = match found {
            Err(fault) if fault.is_final() => (None, Some(fault)),
            found => (found?, None),
        };
        let session = found.as_ref().map(|found| &found.session).or(intent.session.as_ref());
        if let Some(session) = session {
            // Before it is read: what was read before belongs to the run before, and prices are the project's.
            self.assign_intent(session, &project, intent)?;
        }
        if let Some(found) = &found
            && self.read_session(found)? == Reach::Deadline
        {
            return Ok(());
        }
        let mut recording = self.ledger.record(Durability::Repeatable, self.now)?;
        if let Some(session) = session
            && intent.event == Event::SessionEnd
        {
            recording.session_ended(session, intent.at, intent.reason.as_deref())?;
        }
        if let Some(name) = name {
            recording.booked(&name.to_string())?;
        }
        recording.commit()?;
        fault.map_or(Ok(()), Err)
    }

    fn assign_intent(
        &mut self,
        session: &SessionId,
        project: &Project,
        intent: &Intent,
    ) -> Result<(), BookingError> {
        let (task, source) = match (&intent.task, &intent.task_file) {
            (None, Some(task)) => (Some(task.clone()), BindingSource::TaskFile),
            (task, _) if intent.run_began.is_some() => (task.clone(), BindingSource::Run),
            (Some(task), _) => (Some(task.clone()), BindingSource::Environment),
            (None, None) => (None, BindingSource::TaskFile),
        };
        let tags = if intent.tags.is_empty() { None } else { serde_json::to_string(&intent.tags).ok() };
        let since = match (source, intent.event) {
            (BindingSource::Run, _) => intent.run_began,
            (_, Event::SessionStart) => Some(intent.at),
            (_, Event::SessionEnd) => None,
        };
        let (enhancement, agent) = (intent.enhancement.clone(), intent.agent.clone());
        let user = intent.user.clone();
        let assignment = Assignment { task, enhancement, agent, tags, user, since };
        self.assign(session, project, &assignment, source, intent.at)?;
        Ok(())
    }

    /// Books the intents in `outbox`, brings the queues up to date, and removes intents that are safely booked.
    pub fn finish_leftovers(&mut self, outbox: &Outbox, ripe: Ripe) -> Result<Finished, BookingError> {
        let mut finished = Finished::default();
        for (name, intent) in self.left_in(outbox, &mut finished)? {
            if !self.is_ripe(&intent, ripe) {
                continue;
            }
            if Instant::now() >= self.deadline {
                finished.n_left += 1;
                continue;
            }
            let fault = match self.book_intent(Some(&name), &intent) {
                // What one row holds keeps one intent from being booked, not the others.
                Err(BookingError::Ledger(fault)) if !fault.is_of_a_row() => return Err(fault.into()),
                outcome => outcome.err(),
            };
            if self.ledger.is_booked(&name.to_string())? {
                finished.n_booked += 1;
                finished.booked.push(name);
            } else if fault.is_none() {
                finished.n_left += 1;
            }
            finished.faults.extend(fault);
        }
        finished.projected = self.project_pending()?;
        // A hook has better things to do than to wait for the disk, as long as there are few.
        if ripe == Ripe::All || finished.booked.len() >= MANY_BOOKED {
            self.remove_booked(outbox, &finished.booked)?;
        }
        outbox.remove_unfinished(self.now);
        Ok(finished)
    }

    /// Returns the intents that are not booked, the earliest first; notes in `finished` those that are.
    fn left_in(
        &self,
        outbox: &Outbox,
        finished: &mut Finished,
    ) -> Result<Vec<(IntentName, Intent)>, BookingError> {
        let names = outbox.list().unwrap_or_else(|fault| {
            finished.unreadable.push(fault);
            Vec::new()
        });
        let mut left = Vec::new();
        for name in names {
            if self.ledger.is_booked(&name.to_string())? {
                finished.booked.push(name);
                continue;
            }
            match outbox.read(&name) {
                // Another run was quicker.
                Ok(None) => {}
                Ok(Some(intent)) => left.push((name, intent)),
                Err(fault) => finished.unreadable.push(fault),
            }
        }
        left.sort_by_key(|(_, intent)| intent.at);
        Ok(left)
    }

    fn is_ripe(&self, intent: &Intent, ripe: Ripe) -> bool {
        match ripe {
            Ripe::All => true,
            Ripe::Older(age) => self.now.duration_since(intent.at).unsigned_abs() >= age,
        }
    }

    /// Removes the files of booked intents, once what they led to is safe on disk.
    fn remove_booked(&mut self, outbox: &Outbox, booked: &[IntentName]) -> Result<(), BookingError> {
        if booked.is_empty() || !self.ledger.checkpoint()? {
            return Ok(());
        }
        let mut recording = self.ledger.record(Durability::Repeatable, self.now)?;
        for name in booked {
            // A file that cannot be removed is only read again: booking twice is booking once.
            if outbox.remove(name).is_ok() {
                recording.intent_removed(&name.to_string())?;
            }
        }
        recording.commit()?;
        Ok(())
    }
}
