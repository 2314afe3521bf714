//! The queue file against other writers, broken content and everything that may stand in its place.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

/// A project with a queue of `n_tasks` tasks, as Python's `json.dump(indent=2)` writes it.
struct Project {
    folder: TempDir,
    queue: TaskQueue,
}

impl Project {
    fn new(n_tasks: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PLACES[0]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let project = Self { queue: TaskQueue::new(path), folder };
        project.put(&python_queue(n_tasks, 0));
        project
    }

    /// Writes the file in place, as the Python CMAT does.
    fn put(&self, text: &str) {
        io::Write::write_all(&mut fs::File::create(self.queue.path()).unwrap(), text.as_bytes()).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.queue.path()).unwrap()
    }

    fn give(&self, task: usize, usd: &str) -> Result<Change, QueueError> {
        self.queue.lock(soon())?.update(&BTreeSet::from([id(task)]), |_| Some(costs(usd)))
    }

    /// Gives, however long the file is half written because its writer's thread does not get to run.
    fn give_at_last(&self, task: usize, usd: &str) {
        while let Err(error) = self.give(task, usd) {
            assert!(matches!(error, QueueError::Format { .. }), "{error}");
        }
    }

    /// Returns the dollars of each task.
    fn dollars(&self) -> Vec<Option<String>> {
        self.queue.read(soon()).unwrap().tasks().map(|task| task.costs.usd).collect()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.queue.path().parent().unwrap()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Checks that an update is refused with `expected`, `{}` being the path, and leaves the file as it was.
    fn check_refused(&self, expected: &str) {
        let before = fs::read(self.queue.path()).ok();
        let deadline = Instant::now() + Duration::from_millis(20);
        let error = self
            .queue
            .lock(deadline)
            .and_then(|queue| queue.update(&BTreeSet::from([id(0)]), |_| Some(costs("1"))))
            .unwrap_err();
        let path = fs::canonicalize(self.queue.path()).unwrap_or_else(|_| self.queue.path().to_path_buf());
        assert_eq!(
            format!("{:#}", anyhow::Error::from(error)),
            expected.replace("{}", &path.display().to_string())
        );
        assert_eq!(fs::read(self.queue.path()).ok(), before);
    }
}

fn python_queue(n_tasks: usize, round: usize) -> String {
    let mut tasks = String::new();
    for n in 0..n_tasks {
        let comma = if n == 0 { "" } else { "," };
        write!(
            tasks,
            "{comma}\n    {{\n      \"id\": \"task_{n}\",\n      \"description\": \"{}\",\n      \"metadata\": {{\n        \
             \"enhancement_title\": null\n      }}\n    }}",
            "é\\u00e9".repeat(40)
        )
        .unwrap();
    }
    format!(
        "{{\n  \"queue_metadata\": {{\n    \"round\": {round}\n  }},\n  \"tasks\": [{tasks}\n  ],\n  \"agent_status\": {{}}\n}}"
    )
}

fn id(n: usize) -> TaskId {
    TaskId::new(format!("task_{n}")).unwrap()
}

