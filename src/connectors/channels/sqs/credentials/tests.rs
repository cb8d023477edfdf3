//! Whichever link of the usual chain has keys, a request leaves under exactly these: its signature is computed once more here,
//! by the published rules of Signature Version 4, from what the server saw.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Duration as Span, Utc};
use hmac::{Hmac, KeyInit, Mac};
use reqsign_core::StaticEnv;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;
use crate::connectors::channels::Notice;
use crate::connectors::channels::sqs::client::Client;
use crate::connectors::channels::sqs::config::SqsConfig;
use crate::connectors::channels::sqs::queue::Queue;
use crate::connectors::egress::EgressPolicy;
use crate::connectors::http::{HttpConfig, HttpUrl};
use crate::connectors::scripted::{Reply, Scripted, Seen, reply};
use crate::domain::ids::{EventId, TenantId};

const QUEUE: &str = "https://sqs.sa-east-1.amazonaws.com/123456789012/owners";
const KEY: &str = "AKIDEXAMPLE";
const TOKEN: &str = "example session token";
/// What only the rightful caller of a metadata service knows.
const PASS: &str = "example pass";

/// A secret that no other link of the chain has.
fn secret_of(link: &str) -> String {
    format!("example secret of {link}")
}

/// The surroundings of one process: its files, and the services of the cloud, all on loopback.
struct Surroundings {
    folder: PathBuf,
    cloud: Scripted,
}

