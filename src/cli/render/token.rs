//! Tokens as documents.

use serde_json::{Value, json};

use super::{short, time};
use crate::cli::table::Column;
use crate::proto::access::v1::Token;
use crate::proto::access::v1::token::State;

pub(in crate::cli) const ROW: [Column; 7] = [
    Column::plain("PREFIX", "/prefix"),
    Column::plain("STATE", "/state"),
    Column::plain("TENANT", "/tenant_id"),
    Column::plain("NAME", "/name"),
    Column { title: "SCOPES", pointer: "/scopes", show: words },
    Column::time("EXPIRES", "/expire_time"),
    Column::time("LAST USED", "/last_use_time"),
];

pub(in crate::cli) const DETAIL: [Column; 10] = [
    Column::plain("prefix", "/prefix"),
    Column::plain("state", "/state"),
    Column::plain("tenant", "/tenant_id"),
    Column::plain("name", "/name"),
    Column { title: "scopes", pointer: "/scopes", show: words },
    Column::time("created", "/create_time"),
    Column::plain("created by", "/created_by"),
    Column::time("expires", "/expire_time"),
    Column::time("revoked", "/revoke_time"),
    Column::time("last used", "/last_use_time"),
];

pub(in crate::cli) fn token(token: &Token) -> Value {
    let state = State::try_from(token.state).ok().map(|state| state.as_str_name());
    json!({
        "prefix": token.prefix,
        "tenant_id": token.tenant_id,
        "name": token.name,
        "scopes": token.scopes,
        "state": short(token.state, "STATE_", state),
        "create_time": time(token.create_time.as_ref()),
        "created_by": token.created_by,
        "expire_time": time(token.expire_time.as_ref()),
        "revoke_time": time(token.revoke_time.as_ref()),
        "last_use_time": time(token.last_use_time.as_ref()),
    })
}

fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    words.collect::<Vec<_>>().join(" ")
}
