//! Every class of answer that the gateway can give, for either bank, against a server on loopback.

mod fixture;
mod wire;

use std::time::Duration;

use super::*;
use crate::connectors::banks::shop::{Kind, Shop, both, kind, on_file};
use crate::connectors::scripted::{Reply, Scripted, hanging_up, nobody, reply, reply_with};
use crate::domain::boleto::charges::{Discount, DiscountValue, Fine, FineValue, Interest, InterestValue};
use crate::domain::boleto::terms::LatePayment;
use crate::domain::money::Cents;
use crate::domain::tax_id::TaxId;
use fixture::{PAGE, answered, bradesco, caixa, codes, config, connector, yes};

fn errors(codes: &[&str]) -> String {
    let errors: Vec<_> =
        codes.iter().map(|code| serde_json::json!({"code": code, "message": "No."})).collect();
    serde_json::json!({ "errors": errors }).to_string()
}

/// What means the same whichever bank is behind the gateway.
fn of_either() -> Vec<(Reply, Kind)> {
    vec![
        (reply(401, "{}"), Kind::Misconfigured),
        (reply(401, errors(&["MP401"])), Kind::Misconfigured),
        (reply(403, ""), Kind::Misconfigured),
        (reply(400, "{}"), Kind::OutcomeUnknown),
        (reply(400, errors(&[])), Kind::OutcomeUnknown),
        (reply(400, r#"{"errors":null}"#), Kind::OutcomeUnknown),
        (reply(400, "<html>Bad Request</html>"), Kind::OutcomeUnknown),
        (reply(400, r#"{"errors":[{"message":"no code"}]}"#), Kind::OutcomeUnknown),
        (reply(400, r#"{"errors":[{"code":"MP400"},{"message":"no code"}]}"#), Kind::OutcomeUnknown),
        (reply(404, errors(&["MP404"])), Kind::OutcomeUnknown),
        (reply(408, errors(&["MP400"])), Kind::OutcomeUnknown),
        (reply(400, errors(&["MP400"])), Kind::Refused("MP400".into())),
        (reply(200, errors(&["MPOurNumber"])), Kind::Refused("MPOurNumber".into())),
        (reply_with(429, "retry-after", "9"), Kind::Unavailable(Some(Duration::from_secs(9)))),
        (reply(500, errors(&["MP500"])), Kind::OutcomeUnknown),
        (reply(502, "<html>"), Kind::OutcomeUnknown),
        (reply_with(503, "retry-after", "9"), Kind::OutcomeUnknown),
        (reply_with(302, "location", "http://127.0.0.1/"), Kind::OutcomeUnknown),
        (reply(200, ""), Kind::OutcomeUnknown),
        (reply(200, "{}"), Kind::OutcomeUnknown),
        (reply(200, errors(&[])), Kind::OutcomeUnknown),
        (reply(200, "[]"), Kind::OutcomeUnknown),
        (Reply::Hang, Kind::OutcomeUnknown),
    ]
}

#[tokio::test]
async fn what_the_gateway_says_means_the_same_for_either_bank() {
    for shop in [bradesco(), caixa()] {
        for (answer, expected) in of_either() {
            let shown = format!("{answer:?}");
            assert_eq!(kind(answered(&shop, answer).await.unwrap_err()), expected, "{shown}");
        }
        let dropped = connector(config(&hanging_up().await));
        assert_eq!(kind(dropped.register(&shop.request()).await.unwrap_err()), Kind::OutcomeUnknown);
        let away = connector(config(&nobody().await));
        assert_eq!(kind(away.register(&shop.request()).await.unwrap_err()), Kind::Unavailable(None));
    }
}

#[tokio::test]
async fn shopfacils_errors_are_read_by_its_table_all_of_them() {
    let shop = bradesco();
    for (status, codes, expected) in [
        (400, &["930054"][..], Kind::Refused("930054".into())),
        (200, &["-395"], Kind::Refused("-395".into())),
        (400, &["930054", "930055"], Kind::Refused("930054".into())),
        (400, &["9300574"], Kind::AlreadyOnFile("9300574".into())),
        (400, &["930054", "-393"], Kind::AlreadyOnFile("-393".into())),
        (400, &["93005999"], Kind::OutcomeUnknown),
        (400, &["93005116"], Kind::OutcomeUnknown),
        (400, &["-548"], Kind::OutcomeUnknown),
        (400, &["something"], Kind::OutcomeUnknown),
        (400, &["930054", "something"], Kind::OutcomeUnknown),
        (400, &["0", "930054"], Kind::OutcomeUnknown),
        (500, &["930054"], Kind::OutcomeUnknown),
    ] {
        let error = answered(&shop, reply(status, errors(codes))).await.unwrap_err();
        assert_eq!(kind(error), expected, "{status} {codes:?}");
    }
    let number = reply(400, r#"{"errors":[{"code":930054,"message":"No."}]}"#);
    assert_eq!(kind(answered(&shop, number).await.unwrap_err()), Kind::Refused("930054".into()));
    for code in ["0", "930051", "930053", "93005119"] {
        let registration = on_file(answered(&shop, reply(400, errors(&[code]))).await.unwrap());
        assert_eq!(registration.response.code, code);
    }
}

#[tokio::test]
async fn of_several_errors_none_is_lost() {
    let BankError::Refused { response } =
        answered(&bradesco(), reply(400, errors(&["930054", "MP400"]))).await.unwrap_err()
    else {
        panic!("both codes refuse");
    };
    assert_eq!(response.code, "930054");
    assert_eq!(response.message, "930054 No.; MP400 No.");
}

#[tokio::test]
async fn caixas_errors_are_a_no_unless_an_operator_knows_better() {
    let shop = caixa();
    for (status, codes, expected) in [
        (400, &["1"][..], Kind::Refused("1".into())),
        (422, &["930051"], Kind::Refused("930051".into())),
        (200, &["1", "2"], Kind::Refused("1".into())),
        (400, &["47"], Kind::AlreadyOnFile("47".into())),
        (400, &["1", "47"], Kind::AlreadyOnFile("47".into())),
        (400, &["1", "99"], Kind::OutcomeUnknown),
        (502, &["1"], Kind::OutcomeUnknown),
    ] {
        let error = answered(&shop, reply(status, errors(codes))).await.unwrap_err();
        assert_eq!(kind(error), expected, "{status} {codes:?}");
    }
}

#[tokio::test]
async fn a_yes_needs_all_its_parts_and_no_error() {
    for shop in [bradesco(), caixa()] {
        let is_caixa = shop.account.issuer.bank_code() == "104";
        for (part, needed) in [("digitableLine", true), ("barCodeNumber", true), ("links", is_caixa)] {
            for nothing in [None, Some("")] {
                let mut body = yes(&codes(&shop));
                match nothing {
                    None => drop(body.as_object_mut().unwrap().remove(part)),
                    Some(_) if part == "links" => body[part] = serde_json::json!([]),
                    Some(text) => body[part] = text.into(),
                }
                let answer = answered(&shop, reply(200, body.to_string())).await;
                match answer {
                    Ok(answer) => assert!(!needed && on_file(answer).url.is_none(), "{part}"),
                    Err(error) => assert!(needed && kind(error) == Kind::OutcomeUnknown, "{part}"),
                }
            }
        }
        let mut both_at_once = yes(&codes(&shop));
        both_at_once["errors"] = serde_json::json!([{"code": "MP400", "message": "No."}]);
        let error = answered(&shop, reply(200, both_at_once.to_string())).await.unwrap_err();
        assert_eq!(kind(error), Kind::OutcomeUnknown);
        let error = answered(&shop, reply(400, yes(&codes(&shop)).to_string())).await.unwrap_err();
        assert_eq!(kind(error), Kind::OutcomeUnknown);
    }
}

#[tokio::test]
async fn codes_are_shown_only_if_they_are_for_this_boleto() {
    for shop in [bradesco(), caixa()] {
        let (cents, due_date) = (shop.boleto.amount.0, shop.boleto.due_date);
        let other_bank = if shop.account.issuer.bank_code() == "104" { bradesco() } else { caixa() };
        let mut broken = yes(&codes(&shop));
        broken["barCodeNumber"] =
            broken["barCodeNumber"].as_str().unwrap().replacen("12590", "12591", 1).into();
        let mut contradictory = yes(&codes(&shop));
        contradictory["barCodeNumber"] = both(&shop.recomposed(2, cents, due_date)).0.into();
        let other = |sequence, cents, due_date| yes(&shop.recomposed(sequence, cents, due_date));
        for (body, part) in [
            (broken, "codes"),
            (contradictory, "codes"),
            (other(1, cents + 1, due_date), "amount"),
            (other(1, cents, due_date.succ_opt().unwrap()), "due_date"),
            (other(2, cents, due_date), "nosso_numero"),
            (yes(&codes(&other_bank)), "bank_code"),
        ] {
            let error = answered(&shop, reply(200, body.to_string())).await.unwrap_err();
            let Kind::Disagrees(parts) = kind(error) else { panic!("{part}") };
            assert_eq!(parts[0], part);
        }
        let answer = answered(&shop, reply(200, yes(&codes(&shop)).to_string())).await.unwrap();
        let registration = on_file(answer);
        assert_eq!((registration.response.code.as_str(), registration.url.as_deref()), ("0", Some(PAGE)));
        // What we made stays ours; what Caixa made is news.
        let given = registration.codes.map(|given| given.barcode);
        assert_eq!(given, codes(&shop).barcode.filter(|_| shop.boleto.codes.barcode.is_none()));
    }
}

#[test]
fn what_it_can_do_follows_from_the_bank_behind_it() {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let capabilities = connector(config(&nowhere)).capabilities(&bradesco().account);
    assert_eq!((capabilities.codes, capabilities.repeatable), (CodesFrom::Us, true));
    let caixas = |config| connector(config).capabilities(&caixa().account);
    let known = caixas(config(&nowhere));
    assert_eq!((known.codes, known.repeatable), (CodesFrom::BankUnderOurNumber, true));
    // By no code would we know that the first of two requests had arrived.
    let unknown = BoletoApiConfig { caixa_already_on_file_codes: Vec::new(), ..config(&nowhere) };
    assert!(!caixas(unknown).repeatable);
}

#[tokio::test]
async fn what_a_bank_cannot_take_never_leaves() {
    let server = Scripted::start(|_| reply(500, "")).await;
    let bank = connector(config(&server.address));
    for (mut shop, lacking) in [
        (
            bradesco(),
            &[
                "payer.tax_id",
                "charges.fine",
                "charges.interest",
                "charges.discounts",
                "charges.abatement",
                "late_payment",
            ][..],
        ),
        (caixa(), &["payer.tax_id", "charges.discounts", "charges.abatement"]),
    ] {
        shop.boleto.payer.tax_id = TaxId::parse("12.ABC.345/01DE-35").unwrap();
        let until = shop.boleto.due_date;
        let terms = &mut shop.boleto.terms;
        terms.charges.fine = Some(Fine { value: FineValue::Amount(Cents(1)), after_days: 1 });
        terms.charges.interest =
            Some(Interest { value: InterestValue::AmountPerDay(Cents(1)), after_days: 1 });
        terms.charges.discounts = vec![Discount { until, value: DiscountValue::Amount(Cents(1)) }];
        terms.charges.abatement = Some(Cents(1));
        terms.late_payment = Some(LatePayment::Refused);
        let found = bank.supports(&shop.proposal());
        assert_eq!(found.iter().map(|found| found.field.as_str()).collect::<Vec<_>>(), lacking);
        assert_eq!(kind(bank.register(&shop.request()).await.unwrap_err()), Kind::Unsupported);
        assert_eq!(kind(bank.look_up(&shop.question()).await.unwrap_err()), Kind::Unsupported);
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn an_agreement_number_that_is_none_is_an_operators_to_mend() {
    let mut shop = bradesco();
    shop.account.credentials.remove("agreement_number");
    let server = Scripted::start(|_| reply(500, "")).await;
    let mut config = config(&server.address);
    config.bradesco_agreement_number = "12a".into();
    assert_eq!(kind(connector(config).register(&shop.request()).await.unwrap_err()), Kind::Misconfigured);
    assert!(server.seen().is_empty());
}

#[test]
fn an_account_hears_of_all_that_it_lacks() {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let bank = connector(config(&nowhere));
    let fields = |bank: &BoletoApi, shop: &Shop| -> Vec<String> {
        bank.check(&shop.account).into_iter().map(|found| found.field).collect()
    };
    for shop in [bradesco(), caixa()] {
        assert_eq!(bank.check(&shop.account), []);
    }
    let unset = connector(BoletoApiConfig::default());
    let mut shop = bradesco();
    shop.account.issuer =
        Issuer::Bradesco { agency: "3381".into(), account: "9721".into(), carteira: "09".into() };
    shop.account.credentials.remove("agreement_number");
    shop.account.credentials.remove("bank_password");
    shop.account.beneficiary.tax_id = TaxId::parse("12.ABC.345/01DE-35").unwrap();
    assert_eq!(
        fields(&unset, &shop),
        [
            "provider",
            "beneficiary.tax_id",
            "issuer.carteira",
            "credentials[bank_password]",
            "credentials[agreement_number]"
        ]
    );
    let mut shop = caixa();
    shop.account.issuer = Issuer::Caixa { beneficiary: "1103388".into(), agency: None };
    shop.account.credentials.insert("agreement_number".into(), "env:BURSAR_TEST_X".into());
    assert_eq!(fields(&bank, &shop), ["issuer.agency", "credentials[agreement_number]"]);
    shop.account.issuer = Issuer::Inter { account: "1".into(), agency: None };
    assert_eq!(fields(&bank, &shop), ["issuer"]);
}
