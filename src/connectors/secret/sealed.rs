//! Secrets that arrive at run time, encrypted for as long as they lie in the store.
//!
//! A sealed text says by which key it was sealed and is bound to what it is for: put into another row it cannot be opened.
//! Each is encrypted under a key of its own, derived from the operator's and a salt, so that no number of texts wears the
//! operator's key out.
//!
//! **Owns** nothing: the keys are read anew at each use, so that a rotated one counts from the next call on.
//! **Fails** naming what cannot be used, never a value. **Limits**: AES-256-GCM; keys of 32 bytes in Base64; texts of up to
//! 64 KiB. Rotation: the new key becomes `secrets.key`, the one before goes into `secrets.previous_keys` and opens what it
//! sealed, until everything has been sealed anew at its next change.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};

use super::policy::SecretsConfig;
use super::{SecretError, SecretRef};

/// The longest text that is sealed.
pub const SEALED_BYTES_MAX: usize = 64 * 1024;

const KEY_BYTES: usize = 32;
const SALT_BYTES: usize = 24;
/// What a sealed text begins with; another way to seal would begin otherwise.
const VERSION: &str = "v1";
/// Parts our keys from whatever else is ever derived from the operator's.
const KEY_ID_CONTEXT: &[u8] = b"bursar key id v1";
const SEAL_CONTEXT: &[u8] = b"bursar sealed v1";

/// Text that only a keeper with its key can read: `v1.KEY_ID.DATA`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// As it lies in the store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// By which key it was sealed; empty if it was not.
    fn key_id(&self) -> &str {
        self.parts().map_or("", |(key_id, _)| key_id)
    }

    fn parts(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix(VERSION)?.strip_prefix('.')?.split_once('.')
    }
}

impl From<String> for Sealed {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(by {})", self.key_id())
    }
}

/// Seals and opens with the keys of the configuration. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SecretKeeper {
    inner: Arc<Keys>,
}

#[derive(Debug)]
struct Keys {
    current: Option<SecretRef>,
    previous: Vec<SecretRef>,
}

/// Why a secret was not sealed, or a sealed one not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Nothing can be kept before an operator names a key.
    #[error("secrets.key must be set, so that secrets can be kept encrypted")]
    NoKey,
    /// A key's reference leads nowhere.
    #[error(transparent)]
    Unreadable(#[from] SecretError),
    /// What a reference leads to is no key.
    #[error("secret {0} is no key: 32 bytes in Base64 are needed")]
    NotAKey(SecretRef),
    /// Longer than anything that is kept.
    #[error("the secret is longer than 64 KiB")]
    TooLong,
    /// No configured key has sealed it.
    #[error("sealed by key {key_id}, which is neither secrets.key nor among secrets.previous_keys")]
    UnknownKey { key_id: String },
    /// Damaged, or sealed for something else.
    #[error("the sealed secret is damaged, or was sealed for something else")]
    Damaged,
}

impl SecretKeeper {
    /// A keeper with these keys; they are read when they are used.
    pub fn new(config: &SecretsConfig) -> Self {
        let keys = Keys { current: config.key.clone(), previous: config.previous_keys.clone() };
        Self { inner: Arc::new(keys) }
    }

    /// Whether a key is configured; whether it can be used is found out when it is.
    pub fn has_key(&self) -> bool {
        self.inner.current.is_some()
    }

    /// Seals a secret for one purpose, such as `endpoint:ID`: only under the same words it is opened again.
    ///
    /// # Errors
    /// No key, one that cannot be read, a text that is too long.
    pub fn seal(&self, purpose: &str, secret: &SecretString) -> Result<Sealed, SealError> {
        let key = self.current()?;
        let text = secret.expose_secret();
        if text.len() > SEALED_BYTES_MAX {
            return Err(SealError::TooLong);
        }
        let salt: [u8; SALT_BYTES] = rand::random();
        let (cipher, nonce) = key.cipher(&salt);
        let mut sealed = Zeroizing::new(text.as_bytes().to_vec());
        let tag = cipher
            .seal_in_place_separate_tag(nonce, key.bound_to(purpose), &mut sealed)
            .map_err(|_| SealError::TooLong)?;
        let data = [&salt[..], &sealed[..], tag.as_ref()].concat();
        Ok(Sealed(format!("{VERSION}.{}.{}", key.id, URL_SAFE_NO_PAD.encode(data))))
    }

