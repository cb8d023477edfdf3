//! The vendor's own site for a container, in both of its styles, in front of any of three engines.
//!
//! **Owns** nothing. **Fails** with status 200 and an object that says so, as a page; of users only `-1` may do nothing.
//! **Limits**: its licence is always good, unless the script says otherwise; pages about it say a word each.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::query::{Parameters, form, strict};
use super::voice::{Stray, VERSION, Voice, native as native_answer, ra7};
use super::{Vendors, bad_day, is_error, page as said_as_page};
use crate::sandbox::banks::desk::Call;
use crate::sandbox::script::{Party, VendorName};

const UNNAMED: &str = "TQ1";
/// May do nothing.
const NOBODY: &str = "-1";

/// What of an analysis the styles call differently: each name in small letters, with its bounds.
struct Names {
    address: &'static str,
    numbers: &'static [(&'static str, u32, u32)],
    others: &'static [&'static str],
}

const WINDOWS: Names = Names {
    address: "audiostreamurl",
    numbers: &[
        ("bg", 0, 100_000),
        ("tomono", 0, 1),
        ("segmaxlength", 1, 3),
        ("normalize", 0, 1),
        ("at", 1, 5),
        ("advanced", 0, 1),
    ],
    others: &["actiontype", "filename", "topic", "question"],
};

const NATIVE: Names = Names {
    address: "url",
    numbers: &[
        ("bg", 0, 100_000),
        ("segmaxlen", 1, 3),
        ("analyzetype", 1, 5),
        ("tomono", 0, 1),
        ("normalize", 0, 1),
        ("logdata", 0, 2),
        ("advanced", 0, 1),
    ],
    others: &["action", "userid", "filename", "topic", "question"],
};

pub async fn windows(
    State(vendors): State<Arc<Vendors>>,
    Path(engine): Path<String>,
    call: Call,
) -> Response {
    let (script, line) = (vendors.outside.script.clone(), call.line.clone());
    script
        .perform(Party::Vendor(VendorName::Container), &line, move |orders| async move {
            vendors.windows(&engine, &call, orders.refuse.as_deref()).await
        })
        .await
}

pub async fn native(
    State(vendors): State<Arc<Vendors>>,
    Path(engine): Path<String>,
    method: Method,
    call: Call,
) -> Response {
    let (script, line) = (vendors.outside.script.clone(), call.line.clone());
    script
        .perform(Party::Vendor(VendorName::Container), &line, move |orders| async move {
            vendors.native(&engine, &method, &call, orders.refuse.as_deref()).await
        })
        .await
}

/// The pages beside the analysis; each wants to know who asks.
pub async fn page(Path((_, page)): Path<(String, String)>, method: Method, call: Call) -> Response {
    if call.header("n-ms-authcb").is_none() {
        return said_as_page(&json!({"API Error": "Invalid Input"}));
    }
    match (page.as_str(), method == Method::POST) {
        ("Version", false) => VERSION.into_response(),
        ("Formats", false) => "wav;mp3;ogg".into_response(),
        ("GetLic", false) => said_as_page(&json!({"License": "sandbox"})),
        ("SetLic", true) => match form(&call.body).is_some_and(|fields| fields.contains_key("actv")) {
            true => said_as_page(&json!({"License": "sandbox"})),
            false => said_as_page(&json!({"Server Answer": "Invalid Request"})),
        },
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Vendors {
    async fn windows(&self, engine: &str, call: &Call, code: Option<&str>) -> Response {
        let Some(user) = call.header("n-ms-authcb") else { return complaint("Invalid Input") };
        let Some(parameters) = strict(call.uri.query().unwrap_or_default()) else {
            return complaint("Invalid Input");
        };
        match parameters.get("actiontype").map(String::as_str) {
            None => complaint("No Action"),
            Some("1234") => self.analyze(engine, user, &parameters, &WINDOWS, code).await,
            Some(_) => complaint("Invalid Action"),
        }
    }

    async fn native(&self, engine: &str, method: &Method, call: &Call, code: Option<&str>) -> Response {
        // What is posted counts where it names an action, and the query otherwise.
        let posted = if *method == Method::POST { form(&call.body) } else { None };
        let posted = posted.filter(|fields| fields.contains_key("action"));
        let Some(fields) = posted.or_else(|| strict(call.uri.query().unwrap_or_default())) else {
            return complaint("Invalid Input");
        };
        let user = fields.get("userid").cloned().unwrap_or_default();
        let done = |answer: Value| said_as_page(&answer);
        match fields.get("action").map(|action| action.to_uppercase()).as_deref() {
            None => complaint("No Action"),
            Some("ANALYZE") => self.analyze(engine, &user, &fields, &NATIVE, code).await,
            Some("STATUS") => done(json!({"Status": "Ready"})),
            Some("VERSION") => done(json!({"Version": VERSION})),
            Some("FORMATS") => done(json!({"Formats": ["wav", "mp3", "ogg"]})),
            Some("ONLINE") => done(json!({"Online": true})),
            Some("LICENSE" | "NEWLIC") if !fields.contains_key("key") => complaint("No key"),
            Some("LICENSE") if !fields.contains_key("license") => complaint("No License"),
            Some("LICENSE") => done(json!({"License": "sandbox"})),
            Some("NEWLIC") => done(json!({"Server Answer": "Invalid Request"})),
            Some(_) => complaint("Unknown Action"),
        }
    }

    async fn analyze(
        &self,
        engine: &str,
        user: &str,
        fields: &Parameters,
        names: &Names,
        code: Option<&str>,
    ) -> Response {
        if user == NOBODY {
            let error = format!("User {user} is not allowed to do analyze");
            return said_as_page(&json!({"userID": user, "action": "analyze", "error": error}));
        }
        if user.is_empty() || !are_in_bounds(fields, names) {
            return complaint("Invalid Input");
        }
        let Some(address) = fields.get(names.address) else { return complaint("No URL") };
        if let Some(code) = code.filter(|code| is_error(code)) {
            return bad_day(code);
        }
        let Some(recording) = self.fetcher.fetch(address).await else {
            // What the site says of a recording that it cannot have is not known; this is how it says that it has no result.
            return said_as_page(&json!({}));
        };
        if let Err(not_kept) =
            self.keep(VendorName::Container, &[&recording], &json!({"engine": engine})).await
        {
            return not_kept.into_response();
        }
        let voice = Voice::of(&recording.bytes).filter(|_| code != Some("no_speech"));
        let stray =
            Stray { second_channel: code == Some("two_channels"), extra_row: code == Some("extra_row") };
        said_as_page(&match engine {
            "lva7" => native_answer(voice.as_ref(), "LVA7 Report"),
            "qa7" => native_answer(voice.as_ref(), "QA7 Report"),
            _ => ra7(&[(UNNAMED.to_owned(), voice)], stray),
        })
    }
}

/// Whether nothing is said but what the site knows, each number within its bounds.
fn are_in_bounds(fields: &Parameters, names: &Names) -> bool {
    fields.iter().all(|(name, value)| {
        if name == names.address || names.others.contains(&name.as_str()) {
            return true;
        }
        let bounds = names.numbers.iter().find(|(known, ..)| known == name);
        bounds
            .is_some_and(|(_, least, most)| value.parse::<u32>().is_ok_and(|n| (*least..=*most).contains(&n)))
    })
}

fn complaint(said: &str) -> Response {
    said_as_page(&json!({"API Error": said}))
}
