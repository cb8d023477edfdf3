//! A company has agreements with several banks. Every boleto carries the number and the codes that its own bank's rules
//! make; an agreement about whose rules the sources disagree is refused, and the company is told why.

use bursar::domain::boleto::barcode::Barcode;
use bursar::domain::boleto::issuer::Issuer as Rules;
use bursar::proto::boleto::v1::bank_account::Issuer;
use bursar::proto::boleto::v1::{
    BancoDoBrasilIssuer, BankAccount, BradescoIssuer, CaixaIssuer, CreateBankAccountRequest, ItauIssuer,
    SantanderIssuer,
};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::support::house::{House, Operator, a_boleto, an_account};

fn text(digits: &str) -> String {
    digits.to_owned()
}

/// One agreement per bank and layout, the same as the rules know it, and the number that its first boleto is to have.
fn agreements() -> Vec<(Issuer, &'static str, i64, &'static str)> {
    let (agency, account) = (text("1234"), text("123456"));
    let convenio = |convenio: &str| BancoDoBrasilIssuer {
        convenio: text(convenio),
        carteira: text("17"),
        variacao: text("35"),
        agency: text("1234"),
        account: text("123456"),
    };
    let bradesco = BradescoIssuer { agency, account, carteira: text("09") };
    let (agency, account, account_dac) = (text("0057"), text("12345"), text("7"));
    let itau = ItauIssuer { agency, account, account_dac, carteira: text("109") };
    let (beneficiary, carteira) = (text("1899775"), text("101"));
    let santander = SantanderIssuer { beneficiary, carteira, ..SantanderIssuer::default() };
    let caixa = |code: &str| CaixaIssuer { beneficiary: text(code), ..CaixaIssuer::default() };
    vec![
        (
            Issuer::BancoDoBrasil(convenio("1238")),
            r#"{"bank":"banco_do_brasil","convenio":"1238","carteira":"17","variacao":"35","agency":"1234","account":"123456"}"#,
            9_999_998,
            "12389999998",
        ),
        (
            Issuer::Bradesco(bradesco),
            r#"{"bank":"bradesco","agency":"1234","account":"123456","carteira":"09"}"#,
            525,
            "00000000525",
        ),
        (
            Issuer::Itau(itau),
            r#"{"bank":"itau","agency":"0057","account":"12345","account_dac":"7","carteira":"109"}"#,
            12_345_678,
            "12345678",
        ),
        (
            Issuer::Santander(santander),
            r#"{"bank":"santander","beneficiary":"1899775","carteira":"101"}"#,
            566_612_457_800,
            "566612457800",
        ),
        (
            Issuer::Caixa(caixa("245274")),
            r#"{"bank":"caixa","beneficiary":"245274"}"#,
            19,
            "14000000000000019",
        ),
        (
            Issuer::Caixa(caixa("1234567")),
            r#"{"bank":"caixa","beneficiary":"1234567"}"#,
            222_333_777_777_777,
            "14222333777777777",
        ),
    ]
}

/// An account that no bank stands behind, so that only the rules decide.
async fn opens(operator: &Operator, issuer: Issuer, first_sequence: i64) -> Result<BankAccount, Status> {
    let account = BankAccount {
        issuer: Some(issuer),
        provider: text("development"),
        external_id: String::new(),
        is_default: false,
        ..an_account()
    };
    let request = CreateBankAccountRequest {
        bank_account: Some(account),
        first_sequence: Some(first_sequence),
        ..CreateBankAccountRequest::default()
    };
    let answer = operator.accounts.clone().create_bank_account(request).await?.into_inner();
    Ok(answer.bank_account.expect("an account in the answer"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_boleto_carries_the_codes_of_its_own_bank() {
    let house = House::new().with("banks.development.enabled", "true").without_account().open().await;
    let (operator, shop) = (house.operator(), house.shop());
    for (issuer, rules, first, nosso_numero) in agreements() {
        let rules: Rules = serde_json::from_str(rules).expect("an agreement");
        let account = opens(&operator, issuer.clone(), first).await.expect("an account");
        assert_eq!(account.issuer.map(normal), Some(normal(issuer)), "given back as it was given");
        for (sequence, amount) in [(first, 12_590), (first + 1, 9_999_999_999)] {
            let wanted =
                a_boleto().of_cents(amount).with(|request| request.bank_account_id.clone_from(&account.id));
            let boleto = shop.creates(wanted).await;
            let barcode = Barcode::parse(&boleto.barcode).expect("a right barcode");
            assert_eq!((barcode.bank_code(), barcode.amount().0), (rules.bank_code(), amount));
            assert_eq!(rules.sequence_of(&barcode), Some(sequence), "{barcode}");
            assert_eq!(boleto.linha_digitavel, barcode.to_linha().as_str());
            let (number, check_digit) = rules.number(sequence).expect("a number");
            assert_eq!(
                (&boleto.nosso_numero, &boleto.nosso_numero_dv),
                (&number, &check_digit.unwrap_or_default())
            );
            assert!(sequence != first || number == nosso_numero, "{number}");
        }
    }
    house.close().await;
}

/// Santander's IOS is 0 where it was left out.
fn normal(issuer: Issuer) -> Issuer {
    match issuer {
        Issuer::Santander(issuer) if issuer.ios.is_empty() => {
            Issuer::Santander(SantanderIssuer { ios: text("0"), ..issuer })
        }
        other => other,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carteira_that_nobody_knows_for_sure_is_refused_with_the_reason() {
    let house = House::new().with("banks.development.enabled", "true").without_account().open().await;
    let operator = house.operator();
    for (carteira, reason) in [("112", "ambiguous"), ("168", "ambiguous"), ("196", "seu número")] {
        let issuer = Issuer::Itau(ItauIssuer {
            agency: text("0057"),
            account: text("12345"),
            account_dac: text("8"),
            carteira: text(carteira),
        });
        let status = opens(&operator, issuer, 1).await.expect_err("a refusal");
        let details = status.get_error_details();
        let found = &details.bad_request().expect("the fields").field_violations;
        let said = |field: &str| {
            let found = found.iter().find(|found| found.field == field);
            found.map(|found| found.description.clone()).unwrap_or_default()
        };
        let carteira = said("bank_account.issuer.carteira");
        assert!(carteira.contains(reason), "{carteira}");
        // The other mistake is said at the same time.
        assert!(said("bank_account.issuer.account_dac").contains("modulo 10"));
    }
    house.close().await;
}