    /// Opens what was sealed for this purpose.
    ///
    /// # Errors
    /// No key that it was sealed by, or a text that is not as it was sealed, or was sealed for another purpose.
    pub fn open(&self, purpose: &str, sealed: &Sealed) -> Result<SecretString, SealError> {
        let (key_id, data) = sealed.parts().ok_or(SealError::Damaged)?;
        let data = URL_SAFE_NO_PAD.decode(data).map_err(|_| SealError::Damaged)?;
        let (salt, rest) = data.split_first_chunk::<SALT_BYTES>().ok_or(SealError::Damaged)?;
        let key = self.find(key_id)?;
        let (cipher, nonce) = key.cipher(salt);
        let mut rest = Zeroizing::new(rest.to_vec());
        let opened =
            cipher.open_in_place(nonce, key.bound_to(purpose), &mut rest).map_err(|_| SealError::Damaged)?;
        let text = std::str::from_utf8(opened).map_err(|_| SealError::Damaged)?;
        Ok(SecretString::from(text))
    }

    /// The same secret under the key of today; nothing if that is the one it is under.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::seal`].
    pub fn renew(&self, purpose: &str, sealed: &Sealed) -> Result<Option<Sealed>, SealError> {
        if sealed.key_id() == self.current()?.id {
            return Ok(None);
        }
        let secret = self.open(purpose, sealed)?;
        self.seal(purpose, &secret).map(Some)
    }

    fn current(&self) -> Result<Key, SealError> {
        Key::read(self.inner.current.as_ref().ok_or(SealError::NoKey)?)
    }

    /// The key of that id. One that cannot be read keeps no other from being found.
    fn find(&self, key_id: &str) -> Result<Key, SealError> {
        let mut unreadable = None;
        for reference in self.inner.current.iter().chain(&self.inner.previous) {
            match Key::read(reference) {
                Ok(key) if key.id == key_id => return Ok(key),
                Ok(_) => {}
                Err(error) => {
                    unreadable.get_or_insert(error);
                }
            }
        }
        let nowhere = match self.inner.current {
            Some(_) => SealError::UnknownKey { key_id: key_id.chars().take(16).collect() },
            None => SealError::NoKey,
        };
        Err(unreadable.unwrap_or(nowhere))
    }
}

/// A key of the operator's.
struct Key {
    /// The beginning of a digest, in hexadecimal digits: it tells keys apart and nothing about them.
    id: String,
    source: Prk,
}

impl Key {
    fn read(reference: &SecretRef) -> Result<Self, SealError> {
        let text = reference.resolve()?;
        let bytes: SecretSlice<u8> = STANDARD
            .decode(text.expose_secret())
            .ok()
            .filter(|bytes| bytes.len() == KEY_BYTES)
            .ok_or_else(|| SealError::NotAKey(reference.clone()))?
            .into();
        let told = Zeroizing::new([KEY_ID_CONTEXT, bytes.expose_secret()].concat());
        let id = digest(&SHA256, &told).as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id, source: Salt::new(HKDF_SHA256, SEAL_CONTEXT).extract(bytes.expose_secret()) })
    }

    /// The cipher of one text, and its nonce: both come from the salt, which no other text has.
    fn cipher(&self, salt: &[u8; SALT_BYTES]) -> (LessSafeKey, Nonce) {
        let mut made = Zeroizing::new([0; KEY_BYTES + NONCE_LEN]);
        self.source
            .expand(&[salt], Made)
            .and_then(|made_of| made_of.fill(&mut *made))
            .expect("HKDF makes 44 bytes of anything");
        let (key, nonce) = made.split_at(KEY_BYTES);
        let key = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes a key of 32 bytes");
        let nonce = Nonce::try_assume_unique_for_key(nonce).expect("the rest of 44 bytes is a nonce");
        (LessSafeKey::new(key), nonce)
    }

    /// What is not secret and must be the same when it is opened. The id is of one length, so that no purpose is another's.
    fn bound_to(&self, purpose: &str) -> Aad<Vec<u8>> {
        Aad::from([SEAL_CONTEXT, self.id.as_bytes(), purpose.as_bytes()].concat())
    }
}

/// Of what length derived bytes are.
struct Made;

impl KeyType for Made {
    fn len(&self) -> usize {
        KEY_BYTES + NONCE_LEN
    }
}

#[cfg(test)]
mod tests;
