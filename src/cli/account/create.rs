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
    AccountRules, BancoDoBrasilIssuer, BankAccount, Beneficiary, BradescoIssuer, CaixaIssuer,
    CreateBankAccountRequest, InterIssuer, ItauIssuer, SantanderIssuer,
};

#[derive(Args)]
pub(in crate::cli) struct CreateArgs {
    /// The account as JSON, with the field names of BankAccount; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["AccountFlags", "RuleFlags"])]
    file: Option<PathBuf>,
    /// The same id and account give the same account; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// The number that its first boleto gets, when moving in from another system
    #[arg(long, value_name = "NUMBER")]
    first_sequence: Option<i64>,
    #[command(flatten)]
    account: AccountFlags,
    // Not among those: clap tells a group's members only where no other group is among them.
    #[command(flatten)]
    rules: RuleFlags,
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
    /// The code that the bank gave the beneficiary: 7 digits (Santander), 6 or 7 (Caixa)
    #[arg(long, value_name = "NUMBER")]
    beneficiary_code: Option<String>,
    /// Two digits; three at Itaú and Santander
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
    /// The check digit of agency and account (Itaú)
    #[arg(long, value_name = "DIGIT")]
    account_dac: Option<String>,
    /// 7 or 9 for insurers (Santander) [default: 0]
    #[arg(long, value_name = "DIGIT")]
    ios: Option<String>,
    /// Under which workspace of the bank's API titles are kept (Santander)
    #[arg(long, value_name = "ID")]
    workspace_id: Option<String>,
    /// The connector that registers its boletos; the issuer's own when absent
    #[arg(long)]
    provider: Option<String>,
    /// What the connector signs in with, as a reference, such as app_key=env:NAME; may be repeated
    #[arg(long = "credential", value_name = "KEY=REFERENCE", value_parser = key_and_value)]
    credentials: Vec<(String, String)>,
    /// Used when a request names no account
    #[arg(long)]
    is_default: bool,
    /// What the bank makes of a fraction of a cent: truncate or half_even [default: truncate]
    #[arg(long, value_name = "RULE")]
    rounding: Option<String>,
}

/// When a boleto is issued under another account than the one that its request led to.
#[derive(Args)]
#[group(multiple = true)]
pub(super) struct RuleFlags {
    /// The account, by its external id, of boletos whose late payment is refused; empty takes the rule away
    #[arg(long, value_name = "ID")]
    when_late_payment_refused: Option<String>,
    /// The account of boletos whose late payment is accepted
    #[arg(long, value_name = "ID")]
    when_late_payment_accepted: Option<String>,
    /// The account of boletos with a fine or interest
    #[arg(long, value_name = "ID")]
    when_fine_or_interest: Option<String>,
}

impl RuleFlags {
    /// Sets the rules that were named, an empty one to none, and leaves the others.
    pub(super) fn apply(self, rules: &mut Option<AccountRules>) {
        let mut changed = rules.clone().unwrap_or_default();
        let fields = [
            (&mut changed.when_late_payment_refused, self.when_late_payment_refused),
            (&mut changed.when_late_payment_accepted, self.when_late_payment_accepted),
            (&mut changed.when_fine_or_interest, self.when_fine_or_interest),
        ];
        for (field, account) in fields {
            if let Some(account) = account {
                *field = account;
            }
        }
        *rules = Some(changed).filter(|rules| *rules != AccountRules::default());
    }
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum IssuerName {
    BancoDoBrasil,
    Bradesco,
    Itau,
    Santander,
    Caixa,
    Inter,
}

impl IssuerName {
    /// The connector that is meant when none is named; none where there are several to choose from.
    fn customary_provider(self) -> &'static str {
        match self {
            Self::BancoDoBrasil => "banco_do_brasil",
            Self::Bradesco => "",
            Self::Itau => "itau",
            Self::Santander => "santander",
            Self::Caixa => "boleto_api",
            Self::Inter => "inter",
        }
    }
}

