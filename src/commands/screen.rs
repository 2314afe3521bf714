//! How words and tables reach a person: colours, plain ASCII, a pager, or silence.
//!
//! Data that is piped goes out as it is made, byte for byte; colours mark only what the words say anyway.

use std::io;
use std::io::Write;
use std::process::Command;
use std::process::Stdio;
use std::sync::OnceLock;

use crate::cli::Global;
use crate::config;
use crate::config::Coloured;

/// What the words of a run look like.
#[derive(Debug, Clone, Copy, Default)]
struct Manner {
    quiet: bool,
    ascii: bool,
    coloured: bool,
}

static MANNER: OnceLock<Manner> = OnceLock::new();

/// How a message begins, and the colour that this has: bold red, bold yellow.
const COLOURS: [(&str, &str); 2] = [("Error:", "\u{1b}[1;31m"), ("Warning:", "\u{1b}[1;33m")];
const PLAIN: &str = "\u{1b}[0m";

/// What stands for the characters that cmat writes itself; names of others stay as they are.
const ASCII: [(char, &str); 29] = [
    ('·', "|"),
    ('–', "-"),
    ('—', "-"),
    ('−', "-"),
    ('→', "->"),
    ('×', "x"),
    ('…', "..."),
    ('≤', "<="),
    ('≥', ">="),
    ('±', "+/-"),
    ('Σ', "sum"),
    ('“', "\""),
    ('”', "\""),
    ('’', "'"),
    ('─', "-"),
    ('│', "|"),
    ('┌', "+"),
    ('┐', "+"),
    ('└', "+"),
    ('┘', "+"),
    ('├', "+"),
    ('┤', "+"),
    ('┬', "+"),
    ('┴', "+"),
    ('┼', "+"),
    ('█', "#"),
    ('▆', "#"),
    ('▄', "#"),
    ('▂', "#"),
];

/// Settles how the words of this run look.
pub(super) fn settle(global: &Global) {
    let coloured = config::is_coloured(match global.color {
        crate::cli::Color::Auto => Coloured::Auto,
        crate::cli::Color::Always => Coloured::Always,
        crate::cli::Color::Never => Coloured::Never,
    });
    // A second run in the same process looks like the first.
    let _settled = MANNER.set(Manner { quiet: global.quiet, ascii: global.ascii, coloured });
}

/// Returns words for stderr as they are shown; `None` if nobody wants to read them.
pub(super) fn words(message: &str) -> Option<String> {
    let manner = MANNER.get().copied().unwrap_or_default();
    if manner.quiet && !message.starts_with(COLOURS[0].0) {
        return None;
    }
    let message = if manner.ascii { ascii(message) } else { message.to_owned() };
    let marked = COLOURS.iter().find_map(|(beginning, colour)| {
        let rest = message.strip_prefix(beginning)?;
        Some(format!("{colour}{beginning}{PLAIN}{rest}"))
    });
    Some(marked.filter(|_| manner.coloured).unwrap_or(message))
}

/// Returns whether what goes to stdout has to be held until all of it is there.
pub(super) fn holds(global: &Global) -> bool {
    !global.json && (global.ascii || config::stdout_is_terminal())
}

/// Prints what was held: in a pager, if a person sees it and it is longer than the screen.
pub(super) fn show(held: &[u8], global: &Global, out: &mut dyn Write) -> io::Result<()> {
    let text = String::from_utf8_lossy(held);
    let text = if global.ascii { ascii(&text) } else { text.into_owned() };
    if config::height().is_some_and(|height| text.lines().count() >= height) && page(&text)? {
        return Ok(());
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Gives the text to the pager; returns whether there was one.
fn page(text: &str) -> io::Result<bool> {
    let Some(pager) = config::pager() else { return Ok(false) };
    let mut command = Command::new("sh");
    command.arg("-c").arg(pager.command).stdin(Stdio::piped());
    if !pager.has_options {
        command.env("LESS", "FRX");
    }
    let Ok(mut child) = command.spawn() else { return Ok(false) };
    if let Some(mut stdin) = child.stdin.take() {
        // A pager that is left early has shown what was wanted.
        let _left = stdin.write_all(text.as_bytes());
    }
    Ok(child.wait()?.success())
}

/// Returns a text with plain characters for those that cmat writes itself.
pub(super) fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match ASCII.iter().find(|(known, _)| *known == character) {
            Some((_, instead)) => plain.push_str(instead),
            None => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cmat_writes_itself_is_plain_and_names_stay() {
        assert_eq!(ascii("a → b · größe … 5 × 日本"), "a -> b | größe ... 5 x 日本");
    }
}
