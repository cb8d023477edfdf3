//! Takes the readings of the moment: what lies in memory anew each time, what lies in the store once in a while.
//!
//! **Owns** the last sample of the store. **Fails** by leaving the store's readings out, which `bursar_store_sampled` tells.
//! **Limits**: one sample at a time, one in `metrics.sample_every`; a failed one counts as one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::certificates::Certificates;
use super::{standing, stored, tree};
use crate::config::CertificateSource;
use crate::metrics::{MetricsConfig, Reading, process};
use crate::web::door::Door;

/// Takes readings; clones share their last sample.
#[derive(Clone)]
pub struct Sampler {
    door: Door,
    certificates: Certificates,
    every: Duration,
    timeout: Duration,
    last: Arc<Mutex<Last>>,
}

#[derive(Default)]
struct Last {
    taken: Option<Instant>,
    samples: u64,
    /// Nothing where the store did not answer.
    readings: Option<Vec<Reading>>,
}

impl Sampler {
    /// Looks through this door, and at these certificates.
    pub fn new(config: &MetricsConfig, certificates: Vec<CertificateSource>, door: &Door) -> Self {
        let (every, timeout) = (config.sample_every, config.sample_timeout);
        let certificates = Certificates::new(certificates);
        Self { door: door.clone(), certificates, every, timeout, last: Arc::default() }
    }

    /// Everything that can be told now.
    pub async fn readings(&self) -> Arc<[Reading]> {
        let mut readings = process::readings();
        readings.push(standing::build());
        readings.extend(self.door.tree().into_iter().flat_map(|tree| tree::readings(&tree.snapshot())));
        readings.extend(standing::readings(self.door.house().map(Arc::as_ref)));
        readings.extend(self.certificates.readings().await);
        readings.extend(self.of_store().await);
        readings.into()
    }

    async fn of_store(&self) -> Vec<Reading> {
        let Some(house) = self.door.house() else { return Vec::new() };
        let mut last = self.last.lock().await;
        if last.taken.is_none_or(|taken| taken.elapsed() >= self.every) {
            last.readings = match timeout(self.timeout, stored::readings(house)).await {
                Ok(Ok(readings)) => Some(readings),
                Ok(Err(error)) => {
                    debug!(%error, "store not sampled");
                    None
                }
                Err(_) => None,
            };
            last.taken = Some(Instant::now());
            last.samples += 1;
        }
        let age = last.taken.map_or(0.0, |taken| taken.elapsed().as_secs_f64());
        let told = [
            Reading::gauge("bursar_store_sampled", "Whether the store answered the last sample.")
                .of(f64::from(u8::from(last.readings.is_some()))),
            Reading::gauge("bursar_store_sample_age_seconds", "How long ago the store was sampled.").of(age),
            Reading::counter("bursar_store_samples", "How often the store was sampled.")
                .of(last.samples as f64),
        ];
        told.into_iter().chain(last.readings.clone().unwrap_or_default()).collect()
    }
}
