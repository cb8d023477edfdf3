//! What a bank says happened to a boleto, held against what is written down here.
//!
//! **Owns** nothing. **Fails** nowhere: what does not fit becomes a [`Finding`], for a person to look at.
//! **Limits**: banks give each title's total, so what is missing here is the total less what is written down, whoever told
//! it: a payment that its owner reported first is not counted again. Whether the total was enough is the bank's business.

use chrono::NaiveDate;

use super::boleto::payment::status_after;
use super::boleto::status::Status;
use super::money::Cents;

/// Something that happened to one title at the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Without its check digit; empty where the bank gives none.
    pub nosso_numero: String,
    /// The bank's own name for it.
    pub bank_reference: Option<String>,
    pub happened: Happened,
    /// The bank's code for it.
    pub response_code: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// Paid, all that is to come.
    Paid { total: Cents, on: NaiveDate },
    /// Paid in part; this much by then.
    PartlyPaid { total: Cents, on: NaiveDate },
    /// Taken off file; not every bank says when.
    Cancelled { on: Option<NaiveDate> },
    /// Paid, without word of how much or when.
    PaidUnsaid,
    /// Nothing: it is on file and open.
    Nothing,
    /// The bank has no such title.
    NotOnFile,
    /// The title under its number differs in these parts.
    Differs { parts: String },
}

/// A boleto as it is written down here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub status: Status,
    /// All that was paid so far, whoever told it.
    pub paid: Cents,
}

/// What a fact means for a boleto.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// A payment that is to be written down.
    pub payment: Option<Missing>,
    /// The boleto ends so, without a payment that would say it.
    pub ends_as: Option<Status>,
    pub finding: Option<Finding>,
}

/// What of the bank's total is not written down yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    pub amount: Cents,
    pub is_partial: bool,
}

/// The bank and we disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub kind: DifferenceKind,
    /// The same for as long as neither side changes, so that what a person has settled stays settled.
    pub detail: String,
}

/// In what the bank and we disagree. What a payment shows begins with `paid`, what a cancellation shows with `cancelled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DifferenceKind {
    /// Nobody here knows the bank's title.
    UnknownTitle,
    /// What was paid is another sum there.
    PaidAmount,
    /// Paid in full here, in part there.
    PaidInPart,
    /// Paid there; not registered here yet.
    PaidUnregistered,
    /// Paid there; refused here.
    PaidRefused,
    /// Paid there; cancelled here.
    PaidCancelled,
    /// Paid there; nobody has decided here whether it is ours.
    PaidInReview,
    /// Off file there; not registered here yet.
    CancelledUnregistered,
    /// Off file there; paid here.
    CancelledPaid,
    /// Off file there; nobody has decided here whether it is ours.
    CancelledInReview,
    /// Paid there, and the bank does not say how much or when.
    PaidUnsaid,
    /// On file here; the bank has no such title.
    NotOnFile,
    /// The bank has another title under the number.
    TitleDiffers,
}

impl Fact {
    /// What the bank calls the title.
    pub fn subject(&self) -> &str {
        match (&self.bank_reference, self.nosso_numero.as_str()) {
            (Some(reference), "") => reference,
            (_, number) => number,
        }
    }

    /// What is found where nobody here knows the title.
    pub fn of_nobody(&self) -> Finding {
        Finding {
            kind: DifferenceKind::UnknownTitle,
            detail: format!("the bank has {}", self.happened.words()),
        }
    }
}

