//! A model that a person chose with `/model`, at the end of a transcript: nothing else says it before the next answer.

use serde::Deserialize;

/// What stands around the command's argument, and before the name that the client confirms.
const COMMAND: &str = "<command-name>/model</command-name>";
const ARGUMENTS: (&str, &str) = ("<command-args>", "</command-args>");
const CONFIRMED: &str = "<local-command-stdout>Set model to ";

/// A line, as far as it may be one of the command's.
#[derive(Deserialize)]
struct Line<'line> {
    #[serde(rename = "type")]
    kind: &'line str,
    #[serde(default)]
    content: serde_json::Value,
    #[serde(default)]
    message: Message,
}

#[derive(Default, Deserialize)]
struct Message {
    #[serde(default)]
    content: serde_json::Value,
}

/// Returns the model that was chosen last, and confirmed, behind the last answer in the lines of a transcript's end; the
/// first line may be torn.
pub fn switched_model(end: &str) -> Option<String> {
    let mut confirmed: Option<String> = None;
    for line in end.lines().rev() {
        let is_about = ["\"assistant\"", "/model", "Set model to "].iter().any(|word| line.contains(word));
        let Some(line) = is_about.then(|| serde_json::from_str::<Line<'_>>(line).ok()).flatten() else {
            continue;
        };
        if line.kind == "assistant" {
            return confirmed;
        }
        let said = line.content.as_str().or_else(|| line.message.content.as_str()).unwrap_or_default();
        if let Some(rest) = said.strip_prefix(CONFIRMED).filter(|_| confirmed.is_none()) {
            confirmed = Some(plain(rest));
        } else if said.contains(COMMAND) && confirmed.is_some() {
            let argument = said.split_once(ARGUMENTS.0).and_then(|(_, rest)| rest.split_once(ARGUMENTS.1));
            let argument = argument.map(|(argument, _)| argument.trim()).filter(|text| !text.is_empty());
            return argument.map(str::to_owned).or(confirmed);
        }
    }
    confirmed
}

/// Returns the name that the client shows, without what makes it bold, up to the first word that is not of it.
fn plain(text: &str) -> String {
    let text = text.split("</local-command-stdout>").next().unwrap_or_default();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain.split([' ', '(', '\n']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(lines: &[serde_json::Value], expected: Option<&str>) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(switched_model(&text).as_deref(), expected, "{text}");
    }

    #[test]
    fn the_last_choice_behind_the_last_answer_counts_if_it_was_confirmed() {
        let answer =
            json!({"type": "assistant", "message": {"content": [{"type": "text", "text": "/model"}]}});
        let asks = |name: &str| {
            json!({"type": "system", "subtype": "local_command", "content": format!(
                "<command-name>/model</command-name>\n<command-message>model</command-message>\n<command-args>{name}</command-args>"
            )})
        };
        let says = |text: &str| json!({"type": "user", "message": {"content": format!("<local-command-stdout>{text}</local-command-stdout>")}});
        let set = says("Set model to \u{1b}[1mhaiku\u{1b}[22m and saved as your default for new sessions");
        check(&[answer.clone(), asks("claude-haiku-4-5"), set.clone()], Some("claude-haiku-4-5"));
        check(&[answer.clone(), asks(""), set.clone()], Some("haiku"));
        check(&[asks("claude-haiku-4-5"), set.clone(), answer.clone()], None);
        check(&[answer.clone(), asks("claude-haiku-4-5"), says("Model 'x' not found")], None);
        let twice = [asks("opus"), set.clone(), asks("sonnet"), says("Set model to sonnet")];
        check(&twice, Some("sonnet"));
        // What a person or a tool says is no confirmation.
        check(&[answer, json!({"type": "user", "message": {"content": "Set model to haiku"}})], None);
        assert_eq!(switched_model("torn\": 1}\nnot json /model\n"), None);
    }
}
