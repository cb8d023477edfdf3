//! `ResyncBankAccount`: moves the counter of an account's numbers ahead, past what the bank has seen.
//!
//! **Owns** nothing. **Fails** with every violation at once; with `BANK_COUNTS` where the bank chooses the numbers.
//! **Limits**: ahead and never back, to the agreement's last number at most. A number that the counter has passed already
//! changes nothing and is no failure.

use uuid::Uuid;

use super::gate::Gate;
use super::request;
use super::status::ApiError;
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::issuer::{Issuer, Numbering};
use crate::domain::ids::BankAccountId;
use crate::domain::violation::Violation;
use crate::messages::bank_accounts::AccountKey;
use crate::proto::boleto::v1 as proto;
use crate::proto::boleto::v1::resync_bank_account_request::Ahead as Asked;
use crate::store::number_range::{Ahead, ResyncDraft, Resynced};

const METHOD: &str = "ResyncBankAccount";

/// Moves the counter, and returns the account.
pub(super) async fn resync(
    gate: &Gate,
    mut request: proto::ResyncBankAccountRequest,
) -> Result<BankAccount, ApiError> {
    let house = gate.house_for_change()?;
    let tenant = gate.tenant()?;
    let id: BankAccountId = request::id("id", &request.id)?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&tenant, METHOD, &request_id, &request, &mut violations);
    let found = house.accounts.find(&tenant, &AccountKey::Id(id)).await?;
    let account = found.ok_or(ApiError::NotFound("BANK_ACCOUNT"))?;
    if account.issuer.numbering() == Numbering::TheBanks {
        return Err(ApiError::BankCounts);
    }
    let reason = request::reason(request.reason, &mut violations);
    let ahead = read(request.ahead, &account.issuer, &mut violations);
    let Some(ahead) = ahead.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let draft = ResyncDraft {
        audit_id: Uuid::now_v7(),
        tenant_id: tenant,
        bank_account_id: id,
        range_key: account.issuer.range_key(),
        sequence_max: account.issuer.sequence_max(),
        ahead,
        request: key,
        reason,
        traceparent: crate::telemetry::traceparent(),
        now: request::now(),
    };
    match house.store.resync_numbers(&draft).await? {
        Resynced::Done { before, after } => {
            tracing::info!(bank_account_id = %id, before, after, "numbers moved ahead");
            Ok((*account).clone())
        }
        Resynced::Before => Ok((*account).clone()),
        Resynced::OtherBody => Err(ApiError::RequestIdReused),
        Resynced::PastTheEnd => {
            let rule = format!("the agreement ends at {}", draft.sequence_max);
            Err(ApiError::field("ahead", &rule))
        }
        Resynced::NoCounter => Err(ApiError::BankCounts),
    }
}

fn read(ahead: Option<Asked>, issuer: &Issuer, violations: &mut Vec<Violation>) -> Option<Ahead> {
    let max = issuer.sequence_max();
    let within = |count: &i64| (1..=max).contains(count);
    let (read, field, rule) = match ahead {
        None => (None, "ahead", "last_used_sequence, last_used_nosso_numero or skip is required".to_owned()),
        Some(Asked::LastUsedSequence(last)) => {
            (Some(last).filter(within).map(Ahead::Past), "last_used_sequence", format!("from 1 to {max}"))
        }
        Some(Asked::Skip(count)) => {
            (Some(count).filter(within).map(Ahead::By), "skip", format!("from 1 to {max}"))
        }
        Some(Asked::LastUsedNossoNumero(number)) => (
            sequence_of(issuer, &number).map(Ahead::Past),
            "last_used_nosso_numero",
            "no number of this account's agreement, without its check digit".to_owned(),
        ),
    };
    if read.is_none() {
        violations.push(Violation::new(field, rule));
    }
    read
}

/// The sequence behind a whole nosso número: the digits at its end of which the agreement makes just this number.
fn sequence_of(issuer: &Issuer, number: &str) -> Option<i64> {
    let is_number = (1..=20).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let ends = (0..number.len()).filter(|_| is_number).filter_map(|start| number.get(start..));
    ends.filter_map(|end| end.parse().ok()).find(|&sequence| {
        let made = issuer.number(sequence);
        made.is_ok_and(|(made, _)| made == number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(written: &str) -> Issuer {
        serde_json::from_str(written).unwrap()
    }

    #[test]
    fn a_whole_number_tells_its_sequence_at_every_bank_that_counts_here() {
        for written in [
            r#"{"bank":"banco_do_brasil","convenio":"3128557","carteira":"17","variacao":"35"}"#,
            r#"{"bank":"banco_do_brasil","convenio":"123456","carteira":"17","variacao":"19","agency":"0001","account":"2"}"#,
            r#"{"bank":"bradesco","agency":"1234","account":"345","carteira":"09"}"#,
            r#"{"bank":"itau","agency":"0057","account":"12345","account_dac":"7","carteira":"109"}"#,
            r#"{"bank":"santander","beneficiary":"1899775","carteira":"101"}"#,
            r#"{"bank":"caixa","beneficiary":"245274"}"#,
        ] {
            let issuer = issuer(written);
            for sequence in [1, 7, 312, issuer.sequence_max()] {
                let (number, _) = issuer.number(sequence).unwrap();
                assert_eq!(sequence_of(&issuer, &number), Some(sequence), "{written} {number}");
            }
        }
    }

    #[test]
    fn the_number_of_another_agreement_tells_nothing() {
        let issuer =
            issuer(r#"{"bank":"banco_do_brasil","convenio":"3128557","carteira":"17","variacao":"35"}"#);
        for number in ["", "7", "22222220000000007", "3128557000000000x", "31285570000000000"] {
            assert_eq!(sequence_of(&issuer, number), None, "{number}");
        }
    }
}
