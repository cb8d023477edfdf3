//! Answers the database's requests, and those of the sign-in and the storage beside it.
//!
//! **Owns** the one database behind its lock; nobody waits for anything while they hold it.
//! **Fails** as the service does; a write whose effects cannot be put down is made, and answered with 500.
//! **Limits**: a body of 256 MiB.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Form, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};

use super::NAMESPACE;
use super::audio::{Audio, Wanted};
use super::auth::{Credential, Exchange, Gate};
use super::database::{self, Act, Database, Unwritten, Written};
use super::effects;
use super::fault::Fault;
use super::key::{self, Key, parse_path};
use super::play::{Plays, StreamPlay};
use super::request::{Print, Request, is_stream};
use super::stream::Streaming;
use crate::sandbox::ledger::Effect;
use crate::sandbox::line::Line;
use crate::sandbox::outside::{News, Outside};
use crate::sandbox::script::{FirebaseStep, Party};

const BODY_MAX: usize = 256 * 1024 * 1024;
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// What all requests share.
pub struct Service {
    outside: Arc<Outside>,
    database: Mutex<Database>,
    gate: Gate,
    plays: Plays,
    audio: Audio,
    keep_alive: Duration,
}

pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/token", post(token))
        .route("/v0/b/{bucket}/o/{object}", get(recorded_answer))
        .route("/{*path}", any(call))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(service)
}

async fn token(
    State(service): State<Arc<Service>>,
    ConnectInfo(line): ConnectInfo<Line>,
    form: Result<Form<Exchange>, FormRejection>,
) -> Response {
    let script = service.outside.script.clone();
    let exchange = form.ok().map(|Form(exchange)| exchange);
    script
        .perform(Party::Firebase(FirebaseStep::Token), &line, move |orders| async move {
            let exchange = exchange.filter(|_| orders.refuse.is_none());
            service.gate.exchange(exchange, service.outside.script.token_epoch())
        })
        .await
}

async fn recorded_answer(
    State(service): State<Arc<Service>>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path((bucket, object)): Path<(String, String)>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let script = service.outside.script.clone();
    let wanted = wanted.ok().map(|Query(wanted)| wanted);
    script
        .perform(Party::Firebase(FirebaseStep::Audio), &line, move |orders| async move {
            let wanted = wanted.filter(|_| orders.refuse.is_none());
            service.audio.answer(&bucket, &object, wanted.as_ref())
        })
        .await
}

/// A request to the database as it came.
struct Call {
    method: Method,
    uri: Uri,
    path: String,
    headers: HeaderMap,
    parameters: Option<Vec<(String, String)>>,
    body: Bytes,
}

async fn call(
    State(service): State<Arc<Service>>,
    ConnectInfo(line): ConnectInfo<Line>,
    method: Method,
    uri: Uri,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let script = service.outside.script.clone();
    let step = match method {
        _ if is_stream(&method, &headers) => FirebaseStep::Stream,
        Method::GET => FirebaseStep::Read,
        _ => FirebaseStep::Write,
    };
    let parameters = Query::try_from_uri(&uri).ok().map(|Query(parameters)| parameters);
    let call = Call { method, uri, path, headers, parameters, body };
    script
        .perform(Party::Firebase(step), &line, move |orders| async move {
            if orders.refuse.is_some() {
                return Fault::Bad("refused").into_response();
            }
            let (method, path) = (call.method.clone(), call.path.clone());
            let answer = service.answer(call).await.unwrap_or_else(IntoResponse::into_response);
            service.outside.screen.say("feed", format_args!("{method} {} /{path}", answer.status().as_u16()));
            answer
        })
        .await
}

impl Service {
    pub fn new(outside: Arc<Outside>, database: Database, gate: Gate, keep_alive: Duration) -> Self {
        Service {
            outside,
            database: Mutex::new(database),
            gate,
            plays: Plays::default(),
            audio: Audio::default(),
            keep_alive,
        }
    }

    pub fn plays(&self) -> &Plays {
        &self.plays
    }

    pub fn audio(&self) -> &Audio {
        &self.audio
    }

    pub fn news(&self) -> &News {
        &self.outside.news
    }

    pub fn database(&self) -> MutexGuard<'_, Database> {
        // A write changes the tree only after all of it has been understood, so that a panic leaves none half done.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody has stopped listening.
    pub fn hang_up(&self, id: u64) {
        self.database().listeners().close(id);
        self.outside.news.spread();
    }

    async fn answer(self: &Arc<Self>, call: Call) -> Result<Response, Fault> {
        let streaming = is_stream(&call.method, &call.headers);
        let play = if streaming { self.plays.next() } else { StreamPlay::default() };
        if let Some(elsewhere) = elsewhere(&play, &call) {
            return Ok(elsewhere);
        }
        let parameters = call.parameters.ok_or(Fault::Bad("the query cannot be read"))?;
        let request = Request::read(&call.method, &call.headers, parameters)?;
        let (access_token, auth) = (request.access_token.as_deref(), request.auth.as_deref());
        let epochs = self.outside.script.token_epochs();
        let credential = self.gate.check(&call.headers, access_token, auth, epochs)?;
        if request.namespace.as_deref().is_some_and(|namespace| namespace != NAMESPACE) {
            return Err(Fault::NotFound);
        }
        let path = parse_path(call.path.strip_suffix(".json").ok_or(Fault::NotFound)?)?;
        if streaming {
            return self.listen(path, request, play, credential);
        }
        if call.method == Method::GET {
            return self.read(&path, &request);
        }
        let (name, act) = act(&call.method, &call.body)?;
        self.write(path, name, act, &request).await
    }

