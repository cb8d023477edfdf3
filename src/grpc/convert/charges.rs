//! What was agreed about a boleto besides amount and date: charges, guarantor, late payment.

use chrono::NaiveDate;

use super::boleto::{address_from_proto, address_to_proto};
use crate::domain::boleto::charges::{
    Charges, DISCOUNTS_MAX, Discount, DiscountValue, Fine, FineValue, Interest, InterestValue, Percent,
};
use crate::domain::boleto::terms::{Guarantor, LatePayment};
use crate::domain::money::Cents;
use crate::domain::payer::name_violations;
use crate::domain::tax_id::TaxId;
use crate::domain::violation::Violation;
use crate::grpc::request::optional_date;
use crate::proto::boleto::v1 as proto;
use crate::proto::boleto::v1::discount::Value as ProtoDiscount;
use crate::proto::boleto::v1::fine::Value as ProtoFine;
use crate::proto::boleto::v1::interest::Value as ProtoInterest;

const LATE_DAYS_MAX: u16 = 365;

/// The charges, as far as they can be read; everything that breaks a rule is a violation. Without a due date that can be
/// read, what depends on it is not judged.
pub fn charges_from_proto(
    charges: Option<proto::Charges>,
    amount: Cents,
    due_date: Option<NaiveDate>,
    violations: &mut Vec<Violation>,
) -> Charges {
    let Some(charges) = charges else { return Charges::default() };
    let read = Charges {
        fine: charges.fine.and_then(|fine| fine_from_proto(fine, violations)),
        interest: charges.interest.and_then(|interest| interest_from_proto(interest, violations)),
        discounts: discounts_from_proto(charges.discounts, violations),
        abatement: (charges.abatement_cents != 0).then_some(Cents(charges.abatement_cents)),
    };
    let last_discount = read.discounts.iter().map(|discount| discount.until).max();
    let due_date = due_date.or(last_discount).unwrap_or_default();
    violations.extend(read.violations("charges", amount, due_date));
    read
}

fn fine_from_proto(fine: proto::Fine, violations: &mut Vec<Violation>) -> Option<Fine> {
    let after_days = after_days("charges.fine", fine.after_days, violations);
    let value = match fine.value {
        Some(ProtoFine::AmountCents(cents)) => Some(FineValue::Amount(Cents(cents))),
        Some(ProtoFine::Percentage(text)) => {
            percent("charges.fine.percentage", &text, violations).map(FineValue::Percentage)
        }
        None => {
            violations.push(Violation::new("charges.fine", "amount_cents or percentage is required"));
            None
        }
    };
    Some(Fine { value: value?, after_days: after_days? })
}

fn interest_from_proto(interest: proto::Interest, violations: &mut Vec<Violation>) -> Option<Interest> {
    let after_days = after_days("charges.interest", interest.after_days, violations);
    let value = match interest.value {
        Some(ProtoInterest::AmountPerDayCents(cents)) => Some(InterestValue::AmountPerDay(Cents(cents))),
        Some(ProtoInterest::PercentagePerMonth(text)) => {
            percent("charges.interest.percentage_per_month", &text, violations)
                .map(InterestValue::PercentagePerMonth)
        }
        None => {
            let rule = "amount_per_day_cents or percentage_per_month is required";
            violations.push(Violation::new("charges.interest", rule));
            None
        }
    };
    Some(Interest { value: value?, after_days: after_days? })
}

/// All of them or none: one that cannot be read would have those behind it judged under a wrong place.
fn discounts_from_proto(discounts: Vec<proto::Discount>, violations: &mut Vec<Violation>) -> Vec<Discount> {
    if discounts.len() > DISCOUNTS_MAX {
        violations.push(Violation::new("charges.discounts", format!("at most {DISCOUNTS_MAX}")));
        return Vec::new();
    }
    let read = discounts.into_iter().enumerate();
    let read: Vec<_> =
        read.map(|(index, discount)| discount_from_proto(index, discount, violations)).collect();
    read.into_iter().collect::<Option<Vec<_>>>().unwrap_or_default()
}

