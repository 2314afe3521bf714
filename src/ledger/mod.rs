//! The ledger: facts about requests, and what is derived from them, in SQLite.
