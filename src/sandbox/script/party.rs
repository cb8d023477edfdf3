//! Who is asked: every door at which the outside can be told to misbehave.
//!
//! **Owns** nothing. A party of a bank is written `bank.act`, such as `santander.register`; `bank` alone is Banco do
//! Brasil, which was the sandbox's first.
//! **Fails** to read a name that is no party's.
//! **Limits**: one script for each act of each bank, whichever account asks.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::sandbox::aspsp::ASPSPS_MAX;

/// A bank of the sandbox, by the protocol that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BankName {
    /// Cobranças v2.
    BancoDoBrasil,
    /// The gateway in front of ShopFacil and Caixa.
    BoletoApi,
    /// Bradesco's `apiregistro`.
    BradescoApiregistro,
    /// Bradesco's ShopFacil, spoken to directly.
    BradescoShopfacil,
    /// collection_bill_management v2.
    Santander,
    /// Cobrança v3.
    Inter,
    /// cash_management v2.
    Itau,
}

impl BankName {
    /// Every bank.
    pub const ALL: [BankName; 7] = [
        BankName::BancoDoBrasil,
        BankName::BoletoApi,
        BankName::BradescoApiregistro,
        BankName::BradescoShopfacil,
        BankName::Santander,
        BankName::Inter,
        BankName::Itau,
    ];

    /// The name in scripts, payments and ledger keys.
    pub fn as_str(self) -> &'static str {
        match self {
            BankName::BancoDoBrasil => "bank",
            BankName::BoletoApi => "boleto_api",
            BankName::BradescoApiregistro => "bradesco_apiregistro",
            BankName::BradescoShopfacil => "bradesco_shopfacil",
            BankName::Santander => "santander",
            BankName::Inter => "inter",
            BankName::Itau => "itau",
        }
    }
}

/// What a bank is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Act {
    /// Signs a caller in.
    Token,
    /// Puts a title on file.
    Register,
    /// Tells what is on file about one title.
    LookUp,
    /// Changes a title.
    Amend,
    /// Takes a title off file (baixa).
    WriteOff,
    /// Tells about many titles.
    List,
    /// Makes, ends or shows a title's Pix code.
    Pix,
    /// Makes a workspace.
    Workspace,
    /// Draws a title, or shows its page.
    Document,
}

impl Act {
    const ALL: [Act; 9] = [
        Act::Token,
        Act::Register,
        Act::LookUp,
        Act::Amend,
        Act::WriteOff,
        Act::List,
        Act::Pix,
        Act::Workspace,
        Act::Document,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Act::Token => "token",
            Act::Register => "register",
            Act::LookUp => "look_up",
            Act::Amend => "amend",
            Act::WriteOff => "write_off",
            Act::List => "list",
            Act::Pix => "pix",
            Act::Workspace => "workspace",
            Act::Document => "document",
        }
    }
}

/// At which step the mail server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SmtpStep {
    /// Somebody has connected.
    Greeting,
    /// An address is named.
    Recipient,
    /// A message's content has come to its end.
    Message,
}

impl SmtpStep {
    const ALL: [SmtpStep; 3] = [SmtpStep::Greeting, SmtpStep::Recipient, SmtpStep::Message];

    fn as_str(self) -> &'static str {
        match self {
            SmtpStep::Greeting => "greeting",
            SmtpStep::Recipient => "recipient",
            SmtpStep::Message => "message",
        }
    }
}

/// What the transfers' database is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FirebaseStep {
    /// To say what happens from now on.
    Stream,
    /// What is there.
    Read,
    /// To change something.
    Write,
    /// To exchange an assertion for a token.
    Token,
    /// A recorded answer.
    Audio,
}

impl FirebaseStep {
    const ALL: [FirebaseStep; 5] = [
        FirebaseStep::Stream,
        FirebaseStep::Read,
        FirebaseStep::Write,
        FirebaseStep::Token,
        FirebaseStep::Audio,
    ];

    fn as_str(self) -> &'static str {
        match self {
            FirebaseStep::Stream => "stream",
            FirebaseStep::Read => "read",
            FirebaseStep::Write => "write",
            FirebaseStep::Token => "token",
            FirebaseStep::Audio => "audio",
        }
    }
}

/// A vendor that analyses recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VendorName {
    /// Nemesysco's cloud, one recording a call.
    Ra7,
    /// Nemesysco's site for a container.
    Container,
    /// Nemesysco's cloud, several questions a call.
    Cloud,
    /// Emotion Logic's cloud.
    EmotionLogic,
}

impl VendorName {
    const ALL: [VendorName; 4] =
        [VendorName::Ra7, VendorName::Container, VendorName::Cloud, VendorName::EmotionLogic];

    /// The name in scripts and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            VendorName::Ra7 => "ra7",
            VendorName::Container => "container",
            VendorName::Cloud => "cloud",
            VendorName::EmotionLogic => "emotion_logic",
        }
    }
}

