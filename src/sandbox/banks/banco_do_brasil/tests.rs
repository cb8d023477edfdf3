//! The bank as its callers see it, over a real socket.
//!
//! **Owns** a world for each test.
//! **Fails** when the bank answers otherwise than its manual says.
//! **Limits**: one beneficiary, convênio 3128557.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::fault;
use crate::sandbox::client::{Answer, Client, TempDir};
use crate::sandbox::{Behaviour, EffectKind, NotPaid, Party, Payment, World, WorldOptions, ledger};

/// A registration that follows every rule; `sequence` makes its number.
pub fn a_request(sequence: u64) -> Value {
    json!({
        "numeroConvenio": 3_128_557,
        "numeroCarteira": 17,
        "numeroVariacaoCarteira": 35,
        "codigoModalidade": 1,
        "dataEmissao": "22.11.2026",
        "dataVencimento": "10.12.2026",
        "valorOriginal": 125.9,
        "codigoAceite": "N",
        "codigoTipoTitulo": 2,
        "numeroTituloCliente": format!("0003128557{sequence:010}"),
        "pagador": {
            "tipoInscricao": 1,
            "numeroInscricao": 52_998_224_725_u64,
            "nome": "Maria da Silva",
            "endereco": "Rua das Flores 10",
            "cep": 1_310_100,
            "cidade": "Sao Paulo",
            "bairro": "Centro",
            "uf": "SP",
        },
        "indicadorPix": "N",
    })
}

/// A caller with a token.
pub struct Caller {
    pub client: Client,
    base: String,
    bearer: String,
}

impl Caller {
    pub async fn of(world: &World) -> Self {
        let client = Client::new();
        let basic = format!("Basic {}", STANDARD.encode("sandbox-client:sandbox-secret"));
        let form = "grant_type=client_credentials&scope=cobrancas.boletos-requisicao+cobrancas.boletos-info";
        let headers = vec![
            (AUTHORIZATION.as_str(), basic),
            (CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded".into()),
        ];
        let answer = client.post(&world.addresses().token_url, headers, form).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let bearer = format!("Bearer {}", answer.json()["access_token"].as_str().unwrap());
        Caller { client, base: world.addresses().bank_url.clone(), bearer }
    }

    fn headers(&self) -> Vec<(&str, String)> {
        vec![
            (AUTHORIZATION.as_str(), self.bearer.clone()),
            (CONTENT_TYPE.as_str(), "application/json".into()),
        ]
    }

    pub async fn posts(&self, path: &str, body: &Value) -> reqwest::Result<Answer> {
        let url = format!("{}{path}?gw-dev-app-key=sandbox-app-key", self.base);
        self.client.post(&url, self.headers(), &body.to_string()).await
    }

    async fn patches(&self, sequence: u64, change: Value) -> Answer {
        let mut body = json!({"numeroConvenio": 3_128_557});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let path = format!("/boletos/0003128557{sequence:010}?gw-dev-app-key=sandbox-app-key");
        self.client.patch(&format!("{}{path}", self.base), self.headers(), &body.to_string()).await.unwrap()
    }

    async fn gets(&self, path: &str) -> Answer {
        let query = "gw-dev-app-key=sandbox-app-key";
        self.client.get(&format!("{}{path}{query}", self.base), self.headers()).await.unwrap()
    }

    pub async fn registers(&self, body: &Value) -> Answer {
        self.posts("/boletos", body).await.unwrap()
    }

    async fn looks_up(&self, sequence: u64) -> Answer {
        let path = format!("/boletos/0003128557{sequence:010}");
        let query = "gw-dev-app-key=sandbox-app-key&numeroConvenio=3128557";
        self.client.get(&format!("{}{path}?{query}", self.base), self.headers()).await.unwrap()
    }
}

async fn a_world(dir: &TempDir) -> World {
    World::open(WorldOptions::in_dir(dir.path())).await.unwrap()
}

fn kinds(world: &World) -> Vec<EffectKind> {
    world.effects().iter().map(|effect| effect.kind).collect()
}

#[tokio::test]
async fn a_title_is_registered_looked_up_and_written_off() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let caller = Caller::of(&world).await;
    assert_eq!(caller.looks_up(1).await.json()["errors"][0]["code"], fault::NOT_FOUND);

    let mut request = a_request(1);
    request["indicadorPix"] = json!("S");
    let registered = caller.registers(&request).await;
    assert_eq!(registered.status, 201, "{}", registered.body);
    let registered = registered.json();
    assert_eq!(registered["numero"], "00031285570000000001");
    // The factor of 2026-12-10 is 1656; the amount follows it.
    let barcode = registered["codigoBarraNumerico"].as_str().unwrap();
    assert_eq!(&barcode[5..], "165600000125900000003128557000000000117");
    assert_eq!(registered["linhaDigitavel"].as_str().unwrap().len(), 47);
    assert!(registered["qrCode"]["emv"].as_str().unwrap().starts_with("000201"));

