//! Sends what claimed deliveries owe, endpoint by endpoint, and writes down what came of it.
//!
//! **Owns** the claims, in their guards. **Fails** never: whatever the channel says becomes a [`DeliveryChange`]; a panic or
//! a cut leaves the rows to their guards. **Limits**: `notification.attempt_timeout`, and the lease.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinSet;
use tracing::{Instrument as _, debug, info_span, warn};

use super::{Means, health};
use crate::actors::hands::Claims;
use crate::connectors::channels::{Channel as _, ChannelError, Destination, Notice, Receipt};
use crate::domain::ids::{EndpointId, EventId};
use crate::domain::work::{Claim, WorkState};
use crate::messages::notice;
use crate::store::delivery::{DeliveryChange, DeliverySettlement, DueDelivery, DueEvent};
use crate::telemetry;
use crate::work::breaker::Verdict;
use crate::work::{ClaimGuard, Place};

/// Between two tries to write an outcome down while the store is away.
const AWAY_WAIT: Duration = Duration::from_millis(250);

/// One claimed delivery with what it has to send.
struct Owed {
    guard: ClaimGuard,
    _place: Place,
    due: DueDelivery,
}

/// Delivers a batch: one query for what is due, then every endpoint on its own.
pub(super) async fn deliver(means: Arc<Means>, claims: Claims) {
    let rows: Vec<Claim> = claims.iter().map(|(guard, _)| guard.claim().clone()).collect();
    let due = match means.claimer.store.due_deliveries(&rows).await {
        Ok(due) => due,
        Err(error) => {
            warn!(%error, "deliveries not read");
            return;
        }
    };
    let mut by_endpoint: HashMap<EndpointId, Vec<Owed>> = HashMap::new();
    for ((mut guard, place), due) in claims.into_iter().zip(due) {
        // From here on a crash may be this delivery's own doing, and counts.
        guard.begin();
        match due {
            Some(due) => {
                by_endpoint.entry(due.endpoint_id).or_default().push(Owed { guard, _place: place, due })
            }
            None => warn!(work_id = %guard.claim().id, "the delivery of this work is gone"),
        }
    }
    let mut endpoints = JoinSet::new();
    for (endpoint_id, mut owed) in by_endpoint {
        let span = info_span!("notification.deliver", %endpoint_id, deliveries = owed.len());
        ClaimGuard::trace_together(owed.iter_mut().map(|owed| &mut owed.guard), &span);
        endpoints.spawn(deliver_to_one(means.clone(), owed).instrument(span));
    }
    while let Some(ended) = endpoints.join_next().await {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            // The other endpoints go on; the notifier hears of this one.
            endpoints.detach_all();
            std::panic::resume_unwind(panic);
        }
    }
}

async fn deliver_to_one(means: Arc<Means>, owed: Vec<Owed>) {
    let Some(first) = owed.first() else { return };
    let runner_id = first.guard.claim().runner_id;
    let timeout = means.config.attempt_timeout;
    let started_at = Utc::now();
    let results = tokio::select! {
        biased;
        () = means.claimer.lease.lost(runner_id) => {
            debug!("deliveries dropped: the rows are not ours any more");
            return;
        }
        results = tokio::time::timeout(timeout, send(&means, &owed)) => results,
    };
    let results = results.unwrap_or_else(|_| {
        let unknown =
            || ChannelError::OutcomeUnknown { reason: "no end within the attempt's time".to_owned() };
        owed.iter().map(|owed| owed.due.events.iter().map(|_| Err(unknown())).collect()).collect()
    });
    hear(&means, &first.guard.claim().queue, &results);
    health::note(&means, &first.due, &results).await;
    let mut settling = JoinSet::new();
    for (owed, results) in owed.into_iter().zip(results) {
        let settlement = settlement(&means, &owed, &results, started_at);
        settling.spawn(settle(means.clone(), owed, settlement).in_current_span());
    }
    settling.join_all().await;
}

