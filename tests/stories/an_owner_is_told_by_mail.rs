//! An owner reads mail: in a language of their own, once the server is there again, once more where nobody knows whether it
//! came, and never again at an address that does not exist.

use std::collections::BTreeSet;

use bursar::proto::control::v1::WorkState;
use bursar::sandbox::{Behaviour, EffectKind, Party, SmtpStep};

use crate::support::house::{House, Opened, PATIENCE, Refusal as _, Told, a_boleto, eventually};

const GREETING: Party = Party::Smtp(SmtpStep::Greeting);
const RECIPIENT: Party = Party::Smtp(SmtpStep::Recipient);
const MESSAGE: Party = Party::Smtp(SmtpStep::Message);

fn mailed(house: &Opened) -> usize {
    house.world().effects().iter().filter(|effect| effect.kind == EffectKind::OwnerMail).count()
}

fn message_ids(told: &[Told]) -> BTreeSet<&str> {
    told.iter().map(|told| told.attributes["Message-ID"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_owner_reads_the_news_in_a_language_of_their_own() {
    let house = House::new().open().await;
    let languages = ["pt-BR", "es", "en", "pl"];
    for language in languages {
        house
            .operator()
            .subscribes_mail(&format!("{}@example.com", language.to_lowercase()), language, &["*"])
            .await;
    }
    let boleto = house.shop().creates(a_boleto().told_to_subscribers()).await;
    let told = house.owner().hears(&boleto.id, languages.len()).await;
    let read: BTreeSet<_> = told.iter().map(|told| told.attributes["Content-Language"].as_str()).collect();
    assert_eq!(read, languages.into());
    for told in &told {
        let language = told.attributes["Content-Language"].as_str();
        assert_eq!(told.attributes["To"], format!("{}@example.com", language.to_lowercase()));
        let text = told.body.as_str().expect("a message");
        assert!(
            text.contains("Content-Type: text/plain") && text.contains("Content-Type: text/html"),
            "{text}"
        );
        assert!(text.contains(&boleto.id), "{text}");
    }
    house.operator().sees_all_work_done().await;
    assert_eq!(mailed(&house), languages.len());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_is_away_is_told_everything_when_it_is_back() {
    let house = House::new().open().await;
    house.operator().subscribes_mail("owner@example.com", "", &["*"]).await;
    house.script().always(GREETING, Behaviour::saying(421, "4.3.2 too busy"));
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(house.shop().creates(a_boleto().told_to_subscribers()).await);
    }
    let asked = house.script().asked(GREETING);
    house.world().wait_for_asked(GREETING, asked + 2, PATIENCE).await.expect("another try");
    assert_eq!((mailed(&house), house.operator().work(&[]).await.len()), (0, 3));

    house.script().clear(GREETING);
    for boleto in &made {
        assert_eq!(house.owner().hears(&boleto.id, 1).await[0].channel, "mail");
    }
    house.operator().sees_all_work_done().await;
    assert_eq!(mailed(&house), 3);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_trouble_passes_and_the_message_comes_once() {
    let house = House::new()
        .with("channels.mail.command_timeout", "300ms")
        .with("channels.mail.message_timeout", "300ms")
        .with("breaker.wait_base", "10ms")
        .with("breaker.wait_cap", "50ms")
        .open()
        .await;
    house.operator().subscribes_mail("owner@example.com", "", &["*"]).await;
    let troubles = [
        (GREETING, Behaviour::Reset),
        (GREETING, Behaviour::Hang),
        (GREETING, Behaviour::Garbage),
        (GREETING, Behaviour::Html),
        (GREETING, Behaviour::Empty),
        (RECIPIENT, Behaviour::saying(450, "4.2.1 greylisted")),
        (RECIPIENT, Behaviour::Reset),
        (MESSAGE, Behaviour::saying(451, "4.3.0 later")),
        (MESSAGE, Behaviour::Hang),
        (MESSAGE, Behaviour::Garbage),
        (MESSAGE, Behaviour::Endless),
        (MESSAGE, Behaviour::Truncated),
    ];
    troubles.into_iter().for_each(|(step, trouble)| house.script().once(step, trouble));
    let boleto = house.shop().creates(a_boleto().told_to_subscribers()).await;
    house.owner().hears(&boleto.id, 1).await;
    house.operator().sees_all_work_done().await;
    assert_eq!(house.script().asked(MESSAGE), 6, "five troubles with the content, and once without");
    assert_eq!(mailed(&house), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_may_have_come_comes_again_as_the_same_message() {
    let house = House::new().open().await;
    house.operator().subscribes_mail("owner@example.com", "", &["*"]).await;
    house.script().once(MESSAGE, Behaviour::accept_then_drop());
    let boleto = house.shop().creates(a_boleto().told_to_subscribers()).await;
    let told = house.owner().hears(&boleto.id, 2).await;
    assert_eq!(message_ids(&told).len(), 1, "{told:?}");
    house.operator().sees_all_work_done().await;
    assert_eq!(mailed(&house), 2);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_does_not_exist_is_given_up_and_harms_no_other() {
    let house = House::new().open().await;
    let nobody = house.operator().subscribes_mail("nobody@example.com", "", &["*"]).await;
    house.script().once(RECIPIENT, Behaviour::saying(550, "5.1.1 <nobody@example.com> unknown"));
    let lost = house.shop().creates(a_boleto().told_to_subscribers()).await;
    let letters = eventually("the delivery is a dead letter", async || {
        let letters = house.operator().finds_work(&lost.id, &[WorkState::Discarded]).await;
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert_eq!(letters[0].attempt, 1, "nobody is asked twice");
    assert!(letters[0].last_error.contains("550 5.1.1"), "{}", letters[0].last_error);
    assert!(!letters[0].last_error.contains("nobody@"), "{}", letters[0].last_error);
    assert_eq!((house.script().asked(RECIPIENT), mailed(&house)), (1, 0));

    house.operator().subscribes_mail("owner@example.com", "en", &["*"]).await;
    let heard = house.shop().creates(a_boleto().told_to_subscribers()).await;
    assert_eq!(house.owner().hears(&heard.id, 2).await.len(), 2);
    assert!(!house.operator().endpoint(&nobody.id).await.disabled);
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_can_be_written_to_where_that_is_not_possible() {
    let house = House::new().with("channels.mail.recipients.domains", r#"["example.com"]"#).open().await;
    for (address, language) in
        [("owner@elsewhere.example", ""), ("<owner@example.com>", ""), ("a@b@example.com", "")]
    {
        let refused =
            house.operator().tries_to_subscribe_mail(address, language, &["*"]).await.expect_err(address);
        assert_eq!(refused.fields(), ["endpoint.mail.address"], "{address}");
    }
    let refused = house.operator().tries_to_subscribe_mail("owner@example.com", "tlh", &["*"]).await;
    assert_eq!(refused.expect_err("no such language").fields(), ["endpoint.mail.language"]);
    house.close().await;

    let house = House::new().with("channels.mail.server", "").open().await;
    let refused = house.operator().tries_to_subscribe_mail("owner@example.com", "", &["*"]).await;
    let refused = refused.expect_err("no mail server");
    assert_eq!(refused.fields(), ["endpoint.mail.address"]);
    house.close().await;
}