fn discount_from_proto(
    index: usize,
    discount: proto::Discount,
    violations: &mut Vec<Violation>,
) -> Option<Discount> {
    let field = |name: &str| format!("charges.discounts[{index}]{name}");
    if discount.until.is_empty() {
        violations.push(Violation::new(field(".until"), "required, YYYY-MM-DD"));
    }
    let until = optional_date(&field(".until"), &discount.until, violations);
    let value = match discount.value {
        Some(ProtoDiscount::AmountCents(cents)) => Some(DiscountValue::Amount(Cents(cents))),
        Some(ProtoDiscount::Percentage(text)) => {
            percent(&field(".percentage"), &text, violations).map(DiscountValue::Percentage)
        }
        Some(ProtoDiscount::AmountPerDayEarlyCents(cents)) => {
            Some(DiscountValue::AmountPerDayEarly(Cents(cents)))
        }
        None => {
            let rule = "amount_cents, percentage or amount_per_day_early_cents is required";
            violations.push(Violation::new(field(""), rule));
            None
        }
    };
    Some(Discount { until: until?, value: value? })
}

/// From which day late on; 0 is the first. Its upper bound is the domain's.
fn after_days(prefix: &str, days: i32, violations: &mut Vec<Violation>) -> Option<u16> {
    let read = u16::try_from(days).ok();
    if read.is_none() {
        let rule = "from 1 to 365 days after the due date, 0 for 1";
        violations.push(Violation::new(format!("{prefix}.after_days"), rule));
    }
    read.map(|days| days.max(1))
}

fn percent(field: &str, text: &str, violations: &mut Vec<Violation>) -> Option<Percent> {
    text.parse()
        .map_err(|error: crate::domain::boleto::charges::PercentError| {
            violations.push(Violation::new(field, error.to_string()));
        })
        .ok()
}

/// On whose behalf the beneficiary collects.
pub fn guarantor_from_proto(
    guarantor: Option<proto::Guarantor>,
    violations: &mut Vec<Violation>,
) -> Option<Guarantor> {
    let guarantor = guarantor?;
    let right_so_far = violations.len();
    let name = guarantor.name.trim().to_owned();
    violations
        .extend(name_violations(&name).into_iter().map(|v| Violation::new("guarantor.name", v.description)));
    let tax_id = TaxId::parse(&guarantor.tax_id)
        .map_err(|error| violations.push(Violation::new("guarantor.tax_id", error.to_string())));
    let address = guarantor.address.map(address_from_proto);
    if let Some(address) = &address {
        violations.extend(address.violations("guarantor.address"));
    }
    let tax_id = tax_id.ok()?;
    (violations.len() == right_so_far).then_some(Guarantor { name, tax_id, address })
}

/// What the bank is to do with a late payment; nothing said leaves it to the agreement.
pub fn late_payment_from_proto(
    late_payment: Option<proto::LatePayment>,
    violations: &mut Vec<Violation>,
) -> Option<LatePayment> {
    match u16::try_from(late_payment?.accepted_days) {
        Ok(0) => Some(LatePayment::Refused),
        Ok(days) if days <= LATE_DAYS_MAX => Some(LatePayment::Accepted { days }),
        _ => {
            let rule = format!("from 0 to {LATE_DAYS_MAX}");
            violations.push(Violation::new("late_payment.accepted_days", rule));
            None
        }
    }
}

/// Nothing where nothing is charged.
pub fn charges_to_proto(charges: &Charges) -> Option<proto::Charges> {
    (!charges.is_none()).then(|| proto::Charges {
        fine: charges.fine.map(fine_to_proto),
        interest: charges.interest.map(interest_to_proto),
        discounts: charges.discounts.iter().map(discount_to_proto).collect(),
        abatement_cents: charges.abatement.unwrap_or_default().0,
    })
}

fn fine_to_proto(fine: Fine) -> proto::Fine {
    let value = match fine.value {
        FineValue::Amount(amount) => ProtoFine::AmountCents(amount.0),
        FineValue::Percentage(percent) => ProtoFine::Percentage(percent.to_string()),
    };
    proto::Fine { value: Some(value), after_days: fine.after_days.into() }
}

fn interest_to_proto(interest: Interest) -> proto::Interest {
    let value = match interest.value {
        InterestValue::AmountPerDay(amount) => ProtoInterest::AmountPerDayCents(amount.0),
        InterestValue::PercentagePerMonth(percent) => ProtoInterest::PercentagePerMonth(percent.to_string()),
    };
    proto::Interest { value: Some(value), after_days: interest.after_days.into() }
}

