//! Inter as its callers see it, over a real socket behind TLS.
//!
//! **Owns** a world for each test. **Fails** when the bank answers otherwise than the sheet says. **Limits**: one account.

use serde_json::{Value, json};

use crate::sandbox::banks::testing::{Caller, Stage, Wrong, changed, day, without};
use crate::sandbox::{Act, BankName, Behaviour, EffectKind, NotPaid, Party, Payment};

fn a_charge(own: &str) -> Value {
    json!({
        "seuNumero": own, "valorNominal": 150.0, "dataVencimento": "2030-12-10", "numDiasAgenda": 30,
        "pagador": {
            "cpfCnpj": "52998224725", "tipoPessoa": "FISICA", "nome": "Maria Exemplo",
            "endereco": "Rua das Flores", "numero": "308", "bairro": "Centro", "cidade": "Recife",
            "uf": "PE", "cep": "50030230",
        },
        "multa": {"codigo": "PERCENTUAL", "taxa": 2.0},
        "mensagem": {"linha1": "Texto"},
    })
}

struct Bank {
    stage: Stage,
    caller: Caller,
    charges: String,
}

impl Bank {
    async fn open() -> Self {
        let stage = Stage::open().await;
        let banks = stage.addresses().banks.clone();
        let scope = "&scope=boleto-cobranca.read+boleto-cobranca.write";
        let caller = Caller::behind_tls(&stage, &banks.inter_token_url, scope).await;
        Bank { stage, caller, charges: format!("{}/cobrancas", banks.inter_api_url) }
    }

    async fn makes(&self, charge: &Value) -> String {
        let made = self.caller.posts(&self.charges, charge).await;
        assert_eq!(made.status, 200, "{}", made.body);
        assert_eq!(made.json().as_object().unwrap().len(), 1);
        made.json()["codigoSolicitacao"].as_str().unwrap().to_owned()
    }

    async fn shows(&self, code: &str) -> Value {
        self.caller.gets(&format!("{}/{code}", self.charges)).await.json()
    }

    async fn cancels(&self, code: &str) -> u16 {
        let body = json!({"motivoCancelamento": "ACERTOS"});
        self.caller.posts(&format!("{}/{code}/cancelar", self.charges), &body).await.status
    }
}

#[tokio::test]
async fn a_charge_gets_its_number_after_it_was_asked_for_and_is_paid() {
    let bank = Bank::open().await;
    bank.stage.world.script().set_inter_polls(2);
    let code = bank.makes(&a_charge("first")).await;
    assert_eq!(bank.stage.world.pay(&Payment::of(&code, 15_000, day(1))).await, Err(NotPaid::Closed));
    assert_eq!(bank.cancels(&code).await, 400);
    for _ in 0..2 {
        let shown = bank.shows(&code).await;
        assert_eq!(
            (&shown["cobranca"]["situacao"], &shown["boleto"]),
            (&json!("EM_PROCESSAMENTO"), &Value::Null)
        );
    }
    let shown = bank.shows(&code).await;
    assert_eq!(shown["cobranca"]["situacao"], "A_RECEBER");
    let line = shown["boleto"]["linhaDigitavel"].as_str().unwrap();
    assert!(line.starts_with("0779") && line.len() == 47);
    let pdf = bank.caller.gets(&format!("{}/{code}/pdf", bank.charges)).await.json();
    assert!(pdf["pdf"].as_str().unwrap().starts_with("JVBER"));

    bank.stage.world.pay(&Payment::of(line, 15_100, day(2))).await.unwrap();
    let shown = bank.shows(&code).await["cobranca"].clone();
    assert_eq!((&shown["situacao"], &shown["valorTotalRecebido"]), (&json!("RECEBIDO"), &json!(151.0)));
    assert_eq!(bank.cancels(&code).await, 400);
    assert_eq!(bank.stage.kinds(), [EffectKind::BankRegistered, EffectKind::BankPaid]);
    assert_eq!(bank.stage.world.effects()[0].key, "inter:0001+first");
    bank.stage.world.close().await;
}

#[tokio::test]
async fn a_charge_is_cancelled_once_and_late_ones_are_late() {
    let bank = Bank::open().await;
    bank.stage.world.script().set_inter_polls(0);
    let code = bank.makes(&changed(a_charge("late"), "/dataVencimento", &json!("2020-01-02"))).await;
    assert_eq!(bank.shows(&code).await["cobranca"]["situacao"], "ATRASADO");
    assert_eq!((bank.cancels(&code).await, bank.cancels(&code).await), (202, 400));
    assert_eq!(bank.shows(&code).await["cobranca"]["situacao"], "CANCELADO");
    assert_eq!(bank.cancels("nothing").await, 404);
    assert_eq!(bank.stage.kinds(), [EffectKind::BankRegistered, EffectKind::BankWrittenOff]);
    bank.stage.world.close().await;
}

