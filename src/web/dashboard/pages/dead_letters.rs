//! Dead letters, each with the way back to life, and any row of work with its attempts.

use serde_json::{Value, json};

use super::{Fields, ROWS, each, field, part};
use crate::proto::control::v1::{GetWorkRequest, ListWorkRequest, RetryWorkRequest, WorkState};
use crate::web::dashboard::api::{Trouble, Visitor, told};
use crate::web::dashboard::view;

pub async fn list(visitor: &Visitor, query: &Fields) -> Result<Value, Trouble> {
    let (queue, page) = (field(query, "queue"), field(query, "page"));
    let asked = ListWorkRequest {
        page_size: ROWS,
        page_token: page.clone(),
        states: vec![WorkState::Discarded.into()],
        queue: queue.clone(),
        ..ListWorkRequest::default()
    };
    let letters = part(
        told(visitor.control()?.list_work(asked).await),
        |told| json!({ "rows": each(&told.work, view::work), "next": told.next_page_token }),
    )?;
    Ok(json!({ "letters": letters, "queue": queue, "page": page, "retried": query.get("retried") }))
}

/// One row, with the attempts that did not complete it.
pub async fn one(visitor: &Visitor, id: &str) -> Result<Value, Trouble> {
    let told = told(visitor.control()?.get_work(GetWorkRequest { id: id.to_owned() }).await)?;
    Ok(json!({ "work": told.work.as_ref().map(view::work) }))
}

/// Has one live again.
pub async fn retry(visitor: &Visitor, form: &Fields) -> Result<(), Trouble> {
    let asked = RetryWorkRequest { id: field(form, "id"), reason: field(form, "reason") };
    told(visitor.control()?.retry_work(asked).await).map(drop)
}
