//! The ledger's format: one version number, an append-only list of migrations.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::TransactionBehavior;

use crate::ledger::LedgerError;

/// `application_id` of a cmat ledger: "cmat" in ASCII.
const APPLICATION_ID: i32 = 0x636d_6174;

/// Each entry brings the format from its index to the next version. Entries are never edited, only added.
const MIGRATIONS: &[&str] = &[include_str!("schema_1.sql")];

/// Brings the ledger at `path` to the format that this cmat writes, in one transaction.
///
/// # Errors
/// [`LedgerError::FormatTooNew`] for a file that a newer cmat wrote, [`LedgerError::NotALedger`] for another
/// program's database. The file stays as it was then.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    bring_to(connection, path, MIGRATIONS)
}

fn bring_to(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), LedgerError> {
    if known_version(connection, path, migrations)? == migrations.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    // Read again: another process may have migrated while this one waited.
    let found = known_version(&transaction, path, migrations)?;
    for (to, migration) in (1_u32..).zip(migrations).skip(found) {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", to)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()?;
    Ok(())
}

/// Returns the format of a ledger that this cmat can read; 0 for an empty file.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<usize, LedgerError> {
    known_version(connection, path, MIGRATIONS)
}

/// Returns what differs in a ledger of the newest format from one that is made now: a version of cmat that was never
/// released may have made it otherwise.
pub(super) fn faults(connection: &Connection) -> Result<Vec<String>, LedgerError> {
    let mut made_now = Connection::open_in_memory()?;
    migrate(&mut made_now, Path::new(":memory:"))?;
    let (found, expected) = (definitions(connection)?, definitions(&made_now)?);
    let names: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let differs = names.into_iter().filter(|name| found.get(*name) != expected.get(*name));
    Ok(differs.map(|name| format!("`{name}` is not as this cmat makes it")).collect())
}

/// Returns how each table, index, view and trigger is defined, by name.
fn definitions(connection: &Connection) -> Result<BTreeMap<String, String>, LedgerError> {
    let definitions = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(definitions)
}

/// Returns the format that this cmat writes.
pub(super) fn newest() -> usize {
    MIGRATIONS.len()
}

fn known_version(connection: &Connection, path: &Path, migrations: &[&str]) -> Result<usize, LedgerError> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let foreign_tables = || -> rusqlite::Result<bool> {
        connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
    };
    if application != APPLICATION_ID && (application != 0 || found != 0 || foreign_tables()?) {
        return Err(LedgerError::NotALedger { path: path.to_owned() });
    }
    if found as usize > migrations.len() {
        return Err(LedgerError::FormatTooNew { path: path.to_owned(), found, supported: migrations.len() });
    }
    Ok(found as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second format that may come.
    const LATER: &[&str] = &[MIGRATIONS[0], "ALTER TABLE session ADD COLUMN title TEXT"];

    fn is_known(connection: &Connection, query: &str) -> bool {
        connection.prepare(query).is_ok()
    }

    #[test]
    fn migrates_once_and_finds_nothing_to_do_then() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("l")).unwrap();
        assert_eq!(version(&connection, Path::new("l")).unwrap(), MIGRATIONS.len());
        migrate(&mut connection, Path::new("l")).unwrap();
    }

    #[test]
    fn a_newer_cmat_keeps_what_an_older_one_recorded_and_the_older_one_then_refuses() {
        let path = Path::new("l");
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, path).unwrap();
        connection.execute("INSERT INTO session (name) VALUES ('s-1')", []).unwrap();
        bring_to(&mut connection, path, LATER).unwrap();
        let name: String = connection
            .query_row("SELECT name FROM session WHERE title IS NULL", [], |row| row.get(0))
            .unwrap();
        assert_eq!(name, "s-1");
        let expected = "ledger `l` has format 2, but this cmat writes up to 1: update cmat";
        assert_eq!(migrate(&mut connection, path).unwrap_err().to_string(), expected);
        assert!(is_known(&connection, "SELECT title FROM session"), "the older one changed something");
        bring_to(&mut connection, path, LATER).unwrap();
    }

    #[test]
    fn tells_what_an_unfinished_version_made_otherwise() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("l")).unwrap();
        assert_eq!(faults(&connection).unwrap(), [""; 0]);
        connection
            .execute_batch("ALTER TABLE session ADD COLUMN title TEXT; DROP INDEX request_by_time")
            .unwrap();
        let expected =
            ["`request_by_time` is not as this cmat makes it", "`session` is not as this cmat makes it"];
        assert_eq!(faults(&connection).unwrap(), expected);
    }

    #[test]
    fn a_migration_that_fails_leaves_the_older_format() {
        let path = Path::new("l");
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, path).unwrap();
        let broken = &[MIGRATIONS[0], "CREATE TABLE new (x); INSERT INTO nowhere VALUES (1)"];
        assert!(bring_to(&mut connection, path, broken).is_err());
        assert_eq!(version(&connection, path).unwrap(), 1);
        assert!(!is_known(&connection, "SELECT x FROM new"));
    }

    #[test]
    fn several_at_once_migrate_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let open = || {
            let connection = Connection::open(&path).unwrap();
            connection.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
            connection
        };
        migrate(&mut open(), &path).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| bring_to(&mut open(), &path, LATER).unwrap());
            }
        });
        assert!(is_known(&open(), "SELECT title FROM session"));
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
