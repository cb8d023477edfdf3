//! Reads a form with a file in it (RFC 7578).
//!
//! **Owns** nothing. **Fails** by reading nothing, wherever the form strays from its grammar.
//! **Limits**: one file; names and values are UTF-8 without quotes or escapes inside.

use axum::body::Bytes;
use std::collections::BTreeMap;

/// A form's fields, and its file with its name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form {
    pub fields: BTreeMap<String, String>,
    pub file: Option<(String, Bytes)>,
}

/// Reads a form by its kind and body.
pub fn read(kind: &str, body: &Bytes) -> Option<Form> {
    let (kind, boundary) = kind.split_once("; boundary=")?;
    if kind != "multipart/form-data" || boundary.is_empty() || boundary.len() > 70 {
        return None;
    }
    let edge = format!("\r\n--{boundary}");
    // The first edge has no line before it.
    let mut rest = body.strip_prefix(&edge.as_bytes()[2..])?;
    let mut form = Form::default();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = find(part, edge.as_bytes())?;
        let (part, after) = part.split_at(end);
        rest = &after[edge.len()..];
        let head = find(part, b"\r\n\r\n")?;
        let (head, value) = (std::str::from_utf8(&part[..head]).ok()?, &part[head + 4..]);
        let first = head.split("\r\n").next()?.strip_prefix("Content-Disposition: form-data; name=\"")?;
        let (name, more) = first.split_once('"')?;
        let taken = if let Some(named) = more.strip_prefix("; filename=\"") {
            name == "file"
                && form.file.replace((named.strip_suffix('"')?.to_owned(), body.slice_ref(value))).is_none()
        } else {
            more.is_empty()
                && form.fields.insert(name.to_owned(), std::str::from_utf8(value).ok()?.to_owned()).is_none()
        };
        if !taken {
            return None;
        }
    }
    matches!(rest, b"--" | b"--\r\n").then_some(form)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n\
        --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"0.wav\"\r\nContent-Type: audio/wav\r\n\r\nRI\r\nFF\r\n--B--\r\n";

    fn form(text: &str) -> Option<Form> {
        read("multipart/form-data; boundary=B", &Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_form_is_read_and_a_crooked_one_is_not() {
        let read = form(FORM).unwrap();
        assert_eq!(read.fields["a"], "1");
        assert_eq!(read.file, Some(("0.wav".to_owned(), Bytes::from_static(b"RI\r\nFF"))));
        for crooked in [
            FORM.replace("--B--", "--B"),
            FORM.replace("form-data; name", "form-data;name"),
            FORM.replace("name=\"a\"", "name=\"a\"; x"),
            FORM.replace("name=\"file\"", "name=\"other\""),
            FORM.replacen("--B", "--C", 1),
            FORM.to_owned() + "more",
        ] {
            assert_eq!(form(&crooked), None, "{crooked}");
        }
    }
}
