//! The arguments; the doc comments are the help text.
