//! Masks the password of a database's URL.
//!
//! **Owns** nothing. **Fails** towards masking too much: of a URL that is not well formed, more is hidden.

const MASK: &str = "***";

/// The URL with its password masked, in the user information as well as among the parameters.
pub(super) fn url(text: &str) -> String {
    mask_parameters(&mask_user_information(text))
}

fn mask_user_information(text: &str) -> String {
    let Some(start) = text.find("://").map(|at| at + 3) else { return text.to_owned() };
    // The last @, because a password that was not percent-encoded may hold one, or a slash or a question mark.
    let Some(end) = text.rfind('@').filter(|end| *end > start) else { return text.to_owned() };
    match text[start..end].find(':') {
        Some(colon) => format!("{}:{MASK}{}", &text[..start + colon], &text[end..]),
        None => text.to_owned(),
    }
}

fn mask_parameters(text: &str) -> String {
    let Some((front, parameters)) = text.split_once('?') else { return text.to_owned() };
    let masked: Vec<_> = parameters
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}={MASK}"),
            _ => parameter.to_owned(),
        })
        .collect();
    format!("{front}?{}", masked.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_masked_wherever_it_stands() {
        for (open, masked) in [
            ("postgres://u:s3cret@h:5432/db", "postgres://u:***@h:5432/db"),
            ("postgres://u:s3c@re/t?@h/db", "postgres://u:***@h/db"),
            (
                "postgres://h/db?user=u&password=s3cret&sslmode=require",
                "postgres://h/db?user=u&password=***&sslmode=require",
            ),
            ("postgres://u:s3cret@h/db?sslPassword=s3cret", "postgres://u:***@h/db?sslPassword=***"),
        ] {
            assert_eq!(url(open), masked);
        }
    }

    #[test]
    fn what_has_no_password_is_left_alone() {
        for text in ["", "sqlite:data/bursar.db", "postgres://u@h/db", "postgres://h:5432/db?sslmode=require"]
        {
            assert_eq!(url(text), text);
        }
    }
}