    fn listen(
        self: &Arc<Self>,
        path: key::Path,
        request: Request,
        play: StreamPlay,
        credential: Credential,
    ) -> Result<Response, Fault> {
        if request.shallow || request.wants_etag || request.print != Print::Plain {
            return Err(Fault::Bad("a stream is neither shallow nor printed otherwise, and has no version"));
        }
        let opened = self.database().listen(path, request.query)?;
        let content_type = play.content_type.as_deref().unwrap_or("text/event-stream; charset=utf-8");
        let content_type = HeaderValue::from_str(content_type).unwrap_or(JSON);
        let streaming = Streaming::new(self.clone(), opened, play, self.keep_alive, credential);
        self.outside.news.spread();
        let headers = [
            (header::CONTENT_TYPE, content_type),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::CONNECTION, HeaderValue::from_static("close")),
        ];
        Ok((headers, streaming.body()).into_response())
    }

    fn read(&self, path: &key::Path, request: &Request) -> Result<Response, Fault> {
        let database = self.database();
        let versions = request.wants_etag || request.if_none_match.is_some();
        let etag = versions.then(|| database.etag(path));
        if etag.is_some() && etag == request.if_none_match {
            return Ok(respond(StatusCode::NOT_MODIFIED, Print::Plain, Vec::new(), etag));
        }
        let value = match &request.query {
            Some(query) => database.read_query(path, query)?,
            None if request.shallow => database.read_shallow(path),
            None => database.read(path),
        };
        Ok(respond(StatusCode::OK, request.print, value, etag))
    }

    async fn write(
        &self,
        path: key::Path,
        name: &'static str,
        act: Act,
        request: &Request,
    ) -> Result<Response, Fault> {
        let outcome = self.database().write(&path, act, request.if_match.as_deref());
        let written = match outcome {
            Ok(written) => written,
            Err(Unwritten::Fault(fault)) => return Err(fault),
            Err(Unwritten::Changed { etag, value }) => {
                self.put_down(effects::of_refusal(&path).into_iter().collect()).await?;
                return Ok(respond(StatusCode::PRECONDITION_FAILED, Print::Plain, value, Some(etag)));
            }
        };
        self.outside.news.spread();
        self.put_down(effects::of_write(name, &written)).await?;
        let etag = match (&written.etag, request.wants_etag) {
            (None, true) => Some(self.database().etag(&path)),
            (etag, _) => etag.clone(),
        };
        Ok(respond(StatusCode::OK, request.print, echo(name, &path, &written), etag))
    }

    async fn put_down(&self, effects: Vec<Effect>) -> Result<(), Fault> {
        if effects.is_empty() {
            return Ok(());
        }
        self.outside.ledger.record(effects).await.map_err(|_| Fault::NotRecorded)
    }
}

/// A redirect, for whoever asks at another host than the play wants.
fn elsewhere(play: &StreamPlay, call: &Call) -> Option<Response> {
    let origin = play.redirect_to.as_deref()?;
    let host = call.headers.get(header::HOST)?.to_str().ok()?;
    if origin.rsplit("//").next() == Some(host) {
        return None;
    }
    let target = call.uri.path_and_query().map_or("/", |target| target.as_str());
    let location = HeaderValue::from_str(&format!("{origin}{target}")).ok()?;
    Some((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response())
}

fn act(method: &Method, body: &[u8]) -> Result<(&'static str, Act), Fault> {
    let read = || {
        serde_json::from_slice::<Value>(body)
            .map_err(|_| Fault::Bad("Invalid data; couldn't parse JSON. Are you sending valid JSON?"))
    };
    match *method {
        Method::PUT => Ok(("put", Act::Put(read()?))),
        Method::POST => Ok(("push", Act::Push(read()?))),
        Method::DELETE => Ok(("delete", Act::Put(Value::Null))),
        Method::PATCH => match read()? {
            Value::Object(parts) => Ok(("patch", Act::Patch(parts))),
            _ => Err(Fault::Bad("Invalid data; a patch is a JSON object")),
        },
        _ => Err(Fault::Method),
    }
}

/// What a write is answered with: the new key, or what is there now where it was written.
fn echo(act: &str, at: &[Key], written: &Written) -> Vec<u8> {
    if let Some(name) = &written.name {
        return database::json(&json!({"name": name}));
    }
    if act == "patch" {
        let below = |path: &key::Path| key::written(&path[at.len()..]).trim_start_matches('/').to_owned();
        let parts: BTreeMap<String, _> =
            written.places.iter().map(|(path, node)| (below(path), node)).collect();
        return database::json(&parts);
    }
    database::json(&written.places.first().and_then(|(_, node)| node.as_ref()))
}

fn respond(status: StatusCode, print: Print, json: Vec<u8>, etag: Option<String>) -> Response {
    let mut response = match print {
        Print::Silent => StatusCode::NO_CONTENT.into_response(),
        Print::Plain => (status, [(header::CONTENT_TYPE, JSON)], Body::from(json)).into_response(),
        Print::Pretty => {
            let value: Value = serde_json::from_slice(&json).unwrap_or_default();
            (status, [(header::CONTENT_TYPE, JSON)], format!("{value:#}")).into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(&etag).ok()) {
        headers.insert(header::ETAG, etag);
    }
    response
}
