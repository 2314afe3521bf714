//! Faults of the hook, to a log in the data folder.
