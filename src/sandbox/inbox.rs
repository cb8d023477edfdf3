//! What the owners received, whichever way it came, and what can be read from it.
//!
//! **Owns** the newest messages, bodies included: they belong to the owner that the sandbox plays.
//! **Fails** never; a body that is no JSON is kept as text, and its notice is read from the transport alone.
//! **Limits**: 10,000 messages; older ones are forgotten (the ledger still has their effects).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ledger::{Effect, EffectKind};

const KEPT_MAX: usize = 10_000;

/// One message as an owner received it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedMessage {
    /// When it was taken.
    pub at: DateTime<Utc>,
    /// `sqs` or `webhook`.
    pub channel: String,
    /// The queue's or the hook's name.
    pub destination: String,
    /// Message attributes of a queue, headers of a webhook.
    pub attributes: BTreeMap<String, String>,
    /// The body, byte for byte.
    pub body: String,
}

/// The owners' letter box.
#[derive(Default)]
pub(super) struct Inbox(Mutex<VecDeque<ReceivedMessage>>);

impl Inbox {
    pub fn keep(&self, message: ReceivedMessage) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(message);
    }

    pub fn messages(&self) -> Vec<ReceivedMessage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// The parts of an owner's message by which it is told from others.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub boleto_id: String,
    pub event_id: String,
    pub event_type: String,
    pub version: Option<i64>,
}

impl Notice {
    /// Reads the body at its top level or under `data`; what is not there comes from the transport,
    /// as `attribute` finds it, or is a dash.
    pub fn read(body: &str, attribute: impl Fn(&str) -> Option<String>) -> Self {
        let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
        let member = |name: &str| body.get(name).or_else(|| body.get("data")?.get(name));
        let text = |names: &[&str]| {
            let in_body = names.iter().find_map(|name| member(name)?.as_str().map(str::to_owned));
            in_body.or_else(|| names.iter().find_map(|name| attribute(name))).unwrap_or_else(|| "-".into())
        };
        Notice {
            boleto_id: text(&["boleto_id"]),
            event_id: text(&["event_id", "webhook-id"]),
            event_type: text(&["event_type", "type", "status"]),
            version: member("version").and_then(Value::as_i64),
        }
    }

    pub fn effect(&self, kind: EffectKind, destination: &str) -> Effect {
        let detail = json!({
            "boleto_id": self.boleto_id,
            "event_id": self.event_id,
            "event_type": self.event_type,
            "version": self.version,
            "destination": destination,
        });
        Effect::now(kind, format!("{}+{}", self.boleto_id, self.event_id), detail)
    }

    /// For the screen.
    pub fn line(&self) -> String {
        let version = self.version.map_or_else(String::new, |version| format!(" v{version}"));
        format!("{}{version} {}", self.event_type, self.boleto_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_from_the_body_its_data_or_the_transport() {
        let flat = r#"{"boleto_id":"b1","event_id":"e1","event_type":"boleto.registered","version":2}"#;
        let nested = r#"{"type":"boleto.registered","data":{"boleto_id":"b1","version":2}}"#;
        let from_header = |name: &str| (name == "webhook-id").then(|| "e1".to_owned());
        let expected = Notice {
            boleto_id: "b1".into(),
            event_id: "e1".into(),
            event_type: "boleto.registered".into(),
            version: Some(2),
        };
        assert_eq!(Notice::read(flat, |_| None), expected);
        assert_eq!(Notice::read(nested, from_header), expected);
        assert_eq!(expected.line(), "boleto.registered v2 b1");
        assert_eq!(Notice::read("not json", |_| None).effect(EffectKind::OwnerSqs, "q").key, "-+-");
    }

    #[test]
    fn the_inbox_forgets_the_oldest() {
        let inbox = Inbox::default();
        for n in 0..=KEPT_MAX {
            inbox.keep(ReceivedMessage {
                at: DateTime::UNIX_EPOCH,
                channel: "sqs".into(),
                destination: "q".into(),
                attributes: BTreeMap::new(),
                body: n.to_string(),
            });
        }
        let kept = inbox.messages();
        assert_eq!((kept.len(), kept[0].body.as_str()), (KEPT_MAX, "1"));
    }
}
