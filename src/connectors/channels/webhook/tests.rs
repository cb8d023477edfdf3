//! Signatures, and every class of answer that a receiver can give, against a server on loopback.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use uuid::Uuid;

use super::*;
use crate::connectors::egress::EgressConfig;
use crate::connectors::scripted::{
    Reply, Scripted, SecretFile, any_secret, any_secret_kept_by, hanging_up, nobody, reply, reply_with,
};
use crate::connectors::secret::SecretRef;
use crate::domain::ids::{EndpointId, EventId};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

struct Owner {
    tenant: TenantId,
    secrets: Vec<SecretFile>,
}

impl Owner {
    fn new(secrets: &[&str]) -> Self {
        Self {
            tenant: TenantId::default(),
            secrets: secrets.iter().map(|text| SecretFile::new(text)).collect(),
        }
    }

    fn at(&self, url: &str) -> Destination {
        let reference = |file: &SecretFile| SecretRef::parse(&file.reference()).unwrap();
        let secrets = self.secrets.iter().map(|file| WebhookSecret::Referenced(reference(file))).collect();
        Destination::Webhook { url: url.to_owned(), secrets }
    }

    fn notice<'a>(&'a self, number: u128, subject: &'a str) -> Notice<'a> {
        Notice {
            tenant: &self.tenant,
            event_id: EventId(Uuid::from_u128(number)),
            event_type: "boleto.registered",
            subject,
            version: 2,
            occurred_at: DateTime::UNIX_EPOCH,
            body: r#"{"boleto_id":"b"}"#,
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        }
    }
}

fn channel(timeout: Duration) -> Webhook {
    let egress = EgressConfig {
        schemes: vec!["http".into()],
        hosts: vec!["127.0.0.1".into()],
        ports: Vec::new(),
        allow_loopback: true,
        allow_private: false,
    };
    let config = WebhookConfig { timeout, egress, ..WebhookConfig::default() };
    Webhook::new(config, any_secret(), &HttpConfig::default()).unwrap()
}

