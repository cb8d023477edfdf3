//! From when to when a certificate holds that somebody refers to.
//!
//! **Owns** nothing. **Fails** in words for an operator, without what stands where it was looked. **Limits**: PEM; signatures are not
//! checked, and nobody is asked whether it was taken back.

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;
use x509_parser::pem::Pem;

use super::secret::SecretRef;

/// The begin and the end of a certificate.
pub type Span = (DateTime<Utc>, DateTime<Utc>);

/// The span of what a reference leads to. It reads a file or a variable, and so may wait for a disk.
///
/// What is shown to others is a chain, and holds as long as the first of it to end. Of `authorities`, which vouch for others, some may
/// have ended: they hold as long as the last.
///
/// # Errors
/// What cannot be read, is no PEM, or has no certificate in it.
pub fn span_of(reference: &str, are_authorities: bool) -> Result<Span, String> {
    let text = SecretRef::parse(reference).map_err(|error| error.to_string())?;
    let text = text.resolve().map_err(|error| error.to_string())?;
    span_in(text.expose_secret(), are_authorities)
}

/// As [`span_of`], of a text that was read already.
///
/// # Errors
/// A text that is no PEM, or has no certificate in it.
pub fn span_in(text: &str, are_authorities: bool) -> Result<Span, String> {
    let spans = spans(text)?;
    let decisive = match are_authorities {
        true => spans.into_iter().max_by_key(|(_, end)| *end),
        false => spans.into_iter().min_by_key(|(_, end)| *end),
    };
    decisive.ok_or_else(|| "there is no certificate in it".to_owned())
}

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
    fn a_chain_ends_with_the_first_of_it_and_authorities_with_the_last() {
        let path = std::env::temp_dir().join(format!("bursar-{}.pem", uuid::Uuid::now_v7()));
        std::fs::write(&path, format!("{}{}", pem((2026, 5, 20)), pem((2030, 1, 1)))).unwrap();
        let reference = format!("file:{}", path.display());
        let end = |are_authorities| span_of(&reference, are_authorities).unwrap().1.date_naive().to_string();
        assert_eq!((end(false).as_str(), end(true).as_str()), ("2026-05-20", "2030-01-01"));
        std::fs::remove_file(&path).unwrap();
        assert!(span_of(&reference, false).is_err());
    }

    #[test]
    fn what_is_no_certificate_is_said_to_be_none() {
        assert!(spans("nothing at all").unwrap().is_empty());
        assert!(spans("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }
}
