//! What else the site can be asked: how it is, which version, what it reads, and its licence.
//!
//! **Owns** nothing. **Fails** as an analysis does.
//! **Limits**: the forms of these answers are published nowhere that we know of, so that they are handed on as they come,
//! once no known complaint stands in them.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use crate::connectors::analyzers::{AnalyzerError, RawAnswer, call, nemesysco};
use crate::connectors::http::form;

use super::config::Style;
use super::{FORM, NemesyscoContainer};

/// A question to the site itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteQuestion {
    /// How it is; the native style alone.
    Status,
    /// Which version it is.
    Version,
    /// What recordings it can read.
    Formats,
    /// Whether its engine answers; the native style alone.
    Online,
    /// Its licence as it stands; the Windows-compatible style alone.
    License,
}

impl NemesyscoContainer {
    /// Asks the site about itself.
    ///
    /// # Errors
    /// As [`AnalyzerError`] says; a question that the configured style does not know is a misconfiguration.
    pub async fn ask_site(&self, question: SiteQuestion) -> Result<RawAnswer, AnalyzerError> {
        let unknown = || call::misconfigured("the site does not know this question in the configured style");
        let request = match (self.config.style, question) {
            (Style::Native, SiteQuestion::Status) => self.native("STATUS", &[])?,
            (Style::Native, SiteQuestion::Version) => self.native("VERSION", &[])?,
            (Style::Native, SiteQuestion::Formats) => self.native("FORMATS", &[])?,
            (Style::Native, SiteQuestion::Online) => self.native("ONLINE", &[])?,
            (Style::Windows, SiteQuestion::Version) => self.windows(&["Version", ""], &[])?,
            (Style::Windows, SiteQuestion::Formats) => self.windows(&["Formats", ""], &[])?,
            (Style::Windows, SiteQuestion::License) => self.windows(&["GetLic", ""], &[])?,
            (Style::Native, SiteQuestion::License)
            | (Style::Windows, SiteQuestion::Status | SiteQuestion::Online) => return Err(unknown()),
        };
        without_complaint(self.send(request).await?)
    }

    /// Hands the site a licence. `key` is the site's, for the native style.
    ///
    /// # Errors
    /// As [`AnalyzerError`] says.
    pub async fn set_license(&self, key: &str, license: &str) -> Result<RawAnswer, AnalyzerError> {
        let request = match self.config.style {
            // The vendor's document calls the field `data`; its code reads `license`.
            Style::Native => {
                self.native("LICENSE", &[("key", key.to_owned()), ("license", license.to_owned())])?
            }
            Style::Windows => {
                let mut request = self.windows(&["SetLic", ""], &[])?;
                request.method = Method::POST;
                request.headers.insert(CONTENT_TYPE, FORM);
                request.body = form(&[("actv", license)]);
                request
            }
        };
        without_complaint(self.send(request).await?)
    }
}

/// An answer that is an object may complain; one that is something else may be a plain text.
fn without_complaint(body: Bytes) -> Result<RawAnswer, AnalyzerError> {
    if body.trim_ascii_start().starts_with(b"{") {
        nemesysco::read(&body)?;
    }
    Ok(RawAnswer(body))
}
