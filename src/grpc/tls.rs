//! The certificate under which the server is reached, and those by which callers are known.
//!
//! The files are looked at every `api.tls.reload_interval`; whoever connects after that meets what stands in them. Connections that are
//! open stay as they are.
//!
//! **Owns** the rules of a handshake as they stand now. **Fails** at start when something cannot be read or does not fit together; a
//! change that does not is told once and leaves what stood before. **Limits**: TLS 1.2 and later, HTTP/2 only; a certificate of a
//! caller is asked for where `api.tls.client_ca` is set, and may be missing, for a token says as much.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConnection};
use secrecy::ExposeSecret as _;
use tracing::{info, warn};
use x509_parser::extensions::GeneralName;

use super::config::TlsConfig;
use crate::connectors::secret::SecretRef;

/// What clients of gRPC speak.
const HTTP2: &[u8] = b"h2";

/// The rules of a handshake; clones are the same.
#[derive(Clone)]
pub struct Tls {
    inner: Arc<Inner>,
}

struct Inner {
    sources: Sources,
    reload_interval: Duration,
    /// What the first rules were made of: a file that is replaced before it is looked at again is a change like any other.
    begun_with: Read,
    current: RwLock<Arc<ServerConfig>>,
}

/// From where everything is read.
struct Sources {
    certificate: SecretRef,
    private_key: SecretRef,
    client_ca: Option<SecretRef>,
}

/// What stood there. It is compared and never shown.
#[derive(Clone, PartialEq, Eq)]
struct Read {
    certificate: String,
    private_key: String,
    client_ca: Option<String>,
}

impl Tls {
    /// Reads everything; nothing where no certificate is configured.
    ///
    /// # Errors
    /// What cannot be read or does not fit together, by its reference and without what stands there.
    pub fn of(config: &TlsConfig) -> Result<Option<Self>, String> {
        let (Some(certificate), Some(private_key)) = (&config.certificate, &config.private_key) else {
            return Ok(None);
        };
        let sources = Sources {
            certificate: certificate.clone(),
            private_key: private_key.clone(),
            client_ca: config.client_ca.clone(),
        };
        let begun_with = sources.read()?;
        let current = RwLock::new(Arc::new(sources.rules(&begun_with)?));
        let inner = Inner { sources, reload_interval: config.reload_interval, begun_with, current };
        Ok(Some(Self { inner: Arc::new(inner) }))
    }

    /// The rules as they stand.
    pub fn rules(&self) -> Arc<ServerConfig> {
        self.inner.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the files for ever.
    pub async fn follow(self) {
        let mut seen = Ok(self.inner.begun_with.clone());
        loop {
            let inner = self.inner.clone();
            // A file may stand on a slow disk.
            let read = tokio::task::spawn_blocking(move || inner.sources.read()).await;
            let Ok(read) = read else { return };
            if seen != read {
                self.take_over(&read);
            }
            seen = read;
            tokio::time::sleep(self.inner.reload_interval).await;
        }
    }

    fn take_over(&self, read: &Result<Read, String>) {
        let rules = read.as_ref().map_err(Clone::clone).and_then(|read| self.inner.sources.rules(read));
        match rules {
            Ok(rules) => {
                *self.inner.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
                info!("certificate renewed");
            }
            Err(error) => warn!(%error, "certificate not renewed; the one before stays"),
        }
    }
}

impl Sources {
    fn read(&self) -> Result<Read, String> {
        let text = |reference: &SecretRef| {
            reference.resolve().map(|text| text.expose_secret().to_owned()).map_err(|error| error.to_string())
        };
        Ok(Read {
            certificate: text(&self.certificate)?,
            private_key: text(&self.private_key)?,
            client_ca: self.client_ca.as_ref().map(text).transpose()?,
        })
    }

    fn rules(&self, read: &Read) -> Result<ServerConfig, String> {
        let chain = certificates(&read.certificate)
            .ok_or_else(|| format!("{} holds no certificates in PEM", self.certificate))?;
        let key = PrivateKeyDer::from_pem_slice(read.private_key.as_bytes())
            .map_err(|_| format!("{} holds no private key in PEM", self.private_key))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match (&read.client_ca, &self.client_ca) {
            (Some(text), Some(reference)) => {
                let unusable = || format!("{reference} holds no certificates of an authority in PEM");
                let mut roots = RootCertStore::empty();
                for certificate in certificates(text).ok_or_else(unusable)? {
                    roots.add(certificate).map_err(|_| unusable())?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| error.to_string())?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut rules = builder.with_single_cert(chain, key).map_err(|error| {
            format!("{} and {} do not fit together: {error}", self.certificate, self.private_key)
        })?;
        rules.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(rules)
    }
}

/// The certificates of a PEM text; none where there is none, or one cannot be read.
fn certificates(text: &str) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    found.ok().filter(|found| !found.is_empty())
}

/// The DNS names and URIs of the certificate that a caller has shown and that our authority has signed; none without one.
pub fn names(connection: &ServerConnection) -> Arc<[String]> {
    let shown = connection.peer_certificates().and_then(|chain| chain.first());
    let read = shown.and_then(|certificate| x509_parser::parse_x509_certificate(certificate).ok());
    let Some((_, certificate)) = read else { return Arc::from([]) };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Arc::from([]) };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(text) | GeneralName::URI(text) => Some((*text).to_owned()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rcgen::{CertificateParams, KeyPair};
    use uuid::Uuid;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("bursar-test-{}", Uuid::now_v7()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> SecretRef {
            std::fs::write(self.0.join(name), text).unwrap();
            SecretRef::File(self.0.join(name).display().to_string())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // Left behind, it only costs the system's own cleaning.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// A certificate and its key, in PEM.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (certificate.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn config(certificate: &SecretRef, private_key: &SecretRef) -> TlsConfig {
        TlsConfig {
            certificate: Some(certificate.clone()),
            private_key: Some(private_key.clone()),
            client_ca: None,
            reload_interval: Duration::from_secs(5),
        }
    }

    #[test]
    fn a_change_that_does_not_fit_leaves_what_stood_before() {
        let (folder, (one, key), (other, other_key)) = (Folder::new(), pair(), pair());
        let (at, key_at) = (folder.write("tls.pem", &one), folder.write("tls.key", &key));
        let Ok(Some(tls)) = Tls::of(&config(&at, &key_at)) else { panic!("it fits together") };
        let first = tls.rules();
        folder.write("tls.pem", &other);
        tls.take_over(&tls.inner.sources.read());
        assert!(Arc::ptr_eq(&first, &tls.rules()), "the key is still the old one");
        folder.write("tls.key", &other_key);
        tls.take_over(&tls.inner.sources.read());
        assert!(!Arc::ptr_eq(&first, &tls.rules()));
    }

    #[test]
    fn what_cannot_be_used_is_named_and_not_shown() {
        let (folder, (one, key)) = (Folder::new(), pair());
        let (at, key_at) = (folder.write("tls.pem", &one), folder.write("tls.key", &key));
        let garbage = folder.write("garbage", "hunter2");
        let missing = SecretRef::File(folder.0.join("missing").display().to_string());
        for (certificate, private_key) in [(&garbage, &key_at), (&at, &garbage), (&missing, &key_at)] {
            let Err(told) = Tls::of(&config(certificate, private_key)) else { panic!("it cannot be used") };
            assert!(told.contains(&folder.0.display().to_string()) && !told.contains("hunter2"), "{told}");
        }
        let none = TlsConfig { certificate: None, ..config(&at, &key_at) };
        assert!(matches!(Tls::of(&none), Ok(None)));
    }
}
