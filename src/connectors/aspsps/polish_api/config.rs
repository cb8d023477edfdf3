//! What one ASPSP does otherwise than the next that speaks PolishAPI.
//!
//! **Owns** nothing. The defaults are those of 2.1.2.

use serde::{Deserialize, Serialize};

use crate::connectors::aspsps::TransactionList;

/// Quirks of an ASPSP of this standard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolishApiConfig {
    /// As it stands in the path: `2_1_1.1`, `2_1_2.1`, `3_0.1`.
    pub version: String,
    /// What stands behind the base address, with `{version}`, `{service}` and `{operation}` filled in.
    pub path: String,
    /// By what the ASPSP knows us; empty: it is not told.
    pub tpp_id: String,
    /// Of the client that refreshes tokens; empty: it is not told.
    pub client_id: String,
    /// In which language it is to answer.
    pub language: String,
    /// Which lists there are besides those that are done.
    pub pending: bool,
    pub scheduled: bool,
    pub rejected: bool,
    pub cancelled: bool,
    pub holds: bool,
    /// How many payments one call of `getMultiplePayments` asks about; 1: there is no such call.
    pub payments_max: usize,
    /// Whether messages go without a signature, to a trial environment that takes them so.
    pub unsigned: bool,
    /// Whether the signature's header names the certificate by its digest (`x5t#S256`).
    pub names_certificate: bool,
    /// Whether the signature's header holds the certificate (`x5c`).
    pub holds_certificate: bool,
    /// Whether the body is signed as it is and not in Base64 (RFC 7797).
    pub signs_plain_body: bool,
}

impl Default for PolishApiConfig {
    fn default() -> Self {
        Self {
            version: "2_1_2.1".to_owned(),
            path: "v{version}/{service}/v{version}/{operation}".to_owned(),
            tpp_id: String::new(),
            client_id: String::new(),
            language: "pl".to_owned(),
            pending: true,
            scheduled: false,
            rejected: false,
            cancelled: false,
            holds: true,
            payments_max: 50,
            unsigned: false,
            names_certificate: false,
            holds_certificate: false,
            signs_plain_body: false,
        }
    }
}

impl PolishApiConfig {
    /// The lists that the ASPSP has.
    pub(super) fn lists(&self) -> Vec<TransactionList> {
        let lists = [
            (TransactionList::Booked, true),
            (TransactionList::Pending, self.pending),
            (TransactionList::Scheduled, self.scheduled),
            (TransactionList::Rejected, self.rejected),
            (TransactionList::Cancelled, self.cancelled),
        ];
        lists.into_iter().filter(|(_, has)| *has).map(|(list, _)| list).collect()
    }

    /// Where an operation is, behind the base address.
    pub(super) fn path_of(&self, service: &str, operation: &str) -> Vec<String> {
        let filled = self
            .path
            .replace("{version}", &self.version)
            .replace("{service}", service)
            .replace("{operation}", operation);
        filled.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
    }
}
