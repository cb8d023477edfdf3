//! Banks of open banking as an operator configures them: what a bank does not say is as every bank has it, and what is wrong is told
//! with its whole key.

use super::*;
use crate::actors::config::openbanking::{AspspEntry, WindowKind};
use crate::connectors::aspsps::config::{AspspConfig, Standard};
use crate::connectors::aspsps::internal_api::config::InternalApiConfig;
use crate::domain::openbanking::quota::Window;

const BANKS: &str = "
[openbanking.aspsp]
zone = 'Europe/Vilnius'
limits.in_flight_max = 3
[openbanking.aspsps.north]
base_url = 'https://north.example/psd2'
headers = [{ name = 'X-Gateway', value = 'env:GATEWAY_KEY' }]
identity = { certificate = 'file:qwac.pem', private_key = 'env:QWAC_KEY' }
quota.window = 'day'
[openbanking.aspsps.south_2]
standard = 'polish_api'
base_url = 'https://south.example'
signature.private_key = 'env:QSEAL_KEY'
limits.rate_per_minute = 600
polish_api.version = '3_0.1'
quota = { window = 'month', limit = 4, zone = 'America/Sao_Paulo', endpoints.balances = 420 }
";

#[test]
fn a_bank_is_as_every_bank_where_it_says_nothing() {
    let config = Config::load(&File::of(BANKS).sources()).unwrap();
    let banks = &config.openbanking.aspsps;
    assert_eq!(banks.keys().collect::<Vec<_>>(), ["north", "south_2"]);
    let (north, south) = (&banks["north"], &banks["south_2"]);
    let standards = [north, south].map(|bank| bank.connector.standard);
    assert_eq!(standards, [Standard::BerlinGroup, Standard::PolishApi]);
    assert_eq!((north.limits.in_flight_max, south.limits.rate_per_minute), (3, 600));
    assert_eq!(north.window(), Window::Day(chrono_tz::Europe::Vilnius), "of the bank's own books");
    assert_eq!(south.window(), Window::Month(chrono_tz::America::Sao_Paulo));
    assert_eq!((south.quota.endpoints.balances, south.quota.endpoints.holds), (420, 0));
    assert_eq!(south.connector.polish_api.version, "3_0.1");
    assert_eq!(north.connector.headers.len(), 1);
    assert!(north.connector.identity.certificate.is_some() && south.connector.identity.certificate.is_none());
    let shown = config.to_toml_redacted();
    let again = Config::load(&File::of(&shown).sources()).unwrap();
    assert_eq!(again.to_toml_redacted(), shown);
    assert_eq!(again.openbanking, config.openbanking);
}

#[test]
fn the_defaults_of_a_bank_are_those_of_its_connector() {
    let config = Config::default().openbanking;
    let AspspEntry { connector, quota, .. } = config.aspsp;
    assert_eq!(connector, AspspConfig::default());
    assert_eq!(config.internal_api, InternalApiConfig::default());
    assert_eq!((quota.limit, quota.window, quota.zone), (0, WindowKind::Rolling, None));
    assert!(config.aspsps.is_empty());
}

#[test]
fn a_bank_can_be_made_by_the_environment_alone() {
    let bank = |name: &str, value: &str| env(&format!("BURSAR__OPENBANKING__ASPSPS__NORTH__{name}"), value);
    let sources = Sources {
        env: vec![
            bank("BASE_URL", "https://north.example"),
            bank("LIMITS__IN_FLIGHT_MAX", "2"),
            bank("CODES__REFUSED", r#"["E-17"]"#),
            bank("BERLIN_GROUP__BOTH", "true"),
        ],
        ..Sources::default()
    };
    let north = Config::load(&sources).unwrap().openbanking.aspsps["north"].clone();
    assert!(north.connector.berlin_group.both && north.connector.codes.refused == ["E-17"]);
    assert_eq!(north.limits.in_flight_max, 2);
}

#[test]
fn every_fault_of_a_bank_is_told_with_its_whole_key() {
    let file = File::of(
        "[openbanking.aspsps.South]\nbase_url = 's3cret'\ntimeout = '1ms'\nversion = '3'\npage_size = 2\n\
         [openbanking.aspsps.north]\nstandard = 'polish_api'\nidentity.certificate = 'file:a.pem'\nquota.window = 'month'\n\
         [openbanking.sync]\nvia = 'internal_api'\n[openbanking.payments]\nyoung_until = '40days'\n",
    );
    let text = refused(&file.sources());
    for start in [
        "openbanking.aspsps.South.base_url (",
        "openbanking.aspsps.South.timeout (",
        "unknown key openbanking.aspsps.South.version (",
        "openbanking.aspsps.South (all sources together): must have a name of 1 to 63 characters",
        "openbanking.aspsps.north.base_url (all sources together): must be set",
        "openbanking.aspsps.north.signature.private_key (all sources together): must be set",
        "openbanking.aspsps.north.identity.private_key (all sources together): must be set",
        "openbanking.aspsps.north.quota.limit (all sources together): must be set, for a consent says",
        "openbanking.internal_api.base_url (all sources together): must be set, for openbanking.sync.via",
        "openbanking.internal_api.user_parameter (all sources together): must be set, or user_header",
        "openbanking.payments.young_until (all sources together): is \"40days\" and must be at most",
    ] {
        assert!(text.lines().any(|found| found.starts_with(start)), "{start}\nis not in\n{text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
    let urls = text.lines().filter(|line| line.contains("South.base_url")).count();
    assert_eq!(urls, 1, "{text}");
}

#[test]
fn the_settings_that_the_readme_shows_are_settings() {
    let readme = include_str!("../../../README.md");
    let chapter = readme.split("\n## Open banking\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let blocks: Vec<&str> =
        chapter.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 3);
    // What the second one says of banks goes with what the first one says of them.
    let banks = File::of(&format!("{}\n{}", blocks[0], blocks[1]));
    let brazil = banks.sources().with("openbanking.aspsps.brazil.base_url", "https://brazil.example");
    let config = Config::load(&brazil).unwrap().openbanking;
    assert_eq!(config.aspsps.keys().collect::<Vec<_>>(), ["brazil", "north", "south"]);
    assert!(Config::load(&File::of(blocks[2]).sources()).is_ok());
}
