//! Itaú as its callers see it, over a real socket behind TLS.
//!
//! **Owns** a world for each test. **Fails** when the bank answers otherwise than the sheet says. **Limits**: one agency.

use serde_json::{Value, json};

use super::{ALREADY_ON_FILE, MAGIC_REFUSAL};
use crate::sandbox::banks::testing::{Caller, Stage, Wrong, changed, day, without};
use crate::sandbox::{Act, BankName, Behaviour, EffectKind, Party, Payment};

const CORRELATION: &str = "3f0c1a52-7d64-4b8e-9a51-2c6de0b7f118";

/// Agency 0057, account 12345-7, as the manual's own example.
fn a_slip(number: &str) -> Value {
    json!({
        "etapa_processo_boleto": "efetivacao", "codigo_canal_operacao": "API",
        "beneficiario": {"id_beneficiario": "005700123457"},
        "dado_boleto": {
            "descricao_instrumento_cobranca": "boleto_pix", "tipo_boleto": "a vista",
            "codigo_carteira": "110", "codigo_especie": "01", "data_emissao": "2026-11-22",
            "valor_total_titulo": "00000000000015000",
            "pagador": {
                "pessoa": {
                    "nome_pessoa": "Maria Exemplo",
                    "tipo_pessoa": {"codigo_tipo_pessoa": "F", "numero_cadastro_pessoa_fisica": "52998224725"},
                },
                "endereco": {
                    "nome_logradouro": "Rua das Flores 308", "nome_bairro": "Centro", "nome_cidade": "Recife",
                    "sigla_UF": "PE", "numero_CEP": "50030230",
                },
            },
            "dados_individuais_boleto": [{
                "numero_nosso_numero": number, "data_vencimento": "2026-12-10",
                "valor_titulo": "00000000000015000", "texto_seu_numero": "first",
            }],
            "multa": {"codigo_tipo_multa": "02", "percentual_multa": "000000200000"},
        },
    })
}

struct Bank {
    stage: Stage,
    caller: Caller,
    slips: String,
}

impl Bank {
    async fn open() -> Self {
        let stage = Stage::open().await;
        let banks = stage.addresses().banks.clone();
        let caller = Caller::behind_tls(&stage, &banks.itau_token_url, "").await;
        let caller = caller.with("x-itau-apikey", "sandbox-client").with("x-itau-correlationID", CORRELATION);
        Bank { stage, caller, slips: format!("{}/boletos", banks.itau_api_url) }
    }

    async fn patches(&self, part: &str, body: &Value) -> u16 {
        self.caller.patches(&format!("{}/00570012345711012345678/{part}", self.slips), body).await.status
    }

    async fn asks(&self, number: &str) -> Value {
        let query = "id_beneficiario=005700123457&codigo_carteira=110&nosso_numero=";
        let url = format!("{}/boletos?{query}{number}", self.stage.addresses().banks.itau_query_url);
        self.caller.gets(&url).await.json()["data"][0]["dado_boleto"].clone()
    }
}

#[tokio::test]
async fn a_slip_lives_from_registration_to_payment() {
    let bank = Bank::open().await;
    let made = bank.caller.posts(&bank.slips, &a_slip("12345678")).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let one = made.json()["data"]["dado_boleto"]["dados_individuais_boleto"][0].clone();
    // The manual's campo livre: wallet, number-8, agency, account-7, zeros.
    assert_eq!(&one["codigo_barras"].as_str().unwrap()[19..], "1101234567880057123457000");
    assert_eq!(
        bank.asks("12345678").await["dados_individuais_boleto"][0]["situacao_geral_boleto"],
        "Em Aberto"
    );

    assert_eq!(bank.patches("data_vencimento", &json!({"data_vencimento": "2026-12-20"})).await, 204);
    assert_eq!(bank.patches("abatimento", &json!({"valor_abatimento": "00000000000000100"})).await, 204);
    assert_eq!(bank.patches("seu_numero", &json!({"texto_seu_numero": "second"})).await, 204);
    for (part, body) in [
        ("abatimento", json!({"valor_abatimento": "00000000000015000"})),
        ("data_vencimento", json!({"data": "2026-12-20"})),
        ("juros", json!({})),
        ("cor", json!({"cor": "azul"})),
    ] {
        assert_eq!(bank.patches(part, &body).await, 422, "{part}");
    }
    let shown = bank.asks("12345678").await;
    assert_eq!(shown["valor_abatimento"], "00000000000000100");
    let one = shown["dados_individuais_boleto"][0].clone();
    assert_eq!((&one["data_vencimento"], &one["texto_seu_numero"]), (&json!("2026-12-20"), &json!("second")));

    bank.stage.world.pay(&Payment::of(one["codigo_barras"].as_str().unwrap(), 14_900, day(3))).await.unwrap();
    let shown = bank.asks("12345678").await;
    assert_eq!(shown["dados_individuais_boleto"][0]["situacao_geral_boleto"], "Paga");
    assert_eq!(shown["pagamentos_cobranca"][0]["valor_pago_total_cobranca"], "00000000000014900");
    assert_eq!(bank.patches("baixa", &json!({})).await, 422);
    let (made, amended) = (EffectKind::BankRegistered, EffectKind::BankAmended);
    assert_eq!(bank.stage.kinds(), [made, amended, amended, amended, EffectKind::BankPaid]);
    bank.stage.world.close().await;
}

