//! Each vendor's rules, asked by a plain client.

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};

use super::*;
use crate::sandbox::banks::testing::Stage;
use crate::sandbox::client::{Answer, Client};
use crate::sandbox::script::Party;
use crate::sandbox::{Behaviour, EffectKind};

/// A recording with speech in it, on a server of its own.
async fn shelf() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/v0/b/x/o/{object}", get(async || speech()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/v0/b/x/o/cloud%2Fu%2F0.wav")
}

fn speech() -> Vec<u8> {
    [&[0; 44][..], b"somebody says something for long enough"].concat()
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn ra7_headers() -> Vec<(&'static str, String)> {
    [
        ("n-ms-authcb", VENDOR_AUTH),
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("cache-control", "no-cache"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

fn risk(answer: &Value) -> String {
    let row = answer["Data"]["RISKREPQ"][0].as_str().unwrap_or_default();
    row.rsplit(';').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn ra7_wants_all_its_headers_and_everything_escaped() {
    let stage = Stage::open().await;
    let (client, audio, prefix) =
        (Client::new(), shelf().await, stage.addresses().vendors.ra7_prefix.clone());
    let answer = client.get(&(prefix.clone() + &escaped(&audio)), ra7_headers()).await.unwrap();
    assert_eq!(risk(&answer.json()), vendor_risk(&speech()).unwrap().to_string());
    let effects = stage.world.effects();
    assert_eq!((effects.len(), effects[0].kind), (1, EffectKind::VendorAnalysed));
    assert_eq!((effects[0].key.as_str(), &effects[0].detail["vendor"]), ("cloud/u/0.wav", &json!("ra7")));

    for missing in 0..4 {
        let mut headers = ra7_headers();
        let (name, _) = headers.remove(missing);
        let answer = client.get(&(prefix.clone() + &escaped(&audio)), headers).await.unwrap();
        let refused = if missing == 0 { answer.status == 401 } else { answer.json()["Status"] == "ERROR" };
        assert!(refused, "{name}");
    }
    let gone = escaped(&audio.replace("127.0.0.1", "audio.invalid"));
    for crooked in [audio.clone(), escaped(&audio) + "&more=1", gone] {
        let answer = client.get(&(prefix.clone() + &crooked), ra7_headers()).await.unwrap();
        assert_eq!(answer.json()["Status"], "ERROR", "{crooked}");
    }
    assert_eq!(stage.world.effects().len(), 1);
    stage.world.close().await;
}

#[tokio::test]
async fn the_site_answers_200_to_everything() {
    let stage = Stage::open().await;
    let (client, audio) = (Client::new(), escaped(&shelf().await));
    let vendors = stage.addresses().vendors.clone();
    let by = |user: &str| vec![("n-ms-authcb", user.to_owned())];
    let windows = async |query: String, headers| -> Answer {
        let answer =
            client.get(&format!("{}/Analyze/?{query}", vendors.container_url), headers).await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/html"));
        answer
    };
    let good = format!("ACTIONTYPE=1234&audioStreamURL={audio}&segMaxLength=2");
    assert_eq!(
        risk(&windows(good.clone(), by("u")).await.json()),
        vendor_risk(&speech()).unwrap().to_string()
    );
    for (query, headers, said) in [
        (good.clone(), vec![], "Invalid Input"),
        (format!("audioStreamURL={audio}"), by("u"), "No Action"),
        (format!("actionType=1&audioStreamURL={audio}"), by("u"), "Invalid Action"),
        ("actionType=1234".to_owned(), by("u"), "No URL"),
        (format!("{good}&segMaxLength=2"), by("u"), "Invalid Input"),
        (format!("{good}&at=6"), by("u"), "Invalid Input"),
        (format!("{good}&shoe=1"), by("u"), "Invalid Input"),
    ] {
        assert_eq!(windows(query.clone(), headers).await.json()["API Error"], said, "{query}");
    }
    assert!(windows(good, by("-1")).await.json()["error"].as_str().unwrap().contains("not allowed"));

    let native = async |engine: &str, body: &str| {
        let kind = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        client.post(&format!("{engine}/_api.php"), kind, body).await.unwrap().json()
    };
    let body = format!("Action=analyze&USERID=u&url={audio}");
    let lva7 = native(&vendors.container_lva7_url, &body).await;
    assert_eq!(lva7["Segments"].as_array().unwrap().len(), vendor_segments(&speech()) as usize);
    assert!(lva7["LVA7 Report"].is_object());
    assert!(native(&vendors.container_qa7_url, &body).await["QA7 Report"].is_object());
    assert_eq!(native(&vendors.container_url, "action=DANCE&userID=u").await["API Error"], "Unknown Action");
    assert_eq!(native(&vendors.container_url, "action=LICENSE&userID=u").await["API Error"], "No key");
    assert_eq!(stage.world.effects().len(), 3);
    stage.world.close().await;
}

#[tokio::test]
async fn the_cloud_takes_only_its_own_schema() {
    let stage = Stage::open().await;
    let (client, audio) = (Client::new(), shelf().await);
    let url = stage.addresses().vendors.cloud_url.clone();
    let body = json!({"ServiceFlag": "RISKREPQ,SEG", "TestData": [
        {"Topic": "T", "Question": "Q1", "Power": 20, "URL": audio},
        {"Topic": "T", "Question": "Q2", "Power": 20, "URL": "http://127.0.0.1:1/"},
    ]});
    let post = async |body: &Value| {
        let kind = vec![("content-type", "application/json".to_owned())];
        client.post(&url, kind, &body.to_string()).await.unwrap().json()
    };
    let answer = post(&body).await;
    let rows = answer["Data"]["RISKREPQ"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].as_str().unwrap().starts_with("TQ1;C0;"));
    for (at, wrong) in [
        ("/TestData/0/Power", json!(9)),
        ("/TestData/0/Power", json!("20")),
        ("/TestData", json!([])),
        ("/ServiceFlag", json!("ALL")),
        ("/TestData/0", json!({"Topic": "T", "Question": "Q", "Power": 20, "URL": "u", "Name": "n"})),
    ] {
        let mut crooked = body.clone();
        *crooked.pointer_mut(at).unwrap() = wrong;
        assert_eq!(post(&crooked).await["Status"], "ERROR", "{at}");
    }
    assert_eq!(stage.world.effects().len(), 1);
    stage.world.close().await;
}

#[tokio::test]
async fn emotion_logic_wants_consent_and_its_keys() {
    let stage = Stage::open().await;
    let (client, audio) = (Client::new(), shelf().await);
    let url = format!("{}/analysis/analyzeFromURL", stage.addresses().vendors.emotion_logic_url);
    let body = json!({"url": audio, "sensitivity": "normal", "apiKey": EMOTION_LOGIC_KEY,
        "apiKeyPassword": EMOTION_LOGIC_PASSWORD, "consentObtainedFromDataSubject": true, "requestId": "r"});
    let post = async |body: &Value| {
        let kind = vec![("content-type", "application/json".to_owned())];
        let answer = client.post(&url, kind, &body.to_string()).await.unwrap();
        (answer.status, answer.json())
    };
    let (status, answer) = post(&body).await;
    assert_eq!((status, &answer["success"]), (200, &json!(true)));
    assert_eq!(stage.world.effects()[0].detail["request_id"], "r");
    for (at, wrong, expected) in [
        ("consentObtainedFromDataSubject", json!(false), (400, "consent")),
        ("consentObtainedFromDataSubject", json!("true"), (400, "consent")),
        ("sensitivity", json!("extreme"), (400, "sensitivity")),
        ("apiKey", json!("another"), (401, "apiKey")),
        ("requestId", json!("r".repeat(37)), (400, "requestId")),
        ("shoe", json!(1), (400, "unknown")),
        ("url", json!("http://127.0.0.1:1/"), (400, "file")),
    ] {
        let mut crooked = body.clone();
        crooked[at] = wrong;
        let (status, answer) = post(&crooked).await;
        assert_eq!((status, answer["error"]["code"].as_str().unwrap()), expected, "{at}");
    }
    let mut dummy = body.clone();
    dummy["dummyResponse"] = json!(true);
    assert_eq!(post(&dummy).await.0, 200);
    assert_eq!(stage.world.effects().len(), 1);
    stage.world.close().await;
}

#[tokio::test]
async fn a_vendor_plays_the_day_it_is_told_and_keeps_what_it_did() {
    let stage = Stage::open().await;
    let (client, audio) = (Client::new(), escaped(&shelf().await));
    let url = stage.addresses().vendors.ra7_prefix.clone() + &audio;
    let party = Party::Vendor(VendorName::Ra7);
    stage.world.script().once(party, Behaviour::refuse("E3"));
    let answer = client.get(&url, ra7_headers()).await.unwrap();
    assert_eq!(answer.json()["Error"], " Server is not answering");
    assert_eq!(stage.world.effects(), []);
    stage.world.script().once(party, Behaviour::refuse("no_speech"));
    let answer = client.get(&url, ra7_headers()).await.unwrap().json();
    assert_eq!(
        (&answer["Data"]["RISKREPQ"], answer["Data"]["SEG"].as_array().unwrap().len()),
        (&json!([]), 1)
    );
    stage.world.script().once(party, Behaviour::accept_then_drop());
    assert!(client.get(&url, ra7_headers()).await.is_err());
    assert_eq!(stage.world.effects().len(), 2);
    assert_eq!(stage.world.script().asked(party), 3);
    stage.world.close().await;
}