impl Happened {
    /// How the names of the differences begin that such a fact can show.
    pub fn family(&self) -> &'static str {
        match self {
            Self::Paid { .. } | Self::PartlyPaid { .. } | Self::PaidUnsaid => "paid_",
            Self::Cancelled { .. } => "cancelled_",
            Self::NotOnFile => "not_on_file",
            Self::Differs { .. } => "title_differs",
            Self::Nothing => "nothing",
        }
    }

    /// A name under which a payment is written down once, and its day; nothing where it is no payment.
    pub fn payment(&self) -> Option<(String, NaiveDate)> {
        match self {
            Self::Paid { total, on } => Some((format!("paid:{on}:{}", total.0), *on)),
            Self::PartlyPaid { total, on } => Some((format!("partly_paid:{on}:{}", total.0), *on)),
            _ => None,
        }
    }

    /// Whether the bank tells of no change, but of a doubt whether we mean the same title. What was changed here, or is being
    /// changed, since the bank was asked explains it.
    pub fn is_a_doubt(&self) -> bool {
        matches!(self, Self::PaidUnsaid | Self::NotOnFile | Self::Differs { .. })
    }

    fn words(&self) -> String {
        match self {
            Self::Paid { total, on } => format!("it paid with {} cents on {on}", total.0),
            Self::PartlyPaid { total, on } => format!("{} cents of it paid on {on}", total.0),
            Self::Cancelled { on: Some(on) } => format!("it off file since {on}"),
            Self::Cancelled { on: None } => "it off file".to_owned(),
            Self::PaidUnsaid => "it paid and does not say how much or when".to_owned(),
            Self::Nothing => "it on file and open".to_owned(),
            Self::NotOnFile => "nothing under its number".to_owned(),
            Self::Differs { parts } => format!("another title under its number: {parts}"),
        }
    }
}

impl Standing {
    /// What a fact means for the boleto, which moves on by it.
    pub fn meet(&mut self, happened: &Happened) -> Judgement {
        let judgement = match happened {
            Happened::Paid { total, .. } => self.paid(happened, *total, false),
            Happened::PartlyPaid { total, .. } => self.paid(happened, *total, true),
            Happened::Cancelled { .. } => self.cancelled(happened),
            Happened::PaidUnsaid => self.doubt(DifferenceKind::PaidUnsaid, happened),
            Happened::NotOnFile => self.doubt(DifferenceKind::NotOnFile, happened),
            Happened::Differs { .. } => self.doubt(DifferenceKind::TitleDiffers, happened),
            Happened::Nothing => Judgement::default(),
        };
        if let Some(Missing { amount, is_partial }) = judgement.payment {
            self.paid = Cents(self.paid.0.saturating_add(amount.0));
            self.status = status_after(self.status, amount, is_partial);
        }
        self.status = judgement.ends_as.unwrap_or(self.status);
        judgement
    }

    fn paid(self, happened: &Happened, total: Cents, is_partial: bool) -> Judgement {
        let missing = Cents(total.0.saturating_sub(self.paid.0));
        let payment = (missing > Cents::ZERO).then_some(Missing { amount: missing, is_partial });
        let differs = (missing != Cents::ZERO).then_some(DifferenceKind::PaidAmount);
        match self.status {
            // It is over; another sum is told to a person, who knows whose it is.
            Status::Paid if is_partial => {
                let kind = differs.unwrap_or(DifferenceKind::PaidInPart);
                Judgement { finding: Some(self.finding(kind, happened)), ..Judgement::default() }
            }
            Status::Paid => Judgement {
                finding: differs.map(|kind| self.finding(kind, happened)),
                ..Judgement::default()
            },
            Status::Registered => {
                let ends_as = (payment.is_none() && !is_partial).then_some(Status::Paid);
                // A settled title without a sum is as odd as one with less than is written down.
                let is_odd = missing < Cents::ZERO || total <= Cents::ZERO;
                let finding = is_odd.then(|| self.finding(DifferenceKind::PaidAmount, happened));
                Judgement { payment, ends_as, finding }
            }
            Status::Issued | Status::PendingRegistration => {
                self.beside(payment, DifferenceKind::PaidUnregistered, happened)
            }
            Status::Refused => self.beside(payment, DifferenceKind::PaidRefused, happened),
            Status::Cancelled => self.beside(payment, DifferenceKind::PaidCancelled, happened),
            Status::NeedsReview => self.beside(payment, DifferenceKind::PaidInReview, happened),
        }
    }

    fn cancelled(self, happened: &Happened) -> Judgement {
        let found = |kind| Judgement { finding: Some(self.finding(kind, happened)), ..Judgement::default() };
        match self.status {
            Status::Registered => Judgement { ends_as: Some(Status::Cancelled), ..Judgement::default() },
            Status::Cancelled | Status::Refused => Judgement::default(),
            Status::Issued | Status::PendingRegistration => found(DifferenceKind::CancelledUnregistered),
            Status::Paid => found(DifferenceKind::CancelledPaid),
            Status::NeedsReview => found(DifferenceKind::CancelledInReview),
        }
    }

