//! What configuration files may say, and which of them holds.

use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::bail;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;
use serde::de::IgnoredAny;

use crate::attribution::rules::Origin;
use crate::attribution::rules::Rules;
use crate::config::budgets::is_absent;
use crate::disk;
use crate::pricing::UnknownModel;
use crate::report::Billing;

/// Largest configuration file that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// What a file of the project may set. Whoever clones a repository runs what stands there, so nothing is in this
/// list that names a place, a program or an address, or that a price or a budget depends on.
/// Its budgets speak of what is spent in the project and are added to the others, so they can only be stricter.
const HARMLESS: &[&str] = &["timezone", "week_start", "billing", "attribution", "budget", "hook"];

/// A configuration file, or what several come to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    unknown_model: Option<UnknownModelSetting>,
    #[serde(default, deserialize_with = "zone")]
    timezone: Option<TimeZone>,
    week_start: Option<WeekStart>,
    billing: Option<BillingSetting>,
    #[serde(default)]
    attribution: Attribution,
    /// These are for [`crate::config::budgets`], which bears what it cannot understand.
    #[serde(rename = "budget")]
    _budget: Option<IgnoredAny>,
    #[serde(rename = "hook")]
    _hook: Option<IgnoredAny>,
    /// This is for [`crate::config::alerts`].
    #[serde(rename = "alert")]
    _alert: Option<IgnoredAny>,
    #[serde(rename = "trust")]
    _trust: Option<IgnoredAny>,
}

