//! The process ends at a step boundary while a bank is asked what was paid. What a payer has paid must be written down in
//! the end, once, and the next run must wait for its hour.

use bursar::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use bursar::proto::boleto::v1::{
    Boleto, BoletoStatus, ListReconciliationsRequest, ReconcileBankAccountRequest,
};
use bursar::sandbox::{Behaviour, EffectKind, Party, Payment};
use chrono::Utc;
use chrono_tz::America::Sao_Paulo;
use tonic::transport::Channel;

use crate::boundaries::days;
use crate::deeds::Deed;
use crate::stage::Stage;

/// What the bank does when it is asked about the payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reconciliation {
    Fair,
    /// It breaks off in the middle of its answer.
    HalfSaid,
}

impl Deed for Reconciliation {
    const SETTINGS: &'static [&'static str] = &[
        "reconciliation.enabled=true",
        "reconciliation.every=1h",
        "reconciliation.retry_base=50ms",
        "reconciliation.retry_cap=200ms",
    ];
    const NEEDED: &'static [&'static str] = &[
        "bank.payments.before",
        "bank.payments.after",
        "reconcile.apply.before",
        "reconcile.apply.after",
        "reconcile.settle.before",
        "reconcile.settle.after",
    ];
    const EFFECTS: &'static [(EffectKind, usize)] =
        &[(EffectKind::BankRegistered, 1), (EffectKind::BankPaid, 1)];
    const LEFT: &'static [(&'static str, &'static str, i64)] = &[
        ("payments", "select count(*) as n from boleto_payment", 1),
        ("differences", "select count(*) as n from reconciliation_difference", 0),
        (
            "runs that wait for their hour",
            "select count(*) as n from work where kind = 'boleto.reconcile'",
            1,
        ),
    ];

    /// The account's first run, which nobody asks for, is over before the payer pays.
    async fn begin(self, stage: &Stage, channel: &Channel, boleto: &Boleto) -> Option<()> {
        let mut client = BankAccountServiceClient::new(channel.clone());
        let known =
            client.list_reconciliations(ListReconciliationsRequest::default()).await.ok()?.into_inner();
        let account = known
            .reconciliations
            .into_iter()
            .find(|known| known.bank_account_id == boleto.bank_account_id)?;
        if account.runs == 0 {
            return None;
        }
        if stage.world.effects().iter().all(|effect| effect.kind != EffectKind::BankPaid) {
            let today = Utc::now().with_timezone(&Sao_Paulo).date_naive();
            let payment = Payment::of(&boleto.barcode, boleto.amount_cents as u64, today);
            stage.world.pay(&payment).await.expect("the bank takes it");
            if self == Self::HalfSaid {
                stage
                    .world
                    .script()
                    .once(Party::BankList, Behaviour::AcceptThen(Box::new(Behaviour::Truncated)));
            }
        }
        Some(())
    }

    async fn ask(self, channel: &Channel, boleto: &Boleto) -> Option<()> {
        let request =
            ReconcileBankAccountRequest { id: boleto.bank_account_id.clone(), ..Default::default() };
        BankAccountServiceClient::new(channel.clone()).reconcile_bank_account(request).await.ok().map(|_| ())
    }

    fn is_done(self, boleto: &Boleto) -> bool {
        boleto.status() == BoletoStatus::Paid && !boleto.payable
    }
}

days! {
    a_crash_at_any_step_of_a_reconciliation_loses_and_repeats_nothing: super::Reconciliation::Fair,
    a_crash_after_the_bank_broke_off_its_listing_loses_and_repeats_nothing: super::Reconciliation::HalfSaid,
}
