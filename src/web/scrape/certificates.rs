//! The certificates that the configuration names, by when they end.
//!
//! **Owns** the last look at them. **Fails** by counting what cannot be read. **Limits**: one look in [`EVERY`], on a thread of its own,
//! for a file may stand on a slow disk; those that bank accounts refer to are not among them, for their names are somebody's.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::standing::timestamp;
use crate::config::CertificateSource;
use crate::connectors::certificate::span_of;
use crate::metrics::Reading;

/// A certificate is renewed once in weeks.
const EVERY: Duration = Duration::from_secs(60);

/// What is looked at; clones share the last look.
#[derive(Clone)]
pub(super) struct Certificates {
    sources: Arc<[CertificateSource]>,
    last: Arc<Mutex<Option<Look>>>,
}

struct Look {
    taken: Instant,
    readings: Vec<Reading>,
}

impl Certificates {
    pub fn new(sources: Vec<CertificateSource>) -> Self {
        Self { sources: sources.into(), last: Arc::default() }
    }

    /// As they were when they were last looked at.
    pub async fn readings(&self) -> Vec<Reading> {
        let mut last = self.last.lock().await;
        if let Some(look) = last.as_ref().filter(|look| look.taken.elapsed() < EVERY) {
            return look.readings.clone();
        }
        let sources = self.sources.clone();
        // It ends without readings only when the process does.
        let readings = tokio::task::spawn_blocking(move || look(&sources)).await.unwrap_or_default();
        *last = Some(Look { taken: Instant::now(), readings: readings.clone() });
        readings
    }
}

fn look(sources: &[CertificateSource]) -> Vec<Reading> {
    let mut ends = Reading::gauge(
        "bursar_certificate_not_after_timestamp_seconds",
        "When a certificate ends, since 1970, by the key of the configuration that names it.",
    );
    let mut unreadable = 0;
    for source in sources {
        match span_of(&source.reference, source.is_authority) {
            Ok((_, end)) => ends.put([("certificate", &source.key)], timestamp(&end)),
            Err(_) => unreadable += 1,
        }
    }
    let unreadable = Reading::gauge(
        "bursar_certificates_unreadable",
        "Certificates that the configuration names and that cannot be read; `bursar doctor` says which.",
    )
    .of(f64::from(unreadable));
    vec![ends, unreadable]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_counted_and_tells_no_time() {
        let nowhere = CertificateSource {
            key: "api.tls.certificate".to_owned(),
            reference: "file:/nowhere/at/all.pem".to_owned(),
            is_authority: false,
        };
        let readings = look(&[nowhere]);
        assert!(readings[0].series.is_empty());
        assert_eq!(readings[1].series[0].value, 1.0);
    }
}
