//! Requests to banks, written down: one row each, in groups.
//!
//! **Owns** nothing. **Fails** as the store does; a request was made whether its row is written or not. **Limits**: what the record
//! of a call holds, which is no body, no token and no address.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::connectors::aspsps::{AspspError, CallRecord};
use crate::domain::ids::{AccountId, ApiSessionId, TenantId};
use crate::store::Store;
use crate::store::openbanking::session::ApiCall;
use crate::work::Lane;

/// Groups written side by side into one place are of no use: a row hurts nobody by waiting.
const WIDTH: usize = 1;

/// For whom a request was made.
#[derive(Debug, Clone)]
pub struct CallOf {
    pub tenant_id: TenantId,
    /// None where payments were asked about.
    pub session_id: Option<ApiSessionId>,
    pub run_id: Option<Uuid>,
    pub aspsp: String,
    pub account_id: Option<AccountId>,
}

/// A lane for the rows of calls. One that was written before is left as it is, so that a row may be handed in again.
pub fn lane(store: Store, group_max: usize) -> Lane<ApiCall, ()> {
    Lane::open("record_api_calls", WIDTH, group_max, move |calls: Arc<[ApiCall]>| {
        let store = store.clone();
        async move {
            let written = store.record_api_calls(&calls).await;
            vec![written; calls.len()]
        }
    })
}

/// The row of a call.
pub fn row(of: CallOf, call: &CallRecord, error: Option<&AspspError>) -> ApiCall {
    let CallOf { tenant_id, session_id, run_id, aspsp, account_id } = of;
    ApiCall {
        id: Uuid::now_v7(),
        tenant_id,
        session_id,
        run_id,
        aspsp,
        endpoint: call.operation.as_str().to_owned(),
        account_id,
        request_id: Some(call.request_id),
        status: call.status,
        duration_us: i64::try_from(call.duration.as_micros()).unwrap_or(i64::MAX),
        limits: limits(call),
        error: error.map(|error| format!("{}: {error}", error.kind())),
        sent_at: call.begun_at,
    }
}

/// What the headers said of limits, as JSON.
fn limits(call: &CallRecord) -> Option<String> {
    let mut said: BTreeMap<&str, String> =
        call.rate_limits.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    said.extend(call.retry_after.map(|wait| ("retry-after", wait.as_secs().to_string())));
    if said.is_empty() {
        return None;
    }
    serde_json::to_string(&said).ok()
}
