//! Page tokens: opaque, and bound to the filters that they were made with. They hold an id and no position, so that they
//! outlive a move to another store, where ids are the same.
//!
//! **Fails** with one violation of `page_token` for a token that is not ours or belongs to other filters.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::status::ApiError;

const VERSION: u8 = 1;
const BINDING_LEN: usize = 8;

/// The token of the page after the row `last`, for a list with these filters.
pub fn issue(filters: &impl std::fmt::Debug, last: Uuid) -> String {
    seal(filters, last.as_bytes())
}

/// The token of the page after the row named `last`, for a list by names.
pub fn issue_name(filters: &impl std::fmt::Debug, last: &str) -> String {
    seal(filters, last.as_bytes())
}

fn seal(filters: &impl std::fmt::Debug, last: &[u8]) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend(binding(filters));
    bytes.extend(last);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The row after which the page begins; none for the first page.
pub fn read(filters: &impl std::fmt::Debug, token: &str) -> Result<Option<Uuid>, ApiError> {
    let Some(last) = unseal(filters, token)? else { return Ok(None) };
    Uuid::from_slice(&last).map(Some).map_err(|_| not_ours())
}

/// The name after which the page begins; none for the first page.
pub fn read_name(filters: &impl std::fmt::Debug, token: &str) -> Result<Option<String>, ApiError> {
    let Some(last) = unseal(filters, token)? else { return Ok(None) };
    String::from_utf8(last).map(Some).map_err(|_| not_ours())
}

fn not_ours() -> ApiError {
    ApiError::field("page_token", "is not one of this list's")
}

fn unseal(filters: &impl std::fmt::Debug, token: &str) -> Result<Option<Vec<u8>>, ApiError> {
    if token.is_empty() {
        return Ok(None);
    }
    let invalid = not_ours;
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    let (head, last) = bytes.split_at_checked(1 + BINDING_LEN).ok_or_else(invalid)?;
    if head[0] != VERSION {
        return Err(invalid());
    }
    if head[1..] != binding(filters) {
        return Err(ApiError::field("page_token", "was made with other filters"));
    }
    Ok(Some(last.to_vec()))
}

fn binding(filters: &impl std::fmt::Debug) -> [u8; BINDING_LEN] {
    let digest = Sha256::digest(format!("{filters:?}"));
    let mut binding = [0; BINDING_LEN];
    binding.copy_from_slice(&digest[..BINDING_LEN]);
    binding
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_row_under_its_own_filters_only() {
        let last = Uuid::now_v7();
        let token = issue(&("status", 3), last);
        assert_eq!(read(&("status", 3), &token).expect("ours"), Some(last));
        assert!(read(&("status", 4), &token).is_err());
        assert!(read(&("status", 3), "bm90IG91cnM").is_err());
        assert!(read(&("status", 3), "%%%").is_err());
        assert_eq!(read(&("status", 3), "").expect("the first page"), None);
        let by_name = issue_name(&"queues", "delivery/sqs/1");
        assert_eq!(read_name(&"queues", &by_name).expect("ours").as_deref(), Some("delivery/sqs/1"));
        assert!(read_name(&"others", &by_name).is_err());
        assert!(read(&"queues", &by_name).is_err(), "a name is no id");
    }
}
