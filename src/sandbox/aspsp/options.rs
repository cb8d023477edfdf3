//! What the banks of open banking are like, and where they are reached.
//!
//! **Owns** nothing.
//! **Fails** to read a rule that nobody knows.
//! **Limits**: [`ASPSPS_MAX`] banks; rules hold for a whole bank.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The most banks that one world has.
pub const ASPSPS_MAX: u8 = 10;

/// How the banks open.
#[derive(Clone)]
pub struct AspspOptions {
    /// How many there are, at most [`ASPSPS_MAX`]; each has doors of its own.
    pub banks: u8,
    /// What callers of every bank are known by.
    pub client_id: String,
    /// The word that belongs to it, for a token endpoint that wants one.
    pub client_secret: String,
    /// A private key (PEM, PKCS#8; RSA or P-256) of the one caller whose signatures count; without it one is made.
    pub signing_key: Option<PathBuf>,
    /// Puts each counted read down in the ledger. Benchmarks may do without.
    pub keep_reads: bool,
}

impl Default for AspspOptions {
    fn default() -> Self {
        AspspOptions {
            banks: 2,
            client_id: "sandbox-tpp".into(),
            client_secret: "sandbox-tpp-secret".into(),
            signing_key: None,
            keep_reads: true,
        }
    }
}

/// Where a bank is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AspspAddresses {
    /// Without a path: `/v1/…` is the Berlin Group's, `/v2_1_2.1/…` PolishAPI's, `/token` OAuth's for the former.
    pub url: String,
    /// The same behind TLS, for callers with a certificate of the sandbox's authority.
    pub tls_url: String,
}

/// The caller's key and certificate, as files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AspspSigning {
    /// The private key (PEM, PKCS#8).
    pub private_key: PathBuf,
    /// Its certificate (PEM), signed by itself.
    pub certificate: PathBuf,
}

/// How a bank goes about it. The default is a plain bank that keeps to the standard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AspspRules {
    /// Items on a page; a caller may ask for fewer.
    pub page_size: usize,
    /// Understands `bookingStatus=both`.
    pub both: bool,
    /// How far back transactions are told, in days.
    pub history_days: u16,
    /// How often each list, detail and balance may be read in a window without its holder; without it a consent says.
    pub reads_max: Option<u32>,
    /// From when to when those reads are counted.
    pub window: AspspWindow,
    /// How a caller who has read too often is told when to come back.
    pub come_back: AspspComeBack,
    /// Tells in headers how many reads are left.
    pub tells_quota: bool,
    /// Links begin with scheme and host instead of a slash.
    pub absolute_links: bool,
    /// Berlin Group requests must be signed, not only rightly if they are.
    pub signatures: bool,
    /// Seconds for which an access token is good.
    pub access_ttl_s: u32,
    /// A refresh token is good once, and a new one comes with each answer.
    pub rotation: bool,
    /// PolishAPI's moments are told without a zone, as some banks do.
    pub zoneless: bool,
}

impl Default for AspspRules {
    fn default() -> Self {
        AspspRules {
            page_size: 50,
            both: true,
            history_days: 90,
            reads_max: None,
            window: AspspWindow::Rolling,
            come_back: AspspComeBack::Header,
            tells_quota: false,
            absolute_links: false,
            signatures: false,
            access_ttl_s: 3_600,
            rotation: true,
            zoneless: false,
        }
    }
}

/// From when to when reads are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AspspWindow {
    /// The 24 hours that end now.
    Rolling,
    /// The day, in UTC.
    Day,
    /// The month, in UTC.
    Month,
}

/// How a caller who has read too often is told when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AspspComeBack {
    /// In `Retry-After`, in seconds.
    Header,
    /// In the message's words, in seconds.
    Words,
    /// Not at all.
    Silence,
}

/// A trap on the way through an account's pages; the first page is 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageTrap {
    /// This page says what the one before has said, under a key of its own; then it goes on.
    Repeated {
        /// Which one.
        page: u32,
    },
    /// This page has nothing on it but the key of the next.
    Empty {
        /// Which one.
        page: u32,
    },
    /// This page's next one is itself.
    NextIsSelf {
        /// Which one.
        page: u32,
    },
    /// This page's next one is said to be at another host. PolishAPI has no links, so there it is a plain page.
    NextElsewhere {
        /// Which one.
        page: u32,
        /// Scheme, host and port.
        origin: String,
    },
    /// All is only for downloading. PolishAPI knows no such thing, and answers as usual.
    Download,
}

/// What becomes of the items' ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AspspIds {
    /// They stay.
    #[default]
    Stable,
    /// They are one space.
    Blank,
    /// There are none; where the standard wants some, they are one space.
    Absent,
    /// All are other ones than under any other number.
    Reissued(u32),
}
