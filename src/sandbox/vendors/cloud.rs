//! The cloud that takes several questions in one POST.
//!
//! **Owns** nothing. **Fails** with a status that is not `OK` for a body that breaks its schema.
//! **Limits**: a question whose recording it cannot have gets neither row nor segment, and the others get theirs; what the
//! vendor does then is not known. Rows are named by topic and question in one word, which its samples let one suppose.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::voice::{Stray, Voice, ra7};
use super::{Vendors, bad_day, document, failed_status, is_error};
use crate::sandbox::banks::desk::Call;
use crate::sandbox::script::{Party, VendorName};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(rename = "ServiceFlag")]
    service_flag: String,
    #[serde(rename = "TestData")]
    test_data: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    #[serde(rename = "Topic")]
    topic: String,
    #[serde(rename = "Question")]
    question: String,
    #[serde(rename = "Power")]
    power: u8,
    #[serde(rename = "URL")]
    url: String,
}

impl Body {
    fn is_in_order(&self) -> bool {
        let flags = ["EDP", "RISKREPT", "RISKREPQ", "SEG"];
        self.service_flag.split(',').all(|flag| flags.contains(&flag))
            && !self.test_data.is_empty()
            && self.test_data.iter().all(|test| (10..=40).contains(&test.power))
    }
}

pub async fn analyze(State(vendors): State<Arc<Vendors>>, call: Call) -> Response {
    let (script, line) = (vendors.outside.script.clone(), call.line.clone());
    script
        .perform(Party::Vendor(VendorName::Cloud), &line, move |orders| async move {
            vendors.cloud(&call, orders.refuse.as_deref()).await
        })
        .await
}

impl Vendors {
    async fn cloud(&self, call: &Call, code: Option<&str>) -> Response {
        if let Some(code) = code.filter(|code| is_error(code)) {
            return bad_day(code);
        }
        let said_json = call.header("content-type") == Some("application/json");
        let body =
            serde_json::from_slice::<Body>(&call.body).ok().filter(|body| said_json && body.is_in_order());
        let Some(body) = body else { return document(StatusCode::OK, &failed_status()) };
        let (mut voices, mut recordings) = (Vec::new(), Vec::new());
        for test in &body.test_data {
            let recording = self.fetcher.fetch(&test.url).await;
            let heard = recording.as_ref().filter(|_| code != Some("no_speech"));
            let voice = heard.and_then(|recording| Voice::of(&recording.bytes));
            voices.push((format!("{}{}", test.topic, test.question), voice));
            recordings.extend(recording);
        }
        let recordings: Vec<_> = recordings.iter().collect();
        if let Err(not_kept) = self.keep(VendorName::Cloud, &recordings, &json!({})).await {
            return not_kept.into_response();
        }
        let stray =
            Stray { second_channel: code == Some("two_channels"), extra_row: code == Some("extra_row") };
        let mut answer = ra7(&voices, stray);
        if let Some(data) = answer["Data"].as_object_mut() {
            let asked: Vec<&str> = body.service_flag.split(',').collect();
            data.retain(|section, _| asked.contains(&section.as_str()));
        }
        document(StatusCode::OK, &answer)
    }
}
