//! Pools of connections that are left alone.
//!
//! By its own settings sqlx gives each pool a task that looks for connections which are idle or old. Up to 0.9.0 that task goes by a
//! count which another thread may just have taken below zero: it then goes round 2^64 times and never gives its thread back, so that a
//! runtime which is to end waits for ever (sqlx#3645; mended by sqlx#4289, in no release yet). Here no pool has that task.
//!
//! **Owns** nothing. **Fails** as the database does. **Limits**: a pool keeps what it has opened, at most its `max_connections`,
//! whether it is needed or not.

#![expect(clippy::disallowed_methods, reason = "the one place that opens pools")]

use futures_util::FutureExt as _;
use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, SqlxPostgresConnector};

/// Connects as [`Database::connect`] does.
///
/// # Errors
/// When the database is not there, does not let us in or is not known by its URL.
pub async fn connect(options: impl Into<ConnectOptions>) -> Result<DatabaseConnection, DbErr> {
    Database::connect(left_alone(options.into())).await
}

/// A pool of PostgreSQL's that connects when it is asked for a connection. None: these options are none of PostgreSQL's.
pub(super) fn connect_later(options: ConnectOptions) -> Option<DatabaseConnection> {
    let mut options = left_alone(options);
    options.connect_lazy(true);
    // There is nothing to wait for.
    SqlxPostgresConnector::connect(options).now_or_never()?.ok()
}

/// How a pool of one session with PostgreSQL is made where it is not sea-orm that makes it.
pub(super) fn one_session() -> PgPoolOptions {
    PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None)
}

/// These options, of a pool without that task.
fn left_alone(mut options: ConnectOptions) -> ConnectOptions {
    options.idle_timeout(None).max_lifetime(None);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_no_task_whatever_it_was_asked_for() {
        let mut asked = ConnectOptions::new("sqlite::memory:");
        asked.idle_timeout(std::time::Duration::from_secs(1)).max_lifetime(std::time::Duration::from_secs(1));
        let options = left_alone(asked);
        assert_eq!((options.get_idle_timeout(), options.get_max_lifetime()), (Some(None), Some(None)));
    }
}
