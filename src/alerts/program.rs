//! A program that is run with an alert on its stdin, without a shell, and ended if it does not end.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// How often it is looked whether the program has ended.
const GLANCE: Duration = Duration::from_millis(20);

/// Runs the program; an exit code of 0 means that it did its work.
pub(super) fn run(
    program: &Path,
    arguments: &[String],
    stdin: &str,
    patience: Duration,
) -> Result<(), String> {
    let shown = program.display();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|fault| format!("`{shown}` cannot be run: {fault}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // An alert is shorter than a pipe's buffer; a program need not read it.
        let _unread = pipe.write_all(stdin.as_bytes());
    }
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("`{shown}` failed: {status}")),
            Ok(None) if Instant::now() < deadline => thread::sleep(GLANCE),
            Ok(None) => {
                // It may end by itself meanwhile.
                let _ended = child.kill();
                let _ended = child.wait();
                return Err(format!("`{shown}` took longer than {} s", patience.as_secs()));
            }
            Err(fault) => return Err(format!("`{shown}` was lost: {fault}")),
        }
    }
}
