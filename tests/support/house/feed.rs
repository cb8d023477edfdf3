//! The feed of transfers outside: what producers record there, what the vendor hears, and what the feed is told in the end.
//!
//! Every recording is made of what is said in it, so that the vendor's answer to it is known beforehand.
//!
//! **Owns** nothing. **Fails** a story with what it waited for. **Limits**: one database, in which a feed is a shelf of records.

use bursar::cli::sandbox::transfers::{self, VendorSecrets};
use bursar::sandbox::{Addresses, Effect, EffectKind, FIREBASE_BUCKET, Firebase, World, vendor_risk};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use super::eventually;

/// The time form of producers; the feed's zone is UTC.
const TIME_FORM: &str = "%Y/%m/%d - %H:%M:%S";

/// What a house needs to follow the world's database as a feed of that name; `vendor` is the reference of what vendors know us by.
pub fn settings(outside: &Addresses, name: &str, vendor: &str) -> Vec<(String, String)> {
    let secrets = VendorSecrets {
        auth: vendor.to_owned(),
        emotion_logic_key: vendor.to_owned(),
        emotion_logic_password: vendor.to_owned(),
    };
    let named = |key: String| key.replace(&format!(".{}.", transfers::FEED), &format!(".{name}."));
    let settings = transfers::settings(outside, &secrets).into_iter();
    settings.map(|(key, value)| (named(key), value)).collect()
}

/// A recording in which this is said.
pub fn speech(what: &str) -> Vec<u8> {
    [&[0; 44][..], what.as_bytes()].concat()
}

/// The vendor risk score that has to come of a recording; nothing where nobody speaks.
pub fn score(recording: &[u8]) -> Option<u8> {
    vendor_risk(recording).map(|risk| 100 - risk.clamp(5, 95))
}

/// A record of an hour ago with a questionnaire of so many questions.
pub fn a_record(questions: usize) -> Value {
    let recorded = Utc::now() - TimeDelta::hours(1);
    json!({
        "date": recorded.format(TIME_FORM).to_string(),
        "key_empresa": "-NsampleCompany00001",
        "key_encuesta": survey(questions),
        "key_persona": "-NsamplePerson000001",
        "key_usuario": "-NsampleUser00000001",
        "processed": false,
        "resultado": vec!["0"; questions].join("|"),
        "status": "resultado",
        "visto": false,
    })
}

fn survey(questions: usize) -> String {
    format!("-NsampleSurvey{questions:06}")
}

/// The feed.
pub struct Feed<'a>(pub &'a World);

impl Feed<'_> {
    /// The database that it is a part of.
    pub fn database(&self) -> &Firebase {
        self.0.firebase()
    }

    /// Has a transfer recorded with so many answers, in each of which something else is said. Returns what the feed must be told.
    pub fn offers(&self, key: &str, answers: usize) -> String {
        self.offers_record(key, answers, a_record(answers))
    }

    /// The same with a record of one's own.
    pub fn offers_record(&self, key: &str, answers: usize, record: Value) -> String {
        let result = self.keeps_recordings(key, answers);
        self.puts(&format!("Transfer/{key}"), record);
        result
    }

    /// Keeps the recordings of a transfer, and the questionnaire, without a record.
    pub fn keeps_recordings(&self, key: &str, answers: usize) -> String {
        let question = |number| json!({"tipo": "pregunta", "texto": format!("question {number}")});
        // What is no question has no recording, and counts for nothing.
        let elements: Vec<Value> =
            std::iter::once(json!({"tipo": "titulo"})).chain((0..answers).map(question)).collect();
        self.puts(&format!("Encuestas/{}/cuestionario", survey(answers)), Value::from(elements));
        let recordings = (0..answers).map(|place| speech(&format!("answer {place} of {key}")));
        let mut scores = Vec::new();
        for (place, recording) in recordings.enumerate() {
            scores.push(score(&recording).expect("somebody speaks").to_string());
            self.keeps(key, place, recording);
        }
        scores.join("|")
    }

    /// Keeps one recording, in the place of the one before.
    pub fn keeps(&self, key: &str, place: usize, recording: Vec<u8>) {
        self.database().put_audio(FIREBASE_BUCKET, &format!("cloud/{key}/{place}.wav"), recording);
    }

    /// Writes as producers do.
    pub fn puts(&self, path: &str, value: Value) {
        self.database().put(path, value).unwrap_or_else(|why| panic!("{path}: {why}"));
    }

    /// The record as it stands.
    pub fn record(&self, key: &str) -> Value {
        self.database().read(&format!("Transfer/{key}"))
    }

    /// Waits until the feed has the result of a transfer, and returns the record.
    pub async fn is_told(&self, key: &str) -> Value {
        eventually(&format!("the result of {key}"), async || {
            let record = self.record(key);
            (record["processed"] == true).then_some(record)
        })
        .await
    }

    /// How often recordings of a transfer were analysed.
    pub fn analysed(&self, key: &str) -> usize {
        let beginning = format!("cloud/{key}/");
        self.effects(EffectKind::VendorAnalysed, |effect| effect.key.starts_with(&beginning))
    }

    /// How often the feed was told the result of a transfer.
    pub fn told(&self, key: &str) -> usize {
        let is_result = |effect: &Effect| effect.key == key && effect.detail["fields"]["processed"] == true;
        self.effects(EffectKind::FeedWritten, is_result)
    }

    fn effects(&self, kind: EffectKind, is_it: impl Fn(&Effect) -> bool) -> usize {
        self.0.effects().iter().filter(|effect| effect.kind == kind && is_it(effect)).count()
    }

    /// What owners were told of a transfer, oldest first.
    pub fn news(&self, key: &str) -> Vec<Value> {
        let bodies = self.0.messages().into_iter().filter(|message| message.channel != "mail");
        let parsed = bodies.filter_map(|message| serde_json::from_str::<Value>(&message.body).ok());
        parsed.filter(|body| body["data"]["key"] == key).collect()
    }

    /// Waits until owners were told so often of a transfer, and returns what.
    pub async fn owners_hear(&self, key: &str, times: usize) -> Vec<Value> {
        eventually(&format!("news of {key}"), async || {
            let news = self.news(key);
            (news.len() >= times).then_some(news)
        })
        .await
    }
}
