//! What a configuration file may say.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use crate::disk;
use crate::pricing::UnknownModel;

/// Largest configuration file that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The user's `config.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    #[serde(default)]
    unknown_model: UnknownModelSetting,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum UnknownModelSetting {
    #[default]
    Default,
    Unpriced,
}

impl ConfigFile {
    /// Reads the file; one that is not there says nothing.
    ///
    /// # Errors
    /// If it cannot be read or is not a configuration of cmat.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let mut text = String::new();
        match disk::open_regular(path) {
            Ok(file) => file.take(MAX_CONFIG_BYTES).read_to_string(&mut text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => Err(error),
        }
        .with_context(|| format!("cannot read `{}`", path.display()))?;
        toml::from_str(&text).with_context(|| format!("`{}` is not a configuration of cmat", path.display()))
    }

    /// Returns what happens with models that no price row is for.
    pub(super) fn unknown_model(&self) -> UnknownModel {
        match self.unknown_model {
            UnknownModelSetting::Default => UnknownModel::Default,
            UnknownModelSetting::Unpriced => UnknownModel::Unpriced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_configuration_that_it_does_not_understand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        assert!(ConfigFile::read(&path).is_ok());
        disk::replace::write(&path, b"unknown_model = \"guess\"", disk::replace::Access::Private).unwrap();
        let error = format!("{:#}", ConfigFile::read(&path).unwrap_err());
        assert!(error.contains("is not a configuration of cmat"), "{error}");
        assert!(error.contains("unknown variant `guess`"), "{error}");
    }
}
