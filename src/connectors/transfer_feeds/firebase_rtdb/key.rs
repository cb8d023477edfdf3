//! The key of a service account: it signs what we sign in with, and addresses of recorded answers.
//!
//! **Owns** the private key while it is in use; nothing of it is in `Debug` or in an error.
//! **Fails** with a reason that repeats nothing of the file. **Limits**: RSA from 2,048 bits on, as PKCS#8 in PEM.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

/// A service account that can sign.
pub(super) struct ServiceAccount {
    pub(super) email: String,
    pub(super) key_id: String,
    /// Where what it signed is exchanged for a token.
    pub(super) token_uri: String,
    pair: RsaKeyPair,
}

/// The fields that we need of Google's file; others are left alone.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key_id: String,
    private_key: String,
    token_uri: String,
}

/// The file is no key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnusableKey {
    #[error(
        "the service account's file is not JSON with client_email, private_key_id, private_key and token_uri"
    )]
    File,
    #[error("the service account's private key is not PKCS#8 in PEM")]
    Pem,
    #[error("the service account's private key is no RSA key that can be used")]
    Rsa,
    #[error("the service account's private key cannot sign")]
    Sign,
}

impl ServiceAccount {
    /// Reads a key file.
    pub(super) fn read(text: &str) -> Result<Self, UnusableKey> {
        let file: KeyFile = serde_json::from_str(text).map_err(|_| UnusableKey::File)?;
        let der =
            PrivatePkcs8KeyDer::from_pem_slice(file.private_key.as_bytes()).map_err(|_| UnusableKey::Pem)?;
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| UnusableKey::Rsa)?;
        Ok(Self { email: file.client_email, key_id: file.private_key_id, token_uri: file.token_uri, pair })
    }

    /// RSASSA-PKCS1-v1_5 over SHA-256 (RFC 8017).
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, UnusableKey> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        let random = SystemRandom::new();
        self.pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| UnusableKey::Sign)?;
        Ok(signature)
    }

    #[cfg(test)]
    pub(super) fn public_key(&self) -> &[u8] {
        self.pair.public().as_ref()
    }
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceAccount(masked)")
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::super::test_key;
    use super::*;

    #[test]
    fn what_it_signs_its_public_key_verifies() {
        let account = ServiceAccount::read(&test_key::file("https://token.example/token")).unwrap();
        let signature = account.sign(b"message").unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, account.public_key());
        assert!(public.verify(b"message", &signature).is_ok());
        assert!(public.verify(b"massage", &signature).is_err());
        assert_eq!(format!("{account:?}"), "ServiceAccount(masked)");
    }

    #[test]
    fn what_is_no_key_says_so_and_repeats_nothing() {
        let broken = |key: &str| {
            let file = serde_json::json!({"client_email": "e", "private_key_id": "i", "private_key": key, "token_uri": "t"});
            ServiceAccount::read(&file.to_string()).unwrap_err()
        };
        assert_eq!(broken("s3cret"), UnusableKey::Pem);
        let pem = format!("-----BEGIN {0}-----\naGVsbG8=\n-----END {0}-----\n", "PRIVATE KEY");
        assert_eq!(broken(&pem), UnusableKey::Rsa);
        assert_eq!(ServiceAccount::read("s3cret").unwrap_err(), UnusableKey::File);
        assert_eq!(ServiceAccount::read("{}").unwrap_err(), UnusableKey::File);
    }
}
