//! The database is lost and restored from a copy, and things were done after the copy was made. Once the counters are past what the
//! bank has, no number is given twice; whoever asks again gets one boleto; owners who are told again are told of the same event.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use bursar::proto::boleto::v1 as proto;
use bursar::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use bursar::proto::boleto::v1::resync_bank_account_request::Ahead;
use bursar::sandbox::{Behaviour, Effect, EffectKind, Party};
use bursar::store::pool;
use sea_orm::ConnectionTrait as _;
use tonic::transport::Channel;

use crate::database::Kind;
use crate::judge;
use crate::load;
use crate::process::{PATIENCE, Program};
use crate::shop::{self, Shop};
use crate::stage::Stage;

/// Made, registered and told of before the copy.
const BEFORE: usize = 4;
/// Made, registered and told of after it; the copy knows nothing of them.
const AFTER: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_done_twice_after_a_restore_of_the_embedded_store() {
    nothing_is_done_twice_after_a_restore(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_done_twice_after_a_restore_of_postgresql() {
    nothing_is_done_twice_after_a_restore(Kind::PostgreSql).await;
}

async fn nothing_is_done_twice_after_a_restore(kind: Kind) {
    let stage = Stage::open(kind).await;
    let mut house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let (shop, channel) = (Shop::of(&stage), house.channel().await.expect("a house that listens"));
    shop.furnish(&channel).await.expect("a bank account");
    load::ask_for(&shop, std::slice::from_ref(&channel), 0..BEFORE).await;
    judge::owners_told(&stage, BEFORE).await;
    judge::no_work_left(&house).await;
    // One more is registered, and its webhook takes no message before the copy is made.
    stage.world.script().always(Party::Webhook, Behaviour::Hold);
    let late = shop.create(&channel, BEFORE).await.expect("a boleto").id;
    load::registered(&stage, BEFORE + 1).await;
    stage.world.wait_for_held(1, PATIENCE).await.expect("a message that nobody has taken");

    let copy = copied(&stage, kind).await;
    stage.world.script().clear(Party::Webhook);
    stage.world.script().release();
    load::ask_for(&shop, &[channel], BEFORE + 1..BEFORE + 1 + AFTER).await;
    judge::owners_told(&stage, BEFORE + 1 + AFTER).await;
    house.program.kill().await;
    restored(&stage, kind, &copy).await;

    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    let highest = titles(&stage.world.effects()).into_keys().max().expect("titles at the bank");
    let account = moves_past(&channel, &highest).await;
    let next = account.next_sequence.expect("numbers that we count ourselves");
    // Whoever asks again gets the boleto that is there, and those that the copy does not know are made anew.
    load::ask_for(&shop, std::slice::from_ref(&channel), 0..BEFORE + 1 + AFTER).await;
    load::registered(&stage, BEFORE + 1 + AFTER + AFTER).await;
    judge::no_work_left(&house).await;

    let effects = stage.world.effects();
    assert!(effects.iter().all(|effect| effect.kind != EffectKind::BankDuplicateRefused), "{effects:?}");
    let titles = titles(&effects);
    assert_eq!(titles.len(), BEFORE + 1 + AFTER + AFTER, "{titles:?}");
    assert!(titles.values().all(|times| *times == 1), "a number was given twice: {titles:?}");
    let anew = titles.into_keys().filter(|title| *title > highest).count();
    assert_eq!(anew, AFTER, "what the copy does not know has numbers past the bank's highest");
    let found = shop::boletos(&channel).await.expect("a house that answers");
    assert_eq!(found.len(), BEFORE + 1 + AFTER);
    assert!(found.iter().all(|boleto| boleto.payable), "{found:?}");
    assert!(next > i64::try_from(BEFORE + 1 + AFTER).expect("a small number"), "{next}");
    // Its webhook was told after the copy, and once more after the restore, of the same event.
    let told = told(&effects, EffectKind::OwnerWebhook);
    assert_eq!(told[late.as_str()].len(), 1, "one event, under one id: {told:?}");
    let times = effects
        .iter()
        .filter(|effect| effect.kind == EffectKind::OwnerWebhook && effect.key.starts_with(&late));
    assert_eq!(times.count(), 2, "told again, for nobody knows here that it was told");
    house.close().await;
    stage.close().await;
}

/// A copy of the database of an open house, as an operator makes one.
async fn copied(stage: &Stage, kind: Kind) -> PathBuf {
    match kind {
        Kind::Sqlite => {
            let (to, config) = (stage.file("copies"), stage.file("bursar.toml"));
            let arguments = ["backup", "--json", "--config"].map(Path::new);
            let arguments: Vec<&Path> =
                arguments.into_iter().chain([config.as_path(), Path::new("--to"), to.as_path()]).collect();
            let mut backup = Program::start(&arguments, &[]);
            assert!(backup.ended().await.success(), "{}", backup.said());
            let mut copies = std::fs::read_dir(&to).expect("a folder of copies");
            copies.next().expect("a copy").expect("an entry").path()
        }
        Kind::PostgreSql => {
            let copy = stage.file("bursar.dump");
            let text = copy.display().to_string();
            postgres("pg_dump", &["--format=custom", "--file", &text, &stage.database_url]);
            copy
        }
    }
}

/// Puts the copy in the place of a database that is gone. Its house has ended.
async fn restored(stage: &Stage, kind: Kind, copy: &Path) {
    match kind {
        Kind::Sqlite => {
            let database = stage.database_url.trim_start_matches("sqlite:");
            for end in ["", "-wal", "-shm"] {
                // The write-ahead log may have been empty and gone.
                let _ = std::fs::remove_file(format!("{database}{end}"));
            }
            std::fs::copy(copy, database).expect("the copy in its place");
        }
        Kind::PostgreSql => {
            let (server, name) = stage.database_url.rsplit_once('/').expect("a URL that names a database");
            let connection = pool::connect(format!("{server}/postgres")).await.expect("the server");
            for statement in [format!("drop database {name} with (force)"), format!("create database {name}")]
            {
                connection.execute_unprepared(&statement).await.expect("an empty database");
            }
            connection.close().await.expect("the server lets go");
            let copy = copy.display().to_string();
            postgres(
                "pg_restore",
                &["--exit-on-error", "--no-owner", "--dbname", &stage.database_url, &copy],
            );
        }
    }
}

/// Runs one of PostgreSQL's own programs, which stand beside the server's.
fn postgres(program: &str, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/postgres");
    let folder = Command::new(script).arg("bin").output().expect("the folder of the server's programs");
    let folder = String::from_utf8(folder.stdout).expect("a path");
    let ran = Command::new(Path::new(folder.trim()).join(program)).args(arguments).output();
    let ran = ran.expect("a program beside the server's");
    assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// Moves the counter past a title of the bank's, as its operator reads it there.
async fn moves_past(channel: &Channel, title: &str) -> proto::BankAccount {
    let mut accounts = BankAccountServiceClient::new(channel.clone());
    let list = accounts.list_bank_accounts(proto::ListBankAccountsRequest::default()).await;
    let account = list.expect("accounts").into_inner().bank_accounts.remove(0);
    let (_, number) = title.split_once('+').expect("an agreement and a number");
    let request = proto::ResyncBankAccountRequest {
        id: account.id,
        reason: "restored from a copy".to_owned(),
        request_id: "after-the-restore".to_owned(),
        // The bank shows three zeros before the agreement that a whole nosso numero begins with.
        ahead: Some(Ahead::LastUsedNossoNumero(number.trim_start_matches('0').to_owned())),
    };
    let answer = accounts.resync_bank_account(request).await.expect("a counter that moves");
    answer.into_inner().bank_account.expect("the account")
}

/// How often the bank has registered each of its titles.
fn titles(effects: &[Effect]) -> BTreeMap<String, usize> {
    let mut titles = BTreeMap::new();
    for effect in effects.iter().filter(|effect| effect.kind == EffectKind::BankRegistered) {
        *titles.entry(effect.key.clone()).or_default() += 1;
    }
    titles
}

/// The ids of the events that an owner was told of each boleto.
fn told(effects: &[Effect], kind: EffectKind) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut told: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for effect in effects.iter().filter(|effect| effect.kind == kind) {
        let (boleto, event) = effect.key.split_once('+').expect("a boleto and an event");
        told.entry(boleto).or_default().insert(event);
    }
    told
}
