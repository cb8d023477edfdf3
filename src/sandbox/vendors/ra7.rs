//! RA7 in the cloud: one recording a call, by an address that is the rest of a prefix.
//!
//! **Owns** nothing. **Fails** with 401 without its header, and with a status of its own that is not `OK` for whatever else it
//! does not take; what the vendor itself says then is not known.
//! **Limits**: the row names no question of the caller's, since it is told of none.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::query::strict;
use super::voice::{Stray, Voice, ra7};
use super::{VENDOR_AUTH, Vendors, bad_day, document, failed_status, is_error};
use crate::sandbox::banks::desk::Call;
use crate::sandbox::script::{Party, VendorName};

/// What the engine calls a question that has no name.
const UNNAMED: &str = "TQ1";

pub async fn analyze(State(vendors): State<Arc<Vendors>>, call: Call) -> Response {
    let (script, line) = (vendors.outside.script.clone(), call.line.clone());
    script
        .perform(Party::Vendor(VendorName::Ra7), &line, move |orders| async move {
            vendors.ra7(&call, orders.refuse.as_deref()).await
        })
        .await
}

impl Vendors {
    async fn ra7(&self, call: &Call, code: Option<&str>) -> Response {
        if call.header("n-ms-authcb") != Some(VENDOR_AUTH) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        if let Some(code) = code.filter(|code| is_error(code)) {
            return bad_day(code);
        }
        let told = [
            ("accept", "application/json"),
            ("content-type", "application/json"),
            ("cache-control", "no-cache"),
        ];
        let told = told.iter().all(|(name, value)| call.header(name) == Some(value));
        let parameters =
            strict(call.uri.query().unwrap_or_default()).filter(|parameters| parameters.len() == 1);
        let address = parameters.and_then(|mut parameters| parameters.remove("u"));
        let (true, Some(address)) = (told, address) else {
            return document(StatusCode::OK, &failed_status());
        };
        let Some(recording) = self.fetcher.fetch(&address).await else {
            return document(StatusCode::OK, &failed_status());
        };
        if let Err(not_kept) = self.keep(VendorName::Ra7, &[&recording], &json!({})).await {
            return not_kept.into_response();
        }
        let voice = Voice::of(&recording.bytes).filter(|_| code != Some("no_speech"));
        let stray =
            Stray { second_channel: code == Some("two_channels"), extra_row: code == Some("extra_row") };
        document(StatusCode::OK, &ra7(&[(UNNAMED.to_owned(), voice)], stray))
    }
}
