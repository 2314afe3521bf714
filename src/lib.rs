//! cmat tells what each task and feature of Claude Code work cost, exact to the request.
//!
//! Data goes one way, and a room knows only the rooms before it:
//!
//! ```text
//! hook stdin ─▶ outbox ─▶ transcript ─▶ requests ─▶ attribution ─▶ pricing ─▶ ledger
//! ledger ─▶ summary ─▶ report ─▶ terminal     ledger ─▶ task queue (a copy, rebuilt from the ledger)
//! ```
//!
//! The modules stand in reading order: words, the pure core, the stores, the shell. `ARCHITECTURE.md` says
//! what each is for and what it never does.

pub mod printable;

pub mod id;

pub mod money;

pub mod usage;

pub mod client_count;

pub mod period;

pub mod json_edit;

pub mod hook_input;

pub mod transcript;

pub mod attribution;

pub mod pricing;

pub mod remainder;

pub mod import;

pub mod budget;

pub mod summary;

pub mod estimate;

pub mod cache_use;

pub mod anomaly;

pub mod advice;

pub mod query;

pub mod report;

pub mod export;

pub mod disk;

pub mod project;

pub mod task_file;

pub mod models_file;

pub mod ledger;

pub mod outbox;

pub mod task_queue;

pub mod booking;

pub mod claude_settings;

pub mod config;

pub mod guard;

pub mod alerts;

pub mod logging;

pub mod cli;

pub mod commands;
