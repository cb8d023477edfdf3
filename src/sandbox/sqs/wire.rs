//! The closed schemas of the eight actions, in the service's own names.
//!
//! **Owns** nothing.
//! **Fails** at any field that the API reference does not name.
//! **Limits**: fields that the sandbox does not act on are read for their type alone.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::fault::SqsFault;

/// A message attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct AttributeValue {
    pub data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary_value: Option<String>,
}

impl AttributeValue {
    /// The kind byte and the value's bytes, as the digest takes them.
    pub fn encoded(&self) -> (u8, Vec<u8>) {
        match &self.binary_value {
            Some(encoded) => (2, STANDARD.decode(encoded).unwrap_or_default()),
            None => (1, self.string_value.clone().unwrap_or_default().into_bytes()),
        }
    }

    /// Type and value must agree.
    pub fn check(&self) -> Result<(), SqsFault> {
        let fits = match self.data_type.split('.').next() {
            Some("String" | "Number") => {
                self.string_value.as_ref().is_some_and(|value| !value.is_empty())
                    && self.binary_value.is_none()
            }
            Some("Binary") => {
                let decoded = self.binary_value.as_ref().map(|value| STANDARD.decode(value));
                matches!(decoded, Some(Ok(bytes)) if !bytes.is_empty()) && self.string_value.is_none()
            }
            _ => false,
        };
        if fits { Ok(()) } else { Err(SqsFault::InvalidParameter("MessageAttributes")) }
    }
}

/// What one message says about itself, alone or in a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Entry {
    /// Batches only.
    pub id: Option<String>,
    /// Single messages only.
    pub queue_url: Option<String>,
    pub message_body: Option<String>,
    #[serde(default)]
    pub delay_seconds: u64,
    #[serde(default)]
    pub message_attributes: BTreeMap<String, AttributeValue>,
    #[serde(default, rename = "MessageSystemAttributes")]
    pub _system_attributes: BTreeMap<String, AttributeValue>,
    pub message_group_id: Option<String>,
    pub message_deduplication_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct SendMessageBatch {
    pub queue_url: String,
    pub entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateQueue {
    #[serde(rename = "QueueName")]
    pub name: String,
    #[serde(rename = "Attributes", default)]
    pub attributes: BTreeMap<String, String>,
    /// Lower case in AWS's own model, and of no use here.
    #[serde(default, rename = "tags")]
    pub _tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct GetQueueUrl {
    pub queue_name: String,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    pub owner: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct ReceiveMessage {
    pub queue_url: String,
    #[serde(default = "one")]
    pub max_number_of_messages: usize,
    pub visibility_timeout: Option<u64>,
    #[serde(default)]
    pub wait_time_seconds: u64,
    /// Every attribute is always answered, asked for or not, so the three lists of names are of no use here.
    #[serde(default, rename = "AttributeNames")]
    pub _attribute_names: Vec<String>,
    #[serde(default, rename = "MessageSystemAttributeNames")]
    pub _system_attribute_names: Vec<String>,
    #[serde(default, rename = "MessageAttributeNames")]
    pub _message_attribute_names: Vec<String>,
    #[serde(default, rename = "ReceiveRequestAttemptId")]
    pub _attempt_id: Option<String>,
}

fn one() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct DeleteMessage {
    pub queue_url: String,
    pub receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct DeleteMessageBatch {
    pub queue_url: String,
    pub entries: Vec<Deletion>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Deletion {
    pub id: String,
    pub receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct GetQueueAttributes {
    pub queue_url: String,
    #[serde(default)]
    pub attribute_names: Vec<String>,
}

/// What a sent message is answered with.
#[derive(Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Sent {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    pub body_digest: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    pub attributes_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_number: Option<String>,
}
