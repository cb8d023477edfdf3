//! What the statuses of payments and consents mean, as both standards write them.
//!
//! **Owns** nothing. **Fails** by not knowing: a code that nobody knows leaves a payment in progress and says so, because a guessed
//! end would be believed for ever. **Limits**: ACSP may be the last that an ASPSP ever tells, so that the caller's patience must
//! end by itself; ACSC and ACCC are both done, whichever comes first.

/// Where a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentStatus {
    InProgress,
    Done,
    Rejected,
    Cancelled,
    /// A recurring payment that has run out.
    Closed,
    /// Parts of it ended each in its own way: their own statuses are to be read.
    SeeChildren,
}

impl PaymentStatus {
    /// The name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Closed => "closed",
            Self::SeeChildren => "see_children",
        }
    }

    /// Whether it stays so.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::InProgress | Self::SeeChildren)
    }
}

/// What kind of payment is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentKind {
    Single,
    Bundle,
    Recurring,
}

/// A status as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldStatus {
    pub status: PaymentStatus,
    /// The ASPSP's own code.
    pub raw: String,
    /// Whether we know the code; one that we do not is taken for "in progress".
    pub is_known: bool,
}

impl ToldStatus {
    fn new(raw: &str, status: Option<PaymentStatus>) -> Self {
        Self {
            status: status.unwrap_or(PaymentStatus::InProgress),
            raw: raw.to_owned(),
            is_known: status.is_some(),
        }
    }

    /// A code of ISO 20022, as Berlin Group uses them.
    pub(super) fn iso(raw: &str, kind: PaymentKind) -> Self {
        let status = match raw.to_ascii_uppercase().as_str() {
            "RCVD" | "PDNG" | "ACTC" | "ACCP" | "ACFC" | "ACWC" | "ACWP" | "ACSP" | "PATC" => {
                Some(PaymentStatus::InProgress)
            }
            "ACSC" | "ACCC" => Some(PaymentStatus::Done),
            "RJCT" => Some(PaymentStatus::Rejected),
            "CANC" => Some(PaymentStatus::Cancelled),
            // Only a bundle has parts.
            "PART" if kind == PaymentKind::Bundle => Some(PaymentStatus::SeeChildren),
            _ => None,
        };
        Self::new(raw, status)
    }

    /// A status of PolishAPI.
    pub(super) fn polish(raw: &str, kind: PaymentKind) -> Self {
        let word = raw.to_ascii_lowercase();
        let status = match (kind, word.as_str()) {
            (PaymentKind::Single, "submitted" | "pending" | "scheduled")
            | (PaymentKind::Bundle, "inprogress")
            | (PaymentKind::Recurring, "submitted" | "inprogress") => Some(PaymentStatus::InProgress),
            (PaymentKind::Single | PaymentKind::Bundle, "done") => Some(PaymentStatus::Done),
            (PaymentKind::Single, "rejected") => Some(PaymentStatus::Rejected),
            (_, "cancelled") => Some(PaymentStatus::Cancelled),
            (PaymentKind::Bundle, "partiallydone") => Some(PaymentStatus::SeeChildren),
            (PaymentKind::Recurring, "close") => Some(PaymentStatus::Closed),
            _ => None,
        };
        Self::new(raw, status)
    }
}

/// Where a consent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsentStatus {
    /// Not authorised yet, or not by everybody.
    Pending,
    Valid,
    Rejected,
    Expired,
    /// By the PSU.
    Revoked,
    /// By us.
    Terminated,
    /// A code of the ASPSP's own: neither good nor ended, as far as anybody can tell.
    Unknown,
}

impl ConsentStatus {
    /// The name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Valid => "valid",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Terminated => "terminated",
            Self::Unknown => "unknown",
        }
    }

    /// A status of Berlin Group.
    pub(super) fn berlin(raw: &str) -> Self {
        match raw {
            "received" | "partiallyAuthorised" => Self::Pending,
            "valid" => Self::Valid,
            "rejected" => Self::Rejected,
            "expired" => Self::Expired,
            "revokedByPsu" => Self::Revoked,
            "terminatedByTpp" => Self::Terminated,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_codes_mean_what_the_table_says() {
        use PaymentStatus::*;
        for (status, codes) in [
            (
                InProgress,
                vec!["RCVD", "PDNG", "ACTC", "ACCP", "ACFC", "ACWC", "ACWP", "ACSP", "PATC", "acsp"],
            ),
            (Done, vec!["ACSC", "ACCC"]),
            (Rejected, vec!["RJCT"]),
            (Cancelled, vec!["CANC"]),
        ] {
            for code in codes {
                let told = ToldStatus::iso(code, PaymentKind::Single);
                assert_eq!((told.status, told.is_known, told.raw.as_str()), (status, true, code));
            }
        }
        assert_eq!(ToldStatus::iso("PART", PaymentKind::Bundle).status, SeeChildren);
        for (code, kind) in
            [("PART", PaymentKind::Single), ("ACXX", PaymentKind::Bundle), ("", PaymentKind::Single)]
        {
            let told = ToldStatus::iso(code, kind);
            assert_eq!((told.status, told.is_known, told.raw.as_str()), (InProgress, false, code));
        }
    }

    #[test]
    fn polish_statuses_mean_what_the_table_says() {
        use PaymentKind::*;
        use PaymentStatus::*;
        for (kind, code, status) in [
            (Single, "submitted", Some(InProgress)),
            (Single, "pending", Some(InProgress)),
            (Single, "scheduled", Some(InProgress)),
            (Single, "done", Some(Done)),
            (Single, "rejected", Some(Rejected)),
            (Single, "cancelled", Some(Cancelled)),
            (Bundle, "inProgress", Some(InProgress)),
            (Bundle, "done", Some(Done)),
            (Bundle, "cancelled", Some(Cancelled)),
            (Bundle, "partiallyDone", Some(SeeChildren)),
            (Recurring, "submitted", Some(InProgress)),
            (Recurring, "inProgress", Some(InProgress)),
            (Recurring, "cancelled", Some(Cancelled)),
            (Recurring, "close", Some(Closed)),
            (Single, "close", None),
            (Bundle, "rejected", None),
            (Recurring, "done", None),
        ] {
            let told = ToldStatus::polish(code, kind);
            assert_eq!(told.is_known, status.is_some(), "{kind:?} {code}");
            assert_eq!(told.status, status.unwrap_or(InProgress), "{kind:?} {code}");
            assert_eq!(told.raw, code);
        }
    }

    #[test]
    fn only_ends_are_final() {
        use PaymentStatus::*;
        for status in [InProgress, Done, Rejected, Cancelled, Closed, SeeChildren] {
            assert_eq!(status.is_final(), !matches!(status, InProgress | SeeChildren), "{}", status.as_str());
        }
        assert_eq!(ConsentStatus::berlin("revokedByPsu"), ConsentStatus::Revoked);
        assert_eq!(ConsentStatus::berlin("partiallyAuthorised"), ConsentStatus::Pending);
        assert_eq!(ConsentStatus::berlin("VALID"), ConsentStatus::Unknown);
    }
}
