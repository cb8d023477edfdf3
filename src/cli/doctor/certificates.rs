//! Certificates that have ended, have not begun, or are about to end.
//!
//! **Owns** nothing. **Fails** never: what cannot be read is a finding. **Limits**: those that the configuration names, and
//! those that bank accounts in the database refer to.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret as _;

use super::super::table::safe;
use super::{Finding, Level};
use crate::config::{CertificateSource, Config};
use crate::connectors::certificate::{self, Span};
use crate::connectors::secret::policy::SecretPolicy;
use crate::store::examine::BankCertificate;

/// A bank or an authority takes weeks to give a new one.
const ENDS_SOON: TimeDelta = TimeDelta::days(30);
const WHY: &str = "whoever is shown it refuses the connection, and what waits for that party stays pending";
const REFERENCE_REMEDY: &str =
    "put a PEM file there that the service's user can read, or name another by `bursar account update`";
const REMEDY: &str = "have a new one issued and put it in the place of this one";

/// What there is to say of every certificate.
pub(super) fn findings(config: &Config, now: DateTime<Utc>) -> Vec<Finding> {
    config.certificates().iter().map(|certificate| look(certificate, now)).collect()
}

fn look(certificate: &CertificateSource, now: DateTime<Utc>) -> Finding {
    let key = certificate.key.as_str();
    match certificate::span_of(&certificate.reference, certificate.is_authority) {
        Ok(span) => judge(key, span, now),
        Err(what) => Finding::new(Level::Wrong, key, what, WHY, "put a PEM file there that can be read"),
    }
}

/// What there is to say of the certificates by which bank accounts are known. They come by the API, so that only what `secrets` allows
/// is read.
pub(super) fn of_banks(
    certificates: &[BankCertificate],
    config: &Config,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    let policy = SecretPolicy::new(config.secrets.clone());
    let look = |certificate: &BankCertificate| {
        let subject = safe(&format!("bank account {}", certificate.account));
        let text = policy.vet(&certificate.reference).map_err(|error| error.to_string());
        let text = text.and_then(|reference| policy.resolve(&reference).map_err(|error| error.to_string()));
        match text.and_then(|text| certificate::span_in(text.expose_secret(), false)) {
            Ok(span) => judge(&subject, span, now),
            Err(what) => Finding::new(Level::Wrong, subject, what, WHY, REFERENCE_REMEDY),
        }
    };
    certificates.iter().map(look).collect()
}

fn judge(key: &str, (begin, end): Span, now: DateTime<Utc>) -> Finding {
    let day = |at: DateTime<Utc>| at.date_naive();
    if end <= now {
        return Finding::new(Level::Wrong, key, format!("it ended on {}", day(end)), WHY, REMEDY);
    }
    if begin > now {
        let what = format!("it begins on {} and does not hold yet", day(begin));
        return Finding::new(
            Level::Wrong,
            key,
            what,
            WHY,
            "wait, put the one before it back, or put the clock right",
        );
    }
    let days = (end - now).num_days();
    match end - now < ENDS_SOON {
        true => {
            Finding::new(Level::Soon, key, format!("it ends on {}, in {days} days", day(end)), WHY, REMEDY)
        }
        false => Finding::well(key, format!("it holds until {}", day(end))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn the_certificate_of_a_bank_account_is_read_only_where_secrets_may_be() {
        let folder = std::env::temp_dir().join(format!("bursar-doctor-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = rcgen::CertificateParams::new(vec!["shop.example".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let path = folder.join("inter.pem");
        std::fs::write(&path, pem.pem()).unwrap();
        let certificate = BankCertificate {
            account: "default/shop".to_owned(),
            reference: format!("file:{}", path.display()),
        };
        let level = |allowed: serde_json::Value| {
            let config =
                Config::load(&Sources::default().with("secrets.folders", allowed.to_string())).unwrap();
            let found = of_banks(std::slice::from_ref(&certificate), &config, Utc::now());
            assert_eq!(found[0].subject, "bank account default/shop");
            found[0].level
        };
        assert_eq!(level(serde_json::json!([folder])), Level::Well);
        assert_eq!(level(serde_json::json!([])), Level::Wrong);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_certificate_is_wrong_before_and_after_its_span_and_soon_to_end_a_month_before() {
        let moment = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let span = (moment("2020-01-01T00:00:00Z"), moment("2026-05-20T00:00:00Z"));
        let level = |now: &str| judge("k", span, moment(now)).level;
        assert_eq!(level("2026-01-01T00:00:00Z"), Level::Well);
        assert_eq!(level("2026-05-01T00:00:00Z"), Level::Soon);
        assert_eq!(
            (level("2026-05-20T00:00:00Z"), level("2019-01-01T00:00:00Z")),
            (Level::Wrong, Level::Wrong)
        );
    }
}
