//! The queue as a document: which tasks it holds, and the edits that give a task its cost.
//!
//! Bytes in, edits out; never touches the file.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value as Json;

use crate::id::TaskId;
use crate::json_edit::Document;
use crate::json_edit::Edits;
use crate::json_edit::Kind;
use crate::json_edit::Object;
use crate::json_edit::SyntaxError;
use crate::json_edit::Value;

/// Why a file is not a task queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// It is not JSON, perhaps because another program is still writing it.
    #[error("it is not JSON")]
    Syntax(#[from] SyntaxError),
    /// It is JSON of another shape.
    #[error("it is not an object with a list of `tasks`")]
    Shape,
}

/// The seven keys of a task's `metadata` that hold its cost, as they stand in the file.
///
/// `None` is a missing key or `null`. The file's values are strings; a number or anything else that stands there
/// is kept as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CostKeys {
    /// Prompt tokens outside the cache.
    #[serde(rename = "cost_input_tokens")]
    pub input_tokens: Option<String>,
    /// Tokens of the answers.
    #[serde(rename = "cost_output_tokens")]
    pub output_tokens: Option<String>,
    /// Tokens written to the cache, both kinds.
    #[serde(rename = "cost_cache_creation_tokens")]
    pub cache_creation_tokens: Option<String>,
    /// Tokens read from the cache.
    #[serde(rename = "cost_cache_read_tokens")]
    pub cache_read_tokens: Option<String>,
    /// US dollars, such as `0.0915` (older programs write `.0915`).
    #[serde(rename = "cost_usd")]
    pub usd: Option<String>,
    /// Id of the dearest model; the Python CMAT writes its name instead.
    #[serde(rename = "cost_model")]
    pub model: Option<String>,
    /// The session that was active last.
    pub session_id: Option<String>,
}

impl CostKeys {
    /// Returns each key as the file names it, with its value.
    pub fn pairs(&self) -> [(&'static str, Option<&str>); 7] {
        [
            ("cost_input_tokens", self.input_tokens.as_deref()),
            ("cost_output_tokens", self.output_tokens.as_deref()),
            ("cost_cache_creation_tokens", self.cache_creation_tokens.as_deref()),
            ("cost_cache_read_tokens", self.cache_read_tokens.as_deref()),
            ("cost_usd", self.usd.as_deref()),
            ("cost_model", self.model.as_deref()),
            ("session_id", self.session_id.as_deref()),
        ]
    }

    fn read(metadata: Object<'_>) -> (Self, Option<String>) {
        let (mut costs, mut enhancement) = (Self::default(), None);
        for entry in metadata.entries() {
            let slot = match entry.key.as_str().as_deref() {
                Some("cost_input_tokens") => &mut costs.input_tokens,
                Some("cost_output_tokens") => &mut costs.output_tokens,
                Some("cost_cache_creation_tokens") => &mut costs.cache_creation_tokens,
                Some("cost_cache_read_tokens") => &mut costs.cache_read_tokens,
                Some("cost_usd") => &mut costs.usd,
                Some("cost_model") => &mut costs.model,
                Some("session_id") => &mut costs.session_id,
                Some("enhancement_title") => &mut enhancement,
                _ => continue,
            };
            *slot = text(entry.value);
        }
        (costs, enhancement)
    }
}

/// A task of the queue, as far as cmat cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedTask {
    /// Its `id`.
    pub id: TaskId,
    /// Its `title`.
    pub title: Option<String>,
    /// Its `assigned_agent`.
    pub assigned_agent: Option<String>,
    /// Its `task_type`.
    pub task_type: Option<String>,
    /// Its `status`, such as `pending`, `active`, `completed`.
    pub status: Option<String>,
    /// Its `metadata.enhancement_title`.
    pub enhancement: Option<String>,
    /// The cost that stands in its `metadata`.
    pub costs: CostKeys,
}

