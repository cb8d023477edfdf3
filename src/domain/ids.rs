//! The names of things: one type an id, so that a boleto's id is never taken for a work row's.
//!
//! **Owns** nothing; ids are made by whoever is given the clock (UUID version 7, so that they sort by age).
//! **Fails** only when text is not a UUID.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(
    /// A boleto.
    BoletoId
);
id!(
    /// A configuration under which boletos are issued with one bank.
    BankAccountId
);
id!(
    /// A change of a boleto; stable over every delivery of the news about it.
    EventId
);
id!(
    /// What a bank was asked to do with a boleto after its registration.
    OrderId
);
id!(
    /// A recorded questioning that a feed offered.
    TransferId
);
id!(
    /// A customer of banks, on whose behalf accounts are read.
    PsuUserId
);
id!(
    /// What a customer has allowed at one bank.
    ConsentId
);
id!(
    /// An account of a customer's at a bank.
    AccountId
);
id!(
    /// A payment that a bank is asked about.
    PaymentId
);
id!(
    /// One visit at a bank for one consent in one run.
    ApiSessionId
);
id!(
    /// An owner's destination.
    EndpointId
);
id!(
    /// What one endpoint is owed about one subject.
    DeliveryId
);
id!(
    /// A run of a job: its execution id, which is its trace id.
    JobRunId
);
id!(
    /// A row of the durable engine.
    WorkId
);
id!(
    /// One life of one process. Dead is final: a process that lost its lease takes a new one.
    RunnerId
);

/// Whose rows these are. At most 63 characters of `[a-z0-9-]`; `default` until more are made.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(String);

impl TenantId {
    /// The tenant that exists from the first migration on.
    pub const DEFAULT: &'static str = "default";

    /// # Errors
    /// Text that is empty, longer than 63 characters, or holds anything but `[a-z0-9-]`.
    pub fn parse(text: &str) -> Result<Self, InvalidTenantId> {
        let fits = !text.is_empty() && text.len() <= 63;
        let plain =
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if fits && plain { Ok(Self(text.to_owned())) } else { Err(InvalidTenantId) }
    }

    /// The id as it stands in the store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TenantId {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text names no tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tenant id is 1 to 63 characters of a-z, 0-9 and hyphen")]
pub struct InvalidTenantId;
