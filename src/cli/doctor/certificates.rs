//! Certificates that have ended, have not begun, or are about to end.
//!
//! **Owns** nothing. **Fails** never: what cannot be read is a finding. **Limits**: those that the configuration names; what a bank
//! account refers to is read when its bank is called.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret as _;
use x509_parser::pem::Pem;

use super::{Finding, Level};
use crate::config::{CertificateSource, Config};
use crate::connectors::secret::SecretRef;

/// A bank or an authority takes weeks to give a new one.
const ENDS_SOON: TimeDelta = TimeDelta::days(30);
const WHY: &str = "whoever is shown it refuses the connection, and what waits for that party stays pending";
const REMEDY: &str = "have a new one issued and put it in the place of this one";

/// What there is to say of every certificate.
pub(super) fn findings(config: &Config, now: DateTime<Utc>) -> Vec<Finding> {
    config.certificates().iter().flat_map(|certificate| look(certificate, now)).collect()
}

fn look(certificate: &CertificateSource, now: DateTime<Utc>) -> Vec<Finding> {
    let key = certificate.key.as_str();
    let unreadable = |what: String| {
        vec![Finding::new(Level::Wrong, key, what, WHY, "put a PEM file there that can be read")]
    };
    let text = match SecretRef::parse(&certificate.reference).map(|reference| reference.resolve()) {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => return unreadable(error.to_string()),
        Err(error) => return unreadable(error.to_string()),
    };
    match spans(text.expose_secret()) {
        Ok(spans) if spans.is_empty() => unreadable("there is no certificate in it".to_owned()),
        // Of many that vouch for others some may have ended.
        Ok(spans) if certificate.is_authority => {
            let best = spans.iter().max_by_key(|(_, end)| *end);
            best.map(|span| judge(key, *span, now)).into_iter().collect()
        }
        // What is shown is a chain: it ends with the first of it.
        Ok(spans) => {
            let worst = spans.iter().min_by_key(|(_, end)| *end);
            worst.map(|span| judge(key, *span, now)).into_iter().collect()
        }
        Err(why) => unreadable(why),
    }
}

fn judge(key: &str, (begin, end): (DateTime<Utc>, DateTime<Utc>), now: DateTime<Utc>) -> Finding {
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

/// From when to when a certificate holds.
type Span = (DateTime<Utc>, DateTime<Utc>);

/// The spans of all certificates of a PEM file, in its order.
fn spans(text: &str) -> Result<Vec<Span>, String> {
    let mut found = Vec::new();
    for block in Pem::iter_from_buffer(text.as_bytes()) {
        let block = block.map_err(|_| "it is not PEM".to_owned())?;
        // A key may stand in the same file.
        if block.label != "CERTIFICATE" {
            continue;
        }
        let certificate = block.parse_x509().map_err(|_| "it is not a certificate (X.509)".to_owned())?;
        let validity = certificate.validity();
        let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).ok_or("it has no time".to_owned());
        found.push((at(validity.not_before.timestamp())?, at(validity.not_after.timestamp())?));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(until: (i32, u8, u8)) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["bank.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn a_chain_ends_with_the_first_of_it() {
        let now: DateTime<Utc> = "2026-05-01T00:00:00Z".parse().unwrap();
        let text = format!("{}{}", pem((2026, 5, 20)), pem((2030, 1, 1)));
        let spans = spans(&text).unwrap();
        assert_eq!(spans.len(), 2);
        let level = |at: usize| judge("k", spans[at], now).level;
        assert_eq!((level(0), level(1)), (Level::Soon, Level::Well));
        let later = now + TimeDelta::days(30);
        assert_eq!(judge("k", spans[0], later).level, Level::Wrong);
        assert_eq!(judge("k", spans[1], "2019-01-01T00:00:00Z".parse().unwrap()).level, Level::Wrong);
    }

    #[test]
    fn what_is_no_certificate_is_said_to_be_none() {
        assert!(spans("nothing at all").unwrap().is_empty());
        assert!(spans("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }
}