impl QueuedTask {
    fn read(id: TaskId, task: Object<'_>) -> Self {
        let (mut title, mut assigned_agent, mut task_type, mut status) = (None, None, None, None);
        let (mut costs, mut enhancement) = (CostKeys::default(), None);
        for entry in task.entries() {
            match entry.key.as_str().as_deref() {
                Some("title") => title = text(entry.value),
                Some("assigned_agent") => assigned_agent = text(entry.value),
                Some("task_type") => task_type = text(entry.value),
                Some("status") => status = text(entry.value),
                Some("metadata") => {
                    (costs, enhancement) = entry.value.as_object().map(CostKeys::read).unwrap_or_default();
                }
                _ => {}
            }
        }
        Self { id, title, assigned_agent, task_type, status, enhancement, costs }
    }
}

/// Returns a value's text: that of a string, nothing for `null`, anything else as it is written.
fn text(value: Value<'_>) -> Option<String> {
    match value.kind() {
        Kind::Null => None,
        Kind::String => value.as_str().map(String::from),
        _ => Some(value.text().to_owned()),
    }
}

/// A task queue that was read.
#[derive(Debug, Clone)]
pub struct QueueDocument {
    document: Document,
}

impl QueueDocument {
    /// Returns the queue that `bytes` hold. A queue without `tasks` has none, as in the Python CMAT.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, FormatError> {
        let document = Document::parse(bytes)?;
        let root = document.root().as_object().ok_or(FormatError::Shape)?;
        match root.get("tasks").map(|tasks| tasks.kind()) {
            None | Some(Kind::Array) => Ok(Self { document }),
            Some(_) => Err(FormatError::Shape),
        }
    }

    /// Returns the whole text, unchanged.
    pub fn text(&self) -> &str {
        self.document.text()
    }

    /// Returns the tasks in their order. What has no acceptable `id` is left out: nobody can name it.
    pub fn tasks(&self) -> impl Iterator<Item = QueuedTask> {
        self.objects().map(|(id, task)| QueuedTask::read(id, task))
    }

    /// Returns the task called `id`; of several the first, as the Python CMAT does.
    pub fn task(&self, id: &TaskId) -> Option<QueuedTask> {
        self.objects().find(|(found, _)| found == id).map(|(id, task)| QueuedTask::read(id, task))
    }

    /// Returns the edits that give each of `tasks` what `wanted` says about it, and what came of each.
    ///
    /// `wanted` sees the task as it stands; `None` leaves it alone. Only keys that differ are touched.
    pub fn edits(
        &self,
        tasks: &BTreeSet<TaskId>,
        mut wanted: impl FnMut(&QueuedTask) -> Option<CostKeys>,
    ) -> (Edits<'_>, Change) {
        let mut edits = self.document.edits();
        let mut change = Change { missing: tasks.clone(), ..Change::default() };
        for (id, object) in self.objects().filter(|(id, _)| tasks.contains(id)) {
            if !change.missing.remove(&id) {
                change.repeated.insert(id);
                continue;
            }
            let task = QueuedTask::read(id, object);
            let Some(costs) = wanted(&task).filter(|costs| *costs != task.costs) else { continue };
            let is_written = write_costs(&mut edits, object, &task.costs, &costs);
            let outcome = if is_written { &mut change.written } else { &mut change.malformed };
            outcome.insert(task.id);
        }
        (edits, change)
    }

    fn objects(&self) -> impl Iterator<Item = (TaskId, Object<'_>)> {
        let tasks = self.document.root().get("tasks").and_then(|tasks| tasks.as_array());
        let objects =
            tasks.into_iter().flat_map(|tasks| tasks.elements()).filter_map(|task| task.as_object());
        objects.filter_map(|task| Some((TaskId::new(task.get("id")?.as_str()?).ok()?, task)))
    }
}

/// What came of a change to some tasks. A task in none of these sets stood as wanted already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Tasks that got new values.
    pub written: BTreeSet<TaskId>,
    /// Tasks that the queue does not have.
    pub missing: BTreeSet<TaskId>,
    /// Tasks whose `metadata` is neither an object nor null: left as they are.
    pub malformed: BTreeSet<TaskId>,
    /// Ids that several tasks have; only the first task counts, as in the Python CMAT.
    pub repeated: BTreeSet<TaskId>,
}

