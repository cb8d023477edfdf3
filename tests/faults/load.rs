//! Shops that ask for boletos while something goes wrong, and ask again when they are told to come back.
//!
//! **Owns** nothing. **Fails** on any answer but a boleto or `UNAVAILABLE`, and on a boleto that nobody gets in the end.
//! **Limits**: [`SHOPS`] at a time.

use bursar::sandbox::{Effect, EffectKind};
use futures_util::StreamExt as _;
use tonic::Code;
use tonic::transport::Channel;

use crate::process::{PATIENCE, eventually};
use crate::shop::Shop;
use crate::stage::Stage;

/// Shops that ask at the same time.
const SHOPS: usize = 16;

/// Asks for the boletos of all these numbers until each has been made, turning to the doors one after the other.
pub async fn ask_for(shop: &Shop, doors: &[Channel], numbers: impl IntoIterator<Item = usize>) {
    let ask = async |number: usize| {
        let mut tried = number;
        eventually("an answer to a shop", async || {
            tried += 1;
            match shop.create(&doors[tried % doors.len()], number).await {
                Ok(_) => Some(()),
                Err(status) => {
                    assert_eq!(status.code(), Code::Unavailable, "boleto {number}: {status:?}");
                    None
                }
            }
        })
        .await;
    };
    futures_util::stream::iter(numbers).map(ask).buffer_unordered(SHOPS).collect::<Vec<()>>().await;
}

/// Waits until the bank has registered so many boletos.
pub async fn registered(stage: &Stage, boletos: usize) {
    let is_time = |effects: &[Effect]| {
        effects.iter().filter(|effect| effect.kind == EffectKind::BankRegistered).count() >= boletos
    };
    stage.world.wait_for_effects(is_time, PATIENCE).await.expect("the bank goes on registering");
}
