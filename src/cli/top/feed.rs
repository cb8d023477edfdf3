//! Asks the service again and again, and hears at once when the tree changes.
//!
//! **Owns** the connection to read by, and makes a new one when the service does not answer: what hangs half open would never
//! come back by itself. Whatever is to be done goes over a connection of its own, so that a service that is lost meanwhile does
//! not leave open whether it was told. **Fails** never: it says what is wrong and tries again.
//! **Limits**: one round of questions in `interval`; [`QUEUES_MAX`] queues; a page of dead letters and one of what is tried again.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tonic::Code;

use super::news::{News, Reading, Wish};
use super::state::{Act, Pane};
use crate::cli::connection::{Address, Connection};
use crate::cli::credentials::Credentials;
use crate::cli::failure::Failure;
use crate::cli::tls::TlsArgs;
use crate::proto::control::v1::{
    CancelWorkRequest, GetInfoRequest, GetTreeRequest, ListQueuesRequest, ListSchedulesRequest,
    ListWorkRequest, RetryWorkRequest, WatchTreeRequest, Work, WorkState,
};

/// More queues than anybody reads; the service gives them page by page.
pub const QUEUES_MAX: usize = 2_000;
/// Between two attempts to reach a service that does not answer, and to watch a tree again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How the service is reached.
#[derive(Clone, Copy)]
pub struct Way<'a> {
    pub address: &'a Address,
    pub tls: &'a TlsArgs,
    pub token_file: Option<&'a Path>,
    pub patience: Duration,
}

impl Way<'_> {
    /// A new connection, under the token that the file holds now.
    pub async fn open(&self) -> Result<Connection, Failure> {
        let credentials = Credentials::read(self.token_file)?;
        Connection::open(self.address, self.tls, credentials, self.patience).await
    }
}

/// What each pane asks, in the order in which it is asked.
pub const QUESTIONS: [Pane; 4] = [Pane::Tree, Pane::Queues, Pane::Timetable, Pane::Failing];

/// Asks what a pane shows. The tree comes with the breakers and with how the service stands.
pub async fn ask(pane: Pane, connection: &Connection) -> Result<Vec<Reading>, Failure> {
    match pane {
        Pane::Tree | Pane::Breakers => tree(connection).await,
        Pane::Queues => queues(connection).await,
        Pane::Timetable => {
            let request = ListSchedulesRequest { next_max: 0 };
            let answer = connection.call(connection.control().list_schedules(request)).await?;
            Ok(vec![Reading::Timetable(answer.schedules)])
        }
        Pane::Failing => failing(connection).await,
    }
}

async fn tree(connection: &Connection) -> Result<Vec<Reading>, Failure> {
    let info = connection.call(connection.control().get_info(GetInfoRequest {})).await?;
    let answer = connection.call(connection.control().get_tree(GetTreeRequest {})).await?;
    let root = answer.root.ok_or_else(Failure::empty_answer)?;
    Ok(vec![Reading::House(info), Reading::Tree(Box::new(root)), Reading::Breakers(answer.open_breakers)])
}

async fn queues(connection: &Connection) -> Result<Vec<Reading>, Failure> {
    let (mut queues, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListQueuesRequest { page_size: 0, page_token };
        let answer = connection.call(connection.control().list_queues(request)).await?;
        // A service that gives tokens and no rows would be asked for ever.
        let is_last = answer.queues.is_empty() || answer.next_page_token.is_empty();
        queues.extend(answer.queues);
        if is_last || queues.len() >= QUEUES_MAX {
            return Ok(vec![Reading::Queues { queues, has_more: !is_last, at: Instant::now() }]);
        }
        page_token = answer.next_page_token;
    }
}

async fn failing(connection: &Connection) -> Result<Vec<Reading>, Failure> {
    let (mut work, dead_has_more) = work_in(WorkState::Discarded, connection).await?;
    let (tried_again, others_have_more) = work_in(WorkState::Retryable, connection).await?;
    work.extend(tried_again);
    Ok(vec![Reading::Failing { work, has_more: dead_has_more || others_have_more }])
}

