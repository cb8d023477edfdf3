//! What the cloud is asked, in its own names.
//!
//! **Owns** nothing. **Fails** on a recording that cannot be named by an address, or a name that the answer's rows could not carry.

use serde::Serialize;

use crate::connectors::analyzers::{AnalyzerError, Audio, Question, call};

use super::config::NemesyscoCloudConfig;

/// The body of a call.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    #[serde(rename = "ServiceFlag")]
    service_flags: &'a str,
    #[serde(rename = "TestData")]
    questions: Vec<Part<'a>>,
}

#[derive(Serialize)]
struct Part<'a> {
    #[serde(rename = "Topic")]
    topic: &'a str,
    #[serde(rename = "Question")]
    question: &'a str,
    #[serde(rename = "Power")]
    power: u8,
    #[serde(rename = "URL")]
    url: &'a str,
}

impl<'a> Body<'a> {
    pub(super) fn of(
        questions: &[&'a Question],
        config: &'a NemesyscoCloudConfig,
    ) -> Result<Self, AnalyzerError> {
        let part = |question: &&'a Question| {
            let Audio::Address { url, .. } = &question.audio else {
                return Err(call::misconfigured("the cloud takes the address of a recording"));
            };
            // A row's fields are parted by semicolons, so that such a name would never be found again.
            if question.topic.contains(';') || question.question.contains(';') {
                return Err(call::misconfigured("a topic or a question is named with a semicolon"));
            }
            Ok(Part {
                topic: &question.topic,
                question: &question.question,
                power: config.power,
                url: url.as_str(),
            })
        };
        Ok(Self {
            service_flags: &config.service_flags,
            questions: questions.iter().map(part).collect::<Result<_, _>>()?,
        })
    }
}

/// What the rows of an answer call a question. Blanks at its ends are not told apart in a row.
pub(super) fn row_id(template: &str, question: &Question) -> String {
    let mut id = String::new();
    let mut rest = template;
    // Piece by piece, so that a topic with the other's name in braces stays what it is.
    while let Some(at) = rest.find('{') {
        let (before, placeholder) = rest.split_at(at);
        id.push_str(before);
        rest = if let Some(after) = placeholder.strip_prefix("{topic}") {
            id.push_str(&question.topic);
            after
        } else if let Some(after) = placeholder.strip_prefix("{question}") {
            id.push_str(&question.question);
            after
        } else {
            id.push('{');
            &placeholder[1..]
        };
    }
    id.push_str(rest);
    id.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_s_id_is_made_by_its_template() {
        let question = Question {
            position: 0,
            audio: Audio::Bytes { bytes: bytes::Bytes::new(), file_name: String::new() },
            length: None,
            topic: "{question}".to_owned(),
            question: "Q1".to_owned(),
            request_id: String::new(),
            consent: false,
        };
        for (template, id) in [
            ("{topic}{question}", "{question}Q1"),
            ("T{question} ", "TQ1"),
            ("{x}-{question}-{", "{x}-Q1-{"),
            ("", ""),
        ] {
            assert_eq!(row_id(template, &question), id, "{template}");
        }
    }
}
