//! Follows what is offered: opens the stream, applies its events, tells the listener, and begins anew when it ends.
//!
//! A backlog that is longer than an event may be is paged; behind it only what is new is followed, in the order of the keys,
//! until everything is looked through again.
//!
//! **Owns** the connection and the window, nothing that a crash may lose: the next connection begins with everything.
//! **Fails** with what no waiting mends; all else is a state with a wait, told as [`FeedNews::Lost`].
//! **Limits**: lines, events and window as configured; a stream from which nothing comes is given up, and so is one whose
//! listener does not keep up, so that neither side waits for ever.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::client::{Call, Client, Opened};
use super::config::FirebaseRtdbConfig;
use super::course::{Course, End, Next};
use super::error;
use super::paging;
use super::token::Pass;
use super::window::{Applied, Change, View, Window, WindowError};
use crate::connectors::answer::scrub;
use crate::connectors::transfer_feeds::sse::{SseEvent, SseLimits, SseReader};
use crate::connectors::transfer_feeds::{FeedError, FeedNews, FeedRecord};
use crate::domain::transfer::TransferKey;

/// Of what the other side says with a cancellation, so much is read.
const SAID_BYTES_MAX: usize = 1_024;

/// What is followed.
#[derive(Debug, Clone, PartialEq)]
enum Scope {
    Offered,
    /// Everything from a key on, or from the beginning.
    Tail(Option<TransferKey>),
}

/// One listener's connection to the feed.
pub(super) struct Follower<'a> {
    client: &'a Client,
    config: &'a FirebaseRtdbConfig,
    news: mpsc::Sender<FeedNews>,
    course: Course,
    scope: Scope,
    window: Window,
    /// Records that were told by pages, and whether the window shows the last of them once more.
    paged: usize,
    shows_last: bool,
    /// When everything is to be looked through again; nothing while everything is followed.
    whole_again_at: Option<Instant>,
    /// Under what the last stream was opened.
    pass: Option<Pass>,
    /// Events without a meaning are mentioned once.
    has_met_unknown: bool,
}

impl<'a> Follower<'a> {
    pub(super) fn new(
        client: &'a Client,
        config: &'a FirebaseRtdbConfig,
        news: mpsc::Sender<FeedNews>,
    ) -> Self {
        Self {
            client,
            config,
            news,
            course: Course::new(config.reconnect_base, config.reconnect_cap),
            scope: Scope::Offered,
            window: Window::new(View::Offered, config.event_bytes_max),
            paged: 0,
            shows_last: false,
            whole_again_at: None,
            pass: None,
            has_met_unknown: false,
        }
    }

    /// Follows until the listener hangs up, or until nothing but a person helps.
    pub(super) async fn run(mut self) -> Result<(), FeedError> {
        let listener = self.news.clone();
        tokio::select! {
            () = listener.closed() => Ok(()),
            // It may have hung up while it was being told something.
            stopped = self.keep_following() => if listener.is_closed() { Ok(()) } else { Err(stopped) },
        }
    }

    async fn keep_following(&mut self) -> FeedError {
        loop {
            // A stream is opened only where its first event has somewhere to go.
            if self.news.reserve().await.is_err() {
                return hung_up();
            }
            if self.whole_again_at.is_some_and(|at| at <= Instant::now()) {
                self.look_at(Scope::Offered);
            }
            let end = self.follow().await;
            if let Err(stopped) = self.go_on(end).await {
                return stopped;
            }
        }
    }

    /// Does what is to be done behind the end of a stream or of a page.
    async fn go_on(&mut self, end: End) -> Result<(), FeedError> {
        match self.course.ended(end, rand::random()) {
            Next::Stop(error) => Err(error),
            Next::Reconnect { wait, reason, fresh_token } => {
                if fresh_token && let Some(pass) = self.pass.take() {
                    self.client.tokens().forget(&pass).await;
                }
                self.wait_out(wait, reason).await
            }
            Next::Page => self.page_through().await,
        }
    }

