//! The process ends at a step boundary while a boleto is being amended. The bank must have the new due date in the end, told
//! of it once, and everybody else the codes that go with it.

use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::boleto::v1::{AmendBoletoRequest, Boleto, BoletoStatus};
use bursar::sandbox::{Behaviour, EffectKind, Party};
use chrono::{Days, Utc};
use tonic::transport::Channel;

use crate::boundaries::days;
use crate::deeds::Deed;
use crate::stage::Stage;

/// What the bank does to the first change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amendment {
    Fair,
    /// It makes it, and its answer is lost.
    AnswerLost,
}

/// A week after the day on which the shop's boletos are due.
fn later() -> String {
    (Utc::now().date_naive() + Days::new(37)).to_string()
}

impl Deed for Amendment {
    const NEEDED: &'static [&'static str] =
        &["bank.amend.before", "bank.amend.after", "order.settle.before", "order.settle.after"];
    const EFFECTS: &'static [(EffectKind, usize)] =
        &[(EffectKind::BankRegistered, 1), (EffectKind::BankAmended, 1)];
    const LEFT: &'static [(&'static str, &'static str, i64)] =
        &[("orders for one request", "select count(*) as n from boleto_order", 1)];

    async fn prepare(self, stage: &Stage) {
        if self == Self::AnswerLost {
            stage.world.script().once(Party::BankAmend, Behaviour::accept_then_drop());
        }
    }

    async fn ask(self, channel: &Channel, boleto: &Boleto) -> Option<()> {
        let request = AmendBoletoRequest {
            request_id: "amend-1".to_owned(),
            id: boleto.id.clone(),
            reason: "agreed by telephone".to_owned(),
            due_date: later(),
            ..AmendBoletoRequest::default()
        };
        BoletoServiceClient::new(channel.clone()).amend_boleto(request).await.ok().map(|_| ())
    }

    fn is_done(self, boleto: &Boleto) -> bool {
        boleto.status() == BoletoStatus::Registered && boleto.due_date == later()
    }
}

days! {
    a_crash_at_any_step_of_an_amendment_loses_and_repeats_nothing: super::Amendment::Fair,
    a_crash_after_the_banks_answer_to_it_was_lost_loses_and_repeats_nothing: super::Amendment::AnswerLost,
}