    /// Only what is open here is asked about; of anything else the question is older than the answer.
    fn doubt(self, kind: DifferenceKind, happened: &Happened) -> Judgement {
        let finding = (self.status == Status::Registered).then(|| self.finding(kind, happened));
        Judgement { finding, ..Judgement::default() }
    }

    /// The payment happened and is written down; what it means for such a boleto is a person's question.
    fn beside(self, payment: Option<Missing>, kind: DifferenceKind, happened: &Happened) -> Judgement {
        Judgement { payment, ends_as: None, finding: Some(self.finding(kind, happened)) }
    }

    fn finding(self, kind: DifferenceKind, happened: &Happened) -> Finding {
        let here = match kind {
            DifferenceKind::PaidAmount => format!("{} cents are written down here", self.paid.0),
            _ => format!("here it is {}", self.status.as_str()),
        };
        Finding { kind, detail: format!("the bank has {}; {here}", happened.words()) }
    }
}

impl DifferenceKind {
    /// Every kind there is.
    pub const ALL: [Self; 13] = [
        Self::UnknownTitle,
        Self::PaidAmount,
        Self::PaidInPart,
        Self::PaidUnregistered,
        Self::PaidRefused,
        Self::PaidCancelled,
        Self::PaidInReview,
        Self::CancelledUnregistered,
        Self::CancelledPaid,
        Self::CancelledInReview,
        Self::PaidUnsaid,
        Self::NotOnFile,
        Self::TitleDiffers,
    ];

