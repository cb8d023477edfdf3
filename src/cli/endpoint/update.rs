//! `bursar endpoint update`: changes what the flags name.

use clap::{ArgGroup, Args};
use prost_types::FieldMask;
use uuid::Uuid;

use super::destination::{DestinationFlags, filter};
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::proto::notification::v1::{Endpoint, EventFilter, UpdateEndpointRequest};

#[derive(Args)]
#[command(group(ArgGroup::new("destination")))]
#[command(group(ArgGroup::new("change").required(true).multiple(true)
    .args(["queue_url", "webhook_url", "mail_address", "nats_subject", "event_types", "filters", "no_filters"])))]
pub(in crate::cli) struct UpdateArgs {
    id: String,
    #[command(flatten)]
    destination: DestinationFlags,
    /// Instead of those before, such as boleto.registered, or * for all; may be repeated or joined by commas
    #[arg(long = "event-type", value_name = "TYPE", value_delimiter = ',')]
    event_types: Vec<String>,
    /// Instead of those before, only subjects with one of these values, such as bank_account_id=ID,ID; may be repeated
    #[arg(long = "filter", value_name = "ATTRIBUTE=VALUES", value_parser = filter)]
    filters: Vec<EventFilter>,
    /// Every subject from now on
    #[arg(long, conflicts_with = "filters")]
    no_filters: bool,
    /// The etag that was read; without it the endpoint is changed whatever it is
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// The same id and request give the same answer; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Why; kept for the audit
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

impl UpdateArgs {
    fn into_request(self) -> UpdateEndpointRequest {
        let destination = self.destination.into_destination();
        let named = [
            ("destination", destination.is_some()),
            ("event_types", !self.event_types.is_empty()),
            ("filters", self.no_filters || !self.filters.is_empty()),
        ];
        let paths = named.into_iter().filter(|(_, is_named)| *is_named).map(|(path, _)| path.to_owned());
        let endpoint = Endpoint {
            id: self.id,
            destination,
            event_types: self.event_types,
            filters: self.filters,
            etag: self.etag,
            ..Endpoint::default()
        };
        UpdateEndpointRequest {
            endpoint: Some(endpoint),
            update_mask: Some(FieldMask { paths: paths.collect() }),
            request_id: self.request_id.unwrap_or_else(|| Uuid::now_v7().to_string()),
            reason: self.reason,
        }
    }
}

pub(super) async fn run(args: UpdateArgs, connection: &Connection) -> Result<Option<Endpoint>, Failure> {
    let request = args.into_request();
    let request_id = request.request_id.clone();
    let answer = connection.call(connection.endpoints().update_endpoint(request)).await;
    Ok(answer.map_err(|failure| failure.with_request_id(&request_id))?.endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: UpdateArgs,
    }

    #[test]
    fn only_what_the_flags_name_is_asked_to_change() {
        let paths = |arguments: &[&str]| {
            let line = <Line as clap::Parser>::try_parse_from([&["update", "e"], arguments].concat());
            line.map(|line| line.args.into_request().update_mask.unwrap().paths)
        };
        assert!(paths(&[]).is_err(), "something is to change");
        assert_eq!(paths(&["--queue-url", "q"]).unwrap(), ["destination"]);
        assert_eq!(paths(&["--event-type", "*", "--no-filters"]).unwrap(), ["event_types", "filters"]);
        assert_eq!(paths(&["--filter", "reference_id=a"]).unwrap(), ["filters"]);
        assert!(paths(&["--filter", "reference_id=a", "--no-filters"]).is_err());
        assert!(paths(&["--queue-url", "q", "--webhook-url", "w"]).is_err());
        assert!(paths(&["--secret", "env:A"]).is_err(), "a secret is of a webhook");
    }
}
