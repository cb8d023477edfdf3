//! Those who are told what became of a boleto: what arrived in their queue and at their webhooks.

use bursar::sandbox::{ReceivedMessage, World};
use serde_json::Value;

use super::eventually;

/// The owners of one story.
pub struct Owner<'a>(pub(super) &'a World);

/// One message, read.
#[derive(Debug, Clone)]
pub struct Told {
    /// `sqs` or `webhook`.
    pub channel: String,
    /// Attributes of a queue's message, headers of a webhook.
    pub attributes: std::collections::BTreeMap<String, String>,
    pub body: Value,
}

impl Told {
    /// A text of the body.
    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_else(|| panic!("no text {field} in {}", self.body))
    }
}

impl Owner<'_> {
    /// What has arrived about a boleto.
    pub fn heard(&self, boleto_id: &str) -> Vec<Told> {
        let about = |message: ReceivedMessage| {
            // A mail is for people; what it is about stands in a header.
            let (body, about) = if message.channel == "mail" {
                let about = message.attributes.get("Bursar-Subject").cloned().map(Value::from);
                (Value::from(message.body), about.unwrap_or_default())
            } else {
                let body: Value = serde_json::from_str(&message.body).expect("a message in JSON");
                let about = body["boleto_id"].clone();
                (body, about)
            };
            (about == boleto_id).then_some(Told {
                channel: message.channel,
                attributes: message.attributes,
                body,
            })
        };
        self.0.messages().into_iter().filter_map(about).collect()
    }

    /// What has arrived at webhooks about anything else, by its id, or about everything where that is empty.
    pub fn heard_of(&self, subject_id: &str) -> Vec<Told> {
        let read = |message: ReceivedMessage| {
            let body: Value = serde_json::from_str(&message.body).ok()?;
            let is_about = subject_id.is_empty() || body["subject_id"] == subject_id;
            let is_it = message.channel == "webhook" && is_about;
            is_it.then_some(Told { channel: message.channel, attributes: message.attributes, body })
        };
        self.0.messages().into_iter().filter_map(read).collect()
    }

    /// Waits until so many messages of that kind have arrived.
    pub async fn hears_of(&self, subject_id: &str, messages: usize) -> Vec<Told> {
        eventually("the owner is told", async || {
            let heard = self.heard_of(subject_id);
            (heard.len() >= messages).then_some(heard)
        })
        .await
    }

    /// Waits until so many messages about a boleto have arrived, and returns them.
    pub async fn hears(&self, boleto_id: &str, messages: usize) -> Vec<Told> {
        eventually("the owner is told", async || {
            let heard = self.heard(boleto_id);
            (heard.len() >= messages).then_some(heard)
        })
        .await
    }
}
