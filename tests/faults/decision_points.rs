//! The process ends at a step boundary while somebody's word about a boleto is written down: a payment that the owner knows
//! of, or a person's decision about one in review. It stands once in the end, however often it was said.

use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::boleto::v1::{Boleto, BoletoStatus, RecordPaymentRequest, ResolveBoletoRequest};
use bursar::sandbox::EffectKind;
use tonic::transport::Channel;

use crate::boundaries::days;
use crate::deeds::Deed;
use crate::shop::Shop;
use crate::stage::Stage;

/// The owner says that a boleto was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Recorded;

impl Deed for Recorded {
    const NEEDED: &'static [&'static str] = &["payment.record.before", "payment.record.after"];
    const EFFECTS: &'static [(EffectKind, usize)] = &[(EffectKind::BankRegistered, 1)];
    const LEFT: &'static [(&'static str, &'static str, i64)] = &[
        ("payments", "select count(*) as n from boleto_payment", 1),
        ("paid in all", "select count(*) as n from boleto where paid_cents <> 12590", 0),
    ];

    async fn ask(self, channel: &Channel, boleto: &Boleto) -> Option<()> {
        let request = RecordPaymentRequest {
            request_id: "payment-1".to_owned(),
            id: boleto.id.clone(),
            paid_amount_cents: boleto.amount_cents,
            ..RecordPaymentRequest::default()
        };
        BoletoServiceClient::new(channel.clone()).record_payment(request).await.ok().map(|_| ())
    }

    fn is_done(self, boleto: &Boleto) -> bool {
        boleto.status() == BoletoStatus::Paid
    }
}

/// A person says that a boleto in review is off file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Resolved;

impl Deed for Resolved {
    const NEEDED: &'static [&'static str] = &["review.resolve.before", "review.resolve.after"];
    /// The title is a stranger's; ours was refused.
    const EFFECTS: &'static [(EffectKind, usize)] = &[(EffectKind::BankRegistered, 1)];
    const LEFT: &'static [(&'static str, &'static str, i64)] = &[
        ("decisions in the audit", "select count(*) as n from audit where method = 'ResolveBoleto'", 1),
        (
            "titles of ours that can be paid",
            "select count(*) as n from boleto where status <> 'cancelled'",
            0,
        ),
    ];

    /// The bank has another boleto under our first number: another house, with a database of its own, has given it out.
    async fn prepare(self, stage: &Stage) {
        let elsewhere = format!("store.url=sqlite://{}", stage.file("stranger.db").display());
        let house = stage.house_with(&[&elsewhere], &[]).await;
        assert!(house.opened().await, "{}", house.program.said());
        let channel = house.channel().await.expect("a house that listens");
        let theirs = Shop::of(stage).create_for_nobody(&channel, 12_591).await.expect("a boleto");
        assert_eq!(theirs.status(), BoletoStatus::Registered);
        drop(channel);
        house.close().await;
    }

    async fn begin(self, _stage: &Stage, _channel: &Channel, boleto: &Boleto) -> Option<()> {
        let waits = matches!(boleto.status(), BoletoStatus::NeedsReview | BoletoStatus::PendingRegistration);
        assert!(waits || self.is_done(boleto), "{boleto:?}");
        Some(())
    }

    async fn ask(self, channel: &Channel, boleto: &Boleto) -> Option<()> {
        let request = ResolveBoletoRequest {
            request_id: "review-1".to_owned(),
            id: boleto.id.clone(),
            resolution: BoletoStatus::Cancelled.into(),
            reason: "the number was given out twice".to_owned(),
            ..ResolveBoletoRequest::default()
        };
        BoletoServiceClient::new(channel.clone()).resolve_boleto(request).await.ok().map(|_| ())
    }

    fn is_done(self, boleto: &Boleto) -> bool {
        boleto.status() == BoletoStatus::Cancelled
    }
}

days! {
    a_crash_at_any_step_of_a_payment_told_by_its_owner_loses_and_repeats_nothing: super::Recorded,
    a_crash_at_any_step_of_a_persons_decision_loses_and_repeats_nothing: super::Resolved,
}
