//! The flags that say where an owner is told, and of which subjects.
//!
//! **Owns** nothing. **Fails** by clap's own words. **Limits**: one destination a command.

use clap::Args;

use crate::cli::args::key_and_value;
use crate::proto::notification::v1::endpoint::Destination;
use crate::proto::notification::v1::{
    EventFilter, MailDestination, NatsDestination, SqsDestination, WebhookDestination,
};

/// One of them; whether one is required is for the command to say, of the group `destination`.
#[derive(Args)]
pub(in crate::cli) struct DestinationFlags {
    /// A queue of the Simple Queue Service
    #[arg(long, value_name = "URL", group = "destination")]
    queue_url: Option<String>,
    /// A receiver of Standard Webhooks
    #[arg(long, value_name = "URL", group = "destination")]
    webhook_url: Option<String>,
    /// One mailbox
    #[arg(long, value_name = "ADDRESS", group = "destination")]
    mail_address: Option<String>,
    /// A subject of NATS JetStream, behind which each event's type is put
    #[arg(long, value_name = "SUBJECT", group = "destination")]
    nats_subject: Option<String>,
    /// Of the mail's text: pt-BR, en, es or pl; the configured one when absent
    #[arg(
        long,
        value_name = "LANGUAGE",
        requires = "mail_address",
        default_value = "",
        hide_default_value = true
    )]
    language: String,
    /// Where the webhook's secret is kept, such as env:NAME or file:path; two during a rotation
    #[arg(long = "secret", value_name = "REFERENCE", requires = "webhook_url")]
    secrets: Vec<String>,
}

impl DestinationFlags {
    /// The destination that the flags name, if they name one.
    pub fn into_destination(self) -> Option<Destination> {
        let Self { queue_url, webhook_url, mail_address, nats_subject, language, secrets } = self;
        let sqs = queue_url.map(|queue_url| Destination::Sqs(SqsDestination { queue_url }));
        let webhook = webhook_url.map(|url| {
            Destination::Webhook(WebhookDestination { url, secrets, ..WebhookDestination::default() })
        });
        let mail = mail_address.map(|address| Destination::Mail(MailDestination { address, language }));
        let nats = nats_subject.map(|subject| Destination::Nats(NatsDestination { subject }));
        sqs.or(webhook).or(mail).or(nats)
    }
}

/// Reads `attribute=value` with several values joined by commas.
pub(super) fn filter(text: &str) -> Result<EventFilter, String> {
    let (attribute, values) = key_and_value(text)?;
    Ok(EventFilter { attribute, values: values.split(',').map(str::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        flags: DestinationFlags,
    }

    #[test]
    fn each_flag_names_its_own_kind_of_destination() {
        let named = |arguments: &[&str]| {
            let line = <Line as clap::Parser>::try_parse_from([&["line"], arguments].concat());
            line.unwrap_or_else(|error| panic!("{error}")).flags.into_destination()
        };
        assert_eq!(named(&[]), None);
        let queue_url = "https://sqs.example/1/a".to_owned();
        assert_eq!(
            named(&["--queue-url", &queue_url]),
            Some(Destination::Sqs(SqsDestination { queue_url: queue_url.clone() }))
        );
        let address = "owner@shop.example".to_owned();
        assert_eq!(
            named(&["--mail-address", &address, "--language", "pl"]),
            Some(Destination::Mail(MailDestination { address: address.clone(), language: "pl".to_owned() }))
        );
        let subject = "owners.shop".to_owned();
        assert_eq!(
            named(&["--nats-subject", &subject]),
            Some(Destination::Nats(NatsDestination { subject: subject.clone() }))
        );
    }

    #[test]
    fn a_filter_has_an_attribute_and_values() {
        let read = filter("reference_id=a,b").unwrap();
        assert_eq!(
            (read.attribute.as_str(), read.values),
            ("reference_id", vec!["a".to_owned(), "b".to_owned()])
        );
        assert!(filter("reference_id").is_err() && filter("=a").is_err());
    }
}
