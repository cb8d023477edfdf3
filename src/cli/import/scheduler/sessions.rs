//! Visits of the table `ApiSession`: history, by which whoever asks sees what was before.
//!
//! A visit belongs to a run. The service before kept none that is known, so that each visit has one of its own, whose id is made of the
//! visit's own name: read again, it is the same visit.
//!
//! **Owns** nothing. **Fails** per record: a consent that is not known.

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, NoContext, Timestamp, Uuid};

use super::csv::Record;
use super::{Import, Kind, aspsp, moment, name, of_store};
use crate::cli::failure::Failure;
use crate::domain::ids::ApiSessionId;
use crate::store::openbanking::session::{ApiSession, VisitState};

const SOURCE_MAX: i64 = 255;
/// Why a visit is taken for one that ended well of which the table says nothing.
const IMPORTED: &str = "imported: the table says nothing of how it ended";

pub(super) struct Sessions;

pub(super) struct Item {
    name: String,
    aspsp: String,
    consent: String,
    source: i64,
    state: VisitState,
    reason: Option<String>,
    started_at: DateTime<Utc>,
    ended_at: DateTime<Utc>,
}

impl Kind for Sessions {
    const NAME: &'static str = "session";
    const WORDS: &'static str = "reading visits";
    const COLUMNS: &'static [&'static str] =
        &["session_id", "aspsp", "consent_id", "session_source", "started_at"];
    type Item = Item;

    fn read(record: &Record<'_>, import: &Import<'_>) -> Result<(Item, Option<String>), Vec<String>> {
        let mut reasons = Vec::new();
        let source = record.get("session_source").parse().ok();
        let source = source.filter(|source| (0..=SOURCE_MAX).contains(source));
        if source.is_none() {
            reasons.push(format!("session_source: 0 to {SOURCE_MAX}"));
        }
        let (state, reason) = match record.get("state") {
            "" => (Some(VisitState::Ok), Some(IMPORTED.to_owned())),
            word => {
                (VisitState::parse(&word.to_lowercase()).filter(|state| *state != VisitState::Open), None)
            }
        };
        if state.is_none() {
            reasons.push("state: ok, failed, rate_limited or cancelled".to_owned());
        }
        let started_at = moment(record, "started_at", &mut reasons);
        if record.get("started_at").is_empty() {
            reasons.push("started_at: required".to_owned());
        }
        let ended_at = moment(record, "ended_at", &mut reasons);
        let (started, ended) = (started_at.unwrap_or(import.now), ended_at.or(started_at));
        let ended = ended.unwrap_or(import.now);
        if ended < started || ended > import.now {
            reasons.push("ended_at: lies before its start, or in the future".to_owned());
        }
        let item = Item {
            name: name(record, "session_id", &mut reasons),
            aspsp: aspsp(record, &mut reasons),
            consent: name(record, "consent_id", &mut reasons),
            source: source.unwrap_or_default(),
            state: state.unwrap_or(VisitState::Ok),
            reason,
            started_at: started,
            ended_at: ended,
        };
        if reasons.is_empty() { Ok((item, None)) } else { Err(reasons) }
    }

    async fn write(import: &Import<'_>, items: &[Item]) -> Result<Vec<Result<bool, String>>, Failure> {
        let names: Vec<(String, String)> =
            items.iter().map(|item| (item.aspsp.clone(), item.consent.clone())).collect();
        let consents = import.store.consents_named_at(&import.tenant, &names).await;
        let consents = consents.map_err(|error| of_store(&error))?;
        let (mut sessions, mut ids) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        for (item, name) in items.iter().zip(&names) {
            let Some((consent_id, user_id)) = consents.get(name).copied() else {
                ids.push(None);
                continue;
            };
            let seconds = u64::try_from(item.started_at.timestamp()).unwrap_or_default();
            let at = Timestamp::from_unix(NoContext, seconds, item.started_at.timestamp_subsec_nanos());
            let session = ApiSession {
                // In the order in which they were, among all others.
                id: ApiSessionId(Uuid::new_v7(at)),
                tenant_id: import.tenant.clone(),
                run_id: run_of(&import.tenant.to_string(), &item.name),
                consent_id,
                user_id,
                aspsp: item.aspsp.clone(),
                source: item.source,
                state: item.state,
                reason: item.reason.clone(),
                news: 0,
                started_at: item.started_at,
                ended_at: Some(item.ended_at),
            };
            ids.push(Some(session.id));
            sessions.push(session);
        }
        let mut opened = Vec::with_capacity(sessions.len());
        if import.dry_run {
            opened.extend(sessions.iter().map(|session| session.id));
        } else {
            for session in import.store.open_api_sessions(&sessions).await {
                opened.push(session.map_err(|error| of_store(&error))?.id);
            }
        }
        let mut opened = opened.into_iter();
        let outcome = |id: Option<ApiSessionId>| match id {
            Some(id) => Ok(opened.next() == Some(id)),
            None => Err("consent_id: no such consent at this bank; import consents first".to_owned()),
        };
        Ok(ids.into_iter().map(outcome).collect())
    }
}

/// The run that a visit has to itself.
fn run_of(tenant: &str, name: &str) -> Uuid {
    let digest = Sha256::new()
        .chain_update(b"bursar imported api session\0")
        .chain_update(tenant.as_bytes())
        .chain_update(b"\0")
        .chain_update(name.as_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}
