//! The bank outside, as its ledger and its counts show it.

use bursar::proto::boleto::v1::Boleto;
use bursar::sandbox::{Effect, EffectKind, Party, World};

use super::PATIENCE;

/// The bank of one story.
pub struct Bank<'a>(pub(super) &'a World);

impl Bank<'_> {
    /// How often it was asked to register anything.
    pub fn asked(&self) -> u64 {
        self.0.script().asked(Party::BankRegister)
    }

    /// How often it was asked what it has on file.
    pub fn looked_up(&self) -> u64 {
        self.0.script().asked(Party::BankLookUp)
    }

    /// How often it was asked for a token.
    pub fn signed_in(&self) -> u64 {
        self.0.script().asked(Party::BankToken)
    }

    /// How many effects of this kind it had on this boleto.
    pub fn effects(&self, kind: EffectKind, boleto: &Boleto) -> usize {
        let number = format!("+000{}", boleto.nosso_numero);
        let effects = self.0.effects();
        effects.iter().filter(|effect| effect.kind == kind && effect.key.ends_with(&number)).count()
    }

    /// That it keeps the boleto, was told so once, and never again.
    pub fn keeps_one(&self, boleto: &Boleto) {
        assert_eq!(self.effects(EffectKind::BankRegistered, boleto), 1, "registered {}", boleto.nosso_numero);
        assert_eq!(
            self.effects(EffectKind::BankDuplicateRefused, boleto),
            0,
            "asked for the same title twice"
        );
    }

    /// Waits until it holds so many requests.
    pub async fn holds(&self, requests: usize) {
        self.0.wait_for_held(requests, PATIENCE).await.expect("held requests");
    }

    /// Waits until it keeps so many titles.
    pub async fn keeps(&self, titles: usize) {
        let enough = |effects: &[Effect]| {
            effects.iter().filter(|effect| effect.kind == EffectKind::BankRegistered).count() >= titles
        };
        self.0.wait_for_effects(enough, PATIENCE).await.expect("registered titles");
    }
}
