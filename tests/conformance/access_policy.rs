//! Every method of the protocol, called over the wire by every kind of caller: each is let in or turned away exactly as the method
//! itself declares. A method that declares nothing, or that a server answers without having declared it, fails here.

use bursar::access::policy::Policy;
use bursar::domain::access::{Scope, Scopes};
use bursar::proto::DESCRIPTOR_SET;
use bursar::store::{Store, StoreConfig};
use chrono::TimeDelta;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::callers::{self, Showing};
use crate::peers::PATIENCE;
use crate::small_house::{Folder, SmallHouse};

/// Only asked of those who read what is written.
const DRAIN: &str = "/bursar.control.v1.ControlService/Drain";

async fn open(url: &str) -> Store {
    let config = StoreConfig { url: url.to_owned(), connections_max: 2, timeout: PATIENCE };
    Store::open(&config).await.expect("a store")
}

/// The chain of the audit goes over all tenants.
const VERIFY: &str = "/bursar.access.v1.AuditService/VerifyAudit";

/// How a caller was met.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    LetIn,
    Unknown,
    /// With the reason that was given.
    NotAllowed(String),
}

/// Calls a method with an empty message; whatever it answers to that is its own affair.
async fn met(channel: &Channel, path: &str, showing: &Showing) -> Met {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.expect("a connection");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let mut request = Request::new(());
    if let Some(value) = showing.value() {
        request.metadata_mut().insert("authorization", value);
    }
    let path = path.parse().expect("a path");
    match client.server_streaming(request, path, codec).await {
        Ok(_) => Met::LetIn,
        Err(status) => read(&status),
    }
}

fn read(status: &Status) -> Met {
    let reason = status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default();
    match status.code() {
        Code::Unauthenticated => {
            assert_eq!(reason, "NOT_AUTHENTICATED", "{status:?}");
            Met::Unknown
        }
        Code::PermissionDenied => Met::NotAllowed(reason),
        _ => Met::LetIn,
    }
}

/// Every method of ours with its scopes; those that change the most last.
fn methods() -> Vec<(String, Vec<Scope>)> {
    let policy = Policy::of(DESCRIPTOR_SET);
    let mut methods: Vec<(String, Vec<Scope>)> = policy
        .rules()
        .map(|(path, rule)| {
            let scope = rule.scope.unwrap_or_else(|| panic!("{path} declares no scope"));
            (path.to_owned(), [Some(scope), rule.also].into_iter().flatten().collect())
        })
        .collect();
    methods.sort_by_key(|(path, _)| (path == DRAIN, path.clone()));
    assert!(methods.len() > 100, "{}", methods.len());
    methods
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_lets_in_whom_it_declares_and_nobody_else() {
    let folder = Folder::new();
    let database = format!("sqlite:{}", folder.path().join("bursar.db").display());
    let store = open(&database).await;
    let (hour, ago) = (TimeDelta::hours(1), -TimeDelta::hours(1));
    let mut of_one_scope = Vec::new();
    for scope in Scope::ALL {
        of_one_scope.push((scope, callers::make(&store, "default", scope.as_str(), hour).await));
    }
    let every_scope = Scopes::all().to_string();
    let elsewhere = callers::make(&store, "elsewhere", &every_scope, hour).await;
    let expired = callers::make(&store, "default", &every_scope, ago).await;
    let revoked = callers::make(&store, "default", &every_scope, hour).await;
    callers::revoke(&store, &revoked).await;
    callers::leave(store).await;

    let changes = [
        ("store.url", database.as_str()),
        ("access.mode", "tokens"),
        ("access.failures_per_minute_max", "1000000"),
    ];
    let house = SmallHouse::open(&changes).await;
    // The right prefix with a secret of somebody else's.
    let mixed = expired.reveal().replace(expired.prefix().as_str(), elsewhere.prefix().as_str());
    let strangers = [
        ("nothing", Showing::nothing()),
        ("no token", Showing::text("nonsense")),
        ("a wrong secret", Showing::text(&mixed)),
        ("expired", Showing::token(&expired)),
        ("revoked", Showing::token(&revoked)),
    ];
    for (path, needed) in methods() {
        for (what, showing) in &strangers {
            assert_eq!(met(&house.channel, &path, showing).await, Met::Unknown, "{path} with {what}");
        }
        let is_of_the_house = path.starts_with("/bursar.control.") || path == VERIFY;
        for (held, token) in &of_one_scope {
            let scopes: Scopes = [*held].into_iter().collect();
            let wanted = match needed.iter().all(|scope| scopes.allow(*scope)) {
                true => Met::LetIn,
                false => Met::NotAllowed("SCOPE_MISSING".to_owned()),
            };
            let found = met(&house.channel, &path, &Showing::token(token)).await;
            assert_eq!(found, wanted, "{path} with {}", held.as_str());
        }
        let wanted = if is_of_the_house { Met::NotAllowed("HOUSE_ONLY".to_owned()) } else { Met::LetIn };
        let found = met(&house.channel, &path, &Showing::token(&elsewhere)).await;
        assert_eq!(found, wanted, "{path} from elsewhere");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reflection_is_for_callers_that_are_known_and_health_for_everybody() {
    let folder = Folder::new();
    let database = format!("sqlite:{}", folder.path().join("bursar.db").display());
    let store = open(&database).await;
    let token = callers::make(&store, "default", "transfer.read", TimeDelta::hours(1)).await;
    callers::leave(store).await;
    let house = SmallHouse::open(&[("store.url", database.as_str()), ("access.mode", "tokens")]).await;
    let reflection = [
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ];
    for path in reflection {
        assert_eq!(met(&house.channel, path, &Showing::nothing()).await, Met::Unknown, "{path}");
        assert_eq!(met(&house.channel, path, &Showing::token(&token)).await, Met::LetIn, "{path}");
    }
    for path in ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"] {
        assert_eq!(met(&house.channel, path, &Showing::nothing()).await, Met::LetIn, "{path}");
    }
    // What nobody serves is told to those who are known.
    let nowhere = "/bursar.boleto.v1.BoletoService/NoSuchMethod";
    assert_eq!(met(&house.channel, nowhere, &Showing::nothing()).await, Met::Unknown);
    assert_eq!(met(&house.channel, nowhere, &Showing::token(&token)).await, Met::LetIn);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_everybody_may_nobody_needs_a_token() {
    let house = SmallHouse::open(&[]).await;
    let reads = "/bursar.boleto.v1.BoletoService/ListBoletos";
    assert_eq!(met(&house.channel, reads, &Showing::nothing()).await, Met::LetIn);
    assert_eq!(met(&house.channel, reads, &Showing::text("nonsense")).await, Met::LetIn);
    house.close().await;
}
