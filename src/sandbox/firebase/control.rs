//! Steers the database from another process, over HTTP and JSON, beside the rest of the sandbox's control.
//!
//! **Owns** nothing.
//! **Fails** with 400 or 422 when a request is not understood.
//! **Limits**: loopback, like the rest; whoever reaches it may do everything.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Firebase, StreamNews, StreamPlay};

pub fn router(firebase: Firebase) -> Router {
    Router::new()
        .route("/firebase/put", post(put))
        .route("/firebase/patch", post(patch))
        .route("/firebase/read", get(read))
        .route("/firebase/index", post(index))
        .route("/firebase/play", post(play))
        .route("/firebase/tell", post(tell))
        .route("/firebase/listeners", get(listeners))
        .route("/firebase/audio", post(audio))
        .with_state(firebase)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    path: String,
    value: Value,
}

fn outcome(written: Result<(), String>) -> Result<StatusCode, (StatusCode, String)> {
    written.map(|()| StatusCode::NO_CONTENT).map_err(|why| (StatusCode::BAD_REQUEST, format!("{why}\n")))
}

async fn put(
    State(firebase): State<Firebase>,
    Json(data): Json<Data>,
) -> Result<StatusCode, (StatusCode, String)> {
    outcome(firebase.put(&data.path, data.value))
}

async fn patch(
    State(firebase): State<Firebase>,
    Json(data): Json<Data>,
) -> Result<StatusCode, (StatusCode, String)> {
    outcome(firebase.patch(&data.path, data.value))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    path: String,
}

async fn read(State(firebase): State<Firebase>, Query(place): Query<Place>) -> Json<Value> {
    Json(firebase.read(&place.path))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    path: String,
    /// Without it all rules of the path go.
    field: Option<String>,
}

async fn index(State(firebase): State<Firebase>, Json(rule): Json<Rule>) -> StatusCode {
    firebase.set_index(&rule.path, rule.field.as_deref());
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Playing {
    play: StreamPlay,
    /// For all streams to come instead of the next.
    #[serde(default)]
    always: bool,
}

async fn play(State(firebase): State<Firebase>, Json(playing): Json<Playing>) -> StatusCode {
    if playing.always {
        firebase.play_always(playing.play);
    } else {
        firebase.play_once(playing.play);
    }
    StatusCode::NO_CONTENT
}

async fn tell(State(firebase): State<Firebase>, Json(news): Json<StreamNews>) -> StatusCode {
    firebase.tell(news);
    StatusCode::NO_CONTENT
}

async fn listeners(State(firebase): State<Firebase>) -> Json<Value> {
    Json(json!({"listeners": firebase.listeners()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    bucket: String,
    object: String,
}

/// The body is the recorded answer.
async fn audio(
    State(firebase): State<Firebase>,
    Query(object): Query<Object>,
    body: axum::body::Bytes,
) -> StatusCode {
    firebase.put_audio(&object.bucket, &object.object, body);
    StatusCode::NO_CONTENT
}
