//! The status of a payment in a payment status report (ISO 20022 pain.002), which some answer for payments that began as XML.
//!
//! Nothing but the codes is looked for, and a code is four capital letters: that is why no more of XML is known here.
//!
//! **Owns** nothing. **Fails** by finding none, or several that differ. **Limits**: the status of the transaction comes before that
//! of the payment information, and that before the one of the group; of a bundle it is the other way round.

use crate::connectors::aspsps::error::unreadable;
use crate::connectors::aspsps::{AspspError, PaymentKind, PaymentTold, ToldStatus};

/// Of the transaction, of the payment information, of the group.
const ELEMENTS: [&str; 3] = ["TxSts", "PmtInfSts", "GrpSts"];
const CODE_BYTES: usize = 4;

/// Whether a body is a document in XML.
pub(super) fn is_xml(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    body.starts_with(b"<?xml") || (body.starts_with(b"<") && find(body, b"pain.002").is_some())
}

/// What the report tells.
pub(super) fn told(body: &[u8], id: Option<&str>, kind: PaymentKind) -> Result<PaymentTold, AspspError> {
    let text = String::from_utf8_lossy(body);
    let mut elements = ELEMENTS;
    if kind == PaymentKind::Bundle {
        elements.reverse();
    }
    let found = elements.into_iter().map(|element| codes(&text, element)).find(|codes| !codes.is_empty());
    let found = found.ok_or_else(|| unreadable("the report has no status"))?;
    let [first, others @ ..] = &found[..] else { return Err(unreadable("the report has no status")) };
    if others.iter().any(|other| other != first) {
        return Err(unreadable("the report has several statuses"));
    }
    Ok(PaymentTold {
        id: id.map(str::to_owned),
        tpp_id: None,
        status: ToldStatus::iso(first, kind),
        detail: None,
        is_future_dated: None,
        children: Vec::new(),
    })
}

/// The codes that elements of this name hold, whatever their namespace is called.
fn codes<'a>(text: &'a str, element: &str) -> Vec<&'a str> {
    let opened = text.match_indices(element).filter_map(|(place, _)| {
        let tag = &text[..place];
        let begin = tag.rfind('<')?;
        let prefix = &tag[begin + 1..];
        let is_prefix = prefix.is_empty() || (prefix.ends_with(':') && prefix.bytes().all(is_of_name));
        let content = text[place + element.len()..].strip_prefix('>').filter(|_| is_prefix)?;
        let (code, after) = content.split_at(content.find('<')?);
        after.strip_prefix("</")?.strip_prefix(prefix)?.strip_prefix(element)?.strip_prefix('>')?;
        let code = code.trim();
        (code.len() == CODE_BYTES && code.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(code)
    });
    opened.collect()
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":_-.".contains(&byte)
}

fn find(body: &[u8], what: &[u8]) -> Option<usize> {
    body.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connectors::aspsps::PaymentStatus;

    fn status(body: &str, kind: PaymentKind) -> Result<PaymentStatus, AspspError> {
        assert!(is_xml(body.as_bytes()), "{body}");
        told(body.as_bytes(), Some("p"), kind).map(|told| told.status.status)
    }

    fn report(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.03\">{inner}</Document>"
        )
    }

    #[test]
    fn the_nearest_status_counts() {
        let both = report("<GrpSts>PART</GrpSts><a:TxInfAndSts><a:TxSts> ACSC </a:TxSts></a:TxInfAndSts>");
        assert_eq!(status(&both, PaymentKind::Single), Ok(PaymentStatus::Done));
        assert_eq!(status(&both, PaymentKind::Bundle), Ok(PaymentStatus::SeeChildren));
        let group = report("<GrpSts>RJCT</GrpSts>");
        assert_eq!(status(&group, PaymentKind::Recurring), Ok(PaymentStatus::Rejected));
        let same = report("<TxSts>PDNG</TxSts><TxSts>PDNG</TxSts>");
        assert_eq!(status(&same, PaymentKind::Single), Ok(PaymentStatus::InProgress));
    }

    #[test]
    fn what_is_no_status_is_none() {
        for inner in [
            "",
            "<TxSts/>",
            "<TxSts>acsc</TxSts>",
            "<TxSts>ACSC",
            "<!-- TxSts>ACSC</TxSts -->",
            "<NotTxSts>ACSC</NotTxSts>",
            "<TxSts x=\"1\">ACSC</TxSts>",
            "<TxSts>ACSC</TxSts><TxSts>RJCT</TxSts>",
        ] {
            assert!(status(&report(inner), PaymentKind::Single).is_err(), "{inner}");
        }
        assert!(!is_xml(b"<html>") && !is_xml(b"{}") && !is_xml(b""));
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "[<>/:TxSGrpts é]{0,40}", any: Vec<u8>) {
            let _ = told(text.as_bytes(), None, PaymentKind::Single);
            let _ = (told(&any, None, PaymentKind::Bundle), is_xml(&any));
        }
    }
}
