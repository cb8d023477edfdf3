//! Metrics as text, in OpenMetrics 1.0 or in Prometheus's older format.
//!
//! **Owns** nothing. **Fails** only where text cannot be put together, which memory alone could keep it from.
//! **Limits**: exemplars are told in OpenMetrics alone; the older format has no place for them.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::calls;
use super::reading::{Kind, Reading};

/// How the text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    OpenMetrics,
    /// Prometheus's text format 0.0.4.
    Classic,
}

impl Format {
    /// The format that an `Accept` header asks for: whoever does not know OpenMetrics by name is told in the older one.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Classic }
    }

    /// The media type that says so.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Everything recorded so far, and these readings.
///
/// # Errors
/// None in practice; a text takes whatever is written to it.
pub fn write(format: Format, readings: Arc<[Reading]>) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode_registry(&mut text, calls::registry())?;
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Readings(readings)));
    encode_registry(&mut text, &registry)?;
    encode_eof(&mut text)?;
    Ok(match format {
        Format::OpenMetrics => text,
        Format::Classic => classic(&text),
    })
}

/// Readings, as the registry asks for them.
#[derive(Debug)]
struct Readings(Arc<[Reading]>);

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for reading in self.0.iter().filter(|reading| !reading.series.is_empty()) {
            let metric_type = match reading.kind {
                Kind::Gauge => MetricType::Gauge,
                Kind::Counter => MetricType::Counter,
            };
            let mut metric = encoder.encode_descriptor(reading.name, reading.help, None, metric_type)?;
            for series in &reading.series {
                if series.labels.is_empty() {
                    put(&mut metric, reading.kind, series.value)?;
                } else {
                    put(&mut metric.encode_family(&series.labels)?, reading.kind, series.value)?;
                }
            }
        }
        Ok(())
    }
}

fn put(metric: &mut MetricEncoder, kind: Kind, value: f64) -> fmt::Result {
    match kind {
        Kind::Gauge => metric.encode_gauge(&value),
        Kind::Counter => metric.encode_counter::<NoLabelSet, f64, f64>(&value, None),
    }
}

/// The older format says the same, but a counter is called as its one sample is, and there are no units and no exemplars.
fn classic(text: &str) -> String {
    let mut classic = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    let mut counter = None;
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let name = rest.split(' ').next().unwrap_or_default();
            let is_counter = lines.peek().is_some_and(|next| *next == format!("# TYPE {name} counter"));
            counter = is_counter.then_some(name);
        }
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        match counter {
            Some(name) if line.starts_with("# ") => {
                classic.push_str(&line.replacen(name, &format!("{name}_total"), 1));
            }
            _ if line.starts_with("# ") => classic.push_str(line),
            _ => classic.push_str(line.split_once(" # {").map_or(line, |(sample, _)| sample)),
        }
        classic.push('\n');
    }
    classic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_written_in_both_formats() {
        let mut gauge = Reading::gauge("bursar_test_things", "Things.");
        gauge.put([("kind", "a")], 2.5);
        let readings: Arc<[Reading]> =
            [gauge, Reading::counter("bursar_test_turns", "Turns.").of(7.0), Reading::gauge("none", "None.")]
                .into();
        let open = write(Format::OpenMetrics, readings.clone()).unwrap();
        for line in [
            "# TYPE bursar_test_things gauge",
            "bursar_test_things{kind=\"a\"} 2.5",
            "# TYPE bursar_test_turns counter",
            "bursar_test_turns_total 7.0",
        ] {
            assert!(open.lines().any(|there| there == line), "{line} in {open}");
        }
        assert!(open.ends_with("# EOF\n") && !open.contains("none"));
        let older = write(Format::Classic, readings).unwrap();
        assert!(
            older.contains("# TYPE bursar_test_turns_total counter\nbursar_test_turns_total 7.0\n"),
            "{older}"
        );
        assert!(!older.contains("# EOF") && !older.contains("# UNIT"));
    }

    #[test]
    fn an_exemplar_stays_out_of_the_older_format() {
        let open = "# HELP a_seconds Help.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
                    a_seconds_bucket{le=\"0.1\"} 1 # {trace_id=\"00ff\"} 0.05\n# EOF\n";
        let older = "# HELP a_seconds Help.\n# TYPE a_seconds histogram\na_seconds_bucket{le=\"0.1\"} 1\n";
        assert_eq!(classic(open), older);
    }

    #[test]
    fn who_asks_for_it_by_name_gets_openmetrics() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        assert_eq!(Format::accepted("*/*"), Format::Classic);
        assert_eq!(Format::accepted(""), Format::Classic);
    }
}
