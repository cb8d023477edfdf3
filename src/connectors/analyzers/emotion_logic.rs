//! Emotion Logic: one question a call, its recording uploaded or named by an address.
//!
//! The cloud asks whether the person has consented. That is taken from the record and never assumed: an answer without consent
//! is not sent.
//!
//! **Owns** nothing. **Fails** as [`AnalyzerError`] says. The vendor's codes of errors are not public, so that whatever is no
//! success is unreadable, unless an operator has sorted its code.
//! **Limits**: measured only; there is no formula for a score. Secrets travel in the body, never in a query. Speech to text,
//! which is billed, is not asked for.

pub mod config;
mod multipart;
mod wire;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::connectors::http::{HttpClient, Request};

use super::{Analysis, Analyzer, AnalyzerError, AnalyzerKind, Audio, AudioForm, Question, call};
use config::{Edition, EmotionLogicConfig};

/// The longest request id that the vendor keeps.
const REQUEST_ID_BYTES_MAX: usize = 36;

/// The connector. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct EmotionLogic {
    config: EmotionLogicConfig,
    http: HttpClient,
}

/// What the cloud knows us by.
struct Keys {
    key: SecretString,
    password: SecretString,
}

impl EmotionLogic {
    /// A connector that calls through a client for configured addresses.
    pub fn new(config: EmotionLogicConfig, http: HttpClient) -> Self {
        Self { config, http }
    }

    async fn ask(&self, question: &Question) -> Result<Analysis, AnalyzerError> {
        if question.has_no_audio() {
            return Ok(Analysis::of_no_audio());
        }
        if self.wants_consent() && !question.consent {
            let reason = "the record holds no consent, which the vendor asks for".to_owned();
            return Err(AnalyzerError::Refused { reason });
        }
        let body = call::send(&self.http, self.request(question)?).await?;
        wire::read(&body, &self.config)
    }

    fn request(&self, question: &Question) -> Result<Request, AnalyzerError> {
        if question.request_id.len() > REQUEST_ID_BYTES_MAX {
            return Err(call::misconfigured("the request id is longer than 36 bytes"));
        }
        call::check_line(self.config.url.url(), self.config.plain_http)?;
        let keys = self.keys()?;
        let (page, kind, body) = match &question.audio {
            Audio::Bytes { bytes, file_name } => {
                let form = multipart::Form::new(&question.request_id, bytes);
                let fields = self.fields(question, keys.as_ref());
                let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.text())).collect();
                let body = form.body(&fields, file_name, bytes);
                ("analyzeFile", form.content_type(), body)
            }
            Audio::Address { url, .. } => {
                let mut fields: serde_json::Map<_, _> = self
                    .fields(question, keys.as_ref())
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value.json()))
                    .collect();
                fields.insert("url".to_owned(), url.as_str().into());
                let body = Bytes::from(serde_json::Value::Object(fields).to_string());
                ("analyzeFromURL", "application/json".to_owned(), body)
            }
        };
        let mut request = Request::new(Method::POST, self.config.url.join(&["analysis", page]));
        let kind = HeaderValue::from_str(&kind);
        request
            .headers
            .insert(CONTENT_TYPE, kind.map_err(|_| call::misconfigured("the form has no boundary"))?);
        request.timeout = Some(self.config.timeout.deadline(question.length));
        request.body = body;
        Ok(request)
    }

    fn keys(&self) -> Result<Option<Keys>, AnalyzerError> {
        if self.config.edition == Edition::Container {
            return Ok(None);
        }
        Ok(Some(Keys {
            key: call::secret(self.config.api_key.as_ref(), "emotion_logic.api_key")?,
            password: call::secret(self.config.api_key_password.as_ref(), "emotion_logic.api_key_password")?,
        }))
    }

    /// What is said beside the recording.
    fn fields(&self, question: &Question, keys: Option<&Keys>) -> Vec<(&'static str, Value)> {
        let config = &self.config;
        let mut fields = vec![
            ("sensitivity", Value::Text(config.sensitivity.as_str().to_owned())),
            ("outputType", Value::Text("json".to_owned())),
            ("backgroundNoise", Value::Number(config.background_noise)),
        ];
        if config.dummy_response {
            fields.push(("dummyResponse", Value::Flag(true)));
        }
        if !question.request_id.is_empty() {
            fields.push(("requestId", Value::Text(question.request_id.clone())));
        }
        if let Some(keys) = keys {
            fields.push(("apiKey", Value::Text(keys.key.expose_secret().to_owned())));
            fields.push(("apiKeyPassword", Value::Text(keys.password.expose_secret().to_owned())));
            // As the record has it: whoever has not consented does not come as far as this.
            fields.push(("consentObtainedFromDataSubject", Value::Flag(question.consent)));
        }
        fields
    }
}

/// A value, which a form writes as text.
enum Value {
    Text(String),
    Number(u32),
    Flag(bool),
}

impl Value {
    fn json(self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Number(number) => number.into(),
            Self::Flag(flag) => flag.into(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

impl Analyzer for EmotionLogic {
    fn kind(&self) -> AnalyzerKind {
        AnalyzerKind::EmotionLogic
    }

    fn formula(&self) -> Option<&'static str> {
        None
    }

    fn wants_consent(&self) -> bool {
        self.config.edition == Edition::Cloud
    }

    fn takes(&self) -> AudioForm {
        self.config.send
    }

    fn questions_max(&self) -> usize {
        1
    }

    async fn analyze(&self, questions: &[Question]) -> Vec<Result<Analysis, AnalyzerError>> {
        let mut results = Vec::with_capacity(questions.len());
        for question in questions {
            results.push(self.ask(question).await);
        }
        results
    }
}
