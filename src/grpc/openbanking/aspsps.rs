//! `ListAspsps`: the banks that are configured, and how this process stands with them.
//!
//! **Owns** nothing. **Fails** while the house opens. **Limits**: as many as are configured; breakers and places are this process's own.

use crate::connectors::aspsps::{Aspsp as _, AspspCapabilities, Operation, TransactionList};
use crate::domain::openbanking::quota::Window;
use crate::grpc::gate::Gate;
use crate::grpc::status::ApiError;
use crate::messages::aspsps::AspspDesk;
use crate::proto::openbanking::v1 as proto;
use crate::proto::openbanking::v1::aspsp::Quota;
use crate::work::breaker::BreakerState;

/// What is counted against a quota.
const COUNTED: [Operation; 6] = [
    Operation::Accounts,
    Operation::AccountDetails,
    Operation::Balances,
    Operation::Transactions,
    Operation::TransactionsPending,
    Operation::Holds,
];

pub(super) async fn list(gate: &Gate) -> Result<proto::ListAspspsResponse, ApiError> {
    let house = gate.house()?;
    let mut aspsps = Vec::new();
    for desk in house.aspsps.all() {
        aspsps.push(told(desk).await);
    }
    Ok(proto::ListAspspsResponse { aspsps })
}

async fn told(desk: &AspspDesk) -> proto::Aspsp {
    let standing = desk.standing();
    let breaker = match standing.breaker {
        BreakerState::Closed => "closed",
        BreakerState::Open { .. } => "open",
        BreakerState::HalfOpen => "half_open",
    };
    proto::Aspsp {
        name: desk.name().to_owned(),
        standard: desk.standard().as_str().to_owned(),
        operations: operations(&desk.connector().capabilities()),
        in_flight_max: i32::try_from(desk.limit().in_flight_max).unwrap_or(i32::MAX),
        in_flight: i32::try_from(standing.in_hand).unwrap_or(i32::MAX),
        breaker: breaker.to_owned(),
        pause_reason: desk.paused().await.unwrap_or_default(),
        quotas: quotas(desk),
    }
}

fn operations(can: &AspspCapabilities) -> Vec<String> {
    let list = |list: &TransactionList| match list {
        TransactionList::Booked => "transactions_booked",
        TransactionList::Pending => "transactions_pending",
        TransactionList::Both => "transactions_both",
        TransactionList::Scheduled => "transactions_scheduled",
        TransactionList::Rejected => "transactions_rejected",
        TransactionList::Cancelled => "transactions_cancelled",
    };
    let others = [
        (can.consent_status, "consent_status"),
        (can.holds, "holds"),
        (can.payments_max > 1, "payments"),
        (can.refreshes_tokens, "token_refresh"),
    ];
    let others = others.into_iter().filter(|(has, _)| *has).map(|(_, name)| name);
    can.lists.iter().map(list).chain(others).map(str::to_owned).collect()
}

/// What is counted together, each once.
fn quotas(desk: &AspspDesk) -> Vec<Quota> {
    let counting = desk.counting();
    let window = match counting.window {
        Window::Rolling(length) => format!("rolling {}", humantime::format_duration(length)),
        Window::Day(zone) => format!("day {zone}"),
        Window::Month(zone) => format!("month {zone}"),
    };
    let mut quotas: Vec<Quota> = Vec::new();
    for operation in COUNTED {
        let Some((endpoint, limit)) = counting.together(desk.standard(), operation) else { continue };
        if quotas.iter().all(|known| known.endpoint != endpoint) {
            let limit = i32::try_from(limit).unwrap_or(i32::MAX);
            quotas.push(Quota { endpoint: endpoint.to_owned(), limit, window: window.clone() });
        }
    }
    quotas
}
