//! Settings of the SQS channel.
//!
//! **Owns** nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connectors::egress::EgressConfig;
use crate::connectors::http::HttpUrl;
use crate::connectors::secret::SecretRef;

/// How queues are reached, and which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqsConfig {
    /// Where calls go instead of the queue's own host: a VPC endpoint, or a server that speaks like SQS.
    pub endpoint: Option<HttpUrl>,
    /// The region of queues whose address does not name one.
    pub region: Option<String>,
    /// Access keys to be used instead of the usual chain (environment, profile, SSO, web identity, container,
    /// instance).
    pub credentials: Option<AccessKeys>,
    /// The deadline of one call.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The longest message, attributes included; SQS's own limit for a call is 256 KiB.
    pub message_max_bytes: usize,
    /// By what messages to FIFO queues are grouped.
    pub fifo_group: FifoGroup,
    /// Hosts that queue addresses may name. Not asked where `endpoint` is set: nothing goes to them then.
    pub egress: EgressConfig,
    /// Queues that any tenant may use. All queues of a region share a host, hence this second list.
    pub queues: QueueRules,
    /// Queues that one tenant may use, in the place of `queues`.
    pub tenants: BTreeMap<String, QueueRules>,
}

/// By what the messages to a FIFO queue are grouped. Either way a subject's messages are in one group and keep their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FifoGroup {
    /// The tenant, whichever boleto named the queue: everything that is the owner's comes in one order.
    #[default]
    Owner,
    /// What the message is about: one that its reader cannot take holds back only what is about the same.
    Subject,
}

/// Access keys, each a reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKeys {
    pub access_key_id: SecretRef,
    pub secret_access_key: SecretRef,
    #[serde(default)]
    pub session_token: Option<SecretRef>,
}

/// Which queues may be named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueRules {
    /// AWS account numbers; empty allows any.
    pub accounts: Vec<String>,
    /// How a queue's name must begin; empty allows any.
    pub name_prefixes: Vec<String>,
}

impl Default for SqsConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            credentials: None,
            timeout: Duration::from_secs(10),
            message_max_bytes: 256 * 1024,
            fifo_group: FifoGroup::default(),
            egress: EgressConfig { hosts: vec!["sqs.*.amazonaws.com".to_owned()], ..EgressConfig::default() },
            queues: QueueRules::default(),
            tenants: BTreeMap::new(),
        }
    }
}
