//! Emotion Logic's cloud: one recording a call, uploaded or by its address.
//!
//! **Owns** nothing. **Fails** with `success: false` and a code, by status 401 for its keys and 400 for the rest; the vendor's
//! own codes are not public, so that these are the sandbox's.
//! **Limits**: a canned answer (`dummyResponse`) is no analysis and leaves no effect.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::form;
use super::recording::Recording;
use super::voice::{Voice, levels};
use super::{EMOTION_LOGIC_KEY, EMOTION_LOGIC_PASSWORD, Vendors, bad_day, document};
use crate::sandbox::banks::desk::Call;
use crate::sandbox::script::{Party, VendorName};

const FIELDS: [&str; 9] = [
    "sensitivity",
    "outputType",
    "dummyResponse",
    "segments",
    "requestId",
    "backgroundNoise",
    "apiKey",
    "apiKeyPassword",
    "consentObtainedFromDataSubject",
];
const REQUEST_ID_MAX: usize = 36;

/// What is said of a recording, and the recording, in whichever way it came.
struct Order {
    fields: Map<String, Value>,
    recording: Option<Recording>,
}

pub async fn analyze_file(State(vendors): State<Arc<Vendors>>, call: Call) -> Response {
    let (script, line) = (vendors.outside.script.clone(), call.line.clone());
    script
        .perform(Party::Vendor(VendorName::EmotionLogic), &line, move |orders| async move {
            let Some(form) = form::read(call.header("content-type").unwrap_or_default(), &call.body) else {
                return failed(StatusCode::BAD_REQUEST, "form");
            };
            let recording = form.file.map(|(object, bytes)| Recording { object, bytes });
            let fields = form.fields.into_iter().map(|(name, text)| (name.clone(), plain(&name, text)));
            let fields = fields.collect();
            vendors.emotions(Order { fields, recording }, orders.refuse.as_deref()).await
        })
        .await
}

pub async fn analyze_from_url(State(vendors): State<Arc<Vendors>>, call: Call) -> Response {
    let (script, line) = (vendors.outside.script.clone(), call.line.clone());
    script
        .perform(Party::Vendor(VendorName::EmotionLogic), &line, move |orders| async move {
            let said_json = call.header("content-type") == Some("application/json");
            let fields = serde_json::from_slice::<Map<String, Value>>(&call.body).ok().filter(|_| said_json);
            let Some(mut fields) = fields else { return failed(StatusCode::BAD_REQUEST, "json") };
            let recording = match fields.remove("url") {
                Some(Value::String(url)) => vendors.fetcher.fetch(&url).await,
                _ => return failed(StatusCode::BAD_REQUEST, "url"),
            };
            vendors.emotions(Order { fields, recording }, orders.refuse.as_deref()).await
        })
        .await
}

impl Vendors {
    async fn emotions(&self, order: Order, code: Option<&str>) -> Response {
        if let Err((status, wrong)) = check(&order.fields) {
            return failed(status, wrong);
        }
        match code {
            None | Some("no_speech") => {}
            Some("E8") => return bad_day("E8"),
            Some(code) => return failed(StatusCode::OK, code),
        }
        if order.fields.get("dummyResponse") == Some(&Value::Bool(true)) {
            return document(StatusCode::OK, &levels(None));
        }
        let Some(recording) = order.recording else { return failed(StatusCode::BAD_REQUEST, "file") };
        let more = json!({"request_id": order.fields.get("requestId")});
        if let Err(not_kept) = self.keep(VendorName::EmotionLogic, &[&recording], &more).await {
            return not_kept.into_response();
        }
        let voice = Voice::of(&recording.bytes).filter(|_| code.is_none());
        document(StatusCode::OK, &levels(voice.as_ref()))
    }
}

/// What is wrong, if anything.
fn check(fields: &Map<String, Value>) -> Result<(), (StatusCode, &'static str)> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let wrong = |field| Err((StatusCode::BAD_REQUEST, field));
    if text("apiKey") != Some(EMOTION_LOGIC_KEY) || text("apiKeyPassword") != Some(EMOTION_LOGIC_PASSWORD) {
        return Err((StatusCode::UNAUTHORIZED, "apiKey"));
    }
    if fields.keys().any(|name| !FIELDS.contains(&name.as_str())) {
        return wrong("unknown");
    }
    if fields.get("consentObtainedFromDataSubject") != Some(&Value::Bool(true)) {
        return wrong("consent");
    }
    if !matches!(text("sensitivity"), Some("normal" | "high" | "low")) {
        return wrong("sensitivity");
    }
    if !matches!(fields.get("outputType").map(Value::as_str), None | Some(Some("json" | "text"))) {
        return wrong("outputType");
    }
    if fields.get("requestId").is_some_and(|id| id.as_str().is_none_or(|id| id.len() > REQUEST_ID_MAX)) {
        return wrong("requestId");
    }
    if fields.get("backgroundNoise").is_some_and(|noise| noise.as_u64().is_none()) {
        return wrong("backgroundNoise");
    }
    Ok(())
}

/// The value that a text stands for: a form knows text alone.
fn plain(name: &str, text: String) -> Value {
    match (name, text.as_str()) {
        ("dummyResponse" | "consentObtainedFromDataSubject", "true") => Value::Bool(true),
        ("dummyResponse" | "consentObtainedFromDataSubject", "false") => Value::Bool(false),
        ("backgroundNoise", number) => number.parse::<u64>().map_or(Value::Null, Value::from),
        _ => Value::String(text),
    }
}

fn failed(status: StatusCode, code: &str) -> Response {
    document(status, &json!({"success": false, "error": {"code": code, "message": "sandbox: see the code"}}))
}