/// What a bank of open banking is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AspspStep {
    /// Another access token.
    Token,
    /// A consent, or how it stands.
    Consent,
    /// The accounts of a consent.
    Accounts,
    /// One of them.
    Account,
    /// What is in it.
    Balances,
    /// A page of what moved it.
    Transactions,
    /// A page of what waits, where that is a list of its own.
    Pending,
    /// A page of holds.
    Holds,
    /// How one payment stands.
    Payment,
    /// How many stand.
    Payments,
    /// How a bundle stands.
    Bundle,
    /// How a recurring payment stands.
    Recurring,
    /// Of the service in between, to refresh all of a user's accounts.
    Refresh,
}

impl AspspStep {
    const ALL: [AspspStep; 13] = [
        AspspStep::Token,
        AspspStep::Consent,
        AspspStep::Accounts,
        AspspStep::Account,
        AspspStep::Balances,
        AspspStep::Transactions,
        AspspStep::Pending,
        AspspStep::Holds,
        AspspStep::Payment,
        AspspStep::Payments,
        AspspStep::Bundle,
        AspspStep::Recurring,
        AspspStep::Refresh,
    ];

    /// The name in scripts and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            AspspStep::Token => "token",
            AspspStep::Consent => "consent",
            AspspStep::Accounts => "accounts",
            AspspStep::Account => "account",
            AspspStep::Balances => "balances",
            AspspStep::Transactions => "transactions",
            AspspStep::Pending => "pending",
            AspspStep::Holds => "holds",
            AspspStep::Payment => "payment",
            AspspStep::Payments => "payments",
            AspspStep::Bundle => "bundle",
            AspspStep::Recurring => "recurring",
            AspspStep::Refresh => "refresh",
        }
    }
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Party {
    /// One act of one bank. An act that the bank does not know is never asked for.
    Bank(BankName, Act),
    /// Any action of the queue service.
    Sqs,
    /// Any webhook receiver.
    Webhook,
    /// The stream, of each message.
    Nats,
    /// One step of handing the mail server a message.
    Smtp(SmtpStep),
    /// The transfers' database, by what it is asked for.
    Firebase(FirebaseStep),
    /// One vendor, of each analysis.
    Vendor(VendorName),
    /// One bank of open banking, by its number and by what it is asked for.
    Aspsp(u8, AspspStep),
}

// Banco do Brasil is "the bank" of every story that could be any bank's, so its parties have names of one word.
#[allow(non_upper_case_globals)]
impl Party {
    /// Banco do Brasil's token endpoint.
    pub const BankToken: Party = Party::Bank(BankName::BancoDoBrasil, Act::Token);
    /// Registration with Banco do Brasil.
    pub const BankRegister: Party = Party::Bank(BankName::BancoDoBrasil, Act::Register);
    /// Look-up of one title at Banco do Brasil.
    pub const BankLookUp: Party = Party::Bank(BankName::BancoDoBrasil, Act::LookUp);
    /// Change of a title at Banco do Brasil.
    pub const BankAmend: Party = Party::Bank(BankName::BancoDoBrasil, Act::Amend);
    /// Cancellation (baixa) at Banco do Brasil.
    pub const BankWriteOff: Party = Party::Bank(BankName::BancoDoBrasil, Act::WriteOff);
    /// Banco do Brasil's list of titles.
    pub const BankList: Party = Party::Bank(BankName::BancoDoBrasil, Act::List);
}

impl Party {
    /// Every party.
    pub fn all() -> impl Iterator<Item = Party> {
        let banks = BankName::ALL.into_iter();
        let aspsps = 0..ASPSPS_MAX;
        banks
            .flat_map(|bank| Act::ALL.into_iter().map(move |act| Party::Bank(bank, act)))
            .chain([Party::Sqs, Party::Webhook, Party::Nats])
            .chain(SmtpStep::ALL.map(Party::Smtp))
            .chain(FirebaseStep::ALL.map(Party::Firebase))
            .chain(VendorName::ALL.map(Party::Vendor))
            .chain(aspsps.flat_map(|bank| AspspStep::ALL.map(|step| Party::Aspsp(bank, step))))
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Party::Bank(bank, act) => write!(f, "{}.{}", bank.as_str(), act.as_str()),
            Party::Sqs => f.write_str("sqs"),
            Party::Webhook => f.write_str("webhook"),
            Party::Nats => f.write_str("nats"),
            Party::Smtp(step) => write!(f, "smtp.{}", step.as_str()),
            Party::Vendor(vendor) => write!(f, "vendor.{}", vendor.as_str()),
            Party::Firebase(step) => write!(f, "firebase.{}", step.as_str()),
            Party::Aspsp(bank, step) => write!(f, "aspsp.{bank}.{}", step.as_str()),
        }
    }
}

impl From<Party> for String {
    fn from(party: Party) -> String {
        party.to_string()
    }
}

impl TryFrom<String> for Party {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Party::all().find(|party| party.to_string() == text).ok_or_else(|| "no such party".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_party_reads_back_from_its_own_name() {
        for party in Party::all() {
            assert_eq!(Party::try_from(party.to_string()), Ok(party));
        }
        assert_eq!(Party::BankLookUp.to_string(), "bank.look_up");
        assert!(Party::try_from("bank".to_owned()).is_err());
    }
}
