//! `bursar account create`: adds a bank account, from flags or from JSON.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use uuid::Uuid;

use crate::cli::args::key_and_value;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::bank_account::Issuer;
use crate::proto::boleto::v1::{
    BancoDoBrasilIssuer, BankAccount, Beneficiary, BradescoIssuer, CreateBankAccountRequest,
};

#[derive(Args)]
pub(in crate::cli) struct CreateArgs {
    /// The account as JSON, with the field names of BankAccount; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "AccountFlags")]
    file: Option<PathBuf>,
    /// The same id and account give the same account; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// The number that its first boleto gets, when moving in from another system
    #[arg(long, value_name = "NUMBER")]
    first_sequence: Option<i64>,
    #[command(flatten)]
    account: AccountFlags,
}

#[derive(Args)]
struct AccountFlags {
    /// The owner's own name for it, unique
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    #[arg(long, value_name = "NAME")]
    beneficiary_name: Option<String>,
    #[arg(long, value_name = "NUMBER")]
    beneficiary_tax_id: Option<String>,
    /// The bank with which the agreement is
    #[arg(long, value_enum, required_unless_present = "file")]
    issuer: Option<IssuerName>,
    /// 4, 6 or 7 digits (Banco do Brasil)
    #[arg(long, value_name = "NUMBER")]
    convenio: Option<String>,
    /// Two digits
    #[arg(long, value_name = "NUMBER")]
    carteira: Option<String>,
    /// Three digits (Banco do Brasil)
    #[arg(long, value_name = "NUMBER")]
    variacao: Option<String>,
    /// Four digits
    #[arg(long, value_name = "NUMBER")]
    agency: Option<String>,
    #[arg(long, value_name = "NUMBER")]
    account: Option<String>,
    /// The connector that registers its boletos; the issuer's own when absent
    #[arg(long)]
    provider: Option<String>,
    /// What the connector signs in with, as a reference, such as app_key=env:NAME; may be repeated
    #[arg(long = "credential", value_name = "KEY=REFERENCE", value_parser = key_and_value)]
    credentials: Vec<(String, String)>,
    /// Used when a request names no account
    #[arg(long)]
    is_default: bool,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum IssuerName {
    BancoDoBrasil,
    Bradesco,
}

impl AccountFlags {
    fn into_account(self) -> BankAccount {
        let beneficiary = Beneficiary {
            name: self.beneficiary_name.unwrap_or_default(),
            tax_id: self.beneficiary_tax_id.unwrap_or_default(),
        };
        let carteira = self.carteira.unwrap_or_default();
        let agency = self.agency.unwrap_or_default();
        let account = self.account.unwrap_or_default();
        let (issuer, customary) = match self.issuer {
            Some(IssuerName::BancoDoBrasil) => {
                let convenio = self.convenio.unwrap_or_default();
                let variacao = self.variacao.unwrap_or_default();
                let issuer = BancoDoBrasilIssuer { convenio, carteira, variacao, agency, account };
                (Some(Issuer::BancoDoBrasil(issuer)), "banco_do_brasil")
            }
            Some(IssuerName::Bradesco) => {
                (Some(Issuer::Bradesco(BradescoIssuer { agency, account, carteira })), "bradesco")
            }
            None => (None, ""),
        };
        BankAccount {
            external_id: self.external_id.unwrap_or_default(),
            display_name: self.display_name.unwrap_or_default(),
            beneficiary: Some(beneficiary).filter(|it| *it != Beneficiary::default()),
            issuer,
            provider: self.provider.unwrap_or_else(|| customary.to_owned()),
            credentials: self.credentials.into_iter().collect(),
            is_default: self.is_default,
            ..BankAccount::default()
        }
    }
}

pub(super) async fn run(
    args: CreateArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let account = match args.file {
        Some(file) => super::read(&file)?,
        None => args.account.into_account(),
    };
    let request_id = args.request_id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let request = CreateBankAccountRequest {
        bank_account: Some(account),
        first_sequence: args.first_sequence,
        request_id: request_id.clone(),
    };
    let answer = connection.call(connection.bank_accounts().create_bank_account(request)).await;
    super::show(answer.map_err(|failure| failure.with_request_id(&request_id))?.bank_account, screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: CreateArgs,
    }

    fn account(flags: &[&str]) -> BankAccount {
        let line = <Line as clap::Parser>::try_parse_from([&["create"], flags].concat());
        line.unwrap_or_else(|error| panic!("{error}")).args.account.into_account()
    }

    #[test]
    fn the_issuer_decides_which_numbers_are_sent_and_the_customary_provider() {
        let agreement = ["--convenio", "3128557", "--carteira", "17", "--variacao", "019"];
        let made = account(&[&["--issuer", "banco_do_brasil"], &agreement[..]].concat());
        let issuer = BancoDoBrasilIssuer {
            convenio: "3128557".to_owned(),
            carteira: "17".to_owned(),
            variacao: "019".to_owned(),
            ..BancoDoBrasilIssuer::default()
        };
        assert_eq!(made.issuer, Some(Issuer::BancoDoBrasil(issuer)));
        assert_eq!((made.provider.as_str(), made.beneficiary), ("banco_do_brasil", None));

        let made = account(&["--issuer", "bradesco", "--agency", "1229", "--provider", "elsewhere"]);
        let issuer = BradescoIssuer { agency: "1229".to_owned(), ..BradescoIssuer::default() };
        assert_eq!((made.issuer, made.provider.as_str()), (Some(Issuer::Bradesco(issuer)), "elsewhere"));
    }

    #[test]
    fn credentials_are_pairs_and_keep_their_further_equal_signs() {
        let made = account(&["--issuer", "bradesco", "--credential", "app_key=file:a=b"]);
        assert_eq!(made.credentials, [("app_key".to_owned(), "file:a=b".to_owned())].into());
    }
}
