//! What every bank's desk does alike: reads a call, plays its part of the script, files titles, records effects.
//!
//! **Owns** the bank's titles.
//! **Fails** a call whose effect cannot be recorded; each bank has its own words for that.
//! **Limits**: bodies as large as axum lets them be, two megabytes.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::{NaiveDate, Utc};
use serde_json::{Value, json};

use super::file::{Counter, File, Paper, Till};
use crate::sandbox::ledger::{Effect, EffectKind, NotRecorded};
use crate::sandbox::line::Line;
use crate::sandbox::outside::Outside;
use crate::sandbox::screen::reais;
use crate::sandbox::script::{Act, BankName, Party};

/// Kept, but the first attempts get a page that says nothing for an answer.
pub const UNKNOWN_CENTS: u64 = 5_000_003;
/// Refused.
pub const REFUSED_CENTS: u64 = 5_000_004;
/// How many attempts at the first of them are left without a usable answer.
pub const UNUSABLE_ATTEMPTS: u32 = 2;

const PAGE: &str = "<html><body><h1>500 Internal Server Error</h1></body></html>";

/// A page for people where an answer was due.
pub fn unusable() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/html")], PAGE).into_response()
}

/// One call, read whole.
pub struct Call {
    pub line: Line,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = StatusCode;

    async fn from_request(request: Request, state: &S) -> Result<Self, StatusCode> {
        let line = request.extensions().get::<ConnectInfo<Line>>().map(|info| info.0.clone());
        let line = line.ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        let body = Bytes::from_request(request, state).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        Ok(Call { line, uri, headers, body })
    }
}

impl Call {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A bank, to those who only need its desk.
pub trait AtDesk: Send + Sync + 'static {
    type Paper: Paper;

    fn desk(&self) -> &Desk<Self::Paper>;
}

/// Plays one act of a bank. `work` gets the reason to refuse for, if the script has one.
pub async fn play<B, W, F>(bank: Arc<B>, act: Act, call: Call, work: W) -> Response
where
    B: AtDesk,
    W: FnOnce(Arc<B>, Call, Option<String>) -> F + Send + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let (script, line) = (bank.desk().outside.script.clone(), call.line.clone());
    let party = Party::Bank(bank.desk().name, act);
    script.perform(party, &line, move |orders| work(bank, call, orders.refuse)).await
}

/// What became of a registration that the bank has nothing against.
#[derive(Debug, PartialEq, Eq)]
pub enum Filing {
    /// On file from now on.
    Fresh,
    /// The number was taken before.
    AlreadyOnFile,
    /// One of the two, and the caller must not learn which.
    Unanswerable,
    /// The ledger is broken, so nothing may be called done.
    NotRecorded,
}

/// A desk.
pub struct Desk<P> {
    pub name: BankName,
    pub outside: Arc<Outside>,
    pub file: Arc<File<String, P>>,
}

impl<P: Paper> Desk<P> {
    pub fn new(name: BankName, outside: Arc<Outside>) -> Self {
        Desk { name, outside, file: Arc::default() }
    }

    /// The counter at which its titles are paid.
    pub fn till(&self) -> Arc<dyn Till> {
        Arc::new(Counter { bank: self.name, file: self.file.clone() })
    }

    /// The ledger's key of a title of this bank.
    pub fn key(&self, agreement: &str, number: &str) -> String {
        key(self.name, agreement, number)
    }

    /// The tokens that count at this moment.
    pub fn epoch(&self) -> u64 {
        self.outside.script.token_epoch()
    }

    /// Files a title that broke no rule.
    pub async fn file_title(&self, number: String, paper: P, cents: u64, due: NaiveDate) -> Filing {
        let key = paper.key();
        let (fresh, attempt) = self.file.keep(number, paper, today());
        let kind = if fresh { EffectKind::BankRegistered } else { EffectKind::BankDuplicateRefused };
        let detail = json!({"amount_cents": cents, "due_date": due, "attempt": attempt});
        let word = if fresh { "registered " } else { "duplicate  " };
        if self.record(kind, key, detail, word, Some(cents)).await.is_err() {
            return Filing::NotRecorded;
        }
        match fresh {
            _ if cents == UNKNOWN_CENTS && attempt <= UNUSABLE_ATTEMPTS => Filing::Unanswerable,
            true => Filing::Fresh,
            false => Filing::AlreadyOnFile,
        }
    }

    /// Records that the bank said no to a registration.
    pub async fn refused(&self, key: String, cents: Option<u64>, codes: &[&str]) -> Result<(), NotRecorded> {
        let detail = json!({"amount_cents": cents, "codes": codes});
        self.record(EffectKind::BankRefused, key, detail, "refused    ", cents).await
    }

    /// Records that a title was changed; `what` names the change and holds no personal data.
    pub async fn amended(&self, key: String, what: Value) -> Result<(), NotRecorded> {
        self.record(EffectKind::BankAmended, key, what, "amended    ", None).await
    }

    /// Records that a title was taken off file.
    pub async fn written_off(&self, key: String) -> Result<(), NotRecorded> {
        self.record(EffectKind::BankWrittenOff, key, Value::Null, "written off", None).await
    }

    async fn record(
        &self,
        kind: EffectKind,
        key: String,
        detail: Value,
        word: &str,
        cents: Option<u64>,
    ) -> Result<(), NotRecorded> {
        let said = format!("{word} {key} {}", cents.map(reais).unwrap_or_default());
        self.outside.ledger.record(vec![Effect::now(kind, key, detail)]).await?;
        self.outside.screen.say("bank", format_args!("{}", said.trim_end()));
        Ok(())
    }
}

/// The ledger's key of a title. What is no plain number could be anything, so it is not repeated.
pub fn key(bank: BankName, agreement: &str, number: &str) -> String {
    let plain = |text: &str| {
        let fits = (1..=40).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if fits { text.to_owned() } else { "unreadable".to_owned() }
    };
    format!("{}:{}+{}", bank.as_str(), plain(agreement), plain(number))
}

/// The bank's day.
pub fn today() -> NaiveDate {
    Utc::now().date_naive()
}
