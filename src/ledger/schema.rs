//! The ledger's format: one version number, an append-only list of migrations.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::TransactionBehavior;

use crate::ledger::LedgerError;

/// `application_id` of a cmat ledger: "cmat" in ASCII.
const APPLICATION_ID: i32 = 0x636d_6174;

/// Each entry brings the format from its index to the next version. Entries are never edited, only added.
const MIGRATIONS: &[&str] = &[include_str!("schema_1.sql")];

/// The format that this cmat writes.
pub(super) const FORMAT: u32 = 1;

/// Brings the ledger at `path` to [`FORMAT`], in one transaction.
///
/// # Errors
/// [`LedgerError::FormatTooNew`] for a file that a newer cmat wrote, [`LedgerError::NotALedger`] for another
/// program's database.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    if version(connection, path)? == FORMAT {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    // Read again: another process may have migrated while this one waited.
    let found = version(&transaction, path)?;
    for (to, migration) in (1_u32..).zip(MIGRATIONS).skip(found as usize) {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", to)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()?;
    Ok(())
}

fn version(connection: &Connection, path: &Path) -> Result<u32, LedgerError> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let foreign_tables = || -> rusqlite::Result<bool> {
        connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
    };
    if application != APPLICATION_ID && (application != 0 || found != 0 || foreign_tables()?) {
        return Err(LedgerError::NotALedger { path: path.to_owned() });
    }
    if found > FORMAT {
        return Err(LedgerError::FormatTooNew { path: path.to_owned(), found, supported: FORMAT });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrates_once_and_finds_nothing_to_do_then() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("l")).unwrap();
        assert_eq!(version(&connection, Path::new("l")).unwrap(), FORMAT);
        migrate(&mut connection, Path::new("l")).unwrap();
        assert_eq!(MIGRATIONS.len(), FORMAT as usize);
    }

    #[test]
    fn refuses_a_newer_ledger_and_another_programs_database() {
        let mut newer = Connection::open_in_memory().unwrap();
        migrate(&mut newer, Path::new("l")).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        assert_eq!(
            migrate(&mut newer, Path::new("l")).unwrap_err().to_string(),
            "ledger `l` has format 99, but this cmat writes up to 1: update cmat"
        );
        let mut other = Connection::open_in_memory().unwrap();
        other.execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert_eq!(
            migrate(&mut other, Path::new("l")).unwrap_err().to_string(),
            "`l` is a database of another program, not a ledger"
        );
    }
}
