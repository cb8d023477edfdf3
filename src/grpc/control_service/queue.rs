//! Queues: what lives in them, holding them back, and letting them go on.
//!
//! **Fails** with a violation for a name that no queue of ours can have: a pause that was misspelt would hold nothing back.
//! **Limits**: names of 1,024 characters, a page of queues.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;
use tracing::info;

use super::{checked, reason};
use crate::domain::violation::Violation;
use crate::domain::work::queue::ROOTS;
use crate::grpc::convert::queue as convert;
use crate::grpc::gate::Gate;
use crate::grpc::page_token;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::messages::aspsps::AspspDesk;
use crate::proto::control::v1 as proto;
use crate::store::queue::QueueView;
use crate::work::breaker::BreakerState;
use crate::work::places::Standing;

/// What page tokens of this list are bound to.
const LIST: &str = "ListQueues";
const NAME_CHARS_MAX: usize = 1_024;

pub(super) async fn list(
    gate: &Gate,
    request: proto::ListQueuesRequest,
) -> Result<proto::ListQueuesResponse, ApiError> {
    let size = gate.page_size(request.page_size)?;
    let after = page_token::read_name(&LIST, &request.page_token)?;
    let (house, now) = (gate.house()?, request::now());
    let found = house.store.queues(size + 1, after.as_deref(), now).await?;
    let mut found = with_desks(house, found, after.as_deref()).await?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| more).map(|last| page_token::issue_name(&LIST, &last.name));
    let standings = standings(house);
    let standing =
        |name: &str| standings.get(name).or_else(|| parties(name).find_map(|party| standings.get(party)));
    let ended = |name: &str| house.pace.last_minute(name, Instant::now());
    let to_proto =
        |queue: &QueueView| convert::to_proto(queue, standing(&queue.name), ended(&queue.name), now);
    let queues = found.iter().map(to_proto).collect();
    Ok(proto::ListQueuesResponse { queues, next_page_token: next.unwrap_or_default() })
}

/// The banks of open banking among the queues: nothing lies in theirs, for whoever asks them waits by itself; but they are paused,
/// and have a breaker, like any other.
async fn with_desks(
    house: &House,
    found: Vec<QueueView>,
    after: Option<&str>,
) -> Result<Vec<QueueView>, ApiError> {
    let desks: Vec<AspspDesk> =
        house.aspsps.all().filter(|desk| after.is_none_or(|after| desk.queue() > after)).cloned().collect();
    if desks.is_empty() {
        return Ok(found);
    }
    let pauses = house.store.queue_pauses().await?;
    let mut views: BTreeMap<String, QueueView> =
        found.into_iter().map(|view| (view.name.clone(), view)).collect();
    for desk in desks {
        let covering = pauses.iter().filter(|pause| pause.covers(desk.queue()));
        let view = QueueView {
            name: desk.queue().to_owned(),
            pause: covering.max_by_key(|pause| pause.name.len()).cloned(),
            running: i64::try_from(desk.standing().in_hand).unwrap_or(i64::MAX),
            ..QueueView::default()
        };
        views.insert(view.name.clone(), view);
    }
    Ok(views.into_values().collect())
}

pub(super) async fn pause(
    gate: &Gate,
    request: proto::PauseQueueRequest,
) -> Result<proto::PauseQueueResponse, ApiError> {
    let mut violations = Vec::new();
    check_name(&request.name, &mut violations);
    let reason = reason(request.reason, "", &mut violations);
    checked(violations)?;
    let house = gate.house_for_change()?;
    let pause = house.store.pause_queue(&request.name, &reason, request::now()).await?;
    house.aspsps.look_at_pauses().await;
    info!(queue = request.name, "paused by an operator");
    Ok(proto::PauseQueueResponse { pause: Some(convert::pause_to_proto(&pause)) })
}

pub(super) async fn resume(
    gate: &Gate,
    request: proto::ResumeQueueRequest,
) -> Result<proto::ResumeQueueResponse, ApiError> {
    let mut violations = Vec::new();
    check_name(&request.name, &mut violations);
    let reason = request::optional_reason(request.reason, &mut violations);
    checked(violations)?;
    let house = gate.house_for_change()?;
    let was_paused = house.store.resume_queue(&request.name, &reason).await?;
    if was_paused {
        house.aspsps.look_at_pauses().await;
        info!(queue = request.name, "resumed by an operator");
        house.hints.there_is_work(&request.name);
    }
    Ok(proto::ResumeQueueResponse { was_paused })
}

/// A name below one of the roots: segments joined by slashes; a slash at its end makes it a prefix. A segment may be a name that
/// somebody else has given, such as a company's.
fn check_name(name: &str, violations: &mut Vec<Violation>) {
    let mut object = |why: &str| violations.push(Violation::new("name", why));
    if name.is_empty() {
        return object("required");
    }
    if name.chars().count() > NAME_CHARS_MAX {
        return object("at most 1,024 characters");
    }
    let is_readable = |segment: &str| !segment.is_empty() && !segment.contains(char::is_control);
    let path = name.strip_suffix('/').unwrap_or(name);
    if !path.split('/').all(is_readable) {
        return object("segments without control characters, joined by slashes");
    }
    if !ROOTS.iter().any(|root| name.starts_with(root)) {
        object(&format!("must begin with {}", ROOTS.join(" or ")));
    }
}

/// The names below which a queue's party may stand that is one for several queues.
fn parties(queue: &str) -> impl Iterator<Item = &str> {
    queue.match_indices('/').map(|(slash, _)| &queue[..=slash])
}

/// The breakers that are not closed, by the names of their queues, or by the beginning of them that is one party's.
pub(super) fn open_breakers(house: &House) -> Vec<proto::OpenBreaker> {
    let now = request::now();
    let mut open: Vec<Standing> = standings(house).into_values().collect();
    open.retain(|standing| standing.breaker != BreakerState::Closed && standing.queue == standing.party);
    open.sort_by(|one, other| one.queue.cmp(&other.queue));
    let to_proto = |standing: Standing| proto::OpenBreaker {
        breaker: Some(convert::breaker_to_proto(&standing, now)),
        queue: standing.queue,
    };
    open.into_iter().map(to_proto).collect()
}

/// How this process stands to the parties behind its queues.
fn standings(house: &House) -> HashMap<String, Standing> {
    let standings = house.places.iter().flat_map(|places| places.standings());
    standings.map(|standing| (standing.queue.clone(), standing)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objections(name: &str) -> usize {
        let mut violations = Vec::new();
        check_name(name, &mut violations);
        violations.len()
    }

    #[test]
    fn names_are_queues_or_prefixes_of_queues() {
        let account = format!("registration/banco_do_brasil/{}", uuid::Uuid::from_u128(7));
        let company = "analysis/nemesysco_ra7/default/-NsampleCompany00001 ação";
        for good in ["registration/", "delivery/sqs/", "delivery/sqs", account.as_str(), company] {
            assert_eq!(objections(good), 0, "{good}");
        }
        let long = format!("delivery/{}", "x".repeat(NAME_CHARS_MAX));
        let bad = ["", "/", "registration", "other/", "delivery//sqs", "Delivery/", "delivery/a\nb"];
        for bad in bad.into_iter().chain([long.as_str()]) {
            assert_eq!(objections(bad), 1, "{bad}");
        }
    }
}
