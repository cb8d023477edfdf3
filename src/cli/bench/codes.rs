//! What the codes of boletos cost: making them and reading them, for five banks in turn, on one core.
//!
//! **Owns** nothing. **Fails** when an agreement here fits no layout. **Limits**: one thread, so that the rate is that of
//! a core; the peer is the standard library, which turns as many digits into an integer or back and checks nothing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::NaiveDate;

use super::Bench;
use super::report::{Begun, Bound, Row};
use crate::domain::boleto::barcode::Barcode;
use crate::domain::boleto::issuer::Issuer;
use crate::domain::boleto::parse::parse;
use crate::domain::money::Cents;

/// Codes between two looks at the clock.
const GROUP: usize = 1_000;
/// Numbers of each bank's agreement that are used, in turn.
const NUMBERS: i64 = 200;
const GOAL_PER_SECOND: f64 = 1_000_000.0;
/// As many digits as an integer of 128 bits always holds.
const PEER_DIGITS: usize = 38;
const IN_PROCESS: &str = "";

/// Codes made before, with all that is needed to make them again.
struct Sample {
    issuer: Issuer,
    sequence: i64,
    amount: Cents,
    barcode: Barcode,
    line: String,
    integer: u128,
}

/// Makes, reads and takes apart.
pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (rounds, window) = (bench.args.rounds, bench.window());
    tokio::task::spawn_blocking(move || rows(rounds, window)).await?
}

fn rows(rounds: u16, window: Duration) -> anyhow::Result<Vec<Row>> {
    let due = NaiveDate::from_ymd_opt(2026, 12, 10).context("10 December 2026 is a date")?;
    let samples = samples(due)?;
    let per_round =
        |work: &dyn Fn(&Sample)| -> Vec<f64> { (0..rounds).map(|_| rate(&samples, window, work)).collect() };
    let row = |measure: &'static str, peer: &'static str, ours: &dyn Fn(&Sample), theirs: &[f64]| {
        let begun = Begun::now();
        Row::new(measure, IN_PROCESS, "/s", &per_round(ours), &begun)
            .against(peer, theirs)
            .result_goal(Bound::AtLeast(GOAL_PER_SECOND))
    };
    let formatted = per_round(&|sample| drop(black_box(format!("{:044}", black_box(sample.integer)))));
    let read = per_round(&|sample| {
        let _ = black_box(sample.line[..PEER_DIGITS].parse::<u128>());
    });
    Ok(vec![
        row(
            "codes made",
            "integer to 44 digits",
            &|sample| {
                let _ = black_box(sample.issuer.compose(black_box(sample.sequence), sample.amount, due));
            },
            &formatted,
        ),
        row(
            "line read",
            "38 digits to integer",
            &|sample| drop(black_box(parse(black_box(&sample.line), due))),
            &read,
        ),
        row(
            "barcode read",
            "38 digits to integer",
            &|sample| drop(black_box(parse(black_box(sample.barcode.as_str()), due))),
            &read,
        ),
        row(
            "number read back",
            "38 digits to integer",
            &|sample| {
                let _ = black_box(sample.issuer.sequence_of(black_box(&sample.barcode)));
            },
            &read,
        ),
    ])
}

/// How often a second, over the samples in turn.
fn rate(samples: &[Sample], window: Duration, work: &dyn Fn(&Sample)) -> f64 {
    let begun = Instant::now();
    let mut done = 0_u32;
    let mut next = samples.iter().cycle();
    while begun.elapsed() < window {
        next.by_ref().take(GROUP).for_each(work);
        done += 1;
    }
    f64::from(done) * GROUP as f64 / begun.elapsed().as_secs_f64()
}

/// The banks take turns, so that no branch is foreseen for long.
fn samples(due: NaiveDate) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for sequence in 1..=NUMBERS {
        for issuer in issuers() {
            let amount = Cents(sequence * 12_345);
            let barcode =
                issuer.compose(sequence, amount, due)?.barcode.context("these banks make no codes")?;
            let line = barcode.to_linha().as_str().to_owned();
            let integer = line[..PEER_DIGITS].parse()?;
            samples.push(Sample { issuer, sequence, amount, barcode, line, integer });
        }
    }
    Ok(samples)
}

fn issuers() -> [Issuer; 5] {
    let text = |digits: &str| digits.to_owned();
    [
        Issuer::BancoDoBrasil {
            convenio: text("3128557"),
            carteira: text("17"),
            variacao: text("35"),
            agency: None,
            account: None,
        },
        Issuer::Bradesco { agency: text("1234"), account: text("123456"), carteira: text("09") },
        Issuer::Itau {
            agency: text("0057"),
            account: text("12345"),
            account_dac: text("7"),
            carteira: text("109"),
        },
        Issuer::Santander {
            beneficiary: text("1899775"),
            carteira: text("101"),
            ios: text("0"),
            agency: None,
            account: None,
            workspace_id: None,
        },
        Issuer::Caixa { beneficiary: text("245274"), agency: None },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bank_is_measured_with_numbers_that_it_would_take() {
        let due = "2026-12-10".parse().unwrap();
        let samples = samples(due).unwrap();
        assert!(samples.iter().all(|sample| sample.issuer.violations().is_empty()));
        assert!(
            samples.iter().all(|sample| sample.issuer.sequence_of(&sample.barcode) == Some(sample.sequence))
        );
        let rows = rows(1, Duration::ZERO).unwrap();
        assert_eq!(rows.len(), 4);
    }
}
