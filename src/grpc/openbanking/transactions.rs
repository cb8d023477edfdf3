//! What is booked on an account, and what is pending.
//!
//! **Owns** nothing. **Fails** with every violation at once, and with the store's trouble in the middle of a stream. **Limits**: pages by
//! day and id, so that what is booked meanwhile on an earlier day is not in later pages; a stream holds a seat, and is as slow as its
//! reader.

use std::pin::Pin;

use chrono::NaiveDate;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;
use uuid::Uuid;

use super::accounts::{Reading, read};
use super::one_more;
use crate::caller;
use crate::domain::ids::{AccountId, TenantId};
use crate::domain::violation::Violation;
use crate::grpc::convert::openbanking as convert;
use crate::grpc::gate::Gate;
use crate::grpc::page_token;
use crate::grpc::request;
use crate::grpc::seats::StreamSeat;
use crate::grpc::status::ApiError;
use crate::proto::openbanking::v1 as proto;
use crate::store::openbanking::list::KeptTransaction;

/// The stream that a reader gets.
pub(super) type Messages =
    Pin<Box<dyn Stream<Item = Result<proto::StreamTransactionsResponse, Status>> + Send>>;

/// Transactions of one message of a stream.
const SLICE: i64 = 500;
/// Messages that wait for a slow reader.
const BUFFERED: usize = 2;
/// Before the first day that anybody asks for, and after the last.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(1, 1, 2).expect("the calendar has such a day");
const LAST_DAY: NaiveDate = NaiveDate::from_ymd_opt(9999, 12, 31).expect("the calendar has such a day");

/// Behind what a page begins.
type Place = (NaiveDate, Uuid);

pub(super) async fn list(
    gate: &Gate,
    request: proto::ListTransactionsRequest,
) -> Result<proto::ListTransactionsResponse, ApiError> {
    let size = gate.page_size(request.page_size)?;
    let mut violations = Vec::new();
    let days = days(&request.from, &request.until, &mut violations);
    let filter = ("transactions", &request.account_id, &request.from, &request.until);
    let after = match page_token::read_name(&filter, &request.page_token)? {
        Some(name) => {
            Some(place_of(&name).ok_or_else(|| ApiError::field("page_token", "is not one of this list's"))?)
        }
        None => None,
    };
    let named = ("account_id", request.account_id.as_str());
    let Reading { account, freshness } =
        read(gate, "ListTransactions", named, request.reason.clone(), violations).await?;
    let store = &gate.house()?.store;
    let found = store.transactions(&gate.tenant()?, account.id, days, after, one_more(size)).await?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let page = &found[..found.len().min(size)];
    let next_page_token = match page.last().filter(|_| found.len() > size) {
        Some(last) => page_token::issue_name(&filter, &name_of(place(last))),
        None => String::new(),
    };
    let transactions = page.iter().map(convert::transaction).collect();
    Ok(proto::ListTransactionsResponse { transactions, next_page_token, freshness: Some(freshness) })
}

pub(super) async fn stream(
    gate: &Gate,
    request: proto::StreamTransactionsRequest,
    seat: StreamSeat,
) -> Result<Messages, ApiError> {
    let mut violations = Vec::new();
    let days = days(&request.from, &request.until, &mut violations);
    let named = ("account_id", request.account_id.as_str());
    let reading = read(gate, "StreamTransactions", named, request.reason, violations).await?;
    let (sender, receiver) = mpsc::channel(BUFFERED);
    caller::spawn(tell(gate.clone(), gate.tenant()?, reading.account.id, days, sender));
    let stream = ReceiverStream::new(receiver).map(move |message| {
        // The seat lives as long as the stream does.
        let _ = &seat;
        message
    });
    Ok(Box::pin(stream))
}

async fn tell(
    gate: Gate,
    tenant: TenantId,
    id: AccountId,
    days: (NaiveDate, NaiveDate),
    sender: mpsc::Sender<Result<proto::StreamTransactionsResponse, Status>>,
) {
    let Ok(house) = gate.house() else { return };
    let mut after = None;
    loop {
        let found = match house.store.transactions(&tenant, id, days, after, SLICE).await {
            Ok(found) => found,
            Err(error) => {
                let _ = sender.send(Err(ApiError::from(error).into())).await;
                return;
            }
        };
        let Some(last) = found.last().map(place) else { return };
        let is_last = i64::try_from(found.len()).is_ok_and(|count| count < SLICE);
        let transactions = found.iter().map(convert::transaction).collect();
        if sender.send(Ok(proto::StreamTransactionsResponse { transactions })).await.is_err() || is_last {
            return;
        }
        if gate.readiness().is_draining() {
            let _ = sender.send(Err(ApiError::Draining.into())).await;
            return;
        }
        after = Some(last);
    }
}

pub(super) async fn pending(
    gate: &Gate,
    request: proto::ListPendingTransactionsRequest,
) -> Result<proto::ListPendingTransactionsResponse, ApiError> {
    let named = ("account_id", request.account_id.as_str());
    let Reading { account, freshness } =
        read(gate, "ListPendingTransactions", named, request.reason, Vec::new()).await?;
    let found = gate.house()?.store.pending_transactions(&gate.tenant()?, account.id).await?;
    let transactions = found.iter().map(convert::pending).collect();
    Ok(proto::ListPendingTransactionsResponse { transactions, freshness: Some(freshness) })
}

/// The first and the last day that are asked for.
fn days(from: &str, until: &str, violations: &mut Vec<Violation>) -> (NaiveDate, NaiveDate) {
    let from = request::optional_date("from", from, violations).unwrap_or(FIRST_DAY);
    let until = request::optional_date("until", until, violations).unwrap_or(LAST_DAY);
    if from > until {
        violations.push(Violation::new("until", "must not lie before from"));
    }
    (from, until)
}

fn place(kept: &KeptTransaction) -> Place {
    (kept.told.booked_on, kept.id)
}

fn name_of((day, id): Place) -> String {
    format!("{day}/{id}")
}

fn place_of(name: &str) -> Option<Place> {
    let (day, id) = name.split_once('/')?;
    Some((day.parse().ok()?, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_s_place_reads_back_and_what_is_none_does_not() {
        let place = (NaiveDate::from_ymd_opt(2026, 11, 22).unwrap(), Uuid::now_v7());
        assert_eq!(place_of(&name_of(place)), Some(place));
        for none in ["", "2026-11-22", "x/y", "2026-13-01/00000000-0000-0000-0000-000000000000"] {
            assert_eq!(place_of(none), None, "{none}");
        }
    }

    #[test]
    fn days_are_days_and_in_their_order() {
        let mut violations = Vec::new();
        assert_eq!(days("", "", &mut violations), (FIRST_DAY, LAST_DAY));
        assert_eq!(violations, []);
        days("2026-02-30", "2026-1-1", &mut violations);
        days("2026-03-02", "2026-03-01", &mut violations);
        let fields: Vec<&str> = violations.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["from", "until", "until"]);
    }
}
