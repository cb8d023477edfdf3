//! A transfer as its feed holds it: the few fields that we read, with every other one left alone.
//!
//! **Owns** nothing. **Fails** with [`UnreadableRecord`]; what is merely odd is read as absent and judged later, with a reason
//! that is kept. **Limits**: a field that should be a key and cannot be one is an error, not a guess.

use serde_json::{Map, Value};

use super::TransferKey;

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub struct TransferRecord {
    /// When it was recorded, in whichever form: `date`, or else `date_inicio`.
    pub recorded_at: Option<Value>,
    pub company_key: Option<String>,
    pub survey_key: Option<String>,
    pub person_key: Option<String>,
    pub user_key: Option<String>,
    /// True once somebody has told the feed a result. Absent is neither.
    pub is_processed: Option<bool>,
    /// The scores that the feed holds already, joined by `|`.
    pub result: Option<String>,
    /// The transfer whose audio and questionnaire are to be used instead of its own.
    pub alias_key: Option<TransferKey>,
    /// That the person agreed to the analysis, where the producer writes it.
    pub has_consent: Option<bool>,
}

/// Why a record cannot be a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableRecord {
    #[error("the record is no object")]
    NotAnObject,
    #[error("its alias is no key")]
    Alias,
    #[error("its alias is itself")]
    AliasOfItself,
    #[error("its {0} is no key")]
    Key(&'static str),
}

impl TransferRecord {
    /// Reads a record. `consent_field` names the field that holds the person's agreement, if the producer writes one.
    ///
    /// # Errors
    /// [`UnreadableRecord`].
    pub fn read(
        key: &TransferKey,
        value: &Value,
        consent_field: Option<&str>,
    ) -> Result<Self, UnreadableRecord> {
        let Value::Object(fields) = value else { return Err(UnreadableRecord::NotAnObject) };
        let alias_key = match text(fields, "key") {
            None => None,
            Some(alias) => Some(TransferKey::parse(&alias).map_err(|_| UnreadableRecord::Alias)?),
        };
        if alias_key.as_ref() == Some(key) {
            return Err(UnreadableRecord::AliasOfItself);
        }
        Ok(Self {
            recorded_at: ["date", "date_inicio"].into_iter().find_map(|name| present(fields, name)).cloned(),
            company_key: key_of(fields, "key_empresa")?,
            survey_key: key_of(fields, "key_encuesta")?,
            person_key: key_of(fields, "key_persona")?,
            user_key: key_of(fields, "key_usuario")?,
            is_processed: fields.get("processed").and_then(Value::as_bool),
            result: text(fields, "resultado"),
            alias_key,
            has_consent: consent_field.and_then(|name| fields.get(name)).and_then(Value::as_bool),
        })
    }

    /// Whether its result is a producer's placeholder or absent: no score is ever 0.
    pub fn has_no_result_yet(&self) -> bool {
        let placeholder = |text: &String| text.split('|').all(|part| matches!(part.trim(), "" | "0"));
        self.result.as_ref().is_none_or(placeholder)
    }
}

fn present<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    present(fields, name).and_then(Value::as_str).map(str::to_owned)
}

fn key_of(fields: &Map<String, Value>, name: &'static str) -> Result<Option<String>, UnreadableRecord> {
    match present(fields, name) {
        None => Ok(None),
        Some(Value::String(key)) if TransferKey::parse(key).is_ok() => Ok(Some(key.clone())),
        Some(_) => Err(UnreadableRecord::Key(name)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<TransferRecord, UnreadableRecord> {
        TransferRecord::read(&TransferKey::parse("own").unwrap(), &value, Some("consentimiento"))
    }

    #[test]
    fn a_record_is_read_and_what_is_absent_is_absent() {
        let record = read(json!({
            "date": "2026/01/15 - 10:20:30", "date_inicio": 5, "key_empresa": "company", "key_encuesta": "survey",
            "key_persona": "person", "key_usuario": "user", "processed": false, "resultado": "0|0|0",
            "status": "resultado", "visto": false, "key": "", "consentimiento": true, "other": {"x": [1]}
        }))
        .unwrap();
        assert_eq!(record.recorded_at, Some(json!("2026/01/15 - 10:20:30")));
        assert_eq!(
            (record.company_key.as_deref(), record.survey_key.as_deref()),
            (Some("company"), Some("survey"))
        );
        assert_eq!(
            (record.is_processed, record.has_consent, record.alias_key.clone()),
            (Some(false), Some(true), None)
        );
        assert!(record.has_no_result_yet());
        let bare = read(json!({"date_inicio": 1_768_494_030, "processed": "no"})).unwrap();
        assert_eq!(bare.recorded_at, Some(json!(1_768_494_030)));
        assert_eq!((bare.is_processed, bare.has_consent), (None, None));
        assert!(bare.has_no_result_yet());
        assert!(!read(json!({"resultado": "22|40|5"})).unwrap().has_no_result_yet());
    }

    #[test]
    fn what_cannot_be_a_transfer_says_why() {
        for no_object in [json!(null), json!(true), json!([1]), json!("text"), json!(3)] {
            assert_eq!(read(no_object).unwrap_err(), UnreadableRecord::NotAnObject);
        }
        assert_eq!(read(json!({"key": "own"})).unwrap_err(), UnreadableRecord::AliasOfItself);
        assert_eq!(read(json!({"key": "a/b"})).unwrap_err(), UnreadableRecord::Alias);
        assert_eq!(read(json!({"key_encuesta": 7})).unwrap_err(), UnreadableRecord::Key("key_encuesta"));
        assert_eq!(read(json!({"key_persona": "../x"})).unwrap_err(), UnreadableRecord::Key("key_persona"));
    }
}
