//! The process ends at a step boundary while a boleto is being cancelled. It must be off file in the end, once.

use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::boleto::v1::{Boleto, BoletoStatus, CancelBoletoRequest};
use bursar::sandbox::{Behaviour, EffectKind, Party};
use tonic::transport::Channel;

use crate::boundaries::days;
use crate::deeds::Deed;
use crate::stage::Stage;

/// What the bank does to the first write-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancellation {
    Fair,
    /// It makes it, and its answer is lost.
    AnswerLost,
}

impl Deed for Cancellation {
    const NEEDED: &'static [&'static str] =
        &["bank.cancel.before", "bank.cancel.after", "order.settle.before", "order.settle.after"];
    const EFFECTS: &'static [(EffectKind, usize)] =
        &[(EffectKind::BankRegistered, 1), (EffectKind::BankWrittenOff, 1)];
    const LEFT: &'static [(&'static str, &'static str, i64)] =
        &[("orders for one request", "select count(*) as n from boleto_order", 1)];

    async fn prepare(self, stage: &Stage) {
        if self == Self::AnswerLost {
            stage.world.script().once(Party::BankWriteOff, Behaviour::accept_then_drop());
        }
    }

    async fn ask(self, channel: &Channel, boleto: &Boleto) -> Option<()> {
        let request = CancelBoletoRequest {
            request_id: "cancel-1".to_owned(),
            id: boleto.id.clone(),
            reason: "sold twice".to_owned(),
            ..CancelBoletoRequest::default()
        };
        BoletoServiceClient::new(channel.clone()).cancel_boleto(request).await.ok().map(|_| ())
    }

    fn is_done(self, boleto: &Boleto) -> bool {
        boleto.status() == BoletoStatus::Cancelled
    }
}

days! {
    a_crash_at_any_step_of_a_cancellation_loses_and_repeats_nothing: super::Cancellation::Fair,
    a_crash_after_the_banks_answer_to_it_was_lost_loses_and_repeats_nothing: super::Cancellation::AnswerLost,
}
