//! End-to-end tests: the built program, in a project of its own, and all that a person sees of it.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail has failed")]
#![expect(clippy::disallowed_methods, reason = "tests write the files that the program finds")]

#[expect(dead_code, reason = "the commands that use it come next")]
mod harness;

mod bindings;
mod demo;
mod documents;
mod init;
mod installed_files;
mod models;
