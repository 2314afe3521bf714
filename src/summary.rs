//! Totals of requests, folded by task, session and model.
