//! Every class of answer that the bank can give, against a server on loopback.

mod change;
mod fixture;
mod listing;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::connectors::banks::shop::{Kind, Shop, both, kind, on_file};
use crate::connectors::banks::{Agreement, TitleState};
use crate::connectors::scripted::{Reply, Scripted, hanging_up, nobody, reply, reply_with};
use crate::domain::tax_id::TaxId;
use fixture::{connector, is_token, shop, token};

async fn bank(answer: impl Fn() -> Reply + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |seen| if is_token(seen) { token("t") } else { answer() }).await
}

const BUSINESS: &str =
    r#"{"erros":[{"codigo":"48","versao":"1","mensagem":"Valor invalido.","ocorrencia":"x"}]}"#;
const BUSINESS_OTHER_NAMES: &str =
    r#"{"erros":[{"codigoMensagem":4711,"versaoMensagem":1,"textoMensagem":"Convenio."}]}"#;
const ERRORS: &str = r#"{"errors":[{"code":"C1","message":"No."}]}"#;
const GATEWAY: &str = r#"{"statusCode":400,"error":"Bad Request","message":"Missing app key"}"#;
const ON_FILE: &str = r#"{"erros":[{"codigo":"4874915","mensagem":"Nosso Numero ja incluido."}]}"#;

