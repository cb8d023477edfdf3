//! From the vendor's risk to the vendor risk score.
//!
//! The vendor gives a row a question: topic and question; channel; segments; mean of a measure; risk. The last is what counts.
//! The mean beside it is not the risk, and how the one leads to the other is the vendor's secret: it is not calculated again.
//!
//! **Owns** nothing. **Fails** with [`UnreadableRow`]. **Limits**: a risk is a whole number from 0 to 100; clamped to 5 to 95 it
//! becomes `100 − risk`, so that a score is never 0, which is what producers write before there is any.

/// Which formula made a score; kept with it, because the one before this changed its sign four times.
pub const FORMULA: &str = "risk-5-95-v1";

/// Why a row gives no score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableRow {
    #[error("the row of risk has {0} fields instead of 5")]
    Fields(usize),
    #[error("the risk is no whole number from 0 to 100")]
    Risk,
    #[error("the number of segments is no whole number")]
    Segments,
    #[error("there are {0} rows of risk instead of one")]
    Rows(usize),
}

/// What the vendor says of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VendorRisk {
    risk: u8,
    segments: u32,
}

impl VendorRisk {
    /// What the store holds. Nothing for a risk that no vendor gives.
    pub fn kept(risk: u8, segments: u32) -> Option<Self> {
        (risk <= 100).then_some(Self { risk, segments })
    }

    /// The vendor's own number: 0 to 100, higher for more risk.
    pub fn risk(self) -> u8 {
        self.risk
    }

    /// On how many segments of speech it rests.
    pub fn segments(self) -> u32 {
        self.segments
    }

    /// 5 to 95, higher for less risk.
    pub fn score(self) -> u8 {
        100 - self.risk.clamp(5, 95)
    }
}

/// Reads one row of risk.
///
/// # Errors
/// [`UnreadableRow`].
pub fn read_risk_row(row: &str) -> Result<VendorRisk, UnreadableRow> {
    let fields: Vec<&str> = row.split(';').map(str::trim).collect();
    let [_, _, segments, _, risk] = fields[..] else { return Err(UnreadableRow::Fields(fields.len())) };
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let risk = plain(risk).then(|| risk.parse().ok()).flatten().filter(|risk| *risk <= 100);
    let segments = plain(segments).then(|| segments.parse().ok()).flatten();
    Ok(VendorRisk {
        risk: risk.ok_or(UnreadableRow::Risk)?,
        segments: segments.ok_or(UnreadableRow::Segments)?,
    })
}

/// Reads the rows of risk of a call about one question and channel; none for no speech.
///
/// # Errors
/// [`UnreadableRow`]: more than one row among them, because nobody knows which would count.
pub fn read_risk_rows(rows: &[&str]) -> Result<Option<VendorRisk>, UnreadableRow> {
    match rows {
        [] => Ok(None),
        [row] => read_risk_row(row).map(Some),
        more => Err(UnreadableRow::Rows(more.len())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_worked_values_hold() {
        for (risk, score) in [(62, 38), (0, 95), (100, 5), (95, 5), (4, 95), (5, 95), (6, 94), (94, 6)] {
            let read = read_risk_row(&format!("TQ1;C0;3;14.67;{risk}")).unwrap();
            assert_eq!((read.risk(), read.segments(), read.score()), (risk, 3, score), "{risk}");
        }
        assert_eq!(read_risk_row(" TQ1 ; C0 ; 3 ; 14.67 ; 62 ").unwrap().score(), 38);
    }

    #[test]
    fn what_is_no_risk_is_no_score() {
        for risk in ["62.0", "", "-1", "101", "+5", "1e1", "sixty", "6 2", "٦٢"] {
            assert_eq!(read_risk_row(&format!("TQ1;C0;3;14.67;{risk}")), Err(UnreadableRow::Risk), "{risk}");
        }
        assert_eq!(read_risk_row("TQ1;C0;3"), Err(UnreadableRow::Fields(3)));
        assert_eq!(read_risk_row("TQ1;C0;x;14.67;62"), Err(UnreadableRow::Segments));
        assert_eq!(read_risk_rows(&[]), Ok(None));
        assert_eq!(read_risk_rows(&["TQ1;C0;3;14.67;62", "TQ1;C1;3;14.67;62"]), Err(UnreadableRow::Rows(2)));
    }

    proptest! {
        #[test]
        fn a_score_is_5_to_95_and_runs_against_the_risk(one in 0_u8..=100, other in 0_u8..=100) {
            let score = |risk| VendorRisk::kept(risk, 1).unwrap().score();
            prop_assert!((5..=95).contains(&score(one)));
            if one <= other {
                prop_assert!(score(one) >= score(other));
            }
        }

        #[test]
        fn no_text_panics(row in ".{0,80}") {
            let _ = read_risk_row(&row);
        }
    }
}
