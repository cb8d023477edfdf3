//! A notice as a message: its headers, and one text in two shapes.
//!
//! **Owns** nothing. **Fails** where a template cannot be filled in, or the message grew too large. **Limits**:
//! `message_max_bytes`. A notice is the same message each time it is sent, but for its date: the same Message-ID, the same
//! parts.

use std::time::SystemTime;

use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};

use super::super::{ChannelError, Notice};
use super::config::{Language, MailConfig};
use super::template::{Templates, Told};

/// The message's bytes as they are sent, still without the dots that the transport adds.
pub(super) fn compose(
    config: &MailConfig,
    templates: &Templates,
    language: Language,
    to: &Address,
    notice: &Notice<'_>,
    now: SystemTime,
) -> Result<Vec<u8>, ChannelError> {
    let misconfigured = |reason: String| ChannelError::Misconfigured { reason };
    let from =
        config.from.as_ref().ok_or_else(|| misconfigured("channels.mail.from is not set".to_owned()))?;
    let told = Told {
        event_id: notice.event_id.to_string(),
        event_type: notice.event_type,
        subject: notice.subject,
        version: notice.version,
        occurred_at: notice.occurred_at,
        body: serde_json::from_str(notice.body).unwrap_or_default(),
    };
    let letter =
        templates.fill_in(&told, language).map_err(|fault| misconfigured(format!("template {fault}")))?;
    let mut builder = Message::builder()
        .from(from.0.clone())
        .to(Mailbox::new(None, to.clone()))
        .date(now)
        .message_id(Some(format!("<{}@{}>", notice.event_id, config.domain())))
        .subject(letter.subject);
    if let Some(reply_to) = &config.reply_to {
        builder = builder.reply_to(reply_to.0.clone());
    }
    let mut headers = vec![
        // RFC 3834: nobody's holiday answers it.
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("Content-Language", language.tag().to_owned()),
        ("Bursar-Event-Id", told.event_id.clone()),
        ("Bursar-Event-Type", plain(notice.event_type)),
        ("Bursar-Version", notice.version.to_string()),
        ("Bursar-Subject", plain(notice.subject)),
    ];
    if let Some(url) = &config.list_unsubscribe {
        headers.push(("List-Unsubscribe", format!("<{}>", url.0)));
    }
    for (name, value) in headers {
        builder = builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value));
    }
    let parts = MultiPart::alternative()
        // Neither encoding that the parts may have writes an = before a _.
        .boundary(format!("=_{}", notice.event_id.0.simple()))
        .singlepart(SinglePart::plain(letter.text))
        .singlepart(SinglePart::html(letter.page));
    let message = builder.multipart(parts).map_err(|error| misconfigured(error.to_string()))?.formatted();
    if message.len() > config.message_max_bytes {
        let reason = format!("the message is longer than {} bytes", config.message_max_bytes);
        return Err(ChannelError::Refused { reason });
    }
    Ok(message)
}

/// Text as it may stand in a header.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, UNIX_EPOCH};

    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::connectors::channels::mail::address;
    use crate::connectors::channels::mail::config::ConfiguredMailbox;
    use crate::domain::ids::{EventId, TenantId};

    fn config() -> MailConfig {
        let mailbox = |text: &str| ConfiguredMailbox::try_from(text.to_owned()).unwrap();
        MailConfig {
            from: Some(mailbox("Loja São João <avisos@loja.example.com>")),
            reply_to: Some(mailbox("ajuda@loja.example.com")),
            ..MailConfig::default()
        }
    }

    fn composed(config: &MailConfig, body: &str, at_s: u64) -> Result<String, ChannelError> {
        let tenant = TenantId::default();
        let notice = Notice {
            tenant: &tenant,
            event_id: EventId(Uuid::from_u128(7)),
            event_type: "boleto.paid",
            subject: "b1",
            version: 3,
            occurred_at: DateTime::UNIX_EPOCH,
            body,
            traceparent: None,
        };
        let templates = Templates::load(Path::new(""), chrono_tz::UTC).unwrap();
        let to = address::parse("owner@example.com").unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(at_s);
        let message = compose(config, &templates, Language::PtBr, &to, &notice, now)?;
        Ok(String::from_utf8(message).unwrap())
    }

    #[test]
    fn every_header_is_there_once_and_says_what_it_should() {
        let mut config = config();
        config.list_unsubscribe = Some("https://loja.example.com/avisos".to_owned().try_into().unwrap());
        let message = composed(&config, r#"{"status":"paid","reference_id":"pedido 7"}"#, 0).unwrap();
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        for line in [
            "Message-ID: <00000000-0000-0000-0000-000000000007@loja.example.com>",
            "To: owner@example.com",
            "Reply-To: ajuda@loja.example.com",
            "Date: Thu, 01 Jan 1970 00:00:00 +0000",
            "Auto-Submitted: auto-generated",
            "Content-Language: pt-BR",
            "Bursar-Event-Id: 00000000-0000-0000-0000-000000000007",
            "Bursar-Event-Type: boleto.paid",
            "Bursar-Version: 3",
            "Bursar-Subject: b1",
            "List-Unsubscribe: <https://loja.example.com/avisos>",
            "MIME-Version: 1.0",
        ] {
            assert_eq!(head.lines().filter(|found| *found == line).count(), 1, "{line}\nin\n{head}");
        }
        assert!(head.contains("Subject: Boleto pago =?utf-8?b?"), "{head}");
    }

    #[test]
    fn a_message_is_ascii_in_lines_that_any_server_takes_and_cannot_end_itself() {
        let hostile = "x\r\n.\r\nMAIL FROM:<a@b.example>\n.\nRCPT TO:<c@d.example>\r.\r";
        let body = serde_json::json!({ "status": hostile, "reference_id": hostile }).to_string();
        let message = composed(&config(), &body, 0).unwrap();
        assert!(message.is_ascii());
        let bytes = message.as_bytes();
        for (place, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' => assert_eq!(bytes[place - 1], b'\r', "a bare line feed at {place}"),
                b'\r' => assert_eq!(bytes.get(place + 1), Some(&b'\n'), "a bare carriage return at {place}"),
                _ => {}
            }
        }
        assert!(message.lines().all(|line| line.len() <= 998));
    }

    #[test]
    fn the_same_notice_is_the_same_message_but_for_its_date() {
        let without_date = |message: String| {
            message.lines().filter(|line| !line.starts_with("Date: ")).map(str::to_owned).collect::<Vec<_>>()
        };
        let (first, second) =
            (composed(&config(), "{}", 0).unwrap(), composed(&config(), "{}", 86_400).unwrap());
        assert_ne!(first, second);
        assert_eq!(without_date(first), without_date(second));
    }

    #[test]
    fn a_message_that_is_too_large_is_never_sent() {
        let config = MailConfig { message_max_bytes: 1_024, ..config() };
        assert!(matches!(composed(&config, "{}", 0), Err(ChannelError::Refused { .. })));
        let nobody = MailConfig::default();
        assert!(matches!(composed(&nobody, "{}", 0), Err(ChannelError::Misconfigured { .. })));
    }
}
