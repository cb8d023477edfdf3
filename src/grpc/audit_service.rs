//! `AuditService`: who did what, and that nobody has changed the record of it.
//!
//! **Owns** nothing. **Fails** with every violation at once, and with `HOUSE_ONLY` where a caller reaches for what is not their
//! tenant's alone: another tenant's records, or the chain. Reading the audit is not itself in the audit.
//! **Limits**: a page of records; [`RECORDS_MAX`] records of the chain a call.

use tonic::{Request, Response, Status};

use super::boleto_service::split_page;
use super::convert::{moment, timestamp};
use super::gate::Gate;
use super::page_token;
use super::request;
use super::status::ApiError;
use crate::domain::audit::{Break, Chain, ChainHash, Flaw, Record};
use crate::domain::ids::TenantId;
use crate::domain::violation::Violation;
use crate::proto::access::v1 as proto;
use crate::proto::access::v1::audit_service_server::AuditService;
use crate::store::audit_chain::Verification;
use crate::store::audit_list::{AuditFilter, Subject};

const RECORDS_MAX: i64 = 10_000;
/// Longer names are nobody's.
const FILTER_CHARS_MAX: usize = 255;

/// The service.
pub(super) struct Audit {
    pub gate: Gate,
}

#[tonic::async_trait]
impl AuditService for Audit {
    async fn list_audit(
        &self,
        request: Request<proto::ListAuditRequest>,
    ) -> Result<Response<proto::ListAuditResponse>, Status> {
        Ok(Response::new(self.list(request.into_inner()).await?))
    }

    async fn verify_audit(
        &self,
        request: Request<proto::VerifyAuditRequest>,
    ) -> Result<Response<proto::VerifyAuditResponse>, Status> {
        Ok(Response::new(self.verify(request.into_inner()).await?))
    }
}

impl Audit {
    async fn list(&self, request: proto::ListAuditRequest) -> Result<proto::ListAuditResponse, ApiError> {
        let size = self.gate.page_size(request.page_size)?;
        let page_token = request.page_token.clone();
        let (tenant, filter) = filter(request)?;
        let of = match (tenant, self.gate.tenant()?) {
            (tenant, own) if own == TenantId::default() => tenant,
            (tenant, own) if tenant.as_ref().is_none_or(|tenant| *tenant == own) => Some(own),
            _ => return Err(ApiError::HouseOnly),
        };
        let filters = ("ListAudit", &of, &filter);
        let before = page_token::read(&filters, &page_token)?;
        let store = &self.gate.house()?.store;
        let found = store.audit_records(of.as_ref(), &filter, before, size + 1).await?;
        let (page, next_page_token) = split_page(&found, size, |record| record.id, &filters);
        Ok(proto::ListAuditResponse { records: page.iter().map(to_proto).collect(), next_page_token })
    }

    async fn verify(
        &self,
        request: proto::VerifyAuditRequest,
    ) -> Result<proto::VerifyAuditResponse, ApiError> {
        if self.gate.tenant()? != TenantId::default() {
            return Err(ApiError::HouseOnly);
        }
        let mut violations = Vec::new();
        let after = place("after", request.after_sequence, &request.after_hash, &mut violations);
        let expected = place("expected", request.expected_sequence, &request.expected_hash, &mut violations);
        let after = after.unwrap_or(Chain::START);
        let verification = Verification { after, expected, records_max: RECORDS_MAX };
        if violations.is_empty() && !verification.is_answerable() {
            violations.push(Violation::new("expected_sequence", "must lie behind after_sequence"));
        }
        if !violations.is_empty() {
            return Err(ApiError::Invalid(violations));
        }
        let verified = self.gate.house()?.store.verify_audit(&verification).await?;
        Ok(proto::VerifyAuditResponse {
            records: verified.records,
            sequence: verified.until.sequence,
            hash: verified.until.hash.to_string(),
            complete: verified.is_complete,
            r#break: verified.broken.as_ref().map(break_to_proto),
            records_outside: verified.outside,
        })
    }
}

/// A place in the chain that somebody knows the hash of; none where nothing is said.
fn place(of: &str, sequence: i64, hash: &str, violations: &mut Vec<Violation>) -> Option<Chain> {
    if sequence == 0 && hash.is_empty() {
        return None;
    }
    if sequence < 1 {
        violations.push(Violation::new(format!("{of}_sequence"), "must be 1 or more beside a hash"));
    }
    let hash: Result<ChainHash, _> = hash.parse();
    if let Err(rule) = &hash {
        violations.push(Violation::new(format!("{of}_hash"), rule.to_string()));
    }
    hash.ok().map(|hash| Chain { sequence, hash })
}

fn filter(request: proto::ListAuditRequest) -> Result<(Option<TenantId>, AuditFilter), ApiError> {
    let mut violations = Vec::new();
    let tenant = match request.tenant_id.as_str() {
        "" => None,
        text => {
            let tenant = TenantId::parse(text).ok();
            if tenant.is_none() {
                violations.push(Violation::new("tenant_id", "1 to 63 characters of a-z, 0-9 and hyphen"));
            }
            tenant
        }
    };
    let mut text =
        |field: &str, text: String| request::optional_text(field, text, FILTER_CHARS_MAX, &mut violations);
    let (actor, method) = (text("actor", request.actor), text("method", request.method));
    let subject = text("subject", request.subject);
    let subject = subject.map(|text| text.parse().map_or(Subject::Named(text), Subject::Id));
    let mut time = |field: &str, given: Option<prost_types::Timestamp>| {
        let at = given.as_ref().map(moment);
        if at == Some(None) {
            violations.push(Violation::new(field, "is no time"));
        }
        at.flatten()
    };
    let (from, until) = (time("time_from", request.time_from), time("time_until", request.time_until));
    if !violations.is_empty() {
        return Err(ApiError::Invalid(violations));
    }
    Ok((tenant, AuditFilter { actor, method, subject, from, until }))
}

fn to_proto(record: &Record) -> proto::AuditRecord {
    let subject = record.subject.clone().unwrap_or_else(|| record.subject_id.to_string());
    proto::AuditRecord {
        id: record.id.to_string(),
        sequence: record.sequence.unwrap_or_default(),
        time: chrono::DateTime::from_timestamp_micros(record.at_us).map(timestamp),
        actor: record.actor.clone().unwrap_or_default(),
        tenant_id: record.tenant_id.clone(),
        method: record.method.clone(),
        subject,
        reason: record.reason.clone(),
        before: record.before.clone().unwrap_or_default(),
        after: record.after.clone().unwrap_or_default(),
        traceparent: record.traceparent.clone().unwrap_or_default(),
    }
}

fn break_to_proto(found: &Break) -> proto::AuditBreak {
    use proto::audit_break::Flaw as Word;
    let flaw = match found.flaw {
        Flaw::Missing => Word::Missing,
        Flaw::OutOfPlace => Word::OutOfPlace,
        Flaw::Changed => Word::Changed,
        Flaw::Head => Word::Head,
        Flaw::Unexpected => Word::Unexpected,
    };
    proto::AuditBreak {
        sequence: found.sequence,
        id: found.id.map(|id| id.to_string()).unwrap_or_default(),
        flaw: flaw.into(),
    }
}
