//! A form with a file in it (RFC 7578).
//!
//! **Owns** nothing. **Fails** never: a name that would end its own header is written without what ends it.
//! **Limits**: the whole form lies in memory, beside the recording.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

/// A form whose boundary does not occur in its file.
pub(super) struct Form {
    boundary: String,
}

impl Form {
    /// A form for this file. The boundary is made of what is sent, so that the same question makes the same request.
    pub(super) fn new(request_id: &str, file: &[u8]) -> Self {
        let mut round = 0_u32;
        loop {
            let digest = Sha256::new()
                .chain_update(request_id)
                .chain_update(file.len().to_be_bytes())
                .chain_update(round.to_be_bytes())
                .finalize();
            let mut boundary = String::from("bursar-");
            for byte in &digest[..16] {
                // Writing to a String cannot fail.
                let _ = write!(boundary, "{byte:02x}");
            }
            let occurs = file.windows(boundary.len()).any(|window| window == boundary.as_bytes());
            if !occurs {
                return Self { boundary };
            }
            round += 1;
        }
    }

    pub(super) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// The body: the fields, then the file.
    pub(super) fn body(&self, fields: &[(&str, String)], file_name: &str, file: &[u8]) -> Bytes {
        let mut body = BytesMut::with_capacity(file.len() + 2048);
        for (name, value) in fields {
            let part =
                format!("--{}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n", self.boundary);
            body.extend_from_slice(part.as_bytes());
            body.extend_from_slice(value.as_bytes());
            body.extend_from_slice(b"\r\n");
        }
        let head = format!(
            "--{}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            self.boundary,
            quoted(file_name)
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(format!("\r\n--{}--\r\n", self.boundary).as_bytes());
        body.freeze()
    }
}

/// A name as browsers write it.
fn quoted(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for sign in name.chars() {
        match sign {
            '"' => out.push_str("%22"),
            '\r' => out.push_str("%0D"),
            '\n' => out.push_str("%0A"),
            sign if sign.is_control() => {}
            sign => out.push(sign),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_form_is_written_as_its_rules_say() {
        let form = Form::new("r", b"RIFF");
        let body = form.body(&[("sensitivity", "normal".to_owned())], "a\"\r\nb.wav", b"RIFF");
        let text = String::from_utf8(body.to_vec()).unwrap().replace(&form.boundary, "B");
        assert_eq!(
            text,
            "--B\r\nContent-Disposition: form-data; name=\"sensitivity\"\r\n\r\nnormal\r\n\
             --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a%22%0D%0Ab.wav\"\r\n\
             Content-Type: application/octet-stream\r\n\r\nRIFF\r\n--B--\r\n"
        );
        assert_eq!(form.content_type(), format!("multipart/form-data; boundary={}", form.boundary));
    }

    #[test]
    fn a_file_that_holds_the_boundary_gets_another_one() {
        let empty = [0; 39];
        let first = Form::new("r", &empty).boundary;
        assert_eq!(first.len(), empty.len());
        let second = Form::new("r", first.as_bytes()).boundary;
        assert_ne!(first, second);
    }

    proptest! {
        #[test]
        fn whatever_the_file_holds_its_end_is_found(file: Vec<u8>, id in ".{0,40}", name in ".{0,20}") {
            let form = Form::new(&id, &file);
            let body = form.body(&[], &name, &file);
            let boundary = form.boundary.as_bytes();
            let found = body.windows(boundary.len()).filter(|window| *window == boundary).count();
            prop_assert_eq!(found, 2);
        }
    }
}
