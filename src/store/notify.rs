//! Word from process to process through the database: `NOTIFY` and `LISTEN` on one channel.
//!
//! What is said is a hint and may be lost; nothing here takes part in a transaction of anybody. A word carries who said
//! it, so that a process can leave out its own, and one name.
//!
//! **Owns** the channel, and for each ear a connection of its own beside the pool. **Fails** as unavailable: whoever
//! listens looks at everything and listens anew. **Limits**: PostgreSQL only; a word has at most 8,000 bytes, so a name
//! that is too long is said as the empty one, which means everything.

use std::str::FromStr as _;

use sea_orm::Value;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgListener};
use uuid::Uuid;

use super::pool;
use super::rows::Rows;
use super::transaction::all;
use super::{Store, StoreError};

const CHANNEL: &str = "bursar_work";
/// Leaves room for the speaker's id.
const NAME_BYTES_MAX: usize = 7_900;

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Who said it.
    pub from: Uuid,
    pub name: String,
}

/// Hears what is said from its making on.
pub struct Ear {
    listener: PgListener,
}

impl Store {
    /// Says these names to every process that listens, in one statement.
    pub async fn say(&self, from: Uuid, names: &[String]) -> Result<(), StoreError> {
        let brief = |name: &String| if name.len() > NAME_BYTES_MAX { String::new() } else { name.clone() };
        let statement = self.statement_over(
            Rows::new().text("name", names.iter().map(brief)),
            vec![Value::from(CHANNEL), Value::from(from.to_string())],
            " select pg_notify($1::text, $2::text || ' ' || r.name) from r",
        );
        self.within(async { all(&self.inner.writer, statement).await }).await?;
        Ok(())
    }

    /// Begins to listen, on a connection of its own.
    ///
    /// # Errors
    /// Unavailable as long as the database is, or where it is none to listen to.
    pub async fn listen(&self) -> Result<Ear, StoreError> {
        let Some(options) = &self.inner.listening else {
            return Err(StoreError::Unavailable("this database tells nothing".to_owned()));
        };
        let connecting = async {
            let one = pool::one_session().acquire_timeout(self.inner.timeout);
            let pool = one.connect_with(options.clone()).await?;
            let mut listener = PgListener::connect_with(&pool).await?;
            // A lost connection is to be told of at once, and a new one made when the caller wants it.
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok(Ear { listener })
        };
        match tokio::time::timeout(self.inner.timeout, connecting).await {
            Ok(heard) => heard.map_err(unavailable),
            Err(_) => Err(StoreError::Unavailable(format!("no answer within {:?}", self.inner.timeout))),
        }
    }
}

impl Ear {
    /// The next word. A word in a form that this release does not know is passed over.
    ///
    /// # Errors
    /// When the connection is lost; then this ear hears no more.
    pub async fn hear(&mut self) -> Result<Word, StoreError> {
        loop {
            let Some(notification) = self.listener.try_recv().await.map_err(unavailable)? else {
                return Err(StoreError::Unavailable("the listening connection is lost".to_owned()));
            };
            if let Some(word) = read(notification.payload()) {
                return Ok(word);
            }
        }
    }
}

/// How an ear connects to the database of this URL: as the pool does, under a name that tells it apart.
pub(super) fn listening_options(
    url: &str,
    session: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(unavailable)?;
    Ok(options.application_name("bursar listening").options(session))
}

fn read(payload: &str) -> Option<Word> {
    let (from, name) = payload.split_once(' ')?;
    Some(Word { from: from.parse().ok()?, name: name.to_owned() })
}

/// Whatever goes wrong on a line that carries hints only, is waited out.
fn unavailable(error: sea_orm::sqlx::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_back_and_a_strange_one_is_passed_over() {
        let from = Uuid::now_v7();
        for name in ["", "delivery/sqs/a queue"] {
            assert_eq!(read(&format!("{from} {name}")), Some(Word { from, name: name.to_owned() }));
        }
        assert_eq!(read("hello world"), None);
        assert_eq!(read(""), None);
    }
}
