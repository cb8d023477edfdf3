//! What is read of the audit: a page of records, newest first.
//!
//! **Fails** as the store does. **Limits**: the caller's page. Ids are made before records are written, so that the newest may
//! still come in behind one that is shown already.

use chrono::{DateTime, Utc};
use sea_orm::Value;
use uuid::Uuid;

use super::audit_chain::{COLUMNS, read_record};
use super::transaction::all;
use super::{Store, StoreError, to_us};
use crate::domain::audit::Record;
use crate::domain::ids::TenantId;

/// What records are about; what has no id has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Id(Uuid),
    Named(String),
}

/// Which records; what is `None` is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub actor: Option<String>,
    pub method: Option<String>,
    pub subject: Option<Subject>,
    /// Done then or later.
    pub from: Option<DateTime<Utc>>,
    /// Done before that.
    pub until: Option<DateTime<Utc>>,
}

impl Store {
    /// A page of a tenant's records, or of all tenants', newest first, behind one of them.
    pub async fn audit_records(
        &self,
        tenant: Option<&TenantId>,
        filter: &AuditFilter,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Record>, StoreError> {
        let mut values = Vec::new();
        let mut conditions = "true".to_owned();
        let mut and = |condition: &str, value: Value| {
            values.push(value);
            conditions.push_str(&format!(" and {condition} ${}", values.len()));
        };
        if let Some(tenant) = tenant {
            and("tenant_id =", Value::from(tenant.as_str()));
        }
        if let Some(actor) = &filter.actor {
            and("actor =", Value::from(actor.as_str()));
        }
        if let Some(method) = &filter.method {
            and("method =", Value::from(method.as_str()));
        }
        match &filter.subject {
            Some(Subject::Id(id)) => and("subject_id =", Value::from(*id)),
            Some(Subject::Named(name)) => {
                and("subject is not null and subject =", Value::from(name.as_str()))
            }
            None => {}
        }
        if let Some(from) = filter.from {
            and("at_us >=", Value::from(to_us(from)));
        }
        if let Some(until) = filter.until {
            and("at_us <", Value::from(to_us(until)));
        }
        if let Some(before) = before {
            and("id <", Value::from(before));
        }
        values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
        let place = values.len();
        let find = self.statement(
            &format!("select {COLUMNS} from audit where {conditions} order by id desc limit ${place}"),
            values,
        );
        let rows = self.within(async { all(self.reader(), find).await }).await?;
        rows.iter().map(read_record).collect()
    }
}
