//! How a command reaches a service over TLS.
//!
//! **Owns** nothing. **Fails** as invalid input when a file cannot be read; as unavailable when the service is not who it should be.
//! **Limits**: TLS 1.2 and later; the authorities that the platform trusts, and those of `--ca-file` beside them.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use clap::Args;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::Code;
use tonic::codegen::Service;

use super::failure::Failure;

/// Where a service listens that does not say so.
const PORT: u16 = 443;

/// What every command takes for TLS.
#[derive(Args, Clone, Default)]
pub(super) struct TlsArgs {
    /// Authorities that are trusted beside the platform's, in PEM, where the address is https
    #[arg(long, global = true, help_heading = super::GLOBAL, value_name = "PATH")]
    ca_file: Option<PathBuf>,
    /// A certificate to be shown to the service, in PEM
    #[arg(long, global = true, help_heading = super::GLOBAL, value_name = "PATH", requires = "key_file")]
    certificate_file: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, global = true, help_heading = super::GLOBAL, value_name = "PATH", requires = "certificate_file")]
    key_file: Option<PathBuf>,
}

/// Makes connections under TLS.
#[derive(Clone)]
pub(super) struct Connector {
    rules: Arc<ClientConfig>,
}

impl Connector {
    /// By what the arguments name.
    pub fn of(args: &TlsArgs) -> Result<Self, Failure> {
        let broken = |error: String| Failure::found(Code::Internal, format!("no TLS: {error}"));
        let extra = args.ca_file.as_deref().map(certificates).transpose()?.unwrap_or_default();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new_with_extra_roots(extra, provider.clone())
            .map_err(|error| broken(error.to_string()))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| broken(error.to_string()))?
            // Dangerous is what rustls calls any verifier but its own; this is the platform's.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut rules = match (&args.certificate_file, &args.key_file) {
            (Some(certificate), Some(key)) => {
                let shown = PrivateKeyDer::from_pem_file(key)
                    .map_err(|_| unusable(key, "no private key in PEM that can be read"))?;
                builder
                    .with_client_auth_cert(certificates(certificate)?, shown)
                    .map_err(|_| unusable(key, "a key that does not fit its certificate"))?
            }
            _ => builder.with_no_client_auth(),
        };
        rules.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { rules: Arc::new(rules) })
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
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

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| unusable(path, "no certificates in PEM that can be read"))
}

fn unusable(path: &Path, what: &str) -> Failure {
    Failure::found(Code::InvalidArgument, format!("{} holds {what}", path.display()))
}
