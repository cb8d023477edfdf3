//! What the dashboard answers with: a page, one of its own files, or the way to another page.
//!
//! **Owns** the headers that every answer has: a page fetches, runs, frames and sends nothing that is not ours, is kept by nobody, and
//! tells no other site where it stands. **Fails** never.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;

use super::assets::Asset;

/// An answer with its whole body.
pub type Answer = Response<Full<Bytes>>;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Nothing of the machine or of the person is of any use to a page of ours.
const PERMISSIONS: &str = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

/// A page.
pub fn page(status: StatusCode, html: String) -> Answer {
    let mut answer = answer(status, "text/html; charset=utf-8", Bytes::from(html));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store, private"));
    answer
}

/// One of our own files; it is asked for anew each time, and sent only where it has changed.
pub fn asset(asset: &Asset, request: &HeaderMap) -> Answer {
    let is_known = request.get(http::header::IF_NONE_MATCH).is_some_and(|known| *known == asset.tag);
    let mut answer = match is_known {
        true => answer(StatusCode::NOT_MODIFIED, asset.content_type, Bytes::new()),
        false => answer(StatusCode::OK, asset.content_type, Bytes::from_static(asset.content)),
    };
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    answer.headers_mut().insert(ETAG, asset.tag.clone());
    answer
}

/// Leads to another page of ours, which is then got.
pub fn see_other(path: &str) -> Answer {
    let mut answer = page(StatusCode::SEE_OTHER, String::new());
    // What is no header cannot be a path of ours either.
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(LOCATION, location);
    answer
}

/// With a cookie to be kept, or to be forgotten.
pub fn with_cookie(mut answer: Answer, cookie: &str) -> Answer {
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        answer.headers_mut().append(SET_COOKIE, value);
    }
    answer
}

/// With the methods that there are instead.
pub fn with_allowed(mut answer: Answer, methods: &'static str) -> Answer {
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        // With `no-referrer` browsers would not say either from which page of ours a form comes.
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
