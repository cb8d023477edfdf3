//! The whole at a glance: what runs, what waits, and whom nothing is asked of. The queues have a page of their own too.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{each, part};
use crate::proto::control::v1::{
    GetInfoRequest, GetTreeRequest, ListProcessesRequest, ListQueuesRequest, ListWorkRequest, ProcessState,
    WorkState,
};
use crate::web::dashboard::api::{Trouble, Visitor, told};
use crate::web::dashboard::view;

/// As many queues as a person reads through; the command line lists more.
const QUEUES: i32 = 200;
/// Dead letters are counted as far as this, for each of them comes whole; more are more.
const LETTERS_COUNTED: i32 = 10;

pub async fn overview(visitor: &Visitor, now: DateTime<Utc>) -> Result<Value, Trouble> {
    let (mut info, mut tree) = (visitor.control()?, visitor.control()?);
    let (mut processes, mut letters) = (visitor.control()?, visitor.control()?);
    let counted = ListWorkRequest {
        page_size: LETTERS_COUNTED,
        states: vec![WorkState::Discarded.into()],
        ..ListWorkRequest::default()
    };
    let (info, tree, processes, letters, queues) = tokio::join!(
        info.get_info(GetInfoRequest {}),
        tree.get_tree(GetTreeRequest {}),
        processes.list_processes(ListProcessesRequest {}),
        letters.list_work(counted),
        queues(visitor),
    );
    let info = part(told(info), |info| {
        json!({
            "version": info.version,
            "store": info.store,
            "runner_id": info.runner_id,
            "uptime": view::seconds(info.uptime.as_ref()),
            "ready": info.ready,
            "not_ready_reason": info.not_ready_reason,
            "draining": info.draining,
        })
    })?;
    let tree = part(told(tree), |told| {
        let mut tree = view::tree(&told.root.unwrap_or_default(), now);
        tree["breakers"] = each(&told.open_breakers, view::open_breaker);
        tree
    })?;
    let processes = part(told(processes), |told| {
        let living = told.processes.iter().filter(|process| process.state() == ProcessState::Alive);
        let (count, in_hand) =
            living.fold((0, 0), |(count, sum), process| (count + 1, sum + process.in_hand));
        json!({ "count": count, "in_hand": in_hand })
    })?;
    let letters = part(
        told(letters),
        |told| json!({ "count": told.work.len(), "more": !told.next_page_token.is_empty() }),
    )?;
    Ok(json!({ "info": info, "tree": tree, "processes": processes, "letters": letters, "queues": queues? }))
}

pub async fn queues(visitor: &Visitor) -> Result<Value, Trouble> {
    let asked = ListQueuesRequest { page_size: QUEUES, ..ListQueuesRequest::default() };
    part(
        told(visitor.control()?.list_queues(asked).await),
        |told| json!({ "rows": each(&told.queues, view::queue), "more": !told.next_page_token.is_empty() }),
    )
}