impl AccountFlags {
    fn into_account(self) -> BankAccount {
        let customary = self.issuer.map_or("", IssuerName::customary_provider);
        let issuer = self.issuer.map(|name| self.agreement(name));
        let beneficiary = Beneficiary {
            name: self.beneficiary_name.unwrap_or_default(),
            tax_id: self.beneficiary_tax_id.unwrap_or_default(),
        };
        BankAccount {
            external_id: self.external_id.unwrap_or_default(),
            display_name: self.display_name.unwrap_or_default(),
            beneficiary: Some(beneficiary).filter(|it| *it != Beneficiary::default()),
            issuer,
            provider: self.provider.unwrap_or_else(|| customary.to_owned()),
            credentials: self.credentials.into_iter().collect(),
            is_default: self.is_default,
            rounding: self.rounding.unwrap_or_default(),
            ..BankAccount::default()
        }
    }

    /// The agreement with that bank: of the numbers only those that it has.
    fn agreement(&self, name: IssuerName) -> Issuer {
        let given = |number: &Option<String>| number.clone().unwrap_or_default();
        let (agency, account, carteira) = (given(&self.agency), given(&self.account), given(&self.carteira));
        let beneficiary = given(&self.beneficiary_code);
        match name {
            IssuerName::BancoDoBrasil => Issuer::BancoDoBrasil(BancoDoBrasilIssuer {
                convenio: given(&self.convenio),
                carteira,
                variacao: given(&self.variacao),
                agency,
                account,
            }),
            IssuerName::Bradesco => Issuer::Bradesco(BradescoIssuer { agency, account, carteira }),
            IssuerName::Itau => {
                let account_dac = given(&self.account_dac);
                Issuer::Itau(ItauIssuer { agency, account, account_dac, carteira })
            }
            IssuerName::Santander => {
                let (ios, workspace_id) = (given(&self.ios), given(&self.workspace_id));
                Issuer::Santander(SantanderIssuer {
                    beneficiary,
                    carteira,
                    ios,
                    agency,
                    account,
                    workspace_id,
                })
            }
            IssuerName::Caixa => Issuer::Caixa(CaixaIssuer { beneficiary, agency }),
            IssuerName::Inter => Issuer::Inter(InterIssuer { account, agency }),
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
        None => {
            let mut account = args.account.into_account();
            args.rules.apply(&mut account.rules);
            account
        }
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
    fn every_bank_is_told_its_own_numbers() {
        let numbers = ["--agency", "1", "--account", "2", "--account-dac", "3", "--carteira", "4"];
        let codes = ["--beneficiary-code", "5", "--ios", "6", "--workspace-id", "w"];
        let made = |bank: &str| {
            let made = account(&[&["--issuer", bank], &numbers[..], &codes[..]].concat());
            (made.issuer.unwrap(), made.provider)
        };
        let text = |digits: &str| digits.to_owned();
        let (agency, account) = (text("1"), text("2"));
        let (account_dac, carteira) = (text("3"), text("4"));
        let issuer = ItauIssuer { agency, account, account_dac, carteira };
        assert_eq!(made("itau"), (Issuer::Itau(issuer), text("itau")));
        let (beneficiary, carteira, ios) = (text("5"), text("4"), text("6"));
        let (agency, account, workspace_id) = (text("1"), text("2"), text("w"));
        let issuer = SantanderIssuer { beneficiary, carteira, ios, agency, account, workspace_id };
        assert_eq!(made("santander"), (Issuer::Santander(issuer), text("santander")));
        let issuer = CaixaIssuer { beneficiary: text("5"), agency: text("1") };
        assert_eq!(made("caixa"), (Issuer::Caixa(issuer), text("boleto_api")));
        let issuer = InterIssuer { account: text("2"), agency: text("1") };
        assert_eq!(made("inter"), (Issuer::Inter(issuer), text("inter")));
    }

    #[test]
    fn credentials_are_pairs_and_keep_their_further_equal_signs() {
        let made = account(&["--issuer", "bradesco", "--credential", "app_key=file:a=b"]);
        assert_eq!(made.credentials, [("app_key".to_owned(), "file:a=b".to_owned())].into());
    }
}
