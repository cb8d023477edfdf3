//! What a bank tells, written down a slice at a time: payments, cancellations, differences.
//!
//! A slice is one transaction. It begins at the run's row of work, which must still be held and is locked until the end, so
//! that nobody writes under a lease that is lost. Its boletos are locked in the order of their ids, held against the bank's
//! word in the bank's own order, and changed together with their events and their owners' deliveries. A slice that is
//! written down twice changes nothing the second time. Where boletos are looked up one by one, how far that has come is
//! written on the run's row with what was found, so that whoever goes on begins there.
//!
//! **Fails** as the store does; nothing of the slice is kept then. **Limits**: the caller's slices. Titles of a listing are
//! matched by their number within the agreement, which several accounts may share, or by the bank's own name within the
//! account; a title of another tenant under the same agreement is that tenant's business and left alone.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::announce::Announcement;
use super::boleto::NewEvent;
use super::boleto_order::order_key;
use super::boleto_payment::{NewPayment, Recorded};
use super::reconciliation::Counts;
use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::boleto::event::EventType;
use crate::domain::boleto::payment::{Payment, PaymentSource};
use crate::domain::boleto::status::Status;
use crate::domain::event::SubjectKind;
use crate::domain::ids::{BoletoId, EventId, TenantId};
use crate::domain::money::Cents;
use crate::domain::reconciliation::{Fact, Finding, Happened, Judgement, Missing, Standing};
use crate::domain::work::Claim;

/// Why a boleto was ended, as its event says.
const BY_THE_BANK: &str = "by the bank";
/// Why a difference was settled that a later run no longer found.
pub(super) const NO_LONGER: &str = "a later reconciliation no longer found it";

/// Some of what a bank told.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Its subject is the bank account.
    pub claim: Claim,
    /// Within what the account's numbers are unique.
    pub range_key: String,
    pub items: Vec<Told>,
    /// How far the look-ups have come with this slice, as the run's row keeps it; none where a listing is read.
    pub position: Option<String>,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub now: DateTime<Utc>,
}

/// One fact, and the ids of what may be made of it.
#[derive(Debug, Clone)]
pub struct Told {
    pub fact: Fact,
    /// The boleto that the bank was asked about; none where the bank named the title itself.
    pub asked: Option<Asked>,
    pub payment_id: Uuid,
    pub event_id: EventId,
    pub difference_id: Uuid,
}

/// A boleto as it was when the bank was asked about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub boleto_id: BoletoId,
    pub version: i64,
}

/// Whose title a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours(Uuid),
    Another,
    Nobodys,
}