    async fn wait_out(&self, wait: Duration, reason: String) -> Result<(), FeedError> {
        if wait.is_zero() {
            return Ok(());
        }
        // The listener says it where it is new; a database that is away is lost again and again.
        tracing::debug!(
            reason,
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "transfer feed lost"
        );
        self.news.send(FeedNews::Lost { reason, retry_in: wait }).await.map_err(|_| hung_up())?;
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Tells the backlog page by page, as fast as the listener takes it.
    async fn page_through(&mut self) -> Result<(), FeedError> {
        let mut last = match &self.scope {
            Scope::Offered => None,
            Scope::Tail(from) => from.clone(),
        };
        let (mut records, mut shows_last) = (self.paged, self.shows_last);
        let mut children_max = self.config.group_records_max;
        loop {
            let asked = paging::page(self.client, self.config, last.as_ref(), children_max).await;
            match asked {
                Ok(page) => {
                    children_max = (page.children_max * 2).min(self.config.group_records_max);
                    if page.last.is_some() {
                        shows_last = page.records.last().map(|record| &record.key) == page.last.as_ref();
                    }
                    last = page.last.or(last);
                    records += page.records.len();
                    if !page.records.is_empty() {
                        self.news.send(FeedNews::Offered(page.records)).await.map_err(|_| hung_up())?;
                    }
                    if page.is_end {
                        break;
                    }
                }
                Err(error) => match self.course.ended(End::Failed(error), rand::random()) {
                    Next::Reconnect { wait, reason, .. } => self.wait_out(wait, reason).await?,
                    Next::Stop(error) => return Err(error),
                    Next::Page => {}
                },
            }
        }
        self.course.good_snapshot();
        self.look_at(Scope::Tail(last));
        // What follows the last key begins with that key's own record.
        (self.paged, self.shows_last) = (records, shows_last);
        self.whole_again_at = Some(Instant::now() + self.config.backlog_interval);
        self.news.send(FeedNews::Reconciled { records }).await.map_err(|_| hung_up())
    }

    fn look_at(&mut self, scope: Scope) {
        self.scope = scope;
        (self.paged, self.shows_last) = (0, false);
        self.whole_again_at = None;
        self.empty_the_window();
    }

    fn empty_the_window(&mut self) {
        let view = if self.scope == Scope::Offered { View::Offered } else { View::Everything };
        self.window = Window::new(view, self.config.event_bytes_max);
    }

    /// One stream, from its opening to its end.
    async fn follow(&mut self) -> End {
        let mut opened = match self.client.stream(self.call()).await {
            Ok(opened) => opened,
            Err(error)
                if self.config.allow_unindexed
                    && error::is_missing_index(&error, &self.config.paths.transfers) =>
            {
                return End::NoIndex;
            }
            Err(error) => return End::Failed(error),
        };
        if let Err(end) = self.tell(FeedNews::Following).await {
            return end;
        }
        let planned = self.planned_end(&opened);
        self.pass = Some(opened.pass.clone());
        let limits = SseLimits {
            line_bytes_max: self.config.event_bytes_max,
            event_bytes_max: self.config.event_bytes_max,
        };
        let mut reader = SseReader::new(limits);
        loop {
            let silent = Instant::now() + self.config.idle_timeout;
            let until = planned.map_or(silent, |planned| planned.min(silent));
            let chunk = match timeout_at(until, opened.answer.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return End::Closed("by the other side".to_owned()),
                Ok(Err(lost)) => return End::Closed(lost.to_string()),
                Err(_) if planned.is_some_and(|planned| planned <= Instant::now()) => return End::Planned,
                Err(_) => return End::Silent,
            };
            let read = reader.push(&chunk);
            while let Some(event) = reader.next_event() {
                if let Err(end) = self.take(event).await {
                    return end;
                }
            }
            if read.is_err() {
                return End::TooLarge;
            }
            if planned.is_some_and(|planned| planned <= Instant::now()) {
                return End::Planned;
            }
        }
    }

    fn call(&self) -> Call {
        let call = Call::get(&self.config.paths.transfers);
        match &self.scope {
            Scope::Offered => call.query("orderBy", r#""processed""#).query("equalTo", "false"),
            Scope::Tail(None) => call.query("orderBy", r#""$key""#),
            Scope::Tail(Some(key)) => {
                let key = Value::from(key.as_str()).to_string();
                call.query("orderBy", r#""$key""#).query("startAt", key)
            }
        }
    }

    /// When the stream is ended on purpose: its token is renewed, or everything is looked through.
    fn planned_end(&self, opened: &Opened) -> Option<Instant> {
        let renew_at = match &opened.pass {
            Pass::Bearer(token) => token.renew_at,
            Pass::Query(_) => None,
        };
        [renew_at, self.whole_again_at].into_iter().flatten().min()
    }

    async fn take(&mut self, event: SseEvent) -> Result<(), End> {
        let applied = match event.event.as_str() {
            "put" => self.window.put(&event.data),
            "patch" => self.window.patch(&event.data),
            "keep-alive" => return Ok(()),
            // The text comes with quotes or without them, and says no more than the name does.
            "auth_revoked" => return Err(End::Revoked),
            "cancel" => return Err(End::Cancelled(cancelled(&event.data))),
            _ => {
                if !std::mem::replace(&mut self.has_met_unknown, true) {
                    tracing::warn!("transfer feed sends events without a known meaning; they are ignored");
                }
                return Ok(());
            }
        };
        // A snapshot is large, and the window has what it said.
        drop(event);
        match applied {
            Ok(Applied::Snapshot { left }) => self.tell_snapshot(left).await,
            Ok(Applied::Changes(changes)) => self.tell_changes(changes).await,
            Err(failed) => {
                // It may have been applied in part.
                self.empty_the_window();
                Err(if failed == WindowError::Unreadable { End::Garbled } else { End::TooLarge })
            }
        }
    }

    async fn tell_snapshot(&mut self, left: Vec<Box<str>>) -> Result<(), End> {
        let mut group = Vec::new();
        for key in self.window.keys() {
            group.extend(self.record(key));
            if group.len() >= self.config.group_records_max {
                self.tell(FeedNews::Offered(std::mem::take(&mut group))).await?;
            }
        }
        if !group.is_empty() {
            self.tell(FeedNews::Offered(group)).await?;
        }
        self.tell_changes(left.into_iter().map(Change::Left).collect()).await?;
        let records = (self.paged + self.window.len()).saturating_sub(usize::from(self.shows_last));
        self.tell(FeedNews::Reconciled { records }).await?;
        self.course.good_snapshot();
        Ok(())
    }

    async fn tell_changes(&self, changes: Vec<Change>) -> Result<(), End> {
        for change in changes {
            let news = match &change {
                Change::Entered(key) => self.record(key).map(|record| FeedNews::Offered(vec![record])),
                Change::Changed(key) => known_key(key).map(FeedNews::Changed),
                Change::Left(key) => known_key(key).map(FeedNews::Left),
            };
            if let Some(news) = news {
                self.tell(news).await?;
            }
        }
        Ok(())
    }

    fn record(&self, key: &str) -> Option<FeedRecord> {
        Some(FeedRecord { key: known_key(key)?, record: self.window.record(key)? })
    }

    /// Tells the listener, who may be busy for a while; what it misses is in the next snapshot.
    async fn tell(&self, news: FeedNews) -> Result<(), End> {
        match timeout(self.config.listener_patience, self.news.send(news)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Closed("by the listener".to_owned())),
            Err(_) => Err(End::Behind),
        }
    }
}

/// The database lets no other keys be, so that whatever this is, it is nothing that it could be asked for.
pub(super) fn known_key(key: &str) -> Option<TransferKey> {
    TransferKey::parse(key).ok()
}

fn cancelled(data: &str) -> String {
    let text: String = match serde_json::from_str(data) {
        Ok(Value::String(text)) => text,
        Ok(_) => String::new(),
        Err(_) => data.to_owned(),
    };
    let said =
        scrub(text.as_bytes(), SAID_BYTES_MAX, &[]).map(|said| format!(": {said}")).unwrap_or_default();
    format!("the database ended the stream, for its rules forbid it or there is too much to read{said}")
}

fn hung_up() -> FeedError {
    // Nobody is left to read it.
    FeedError::Unavailable { retry_after: None, reason: "the listener hung up".to_owned() }
}

#[cfg(test)]
mod tests;
