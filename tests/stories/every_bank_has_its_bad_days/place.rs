//! Every way to a bank, in one house, and how it is with each of them.
//!
//! **Owns** the house and its world. **Fails** a test with the cell of the table in which something else came of a boleto.
//! **Limits**: a new connector is found missing here, and its way is to be added.

use std::collections::BTreeMap;

use bursar::domain::bank_account::Provider;
use bursar::proto::boleto::v1::get_bank_account_request::Key;
use bursar::proto::boleto::v1::{
    BankAccount, Boleto, BoletoStatus, CreateBoletoRequest, GetBankAccountRequest,
};
use bursar::sandbox::{Act, BankName, Behaviour, Effect, EffectKind, Party};
use futures_util::future::join_all;

use super::days::{Day, Leaves};
use crate::support::house::{House, Opened, a_boleto, eventually};

/// How a way to a bank finds out what became of a request that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finds {
    /// The bank is asked.
    ByLooking,
    /// The bank is told again, and refuses a number the second time.
    ByRepeating,
    /// The same; but codes that it gave with a lost answer it never gives again.
    ByRepeatingWithoutCodes,
    /// Not at all.
    Never,
}

/// A way to a bank: an account, and how it is with it.
pub struct Way {
    pub name: String,
    pub account: BankAccount,
    pub bank: BankName,
    pub finds: Finds,
    pub has_tokens: bool,
}

impl Way {
    pub fn of(account: BankAccount) -> Self {
        let provider = Provider::from_name(&account.provider).expect("a provider");
        let name = account.external_id.trim_start_matches("sandbox-").to_owned();
        let finds = match (provider, name.as_str()) {
            (Provider::BancoDoBrasil | Provider::Itau | Provider::Santander, _) => Finds::ByLooking,
            (Provider::BoletoApi, "boleto-api-caixa") => Finds::ByRepeatingWithoutCodes,
            (Provider::BoletoApi | Provider::BradescoApiregistro | Provider::BradescoShopfacil, _) => {
                Finds::ByRepeating
            }
            (Provider::Inter, _) => Finds::Never,
            (Provider::Development, _) => panic!("no bank stands behind it"),
        };
        let bank = match provider {
            Provider::BancoDoBrasil => BankName::BancoDoBrasil,
            _ => {
                let named = BankName::ALL.into_iter().find(|bank| bank.as_str() == account.provider);
                named.expect("a bank of the sandbox")
            }
        };
        let has_tokens = matches!(finds, Finds::ByLooking | Finds::Never);
        Self { name, account, bank, finds, has_tokens }
    }

    /// What comes of a boleto, and how many titles the bank has of it.
    pub fn end(&self, leaves: Leaves) -> (BoletoStatus, usize) {
        match (self.finds, leaves) {
            (Finds::ByRepeatingWithoutCodes, Leaves::Doubt { kept: true }) => (BoletoStatus::NeedsReview, 1),
            (Finds::Never, Leaves::Doubt { kept }) => (BoletoStatus::NeedsReview, usize::from(kept)),
            _ => (BoletoStatus::Registered, 1),
        }
    }

    /// What the shop is told at once.
    pub fn at_once(&self, day: &Day) -> BoletoStatus {
        match (self.finds, day.leaves) {
            (Finds::Never, Leaves::Doubt { .. }) if day.is_conflict() => BoletoStatus::NeedsReview,
            (Finds::Never, _) => BoletoStatus::PendingRegistration,
            (_, Leaves::NoDoubt) => BoletoStatus::Registered,
            _ => BoletoStatus::PendingRegistration,
        }
    }

    /// How often the bank is asked to register it, and how often it must say that it has it already.
    pub fn asked(&self, day: &Day) -> (u64, usize) {
        let happened = day.happens.len() as u64;
        match (self.finds, day.leaves) {
            (_, Leaves::NoDoubt) if day.happens == [Behaviour::status(401)] => (2, 0),
            (_, Leaves::NoDoubt) => (1, 0),
            (Finds::Never, Leaves::Doubt { .. }) | (Finds::ByLooking, Leaves::Doubt { kept: true }) => (1, 0),
            (_, Leaves::Doubt { kept: true }) => (2, 1),
            _ => (happened + 1, 0),
        }
    }
}

/// A house on whose ways to banks nobody has gone yet.
pub struct Place {
    pub house: Opened,
    pub ways: Vec<Way>,
    /// Where nobody may ever be led.
    pub elsewhere: String,
}

