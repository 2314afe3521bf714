//! Locks and file replacement: the only room that may do either.
