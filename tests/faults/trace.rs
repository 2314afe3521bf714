//! `strace`: which calls a run makes, and a run of which one call fails.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The disk cannot do it.
    InputOutput,
    /// The disk is full.
    NoSpace,
    /// The process is killed on its way into the call, which does not happen.
    Kill,
}

impl Fault {
    pub(crate) const ALL: [Self; 3] = [Self::InputOutput, Self::NoSpace, Self::Kill];
}

/// One call of a run that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Injection {
    /// Name of the system call.
    pub(crate) call: String,
    /// Which one of that name, from 1.
    pub(crate) ordinal: usize,
    pub(crate) fault: Fault,
}

impl fmt::Display for Injection {
    /// As `strace` wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, ordinal, fault } = self;
        let fault = match fault {
            Fault::InputOutput => "error=EIO",
            Fault::NoSpace => "error=ENOSPC",
            Fault::Kill => "signal=SIGKILL",
        };
        write!(f, "inject={call}:{fault}:when={ordinal}")
    }
}

/// One line of a trace: a call of one thread.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) thread: u32,
    pub(crate) name: String,
    /// Arguments and result, descriptors with their paths.
    pub(crate) rest: String,
}

/// Returns whether `strace` can be run.
pub(crate) fn is_there() -> bool {
    Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Makes `strace` run `program` and trace the `calls` (as `-e trace=` takes them) into `log`.
pub(crate) fn watching(program: &Path, calls: &str, log: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "--seccomp-bpf", "-e", &format!("trace={calls}"), "-o"]).arg(log).arg(program);
    command
}

/// Makes `strace` run `program` and let one call fail; only the calls of its name are traced into `log`.
pub(crate) fn failing(program: &Path, log: &Path, injection: &Injection) -> Command {
    let mut command = Command::new("strace");
    command
        .args(["-f", "-e", &format!("trace={}", injection.call), "-e", &injection.to_string(), "-o"])
        .arg(log);
    if injection.fault != Fault::Kill {
        // Much quicker, but it delivers no signals.
        command.arg("--seccomp-bpf");
    }
    command.arg(program);
    command
}

/// Returns the calls of a trace, in the order in which they began.
pub(crate) fn calls(log: &Path) -> Vec<Call> {
    fs::read_to_string(log).unwrap().lines().filter_map(call).collect()
}

/// Returns the threads of the process that ran a program with `argument`, and of all that it made.
pub(crate) fn processes_of(log: &Path, argument: &str) -> BTreeSet<u32> {
    let log = fs::read_to_string(log).unwrap();
    let mut found = BTreeSet::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let thread = thread.parse().unwrap();
        if rest.trim_start().starts_with("execve(") && rest.contains(argument) {
            found.insert(thread);
        }
        // `clone3(…) = 1235`, or where that was interrupted: `<... clone3 resumed>…) = 1235`.
        let made = rest.rsplit_once(" = ").and_then(|(_, made)| made.trim().parse().ok());
        if let Some(made) = made.filter(|_| found.contains(&thread) && rest.contains("clone")) {
            found.insert(made);
        }
    }
    found
}

/// `1234 openat(AT_FDCWD</p>, "f", O_RDONLY) = 3</p/f>`; ends of processes and of interrupted calls are no calls.
fn call(line: &str) -> Option<Call> {
    let (thread, rest) = line.split_once(' ')?;
    let (name, rest) = rest.trim_start().split_once('(')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then(|| Call { thread: thread.parse().unwrap(), name: name.to_owned(), rest: rest.to_owned() })
}

/// Returns whether the fault of an injection happened in the run that wrote the trace.
pub(crate) fn was_hit(log: &Path) -> bool {
    let log = fs::read_to_string(log).unwrap();
    log.contains("(INJECTED)") || log.contains("killed by SIGKILL")
}

/// Returns the ordinals of the calls that the program itself makes, by name: those of its loader come before the
/// first that mentions `root`.
///
/// `strace` counts for each thread; nearly all is done by the first, and only its calls are returned. What cannot be read
/// from stdin was never told, and nothing is promised of it.
pub(crate) fn ordinals(calls: &[Call], root: &Path) -> BTreeMap<String, Vec<usize>> {
    // Not only in the name of the folder that it runs in, which stands in the loader's calls too.
    let mentions = [format!("\"{}", root.display()), format!("({}", root.display())];
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    let mut ordinals: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut has_begun = false;
    for call in calls.iter().filter(|call| call.thread == calls[0].thread) {
        let n = counted.entry(call.name.clone()).or_default();
        *n += 1;
        has_begun |= call.name != "execve" && mentions.iter().any(|mention| call.rest.contains(mention));
        let is_told = call.name == "read" && call.rest.starts_with("0<");
        if has_begun && !is_told {
            ordinals.entry(call.name.clone()).or_default().push(*n);
        }
    }
    ordinals
}
