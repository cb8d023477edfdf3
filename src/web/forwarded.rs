//! Whose request a proxy passes on.
//!
//! **Owns** nothing. **Fails** never: a proxy that says nothing readable says nothing. **Limits**: only the nearest proxy is believed.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

/// Written by a proxy: the last entry is of whoever spoke to it.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that the nearest proxy names.
pub fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_what_the_nearest_proxy_wrote_is_believed() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
            }
            forwarded_for(&headers)
        };
        let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        assert_eq!(of(&["192.0.2.9, 198.51.100.1"]), address("198.51.100.1"));
        assert_eq!(of(&["192.0.2.9", "2001:db8::1"]), address("2001:db8::1"));
        assert_eq!((of(&[]), of(&["unknown"])), (None, None));
    }
}
