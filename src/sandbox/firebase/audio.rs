//! Recorded answers, as the cloud's storage hands them out.
//!
//! **Owns** the objects, in memory.
//! **Fails** with 404 for an object that nobody has put there, 400 for anything but `alt=media`.
//! **Limits**: who asks is not looked at, and a token in the address may be anything.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

/// What may follow the object in its address.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    alt: Option<String>,
    #[serde(rename = "token")]
    _token: Option<String>,
}

/// The objects of all buckets.
#[derive(Default)]
pub struct Audio(Mutex<HashMap<(String, String), Bytes>>);

impl Audio {
    pub fn put(&self, bucket: &str, object: &str, bytes: Bytes) {
        // One insertion, which a panic cannot leave half done.
        let mut objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        objects.insert((bucket.to_owned(), object.to_owned()), bytes);
    }

    pub fn answer(&self, bucket: &str, object: &str, wanted: Option<&Wanted>) -> Response {
        if wanted.and_then(|wanted| wanted.alt.as_deref()) != Some("media") {
            return refusal(StatusCode::BAD_REQUEST, "alt=media is all that is known here");
        }
        let objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match objects.get(&(bucket.to_owned(), object.to_owned())) {
            Some(bytes) => ([(header::CONTENT_TYPE, "audio/wav")], Body::from(bytes.clone())).into_response(),
            None => refusal(StatusCode::NOT_FOUND, "no such object"),
        }
    }
}

fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": {"code": status.as_u16(), "message": message}}))).into_response()
}
