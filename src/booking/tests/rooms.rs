//! A data folder, a project and transcripts of a test's own, and all that the ledger holds as text.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::attribution::BindingSource;
use crate::booking::Assignment;
use crate::booking::Books;
use crate::booking::Queues;
use crate::booking::prices::PriceTables;
use crate::booking::reading::Reach;
use crate::disk::replace;
use crate::disk::replace::Access;
use crate::id::SessionId;
use crate::id::TaskId;
use crate::ledger::Durability;
use crate::ledger::FILE_NAME;
use crate::ledger::Ledger;
use crate::ledger::forget::Forgettable;
use crate::period::Calendar;
use crate::pricing::UnknownModel;
use crate::project::Project;
use crate::query::Dimension;
use crate::query::Filter;
use crate::query::Group;
use crate::summary::TaskSummary;

const PATIENCE: Duration = Duration::from_secs(60);

/// What the ledger knows, by names instead of numbers: a query for each kind of fact and derived figure.
const KNOWN: [&str; 8] = [
    "SELECT key, key_kind, request_id, input, output, cache_read, cache_write, cache_write_5m, cache_write_1h,
            flags, complete, conflicting, at, sidechain, origin.name, branch, cwd, agent_id, request.agent, skill,
            mcp_server, client_version, requests, shared, owner.name, project.path, task.name, request.enhancement,
            bound_agent, tags, user, command, ticket, pr, commit_hash
     FROM request JOIN session AS origin ON origin.id = origin_session JOIN session AS owner ON owner.id = owner
     LEFT JOIN project ON project.id = request.project LEFT JOIN task ON task.id = request.task",
    "SELECT key, session.name, file.path, appearance.uuid, appearance.request_session, appearance.at, appearance.lines
     FROM appearance JOIN request ON request.id = request JOIN session ON session.id = appearance.session
     JOIN file ON file.id = appearance.file",
    "SELECT key, part, kind, model, price.json, unpriced, charge.input, charge.output, charge.cache_write_5m,
            charge.cache_write_1h, charge.cache_read, web_searches, cost, cost_input, cost_output,
            cost_cache_write_5m, cost_cache_write_1h, cost_cache_read, cost_web_search, estimated
     FROM charge JOIN request ON request.id = request LEFT JOIN price ON price.id = price",
    "SELECT name, at, models, cost FROM client_count JOIN session ON session.id = session",
    "SELECT session.name, project.path, worktree, first_own_line, first_line, unaccounted, partly_forgotten
     FROM session LEFT JOIN project ON project.id = session.project",
    "SELECT path, session.name, size, offset, line, last_time, unanswered, skipped
     FROM file JOIN session ON session.id = file.session",
    "SELECT session.name, at, command FROM prompt JOIN session ON session.id = prompt.session",
    "SELECT session.name, at, pr, branch FROM pr_link JOIN session ON session.id = pr_link.session",
];

/// A folder with a data folder and a project, removed at the end.
pub(super) struct Rooms {
    folder: tempfile::TempDir,
    project: Project,
    pub(super) books: RefCell<Books>,
}

