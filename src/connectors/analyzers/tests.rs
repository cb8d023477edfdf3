//! What each connector sends, and what it makes of a vendor that does not answer, on a loopback server.

use proptest::prelude::*;

use super::config::TimeLimits;
use super::emotion_logic::config::{Edition, EmotionLogicConfig};
use super::nemesysco::tests::{native, ra7};
use super::nemesysco_cloud::config::NemesyscoCloudConfig;
use super::nemesysco_container::config::{Engine, NemesyscoContainerConfig, Style};
use super::nemesysco_container::site::SiteQuestion;
use super::nemesysco_ra7::config::{NemesyscoRa7Config, UrlPrefix};
use super::*;
use crate::connectors::http::{HttpClient, HttpUrl};
use crate::connectors::scripted::{Reply, Scripted, SecretFile, hanging_up, nobody, reply, reply_with};
use crate::connectors::secret::SecretRef;

const AUDIO: &str = "https://audio.example/v0/b/x/o/cloud%2Fu%2F0.wav?alt=media&t=a+b";
const LEVELS: &str =
    r#"{"success":true,"data":{"reports":{"channel-0":{"profile":{"stress":{"averageLevel":11}}}}}}"#;

fn question(position: usize) -> Question {
    Question {
        position,
        audio: Audio::Address { url: Url::parse(AUDIO).unwrap(), size_bytes: Some(1_000) },
        length: None,
        topic: "T".to_owned(),
        question: format!("Q{}", position + 1),
        request_id: "run-1".to_owned(),
        consent: true,
    }
}

fn upload(bytes: &'static str) -> Question {
    let audio = Audio::Bytes { bytes: Bytes::from_static(bytes.as_bytes()), file_name: "0.wav".to_owned() };
    Question { audio, ..question(0) }
}

/// More than fifty bytes of nothing in particular.
fn recording() -> Question {
    upload("RIFF and more than fifty bytes of nothing in particular, as text")
}

fn http() -> HttpClient {
    AnalyzersConfig::default().client(&HttpConfig::default()).unwrap()
}

fn impatient() -> TimeLimits {
    TimeLimits { min: Duration::from_millis(50), ..TimeLimits::default() }
}

fn reference(secret: &SecretFile) -> Option<SecretRef> {
    Some(SecretRef::parse(&secret.reference()).unwrap())
}

fn ra7_config(address: &str, secret: &SecretFile) -> NemesyscoRa7Config {
    let prefix = UrlPrefix::parse(&format!("{address}/Analyze/?actionType=1234&audioStreamURL=")).unwrap();
    NemesyscoRa7Config { prefix: Some(prefix), auth: reference(secret), ..NemesyscoRa7Config::default() }
}

fn ra7_at(address: &str, secret: &SecretFile) -> NemesyscoRa7 {
    NemesyscoRa7::new(ra7_config(address, secret), http())
}

fn container_config(
    address: &str,
    secret: &SecretFile,
    style: Style,
    engine: Engine,
) -> NemesyscoContainerConfig {
    NemesyscoContainerConfig {
        url: Some(HttpUrl::parse(&format!("{address}/site")).unwrap()),
        style,
        engine,
        auth: reference(secret),
        ..NemesyscoContainerConfig::default()
    }
}

fn container_at(address: &str, secret: &SecretFile, style: Style, engine: Engine) -> NemesyscoContainer {
    NemesyscoContainer::new(container_config(address, secret, style, engine), http())
}

fn emotion_logic_at(address: &str, secret: &SecretFile) -> EmotionLogicConfig {
    EmotionLogicConfig {
        url: HttpUrl::parse(address).unwrap(),
        api_key: reference(secret),
        api_key_password: reference(secret),
        ..EmotionLogicConfig::default()
    }
}

