//! `ListTransfers`, and the filter that it shares with `ReprocessTransfer`.
//!
//! **Owns** nothing. **Fails** with every violation at once. **Limits**: pages, newest first; scores are in none of them.

use super::convert;
use crate::domain::ids::TransferId;
use crate::domain::transfer::KEY_BYTES_MAX;
use crate::domain::violation::Violation;
use crate::grpc::boleto_service::split_page;
use crate::grpc::convert::moment;
use crate::grpc::gate::Gate;
use crate::grpc::page_token;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::transfer::v1 as proto;
use crate::store::transfer_list::TransferFilter;

/// Longer names are nobody's.
pub(super) const FILTER_CHARS_MAX: usize = 255;

pub(super) async fn list(
    gate: &Gate,
    request: proto::ListTransfersRequest,
) -> Result<proto::ListTransfersResponse, ApiError> {
    let size = gate.page_size(request.page_size)?;
    let mut violations = Vec::new();
    let filter = filter(request.filter.unwrap_or_default(), &mut violations);
    if !violations.is_empty() {
        return Err(ApiError::Invalid(violations));
    }
    let after = page_token::read(&filter, &request.page_token)?.map(TransferId);
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    let found = gate.house()?.store.transfers(&gate.tenant()?, &filter, after, limit).await?;
    let (page, next_page_token) = split_page(&found, size, |seen| seen.transfer.id.0, &filter);
    let transfers = page.iter().map(convert::to_proto).collect();
    Ok(proto::ListTransfersResponse { transfers, next_page_token })
}

/// Reads a filter; the names of its fields in violations begin with `filter.`.
pub(super) fn filter(asked: proto::TransferFilter, violations: &mut Vec<Violation>) -> TransferFilter {
    let state = convert::state_from_proto(asked.state);
    if state.is_none() && asked.state != 0 {
        violations.push(Violation::new("filter.state", "no state of a transfer"));
    }
    let mut time = |field: &str, at: Option<prost_types::Timestamp>| {
        let at = at.as_ref()?;
        let read = moment(at);
        if read.is_none() {
            violations.push(Violation::new(format!("filter.{field}"), "is no time"));
        }
        read
    };
    let recorded_from = time("recorded_from", asked.recorded_from);
    let recorded_until = time("recorded_until", asked.recorded_until);
    let mut text = |field: &str, text: String, chars_max: usize| {
        request::optional_text(&format!("filter.{field}"), text, chars_max, violations)
    };
    TransferFilter {
        state,
        recorded_from,
        recorded_until,
        feed: text("feed", asked.feed, FILTER_CHARS_MAX),
        reason: text("reason", asked.reason, FILTER_CHARS_MAX),
        alias_key: text("alias_key", asked.alias_key, KEY_BYTES_MAX),
        person_key: text("person_key", asked.person_key, KEY_BYTES_MAX),
        company_key: text("company_key", asked.company_key, KEY_BYTES_MAX),
        formula: text("formula", asked.formula, FILTER_CHARS_MAX),
        analyzer: text("analyzer", asked.analyzer, FILTER_CHARS_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_with_a_filter_is_said_at_once_and_what_is_empty_asks_for_nothing() {
        let mut violations = Vec::new();
        assert_eq!(filter(proto::TransferFilter::default(), &mut violations), TransferFilter::default());
        assert_eq!(violations, []);
        let no_time = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
        let wrong = proto::TransferFilter {
            state: 99,
            reason: "a\u{7}".to_owned(),
            person_key: "k".repeat(KEY_BYTES_MAX + 1),
            recorded_from: no_time,
            recorded_until: no_time,
            ..proto::TransferFilter::default()
        };
        filter(wrong, &mut violations);
        let fields: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        let state_first = ["filter.state", "filter.recorded_from", "filter.recorded_until"];
        assert_eq!(fields, [&state_first[..], &["filter.reason", "filter.person_key"]].concat());
    }
}
