//! The gateway as its callers see it, over a real socket.
//!
//! **Owns** a world for each test. **Fails** when the gateway answers otherwise than the sheet says. **Limits**: two banks.

use serde_json::{Value, json};

use super::{CAIXA_ALREADY_ON_FILE, SHOPFACIL_ALREADY_ON_FILE};
use crate::sandbox::banks::testing::{Caller, Stage, Wrong, changed, day, without};
use crate::sandbox::{Act, BankName, Behaviour, EffectKind, NotPaid, Party, Payment};

const REGISTER: Party = Party::Bank(BankName::BoletoApi, Act::Register);

fn person(kind: &str, number: &str) -> Value {
    json!({
        "name": "Loja Exemplo Ltda",
        "document": {"type": kind, "number": number},
        "address": {
            "street": "Rua das Flores", "number": "308", "complement": "", "zipCode": "50030230",
            "district": "Centro", "city": "Recife", "stateCode": "PE",
        },
    })
}

/// ShopFacil's body, with the numbers of the replaced service's own test vector.
fn shop_facil(number: u64) -> Value {
    json!({
        "bankNumber": 237,
        "authentication": {"username": "sandbox-shop", "password": "sandbox-shop-secret"},
        "agreement": {"agreementNumber": 3_069_995, "wallet": 26, "agency": "3381", "account": "9721"},
        "title": {
            "expireDate": "2026-12-24", "amountInCents": 2_000, "ourNumber": number,
            "instructions": "", "documentNumber": number.to_string(),
        },
        "recipient": person("CNPJ", "11222333000181"),
        "buyer": person("cpf", "52998224725"),
        "requestKey": "req-1",
    })
}

fn caixa(number: u64) -> Value {
    json!({
        "bankNumber": 104,
        "agreement": {"agreementNumber": 1_103_388, "agency": "3337"},
        "title": {
            "expireDate": "2026-12-24", "amountInCents": 2_000, "ourNumber": number,
            "instructions": "Texto", "documentNumber": number.to_string(),
            "rules": {"acceptDivergentAmount": true, "maxDaysToPayPastDue": 60},
            "fees": {
                "fine": {"daysAfterExpirationDate": 1, "amountInCents": 0, "percentageOnTotal": 2.0},
                "interest": null,
            },
        },
        "recipient": person("CNPJ", "18727053000174"),
        "payeeGuarantor": {"name": "Loja", "document": {"type": "", "number": ""}},
        "buyer": {"name": "Maria", "document": {"type": "CPF", "number": "52998224725"}},
        "requestKey": "req-1",
    })
}

fn url(stage: &Stage) -> String {
    format!("{}/v1/boleto/register", stage.addresses().banks.boleto_api_url)
}

#[tokio::test]
async fn both_banks_register_once_and_the_page_wants_both_halves() {
    let stage = Stage::open().await;
    let caller = Caller::basic();
    let made = caller.posts(&url(&stage), &shop_facil(1)).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let made = made.json();
    assert_eq!(made["barCodeNumber"], "23799167000000020003381260000000000100097210");
    assert_eq!(made["digitableLine"], "23793381286000000000401000972107916700000002000");
    let page = made["links"][1]["href"].as_str().unwrap();
    let client = &caller.client;
    assert!(client.get(page, vec![]).await.unwrap().body.contains("23793381286"));
    let (half, _) = page.rsplit_once("pk=").unwrap();
    assert_eq!(client.get(&format!("{half}pk=guess"), vec![]).await.unwrap().status, 404);

    let made = caller.posts(&url(&stage), &caixa(19)).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert!(made.json()["barCodeNumber"].as_str().unwrap().starts_with("1049"));
    for (body, code) in [(shop_facil(1), SHOPFACIL_ALREADY_ON_FILE), (caixa(19), CAIXA_ALREADY_ON_FILE)] {
        let again = caller.posts(&url(&stage), &body).await;
        assert_eq!((again.status, &again.json()["errors"][0]["code"]), (400, &json!(code)));
    }
    let (made, twice) = (EffectKind::BankRegistered, EffectKind::BankDuplicateRefused);
    assert_eq!(stage.kinds(), [made, made, twice, twice]);
    assert_eq!(stage.world.effects()[0].key, "boleto_api:3069995+1");
    stage.world.close().await;
}

