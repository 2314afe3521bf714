//! Merges cmat's hooks into Claude Code's settings.json and takes them out again.
