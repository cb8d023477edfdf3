//! Answers what the banks are asked, at one door each, in either language.
//!
//! **Owns** the banks behind their locks, the clock by which they all go, and the journal.
//! **Fails** as each standard does; a read whose effect cannot be put down is answered with 503, never told.
//! **Limits**: a body of 1 MiB.

use std::io::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Duration, Utc};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::json;

use super::ask::{Ask, Note, Refusal, Told};
use super::bank::Bank;
use super::entry::digest;
use super::journal::{AspspCall, AspspStandard, Journal};
use super::key::Keys;
use super::options::AspspOptions;
use super::quota::Left;
use super::{berlin, internal, polish};
use crate::sandbox::ledger::{Effect, EffectKind};
use crate::sandbox::line::Line;
use crate::sandbox::outside::Outside;
use crate::sandbox::script::{AspspStep, Party};

const BODY_MAX: usize = 1024 * 1024;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What all requests share.
pub struct Service {
    pub outside: Arc<Outside>,
    pub options: AspspOptions,
    pub keys: Keys,
    /// How far the banks' clock is ahead of everybody else's.
    ahead_ms: AtomicI64,
    banks: Vec<Mutex<Bank>>,
    journal: Mutex<Journal>,
}

/// One bank's door.
#[derive(Clone)]
struct AtDoor {
    service: Arc<Service>,
    bank: u8,
}

/// What is asked for, in either language.
enum Asked<'a> {
    Berlin(berlin::Asked<'a>),
    Polish(polish::Asked),
    Internal,
}

impl<'a> Asked<'a> {
    fn read(path: &'a str) -> Option<Self> {
        if path == internal::PATH {
            return Some(Asked::Internal);
        }
        let berlin = || berlin::Asked::read(path).map(Asked::Berlin);
        polish::Asked::read(path).map(Asked::Polish).or_else(berlin)
    }

    fn step(&self) -> AspspStep {
        match self {
            Asked::Berlin(asked) => asked.step(),
            Asked::Polish(asked) => asked.step(),
            Asked::Internal => AspspStep::Refresh,
        }
    }
}

