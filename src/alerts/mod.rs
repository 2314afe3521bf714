//! Alerts delivered: to the desktop, to an address, to a program. The only room that opens a connection.
//!
//! It runs in a process of its own that nobody waits for, or in a person's command; never in a hook. What is sent is
//! the document of the alert and nothing else; nothing of it becomes part of a command line that a shell reads.

mod program;
mod webhook;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::config::alerts::Channel;
use crate::config::alerts::Way;
use crate::printable::Printable;

/// How long one delivery may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What shows notifications on Linux, and on macOS.
const NOTIFIERS: [&str; 2] = ["notify-send", "osascript"];

/// The surroundings that a delivery needs.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where programs are looked for.
    pub search_path: Vec<PathBuf>,
    /// Inside Claude Code a project's settings may have set the variables that name a proxy.
    pub inside_claude_code: bool,
}

/// Delivers `document`, an alert, by a channel.
///
/// # Errors
/// Why it could not be delivered, in words that hold no address.
pub fn deliver(channel: &Channel, document: &str, surroundings: &Surroundings) -> Result<(), String> {
    match &channel.way {
        Way::Desktop => notify(document, surroundings),
        Way::Webhook(Ok(url)) => webhook::post(url, document, !surroundings.inside_claude_code, PATIENCE),
        Way::Webhook(Err(fault)) => Err(fault.clone()),
        Way::Command(command) => {
            let Some((program, arguments)) = command.split_first() else {
                return Err("no program is named".to_owned());
            };
            program::run(program.as_ref(), arguments, document, PATIENCE)
        }
    }
}

fn notify(document: &str, surroundings: &Surroundings) -> Result<(), String> {
    let text = serde_json::from_str::<Value>(document)
        .ok()
        .and_then(|document| Some(document.get("text")?.as_str()?.to_owned()))
        .ok_or("the alert has no text")?;
    let text = Printable(&text).to_string();
    let found = NOTIFIERS.iter().find_map(|name| {
        let program =
            surroundings.search_path.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
        Some((*name, program?))
    });
    match found {
        Some(("notify-send", program)) => {
            // The body is markup.
            let body = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let arguments = ["--app-name=cmat", "--", "cmat", &body].map(str::to_owned);
            program::run(&program, &arguments, "", PATIENCE)
        }
        Some((_, program)) => {
            let script = "on run argv\ndisplay notification (item 1 of argv) with title \"cmat\"\nend run";
            program::run(&program, &["-e".to_owned(), script.to_owned(), text], "", PATIENCE)
        }
        None => Err(format!("there is no {}", NOTIFIERS.join(" or "))),
    }
}
