//! Vendors that analyse recorded answers, each speaking its own protocol as public sources describe it; none has certified any.
//!
//! A vendor that is handed an address fetches the recording itself, from this machine alone. What it says is made of the
//! recording's bytes, so that the same recording always gets the same answer; one whose bytes are all alike holds no speech.
//!
//! **Owns** nothing. Each analysis is an effect, by the name of the recording's object or file.
//! **Fails** in each vendor's own forms: a request that breaks its rules, and whatever the script says. Told to refuse for a
//! code, a vendor plays that form of error: `E1`, `E1b`, `E2`, `E3`, `E4`, `E5`, `E6`, `E7`, `E8`, `E10`; or a strange day of
//! its own: `no_speech`, `two_channels`, `extra_row`. E9 and E11 are behaviours of every party: an empty answer, one that
//! breaks off, a status. Any other code is an error of Emotion Logic's, and E1 elsewhere.
//! **Limits**: recordings of at most 64 MiB. What an RA7 cloud answers to a request that it does not take is published nowhere; this
//! one says a status of its own.

mod cloud;
mod container;
mod emotion_logic;
mod form;
mod query;
mod ra7;
mod recording;
#[cfg(test)]
mod tests;
mod voice;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};

use super::ledger::{Effect, EffectKind};
use super::outside::Outside;
use super::script::VendorName;
use recording::{Fetcher, Recording};
use voice::Voice;

/// What the vendors of the Nemesysco family know a caller by.
pub const VENDOR_AUTH: &str = "sandbox-vendor";
/// What Emotion Logic knows a caller by.
pub const EMOTION_LOGIC_KEY: &str = "sandbox-emotion-key";
/// And the word that belongs to it.
pub const EMOTION_LOGIC_PASSWORD: &str = "sandbox-emotion-password";

const BODY_MAX: usize = 64 * 1024 * 1024;

/// What the engine makes of a recording: its risk, 0 to 100, or nothing where nobody speaks.
pub fn vendor_risk(audio: &[u8]) -> Option<u8> {
    Voice::of(audio).map(|voice| voice.risk)
}

/// How many segments of speech the engine finds in a recording.
pub fn vendor_segments(audio: &[u8]) -> u32 {
    Voice::of(audio).map_or(0, |voice| voice.segments())
}

/// All vendors; they share a door.
pub(super) struct Vendors {
    pub outside: Arc<Outside>,
    pub fetcher: Fetcher,
}

pub(super) fn router(outside: Arc<Outside>) -> Router {
    let vendors = Arc::new(Vendors { outside, fetcher: Fetcher::default() });
    Router::new()
        .route("/ra7/Analyze/", get(ra7::analyze))
        .route("/container/{engine}/Analyze/", get(container::windows))
        .route("/container/{engine}/_api.php", any(container::native))
        .route("/container/{engine}/{page}/", any(container::page))
        .route("/cloud/RadvAnalysis/", post(cloud::analyze))
        .route("/emotion-logic/analysis/analyzeFile", post(emotion_logic::analyze_file))
        .route("/emotion-logic/analysis/analyzeFromURL", post(emotion_logic::analyze_from_url))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(vendors)
}

/// The effects could not be kept, so that the analysis must not be told.
pub(super) struct NotKept;

impl IntoResponse for NotKept {
    fn into_response(self) -> Response {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

impl Vendors {
    /// Keeps that recordings were analysed, and by whom.
    pub async fn keep(
        &self,
        vendor: VendorName,
        recordings: &[&Recording],
        more: &Value,
    ) -> Result<(), NotKept> {
        let effect = |recording: &&Recording| {
            let voice = Voice::of(&recording.bytes);
            let mut detail = json!({
                "vendor": vendor.as_str(),
                "digest": recording.digest(),
                "segments": voice.as_ref().map_or(0, Voice::segments),
            });
            if let (Some(detail), Some(more)) = (detail.as_object_mut(), more.as_object()) {
                detail.extend(more.clone());
            }
            self.outside.screen.say("vendor", format_args!("{}  {}", vendor.as_str(), recording.object));
            Effect::now(EffectKind::VendorAnalysed, recording.object.clone(), detail)
        };
        self.outside.ledger.record(recordings.iter().map(effect).collect()).await.map_err(|_| NotKept)
    }
}

/// A form of error that all vendors of the family are told to play.
fn bad_day(code: &str) -> Response {
    let said = match code {
        "E1b" => json!({"API Error": "No License"}),
        "E2" => json!({"userID": VENDOR_AUTH, "action": "analyze",
            "error": format!("User {VENDOR_AUTH} is not allowed to do analyze")}),
        "E3" => json!({"Error": " Server is not answering"}),
        "E4" => json!({}),
        "E5" => json!({"Server Answer": "Invalid Request"}),
        "E6" => failed_status(),
        "E7" => json!({"Status": "OK", "nmsID": uuid::Uuid::now_v7(), "Ver": voice::VERSION,
            "Data": {"SEG": [], "RISKREPQ": ["TQ1;C0;3"]}}),
        "E8" => {
            let page = "<html><body><h1>502 Bad Gateway</h1></body></html>";
            return ([(header::CONTENT_TYPE, "text/html")], page).into_response();
        }
        "E10" => json!({"Meta Data": {}, "Segments": [], "Error Message": "sample text, meaning unknown"}),
        _ => json!({"API Error": "Invalid Input"}),
    };
    page(&said)
}

/// What this cloud says of a request that it does not take, or a recording that it cannot have.
fn failed_status() -> Value {
    json!({"Status": "ERROR", "nmsID": uuid::Uuid::now_v7(), "Ver": voice::VERSION, "Data": {}})
}

/// JSON that is said to be a page, as the site's PHP has it.
fn page(said: &Value) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=UTF-8")], said.to_string()).into_response()
}

/// JSON that is said to be just that.
fn document(status: StatusCode, said: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], said.to_string()).into_response()
}

/// Whether the code is one that the family's vendors play instead of an answer.
fn is_error(code: &str) -> bool {
    !matches!(code, "no_speech" | "two_channels" | "extra_row")
}