fn discount_to_proto(discount: &Discount) -> proto::Discount {
    let value = match discount.value {
        DiscountValue::Amount(amount) => ProtoDiscount::AmountCents(amount.0),
        DiscountValue::Percentage(percent) => ProtoDiscount::Percentage(percent.to_string()),
        DiscountValue::AmountPerDayEarly(amount) => ProtoDiscount::AmountPerDayEarlyCents(amount.0),
    };
    proto::Discount { until: discount.until.to_string(), value: Some(value) }
}

pub fn guarantor_to_proto(guarantor: &Guarantor) -> proto::Guarantor {
    proto::Guarantor {
        name: guarantor.name.clone(),
        tax_id: guarantor.tax_id.as_str().to_owned(),
        address: guarantor.address.as_ref().map(address_to_proto),
    }
}

pub fn late_payment_to_proto(late_payment: LatePayment) -> proto::LatePayment {
    let accepted_days = match late_payment {
        LatePayment::Refused => 0,
        LatePayment::Accepted { days } => days.into(),
    };
    proto::LatePayment { accepted_days }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due() -> NaiveDate {
        "2027-03-10".parse().unwrap()
    }

    fn whole() -> proto::Charges {
        let discount = |until: &str, value| proto::Discount { until: until.to_owned(), value: Some(value) };
        proto::Charges {
            fine: Some(proto::Fine { value: Some(ProtoFine::Percentage("2".to_owned())), after_days: 1 }),
            interest: Some(proto::Interest {
                value: Some(ProtoInterest::PercentagePerMonth("0.29".to_owned())),
                after_days: 3,
            }),
            discounts: vec![
                discount("2027-03-01", ProtoDiscount::Percentage("5".to_owned())),
                discount("2027-03-05", ProtoDiscount::AmountCents(100)),
            ],
            abatement_cents: 500,
        }
    }

    fn fields(charges: proto::Charges, due_date: Option<NaiveDate>) -> Vec<String> {
        let mut violations = Vec::new();
        charges_from_proto(Some(charges), Cents(10_000), due_date, &mut violations);
        violations.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn what_was_agreed_comes_back_as_it_went() {
        let mut violations = Vec::new();
        let read = charges_from_proto(Some(whole()), Cents(10_000), Some(due()), &mut violations);
        assert_eq!((charges_to_proto(&read), violations), (Some(whole()), vec![]));
        assert_eq!(charges_to_proto(&Charges::default()), None);
        for days in [0, 1, 365] {
            let late = proto::LatePayment { accepted_days: days };
            let read = late_payment_from_proto(Some(late), &mut Vec::new()).unwrap();
            assert_eq!(late_payment_to_proto(read), late);
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said_by_its_place() {
        let mut charges = whole();
        charges.fine = Some(proto::Fine { value: None, after_days: -1 });
        charges.interest = Some(proto::Interest {
            value: Some(ProtoInterest::PercentagePerMonth("0.000001".to_owned())),
            after_days: 366,
        });
        charges.discounts[1].until = "soon".to_owned();
        charges.abatement_cents = -1;
        assert_eq!(
            fields(charges, Some(due())),
            [
                "charges.fine.after_days",
                "charges.fine",
                "charges.interest.percentage_per_month",
                "charges.discounts[1].until",
                "charges.abatement_cents",
            ]
        );
    }

    #[test]
    fn a_wrong_due_date_leaves_the_rest_to_be_judged() {
        let mut charges = whole();
        charges.discounts.swap(0, 1);
        assert_eq!(fields(charges, None), ["charges.discounts[1].until"]);
        assert!(fields(whole(), None).is_empty());
    }

    #[test]
    fn more_discounts_than_there_may_be_are_one_mistake() {
        let mut charges = whole();
        charges.discounts = vec![proto::Discount::default(); 1_000];
        assert_eq!(fields(charges, Some(due())), ["charges.discounts"]);
    }

    #[test]
    fn days_of_late_payment_have_bounds() {
        for days in [-1, 366, 70_000] {
            let mut violations = Vec::new();
            let late = proto::LatePayment { accepted_days: days };
            assert_eq!(late_payment_from_proto(Some(late), &mut violations), None);
            assert_eq!(violations[0].field, "late_payment.accepted_days");
        }
    }
}
