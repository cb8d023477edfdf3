//! Santander as its callers see it, over a real socket behind TLS.
//!
//! **Owns** a world for each test. **Fails** when the bank answers otherwise than the sheet says. **Limits**: one covenant.

use serde_json::{Value, json};

use super::{ALREADY_ON_FILE, WORKSPACE};
use crate::sandbox::banks::testing::{Caller, Stage, Wrong, changed, day, without};
use crate::sandbox::client::Client;
use crate::sandbox::{Act, BankName, Behaviour, EffectKind, NotPaid, Party, Payment};

fn a_slip(number: &str, nsu: &str) -> Value {
    json!({
        "environment": "TESTE", "nsuCode": nsu, "nsuDate": "2026-11-22", "covenantCode": "1234567",
        "bankNumber": number, "clientNumber": "first", "dueDate": "2026-12-10", "issueDate": "2026-11-22",
        "nominalValue": "150.00",
        "payer": {
            "name": "Maria Exemplo", "documentType": "CPF", "documentNumber": "52998224725",
            "address": "Rua das Flores 308", "neighborhood": "Centro", "city": "Recife", "state": "PE",
            "zipCode": "50030-230",
        },
        "documentKind": "DUPLICATA_MERCANTIL", "finePercentage": "2.00", "messages": ["Texto"],
    })
}

fn change(field: &str, value: Value) -> Value {
    json!({"covenantCode": "1234567", "bankNumber": "5666124578002", field: value})
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
        let caller = Caller::behind_tls(&stage, &banks.santander_token_url, "").await;
        let caller = caller.with("X-Application-Key", "sandbox-app-key");
        let slips = format!("{}/workspaces/{WORKSPACE}/bank_slips", banks.santander_api_url);
        Bank { stage, caller, slips }
    }

    fn api(&self, path: &str) -> String {
        format!("{}{path}", self.stage.addresses().banks.santander_api_url)
    }

    async fn bill(&self, number: &str) -> Value {
        self.caller.gets(&self.api(&format!("/bills/1234567.{number}?tipoConsulta=settlement"))).await.json()
    }
}

#[tokio::test]
async fn nobody_gets_in_without_a_certificate_of_the_authority() {
    let stage = Stage::open().await;
    let url = stage.addresses().banks.santander_token_url.clone();
    let form = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
    let bare = Client::behind_tls(&stage.addresses().tls, false);
    assert!(bare.post(&url, form.clone(), "").await.is_err());
    let other = Stage::open().await;
    let mixed = crate::sandbox::TlsFiles {
        ca_file: stage.addresses().tls.ca_file.clone(),
        ..other.addresses().tls.clone()
    };
    assert!(Client::behind_tls(&mixed, true).post(&url, form.clone(), "").await.is_err());
    assert!(Client::behind_tls(&other.addresses().tls, true).post(&url, form.clone(), "").await.is_err());
    let right = Client::behind_tls(&stage.addresses().tls, true).post(&url, form, "").await.unwrap();
    assert_eq!((right.status, &right.json()["error"]), (401, &json!("invalid_client")));
    assert_eq!(stage.world.script().asked(Party::Bank(BankName::Santander, Act::Token)), 1);
    other.world.close().await;
    stage.world.close().await;
}

#[tokio::test]
async fn a_slip_lives_from_registration_to_payment() {
    let bank = Bank::open().await;
    let mut request = a_slip("5666124578002", "N1");
    request["key"] = json!({"type": "EVP", "dictKey": "3f0c1a52-7d64-4b8e-9a51-2c6de0b7f118"});
    let made = bank.caller.posts(&bank.slips, &request).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let made = made.json();
    // Nine, beneficiary, number with its digit, no insurance, wallet 101.
    assert_eq!(&made["barCode"].as_str().unwrap()[19..], "9123456756661245780020101");
    assert!(made["qrCodePix"].as_str().unwrap().starts_with("000201"));
    assert_eq!(bank.bill("5666124578002").await["status"], "ATIVO");

    let patched = bank.caller.patches(&bank.slips, &change("dueDate", json!("2026-12-20"))).await;
    assert_eq!(patched.status, 200, "{}", patched.body);
    assert_eq!(bank.bill("5666124578002").await["dueDate"], "2026-12-20");
    let two = json!({"covenantCode": 1_234_567, "bankNumber": "5666124578002", "dueDate": "2026-12-21", "operation": "BAIXAR"});
    assert_eq!(bank.caller.patches(&bank.slips, &two).await.status, 400);

    let by_pix = Payment::of(made["qrCodePix"].as_str().unwrap(), 15_000, day(1)).by_pix();
    bank.stage.world.pay(&by_pix).await.unwrap();
    let bill = bank.bill("5666124578002").await;
    assert_eq!(bill["status"], "BAIXADO");
    assert_eq!(bill["writeOffData"][0]["writeOffDescription"], "BAIXA DE PAGAMENTO VIA PIX");
    assert_eq!((&bill["paidValue"], &bill["settlementData"]), (&json!("150.00"), &json!([])));
    let late = bank.caller.patches(&bank.slips, &change("operation", json!("BAIXAR"))).await;
    assert_eq!((late.status, &late.json()["_errors"][0]["_code"]), (400, &json!("0406")));
    let (made, amended) = (EffectKind::BankRegistered, EffectKind::BankAmended);
    assert_eq!(bank.stage.kinds(), [made, amended, EffectKind::BankPaid]);
    bank.stage.world.close().await;
}

