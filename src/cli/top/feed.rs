//! Asks the service again and again, and hears at once when the tree changes.
//!
//! **Owns** the connection to read by, and makes a new one when the service does not answer: what hangs half open would never
//! come back by itself. Whatever is to be done goes over a connection of its own, so that a service that is lost meanwhile does
//! not leave open whether it was told. **Fails** never: it says what is wrong and tries again. Where the token holds no more, it
//! reads the file anew, and tries seldom: wrong tokens count for the address, and could shut out others who ask from there.
//! **Limits**: one round of questions in `interval`, and one about the row that is read; [`QUEUES_MAX`] queues; one page each of dead letters, of what is tried again, of
//! boletos and of transfers.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tonic::Code;

use super::news::{News, Reading, Wanted, Wish};
use super::state::{Act, Pane};
use crate::cli::connection::{Address, Connection};
use crate::cli::credentials::Credentials;
use crate::cli::failure::Failure;
use crate::cli::tls::TlsArgs;
use crate::proto::boleto::v1::{GetBoletoHistoryRequest, GetBoletoRequest, ListBoletosRequest};
use crate::proto::control::v1::{
    CancelWorkRequest, GetInfoRequest, GetTreeRequest, ListQueuesRequest, ListSchedulesRequest,
    ListWorkRequest, RetryWorkRequest, WatchTreeRequest, Work, WorkState,
};
use crate::proto::transfer::v1::{GetTransferRequest, ListTransferChangesRequest, ListTransfersRequest};

/// More queues than anybody reads; the service gives them page by page.
pub const QUEUES_MAX: usize = 2_000;
/// Between two attempts to reach a service that does not answer, and to watch a tree again whose stream has ended.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Between two attempts with a token that is refused, and to watch a tree that is not shown. Six in a minute are a tenth of what the
/// service bears of one address by default.
const REFUSED_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// How the service is reached.
#[derive(Clone, Copy)]
pub struct Way<'a> {
    pub address: &'a Address,
    pub tls: &'a TlsArgs,
    pub token_file: Option<&'a Path>,
    pub patience: Duration,
}

impl Way<'_> {
    /// A new connection, under the token that the file holds now; persons are masked.
    pub async fn open(&self) -> Result<Connection, Failure> {
        let credentials = Credentials::read(self.token_file)?.masked();
        Connection::open(self.address, self.tls, credentials, self.patience).await
    }

    /// The same, once the service has answered there. What a token may not see, its pane says.
    ///
    /// # Errors
    /// Nobody answers there, or knows the token.
    pub async fn greet(&self) -> Result<Connection, Failure> {
        let connection = self.open().await?;
        match connection.call(connection.control().get_info(GetInfoRequest {})).await {
            Err(failure) if code(&failure) != Some(Code::PermissionDenied) => Err(failure),
            _ => Ok(connection),
        }
    }
}

/// What each pane asks, in the order in which it is asked.
pub const QUESTIONS: [Pane; 6] =
    [Pane::Tree, Pane::Queues, Pane::Timetable, Pane::Failing, Pane::Boletos, Pane::Transfers];

/// Asks what a pane shows, and adds what is answered. The tree comes with the breakers and with how the service stands.
///
/// # Errors
/// Why the first question that was not answered was not; what was answered before it is told all the same.
pub async fn ask(pane: Pane, connection: &Connection, heard: &mut Vec<Reading>) -> Result<(), Failure> {
    match pane {
        Pane::Tree | Pane::Breakers => tree(connection, heard).await?,
        Pane::Queues => heard.push(queues(connection).await?),
        Pane::Timetable => {
            let request = ListSchedulesRequest { next_max: 0 };
            let answer = connection.call(connection.control().list_schedules(request)).await?;
            heard.push(Reading::Timetable(answer.schedules));
        }
        Pane::Failing => heard.push(failing(connection).await?),
        Pane::Boletos => {
            let request = ListBoletosRequest::default();
            let answer = connection.call(connection.boletos().list_boletos(request)).await?;
            let has_more = !answer.next_page_token.is_empty();
            heard.push(Reading::Boletos { boletos: answer.boletos, has_more });
        }
        Pane::Transfers => {
            let request = ListTransfersRequest::default();
            let answer = connection.call(connection.transfers().list_transfers(request)).await?;
            let has_more = !answer.next_page_token.is_empty();
            heard.push(Reading::Transfers { transfers: answer.transfers, has_more });
        }
    }
    Ok(())
}

