//! What the client tells a hook on stdin, within a time.

use std::io;
use std::io::BufReader;
use std::io::IsTerminal as _;
use std::io::Read;
use std::time::Duration;
use std::time::Instant;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::io::retry_on_intr;

use crate::commands::chain;
use crate::hook_input::HookInput;

/// Reads one JSON object of at most `max_bytes` from stdin, not waiting for its end: some clients leave the pipe open.
///
/// The client writes at once, but a busy machine may be late to run it; a person's terminal says nothing.
pub(super) fn read(patience: Duration, max_bytes: u64) -> HookInput {
    if io::stdin().is_terminal() {
        return HookInput::default();
    }
    let stdin = Stdin { until: Instant::now() + patience };
    HookInput::read(BufReader::new(stdin), max_bytes).unwrap_or_else(|error| {
        tracing::warn!("{}", chain(&error));
        HookInput::default()
    })
}

/// Stdin until a moment. A thread for it would take a fifth of the time of a hook that has nothing else to do.
struct Stdin {
    until: Instant,
}

impl Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stdin = io::stdin();
        let left = self.until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        let n_ready = retry_on_intr(|| poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&left)))?;
        if n_ready == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came in time"));
        }
        Ok(retry_on_intr(|| rustix::io::read(&stdin, &mut *buffer))?)
    }
}
