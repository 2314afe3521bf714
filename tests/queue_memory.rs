//! A large task queue is changed in less than three times its size of memory.
//!
//! A test binary of its own, because what is measured is the highest memory of the whole process.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::collections::BTreeSet;
use std::fs;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use cmat::id::TaskId;
use cmat::task_queue::CostKeys;
use cmat::task_queue::TaskQueue;

/// Returns how large the queue is to be: 20 MB, or 50 MB with `CMAT_STORM=full`.
fn size() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test reads its own switch")]
    let is_full = std::env::var_os("CMAT_STORM").is_some_and(|size| size == "full");
    if is_full { 50_000_000 } else { 20_000_000 }
}

fn write_queue(path: &Path, bytes: u64) {
    let mut out = BufWriter::new(fs::File::create(path).unwrap());
    out.write_all(b"{\n  \"tasks\": [").unwrap();
    let description = "all the words of a task ".repeat(40);
    for n in 0..bytes / 1050 {
        let comma = if n == 0 { "" } else { "," };
        write!(
            out,
            "{comma}\n    {{\n      \"id\": \"task_{n}\",\n      \"description\": \"{description}\",\n"
        )
        .unwrap();
        out.write_all(b"      \"metadata\": {\n        \"cost_usd\": null\n      }\n    }").unwrap();
    }
    out.write_all(b"\n  ]\n}\n").unwrap();
    out.flush().unwrap();
}

/// Returns the most memory that this process ever had, in bytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_large_queue_needs_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("task_queue.json");
    write_queue(&path, size());
    let size = fs::metadata(&path).unwrap().len();
    let before = peak_memory();

    let tasks = ["task_0", "task_10000", "task_19000"].map(|id| TaskId::new(id).unwrap());
    let tasks = BTreeSet::from(tasks);
    let queue = TaskQueue::new(&path).lock(Instant::now() + Duration::from_secs(60)).unwrap();
    let costs = CostKeys { usd: Some("0.0915".to_owned()), ..CostKeys::default() };
    let change = queue.update(&tasks, |_| Some(costs.clone())).unwrap();

    let used = peak_memory() - before;
    assert_eq!(change.written, tasks);
    assert_eq!(fs::read_to_string(&path).unwrap().matches("\"cost_usd\": \"0.0915\"").count(), 3);
    assert!(used < 3 * size, "{used} bytes of memory for a queue of {size} bytes");
}
