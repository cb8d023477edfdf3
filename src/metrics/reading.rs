//! How something stands at the moment at which it is asked for.
//!
//! **Owns** nothing. **Fails** never: a label's value that could be somebody's own text is folded to [`OTHER`].
//! **Limits**: [`LABEL_BYTES_MAX`] a value, [`SERIES_MAX`] series a reading.

use super::OTHER;

/// Longer than any name of ours.
const LABEL_BYTES_MAX: usize = 128;
/// More than any tree or list of ours has; what comes on top is left out.
const SERIES_MAX: usize = 1_000;

/// Whether a value may fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    /// It only grows, from the begin of the process or of what it counts; Prometheus adds `_total` to its name.
    Counter,
}

/// One metric with its series.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    pub series: Vec<Series>,
}

/// One value under its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub labels: Vec<(&'static str, String)>,
    pub value: f64,
}

impl Reading {
    /// A gauge without series.
    pub fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge, series: Vec::new() }
    }

    /// A counter without series.
    pub fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Counter, series: Vec::new() }
    }

    /// With its one value, which has no label.
    pub fn of(mut self, value: f64) -> Self {
        self.put([], value);
        self
    }

    /// Adds a series.
    pub fn put<const N: usize>(&mut self, labels: [(&'static str, &str); N], value: f64) {
        if self.series.len() < SERIES_MAX {
            let labels = labels.map(|(name, value)| (name, folded(value).to_owned())).into();
            self.series.push(Series { labels, value });
        }
    }

    /// Adds to the series of these labels, which begins with zero.
    pub fn add<const N: usize>(&mut self, labels: [(&'static str, &str); N], value: f64) {
        let is_it = |series: &&mut Series| {
            let known = series.labels.iter().map(|(name, value)| (*name, value.as_str()));
            known.eq(labels.iter().map(|(name, value)| (*name, folded(value))))
        };
        match self.series.iter_mut().find(is_it) {
            Some(series) => series.value += value,
            None => self.put(labels, value),
        }
    }
}

/// The value as it may stand in a label: letters, digits and the marks of our own names.
pub(super) fn folded(value: &str) -> &str {
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:+".contains(&byte);
    if value.len() <= LABEL_BYTES_MAX && value.bytes().all(is_ours) { value } else { OTHER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_anybodys_text_is_no_label() {
        let long = "x".repeat(LABEL_BYTES_MAX + 1);
        for text in ["a b", "João", "\"quoted\"", "line\nbreak", long.as_str()] {
            assert_eq!(folded(text), OTHER, "{text}");
        }
        for name in ["registration/itau", "root/house", "1.2.3+4", ""] {
            assert_eq!(folded(name), name);
        }
    }

    #[test]
    fn series_add_up_and_have_a_bound() {
        let mut reading = Reading::gauge("bursar_things", "Things");
        reading.add([("kind", "a")], 1.0);
        reading.add([("kind", "a")], 2.0);
        reading.add([("kind", "b")], 4.0);
        let values: Vec<f64> = reading.series.iter().map(|series| series.value).collect();
        assert_eq!(values, [3.0, 4.0]);
        for number in 0..2 * SERIES_MAX {
            reading.put([("kind", &number.to_string())], 1.0);
        }
        assert_eq!(reading.series.len(), SERIES_MAX);
    }
}
