//! An operator keeps accounts under several agreements of a bank, because one cannot do what another can: boletos that refuse
//! late payment, that accept it, and that have charges are issued under accounts of their own. The answer says which rule
//! led where, and a rule leads one step only.

use bursar::proto::boleto::v1::{
    AccountRules, BankAccount, BankAccountResolution, Charges, CreateBoletoRequest, Fine, LatePayment,
    UpdateBankAccountRequest, fine,
};

use crate::support::house::{House, Opened, Refusal as _, a_boleto, an_account};

type Change = fn(&mut CreateBoletoRequest);

const NOTHING: Change = |_| {};
const STRICT: Change = |request| request.late_payment = Some(LatePayment { accepted_days: 0 });
const LENIENT: Change = |request| request.late_payment = Some(LatePayment { accepted_days: 60 });
const FINED: Change = |request| {
    let value = Some(fine::Value::AmountCents(100));
    request.charges = Some(Charges { fine: Some(Fine { value, after_days: 1 }), ..Charges::default() });
};

fn another(external_id: &str) -> BankAccount {
    BankAccount { external_id: external_id.to_owned(), is_default: false, ..an_account() }
}

fn rules() -> AccountRules {
    AccountRules {
        when_late_payment_refused: "strict".to_owned(),
        when_late_payment_accepted: "lenient".to_owned(),
        when_fine_or_interest: "charging".to_owned(),
    }
}

/// A house with the accounts that the rules of its default lead to.
async fn furnished() -> (Opened, BankAccount) {
    let house = House::new().without_account().open().await;
    // Rules of an account that is arrived at are not looked at.
    for name in ["lenient", "charging", "strict"] {
        let rules = (name == "strict")
            .then(rules)
            .map(|rules| AccountRules { when_late_payment_refused: "charging".to_owned(), ..rules });
        let rules = rules.map(|rules| AccountRules { when_late_payment_accepted: String::new(), ..rules });
        house.operator().opens(BankAccount { rules, ..another(name) }).await.expect("an account");
    }
    let account = BankAccount { rules: Some(rules()), ..an_account() };
    let default = house.operator().opens(account).await.expect("the default");
    assert_eq!(default.rules, Some(rules()));
    (house, default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_rule_leads_to_its_account_and_says_so() {
    let (house, default) = furnished().await;
    let cases: [(Change, Change, &str, &str); 6] = [
        (NOTHING, NOTHING, "shop", ""),
        (STRICT, NOTHING, "strict", "when_late_payment_refused"),
        (LENIENT, NOTHING, "lenient", "when_late_payment_accepted"),
        (FINED, NOTHING, "charging", "when_fine_or_interest"),
        (FINED, STRICT, "strict", "when_late_payment_refused"),
        (FINED, LENIENT, "lenient", "when_late_payment_accepted"),
    ];
    for (change, further, account, rule) in cases {
        // Held back: this is about accounts, and not about what their bank takes.
        let wanted = a_boleto().with(change).with(further).with(|request| request.hold_registration = true);
        let answer = house.shop().tries(wanted).await.expect("a boleto");
        let found = match rule {
            "" => BankAccountResolution::Default,
            _ => BankAccountResolution::Rule,
        };
        assert_eq!(answer.bank_account_resolution(), found, "{account}");
        let issuer = answer.resolved_issuer.expect("an issuer");
        assert_eq!((issuer.bank_code.as_str(), issuer.carteira.as_str()), ("001", "17"));
        assert_eq!(issuer.provider, "banco_do_brasil");
        assert!(issuer.reason.contains("default") && issuer.reason.contains(rule), "{}", issuer.reason);
        let boleto = answer.boleto.expect("a boleto");
        assert_eq!(boleto.bank_account_id == default.id, rule.is_empty(), "{account}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_must_lead_somewhere_when_it_is_made() {
    let house = House::new().open().await;
    let lost = BankAccount { rules: Some(rules()), ..another("second") };
    let status = house.operator().opens(lost).await.expect_err("three rules that lead nowhere");
    let fields = ["when_fine_or_interest", "when_late_payment_accepted", "when_late_payment_refused"];
    assert_eq!(status.fields(), fields.map(|field| format!("bank_account.rules.{field}")));
    let circular = AccountRules { when_fine_or_interest: "second".to_owned(), ..AccountRules::default() };
    let circular = BankAccount { rules: Some(circular), ..another("second") };
    let status = house.operator().opens(circular).await.expect_err("a rule that leads to its own account");
    assert_eq!(status.fields(), ["bank_account.rules.when_fine_or_interest"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_whose_account_was_renamed_is_told_to_whoever_needs_it() {
    let (house, _) = furnished().await;
    let mut accounts = house.operator().accounts;
    let list = accounts.list_bank_accounts(bursar::proto::boleto::v1::ListBankAccountsRequest::default());
    let all = list.await.expect("accounts").into_inner().bank_accounts;
    let charging = all.into_iter().find(|account| account.external_id == "charging").expect("an account");
    let renamed = BankAccount { external_id: "elsewhere".to_owned(), ..charging };
    let request = UpdateBankAccountRequest { bank_account: Some(renamed), ..Default::default() };
    accounts.update_bank_account(request).await.expect("a new name");

    let status = house.shop().tries(a_boleto().with(FINED)).await.expect_err("a rule that leads nowhere");
    assert_eq!(status.fields(), ["bank_account_id"]);
    assert!(status.message().contains("when_fine_or_interest") && status.message().contains("charging"));
    house.shop().creates(a_boleto()).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounding_is_one_of_two_and_truncation_by_default() {
    let house = House::new().open().await;
    let made = house.operator().opens(another("second")).await.expect("an account");
    assert_eq!(made.rounding, "truncate");
    let half_even = BankAccount { rounding: "half_even".to_owned(), ..another("third") };
    assert_eq!(house.operator().opens(half_even).await.expect("an account").rounding, "half_even");
    let up = BankAccount { rounding: "up".to_owned(), ..another("fourth") };
    let status = house.operator().opens(up).await.expect_err("no rule of ours");
    assert_eq!(status.fields(), ["bank_account.rounding"]);
    house.close().await;
}
