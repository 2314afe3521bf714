//! Statements that are executed for each request of a transcript.
//!
//! Most of their parameters are what they were for the request before: SQLite keeps what is bound, and binding anew costs
//! more than to see that.

use std::fmt;

use rusqlite::CachedStatement;
use rusqlite::Connection;
use rusqlite::types::ToSqlOutput;
use rusqlite::types::Value;
use rusqlite::types::ValueRef;

use crate::ledger::LedgerError;

/// A statement with what is bound to its parameters.
pub(super) struct Repeated<'ledger> {
    statement: CachedStatement<'ledger>,
    bound: Vec<Option<Value>>,
}

impl fmt::Debug for Repeated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repeated").finish_non_exhaustive()
    }
}

impl<'ledger> Repeated<'ledger> {
    pub(super) fn prepare(connection: &'ledger Connection, sql: &str) -> Result<Self, LedgerError> {
        let statement = connection.prepare_cached(sql)?;
        let bound = vec![None; statement.parameter_count()];
        Ok(Self { statement, bound })
    }

    /// Executes the statement with one value for each parameter; returns how many rows it changed.
    pub(super) fn execute<'value>(
        &mut self,
        values: impl Iterator<Item = ValueRef<'value>>,
    ) -> Result<usize, LedgerError> {
        for ((n, bound), value) in (1_usize..).zip(&mut self.bound).zip(values) {
            if bound.as_ref().is_none_or(|bound| ValueRef::from(bound) != value) {
                self.statement.raw_bind_parameter(n, ToSqlOutput::Borrowed(value))?;
                *bound = Some(Value::try_from(value).map_err(rusqlite::Error::from)?);
            }
        }
        Ok(self.statement.raw_execute()?)
    }
}
