//! `bursar account resync`: moves the counter of an account's numbers ahead, past what its bank has seen.

use clap::Args;
use uuid::Uuid;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::ResyncBankAccountRequest;
use crate::proto::boleto::v1::resync_bank_account_request::Ahead;

#[derive(Args)]
pub(in crate::cli) struct ResyncArgs {
    id: String,
    /// The bank's highest: a whole nosso número without its check digit, or the sequence in it
    #[arg(long, value_name = "NUMBER", required_unless_present = "ahead", conflicts_with = "ahead")]
    past: Option<String>,
    /// How many numbers to skip, when the bank's highest is not known
    #[arg(long, value_name = "COUNT")]
    ahead: Option<i64>,
    /// Why; kept in the audit
    #[arg(long)]
    reason: String,
    /// The same id and wish move the counter once; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Numbers of agreements are longer than this; sequences are shorter, but for those of a bank's last billions.
const SEQUENCE_CHARS_MAX: usize = 10;

fn past(number: String) -> Ahead {
    match number.parse() {
        Ok(sequence) if number.len() <= SEQUENCE_CHARS_MAX && !number.starts_with('0') => {
            Ahead::LastUsedSequence(sequence)
        }
        _ => Ahead::LastUsedNossoNumero(number),
    }
}

pub(super) async fn run(
    args: ResyncArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request_id = args.request_id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let request = ResyncBankAccountRequest {
        id: args.id,
        ahead: args.past.map(past).or(args.ahead.map(Ahead::Skip)),
        reason: args.reason,
        request_id: request_id.clone(),
    };
    let answer = connection.call(connection.bank_accounts().resync_bank_account(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    super::show(answer.bank_account, screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_number_is_a_sequence_and_a_long_one_a_nosso_numero() {
        assert_eq!(past("500".to_owned()), Ahead::LastUsedSequence(500));
        for whole in ["31285570000000500", "00000000500", "0500"] {
            assert_eq!(past(whole.to_owned()), Ahead::LastUsedNossoNumero(whole.to_owned()));
        }
    }
}
