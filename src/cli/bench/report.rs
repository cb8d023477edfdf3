//! What was measured: rows of medians over rounds, the goals that they are held against, and how both are shown.
//!
//! **Owns** the words and units. **Fails** never: a figure that is not known is left out.
//! **Limits**: a ratio is always ours through the peer's, so that above 1 is good for rates and bad for times.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::load::{CpuMs, Taken};
use super::process::load_average;
use crate::cli::table::{Cell, aligned};

const TITLES: [&str; 15] = [
    "MEASURE",
    "STORE",
    "RESULT",
    "RANGE",
    "P50 ms",
    "P99 ms",
    "CPU ms: SERVICE",
    "WORLD",
    "DATABASE",
    "CLIENT",
    "MiB",
    "PEER",
    "RATIO",
    "LOAD",
    "NOTE",
];

/// One measured thing.
#[derive(Serialize)]
pub(super) struct Row {
    pub measure: &'static str,
    pub store: &'static str,
    /// The median over the rounds.
    pub result: f64,
    pub unit: &'static str,
    /// The lowest and the highest round.
    pub range: [f64; 2],
    pub rounds: usize,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// Of each operation, by process.
    pub cpu_ms: CpuMs,
    pub resident_mib: Option<f64>,
    /// The peer that stands in the same row; some have a row of their own instead.
    pub peer: Option<PeerFigure>,
    /// Ours through the peer's.
    pub ratio: Option<f64>,
    /// Of the last minute, when the row was begun and when it was done.
    pub load_average: [Option<f64>; 2],
    pub note: String,
    pub goals: Vec<Goal>,
}

/// The same thing done by somebody else in the same run.
#[derive(Serialize)]
pub(super) struct PeerFigure {
    pub name: &'static str,
    pub result: f64,
}

/// What a figure was meant to be.
#[derive(Serialize)]
pub(super) struct Goal {
    pub what: &'static str,
    #[serde(flatten)]
    pub bound: Bound,
    pub measured: f64,
    pub met: bool,
}

/// A bound, itself allowed.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// The machine's load when a row is begun.
pub(super) struct Begun(Option<f64>);

impl Begun {
    pub fn now() -> Self {
        Self(load_average())
    }
}

impl Row {
    /// A row whose result is the median of these, one for each round.
    pub fn new(
        measure: &'static str,
        store: &'static str,
        unit: &'static str,
        results: &[f64],
        begun: &Begun,
    ) -> Self {
        let lowest = results.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = results.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self {
            measure,
            store,
            result: median(results),
            unit,
            range: [lowest, highest],
            rounds: results.len(),
            p50_ms: None,
            p99_ms: None,
            cpu_ms: CpuMs::default(),
            resident_mib: None,
            peer: None,
            ratio: None,
            load_average: [begun.0, load_average()],
            note: String::new(),
            goals: Vec::new(),
        }
    }

    /// A row of calls a second, with all that the windows tell.
    pub fn of_calls(measure: &'static str, store: &'static str, rounds: &[Taken], begun: &Begun) -> Self {
        let rates: Vec<f64> = rounds.iter().map(Taken::rate).collect();
        Self::new(measure, store, "/s", &rates, begun).with_windows(rounds)
    }

    /// A peer's own row: its rates, and ours through them.
    pub fn of_peer(peer: &'static str, store: &'static str, rates: &[f64], ours: f64, begun: &Begun) -> Self {
        let row = Self::new(peer, store, "/s", rates, begun);
        Self { ratio: Some(ours / row.result), ..row }.note("ratio: created / this")
    }

    /// Latencies and processor times.
    pub fn with_windows(mut self, rounds: &[Taken]) -> Self {
        let over = |figure: &dyn Fn(&Taken) -> Option<f64>| -> Option<f64> {
            let known: Vec<f64> = rounds.iter().filter_map(figure).collect();
            (!known.is_empty()).then(|| median(&known))
        };
        self.p50_ms = over(&|taken| Some(taken.quantile(0.5)));
        self.p99_ms = over(&|taken| Some(taken.quantile(0.99)));
        self.cpu_ms = CpuMs {
            service: over(&|taken| taken.cpu_ms.service),
            world: over(&|taken| taken.cpu_ms.world),
            database: over(&|taken| taken.cpu_ms.database),
            client: over(&|taken| taken.cpu_ms.client),
        };
        self
    }

    /// Compares with a peer's rounds.
    pub fn against(mut self, name: &'static str, rounds: &[f64]) -> Self {
        if !rounds.is_empty() {
            let result = median(rounds);
            self.ratio = Some(self.result / result);
            self.peer = Some(PeerFigure { name, result });
        }
        self
    }

