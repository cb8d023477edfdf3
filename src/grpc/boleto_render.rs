//! `RenderBoleto`: a stored boleto as the document that [`documents`](crate::documents) draws.
//!
//! **Owns** nothing. **Fails** where there is no such boleto. **Limits**: as drawing has them for everybody.

use super::gate::Gate;
use super::status::ApiError;
use crate::documents::{Format, Resolution};
use crate::domain::ids::BoletoId;
use crate::domain::violation::Violation;
use crate::messages::drawing::DrawError;
use crate::proto::boleto::v1 as proto;

pub(super) async fn render(
    gate: &Gate,
    request: proto::RenderBoletoRequest,
) -> Result<proto::RenderBoletoResponse, ApiError> {
    let mut violations = Vec::new();
    let format = match proto::DocumentFormat::try_from(request.format) {
        Ok(proto::DocumentFormat::Unspecified | proto::DocumentFormat::Pdf) => Some(Format::Pdf),
        Ok(proto::DocumentFormat::Png) => Some(Format::Png(Resolution::default())),
        Ok(proto::DocumentFormat::Svg) => Some(Format::Svg),
        Ok(proto::DocumentFormat::Html) => Some(Format::Html),
        Err(_) => {
            violations.push(Violation::new("format", "is no format"));
            None
        }
    };
    let id: Option<BoletoId> = request.id.parse().ok();
    if id.is_none() {
        violations.push(Violation::new("id", "must be a UUID"));
    }
    let (Some(id), Some(format)) = (id, format) else { return Err(ApiError::Invalid(violations)) };
    let boleto = super::boleto_service::find(gate, id).await?;
    let content = gate.house()?.draw(&boleto, format).await.map_err(|error| match error {
        DrawError::Erased => ApiError::BoletoErased,
        DrawError::NoAccount => ApiError::NotFound("BANK_ACCOUNT"),
        DrawError::Store(error) => ApiError::Store(error),
        DrawError::Broken(why) => ApiError::Internal(why),
    })?;
    let content_type = format.content_type().to_owned();
    Ok(proto::RenderBoletoResponse {
        content_type,
        content,
        version: boleto.version,
        id: boleto.id.to_string(),
    })
}
