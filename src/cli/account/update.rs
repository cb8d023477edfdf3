//! `bursar account update`: changes what the flags name, or replaces all that may change.
//!
//! With flags the account is read first and given back with the version that was read, so that a change made by
//! somebody else in between is a conflict and not undone.

use std::path::PathBuf;

use clap::Args;
use tonic::Code;

use super::create::RuleFlags;
use crate::cli::args::key_and_value;
use crate::cli::connection::Connection;
use crate::cli::failure::{Failure, Violation};
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::get_bank_account_request::Key;
use crate::proto::boleto::v1::{BankAccount, GetBankAccountRequest, UpdateBankAccountRequest};

#[derive(Args)]
pub(in crate::cli) struct UpdateArgs {
    id: String,
    /// The whole account as JSON, as `account get --json` prints it; - reads standard input
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["ChangeFlags", "RuleFlags"],
        required_unless_present_any = ["ChangeFlags", "RuleFlags"]
    )]
    file: Option<PathBuf>,
    #[command(flatten)]
    change: ChangeFlags,
    #[command(flatten)]
    rules: RuleFlags,
    /// Why; kept for the audit
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

#[derive(Args)]
#[group(multiple = true)]
struct ChangeFlags {
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    #[arg(long, value_name = "NAME")]
    beneficiary_name: Option<String>,
    #[arg(long, value_name = "NUMBER")]
    beneficiary_tax_id: Option<String>,
    #[arg(long)]
    provider: Option<String>,
    /// Sets one reference, such as app_key=env:NAME, or drops it (app_key=); may be repeated
    #[arg(long = "credential", value_name = "KEY=REFERENCE", value_parser = key_and_value)]
    credentials: Vec<(String, String)>,
    #[arg(long, value_name = "YES", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    is_default: Option<bool>,
    /// What the bank makes of a fraction of a cent: truncate or half_even
    #[arg(long, value_name = "RULE")]
    rounding: Option<String>,
}

impl ChangeFlags {
    fn apply(self, account: &mut BankAccount) {
        let set = |field: &mut String, value: Option<String>| {
            if let Some(value) = value {
                *field = value;
            }
        };
        set(&mut account.external_id, self.external_id);
        set(&mut account.display_name, self.display_name);
        set(&mut account.provider, self.provider);
        set(&mut account.rounding, self.rounding);
        if self.beneficiary_name.is_some() || self.beneficiary_tax_id.is_some() {
            let beneficiary = account.beneficiary.get_or_insert_default();
            set(&mut beneficiary.name, self.beneficiary_name);
            set(&mut beneficiary.tax_id, self.beneficiary_tax_id);
        }
        for (key, reference) in self.credentials {
            match reference.is_empty() {
                true => account.credentials.remove(&key),
                false => account.credentials.insert(key, reference),
            };
        }
        account.is_default = self.is_default.unwrap_or(account.is_default);
    }
}

pub(super) async fn run(
    args: UpdateArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut accounts = connection.bank_accounts();
    let account = match &args.file {
        Some(file) => named(super::read(file)?, &args.id)?,
        None => {
            let request = GetBankAccountRequest { key: Some(Key::Id(args.id.clone())) };
            let answer = connection.call(accounts.get_bank_account(request)).await?;
            let mut account = answer.bank_account.ok_or_else(Failure::empty_answer)?;
            args.change.apply(&mut account);
            args.rules.apply(&mut account.rules);
            account
        }
    };
    let request = UpdateBankAccountRequest { bank_account: Some(account), reason: args.reason };
    let answer = connection.call(accounts.update_bank_account(request)).await?;
    super::show(answer.bank_account, screen)
}

/// The account of a file, under the id of the command; another id in the file is a mistake.
fn named(account: BankAccount, id: &str) -> Result<BankAccount, Failure> {
    if !account.id.is_empty() && account.id != id {
        let description = "the file is about another account than the command".to_owned();
        let violation = Violation { field: "bank_account.id".to_owned(), description };
        return Err(Failure::violated(Code::InvalidArgument, "nothing was changed", vec![violation]));
    }
    Ok(BankAccount { id: id.to_owned(), ..account })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> BankAccount {
        BankAccount {
            id: "a".to_owned(),
            display_name: "before".to_owned(),
            credentials: [("old".to_owned(), "env:OLD".to_owned())].into(),
            is_default: true,
            version: 4,
            ..BankAccount::default()
        }
    }

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: UpdateArgs,
    }

    fn change(flags: &[&str]) -> ChangeFlags {
        let line = <Line as clap::Parser>::try_parse_from([&["update", "a"], flags].concat());
        line.unwrap_or_else(|error| panic!("{error}")).args.change
    }

    #[test]
    fn only_what_the_flags_name_is_changed() {
        let mut changed = account();
        change(&["--display-name", "after", "--credential", "old=", "--credential", "new=env:NEW"])
            .apply(&mut changed);
        let credentials = [("new".to_owned(), "env:NEW".to_owned())].into();
        assert_eq!(changed, BankAccount { display_name: "after".to_owned(), credentials, ..account() });
    }

    #[test]
    fn the_default_is_given_up_only_when_that_is_said() {
        let mut changed = account();
        change(&["--beneficiary-name", "Loja"]).apply(&mut changed);
        assert!(changed.is_default && changed.beneficiary.is_some_and(|it| it.name == "Loja"));
        let mut changed = account();
        change(&["--is-default=false"]).apply(&mut changed);
        assert_eq!(changed, BankAccount { is_default: false, ..account() });
    }

    #[test]
    fn a_file_about_another_account_changes_nothing() {
        assert!(named(account(), "b").is_err());
        let unnamed = BankAccount { id: String::new(), ..account() };
        assert_eq!(named(unnamed, "a").map(|it| it.id).ok(), Some("a".to_owned()));
    }
}