/// Edits the keys that differ; returns false, and edits nothing, if the task's `metadata` cannot hold them.
fn write_costs<'doc>(
    edits: &mut Edits<'doc>,
    task: Object<'doc>,
    current: &CostKeys,
    wanted: &CostKeys,
) -> bool {
    let metadata = task.get("metadata").filter(|metadata| metadata.kind() != Kind::Null);
    match metadata.map(|metadata| metadata.as_object()) {
        Some(None) => return false,
        Some(Some(metadata)) => {
            let differing = wanted.pairs().into_iter().zip(current.pairs()).filter(|(new, old)| new != old);
            let members: Vec<_> = differing.map(|((key, value), _)| (key, Json::from(value))).collect();
            edits.set_members(metadata, &members);
        }
        None => {
            let members = wanted.pairs().map(|(key, value)| (key.to_owned(), Json::from(value)));
            edits.set_members(task, &[("metadata", Json::Object(members.into_iter().collect()))]);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{
        "github_issue": null,
        "enhancement_title": "demo-test",
        "workflow_step": 0,
        "cost_input_tokens": "61",
        "cost_output_tokens": 6225,
        "cost_usd": ".4305",
        "cost_model": "Claude Sonnet 4.5",
        "session_id": null
      }"#;

    fn queue(id: &str, metadata: &str) -> String {
        format!(
            r#"{{
  "queue_metadata": {{
    "version": "3.0.0"
  }},
  "tasks": [
    {{
      "id": {},
      "title": "Größe \ud83d\ude00",
      "assigned_agent": "architect",
      "task_type": "analysis",
      "status": "completed",
      "result": 1.10,
      "created": "2025-12-24T11:43:07.048756+00:00Z",
      "metadata": {metadata}
    }}
  ],
  "agent_status": {{}}
}}"#,
            Json::from(id)
        )
    }

    fn ids(names: &[&str]) -> BTreeSet<TaskId> {
        names.iter().map(|name| TaskId::new(*name).unwrap()).collect()
    }

    fn costs() -> CostKeys {
        let some = |text: &str| Some(text.to_owned());
        CostKeys {
            input_tokens: some("12345"),
            output_tokens: some("6225"),
            cache_creation_tokens: some("0"),
            cache_read_tokens: some("8901"),
            usd: some("0.0915"),
            model: some("claude-sonnet-4-20250514"),
            session_id: some("abc123"),
        }
    }

    /// Gives the task its costs and returns its metadata, after checking that all else is as it was.
    fn check_written(id: &str, metadata: &str) -> String {
        let before = queue(id, metadata);
        let document = QueueDocument::parse(before.as_str()).unwrap();
        let (edits, change) = document.edits(&ids(&[id]), |_| Some(costs()));
        assert_eq!(change, Change { written: ids(&[id]), ..Change::default() });
        let after = edits.apply();
        let (head, tail) = before.split_at(before.find("\"metadata\": ").unwrap() + "\"metadata\": ".len());
        let new = after.strip_prefix(head).unwrap().strip_suffix(&tail[metadata.len()..]).unwrap();
        let written = QueueDocument::parse(after.as_str()).unwrap();
        assert_eq!(written.task(&TaskId::new(id).unwrap()).unwrap().costs, costs());
        let (again, change) = written.edits(&ids(&[id]), |_| Some(costs()));
        assert!(again.is_empty() && change == Change::default());
        new.to_owned()
    }

    fn check_error(bytes: &str, expected: &str) {
        let error = anyhow::Error::from(QueueDocument::parse(bytes).unwrap_err());
        assert_eq!(format!("{error:#}"), expected);
    }

    #[test]
    fn reads_a_task_as_the_python_cmat_writes_it() {
        let document = QueueDocument::parse(queue("task_1", METADATA)).unwrap();
        insta::assert_debug_snapshot!(document.tasks().collect::<Vec<_>>(), @r#"
        [
            QueuedTask {
                id: TaskId(
                    "task_1",
                ),
                title: Some(
                    "Größe 😀",
                ),
                assigned_agent: Some(
                    "architect",
                ),
                task_type: Some(
                    "analysis",
                ),
                status: Some(
                    "completed",
                ),
                enhancement: Some(
                    "demo-test",
                ),
                costs: CostKeys {
                    input_tokens: Some(
                        "61",
                    ),
                    output_tokens: Some(
                        "6225",
                    ),
                    cache_creation_tokens: None,
                    cache_read_tokens: None,
                    usd: Some(
                        ".4305",
                    ),
                    model: Some(
                        "Claude Sonnet 4.5",
                    ),
                    session_id: None,
                },
            },
        ]
        "#);
    }

    #[test]
    fn writes_what_differs_and_appends_what_is_missing() {
        insta::assert_snapshot!(check_written("task_1", METADATA), @r#"
        {
                "github_issue": null,
                "enhancement_title": "demo-test",
                "workflow_step": 0,
                "cost_input_tokens": "12345",
                "cost_output_tokens": 6225,
                "cost_usd": "0.0915",
                "cost_model": "claude-sonnet-4-20250514",
                "session_id": "abc123",
                "cost_cache_creation_tokens": "0",
                "cost_cache_read_tokens": "8901"
              }
        "#);
    }

    #[test]
    fn makes_metadata_where_there_is_none() {
        let expected = r#"{
        "cost_input_tokens": "12345",
        "cost_output_tokens": "6225",
        "cost_cache_creation_tokens": "0",
        "cost_cache_read_tokens": "8901",
        "cost_usd": "0.0915",
        "cost_model": "claude-sonnet-4-20250514",
        "session_id": "abc123"
      }"#;
        assert_eq!(check_written("task_1", "null"), expected);
        assert_eq!(check_written("task_1", "{}"), expected);
        let document = QueueDocument::parse(r#"{"tasks":[{"id":"a"}]}"#).unwrap();
        let (edits, _) = document.edits(&ids(&["a"]), |_| Some(costs()));
        assert!(edits.apply().starts_with(r#"{"tasks":[{"id":"a","metadata":{"cost_input_tokens":"12345","#));
    }

    #[test]
    fn finds_ids_of_any_spelling() {
        for id in ["a/b\\c", "\"quoted\"", "\u{1b}[31m", "größe 日本", &"x".repeat(256)] {
            check_written(id, METADATA);
        }
        let document = QueueDocument::parse(r#"{"tasks":[{"id":"\u0061\/b"}]}"#).unwrap();
        assert!(document.task(&TaskId::new("a/b").unwrap()).is_some());
    }

    #[test]
    fn leaves_out_what_nobody_can_name() {
        let endless = "x".repeat(10_000);
        let text =
            format!(r#"{{"tasks":[{{"id":"{endless}"}},{{"id":5}},{{}},7,{{"id":"\ud800"}},{{"id":"a"}}]}}"#);
        let document = QueueDocument::parse(text).unwrap();
        assert_eq!(document.tasks().map(|task| task.id).collect::<BTreeSet<_>>(), ids(&["a"]));
    }

    #[test]
    fn says_what_came_of_each_task() {
        let text =
            r#"{"tasks":[{"id":"twice"},{"id":"odd","metadata":"text"},{"id":"twice"},{"id":"spared"}]}"#;
        let document = QueueDocument::parse(text).unwrap();
        let (edits, change) = document.edits(&ids(&["twice", "odd", "gone", "spared"]), |task| {
            (task.id.as_str() != "spared").then(costs)
        });
        let expected = Change {
            written: ids(&["twice"]),
            missing: ids(&["gone"]),
            malformed: ids(&["odd"]),
            repeated: ids(&["twice"]),
        };
        assert_eq!(change, expected);
        let after = edits.apply();
        assert!(after.ends_with(&text[text.find(r#","metadata":"text"#).unwrap()..]));
    }

    #[test]
    fn takes_back_a_value_as_null() {
        let document = QueueDocument::parse(queue("a", METADATA)).unwrap();
        let (edits, _) = document.edits(&ids(&["a"]), |_| Some(CostKeys::default()));
        assert!(edits.apply().contains(r#""cost_usd": null"#));
    }

    #[test]
    fn refuses_what_is_no_queue() {
        check_error("[]", "it is not an object with a list of `tasks`");
        check_error(r#"{"tasks": {}}"#, "it is not an object with a list of `tasks`");
        check_error(
            "{\"tasks\": [",
            "it is not JSON: line 1, column 12: expected a value or `]`, found the end of the file",
        );
        assert_eq!(QueueDocument::parse("{}").unwrap().tasks().count(), 0);
    }
}
