//! The command line of the client that runs a hook. Before a session's first answer nothing else may say which model it
//! uses: without a terminal the client does not tell its hooks.
//!
//! Of that command line only the option that names a model is looked at.

use std::fs;
use std::path::Path;

/// How many processes above a hook are looked at: a shell may stand between.
const ANCESTORS: usize = 4;

/// Returns the model that the client was started with; `None` if its command line names none, or the system does not
/// show it.
pub fn model_of_client() -> Option<String> {
    let mut process = rustix::process::getppid()?.as_raw_nonzero().get();
    for _ in 0..ANCESTORS {
        let line = fs::read(format!("/proc/{process}/cmdline")).ok()?;
        let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        if is_client(&arguments) {
            return model(&arguments);
        }
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        process = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
    }
    None
}

/// Returns whether the program, or the script that it runs, is Claude Code.
fn is_client(arguments: &[&[u8]]) -> bool {
    arguments.iter().take(2).any(|argument| {
        let argument = String::from_utf8_lossy(argument);
        let name = Path::new(argument.as_ref()).file_name();
        name.is_some_and(|name| name == "claude") || argument.ends_with("claude-code/cli.js")
    })
}

/// Returns the model that is named last: that is the one which the client takes.
fn model(arguments: &[&[u8]]) -> Option<String> {
    let arguments = arguments.iter().map(|argument| String::from_utf8_lossy(argument));
    let mut arguments = arguments.take_while(|argument| argument != "--");
    let mut named = None;
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("--model") {
            Some("") => named = arguments.next().map(|model| model.into_owned()).or(named),
            Some(rest) if rest.starts_with('=') => named = Some(rest[1..].to_owned()),
            _ => {}
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<&str>) {
        let arguments: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let found = if is_client(&arguments) { model(&arguments) } else { None };
        assert_eq!(found.as_deref(), expected, "{line}");
    }

    #[test]
    fn only_the_clients_own_option_names_a_model() {
        check("/usr/bin/claude -p hi --model haiku", Some("haiku"));
        check("node /lib/@anthropic-ai/claude-code/cli.js --model=claude-opus-5-5", Some("claude-opus-5-5"));
        check("claude --model=claude-opus-5-5 -p hi --model haiku", Some("haiku"));
        check("claude -p -- --model haiku", None);
        check("claude -p hi --models haiku", None);
        check("claude --model", None);
        check("bash -c run --model haiku", None);
    }
}
