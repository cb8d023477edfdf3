//! The key by which our messages are known to be ours (QSealC).
//!
//! **Owns** the key while it is in use. Its file is read anew for each message and taken apart only when it has changed, so that a
//! renewed one counts at once. **Fails** as misconfigured, repeating nothing of the key. **Limits**: RSA from 2,048 bits on, or
//! P-256; PKCS#8 in PEM.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use secrecy::{ExposeSecret, SecretString};

use super::AspspError;
use super::config::{Algorithm, SignatureConfig};
use super::error::misconfigured;
use crate::connectors::secret::SecretRef;

/// How a signature of an elliptic curve is written; one of RSA is written in one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Two numbers of one length, as JWS has them (RFC 7518).
    Fixed,
    /// A structure, as X.509 and HTTP signatures have it.
    Asn1,
}

/// Signs with the configured key.
pub(super) struct Signer {
    config: SignatureConfig,
    key: SecretRef,
    encoding: Encoding,
    known: Mutex<Option<Known>>,
}

/// A key that was read, with the text that it was read from: reading one is dear.
struct Known {
    text: SecretString,
    key: Arc<Key>,
}

enum Key {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl Signer {
    /// One for these settings; none where they name no key.
    pub(super) fn of(config: &SignatureConfig, encoding: Encoding) -> Option<Self> {
        let key = config.private_key.clone()?;
        Some(Self { config: config.clone(), key, encoding, known: Mutex::default() })
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.config.algorithm
    }

    pub(super) fn key_id(&self) -> &str {
        &self.config.key_id
    }

    /// Signs a message.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AspspError> {
        let random = SystemRandom::new();
        let cannot = |_| misconfigured("the signing key cannot sign");
        match &*self.key()? {
            Key::Ecdsa(pair) => Ok(pair.sign(&random, message).map_err(cannot)?.as_ref().to_vec()),
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let padding: &dyn ring::signature::RsaEncoding = match self.config.algorithm {
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Rs256 | Algorithm::Es256 => &RSA_PKCS1_SHA256,
                };
                pair.sign(padding, &random, message, &mut signature).map_err(cannot)?;
                Ok(signature)
            }
        }
    }

    /// The certificate of the key; none where none is configured.
    pub(super) fn certificate(&self) -> Result<Option<CertificateDer<'static>>, AspspError> {
        let Some(reference) = &self.config.certificate else { return Ok(None) };
        let text = resolve(reference)?;
        CertificateDer::from_pem_slice(text.expose_secret().as_bytes())
            .map(Some)
            .map_err(|_| misconfigured("the signing certificate is no certificate in PEM"))
    }

    fn key(&self) -> Result<Arc<Key>, AspspError> {
        let text = resolve(&self.key)?;
        // A key is put there whole, so that it is whole even if a holder of the lock panicked.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref()
            && known.text.expose_secret() == text.expose_secret()
        {
            return Ok(Arc::clone(&known.key));
        }
        let key = Arc::new(Key::read(&text, self.config.algorithm, self.encoding)?);
        *known = Some(Known { text, key: Arc::clone(&key) });
        Ok(key)
    }
}

impl Key {
    fn read(text: &SecretString, algorithm: Algorithm, encoding: Encoding) -> Result<Self, AspspError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.expose_secret().as_bytes())
            .map_err(|_| misconfigured("the signing key is not PKCS#8 in PEM"))?;
        let der = der.secret_pkcs8_der();
        match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => RsaKeyPair::from_pkcs8(der)
                .map(Self::Rsa)
                .map_err(|_| misconfigured("the signing key is no RSA key that can be used")),
            Algorithm::Es256 => {
                let writing: &'static EcdsaSigningAlgorithm = match encoding {
                    Encoding::Fixed => &ECDSA_P256_SHA256_FIXED_SIGNING,
                    Encoding::Asn1 => &ECDSA_P256_SHA256_ASN1_SIGNING,
                };
                EcdsaKeyPair::from_pkcs8(writing, der, &SystemRandom::new())
                    .map(Self::Ecdsa)
                    .map_err(|_| misconfigured("the signing key is no P-256 key that can be used"))
            }
        }
    }
}

fn resolve(reference: &SecretRef) -> Result<SecretString, AspspError> {
    reference.resolve().map_err(|error| misconfigured(error.to_string()))
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("algorithm", &self.config.algorithm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256,
        RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
    };

    use super::super::testing::Seal;
    use super::*;
    use crate::connectors::scripted::SecretFile;

    fn signer(seal: &Seal, algorithm: Algorithm, encoding: Encoding) -> Signer {
        Signer::of(&SignatureConfig { algorithm, ..seal.config() }, encoding).unwrap()
    }

    #[test]
    fn what_is_signed_the_public_key_verifies() {
        let (rsa, curve) = (Seal::rsa(), Seal::p256());
        let checks: [(&Seal, Algorithm, Encoding, &'static dyn VerificationAlgorithm); 4] = [
            (&rsa, Algorithm::Rs256, Encoding::Asn1, &RSA_PKCS1_2048_8192_SHA256),
            (&rsa, Algorithm::Ps256, Encoding::Fixed, &RSA_PSS_2048_8192_SHA256),
            (&curve, Algorithm::Es256, Encoding::Fixed, &ECDSA_P256_SHA256_FIXED),
            (&curve, Algorithm::Es256, Encoding::Asn1, &ECDSA_P256_SHA256_ASN1),
        ];
        for (seal, algorithm, encoding, verification) in checks {
            let signature = signer(seal, algorithm, encoding).sign(b"message").unwrap();
            let public = UnparsedPublicKey::new(verification, seal.public_key());
            assert!(public.verify(b"message", &signature).is_ok(), "{algorithm:?} {encoding:?}");
            assert!(public.verify(b"massage", &signature).is_err());
        }
    }

    #[test]
    fn a_key_that_cannot_be_used_is_a_misconfiguration_and_stays_secret() {
        let (rsa, curve) = (Seal::rsa(), Seal::p256());
        let said = |signer: Signer| signer.sign(b"message").unwrap_err().to_string();
        assert!(said(signer(&rsa, Algorithm::Es256, Encoding::Fixed)).contains("no P-256 key"));
        assert!(said(signer(&curve, Algorithm::Rs256, Encoding::Fixed)).contains("no RSA key"));
        let file = SecretFile::new("no key at all");
        let private_key = Some(SecretRef::parse(&file.reference()).unwrap());
        let config =
            SignatureConfig { private_key: private_key.clone(), certificate: private_key, ..rsa.config() };
        let nothing = Signer::of(&config, Encoding::Fixed).unwrap();
        assert!(nothing.certificate().unwrap_err().to_string().contains("no certificate in PEM"));
        let text = said(nothing);
        assert!(text.contains("not PKCS#8") && !text.contains("at all"), "{text}");
        assert!(Signer::of(&SignatureConfig::default(), Encoding::Fixed).is_none());
    }
}
