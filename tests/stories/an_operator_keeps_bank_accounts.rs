//! An operator keeps the bank accounts under which boletos are issued: makes them, finds them, changes them, and says
//! which is the default. Credentials are kept as references, never as values.

use bursar::proto::boleto::v1::bank_account::Issuer;
use bursar::proto::boleto::v1::get_bank_account_request::Key;
use bursar::proto::boleto::v1::{
    BankAccount, BankAccountResolution, CreateBankAccountRequest, GetBankAccountRequest,
    ListBankAccountsRequest, UpdateBankAccountRequest,
};
use tonic::{Code, Status};

use crate::support::house::{House, Operator, Refusal as _, a_boleto, an_account};

async fn gets(operator: &Operator, key: Key) -> Result<BankAccount, Status> {
    let request = GetBankAccountRequest { key: Some(key) };
    Ok(operator
        .accounts
        .clone()
        .get_bank_account(request)
        .await?
        .into_inner()
        .bank_account
        .expect("an account"))
}

async fn updates(operator: &Operator, account: BankAccount) -> Result<BankAccount, Status> {
    let request = UpdateBankAccountRequest { bank_account: Some(account), ..Default::default() };
    let answer = operator.accounts.clone().update_bank_account(request).await?.into_inner();
    Ok(answer.bank_account.expect("an account"))
}