/// Asks for what is wanted, with its history.
async fn ask_more(wanted: &Wanted, connection: &Connection) -> Result<Reading, Failure> {
    match wanted.clone() {
        Wanted::Boleto(id) => {
            let (mut boletos, mut histories) = (connection.boletos(), connection.boletos());
            let (told, history) = tokio::try_join!(
                connection.call(boletos.get_boleto(GetBoletoRequest { id: id.clone() })),
                connection.call(histories.get_boleto_history(GetBoletoHistoryRequest { id })),
            )?;
            Ok(Reading::Boleto(Box::new(told.boleto.ok_or_else(Failure::empty_answer)?), history))
        }
        Wanted::Transfer(id) => {
            let (mut transfers, mut changes) = (connection.transfers(), connection.transfers());
            let request = GetTransferRequest { id: id.clone(), ..GetTransferRequest::default() };
            let (told, changed) = tokio::try_join!(
                connection.call(transfers.get_transfer(request)),
                connection.call(changes.list_transfer_changes(ListTransferChangesRequest { id })),
            )?;
            let transfer = told.transfer.ok_or_else(Failure::empty_answer)?;
            Ok(Reading::Transfer(Box::new(transfer), changed.changes))
        }
    }
}

async fn tree(connection: &Connection, heard: &mut Vec<Reading>) -> Result<(), Failure> {
    heard.push(Reading::House(connection.call(connection.control().get_info(GetInfoRequest {})).await?));
    let answer = connection.call(connection.control().get_tree(GetTreeRequest {})).await?;
    let root = answer.root.ok_or_else(Failure::empty_answer)?;
    heard.extend([Reading::Tree(Box::new(root)), Reading::Breakers(answer.open_breakers)]);
    Ok(())
}

async fn queues(connection: &Connection) -> Result<Reading, Failure> {
    let (mut queues, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListQueuesRequest { page_size: 0, page_token };
        let answer = connection.call(connection.control().list_queues(request)).await?;
        // A service that gives tokens and no rows would be asked for ever.
        let is_last = answer.queues.is_empty() || answer.next_page_token.is_empty();
        queues.extend(answer.queues);
        if is_last || queues.len() >= QUEUES_MAX {
            return Ok(Reading::Queues { queues, has_more: !is_last, at: Instant::now() });
        }
        page_token = answer.next_page_token;
    }
}

async fn failing(connection: &Connection) -> Result<Reading, Failure> {
    let (mut work, dead_has_more) = work_in(WorkState::Discarded, connection).await?;
    let (tried_again, others_have_more) = work_in(WorkState::Retryable, connection).await?;
    work.extend(tried_again);
    Ok(Reading::Failing { work, dead_has_more, has_more: dead_has_more || others_have_more })
}

async fn work_in(state: WorkState, connection: &Connection) -> Result<(Vec<Work>, bool), Failure> {
    let request = ListWorkRequest { states: vec![state.into()], ..ListWorkRequest::default() };
    let answer = connection.call(connection.control().list_work(request)).await?;
    Ok((answer.work, !answer.next_page_token.is_empty()))
}

/// Tells what there is to see, and more of what is wanted, until nobody listens any more.
pub async fn follow(
    way: Way<'_>,
    every: Duration,
    mut wanted: watch::Receiver<Option<Wanted>>,
    news: &Sender<News>,
) {
    loop {
        let lost = match way.greet().await {
            Err(failure) => failure,
            Ok(connection) => {
                let lost = tokio::select! {
                    lost = rounds(&connection, every, news) => lost,
                    lost = watch_tree(&connection, news) => lost,
                    lost = look_closer(&connection, every, &mut wanted, news) => lost,
                };
                let Some(lost) = lost else { return };
                lost
            }
        };
        // One line is there for it; what somebody may do about it stands in those behind.
        let why = lost.to_string().lines().next().unwrap_or_default().to_owned();
        if news.send(News::Lost { why, at: Utc::now() }).await.is_err() {
            return;
        }
        sleep(pause_after(&lost)).await;
    }
}

/// How long nobody is asked who did not answer, or does not know us.
fn pause_after(lost: &Failure) -> Duration {
    match lost {
        Failure::Told(report) if report.code == Code::Unauthenticated => REFUSED_AGAIN_AFTER,
        Failure::Told(report) => report.retry_after.unwrap_or_default().max(AGAIN_AFTER),
        _ => AGAIN_AFTER,
    }
}

