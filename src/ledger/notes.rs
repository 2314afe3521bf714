//! What sessions, people and git say beside requests: prompts, pull requests, commits.
//!
//! Facts, and the places of those requests that a new one concerns, derived again.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;
use rusqlite::params;

use crate::attribution;
use crate::attribution::Link;
use crate::attribution::rules;
use crate::id::SessionId;
use crate::ledger::Ledger;
use crate::ledger::LedgerError;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::path_bytes;
use crate::ledger::placement::Known;
use crate::ledger::recording::Recording;
use crate::ledger::task::TaskRow;
use crate::transcript::Prompt;
use crate::transcript::PullRequest;

/// A branch of a project on which requests were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkedBranch {
    /// Its name.
    pub name: String,
    /// When the first of its requests was made.
    pub since: Timestamp,
}

impl Ledger {
    /// Returns the branches of the project at `path` on which requests were made.
    pub fn worked_branches(&self, path: &Path) -> Result<Vec<WorkedBranch>, LedgerError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT branch, min(at) FROM request
             WHERE owner IN (SELECT id FROM session WHERE project = (SELECT id FROM project WHERE path = ?1))
               AND branch IS NOT NULL
             GROUP BY branch ORDER BY branch",
        )?;
        let mut rows = statement.query([path_bytes(path)])?;
        let mut branches = Vec::new();
        while let Some(row) = rows.next()? {
            branches.push(WorkedBranch { name: row.get(0)?, since: instant(row.get(1)?)? });
        }
        Ok(branches)
    }
}

