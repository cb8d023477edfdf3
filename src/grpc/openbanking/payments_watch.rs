//! `WatchPayments`: some payments as they stand, and again at each change, until all have ended.
//!
//! The store is looked at whenever this process has changed a payment, and every `limits.watch_poll` for what others do.
//!
//! **Owns** which versions it has told. **Fails** with the store's trouble and while draining; whoever watches asks again and sees each
//! as it stands. **Limits**: [`IDS_MAX`] payments; a seat held inside the stream; two looks are [`APART`] at least; versions that
//! follow each other faster are told by the last of them.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use crate::caller;
use crate::domain::ids::{PaymentId, TenantId};
use crate::domain::openbanking::payment::PaymentState;
use crate::domain::violation::Violation;
use crate::grpc::convert::openbanking as convert;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::seats::StreamSeat;
use crate::grpc::status::ApiError;
use crate::proto::openbanking::v1 as proto;

/// The stream that a watcher gets.
pub(super) type Changes = Pin<Box<dyn Stream<Item = Result<proto::WatchPaymentsResponse, Status>> + Send>>;

const IDS_MAX: usize = 100;
/// Between two looks at least.
const APART: Duration = Duration::from_millis(100);
const BUFFERED: usize = 16;

pub(super) async fn watch(
    gate: &Gate,
    request: &proto::WatchPaymentsRequest,
    seat: StreamSeat,
) -> Result<Changes, ApiError> {
    let ids = ids(&request.ids)?;
    let found = gate.house()?.store.payments_of_ids(&gate.tenant()?, &ids).await?;
    if found.len() < ids.len() {
        return Err(ApiError::NotFound("PAYMENT"));
    }
    let (sender, receiver) = mpsc::channel(BUFFERED);
    caller::spawn(follow(gate.clone(), gate.tenant()?, ids, sender));
    let stream = ReceiverStream::new(receiver).map(move |message| {
        // The seat lives as long as the stream does.
        let _ = &seat;
        message
    });
    Ok(Box::pin(stream))
}

/// Each id once.
fn ids(texts: &[String]) -> Result<Vec<PaymentId>, ApiError> {
    if !(1..=IDS_MAX).contains(&texts.len()) {
        return Err(ApiError::field("ids", &format!("1 to {IDS_MAX}")));
    }
    let mut violations = Vec::new();
    let mut ids: Vec<PaymentId> = Vec::with_capacity(texts.len());
    for (place, text) in texts.iter().enumerate() {
        let field = format!("ids[{place}]");
        match request::optional_id(&field, text, &mut violations) {
            Some(id) => ids.push(id),
            None if text.is_empty() => violations.push(Violation::new(field, "required")),
            None => {}
        }
    }
    if !violations.is_empty() {
        return Err(ApiError::Invalid(violations));
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

async fn follow(
    gate: Gate,
    tenant: TenantId,
    mut ids: Vec<PaymentId>,
    sender: mpsc::Sender<Result<proto::WatchPaymentsResponse, Status>>,
) {
    let Ok(house) = gate.house() else { return };
    let mut changes = house.payment_changes.subscribe();
    let mut told: HashMap<PaymentId, i64> = HashMap::new();
    loop {
        changes.mark_unchanged();
        let found = match house.store.payments_of_ids(&tenant, &ids).await {
            Ok(found) => found,
            Err(error) => {
                let _ = sender.send(Err(ApiError::from(error).into())).await;
                return;
            }
        };
        for payment in &found {
            if told.insert(payment.id, payment.version) == Some(payment.version) {
                continue;
            }
            let answer = proto::WatchPaymentsResponse { payment: Some(convert::payment(payment)) };
            if sender.send(Ok(answer)).await.is_err() {
                return;
            }
        }
        // What has ended changes no more, and what was forgotten meanwhile had ended.
        ids = found
            .iter()
            .filter(|payment| payment.state == PaymentState::InProgress)
            .map(|payment| payment.id)
            .collect();
        if ids.is_empty() {
            return;
        }
        if gate.readiness().is_draining() {
            let _ = sender.send(Err(ApiError::Draining.into())).await;
            return;
        }
        tokio::select! {
            () = sender.closed() => return,
            // What other processes change is seen at the next look.
            () = tokio::time::sleep(APART) => {}
        }
        let _ = tokio::time::timeout(gate.limits().watch_poll, changes.changed()).await;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_payment_is_watched_once_and_all_that_are_none_are_said() {
        let one = Uuid::now_v7().to_string();
        assert_eq!(ids(&[one.clone(), one]).map(|ids| ids.len()).ok(), Some(1));
        assert!(ids(&[]).is_err() && ids(&vec![Uuid::nil().to_string(); IDS_MAX + 1]).is_err());
        let Err(ApiError::Invalid(violations)) = ids(&["x".to_owned(), String::new()]) else {
            panic!("they were taken")
        };
        let fields: Vec<&str> = violations.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["ids[0]", "ids[1]"]);
    }
}