    let found = caller.looks_up(1).await;
    assert_eq!(found.status, 200);
    let found = found.json();
    assert_eq!(found["codigoEstadoTituloCobranca"], 1);
    assert_eq!(found["valorOriginalTituloCobranca"], 125.9);
    assert_eq!(found["dataVencimentoTituloCobranca"], "10.12.2026");
    assert_eq!(found["textoCodigoBarrasTituloCobranca"], registered["codigoBarraNumerico"]);
    assert_eq!(found["codigoLinhaDigitavel"], registered["linhaDigitavel"]);

    let path = "/boletos/00031285570000000001/baixar";
    let body = json!({"numeroConvenio": 3_128_557});
    assert_eq!(caller.posts(path, &body).await.unwrap().status, 200);
    let again = caller.posts(path, &body).await.unwrap();
    assert_eq!(
        (again.status, &again.json()["erros"][0]["codigo"]),
        (400, &json!(fault::ALREADY_WRITTEN_OFF))
    );
    assert_eq!(caller.looks_up(1).await.json()["codigoEstadoTituloCobranca"], 7);
    assert_eq!(kinds(&world), [EffectKind::BankRegistered, EffectKind::BankWrittenOff]);
    world.close().await;
}

#[tokio::test]
async fn a_second_registration_is_refused_and_never_files_twice() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let caller = Caller::of(&world).await;
    assert_eq!(caller.registers(&a_request(1)).await.status, 201);
    let again = caller.registers(&a_request(1)).await;
    assert_eq!((again.status, &again.json()["erros"][0]["codigo"]), (400, &json!(fault::ALREADY_ON_FILE)));
    let effects = ledger::read(world.ledger_path()).unwrap();
    assert_eq!(effects, world.effects());
    assert_eq!(kinds(&world), [EffectKind::BankRegistered, EffectKind::BankDuplicateRefused]);
    assert!(effects.iter().all(|effect| effect.key == "3128557+00031285570000000001"));
    world.close().await;
}

#[tokio::test]
async fn the_schema_is_closed_and_errors_repeat_no_value() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let caller = Caller::of(&world).await;
    let changes: [(&str, Value, &str); 4] = [
        ("/extra", json!(1), "unknown field `extra`"),
        ("/pagador/telefone", json!("x"), "unknown field `telefone`"),
        ("/valorOriginal", json!("125.90"), "tipo"),
        ("/pagador/numeroInscricao", json!("12ABC34501DE35"), "tipo"),
    ];
    for (pointer, value, expected) in changes {
        let mut request = a_request(1);
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        request.pointer_mut(parent).unwrap()[name] = value;
        let refused = caller.registers(&request).await;
        let text = refused.json()["erros"][0]["mensagem"].as_str().unwrap().to_owned();
        assert!(refused.status == 400 && text.starts_with(expected) && !text.contains("12ABC"), "{text}");
    }
    let mut request = a_request(1);
    request.as_object_mut().unwrap().remove("pagador");
    assert!(caller.registers(&request).await.body.contains("missing field `pagador`"));
    assert_eq!(kinds(&world), []);

    let mut request = a_request(1);
    request["pagador"]["uf"] = json!("XX");
    request["codigoAceite"] = json!("?");
    let refused = caller.registers(&request).await.json();
    assert_eq!(refused["erros"].as_array().unwrap().len(), 2);
    assert_eq!(kinds(&world), [EffectKind::BankRefused]);
    world.close().await;
}

#[tokio::test]
async fn the_gateway_wants_its_key_and_a_token_that_lives() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let caller = Caller::of(&world).await;
    let boletos = format!("{}/boletos", world.addresses().bank_url);
    let body = a_request(1).to_string();
    let no_key = caller.client.post(&boletos, caller.headers(), &body).await.unwrap();
    assert_eq!((no_key.status, &no_key.json()["statusCode"]), (403, &json!(403)));
    let strange = format!("{boletos}?gw-dev-app-key=sandbox-app-key&x=1");
    assert_eq!(caller.client.post(&strange, caller.headers(), &body).await.unwrap().status, 400);

    world.script().expire_tokens();
    let expired = caller.registers(&a_request(1)).await;
    assert_eq!((expired.status, &expired.json()["error"]), (401, &json!("Unauthorized")));
    let fresh = Caller::of(&world).await;
    world.script().bank_register(Behaviour::ExpireTokens);
    assert_eq!(fresh.registers(&a_request(1)).await.status, 401);
    assert_eq!(kinds(&world), []);
    assert_eq!(world.counts()[&Party::BankToken], 2);
    world.close().await;
}

