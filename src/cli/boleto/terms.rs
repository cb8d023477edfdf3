//! What was agreed besides amount and date, from flags.
//!
//! **Owns** nothing. **Limits**: the rules are the service's; here only what is said is read.

use std::path::PathBuf;

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::input;
use crate::cli::input::boleto::GuarantorInput;
use crate::proto::boleto::v1::{
    Charges, Discount, Fine, Guarantor, Interest, LatePayment, discount, fine, interest,
};

/// What is added when a boleto is paid late and taken off when it is paid early.
#[derive(Args)]
#[group(multiple = true)]
pub(super) struct ChargeFlags {
    /// Owed once when it is paid late (multa)
    #[arg(long, value_name = "CENTS", conflicts_with = "fine_percentage")]
    fine_amount_cents: Option<i64>,
    /// The same in percent, such as 2
    #[arg(long, value_name = "PERCENT")]
    fine_percentage: Option<String>,
    /// From so many days after the due date on [default: 1]
    #[arg(long, value_name = "DAYS")]
    fine_after_days: Option<i32>,
    /// Owed for each day of delay (juros)
    #[arg(long, value_name = "CENTS", conflicts_with = "interest_percentage_per_month")]
    interest_amount_per_day_cents: Option<i64>,
    /// The same in percent for 30 days, such as 1
    #[arg(long, value_name = "PERCENT")]
    interest_percentage_per_month: Option<String>,
    /// From so many days after the due date on [default: 1]
    #[arg(long, value_name = "DAYS")]
    interest_after_days: Option<i32>,
    /// Taken off until a day: YYYY-MM-DD=500 for cents, =5% for a part, =10/day for cents a day early; up to three
    #[arg(long = "discount", value_name = "DATE=VALUE", value_parser = discount)]
    discounts: Vec<Discount>,
    /// Taken off whenever it is paid (abatimento)
    #[arg(long, value_name = "CENTS")]
    abatement_cents: Option<i64>,
}

/// Who stands behind the debt, late payment, and whether the bank is to know it yet.
#[derive(Args)]
#[group(multiple = true)]
pub(super) struct TermFlags {
    /// On whose behalf the beneficiary collects, as JSON with the field names of Guarantor; - reads standard input
    #[arg(long, value_name = "FILE")]
    guarantor_file: Option<PathBuf>,
    /// Until so many days late the bank is to take it; 0: not a day late, and the exact amount alone
    #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
    late_payment_days: Option<i32>,
    /// Issue it and have it registered later, by boleto register
    #[arg(long)]
    pub hold_registration: bool,
}

impl ChargeFlags {
    /// The charges, if anything at all is said about them.
    pub(super) fn into_charges(self) -> Option<Charges> {
        let fine_value = self.fine_amount_cents.map(fine::Value::AmountCents);
        let fine_value = fine_value.or(self.fine_percentage.map(fine::Value::Percentage));
        let fine = Fine { value: fine_value, after_days: self.fine_after_days.unwrap_or_default() };
        let value = self.interest_amount_per_day_cents.map(interest::Value::AmountPerDayCents);
        let value = value.or(self.interest_percentage_per_month.map(interest::Value::PercentagePerMonth));
        let interest = Interest { value, after_days: self.interest_after_days.unwrap_or_default() };
        let charges = Charges {
            fine: Some(fine).filter(|fine| *fine != Fine::default()),
            interest: Some(interest).filter(|interest| *interest != Interest::default()),
            discounts: self.discounts,
            abatement_cents: self.abatement_cents.unwrap_or_default(),
        };
        Some(charges).filter(|charges| *charges != Charges::default())
    }
}

impl TermFlags {
    /// The guarantor and what was said of late payment.
    pub(super) fn read(self) -> Result<(Option<Guarantor>, Option<LatePayment>), Failure> {
        let guarantor = match self.guarantor_file {
            Some(file) => Some(input::read::<GuarantorInput>(&file, Some("guarantor"))?.into()),
            None => None,
        };
        let late_payment = self.late_payment_days.map(|accepted_days| LatePayment { accepted_days });
        Ok((guarantor, late_payment))
    }
}

fn discount(text: &str) -> Result<Discount, String> {
    let expected = || "expected DATE=CENTS, DATE=PERCENT% or DATE=CENTS/day".to_owned();
    let (until, value) = text.split_once('=').ok_or_else(expected)?;
    let cents = |digits: &str| digits.parse::<i64>().map_err(|_| expected());
    let value = if let Some(percentage) = value.strip_suffix('%') {
        discount::Value::Percentage(percentage.to_owned())
    } else if let Some(digits) = value.strip_suffix("/day") {
        discount::Value::AmountPerDayEarlyCents(cents(digits)?)
    } else {
        discount::Value::AmountCents(cents(value)?)
    };
    Ok(Discount { until: until.to_owned(), value: Some(value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        charges: ChargeFlags,
    }

    fn charges(flags: &[&str]) -> Option<Charges> {
        let line = <Line as clap::Parser>::try_parse_from([&["create"], flags].concat());
        line.unwrap_or_else(|error| panic!("{error}")).charges.into_charges()
    }

    #[test]
    fn nothing_said_is_no_charge() {
        assert_eq!(charges(&[]), None);
    }

    #[test]
    fn each_flag_says_one_thing() {
        let read = charges(&[
            "--fine-percentage",
            "2",
            "--interest-amount-per-day-cents",
            "33",
            "--interest-after-days",
            "3",
            "--discount",
            "2027-01-05=500",
            "--discount",
            "2027-01-08=2.5%",
            "--discount",
            "2027-01-10=10/day",
        ]);
        let read = read.unwrap();
        let value = Some(fine::Value::Percentage("2".to_owned()));
        assert_eq!(read.fine, Some(Fine { value, after_days: 0 }));
        let value = Some(interest::Value::AmountPerDayCents(33));
        assert_eq!(read.interest, Some(Interest { value, after_days: 3 }));
        let values: Vec<_> = read.discounts.into_iter().filter_map(|discount| discount.value).collect();
        let wanted = [
            discount::Value::AmountCents(500),
            discount::Value::Percentage("2.5".to_owned()),
            discount::Value::AmountPerDayEarlyCents(10),
        ];
        assert_eq!(values, wanted);
    }

    #[test]
    fn a_discount_without_a_day_or_a_number_is_wrong_usage() {
        for text in ["500", "2027-01-05=", "2027-01-05=five", "2027-01-05=1/week"] {
            assert!(discount(text).is_err(), "{text}");
        }
    }
}
