//! Whether a request comes from a page of ours, in a browser that was led to us.
//!
//! Who is on this machine's loopback is asked by pages of strangers too: by forms that they send here, and by names of theirs that
//! they let lead here (DNS rebinding). So a page is shown under our own names only, which are addresses in numbers, `localhost` and
//! what `dashboard.base_url` says; and what changes something must come from such a page, by what the browser itself says of it.
//!
//! **Owns** nothing. **Fails** closed. **Limits**: a browser that says neither `Origin` nor `Sec-Fetch-Site` changes nothing.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Request, Uri};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const LOCALHOST: &str = "localhost";

/// The name under which a request asks, if it is one of ours.
pub fn own_name<B>(request: &Request<B>, base_url: Option<&str>) -> Option<Authority> {
    let named = match request.uri().authority() {
        Some(authority) => authority.clone(),
        None => text(request.headers(), &HOST)?.parse().ok()?,
    };
    let is_number = named.host().trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let is_local = named.host().eq_ignore_ascii_case(LOCALHOST);
    let is_base = base_url.and_then(shown_by).is_some_and(|base| is_same(&base, &named));
    (is_number || is_local || is_base).then_some(named)
}

/// Whether a browser says that a page of ours sends this.
pub fn is_from_own_page(headers: &HeaderMap, name: &Authority, base_url: Option<&str>) -> bool {
    let origin = headers.get(ORIGIN).map(|_| {
        let authority = text(headers, &ORIGIN).and_then(shown_by);
        let base = base_url.and_then(shown_by);
        authority.is_some_and(|from| is_same(&from, name) || base.is_some_and(|base| is_same(&base, &from)))
    });
    let site = headers.get(FETCH_SITE).map(|site| site == "same-origin");
    match (origin, site) {
        (None, None) => false,
        (origin, site) => origin.unwrap_or(true) && site.unwrap_or(true),
    }
}

/// The host and port of an address. `null`, which a hidden page says, has none.
fn shown_by(url: &str) -> Option<Authority> {
    let uri: Uri = url.parse().ok()?;
    matches!(uri.scheme_str(), Some("http" | "https")).then(|| uri.into_parts().authority)?
}

fn is_same(one: &Authority, other: &Authority) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

/// A header that stands there once.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.to_str().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Option<&str> = Some("https://bursar.example");

    fn asked(host: &str) -> Option<Authority> {
        let request = Request::builder().uri("/").header(HOST, host).body(()).unwrap();
        own_name(&request, BASE)
    }

    #[test]
    fn pages_are_shown_under_names_of_ours_alone() {
        for host in
            ["127.0.0.1:7405", "[::1]:7405", "localhost", "LOCALHOST:1", "10.1.2.3:80", "bursar.example"]
        {
            assert!(asked(host).is_some(), "{host}");
        }
        for host in
            ["rebound.example:7405", "bursar.example:8443", "localhost.example", "127.0.0.1.example", ""]
        {
            assert!(asked(host).is_none(), "{host}");
        }
        let twice = Request::builder().uri("/").header(HOST, "localhost").header(HOST, "localhost");
        assert!(own_name(&twice.body(()).unwrap(), BASE).is_none());
        let absolute = Request::builder().uri("http://rebound.example/").header(HOST, "localhost");
        assert!(own_name(&absolute.body(()).unwrap(), BASE).is_none(), "the address asked for counts");
    }

    #[test]
    fn changes_come_from_pages_of_ours_alone() {
        let name: Authority = "127.0.0.1:7405".parse().unwrap();
        let comes = |pairs: &[(&HeaderName, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, http::HeaderValue::from_static(value));
            }
            is_from_own_page(&headers, &name, BASE)
        };
        let own = "http://127.0.0.1:7405";
        for good in [
            &[(&ORIGIN, own)][..],
            &[(&ORIGIN, own), (&FETCH_SITE, "same-origin")],
            &[(&FETCH_SITE, "same-origin")],
            &[(&ORIGIN, "https://bursar.example")],
        ] {
            assert!(comes(good), "{good:?}");
        }
        for bad in [
            &[][..],
            &[(&ORIGIN, "null")],
            &[(&ORIGIN, "http://127.0.0.1:7406")],
            &[(&ORIGIN, "http://localhost:7405")],
            &[(&ORIGIN, "https://strangers.example")],
            &[(&ORIGIN, own), (&ORIGIN, own)],
            &[(&ORIGIN, own), (&FETCH_SITE, "cross-site")],
            &[(&FETCH_SITE, "same-site")],
            &[(&FETCH_SITE, "none")],
        ] {
            assert!(!comes(bad), "{bad:?}");
        }
    }
}
