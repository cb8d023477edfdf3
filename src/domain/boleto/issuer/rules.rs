//! What a configuration of an agreement can get wrong.
//!
//! **Owns** nothing. **Fails** never: every broken rule is a violation, with the path from `issuer.` on, and the rule
//! in words without the value.

use std::ops::RangeInclusive;

use super::{Issuer, itau};
use crate::domain::boleto::check_digit::mod10;
use crate::domain::violation::Violation;

impl Issuer {
    /// Every rule that the configuration breaks, with paths from `issuer.` on.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Found(Vec::new());
        match self {
            Self::BancoDoBrasil { convenio, carteira, variacao, agency, account } => {
                let known = matches!(convenio.len(), 4 | 6 | 7) && is_digits(convenio);
                // Seven digits that begin with 0 would be a shorter convênio with another layout.
                if !known || convenio.starts_with('0') {
                    found.add("convenio", "4, 6 or 7 digits, the first not 0");
                }
                found.require("carteira", carteira, 2..=2);
                found.require("variacao", variacao, 1..=3);
                let needed =
                    matches!(convenio.len(), 4 | 6).then_some("needed with a convênio of 4 or 6 digits");
                found.require_if("agency", agency.as_deref(), 4..=4, needed);
                found.require_if("account", account.as_deref(), 1..=8, needed);
            }
            Self::Bradesco { agency, account, carteira } => {
                found.require("agency", agency, 4..=4);
                found.require("account", account, 1..=7);
                found.require("carteira", carteira, 2..=2);
            }
            Self::Itau { agency, account, account_dac, carteira } => {
                found.itau(agency, account, account_dac, carteira);
            }
            Self::Santander { beneficiary, carteira, ios, agency, account, workspace_id } => {
                found.require("beneficiary", beneficiary, 7..=7);
                found.one_of("carteira", carteira, &["101", "102", "201"]);
                // Insurers alone have another than 0.
                found.one_of("ios", ios, &["0", "7", "9"]);
                found.require_if("agency", agency.as_deref(), 4..=4, None);
                found.require_if("account", account.as_deref(), 1..=12, None);
                if workspace_id.as_deref().is_some_and(|id| !is_workspace(id)) {
                    found.add("workspace_id", "letters, digits and hyphens, at most 64");
                }
            }
            Self::Caixa { beneficiary, agency } => {
                found.require("beneficiary", beneficiary, 6..=7);
                found.require_if("agency", agency.as_deref(), 4..=4, None);
            }
            Self::Inter { account, agency } => {
                found.require("account", account, 1..=12);
                found.require_if("agency", agency.as_deref(), 4..=4, None);
            }
        }
        found.0
    }
}

/// The violations found so far.
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, field: &str, description: impl Into<String>) {
        self.0.push(Violation::new(format!("issuer.{field}"), description));
    }

    fn require(&mut self, field: &str, text: &str, lengths: RangeInclusive<usize>) {
        if is_digits(text) && lengths.contains(&text.len()) {
            return;
        }
        let (min, max) = lengths.into_inner();
        let rule = if min == max { format!("{max} digits") } else { format!("{min} to {max} digits") };
        self.add(field, rule);
    }

    /// As [`Found::require`], for what may be absent unless there is a reason that it is needed.
    fn require_if(
        &mut self,
        field: &str,
        text: Option<&str>,
        lengths: RangeInclusive<usize>,
        needed: Option<&str>,
    ) {
        match (text, needed) {
            (Some(text), _) => self.require(field, text, lengths),
            (None, Some(reason)) => self.add(field, reason),
            (None, None) => {}
        }
    }

    fn one_of(&mut self, field: &str, text: &str, known: &[&str]) {
        if !known.contains(&text) {
            self.add(field, format!("one of: {}", known.join(", ")));
        }
    }

    fn itau(&mut self, agency: &str, account: &str, account_dac: &str, carteira: &str) {
        let right_so_far = self.0.len();
        self.require("agency", agency, 4..=4);
        self.require("account", account, 5..=5);
        let known = self.0.len() == right_so_far;
        self.require("account_dac", account_dac, 1..=1);
        let counted = mod10(format!("{agency}{account}").as_bytes());
        if known && is_digits(account_dac) && account_dac.len() == 1 && account_dac.as_bytes() != [counted] {
            self.add("account_dac", "must be the check digit of agency and account, by modulo 10");
        }
        let before = self.0.len();
        self.require("carteira", carteira, 3..=3);
        if self.0.len() == before
            && let Err(reason) = itau::layout(carteira)
        {
            self.add("carteira", reason);
        }
    }
}

fn is_workspace(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
