//! `ReloadConfig`: this process reads its configuration again.
//!
//! **Fails** with every key that is at fault, and then nothing has changed; and as the store does, where the record of what is about
//! to change is not taken. **Limits**: one reload at a time; this process's own sources.

use crate::config::reload::Change;
use crate::config::{ConfigErrors, Problem};
use crate::domain::violation::Violation;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::control::v1 as proto;

pub(super) async fn reload(
    gate: &Gate,
    request: proto::ReloadConfigRequest,
) -> Result<proto::ReloadConfigResponse, ApiError> {
    let reason = request::only_reason(request.reason)?;
    let house = if request.check_only { gate.house()? } else { gate.house_for_change()? };
    let pending = match house.reload.begin().await {
        Ok(pending) => pending,
        Err(errors) => return Err(ApiError::Invalid(violations(&errors))),
    };
    let answer = proto::ReloadConfigResponse {
        taken: pending.taken().iter().map(change).collect(),
        waiting: pending.waiting().to_vec(),
    };
    if !request.check_only {
        if let Some(act) = pending.act(reason, request::now()) {
            house.store.audit_act(act).await?;
        }
        pending.apply();
    }
    Ok(answer)
}

/// What is wrong, by key, and where it was set; a source that cannot be read has none. Never a value, which may be a secret.
fn violations(errors: &ConfigErrors) -> Vec<Violation> {
    let violation = |problem: &Problem| match problem {
        Problem::Unknown { key, origin, nearest } => {
            let meant =
                nearest.as_ref().map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
            Violation::new(key, format!("is no key ({origin}){meant}"))
        }
        Problem::Bad { key, origin, reason } => Violation::new(key, format!("{reason} ({origin})")),
        Problem::Unreadable { origin, reason } => {
            Violation::new("configuration", format!("{origin} cannot be read: {reason}"))
        }
    };
    errors.problems().iter().map(violation).collect()
}

fn change(change: &Change) -> proto::SettingChange {
    proto::SettingChange {
        key: change.key.clone(),
        before: change.before.clone().unwrap_or_default(),
        after: change.after.clone().unwrap_or_default(),
    }
}
