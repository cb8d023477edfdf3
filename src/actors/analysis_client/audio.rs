//! Recorded answers, in the form in which a vendor wants them: an address that opens one recording for a short while, or the
//! recording itself. No user's token is part of either.
//!
//! **Owns** nothing. **Fails** with [`NoAudio`]: a recording that is not there is an outcome, a storage that does not answer is asked
//! again later. **Limits**: [`AUDIO_BYTES_MAX`] of a recording that we fetch ourselves.

use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use reqwest::header::{HeaderValue, RANGE};
use reqwest::{Method, Url};

use super::attempt::Attempt;
use super::course::{Course, Cut, Working};
use crate::actors::feed_attempt::{Later, Wait};
use crate::connectors::analyzers::{Analyzer as _, Audio, AudioForm};
use crate::connectors::http::{Answer, BodyLimit, HttpError, Request};
use crate::connectors::transfer_feeds::{FeedError, TransferFeed as _};
use crate::domain::analysis::Outcome;

/// The longest recording that is fetched: half an hour at 8 kHz and 16 bits, which is what engines of this kind want.
pub const AUDIO_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The deadline of fetching one.
const FETCH_TIMEOUT: Duration = Duration::from_mins(2);
/// No recording that holds anything is smaller; the vendors take none that is.
const AUDIO_BYTES_MIN: usize = 50;
/// What is looked at to see whether there is any.
const GLANCE: HeaderValue = HeaderValue::from_static("bytes=0-63");
const GLANCE_BYTES: usize = 64;

/// Why there is nothing to hand over.
pub(super) enum NoAudio {
    /// And there never will be: this is what came of the answer.
    Final(Outcome),
    /// Not now.
    Cut(Cut),
}

impl From<Later> for NoAudio {
    fn from(later: Later) -> Self {
        Self::Cut(later.into())
    }
}

impl Attempt {
    /// The recording of an answer as its vendor wants it.
    pub async fn audio(&self, course: &Course, working: &Working, position: u32) -> Result<Audio, NoAudio> {
        let url = self.address(course, working, position).map_err(NoAudio::Cut)?;
        match course.analyzer.takes() {
            AudioForm::Address => Ok(Audio::Address { url, size_bytes: None }),
            AudioForm::Upload => {
                let bytes = self.fetch(course, url).await?;
                Ok(Audio::Bytes { bytes, file_name: format!("{position}.wav") })
            }
        }
    }

    /// Whether the storage says that there is no recording, or one that holds nothing. Asked where a vendor could not make anything
    /// of an address, for it says the same of every recording that it cannot have. Unsure is no.
    pub async fn has_no_audio(&self, course: &Course, working: &Working, position: u32) -> bool {
        let Ok(url) = self.address(course, working, position) else { return false };
        let mut request = Request::new(Method::GET, url);
        request.headers.insert(RANGE, GLANCE);
        request.body_limit = BodyLimit::Cut(GLANCE_BYTES);
        match self.means.recordings.send(request).await {
            Ok(Answer { status, body, .. }) => match status.as_u16() {
                // A range of nothing cannot be satisfied.
                404 | 410 | 416 => true,
                200 | 206 => body.len() < AUDIO_BYTES_MIN,
                _ => false,
            },
            Err(_) => false,
        }
    }

    fn address(&self, course: &Course, working: &Working, position: u32) -> Result<Url, Cut> {
        let now = self.means.claimer.store.now();
        let address = course.served.feed.connector.audio_address(&working.key, position as usize, now);
        address.map(|address| address.url).map_err(|error| course.trouble(&error))
    }

    async fn fetch(&self, course: &Course, url: Url) -> Result<Bytes, NoAudio> {
        let mut request = Request::new(Method::GET, url);
        request.timeout = Some(FETCH_TIMEOUT);
        let later = |error: String, wait: Option<Duration>| Later {
            error,
            wait: wait.map_or(Wait::Backoff, Wait::AtLeast),
            counts: false,
        };
        let answer = match self.means.recordings.send(request).await {
            Ok(answer) => answer,
            Err(HttpError::BodyTooLarge { status: 200, limit_bytes }) => {
                let reason = format!("the recording is longer than {limit_bytes} bytes, and was not sent");
                return Err(NoAudio::Final(Outcome::VendorRefused { reason }));
            }
            Err(error) => return Err(later(format!("recording not fetched: {error}"), None).into()),
        };
        match answer.status.as_u16() {
            200 if answer.body.len() >= AUDIO_BYTES_MIN => Ok(answer.body),
            200 | 404 | 410 => Err(NoAudio::Final(Outcome::AudioMissing)),
            status @ (401 | 403) => {
                let reason = format!("its storage says {status} to a recording's address");
                Err(NoAudio::Cut(course.trouble(&FeedError::SignedOut { reason })))
            }
            status => {
                let error = format!("recording not fetched: status {status}");
                Err(later(error, answer.retry_after(Utc::now())).into())
            }
        }
    }
}
