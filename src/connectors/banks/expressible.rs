//! What of a boleto's terms a bank's API can express, and how percentages are written in it.
//!
//! **Owns** nothing. **Fails** never: what cannot be expressed is a violation, told before anybody is asked; nothing that
//! was agreed is ever left out silently.

use super::Proposal;
use crate::domain::boleto::charges::{Fine, FineValue, Interest, InterestValue, Percent};
use crate::domain::violation::Violation;

/// All the decimals that a percentage has here.
const DECIMALS: usize = 5;

/// What fits. Discounts, guarantors and terms of late payment fit none of the banks that are described this way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expressible {
    /// The bank, as an operator knows it.
    pub bank: &'static str,
    pub alphanumeric_cnpj: bool,
    pub fine_amount: bool,
    pub interest_amount: bool,
    pub abatement: bool,
    /// Of percentages.
    pub decimals: usize,
}

impl Expressible {
    /// Everything in a boleto to be that does not fit.
    pub(super) fn violations(&self, proposal: &Proposal<'_>) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut add = |field: &str, what: &str| {
            found.push(Violation::new(field, format!("{} {what}", self.bank)));
        };
        let terms = proposal.terms;
        if proposal.payer.tax_id.is_alphanumeric() && !self.alphanumeric_cnpj {
            add("payer.tax_id", "takes a CNPJ of digits alone");
        }
        if let Some(Fine { value, after_days }) = terms.charges.fine {
            match value {
                FineValue::Amount(_) if !self.fine_amount => {
                    add("charges.fine", "takes a fine in per cent alone")
                }
                FineValue::Percentage(percent) if !self.writes(percent) => {
                    add(
                        "charges.fine.percentage",
                        &format!("takes {} decimals of a percentage", self.decimals),
                    );
                }
                _ => {}
            }
            if after_days != 1 {
                add("charges.fine.after_days", "takes a fine from the day after the due date on alone");
            }
        }
        if let Some(Interest { value, after_days }) = terms.charges.interest {
            match value {
                InterestValue::AmountPerDay(_) if !self.interest_amount => {
                    add("charges.interest", "takes interest in per cent a month alone");
                }
                InterestValue::PercentagePerMonth(percent) if !self.writes(percent) => {
                    let what = format!("takes {} decimals of a percentage", self.decimals);
                    add("charges.interest.percentage_per_month", &what);
                }
                _ => {}
            }
            if after_days != 1 {
                add("charges.interest.after_days", "takes interest from the day after the due date on alone");
            }
        }
        if !terms.charges.discounts.is_empty() {
            add("charges.discounts", "takes no discount by this connector");
        }
        if terms.charges.abatement.is_some() && !self.abatement {
            add("charges.abatement_cents", "takes no abatement with a registration");
        }
        if terms.guarantor.is_some() {
            add("guarantor", "takes no guarantor by this connector");
        }
        if terms.late_payment.is_some() {
            add("late_payment", "takes late payments as its agreement says, not as a boleto says");
        }
        found
    }

    fn writes(&self, percent: Percent) -> bool {
        percent.units().is_multiple_of(10_u32.pow((DECIMALS - self.decimals) as u32))
    }
}

/// A percentage with exactly so many decimals, at most five; finer parts must have been refused before.
pub(super) fn percentage(percent: Percent, decimals: usize) -> String {
    let whole = 10_u32.pow(DECIMALS as u32);
    let fraction = format!("{:05}", percent.units() % whole);
    format!("{}.{}", percent.units() / whole, &fraction[..decimals])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::banks::shop::Shop;
    use crate::domain::bank_account::Provider;
    use crate::domain::boleto::charges::{Charges, Discount, DiscountValue};
    use crate::domain::boleto::issuer::Issuer;
    use crate::domain::boleto::terms::{Guarantor, LatePayment, Terms};
    use crate::domain::money::Cents;
    use crate::domain::tax_id::TaxId;

    const LEAST: Expressible = Expressible {
        bank: "The bank",
        alphanumeric_cnpj: false,
        fine_amount: false,
        interest_amount: false,
        abatement: false,
        decimals: 2,
    };

    fn everything(percent: &str, after_days: u16) -> Shop {
        let issuer = Issuer::Bradesco { agency: "1234".into(), account: "12".into(), carteira: "09".into() };
        let mut shop = Shop::of(issuer, Provider::Development, &[]);
        let tax_id = TaxId::parse("12.ABC.345/01DE-35").unwrap();
        shop.boleto.payer.tax_id = tax_id;
        let percent = percent.parse().unwrap();
        shop.boleto.terms = Terms {
            charges: Charges {
                fine: Some(Fine { value: FineValue::Percentage(percent), after_days }),
                interest: Some(Interest { value: InterestValue::PercentagePerMonth(percent), after_days }),
                discounts: vec![Discount {
                    until: shop.boleto.due_date,
                    value: DiscountValue::Amount(Cents(1)),
                }],
                abatement: Some(Cents(1)),
            },
            guarantor: Some(Guarantor { name: "Ana".into(), tax_id, address: None }),
            late_payment: Some(LatePayment::Refused),
        };
        shop
    }

    fn fields(room: Expressible, shop: &Shop) -> Vec<String> {
        room.violations(&shop.proposal()).into_iter().map(|found| found.field).collect()
    }

    #[test]
    fn all_that_does_not_fit_is_named_at_once() {
        let never = ["charges.discounts", "guarantor", "late_payment"];
        let wrong = [
            "payer.tax_id",
            "charges.fine.percentage",
            "charges.fine.after_days",
            "charges.interest.percentage_per_month",
            "charges.interest.after_days",
            "charges.discounts",
            "charges.abatement_cents",
            "guarantor",
            "late_payment",
        ];
        assert_eq!(fields(LEAST, &everything("1.001", 2)), wrong);
        let most = Expressible {
            alphanumeric_cnpj: true,
            fine_amount: true,
            interest_amount: true,
            abatement: true,
            decimals: 5,
            ..LEAST
        };
        assert_eq!(fields(most, &everything("1.00001", 1)), never);
        let mut amounts = everything("1", 1);
        amounts.boleto.terms = Terms {
            charges: Charges {
                fine: Some(Fine { value: FineValue::Amount(Cents(1)), after_days: 1 }),
                interest: Some(Interest { value: InterestValue::AmountPerDay(Cents(1)), after_days: 1 }),
                ..Charges::default()
            },
            ..Terms::default()
        };
        assert_eq!(fields(LEAST, &amounts), ["payer.tax_id", "charges.fine", "charges.interest"]);
        assert_eq!(fields(most, &amounts), Vec::<String>::new());
    }

    #[test]
    fn percentages_are_written_digit_by_digit() {
        for (text, decimals, written) in [
            ("2", 2, "2.00"),
            ("0.29", 2, "0.29"),
            ("100", 2, "100.00"),
            ("1.00001", 5, "1.00001"),
            ("0.5", 4, "0.5000"),
        ] {
            assert_eq!(percentage(text.parse().unwrap(), decimals), written);
        }
    }
}