async fn only(analyzer: &impl Analyzer, question: Question) -> Result<Analysis, AnalyzerError> {
    let mut results = analyzer.analyze(&[question]).await;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

fn scored() -> String {
    ra7(&["S;1;TQ1;C0;0;1"], &["TQ1;C0;1;31.00;62"]).to_string()
}

#[tokio::test]
async fn ra7_gets_an_address_with_nothing_left_unescaped_and_its_secret_in_a_header() {
    let vendor = Scripted::start(|_| reply(200, scored())).await;
    let secret = SecretFile::new("ra7-secret");
    let analysis = only(&ra7_at(&vendor.url(""), &secret), question(0)).await.unwrap();
    assert_eq!(analysis.outcome.score(), Some(38));
    let seen = &vendor.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/Analyze/"));
    assert_eq!(
        seen.query,
        "actionType=1234&audioStreamURL=https%3A%2F%2Faudio.example%2Fv0%2Fb%2Fx%2Fo%2Fcloud%252Fu%252F0.wav\
         %3Falt%3Dmedia%26t%3Da%2Bb"
    );
    for (name, value) in [
        ("n-ms-authcb", "ra7-secret"),
        ("accept", "application/json"),
        ("content-type", "application/json"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(seen.header(name), value);
    }
}

#[tokio::test]
async fn the_site_is_spoken_to_in_both_styles() {
    let vendor = Scripted::start(|seen| match seen.path.as_str() {
        "/site/Analyze/" => reply(200, scored()),
        "/site/_api.php" => reply(200, native("LVA7 Report").to_string()),
        _ => reply(200, "2.2.1"),
    })
    .await;
    let secret = SecretFile::new("sample-user");
    let windows = container_at(&vendor.url(""), &secret, Style::Windows, Engine::Ra7);
    assert_eq!(only(&windows, question(0)).await.unwrap().outcome.score(), Some(38));
    let native = container_at(&vendor.url(""), &secret, Style::Native, Engine::Lva7);
    assert_eq!(only(&native, question(0)).await.unwrap().outcome, Outcome::Measured { segments: 1 });
    assert!(windows.formula().is_some() && native.formula().is_none());
    assert_eq!(windows.ask_site(SiteQuestion::Version).await.unwrap().0, "2.2.1");
    let changed = NemesyscoContainerConfig {
        analyze_type: 5,
        to_mono: true,
        ..container_config(&vendor.url(""), &secret, Style::Windows, Engine::Ra7)
    };
    assert!(only(&NemesyscoContainer::new(changed, http()), question(0)).await.is_ok());
    assert!(vendor.seen()[3].query.ends_with("0.wav%3Falt%3Dmedia%26t%3Da%2Bb&at=5&toMono=1"));
    let unknown = windows.ask_site(SiteQuestion::Online).await;
    assert!(matches!(unknown, Err(AnalyzerError::Misconfigured { .. })));
    assert!(windows.set_license("", "a b").await.is_ok());

    let seen = vendor.seen();
    assert!(seen[0].query.starts_with("actionType=1234&audioStreamURL=https%3A%2F%2F"), "{}", seen[0].query);
    assert!(!seen[0].query.contains("topic") && !seen[0].query.contains("sample-user"));
    assert_eq!(seen[0].header("n-ms-authcb"), "sample-user");
    assert_eq!((seen[1].method.as_str(), seen[1].query.as_str()), ("POST", ""));
    assert!(
        seen[1].body.starts_with("action=ANALYZE&userID=sample-user&URL=https%3A%2F%2F"),
        "{}",
        seen[1].body
    );
    assert_eq!(seen[1].header("content-type"), "application/x-www-form-urlencoded");
    assert!(seen[0].query.ends_with("a%2Bb"), "what is the site's own anyway is not said");
    assert_eq!((seen[4].method.as_str(), seen[4].body.as_str()), ("POST", "actv=a+b"));
}

#[tokio::test]
async fn the_cloud_is_asked_several_questions_at_once() {
    let vendor = Scripted::start(|_| {
        reply(
            200,
            ra7(&["S;1;TQ1;C0;0;1", "S;1;TQ3;C0;0;1"], &["TQ3;C0;1;31.00;10", "TQ1;C0;1;31.00;62"])
                .to_string(),
        )
    })
    .await;
    let config = NemesyscoCloudConfig {
        url: Some(HttpUrl::parse(&vendor.url("/RadvAnalysis/")).unwrap()),
        ..NemesyscoCloudConfig::default()
    };
    let cloud = NemesyscoCloud::new(config, http());
    let mut tiny = question(1);
    tiny.audio = Audio::Address { url: Url::parse(AUDIO).unwrap(), size_bytes: Some(49) };
    let results = cloud.analyze(&[question(0), tiny, question(2)]).await;
    let outcomes: Vec<_> = results.iter().map(|result| result.as_ref().unwrap().outcome.clone()).collect();
    assert_eq!(
        (outcomes[0].score(), &outcomes[1], outcomes[2].score()),
        (Some(38), &Outcome::AudioMissing, Some(90))
    );
    assert_eq!(vendor.seen().len(), 1);
    let body = vendor.seen()[0].json();
    assert_eq!(body["TestData"].as_array().unwrap().len(), 2);
    assert_eq!(body["TestData"][1]["Question"], "Q3");
    assert_eq!(body["TestData"][0]["URL"], AUDIO);
    assert_eq!((&body["ServiceFlag"], &body["TestData"][0]["Power"]), (&"RISKREPQ,SEG".into(), &20.into()));
}

#[tokio::test]
async fn emotion_logic_is_sent_consent_from_the_record_and_keys_in_the_body() {
    let vendor = Scripted::start(|_| reply(200, LEVELS)).await;
    let secret = SecretFile::new("emlo-secret");
    let config = EmotionLogicConfig { dummy_response: true, ..emotion_logic_at(&vendor.url(""), &secret) };
    let analyzer = EmotionLogic::new(config.clone(), http());
    assert!(analyzer.wants_consent());
    let refused = only(&analyzer, Question { consent: false, ..recording() }).await;
    assert!(matches!(refused, Err(AnalyzerError::Refused { .. })));
    assert!(vendor.seen().is_empty());

    assert_eq!(only(&analyzer, recording()).await.unwrap().outcome.name(), "measured");
    assert_eq!(only(&analyzer, question(0)).await.unwrap().outcome.name(), "measured");
    let seen = vendor.seen();
    assert_eq!(
        (seen[0].path.as_str(), seen[1].path.as_str()),
        ("/analysis/analyzeFile", "/analysis/analyzeFromURL")
    );
    assert!(seen.iter().all(|seen| seen.query.is_empty()));
    let form = &seen[0].body;
    for (name, value) in [
        ("sensitivity", "normal"),
        ("outputType", "json"),
        ("backgroundNoise", "1000"),
        ("dummyResponse", "true"),
        ("requestId", "run-1"),
        ("apiKey", "emlo-secret"),
        ("apiKeyPassword", "emlo-secret"),
        ("consentObtainedFromDataSubject", "true"),
    ] {
        assert!(form.contains(&format!("name=\"{name}\"\r\n\r\n{value}\r\n")), "{name} in {form}");
    }
    let json = seen[1].json();
    assert_eq!((&json["url"], &json["consentObtainedFromDataSubject"]), (&AUDIO.into(), &true.into()));
    assert_eq!((&json["backgroundNoise"], &json["apiKey"]), (&1000.into(), &"emlo-secret".into()));

    // The operator's own container asks for neither.
    let own = EmotionLogic::new(EmotionLogicConfig { edition: Edition::Container, ..config.clone() }, http());
    assert!(!own.wants_consent());
    assert!(only(&own, Question { consent: false, ..recording() }).await.is_ok());
    let form = vendor.seen()[2].body.clone();
    assert!(!form.contains("apiKey") && !form.contains("consent"), "{form}");

    let long = Question { request_id: "r".repeat(37), ..recording() };
    assert!(matches!(only(&analyzer, long).await, Err(AnalyzerError::Misconfigured { .. })));
}

#[tokio::test]
async fn what_is_lost_on_the_way_is_told_by_whether_it_left() {
    let secret = SecretFile::new("s");
    let closed = only(&ra7_at(&format!("http://{}", nobody().await), &secret), question(0)).await;
    assert!(matches!(closed, Err(AnalyzerError::Unavailable { .. })), "{closed:?}");
    let cut = only(&ra7_at(&format!("http://{}", hanging_up().await), &secret), question(0)).await;
    assert!(matches!(cut, Err(AnalyzerError::OutcomeUnknown { .. })), "{cut:?}");

    let slow = Scripted::start(|_| Reply::Hang).await;
    let config = EmotionLogicConfig { timeout: impatient(), ..emotion_logic_at(&slow.url(""), &secret) };
    let late = only(&EmotionLogic::new(config, http()), recording()).await;
    assert!(matches!(late, Err(AnalyzerError::OutcomeUnknown { .. })), "{late:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_secret() {
    let elsewhere = Scripted::start(|_| reply(200, scored())).await;
    let to = elsewhere.url("/");
    let vendor = Scripted::start(move |_| reply_with(307, "location", to.clone())).await;
    let secret = SecretFile::new("s");
    let result = only(&ra7_at(&vendor.url(""), &secret), question(0)).await;
    assert!(matches!(result, Err(AnalyzerError::Misconfigured { .. })), "{result:?}");
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_asked_for_again() {
    let vendor = Scripted::start(|_| reply(200, "7".repeat(2_000))).await;
    let secret = SecretFile::new("s");
    let config = AnalyzersConfig {
        body_max_bytes: 1_000,
        nemesysco_ra7: ra7_config(&vendor.url(""), &secret),
        ..AnalyzersConfig::default()
    };
    let analyzer =
        AnalyzerConnector::for_kind(AnalyzerKind::NemesyscoRa7, &config, &HttpConfig::default()).unwrap();
    let result = only(&analyzer, question(0)).await;
    assert!(matches!(result, Err(AnalyzerError::Unreadable { again_max: 0, .. })), "{result:?}");
}

#[tokio::test]
async fn what_is_not_configured_is_named() {
    let config = AnalyzersConfig::default();
    for kind in AnalyzerKind::ALL {
        assert_eq!(AnalyzerKind::from_name(kind.as_str()), Some(kind));
        let analyzer = AnalyzerConnector::for_kind(kind, &config, &HttpConfig::default()).unwrap();
        assert_eq!(analyzer.kind(), kind);
        let asked = if analyzer.takes() == AudioForm::Upload { recording() } else { question(0) };
        let result = only(&analyzer, asked).await;
        assert!(
            matches!(&result, Err(AnalyzerError::Misconfigured { reason }) if reason.contains("is not set")),
            "{result:?}"
        );
        assert_eq!(only(&analyzer, upload("RIFF")).await.unwrap().outcome, Outcome::AudioMissing);
    }
    // Secrets and recordings do not cross a network in the clear.
    let secret = SecretFile::new("s");
    let plain = only(&ra7_at("http://vendor.invalid", &secret), question(0)).await;
    assert!(
        matches!(&plain, Err(AnalyzerError::Misconfigured { reason }) if reason.contains("plain_http")),
        "{plain:?}"
    );
}

#[tokio::test]
async fn a_failure_ends_as_an_outcome_and_never_as_a_number() {
    let vendor =
        Scripted::start(|_| reply(200, r#"{"Status":"ERROR","Data":{"RISKREPQ":["TQ1;C0;1;31.00;62"]}}"#))
            .await;
    let secret = SecretFile::new("s");
    let error = only(&ra7_at(&vendor.url(""), &secret), question(0)).await.unwrap_err();
    assert!(error.raw().is_some_and(|raw| raw.0.starts_with(b"{\"Status\"")));
    let given_up = |error: &AnalyzerError| (error.final_outcome().name(), error.final_outcome().score());
    assert_eq!(given_up(&error), ("unreadable", None));
    assert_eq!(given_up(&AnalyzerError::Refused { reason: String::new() }), ("vendor_refused", None));
    for error in [call::unavailable("down"), call::misconfigured("no key")] {
        assert_eq!((given_up(&error), error.raw()), (("gave_up", None), None));
    }
}

#[test]
fn nothing_of_a_person_or_a_secret_is_shown() {
    let secret = SecretFile::new("ra7-secret");
    let shown =
        format!("{:?} {:?} {:?}", question(0), question(0).audio, ra7_at("https://v.example", &secret));
    for hidden in ["audio.example", "ra7-secret", "run-1", "actionType"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}

proptest! {
    #[test]
    fn an_address_reads_back_from_a_prefix(path in "[ -~é]{0,40}") {
        let Ok(audio) = Url::parse(&format!("https://audio.example/{path}")) else { return Ok(()) };
        let whole = format!("https://v.example/?u={}", call::escaped(audio.as_str()));
        let url = Url::parse(&whole).unwrap();
        let pairs: Vec<_> = url.query_pairs().collect();
        prop_assert_eq!(pairs.len(), 1);
        prop_assert_eq!(pairs[0].1.as_ref(), audio.as_str());
        prop_assert_eq!(url.as_str(), whole);
    }
}
