//! Feeds as an operator configures them: what a feed does not say is as every feed has it, and what is wrong is told with its
//! whole key.

use super::*;

const FEED: &str = "
[analyzers.nemesysco_ra7]
prefix = 'https://vendor.example/a?u='
auth = 'env:A'
[transfers.feed]
age_max = '2days'
firebase_rtdb.zone = 'America/Mexico_City'
firebase_rtdb.audio.bucket = 'demo.appspot.com'
[transfers.feeds.north]
firebase_rtdb.database_url = 'https://north.firebaseio.com'
firebase_rtdb.credentials.service_account = 'file:north.json'
[transfers.feeds.south]
age_max = '7days'
enabled = false
firebase_rtdb.database_url = 'https://south.firebaseio.com'
firebase_rtdb.credentials.service_account = 'file:south.json'
";

#[test]
fn a_feed_is_as_every_feed_where_it_says_nothing() {
    let file = File::of(FEED);
    let config = Config::load(&file.sources()).unwrap();
    let feeds = &config.transfers.feeds;
    assert_eq!(feeds.keys().collect::<Vec<_>>(), ["north", "south"]);
    let (north, south) = (&feeds["north"], &feeds["south"]);
    assert_eq!((north.age_max.as_secs(), south.age_max.as_secs()), (2 * 86_400, 7 * 86_400));
    assert_eq!((north.enabled, south.enabled), (true, false));
    for feed in [north, south] {
        assert_eq!(feed.firebase_rtdb.zone, "America/Mexico_City");
        assert_eq!(feed.firebase_rtdb.paths.transfers, "Transfer");
        assert_eq!(
            (feed.claim_lease.as_secs(), feed.alias_chain_max, feed.tenant.as_str()),
            (1_800, 1, "default")
        );
        assert!(feed.firebase_rtdb.credentials.service_account.is_some());
    }
    assert_eq!(config.transfers.feed.firebase_rtdb.database_url, None);
    let shown = config.to_toml_redacted();
    let again = Config::load(&File::of(&shown).sources()).unwrap();
    assert_eq!(again.to_toml_redacted(), shown);
    assert_eq!(again.transfers, config.transfers);
}

#[test]
fn a_feed_can_be_made_by_the_environment_alone() {
    let feed = |name: &str, value: &str| env(&format!("BURSAR__TRANSFERS__FEEDS__NORTH__{name}"), value);
    let sources = Sources {
        env: vec![
            env("BURSAR__ANALYZERS__NEMESYSCO_RA7__PREFIX", "https://vendor.example/a?u="),
            env("BURSAR__ANALYZERS__NEMESYSCO_RA7__AUTH", "env:A"),
            feed("FIREBASE_RTDB__DATABASE_URL", "https://north.firebaseio.com"),
            feed("FIREBASE_RTDB__CREDENTIALS__SERVICE_ACCOUNT", "file:north.json"),
            feed("FIREBASE_RTDB__AUDIO__BUCKET", "demo.appspot.com"),
            feed("ALIAS_CHAIN_MAX", "3"),
            feed("FIREBASE_RTDB__REDIRECT_HOSTS", r#"["other.example"]"#),
        ],
        ..Sources::default()
    };
    let config = Config::load(&sources).unwrap();
    let north = &config.transfers.feeds["north"];
    assert_eq!((north.alias_chain_max, north.firebase_rtdb.redirect_hosts.len()), (3, 1));
}

#[test]
fn every_fault_of_a_feed_is_told_with_its_whole_key() {
    let file = File::of(
        "[transfers.feeds.South_]\ntenant = 'A'\nfirebase_rtdb.zone = 'Nowhere'\nclaim_lease = '1min'\n\
         firebase_rtdb.database_url = 's3cret'\nanalyzer = 'lva'\nage_maxx = '1day'\n\
         [transfers.feeds.still]\nenabled = false\n",
    );
    let text = refused(&file.sources());
    let origin = file.0.display();
    for line in [
        format!("transfers.feeds.South_.analyzer ({origin}): must be one of nemesysco_ra7, nemesysco_container, nemesysco_cloud, emotion_logic"),
        format!("unknown key transfers.feeds.South_.age_maxx ({origin}); did you mean transfers.feeds.South_.age_max?"),
        "transfers.feeds.South_.firebase_rtdb.zone (all sources together): no zone of that name is known".to_owned(),
        "transfers.feeds.South_.firebase_rtdb.credentials (all sources together): one of service_account, legacy_secret and emulator is needed".to_owned(),
        "transfers.feeds.South_ (all sources together): must have a name of 1 to 63 characters of a-z, 0-9 and hyphen".to_owned(),
        "transfers.feeds.still.firebase_rtdb.database_url (all sources together): needed".to_owned(),
        "analyzers.nemesysco_ra7.auth (all sources together): must be set, for transfers.feeds.South_ has its transfers analysed there".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
    for start in [
        "transfers.write_back.attempt_timeout (all sources together): is \"2min\" and must be below transfers.feeds.South_.claim_lease",
        "transfers.feeds.South_.tenant (all sources together): ",
        "transfers.feeds.South_.firebase_rtdb.audio.bucket (all sources together): ",
    ] {
        assert!(text.lines().any(|found| found.starts_with(start)), "{start}\nis not in\n{text}");
    }
    let urls = text.lines().filter(|line| line.contains("South_.firebase_rtdb.database_url")).count();
    assert!(urls == 1 && !text.contains("s3cret"), "{text}");
    // What is not listened to needs neither recordings nor an analyzer.
    assert!(
        !text.contains("still.firebase_rtdb.audio") && !text.contains("for transfers.feeds.still"),
        "{text}"
    );
}

#[test]
fn what_a_feed_leaves_empty_is_not_inherited() {
    let file = File::of(FEED);
    let all = file.sources().with("transfers.feed.firebase_rtdb.credentials.legacy_secret", "env:A");
    assert!(refused(&all).contains("transfers.feeds.north.firebase_rtdb.credentials (all sources"));
    let cleared = ["north", "south"].iter().fold(all, |sources, name| {
        sources.with(&format!("transfers.feeds.{name}.firebase_rtdb.credentials.legacy_secret"), "")
    });
    let config = Config::load(&cleared).unwrap();
    assert_eq!(config.transfers.feeds["north"].firebase_rtdb.credentials.legacy_secret, None);
    let again = Config::load(&File::of(&config.to_toml_redacted()).sources()).unwrap();
    assert_eq!(again.transfers, config.transfers);
}
