//! Decides which session owns a request and which task it belongs to.
//!
//! Pure rules over facts that the ledger keeps. Both answers are derived: they depend on the facts alone, never
//! on the order in which files were read or hooks ran, so they can be computed again for everything.

mod links;
pub mod rules;

use jiff::Span;
use jiff::Timestamp;

pub use self::links::Link;
pub use self::links::linked_anew;
pub use self::links::pull_request;
use crate::attribution::rules::Origin;
use crate::id::SessionId;
use crate::id::TaskId;

/// What said that a session works on a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BindingSource {
    /// A person: `cmat costs extract`, `cmat task assign`.
    Command,
    /// `CMAT_CURRENT_TASK_ID` in a hook's environment.
    Environment,
    /// `cmat run`, or the environment of a hook within one, of what its sessions did since it began. It never reaches
    /// back.
    Run,
    /// `.claude/cmat.task` of the project.
    TaskFile,
    /// `cmat task use`: binds a project, not a session.
    TaskUse,
}

impl BindingSource {
    /// Returns the name that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Environment => "environment",
            Self::Run => "run",
            Self::TaskFile => "task-file",
            Self::TaskUse => "task-use",
        }
    }

    /// Returns the source of a stored name, if it is one.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Command, Self::Environment, Self::Run, Self::TaskFile, Self::TaskUse]
            .into_iter()
            .find(|source| source.as_str() == name)
    }
}

/// The statement that, from a moment on, a session (or a project) works on a task.
///
/// `Task` is how the caller names tasks: by id, or by its number in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding<Task = TaskId> {
    /// The task; `None` where only an enhancement was named.
    pub task: Option<Task>,
    /// `CMAT_ENHANCEMENT`, for a task that names none itself.
    pub enhancement: Option<String>,
    /// `CMAT_AGENT`, for requests whose lines name none.
    pub agent: Option<String>,
    /// `CMAT_TAGS`, as a JSON object of texts.
    pub tags: Option<String>,
    /// `CMAT_USER`.
    pub user: Option<String>,
    /// First instant that it holds for; `None` reaches back to the beginning.
    pub from: Option<Timestamp>,
    /// When it was said. A correction is said late and holds from early.
    pub said: Timestamp,
    /// What said it.
    pub source: BindingSource,
}

/// What of a binding is asked for. A binding that says nothing of it leaves it to the one before: the turns of a run
/// that named no task stay with the task before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// Task and enhancement.
    Work,
    /// Agent and tags: those of the run, be they none, and not touched by a correction of the task.
    Circumstances,
    /// The user.
    User,
}

impl<Task> Binding<Task> {
    fn is_about(&self, aspect: Aspect) -> bool {
        let names_work = self.task.is_some() || self.enhancement.is_some();
        match aspect {
            Aspect::Work => names_work,
            Aspect::Circumstances => {
                let names_circumstances = self.agent.is_some() || self.tags.is_some();
                names_circumstances || (names_work && self.source != BindingSource::Command)
            }
            Aspect::User => self.user.is_some(),
        }
    }
}

/// Lets each binding of a session begin where the one said before it was said, or later if it begins later.
///
/// A hook says at the end of a run what held for the whole of it; a person says it of all that was, or of all
/// since a moment. A run that named no task stays with the task before: what a later run says begins after the last of
/// `ends` before it was said. What a person says of a branch stands among the bindings of each session, for the session's
/// requests on that branch: it holds against all that was said before, and a later run speaks for itself.
pub fn follow<Task>(bindings: &mut [Binding<Task>], ends: &[Timestamp]) {
    bindings.sort_by_key(|binding| binding.said);
    let mut before: Option<Timestamp> = None;
    for binding in bindings {
        binding.from = match (before, binding.source) {
            (_, BindingSource::Command | BindingSource::Run) => binding.from,
            (None, _) => None,
            (Some(before), _) => {
                let last_end = ends.iter().copied().filter(|end| *end < binding.said).max();
                binding.from.max(Some(just_after(last_end.map_or(before, |end| end.max(before)))))
            }
        };
        before = Some(binding.said);
    }
}

/// The ledger keeps milliseconds.
fn just_after(moment: Timestamp) -> Timestamp {
    moment.saturating_add(Span::new().milliseconds(1)).unwrap_or(Timestamp::MAX)
}

/// Returns the binding of a session that a request at `at` takes for one `aspect`.
///
/// Of those that began before the request, the one said last; if none had begun, the one that began first
/// reaches back, because a hook learns of a task only after the session's first requests. A correction since a
/// moment says nothing of what was before, nor does a run that knows when it began.
pub fn session_binding<Task>(
    bindings: &[Binding<Task>],
    aspect: Aspect,
    at: Timestamp,
) -> Option<&Binding<Task>> {
    let about = || bindings.iter().filter(|binding| binding.is_about(aspect));
    latest(about(), at).or_else(|| {
        let uncorrected = about().filter(|binding| binding.source != BindingSource::Command);
        let first = uncorrected.min_by_key(|binding| (binding.from, binding.said));
        first.filter(|binding| binding.source != BindingSource::Run)
    })
}

