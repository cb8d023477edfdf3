//! When a request is to be issued under another account than the one that it led to.
//!
//! **Owns** nothing; accounts are known by their owner's own names here, and whoever applies a rule looks them up.
//! **Fails** nowhere: a name that leads nowhere is found by whoever looks it up.
//! **Limits**: one step. The rules of the account that is arrived at are not looked at, so there is no way in circles.

use serde::{Deserialize, Serialize};

use crate::domain::boleto::terms::{LatePayment, Terms};

/// The rules of one account, each with the external id of the account that it leads to; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountRules {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_late_payment_refused: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_late_payment_accepted: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_fine_or_interest: Option<String>,
}

/// What makes a rule apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleName {
    WhenLatePaymentRefused,
    WhenLatePaymentAccepted,
    WhenFineOrInterest,
}

impl RuleName {
    /// Its name in the store, in requests and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WhenLatePaymentRefused => "when_late_payment_refused",
            Self::WhenLatePaymentAccepted => "when_late_payment_accepted",
            Self::WhenFineOrInterest => "when_fine_or_interest",
        }
    }
}

impl AccountRules {
    /// Whether there is no rule.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Every rule that there is, and the account that it leads to.
    pub fn all(&self) -> impl Iterator<Item = (RuleName, &str)> {
        [
            (RuleName::WhenLatePaymentRefused, &self.when_late_payment_refused),
            (RuleName::WhenLatePaymentAccepted, &self.when_late_payment_accepted),
            (RuleName::WhenFineOrInterest, &self.when_fine_or_interest),
        ]
        .into_iter()
        .filter_map(|(name, account)| Some((name, account.as_deref()?)))
    }

    /// The rule that applies to a boleto of these terms, and the account that it leads to. What is said of late payment
    /// is looked at first, as the replaced service did: whoever named both got the account of the first.
    pub fn applying_to(&self, terms: &Terms) -> Option<(RuleName, &str)> {
        self.all().find(|(name, _)| match name {
            RuleName::WhenLatePaymentRefused => terms.late_payment == Some(LatePayment::Refused),
            RuleName::WhenLatePaymentAccepted => {
                matches!(terms.late_payment, Some(LatePayment::Accepted { .. }))
            }
            RuleName::WhenFineOrInterest => terms.charges.fine.is_some() || terms.charges.interest.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::boleto::charges::{Charges, Fine, FineValue};
    use crate::domain::money::Cents;

    fn rules() -> AccountRules {
        AccountRules {
            when_late_payment_refused: Some("strict".to_owned()),
            when_late_payment_accepted: Some("lenient".to_owned()),
            when_fine_or_interest: Some("charging".to_owned()),
        }
    }

    fn with_fine(late_payment: Option<LatePayment>) -> Terms {
        let fine = Some(Fine { value: FineValue::Amount(Cents(1)), after_days: 1 });
        Terms { charges: Charges { fine, ..Charges::default() }, late_payment, ..Terms::default() }
    }

    #[test]
    fn what_is_said_of_late_payment_comes_before_charges() {
        let strict = with_fine(Some(LatePayment::Refused));
        let lenient = with_fine(Some(LatePayment::Accepted { days: 60 }));
        assert_eq!(rules().applying_to(&strict), Some((RuleName::WhenLatePaymentRefused, "strict")));
        assert_eq!(rules().applying_to(&lenient), Some((RuleName::WhenLatePaymentAccepted, "lenient")));
        assert_eq!(rules().applying_to(&with_fine(None)), Some((RuleName::WhenFineOrInterest, "charging")));
        assert_eq!(rules().applying_to(&Terms::default()), None);
    }

    #[test]
    fn a_rule_that_is_not_there_leaves_the_next_one_its_turn() {
        let rules = AccountRules { when_late_payment_refused: None, ..rules() };
        let strict = with_fine(Some(LatePayment::Refused));
        assert_eq!(rules.applying_to(&strict), Some((RuleName::WhenFineOrInterest, "charging")));
    }

    #[test]
    fn no_rule_is_written_as_nothing() {
        assert_eq!(serde_json::to_string(&AccountRules::default()).unwrap(), "{}");
        assert!(serde_json::from_str::<AccountRules>(r#"{"when_rich":"x"}"#).is_err());
    }
}