async fn work_in(state: WorkState, connection: &Connection) -> Result<(Vec<Work>, bool), Failure> {
    let request = ListWorkRequest { states: vec![state.into()], ..ListWorkRequest::default() };
    let answer = connection.call(connection.control().list_work(request)).await?;
    Ok((answer.work, !answer.next_page_token.is_empty()))
}

/// Tells what there is to see, until nobody listens any more.
pub async fn follow(way: Way<'_>, every: Duration, news: &Sender<News>) {
    loop {
        let lost = match way.open().await {
            Err(failure) => failure,
            Ok(connection) => tokio::select! {
                lost = rounds(&connection, every, news) => match lost {
                    Some(lost) => lost,
                    None => return,
                },
                () = watch(&connection, news) => return,
            },
        };
        // One line is there for it; what somebody may do about it stands in those behind.
        let why = lost.to_string().lines().next().unwrap_or_default().to_owned();
        if news.send(News::Lost { why, at: Utc::now() }).await.is_err() {
            return;
        }
        sleep(AGAIN_AFTER).await;
    }
}

/// Round after round, until the service does not answer; nothing once nobody listens.
async fn rounds(connection: &Connection, every: Duration, news: &Sender<News>) -> Option<Failure> {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for pane in QUESTIONS {
            let heard = match ask(pane, connection).await {
                Ok(readings) => readings.into_iter().map(News::Read).collect(),
                // The tree is asked of the process alone, so that a service which is late even with this is not there.
                Err(failure) if is_lost(&failure) && (pane == Pane::Tree || !is_late(&failure)) => {
                    return Some(failure);
                }
                Err(failure) => vec![News::Refused(pane, failure.to_string())],
            };
            for one in heard {
                news.send(one).await.ok()?;
            }
        }
    }
}

/// What the service says itself, it says with a reason; this was said by nobody.
fn is_lost(failure: &Failure) -> bool {
    !matches!(failure, Failure::Told(report) if report.reason.is_some())
}

fn is_late(failure: &Failure) -> bool {
    matches!(failure, Failure::Told(report) if report.code == Code::DeadlineExceeded)
}

/// Tells each picture of the tree as it comes. Without the stream it is as old as the interval, so that whatever ends it is not
/// told: the rounds say what is wrong. Ends once nobody listens.
async fn watch(connection: &Connection, news: &Sender<News>) {
    loop {
        if let Ok(mut stream) = connection.call(connection.control().watch_tree(WatchTreeRequest {})).await {
            while let Ok(Some(answer)) = stream.message().await {
                if let Some(root) = answer.root
                    && news.send(News::Read(Reading::Tree(Box::new(root)))).await.is_err()
                {
                    return;
                }
            }
        }
        sleep(AGAIN_AFTER).await;
    }
}

/// Does what is wished for, one after the other, and tells what came of it.
pub async fn steer(way: Way<'_>, wishes: &mut Receiver<Wish>, news: &Sender<News>) {
    while let Some(wish) = wishes.recv().await {
        let said = match done(way, &wish).await {
            Ok(()) => format!("{} of {}: done", wish.act.word(), wish.work_id),
            Err(failure) => format!("{} of {}: {failure}", wish.act.word(), wish.work_id),
        };
        if news.send(News::Steered(said)).await.is_err() {
            return;
        }
    }
}

async fn done(way: Way<'_>, wish: &Wish) -> Result<(), Failure> {
    let connection = way.open().await?;
    let Wish { act, work_id: id, reason } = wish.clone();
    let mut control = connection.control();
    match act {
        Act::Retry => connection.call(control.retry_work(RetryWorkRequest { id, reason })).await.map(drop),
        Act::Cancel => connection.call(control.cancel_work(CancelWorkRequest { id, reason })).await.map(drop),
    }
}
