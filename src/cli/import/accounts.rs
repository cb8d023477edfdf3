//! From the configurations of the service before, and from what its boletos were issued under, to bank accounts.
//!
//! A boleto there says itself under which agreement it was issued, for the rules of that service could lead away from any
//! configuration. So an agreement that no configuration has gets an account of its own.
//!
//! **Owns** nothing. **Fails** per agreement, with every rule of ours that it breaks.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::bank_account::{AccountRules, BankAccount, Beneficiary, Provider};
use crate::domain::boleto::issuer::Issuer;
use crate::domain::ids::{BankAccountId, TenantId};
use crate::domain::money::Rounding;
use crate::store::superbowleto::{LegacyAgreement, LegacyConfiguration};

/// The configuration that was taken where a request named none.
const DEFAULT_CONFIGURATION: &str = "pagarme";

/// What every account is made with.
pub(super) struct Common {
    pub tenant: TenantId,
    pub beneficiary: Beneficiary,
    /// By connector.
    pub credentials: BTreeMap<Provider, BTreeMap<String, String>>,
    pub now: DateTime<Utc>,
}

/// An agreement as that service named it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Agreement {
    pub issuer: String,
    pub agency: String,
    pub account: String,
    pub wallet: String,
}

/// An account to be taken over, and the first number that it has not given out.
pub(super) struct Wanted {
    pub account: BankAccount,
    pub next_sequence: i64,
}

/// An agreement that no account can be made of.
pub(super) struct Unusable {
    pub external_id: String,
    pub reasons: Vec<String>,
}

/// Which account a boleto belongs to.
#[derive(Default)]
pub(super) struct Directory {
    by_name: HashMap<(String, Agreement), BankAccount>,
    by_agreement: HashMap<Agreement, BankAccount>,
}

impl Directory {
    /// Enters an account under its external id; the first of an agreement is the one for boletos without a name.
    pub fn enter(&mut self, agreement: Agreement, account: &BankAccount) {
        let name = account.external_id.clone().unwrap_or_default();
        self.by_name.insert((name, agreement.clone()), account.clone());
        self.by_agreement.entry(agreement).or_insert_with(|| account.clone());
    }

    /// The account of a boleto that was issued under `agreement`, for whoever named `external_id`.
    pub fn find(&self, external_id: Option<&str>, agreement: &Agreement) -> Option<&BankAccount> {
        let named = external_id.and_then(|name| self.by_name.get(&(name.to_owned(), agreement.clone())));
        named.or_else(|| self.by_agreement.get(agreement))
    }
}

/// Everything that is to become an account, in the order in which it is to be made.
pub(super) fn wanted(
    common: &Common,
    configurations: &[LegacyConfiguration],
    agreements: &[LegacyAgreement],
) -> (Vec<(Agreement, Wanted)>, Vec<Unusable>) {
    let numbers: HashMap<Agreement, i64> =
        agreements.iter().map(|known| (Agreement::of_boletos(known), known.title_id_max)).collect();
    let named = configurations
        .iter()
        .map(|configuration| (configuration.external_id.clone(), Agreement::of_configuration(configuration)));
    let configured: Vec<(String, Agreement)> = named.collect();
    let unnamed = agreements.iter().map(Agreement::of_boletos);
    let unnamed = unnamed.filter(|agreement| configured.iter().all(|(_, known)| known != agreement));
    let unnamed: Vec<(String, Agreement)> =
        unnamed.map(|agreement| (agreement.external_id(), agreement)).collect();
    let (mut made, mut unusable) = (Vec::new(), Vec::new());
    for (external_id, agreement) in configured.into_iter().chain(unnamed) {
        match account(common, &external_id, &agreement) {
            Ok(account) => {
                let next_sequence = numbers.get(&agreement).map_or(1, |last| last.saturating_add(1)).max(1);
                made.push((agreement, Wanted { account, next_sequence }));
            }
            Err(reasons) => unusable.push(Unusable { external_id, reasons }),
        }
    }
    (made, unusable)
}

fn account(common: &Common, external_id: &str, agreement: &Agreement) -> Result<BankAccount, Vec<String>> {
    let (provider, issuer) = agreement.issuer()?;
    let mut reasons: Vec<String> = issuer
        .violations()
        .into_iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect();
    let length = external_id.chars().count();
    if !(1..=255).contains(&length) {
        reasons.push("external_id: 1 to 255 characters".to_owned());
    }
    if !reasons.is_empty() {
        return Err(reasons);
    }
    Ok(BankAccount {
        id: BankAccountId(Uuid::now_v7()),
        tenant_id: common.tenant.clone(),
        external_id: Some(external_id.to_owned()),
        display_name: external_id.chars().take(60).collect(),
        beneficiary: common.beneficiary.clone(),
        issuer,
        provider,
        credentials: common.credentials.get(&provider).cloned().unwrap_or_default(),
        is_default: external_id == DEFAULT_CONFIGURATION,
        rounding: Rounding::Truncate,
        rules: AccountRules::default(),
        version: 1,
        created_at: common.now,
        updated_at: common.now,
    })
}

