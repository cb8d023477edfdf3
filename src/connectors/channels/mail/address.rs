//! Whom a message may go to.
//!
//! **Owns** nothing. **Fails** with the rule that was broken, never with the address: it is somebody's.
//! **Limits**: one plain mailbox in ASCII, `local@domain`, of at most 254 bytes; no name, comment, quotes, list or literal.
//! What SMTP calls valid is wider; every form left out here has been somebody's way around a rule.

use lettre::Address;

use crate::domain::ids::TenantId;

use super::config::{MailConfig, RecipientRules};

/// RFC 5321 §4.5.3.1: a path of 256 bytes, its brackets among them.
const ADDRESS_BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;
/// What a local part may have besides letters and digits (RFC 5322, `atext`), and the dot.
const LOCAL_MARKS: &[u8] = b"!#$%&'*+-/=?^_`{|}~.";

/// Reads one address.
///
/// # Errors
/// The rule that it breaks, as the end of a sentence.
pub(super) fn parse(text: &str) -> Result<Address, &'static str> {
    let plain = "must be one plain address such as owner@example.com";
    if text.len() > ADDRESS_BYTES_MAX {
        return Err("must be of at most 254 bytes");
    }
    let (local, domain) = text.split_once('@').ok_or(plain)?;
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || LOCAL_MARKS.contains(&byte);
    let is_domain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if !local.bytes().all(is_local) || !domain.bytes().all(is_domain) {
        return Err(plain);
    }
    if local.len() > LOCAL_BYTES_MAX {
        return Err("must have at most 64 bytes before the @");
    }
    // A name without a dot is a neighbour's, and one that ends in digits is an address of the network's.
    let is_public =
        domain.rsplit_once('.').is_some_and(|(_, top)| top.bytes().any(|byte| byte.is_ascii_alphabetic()));
    if !is_public {
        return Err("must have a whole domain behind the @");
    }
    text.parse().map_err(|_| plain)
}

/// Reads an address that this tenant may have written to.
///
/// # Errors
/// The rule that it breaks, as the end of a sentence.
pub(super) fn vet(config: &MailConfig, tenant: &TenantId, text: &str) -> Result<Address, &'static str> {
    let address = parse(text)?;
    let rules = config.tenants.get(tenant.as_str()).unwrap_or(&config.recipients);
    if rules.allows(address.domain()) { Ok(address) } else { Err("must be of a domain that is allowed") }
}

impl RecipientRules {
    fn allows(&self, domain: &str) -> bool {
        let domain = domain.to_ascii_lowercase();
        let matches = |pattern: &String| {
            let pattern = pattern.to_ascii_lowercase();
            match pattern.strip_prefix("*.") {
                Some(above) => {
                    domain.strip_suffix(above).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
                }
                None => pattern == domain,
            }
        };
        self.domains.is_empty() || self.domains.iter().any(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_address_is_taken_as_it_is() {
        for good in ["owner@example.com", "o'brien+boletos@mail.example.com.br", "a@xn--bcher-kva.example"] {
            assert_eq!(parse(good).unwrap().to_string(), good);
        }
    }

    #[test]
    fn whatever_could_say_something_else_is_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long = format!("a@{}.com", "b.".repeat(130));
        let hostile = [
            "",
            "owner",
            "owner@",
            "@example.com",
            "owner@example",
            "owner@127.0.0.1",
            "owner@[127.0.0.1]",
            "owner@localhost",
            "Owner <owner@example.com>",
            "<owner@example.com>",
            "owner@example.com,other@example.com",
            "owner@example.com;other@example.com",
            "owner@example.com other@example.com",
            "owner@other@example.com",
            "\"owner@other\"@example.com",
            "owner(comment)@example.com",
            "owner@example.com\r\nRCPT TO:<other@example.com>",
            "owner@example.com\nBcc: other@example.com",
            "owner\u{0}@example.com",
            "owner@example.com>",
            "owner@example.com> SIZE=1",
            "ow\u{202e}ner@example.com",
            "dono@açúcar.example",
            ".owner@example.com",
            "owner@-example.com",
            "owner@example..com",
            " owner@example.com",
            "@route.example:owner@example.com",
            "group:owner@example.com;",
            "%0d%0aowner@example.com\r",
            &long_local,
            &long,
        ];
        for text in hostile {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_tenant_may_write_to_its_own_domains_only() {
        let rules = |domains: &[&str]| RecipientRules {
            domains: domains.iter().map(|&text| text.to_owned()).collect(),
        };
        let tenant = |name: &str| TenantId::parse(name).unwrap();
        let config = MailConfig {
            recipients: rules(&["example.com", "*.example.org"]),
            tenants: [("acme".to_owned(), rules(&[])), ("none".to_owned(), rules(&["nowhere.example"]))]
                .into(),
            ..MailConfig::default()
        };
        let may = |name: &str, text: &str| vet(&config, &tenant(name), text).is_ok();
        assert!(may("shop", "a@EXAMPLE.com") && may("shop", "a@mail.example.org"));
        for text in ["a@mail.example.com", "a@example.org", "a@badexample.org", "a@example.com.evil.example"]
        {
            assert!(!may("shop", text), "{text}");
        }
        assert!(may("acme", "a@anywhere.example") && !may("none", "a@example.com"));
    }
}
