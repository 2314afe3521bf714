//! Where alerts go: what the user's own file and the machine's say. A project's file is never asked, nor a file that only
//! the environment names.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::Config;
use crate::config::budgets::MANAGED;
use crate::config::budgets::line_at;
use crate::config::budgets::read_text;
use crate::config::variable;

/// A way by which alerts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its name: `desktop`, `webhook`, `command`; with `managed ` before it if the machine's file names it.
    pub name: String,
    /// How it is done.
    pub way: Way,
}

/// How an alert is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A notification on the desktop.
    Desktop,
    /// Posted as JSON to this address; an error says why there is none at present.
    Webhook(Result<String, String>),
    /// Given to a program on its stdin: its absolute path, and its arguments.
    Command(Vec<String>),
}

/// The channels, and what of the files could not be understood.
#[derive(Debug, Clone, Default)]
pub struct Alerts {
    /// All of them; mostly none.
    pub channels: Vec<Channel>,
    /// What could not be understood, each with its file.
    pub faults: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Sections {
    #[serde(default)]
    alert: AlertSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertSection {
    #[serde(default)]
    desktop: bool,
    webhook: Option<WebhookSection>,
    command: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookSection {
    url: Option<String>,
    url_env: Option<String>,
}

impl Alerts {
    /// Reads where alerts go.
    pub fn read(config: &Config) -> Self {
        let mut alerts = Self::default();
        for (path, prefix) in
            [(PathBuf::from(MANAGED), "managed "), (config.user_dir.join("config.toml"), "")]
        {
            let text = match read_text(&path) {
                Ok(Some(text)) => text,
                Ok(None) => continue,
                Err(error) => {
                    alerts.faults.push(format!("`{}` cannot be read: {error}", path.display()));
                    continue;
                }
            };
            match toml::from_str::<Sections>(&text) {
                Ok(sections) => {
                    if let Err(fault) = alerts.add(sections.alert, prefix, config.inside_claude_code) {
                        alerts.faults.push(format!("`{}`, `alert`: {fault}", path.display()));
                    }
                }
                Err(error) => {
                    let line = error.span().map_or(1, |span| line_at(&text, span.start));
                    alerts.faults.push(format!("`{}`, line {line}: {}", path.display(), error.message()));
                }
            }
        }
        alerts
    }

    fn add(&mut self, section: AlertSection, prefix: &str, inside_claude_code: bool) -> Result<(), String> {
        let mut channel =
            |name: &str, way| self.channels.push(Channel { name: format!("{prefix}{name}"), way });
        if section.desktop {
            channel("desktop", Way::Desktop);
        }
        match section.webhook {
            None => {}
            Some(WebhookSection { url: Some(url), url_env: None }) => {
                check_address(&url)?;
                channel("webhook", Way::Webhook(Ok(url)));
            }
            Some(WebhookSection { url: None, url_env: Some(name) }) => {
                channel("webhook", Way::Webhook(address_in(&name, inside_claude_code)));
            }
            Some(_) => return Err("`webhook` wants `url` or `url_env`, one of them".to_owned()),
        }
        match section.command {
            None => {}
            Some(command) if command.first().is_some_and(|program| program.starts_with('/')) => {
                channel("command", Way::Command(command));
            }
            Some(_) => {
                return Err(
                    "`command` is a list: the absolute path of a program, then its arguments".to_owned()
                );
            }
        }
        Ok(())
    }
}

/// Returns the address that a variable of the environment holds.
///
/// A project's settings may set the variables of all that runs inside Claude Code, so there it is not believed.
fn address_in(name: &str, inside_claude_code: bool) -> Result<String, String> {
    if inside_claude_code {
        return Err(format!("the variable `{name}` is not read inside Claude Code"));
    }
    let value = variable(name).ok_or_else(|| format!("the variable `{name}` is not set"))?;
    let url = value.into_string().map_err(|_| format!("the variable `{name}` is no text"))?;
    check_address(&url)?;
    Ok(url)
}

/// What is sent names projects and amounts, so it goes encrypted, unless it stays on this machine. The address is a
/// secret: no message repeats it.
fn check_address(url: &str) -> Result<(), String> {
    let is_local = ["http://localhost", "http://127.0.0.1", "http://[::1]"].iter().any(|start| {
        url.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/', '?']))
    });
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    match is_plain && (url.starts_with("https://") || is_local) {
        true => Ok(()),
        false => {
            Err("the address of `webhook` begins with `https://` (`http://` for this machine only)"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::replace;
    use crate::disk::replace::Access;

    fn read(text: &str, inside_claude_code: bool) -> Alerts {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        replace::write(&path, text.as_bytes(), Access::Private).unwrap();
        let mut config = Config::without_file(None).unwrap();
        (config.user_dir, config.inside_claude_code) = (folder.path().to_owned(), inside_claude_code);
        let mut alerts = Alerts::read(&config);
        for fault in &mut alerts.faults {
            *fault = fault.replace(folder.path().to_str().unwrap(), "");
        }
        alerts
    }

    #[test]
    fn channels_are_named_by_what_they_are() {
        let text = "[alert]\ndesktop = true\nwebhook = { url = 'https://example.org/x' }\ncommand = ['/bin/true', '-x']\n\
                    [[budget]]\nscope = 'anything'\n";
        let found = read(text, false);
        assert_eq!(found.faults, [""; 0]);
        let names: Vec<&str> = found.channels.iter().map(|channel| channel.name.as_str()).collect();
        assert_eq!(names, ["desktop", "webhook", "command"]);
        assert!(read("", false).channels.is_empty());
    }

    #[test]
    fn what_could_send_anywhere_or_run_anything_is_refused() {
        let fault = |text: &str| read(text, false).faults.concat();
        for url in ["http://example.org/x", "http://localhost.example.org/", "file:///etc", "https://a b"] {
            let found = fault(&format!("alert = {{ webhook = {{ url = '{url}' }} }}"));
            assert!(found.contains("begins with `https://`") && !found.contains(url), "{found}");
        }
        assert_eq!(fault("alert = { webhook = { url = 'http://127.0.0.1:8080/x' } }"), "");
        assert!(fault("alert = { command = ['notify'] }").contains("the absolute path of a program"));
        assert!(fault("alert = { command = 'rm -rf /' }").contains("line 1: invalid type"));
        assert!(fault("alert = { webhook = {} }").contains("`url` or `url_env`"));
        assert!(fault("alert = { sms = true }").contains("unknown field `sms`"));
    }

    #[test]
    fn a_variable_is_not_believed_inside_claude_code() {
        let text = "alert = { webhook = { url_env = 'PATH' } }";
        let address = |inside| match &read(text, inside).channels[0].way {
            Way::Webhook(address) => address.clone().unwrap_err(),
            other => panic!("{other:?}"),
        };
        assert_eq!(address(true), "the variable `PATH` is not read inside Claude Code");
        assert!(address(false).contains("begins with `https://`"));
    }
}
