//! New tokens.
//!
//! **Owns** nothing. **Fails** with words where the system gives no random bits. **Limits**: none.

use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::domain::token::ApiToken;

/// A token whose bits the system itself vouches for.
///
/// # Errors
/// Why the system gives none.
pub fn token() -> Result<ApiToken, String> {
    let no_bits = |error| format!("the system gives no random bits: {error}");
    let (mut prefix, mut secret) = ([0; 6], [0; 32]);
    SysRng.try_fill_bytes(&mut prefix).map_err(no_bits)?;
    SysRng.try_fill_bytes(&mut secret).map_err(no_bits)?;
    Ok(ApiToken::of_bits(prefix, secret))
}
