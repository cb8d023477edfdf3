//! `PlanSync`: what a run would do that began then, without asking any bank.
//!
//! ```text
//! customers who are due, by the page ──► their consents ──► of each the calls that are due ──► quotas and back-offs at its batch's time
//! ```
//!
//! **Owns** nothing. **Fails** with every violation at once. **Limits**: so many customers as are asked for; a set of transactions is
//! taken for one page; what a customer, a bank or an operator does until then is nobody's to know.

mod estimate;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use self::estimate::Visited;
use super::{GROUP, checked, moment};
use crate::domain::ids::{ConsentId, PsuUserId};
use crate::domain::openbanking::quota::Allowance;
use crate::domain::violation::Violation;
use crate::grpc::convert::timestamp;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::proto::openbanking::v1 as proto;
use crate::proto::openbanking::v1::plan_sync_response::{OverBudget, Share};
use crate::store::openbanking::account::AllowedAccount;
use crate::store::openbanking::consent::Consent;
use crate::store::openbanking::quota::QuotaKey;
use crate::store::openbanking::user::DueOrder;

const USERS_DEFAULT: u64 = 2_400;
const USERS_MAX: i32 = 10_000;
/// Consents over budget that are named.
const NAMED_MAX: usize = 1_000;
/// So far the caller's clock may be behind ours.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(1);
/// As far back as any window reaches.
const REACH: TimeDelta = TimeDelta::days(32);

/// A plan under construction.
struct Plan<'a> {
    house: &'a House,
    begin: DateTime<Utc>,
    users: u64,
    sessions: u64,
    calls: u64,
    over_budget: u64,
    named: Vec<OverBudget>,
    shares: BTreeMap<String, Share>,
}

/// What is known of a page of customers.
struct Known {
    accounts: HashMap<ConsentId, Vec<AllowedAccount>>,
    token_ends: HashMap<ConsentId, Option<DateTime<Utc>>>,
    /// By consent and endpoint.
    back_offs: HashMap<(ConsentId, String), DateTime<Utc>>,
    accesses: HashMap<QuotaKey, Vec<DateTime<Utc>>>,
}

pub(super) async fn plan(
    gate: &Gate,
    request: &proto::PlanSyncRequest,
) -> Result<proto::PlanSyncResponse, ApiError> {
    let house = gate.house()?;
    let (now, mut violations) = (request::now(), Vec::new());
    let begin = moment("begin_time", request.begin_time.as_ref(), &mut violations).unwrap_or(now);
    // Two clocks are never quite the same.
    if begin < now - CLOCKS_APART {
        violations.push(Violation::new("begin_time", "must not lie in the past"));
    }
    let users_max = match u64::try_from(request.users_max) {
        Ok(0) => USERS_DEFAULT,
        Ok(most) if request.users_max <= USERS_MAX => most,
        _ => {
            violations
                .push(Violation::new("users_max", format!("1 to {USERS_MAX}, or 0 for {USERS_DEFAULT}")));
            USERS_DEFAULT
        }
    };
    checked(violations)?;
    let mut plan = Plan {
        house,
        begin: begin.max(now),
        users: 0,
        sessions: 0,
        calls: 0,
        over_budget: 0,
        named: Vec::new(),
        shares: BTreeMap::new(),
    };
    let more = plan.go_through(gate, users_max).await?;
    Ok(plan.told(more))
}

