//! Decides which session owns a request and which task it belongs to.
