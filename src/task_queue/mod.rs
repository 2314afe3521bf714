//! The seven cost keys of a task in `task_queue.json`, a copy of what the ledger says.
//!
//! The file belongs to the Python CMAT, which rewrites it whole, in place and without a lock, and keeps only the
//! keys it knows. So nothing but those seven keys is written here, every other byte stays, and whatever another
//! program writes meanwhile is looked for up to the last moment. What the figures are is decided elsewhere.

mod document;
mod file;
mod trail;

pub use document::Change;
pub use document::CostKeys;
pub use document::FormatError;
pub use document::QueueDocument;
pub use document::QueuedTask;
pub use file::LockedQueue;
pub use file::QueueError;
pub use file::TaskQueue;
pub use trail::Finding;