/// What `cmat task use` said of a project.
#[derive(Debug)]
pub struct Use<'a, Task> {
    /// What was said.
    pub binding: &'a Binding<Task>,
    /// It was said in the worktree that the session runs in.
    pub is_here: bool,
}

/// Returns the binding of a project that a request at `at` takes: like a session's, but never reaching back. What was
/// said in the session's own worktree goes before what was said in others.
pub fn project_binding<'a, Task>(uses: &[Use<'a, Task>], at: Timestamp) -> Option<&'a Binding<Task>> {
    let here = uses.iter().filter(|used| used.is_here).map(|used| used.binding);
    latest(here, at).or_else(|| latest(uses.iter().map(|used| used.binding), at))
}

fn latest<'a, Task>(
    bindings: impl Iterator<Item = &'a Binding<Task>>,
    at: Timestamp,
) -> Option<&'a Binding<Task>> {
    bindings
        .filter(|binding| binding.from.is_none_or(|from| from <= at))
        .max_by_key(|binding| (binding.said, binding.from))
}

/// Returns whether a session's binding only repeats what `cmat task use` had said of its project, for a request at
/// `at` of which that says something too.
///
/// `task use` also writes the task file, so at a session's end the file names the last task that was used. Which one
/// was in use when the request was made, the project's bindings know; what was before the first use, only the file.
pub fn is_echo<Task: PartialEq>(binding: &Binding<Task>, uses: &[Use<'_, Task>], at: Timestamp) -> bool {
    binding.source == BindingSource::TaskFile
        && project_binding(uses, at).is_some()
        && project_binding(uses, binding.said).is_some_and(|used| used.task == binding.task)
}

/// What may name the task of a request.
#[derive(Debug)]
pub struct Candidates<'a, Task> {
    /// What was said of its session, and of its branch by a person.
    pub of_session: Option<&'a Binding<Task>>,
    /// What `cmat task use` said of its project before it was made.
    pub of_project: Option<&'a Binding<Task>>,
    /// What was said of its session only repeats `cmat task use`; see [`is_echo`].
    pub is_echo: bool,
    /// The ticket of its branch.
    pub of_branch: Option<Task>,
}

/// Returns the task of a request: what a person said of it afterwards, else the first in `order` that names one.
pub fn task<Task: Clone>(candidates: &Candidates<'_, Task>, order: &[Origin]) -> Option<Task> {
    let Candidates { of_session, of_project, is_echo, of_branch } = candidates;
    let said_by = |source| {
        of_session.filter(|binding| binding.source == source && !is_echo).and_then(|b| b.task.clone())
    };
    let used = || of_project.and_then(|binding| binding.task.clone());
    said_by(BindingSource::Command).or_else(|| {
        order.iter().find_map(|origin| match origin {
            Origin::Environment => {
                said_by(BindingSource::Environment).or_else(|| said_by(BindingSource::Run))
            }
            Origin::TaskFile => said_by(BindingSource::TaskFile).or_else(used),
            Origin::Branch => of_branch.clone(),
            Origin::Project => used(),
        })
    })
}

/// Returns the commit that a request at `at` went into: the first on its branch that was written after it.
///
/// `commits` are in the order of their times, which are whole seconds.
pub fn commit(commits: &[(Timestamp, String)], at: Timestamp) -> Option<&str> {
    let first_after = commits.partition_point(|(written, _)| written.as_second() < at.as_second());
    commits.get(first_after).map(|(_, hash)| hash.as_str())
}

/// Returns the slash command that a request at `at` worked on: that of the last prompt before it, if it was one.
///
/// `prompts` are in the order of their times.
pub fn command(prompts: &[(Timestamp, Option<String>)], at: Timestamp) -> Option<&str> {
    let n_before = prompts.partition_point(|(asked, _)| *asked <= at);
    prompts[..n_before].last()?.1.as_deref()
}

/// Longest key of a tag, in bytes.
const MAX_KEY_BYTES: usize = 64;

/// Returns whether `key` can be the key of a tag: letters, digits, `_`, `-` and `.`, at most 64 of them.
pub fn is_tag_key(key: &str) -> bool {
    let is_key_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !key.is_empty() && key.len() <= MAX_KEY_BYTES && key.bytes().all(is_key_byte)
}

/// A session that shows a request, for the choice of the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The session whose file shows the request.
    pub session: SessionId,
    /// `requestSessionId` of its lines: the session that the copy says it came from.
    pub request_session: Option<SessionId>,
    /// The earliest line of the session's own: one without `uuid`, or with a `uuid` that no other session has.
    pub first_own_line: Option<Timestamp>,
}

