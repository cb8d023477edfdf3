//! Text for XML and HTML: nothing that comes from outside can become markup.
//!
//! **Owns** nothing. **Fails** never. **Limits**: made for text between tags and in double-quoted attributes.

use std::borrow::Cow;

/// The text with each sign that means something to markup written as a reference.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for sign in text.chars() {
        match sign {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(sign),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_markup() {
        assert_eq!(escape("<b onclick=\"x('&')\">"), "&lt;b onclick=&quot;x(&#39;&amp;&#39;)&quot;&gt;");
        assert_eq!(escape("José & Filhos"), "José &amp; Filhos");
        assert!(matches!(escape("José"), Cow::Borrowed("José")));
    }
}