#[tokio::test]
async fn the_natural_key_makes_a_repeat_harmless_and_the_number_is_taken_once() {
    let bank = Bank::open().await;
    let first = bank.caller.posts(&bank.slips, &a_slip("78", "N1")).await;
    let again = bank.caller.posts(&bank.slips, &a_slip("78", "N1")).await;
    assert_eq!((first.status, again.status, first.json()), (201, 201, again.json()));
    let stolen = bank.caller.posts(&bank.slips, &a_slip("79", "N1")).await.json();
    assert_eq!((&stolen["_errors"][0]["_field"], &stolen["_errorCode"]), (&json!("nsuCode"), &json!(400)));
    let other = bank.caller.posts(&bank.slips, &a_slip("78", "N2")).await.json();
    assert_eq!(other["_errors"][0]["_code"], ALREADY_ON_FILE);
    assert_eq!(bank.stage.kinds(), [EffectKind::BankRegistered, EffectKind::BankDuplicateRefused]);
    let unknown = changed(a_slip("80", "N3"), "/nominalValue", &json!("50000.03"));
    for status in [500, 500, 201] {
        assert_eq!(bank.caller.posts(&bank.slips, &unknown).await.status, status);
    }
    bank.stage.world.close().await;
}

#[tokio::test]
async fn the_schema_is_closed_and_each_rule_names_its_field() {
    let bank = Bank::open().await;
    let wrong: [Wrong; 10] = [
        ("/nominalValue", json!("150.5"), "nominalValue"),
        ("/nominalValue", json!("50000000000.00"), "nominalValue"),
        ("/bankNumber", json!("5666124578003"), "bankNumber"),
        ("/nsuCode", json!("x".repeat(21)), "nsuCode"),
        ("/dueDate", json!("2026-11-21"), "dueDate"),
        ("/documentKind", json!("DM"), "documentKind"),
        ("/payer/name", json!("x".repeat(41)), "payer.name"),
        ("/payer/zipCode", json!("50030230"), "payer.zipCode"),
        ("/payer/documentNumber", json!("52998224724"), "payer.documentNumber"),
        ("/environment", json!("SANDBOX"), "environment"),
    ];
    for (pointer, value, field) in wrong {
        let refused = bank.caller.posts(&bank.slips, &changed(a_slip("1", "N1"), pointer, &value)).await;
        let faults = refused.json()["_errors"].clone();
        assert_eq!((refused.status, &faults[0]["_field"], &faults[1]), (400, &json!(field), &Value::Null));
    }
    let unknown = changed(a_slip("1", "N1"), "/payer/email", &json!("x"));
    assert!(bank.caller.posts(&bank.slips, &unknown).await.body.contains("unknown field `email`"));
    let missing = without(a_slip("1", "N1"), "/payer/city");
    assert!(bank.caller.posts(&bank.slips, &missing).await.body.contains("missing field `city`"));
    let number = changed(a_slip("1", "N1"), "/nominalValue", &json!(150));
    assert!(bank.caller.posts(&bank.slips, &number).await.body.contains("tipo ou sintaxe"));
    assert!(bank.stage.kinds().iter().all(|kind| *kind == EffectKind::BankRefused));
    assert_eq!(bank.stage.world.pay(&Payment::of("1", 1, day(1))).await, Err(NotPaid::Unknown));
    bank.stage.world.close().await;
}

#[tokio::test]
async fn a_workspace_lets_its_own_covenants_in() {
    let bank = Bank::open().await;
    let request = json!({"type": "BILLING", "covenants": [{"code": "7654321"}], "description": "Shop"});
    let made = bank.caller.posts(&bank.api("/workspaces"), &request).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let slips = bank.api(&format!("/workspaces/{}/bank_slips", made.json()["id"].as_str().unwrap()));
    assert_eq!(bank.caller.posts(&slips, &a_slip("1", "N1")).await.status, 404);
    let own = changed(a_slip("1", "N1"), "/covenantCode", &json!("7654321"));
    assert_eq!(bank.caller.posts(&slips, &own).await.status, 201);
    bank.stage.world.close().await;
}

#[tokio::test]
async fn tokens_expire_and_faults_are_scripted_apart_from_other_banks() {
    let bank = Bank::open().await;
    let register = Party::Bank(BankName::Santander, Act::Register);
    bank.stage.world.script().once(register, Behaviour::accept_then_drop());
    assert!(bank.caller.tries_to_post(&bank.slips, &a_slip("1", "N1")).await.is_err());
    assert_eq!(bank.stage.kinds(), [EffectKind::BankRegistered]);
    bank.stage.world.script().once(register, Behaviour::Garbage);
    assert!(bank.caller.tries_to_post(&bank.slips, &a_slip("1", "N1")).await.is_err());
    bank.stage.world.script().once(register, Behaviour::status(503));
    assert_eq!(bank.caller.posts(&bank.slips, &a_slip("1", "N1")).await.status, 503);
    bank.stage.world.script().expire_tokens();
    assert_eq!(bank.caller.posts(&bank.slips, &a_slip("1", "N1")).await.status, 401);
    assert_eq!(bank.stage.world.script().asked(Party::BankRegister), 0);
    bank.stage.world.close().await;
}