/// Round after round, until the service does not answer or know us; nothing once nobody listens.
async fn rounds(connection: &Connection, every: Duration, news: &Sender<News>) -> Option<Failure> {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for pane in QUESTIONS {
            let mut heard = Vec::new();
            let failed = ask(pane, connection, &mut heard).await.err();
            for reading in heard {
                news.send(News::Read(reading)).await.ok()?;
            }
            match failed {
                None => {}
                // The tree is asked of the process alone, so that a service which is late even with this is not there.
                Some(failure) if is_lost(&failure) && (pane == Pane::Tree || !is_late(&failure)) => {
                    return Some(failure);
                }
                Some(failure) => news.send(News::Refused(pane, failure.to_string())).await.ok()?,
            }
        }
    }
}

/// Tells of what is wanted, at once and then as often as of everything, until the service does not answer or know us; nothing once
/// nobody listens.
async fn look_closer(
    connection: &Connection,
    every: Duration,
    wanted: &mut watch::Receiver<Option<Wanted>>,
    news: &Sender<News>,
) -> Option<Failure> {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            changed = wanted.changed() => changed.ok()?,
        }
        let Some(one) = wanted.borrow_and_update().clone() else { continue };
        let told = match ask_more(&one, connection).await {
            Ok(reading) => News::Read(reading),
            Err(failure) if is_lost(&failure) && !is_late(&failure) => return Some(failure),
            Err(failure) => News::Untold(one, failure.to_string()),
        };
        news.send(told).await.ok()?;
    }
}

/// What the service said, if it was the service.
pub fn code(failure: &Failure) -> Option<Code> {
    match failure {
        Failure::Told(report) => Some(report.code),
        _ => None,
    }
}

/// Whether another connection is needed. What the service says itself, it says with a reason, and another connection hears the same;
/// but whom it does not know, it may know by the token that the file holds then.
fn is_lost(failure: &Failure) -> bool {
    match failure {
        Failure::Told(report) => report.reason.is_none() || report.code == Code::Unauthenticated,
        _ => true,
    }
}

fn is_late(failure: &Failure) -> bool {
    code(failure) == Some(Code::DeadlineExceeded)
}

/// Tells each picture of the tree as it comes. Without the stream it is as old as the interval, so that whatever ends it is not
/// told: the rounds say what is wrong. But a token that holds no more is said at once. Nothing once nobody listens.
async fn watch_tree(connection: &Connection, news: &Sender<News>) -> Option<Failure> {
    loop {
        let pause = match connection.call(connection.control().watch_tree(WatchTreeRequest {})).await {
            Ok(mut stream) => {
                while let Ok(Some(answer)) = stream.message().await {
                    if let Some(root) = answer.root {
                        news.send(News::Read(Reading::Tree(Box::new(root)))).await.ok()?;
                    }
                }
                AGAIN_AFTER
            }
            Err(failure) if code(&failure) == Some(Code::Unauthenticated) => return Some(failure),
            Err(_) => REFUSED_AGAIN_AFTER,
        };
        sleep(pause).await;
    }
}

/// Does what is wished for, one after the other, and tells what came of it, until nobody can wish for more.
pub async fn steer(way: Way<'_>, mut wishes: Receiver<Wish>, news: Sender<News>) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::failure::Report;

    fn told(code: Code, reason: Option<&str>, retry_after: Option<Duration>) -> Failure {
        Failure::Told(Box::new(Report {
            code,
            reason: reason.map(str::to_owned),
            message: "no".to_owned(),
            violations: Vec::new(),
            retry_after,
            trace_id: None,
            request_id: None,
            exit: None,
            remedy: "",
        }))
    }

    #[test]
    fn a_token_that_holds_no_more_is_looked_for_anew_and_seldom() {
        let ended = told(Code::Unauthenticated, Some("TOKEN_EXPIRED"), None);
        assert!(is_lost(&ended), "another connection reads the file anew");
        assert_eq!(pause_after(&ended), REFUSED_AGAIN_AFTER);
        let refused = told(Code::PermissionDenied, Some("SCOPE_MISSING"), None);
        assert!(!is_lost(&refused), "another connection would hear the same");
        let away = told(Code::Unavailable, None, None);
        assert!(is_lost(&away));
        assert_eq!(pause_after(&away), AGAIN_AFTER);
    }

    #[test]
    fn whoever_is_told_to_wait_waits() {
        let wait = Duration::from_secs(42);
        assert_eq!(pause_after(&told(Code::ResourceExhausted, Some("TOO_MANY"), Some(wait))), wait);
    }
}