#[tokio::test]
async fn the_magic_amounts_are_kept_without_an_answer_or_refused() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let caller = Caller::of(&world).await;
    let mut unknown = a_request(3);
    unknown["valorOriginal"] = json!(50_000.03);
    for _ in 0..2 {
        let answer = caller.registers(&unknown).await;
        assert!(answer.status == 500 && answer.body.starts_with("<html>"));
    }
    assert_eq!(caller.looks_up(3).await.json()["valorOriginalTituloCobranca"], 50_000.03);
    let third = caller.registers(&unknown).await.json();
    assert_eq!(third["erros"][0]["codigo"], fault::ALREADY_ON_FILE);

    let mut refused = a_request(4);
    refused["valorOriginal"] = json!(50_000.04);
    let answer = caller.registers(&refused).await;
    assert_eq!((answer.status, &answer.json()["erros"][0]["codigo"]), (400, &json!(fault::MAGIC_REFUSAL)));
    assert_eq!(caller.looks_up(4).await.status, 404);
    let (first, duplicate) = (EffectKind::BankRegistered, EffectKind::BankDuplicateRefused);
    assert_eq!(kinds(&world), [first, duplicate, duplicate, EffectKind::BankRefused]);
    world.close().await;
}

#[tokio::test]
async fn a_scripted_refusal_keeps_its_code_and_files_nothing() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let caller = Caller::of(&world).await;
    world.script().bank_register(Behaviour::refuse("48"));
    assert_eq!(caller.registers(&a_request(1)).await.json()["erros"][0]["codigo"], "48");
    assert_eq!(world.effects()[0].detail["codes"], json!(["48"]));
    assert_eq!(caller.registers(&a_request(1)).await.status, 201);
    world.close().await;
}

#[tokio::test]
async fn an_accepted_registration_survives_the_lost_answer_and_a_lost_request_files_nothing() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let caller = Caller::of(&world).await;
    world.script().bank_register(Behaviour::Reset);
    assert!(caller.posts("/boletos", &a_request(1)).await.is_err());
    assert_eq!(caller.looks_up(1).await.status, 404);
    world.script().bank_register(Behaviour::accept_then_drop());
    assert!(caller.posts("/boletos", &a_request(1)).await.is_err());
    assert_eq!(caller.looks_up(1).await.status, 200);
    assert_eq!(kinds(&world), [EffectKind::BankRegistered]);
    world.close().await;
}

#[tokio::test]
async fn a_slow_bank_registers_after_its_caller_gave_up() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let caller = Caller::of(&world).await;
    world.script().bank_register(Behaviour::Latency { ms: 20 });
    let waiting = tokio::spawn(async move { caller.posts("/boletos", &a_request(1)).await });
    world.wait_for_asked(Party::BankRegister, 1, Duration::from_secs(5)).await.unwrap();
    waiting.abort();
    let registered = |effects: &[crate::sandbox::Effect]| effects.len() == 1;
    world.wait_for_effects(registered, Duration::from_secs(5)).await.unwrap();
    assert_eq!(kinds(&world), [EffectKind::BankRegistered]);
    world.close().await;
}

#[tokio::test]
async fn a_title_changes_by_one_indicator_at_a_time() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let caller = Caller::of(&world).await;
    let before = caller.registers(&a_request(1)).await.json()["codigoBarraNumerico"].clone();
    let later = json!({"novaDataVencimento": "20.12.2026"});
    let change = json!({"indicadorNovaDataVencimento": "S", "alteracaoData": later});
    assert_eq!(caller.patches(1, change.clone()).await.status, 200);
    let rebate = json!({"indicadorIncluirAbatimento": "S", "abatimento": {"valorAbatimento": 5.9}});
    assert_eq!(caller.patches(1, rebate).await.status, 200);
    let discount = json!({"tipoPrimeiroDesconto": 1});
    let discount = json!({"indicadorAtribuirDesconto": "S", "desconto": discount});
    assert_eq!(caller.patches(1, discount).await.status, 200);
    let bad = [
        json!({}),
        json!({"indicadorNovaDataVencimento": "S"}),
        json!({"indicadorNovaDataVencimento": "S", "alteracaoData": {"novaDataVencimento": "2026-12-20"}}),
        json!({"indicadorNovaDataVencimento": "S", "alteracaoData": later, "indicadorCobrarMulta": "S", "multa": {}}),
        json!({"indicadorIncluirAbatimento": "S", "abatimento": {"valorAbatimento": 125.9}}),
        json!({"indicadorIncluirAbatimento": "yes", "abatimento": {"valorAbatimento": 1}}),
        json!({"valorOriginal": 1}),
    ];
    for change in bad {
        let refused = caller.patches(1, change.clone()).await;
        assert!(
            refused.status == 400 && refused.body.starts_with("{\"erros\":"),
            "{change}: {}",
            refused.body
        );
    }
    let found = caller.looks_up(1).await.json();
    assert_eq!(found["dataVencimentoTituloCobranca"], "20.12.2026");
    assert_eq!(found["valorAtualTituloCobranca"], 120.0);
    assert_ne!(found["textoCodigoBarrasTituloCobranca"], before);
    assert_eq!(caller.patches(2, change).await.status, 404);
    let amended = EffectKind::BankAmended;
    assert_eq!(kinds(&world), [EffectKind::BankRegistered, amended, amended, amended]);
    world.close().await;
}

