//! Which budgets hold: those of the machine, of the user and of the project at hand, all of them at once.
//!
//! A file of the project may add budgets, for what is spent in it; it cannot take away another's, nor name a person
//! whom to trust. A file, or an entry of it, that cannot be understood does not make the others void: it is a fault.

use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use crate::budget::Budget;
use crate::budget::Origin;
use crate::budget::entry::Entry;
use crate::budget::entry::Place;
use crate::config::Config;
use crate::config::variable;
use crate::disk;
use crate::period::Calendar;

/// The machine's configuration, which its administrator keeps.
pub(super) const MANAGED: &str = "/etc/cmat/config.toml";

/// Largest configuration file that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// What happens when a budget cannot be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fail {
    /// The session goes on.
    #[default]
    Open,
    /// It is blocked.
    Closed,
}

/// The budgets that hold, and what holds for checking them.
#[derive(Debug, Clone, Default)]
pub struct Budgets {
    /// All of them, in the order of the files.
    pub all: Vec<Budget>,
    /// What happens when they cannot be checked: closed if any file says so, or if the user's or the machine's is there
    /// and cannot be opened, so that nobody knows what it says.
    pub fail: Fail,
    /// Projects whose prices the user believes.
    pub trusted: Vec<PathBuf>,
    /// What could not be understood, each with its file.
    pub faults: Vec<String>,
}

/// The parts of a configuration file that are about budgets.
#[derive(Debug, Default, Deserialize)]
struct Sections {
    #[serde(default)]
    budget: Vec<Spanned<Entry>>,
    #[serde(default)]
    hook: HookSection,
    #[serde(default)]
    trust: Vec<PathBuf>,
    timezone: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HookSection {
    #[serde(default)]
    fail: Fail,
}

impl Budgets {
    /// Reads the budgets that hold in the project at hand.
    pub fn read(config: &Config) -> Self {
        let mut budgets = Self::default();
        let mut managed = vec![PathBuf::from(MANAGED)];
        // One more can only make it stricter, so whoever sets the variable gains nothing.
        managed.extend(variable("CMAT_MANAGED_CONFIG").map(PathBuf::from));
        let project = &config.project;
        let mut files: Vec<_> = managed.into_iter().map(|path| (path, Origin::Managed)).collect();
        files.push((config.user_dir.join("config.toml"), Origin::User));
        files.extend(
            [".claude/cmat.toml", ".claude/cmat.local.toml"]
                .map(|name| (project.worktree.join(name), Origin::Project)),
        );
        for (path, origin) in files {
            budgets.add(&path, origin, config);
        }
        budgets
    }

