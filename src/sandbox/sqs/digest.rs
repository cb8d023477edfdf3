//! The MD5 digests by which clients check that a message arrived whole.
//!
//! **Owns** nothing.
//! **Fails** never.
//! **Limits**: attributes of the types String, Number and Binary, which are all that AWS has.

use std::collections::BTreeMap;
use std::fmt::Write;

use md5::{Digest, Md5};

use super::wire::AttributeValue;

/// Hexadecimal MD5 of the body.
pub fn of_body(body: &str) -> String {
    hex(body.as_bytes())
}

/// Hexadecimal MD5 of the attributes in the encoding of the SQS developer guide: sorted by name; name, type
/// and value each after its length in four bytes, and a byte for the kind of value before the value.
pub fn of_attributes(attributes: &BTreeMap<String, AttributeValue>) -> Option<String> {
    let mut encoded = Vec::new();
    for (name, value) in attributes {
        let (kind, bytes) = value.encoded();
        push(&mut encoded, name.as_bytes());
        push(&mut encoded, value.data_type.as_bytes());
        encoded.push(kind);
        push(&mut encoded, &bytes);
    }
    (!encoded.is_empty()).then(|| hex(&encoded))
}

fn push(encoded: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a request of two megabytes has no longer part");
    encoded.extend_from_slice(&length.to_be_bytes());
    encoded.extend_from_slice(bytes);
}

fn hex(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().fold(String::with_capacity(32), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes every text");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_equal_those_of_other_programs() {
        // RFC 1321, appendix A.5.
        assert_eq!(of_body("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
        assert_eq!(of_attributes(&BTreeMap::new()), None);
        let attributes = serde_json::json!({
            "event_id": {"DataType": "String", "StringValue": "e1"},
            "blob": {"DataType": "Binary", "BinaryValue": "AAE="},
            "n": {"DataType": "Number", "StringValue": "7"},
        });
        let attributes = serde_json::from_value(attributes).unwrap();
        // Computed by another SQS server, moto.
        assert_eq!(of_attributes(&attributes).as_deref(), Some("ab3b4fd8fead2ae31b1f854c54f7578c"));
    }
}
