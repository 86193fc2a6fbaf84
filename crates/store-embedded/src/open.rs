//! Opening the file: its lock, its settings, its schema.

use std::cmp::Ordering;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

/// The steps from an empty file to the present schema, in order. A step that was released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001-tables.sql"),
    include_str!("../migrations/0002-spent.sql"),
    include_str!("../migrations/0003-dpop.sql"),
    include_str!("../migrations/0004-records.sql"),
    include_str!("../migrations/0005-pace.sql"),
];

/// How long to wait for another program (a backup, say) that has the file locked for a moment.
const BUSY: Duration = Duration::from_secs(5);

/// Why a file cannot be used as a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be made or read.
    #[error("cannot open the store {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A process that still runs has it.
    #[error(
        "the store {} is in use by another process; one process owns the file (for replicas set store.kind = \"dynamodb\")",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this program made it.
    #[error(
        "the store {} was made by a newer version (schema {found}, this version knows {known})",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema that this version knows.
        known: u32,
    },
    /// An earlier version of this program owns it at the moment.
    #[error("the store {} is used by an older version of this program; use that version's commands", path.display())]
    Older {
        /// The file.
        path: PathBuf,
    },
    /// It is on a file system that lacks what the write-ahead log needs, such as a network share.
    #[error("the store {} is on a file system without shared memory; keep it on a local disk", path.display())]
    NoWriteAheadLog {
        /// The file.
        path: PathBuf,
    },
    /// It is no database, or a broken one.
    #[error("cannot use {} as a store: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

/// An open file.
pub(crate) struct Opened {
    pub(crate) writer: Connection,
    pub(crate) reader: Connection,
    /// Locked as long as this is open; the system lets go of it however the process ends.
    pub(crate) lock: Option<File>,
}

/// The schema that this version needs.
pub(crate) fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// The schema that the file has.
pub(crate) fn schema(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", (), |row| row.get(0))
}

pub(crate) fn open(path: &Path) -> Result<Opened, OpenError> {
    let (path, lock) = own(path)?;
    let broken = |source| OpenError::Sqlite { path: path.clone(), source };
    let mut writer = Connection::open(&path).map_err(broken)?;
    writer.busy_timeout(BUSY).map_err(broken)?;
    let journal: String =
        writer.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0)).map_err(broken)?;
    if journal != "wal" {
        return Err(OpenError::NoWriteAheadLog { path });
    }
    // FULL: what was acknowledged survives a power cut. Deleted token sets are overwritten, sealed as they are.
    writer.execute_batch("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON").map_err(broken)?;
    let found = schema(&writer).map_err(broken)?;
    if found > newest() {
        return Err(OpenError::Newer { path, found, known: newest() });
    }
    migrate(&mut writer, found).map_err(broken)?;
    let reader = reader(&path).map_err(broken)?;
    Ok(Opened { writer, reader, lock: Some(lock) })
}

/// Opens a file that another process owns. What would change its schema is left to that process.
pub(crate) fn visit(path: &Path) -> Result<Opened, OpenError> {
    let broken = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let writer = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(broken)?;
    writer.busy_timeout(BUSY).map_err(broken)?;
    writer.execute_batch("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON").map_err(broken)?;
    let found = schema(&writer).map_err(broken)?;
    match found.cmp(&newest()) {
        Ordering::Less => return Err(OpenError::Older { path: path.to_owned() }),
        Ordering::Greater => {
            return Err(OpenError::Newer { path: path.to_owned(), found, known: newest() });
        }
        Ordering::Equal => {}
    }
    let reader = reader(path).map_err(broken)?;
    Ok(Opened { writer, reader, lock: None })
}

fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let reader = Connection::open(path)?;
    reader.busy_timeout(BUSY)?;
    reader.execute_batch("PRAGMA query_only = ON")?;
    Ok(reader)
}

/// Makes the file if there is none and locks `<file>.lock`. SQLite's own locks would let two owners in, and locking
/// the database itself would shut out whoever makes a backup.
fn own(path: &Path) -> Result<(PathBuf, File), OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    create(path).map_err(failed)?;
    // The same file under two names has one lock.
    let path = fs::canonicalize(path).map_err(failed)?;
    let mut lock_path = path.clone().into_os_string();
    lock_path.push(".lock");
    let lock = create(Path::new(&lock_path)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok((path, lock)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Opens a file and makes it if need be, for its owner only: its logs inherit the mode.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Applies each step after `from` together with its number: a crash leaves a step done or not begun.
fn migrate(connection: &mut Connection, from: u32) -> rusqlite::Result<()> {
    for (number, step) in (1_u32..).zip(MIGRATIONS).skip_while(|(number, _)| *number <= from) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
        tracing::info!(number, "the store was migrated");
    }
    Ok(())
}
