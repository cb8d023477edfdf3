//! The user whom a record names reads in a mail what came of it, once the feed has it: the scores under their own name and the right
//! way round. An operator reads of failures too, with their reason. No mail holds a name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar::proto::transfer::v1::transfer::State;
use bursar::sandbox::{Behaviour, EffectKind, FirebaseStep, Party, ReceivedMessage, Times};
use serde_json::json;

use crate::support::house::feed::a_record;
use crate::support::house::{House, Opened, PATIENCE, eventually};

const KEY: &str = "-Nsample0000000000A1";
const WRITE: Party = Party::Firebase(FirebaseStep::Write);

fn has_people(house: &Opened) {
    house.feed().puts("Personas/-NsamplePerson000001", json!({"Nombre": "Maria", "ApPat": "da Silva"}));
    house.feed().puts("Usuarios/-NsampleUser00000001", json!({"email": "user@example.com"}));
}

/// The mails about a transfer, by its id.
async fn mails(house: &Opened, id: &str, count: usize) -> Vec<ReceivedMessage> {
    eventually("the mails", async || {
        let about = |message: &ReceivedMessage| {
            message.channel == "mail"
                && message.attributes.get("Bursar-Subject").is_some_and(|subject| subject == id)
        };
        let found: Vec<_> = house.world().messages().into_iter().filter(about).collect();
        (found.len() >= count).then_some(found)
    })
    .await
}

/// The text of a mail as people read it, which holds nobody's name.
fn read(message: &ReceivedMessage) -> String {
    let part = message.body.split("Content-Type: text/plain").nth(1).expect("a part for people");
    let (head, rest) = part.split_once("\r\n\r\n").expect("an empty line behind the part's headers");
    let (content, _) = rest.split_once("\r\n--=_").expect("an end of the part");
    let bytes = match head.contains("base64") {
        true => STANDARD.decode(content.replace("\r\n", "")).expect("Base64"),
        false => unquoted(content),
    };
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert!(!text.contains("Maria") && !text.contains("da Silva"), "{text}");
    text
}

/// Quoted-printable as it was before; what is not quoted stays.
fn unquoted(content: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len());
    let joined = content.replace("=\r\n", "");
    let mut rest = joined.as_bytes();
    while let [first, more @ ..] = rest {
        let code = more.get(..2).filter(|_| *first == b'=').and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &more[2..] } else { more };
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_user_reads_the_scores_once_the_feed_has_them() {
    let house = House::new().with_feed("main").with("transfers.feeds.main.tells_user", "true").open().await;
    has_people(&house);
    house.operator().subscribes_mail("operator@example.com", "en", &["transfer.*"]).await;
    let result = house.feed().offers(KEY, 2);
    house.feed().keeps(KEY, 1, vec![0; 400]);
    let result = format!("{}|", result.split('|').next().expect("a first score"));
    let done = house.operator().sees_transfer(KEY, State::Done).await;
    assert_eq!(house.feed().is_told(KEY).await["resultado"], result);
    let mails = mails(&house, &done.id, 2).await;
    let to = |address: &str| mails.iter().find(|mail| mail.attributes["To"] == address).expect("a mail");
    let users = read(to("user@example.com"));
    assert!(users.contains("Pontuação de risco do fornecedor"), "{users}");
    assert!(users.contains("mais alta quer dizer menor risco"), "{users}");
    assert!(users.contains(&format!("Resposta 1: {}", result.trim_end_matches('|'))), "{users}");
    assert!(users.contains("Resposta 2: sem pontuação"), "{users}");
    let operators = read(to("operator@example.com"));
    assert!(
        operators.contains("Vendor risk score") && operators.contains("Answer 2: no score"),
        "{operators}"
    );

    // Behind the write-back, not before it.
    let effects = house.world().effects();
    let place =
        |kind, key: &str| effects.iter().position(|effect| effect.kind == kind && effect.key.contains(key));
    let told = effects.iter().position(|effect| effect.detail["fields"]["processed"] == true);
    assert!(told.is_some() && told < place(EffectKind::OwnerMail, &done.id), "{effects:?}");
    house.operator().sees_all_work_done().await;
    assert_eq!(house.feed().told(KEY), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_reads_why_it_failed_and_no_number() {
    let house = House::new().with_feed("main").open().await;
    has_people(&house);
    house
        .operator()
        .subscribes_mail("operator@example.com", "es", &["transfer.failed", "transfer.skipped"])
        .await;
    house.feed().offers(KEY, 1);
    house.feed().puts(&format!("Transfer/{KEY}/visto"), json!(true));
    house.operator().sees_transfer(KEY, State::Done).await;
    let mut lost = a_record(1);
    lost["key_encuesta"] = json!("-NsampleNoSurvey");
    house.feed().offers_record("-NsampleLost", 1, lost);
    let failed = house.operator().sees_transfer("-NsampleLost", State::Failed).await;
    let text = read(&mails(&house, &failed.id, 1).await[0]);
    assert!(text.contains("Motivo: el cuestionario no existe"), "{text}");
    assert!(!text.contains("Puntuación de riesgo"), "{text}");
    house.operator().sees_all_work_done().await;
    let mailed = house.world().effects().iter().filter(|effect| effect.kind == EffectKind::OwnerMail).count();
    assert_eq!(mailed, 1, "nobody asked to hear of what was done");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_while_the_feed_does_not_take_the_result() {
    let house = House::new().with_feed("main").open().await;
    house.operator().subscribes_mail("operator@example.com", "pl", &["transfer.*"]).await;
    // Claims are writes too: the first is for the analysis, the rest for telling the feed.
    house.script().add(WRITE, Behaviour::Normal, Times::Count(1));
    house.script().always(WRITE, Behaviour::status(503));
    let result = house.feed().offers(KEY, 1);
    let known = house.operator().sees_transfer(KEY, State::WritingBack).await;
    let asked = house.script().asked(WRITE);
    house.world().wait_for_asked(WRITE, asked + 3, PATIENCE).await.expect("it is tried again");
    let mailed = |house: &Opened| {
        house.world().effects().iter().filter(|effect| effect.kind == EffectKind::OwnerMail).count()
    };
    assert_eq!((mailed(&house), house.feed().told(KEY)), (0, 0));
    assert_eq!(
        house.operator().finds_transfer(KEY).await.transfer.map(|now| now.state()),
        Some(State::WritingBack)
    );

    house.script().clear_all();
    assert_eq!(house.feed().is_told(KEY).await["resultado"], result);
    mails(&house, &known.id, 1).await;
    house.operator().sees_all_work_done().await;
    assert_eq!((mailed(&house), house.feed().told(KEY), house.feed().analysed(KEY)), (1, 1, 1));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_user_reads_of_a_failure_too() {
    let house = House::new().with_feed("main").with("transfers.feeds.main.tells_user", "true").open().await;
    has_people(&house);
    let mut lost = a_record(1);
    lost["key_encuesta"] = json!("-NsampleNoSurvey");
    house.feed().offers_record(KEY, 1, lost);
    let failed = house.operator().sees_transfer(KEY, State::Failed).await;
    let mails = mails(&house, &failed.id, 1).await;
    assert_eq!(mails[0].attributes["To"], "user@example.com");
    assert!(read(&mails[0]).contains("o questionário não existe"), "{}", read(&mails[0]));
    house.operator().sees_all_work_done().await;
    house.close().await;
}