/// How requests are attributed where nobody said it of them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attribution {
    order: Option<Vec<OriginSetting>>,
    ticket: Option<String>,
    enhancement_from_branch: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OriginSetting {
    Env,
    TaskFile,
    Branch,
    Project,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnknownModelSetting {
    Default,
    Unpriced,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WeekStart {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum BillingSetting {
    Api,
    Subscription,
}

/// Who wrote a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    User,
    /// Whoever wrote the repository.
    Project,
}

impl ConfigFile {
    /// Returns what holds: each key as the first file that sets it says, the project's `.claude/cmat.local.toml`,
    /// then its `.claude/cmat.toml`, then the user's `config.toml`.
    ///
    /// A file that cannot be read, is not a configuration of cmat, or is of the project and sets what it may not, says
    /// nothing; why is returned beside.
    pub(super) fn in_force(worktree: &Path, user_dir: &Path) -> (Self, Vec<anyhow::Error>) {
        let files: [(PathBuf, Writer); 3] = [
            (worktree.join(".claude/cmat.local.toml"), Writer::Project),
            (worktree.join(".claude/cmat.toml"), Writer::Project),
            (user_dir.join("config.toml"), Writer::User),
        ];
        let mut faults = Vec::new();
        let file = files.iter().fold(Self::default(), |stronger, (path, writer)| {
            stronger.over(Self::read(path, *writer).unwrap_or_else(|fault| {
                faults.push(fault);
                Self::default()
            }))
        });
        (file, faults)
    }

    /// Returns what both say; this file goes before the other.
    fn over(self, other: Self) -> Self {
        Self {
            unknown_model: self.unknown_model.or(other.unknown_model),
            timezone: self.timezone.or(other.timezone),
            week_start: self.week_start.or(other.week_start),
            billing: self.billing.or(other.billing),
            attribution: Attribution {
                order: self.attribution.order.or(other.attribution.order),
                ticket: self.attribution.ticket.or(other.attribution.ticket),
                enhancement_from_branch: self
                    .attribution
                    .enhancement_from_branch
                    .or(other.attribution.enhancement_from_branch),
            },
            ..Self::default()
        }
    }

    /// Reads the file; one that is not there says nothing.
    fn read(path: &Path, writer: Writer) -> anyhow::Result<Self> {
        let mut text = String::new();
        match disk::open_regular(path) {
            Ok(file) => file.take(MAX_CONFIG_BYTES).read_to_string(&mut text),
            Err(error) if is_absent(&error) => return Ok(Self::default()),
            Err(error) => Err(error),
        }
        .with_context(|| format!("cannot read `{}`", path.display()))?;
        let not_ours = || format!("`{}` is not a configuration of cmat", path.display());
        let file: Self = toml::from_str(&text).with_context(not_ours)?;
        file.rules().with_context(not_ours)?;
        if writer == Writer::Project {
            let keys: toml::Table = toml::from_str(&text).with_context(not_ours)?;
            if let Some(key) = keys.keys().find(|key| !HARMLESS.contains(&key.as_str())) {
                bail!(
                    "`{}` sets `{key}`, which a file of the project may not: put it into your own config.toml",
                    path.display()
                );
            }
        }
        Ok(file)
    }

    /// Returns how requests are attributed where nobody said it of them.
    ///
    /// # Errors
    /// If a pattern is none.
    pub(super) fn rules(&self) -> anyhow::Result<Rules> {
        let Attribution { order, ticket, enhancement_from_branch } = &self.attribution;
        let mut rules = Rules::default()
            .with_patterns(ticket.as_deref(), enhancement_from_branch.as_deref())
            .context("`attribution` in a configuration file")?;
        if let Some(order) = order {
            let origin = |setting: &OriginSetting| match setting {
                OriginSetting::Env => Origin::Environment,
                OriginSetting::TaskFile => Origin::TaskFile,
                OriginSetting::Branch => Origin::Branch,
                OriginSetting::Project => Origin::Project,
            };
            rules.order = order.iter().map(origin).collect();
        }
        Ok(rules)
    }

    /// Returns what happens with models that no price row is for.
    pub(super) fn unknown_model(&self) -> UnknownModel {
        match self.unknown_model {
            None | Some(UnknownModelSetting::Default) => UnknownModel::Default,
            Some(UnknownModelSetting::Unpriced) => UnknownModel::Unpriced,
        }
    }

    /// Returns the zone whose days are meant.
    pub(super) fn zone(&self) -> Option<TimeZone> {
        self.timezone.clone()
    }

    /// Returns the first day of a week.
    pub(super) fn week_start(&self) -> Weekday {
        match self.week_start {
            None | Some(WeekStart::Monday) => Weekday::Monday,
            Some(WeekStart::Tuesday) => Weekday::Tuesday,
            Some(WeekStart::Wednesday) => Weekday::Wednesday,
            Some(WeekStart::Thursday) => Weekday::Thursday,
            Some(WeekStart::Friday) => Weekday::Friday,
            Some(WeekStart::Saturday) => Weekday::Saturday,
            Some(WeekStart::Sunday) => Weekday::Sunday,
        }
    }

    /// Returns what amounts are to the user.
    pub(super) fn billing(&self) -> Billing {
        match self.billing {
            None | Some(BillingSetting::Api) => Billing::Api,
            Some(BillingSetting::Subscription) => Billing::Subscription,
        }
    }
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TimeZone>, D::Error> {
    let name = String::deserialize(deserializer)?;
    super::time_zone(&name).map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what the three files come to, the strongest first.
    fn in_force(local: &str, committed: &str, user: &str) -> Result<ConfigFile, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".claude")).unwrap();
        let files =
            [(".claude/cmat.local.toml", local), (".claude/cmat.toml", committed), ("config.toml", user)];
        for (path, text) in files {
            let access = disk::replace::Access::Private;
            disk::replace::write(&folder.path().join(path), text.as_bytes(), access).unwrap();
        }
        match ConfigFile::in_force(folder.path(), folder.path()) {
            (file, faults) if faults.is_empty() => Ok(file),
            (_, faults) => Err(format!("{:#}", faults[0])),
        }
    }

    #[test]
    fn refuses_a_configuration_that_it_does_not_understand() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ConfigFile::in_force(folder.path(), folder.path()).1.is_empty());
        let error = in_force("", "", "unknown_model = \"guess\"").unwrap_err();
        assert!(error.contains("is not a configuration of cmat"), "{error}");
        assert!(error.contains("unknown variant `guess`"), "{error}");
        let error = in_force("", "", "timezone = \"Mars/Olympus\"").unwrap_err();
        assert!(error.contains("`Mars/Olympus` is no time zone"), "{error}");
    }

    #[test]
    fn the_nearest_file_that_sets_a_key_decides() {
        let file = in_force(
            "timezone = \"Europe/Berlin\"",
            "timezone = \"UTC\"\nweek_start = \"sunday\"",
            "week_start = \"saturday\"\nbilling = \"subscription\"",
        )
        .unwrap();
        assert_eq!(file.zone().unwrap().iana_name(), Some("Europe/Berlin"));
        assert_eq!(file.week_start(), Weekday::Sunday);
        assert_eq!(file.billing(), Billing::Subscription);
    }

    #[test]
    fn rules_of_attribution_are_read_and_bad_ones_are_told() {
        let file = in_force(
            "attribution = { order = [\"branch\", \"env\"] }",
            "attribution = { ticket = 'T\\d', order = [\"project\"] }",
            "attribution = { enhancement_from_branch = '' }",
        )
        .unwrap();
        let rules = file.rules().unwrap();
        assert_eq!(rules.order, [Origin::Branch, Origin::Environment]);
        assert_eq!(rules.names("feature/T1").ticket.as_deref(), Some("T1"));
        assert_eq!(rules.names("feature/T1").enhancement, None);
        let error = in_force("attribution = { ticket = '(' }", "", "").unwrap_err();
        assert!(error.contains("`(` is no pattern of a branch: regex parse error"), "{error}");
        let error = in_force("attribution = { order = [\"guess\"] }", "", "").unwrap_err();
        assert!(error.contains("unknown variant `guess`"), "{error}");
    }

    #[test]
    fn a_repository_sets_only_what_is_harmless() {
        let error = in_force("", "unknown_model = \"unpriced\"", "").unwrap_err();
        assert!(
            error.contains("cmat.toml` sets `unknown_model`, which a file of the project may not"),
            "{error}"
        );
    }
}