#[tokio::test]
async fn payers_pay_in_part_and_whole_and_the_list_tells() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let caller = Caller::of(&world).await;
    for sequence in 1..=4 {
        caller.registers(&a_request(sequence)).await;
    }
    let line = caller.looks_up(1).await.json()["codigoLinhaDigitavel"].as_str().unwrap().to_owned();
    let on = |day| chrono::NaiveDate::from_ymd_opt(2026, 12, day).unwrap();
    world.pay(&Payment::of(&line, 2_590, on(1)).in_part()).await.unwrap();
    let found = caller.looks_up(1).await.json();
    assert_eq!((&found["codigoEstadoTituloCobranca"], &found["valorPagoSacado"]), (&json!(18), &json!(25.9)));
    world.pay(&Payment::of(&line, 10_000, on(3))).await.unwrap();
    // Convênio and sequence without the zeros before them, as the house knows the number.
    world.pay(&Payment::of("31285570000000002", 12_590, on(4)).by_pix()).await.unwrap();
    let found = caller.looks_up(1).await.json();
    assert_eq!((&found["codigoEstadoTituloCobranca"], &found["valorPagoSacado"]), (&json!(6), &json!(125.9)));
    assert_eq!(found["dataRecebimentoTitulo"], "03.12.2026");
    assert_eq!(found["dataCreditoLiquidacao"], "04.12.2026");
    assert_eq!(caller.looks_up(2).await.json()["dataCreditoLiquidacao"], "04.12.2026");
    assert_eq!(world.pay(&Payment::of(&line, 1, on(5))).await, Err(NotPaid::Closed));
    let path = "/boletos/00031285570000000001/baixar";
    let late = caller.posts(path, &json!({"numeroConvenio": 3_128_557})).await.unwrap();
    assert_eq!(late.json()["erros"][0]["codigo"], fault::ALREADY_PAID);

    let numbers = async |filter: &str| {
        let list = caller.gets(&format!("/boletos?indicadorSituacao={filter}&")).await.json();
        let rows = list["boletos"].as_array().unwrap().clone();
        rows.iter().map(|row| row["numeroBoletoBB"].as_str().unwrap()[18..].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(numbers("A").await, ["03", "04"]);
    assert_eq!(numbers("B").await, ["01", "02"]);
    assert_eq!(numbers("B&dataInicioMovimento=04.12.2026&dataFimMovimento=04.12.2026").await, ["02"]);
    assert_eq!(numbers("A&indice=1").await, ["04"]);
    assert_eq!(caller.gets("/boletos?indicadorSituacao=C&").await.status, 400);
    assert_eq!(caller.gets("/boletos?indicadorSituacao=A&cor=azul&").await.status, 400);
    world.close().await;
}

#[tokio::test]
async fn a_pix_code_is_made_shown_and_ended() {
    let dir = TempDir::new();
    let world = a_world(&dir).await;
    let caller = Caller::of(&world).await;
    caller.registers(&a_request(1)).await;
    let (path, body) = ("/boletos/00031285570000000001", json!({"numeroConvenio": 3_128_557}));
    let pix = format!("{path}/pix?numeroConvenio=3128557&");
    assert_eq!(caller.gets(&pix).await.status, 404);
    let made = caller.posts(&format!("{path}/gerar-pix"), &body).await.unwrap().json();
    assert_eq!(caller.gets(&pix).await.json()["qrCode"]["emv"], made["qrCode"]["emv"]);
    assert_eq!(caller.posts(&format!("{path}/cancelar-pix"), &body).await.unwrap().status, 200);
    let emv = made["qrCode"]["emv"].as_str().unwrap();
    let on = chrono::NaiveDate::from_ymd_opt(2026, 12, 1).unwrap();
    assert_eq!(world.pay(&Payment::of(emv, 12_590, on).by_pix()).await, Err(NotPaid::Unknown));
    assert_eq!(caller.posts(&format!("{path}/gerar-pix"), &body).await.unwrap().status, 200);
    world.pay(&Payment::of(emv, 12_590, on).by_pix()).await.unwrap();
    assert_eq!(caller.posts(&format!("{path}/gerar-pix"), &body).await.unwrap().status, 400);
    world.close().await;
}
