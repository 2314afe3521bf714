//! End-to-end tests: the built program, in a project of its own, and all that a person sees of it.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail has failed")]
#![expect(clippy::disallowed_methods, reason = "tests write the files that the program finds")]

mod harness;

mod advice;
mod alerts;
mod anomalies;
mod attribution;
mod bad_models;
mod bad_queues;
mod bad_transcripts;
mod bindings;
mod budgets;
mod concurrency;
mod corrections;
mod costs;
mod demo;
mod doctor;
mod doctor_fix;
mod documents;
mod enforcement;
mod estimates;
mod explain;
mod exports;
mod extract;
mod foreign_text;
mod forms;
mod hook;
mod imports;
mod init;
mod init_writes;
mod installed_files;
mod ledger_file;
mod models;
mod not_itemised;
mod other_writers;
mod overrides;
mod overview;
mod recent;
mod reconcile;
mod report;
mod run;
mod schemas;
mod shell;
mod statusline;
mod tasks;
