//! Nemesysco's cloud: several questions in one POST, matched by topic and question.
//!
//! **Owns** nothing. **Fails** as [`AnalyzerError`] says, each question by itself where the answer lets them be told apart; a
//! row of risk that belongs to no question of the call spoils the call.
//! **Limits**: what the rows call a question is known from samples of single calls only: their topic and question in one word.
//! It is a template of the settings, therefore, and two questions that would have the same id are not asked about in one call.

pub mod config;
mod wire;

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};

use crate::connectors::http::{HttpClient, Request};
use crate::domain::analysis::formula::FORMULA;

use super::nemesysco::Ra7;
use super::{Analysis, Analyzer, AnalyzerError, AnalyzerKind, AudioForm, Question, call};
use config::NemesyscoCloudConfig;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The connector. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct NemesyscoCloud {
    config: NemesyscoCloudConfig,
    http: HttpClient,
}

impl NemesyscoCloud {
    /// A connector that calls through a client for configured addresses.
    pub fn new(config: NemesyscoCloudConfig, http: HttpClient) -> Self {
        Self { config, http }
    }

    /// Asks about questions whose ids differ.
    async fn ask(&self, questions: &[&Question], ids: &[String]) -> Vec<Result<Analysis, AnalyzerError>> {
        let answered = async {
            let body = call::send(&self.http, self.request(questions)?).await?;
            Ra7::read(&body)?.each(ids)
        };
        match answered.await {
            Ok(each) => each,
            Err(error) => vec![Err(error); questions.len()],
        }
    }

    fn request(&self, questions: &[&Question]) -> Result<Request, AnalyzerError> {
        let url = self.config.url.as_ref();
        let url = url.ok_or_else(|| call::misconfigured("nemesysco_cloud.url is not set"))?.url().clone();
        call::check_line(&url, self.config.plain_http)?;
        let body = wire::Body::of(questions, &self.config)?;
        let mut request = Request::new(Method::POST, url);
        // One after the other is the slowest way in which the vendor can go about it.
        let lengths = questions.iter().filter_map(|question| question.length);
        let length = lengths.fold(Duration::ZERO, Duration::saturating_add);
        request.timeout = Some(self.config.timeout.deadline(Some(length)));
        request.headers.insert(ACCEPT, JSON);
        request.headers.insert(CONTENT_TYPE, JSON);
        if self.config.auth.is_some() {
            call::put_auth(&mut request, &call::secret(self.config.auth.as_ref(), "nemesysco_cloud.auth")?)?;
        }
        request.body = Bytes::from(
            serde_json::to_vec(&body).map_err(|_| call::misconfigured("the request cannot be written"))?,
        );
        Ok(request)
    }
}

/// The next call: the places of as many questions as fit into one, none with the id of another.
fn next_call(left: &mut Vec<usize>, ids: &[String], most: usize) -> Vec<usize> {
    let mut known = HashSet::new();
    let mut chosen = Vec::new();
    left.retain(|place| {
        let fits = chosen.len() < most && known.insert(ids[*place].as_str());
        if fits {
            chosen.push(*place);
        }
        !fits
    });
    chosen
}

impl Analyzer for NemesyscoCloud {
    fn kind(&self) -> AnalyzerKind {
        AnalyzerKind::NemesyscoCloud
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
        self.config.questions_max.max(1)
    }

    async fn analyze(&self, questions: &[Question]) -> Vec<Result<Analysis, AnalyzerError>> {
        let mut results: Vec<Option<Result<Analysis, AnalyzerError>>> =
            questions.iter().map(|one| one.has_no_audio().then(|| Ok(Analysis::of_no_audio()))).collect();
        let ids: Vec<String> = questions.iter().map(|one| wire::row_id(&self.config.row_id, one)).collect();
        let mut left: Vec<usize> = (0..questions.len()).filter(|place| results[*place].is_none()).collect();
        while !left.is_empty() {
            let places = next_call(&mut left, &ids, self.questions_max());
            let asked: Vec<&Question> = places.iter().map(|place| &questions[*place]).collect();
            let asked_ids: Vec<String> = places.iter().map(|place| ids[*place].clone()).collect();
            for (place, result) in places.into_iter().zip(self.ask(&asked, &asked_ids).await) {
                results[place] = Some(result);
            }
        }
        // Each call chooses at least one place and answers all that it chose, so that none is left out.
        results.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_with_the_same_id_go_into_calls_of_their_own() {
        let ids = ["a", "b", "a", "c", "a"].map(str::to_owned);
        let mut left = vec![0, 1, 2, 3, 4];
        let mut calls = Vec::new();
        while !left.is_empty() {
            calls.push(next_call(&mut left, &ids, 3));
        }
        assert_eq!(calls, [vec![0, 1, 3], vec![2], vec![4]]);
    }
}
