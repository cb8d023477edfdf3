//! What a run does with a page of payments: who is asked about alone, who together, who is given up.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: only single payments with a token of their own share a call, and only those of one
//! tenant; one whose token was not taken lately is asked about alone, so that it spoils no group a second time.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::actors::config::openbanking::PaymentsConfig;
use crate::domain::ids::TenantId;
use crate::domain::openbanking::payment::{AgeLadder, PaymentKind, Step};
use crate::store::openbanking::payment::Payment;

/// One question, or several in one call.
#[derive(Debug)]
pub(super) enum Ask {
    /// Two at least.
    Group(Vec<Payment>),
    Single(Payment),
    Bundle(Payment),
    Recurring(Payment),
}

/// What becomes of a page.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub asks: Vec<Ask>,
    /// Past the age limit, and asked about for the last time.
    pub given_up: Vec<Payment>,
    /// Not before their time.
    pub waiting: i64,
}

impl PaymentsConfig {
    /// How often a payment is asked about.
    pub(super) fn ladder(&self) -> AgeLadder {
        AgeLadder {
            young_until: self.young_until,
            then_every: self.then_every,
            given_up_after: self.given_up_after,
        }
    }

    /// Whether a payment that was made then is past the age limit: if it is asked about now, it is for the last time.
    pub(super) fn is_past(&self, made_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        (now - made_at).to_std().is_ok_and(|age| age > self.given_up_after)
    }

    /// Payments made before this moment are given up even where their bank could not be asked.
    pub(super) fn overdue_before(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let patience = TimeDelta::from_std(self.given_up_after.saturating_add(self.then_every)).ok();
        patience.and_then(|age| now.checked_sub_signed(age)).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

/// Plans a page. At most `group_max` payments share a call.
pub(super) fn plan(page: Vec<Payment>, ladder: AgeLadder, group_max: usize, now: DateTime<Utc>) -> Plan {
    let mut plan = Plan::default();
    let mut alike: BTreeMap<TenantId, Vec<Payment>> = BTreeMap::new();
    for payment in page {
        match ladder.step(payment.made_at, payment.asked_at, now) {
            Step::Wait(_) => plan.waiting += 1,
            Step::GiveUp => plan.given_up.push(payment),
            Step::Ask if group_max > 1 && may_share(&payment) => {
                alike.entry(payment.tenant_id.clone()).or_default().push(payment);
            }
            Step::Ask => plan.asks.push(alone(payment)),
        }
    }
    for payments in alike.into_values() {
        plan.asks.extend(in_groups(payments, group_max));
    }
    plan
}

/// Of one payment.
pub(super) fn alone(payment: Payment) -> Ask {
    match payment.kind {
        PaymentKind::Single => Ask::Single(payment),
        PaymentKind::Bundle => Ask::Bundle(payment),
        PaymentKind::Recurring => Ask::Recurring(payment),
    }
}

fn may_share(payment: &Payment) -> bool {
    payment.kind == PaymentKind::Single && payment.token_sealed.is_some() && !payment.is_unverifiable
}

fn in_groups(payments: Vec<Payment>, group_max: usize) -> Vec<Ask> {
    let mut asks = Vec::new();
    let mut group = Vec::new();
    for payment in payments {
        group.push(payment);
        if group.len() == group_max {
            asks.push(Ask::Group(std::mem::take(&mut group)));
        }
    }
    match group.len() {
        0 => {}
        1 => asks.extend(group.pop().map(Ask::Single)),
        _ => asks.push(Ask::Group(group)),
    }
    asks
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::actors::payment_poller::testing::{at, payment};

    const DAY: Duration = Duration::from_hours(24);

    fn config() -> PaymentsConfig {
        PaymentsConfig {
            young_until: DAY * 7,
            then_every: DAY,
            given_up_after: DAY * 30,
            in_flight_max: 8,
            group_max: 100,
        }
    }

    fn planned(page: Vec<Payment>, group_max: usize) -> Plan {
        plan(page, config().ladder(), group_max, at(40))
    }

    /// Their sizes, in order.
    fn groups(plan: &Plan) -> Vec<usize> {
        let size = |ask: &Ask| if let Ask::Group(payments) = ask { payments.len() } else { 1 };
        plan.asks.iter().map(size).collect()
    }

    #[test]
    fn single_payments_with_a_token_share_a_call_where_the_bank_lets_them() {
        let page = || (0..7).map(|_| payment(38)).collect::<Vec<_>>();
        assert_eq!(groups(&planned(page(), 3)), [3, 3, 1], "nobody is asked about in a group of one");
        assert_eq!(groups(&planned(page(), 7)), [7]);
        assert_eq!(groups(&planned(page(), 1)), [1; 7]);
    }

    #[test]
    fn what_would_spoil_a_group_is_asked_about_alone() {
        let mut others: Vec<Payment> = (0..5).map(|_| payment(38)).collect();
        others[0].token_sealed = None;
        others[1].is_unverifiable = true;
        others[2].kind = PaymentKind::Bundle;
        others[3].kind = PaymentKind::Recurring;
        others[4].tenant_id = TenantId::parse("another").unwrap();
        others.extend([payment(38), payment(38)]);
        let plan = planned(others, 10);
        let mut sizes = groups(&plan);
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 1, 1, 1, 1, 2]);
        assert!(plan.asks.iter().any(|ask| matches!(ask, Ask::Bundle(_))));
        assert!(plan.asks.iter().any(|ask| matches!(ask, Ask::Recurring(_))));
    }

    #[test]
    fn a_page_is_asked_about_by_age() {
        let asked = |made: i64, asked: i64| Payment { asked_at: Some(at(asked)), ..payment(made) };
        let young = asked(35, 39);
        // Old enough for once a day, and asked about an hour ago.
        let lately = Payment { asked_at: Some(at(40) - TimeDelta::hours(1)), ..payment(20) };
        let past = Payment { asked_at: Some(at(40) - TimeDelta::hours(1)), ..payment(5) };
        let last = asked(5, 38);
        let plan = planned(vec![young, lately, past.clone(), last], 1);
        assert_eq!((plan.asks.len(), plan.waiting), (2, 1));
        assert_eq!(plan.given_up.iter().map(|one| one.id).collect::<Vec<_>>(), [past.id]);
    }

    #[test]
    fn the_age_limit_is_told_from_a_bank_that_could_not_be_asked() {
        let config = config();
        assert!(!config.is_past(at(10), at(40)));
        assert!(config.is_past(at(10), at(40) + TimeDelta::seconds(1)));
        assert_eq!(config.overdue_before(at(40)), at(9));
        let forever = PaymentsConfig { given_up_after: Duration::MAX, ..config };
        assert_eq!(forever.overdue_before(at(40)), DateTime::<Utc>::MIN_UTC);
    }
}
