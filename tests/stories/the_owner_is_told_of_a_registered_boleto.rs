//! A shop asks for a boleto. The bank has it on file when the answer comes, and the shop's queue and the tenant's
//! subscribed webhook are told, once each: the same news under the same event id.

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::sandbox::EffectKind;
use chrono::DateTime;

use crate::support::database::Kind;
use crate::support::house::{House, a_boleto};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_embedded_store() {
    the_owner_is_told_of_a_registered_boleto(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql() {
    the_owner_is_told_of_a_registered_boleto(Kind::PostgreSql).await;
}

async fn the_owner_is_told_of_a_registered_boleto(kind: Kind) {
    let house = House::new().on(kind).open().await;
    house.operator().subscribes_webhook(&["*"]).await;

    let boleto = house.shop().creates(a_boleto().of_cents(12_590).called("order-7")).await;
    assert_eq!(boleto.status(), BoletoStatus::Registered);
    assert!(boleto.payable);
    assert_eq!(boleto.version, 2, "issued, then registered");
    assert_eq!((boleto.barcode.len(), boleto.linha_digitavel.len()), (44, 47));
    assert_eq!(house.shop().gets(&boleto.id).await, boleto, "what was answered is what is stored");

    let told = house.owner().hears(&boleto.id, 2).await;
    let mut channels: Vec<&str> = told.iter().map(|message| message.channel.as_str()).collect();
    channels.sort_unstable();
    assert_eq!(channels, ["sqs", "webhook"]);
    for message in &told {
        let fields: Vec<&String> = message.body.as_object().expect("an object").keys().collect();
        let all = [
            "boleto_id",
            "event_id",
            "event_type",
            "occurred_at",
            "reference_id",
            "schema",
            "status",
            "version",
        ];
        assert_eq!(fields, all);
        assert_eq!(message.text("status"), "registered");
        assert_eq!(message.text("reference_id"), "order-7");
        assert_eq!(message.text("event_type"), "boleto.registered");
        assert_eq!(message.body["version"], boleto.version);
        assert!(DateTime::parse_from_rfc3339(message.text("occurred_at")).is_ok());
        assert_eq!(message.text("event_id"), told[0].text("event_id"));
    }

    house.operator().sees_all_work_done().await;
    house.bank().keeps_one(&boleto);
    let kinds: Vec<EffectKind> = house.world().effects().iter().map(|effect| effect.kind).collect();
    let count = |kind| kinds.iter().filter(|known| **known == kind).count();
    assert_eq!((count(EffectKind::OwnerSqs), count(EffectKind::OwnerWebhook), kinds.len()), (1, 1, 3));
    house.close().await;
}
