//! Some banks list no payments: they only say how one title stands. The house asks them about one open boleto after the
//! other, so that owners hear of payments there too; what the bank does not say is not guessed but listed for a person.

use bursar::proto::boleto::v1::{BankAccount, Boleto, BoletoStatus};
use bursar::proto::control::v1::{PauseQueueRequest, ResumeQueueRequest};
use bursar::sandbox::{Act, BankName, Behaviour, Party, Payment};
use serde_json::{Value, json};

use crate::support::house::reconciliation::{differences, pays, reconciles, run, stands, today};
use crate::support::house::{House, Opened, Refusal as _, a_boleto, eventually};

/// A house that asks banks; its own account is with one that lists only what it can tell by agency and account.
async fn asking(settings: &[(&str, &str)]) -> (Opened, BankAccount) {
    let house = House::new()
        .with("reconciliation.enabled", "true")
        .with("reconciliation.every", "1h")
        .with("banks.itau.reconcile_by_look_up", "true")
        .with("banks.santander.reconcile_by_look_up", "true");
    let house = settings.iter().fold(house, |house, (key, value)| house.with(key, value)).open().await;
    let known = stands(&house.operator()).await;
    assert_eq!((known.supported, known.reconciled_by.as_str()), (true, "look_up"));
    let account = BankAccount { id: known.bank_account_id, ..BankAccount::default() };
    (house, account)
}

fn looked_up(house: &Opened, bank: BankName) -> u64 {
    house.script().asked(Party::Bank(bank, Act::LookUp))
}

