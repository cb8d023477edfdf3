//! Nemesysco's own site, run by the operator in a container, in both of the styles that it is spoken to.
//!
//! **Owns** nothing. **Fails** as [`AnalyzerError`] says: the site answers 200 to everything, and writes its errors as the
//! kind of a page, so that the body is read whatever it is said to be.
//! **Limits**: one question a call, by the address of its recording, which the site fetches. The header or user id that the
//! site asks for is no protection: whoever reaches it may use it, hence it belongs on a private network. In the native style
//! everything is posted, so that neither the user id nor an address stands in a log of queries.

pub mod config;
pub mod site;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;

use crate::connectors::http::{HttpClient, Request, form};
use crate::domain::analysis::formula::FORMULA;

use super::nemesysco::{Ra7, measured};
use super::{Analysis, Analyzer, AnalyzerError, AnalyzerKind, Audio, AudioForm, Question, call};
use config::{Engine, NemesyscoContainerConfig, Style};

/// What the Windows-compatible style wants as its type of action.
const ACTION_TYPE: &str = "1234";
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// The connector. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct NemesyscoContainer {
    config: NemesyscoContainerConfig,
    http: HttpClient,
}

impl NemesyscoContainer {
    /// A connector that calls through a client for configured addresses.
    pub fn new(config: NemesyscoContainerConfig, http: HttpClient) -> Self {
        Self { config, http }
    }

    async fn ask(&self, question: &Question) -> Result<Analysis, AnalyzerError> {
        if question.has_no_audio() {
            return Ok(Analysis::of_no_audio());
        }
        let body = call::send(&self.http, self.request(question)?).await?;
        match self.config.engine {
            Engine::Ra7 => Ra7::read(&body)?.only(),
            Engine::Lva7 => measured(&body, "LVA7 Report"),
            Engine::Qa7 => measured(&body, "QA7 Report"),
        }
    }

    fn request(&self, question: &Question) -> Result<Request, AnalyzerError> {
        let Audio::Address { url: audio, .. } = &question.audio else {
            return Err(call::misconfigured("the site takes the address of a recording"));
        };
        let mut request = match self.config.style {
            Style::Windows => self.windows(&["Analyze", ""], &self.windows_query(audio, question))?,
            Style::Native => self.native("ANALYZE", &self.native_fields(audio, question))?,
        };
        request.timeout = Some(self.config.timeout.deadline(question.length));
        Ok(request)
    }

    /// A question in the Windows-compatible style.
    fn windows(&self, path: &[&str], query: &[(&str, String)]) -> Result<Request, AnalyzerError> {
        let mut url = self.address(path)?;
        if !query.is_empty() {
            // Put together by hand: a form would write a blank as a plus, and leave signs of an address as they are.
            let pairs = query.iter().map(|(name, value)| format!("{name}={}", call::escaped(value)));
            url.set_query(Some(&pairs.collect::<Vec<_>>().join("&")));
        }
        let mut request = Request::new(Method::GET, url);
        call::put_auth(&mut request, &self.secret()?)?;
        Ok(request)
    }

    /// A question in the native style.
    fn native(&self, action: &str, fields: &[(&str, String)]) -> Result<Request, AnalyzerError> {
        let user = self.secret()?;
        let own = [("action", action), ("userID", user.expose_secret())];
        let pairs: Vec<(&str, &str)> =
            own.into_iter().chain(fields.iter().map(|(name, value)| (*name, value.as_str()))).collect();
        let mut request = Request::new(Method::POST, self.address(&["_api.php"])?);
        request.headers.insert(CONTENT_TYPE, FORM);
        request.body = form(&pairs);
        Ok(request)
    }

    fn windows_query(&self, audio: &Url, question: &Question) -> Vec<(&'static str, String)> {
        let names = ["bg", "segMaxLength", "at", "toMono", "normalize"];
        let mut query =
            vec![("actionType", ACTION_TYPE.to_owned()), ("audioStreamURL", audio.as_str().to_owned())];
        query.extend(self.settings(names));
        query.extend(self.titles(question));
        query
    }

    fn native_fields(&self, audio: &Url, question: &Question) -> Vec<(&'static str, String)> {
        let names = ["BG", "segMaxLen", "analyzeType", "toMono", "normalize"];
        let mut fields = vec![("URL", audio.as_str().to_owned())];
        fields.extend(self.settings(names));
        fields.extend(self.titles(question));
        fields
    }

    /// The settings that differ from the site's own, under these names.
    fn settings(&self, names: [&'static str; 5]) -> Vec<(&'static str, String)> {
        let numbers = |config: &NemesyscoContainerConfig| {
            [
                config.background_noise,
                config.segment_length_max_s.into(),
                config.analyze_type.into(),
                config.to_mono.into(),
                config.normalize.into(),
            ]
        };
        let (own, usual) = (numbers(&self.config), numbers(&NemesyscoContainerConfig::default()));
        let changed = own.into_iter().zip(usual).map(|(own, usual)| (own != usual).then(|| own.to_string()));
        names.into_iter().zip(changed).filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn titles(&self, question: &Question) -> Vec<(&'static str, String)> {
        if !self.config.send_titles {
            return Vec::new();
        }
        vec![("topic", question.topic.clone()), ("question", question.question.clone())]
    }

    fn address(&self, path: &[&str]) -> Result<Url, AnalyzerError> {
        let base = self.config.url.as_ref();
        let base = base.ok_or_else(|| call::misconfigured("nemesysco_container.url is not set"))?;
        call::check_line(base.url(), self.config.plain_http)?;
        Ok(base.join(path))
    }

    fn secret(&self) -> Result<secrecy::SecretString, AnalyzerError> {
        call::secret(self.config.auth.as_ref(), "nemesysco_container.auth")
    }

    async fn send(&self, request: Request) -> Result<Bytes, AnalyzerError> {
        call::send(&self.http, request).await
    }
}

impl Analyzer for NemesyscoContainer {
    fn kind(&self) -> AnalyzerKind {
        AnalyzerKind::NemesyscoContainer
    }

    fn formula(&self) -> Option<&'static str> {
        matches!(self.config.engine, Engine::Ra7).then_some(FORMULA)
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