    fn add(&mut self, path: &Path, origin: Origin, config: &Config) {
        let text = match read_text(path) {
            Ok(Some(text)) => text,
            Ok(None) => return,
            Err(error) => {
                // It may say so. What a repository has, or names by the variable, stops nothing.
                if origin == Origin::User || path == Path::new(MANAGED) {
                    self.fail = Fail::Closed;
                }
                return self.faults.push(format!("`{}` cannot be read: {error}", path.display()));
            }
        };
        let sections: Sections = match toml::from_str(&text) {
            Ok(sections) => sections,
            Err(error) => {
                if seems_closed(&text) {
                    self.fail = Fail::Closed;
                }
                let line = error.span().map_or(1, |span| line_at(&text, span.start));
                let reason = error.message();
                return self.faults.push(format!("`{}`, line {line}: {reason}", path.display()));
            }
        };
        let calendar = calendar(sections.timezone.as_deref(), origin);
        let place = Place { origin, project: Some(&config.project.root), calendar: &calendar };
        for entry in sections.budget {
            let line = line_at(&text, entry.span().start);
            match entry.into_inner().budget(&place) {
                Ok(budget) => self.all.push(budget),
                Err(error) => self.faults.push(format!("`{}`, line {line}: {error}", path.display())),
            }
        }
        if sections.hook.fail == Fail::Closed {
            self.fail = Fail::Closed;
        }
        if origin != Origin::Project {
            self.trusted.extend(sections.trust);
        }
    }
}

/// Returns whether a line of a file that is no TOML says `fail = "closed"`: a mistake elsewhere must not open it.
fn seems_closed(text: &str) -> bool {
    let says_so = |line: &str| {
        let code = line.split('#').next().unwrap_or_default();
        code.match_indices("fail").any(|(at, word)| {
            let Some(value) = code[at + word.len()..].trim_start().strip_prefix('=') else { return false };
            let value = value.trim_start();
            value.starts_with("\"closed\"") || value.starts_with("'closed'")
        })
    };
    text.lines().any(says_so)
}

/// Returns the days of budgets that name no zone: a project cannot move those of others, so theirs are the machine's
/// unless their own file names one.
fn calendar(named: Option<&str>, origin: Origin) -> Calendar {
    let named = named.filter(|_| origin != Origin::Project).and_then(|name| TimeZone::get(name).ok());
    Calendar { zone: named.unwrap_or_else(TimeZone::system), ..Calendar::default() }
}

pub(super) fn read_text(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    match disk::open_regular(path).and_then(|file| file.take(MAX_CONFIG_BYTES).read_to_string(&mut text)) {
        Ok(_) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether there is no such file, nor a folder that it could be in.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Span;
    use crate::disk::replace;
    use crate::disk::replace::Access;

    /// Returns what the user's file and the project's come to.
    fn read(user: &str, project: &str) -> Budgets {
        let folder = tempfile::tempdir().unwrap();
        let project_dir = folder.path().join("project");
        std::fs::create_dir_all(project_dir.join(".claude")).unwrap();
        let mut config = Config::without_file(Some(&project_dir)).unwrap();
        config.user_dir = folder.path().to_owned();
        for (path, text) in
            [(folder.path().join("config.toml"), user), (project_dir.join(".claude/cmat.toml"), project)]
        {
            replace::write(&path, text.as_bytes(), Access::Private).unwrap();
        }
        let mut budgets = Budgets::read(&config);
        for fault in &mut budgets.faults {
            *fault = fault.replace(folder.path().canonicalize().unwrap().to_str().unwrap(), "");
            *fault = fault.replace(folder.path().to_str().unwrap(), "");
        }
        budgets
    }

    #[test]
    fn all_files_count_and_none_takes_from_another() {
        let user = "trust = ['/home/ann/app']\nhook = { fail = 'closed' }\n\
                    budget = [{ scope = 'user', period = 'month', limit = '50.00', forecast = [100] }]";
        let project = "trust = ['/']\nhook = { fail = 'open' }\ntimezone = 'Asia/Tokyo'\n\
                       [[budget]]\nscope = 'user'\nperiod = 'day'\nlimit = '500'";
        let found = read(user, project);
        assert_eq!(found.faults, [""; 0]);
        assert_eq!(found.all.iter().map(Budget::id).collect::<Vec<_>>(), ["user/month", "user/day"]);
        assert!(found.all[0].within.is_none() && found.all[1].within.is_some());
        assert_eq!((found.all[1].origin, found.all[1].span), (Origin::Project, Span::Day));
        assert_eq!((found.fail, found.trusted), (Fail::Closed, vec![PathBuf::from("/home/ann/app")]));
    }

    #[test]
    fn what_cannot_be_understood_is_a_fault_and_the_rest_holds() {
        let found = read(
            "\n[[budget]]\nscope = 'user'\nperiod = 'day'\nlimit = '5,00'\n\n[[budget]]\nscope = 'user'\nperiod = 'day'\nlimit = '5'",
            "budget = [",
        );
        assert_eq!(found.all.len(), 1);
        assert_eq!(found.faults.len(), 2);
        assert!(
            found.faults[0].starts_with("`/config.toml`, line 2: `limit`: `5,00` has a comma"),
            "{found:?}"
        );
        assert!(found.faults[1].starts_with("`/project/.claude/cmat.toml`, line 1: "), "{found:?}");
    }

    #[test]
    fn a_file_that_is_broken_elsewhere_stays_closed() {
        for said in ["hook = { fail = \"closed\" }", "hook.fail='closed' # else", "[hook]\nfail  =  'closed'"]
        {
            let found = read(&format!("{said}\nbudget = ["), "");
            assert_eq!((found.fail, found.faults.len()), (Fail::Closed, 1), "{said}");
        }
        for said in ["# fail = 'closed'", "hook = { fail = 'open' }", "fail = 'closes'"] {
            assert_eq!(read(&format!("{said}\nbudget = ["), "").fail, Fail::Open, "{said}");
        }
    }
}
