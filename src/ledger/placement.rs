//! Where a request belongs, and by what names it goes: everything that is derived of it but its owner and its charges.
//!
//! [`Known`] keeps what was read of sessions, projects and branches, so that each is read once in a transaction.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;
use rusqlite::Params;
use rusqlite::params;

use crate::attribution;
use crate::attribution::Aspect;
use crate::attribution::Binding;
use crate::attribution::BindingSource;
use crate::attribution::Candidates;
use crate::attribution::Link;
use crate::attribution::Use;
use crate::attribution::rules;
use crate::attribution::rules::Rules;
use crate::id::TaskId;
use crate::ledger::LedgerError;
use crate::ledger::instant;
use crate::ledger::millis;
use crate::ledger::path_from;
use crate::ledger::recording::Recording;

/// A binding whose task is its number in the ledger.
type StoredBinding = Binding<i64>;

/// What `cmat task use` said, with the path of the worktree that it was said in.
type StoredUse = (StoredBinding, Option<Vec<u8>>);

/// Where a request belongs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) owner: i64,
    pub(super) project: Option<i64>,
    pub(super) task: Option<i64>,
    pub(super) enhancement: Option<String>,
    /// The agent that the session's binding names.
    pub(super) agent: Option<String>,
    /// A JSON object of texts.
    pub(super) tags: Option<String>,
    pub(super) user: Option<String>,
    pub(super) command: Option<String>,
    pub(super) ticket: Option<String>,
    pub(super) pr: Option<String>,
    pub(super) commit: Option<String>,
}

/// What was read in this transaction; emptied when something of it changes.
#[derive(Debug, Default)]
pub(super) struct Known {
    owners: BTreeMap<i64, Owner>,
    projects: BTreeMap<Option<i64>, OfProject>,
    /// By project and name.
    branches: BTreeMap<Option<i64>, BTreeMap<String, OfBranch>>,
    /// Pull requests by task.
    links: BTreeMap<i64, Vec<Link>>,
    /// By session, the prompt that was asked for last: what follows one another mostly answers the same.
    prompts: BTreeMap<i64, Prompted>,
}

/// A time in which one prompt was the last of a session.
#[derive(Debug)]
struct Prompted {
    /// The prompt, with its slash command; none before the first one.
    prompt: Option<(Timestamp, Option<String>)>,
    /// When the next one came.
    until: Option<Timestamp>,
}

/// What decides about the requests that a session owns.
#[derive(Debug, Default)]
pub(super) struct Owner {
    pub(super) project: Option<i64>,
    pub(super) project_path: Option<PathBuf>,
    /// Path of the worktree, as the ledger stores it.
    worktree: Option<Vec<u8>>,
    as_said: Vec<StoredBinding>,
    /// When its runs ended.
    ends: Vec<Timestamp>,
    bindings: Vec<StoredBinding>,
    /// Pull requests in their order, by the branch that the session was on.
    links: BTreeMap<Option<String>, Vec<Link>>,
    /// Branches of which the ledger knows that its requests were made on them.
    branches: BTreeSet<String>,
}

impl Owner {
    /// Returns the pull requests that the session worked on while it was on `branch`, in their order.
    pub(super) fn links_on(&self, branch: Option<&str>) -> &[Link] {
        let there = self.links.iter().find(|(there, _)| there.as_deref() == branch);
        there.map_or(&[], |(_, links)| links)
    }
}

/// What people said of a project, and its rules.
#[derive(Debug)]
struct OfProject {
    said: Vec<StoredUse>,
    rules: Rules,
}

/// What is known of a branch of a project.
#[derive(Debug)]
struct OfBranch {
    said: Vec<StoredBinding>,
    ticket: Option<String>,
    enhancement: Option<String>,
    /// The task that the ticket is.
    task: Option<i64>,
    /// In their order.
    links: Vec<Link>,
    /// In the order of their times.
    commits: Vec<(Timestamp, String)>,
}

impl Known {
    /// Forgets what decides about the requests of `session`, because that changed.
    pub(super) fn forget_owner(&mut self, session: i64) {
        self.owners.remove(&session);
    }