impl Agreement {
    fn of_configuration(configuration: &LegacyConfiguration) -> Self {
        Self {
            issuer: configuration.issuer.clone(),
            agency: configuration.issuer_agency.clone(),
            account: configuration.issuer_account.clone(),
            wallet: configuration.issuer_wallet.clone(),
        }
    }

    fn of_boletos(known: &LegacyAgreement) -> Self {
        Self::new(&known.issuer, &known.issuer_agency, &known.issuer_account, &known.issuer_wallet)
    }

    /// What is absent there is empty here.
    pub fn new(
        issuer: &str,
        agency: &Option<String>,
        account: &Option<String>,
        wallet: &Option<String>,
    ) -> Self {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        Self { issuer: issuer.to_owned(), agency: text(agency), account: text(account), wallet: text(wallet) }
    }

    /// What an account is called that no configuration named.
    fn external_id(&self) -> String {
        format!("superbowleto/{}/{}/{}/{}", self.issuer, self.agency, self.account, self.wallet)
    }

    /// All numbers of the four providers but Caixa's were Bradesco's, and so were the codes.
    fn issuer(&self) -> Result<(Provider, Issuer), Vec<String>> {
        let provider = match self.issuer.as_str() {
            "bradesco" => Provider::BradescoApiregistro,
            "boleto-api-bradesco-shopfacil" | "boleto-api-caixa" => Provider::BoletoApi,
            "development" => Provider::Development,
            _ => return Err(vec!["issuer: none of the four that the service before had".to_owned()]),
        };
        let (agency, account) = (self.agency.clone(), self.account.clone());
        let issuer = if self.issuer == "boleto-api-caixa" {
            Issuer::Caixa { beneficiary: account, agency: Some(agency) }
        } else {
            Issuer::Bradesco { agency, account, carteira: self.wallet.clone() }
        };
        Ok((provider, issuer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tax_id::TaxId;

    fn common() -> Common {
        let tax_id = TaxId::parse("18727053000174").unwrap();
        Common {
            tenant: TenantId::default(),
            beneficiary: Beneficiary { name: "Loja Exemplo Ltda".to_owned(), tax_id },
            credentials: BTreeMap::new(),
            now: DateTime::UNIX_EPOCH,
        }
    }

    fn configuration(external_id: &str, issuer: &str, parts: [&str; 3]) -> LegacyConfiguration {
        let [issuer_agency, issuer_account, issuer_wallet] = parts.map(str::to_owned);
        let (external_id, issuer) = (external_id.to_owned(), issuer.to_owned());
        LegacyConfiguration { external_id, issuer, issuer_account, issuer_agency, issuer_wallet }
    }

    fn agreement(issuer: &str, parts: [&str; 3], title_id_max: i64) -> LegacyAgreement {
        let [issuer_agency, issuer_account, issuer_wallet] = parts.map(|part| Some(part.to_owned()));
        let issuer = issuer.to_owned();
        LegacyAgreement { issuer, issuer_account, issuer_agency, issuer_wallet, title_id_max, boletos: 1 }
    }

    #[test]
    fn configurations_and_what_no_configuration_has_become_accounts() {
        let configurations = [
            configuration("pagarme", "bradesco", ["3381", "9721", "26"]),
            configuration("caixa", "boleto-api-caixa", ["3337", "1103388", "14"]),
        ];
        let agreements = [
            agreement("bradesco", ["3381", "9721", "26"], 41),
            agreement("bradesco", ["1229", "469", "25"], 77),
        ];
        let (made, unusable) = wanted(&common(), &configurations, &agreements);
        assert!(unusable.is_empty());
        let told: Vec<_> = made
            .iter()
            .map(|(_, wanted)| {
                let account = &wanted.account;
                (account.external_id.as_deref().unwrap(), account.issuer.bank_code(), wanted.next_sequence)
            })
            .collect();
        assert_eq!(
            told,
            [("pagarme", "237", 42), ("caixa", "104", 1), ("superbowleto/bradesco/1229/469/25", "237", 78)]
        );
        assert_eq!(made.iter().filter(|(_, wanted)| wanted.account.is_default).count(), 1);
        let mut directory = Directory::default();
        for (agreement, wanted) in &made {
            directory.enter(agreement.clone(), &wanted.account);
        }
        let found = directory.find(Some("of somebody else's"), &made[2].0).unwrap();
        assert_eq!(found.id, made[2].1.account.id);
    }

    #[test]
    fn what_our_rules_refuse_is_told_with_its_reasons() {
        let configurations = [
            configuration("odd", "bradesco", ["33818", "x", "2"]),
            configuration("other", "itau", ["1", "2", "3"]),
        ];
        let (made, unusable) = wanted(&common(), &configurations, &[]);
        assert!(made.is_empty());
        assert_eq!(unusable[0].external_id, "odd");
        assert!(unusable[0].reasons.len() >= 3, "{:?}", unusable[0].reasons);
        assert_eq!(unusable[1].reasons.len(), 1);
    }
}
