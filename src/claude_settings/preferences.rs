//! What else in the settings bears on cmat: how long transcripts live, whether hooks run at all, and `env`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::claude_settings::file::SettingsError;
use crate::disk::change::read_text;

/// The keys of a settings file that bear on cmat, besides its hooks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preferences {
    /// `cleanupPeriodDays`: days after which Claude Code deletes transcripts; without it 30.
    pub cleanup_period_days: Option<u64>,
    /// `disableAllHooks`.
    pub disables_hooks: bool,
    /// `env`: what Claude Code sets for itself and its hooks.
    pub env: BTreeMap<String, String>,
}

impl Preferences {
    /// Reads a settings file; keys of another shape than Claude Code expects count as absent.
    ///
    /// # Errors
    /// If the file is there and cannot be read. A text that is not JSON is for [`crate::claude_settings::read_hooks`]
    /// to report; here it says nothing.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let failed = |source| SettingsError::Read { path: path.to_path_buf(), source };
        Ok(read_text(path).map_err(failed)?.map(|text| Self::parse(&text)).unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let settings: Value =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or(Value::Null);
        let env = settings.get("env").and_then(Value::as_object).into_iter().flatten();
        Self {
            cleanup_period_days: settings.get("cleanupPeriodDays").and_then(Value::as_u64),
            disables_hooks: settings.get("disableAllHooks").and_then(Value::as_bool).unwrap_or(false),
            env: env.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Preferences) {
        assert_eq!(Preferences::parse(text), expected, "{text}");
    }

    #[test]
    fn takes_what_has_the_expected_shape() {
        let text = "\u{feff}{\"cleanupPeriodDays\": 7, \"disableAllHooks\": true, \"env\": {\"A\": \"b\", \"C\": 1}}";
        let env = BTreeMap::from([("A".to_owned(), "b".to_owned())]);
        check(text, Preferences { cleanup_period_days: Some(7), disables_hooks: true, env });
        for text in ["", "{ // not JSON", "[]", r#"{"cleanupPeriodDays": "7", "env": []}"#] {
            check(text, Preferences::default());
        }
    }
}