    /// Forgets what is known of a branch, because that changed.
    pub(super) fn forget_branch(&mut self, project: i64, branch: &str) {
        if let Some(branches) = self.branches.get_mut(&Some(project)) {
            branches.remove(branch);
        }
    }

    /// Forgets the prompts of `session`, because there are more now.
    pub(super) fn forget_prompts(&mut self, session: i64) {
        self.prompts.remove(&session);
    }
}

impl Prompted {
    fn holds(&self, at: Timestamp) -> bool {
        self.prompt.as_ref().is_none_or(|(begin, _)| *begin <= at)
            && self.until.is_none_or(|until| at < until)
    }
}

impl Recording<'_> {
    /// Returns where a request of `owner`, made at `at` on `branch`, belongs.
    pub(super) fn placement(
        &mut self,
        at: Timestamp,
        branch: Option<&str>,
        owner: i64,
    ) -> Result<Placement, LedgerError> {
        let project = self.owner(owner)?.project;
        self.know_project(project, owner)?;
        let is_known = |branch| self.known.branches.get(&project).is_some_and(|all| all.contains_key(branch));
        if let Some(branch) = branch.filter(|branch| !is_known(*branch)) {
            let of_branch = self.of_branch(project, branch)?;
            self.known.branches.entry(project).or_default().insert(branch.to_owned(), of_branch);
        }
        if let Some(branch) = branch {
            self.know_branch_of(owner, branch)?;
        }
        self.know_prompt(owner, at)?;
        let Known { owners, projects, branches, prompts, .. } = &self.known;
        let (of_owner, OfProject { said, rules }) = (&owners[&owner], &projects[&project]);
        let is_here = |worktree: &Option<Vec<u8>>| worktree.is_some() && *worktree == of_owner.worktree;
        let used: Vec<_> = said.iter().map(|(binding, of)| Use { binding, is_here: is_here(of) }).collect();
        let of_branch = branch.map(|branch| &branches[&project][branch]);
        let joined = of_branch.filter(|branch| !branch.said.is_empty()).map(|of_branch| {
            let mut bindings: Vec<_> = of_owner.as_said.iter().chain(&of_branch.said).cloned().collect();
            attribution::follow(&mut bindings, &of_owner.ends);
            bindings
        });
        let bindings = joined.as_ref().unwrap_or(&of_owner.bindings);
        let of_session = attribution::session_binding(bindings, Aspect::Work, at);
        let candidates = Candidates {
            of_session,
            of_project: attribution::project_binding(&used, at),
            is_echo: of_session.is_some_and(|binding| attribution::is_echo(binding, &used, at)),
            of_branch: of_branch.and_then(|branch| branch.task),
        };
        let circumstances = attribution::session_binding(bindings, Aspect::Circumstances, at);
        let user = attribution::session_binding(bindings, Aspect::User, at);
        let is_trunk = branch.is_none_or(rules::is_trunk);
        let pr = match of_branch.filter(|_| !is_trunk) {
            Some(of_branch) => attribution::pull_request(&of_branch.links, at).map(str::to_owned),
            // What is done on a trunk is not all one pull request: only the session that opened it is its work.
            None => attribution::pull_request(of_owner.links_on(branch), at).map(str::to_owned),
        };
        let mut placement = Placement {
            owner,
            project,
            task: attribution::task(&candidates, &rules.order),
            enhancement: of_session
                .and_then(|binding| binding.enhancement.clone())
                .or_else(|| of_branch.and_then(|branch| branch.enhancement.clone())),
            agent: circumstances.and_then(|binding| binding.agent.clone()),
            tags: circumstances.and_then(|binding| binding.tags.clone()),
            user: user.and_then(|binding| binding.user.clone()).or_else(|| rules.user.clone()),
            command: attribution::command(prompts[&owner].prompt.as_slice(), at).map(str::to_owned),
            ticket: of_branch.and_then(|branch| branch.ticket.clone()),
            pr,
            commit: of_branch.and_then(|branch| attribution::commit(&branch.commits, at)).map(str::to_owned),
        };
        if let Some(task) = placement.task
            && let Some(linked) = attribution::pull_request(self.links_of_task(task)?, at)
        {
            placement.pr = Some(linked.to_owned());
        }
        Ok(placement)
    }

    /// Stores that requests of `session` were made on `branch`, unless that is known.
    fn know_branch_of(&mut self, session: i64, branch: &str) -> Result<(), LedgerError> {
        let owner = self.known.owners.get_mut(&session).filter(|owner| !owner.branches.contains(branch));
        let Some(owner) = owner else { return Ok(()) };
        self.transaction
            .prepare_cached(
                "INSERT INTO session_branch (branch, session) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?
            .execute(params![branch, session])?;
        owner.branches.insert(branch.to_owned());
        Ok(())
    }

    /// Reads what a person had asked `session` for last at `at`, unless that is known. (A session may have any number of
    /// prompts: they are not kept in memory.)
    fn know_prompt(&mut self, session: i64, at: Timestamp) -> Result<(), LedgerError> {
        if self.known.prompts.get(&session).is_some_and(|prompted| prompted.holds(at)) {
            return Ok(());
        }
        let parameters = params![session, millis(at)];
        let prompt = self
            .transaction
            .prepare_cached(
                "SELECT at, command FROM prompt WHERE session = ?1 AND at <= ?2 ORDER BY at DESC LIMIT 1",
            )?
            .query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let prompt = prompt.map(|(at, command)| Ok::<_, LedgerError>((instant(at)?, command))).transpose()?;
        let until: Option<i64> = self
            .transaction
            .prepare_cached("SELECT min(at) FROM prompt WHERE session = ?1 AND at > ?2")?
            .query_row(parameters, |row| row.get(0))?;
        let until = until.map(instant).transpose()?;
        self.known.prompts.insert(session, Prompted { prompt, until });
        Ok(())
    }

    pub(super) fn owner(&mut self, session: i64) -> Result<&Owner, LedgerError> {
        if !self.known.owners.contains_key(&session) {
            let owner = self.read_owner(session)?;
            self.known.owners.insert(session, owner);
        }
        Ok(&self.known.owners[&session])
    }

    fn read_owner(&self, session: i64) -> Result<Owner, LedgerError> {
        let (project, path, worktree): (Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>) = self
            .transaction
            .prepare_cached(
                "SELECT project, path, worktree FROM session LEFT JOIN project ON project.id = session.project
                 WHERE session.id = ?1",
            )?
            .query_row([session], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let as_said = self.bindings("session = ?1", [session])?;
        let mut bindings = as_said.clone();
        let ends: Vec<i64> = self
            .transaction
            .prepare_cached("SELECT at FROM session_end WHERE session = ?1")?
            .query_map([session], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let ends = ends.into_iter().map(instant).collect::<Result<Vec<_>, _>>()?;
        attribution::follow(&mut bindings, &ends);
        let mut links: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (branch, link) in self.links("branch, at, pr FROM pr_link WHERE session = ?1", [session])? {
            links.entry(branch).or_default().push(link);
        }
        let project_path = path.map(path_from);
        let branches = BTreeSet::new();
        Ok(Owner { project, project_path, worktree, as_said, ends, bindings, links, branches })
    }

    /// Reads what is known of `project`, which `owner` ran in, unless that was done.
    fn know_project(&mut self, project: Option<i64>, owner: i64) -> Result<(), LedgerError> {
        if !self.known.projects.contains_key(&project) {
            let path = self.owner(owner)?.project_path.clone();
            let rules = self.rules.of(path.as_deref());
            let said = match project {
                Some(project) => self.uses(project)?,
                None => Vec::new(),
            };
            self.known.projects.insert(project, OfProject { said, rules });
        }
        Ok(())
    }

    /// Reads what is known of a branch; the task that a rule finds in it is there from now on.
    fn of_branch(&mut self, project: Option<i64>, branch: &str) -> Result<OfBranch, LedgerError> {
        let names = self.known.projects[&project].rules.names(branch);
        let (ticket, enhancement) = (names.ticket, names.enhancement);
        let Some(project) = project else {
            let (said, links, commits) = (Vec::new(), Vec::new(), Vec::new());
            return Ok(OfBranch { said, ticket, enhancement, task: None, links, commits });
        };
        let said =
            self.bindings("session IS NULL AND project = ?1 AND branch = ?2", params![project, branch])?;
        let links = self.links_of_branch(project, branch)?;
        let task = match ticket.as_deref().map(TaskId::new) {
            Some(Ok(task)) => Some(self.ruled_task(project, &task)?),
            _ => None,
        };
        let mut statement = self.transaction.prepare_cached(
            "SELECT at, hash FROM branch_commit WHERE project = ?1 AND branch = ?2 ORDER BY at, hash",
        )?;
        let mut rows = statement.query(params![project, branch])?;
        let mut commits = Vec::new();
        while let Some(row) = rows.next()? {
            commits.push((instant(row.get(0)?)?, row.get(1)?));
        }
        Ok(OfBranch { said, ticket, enhancement, task, links, commits })
    }

    /// Returns the pull requests that sessions of `project` worked on while they were on `branch`, in their order.
    pub(super) fn links_of_branch(&self, project: i64, branch: &str) -> Result<Vec<Link>, LedgerError> {
        let links = self.links(
            "NULL, at, pr FROM pr_link JOIN session ON session.id = pr_link.session
             WHERE session.project = ?1 AND branch = ?2",
            params![project, branch],
        )?;
        Ok(links.into_iter().map(|(_, link)| link).collect())
    }

    fn links_of_task(&mut self, task: i64) -> Result<&[Link], LedgerError> {
        if !self.known.links.contains_key(&task) {
            let links = self.links("NULL, said, pr FROM task_link WHERE task = ?1", [task])?;
            self.known.links.insert(task, links.into_iter().map(|(_, link)| link).collect());
        }
        Ok(&self.known.links[&task])
    }

    /// Returns links to pull requests in their order, each with the branch in its row.
    fn links(
        &self,
        selected: &str,
        parameters: impl Params,
    ) -> Result<Vec<(Option<String>, Link)>, LedgerError> {
        let mut statement = self.transaction.prepare_cached(&format!("SELECT {selected} ORDER BY 2, 3"))?;
        let mut rows = statement.query(parameters)?;
        let mut links = Vec::new();
        while let Some(row) = rows.next()? {
            links.push((row.get(0)?, Link { at: instant(row.get(1)?)?, pr: row.get(2)? }));
        }
        Ok(links)
    }

    /// Returns what `cmat task use` said of a project, each with the worktree that it was said in.
    fn uses(&self, project: i64) -> Result<Vec<StoredUse>, LedgerError> {
        let condition = "session IS NULL AND project = ?1 AND branch IS NULL";
        let mut statement = self
            .transaction
            .prepare_cached(&format!("SELECT worktree FROM binding WHERE {condition} ORDER BY id"))?;
        let worktrees = statement.query_map([project], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(self.bindings(condition, [project])?.into_iter().zip(worktrees).collect())
    }

    fn bindings(&self, condition: &str, parameters: impl Params) -> Result<Vec<StoredBinding>, LedgerError> {
        let mut statement = self.transaction.prepare_cached(&format!(
            "SELECT task, enhancement, agent, tags, user, begins, said, source FROM binding WHERE {condition}
             ORDER BY id"
        ))?;
        let mut rows = statement.query(parameters)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let source: String = row.get(7)?;
            found.push(StoredBinding {
                task: row.get(0)?,
                enhancement: row.get(1)?,
                agent: row.get(2)?,
                tags: row.get(3)?,
                user: row.get(4)?,
                from: row.get::<_, Option<i64>>(5)?.map(instant).transpose()?,
                said: instant(row.get(6)?)?,
                source: BindingSource::from_name(&source)
                    .ok_or_else(|| LedgerError::Corrupt { what: format!("binding source `{source}`") })?,
            });
        }
        Ok(found)
    }
}