#[tokio::test]
async fn a_slip_is_only_looked_at_until_it_is_meant() {
    let bank = Bank::open().await;
    let trial = changed(a_slip("12345678"), "/etapa_processo_boleto", &json!("validacao"));
    assert_eq!(bank.caller.posts(&bank.slips, &trial).await.status, 200);
    assert_eq!(bank.asks("12345678").await, Value::Null);
    assert_eq!(bank.stage.kinds(), []);
    assert_eq!(bank.caller.posts(&bank.slips, &a_slip("12345678")).await.status, 200);
    let again = bank.caller.posts(&bank.slips, &a_slip("12345678")).await;
    assert_eq!((again.status, &again.json()["codigo"]), (422, &json!(ALREADY_ON_FILE)));
    assert_eq!(bank.patches("baixa", &json!({})).await, 204);
    assert_eq!(bank.patches("baixa", &json!({})).await, 422);
    assert_eq!(
        bank.asks("12345678").await["dados_individuais_boleto"][0]["situacao_geral_boleto"],
        "Baixada"
    );
    bank.stage.world.close().await;
}

#[tokio::test]
async fn the_schema_is_closed_and_each_rule_names_its_field() {
    let bank = Bank::open().await;
    let one = "/dado_boleto/dados_individuais_boleto/0";
    let wrong: [Wrong; 8] = [
        ("/beneficiario/id_beneficiario", json!("005700123458"), "id_beneficiario"),
        ("/dado_boleto/valor_total_titulo", json!("150.00"), "valor_total_titulo"),
        ("/dado_boleto/codigo_carteira", json!("9"), "codigo_carteira"),
        ("/dado_boleto/tipo_boleto", json!("avista"), "tipo_boleto"),
        ("/dado_boleto/pagador/pessoa/nome_pessoa", json!("x".repeat(51)), "nome_pessoa"),
        ("/dado_boleto/pagador/endereco/numero_CEP", json!("50030-230"), "numero_CEP"),
        ("/dado_boleto/multa/percentual_multa", json!("2.00"), "multa.percentual_multa"),
        ("/dado_boleto/data_emissao", json!("22.11.2026"), "data_emissao"),
    ];
    for (pointer, value, field) in wrong {
        let refused = bank.caller.posts(&bank.slips, &changed(a_slip("12345678"), pointer, &value)).await;
        assert_eq!(
            (refused.status, &refused.json()["campos"][0]["campo"]),
            (422, &json!(field)),
            "{pointer}"
        );
    }
    for (name, value, field) in [
        ("numero_nosso_numero", "1234567", "numero_nosso_numero"),
        ("data_vencimento", "2026-11-21", "data_vencimento"),
        ("valor_titulo", "00000000000015001", "valor_titulo"),
    ] {
        let pointer = format!("{one}/{name}");
        let refused =
            bank.caller.posts(&bank.slips, &changed(a_slip("12345678"), &pointer, &json!(value))).await;
        assert_eq!(refused.json()["campos"][0]["campo"], field);
    }
    let unknown = changed(a_slip("12345678"), "/dado_boleto/cor", &json!("azul"));
    assert!(bank.caller.posts(&bank.slips, &unknown).await.body.contains("unknown field `cor`"));
    let missing = without(a_slip("12345678"), "/dado_boleto/pagador");
    assert!(bank.caller.posts(&bank.slips, &missing).await.body.contains("missing field `pagador`"));
    assert!(bank.stage.kinds().iter().all(|kind| *kind == EffectKind::BankRefused));
    bank.stage.world.close().await;
}

#[tokio::test]
async fn headers_codes_and_magic_amounts_are_looked_at() {
    let bank = Bank::open().await;
    let token = bank.stage.addresses().banks.itau_token_url.clone();
    let bare = Caller::behind_tls(&bank.stage, &token, "").await;
    assert_eq!(bare.posts(&bank.slips, &a_slip("12345678")).await.status, 403);
    let unmarked = Caller::behind_tls(&bank.stage, &token, "").await.with("x-itau-apikey", "sandbox-app-key");
    assert_eq!(unmarked.posts(&bank.slips, &a_slip("12345678")).await.status, 400);
    bank.stage.world.script().once(Party::Bank(BankName::Itau, Act::Register), Behaviour::refuse("7"));
    assert_eq!(bank.caller.posts(&bank.slips, &a_slip("12345678")).await.json()["codigo"], "7");
    let refused = changed(a_slip("12345678"), "/dado_boleto/valor_total_titulo", &json!("00000000005000004"));
    let refused =
        changed(refused, "/dado_boleto/dados_individuais_boleto/0/valor_titulo", &json!("00000000005000004"));
    assert_eq!(bank.caller.posts(&bank.slips, &refused).await.json()["codigo"], MAGIC_REFUSAL);
    bank.stage.world.close().await;
}
