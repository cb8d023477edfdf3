//! The labels that expressions of PromQL ask for, held against those that samples have.

use std::collections::{BTreeMap, BTreeSet};

use super::names;

/// What Prometheus itself says of every sample.
const OF_THE_SCRAPER: [&str; 2] = ["instance", "job"];

/// The labels of an exposition's samples, by the sample's name.
pub fn labels(text: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        let of_sample = rest.strip_prefix('{').map(keys).unwrap_or_default();
        found.entry(name).or_default().extend(of_sample);
    }
    found
}

/// What an expression, or words that show what it finds, ask of samples that have no such label.
pub fn missing(text: &str, there: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut hold = |label: &str, metrics: &BTreeSet<&str>| {
        let has = |metric: &&&str| there.get(**metric).is_some_and(|labels| labels.contains(label));
        if !OF_THE_SCRAPER.contains(&label)
            && let Some(without) = metrics.iter().find(|metric| !has(metric))
        {
            faults.push(format!("{without} has no {label}"));
        }
    };
    for metric in names(text) {
        let selectors = text.match_indices(metric).filter_map(|(at, _)| {
            let before = text[..at].chars().next_back();
            let is_whole = !before.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '_');
            text[at + metric.len()..].strip_prefix('{').filter(|_| is_whole)
        });
        for label in selectors.flat_map(keys) {
            hold(label, &BTreeSet::from([metric]));
        }
    }
    for (at, by) in text.match_indices(" by (") {
        let (labels, rest) = text[at + by.len()..].split_once(')').expect("a list of labels has an end");
        let inner = within_parentheses(rest.trim_start());
        for label in labels.split(',') {
            hold(label.trim(), &names(inner));
        }
    }
    faults
}

/// The keys of what stands behind an opening brace, `key="value"` in an exposition and `key=~"value"` in a selector.
fn keys(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((key, value)) = rest.split_once('"') {
        if key.contains('}') {
            break;
        }
        found.push(key.trim_matches(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'));
        let mut is_escaped = false;
        let end = value.find(|letter| {
            let is_end = letter == '"' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            is_end
        });
        rest = &value[end.expect("a value has an end") + 1..];
    }
    found
}

/// What stands between the parenthesis with which `text` begins and the one that closes it.
fn within_parentheses(text: &str) -> &str {
    let inner = text.strip_prefix('(').expect("what is summed up stands in parentheses");
    let mut depth = 1;
    let end = inner.find(|letter| {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        depth == 0
    });
    &inner[..end.expect("a parenthesis is closed")]
}

#[test]
fn a_label_that_no_sample_has_is_found() {
    let text = "# TYPE bursar_a gauge\nbursar_a{queue=\"x, \\\"y\\\" {z}\",state=\"due\"} 1\nbursar_b 2 # {trace_id=\"7\"} 1\n";
    let there = labels(text);
    assert_eq!(there["bursar_a"], BTreeSet::from(["queue", "state"]));
    assert!(there["bursar_b"].is_empty());
    let right = "sum by (queue, instance) (rate(bursar_a{state=~\"due|(late)\", job=\"j\"}[5m])) > 0 and bursar_b == 1";
    assert_eq!(missing(right, &there), [""; 0]);
    for wrong in [
        "bursar_a{stat=\"due\"}",
        "max by (queu) (bursar_a)",
        "max by (queue) (bursar_a + bursar_b)",
        "bursar_b{queue!=\"\"}",
    ] {
        assert_eq!(missing(wrong, &there).len(), 1, "{wrong}");
    }
}
