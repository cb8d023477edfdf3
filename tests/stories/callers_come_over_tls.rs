//! The house is reached over TLS by the command line: by a token, by a certificate, and after its own certificate was renewed without
//! a restart.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;

use bursar::cli::house::{self, OpenHouse};
use bursar::domain::token::ApiToken;
use chrono::TimeDelta;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tokio::process::Command;
use tokio::time::timeout;
use uuid::Uuid;

use crate::support::callers;
use crate::support::house::{House, PATIENCE, Surroundings, eventually};

/// What the command line ends with when somebody is not let in.
const NOT_LET_IN: Option<i32> = Some(10);

/// Where certificates stand, and who signs them.
struct Registry {
    folder: PathBuf,
}

impl Registry {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("bursar-story-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn reference(&self, name: &str) -> String {
        format!("file:{}", self.path(name).display())
    }

    fn write(&self, name: &str, text: &str) {
        // Whole or not at all, as whoever renews certificates does it.
        let beside = self.path(&format!("{name}.new"));
        std::fs::write(&beside, text).expect("a file");
        std::fs::rename(beside, self.path(name)).expect("a file in its place");
    }

    /// A new authority of this name, a server's certificate as `server.*` and a caller's as `caller.*` that it has signed.
    fn signs(&self, authority: &str, caller: &str) {
        let mut params = CertificateParams::new(Vec::new()).expect("names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, authority);
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        self.write(&format!("{authority}.pem"), &issuer.pem());
        for (name, host, purpose) in [
            ("server", "localhost", ExtendedKeyUsagePurpose::ServerAuth),
            ("caller", caller, ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let key = KeyPair::generate().expect("a key");
            let mut params = CertificateParams::new(vec![host.to_owned()]).expect("names");
            params.extended_key_usages = vec![purpose];
            let signed = params.signed_by(&key, &issuer).expect("a certificate");
            self.write(&format!("{name}.key"), &key.serialize_pem());
            self.write(&format!("{name}.pem"), &signed.pem());
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Left behind, it only costs the system's own cleaning.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Runs the command line against the house; `arguments` come last.
async fn bursar(
    address: SocketAddr,
    authority: &Path,
    token: Option<&ApiToken>,
    arguments: &[&str],
) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bursar"));
    command.args(["--address", &format!("https://localhost:{}", address.port()), "--timeout", "10s"]);
    command.arg("--ca-file").arg(authority).args(arguments).env_remove("BURSAR_TOKEN");
    if let Some(token) = token {
        command.env("BURSAR_TOKEN", token.reveal());
    }
    timeout(PATIENCE, command.output()).await.expect("an end").expect("the program starts")
}

async fn opened(registry: &Registry, scopes: &str) -> (Surroundings, OpenHouse, ApiToken) {
    registry.signs("authority", "till.shop.example");
    let surroundings = House::new()
        .without_account()
        .with("access.mode", "tokens")
        .with("api.tls.certificate", &registry.reference("server.pem"))
        .with("api.tls.private_key", &registry.reference("server.key"))
        .with("api.tls.client_ca", &registry.reference("authority.pem"))
        .with("api.tls.reload_interval", "20ms")
        .with("access.certificates", r#"{ "till.shop.example" = { scopes = ["boleto.read"] } }"#)
        .prepare()
        .await;
    let store = surroundings.database.open().await;
    let token = callers::make(&store, "default", scopes, TimeDelta::hours(1)).await;
    callers::leave(store).await;
    let house = house::open(&surroundings.config()).await.expect("an open house");
    (surroundings, house, token)
}

async fn close(surroundings: Surroundings, house: OpenHouse) {
    let closed = timeout(PATIENCE, house.close()).await.expect("it closes");
    assert!(closed.report.in_time, "{closed:?}");
    surroundings.world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_known_by_a_token_or_by_a_certificate() {
    let registry = Registry::new();
    let (surroundings, house, token) = opened(&registry, "boleto.read").await;
    let authority = registry.path("authority.pem");
    let list = ["boleto", "list", "--json"];
    let listed = bursar(house.address, &authority, Some(&token), &list).await;
    assert!(listed.status.success(), "{listed:?}");
    let refused = bursar(house.address, &authority, None, &list).await;
    assert_eq!(refused.status.code(), NOT_LET_IN, "{refused:?}");

    let (certificate, key) = (registry.path("caller.pem"), registry.path("caller.key"));
    let shown = ["--certificate-file", certificate.to_str().unwrap(), "--key-file", key.to_str().unwrap()];
    let listed = bursar(house.address, &authority, None, &[&shown[..], &list].concat()).await;
    assert!(listed.status.success(), "{listed:?}");
    let refused = bursar(house.address, &authority, None, &[&shown[..], &["info"]].concat()).await;
    assert_eq!(refused.status.code(), NOT_LET_IN, "{refused:?}");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("control.read") && told.contains("SCOPE_MISSING"), "{told}");

    // Of an authority that the house does not know.
    let others = Registry::new();
    others.signs("others", "till.shop.example");
    let (certificate, key) = (others.path("caller.pem"), others.path("caller.key"));
    let shown = ["--certificate-file", certificate.to_str().unwrap(), "--key-file", key.to_str().unwrap()];
    let refused = bursar(house.address, &authority, None, &[&shown[..], &list].concat()).await;
    assert!(!refused.status.success(), "{refused:?}");
    // And a house that is not who it says.
    let refused = bursar(house.address, &others.path("others.pem"), Some(&token), &list).await;
    assert_eq!(refused.status.code(), Some(6), "{refused:?}");
    close(surroundings, house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_counts_without_a_restart() {
    let registry = Registry::new();
    let (surroundings, house, token) = opened(&registry, "boleto.read").await;
    let list = ["boleto", "list", "--json"];
    let listed = bursar(house.address, &registry.path("authority.pem"), Some(&token), &list).await;
    assert!(listed.status.success(), "{listed:?}");
    registry.signs("renewed", "till.shop.example");
    let renewed = registry.path("renewed.pem");
    eventually("the new certificate", async || {
        bursar(house.address, &renewed, Some(&token), &list).await.status.success().then_some(())
    })
    .await;
    // What cannot be read leaves what stood before.
    registry.write("server.pem", "nonsense");
    for _ in 0..3 {
        let listed = bursar(house.address, &renewed, Some(&token), &list).await;
        assert!(listed.status.success(), "{listed:?}");
    }
    close(surroundings, house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_keeps_tokens_by_the_command_line() {
    let registry = Registry::new();
    let (surroundings, house, admin) = opened(&registry, "admin").await;
    let authority = registry.path("authority.pem");
    let says = async |token: &ApiToken, arguments: &[&str]| {
        let output = bursar(house.address, &authority, Some(token), arguments).await;
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), output.stderr)
    };
    let make = [
        "token",
        "create",
        "--name",
        "a till",
        "--scope",
        "boleto.read,pii.read",
        "--reason",
        "new",
        "--json",
    ];
    let (exit, out, err) = says(&admin, &make).await;
    assert_eq!(exit, Some(0), "{}", String::from_utf8_lossy(&err));
    let document: serde_json::Value = serde_json::from_str(&out).expect("a document");
    let till = ApiToken::parse(document["secret"].as_str().expect("a secret")).expect("a token");
    assert_eq!(document["token"]["state"], "active");
    assert_eq!(document["token"]["scopes"], serde_json::json!(["boleto.read", "pii.read"]));
    assert_eq!(says(&till, &["boleto", "list"]).await.0, Some(0));
    let (_, listed, _) = says(&admin, &["token", "list"]).await;
    assert!(listed.contains(till.prefix().as_str()) && listed.contains("a till"), "{listed}");
    let secret = till.reveal();
    assert!(!listed.contains(secret.rsplit('_').next().expect("a secret")), "{listed}");
    let (exit, out, _) = says(&admin, &["token", "revoke", till.prefix().as_str(), "--reason", "lost"]).await;
    assert!(exit == Some(0) && out.contains("revoked"), "{out}");
    let (exit, _, err) = says(&till, &["boleto", "list"]).await;
    let told = String::from_utf8_lossy(&err).into_owned();
    assert!(exit == NOT_LET_IN && told.contains("BURSAR_TOKEN") && !told.contains(&secret), "{told}");
    close(surroundings, house).await;
}
