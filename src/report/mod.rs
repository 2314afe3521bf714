//! Renders totals for people and for programs.
