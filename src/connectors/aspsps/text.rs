//! What ASPSPs write in JSON, read with patience: text that may be a number, lists that may be missing, flags as words.
//!
//! **Owns** nothing. **Fails** hardly ever: what is of a type that nobody expects there counts as not told, because a page of
//! transactions must not be lost for a field that nobody needs. Amounts and lists are not read so.
//! **Limits**: blanks around a text are no part of it, and a text of blanks is none; zero bytes, which no database keeps, are left
//! out.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Text, also where it was written as a number; none for blanks and for everything else.
pub(super) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_any(Word)
}

/// Texts: one, several, or objects with a `reference` each. What is told twice is kept once.
pub(super) fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let mut found = Vec::new();
    collect(Value::deserialize(deserializer)?, &mut found);
    Ok(found)
}

/// A list of objects; an empty one where it is missing or null.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    list_if_told(deserializer).map(Option::unwrap_or_default)
}

/// A list of objects; none where it is missing or null.
pub(super) fn list_if_told<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let items = Option::<Vec<Entry<T>>>::deserialize(deserializer)?;
    Ok(items.map(|items| items.into_iter().map(|Entry(item)| item).collect()))
}

/// An object; none where it is missing, null, or an empty list, which is how some write an object without entries.
pub(super) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(Object { is_patient: false, of: PhantomData })
}

/// An object; none for everything else.
pub(super) fn object_or_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(Object { is_patient: true, of: PhantomData })
}

/// Yes or no, also as a word; none for everything else.
pub(super) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(flag) => Some(flag),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    })
}

/// A whole number, also as text; none for everything else.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// Text without blanks around it; none if nothing is left.
pub(super) fn kept(text: &str) -> Option<String> {
    let text = text.trim();
    let text = if text.contains('\0') { text.replace('\0', "").trim().to_owned() } else { text.to_owned() };
    (!text.is_empty()).then_some(text)
}

fn collect(value: Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.extend(kept(&text).filter(|text| !found.contains(text))),
        Value::Array(values) => values.into_iter().for_each(|value| collect(value, found)),
        Value::Object(mut object) => {
            if let Some(Value::String(text)) = object.remove("reference") {
                found.extend(kept(&text).filter(|text| !found.contains(text)));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

struct Word;

impl<'de> Visitor<'de> for Word {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(kept(text))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// An object in a list.
struct Entry<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer)?.map(Self).ok_or_else(|| D::Error::custom("no object"))
    }
}

/// Reads an object and nothing that looks like one: by itself a structure would also be read from the values of a list.
struct Object<T> {
    is_patient: bool,
    of: PhantomData<T>,
}

impl<T> Object<T> {
    fn other<E: Error>(self) -> Result<Option<T>, E> {
        if self.is_patient { Ok(None) } else { Err(E::custom("no object")) }
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries)).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        if items.next_element::<IgnoredAny>()?.is_none() {
            return Ok(None);
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.other()
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        self.other()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        self.other()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        self.other()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        self.other()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        self.other()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "word")]
        word: Option<String>,
        #[serde(default, deserialize_with = "words")]
        words: Vec<String>,
        #[serde(default, deserialize_with = "list")]
        list: Vec<Inner>,
        #[serde(default, deserialize_with = "list_if_told")]
        told: Option<Vec<Inner>>,
        #[serde(default, deserialize_with = "object")]
        object: Option<Inner>,
        #[serde(default, deserialize_with = "object_or_none")]
        patient: Option<Inner>,
        #[serde(default, deserialize_with = "flag")]
        flag: Option<bool>,
        #[serde(default, deserialize_with = "whole")]
        whole: Option<u64>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Inner {
        of: u8,
    }

    fn read(json: &str) -> Body {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn text_is_trimmed_and_blanks_are_none() {
        for (json, text) in [
            (r#"" a b ""#, Some("a b")),
            ("7", Some("7")),
            ("-7", Some("-7")),
            (r#""\u0000a\u0000""#, Some("a")),
            (r#"" ""#, None),
            (r#""\u00a0""#, None),
            (r#""\u0000""#, None),
            ("null", None),
            ("true", None),
            ("1.5", None),
            (r#"["a", {"b": []}]"#, None),
            (r#"{"a": "b"}"#, None),
        ] {
            assert_eq!(read(&format!(r#"{{"word":{json}}}"#)).word.as_deref(), text, "{json}");
        }
        assert_eq!(read("{}").word, None);
    }

    #[test]
    fn texts_come_in_many_shapes() {
        for (json, texts) in [
            (r#""one""#, vec!["one"]),
            (r#"["one", " ", "two", "one", null, 3]"#, vec!["one", "two"]),
            (r#"[{"reference": "RF18", "referenceType": "SCOR"}, {"other": 1}]"#, vec!["RF18"]),
            ("null", vec![]),
        ] {
            assert_eq!(read(&format!(r#"{{"words":{json}}}"#)).words, texts, "{json}");
        }
    }

    #[test]
    fn flags_numbers_and_lists_may_be_words_or_missing() {
        let body = read(r#"{"list":null,"flag":"True","whole":"3600"}"#);
        assert_eq!((body.list.len(), body.flag, body.whole), (0, Some(true), Some(3_600)));
        let body = read(r#"{"list":[{"of":1}],"flag":1,"whole":-1}"#);
        assert_eq!((body.list, body.told, body.flag, body.whole), (vec![Inner { of: 1 }], None, None, None));
        assert_eq!(read(r#"{"told":[]}"#).told, Some(Vec::new()));
        assert_eq!(read(r#"{"told":null}"#).told, None);
        for bad in ["{}", "[[1]]", "[null]", "[[]]", "1"] {
            assert!(serde_json::from_str::<Body>(&format!(r#"{{"list":{bad}}}"#)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_is_no_object() {
        for (json, is_error) in [
            ("null", false),
            ("[]", false),
            ("[1]", true),
            ("1", true),
            (r#""a""#, true),
            ("true", true),
            ("-0.5", true),
        ] {
            let body = serde_json::from_str::<Body>(&format!(r#"{{"object":{json}}}"#));
            assert_eq!(body.map_or(true, |body| body.object.is_some()), is_error, "{json}");
            assert_eq!(read(&format!(r#"{{"patient":{json}}}"#)).patient, None, "{json}");
        }
        let body = read(r#"{"object":{"of":1},"patient":{"of":2}}"#);
        assert_eq!((body.object, body.patient), (Some(Inner { of: 1 }), Some(Inner { of: 2 })));
    }
}
