//! Both doors as their callers see them, over a real socket.
//!
//! **Owns** a world for each test. **Fails** when a door answers otherwise than the sheet says. **Limits**: one merchant.

use serde_json::{Value, json};

use super::{ALREADY_ON_FILE, INVALID, MAGIC_REFUSAL};
use crate::sandbox::banks::testing::{Caller, Stage, Wrong, changed, day, without};
use crate::sandbox::{Act, BankName, Behaviour, EffectKind, Party, Payment};

fn address() -> Value {
    json!({
        "cep": "50030230", "logradouro": "Rua das Flores", "numero": "308", "complemento": "",
        "bairro": "Centro", "cidade": "Recife", "uf": "PE",
    })
}

fn registry(number: u64) -> Value {
    json!({
        "merchant_id": "sandbox-client",
        "boleto": {
            "carteira": "26", "nosso_numero": number, "numero_documento": number,
            "data_emissao": "2026-11-22", "data_vencimento": "2026-12-24", "valor_titulo": 2_000,
            "pagador": {
                "nome": "Maria Exemplo", "documento": "52998224725", "tipo_documento": "1",
                "endereco": address(),
            },
            "informacoes_opcionais": {
                "perc_juros": "00100000", "valor_juros": null, "qtde_dias_juros": 1,
                "sacador_avalista": {
                    "nome": "Loja", "documento": "11222333000181", "tipo_documento": "2",
                    "endereco": address(),
                },
            },
        },
    })
}

fn shop(number: u64) -> Value {
    json!({
        "merchant_id": "sandbox-client", "meio_pagamento": "300",
        "boleto": {
            "carteira": "26", "nosso_numero": number.to_string(), "data_emissao": "2026-11-22",
            "data_vencimento": "2026-12-24", "valor_titulo": "2000", "beneficiario": "Loja",
        },
        "comprador": {"nome": "Maria Exemplo"},
    })
}

fn urls(stage: &Stage) -> (String, String) {
    let banks = &stage.addresses().banks;
    let registry = format!("{}/apiregistro/api", banks.bradesco_apiregistro_url);
    (registry, format!("{}/apiboleto/transacao", banks.bradesco_shopfacil_url))
}

fn code(answer: &Value) -> String {
    answer["status"]["codigo"].to_string()
}

#[tokio::test]
async fn each_door_registers_once_and_a_payer_who_holds_the_line_is_understood() {
    let stage = Stage::open().await;
    let caller = Caller::basic();
    let (registry_url, shop_url) = urls(&stage);
    let made = caller.posts(&registry_url, &registry(1)).await;
    assert_eq!((made.status, code(&made.json()).as_str()), (200, "0"), "{}", made.body);
    assert_eq!(code(&caller.posts(&registry_url, &registry(1)).await.json()), ALREADY_ON_FILE);
    let made = caller.posts(&shop_url, &shop(2)).await.json();
    assert_eq!(code(&made), "0");
    assert!(made["boleto"]["linha_digitavel"].as_str().unwrap().starts_with("2379338128600000000"));

    // Made by the replaced service, with an agency and an account that this door never learns.
    let line = "23793381286000000000401000972107916700000002000";
    let paid = stage.world.pay(&Payment::of(line, 2_000, day(24))).await.unwrap();
    assert_eq!(paid.key, "bradesco_apiregistro:sandbox-client+1");
    let (made, twice) = (EffectKind::BankRegistered, EffectKind::BankDuplicateRefused);
    assert_eq!(stage.kinds(), [made, twice, made, EffectKind::BankPaid]);
    stage.world.close().await;
}

#[tokio::test]
async fn the_registry_is_closed_and_the_shop_looks_at_what_is_known() {
    let stage = Stage::open().await;
    let caller = Caller::basic();
    let (registry_url, shop_url) = urls(&stage);
    let wrong: [Wrong; 7] = [
        ("/extra", json!(1), "unknown field `extra`"),
        ("/merchant_id", json!("other"), "merchant_id"),
        ("/boleto/nosso_numero", json!("123456789012"), "nosso_numero"),
        ("/boleto/data_vencimento", json!("2026-11-21"), "data_vencimento"),
        ("/boleto/valor_titulo", json!(0), "valor_titulo"),
        ("/boleto/pagador/tipo_documento", json!("2"), "pagador.documento"),
        ("/boleto/informacoes_opcionais/perc_juros", json!("1"), "perc_juros"),
    ];
    for (pointer, value, said) in wrong {
        let refused = caller.posts(&registry_url, &changed(registry(3), pointer, &value)).await.json();
        let text = refused["status"]["mensagem"].as_str().unwrap();
        assert!(code(&refused) == INVALID && text.starts_with(said), "{pointer}: {text}");
    }
    let missing = caller.posts(&registry_url, &without(registry(3), "/boleto/pagador")).await;
    assert!(missing.body.contains("missing field `pagador`"));
    let wrong: [Wrong; 2] =
        [("/meio_pagamento", json!("301"), "meio_pagamento"), ("/boleto/carteira", json!("9"), "carteira")];
    for (pointer, value, said) in wrong {
        let refused = caller.posts(&shop_url, &changed(shop(3), pointer, &value)).await.json();
        assert!(refused["status"]["mensagem"].as_str().unwrap().starts_with(said), "{refused}");
    }
    assert!(stage.kinds().iter().all(|kind| *kind == EffectKind::BankRefused));
    let stranger = vec![("content-type", "application/json".to_owned())];
    for url in [registry_url, shop_url] {
        let answer = caller.client.post(&url, stranger.clone(), "{}").await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (401, "{}"));
    }
    stage.world.close().await;
}

#[tokio::test]
async fn codes_are_scripted_for_each_door_and_in_progress_keeps_the_title() {
    let stage = Stage::open().await;
    let caller = Caller::basic();
    let (registry_url, shop_url) = urls(&stage);
    let registry_party = Party::Bank(BankName::BradescoApiregistro, Act::Register);
    for (number, scripted, kept) in [(1, "93005999", true), (2, "93005116", false), (3, "930057", false)] {
        stage.world.script().once(registry_party, Behaviour::refuse(scripted));
        assert_eq!(code(&caller.posts(&registry_url, &registry(number)).await.json()), scripted);
        let paid = stage.world.pay(&Payment::of(number.to_string(), 2_000, day(20))).await;
        assert_eq!(paid.is_ok(), kept, "{scripted}");
    }
    stage.world.script().once(Party::Bank(BankName::BradescoShopfacil, Act::Register), Behaviour::Garbage);
    assert!(caller.tries_to_post(&shop_url, &shop(9)).await.is_err());
    let magic = changed(shop(9), "/boleto/valor_titulo", &json!("5000004"));
    assert_eq!(code(&caller.posts(&shop_url, &magic).await.json()), MAGIC_REFUSAL);
    let unknown = changed(registry(8), "/boleto/valor_titulo", &json!(5_000_003));
    assert_eq!(caller.posts(&registry_url, &unknown).await.status, 500);
    stage.world.close().await;
}
