//! Whom we believe to be the mail server.
//!
//! **Owns** nothing. **Fails** where an authority's file cannot be read. **Limits**: what the platform trusts, and
//! `channels.mail.ca_file` beside it; TLS 1.2 and later; no certificate of our own.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

/// The rules of a handshake.
///
/// # Errors
/// What keeps them from being made, without what the file holds.
pub(super) fn client(ca_file: &str) -> Result<ClientConfig, String> {
    let mut extra = Vec::new();
    if !ca_file.is_empty() {
        let unreadable = || format!("ca_file {ca_file} holds no certificates in PEM that can be read");
        let found = CertificateDer::pem_file_iter(ca_file).map_err(|_| unreadable())?;
        for certificate in found {
            extra.push(certificate.map_err(|_| unreadable())?);
        }
        if extra.is_empty() {
            return Err(unreadable());
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        Verifier::new_with_extra_roots(extra, provider.clone()).map_err(|error| error.to_string())?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    // Dangerous is what rustls calls any verifier but its own; this is the platform's, as everywhere in this house.
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}
