//! Subjects: what an owner may name, and where one event goes.
//!
//! **Owns** nothing. **Fails** with the rule that was broken, in words for whoever named the subject.
//! **Limits**: 255 bytes with the event's type; visible ASCII.

use crate::domain::ids::TenantId;

use super::config::{NatsConfig, SubjectRules};

/// A subject in whole.
const BYTES_MAX: usize = 255;
/// What is left of it for a point and the event's type.
const EVENT_TYPE_BYTES_MAX: usize = 64;

/// Looks at a subject that a caller named for a tenant.
pub(super) fn check(config: &NatsConfig, tenant: &TenantId, subject: &str) -> Result<(), String> {
    check_tokens(subject)?;
    if subject.len() > BYTES_MAX - EVENT_TYPE_BYTES_MAX {
        return Err(format!("a subject has at most {} bytes", BYTES_MAX - EVENT_TYPE_BYTES_MAX));
    }
    let rules = config.tenants.get(tenant.as_str()).unwrap_or(&config.subjects);
    if is_allowed(rules, subject) { Ok(()) } else { Err("this subject is not allowed".to_owned()) }
}

/// Where an event of this type goes.
pub(super) fn of_event(subject: &str, event_type: &str) -> Result<String, String> {
    let whole = format!("{subject}.{event_type}");
    check_tokens(&whole)?;
    if whole.len() > BYTES_MAX {
        return Err(format!("a subject has at most {BYTES_MAX} bytes with the event's type"));
    }
    Ok(whole)
}

/// Tokens between points, none of them empty or a wildcard, and none of the server's own at the beginning.
fn check_tokens(subject: &str) -> Result<(), String> {
    let visible = subject.bytes().all(|byte| byte.is_ascii_graphic());
    if subject.is_empty() || !visible {
        return Err("a subject is visible ASCII without blanks".to_owned());
    }
    if subject.split('.').any(str::is_empty) {
        return Err("a subject has tokens between its points".to_owned());
    }
    if subject.contains(['*', '>']) {
        return Err("a subject to be published to has no wildcards".to_owned());
    }
    if subject.starts_with(['$', '_']) {
        return Err("subjects that begin with $ or _ are the server's own".to_owned());
    }
    Ok(())
}

fn is_allowed(rules: &SubjectRules, subject: &str) -> bool {
    let below = |prefix: &String| {
        subject.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    rules.prefixes.is_empty() || rules.prefixes.iter().any(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(config: &NatsConfig, subject: &str) -> Result<(), String> {
        check(config, &TenantId::default(), subject)
    }

    #[test]
    fn a_subject_is_made_of_tokens() {
        let config = NatsConfig::default();
        for good in ["owners", "owners.acme", "owners.acme-1.boletos_2", &"a".repeat(191)] {
            assert_eq!(verdict(&config, good), Ok(()), "{good}");
        }
        for bad in [
            "",
            ".",
            "owners.",
            ".owners",
            "owners..acme",
            "owners.*",
            "owners.>",
            ">",
            "owners acme",
            "owners\tacme",
            "owners\r\nPUB other 0",
            "propriet\u{e1}rios",
            "$JS.API.STREAM.DELETE.OWNERS",
            "$SYS.REQ.SERVER.PING",
            "_INBOX.abc.1",
            "_R_.abc",
            &"a".repeat(192),
        ] {
            assert!(verdict(&config, bad).is_err(), "{bad:?} was let through");
        }
    }

    #[test]
    fn prefixes_end_at_a_point_and_a_tenant_may_have_its_own() {
        let rules = |prefix: &str| SubjectRules { prefixes: vec![prefix.to_owned()] };
        let mut config = NatsConfig { subjects: rules("owners"), ..NatsConfig::default() };
        assert_eq!(verdict(&config, "owners"), Ok(()));
        assert_eq!(verdict(&config, "owners.acme"), Ok(()));
        assert!(verdict(&config, "ownership.acme").is_err());
        assert!(verdict(&config, "others").is_err());
        config.tenants.insert("default".to_owned(), rules("tenants.default"));
        assert_eq!(verdict(&config, "tenants.default.acme"), Ok(()));
        assert!(verdict(&config, "owners.acme").is_err());
    }

    #[test]
    fn an_events_type_becomes_tokens_behind_the_subject() {
        assert_eq!(of_event("owners.acme", "boleto.registered").unwrap(), "owners.acme.boleto.registered");
        assert!(of_event("owners", "boleto.>").is_err());
        assert!(of_event(&"a".repeat(191), &"b".repeat(64)).is_err());
    }
}
