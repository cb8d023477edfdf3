//! A payer pays at some bank, anywhere in the country, and nobody here is told. The house asks the bank on its timetable, writes
//! down what was paid once, and tells the owner; what it cannot place is listed for a person, until somebody has looked at it.

use bursar::proto::boleto::v1::{
    BankAccount, BoletoStatus, GetBankAccountRequest, ResyncBankAccountRequest, get_bank_account_request,
    resync_bank_account_request::Ahead,
};
use tonic::Code;

use crate::support::database::{Kind, TestDatabase};
use crate::support::house::reconciliation::{
    a_listed_account, differences, pays, reconciles, run, settles, stands, today,
};
use crate::support::house::{House, Opened, Refusal as _, a_boleto, an_account, eventually};

/// A house that asks banks, and the account that it asks about.
async fn asking(every: &str) -> (Opened, BankAccount) {
    let house = House::new()
        .without_account()
        .with("reconciliation.enabled", "true")
        .with("reconciliation.every", every)
        .open()
        .await;
    let account = house.operator().opens(a_listed_account()).await.expect("an account");
    (house, account)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_hears_once_of_what_was_paid() {
    let (house, account) = asking("1h").await;
    let (shop, operator) = (house.shop(), house.operator());
    let (paid, other) = (shop.creates(a_boleto()).await, shop.creates(a_boleto()).await);
    assert_eq!(run(&operator, &account).await.movements, 0);
    pays(&house, &paid, 12_590).await;
    let came_to = run(&operator, &account).await;
    assert_eq!((came_to.movements, came_to.payments, came_to.differences), (1, 1, 0));
    assert_eq!(came_to.asked_until, today().to_string());
    let told = house.owner().hears(&paid.id, 2).await;
    assert_eq!(told[1].text("event_type"), "boleto.paid");
    let seen = shop.gets(&paid.id).await;
    assert_eq!((seen.status(), seen.payable), (BoletoStatus::Paid, false));
    assert_eq!(shop.gets(&other.id).await.status(), BoletoStatus::Registered);

    let again = run(&operator, &account).await;
    assert_eq!((again.movements, again.payments), (1, 0), "told again, written down once");
    assert_eq!(shop.gets(&paid.id).await.version, seen.version);
    let known = stands(&operator).await;
    assert!(known.supported && known.next_run_time.is_some() && known.last_error.is_empty());
    assert_eq!(known.reconciled_by, "listing");
    assert!(known.runs >= 3, "{known:?}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timetable_asks_without_anybody() {
    let (house, account) = asking("1s").await;
    let shop = house.shop();
    let boleto = shop.creates(a_boleto()).await;
    eventually("a first run", async || (stands(&house.operator()).await.runs > 0).then_some(())).await;
    pays(&house, &boleto, 5_000).await;
    let paid = shop.sees(&boleto.id, BoletoStatus::Paid).await;
    assert_eq!(paid.version, 3);
    // Whatever the bank misses to answer is asked again.
    let surroundings = house.leave().await;
    let house = surroundings.open().await;
    let before = stands(&house.operator()).await.runs;
    eventually("runs of the next house", async || {
        (stands(&house.operator()).await.runs > before).then_some(())
    })
    .await;
    assert_eq!(stands(&house.operator()).await.bank_account_id, account.id);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restore_no_number_is_used_again_and_what_was_lost_is_listed() {
    let (house, _) = asking("1h").await;
    let lost = house.shop().creates(a_boleto()).await;
    let mut surroundings = house.leave().await;
    // The backup was made before that boleto.
    surroundings.database = TestDatabase::create(Kind::Sqlite).await;
    let house = surroundings.open().await;
    let operator = house.operator();
    let account = operator.opens(a_listed_account()).await.expect("an account");
    assert_eq!(account.next_sequence, Some(1));
    let resync = |ahead: Ahead, request_id: &str| ResyncBankAccountRequest {
        id: account.id.clone(),
        ahead: Some(ahead),
        reason: "restored from a backup".to_owned(),
        request_id: request_id.to_owned(),
    };
    let past = resync(Ahead::LastUsedNossoNumero(lost.nosso_numero.clone()), "past");
    let moved = operator.accounts.clone().resync_bank_account(past).await.expect("moved").into_inner();
    assert_eq!(moved.bank_account.expect("the account").next_sequence, Some(2));
    for _ in 0..2 {
        let skip = resync(Ahead::Skip(10), "skip");
        operator.accounts.clone().resync_bank_account(skip).await.expect("moved once");
    }
    let boleto = house.shop().creates(a_boleto()).await;
    assert_eq!(boleto.nosso_numero, "31285570000000012");
    assert_eq!(boleto.status(), BoletoStatus::Registered, "the bank had nothing under it");
    let key = Some(get_bank_account_request::Key::Id(account.id.clone()));
    let read = operator.accounts.clone().get_bank_account(GetBankAccountRequest { key }).await.expect("it");
    let read = read.into_inner().bank_account.expect("the account");
    assert_eq!((read.next_sequence, read.sequences_left), (Some(13), Some(9_999_999_987)));
    for (ahead, field) in [
        (Ahead::LastUsedNossoNumero("22222220000000001".to_owned()), "last_used_nosso_numero"),
        (Ahead::LastUsedSequence(0), "last_used_sequence"),
        (Ahead::Skip(-1), "skip"),
    ] {
        let refused = operator.accounts.clone().resync_bank_account(resync(ahead, "")).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        assert!(refused.message().contains(field), "{refused:?}");
    }

    // Whatever run was under way has ended, so that the next one begins after the payment.
    run(&operator, &account).await;
    pays(&house, &lost, 12_590).await;
    assert_eq!(run(&operator, &account).await.differences, 1);
    let listed = differences(&operator, false).await;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].kind.as_str(), &listed[0].subject), ("unknown_title", &lost.nosso_numero));
    assert!(listed[0].boleto_id.is_empty());
    let settled = settles(&operator, &listed[0].id, "lost with the disk").await.expect("settled");
    assert_eq!(settled.settle_reason, "lost with the disk");
    settles(&operator, &listed[0].id, "lost with the disk").await.expect("the same word again");
    let late = settles(&operator, &listed[0].id, "other words").await.unwrap_err();
    assert_eq!(late.reason(), "DIFFERENCE_SETTLED");
    let known = run(&operator, &account).await;
    assert_eq!((known.differences, known.open_differences), (0, 0), "somebody has looked at it");
    assert_eq!(differences(&operator, true).await.len(), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_cannot_be_asked_is_said() {
    let house = House::new()
        .without_account()
        .with("reconciliation.enabled", "true")
        .with("banks.development.enabled", "true")
        .open()
        .await;
    let operator = house.operator();
    let provider = "development".to_owned();
    let account = operator.opens_without_credentials(BankAccount { provider, ..an_account() }).await;
    let account = account.expect("an account");
    let known = stands(&operator).await;
    assert!(!known.supported && known.next_run_time.is_none());
    assert_eq!(known.reconciled_by, "none");
    let refused = reconciles(&operator, &account).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.reason().as_str()),
        (Code::FailedPrecondition, "NOT_SUPPORTED_BY_BANK")
    );
    let unknown = BankAccount { id: "00000000-0000-0000-0000-000000000000".to_owned(), ..account };
    let refused = reconciles(&operator, &unknown).await.unwrap_err();
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::NotFound, "BANK_ACCOUNT_NOT_FOUND"));
    house.close().await;

    let house = House::new().open().await;
    let account =
        BankAccount { id: stands(&house.operator()).await.bank_account_id, ..BankAccount::default() };
    let refused = reconciles(&house.operator(), &account).await.unwrap_err();
    assert_eq!(refused.reason(), "RECONCILIATION_DISABLED");
    house.close().await;
}
