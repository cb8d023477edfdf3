//! The dashboard's own files: its style, its few lines of script, its sign.
//!
//! **Owns** them, as they stand in the program. **Fails** never. **Limits**: there are three.

use std::sync::LazyLock;

use http::HeaderValue;
use sha2::{Digest as _, Sha256};

/// A file.
pub struct Asset {
    pub content_type: &'static str,
    pub content: &'static [u8],
    /// Another one with every other content.
    pub tag: HeaderValue,
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

static ASSETS: LazyLock<[(&str, Asset); 3]> = LazyLock::new(|| {
    [
        ("/assets/dashboard.css", asset("text/css; charset=utf-8", include_bytes!("assets/dashboard.css"))),
        ("/assets/dashboard.js", asset(JAVASCRIPT, include_bytes!("assets/dashboard.js"))),
        ("/assets/icon.svg", asset("image/svg+xml", include_bytes!("assets/icon.svg"))),
    ]
});

/// The file at a path.
pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|(known, _)| *known == path).map(|(_, asset)| asset)
}

fn asset(content_type: &'static str, content: &'static [u8]) -> Asset {
    let hash: String = Sha256::digest(content).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let tag =
        HeaderValue::from_str(&format!("\"{hash}\"")).expect("hexadecimal digits and quotes are a header");
    Asset { content_type, content, tag }
}