#[tokio::test]
async fn the_schema_is_closed_and_each_rule_names_its_field() {
    let stage = Stage::open().await;
    let caller = Caller::basic();
    let wrong: [Wrong; 9] = [
        ("/extra", json!(1), "unknown field `extra`"),
        ("/title/fees", json!(null), "unknown field `fees`"),
        ("/bankNumber", json!(1), "bankNumber"),
        ("/title/amountInCents", json!("2000"), "invalid type"),
        ("/title/amountInCents", json!(0), "title.amountInCents"),
        ("/title/expireDate", json!("24.12.2026"), "title.expireDate"),
        ("/agreement/wallet", json!(9), "agreement.wallet"),
        ("/buyer/document/type", json!("CPF"), "buyer.document.type"),
        ("/authentication/password", json!("guess"), "authentication"),
    ];
    for (pointer, value, said) in wrong {
        let refused = caller.posts(&url(&stage), &changed(shop_facil(2), pointer, &value)).await;
        let text = refused.json()["errors"][0]["message"].as_str().unwrap().to_owned();
        assert!(refused.status == 400 && text.starts_with(said), "{pointer}: {text}");
        assert!(refused.json()["errors"][0]["code"].as_str().unwrap().starts_with("MP"));
    }
    let missing = caller.posts(&url(&stage), &without(shop_facil(2), "/requestKey")).await;
    assert!(missing.body.contains("missing field `requestKey`"));
    assert!(stage.kinds().iter().all(|kind| *kind == EffectKind::BankRefused));
    let stranger =
        caller.client.post(&url(&stage), vec![("content-type", "application/json".into())], "{}").await;
    assert_eq!(stranger.unwrap().status, 401);
    stage.world.close().await;
}

#[tokio::test]
async fn a_scripted_code_is_told_and_the_title_kept_where_the_bank_would_keep_it() {
    let stage = Stage::open().await;
    let caller = Caller::basic();
    for (number, code, kept) in [(1, "9300510", false), (2, "93005999", true), (3, "MPExpireDate", false)] {
        stage.world.script().once(REGISTER, Behaviour::refuse(code));
        let refused = caller.posts(&url(&stage), &shop_facil(number)).await;
        assert_eq!((refused.status, &refused.json()["errors"][0]["code"]), (400, &json!(code)));
        let paid = stage.world.pay(&Payment::of(number.to_string(), 2_000, day(20))).await;
        assert_eq!(paid.is_ok(), kept, "{code}");
    }
    assert_eq!(stage.world.pay(&Payment::of("2", 2_000, day(20))).await, Err(NotPaid::Closed));
    stage.world.close().await;
}

#[tokio::test]
async fn the_magic_amounts_work_here_too() {
    let stage = Stage::open().await;
    let caller = Caller::basic();
    let unknown = changed(caixa(3), "/title/amountInCents", &json!(5_000_003));
    for _ in 0..2 {
        assert_eq!(caller.posts(&url(&stage), &unknown).await.status, 500);
    }
    assert_eq!(caller.posts(&url(&stage), &unknown).await.json()["errors"][0]["code"], CAIXA_ALREADY_ON_FILE);
    let refused = changed(shop_facil(4), "/title/amountInCents", &json!(5_000_004));
    assert_eq!(caller.posts(&url(&stage), &refused).await.json()["errors"][0]["code"], "930052");
    assert_eq!(stage.kinds().last(), Some(&EffectKind::BankRefused));
    stage.world.close().await;
}
