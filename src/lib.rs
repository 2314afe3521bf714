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

pub mod id;
pub mod printable;

pub mod money;

pub mod usage;