/// Returns the session that owns a request which `claims` show; `None` only for no claims.
///
/// A fork copies its parent's history with the same ids. Clients from 2.1.252 or so name the origin in
/// `requestSessionId`; for older ones the session that began first owns the request (fixtures
/// `client-transcripts/corpus-2.1.330`, the pair 979402bc and 4ba29412).
pub fn owner(claims: &[Claim]) -> Option<&SessionId> {
    if let Some(named) = claims.iter().filter_map(|claim| claim.request_session.as_ref()).min() {
        return Some(named);
    }
    claims
        .iter()
        .min_by_key(|claim| (claim.first_own_line.is_none(), claim.first_own_line, &claim.session))
        .map(|claim| &claim.session)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn binding(task: &str, from: Option<i64>, said: i64) -> Binding {
        Binding {
            task: Some(task.parse().unwrap()),
            enhancement: None,
            agent: None,
            tags: None,
            user: None,
            from: from.map(at),
            said: at(said),
            source: BindingSource::Environment,
        }
    }

    fn check(bindings: &[Binding], moment: i64, expected: &str) {
        let found =
            session_binding(bindings, Aspect::Work, at(moment)).and_then(|binding| binding.task.as_ref());
        assert_eq!(found.map(TaskId::as_str), Some(expected), "at {moment}");
    }

    #[test]
    fn the_latest_binding_that_began_before_a_request_holds_and_the_first_reaches_back() {
        let bindings = [binding("b", Some(20), 20), binding("a", Some(10), 10)];
        check(&bindings, 5, "a");
        check(&bindings, 15, "a");
        check(&bindings, 20, "b");
    }

    #[test]
    fn a_correction_holds_for_what_was_before_it_and_a_later_binding_for_what_comes_after() {
        let bindings =
            [binding("a", Some(10), 10), binding("corrected", None, 50), binding("b", Some(60), 60)];
        check(&bindings, 15, "corrected");
        check(&bindings, 55, "corrected");
        check(&bindings, 61, "b");
    }

    #[test]
    fn each_run_is_of_the_task_that_its_end_named_in_whatever_order_the_ends_are_told() {
        let ends = [binding("a", None, 10), binding("b", None, 20), binding("a", None, 30)];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut bindings = order.map(|n| ends[n].clone());
            follow(&mut bindings, &[]);
            for (moment, expected) in [(5, "a"), (10, "a"), (11, "b"), (20, "b"), (21, "a"), (31, "a")] {
                check(&bindings, moment, expected);
            }
        }
    }

    #[test]
    fn a_run_that_named_no_task_stays_with_the_task_before() {
        let mut bindings = [binding("b", None, 30), binding("a", None, 10)];
        follow(&mut bindings, &[at(30), at(20), at(10)]);
        for (moment, expected) in [(5, "a"), (11, "a"), (20, "a"), (21, "b"), (31, "b")] {
            check(&bindings, moment, expected);
        }
    }

    #[test]
    fn a_correction_holds_until_it_was_said_and_the_end_of_the_run_speaks_for_the_rest() {
        let correction = Binding { source: BindingSource::Command, ..binding("corrected", None, 20) };
        let mut bindings = [binding("a", None, 10), correction, binding("b", None, 30)];
        follow(&mut bindings, &[]);
        for (moment, expected) in [(5, "corrected"), (20, "corrected"), (21, "b"), (31, "b")] {
            check(&bindings, moment, expected);
        }
    }

    #[test]
    fn a_correction_since_a_moment_leaves_what_was_before_to_the_run_that_said_it() {
        let correction = Binding { source: BindingSource::Command, ..binding("corrected", Some(10), 20) };
        for others in [vec![binding("a", None, 15)], vec![binding("a", None, 30)]] {
            let mut bindings = others;
            bindings.push(correction.clone());
            follow(&mut bindings, &[]);
            check(&bindings, 9, "a");
            check(&bindings, 10, "corrected");
            check(&bindings, 20, "corrected");
        }
        assert!(session_binding(&[correction], Aspect::Work, at(9)).is_none());
    }

    #[test]
    fn a_run_without_a_task_stays_with_the_one_before_and_keeps_its_own_tags() {
        let tagged = |tags: &str, binding| Binding { tags: Some(tags.to_owned()), ..binding };
        let bare = Binding { task: None, ..binding("-", Some(21), 30) };
        let correction = Binding { source: BindingSource::Command, ..binding("corrected", None, 50) };
        let bindings = [
            tagged("first", binding("a", None, 10)),
            binding("b", Some(11), 20),
            tagged("second", bare),
            correction,
        ];
        check(&bindings[..3], 25, "b");
        check(&bindings, 25, "corrected");
        for (moment, expected) in [(5, Some("first")), (15, None), (25, Some("second"))] {
            let found = session_binding(&bindings, Aspect::Circumstances, at(moment));
            assert_eq!(found.and_then(|binding| binding.tags.as_deref()), expected, "at {moment}");
        }
    }

    #[test]
    fn a_task_comes_from_the_first_in_the_order_that_names_one() {
        let of_session = binding("told", None, 9);
        let of_file = Binding { source: BindingSource::TaskFile, ..of_session.clone() };
        let of_project = Binding { source: BindingSource::TaskUse, ..binding("used", Some(1), 1) };
        let check = |of_session, is_echo, order: &[Origin], expected: Option<&str>| {
            let of_branch = Some("T-9".parse().unwrap());
            let candidates = Candidates { of_session, of_project: Some(&of_project), is_echo, of_branch };
            let found = task(&candidates, order);
            assert_eq!(found.as_ref().map(TaskId::as_str), expected, "{candidates:?}");
        };
        check(Some(&of_session), false, &Origin::ALL, Some("told"));
        check(Some(&of_file), false, &Origin::ALL, Some("told"));
        check(Some(&of_file), true, &Origin::ALL, Some("used"));
        check(None, false, &Origin::ALL, Some("used"));
        check(Some(&of_session), false, &[Origin::Branch, Origin::Environment], Some("T-9"));
        check(None, false, &[Origin::Environment, Origin::Branch], Some("T-9"));
        check(None, false, &[Origin::Environment], None);
        let correction = Binding { source: BindingSource::Command, ..of_session.clone() };
        check(Some(&correction), false, &[Origin::Branch], Some("told"));
    }

    #[test]
    fn work_goes_into_the_next_commit() {
        let commits = [(at(10), "a".to_owned()), (at(20), "b".to_owned())];
        let within = at(10).saturating_add(Span::new().milliseconds(700)).unwrap();
        for (moment, expected) in
            [(at(1), Some("a")), (within, Some("a")), (at(11), Some("b")), (at(21), None)]
        {
            assert_eq!(commit(&commits, moment), expected, "{moment}");
        }
    }

    #[test]
    fn a_command_holds_until_the_next_prompt() {
        let prompts = [(at(10), Some("/review".to_owned())), (at(20), None)];
        for (moment, expected) in [(9, None), (10, Some("/review")), (19, Some("/review")), (20, None)] {
            assert_eq!(command(&prompts, at(moment)), expected, "at {moment}");
        }
    }

    #[test]
    fn a_project_binding_never_reaches_back() {
        let said = binding("a", Some(10), 10);
        let uses = [Use { binding: &said, is_here: true }];
        assert!(project_binding(&uses, at(9)).is_none());
        assert!(project_binding(&uses, at(10)).is_some());
    }

    #[test]
    fn what_is_used_in_another_worktree_holds_only_where_nothing_is() {
        let said = [(10, false), (20, true), (30, false)]
            .map(|(moment, is_here)| (binding(&format!("at-{moment}"), Some(moment), moment), is_here));
        let uses: Vec<_> = said.iter().map(|(binding, is_here)| Use { binding, is_here: *is_here }).collect();
        for (moment, expected) in [(9, None), (10, Some("at-10")), (20, Some("at-20")), (40, Some("at-20"))] {
            let found = project_binding(&uses, at(moment)).and_then(|binding| binding.task.as_ref());
            assert_eq!(found.map(TaskId::as_str), expected, "at {moment}");
        }
        let elsewhere: Vec<_> = said.iter().map(|(binding, _)| Use { binding, is_here: false }).collect();
        let found = project_binding(&elsewhere, at(40)).and_then(|binding| binding.task.as_ref());
        assert_eq!(found.map(TaskId::as_str), Some("at-30"));
    }

    fn claim(session: &str, request_session: Option<&str>, first_own_line: Option<i64>) -> Claim {
        Claim {
            session: session.parse().unwrap(),
            request_session: request_session.map(|id| id.parse().unwrap()),
            first_own_line: first_own_line.map(at),
        }
    }

    #[test]
    fn a_copy_belongs_to_the_session_it_names_else_to_the_one_that_began_first() {
        let named = [claim("fork", Some("parent"), Some(1)), claim("parent", None, Some(9))];
        assert_eq!(owner(&named).unwrap().as_str(), "parent");
        let unmarked = [claim("a-fork", None, Some(9)), claim("parent", None, Some(1))];
        assert_eq!(owner(&unmarked).unwrap().as_str(), "parent");
        let nothing_own = [claim("b", None, None), claim("a", None, None)];
        assert_eq!(owner(&nothing_own).unwrap().as_str(), "a");
        let one_own = [claim("a", None, None), claim("b", None, Some(5))];
        assert_eq!(owner(&one_own).unwrap().as_str(), "b");
    }
}
