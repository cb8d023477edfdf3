//! Has another service refresh the accounts of a customer, as the replaced scheduler did.
//!
//! **Owns** nothing. **Fails** into the rows of the customer's visits: what the service says holds for all of their consents.
//! **Limits**: one call for each customer in a run; accounts and transactions are that service's to keep.

use std::sync::Arc;

use tracing::error;

use super::batch::Visited;
use super::tally::Added;
use super::{NotKept, Run, visit};
use crate::connectors::aspsps::AspspError;
use crate::domain::ids::{ApiSessionId, PsuUserId};
use crate::store::openbanking::consent::Consent;
use crate::store::openbanking::session::VisitState;

/// Has one customer's accounts refreshed.
pub(super) async fn refresh(
    run: Arc<Run>,
    user_id: PsuUserId,
    external_id: String,
    consents: Vec<Consent>,
) -> Visited {
    let all = |state: VisitState, added| Visited { user_id, states: vec![state; consents.len()], added };
    let mut open: Vec<(ApiSessionId, &Consent)> = Vec::new();
    let mut states = Vec::new();
    for consent in &consents {
        if run.context.is_wanted().is_err() {
            return all(VisitState::Open, Added::default());
        }
        match visit::open(&run, consent).await {
            Ok(session) if session.state == VisitState::Open => open.push((session.id, consent)),
            // It came to its end before the run was cut off.
            Ok(session) => states.push(session.state),
            Err(NotKept::Wanted(_)) => return all(VisitState::Open, Added::default()),
            Err(NotKept::Broken(error)) => {
                error!(%error, "visit not opened");
                return all(VisitState::Failed, Added::default());
            }
        }
    }
    crate::failpoint::reached("sync.session.opened");
    let Some((first, consent)) = open.first() else {
        return Visited { user_id, states, added: Added::default() };
    };
    let (state, reason) = ask(&run, *first, consent, &external_id).await;
    for (id, _) in &open {
        states.push(visit::close(&run, *id, state, reason.clone(), 0).await);
    }
    Visited { user_id, states, added: Added { calls: 1, ..Added::default() } }
}

async fn ask(
    run: &Run,
    session_id: ApiSessionId,
    consent: &Consent,
    external_id: &str,
) -> (VisitState, Option<String>) {
    let Some(api) = &run.means.internal_api else {
        let reason = "misconfigured: openbanking.internal_api is not set".to_owned();
        return (VisitState::Failed, Some(reason));
    };
    crate::failpoint::reached("sync.call.before");
    let told = api.refresh_active_accounts(external_id).await;
    crate::failpoint::reached("sync.call.after");
    let error = told.outcome.as_ref().err();
    run.keep_call(run.call_row(consent, Some(session_id), &told.call, None, error)).await;
    match &told.outcome {
        Ok(()) => (VisitState::Ok, None),
        Err(error @ AspspError::RateLimited { .. }) => (VisitState::RateLimited, Some(error.to_string())),
        Err(error @ AspspError::Unavailable { .. }) => {
            (VisitState::Failed, Some(format!("internal_api_unavailable: {error}")))
        }
        Err(error) => (VisitState::Failed, Some(format!("{}: {error}", error.kind()))),
    }
}
