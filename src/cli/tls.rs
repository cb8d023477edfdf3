//! How a command reaches a service over TLS.
//!
//! **Owns** nothing. **Fails** as invalid input when a file cannot be read; as unavailable when the service is not who it should be.
//! **Limits**: TLS 1.2 and later; the authorities that the platform trusts, and those of `--ca-file` beside them. Without TLS a token goes to this
//! machine alone, unless it is said otherwise.

use std::path::{Path, PathBuf};

use clap::Args;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tonic::Code;

use super::failure::Failure;
use crate::tls::{self, Connector, TlsError};

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
    /// Show the token to another machine although the address is http, so that whoever is on the way can read it
    #[arg(long, global = true, help_heading = super::GLOBAL)]
    pub(super) plaintext_token: bool,
}

/// What makes connections by what the arguments name.
pub(super) fn connector(args: &TlsArgs) -> Result<Connector, Failure> {
    let builder = tls::believing(args.ca_file.as_deref())?;
    let rules = match (&args.certificate_file, &args.key_file) {
        (Some(certificate), Some(key)) => {
            let shown = PrivateKeyDer::from_pem_file(key)
                .map_err(|_| unusable(key, "no private key in PEM that can be read"))?;
            builder
                .with_client_auth_cert(tls::certificates(certificate)?, shown)
                .map_err(|_| unusable(key, "a key that does not fit its certificate"))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Connector::new(rules))
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        let code = match &error {
            TlsError::NoCertificates(_) => Code::InvalidArgument,
            TlsError::Rules(_) => Code::Internal,
        };
        Self::found(code, error.to_string())
    }
}

fn unusable(path: &Path, what: &str) -> Failure {
    Failure::found(Code::InvalidArgument, format!("{} holds {what}", path.display()))
}
