//! Page tokens: opaque, and bound to the filters that they were made with.
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
    let mut bytes = vec![VERSION];
    bytes.extend(binding(filters));
    bytes.extend(last.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The row after which the page begins; none for the first page.
pub fn read(filters: &impl std::fmt::Debug, token: &str) -> Result<Option<Uuid>, ApiError> {
    if token.is_empty() {
        return Ok(None);
    }
    let invalid = || ApiError::field("page_token", "is not one of this list's");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    let (head, last) = bytes.split_at_checked(1 + BINDING_LEN).ok_or_else(invalid)?;
    if head[0] != VERSION {
        return Err(invalid());
    }
    if head[1..] != binding(filters) {
        return Err(ApiError::field("page_token", "was made with other filters"));
    }
    Uuid::from_slice(last).map(Some).map_err(|_| invalid())
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
    }
}
