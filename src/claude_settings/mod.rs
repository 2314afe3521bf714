//! Merges cmat's hooks into Claude Code's `settings.json` and takes them out again.
//!
//! The file is the user's: everything that is not a hook of cmat's keeps its bytes, a file that cannot be
//! understood is not touched, and what stood there before is kept beside it.

mod file;
mod hooks;
mod preferences;

pub use file::HookScripts;
pub use file::Plan;
pub use file::PythonHook;
pub use file::SettingsError;
pub use file::plan_install;
pub use file::plan_uninstall;
pub use file::read_hooks;
pub use hooks::Event;
pub use hooks::Hook;
pub use hooks::Installed;
pub use hooks::MergeError;
pub use hooks::Owner;
pub use hooks::RECORDING;
pub use hooks::snippet;
pub use preferences::Preferences;
