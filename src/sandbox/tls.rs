//! Sockets behind TLS that let in only those who show a certificate of the sandbox's own authority.
//!
//! **Owns** the authority, made anew at each start and forgotten at the end; what a house needs of it lies in the `tls`
//! folder of the data directory: the authority's certificate, and one certificate and key for all who ask.
//! **Fails** at opening when the files cannot be written; a caller without a good certificate at the handshake.
//! **Limits**: one client identity; a handshake takes ten seconds at most; the server is known as `localhost` and by the
//! loopback addresses.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::line::{Door, Line, Wire};

const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Connections that have shaken hands and wait to be served.
const ARRIVALS: usize = 64;

/// What a house needs to get in; paths of PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFiles {
    /// The authority that the servers' certificates are signed by.
    pub ca_file: PathBuf,
    /// The client's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub private_key: PathBuf,
}

/// The sandbox's own authority, and what its servers show.
pub(super) struct Authority {
    pub files: TlsFiles,
    pub server: Arc<ServerConfig>,
    /// That of the mail server, where nobody shows a certificate.
    pub mail: Arc<ServerConfig>,
}

impl Authority {
    /// Makes an authority and writes the client's part of it below the data directory.
    pub fn make(data_dir: &Path) -> io::Result<Self> {
        let made = Made::new().map_err(io::Error::other)?;
        let folder = data_dir.join("tls");
        std::fs::create_dir_all(&folder)?;
        let files = TlsFiles {
            ca_file: folder.join("ca.pem"),
            certificate: folder.join("client.pem"),
            private_key: folder.join("client.key"),
        };
        write(&files.ca_file, &made.authority_pem)?;
        write(&files.certificate, &made.client_pem)?;
        write(&files.private_key, &made.client_key_pem)?;
        Ok(Authority { files, server: Arc::new(made.server), mail: Arc::new(made.mail) })
    }
}

/// Everything that was made, before any of it is on disk.
struct Made {
    authority_pem: String,
    client_pem: String,
    client_key_pem: String,
    server: ServerConfig,
    mail: ServerConfig,
}

impl Made {
    fn new() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut params = named("Sandbox authority", &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let server_key = KeyPair::generate()?;
        let mut params = named("Sandbox bank", &["localhost", "127.0.0.1", "::1"])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = params.signed_by(&server_key, &authority)?;

        let client_key = KeyPair::generate()?;
        let mut params = named("Sandbox client", &[])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let client = params.signed_by(&client_key, &authority)?;

        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
        let mail = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![server.der().clone()], key.clone_key())?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![server.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Made {
            authority_pem: authority.pem(),
            client_pem: client.pem(),
            client_key_pem: client_key.serialize_pem(),
            server: config,
            mail,
        })
    }
}

fn named(name: &str, hosts: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// Only the owner reads it; a file of an earlier start is replaced whole, so that nobody ever reads half of one.
pub(super) fn write(path: &Path, pem: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(pem.as_bytes())?;
    std::fs::rename(fresh, path)
}

/// A door that shakes hands first. Handshakes run beside each other, so that a slow caller keeps nobody waiting.
pub(super) struct TlsDoor {
    arrivals: mpsc::Receiver<(TlsStream<Wire>, Line)>,
    accepting: JoinHandle<()>,
}

impl TlsDoor {
    pub fn new(door: Door, server: Arc<ServerConfig>) -> Self {
        let (arrived, arrivals) = mpsc::channel(ARRIVALS);
        TlsDoor { arrivals, accepting: tokio::spawn(accept(door, TlsAcceptor::from(server), arrived)) }
    }
}

impl Drop for TlsDoor {
    fn drop(&mut self) {
        // The task owns the socket, which must not outlive the door.
        self.accepting.abort();
    }
}

async fn accept(mut door: Door, acceptor: TlsAcceptor, arrived: mpsc::Sender<(TlsStream<Wire>, Line)>) {
    let mut handshakes = JoinSet::new();
    loop {
        let (wire, line) = tokio::select! {
            accepted = door.accept() => accepted,
            // Only the room that it took is of interest.
            Some(_) = handshakes.join_next() => continue,
        };
        let (acceptor, arrived) = (acceptor.clone(), arrived.clone());
        handshakes.spawn(async move {
            let shaken = tokio::time::timeout(HANDSHAKE_PATIENCE, acceptor.accept(wire)).await;
            // Whoever has no certificate was told so by the handshake itself.
            if let Ok(Ok(stream)) = shaken {
                // The door may have closed meanwhile, and the caller sees its connection end.
                let _ = arrived.send((stream, line)).await;
            }
        });
    }
}

impl Connected<IncomingStream<'_, TlsDoor>> for Line {
    fn connect_info(stream: IncomingStream<'_, TlsDoor>) -> Self {
        stream.remote_addr().clone()
    }
}

impl Listener for TlsDoor {
    type Io = TlsStream<Wire>;
    type Addr = Line;

    async fn accept(&mut self) -> (TlsStream<Wire>, Line) {
        match self.arrivals.recv().await {
            Some(arrival) => arrival,
            // The accepting task ends with this door and not before it.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Line> {
        Ok(Line::served())
    }
}