fn costs(usd: &str) -> CostKeys {
    CostKeys { usd: Some(usd.to_owned()), ..CostKeys::default() }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[test]
fn many_writers_lose_nothing() {
    let project = Project::new(8);
    std::thread::scope(|scope| {
        for task in 0..8 {
            let project = &project;
            scope.spawn(move || {
                for round in 0..10 {
                    project.give(task, &round.to_string()).unwrap();
                }
            });
        }
    });
    assert_eq!(project.dollars(), vec![Some("9".to_owned()); 8]);
    assert_eq!(project.names(), ["task_queue.json", "task_queue.json.lock"]);
}

#[test]
fn several_tasks_are_one_replacement() {
    let project = Project::new(3);
    let tasks = BTreeSet::from([id(0), id(2), id(7)]);
    let change =
        project.queue.lock(soon()).unwrap().update(&tasks, |task| Some(costs(task.id.as_str()))).unwrap();
    assert_eq!(change.written, BTreeSet::from([id(0), id(2)]));
    assert_eq!(change.missing, BTreeSet::from([id(7)]));
    assert_eq!(project.dollars(), [Some("task_0".to_owned()), None, Some("task_2".to_owned())]);
}

#[test]
fn writes_nothing_when_nothing_differs() {
    let project = Project::new(2);
    project.give(1, "0.5").unwrap();
    let before = fs::metadata(project.queue.path()).unwrap().ino();
    assert_eq!(project.give(1, "0.5").unwrap(), Change::default());
    assert_eq!(fs::metadata(project.queue.path()).unwrap().ino(), before);
}

#[test]
fn sees_a_writer_who_was_quicker() {
    let project = Project::new(2);
    let mut seen = Vec::new();
    let queue = project.queue.lock(soon()).unwrap();
    let change = queue.update(&BTreeSet::from([id(0)]), |task| {
        seen.push(task.costs.usd.clone());
        if seen.len() == 1 {
            project.put(&python_queue(2, 1).replacen(
                "\"enhancement_title\": null",
                "\"cost_usd\": \".7\"",
                1,
            ));
        }
        Some(costs("1.5"))
    });
    assert_eq!(change.unwrap().written, BTreeSet::from([id(0)]));
    assert_eq!(seen, [None, Some(".7".to_owned())]);
    assert!(project.text().contains("\"round\": 1"));
    assert_eq!(project.dollars(), [Some("1.5".to_owned()), None]);
}

#[test]
fn gives_up_on_a_file_that_never_rests() {
    let project = Project::new(1);
    let mut round = 0;
    let queue = project.queue.lock(Instant::now() + Duration::from_millis(30)).unwrap();
    let result = queue.update(&BTreeSet::from([id(0)]), |_| {
        round += 1;
        project.put(&python_queue(1, round));
        Some(costs("1"))
    });
    assert!(matches!(result, Err(QueueError::Restless { .. })));
    assert_eq!(project.text(), python_queue(1, round));
}

#[test]
fn never_tears_the_file_beside_a_writer_without_a_lock() {
    let project = Project::new(20);
    std::thread::scope(|scope| {
        scope.spawn(|| (1..200).for_each(|round| project.put(&python_queue(20, round))));
        for task in 0..4 {
            let project = &project;
            scope.spawn(move || (0..10).for_each(|_| project.give_at_last(task, "1")));
        }
    });
    for task in 0..4 {
        project.give(task, "2").unwrap();
    }
    assert_eq!(project.dollars()[..4], vec![Some("2".to_owned()); 4]);
    assert_eq!(project.names(), ["task_queue.json", "task_queue.json.lock"]);
}

#[test]
fn waits_while_the_file_is_being_written() {
    let project = Project::new(1);
    let whole = project.text();
    project.put(&whole[..whole.len() / 2]);
    std::thread::scope(|scope| {
        // On a busy machine the writer may stand still for longer than anybody waits, but hardly every time.
        let reader = scope.spawn(|| (0..5).find_map(|_| project.queue.read(soon()).ok()));
        for _ in 0..20 {
            project.put(&whole[..whole.len() / 2]);
            project.put(&whole);
        }
        assert_eq!(reader.join().unwrap().unwrap().text(), whole);
    });
}

#[test]
fn refuses_a_broken_queue_and_says_where() {
    let project = Project::new(1);
    project.put("{\n  \"tasks\": [\n");
    project.check_refused(
        "cannot understand the task queue `{}`: it is not JSON: \
         line 3, column 1: expected a value or `]`, found the end of the file",
    );
    project.put("[]");
    project
        .check_refused("cannot understand the task queue `{}`: it is not an object with a list of `tasks`");
}

#[test]
fn does_not_wait_long_for_a_file_that_stays_broken() {
    let project = Project::new(1);
    project.put("");
    let begun = Instant::now();
    assert!(matches!(project.queue.read(soon()), Err(QueueError::Format { .. })));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn refuses_a_queue_that_is_locked_missing_read_only_or_no_file() {
    let project = Project::new(1);
    let held = project.queue.lock(soon()).unwrap();
    project.check_refused(&format!(
        "cannot lock the task queue: `{{}}.lock` is still locked by process {}",
        std::process::id()
    ));
    drop(held);
    let path = project.queue.path();
    fs::set_permissions(path, fs::Permissions::from_mode(0o400)).unwrap();
    project.check_refused("cannot change the task queue: `{}` is read-only");
    fs::remove_file(path).unwrap();
    project.check_refused("there is no task queue `{}`");
    fs::create_dir(path).unwrap();
    project.check_refused("cannot read the task queue `{}`: not a regular file");
}

#[test]
fn follows_a_link_and_shares_its_lock() {
    let project = Project::new(1);
    let link = project.folder.path().join("link.json");
    std::os::unix::fs::symlink(project.queue.path(), &link).unwrap();
    let linked = TaskQueue::new(&link);
    let held = project.queue.lock(soon()).unwrap();
    assert!(matches!(linked.lock(Instant::now()), Err(QueueError::Lock(_))));
    drop(held);
    linked.lock(soon()).unwrap().update(&BTreeSet::from([id(0)]), |_| Some(costs("3"))).unwrap();
    assert_eq!(project.dollars(), [Some("3".to_owned())]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn removes_what_a_killed_cmat_left() {
    let project = Project::new(1);
    let left = project.queue.path().with_file_name(".cmat-task_queue.json-a1b2c3.tmp");
    fs::File::create(&left).unwrap();
    drop(project.queue.lock(soon()).unwrap());
    assert!(!left.exists());
}

#[test]
fn finds_the_queue_of_either_age() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(TaskQueue::find(folder.path()), None);
    for place in PLACES.into_iter().rev() {
        let path = folder.path().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(&path).unwrap();
        assert_eq!(TaskQueue::find(folder.path()).unwrap().path(), path);
    }
}
