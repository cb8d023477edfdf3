//! From the interest, the fine and the rules of the service before to ours.
//!
//! **Owns** nothing. **Fails** where both an amount and a percentage were agreed, which no boleto of ours can be, and where
//! a number breaks our rules.

use serde_json::Value;

use crate::domain::boleto::charges::{Charges, Fine, FineValue, Interest, InterestValue, Percent};
use crate::domain::boleto::terms::LatePayment;
use crate::domain::money::Cents;
use crate::domain::violation::Violation;

/// For how many days the bank was asked to take a late payment under the rule `no_strict`.
const NO_STRICT_DAYS: u16 = 60;

/// What was agreed there: one of the two numbers, and from when on.
enum Agreed {
    Amount(Cents),
    Percentage(Percent),
}

pub(super) fn charges(fine: Option<&Value>, interest: Option<&Value>, found: &mut Vec<Violation>) -> Charges {
    let fine = agreed("fine", fine, found).map(|(agreed, after_days)| Fine {
        value: match agreed {
            Agreed::Amount(amount) => FineValue::Amount(amount),
            Agreed::Percentage(percent) => FineValue::Percentage(percent),
        },
        after_days,
    });
    let interest = agreed("interest", interest, found).map(|(agreed, after_days)| Interest {
        value: match agreed {
            Agreed::Amount(amount) => InterestValue::AmountPerDay(amount),
            Agreed::Percentage(percent) => InterestValue::PercentagePerMonth(percent),
        },
        after_days,
    });
    Charges { fine, interest, ..Charges::default() }
}

/// What the bank was asked to do with late payments; strict won where both were given.
pub(super) fn late_payment(rules: &[String]) -> Option<LatePayment> {
    let has = |name: &str| rules.iter().any(|rule| rule == name);
    if has("strict_expiration_date") {
        Some(LatePayment::Refused)
    } else if has("no_strict") {
        Some(LatePayment::Accepted { days: NO_STRICT_DAYS })
    } else {
        None
    }
}

fn agreed(field: &str, given: Option<&Value>, found: &mut Vec<Violation>) -> Option<(Agreed, u16)> {
    let given = given?.as_object()?;
    let number =
        |name: &str| given.get(name).filter(|value| value.as_f64().is_some_and(|number| number != 0.0));
    let mut object = |part: &str, why: String| found.push(Violation::new(format!("{field}.{part}"), why));
    let agreed = match (number("amount"), number("percentage")) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            object("amount", "both an amount and a percentage were agreed".to_owned());
            return None;
        }
        (Some(amount), None) => match amount.as_i64().filter(|amount| *amount > 0) {
            Some(amount) => Agreed::Amount(Cents(amount)),
            None => {
                object("amount", "a whole number of cents above 0".to_owned());
                return None;
            }
        },
        // A number of JSON is written with as few digits as tell it from its neighbours: what was agreed.
        (None, Some(percentage)) => match percentage.to_string().parse::<Percent>() {
            Ok(percent) => Agreed::Percentage(percent),
            Err(error) => {
                object("percentage", error.to_string());
                return None;
            }
        },
    };
    // Nothing said, and none, are the first day on which it is late.
    let days = given.get("days").and_then(Value::as_i64).unwrap_or(1).max(1);
    match u16::try_from(days).ok().filter(|days| *days <= 365) {
        Some(days) => Some((agreed, days)),
        None => {
            object("days", "at most 365".to_owned());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_agreed_is_taken_over_exactly() {
        let mut found = Vec::new();
        let (fine, interest) =
            (json!({"percentage": 0.29, "days": 3}), json!({"amount": 7, "percentage": 0}));
        let charges = charges(Some(&fine), Some(&interest), &mut found);
        assert!(found.is_empty(), "{found:?}");
        let fine = charges.fine.unwrap();
        assert_eq!((fine.value, fine.after_days), (FineValue::Percentage("0.29".parse().unwrap()), 3));
        let interest = charges.interest.unwrap();
        assert_eq!((interest.value, interest.after_days), (InterestValue::AmountPerDay(Cents(7)), 1));
    }

    #[test]
    fn nothing_agreed_is_nothing() {
        let mut found = Vec::new();
        for nothing in [json!({}), json!(null), json!({"percentage": 0, "amount": null, "days": 2})] {
            assert!(charges(Some(&nothing), None, &mut found).is_none());
        }
        assert!(found.is_empty());
    }

    #[test]
    fn what_no_boleto_of_ours_can_be_is_refused() {
        for (bad, field) in [
            (json!({"amount": 5, "percentage": 1}), "fine.amount"),
            (json!({"amount": -5}), "fine.amount"),
            (json!({"percentage": 101}), "fine.percentage"),
            (json!({"percentage": 0.123456}), "fine.percentage"),
            (json!({"amount": 5, "days": 400}), "fine.days"),
        ] {
            let mut found = Vec::new();
            assert!(charges(Some(&bad), None, &mut found).is_none(), "{bad}");
            assert_eq!(found.iter().map(|v| v.field.as_str()).collect::<Vec<_>>(), [field], "{bad}");
        }
    }

    #[test]
    fn strict_wins() {
        let rules = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            late_payment(&rules(&["no_strict", "strict_expiration_date"])),
            Some(LatePayment::Refused)
        );
        assert_eq!(late_payment(&rules(&["no_strict"])), Some(LatePayment::Accepted { days: 60 }));
        assert_eq!(late_payment(&[]), None);
    }
}