impl Surroundings {
    async fn make() -> Self {
        let folder = std::env::temp_dir().join(format!("bursar-test-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let expiry = (Utc::now() + Span::hours(6)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        Self { folder, cloud: Scripted::start(move |seen| cloud(seen, &expiry)).await }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Sends one notice to a server that stands for SQS, and returns what that saw; nothing if nothing was sent.
    async fn sends(&self, variables: &[(&str, String)]) -> Option<Seen> {
        let server = Scripted::start(|_| reply(200, json!({"MessageId": "m"}).to_string())).await;
        let config =
            SqsConfig { endpoint: Some(HttpUrl::parse(&server.url("/")).unwrap()), ..SqsConfig::default() };
        let mut envs: HashMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        // No test may meet the files and services of the machine that it runs on.
        for (name, nowhere) in [
            ("AWS_SHARED_CREDENTIALS_FILE", self.folder.join("no-credentials").display().to_string()),
            ("AWS_CONFIG_FILE", self.folder.join("no-config").display().to_string()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", self.cloud.url("/closed")),
        ] {
            envs.entry(name.to_owned()).or_insert(nowhere);
        }
        let http = HttpConfig::default();
        let context = Context::new()
            .with_env(StaticEnv { home_dir: Some(self.folder.clone()), envs })
            .with_file_read(Files)
            .with_http_send(OnLoopback(
                Metadata(HttpClient::trusted(&http).unwrap()),
                self.cloud.url("/sts"),
            ));
        let client = Client::with_context(config.clone(), &http, context).unwrap();
        let tenant = TenantId::default();
        let queue =
            Queue::open(&config, &EgressPolicy::new(config.egress.clone()), &tenant, QUEUE, None).unwrap();
        let notice = Notice {
            tenant: &tenant,
            event_id: EventId(uuid::Uuid::from_u128(1)),
            event_type: "boleto.registered",
            subject: "the-boleto",
            version: 2,
            occurred_at: DateTime::UNIX_EPOCH,
            body: "{}",
            traceparent: None,
        };
        let outcome = client.send(&queue, &[notice]).await.remove(0);
        let seen = server.seen().pop();
        assert_eq!(outcome.is_ok(), seen.is_some(), "{outcome:?}");
        seen
    }
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Sends what is meant for the token service, whose address cannot be set, to a server on loopback.
#[derive(Debug)]
struct OnLoopback(Metadata, String);

impl HttpSend for OnLoopback {
    async fn http_send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Error> {
        let (mut parts, body) = request.into_parts();
        if parts.uri.host() == Some("sts.sa-east-1.amazonaws.com") {
            parts.uri = self.1.parse().unwrap();
        }
        self.0.http_send(http::Request::from_parts(parts, body)).await
    }
}

/// The services of the cloud that hand out keys; each wants to be asked in its own way.
fn cloud(seen: &Seen, expiry: &str) -> Reply {
    let keys = |link: &str| {
        json!({"Code": "Success", "AccessKeyId": KEY, "SecretAccessKey": secret_of(link), "Token": TOKEN,
            "Expiration": expiry, "LastUpdated": expiry, "Type": "AWS-HMAC"})
        .to_string()
    };
    let knows_pass = |header: &str| seen.header(header) == PASS;
    match (seen.method.as_str(), seen.path.as_str()) {
        ("GET", "/container") if knows_pass("authorization") => reply(200, keys("container")),
        ("PUT", "/latest/api/token") => reply(200, PASS),
        ("GET", "/latest/meta-data/iam/security-credentials/") if knows_pass("x-aws-ec2-metadata-token") => {
            reply(200, "a-role")
        }
        ("GET", "/latest/meta-data/iam/security-credentials/a-role")
            if knows_pass("x-aws-ec2-metadata-token") =>
        {
            reply(200, keys("instance"))
        }
        ("POST", "/sts") if seen.body.contains("WebIdentityToken=example+identity&") => {
            let secret = secret_of("web identity");
            reply(
                200,
                format!(
                    "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
                     <AccessKeyId>{KEY}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
                     <SessionToken>{TOKEN}</SessionToken><Expiration>{expiry}</Expiration>\
                     </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
                ),
            )
        }
        _ => reply(404, ""),
    }
}

/// The signature that these keys give to the request as the server saw it.
fn signature(seen: &Seen, secret: &str) -> String {
    let authorization = seen.header("authorization");
    let part = |name: &str| {
        let parts = authorization.strip_prefix("AWS4-HMAC-SHA256 ").unwrap().split(',');
        parts.filter_map(|part| part.trim().strip_prefix(name)?.strip_prefix('=')).next().unwrap().to_owned()
    };
    let signed = part("SignedHeaders");
    let headers: String =
        signed.split(';').map(|name| format!("{name}:{}\n", seen.header(name).trim())).collect();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let digest = |text: &[u8]| hex(&Sha256::digest(text));
    let request = [&seen.method, &seen.path, &seen.query, &headers, &signed, &digest(seen.body.as_bytes())]
        .map(String::as_str)
        .join("\n");
    let credential = part("Credential");
    let (key_id, scope) = credential.split_once('/').unwrap();
    assert_eq!(key_id, KEY);
    let text = ["AWS4-HMAC-SHA256", seen.header("x-amz-date"), scope, &digest(request.as_bytes())].join("\n");
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    hex(&mac(&key, &text))
}

fn has_signature_of(seen: &Seen, secret: &str) -> bool {
    seen.header("authorization").ends_with(&format!("Signature={}", signature(seen, secret)))
}

fn ini(link: &str) -> String {
    format!("aws_access_key_id = {KEY}\naws_secret_access_key = {}\n", secret_of(link))
}

/// A link of the chain, the token that its keys come with, and the variables by which it is found.
type Case<'a> = (&'a str, Option<&'a str>, Vec<(&'a str, String)>);

#[tokio::test]
async fn each_link_of_the_chain_signs_with_its_own_key() {
    let surroundings = Surroundings::make().await;
    let named = |name: &'static str, value: &str| (name, value.to_owned());
    let credentials = surroundings.file("credentials", &format!("[default]\n{}", ini("the default profile")));
    let config = surroundings.file("config", &format!("[profile shop]\n{}", ini("the named profile")));
    let identity = surroundings.file("identity", "example identity");
    let cases: Vec<Case<'_>> = vec![
        (
            "environment",
            Some(TOKEN),
            vec![
                named("AWS_ACCESS_KEY_ID", KEY),
                named("AWS_SECRET_ACCESS_KEY", &secret_of("environment")),
                named("AWS_SESSION_TOKEN", TOKEN),
            ],
        ),
        ("the default profile", None, vec![named("AWS_SHARED_CREDENTIALS_FILE", &credentials)]),
        ("the named profile", None, vec![named("AWS_CONFIG_FILE", &config), named("AWS_PROFILE", "shop")]),
        (
            "web identity",
            Some(TOKEN),
            vec![
                named("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/bursar"),
                named("AWS_WEB_IDENTITY_TOKEN_FILE", &identity),
                named("AWS_REGION", "sa-east-1"),
                named("AWS_STS_REGIONAL_ENDPOINTS", "regional"),
            ],
        ),
        (
            "container",
            Some(TOKEN),
            vec![
                named("AWS_CONTAINER_CREDENTIALS_FULL_URI", &surroundings.cloud.url("/container")),
                named("AWS_CONTAINER_AUTHORIZATION_TOKEN", PASS),
            ],
        ),
        (
            "instance",
            Some(TOKEN),
            vec![named("AWS_EC2_METADATA_SERVICE_ENDPOINT", &surroundings.cloud.url(""))],
        ),
    ];
    for (link, token, variables) in cases {
        let seen = surroundings.sends(&variables).await;
        let seen = seen.unwrap_or_else(|| panic!("nothing was sent with the keys of {link}"));
        assert!(has_signature_of(&seen, &secret_of(link)), "{link}: {}", seen.header("authorization"));
        assert!(!has_signature_of(&seen, &secret_of("somebody else")), "{link}");
        assert_eq!(seen.header("x-amz-security-token"), token.unwrap_or_default(), "{link}");
    }
}

#[tokio::test]
async fn nothing_is_sent_where_no_link_has_keys() {
    let surroundings = Surroundings::make().await;
    assert!(surroundings.sends(&[]).await.is_none());
    // A link that has something of its own in mind and cannot do it must not end in somebody else's keys.
    let missing = Path::new(&surroundings.folder).join("no-identity").display().to_string();
    let variables = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/bursar".to_owned()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", missing),
    ];
    assert!(surroundings.sends(&variables).await.is_none());
}