#[tokio::test]
async fn every_answer_to_a_registration_has_its_class() {
    let shop = shop();
    let cases: Vec<(Reply, Kind)> = vec![
        (reply(400, BUSINESS), Kind::Refused("48".into())),
        (reply(422, BUSINESS_OTHER_NAMES), Kind::Refused("4711".into())),
        (reply(400, ERRORS), Kind::Refused("C1".into())),
        (reply(400, ON_FILE), Kind::AlreadyOnFile("4874915".into())),
        (reply(409, ""), Kind::AlreadyOnFile("409".into())),
        (reply(400, GATEWAY), Kind::Misconfigured),
        (reply(403, BUSINESS), Kind::Misconfigured),
        (reply(404, GATEWAY), Kind::Misconfigured),
        (reply_with(429, "retry-after", "9"), Kind::Unavailable(Some(Duration::from_secs(9)))),
        (reply(429, ""), Kind::Unavailable(None)),
        (reply(400, "<html>Bad Request</html>"), Kind::OutcomeUnknown),
        (reply(400, r#"{"erros":[]}"#), Kind::OutcomeUnknown),
        (reply(400, r#"{"erros":[{"mensagem":"no code"}]}"#), Kind::OutcomeUnknown),
        (reply(400, r#"{"erros":[{"codigo":"900","mensagem":"away"}]}"#), Kind::OutcomeUnknown),
        (reply(408, BUSINESS), Kind::OutcomeUnknown),
        (reply(500, BUSINESS), Kind::OutcomeUnknown),
        (reply_with(503, "retry-after", "9"), Kind::OutcomeUnknown),
        (reply_with(302, "location", "http://127.0.0.1/"), Kind::OutcomeUnknown),
        (reply(201, ""), Kind::OutcomeUnknown),
        (reply(201, "<html>ok</html>"), Kind::OutcomeUnknown),
        (reply(201, "{}"), Kind::OutcomeUnknown),
        (reply(200, "[]"), Kind::OutcomeUnknown),
        (Reply::Hang, Kind::OutcomeUnknown),
    ];
    for (answer, expected) in cases {
        let shown = format!("{answer:?}");
        let scripted = answer.clone();
        let server = bank(move || scripted.clone()).await;
        let error =
            fixture::connector_for(&answer, &server.address).register(&shop.request()).await.unwrap_err();
        assert_eq!(kind(error), expected, "{shown}");
        let sent = server.seen().iter().filter(|seen| !is_token(seen)).count();
        assert_eq!(sent, 1, "{shown} must be asked once");
    }
}

#[tokio::test]
async fn what_is_lost_on_the_way_is_unknown_only_if_it_may_have_left() {
    let shop = shop();
    let server = Scripted::start(|_| token("t")).await;
    let tokens_at = server.address;
    let dropped = fixture::connector_of(&tokens_at, &hanging_up().await);
    assert_eq!(kind(dropped.register(&shop.request()).await.unwrap_err()), Kind::OutcomeUnknown);
    assert_eq!(kind(dropped.look_up(&shop.question()).await.unwrap_err()), Kind::Unavailable(None));
    let away = fixture::connector_of(&tokens_at, &nobody().await);
    assert_eq!(kind(away.register(&shop.request()).await.unwrap_err()), Kind::Unavailable(None));
}

#[tokio::test]
async fn a_registration_counts_only_under_the_codes_that_we_gave_out() {
    let shop = shop();
    let codes = shop.boleto.codes.clone();
    let other_amount = shop.recomposed(2, shop.boleto.amount.0 + 1, shop.boleto.due_date);
    let other_day = shop.recomposed(1, shop.boleto.amount.0, shop.boleto.due_date.succ_opt().unwrap());
    let (ours, line) = both(&codes);
    let (other_amount, other_amount_line) = both(&other_amount);
    let (other_day, other_day_line) = both(&other_day);
    let broken_line = line.replacen('0', "1", 1);
    let bad: Vec<(String, String)> = vec![
        (String::new(), ours.clone()),
        (broken_line, ours.clone()),
        (line.clone(), other_amount.clone()),
        (other_amount_line, other_amount),
        (other_day_line, other_day),
    ];
    for (line, barcode) in bad {
        let body = serde_json::json!({"linhaDigitavel": line, "codigoBarraNumerico": barcode}).to_string();
        let server = bank(move || reply(201, body.clone())).await;
        let error = connector(&server.address).register(&shop.request()).await.unwrap_err();
        assert_eq!(kind(error), Kind::OutcomeUnknown);
    }
    let body = fixture::registered(&shop, "00020126580014br.gov.bcb.pix");
    let server = bank(move || reply(201, body.clone())).await;
    let answer = connector(&server.address).register(&shop.request()).await.unwrap();
    let registration = on_file(answer);
    assert_eq!(registration.response.code, "201");
    assert_eq!(registration.pix_emv.as_deref(), Some("00020126580014br.gov.bcb.pix"));
}

#[tokio::test]
async fn fifty_at_once_sign_in_once() {
    let shop = Arc::new(shop());
    let body = fixture::registered(&shop, "");
    let server = bank(move || reply(201, body.clone())).await;
    let bank = connector(&server.address);
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (bank, shop) = (bank.clone(), Arc::clone(&shop));
            tokio::spawn(async move { bank.register(&shop.request()).await.is_ok() })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap());
    }
    assert_eq!(server.seen().iter().filter(|seen| is_token(seen)).count(), 1);
    assert_eq!(server.seen().len(), 51);
}

#[tokio::test]
async fn a_token_that_lost_its_validity_is_replaced_once() {
    let shop = shop();
    let body = fixture::registered(&shop, "");
    let issued = AtomicU32::new(0);
    let server = Scripted::start(move |seen| match seen.header("authorization") {
        _ if is_token(seen) => token(&issued.fetch_add(1, Ordering::SeqCst).to_string()),
        "Bearer 1" => reply(201, body.clone()),
        _ => reply(401, r#"{"statusCode":401,"error":"Unauthorized","message":"Bad Credentials"}"#),
    })
    .await;
    connector(&server.address).register(&shop.request()).await.unwrap();
    let asked: Vec<_> = server.seen().iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(asked, ["/token", "/v2/boletos", "/token", "/v2/boletos"]);

    let never = bank(|| reply(401, "")).await;
    let error = connector(&never.address).register(&shop.request()).await.unwrap_err();
    assert_eq!(kind(error), Kind::Misconfigured);
    assert_eq!(never.seen().len(), 4);
}

#[tokio::test]
async fn a_sign_in_that_fails_has_sent_no_boleto() {
    let shop = shop();
    let cases = [
        (reply(500, ""), Kind::Unavailable(None)),
        (reply_with(429, "retry-after", "3"), Kind::Unavailable(Some(Duration::from_secs(3)))),
        (reply(200, "<html>"), Kind::Unavailable(None)),
        (reply(401, r#"{"error":"invalid_client"}"#), Kind::Misconfigured),
        (Reply::Hang, Kind::Unavailable(None)),
    ];
    for (answer, expected) in cases {
        let scripted = answer.clone();
        let server = Scripted::start(move |_| scripted.clone()).await;
        let error =
            fixture::connector_for(&answer, &server.address).register(&shop.request()).await.unwrap_err();
        assert_eq!(kind(error), expected);
        assert!(server.seen().iter().all(is_token));
    }
}

#[tokio::test]
async fn a_missing_secret_is_named_and_nothing_is_sent() {
    let mut shop = shop();
    shop.account.credentials.insert("app_key".into(), "env:BURSAR_TEST_NO_SUCH_VARIABLE".into());
    let server = bank(|| reply(500, "")).await;
    let error = connector(&server.address).register(&shop.request()).await.unwrap_err();
    assert!(error.to_string().contains("env:BURSAR_TEST_NO_SUCH_VARIABLE"), "{error}");
    assert_eq!(kind(error), Kind::Misconfigured);
    // A row may be older than the rule about what callers may name.
    shop.account.credentials.insert("app_key".into(), "env:PATH".into());
    let error = connector(&server.address).register(&shop.request()).await.unwrap_err();
    assert!(error.to_string().contains("secrets.env_prefixes"), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_look_up_tells_ours_from_another_and_from_none() {
    let shop = shop();
    let other = shop.recomposed(1, shop.boleto.amount.0 + 1, shop.boleto.due_date);
    let cases = [
        (fixture::title(&shop.boleto.codes, "125.9", "52998224725"), Agreement::Agrees),
        (fixture::title(&shop.boleto.codes, "125.90", "0"), Agreement::Agrees),
        (
            fixture::title(&shop.boleto.codes, "\"125.90\"", "11144477735"),
            Agreement::Differs(vec!["payer_tax_id"]),
        ),
        (fixture::title(&other, "125.91", "52998224725"), Agreement::Differs(vec!["amount"])),
    ];
    for (body, agreement) in cases {
        let server = bank(move || reply(200, body.clone())).await;
        let LookUp::OnFile(title) = connector(&server.address).look_up(&shop.question()).await.unwrap()
        else {
            panic!("the title is on file");
        };
        assert_eq!(title.agreement, agreement);
        assert_eq!(title.state, TitleState::Open);
        let asked = server.seen().pop().unwrap();
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/v2/boletos/00031285570000000001"));
        assert_eq!(asked.query, "numeroConvenio=3128557&gw-dev-app-key=app-key");
    }
    let none = bank(|| reply(404, BUSINESS)).await;
    assert_eq!(connector(&none.address).look_up(&shop.question()).await.unwrap(), LookUp::NotFound);
    let by_code = bank(|| reply(400, r#"{"erros":[{"codigo":"901","mensagem":"none"}]}"#)).await;
    assert_eq!(connector(&by_code.address).look_up(&shop.question()).await.unwrap(), LookUp::NotFound);
}

#[tokio::test]
async fn silence_is_no_answer_to_a_look_up() {
    let shop = shop();
    let cases = [
        (reply(404, GATEWAY), Kind::Misconfigured),
        (reply(404, "<html>not found</html>"), Kind::Unavailable(None)),
        (reply(500, BUSINESS), Kind::Unavailable(None)),
        (reply(200, ""), Kind::Unavailable(None)),
        (reply(200, r#"{"codigoEstadoTituloCobranca":1}"#), Kind::Unavailable(None)),
        (reply(403, ""), Kind::Misconfigured),
        (Reply::Hang, Kind::Unavailable(None)),
    ];
    for (answer, expected) in cases {
        let shown = format!("{answer:?}");
        let scripted = answer.clone();
        let server = bank(move || scripted.clone()).await;
        let error =
            fixture::connector_for(&answer, &server.address).look_up(&shop.question()).await.unwrap_err();
        assert_eq!(kind(error), expected, "{shown}");
    }
}

#[tokio::test]
async fn what_the_bank_cannot_take_never_leaves() {
    let mut shop = shop();
    shop.boleto.payer.tax_id = TaxId::parse("12.ABC.345/01DE-35").unwrap();
    let server = bank(|| reply(500, "")).await;
    let bank = connector(&server.address);
    let found = bank.supports(&shop.proposal());
    assert_eq!(found.iter().map(|found| found.field.as_str()).collect::<Vec<_>>(), ["payer.tax_id"]);
    assert_eq!(kind(bank.register(&shop.request()).await.unwrap_err()), Kind::Unsupported);
    assert!(server.seen().is_empty());
}

#[test]
fn an_account_hears_of_all_that_it_lacks() {
    let mut shop = shop();
    let bank = connector(&"127.0.0.1:1".parse().unwrap());
    assert_eq!(bank.check(&shop.account), []);
    shop.account.issuer =
        Issuer::Bradesco { agency: "1234".into(), account: "1234567".into(), carteira: "09".into() };
    shop.account.credentials.remove("client_id");
    shop.account.credentials.insert("app_key".into(), "written in the clear".into());
    shop.account.credentials.insert("user".into(), "env:USER".into());
    let fields: Vec<_> = bank.check(&shop.account).into_iter().map(|found| found.field).collect();
    assert_eq!(fields, ["issuer", "credentials[client_id]", "credentials[app_key]", "credentials[user]"]);
}
