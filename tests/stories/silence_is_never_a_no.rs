//! The bank is asked, and what comes back says neither yes nor no. The boleto is pending and never refused, keeps its
//! number, is looked up before it is sent again, and is registered once in the end without anybody asking.

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::sandbox::{Behaviour, EffectKind};

use crate::support::house::{House, Opened, a_boleto};

/// A code that this house was told to take for no decision.
const UNKNOWN_CODE: &str = "4000099";

async fn open() -> Opened {
    House::new()
        .with("banks.banco_do_brasil.timeout", "300ms")
        .with("banks.banco_do_brasil.unknown_codes", &format!(r#"["{UNKNOWN_CODE}"]"#))
        .open()
        .await
}

fn kept(then: Behaviour) -> Behaviour {
    Behaviour::AcceptThen(Box::new(then))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_bank_did_not_keep_it_it_is_asked_again() {
    let house = open().await;
    let silences = [
        Behaviour::Hang,
        Behaviour::Reset,
        Behaviour::Garbage,
        Behaviour::Html,
        Behaviour::Empty,
        Behaviour::status(500),
        Behaviour::status(503),
        Behaviour::status(408),
        Behaviour::Status { code: 400, body: Some("{}".to_owned()), retry_after_s: None },
        Behaviour::refuse(UNKNOWN_CODE),
    ];
    for silence in silences {
        let (asked, looked_up) = (house.bank().asked(), house.bank().looked_up());
        house.script().bank_register(silence.clone());
        let boleto = house.shop().creates(a_boleto()).await;
        assert_eq!(boleto.status(), BoletoStatus::PendingRegistration, "{silence:?}");
        assert!(!boleto.payable && boleto.bank_response.is_none(), "{silence:?}");

        let registered = house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
        assert_eq!(registered.nosso_numero, boleto.nosso_numero, "{silence:?}");
        assert_eq!(registered.barcode, boleto.barcode, "{silence:?}");
        assert_eq!(registered.version, 3, "issued, pending, registered: {silence:?}");
        house.bank().keeps_one(&boleto);
        assert_eq!(house.bank().asked() - asked, 2, "{silence:?}");
        assert!(house.bank().looked_up() > looked_up, "asked again without looking: {silence:?}");

        let told = house.owner().hears(&boleto.id, 1).await;
        assert_eq!(told[0].text("status"), "registered", "{silence:?}");
    }
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_bank_did_keep_it_it_is_found_and_not_asked_again() {
    let house = open().await;
    let silences = [
        Behaviour::accept_then_drop(),
        kept(Behaviour::Hang),
        kept(Behaviour::Garbage),
        kept(Behaviour::Html),
        kept(Behaviour::Empty),
        kept(Behaviour::status(502)),
    ];
    for silence in silences {
        let asked = house.bank().asked();
        house.script().bank_register(silence.clone());
        let boleto = house.shop().creates(a_boleto()).await;
        assert_eq!(boleto.status(), BoletoStatus::PendingRegistration, "{silence:?}");
        let registered = house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
        assert_eq!(registered.nosso_numero, boleto.nosso_numero, "{silence:?}");
        house.bank().keeps_one(&boleto);
        assert_eq!(house.bank().asked() - asked, 1, "{silence:?}");
        house.owner().hears(&boleto.id, 1).await;
    }
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sends_again_while_the_look_is_still_out() {
    let house = open().await;
    house.script().bank_register(Behaviour::Reset);
    house.script().bank_look_up(Behaviour::Hold);
    let boleto = house.shop().creates(a_boleto()).await;
    house.bank().holds(1).await;
    assert_eq!(house.bank().asked(), 1, "the look comes first");
    house.script().release();
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    house.bank().keeps_one(&boleto);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_fails_decides_nothing() {
    let house = open().await;
    house.script().bank_register(Behaviour::accept_then_drop());
    let silences = [
        Behaviour::Hang,
        Behaviour::Reset,
        Behaviour::Garbage,
        Behaviour::Html,
        Behaviour::Empty,
        Behaviour::status(500),
        // A gateway that does not know the path says nothing about the title.
        Behaviour::Status {
            code: 404,
            body: Some(r#"{"statusCode":404,"error":"Not Found"}"#.to_owned()),
            retry_after_s: None,
        },
    ];
    let looks = silences.len() as u64 + 1;
    silences.into_iter().for_each(|silence| house.script().bank_look_up(silence));
    let boleto = house.shop().creates(a_boleto()).await;
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    assert_eq!((house.bank().asked(), house.bank().looked_up()), (1, looks));
    house.bank().keeps_one(&boleto);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anybody_can_try_out_an_unknown_outcome_with_an_amount() {
    let house = open().await;
    let boleto = house.shop().creates(a_boleto().of_cents(5_000_003)).await;
    assert_eq!(boleto.status(), BoletoStatus::PendingRegistration);
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    assert_eq!(house.bank().effects(EffectKind::BankRegistered, &boleto), 1);
    assert_eq!(house.bank().asked(), 1);
    house.close().await;
}
