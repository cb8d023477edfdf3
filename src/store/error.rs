//! Why a store call failed, cut by what the caller does next.
//!
//! **Owns** the one reading of database errors: what will pass by itself is *unavailable*, the rest is our bug.

use sea_orm::sqlx;
use sea_orm::{DbErr, RuntimeErr};

/// Why a store call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database is away, full, or too slow; nothing is known to be wrong with the request. Wait and try again.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// The commit was sent and its answer was lost: re-read before anything else.
    #[error("outcome of the commit unknown: {0}")]
    CommitUnknown(String),
    /// The store holds, or was asked for, what it never should; our bug.
    #[error("store broken: {0}")]
    Broken(String),
}

impl StoreError {
    /// Whether waiting may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::CommitUnknown(_))
    }

    /// What kind of error it is, in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::CommitUnknown(_) => "commit_unknown",
            Self::Broken(_) => "broken",
        }
    }

    /// The same trouble, met while a commit was under way.
    pub(super) fn at_commit(self) -> Self {
        match self {
            Self::Unavailable(reason) => Self::CommitUnknown(reason),
            other => other,
        }
    }

    /// A row that cannot be read as what it should be.
    pub(super) fn unreadable(what: &str, why: impl std::fmt::Display) -> Self {
        Self::Broken(format!("unreadable {what}: {why}"))
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        let transient = match &error {
            DbErr::Conn(RuntimeErr::SqlxError(inner)) => !is_no_database(inner),
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
            DbErr::Exec(RuntimeErr::SqlxError(inner)) | DbErr::Query(RuntimeErr::SqlxError(inner)) => {
                passes_by_itself(inner)
            }
            _ => false,
        };
        if transient { Self::Unavailable(error.to_string()) } else { Self::Broken(error.to_string()) }
    }
}

/// Whether there is a file, and it is no SQLite database or a broken one: nobody mends that by waiting.
fn is_no_database(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|database| database.code());
    code.is_some_and(|code| {
        code.len() < 5 && code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 11 | 26))
    })
}

fn passes_by_itself(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| code_passes_by_itself(&code)),
        _ => false,
    }
}

/// PostgreSQL: connection trouble (08), resources (53), operator's intervention (57), serialization and deadlock (40),
/// read-only after a failover (25006), a session ended for standing still (25P03), lock not available (55P03). SQLite: busy, locked, read-only, I/O, full, cannot open.
fn code_passes_by_itself(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class))
            || ["25006", "25P03", "55P03"].contains(&code);
    }
    // SQLite's extended codes keep the primary one in their low byte.
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart() {
        for passing in ["08006", "57P01", "53100", "40P01", "25006", "25P03", "5", "13", "2570", "10"] {
            assert!(code_passes_by_itself(passing), "{passing}");
        }
        for ours in ["23505", "42601", "19", "2067", "1"] {
            assert!(!code_passes_by_itself(ours), "{ours}");
        }
    }
}
