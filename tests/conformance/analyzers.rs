//! Every analyzer, in each way in which it can be spoken to, through the same list, against the sandbox's vendors.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use bursar::connectors::analyzers::config::AnalyzersConfig;
use bursar::connectors::analyzers::nemesysco_container::config::{Engine, Style};
use bursar::connectors::analyzers::nemesysco_ra7::config::UrlPrefix;
use bursar::connectors::analyzers::{
    Analysis, Analyzer, AnalyzerConnector, AnalyzerError, AnalyzerKind, Audio, AudioForm, Question,
};
use bursar::connectors::http::{HttpConfig, HttpUrl};
use bursar::connectors::secret::SecretRef;
use bursar::domain::analysis::Outcome;
use bursar::sandbox::{
    Behaviour, EMOTION_LOGIC_KEY, EMOTION_LOGIC_PASSWORD, EffectKind, Party, VENDOR_AUTH, VendorName, World,
    WorldOptions, vendor_risk, vendor_segments,
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than any answer of the sandbox to a few questions, and shorter than one that never ends.
const BODY_MAX: usize = 256 * 1024;

/// One way of having recordings analysed.
struct Way {
    name: &'static str,
    vendor: VendorName,
    analyzer: AnalyzerConnector,
    gives: Gives,
}

/// What a way makes of speech.
#[derive(Clone, Copy, PartialEq)]
enum Gives {
    Scores,
    /// Measures, and tells of its segments.
    Segments,
    /// Measures, and tells of none.
    Levels,
}

/// The vendors, and a shelf of recordings for them to fetch.
struct Stage {
    world: World,
    shelf: String,
    folder: PathBuf,
}

impl Stage {
    async fn open() -> Self {
        let folder = std::env::temp_dir().join(format!("bursar-analyzers-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, value) in
            [("vendor", VENDOR_AUTH), ("key", EMOTION_LOGIC_KEY), ("password", EMOTION_LOGIC_PASSWORD)]
        {
            std::fs::write(folder.join(name), value).unwrap();
        }
        let world = World::open(WorldOptions::in_dir(&folder)).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shelf = format!("http://{}", listener.local_addr().unwrap());
        let serve = async |Path(object): Path<String>| recording(&object).ok_or(StatusCode::NOT_FOUND);
        let router = Router::new().route("/v0/b/sample/o/{object}", get(serve));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { world, shelf, folder }
    }

    /// The ways there are.
    fn ways(&self) -> Vec<Way> {
        let all = [
            ("ra7", VendorName::Ra7, AnalyzerKind::NemesyscoRa7, Gives::Scores),
            ("site, windows", VendorName::Container, AnalyzerKind::NemesyscoContainer, Gives::Scores),
            ("site, native", VendorName::Container, AnalyzerKind::NemesyscoContainer, Gives::Scores),
            ("site, lva7", VendorName::Container, AnalyzerKind::NemesyscoContainer, Gives::Segments),
            ("site, qa7", VendorName::Container, AnalyzerKind::NemesyscoContainer, Gives::Segments),
            ("cloud", VendorName::Cloud, AnalyzerKind::NemesyscoCloud, Gives::Scores),
            ("emotion logic, upload", VendorName::EmotionLogic, AnalyzerKind::EmotionLogic, Gives::Levels),
            ("emotion logic, address", VendorName::EmotionLogic, AnalyzerKind::EmotionLogic, Gives::Levels),
        ];
        all.into_iter()
            .map(|(name, vendor, kind, gives)| {
                let config = self.config(name);
                let analyzer = AnalyzerConnector::for_kind(kind, &config, &HttpConfig::default()).unwrap();
                Way { name, vendor, analyzer, gives }
            })
            .collect()
    }

    fn config(&self, way: &str) -> AnalyzersConfig {
        let vendors = &self.world.addresses().vendors;
        let secret =
            |name: &str| SecretRef::parse(&format!("file:{}", self.folder.join(name).display())).ok();
        let mut config = AnalyzersConfig { body_max_bytes: BODY_MAX, ..AnalyzersConfig::default() };
        config.nemesysco_ra7.prefix = UrlPrefix::parse(&vendors.ra7_prefix).ok();
        config.nemesysco_ra7.auth = secret("vendor");
        let (style, engine, site) = match way {
            "site, native" => (Style::Native, Engine::Ra7, &vendors.container_url),
            "site, lva7" => (Style::Native, Engine::Lva7, &vendors.container_lva7_url),
            "site, qa7" => (Style::Windows, Engine::Qa7, &vendors.container_qa7_url),
            _ => (Style::Windows, Engine::Ra7, &vendors.container_url),
        };
        let container = &mut config.nemesysco_container;
        (container.style, container.engine) = (style, engine);
        container.url = HttpUrl::parse(site).ok();
        container.auth = secret("vendor");
        container.background_noise = 500;
        container.to_mono = true;
        container.segment_length_max_s = 3;
        container.normalize = true;
        container.analyze_type = 5;
        container.send_titles = true;
        config.nemesysco_cloud.url = HttpUrl::parse(&vendors.cloud_url).ok();
        config.nemesysco_cloud.auth = secret("vendor");
        let emotion_logic = &mut config.emotion_logic;
        emotion_logic.url = HttpUrl::parse(&vendors.emotion_logic_url).unwrap();
        emotion_logic.api_key = secret("key");
        emotion_logic.api_key_password = secret("password");
        emotion_logic.send = if way.ends_with("address") { AudioForm::Address } else { AudioForm::Upload };
        config
    }

    /// A question about an object, in the form in which the way takes recordings.
    fn question(&self, way: &Way, position: usize, object: &str) -> Question {
        let bytes = recording(object).unwrap_or_default();
        let audio = match way.analyzer.takes() {
            AudioForm::Upload => Audio::Bytes { bytes: bytes.into(), file_name: object.to_owned() },
            AudioForm::Address => {
                let object = object.replace('/', "%2F");
                let address = format!("{}/v0/b/sample/o/{object}?alt=media&sig=a+b", self.shelf);
                Audio::Address { url: address.parse().unwrap(), size_bytes: Some(bytes.len() as u64) }
            }
        };
        Question {
            position,
            audio,
            length: Some(Duration::from_secs(5)),
            topic: "T".to_owned(),
            question: format!("Q{}", position + 1),
            request_id: format!("run-1-{position}"),
            consent: true,
        }
    }

    async fn asks(&self, way: &Way, object: &str) -> Result<Analysis, AnalyzerError> {
        let mut results = way.analyzer.analyze(&[self.question(way, 0, object)]).await;
        assert_eq!(results.len(), 1, "{}", way.name);
        results.remove(0)
    }

    fn told(&self, way: &Way, behaviour: Behaviour) {
        self.world.script().once(Party::Vendor(way.vendor), behaviour);
    }

    fn asked(&self, way: &Way) -> u64 {
        self.world.script().asked(Party::Vendor(way.vendor))
    }

    /// What was analysed so far, by object.
    fn analysed(&self) -> Vec<String> {
        let effects = self.world.effects().into_iter();
        effects.filter(|effect| effect.kind == EffectKind::VendorAnalysed).map(|effect| effect.key).collect()
    }

    async fn close(self) {
        self.world.close().await;
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// What lies on the shelf: speech, silence, and something too small to be either.
fn recording(object: &str) -> Option<Vec<u8>> {
    match object {
        "cloud/silent/0.wav" => Some(vec![0; 400]),
        "cloud/small/0.wav" => Some(vec![7; 49]),
        "cloud/missing/0.wav" => None,
        _ => Some([&[0; 44][..], b"somebody says something about ", object.as_bytes()].concat()),
    }
}

/// An error, in a word.
fn class(result: &Result<Analysis, AnalyzerError>) -> String {
    match result {
        Ok(analysis) => analysis.outcome.name().to_owned(),
        Err(AnalyzerError::Unavailable { retry_after: Some(wait), .. }) => format!("wait {}", wait.as_secs()),
        Err(AnalyzerError::Unavailable { .. }) => "unavailable".to_owned(),
        Err(AnalyzerError::Refused { .. }) => "refused".to_owned(),
        Err(AnalyzerError::Paused { .. }) => "paused".to_owned(),
        Err(AnalyzerError::Unreadable { again_max, .. }) => format!("unreadable {again_max}"),
        Err(AnalyzerError::OutcomeUnknown { .. }) => "unknown".to_owned(),
        Err(AnalyzerError::Misconfigured { .. }) => "misconfigured".to_owned(),
    }
}

#[tokio::test]
async fn a_recording_is_analysed_and_the_answer_kept() {
    let stage = Stage::open().await;
    for way in stage.ways() {
        let object = format!("cloud/{}/0.wav", way.name.replace([' ', ','], "-"));
        let audio = recording(&object).unwrap();
        let analysis =
            stage.asks(&way, &object).await.unwrap_or_else(|error| panic!("{}: {error}", way.name));
        let segments = vendor_segments(&audio);
        match (way.gives, &analysis.outcome) {
            (Gives::Scores, Outcome::Scored(risk)) => {
                assert_eq!(
                    (Some(risk.risk()), risk.segments()),
                    (vendor_risk(&audio), segments),
                    "{}",
                    way.name
                );
                assert!(way.analyzer.formula().is_some() && analysis.vendor_id.is_some());
            }
            (Gives::Segments, outcome) => {
                assert_eq!(*outcome, Outcome::Measured { segments }, "{}", way.name)
            }
            (Gives::Levels, Outcome::Measured { .. }) => assert_eq!(analysis.segments, None),
            (_, outcome) => panic!("{}: {outcome:?}", way.name),
        }
        assert_eq!(way.analyzer.formula().is_some(), way.gives == Gives::Scores, "{}", way.name);
        assert!(serde_json::from_slice::<serde_json::Value>(&analysis.raw.0).is_ok(), "{}", way.name);
        let repeated = stage.asks(&way, &object).await.unwrap();
        assert_eq!(repeated.outcome, analysis.outcome, "{}", way.name);
        assert_eq!(stage.analysed().iter().filter(|key| **key == object).count(), 2, "{}", way.name);
    }
    stage.close().await;
}

#[tokio::test]
async fn silence_is_an_outcome_and_what_is_too_small_is_not_sent() {
    let stage = Stage::open().await;
    for way in stage.ways() {
        let silent = stage.asks(&way, "cloud/silent/0.wav").await.unwrap();
        let expected = match way.gives {
            Gives::Scores => Outcome::NoSpeech,
            Gives::Segments | Gives::Levels => Outcome::Measured { segments: 0 },
        };
        assert_eq!(silent.outcome, expected, "{}", way.name);
        let asked = stage.asked(&way);
        let small = stage.asks(&way, "cloud/small/0.wav").await.unwrap();
        assert_eq!((small.outcome, small.raw.0.len()), (Outcome::AudioMissing, 0), "{}", way.name);
        assert_eq!(stage.asked(&way), asked, "{}", way.name);
    }
    stage.close().await;
}

#[tokio::test]
async fn each_error_of_a_vendor_s_own_is_told_apart() {
    let stage = Stage::open().await;
    let family = [
        ("E1", "refused"),
        ("E1b", "paused"),
        ("E2", "paused"),
        ("E3", "unavailable"),
        ("E4", "unreadable 3"),
        ("E5", "misconfigured"),
        ("E6", "unreadable 3"),
        ("E7", "unreadable 1"),
        ("E8", "unavailable"),
        ("E10", "unreadable 3"),
    ];
    for way in stage.ways() {
        if way.vendor == VendorName::EmotionLogic {
            stage.told(&way, Behaviour::refuse("17"));
            assert_eq!(class(&stage.asks(&way, "cloud/u/0.wav").await), "unreadable 3", "{}", way.name);
            continue;
        }
        for (code, expected) in family {
            stage.told(&way, Behaviour::refuse(code));
            let result = stage.asks(&way, "cloud/u/0.wav").await;
            // An engine that only measures has no status, so that another engine's answer is one without its own report.
            let other = way.gives == Gives::Segments && matches!(code, "E6" | "E7");
            assert_eq!(class(&result), if other { "unreadable 1" } else { expected }, "{}: {code}", way.name);
            let shown = format!("{:?}", result.unwrap_err());
            assert!(!shown.contains(VENDOR_AUTH) && !shown.contains("cloud"), "{}: {shown}", way.name);
        }
    }
    assert_eq!(stage.analysed(), Vec::<String>::new());
    stage.close().await;
}

#[tokio::test]
async fn no_broken_answer_is_an_analysis() {
    let stage = Stage::open().await;
    let elsewhere = Behaviour::Redirect { code: 307, to: format!("{}/v0/b/sample/o/x", stage.shelf) };
    let broken = [
        (Behaviour::Empty, "unavailable"),
        (Behaviour::Html, "unavailable"),
        (Behaviour::Truncated, "unknown"),
        (Behaviour::Garbage, "unknown"),
        (Behaviour::Reset, "unknown"),
        (Behaviour::Endless, "unreadable 0"),
        (elsewhere, "misconfigured"),
        (Behaviour::status(400), "refused"),
        (Behaviour::status(401), "misconfigured"),
        (Behaviour::status(402), "paused"),
        (Behaviour::status(403), "paused"),
        (Behaviour::status(404), "misconfigured"),
        (Behaviour::status(429), "unavailable"),
        (Behaviour::status_retry_after(429, 7), "wait 7"),
        (Behaviour::status_retry_after(503, 9), "wait 9"),
        (Behaviour::status(500), "unavailable"),
        (Behaviour::saying(200, "[]"), "unreadable 3"),
        (Behaviour::saying(200, "{\"Status\": \"OK\", \"Da"), "unavailable"),
    ];
    for way in stage.ways() {
        for (behaviour, expected) in broken.clone() {
            stage.told(&way, behaviour.clone());
            let result = stage.asks(&way, "cloud/u/0.wav").await;
            assert_eq!(class(&result), expected, "{}: {behaviour:?}", way.name);
        }
    }
    assert_eq!(stage.analysed(), Vec::<String>::new());
    stage.close().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_was_analysed_all_the_same() {
    let stage = Stage::open().await;
    for (place, way) in stage.ways().iter().enumerate() {
        stage.told(way, Behaviour::accept_then_drop());
        assert_eq!(class(&stage.asks(way, "cloud/u/0.wav").await), "unknown", "{}", way.name);
        assert_eq!(stage.analysed().len(), place + 1, "{}", way.name);
    }
    stage.close().await;
}

#[tokio::test]
async fn a_slow_vendor_is_waited_for() {
    let stage = Arc::new(Stage::open().await);
    for way in stage.ways() {
        stage.told(&way, Behaviour::Hold);
        let name = way.name;
        let asking = tokio::spawn({
            let stage = Arc::clone(&stage);
            async move { stage.asks(&way, "cloud/u/0.wav").await }
        });
        stage.world.wait_for_held(1, PATIENCE).await.unwrap();
        stage.world.script().release();
        assert!(asking.await.unwrap().is_ok(), "{name}");
    }
    Arc::into_inner(stage).expect("nobody asks any more").close().await;
}

#[tokio::test]
async fn whoever_has_not_consented_is_not_sent_where_consent_is_wanted() {
    let stage = Stage::open().await;
    let mut wanted = 0;
    for way in stage.ways() {
        let asked = stage.asked(&way);
        let question = Question { consent: false, ..stage.question(&way, 0, "cloud/u/0.wav") };
        let results = way.analyzer.analyze(&[question]).await;
        if way.analyzer.wants_consent() {
            assert_eq!((class(&results[0]).as_str(), stage.asked(&way)), ("refused", asked), "{}", way.name);
            wanted += 1;
        } else {
            assert!(results[0].is_ok(), "{}", way.name);
        }
    }
    assert_eq!(wanted, 2);
    stage.close().await;
}

#[tokio::test]
async fn several_answers_keep_their_places() {
    let stage = Stage::open().await;
    for way in stage.ways() {
        let objects = ["cloud/a/0.wav", "cloud/small/0.wav", "cloud/b/0.wav", "cloud/c/0.wav"];
        let questions: Vec<_> =
            objects.iter().enumerate().map(|(place, object)| stage.question(&way, place, object)).collect();
        let asked = stage.asked(&way);
        let results = way.analyzer.analyze(&questions).await;
        assert_eq!(results.len(), 4, "{}", way.name);
        for (object, result) in objects.iter().zip(&results) {
            let outcome = &result.as_ref().unwrap().outcome;
            match way.gives {
                _ if object.contains("small") => assert_eq!(*outcome, Outcome::AudioMissing),
                Gives::Scores => {
                    let risk = vendor_risk(&recording(object).unwrap()).unwrap();
                    assert_eq!(outcome.score(), Some(100 - risk.clamp(5, 95)), "{}: {object}", way.name);
                }
                Gives::Segments | Gives::Levels => assert_eq!(outcome.name(), "measured", "{}", way.name),
            }
        }
        let calls = if way.analyzer.questions_max() > 1 { 1 } else { 3 };
        assert_eq!(stage.asked(&way) - asked, calls, "{}", way.name);
    }
    stage.close().await;
}

#[tokio::test]
async fn a_row_that_belongs_to_nobody_spoils_the_call_and_a_missing_one_its_question_alone() {
    let stage = Stage::open().await;
    for way in stage.ways().iter().filter(|way| way.gives == Gives::Scores) {
        for strange in ["extra_row", "two_channels"] {
            stage.told(way, Behaviour::refuse(strange));
            assert_eq!(
                class(&stage.asks(way, "cloud/u/0.wav").await),
                "unreadable 1",
                "{}: {strange}",
                way.name
            );
        }
    }
    let ways = stage.ways();
    let cloud = ways.iter().find(|way| way.vendor == VendorName::Cloud).unwrap();
    let ask = async |objects: [&str; 3]| -> Vec<String> {
        let questions: Vec<_> =
            objects.iter().enumerate().map(|(place, object)| stage.question(cloud, place, object)).collect();
        cloud.analyzer.analyze(&questions).await.iter().map(class).collect()
    };
    let speech = ["cloud/a/0.wav", "cloud/b/0.wav", "cloud/c/0.wav"];
    stage.told(cloud, Behaviour::refuse("extra_row"));
    assert_eq!(ask(speech).await, ["unreadable 1"; 3]);
    stage.told(cloud, Behaviour::refuse("two_channels"));
    assert_eq!(ask(speech).await, ["unreadable 1", "scored", "scored"]);
    // One without speech has no row beside others that have one; asked about alone, it is known to be silent.
    let mixed = ask(["cloud/a/0.wav", "cloud/silent/0.wav", "cloud/c/0.wav"]).await;
    assert_eq!(mixed, ["scored", "unreadable 3", "scored"]);
    assert_eq!(class(&stage.asks(cloud, "cloud/silent/0.wav").await), "no_speech");
    stage.close().await;
}

#[tokio::test]
async fn nobody_there_means_that_nothing_was_sent() {
    let stage = Stage::open().await;
    let ways = stage.ways();
    let questions: Vec<_> = ways.iter().map(|way| stage.question(way, 0, "cloud/u/0.wav")).collect();
    let Stage { world, folder, .. } = stage;
    world.close().await;
    for (way, question) in ways.iter().zip(questions) {
        let results = way.analyzer.analyze(&[question]).await;
        assert_eq!(class(&results[0]), "unavailable", "{}", way.name);
    }
    std::fs::remove_dir_all(folder).unwrap();
}
