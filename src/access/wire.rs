//! The fields of an encoded message, as they stand there (protobuf's encoding, "Protocol Buffers: Encoding").
//!
//! **Owns** nothing. **Fails** with [`Malformed`]. **Limits**: groups, which nobody makes any more, are refused.

use prost::encoding::decode_varint;

/// It is no encoded message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an encoded message")]
pub struct Malformed;

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireField<'a> {
    pub number: u32,
    /// Of a text, of bytes and of a message, what it is; of a number nothing.
    pub content: Option<&'a [u8]>,
    /// All of it, its key and its length included.
    pub whole: &'a [u8],
}

/// The fields of a message, in their order.
pub fn fields(message: &[u8]) -> impl Iterator<Item = Result<WireField<'_>, Malformed>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = next(&mut rest);
        if field.is_err() {
            // Nothing behind it can be told from anything else.
            rest = &[];
        }
        Some(field)
    })
}

fn next<'a>(rest: &mut &'a [u8]) -> Result<WireField<'a>, Malformed> {
    let begin = *rest;
    let key = decode_varint(rest).map_err(|_| Malformed)?;
    let number = u32::try_from(key >> 3).map_err(|_| Malformed)?;
    let content = match key & 7 {
        0 => decode_varint(rest).map(|_| None).map_err(|_| Malformed)?,
        1 => take(rest, 8).map(|_| None)?,
        2 => {
            let length = decode_varint(rest).map_err(|_| Malformed)?;
            Some(take(rest, usize::try_from(length).map_err(|_| Malformed)?)?)
        }
        5 => take(rest, 4).map(|_| None)?,
        _ => return Err(Malformed),
    };
    Ok(WireField { number, content, whole: &begin[..begin.len() - rest.len()] })
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Malformed> {
    let (taken, left) = rest.split_at_checked(count).ok_or(Malformed)?;
    *rest = left;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::proto::transfer::v1::{Answer, Run};

    #[test]
    fn every_field_is_found_where_it_stands() {
        let answer =
            Answer { position: 3, vendor_risk: Some(300), reason: "ç".to_owned(), ..Answer::default() };
        let encoded = answer.encode_to_vec();
        let found: Vec<WireField<'_>> = fields(&encoded).collect::<Result<_, _>>().unwrap();
        let numbers: Vec<u32> = found.iter().map(|field| field.number).collect();
        assert_eq!(numbers, [1, 4, 6]);
        assert_eq!(found[2].content, Some("ç".as_bytes()));
        let whole: Vec<u8> = found.iter().flat_map(|field| field.whole).copied().collect();
        assert_eq!(whole, encoded);
    }

    #[test]
    fn what_is_cut_off_is_no_message() {
        let encoded = Run { number: 1, result: "38||95".to_owned(), ..Run::default() }.encode_to_vec();
        assert!(fields(&encoded).all(|field| field.is_ok()));
        let cut = &encoded[..encoded.len() - 1];
        assert_eq!(fields(cut).filter(Result::is_err).count(), 1);
        // A group begins.
        assert_eq!(fields(&[0x0b, 0x08, 0x01]).collect::<Vec<_>>(), [Err(Malformed)]);
    }
}