impl Rooms {
    /// Returns the requests in groups, by UTC.
    pub(super) fn groups(&self, filter: &Filter, by: &[Dimension]) -> Vec<Group> {
        self.books.borrow().ledger.groups(filter, by, &Calendar::default()).unwrap()
    }

    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("project");
        fs::create_dir_all(root.join(".claude")).unwrap();
        Self::in_project(folder, Project { worktree: root.clone(), root })
    }

    /// Another machine, or another user, that shares the project of `other`.
    pub(super) fn beside(other: &Self) -> Self {
        Self::in_project(tempfile::tempdir().unwrap(), other.project.clone())
    }

    fn in_project(folder: tempfile::TempDir, project: Project) -> Self {
        let data = folder.path().join("data");
        let books = Books {
            ledger: Ledger::open(&data, PATIENCE).unwrap(),
            prices: PriceTables::new(&data, UnknownModel::Default),
            home: None,
            claude_folders: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
            deadline: Instant::now() + PATIENCE,
            queues: Queues::Written,
        };
        Self { folder, project, books: RefCell::new(books) }
    }

    /// Changes the ledger as no cmat does.
    pub(super) fn tamper(&self, sql: &str) {
        Connection::open(self.folder.path().join("data").join(FILE_NAME))
            .unwrap()
            .execute_batch(sql)
            .unwrap();
    }

    pub(super) fn project(&self) -> &Project {
        &self.project
    }

    pub(super) fn path(&self, file: &Path) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("transcripts").join(file)
    }

    pub(super) fn write(&self, file: &Path, bytes: &[u8]) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // In place, as a file that grows.
        fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).unwrap();
        let old = fs::read(&path).unwrap();
        let mut out = fs::OpenOptions::new().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut out, &bytes[old.len()..]).unwrap();
    }

    pub(super) fn size(&self, file: &Path) -> usize {
        fs::read(self.path(file)).map_or(0, |bytes| bytes.len())
    }

    /// Puts another file with the same bytes in the place of `file`.
    pub(super) fn touch(&self, file: &Path) {
        let path = self.path(file);
        let bytes = fs::read(&path).unwrap();
        replace::write(&path, &bytes, Access::Private).unwrap();
    }

    pub(super) fn read(&self, file: &Path) {
        let session = file.components().next().unwrap().as_os_str().to_str().unwrap();
        let session = SessionId::new(session.trim_end_matches(".jsonl")).unwrap();
        let mut books = self.books.borrow_mut();
        assert_eq!(books.read_file(&self.path(file), &session).unwrap(), Reach::End);
        books.settle_remainders().unwrap();
    }

    pub(super) fn assign(&self, session: &SessionId) {
        self.assign_to(session, task_of(session).as_str());
    }

    pub(super) fn assign_to(&self, session: &SessionId, task: &str) {
        let assignment = Assignment { task: Some(task.parse().unwrap()), ..Assignment::default() };
        let mut books = self.books.borrow_mut();
        let now = books.now;
        books.assign(session, &self.project, &assignment, BindingSource::Command, now).unwrap();
    }

    pub(super) fn reattribute(&self) {
        let mut books = self.books.borrow_mut();
        let Books { ledger, prices, now, .. } = &mut *books;
        let mut recording = ledger.record(Durability::Irreplaceable, *now).unwrap();
        let again = recording.reattribute(&mut |project, facts| prices.charges(project, facts)).unwrap();
        assert_eq!(again.moved, []);
        recording.commit().unwrap();
    }

    pub(super) fn forget(&self, what: &Forgettable) {
        let mut books = self.books.borrow_mut();
        let Books { ledger, prices, now, .. } = &mut *books;
        let mut recording = ledger.record(Durability::Irreplaceable, *now).unwrap();
        recording.forget(what, &mut |project, facts| prices.charges(project, facts)).unwrap();
        recording.commit().unwrap();
    }

    pub(super) fn project_pending(&self) {
        assert!(self.books.borrow_mut().project_pending().unwrap().deferred.is_empty());
    }

    pub(super) fn project_all(&self) {
        assert!(self.books.borrow_mut().project_all().unwrap().deferred.is_empty());
    }

    /// Returns what each task comes to, as whoever asks now is told.
    pub(super) fn summaries(&self, sessions: &[SessionId]) -> Vec<TaskSummary> {
        let ledger = &self.books.borrow().ledger;
        let tasks = sessions.iter().flat_map(|session| ledger.tasks_named(&task_of(session)).unwrap());
        let summaries = tasks.map(|(row, _)| ledger.task_summary(row).unwrap());
        summaries.map(|summary| TaskSummary { project: PathBuf::new(), ..summary }).collect()
    }

    /// Returns what requests are rolled up to, once all are.
    pub(super) fn rolled_up(&self) -> String {
        self.books.borrow().ledger.roll_up().unwrap();
        self.lines_of(&["SELECT * FROM rollup"])
    }

    /// Returns what the ledger knows, in an order that does not depend on how it came to know it.
    pub(super) fn dump(&self) -> String {
        self.lines_of(&KNOWN)
    }

    fn lines_of(&self, queries: &[&str]) -> String {
        let ledger = Connection::open(self.folder.path().join("data").join(FILE_NAME)).unwrap();
        assert!(
            !ledger.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap(),
            "a row refers to none"
        );
        let mut dump = String::new();
        for query in queries {
            let mut statement = ledger.prepare(query).unwrap();
            let n_columns = statement.column_count();
            let mut lines: Vec<String> = statement
                .query_map([], |row| {
                    Ok((0..n_columns)
                        .map(|column| self.text(&row.get(column).unwrap()))
                        .collect::<Vec<_>>()
                        .join(" "))
                })
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            lines.sort();
            for line in lines {
                writeln!(dump, "{line}").unwrap();
            }
        }
        dump
    }

    fn text(&self, value: &Value) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        match value {
            Value::Null => "-".to_owned(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            Value::Blob(bytes) => String::from_utf8_lossy(bytes).replace(folder.to_str().unwrap(), ""),
        }
    }
}

/// Each session works for a task of its own.
pub(super) fn task_of(session: &SessionId) -> TaskId {
    TaskId::new(format!("task-{}", session.as_str())).unwrap()
}
