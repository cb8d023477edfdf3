//! What the scripted service says of its audit: one record to list, and a chain of three in two answers.

use prost_types::Timestamp;
use tonic::Request;

use super::{Answer, Response, Scripted};
use crate::domain::audit::ChainHash;
use crate::proto::access::v1::audit_break::Flaw;
use crate::proto::access::v1::audit_service_server::AuditService;
use crate::proto::access::v1::{
    AuditBreak, AuditRecord, ListAuditRequest, ListAuditResponse, VerifyAuditRequest, VerifyAuditResponse,
};

#[tonic::async_trait]
impl AuditService for Scripted {
    /// Whatever the filters, one record that tells them.
    async fn list_audit(&self, request: Request<ListAuditRequest>) -> Answer<ListAuditResponse> {
        let asked = request.into_inner();
        let record = AuditRecord {
            id: "r".to_owned(),
            sequence: 7,
            time: Some(Timestamp { seconds: 0, nanos: 0 }),
            actor: asked.actor,
            method: asked.method,
            subject: asked.subject,
            reason: "maintenance".to_owned(),
            before: r#"{"paused":false}"#.to_owned(),
            after: r#"{"paused":true}"#.to_owned(),
            ..AuditRecord::default()
        };
        Ok(Response::new(ListAuditResponse { records: vec![record], next_page_token: String::new() }))
    }

    /// Two records, then the third and last. It is another one than whoever expects a hash has kept.
    async fn verify_audit(&self, request: Request<VerifyAuditRequest>) -> Answer<VerifyAuditResponse> {
        let asked = request.into_inner();
        let is_first = asked.after_sequence == 0;
        let hash = ChainHash::START.to_string();
        assert!(is_first || (asked.after_sequence, &asked.after_hash) == (2, &hash), "{asked:?}");
        let broken = || AuditBreak { sequence: 3, id: "r".to_owned(), flaw: Flaw::Unexpected.into() };
        let nothing_expected = asked.expected_sequence == 0;
        Ok(Response::new(VerifyAuditResponse {
            records: if is_first { 2 } else { 1 },
            sequence: if is_first { 2 } else { 3 },
            hash,
            complete: !is_first && nothing_expected,
            r#break: (!is_first && !nothing_expected).then(broken),
            records_outside: if is_first { 0 } else { 4 },
        }))
    }
}