/// What is to be written down.
#[derive(Default)]
struct Plan<'a> {
    payments: Vec<NewPayment>,
    /// Boletos that end by the bank's word alone.
    endings: Vec<(&'a Told, Uuid, Status)>,
    findings: Vec<(&'a Told, Option<Uuid>, Finding)>,
    /// What says nothing, by the ids of its differences.
    unheard: HashSet<Uuid>,
}

/// What is known here of the boletos that a slice is about.
#[derive(Default)]
struct Known {
    standings: HashMap<Uuid, (Standing, i64)>,
    /// The bank is being asked to change these, or to take them off file.
    ordered: HashSet<Uuid>,
}

impl Store {
    /// Writes a slice down. Nothing where the run's row had moved on to another holder.
    pub async fn apply_movements(&self, slice: &Slice) -> Result<Option<Counts>, StoreError> {
        let (transaction, counts) = self
            .within(async {
                let transaction = self.begin().await?;
                let counts = self.apply_in(&transaction, slice).await?;
                Ok((transaction, counts))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(counts)
    }

    async fn apply_in(
        &self,
        transaction: &DatabaseTransaction,
        slice: &Slice,
    ) -> Result<Option<Counts>, StoreError> {
        if !self.is_held(transaction, &slice.claim).await? {
            return Ok(None);
        }
        let whose = self.find_titles(transaction, slice).await?;
        let mut known = self.lock_standings(transaction, slice, &whose).await?;
        known.ordered = self.find_ordered(transaction, slice).await?;
        let plan = slice.plan(&whose, known);
        let movements = slice.items.iter().filter(|told| told.fact.happened != Happened::Nothing).count();
        let mut counts = Counts { movements: movements as i64, ..Counts::default() };
        if !plan.payments.is_empty() {
            let recorded = self.record_payment_group(transaction, &plan.payments).await?;
            counts.payments =
                recorded.iter().filter(|one| matches!(one, Recorded::New { .. })).count() as i64;
        }
        counts.cancellations = self.end_boletos(transaction, slice, &plan.endings).await?;
        counts.differences = self.insert_findings(transaction, slice, &plan.findings).await?;
        self.settle_what_is_gone(transaction, slice, &plan).await?;
        if let Some(position) = &slice.position {
            let keep = self.statement(
                "update work set payload = $1 where id = $2",
                [Value::from(position.as_str()), Value::from(slice.claim.id.0)],
            );
            execute(transaction, keep).await?;
        }
        Ok(Some(counts))
    }

    /// Whether the claim still holds its row, which stays as it is until the transaction ends.
    async fn is_held(&self, transaction: &DatabaseTransaction, claim: &Claim) -> Result<bool, StoreError> {
        let lock = if self.kind() == StoreKind::PostgreSql { "for update" } else { "" };
        let find = self.statement(
            &format!("select id from work where id = $1 and runner_id = $2 and fence = $3 {lock}"),
            [Value::from(claim.id.0), Value::from(claim.runner_id.0), Value::from(claim.fence)],
        );
        Ok(transaction.query_one_raw(find).await?.is_some())
    }

    /// Whose titles the facts are about, one answer each.
    async fn find_titles(
        &self,
        transaction: &DatabaseTransaction,
        slice: &Slice,
    ) -> Result<Vec<Whose>, StoreError> {
        let asked = |told: &Told| told.asked.map_or(Whose::Nobodys, |asked| Whose::Ours(asked.boleto_id.0));
        let mut whose: Vec<Whose> = slice.items.iter().map(asked).collect();
        let named = || (0_i64..).zip(&slice.items).filter(|(_, told)| told.asked.is_none());
        if named().next().is_none() {
            return Ok(whose);
        }
        let rows = || {
            Rows::new()
                .integer("place", named().map(|(place, _)| place))
                .optional_text("number", named().map(|(_, it)| Some(it.fact.nosso_numero.clone())))
                .optional_text("reference", named().map(|(_, it)| it.fact.bank_reference.clone()))
        };
        let by_number = " select r.place, b.id, b.tenant_id from r join boleto b on b.nosso_numero = r.number
              join bank_account a on a.id = b.bank_account_id where a.range_key = $1";
        let by_reference = " select r.place, b.id, b.tenant_id from r join boleto b on b.bank_account_id = $1
              and b.bank_reference = r.reference and b.bank_reference is not null";
        let asked = [
            (by_reference, Value::from(slice.claim.subject_id)),
            (by_number, Value::from(slice.range_key.as_str())),
        ];
        for (find, value) in asked {
            for row in all(transaction, self.statement_over(rows(), vec![value], find)).await? {
                let (place, id, tenant): (i64, Uuid, String) =
                    (row.try_get("", "place")?, row.try_get("", "id")?, row.try_get("", "tenant_id")?);
                let Some(one) = usize::try_from(place).ok().and_then(|place| whose.get_mut(place)) else {
                    continue;
                };
                let is_ours = tenant == slice.claim.tenant_id.as_str();
                if is_ours {
                    *one = Whose::Ours(id);
                } else if *one == Whose::Nobodys {
                    *one = Whose::Another;
                }
            }
        }
        Ok(whose)
    }

    async fn lock_standings(
        &self,
        transaction: &DatabaseTransaction,
        slice: &Slice,
        whose: &[Whose],
    ) -> Result<Known, StoreError> {
        let ours = |whose: &Whose| match whose {
            Whose::Ours(id) => Some(*id),
            Whose::Another | Whose::Nobodys => None,
        };
        let mut ids: Vec<Uuid> = whose.iter().filter_map(ours).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(Known::default());
        }
        let lock = if self.kind() == StoreKind::PostgreSql { "for update of b" } else { "" };
        let find = format!(
            " select b.id, b.status, b.version, b.paid_cents from r join boleto b on b.tenant_id = $1 and b.id = r.id
              order by b.id {lock}"
        );
        let values = vec![Value::from(slice.claim.tenant_id.as_str())];
        let statement = self.statement_over(Rows::new().uuid("id", ids), values, &find);
        let standings =
            all(transaction, statement).await?.iter().map(read_standing).collect::<Result<_, _>>()?;
        Ok(Known { standings, ordered: HashSet::new() })
    }

    /// The boletos of doubtful answers that have an order under way, which may explain the answer.
    async fn find_ordered(
        &self,
        transaction: &DatabaseTransaction,
        slice: &Slice,
    ) -> Result<HashSet<Uuid>, StoreError> {
        let doubts = slice.items.iter().filter(|told| told.fact.happened.is_a_doubt());
        let ids: Vec<BoletoId> = doubts.filter_map(|told| Some(told.asked?.boleto_id)).collect();
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let rows = Rows::new()
            .text("unique_key", ids.iter().map(|id| order_key(*id)))
            .uuid("id", ids.iter().map(|id| id.0));
        let find = " select r.id from r join work w on w.unique_key = r.unique_key";
        let found = all(transaction, self.statement_over(rows, vec![], find)).await?;
        Ok(found.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?)
    }

    /// Ends boletos by the bank's word. Returns how many it had taken off file.
    async fn end_boletos(
        &self,
        transaction: &DatabaseTransaction,
        slice: &Slice,
        endings: &[(&Told, Uuid, Status)],
    ) -> Result<i64, StoreError> {
        if endings.is_empty() {
            return Ok(0);
        }
        let rows = Rows::new()
            .uuid("id", endings.iter().map(|(_, id, _)| *id))
            .text("status", endings.iter().map(|(.., status)| status.as_str().to_owned()));
        let values = vec![Value::from(to_us(slice.now)), Value::from(slice.claim.tenant_id.as_str())];
        let update = " update boleto set status = r.status, open_status = null, version = boleto.version + 1,
                updated_at_us = $1
              from r where boleto.tenant_id = $2 and boleto.id = r.id and boleto.status = 'registered'
              returning boleto.id, boleto.version, boleto.reference_id, boleto.endpoint_id, boleto.notify";
        let ended = all(transaction, self.statement_over(rows, values, update)).await?;
        let (mut events, mut announcements) = (Vec::new(), Vec::new());
        for row in &ended {
            let id: Uuid = row.try_get("", "id")?;
            let Some((told, _, status)) = endings.iter().find(|(_, known, _)| *known == id) else { continue };
            let (version, event_type) = (row.try_get("", "version")?, EventType::Became(*status));
            events.push(NewEvent {
                id: told.event_id,
                tenant_id: slice.claim.tenant_id.clone(),
                boleto_id: BoletoId(id),
                version,
                event_type,
                status: *status,
                reference_id: row.try_get("", "reference_id")?,
                reason: Some(BY_THE_BANK.to_owned()),
                occurred_at: slice.now,
                ended_by: None,
            });
            let notify: String = row.try_get("", "notify")?;
            if notify == "owner" {
                announcements.push(Announcement {
                    tenant_id: slice.claim.tenant_id.clone(),
                    subject_kind: SubjectKind::Boleto,
                    subject_id: id,
                    version,
                    event_type: event_type.name(),
                    endpoint_id: row.try_get("", "endpoint_id")?,
                    traceparent: slice.claim.traceparent.clone(),
                    attempts_max: slice.delivery_attempts_max,
                    now: slice.now,
                });
            }
        }
        self.insert_events(transaction, &events).await?;
        self.announce(transaction, &announcements).await?;
        Ok(events.iter().filter(|event| event.status == Status::Cancelled).count() as i64)
    }

    /// Keeps what is new: not what is open already, nor what a person has settled just so. Returns how many that were.
    async fn insert_findings(
        &self,
        transaction: &DatabaseTransaction,
        slice: &Slice,
        findings: &[(&Told, Option<Uuid>, Finding)],
    ) -> Result<i64, StoreError> {
        if findings.is_empty() {
            return Ok(0);
        }
        let account = slice.claim.subject_id;
        let rows = Rows::new()
            .uuid("id", findings.iter().map(|(told, ..)| told.difference_id))
            .text("tenant_id", findings.iter().map(|_| slice.claim.tenant_id.as_str().to_owned()))
            .uuid("bank_account_id", findings.iter().map(|_| account))
            .optional_uuid("boleto_id", findings.iter().map(|(_, boleto, _)| *boleto))
            .text("subject", findings.iter().map(|(told, ..)| told.fact.subject().to_owned()))
            .text("kind", findings.iter().map(|(.., finding)| finding.kind.as_str().to_owned()))
            .text("detail", findings.iter().map(|(.., finding)| finding.detail.clone()))
            .integer("found_at_us", findings.iter().map(|_| to_us(slice.now)));
        let insert = " insert into reconciliation_difference
                (id, tenant_id, bank_account_id, boleto_id, subject, kind, detail, found_at_us)
              select id, tenant_id, bank_account_id, boleto_id, subject, kind, detail, found_at_us from r
              where not exists (select 1 from reconciliation_difference d
                where d.bank_account_id = r.bank_account_id and d.subject = r.subject and d.kind = r.kind
                  and (d.settled_at_us is null or (d.detail = r.detail and d.settled_reason <> $1)))
              on conflict do nothing";
        let statement = self.statement_over(rows, vec![Value::from(NO_LONGER)], insert);
        Ok(i64::try_from(execute(transaction, statement).await?).unwrap_or(i64::MAX))
    }

    /// Settles what the facts of this slice could have shown and did not.
    async fn settle_what_is_gone(
        &self,
        transaction: &DatabaseTransaction,
        slice: &Slice,
        plan: &Plan<'_>,
    ) -> Result<(), StoreError> {
        let named = |(told, _, finding): &(&Told, _, Finding)| (told.difference_id, finding.kind.as_str());
        let shown: HashMap<Uuid, &str> = plan.findings.iter().map(named).collect();
        let heard = slice.items.iter().filter(|told| !plan.unheard.contains(&told.difference_id));
        let items: Vec<&Told> = heard.collect();
        if items.is_empty() {
            return Ok(());
        }
        let rows = Rows::new()
            .text("subject", items.iter().map(|told| told.fact.subject().to_owned()))
            .text("family", items.iter().map(|told| told.family()))
            .text(
                "kind",
                items.iter().map(|told| shown.get(&told.difference_id).copied().unwrap_or("none").to_owned()),
            );
        let settle = " update reconciliation_difference set settled_at_us = $1, settled_reason = $2
              where id in (select d.id from r join reconciliation_difference d
                  on d.bank_account_id = $3 and d.subject = r.subject and d.settled_at_us is null
                  and (d.kind like r.family or d.kind = 'unknown_title'))
                and not exists (select 1 from r where r.subject = reconciliation_difference.subject
                  and r.kind = reconciliation_difference.kind)";
        let values =
            vec![Value::from(to_us(slice.now)), Value::from(NO_LONGER), Value::from(slice.claim.subject_id)];
        execute(transaction, self.statement_over(rows, values, settle)).await?;
        Ok(())
    }
}

impl Told {
    /// How the names of the differences begin that it could have shown. An answer about one title shows all that there is.
    fn family(&self) -> String {
        let family = if self.asked.is_some() { "" } else { self.fact.happened.family() };
        format!("{family}%")
    }
}

impl Slice {
    /// Holds each fact against its boleto, in the bank's own order.
    fn plan(&self, whose: &[Whose], mut known: Known) -> Plan<'_> {
        let mut plan = Plan::default();
        for (told, whose) in self.items.iter().zip(whose) {
            let id = match whose {
                Whose::Ours(id) => *id,
                Whose::Another => continue,
                Whose::Nobodys => {
                    plan.findings.push((told, None, told.fact.of_nobody()));
                    continue;
                }
            };
            let Some((standing, version)) = known.standings.get_mut(&id) else { continue };
            let has_moved = told.asked.is_some_and(|asked| asked.version != *version);
            if told.fact.happened.is_a_doubt() && (has_moved || known.ordered.contains(&id)) {
                plan.unheard.insert(told.difference_id);
                continue;
            }
            let Judgement { payment, ends_as, finding } = standing.meet(&told.fact.happened);
            plan.payments.extend(payment.and_then(|missing| self.payment(told, id, missing)));
            plan.endings.extend(ends_as.map(|status| (told, id, status)));
            plan.findings.extend(finding.map(|finding| (told, Some(id), finding)));
        }
        plan
    }

    fn payment(&self, told: &Told, id: Uuid, missing: Missing) -> Option<NewPayment> {
        let tenant_id = TenantId::clone(&self.claim.tenant_id);
        let (external_id, paid_on) = told.fact.happened.payment()?;
        Some(NewPayment {
            tenant_id,
            payment: Payment {
                id: told.payment_id,
                boleto_id: BoletoId(id),
                amount: missing.amount,
                paid_on,
                is_partial: missing.is_partial,
                source: PaymentSource::Bank,
                external_id,
                response_code: Some(told.fact.response_code.clone()),
                created_at: self.now,
            },
            event_id: told.event_id,
            expected_version: 0,
            request: None,
            delivery_attempts_max: self.delivery_attempts_max,
            traceparent: self.claim.traceparent.clone(),
        })
    }
}

fn read_standing(row: &QueryResult) -> Result<(Uuid, (Standing, i64)), StoreError> {
    let status: String = row.try_get("", "status")?;
    let status = Status::parse(&status).ok_or_else(|| StoreError::unreadable("status", &status))?;
    let standing = Standing { status, paid: Cents(row.try_get("", "paid_cents")?) };
    Ok((row.try_get("", "id")?, (standing, row.try_get("", "version")?)))
}
