//! Nemesysco RA7: one question a call, by the address of its recording.
//!
//! **Owns** nothing. **Fails** as [`AnalyzerError`] says.
//! **Limits**: the vendor is sent the address and a secret and nothing else: no text of a question, no name. The address is
//! the rest of a configured prefix, with nothing in it left unescaped.

pub mod config;

use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};

use crate::connectors::http::{HttpClient, Request};
use crate::domain::analysis::formula::FORMULA;

use super::nemesysco::Ra7;
use super::{Analysis, Analyzer, AnalyzerError, AnalyzerKind, Audio, AudioForm, Question, call};
use config::NemesyscoRa7Config;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The connector. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct NemesyscoRa7 {
    config: NemesyscoRa7Config,
    http: HttpClient,
}

impl NemesyscoRa7 {
    /// A connector that calls through a client for configured addresses.
    pub fn new(config: NemesyscoRa7Config, http: HttpClient) -> Self {
        Self { config, http }
    }

    async fn ask(&self, question: &Question) -> Result<Analysis, AnalyzerError> {
        if question.has_no_audio() {
            return Ok(Analysis::of_no_audio());
        }
        let body = call::send(&self.http, self.request(question)?).await?;
        Ra7::read(&body)?.only()
    }

    fn request(&self, question: &Question) -> Result<Request, AnalyzerError> {
        let Audio::Address { url: audio, .. } = &question.audio else {
            return Err(call::misconfigured("RA7 takes the address of a recording"));
        };
        let prefix = self
            .config
            .prefix
            .as_ref()
            .ok_or_else(|| call::misconfigured("nemesysco_ra7.prefix is not set"))?;
        let url = Url::parse(&format!("{}{}", prefix.as_str(), call::escaped(audio.as_str())))
            .map_err(|_| call::misconfigured("nemesysco_ra7.prefix is no address"))?;
        call::check_line(&url, self.config.plain_http)?;
        let mut request = Request::new(Method::GET, url);
        request.timeout = Some(self.config.timeout.deadline(question.length));
        request.headers.insert(ACCEPT, JSON);
        request.headers.insert(CONTENT_TYPE, JSON);
        request.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        call::put_auth(&mut request, &call::secret(self.config.auth.as_ref(), "nemesysco_ra7.auth")?)?;
        Ok(request)
    }
}

impl Analyzer for NemesyscoRa7 {
    fn kind(&self) -> AnalyzerKind {
        AnalyzerKind::NemesyscoRa7
    }

    fn formula(&self) -> Option<&'static str> {
        Some(FORMULA)
    }

    fn wants_consent(&self) -> bool {
        false
    }

    fn takes(&self) -> AudioForm {
        AudioForm::Address
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