fn another(external_id: &str) -> BankAccount {
    BankAccount { external_id: external_id.to_owned(), is_default: false, ..an_account() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_boleto_is_issued_under_the_account_that_is_named_or_the_default() {
    let house = House::new().without_account().open().await;
    let (operator, shop) = (house.operator(), house.shop());
    let none = shop.tries(a_boleto()).await.expect_err("no default");
    assert_eq!(none.fields(), ["bank_account_id"]);

    let first = operator.opens(an_account()).await.expect("an account");
    let second = operator.opens(another("second")).await.expect("an account");
    let by_id = a_boleto().with(|request| request.bank_account_id.clone_from(&second.id));
    let by_name = a_boleto().with(|request| request.bank_account_external_id = "second".to_owned());
    let cases = [
        (a_boleto(), &first, BankAccountResolution::Default),
        (by_id, &second, BankAccountResolution::Id),
        (by_name, &second, BankAccountResolution::ExternalId),
    ];
    let mut numbers = Vec::new();
    for (wanted, account, resolution) in cases {
        let answer = shop.tries(wanted).await.expect("a boleto");
        assert_eq!(answer.bank_account_resolution(), resolution);
        let boleto = answer.boleto.expect("a boleto");
        assert_eq!(boleto.bank_account_id, account.id);
        numbers.push(boleto.nosso_numero);
    }
    // Two accounts under one agreement share its numbers.
    assert_eq!(numbers, ["31285570000000001", "31285570000000002", "31285570000000003"]);

    let default = BankAccount { is_default: true, ..second.clone() };
    updates(&operator, default).await.expect("a new default");
    assert!(!gets(&operator, Key::Id(first.id.clone())).await.expect("an account").is_default, "one default");
    assert_eq!(shop.creates(a_boleto()).await.bank_account_id, second.id);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_found_listed_and_changed() {
    let house = House::new().open().await;
    let operator = house.operator();
    let made = operator.opens(another("second")).await.expect("an account");
    assert_eq!(made.version, 1);
    assert_eq!(gets(&operator, Key::Id(made.id.clone())).await.expect("an account"), made);
    assert_eq!(gets(&operator, Key::ExternalId("second".to_owned())).await.expect("an account"), made);
    for key in
        [Key::ExternalId("third".to_owned()), Key::Id("00000000-0000-7000-8000-000000000000".to_owned())]
    {
        let status = gets(&operator, key).await.expect_err("no such account");
        assert_eq!((status.code(), status.reason().as_str()), (Code::NotFound, "BANK_ACCOUNT_NOT_FOUND"));
    }

    let request = ListBankAccountsRequest { page_size: 1, ..ListBankAccountsRequest::default() };
    let page = operator.accounts.clone().list_bank_accounts(request).await.expect("a page").into_inner();
    assert_eq!(page.bank_accounts.iter().collect::<Vec<_>>(), [&made], "newest first");
    let request = ListBankAccountsRequest { page_token: page.next_page_token, page_size: 1 };
    let page = operator.accounts.clone().list_bank_accounts(request).await.expect("a page").into_inner();
    assert_eq!((page.bank_accounts[0].external_id.as_str(), page.next_page_token.as_str()), ("shop", ""));

    let renamed = BankAccount { display_name: "Second shop".to_owned(), ..made.clone() };
    let changed = updates(&operator, renamed.clone()).await.expect("a change");
    assert_eq!((changed.version, changed.display_name.as_str()), (2, "Second shop"));
    assert_eq!(gets(&operator, Key::Id(made.id.clone())).await.expect("an account"), changed);
    let stale = updates(&operator, renamed).await.expect_err("somebody else was first");
    assert_eq!((stale.code(), stale.reason().as_str()), (Code::Aborted, "VERSION_CHANGED"));
    let whatever = updates(&operator, BankAccount { version: 0, ..changed }).await.expect("whatever version");
    assert_eq!(whatever.version, 3);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_account_may_not_be_is_said_at_once() {
    let house = House::new().open().await;
    let operator = house.operator();
    let taken = operator.opens(another("shop")).await.expect_err("a name that is taken");
    assert_eq!((taken.code(), taken.reason().as_str()), (Code::AlreadyExists, "EXTERNAL_ID_TAKEN"));

    let mut wrong = BankAccount {
        id: "7".to_owned(),
        version: 3,
        external_id: "x".repeat(256),
        display_name: String::new(),
        provider: "nobody".to_owned(),
        ..an_account()
    };
    wrong.beneficiary.as_mut().expect("a beneficiary").tax_id = "1".to_owned();
    if let Some(Issuer::BancoDoBrasil(issuer)) = &mut wrong.issuer {
        issuer.convenio = "31".to_owned();
        issuer.carteira = "x".to_owned();
    }
    let status = operator.opens(wrong).await.expect_err("an account with many mistakes");
    let fields = [
        "bank_account.beneficiary.tax_id",
        "bank_account.display_name",
        "bank_account.external_id",
        "bank_account.id",
        "bank_account.issuer.carteira",
        "bank_account.issuer.convenio",
        "bank_account.provider",
        "bank_account.version",
    ];
    assert_eq!(status.fields(), fields);

    let mut with_value = an_account();
    with_value.external_id = "third".to_owned();
    let value = "not-a-reference";
    for name in ["client_id", "client_secret", "app_key"] {
        with_value.credentials.insert(name.to_owned(), value.to_owned());
    }
    let status = operator.opens(with_value).await.expect_err("values where references belong");
    assert_eq!((status.code(), status.fields().len()), (Code::InvalidArgument, 3));
    assert!(status.fields().iter().all(|field| field.starts_with("bank_account.credentials")), "{status:?}");
    assert!(!format!("{status:?}").contains(value), "a secret that was sent by mistake is not said back");

    let known = gets(&operator, Key::ExternalId("shop".to_owned())).await.expect("an account");
    assert!(known.credentials.values().all(|text| text.starts_with("file:")));
    let elsewhere = [("client_id", "env:PATH"), ("client_secret", "file:/dev/ptmx")]
        .map(|(name, reference)| (name.to_owned(), reference.to_owned()));
    let mut nosy =
        BankAccount { external_id: "third".to_owned(), id: String::new(), version: 0, ..known.clone() };
    nosy.credentials.extend(elsewhere.clone());
    let fields = ["bank_account.credentials[client_id]", "bank_account.credentials[client_secret]"];
    assert_eq!(operator.opens(nosy).await.expect_err("secrets of others").fields(), fields);
    let mut nosy = known.clone();
    nosy.credentials.extend(elsewhere);
    assert_eq!(updates(&operator, nosy).await.expect_err("secrets of others").fields(), fields);

    let mut moved = known;
    if let Some(Issuer::BancoDoBrasil(issuer)) = &mut moved.issuer {
        issuer.convenio = "3128558".to_owned();
    }
    let status = updates(&operator, moved).await.expect_err("numbers depend on it");
    assert_eq!(status.fields(), ["bank_account.issuer"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_makes_one_account_and_numbers_begin_where_it_says() {
    let house = House::new().open().await;
    let operator = house.operator();
    let mut account = another("second");
    account.credentials =
        gets(&operator, Key::ExternalId("shop".to_owned())).await.expect("an account").credentials;
    let request = CreateBankAccountRequest {
        bank_account: Some(account),
        first_sequence: Some(500),
        request_id: "account-2".to_owned(),
    };
    let mut accounts = operator.accounts.clone();
    let made = accounts.create_bank_account(request.clone()).await.expect("an account").into_inner();
    let again = accounts.create_bank_account(request.clone()).await.expect("the same account").into_inner();
    assert_eq!(made, again);
    let other = CreateBankAccountRequest { first_sequence: Some(501), ..request };
    let status = accounts.create_bank_account(other).await.expect_err("another body");
    assert_eq!(status.reason(), "REQUEST_ID_REUSED");
    assert_eq!(house.shop().creates(a_boleto()).await.nosso_numero, "31285570000000500");

    let last = CreateBankAccountRequest {
        bank_account: Some(BankAccount {
            credentials: made.bank_account.expect("an account").credentials,
            ..another("third")
        }),
        first_sequence: Some(9_999_999_999),
        request_id: String::new(),
    };
    accounts.create_bank_account(last).await.expect("an account");
    assert_eq!(house.shop().creates(a_boleto()).await.nosso_numero, "31285579999999999");
    let status = house.shop().tries(a_boleto().asked_as("order-1")).await.expect_err("no number left");
    assert_eq!((status.code(), status.reason().as_str()), (Code::FailedPrecondition, "NUMBERS_EXHAUSTED"));
    house.close().await;
}
