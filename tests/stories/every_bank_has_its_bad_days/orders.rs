//! The bad days of orders: a bank is told to change a title, or to take it off file. In the end it has done so once, and its
//! owner has heard of it once, whatever became of the first answer.

use bursar::domain::bank_account::Provider;
use bursar::proto::boleto::v1::{BoletoOrderState, BoletoStatus};
use bursar::sandbox::{Act, Behaviour, Effect, EffectKind};
use serde_json::json;

use super::days;
use super::place::{Place, Way};
use crate::support::house::{a_boleto, eventually};

/// What the bank is told to do with a title that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Cancel,
    /// Another due date.
    Amend,
}

impl Wish {
    fn act(self) -> Act {
        match self {
            Self::Cancel => Act::WriteOff,
            Self::Amend => Act::Amend,
        }
    }

    /// By a bank whose connector says that it can.
    fn is_taken_by(self, way: &Way) -> bool {
        let provider = Provider::from_name(&way.account.provider).expect("a provider");
        match self {
            Self::Cancel => {
                matches!(
                    provider,
                    Provider::BancoDoBrasil | Provider::Inter | Provider::Itau | Provider::Santander
                )
            }
            Self::Amend => {
                matches!(provider, Provider::BancoDoBrasil | Provider::Itau | Provider::Santander)
            }
        }
    }

    /// The effect, and the news of it.
    fn came(self) -> (EffectKind, &'static str) {
        match self {
            Self::Cancel => (EffectKind::BankWrittenOff, "boleto.cancelled"),
            Self::Amend => (EffectKind::BankAmended, "boleto.amended"),
        }
    }
}

/// Has a boleto cancelled or amended on a day on which the bank behaves so to the first such request.
async fn order_on(place: &Place, way: &Way, wish: Wish, trouble: Behaviour, cents: i64) {
    let what = format!("{wish:?} at {} on a day of {trouble:?}", way.name);
    let shop = place.house.shop();
    let boleto = place.creates(way, cents).await;
    shop.sees(&boleto.id, BoletoStatus::Registered).await;
    place.told(way, wish.act(), &[trouble]);
    let asked = match wish {
        Wish::Cancel => shop.cancels(&boleto.id, "sold twice").await.map(|_| ()),
        Wish::Amend => {
            let later = a_boleto().due_in(17).into_request().due_date;
            shop.amends(&boleto.id, |request| request.due_date = later).await.map(|_| ())
        }
    };
    asked.unwrap_or_else(|status| panic!("{what}: {status:?}"));
    eventually(&what, async || {
        let order = shop.reads_history(&boleto.id).await.orders.pop()?;
        assert_ne!(order.state(), BoletoOrderState::Refused, "{what}: {order:?}");
        (order.state() == BoletoOrderState::Done).then_some(())
    })
    .await;
    let (effect, news) = wish.came();
    let events = shop.reads_events(&boleto.id).await;
    let said: Vec<&String> = events.iter().filter(|event| *event != "boleto.pending_registration").collect();
    assert_eq!(said, ["boleto.issued", "boleto.registered", news], "{what}");
    let heard = place.house.owner().hears(&boleto.id, 2).await;
    let heard: Vec<&str> = heard.iter().map(|told| told.text("event_type")).collect();
    assert_eq!(heard, ["boleto.registered", news], "{what}");
    let effects = place.house.world().effects();
    let of_it = |found: &&Effect| found.detail["amount_cents"] == json!(cents);
    let title = effects.iter().find(of_it).expect("the title's registration");
    let times = effects.iter().filter(|found| found.kind == effect && found.key == title.key).count();
    assert_eq!(times, 1, "{what}: {effects:?}");
}

async fn orders(wish: Wish) {
    let place = Place::open(&[]).await;
    place
        .everywhere(async |way| {
            if !wish.is_taken_by(way) {
                return;
            }
            for (row, trouble) in days::of_orders(&place.elsewhere).into_iter().enumerate() {
                order_on(&place, way, wish, trouble, place.cents(way, row)).await;
            }
        })
        .await;
    place.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_answer_comes_to_a_cancellation() {
    orders(Wish::Cancel).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_answer_comes_to_an_amendment() {
    orders(Wish::Amend).await;
}
