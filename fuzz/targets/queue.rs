//! Any bytes as a task queue: what is written for a task changes its keys and not a byte elsewhere.

#![no_main]

use std::collections::BTreeSet;

use cmat::task_queue::CostKeys;
use cmat::task_queue::QueueDocument;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let is_json = serde_json::from_slice::<serde_json::Value>(bytes).is_ok();
    let Ok(queue) = QueueDocument::parse(bytes) else { return };
    let Some(task) = queue.tasks().next() else { return };
    let wanted = CostKeys {
        input_tokens: Some("1".to_owned()),
        usd: Some("0.0915".to_owned()),
        model: Some("\"\\\u{1b}é".to_owned()),
        ..CostKeys::default()
    };
    let tasks = BTreeSet::from([task.id.clone()]);
    let (edits, change) = queue.edits(&tasks, |_| Some(wanted.clone()));
    if !change.written.contains(&task.id) {
        assert!(edits.is_empty());
        return;
    }
    let after = edits.apply();
    assert!(
        !is_json || serde_json::from_str::<serde_json::Value>(after.trim_start_matches('\u{feff}')).is_ok()
    );
    let changed = QueueDocument::parse(after.as_str()).expect("what was written is a queue");
    assert_eq!(changed.task(&task.id).unwrap().costs, wanted);
    let others = |queue: &QueueDocument| queue.tasks().skip(1).collect::<Vec<_>>();
    assert_eq!(others(&queue), others(&changed));
    let (again, _) = changed.edits(&tasks, |_| Some(wanted.clone()));
    assert!(again.is_empty(), "once is enough");
    // Taken back, all that was there before is there again, but the keys that were added.
    let (back, _) = changed.edits(&tasks, |_| Some(task.costs.clone()));
    let back = QueueDocument::parse(back.apply()).expect("a queue again");
    assert_eq!(back.tasks().collect::<Vec<_>>(), queue.tasks().collect::<Vec<_>>());
});
