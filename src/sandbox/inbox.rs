//! What the owners received, whichever way it came, what can be read from it, and all of it in one list.
//!
//! **Owns** the newest messages, bodies included: they belong to the owner that the sandbox plays.
//! **Fails** never; a body that is no JSON is kept as text, and its notice is read from the transport alone.
//! **Limits**: 10,000 messages; older ones are forgotten (the ledger still has their effects).

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
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
    /// `sqs`, `webhook`, `mail` or `nats`.
    pub channel: String,
    /// The queue's or the hook's name, the mailbox, the stream's subject.
    pub destination: String,
    /// Message attributes of a queue, headers of everything else.
    pub attributes: BTreeMap<String, String>,
    /// The body, byte for byte.
    pub body: String,
}

/// One message in the list of all that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub at: DateTime<Utc>,
    pub channel: String,
    pub destination: String,
    pub event_type: String,
    /// The id of what it is about.
    pub subject: String,
    pub event_id: String,
    pub version: Option<i64>,
}

impl ReceivedMessage {
    /// What is told of it in the list.
    pub fn listed(&self) -> Listed {
        let attribute = |name: &str| {
            self.attributes
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.clone())
        };
        let notice = Notice::read(&self.body, attribute);
        Listed {
            at: self.at,
            channel: self.channel.clone(),
            destination: self.destination.clone(),
            event_type: notice.event_type,
            subject: notice.boleto_id,
            event_id: notice.event_id,
            version: notice.version,
        }
    }
}

/// The list as a person reads it: a line each, oldest first.
pub(super) fn table(messages: &[ReceivedMessage]) -> String {
    let mut text = format!(
        "{:<8} {:<7} {:<26} {:>3} {:<36} {:<36} DESTINATION\n",
        "AT", "CHANNEL", "EVENT", "V", "SUBJECT", "EVENT ID"
    );
    for message in messages {
        let Listed { at, channel, destination, event_type, subject, event_id, version } = message.listed();
        let (at, version) =
            (at.format("%H:%M:%S"), version.map_or_else(|| "-".to_owned(), |v| v.to_string()));
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "{at} {channel:<7} {event_type:<26} {version:>3} {subject:<36} {event_id:<36} {destination}"
        );
    }
    text
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
    /// The boleto, or whatever else it is about.
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
        let version = || attribute("Bursar-Version")?.parse().ok();
        Notice {
            boleto_id: text(&["boleto_id", "subject_id", "Bursar-Subject"]),
            event_id: text(&["event_id", "webhook-id", "Nats-Msg-Id", "Bursar-Event-Id"]),
            event_type: text(&["event_type", "type", "status", "Bursar-Event-Type"]),
            version: member("version").and_then(Value::as_i64).or_else(version),
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
        format!("{}{version} {} event {}", self.event_type, self.boleto_id, self.event_id)
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
        assert_eq!(expected.line(), "boleto.registered v2 b1 event e1");
        assert_eq!(Notice::read("not json", |_| None).effect(EffectKind::OwnerSqs, "q").key, "-+-");
    }

    #[test]
    fn all_that_came_is_one_list_whichever_way_it_came() {
        let came = |channel: &str, attributes: &[(&str, &str)], body: &str| ReceivedMessage {
            at: DateTime::UNIX_EPOCH,
            channel: channel.into(),
            destination: "there".into(),
            attributes: attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: body.into(),
        };
        let body = r#"{"boleto_id":"b1","event_type":"boleto.registered","event_id":"e1","version":2}"#;
        let general = r#"{"subject_id":"s1","event_type":"endpoint.disabled","event_id":"e2","version":1}"#;
        let mail = [
            ("bursar-subject", "b1"),
            ("Bursar-Event-Id", "e1"),
            ("Bursar-Event-Type", "boleto.registered"),
            ("Bursar-Version", "2"),
        ];
        let messages = [
            came("sqs", &[], body),
            came("webhook", &[("webhook-id", "e2")], general),
            came("nats", &[("Nats-Msg-Id", "e1"), ("Bursar-Version", "2")], body),
            came("mail", &mail, "a letter"),
        ];
        let listed: Vec<_> = messages.iter().map(ReceivedMessage::listed).collect();
        for (place, channel) in [(0, "sqs"), (2, "nats"), (3, "mail")] {
            let Listed { subject, event_id, event_type, version, .. } = &listed[place];
            let read = (subject.as_str(), event_id.as_str(), event_type.as_str(), *version);
            assert_eq!(read, ("b1", "e1", "boleto.registered", Some(2)), "{channel}");
            assert_eq!(listed[place].channel, channel);
        }
        assert_eq!((listed[1].subject.as_str(), listed[1].event_type.as_str()), ("s1", "endpoint.disabled"));
        let text = table(&messages);
        assert_eq!(text.lines().count(), 5);
        let words: Vec<_> = text.lines().nth(2).unwrap().split_whitespace().collect();
        assert_eq!(words, ["00:00:00", "webhook", "endpoint.disabled", "1", "s1", "e2", "there"]);
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