/// Tells the endpoint's breaker what one call says about it. A no is an answer; one answer among many is one, too.
fn hear(means: &Means, queue: &str, results: &[Vec<Result<Receipt, ChannelError>>]) {
    let failed = |result: &Result<Receipt, ChannelError>| {
        use ChannelError::{Misconfigured, OutcomeUnknown, Unavailable};
        matches!(result, Err(Unavailable { .. } | OutcomeUnknown { .. } | Misconfigured { .. }))
    };
    let mut results = results.iter().flatten().peekable();
    if results.peek().is_some() {
        let verdict = if results.all(failed) { Verdict::Failed } else { Verdict::Answered };
        means.claimer.places.report(queue, verdict);
    }
}

/// Sends all notices of one endpoint, and returns the results per delivery and event.
async fn send(means: &Means, owed: &[Owed]) -> Vec<Vec<Result<Receipt, ChannelError>>> {
    let each = |error: &ChannelError| {
        owed.iter().map(|owed| owed.due.events.iter().map(|_| Err(error.clone())).collect()).collect()
    };
    if owed.iter().any(|owed| owed.due.disabled) {
        return each(&ChannelError::Refused { reason: "endpoint disabled".to_owned() });
    }
    let destination: Destination = match Destination::read(owed[0].due.endpoint_id, &owed[0].due.destination)
    {
        Ok(destination) => destination,
        Err(error) => return each(&ChannelError::Misconfigured { reason: error.to_string() }),
    };
    let mut bodies: Vec<(usize, &DueEvent, String, String)> = Vec::new();
    for (index, owed) in owed.iter().enumerate() {
        for event in &owed.due.events {
            let Some(body) = notice::body(&owed.due, event) else {
                let reason = format!("what is kept of event {} is no JSON", event.id);
                return each(&ChannelError::Misconfigured { reason });
            };
            bodies.push((index, event, body, owed.due.subject_id.to_string()));
        }
    }
    let notices: Vec<Notice<'_>> = bodies
        .iter()
        .map(|(index, event, body, subject)| {
            let claim = owed[*index].guard.claim();
            Notice {
                tenant: &claim.tenant_id,
                event_id: EventId(event.id),
                event_type: &event.event_type,
                subject,
                version: event.version,
                occurred_at: event.occurred_at,
                body,
                traceparent: claim.traceparent.as_deref(),
            }
        })
        .collect();
    crate::failpoint::reached("channel.deliver.before");
    let answers =
        if notices.is_empty() { vec![] } else { means.channel.deliver(&destination, &notices).await };
    crate::failpoint::reached("channel.deliver.after");
    let mut results: Vec<Vec<_>> = owed.iter().map(|_| Vec::new()).collect();
    let mut answers = answers.into_iter();
    for (index, ..) in &bodies {
        let unsaid = || Err(ChannelError::OutcomeUnknown { reason: "the channel gave no answer".to_owned() });
        results[*index].push(answers.next().unwrap_or_else(unsaid));
    }
    results
}

/// What the results of one delivery's events mean for its row: sent up to the first that was not taken.
fn settlement(
    means: &Means,
    owed: &Owed,
    results: &[Result<Receipt, ChannelError>],
    started_at: DateTime<Utc>,
) -> DeliverySettlement {
    let claim = owed.guard.claim();
    let taken = results.iter().take_while(|result| result.is_ok()).count();
    let mut sent_version = taken.checked_sub(1).map_or(0, |last| owed.due.events[last].version);
    let (change, answer) = match results.get(taken) {
        None => {
            // What the endpoint does not want counts as told, too.
            if owed.due.resend.is_none() {
                sent_version = owed.due.wanted_version;
            }
            (DeliveryChange::Delivered, accepted(results.last()))
        }
        Some(Err(error)) => (after_error(means, claim, error), error.to_string()),
        Some(Ok(_)) => unreachable!("counted as taken above"),
    };
    let now = Utc::now();
    let resend = owed.due.resend;
    // What was held back behind a failure was not tried.
    let tried = owed.due.events.iter().zip(results.iter().take(taken + 1));
    let attempts = tried
        .map(|(event, result)| notice::attempt(event, result, resend.is_some(), started_at, now))
        .collect();
    DeliverySettlement {
        claim: claim.clone(),
        endpoint_id: owed.due.endpoint_id,
        sent_version,
        wanted_version: owed.due.wanted_version,
        answer,
        resend,
        attempts,
        change,
        now,
    }
}