/// What Banco do Brasil says of a title, with nothing in it but what is needed.
fn title(boleto: &Boleto, state: u8, more: Value) -> String {
    let mut said = json!({
        "codigoEstadoTituloCobranca": state,
        "codigoLinhaDigitavel": boleto.linha_digitavel,
        "textoCodigoBarrasTituloCobranca": boleto.barcode,
    });
    for (name, value) in more.as_object().expect("fields") {
        said[name] = value.clone();
    }
    said.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_hears_what_each_bank_says_of_an_open_boleto() {
    let (house, own) = asking(&[]).await;
    let (shop, operator) = (house.shop(), house.operator());
    let mut accounts = house.opens_accounts_elsewhere().await;
    accounts.push(BankAccount { provider: "bank".to_owned(), external_id: "shop".to_owned(), ..own });
    let mut asked = Vec::new();
    for account in accounts {
        let name = account.provider.as_str();
        let Ok(first) = reconciles(&operator, &account).await else { continue };
        assert!(!first.pending, "{name}: {first:?}");
        let bank = BankName::ALL.into_iter().find(|bank| bank.as_str() == name).expect("a bank");
        let of_account = |request: &mut bursar::proto::boleto::v1::CreateBoletoRequest| {
            request.bank_account_external_id.clone_from(&account.external_id);
        };
        let boleto = shop.creates(a_boleto().with(of_account)).await;
        let boleto = shop.sees(&boleto.id, BoletoStatus::Registered).await;
        let open = run(&operator, &account).await;
        assert_eq!((open.movements, open.differences), (0, 0), "{name}");
        let line = boleto.linha_digitavel.replace(['.', ' '], "");
        house.world().pay(&Payment::of(line, 12_590, today())).await.expect("the bank takes it");
        let came_to = run(&operator, &account).await;
        assert_eq!((came_to.movements, came_to.payments, came_to.differences), (1, 1, 0), "{name}");
        assert_eq!(came_to.asked_until, today().to_string(), "{name}: each open boleto was asked about");
        let told = house.owner().hears(&boleto.id, 2).await;
        assert_eq!(told[1].text("event_type"), "boleto.paid", "{name}");
        let paid = shop.gets(&boleto.id).await;
        assert_eq!((paid.status(), paid.paid_amount_cents), (BoletoStatus::Paid, 12_590), "{name}");
        let before = looked_up(&house, bank);
        assert_eq!(run(&operator, &account).await.movements, 0, "{name}");
        assert_eq!(looked_up(&house, bank), before, "{name}: nobody asks about what is paid");
        asked.push(name.to_owned());
    }
    assert_eq!(asked, ["inter", "itau", "santander", "bank"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bank_does_not_say_is_not_guessed() {
    let (house, account) = asking(&[]).await;
    let (shop, operator) = (house.shop(), house.operator());
    run(&operator, &account).await;
    let mut boletos = Vec::new();
    for _ in 0..5 {
        boletos.push(shop.creates(a_boleto()).await);
    }
    let sum =
        json!({"valorPagoSacado": 60.0, "dataRecebimentoTitulo": today().format("%d.%m.%Y").to_string()});
    // They are asked about in the order in which they were made.
    for behaviour in [
        Behaviour::saying(200, title(&boletos[0], 7, json!({}))),
        Behaviour::saying(200, title(&boletos[1], 6, json!({}))),
        Behaviour::saying(200, title(&boletos[2], 6, json!({"valorOriginalTituloCobranca": 1.0}))),
        Behaviour::saying(200, title(&boletos[3], 18, sum)),
        Behaviour::saying(
            404,
            json!({"erros": [{"codigo": "1", "mensagem": "Boleto inexistente"}]}).to_string(),
        ),
    ] {
        house.script().bank_look_up(behaviour);
    }
    let came_to = run(&operator, &account).await;
    assert_eq!((came_to.movements, came_to.payments), (5, 1), "{came_to:?}");
    assert_eq!((came_to.cancellations, came_to.differences), (1, 3), "{came_to:?}");
    let status = async |boleto: &Boleto| shop.gets(&boleto.id).await.status();
    assert_eq!(status(&boletos[0]).await, BoletoStatus::Cancelled);
    let told = house.owner().hears(&boletos[0].id, 2).await;
    assert_eq!(told[1].text("event_type"), "boleto.cancelled");
    for boleto in &boletos[1..] {
        assert_eq!(status(boleto).await, BoletoStatus::Registered);
    }
    assert_eq!(shop.gets(&boletos[3].id).await.paid_amount_cents, 6_000);
    let mut listed: Vec<(String, String)> =
        differences(&operator, false).await.into_iter().map(|it| (it.boleto_id, it.kind)).collect();
    listed.sort();
    let expected = [(1, "paid_unsaid"), (2, "title_differs"), (4, "not_on_file")];
    assert_eq!(listed, expected.map(|(at, kind): (usize, &str)| (boletos[at].id.clone(), kind.to_owned())));

    // The bank says something else the next time, and the differences are gone; one is told of as before.
    house.script().bank_look_up(Behaviour::saying(200, title(&boletos[1], 6, json!({}))));
    let again = run(&operator, &account).await;
    assert_eq!((again.differences, again.open_differences), (0, 1), "{again:?}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_asks_about_so_many_and_the_next_goes_on_behind_them() {
    let (house, account) = asking(&[("reconciliation.look_ups_per_run_max", "2")]).await;
    let (shop, operator) = (house.shop(), house.operator());
    run(&operator, &account).await;
    let mut boletos = Vec::new();
    for _ in 0..3 {
        boletos.push(shop.creates(a_boleto()).await);
    }
    let begun = looked_up(&house, BankName::BancoDoBrasil);
    let mut asked = Vec::new();
    for _ in 0..3 {
        run(&operator, &account).await;
        asked.push(looked_up(&house, BankName::BancoDoBrasil) - begun);
    }
    assert_eq!(asked, [2, 3, 5], "two, the rest, and two of the next round");
    pays(&house, &boletos[2], 12_590).await;
    assert_eq!(run(&operator, &account).await.payments, 1, "it was asked about longest ago");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_the_bank_cannot_describe_holds_up_no_other() {
    let (house, account) = asking(&[]).await;
    let (shop, operator) = (house.shop(), house.operator());
    run(&operator, &account).await;
    let (dark, paid) = (shop.creates(a_boleto()).await, shop.creates(a_boleto()).await);
    pays(&house, &paid, 12_590).await;
    house.script().bank_look_up(Behaviour::saying(200, "<html>"));
    let cut = reconciles(&operator, &account).await.expect("an answer");
    let known = cut.reconciliation.expect("how it stands");
    assert!(cut.pending && !known.last_error.is_empty(), "{known:?}");
    shop.sees(&paid.id, BoletoStatus::Paid).await;
    assert_eq!(shop.gets(&dark.id).await.status(), BoletoStatus::Registered);
    eventually("a whole run", async || stands(&operator).await.last_error.is_empty().then_some(())).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_whose_answers_nobody_has_seen_is_not_asked() {
    let house = House::new().with("reconciliation.enabled", "true").open().await;
    let operator = house.operator();
    let mut refused = Vec::new();
    for account in house.opens_accounts_elsewhere().await {
        match reconciles(&operator, &account).await {
            Ok(_) => assert_eq!(account.provider, "inter"),
            Err(status) => refused.push((account.provider, status.reason())),
        }
    }
    let reason = "NOT_SUPPORTED_BY_BANK".to_owned();
    let others =
        ["boleto_api", "boleto_api", "bradesco_apiregistro", "bradesco_shopfacil", "itau", "santander"];
    assert_eq!(refused, others.map(|provider| (provider.to_owned(), reason.clone())));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_holds_the_questions_back() {
    const BANK: &str = "reconciliation/banco_do_brasil/";
    let (house, account) = asking(&[("registration.inline_deadline", "50ms")]).await;
    let operator = house.operator();
    let mut control = operator.control.clone();
    eventually("a first run", async || (stands(&operator).await.runs > 0).then_some(())).await;
    let pause = PauseQueueRequest { name: BANK.to_owned(), reason: "maintenance".to_owned() };
    control.pause_queue(pause).await.expect("a pause");
    let held = reconciles(&operator, &account).await.expect("an answer");
    let before = held.reconciliation.expect("how it stands").runs;
    assert!(held.pending, "nobody asks the bank");
    control
        .resume_queue(ResumeQueueRequest { name: BANK.to_owned(), ..Default::default() })
        .await
        .expect("no pause");
    eventually("a run", async || (stands(&operator).await.runs > before).then_some(())).await;
    house.close().await;
}
