//! Statements that are executed for each request of a transcript.
//!
//! Most of their parameters are what they were for the request before: SQLite keeps what is bound, and binding anew costs
//! more than to see that.

use std::fmt;

use rusqlite::CachedStatement;
use rusqlite::Connection;
use rusqlite::types::ToSqlOutput;
use rusqlite::types::ValueRef;

use crate::ledger::LedgerError;

/// A statement with what is bound to its parameters.
pub(super) struct Repeated<'ledger> {
    statement: CachedStatement<'ledger>,
    bound: Vec<Bound>,
}

/// What is bound to a parameter.
#[derive(Clone)]
enum Bound {
    /// Nothing yet, or a kind of value that is bound each time.
    Unknown,
    Null,
    Integer(i64),
    Text(Vec<u8>),
}

impl Bound {
    fn is(&self, value: ValueRef<'_>) -> bool {
        match (self, value) {
            (Self::Null, ValueRef::Null) => true,
            (Self::Integer(bound), ValueRef::Integer(value)) => *bound == value,
            (Self::Text(bound), ValueRef::Text(value)) => bound == value,
            _ => false,
        }
    }

    fn set(&mut self, value: ValueRef<'_>) {
        match (&mut *self, value) {
            (Self::Text(bound), ValueRef::Text(value)) => {
                bound.clear();
                bound.extend_from_slice(value);
            }
            (_, ValueRef::Null) => *self = Self::Null,
            (_, ValueRef::Integer(value)) => *self = Self::Integer(value),
            (_, ValueRef::Text(value)) => *self = Self::Text(value.to_owned()),
            (_, ValueRef::Real(_) | ValueRef::Blob(_)) => *self = Self::Unknown,
        }
    }
}

impl fmt::Debug for Repeated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repeated").finish_non_exhaustive()
    }
}

impl<'ledger> Repeated<'ledger> {
    pub(super) fn prepare(connection: &'ledger Connection, sql: &str) -> Result<Self, LedgerError> {
        let statement = connection.prepare_cached(sql)?;
        let bound = vec![Bound::Unknown; statement.parameter_count()];
        Ok(Self { statement, bound })
    }

    /// Executes the statement with one value for each parameter; returns how many rows it changed.
    pub(super) fn execute<'value>(
        &mut self,
        values: impl Iterator<Item = ValueRef<'value>>,
    ) -> Result<usize, LedgerError> {
        for ((n, bound), value) in (1_usize..).zip(&mut self.bound).zip(values) {
            if !bound.is(value) {
                self.statement.raw_bind_parameter(n, ToSqlOutput::Borrowed(value))?;
                bound.set(value);
            }
        }
        Ok(self.statement.raw_execute()?)
    }
}
