//! What an operator does before and beside a service: a first configuration, its origins, manuals, and a look at what is there.

use std::path::PathBuf;

use clap::CommandFactory as _;

use super::scripted::{Shown, nobody};
use super::{Cli, Exit, json_of};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("bursar-cli-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn every_shell_knows_every_command() {
    let nobody = nobody().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = nobody.shows(&["completions", shell]).await.out;
        for command in Cli::command().get_subcommands().filter(|one| !one.is_hide_set()) {
            assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
        }
    }
}

#[tokio::test]
async fn every_command_has_its_page() {
    let (nobody, folder) = (nobody().await, Folder::new());
    let said = nobody.shows(&["man", "--to", &folder.file("")]).await;
    assert_eq!(said.exit, Exit::Success, "{}", said.err);
    let page = std::fs::read_to_string(folder.file("bursar-boleto-create.1")).unwrap();
    let first = std::fs::read_to_string(folder.file("bursar.1")).unwrap();
    assert!(page.contains("amount\\-cents") && page.contains("bursar boleto create"), "{page}");
    assert!(first.contains("Exit codes"), "{first}");
    assert_eq!(nobody.shows(&["man", "--to", "/nowhere/at/all"]).await.exit, Exit::Conflict);
}

#[tokio::test]
async fn a_first_configuration_is_written_once() {
    let (nobody, folder) = (nobody().await, Folder::new());
    let file = folder.file("bursar.toml");
    let init = ["config", "init", "--to", &file, "--no-questions", "--listen", "127.0.0.1:7500"];
    assert_eq!(nobody.shows(&init).await.exit, Exit::Success);
    let Shown { exit, out, .. } = nobody.shows(&["config", "show", "--config", &file]).await;
    assert_eq!(exit, Exit::Success);
    assert!(out.contains("listen = \"127.0.0.1:7500\"  # ") && out.contains("lanes = 1  # default"), "{out}");
    let again = nobody.shows(&init).await;
    assert_eq!(again.exit, Exit::Conflict);
    assert!(again.err.contains("is not written over"), "{}", again.err);
    let other = folder.file("other");
    let wrong = ["config", "init", "--to", &other, "--no-questions", "--listen", "0.0.0.0:1"];
    assert_eq!(nobody.shows(&wrong).await.exit, Exit::InvalidInput);
    assert!(!folder.0.join("other").exists(), "nothing is written that would be refused");
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_with_its_key() {
    let (nobody, folder) = (nobody().await, Folder::new());
    // Nobody listens there: the port belongs to a listener that never was.
    let data_dir = format!("data_dir={}", folder.file("data"));
    let probe = [
        "config",
        "check",
        "--probe",
        "--json",
        "--set",
        &data_dir,
        "--set",
        "telemetry.otlp_endpoint=http://127.0.0.1:1",
    ];
    let Shown { exit, out, .. } = nobody.shows(&probe).await;
    assert_eq!(exit, Exit::Unavailable, "{out}");
    let probed = json_of(&out)["probed"].as_array().unwrap().clone();
    let of =
        |key: &str| probed.iter().find(|one| one["key"] == key).unwrap_or_else(|| panic!("{key}: {out}"));
    assert_eq!(of("telemetry.otlp_endpoint")["reached"], false);
    assert_eq!(of("store.url")["reached"], true, "a file that is made at the first start");
}

#[tokio::test]
async fn a_doctor_says_what_is_wrong_why_it_matters_and_what_to_do() {
    let (nobody, folder) = (nobody().await, Folder::new());
    let data_dir = format!("data_dir={}", folder.file("data"));
    let well = nobody.shows(&["doctor", "--set", &data_dir]).await;
    assert_eq!(well.exit, Exit::Success, "{}{}", well.out, well.err);
    assert!(
        well.out.contains("well   clock: not looked at") && well.out.contains("timedatectl"),
        "{}",
        well.out
    );

    let certificate = rcgen::generate_simple_self_signed(vec!["bank.example".to_owned()]).unwrap();
    let mut ended = rcgen::CertificateParams::new(vec!["bank.example".to_owned()]).unwrap();
    ended.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let ended = ended.self_signed(&certificate.signing_key).unwrap();
    std::fs::write(folder.file("ended.pem"), ended.pem()).unwrap();
    let settings = [
        "openbanking.aspsps.north.base_url=https://north.example".to_owned(),
        format!("openbanking.aspsps.north.identity.certificate=file:{}", folder.file("ended.pem")),
        "openbanking.aspsps.north.identity.private_key=env:BURSAR_TEST_NO_SUCH_VARIABLE".to_owned(),
    ];
    let mut asked = vec!["doctor", "--json", "--set", &data_dir];
    for setting in &settings {
        asked.extend(["--set", setting]);
    }
    let Shown { exit, out, .. } = nobody.shows(&asked).await;
    assert_eq!(exit, Exit::Failure, "{out}");
    let findings = json_of(&out)["findings"].as_array().unwrap().clone();
    for key in ["identity.certificate", "identity.private_key"] {
        let key = format!("openbanking.aspsps.north.{key}");
        let found = findings.iter().find(|one| one["subject"] == key.as_str() && one["level"] == "wrong");
        let found = found.unwrap_or_else(|| panic!("{key}: {out}"));
        for part in ["what", "why", "do"] {
            assert!(found[part].as_str().is_some_and(|text| text.len() > 10), "{key} {part}: {found}");
        }
    }
}
