//! What usage costs: a pure function of a request and a price table.
