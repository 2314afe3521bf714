//! Reads Claude Code's transcripts: lines in, usage records and what was skipped out.
