//! The user whom a record names, as somebody who is told by mail.
//!
//! **Owns** nothing. **Fails** as feed and store do, never for the address itself: one that is missing, or that no mail may be sent
//! to, is no endpoint. **Limits**: only of feeds that tell their users; what is known of a mailbox is remembered.

use std::time::Duration;

use chrono::Utc;
use tracing::debug;

use super::attempt::Attempt;
use super::course::{Course, Cut};
use crate::actors::bank_attempt::{to_microseconds, write_down};
use crate::actors::feed_attempt;
use crate::connectors::channels::{Channel as _, ChannelKind, Destination};
use crate::connectors::transfer_feeds::{FeedError, RelatedNode, TransferFeed as _};
use crate::domain::ids::EndpointId;
use crate::store::endpoint::StoredEndpoint;

/// The field of a user that holds the address.
const ADDRESS: &str = "email";
/// How long a failure waits for somebody to tell.
const FAILURE_PATIENCE: Duration = Duration::from_secs(10);

impl Attempt {
    /// Who is told of a failure beside those who subscribed, as far as the feed says so in time: it may be what has failed.
    pub async fn user_of_failure(&self, course: &Course) -> Option<EndpointId> {
        let user_key = course.transfer.user_key.as_deref();
        let found = tokio::time::timeout(FAILURE_PATIENCE, self.user_endpoint(course, user_key)).await;
        found.ok()?.ok()?
    }

    /// Who is told beside those who subscribed.
    pub async fn user_endpoint(
        &self,
        course: &Course,
        user_key: Option<&str>,
    ) -> Result<Option<EndpointId>, Cut> {
        let Some(user_key) = user_key.filter(|_| course.served.config.tells_user) else { return Ok(None) };
        let user = course.served.feed.connector.read_related(RelatedNode::User, user_key).await;
        let user = match user {
            Ok(user) => user,
            // The key is none, and will be none the next time.
            Err(FeedError::Refused { .. }) => None,
            Err(error) => return Err(course.trouble(&error)),
        };
        let address = user.as_ref().and_then(|user| user.get(ADDRESS)).and_then(|address| address.as_str());
        let Some(address) = address.map(str::trim).filter(|address| !address.is_empty()) else {
            debug!(transfer_id = %course.transfer.id, "its user has no address");
            return Ok(None);
        };
        self.endpoint_of(course, address).await
    }

    async fn endpoint_of(&self, course: &Course, address: &str) -> Result<Option<EndpointId>, Cut> {
        let (means, tenant) = (&self.means, &course.transfer.tenant_id);
        // One that is remembered may have been erased since.
        if let Some(known) = means.mailboxes.find(tenant, address)
            && let Ok(Some(_)) = means.claimer.store.endpoint(known).await
        {
            return Ok(Some(known));
        }
        let is_blank = |character: char| character.is_control() || character.is_whitespace();
        let destination = Destination::Mail { address: address.to_owned(), language: None };
        let written = serde_json::to_string(&destination);
        let (Ok(written), false, true) =
            (written, address.contains(is_blank), means.mail.check(tenant, &destination).is_empty())
        else {
            debug!(transfer_id = %course.transfer.id, "its user's address is none that mail is sent to");
            return Ok(None);
        };
        let now = to_microseconds(Utc::now());
        let channel = ChannelKind::Mail.as_str();
        let endpoint = StoredEndpoint::new(tenant.clone(), channel, written, address.to_owned(), now);
        let enter = |_| means.claimer.store.ensure_endpoint(&endpoint);
        match write_down(&means.claimer, &self.claim, enter).await {
            Ok(Some(entered)) => {
                means.mailboxes.keep(tenant, address, entered.id);
                Ok(Some(entered.id))
            }
            Ok(None) => Err(Cut::Nothing),
            Err(error) => Err(feed_attempt::of_store(&self.claim, &error).map_or(Cut::Nothing, Cut::Later)),
        }
    }
}