impl Recording<'_> {
    /// Stores prompts and places those requests again that they come before.
    pub(super) fn prompts(&mut self, prompts: &[Prompt]) -> Result<(), LedgerError> {
        let mut earliest: BTreeMap<i64, i64> = BTreeMap::new();
        for Prompt { session, at, command } in prompts {
            let Some(session) = self.remembered(session, *at)? else { continue };
            let at = millis(*at);
            let n_changed = self
                .transaction
                .prepare_cached(
                    "INSERT INTO prompt (session, at, command) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET command = excluded.command
                     WHERE excluded.command > coalesce(command, '')",
                )?
                .execute(params![session, at, command])?;
            if n_changed > 0 {
                let first = earliest.entry(session).or_insert(at);
                *first = at.min(*first);
            }
        }
        for (session, at) in earliest {
            self.known.forget_prompts(session);
            let later = self.placed("owner = ?1 AND at >= ?2", [session, at])?;
            self.place_again(&later)?;
        }
        Ok(())
    }

    /// Stores that sessions worked on pull requests.
    pub(super) fn pull_requests(&mut self, found: &[PullRequest]) -> Result<(), LedgerError> {
        for PullRequest { session, at, name } in found {
            let Some(session) = self.remembered(session, *at)? else { continue };
            let branch = self.branch_at(session, millis(*at))?;
            let n_new = self
                .transaction
                .prepare_cached(
                    "INSERT INTO pr_link (session, at, pr, branch) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![session, millis(*at), name, branch])?;
            if n_new > 0 {
                let new = Link { at: *at, pr: name.clone() };
                self.place_linked_anew(session, branch.as_deref(), &new)?;
            }
        }
        Ok(())
    }

    /// Finds again which branch each of `sessions` was on when it worked on a pull request, and places the requests
    /// again that this concerns.
    pub(super) fn derive_links(&mut self, sessions: &BTreeSet<i64>) -> Result<(), LedgerError> {
        for session in sessions {
            for (at, before) in self.links_of(*session)? {
                let branch = self.branch_at(*session, at)?;
                if branch == before {
                    continue;
                }
                self.transaction
                    .prepare_cached("UPDATE pr_link SET branch = ?3 WHERE session = ?1 AND at = ?2")?
                    .execute(params![session, at, branch])?;
                self.known = Known::default();
                self.place_linked(*session, before.as_deref())?;
                self.place_linked(*session, branch.as_deref())?;
            }
        }
        Ok(())
    }

    /// Returns the branches that `session` was on when it worked on pull requests, with the times of that.
    fn links_of(&self, session: i64) -> Result<BTreeSet<(i64, Option<String>)>, LedgerError> {
        let links = self
            .transaction
            .prepare_cached("SELECT at, branch FROM pr_link WHERE session = ?1")?
            .query_map([session], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        Ok(links)
    }

    /// Returns the project and the branches whose pull requests `session` tells of.
    pub(super) fn linked_branches(&mut self, session: i64) -> Result<BTreeSet<(i64, String)>, LedgerError> {
        let links = self.links_of(session)?;
        if links.is_empty() {
            return Ok(BTreeSet::new());
        }
        let project = self.owner(session)?.project;
        let branches = links.into_iter().filter_map(|(_, branch)| branch);
        Ok(branches.filter_map(|branch| Some((project?, branch))).collect())
    }

    /// Places requests on branches again, because a session that told of their pull requests came or went.
    pub(super) fn place_branches(&mut self, branches: &BTreeSet<(i64, String)>) -> Result<(), LedgerError> {
        branches.iter().try_for_each(|(project, branch)| self.place_branch(*project, branch))
    }

    /// Returns the branch of the session's last request at `at` or before, else of its first.
    fn branch_at(&self, session: i64, at: i64) -> Result<Option<String>, LedgerError> {
        let nearest = |comparison: &str, order: &str| {
            self.transaction
                .prepare_cached(&format!(
                    "SELECT branch FROM (
                         SELECT * FROM (SELECT branch, at, key, key_kind FROM request
                             WHERE owner = ?1 AND at {comparison} ?2 AND file IS NOT NULL AND NOT sidechain
                             ORDER BY at {order}, key, key_kind LIMIT 1)
                         UNION ALL
                         SELECT * FROM (SELECT branch, other_appearance.at, key, key_kind
                             FROM other_appearance JOIN request ON request.id = request
                             WHERE session = ?1 AND other_appearance.at {comparison} ?2 AND NOT sidechain
                             ORDER BY other_appearance.at {order}, key, key_kind LIMIT 1))
                     ORDER BY at {order}, key, key_kind LIMIT 1"
                ))?
                .query_row([session, at], |row| row.get(0))
                .optional()
        };
        let branch = match nearest("<=", "DESC")? {
            Some(branch) => branch,
            None => nearest(">", "ASC")?.flatten(),
        };
        Ok(branch)
    }

    /// Places the requests again that `new`, a pull request of `session` on `branch`, concerns.
    fn place_linked_anew(
        &mut self,
        session: i64,
        branch: Option<&str>,
        new: &Link,
    ) -> Result<(), LedgerError> {
        self.known.forget_owner(session);
        let project = self.owner(session)?.project;
        // It names a pull request and leaves the project as it is.
        match (branch.filter(|branch| !rules::is_trunk(branch)), project) {
            (Some(branch), Some(project)) => {
                self.known.forget_branch(project, branch);
                let links = self.links_of_branch(project, branch)?;
                if let Some((since, until)) = attribution::linked_anew(&links, new) {
                    self.place_branch_within(project, branch, since, until)?;
                }
            }
            _ => {
                let links = self.owner(session)?.links_on(branch);
                if let Some((since, until)) = attribution::linked_anew(links, new) {
                    self.place_all_of_within(session, since, until)?;
                }
            }
        }
        Ok(())
    }

    /// Places the requests again that pull requests of `session` on `branch` concern.
    fn place_linked(&mut self, session: i64, branch: Option<&str>) -> Result<(), LedgerError> {
        match (branch.filter(|branch| !rules::is_trunk(branch)), self.owner(session)?.project) {
            (Some(branch), Some(project)) => self.place_branch(project, branch),
            // It names a pull request and leaves the project as it is.
            _ => self.place_all_of(session).map(drop),
        }
    }

    /// Stores that a person said which pull request `task` went into.
    pub fn link_task(&mut self, task: TaskRow, pr: &str) -> Result<(), LedgerError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO task_link (task, said, pr) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![task.0, millis(self.now), pr])?;
        self.known = Known::default();
        let of_task = self.placed("task = ?1", [task.0])?;
        self.place_again(&of_task)?;
        Ok(())
    }

    /// Stores the commits of a branch as git lists them now, each with the time when its author wrote it.
    ///
    /// Returns whether that is news.
    pub fn branch_commits(
        &mut self,
        project: &Path,
        branch: &str,
        commits: &BTreeSet<(Timestamp, String)>,
    ) -> Result<bool, LedgerError> {
        let project = self.project(project)?;
        let stored = self
            .transaction
            .prepare_cached("SELECT at, hash FROM branch_commit WHERE project = ?1 AND branch = ?2")?
            .query_map(params![project, branch], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<BTreeSet<(i64, String)>, _>>()?;
        let listed: BTreeSet<_> = commits.iter().map(|(at, hash)| (millis(*at), hash.clone())).collect();
        if stored == listed {
            return Ok(false);
        }
        self.transaction
            .prepare_cached("DELETE FROM branch_commit WHERE project = ?1 AND branch = ?2")?
            .execute(params![project, branch])?;
        for (at, hash) in listed {
            self.transaction
                .prepare_cached(
                    "INSERT INTO branch_commit (project, branch, at, hash) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![project, branch, at, hash])?;
        }
        self.known = Known::default();
        self.place_branch(project, branch)?;
        Ok(true)
    }

    /// Returns the number of `session`, unless a person had forgotten what it did at `at`.
    fn remembered(&mut self, session: &SessionId, at: Timestamp) -> Result<Option<i64>, LedgerError> {
        let number = self.session(session)?;
        Ok(if self.is_ruled_out(&[session], number, at)? { None } else { Some(number) })
    }
}
