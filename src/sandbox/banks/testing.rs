//! A client of a bank, and what its tests ask of the world.
//!
//! **Owns** the world and its folder. **Fails** as the connection does. **Limits**: one bank at a time.

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDate;
use serde_json::Value;

use crate::sandbox::client::{Answer, Client, TempDir};
use crate::sandbox::{Addresses, EffectKind, World, WorldOptions};

/// What is wrong in a changed request: where, what goes there, and which field is complained about.
pub type Wrong = (&'static str, Value, &'static str);

/// An open world with a folder of its own.
pub struct Stage {
    pub world: World,
    _dir: TempDir,
}

impl Stage {
    pub async fn open() -> Self {
        let dir = TempDir::new();
        let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
        Stage { world, _dir: dir }
    }

    pub fn addresses(&self) -> &Addresses {
        self.world.addresses()
    }

    pub fn kinds(&self) -> Vec<EffectKind> {
        self.world.effects().iter().map(|effect| effect.kind).collect()
    }
}

/// Somebody who is signed in.
pub struct Caller {
    pub client: Client,
    headers: Vec<(&'static str, String)>,
}

impl Caller {
    /// By a Basic header, over a plain connection.
    pub fn basic() -> Self {
        let basic = format!("Basic {}", STANDARD.encode("sandbox-client:sandbox-secret"));
        Caller { client: Client::new(), headers: vec![(AUTHORIZATION.as_str(), basic)] }.speaking_json()
    }

    /// By a client certificate and a token that was asked for by a form.
    pub async fn behind_tls(stage: &Stage, token_url: &str, scope: &str) -> Self {
        let client = Client::behind_tls(&stage.addresses().tls, true);
        let form = format!(
            "grant_type=client_credentials&client_id=sandbox-client&client_secret=sandbox-secret{scope}"
        );
        let kind = vec![(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded".to_owned())];
        let answer = client.post(token_url, kind, &form).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let bearer = format!("Bearer {}", answer.json()["access_token"].as_str().unwrap());
        Caller { client, headers: vec![(AUTHORIZATION.as_str(), bearer)] }.speaking_json()
    }

    fn speaking_json(self) -> Self {
        self.with(CONTENT_TYPE.as_str(), "application/json")
    }

    /// With one more header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub async fn posts(&self, url: &str, body: &Value) -> Answer {
        self.client.post(url, self.headers.clone(), &body.to_string()).await.unwrap()
    }

    pub async fn tries_to_post(&self, url: &str, body: &Value) -> reqwest::Result<Answer> {
        self.client.post(url, self.headers.clone(), &body.to_string()).await
    }

    pub async fn patches(&self, url: &str, body: &Value) -> Answer {
        self.client.patch(url, self.headers.clone(), &body.to_string()).await.unwrap()
    }

    pub async fn gets(&self, url: &str) -> Answer {
        self.client.get(url, self.headers.clone()).await.unwrap()
    }
}

/// The request with the value in that place; the place may be new.
pub fn changed(mut request: Value, pointer: &str, value: &Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = request.pointer_mut(parent).unwrap();
    match name.parse::<usize>() {
        Ok(index) => parent[index] = value.clone(),
        Err(_) => parent[name] = value.clone(),
    }
    request
}

/// The request without that place.
pub fn without(mut request: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    request.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    request
}

/// A day of December 2026.
pub fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 12, day).unwrap()
}
