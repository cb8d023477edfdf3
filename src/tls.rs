//! Whom this process believes to be at the other end of TLS, and how gRPC gets there.
//!
//! **Owns** nothing. **Fails** where a file cannot be read, or the platform's own rules cannot.
//! **Limits**: TLS 1.2 and later; what the platform trusts, and the authorities of a file beside it.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::Service;

/// Where a server listens that does not say so.
const PORT: u16 = 443;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file holds none, or something else, or cannot be read.
    #[error("{0} holds no certificates in PEM that can be read")]
    NoCertificates(PathBuf),
    /// What the platform trusts cannot be found out.
    #[error("no TLS: {0}")]
    Rules(#[from] rustls::Error),
}

/// The rules of a handshake with a server that the platform trusts, or an authority in this file; what is shown to it is still open.
///
/// # Errors
/// What keeps them from being made, without what the file holds.
pub fn believing(ca_file: Option<&Path>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let beside = ca_file.map(authorities).transpose()?.unwrap_or_default();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(beside, provider.clone())?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    // Dangerous is what rustls calls any verifier but its own; this is the platform's.
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
}

/// The rules of a client that shows nothing of its own; the file is an empty text where there is none.
///
/// # Errors
/// As [`believing`].
pub fn client(ca_file: &str) -> Result<ClientConfig, TlsError> {
    let ca_file = Some(ca_file).filter(|file| !file.is_empty());
    Ok(believing(ca_file.map(Path::new))?.with_no_client_auth())
}

/// Certificates that may vouch for others.
fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = certificates(path)?;
    let mut tried = RootCertStore::empty();
    match found.iter().try_for_each(|one| tried.add(one.clone())) {
        Ok(()) => Ok(found),
        Err(_) => Err(TlsError::NoCertificates(path.to_owned())),
    }
}

/// The certificates of a file, one at least.
///
/// # Errors
/// [`TlsError::NoCertificates`].
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| TlsError::NoCertificates(path.to_owned()))
}

/// Makes connections for gRPC under TLS.
#[derive(Clone)]
pub struct Connector {
    rules: Arc<ClientConfig>,
}

impl Connector {
    /// By these rules.
    pub fn new(mut rules: ClientConfig) -> Self {
        rules.alpn_protocols = vec![b"h2".to_vec()];
        Self { rules: Arc::new(rules) }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = TlsConnector::from(self.rules.clone());
        Box::pin(async move {
            // An address of IPv6 stands in brackets.
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let stream = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(PORT))).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::try_from(host).map_err(io::Error::other)?;
            Ok(TokioIo::new(connector.connect(name, stream).await?))
        })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn what_is_no_certificate_is_told_by_its_file() {
        let file = std::env::temp_dir().join(format!("bursar-tls-{}.pem", uuid::Uuid::now_v7()));
        let said = || client(&file.display().to_string()).expect_err("nobody to believe").to_string();
        let expected = format!("{} holds no certificates in PEM that can be read", file.display());
        assert_eq!(said(), expected, "no file");
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let no_x509 = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
        for text in ["", "text", &key.serialize_pem(), no_x509, &format!("{}{no_x509}", certificate.pem())] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(said(), expected, "{text}");
        }
        std::fs::write(&file, certificate.pem()).unwrap();
        assert!(client(&file.display().to_string()).is_ok() && client("").is_ok());
        std::fs::remove_file(file).unwrap();
    }
}