    /// The kind's name in the store and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownTitle => "unknown_title",
            Self::PaidAmount => "paid_amount",
            Self::PaidInPart => "paid_in_part",
            Self::PaidUnregistered => "paid_unregistered",
            Self::PaidRefused => "paid_refused",
            Self::PaidCancelled => "paid_cancelled",
            Self::PaidInReview => "paid_in_review",
            Self::CancelledUnregistered => "cancelled_unregistered",
            Self::CancelledPaid => "cancelled_paid",
            Self::CancelledInReview => "cancelled_in_review",
            Self::PaidUnsaid => "paid_unsaid",
            Self::NotOnFile => "not_on_file",
            Self::TitleDiffers => "title_differs",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 20).unwrap()
    }

    fn paid(total: i64) -> Happened {
        Happened::Paid { total: Cents(total), on: day() }
    }

    fn partly(total: i64) -> Happened {
        Happened::PartlyPaid { total: Cents(total), on: day() }
    }

    fn standing(status: Status, paid: i64) -> Standing {
        Standing { status, paid: Cents(paid) }
    }

    #[test]
    fn parts_add_up_to_a_whole_and_nothing_is_counted_twice() {
        let mut boleto = standing(Status::Registered, 0);
        let first = boleto.meet(&partly(40)).payment.unwrap();
        assert_eq!((first.amount, first.is_partial), (Cents(40), true));
        assert_eq!(boleto.meet(&partly(40)), Judgement::default(), "the same page again");
        let rest = boleto.meet(&paid(100)).payment.unwrap();
        assert_eq!((rest.amount, rest.is_partial), (Cents(60), false));
        assert_eq!(boleto, standing(Status::Paid, 100));
        assert_eq!(boleto.meet(&paid(100)), Judgement::default());
    }

    #[test]
    fn parts_that_came_to_the_whole_before_settle_without_another_payment() {
        let mut boleto = standing(Status::Registered, 100);
        let judgement = boleto.meet(&paid(100));
        assert_eq!((judgement.payment, judgement.ends_as), (None, Some(Status::Paid)));
        assert_eq!(judgement.finding, None);
    }

    #[test]
    fn another_sum_is_told_and_not_mended() {
        let told =
            |status, before, happened| standing(status, before).meet(&happened).finding.map(|it| it.kind);
        assert_eq!(told(Status::Paid, 90, paid(100)), Some(DifferenceKind::PaidAmount));
        assert_eq!(told(Status::Registered, 110, paid(100)), Some(DifferenceKind::PaidAmount));
        assert_eq!(told(Status::Registered, 0, paid(0)), Some(DifferenceKind::PaidAmount));
        assert_eq!(told(Status::Paid, 100, partly(100)), Some(DifferenceKind::PaidInPart));
        assert_eq!(told(Status::Paid, 100, paid(100)), None);
    }

    #[test]
    fn money_for_what_is_not_open_is_written_down_and_told() {
        for status in [
            Status::Issued,
            Status::PendingRegistration,
            Status::Refused,
            Status::Cancelled,
            Status::NeedsReview,
        ] {
            let mut boleto = standing(status, 0);
            let judgement = boleto.meet(&paid(100));
            assert_eq!(judgement.payment.map(|payment| payment.amount), Some(Cents(100)), "{status:?}");
            assert!(judgement.finding.is_some(), "{status:?}");
            assert_eq!(boleto.status, status, "its status says what was decided");
            let again = boleto.meet(&paid(100));
            assert_eq!((again.payment, again.finding), (None, judgement.finding), "told alike, written once");
        }
    }

    #[test]
    fn only_what_is_registered_is_cancelled_by_the_bank() {
        let off = Happened::Cancelled { on: Some(day()) };
        for status in Status::ALL {
            let mut boleto = standing(status, 0);
            let judgement = boleto.meet(&off);
            assert_eq!(judgement.ends_as.is_some(), status == Status::Registered, "{status:?}");
            let agrees = matches!(status, Status::Registered | Status::Cancelled | Status::Refused);
            assert_eq!(judgement.finding.is_none(), agrees, "{status:?}");
        }
    }

    #[test]
    fn a_doubt_about_what_is_open_is_told_and_changes_nothing() {
        let differs = Happened::Differs { parts: "amount, due_date".to_owned() };
        for (doubt, kind) in [
            (Happened::PaidUnsaid, DifferenceKind::PaidUnsaid),
            (Happened::NotOnFile, DifferenceKind::NotOnFile),
            (differs, DifferenceKind::TitleDiffers),
        ] {
            let mut boleto = standing(Status::Registered, 40);
            let Judgement { payment, ends_as, finding } = boleto.meet(&doubt);
            assert_eq!((payment, ends_as, finding.map(|it| it.kind)), (None, None, Some(kind)));
            assert_eq!(boleto, standing(Status::Registered, 40));
            assert_eq!(standing(Status::Paid, 40).meet(&doubt), Judgement::default(), "decided meanwhile");
            assert!(doubt.is_a_doubt() && doubt.payment().is_none());
        }
        assert_eq!(standing(Status::Registered, 0).meet(&Happened::Nothing), Judgement::default());
    }

    #[test]
    fn what_a_fact_can_show_is_named_after_it() {
        for status in Status::ALL {
            let differs = Happened::Differs { parts: "amount".to_owned() };
            let off = Happened::Cancelled { on: None };
            let doubts = [Happened::PaidUnsaid, Happened::NotOnFile, differs];
            for happened in [paid(7), partly(7), off, Happened::Nothing].into_iter().chain(doubts) {
                if let Some(finding) = standing(status, 0).meet(&happened).finding {
                    assert!(finding.kind.as_str().starts_with(happened.family()), "{finding:?}");
                }
            }
        }
        let mut names: Vec<&str> = DifferenceKind::ALL.into_iter().map(DifferenceKind::as_str).collect();
        names.dedup();
        assert_eq!(names.len(), DifferenceKind::ALL.len());
    }

    #[test]
    fn a_title_is_called_by_its_number_or_by_the_banks_name_for_it() {
        let fact = |number: &str, reference: Option<&str>| Fact {
            nosso_numero: number.to_owned(),
            bank_reference: reference.map(str::to_owned),
            happened: paid(1),
            response_code: "6".to_owned(),
        };
        assert_eq!(fact("12", Some("abc")).subject(), "12");
        assert_eq!(fact("", Some("abc")).subject(), "abc");
        assert!(fact("12", None).of_nobody().detail.contains("1 cents"));
    }
}
