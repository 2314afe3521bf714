//! The seven cost keys of a task in task_queue.json, a copy of what the ledger says.