    pub fn resident(mut self, mib: Option<f64>) -> Self {
        self.resident_mib = mib;
        self
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Holds a figure, if it is known, against a goal.
    pub fn goal(mut self, what: &'static str, bound: Bound, measured: Option<f64>) -> Self {
        if let Some(measured) = measured {
            let met = match bound {
                Bound::AtLeast(least) => measured >= least,
                Bound::AtMost(most) => measured <= most,
            };
            self.goals.push(Goal { what, bound, measured, met });
        }
        self
    }

    /// Holds the ratio, if there is a peer, against the least that it is meant to be.
    pub fn goal_of_ratio(self, least: f64) -> Self {
        let ratio = self.ratio;
        self.goal("ratio", Bound::AtLeast(least), ratio)
    }

    /// Holds the result itself against a goal.
    pub fn result_goal(self, bound: Bound) -> Self {
        let result = self.result;
        self.goal("result", bound, Some(result))
    }
}

/// The middle of the values, or between the two that are.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// Everything as one document.
pub(super) fn document(surroundings: &Value, rows: &[Row]) -> Value {
    json!({ "surroundings": surroundings, "rows": rows })
}

/// Everything for people.
pub(super) fn text(surroundings: &Value, rows: &[Row]) -> String {
    let lines: Vec<[String; TITLES.len()]> = rows.iter().map(row_texts).collect();
    // A column that nobody has anything to say in is left out.
    let told: Vec<usize> =
        (0..TITLES.len()).filter(|&at| lines.iter().any(|line| !line[at].is_empty())).collect();
    let mut cells: Vec<Vec<Cell>> = vec![told.iter().map(|&at| Cell::new(TITLES[at])).collect()];
    cells.extend(lines.iter().map(|line| told.iter().map(|&at| Cell::new(&line[at])).collect()));
    let mut text = String::new();
    let shown = crate::cli::table::plain(surroundings);
    let _ = writeln!(
        text,
        "{shown}\nmedians of rounds; ratio = ours / peer; load = 1-minute average, before → after\n"
    );
    text.push_str(&aligned(&cells, false));
    let goals: Vec<Vec<Cell>> = rows.iter().flat_map(goal_cells).collect();
    if !goals.is_empty() {
        let _ = writeln!(text, "\ngoals:");
        text.push_str(&aligned(&goals, false));
    }
    text
}

fn row_texts(row: &Row) -> [String; TITLES.len()] {
    let maybe = |value: Option<f64>| value.map_or_else(String::new, number);
    let loads = row.load_average.map(|load| load.map_or_else(String::new, |load| format!("{load:.2}")));
    [
        row.measure.to_owned(),
        row.store.to_owned(),
        format!("{} {}", number(row.result), row.unit),
        format!("{}–{}", number(row.range[0]), number(row.range[1])),
        maybe(row.p50_ms),
        maybe(row.p99_ms),
        maybe(row.cpu_ms.service),
        maybe(row.cpu_ms.world),
        maybe(row.cpu_ms.database),
        maybe(row.cpu_ms.client),
        maybe(row.resident_mib),
        row.peer.as_ref().map_or_else(String::new, |peer| format!("{} {}", peer.name, number(peer.result))),
        row.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        loads.join(" → "),
        row.note.clone(),
    ]
}

fn goal_cells(row: &Row) -> Vec<Vec<Cell>> {
    let line = |goal: &Goal| {
        let bound = match goal.bound {
            Bound::AtLeast(least) => format!("≥ {}", number(least)),
            Bound::AtMost(most) => format!("≤ {}", number(most)),
        };
        let verdict = if goal.met { "met" } else { "MISSED" };
        let cells = [verdict.to_owned(), row.measure.to_owned(), row.store.to_owned(), goal.what.to_owned()];
        cells.into_iter().chain([number(goal.measured), bound]).map(Cell::new).collect()
    };
    row.goals.iter().map(line).collect()
}

/// Three digits that count, or the whole number with its thousands apart.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 999.5 => thousands(value.round() as i64),
        large if large >= 99.95 => format!("{value:.0}"),
        middle if middle >= 9.995 => format!("{value:.1}"),
        small if small >= 0.9995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn thousands(value: i64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        let cases = [
            (1_234_567.8, "1,234,568"),
            (999.6, "1,000"),
            (123.4, "123"),
            (12.34, "12.3"),
            (1.234, "1.23"),
            (0.1234, "0.123"),
        ];
        for (value, shown) in cases {
            assert_eq!(number(value), shown);
        }
    }

    #[test]
    fn a_row_is_held_against_its_goals_and_its_peer() {
        let row = Row::new("create", "sqlite", "/s", &[2_100.0, 1_900.0, 2_000.0], &Begun::now())
            .against("commits one by one", &[1_000.0, 1_000.0])
            .result_goal(Bound::AtLeast(2_000.0))
            .goal("service CPU ms", Bound::AtMost(0.2), Some(0.3))
            .goal("unknown", Bound::AtMost(1.0), None);
        assert_eq!((row.result, row.range, row.ratio), (2_000.0, [1_900.0, 2_100.0], Some(2.0)));
        assert_eq!(row.goals.iter().map(|goal| goal.met).collect::<Vec<_>>(), [true, false]);
        let shown = text(&json!({"profile": "release"}), &[row]);
        assert!(shown.contains("2,000 /s") && shown.contains("MISSED"), "{shown}");
    }

    #[test]
    fn the_ratio_in_a_peers_own_row_is_ours_through_its_rate() {
        let row = Row::of_peer("pgbench, one row", "postgres", &[1_000.0, 3_000.0], 3_000.0, &Begun::now());
        assert_eq!((row.result, row.ratio), (2_000.0, Some(1.5)));
        let missed = row.goal("ratio", Bound::AtLeast(2.0), Some(1.5));
        let shown = text(&json!({}), &[missed]);
        assert!(shown.contains("pgbench, one row") && shown.contains("1.50"), "{shown}");
    }
}
