//! Being known by a certificate to whom we call (mTLS).
//!
//! **Owns** nothing but the connections of the client that it makes: they are shared with no other identity.
//! **Fails** where certificate, key or authority cannot be used; the reason never repeats what is in them.
//! **Limits**: PEM; the last private key counts; what the platform trusts stays trusted beside `extra_roots`.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::{HttpClient, HttpClientError};

/// By what the other side knows us.
pub struct Identity<'a> {
    /// Our certificate and those between it and its authority.
    pub certificate: &'a SecretString,
    pub private_key: &'a SecretString,
    /// Authorities to be trusted besides the platform's, in trial environments.
    pub extra_roots: Option<&'a [u8]>,
}

impl HttpClient {
    /// A client under the same limits as this one, known by an identity, with connections of its own.
    ///
    /// # Errors
    /// Text that is no PEM, a key that is not the certificate's, platform certificates that cannot be loaded.
    pub fn identified(&self, identity: &Identity<'_>) -> Result<Self, HttpClientError> {
        let unusable = |reason: &str| HttpClientError { reason: reason.to_owned() };
        let (certificate, private_key) = (identity.certificate, identity.private_key);
        // A line break between the two, because secrets come without white space around them.
        let pem =
            SecretString::from(format!("{}\n{}\n", certificate.expose_secret(), private_key.expose_secret()));
        let known_by = reqwest::Identity::from_pem(pem.expose_secret().as_bytes())
            .map_err(|_| unusable("certificate and private key must be PEM, one of each at least"))?;
        let mut builder = Self::builder(&self.config, self.policy.as_ref()).identity(known_by);
        if let Some(pem) = identity.extra_roots {
            let roots = reqwest::Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|roots| !roots.is_empty())
                .ok_or_else(|| unusable("the extra authorities must be certificates in PEM"))?;
            builder = builder.tls_certs_merge(roots);
        }
        self.with(builder)
    }
}

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(masked)")
    }
}