fn accepted(last: Option<&Result<Receipt, ChannelError>>) -> String {
    match last {
        Some(Ok(Receipt { status: Some(status), .. })) => format!("accepted with {status}"),
        Some(_) => "accepted".to_owned(),
        None => "nothing to send".to_owned(),
    }
}

fn after_error(means: &Means, claim: &Claim, error: &ChannelError) -> DeliveryChange {
    let Some(backoff) = wait_after(means, claim) else { return DeliveryChange::GivenUp };
    let wait = match error {
        ChannelError::Refused { .. } | ChannelError::Disabled => return DeliveryChange::GivenUp,
        ChannelError::Unavailable { retry_after, .. } => {
            retry_after.map_or(backoff, |wait| wait.max(backoff))
        }
        ChannelError::OutcomeUnknown { .. } => backoff,
        ChannelError::Misconfigured { .. } => means.config.retry_cap,
    };
    DeliveryChange::Later {
        run_at: means.claimer.store.now() + wait,
        state: WorkState::Retryable,
        attempt_counts: true,
    }
}

/// How long to wait after this attempt; nothing after the last one.
fn wait_after(means: &Means, claim: &Claim) -> Option<Duration> {
    if !claim.has_attempts_left() {
        return None;
    }
    let waits = means.channel.waits();
    if waits.is_empty() {
        return Some(means.claimer.returns.policy().wait_after(claim.attempt, rand::random()));
    }
    let place = usize::try_from(claim.attempt.saturating_sub(1)).unwrap_or_default();
    // Up to a tenth more, so that owners who failed together do not come back together.
    waits.get(place).map(|wait| wait.mul_f64(1.0 + rand::random::<f64>() / 10.0))
}

/// Writes the outcome down, however long the store is away, for as long as the lease holds.
async fn settle(means: Arc<Means>, owed: Owed, settlement: DeliverySettlement) {
    let runner_id = settlement.claim.runner_id;
    let outcome = tokio::select! {
        biased;
        outcome = async {
            loop {
                match means.settlements.run(settlement.clone()).await {
                    Err(error) if error.is_transient() => {
                        warn!(%error, "delivery not written down yet");
                        tokio::time::sleep(AWAY_WAIT).await;
                    }
                    outcome => break outcome,
                }
            }
        } => outcome,
        () = means.claimer.lease.lost(runner_id) => Ok(false),
    };
    let (boleto_id, endpoint_id) = (settlement.claim.subject_id, settlement.endpoint_id);
    match outcome {
        // A lease that was lost may be held again once the store is back; the guard then gives the row back.
        Ok(false) => warn!(%boleto_id, %endpoint_id, "delivery not written down: the row had moved on"),
        Ok(true) => {
            owed.guard.settled();
            match settlement.change {
                DeliveryChange::Delivered => debug!(%boleto_id, %endpoint_id, "owner told"),
                DeliveryChange::Later { .. } => {
                    telemetry::note_failure("attempt_failed");
                    warn!(%boleto_id, %endpoint_id, error = %settlement.answer, "owner not told yet");
                }
                DeliveryChange::GivenUp => {
                    telemetry::note_failure("given_up");
                    warn!(%boleto_id, %endpoint_id, error = %settlement.answer, "delivery given up: a dead letter");
                }
            }
        }
        Err(error) => {
            // Poison: the guard puts the row back with its attempt counted, until it is a dead letter.
            tracing::error!(work_id = %settlement.claim.id, %error, "delivery cannot be written down");
        }
    }
}