async fn deliver_one(owner: &Owner, url: &str, timeout: Duration) -> Result<Receipt, ChannelError> {
    let mut outcomes = channel(timeout).deliver(&owner.at(url), &[owner.notice(1, "b")]).await;
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_delivery_can_be_verified_with_either_secret_of_a_rotation() {
    let server = Scripted::start(|_| reply(204, "")).await;
    let owner = Owner::new(&[SECRET, OTHER_SECRET]);
    let receipt = deliver_one(&owner, &server.url("/hook"), PATIENCE).await.unwrap();
    assert_eq!(receipt.status, Some(204));
    let seen = server.seen().remove(0);
    assert_eq!(seen.header("webhook-id"), Uuid::from_u128(1).to_string());
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("traceparent"), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let timestamp: i64 = seen.header("webhook-timestamp").parse().unwrap();
    let expected: Vec<_> = [SECRET, OTHER_SECRET]
        .iter()
        .map(|text| {
            SigningKey::parse(&(*text).into()).unwrap().sign(seen.header("webhook-id"), timestamp, &seen.body)
        })
        .collect();
    assert_eq!(seen.header("webhook-signature"), expected.join(" "));
}

#[tokio::test]
async fn every_answer_has_its_class() {
    let owner = Owner::new(&[SECRET]);
    let unavailable = |seconds: Option<u64>, reason: &str| {
        Some(ChannelError::Unavailable {
            retry_after: seconds.map(Duration::from_secs),
            reason: reason.to_owned(),
        })
    };
    let cases = [
        (reply(200, "x".repeat(1_000_000)), None),
        (reply(410, ""), Some(ChannelError::Disabled)),
        (reply_with(302, "location", "http://127.0.0.1:1/"), unavailable(None, "status 302")),
        (reply_with(429, "retry-after", "5"), unavailable(Some(5), "status 429")),
        (reply_with(503, "retry-after", "6"), unavailable(Some(6), "status 503")),
        (reply(400, ""), unavailable(None, "status 400")),
        (reply(500, ""), unavailable(None, "status 500")),
    ];
    for (answer, expected) in cases {
        let shown = format!("{expected:?}");
        let server = Scripted::start(move |_| answer.clone()).await;
        assert_eq!(deliver_one(&owner, &server.url("/"), PATIENCE).await.err(), expected, "{shown}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_lost_delivery_is_unknown_only_if_it_may_have_left() {
    let owner = Owner::new(&[SECRET]);
    let at = |address: SocketAddr| format!("http://{address}/");
    let silent = Scripted::start(|_| Reply::Hang).await;
    let error = deliver_one(&owner, &silent.url("/"), Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, ChannelError::OutcomeUnknown { .. }), "{error}");
    let error = deliver_one(&owner, &at(hanging_up().await), PATIENCE).await.unwrap_err();
    assert!(matches!(error, ChannelError::OutcomeUnknown { .. }), "{error}");
    let error = deliver_one(&owner, &at(nobody().await), PATIENCE).await.unwrap_err();
    assert!(matches!(error, ChannelError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn behind_a_failure_only_the_same_subject_is_held_back() {
    let owner = Owner::new(&[SECRET]);
    let failing = Uuid::from_u128(1).to_string();
    let server =
        Scripted::start(move |seen| reply(if seen.header("webhook-id") == failing { 500 } else { 200 }, ""))
            .await;
    let notices = [owner.notice(1, "a"), owner.notice(2, "b"), owner.notice(3, "a"), owner.notice(4, "b")];
    let outcomes = channel(PATIENCE).deliver(&owner.at(&server.url("/")), &notices).await;
    let delivered: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(delivered, [false, true, false, true]);
    let sent: HashSet<_> = server.seen().iter().map(|seen| seen.header("webhook-id").to_owned()).collect();
    assert_eq!(sent.len(), 3);
    assert!(!sent.contains(&Uuid::from_u128(3).to_string()));
}

#[tokio::test]
async fn a_forbidden_destination_is_not_connected_to() {
    let server = Scripted::start(|_| reply(200, "")).await;
    let owner = Owner::new(&[SECRET]);
    let strict = Webhook::new(WebhookConfig::default(), any_secret(), &HttpConfig::default()).unwrap();
    let destination = owner.at(&server.url("/"));
    let outcomes = strict.deliver(&destination, &[owner.notice(1, "b")]).await;
    assert!(matches!(outcomes[0], Err(ChannelError::Misconfigured { .. })));
    assert!(server.seen().is_empty());
    assert_eq!(strict.check(&owner.tenant, &destination)[0].field, "url");
    let secret = WebhookSecret::Referenced(SecretRef::Env("HOOK".into()));
    let many = Destination::Webhook { url: "https://example.com/".into(), secrets: vec![secret; 5] };
    assert_eq!(strict.check(&owner.tenant, &many)[0].field, "secrets");
}

#[tokio::test]
async fn what_is_answered_is_kept_short_and_without_anybodys_data() {
    let owner = Owner::new(&[SECRET]);
    let echo = SECRET.trim_start_matches("whsec_");
    let page = format!("no boleto of 529.982.247-25 <maria@example.com> {echo} {}", "blah ".repeat(10_000));
    let kept = "no boleto of [number] <[address]> [secret] blah blah";
    for status in [200, 500] {
        let answer = reply(status, page.clone());
        let server = Scripted::start(move |_| answer.clone()).await;
        let said = match deliver_one(&owner, &server.url("/"), PATIENCE).await {
            Ok(receipt) => receipt.answer.unwrap(),
            Err(ChannelError::Unavailable { reason, .. }) => {
                reason.strip_prefix("status 500: ").unwrap().to_owned()
            }
            Err(error) => panic!("{error}"),
        };
        assert!(said.starts_with(kept) && said.len() <= answer::KEPT_BYTES, "{said}");
    }
}

#[tokio::test]
async fn a_secret_of_the_services_own_signs_in_its_own_row_only() {
    let key = SecretFile::new(&STANDARD.encode([9; 32]));
    let secrets = any_secret_kept_by(&key);
    let (own, other) = (EndpointId(Uuid::from_u128(1)), EndpointId(Uuid::from_u128(2)));
    let (made, shown) = secret::make(secrets.keeper(), own, Utc::now()).unwrap();
    let channel = Webhook { secrets, ..channel(PATIENCE) };
    let server = Scripted::start(|_| reply(204, "")).await;
    let row = Destination::Webhook { url: server.url("/"), secrets: vec![made] };
    let row = serde_json::to_string(&row).unwrap();
    let owner = Owner::new(&[]);
    let there = Destination::read(own, &row).unwrap();
    channel.deliver(&there, &[owner.notice(1, "b")]).await.remove(0).unwrap();
    let seen = server.seen().remove(0);
    let timestamp: i64 = seen.header("webhook-timestamp").parse().unwrap();
    let expected = SigningKey::parse(&shown).unwrap().sign(seen.header("webhook-id"), timestamp, &seen.body);
    assert_eq!(seen.header("webhook-signature"), expected);

    let moved = Destination::read(other, &row).unwrap();
    let refused = channel.deliver(&moved, &[owner.notice(1, "b")]).await.remove(0).unwrap_err();
    assert!(matches!(&refused, ChannelError::Misconfigured { reason } if reason.contains("something else")));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_secret_that_goes_signs_as_long_as_it_can_be_read() {
    let server = Scripted::start(|_| reply(204, "")).await;
    let owner = Owner::new(&[SECRET, OTHER_SECRET]);
    let Destination::Webhook { url, secrets } = owner.at(&server.url("/")) else { panic!("a webhook") };
    let hour = Duration::from_hours(1);
    let rotated = secret::rotated(&secrets[1..], secrets[0].clone(), Utc::now(), hour);
    let destination = Destination::Webhook { url, secrets: rotated };
    let channel = channel(PATIENCE);
    channel.deliver(&destination, &[owner.notice(1, "b")]).await.remove(0).unwrap();
    // Its file is taken away before its time is over.
    let Owner { tenant, mut secrets } = owner;
    drop(secrets.pop());
    let owner = Owner { tenant, secrets };
    channel.deliver(&destination, &[owner.notice(2, "b")]).await.remove(0).unwrap();
    let counts: Vec<_> =
        server.seen().iter().map(|seen| seen.header("webhook-signature").split(' ').count()).collect();
    assert_eq!(counts, [2, 1]);
}

#[tokio::test]
async fn a_secret_that_is_none_is_never_shown() {
    let owner = Owner::new(&["not-a-webhook-secret"]);
    let error = deliver_one(&owner, "http://127.0.0.1:1/", PATIENCE).await.unwrap_err();
    assert!(matches!(error, ChannelError::Misconfigured { .. }));
    assert!(!format!("{error} {error:?}").contains("not-a-webhook-secret"));
}

#[tokio::test]
async fn a_secret_that_callers_may_not_name_is_not_read() {
    let owner = Owner::new(&[]);
    // A row may be older than the rule.
    let secrets = vec![WebhookSecret::Referenced(SecretRef::Env("PATH".into()))];
    let destination = Destination::Webhook { url: "http://127.0.0.1:1/".into(), secrets };
    let outcomes = channel(PATIENCE).deliver(&destination, &[owner.notice(1, "b")]).await;
    let error = outcomes[0].clone().unwrap_err();
    assert!(
        matches!(&error, ChannelError::Misconfigured { reason } if reason.contains("secrets.env_prefixes"))
    );
}
