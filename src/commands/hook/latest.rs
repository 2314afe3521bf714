//! The end of a transcript, which the client may still be writing.

use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::booking::session_files;
use crate::disk;
use crate::id::SessionId;
use crate::transcript::switch;

/// How long a request is waited for at most, and how often it looks.
const WRITING_PATIENCE: Duration = Duration::from_secs(2);
const WRITING_GLANCE: Duration = Duration::from_millis(10);

/// How much of a transcript's end is looked at, in bytes.
const LOOKED_AT_BYTES: u64 = 1 << 20;

/// Waits until the request that asks for the tool stands in a transcript: the client runs this hook while it writes
/// that. A client that never writes it is not waited for long. The transcripts are to be
/// read again then, since it may have been written after they were read and before this looked.
pub(super) fn wait_for_request(tool: &str, transcript: &Path, session: Option<&SessionId>) {
    let began = Instant::now();
    while began.elapsed() < WRITING_PATIENCE {
        let files = session_files::find(transcript, session);
        let is_written = |path: &PathBuf| ends_with_mention(path, tool).unwrap_or(false);
        if files.is_ok_and(|found| found.files.iter().any(is_written)) {
            break;
        }
        thread::sleep(WRITING_GLANCE);
    }
}

/// Returns the model that a person chose with `/model` since the session's last answer.
pub(super) fn switched_model(transcript: &Path) -> Option<String> {
    let end = end_of(transcript).ok()?;
    switch::switched_model(&String::from_utf8_lossy(&end))
}

/// Returns whether the end of a file names `text`.
fn ends_with_mention(path: &Path, text: &str) -> std::io::Result<bool> {
    Ok(memchr::memmem::find(&end_of(path)?, text.as_bytes()).is_some())
}

fn end_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = disk::open_regular(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(LOOKED_AT_BYTES)))?;
    let mut end = Vec::new();
    file.take(LOOKED_AT_BYTES).read_to_end(&mut end)?;
    Ok(end)
}