impl Plan<'_> {
    /// Goes through those who are due. Whether there are more than were wanted.
    async fn go_through(&mut self, gate: &Gate, users_max: u64) -> Result<bool, ApiError> {
        let idle = TimeDelta::from_std(self.house.sync_terms.idle_min).unwrap_or(TimeDelta::MAX);
        let until = self.begin.checked_sub_signed(idle).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let (store, tenant) = (&self.house.store, gate.tenant()?);
        let (page_size, mut after) = (i64::try_from(GROUP).unwrap_or(i64::MAX), None);
        loop {
            let page = store
                .due_psu_users(until, self.begin, DueOrder::LeastRecentlySynced, after, page_size)
                .await?;
            let is_last = page.len() < GROUP;
            after = page.last().map(|user| (user.place, user.id));
            let room = usize::try_from(users_max - self.users).unwrap_or(usize::MAX);
            let own = page.iter().filter(|user| user.tenant_id == tenant);
            let users: Vec<PsuUserId> = own.map(|user| user.id).collect();
            self.take_page(&users[..users.len().min(room)]).await?;
            if users.len() > room {
                return Ok(true);
            }
            if is_last {
                return Ok(false);
            }
        }
    }

    async fn take_page(&mut self, users: &[PsuUserId]) -> Result<(), ApiError> {
        let consents = self.house.store.valid_consents(users, self.begin).await?;
        let mut known = self.known(&consents).await?;
        let first = self.users;
        for (place, user) in (first..).zip(users) {
            let pacing = self.house.sync_terms.pacing;
            let batch = place / u64::from(pacing.batch_size.max(1));
            // Batches that take no longer than their interval.
            let wait = pacing.batch_interval.saturating_mul(u32::try_from(batch).unwrap_or(u32::MAX));
            let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
            let at = self.begin.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC);
            for consent in consents.iter().filter(|consent| consent.user_id == *user) {
                self.take_consent(consent, &mut known, at);
            }
            self.users += 1;
        }
        Ok(())
    }

    async fn known(&self, consents: &[Consent]) -> Result<Known, ApiError> {
        let store = &self.house.store;
        let ids: Vec<ConsentId> = consents.iter().map(|consent| consent.id).collect();
        let mut accounts: HashMap<ConsentId, Vec<AllowedAccount>> = HashMap::new();
        for allowed in store.allowed_accounts(&ids).await? {
            accounts.entry(allowed.consent_id).or_default().push(allowed);
        }
        let back_offs = store.back_offs(&ids, self.begin).await?;
        let mut holders: Vec<Uuid> =
            consents.iter().flat_map(|consent| [consent.id.0, consent.user_id.0]).collect();
        holders.sort_unstable();
        holders.dedup();
        let since = self.begin.checked_sub_signed(REACH).unwrap_or(DateTime::<Utc>::MIN_UTC);
        Ok(Known {
            accounts,
            token_ends: store.token_ends(&ids).await?,
            back_offs: back_offs
                .into_iter()
                .map(|back_off| ((back_off.consent_id, back_off.endpoint), back_off.blocked_until))
                .collect(),
            accesses: store.accesses_of_all(&holders, since).await?,
        })
    }

    fn take_consent(&mut self, consent: &Consent, known: &mut Known, at: DateTime<Utc>) {
        let desk = self.house.aspsps.find(&consent.aspsp);
        let nothing = Vec::new();
        let visited = Visited {
            standard: desk.map(|desk| desk.standard()),
            capabilities: desk.map(estimate::capabilities),
            accounts: known.accounts.get(&consent.id).unwrap_or(&nothing),
            token_end: known.token_ends.get(&consent.id).copied(),
            at,
        };
        let calls = visited.calls(&self.house.sync_terms);
        let share = self.shares.entry(consent.aspsp.clone()).or_insert_with(|| Share {
            aspsp: consent.aspsp.clone(),
            is_configured: desk.is_some() || self.house.sync_terms.is_internal,
            ..Share::default()
        });
        share.sessions += 1;
        share.calls += i64::try_from(calls.len()).unwrap_or(i64::MAX);
        self.sessions += 1;
        self.calls += calls.len() as u64;
        let held = calls.iter().find_map(|call| {
            let endpoint = call.operation.as_str();
            let blocked = known.back_offs.get(&(consent.id, endpoint.to_owned())).copied();
            let until = blocked.filter(|until| *until > at).or_else(|| {
                let resource = call.account.map(|id| id.to_string()).unwrap_or_default();
                let (key, quota) = desk?.quota(consent, call.operation, &resource)?;
                let made = known.accesses.entry(key).or_default();
                match quota.allowance(made, at) {
                    Allowance::Left(_) => {
                        made.push(at);
                        None
                    }
                    Allowance::Until(until) => Some(until),
                }
            });
            until.map(|until| OverBudget {
                consent_id: consent.id.to_string(),
                aspsp: consent.aspsp.clone(),
                endpoint: endpoint.to_owned(),
                until_time: Some(timestamp(until)),
            })
        });
        if let Some(held) = held {
            self.over_budget += 1;
            if self.named.len() < NAMED_MAX {
                self.named.push(held);
            }
        }
    }

    fn told(self, more: bool) -> proto::PlanSyncResponse {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let pacing = self.house.sync_terms.pacing;
        let batches = pacing.batches(self.users);
        let last = u32::try_from(batches.saturating_sub(1)).unwrap_or(u32::MAX);
        let wait = if pacing.eager {
            TimeDelta::zero()
        } else {
            TimeDelta::from_std(pacing.batch_interval.saturating_mul(last)).unwrap_or(TimeDelta::MAX)
        };
        let last_batch = self.begin.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC);
        proto::PlanSyncResponse {
            users: count(self.users),
            more,
            sessions: count(self.sessions),
            calls: count(self.calls),
            batches: count(batches),
            begin_time: Some(timestamp(self.begin)),
            last_batch_time: Some(timestamp(last_batch)),
            consents_over_budget: count(self.over_budget),
            over_budget: self.named,
            shares: self.shares.into_values().collect(),
        }
    }
}
