//! A shop has accounts with six banks, by seven protocols. A boleto under each is registered once, whatever happens to the
//! first answer; a bank's no is a no; a payer pays; nobody is asked twice for what is already there.

use bursar::proto::boleto::v1::{BankAccount, Boleto, BoletoStatus};
use bursar::sandbox::{Act, BankName, Behaviour, EffectKind, Party, Payment, World};
use chrono::Utc;

use crate::support::house::{House, Opened, a_boleto, eventually};

/// The sandbox's name of an account's bank.
fn bank(account: &BankAccount) -> BankName {
    let named = BankName::ALL.into_iter().find(|bank| bank.as_str() == account.provider);
    named.unwrap_or_else(|| panic!("no bank {}", account.provider))
}

fn effects(world: &World, account: &BankAccount, kind: EffectKind) -> usize {
    let prefix = format!("{}:", account.provider);
    world.effects().iter().filter(|effect| effect.kind == kind && effect.key.starts_with(&prefix)).count()
}

async fn creates(house: &Opened, account: &BankAccount, cents: i64) -> Boleto {
    let named = |request: &mut bursar::proto::boleto::v1::CreateBoletoRequest| {
        request.bank_account_external_id.clone_from(&account.external_id);
    };
    house.shop().creates(a_boleto().of_cents(cents).with(named)).await
}

/// The text by which a payer names the boleto: the line is on every one that can be paid.
fn payment(boleto: &Boleto) -> Payment {
    let today = Utc::now().date_naive();
    Payment::of(boleto.linha_digitavel.replace(['.', ' '], ""), boleto.amount_cents as u64, today)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_boleto_under_each_account_is_registered_and_paid() {
    let house = House::new().open().await;
    for account in house.opens_accounts_elsewhere().await {
        let name = &account.external_id;
        let before = effects(house.world(), &account, EffectKind::BankRegistered);
        let boleto = creates(&house, &account, 12_590).await;
        let boleto = house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
        assert!(boleto.payable && boleto.barcode.len() == 44, "{name}: {boleto:?}");
        assert_eq!(effects(house.world(), &account, EffectKind::BankRegistered), before + 1, "{name}");
        let paid = house.world().pay(&payment(&boleto)).await;
        assert!(paid.is_ok(), "{name}: {paid:?}");
    }
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_makes_no_second_title_anywhere() {
    let house = House::new().open().await;
    let mut ends = Vec::new();
    for account in house.opens_accounts_elsewhere().await {
        let name = account.external_id.trim_start_matches("sandbox-").to_owned();
        let before = effects(house.world(), &account, EffectKind::BankRegistered);
        house.script().once(Party::Bank(bank(&account), Act::Register), Behaviour::accept_then_drop());
        let boleto = creates(&house, &account, 12_590).await;
        assert_eq!(boleto.status(), BoletoStatus::PendingRegistration, "{name}");
        let ended = eventually(&name, async || {
            let now = house.shop().gets(&boleto.id).await;
            (now.status() != BoletoStatus::PendingRegistration).then_some(now)
        });
        let ended = ended.await;
        let made = effects(house.world(), &account, EffectKind::BankRegistered) - before;
        ends.push((name, ended.status(), ended.payable, made));
    }
    let registered = |name: &str| (name.to_owned(), BoletoStatus::Registered, true, 1);
    // What only the lost answer had (Caixa's codes, the name that Inter gave) cannot be asked for again: a person looks.
    let reviewed = |name: &str| (name.to_owned(), BoletoStatus::NeedsReview, false, 1);
    let expected = [
        registered("boleto-api-bradesco"),
        reviewed("boleto-api-caixa"),
        registered("bradesco-apiregistro"),
        registered("bradesco-shopfacil"),
        reviewed("inter"),
        registered("itau"),
        registered("santander"),
    ];
    assert_eq!(ends, expected);
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_banks_no_is_a_no() {
    let house = House::new().open().await;
    for account in house.opens_accounts_elsewhere().await {
        let name = &account.external_id;
        let boleto = creates(&house, &account, 5_000_004).await;
        let boleto = house.shop().sees(&boleto.id, BoletoStatus::Refused).await;
        assert!(!boleto.payable, "{name}");
        assert!(boleto.bank_response.is_some_and(|response| !response.code.is_empty()), "{name}");
        assert_eq!(effects(house.world(), &account, EffectKind::BankRegistered), 0, "{name}");
    }
    house.operator().sees_all_work_done().await;
    house.close().await;
}
