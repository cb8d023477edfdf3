//! The signature of Standard Webhooks: HMAC-SHA256 over id, timestamp and body.
//!
//! **Owns** nothing. **Limits**: symmetric `v1` signatures; a key of 16 to 64 bytes.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

use super::secret::PREFIX;

/// The key of one endpoint.
pub(super) struct SigningKey {
    key: SecretSlice<u8>,
    /// As it was handed to the owner, without what all begin with.
    text: SecretString,
}

impl SigningKey {
    /// Reads a secret as it is handed to owners: base64 behind `whsec_`.
    pub(super) fn parse(secret: &SecretString) -> Option<Self> {
        let text = secret.expose_secret().strip_prefix(PREFIX)?;
        let bytes = STANDARD.decode(text).ok()?;
        (16..=64).contains(&bytes.len()).then(|| Self { key: bytes.into(), text: text.into() })
    }

    /// What must not be kept of an answer that repeats it.
    pub(super) fn text(&self) -> &str {
        self.text.expose_secret()
    }

    /// The signature as it stands in the header.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.key.expose_secret()).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(masked)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_public_example_does() {
        let key = SigningKey::parse(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap();
        assert_eq!(
            key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for text in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!", ""] {
            assert!(SigningKey::parse(&text.into()).is_none(), "{text}");
        }
    }

    #[test]
    fn a_key_never_shows_itself() {
        let key = SigningKey::parse(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(masked)");
    }
}
