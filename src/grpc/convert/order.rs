//! What a bank was asked to do with a boleto after its registration.

use super::timestamp;
use crate::domain::boleto::order::{Order, OrderState, Wish};
use crate::proto::boleto::v1 as proto;

pub fn to_proto(order: &Order) -> proto::BoletoOrder {
    let kind = match order.wish {
        Wish::Amend(_) => proto::BoletoOrderKind::Amend,
        Wish::Cancel => proto::BoletoOrderKind::Cancel,
    };
    let state = match order.state {
        OrderState::Pending => proto::BoletoOrderState::Pending,
        OrderState::Done => proto::BoletoOrderState::Done,
        OrderState::Refused => proto::BoletoOrderState::Refused,
        OrderState::GivenUp => proto::BoletoOrderState::GivenUp,
    };
    proto::BoletoOrder {
        id: order.id.to_string(),
        kind: kind.into(),
        state: state.into(),
        reason: order.reason.clone(),
        bank_response: order.response.as_ref().map(|response| proto::BankResponse {
            code: response.code.clone(),
            message: response.message.clone(),
        }),
        create_time: Some(timestamp(order.created_at)),
        end_time: order.ended_at.map(timestamp),
    }
}