#[tokio::test]
async fn an_own_number_is_taken_once_and_the_list_finds_what_got_lost() {
    let bank = Bank::open().await;
    let register = Party::Bank(BankName::Inter, Act::Register);
    bank.stage.world.script().once(register, Behaviour::accept_then_drop());
    assert!(bank.caller.tries_to_post(&bank.charges, &a_charge("lost")).await.is_err());
    let again = bank.caller.posts(&bank.charges, &a_charge("lost")).await;
    assert_eq!(again.status, 400);
    bank.makes(&a_charge("other")).await;
    let list = format!("{}?dataInicial=2030-12-01&dataFinal=2030-12-31", bank.charges);
    let found = bank.caller.gets(&format!("{list}&seuNumero=lost")).await.json();
    assert_eq!(found["totalElementos"], 1);
    let code = found["cobrancas"][0]["cobranca"]["codigoSolicitacao"].as_str().unwrap();
    assert!(again.json()["violacoes"][0]["razao"].as_str().unwrap().ends_with(code));
    let paged = format!("{list}&paginacao.itensPorPagina=1&paginacao.paginaAtual=1");
    let second = bank.caller.gets(&paged).await.json();
    assert_eq!((&second["totalPaginas"], &second["ultimaPagina"]), (&json!(2), &json!(true)));
    assert_eq!(second["cobrancas"][0]["cobranca"]["seuNumero"], "other");
    assert_eq!(bank.caller.gets(&format!("{list}&order=asc")).await.status, 400);
    bank.stage.world.close().await;
}

#[tokio::test]
async fn the_schema_is_closed_and_each_rule_names_its_field() {
    let bank = Bank::open().await;
    let wrong: [Wrong; 7] = [
        ("/valorNominal", json!(2.49), "valorNominal"),
        ("/valorNominal", json!(150.005), "valorNominal"),
        ("/seuNumero", json!("x".repeat(16)), "seuNumero"),
        ("/dataVencimento", json!("10.12.2030"), "dataVencimento"),
        ("/numDiasAgenda", json!(61), "numDiasAgenda"),
        ("/pagador/tipoPessoa", json!("JURIDICA"), "pagador.cpfCnpj"),
        ("/pagador/uf", json!("XX"), "pagador.uf"),
    ];
    for (pointer, value, field) in wrong {
        let refused = bank.caller.posts(&bank.charges, &changed(a_charge("x"), pointer, &value)).await;
        assert_eq!((refused.status, &refused.json()["violacoes"][0]["propriedade"]), (400, &json!(field)));
    }
    let unknown = changed(a_charge("x"), "/nossoNumero", &json!("1"));
    assert!(bank.caller.posts(&bank.charges, &unknown).await.body.contains("unknown field `nossoNumero`"));
    let missing = without(a_charge("x"), "/pagador/cep");
    assert!(bank.caller.posts(&bank.charges, &missing).await.body.contains("missing field `cep`"));
    assert!(bank.stage.kinds().iter().all(|kind| *kind == EffectKind::BankRefused));
    bank.stage.world.close().await;
}

#[tokio::test]
async fn the_magic_amounts_fail_later_or_stay_unsaid() {
    let bank = Bank::open().await;
    let code = bank.makes(&changed(a_charge("bad"), "/valorNominal", &json!(50_000.04))).await;
    assert_eq!(bank.shows(&code).await["cobranca"]["situacao"], "EM_PROCESSAMENTO");
    assert_eq!(bank.shows(&code).await["cobranca"]["situacao"], "FALHA_EMISSAO");
    let unknown = changed(a_charge("unknown"), "/valorNominal", &json!(50_000.03));
    for status in [500, 500, 400] {
        assert_eq!(bank.caller.posts(&bank.charges, &unknown).await.status, status);
    }
    let twice = EffectKind::BankDuplicateRefused;
    assert_eq!(bank.stage.kinds(), [EffectKind::BankRefused, EffectKind::BankRegistered, twice, twice]);
    bank.stage.world.close().await;
}

#[tokio::test]
async fn a_token_is_for_its_scope() {
    let bank = Bank::open().await;
    let url = bank.stage.addresses().banks.inter_token_url.clone();
    let reader = Caller::behind_tls(&bank.stage, &url, "&scope=boleto-cobranca.read").await;
    assert_eq!(reader.posts(&bank.charges, &a_charge("x")).await.status, 403);
    bank.stage.world.script().once(Party::Bank(BankName::Inter, Act::Register), Behaviour::refuse("LIMITE"));
    let refused = bank.caller.posts(&bank.charges, &a_charge("x")).await;
    assert_eq!((refused.status, &refused.json()["title"]), (400, &json!("LIMITE")));
    bank.stage.world.close().await;
}