impl Service {
    pub fn new(outside: Arc<Outside>, options: AspspOptions, keys: Keys) -> Self {
        let banks = (0..options.banks).map(|number| Mutex::new(Bank::new(number))).collect();
        let (ahead_ms, journal) = (AtomicI64::new(0), Mutex::default());
        Service { outside, options, keys, ahead_ms, banks, journal }
    }

    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + Duration::milliseconds(self.ahead_ms.load(Ordering::Relaxed))
    }

    pub fn move_on(&self, by: std::time::Duration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// A bank; nothing where there are not so many.
    pub fn bank(&self, number: u8) -> Option<MutexGuard<'_, Bank>> {
        // Nobody leaves a bank half changed: what is read is checked before anything is written.
        Some(self.banks.get(usize::from(number))?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The door of one bank.
pub fn router(service: Arc<Service>, bank: u8) -> Router {
    Router::new().fallback(call).layer(DefaultBodyLimit::max(BODY_MAX)).with_state(AtDoor { service, bank })
}

/// A request as it came.
struct Call {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

async fn call(
    State(AtDoor { service, bank }): State<AtDoor>,
    ConnectInfo(line): ConnectInfo<Line>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(step) = Asked::read(uri.path()).map(|asked| asked.step()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let call = Call { method, uri, headers, body };
    let script = service.outside.script.clone();
    script
        .perform(Party::Aspsp(bank, step), &line, move |orders| async move {
            service.answer(bank, &call, orders.refuse.as_deref()).await
        })
        .await
}

impl Service {
    async fn answer(&self, number: u8, call: &Call, refuse: Option<&str>) -> Response {
        let Some(asked) = Asked::read(call.uri.path()) else { return StatusCode::NOT_FOUND.into_response() };
        let now = self.now();
        let standard = match &asked {
            Asked::Berlin(_) => AspspStandard::BerlinGroup,
            Asked::Polish(_) => AspspStandard::PolishApi,
            Asked::Internal => AspspStandard::InternalApi,
        };
        let mut note = note(number, standard, asked.step(), now);
        let outcome = self.ask(number, asked, call, refuse, now, &mut note);
        let effects = match &outcome {
            Ok(told) => &told.effects,
            Err(refusal) => &refusal.effects,
        };
        let mut effects = effects.clone();
        if note.counted && self.options.keep_reads && outcome.is_ok() {
            effects.push(read_effect(&note));
        }
        if !effects.is_empty() && self.outside.ledger.record(effects).await.is_err() {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let response = respond(&outcome, &call.headers, &note);
        note.status = response.status().as_u16();
        if let Err(refusal) = &outcome {
            note.complaint = refusal.is_complaint.then(|| refusal.text.clone());
        }
        let step = note.step.as_str();
        self.outside.screen.say("aspsp", format_args!("{} bank {number} {step}", note.status));
        self.journal().put_down(note);
        self.outside.news.spread();
        response
    }

    fn ask(
        &self,
        number: u8,
        asked: Asked,
        call: &Call,
        refuse: Option<&str>,
        now: DateTime<Utc>,
        note: &mut Note,
    ) -> Result<Told, Refusal> {
        let ask = Ask {
            method: &call.method,
            path: call.uri.path(),
            query: call.uri.query(),
            headers: &call.headers,
            body: &call.body,
            now,
            epoch: self.outside.script.token_epoch(),
            keys: &self.keys,
            client_id: &self.options.client_id,
            client_secret: &self.options.client_secret,
        };
        let none = || Refusal::new(404, "BANK", "there is no such bank");
        let mut bank = self.bank(number).ok_or_else(none)?;
        match asked {
            Asked::Berlin(asked) => berlin::answer(&mut bank, asked, &ask, refuse, note),
            Asked::Polish(asked) => polish::answer(&mut bank, asked, &ask, refuse, note),
            Asked::Internal => internal::answer(&ask, refuse, note),
        }
    }
}

fn note(bank: u8, standard: AspspStandard, step: AspspStep, at: DateTime<Utc>) -> AspspCall {
    AspspCall {
        at,
        bank,
        standard,
        step,
        consent: None,
        account: None,
        request_id: None,
        counted: false,
        is_page: false,
        quota: None,
        status: 0,
        complaint: None,
    }
}

/// A counted read that is told. An account's number is personal, so it goes by a name made of it.
fn read_effect(note: &Note) -> Effect {
    let key = format!("{}:{}", note.bank, note.consent.as_deref().unwrap_or_default());
    let account = note.account.as_deref().map(|number| digest(&[number]));
    Effect::now(EffectKind::AspspRead, key, json!({"step": note.step.as_str(), "account": account}))
}

fn respond(outcome: &Result<Told, Refusal>, headers: &HeaderMap, note: &Note) -> Response {
    let request_id = note.request_id.as_deref();
    let (status, body) = match (outcome, note.standard) {
        (Ok(told), _) => (200, told.body.clone()),
        (Err(refusal), AspspStandard::BerlinGroup) if note.step == AspspStep::Token => (
            refusal.status,
            Told::of(&json!({"error": refusal.code, "error_description": refusal.text})).body,
        ),
        (Err(refusal), AspspStandard::BerlinGroup) => (refusal.status, berlin::say(refusal)),
        (Err(refusal), AspspStandard::InternalApi) => {
            (refusal.status, Told::of(&json!({"error": refusal.code, "message": refusal.text})).body)
        }
        (Err(refusal), AspspStandard::PolishApi) => {
            (refusal.status, polish::say(refusal, request_id, note.at))
        }
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (body, encoding) = match note.standard {
        AspspStandard::BerlinGroup | AspspStandard::InternalApi => (body, None),
        AspspStandard::PolishApi => pack(body, headers),
    };
    let mut response = (status, [(header::CONTENT_TYPE, JSON)], Body::from(body)).into_response();
    let told = response.headers_mut();
    if let Some(encoding) = encoding {
        told.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    if let Some(value) = request_id.and_then(|request_id| HeaderValue::from_str(request_id).ok()) {
        told.insert("x-request-id", value);
    }
    for (name, value) in note.quota.iter().flat_map(Left::headers) {
        told.insert(name, value.into());
    }
    if let Err(Refusal { retry_after_s: Some(seconds), .. }) = outcome {
        told.insert(header::RETRY_AFTER, (*seconds).into());
    }
    response
}

/// Packs a body as the caller accepts it; one that accepts neither has been told so, and reads it plain.
fn pack(body: Vec<u8>, headers: &HeaderMap) -> (Vec<u8>, Option<&'static str>) {
    let accepted = headers.get(header::ACCEPT_ENCODING).map(HeaderValue::as_bytes);
    let (packed, name) = match accepted {
        Some(b"gzip") => {
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            (packer.write_all(&body).and_then(|()| packer.finish()), "gzip")
        }
        Some(b"deflate") => {
            let mut packer = ZlibEncoder::new(Vec::new(), Compression::fast());
            (packer.write_all(&body).and_then(|()| packer.finish()), "deflate")
        }
        _ => return (body, None),
    };
    // Writing to memory does not fail; if it did, the plain body would be as good.
    packed.map_or((body, None), |packed| (packed, Some(name)))
}