impl Place {
    pub async fn open(settings: &[(&str, &str)]) -> Self {
        // Days are bad one after the other here, and a queue that nobody asks about would only cost time.
        let mut house = House::new().with("breaker.failures_max", "10000");
        for (key, value) in settings {
            house = house.with(key, value);
        }
        let house = house.open().await;
        let request = GetBankAccountRequest { key: Some(Key::ExternalId("shop".to_owned())) };
        let first =
            house.operator().accounts.clone().get_bank_account(request).await.expect("the first account");
        let mut accounts = vec![first.into_inner().bank_account.expect("an account")];
        accounts.extend(house.opens_accounts_elsewhere().await);
        let ways: Vec<Way> = accounts.into_iter().map(Way::of).collect();
        let mut providers: Vec<&str> = ways.iter().map(|way| way.account.provider.as_str()).collect();
        providers.dedup();
        let all = Provider::ALL.into_iter().filter(|provider| *provider != Provider::Development);
        assert!(all.clone().all(|provider| providers.contains(&provider.as_str())), "not all: {providers:?}");
        let elsewhere = house.world().addresses().webhook_url.clone();
        Self { house, ways, elsewhere }
    }

    /// Does the same at every bank: at all banks at once, and at one bank for one account after the other, because an act of
    /// a bank has one script.
    pub async fn everywhere(&self, act: impl AsyncFn(&Way)) {
        let mut at_banks: BTreeMap<BankName, Vec<&Way>> = BTreeMap::new();
        self.ways.iter().for_each(|way| at_banks.entry(way.bank).or_default().push(way));
        let act = &act;
        join_all(at_banks.into_values().map(|ways| async move {
            for way in ways {
                act(way).await;
            }
        }))
        .await;
    }

    pub fn told(&self, way: &Way, act: Act, happens: &[Behaviour]) {
        let party = Party::Bank(way.bank, act);
        happens.iter().for_each(|behaviour| self.house.script().once(party, behaviour.clone()));
    }

    pub async fn creates(&self, way: &Way, cents: i64) -> Boleto {
        let named = |request: &mut CreateBoletoRequest| {
            request.bank_account_external_id.clone_from(&way.account.external_id);
        };
        self.house.shop().creates(a_boleto().of_cents(cents).with(named)).await
    }

    /// The effects of one kind on titles of one amount, whoever has them under whatever number.
    pub fn effects(&self, kind: EffectKind, cents: i64) -> usize {
        let of_it = |effect: &&Effect| {
            effect.kind == kind && effect.detail["amount_cents"] == serde_json::json!(cents)
        };
        self.house.world().effects().iter().filter(of_it).count()
    }

    /// Amounts tell the cells of the table apart: no two ways have the same one in a row, nor two rows of one way.
    pub fn cents(&self, way: &Way, row: usize) -> i64 {
        let column = self.ways.iter().position(|other| other.name == way.name).expect("a way of the place");
        20_000 + (row * self.ways.len() + column) as i64
    }

    /// Waits until it is decided what became of a boleto, and judges it.
    pub async fn ends(&self, boleto: &Boleto, wanted: (BoletoStatus, usize), what: &str) {
        let ended = eventually(what, async || {
            let now = self.house.shop().gets(&boleto.id).await;
            let open = matches!(now.status(), BoletoStatus::Issued | BoletoStatus::PendingRegistration);
            (!open).then_some(now)
        })
        .await;
        let (status, titles) = wanted;
        assert_eq!(ended.status(), status, "{what}: {ended:?}");
        assert_eq!(ended.payable, status == BoletoStatus::Registered, "{what}");
        let name = match status {
            BoletoStatus::Registered => "boleto.registered",
            _ => "boleto.needs_review",
        };
        let events = self.house.shop().reads_events(&boleto.id).await;
        let between = |event: &String| event != "boleto.pending_registration";
        let said: Vec<&String> = events.iter().filter(|event| between(event)).collect();
        assert_eq!(said, ["boleto.issued", name], "{what}: {events:?}");
        let heard = self.house.owner().hears(&boleto.id, 1).await;
        let heard: Vec<&str> = heard.iter().map(|told| told.text("event_type")).collect();
        assert_eq!(heard, [name], "{what}");
        let cents = boleto.amount_cents;
        assert_eq!(self.effects(EffectKind::BankRegistered, cents), titles, "titles: {what}");
        assert_eq!(self.effects(EffectKind::BankRefused, cents), 0, "{what}");
    }

    pub async fn close(self) {
        assert_eq!(self.house.script().asked(Party::Webhook), 0, "somebody was led elsewhere");
        self.house.operator().sees_all_work_done().await;
        self.house.close().await;
    }
}
