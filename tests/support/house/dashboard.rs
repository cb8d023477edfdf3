//! The dashboard, as programs without a screen see it.

use std::net::SocketAddr;

use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response, StatusCode};

use super::{House, Opened, PATIENCE};
use crate::support::canary;

impl House {
    /// With a dashboard.
    pub fn with_dashboard(self) -> Self {
        self.with("dashboard.enabled", "true").with("dashboard.listen", "127.0.0.1:0")
    }
}

impl Opened {
    /// Where it shows its dashboard.
    pub fn dashboard(&self) -> Dashboard {
        Dashboard::at(self.house.dashboard.expect("a house with a dashboard"))
    }
}

/// The dashboard of a house.
pub struct Dashboard {
    client: reqwest::Client,
    address: SocketAddr,
}

/// What it answers.
pub struct Shown {
    pub status: StatusCode,
    /// Where it leads.
    pub location: String,
    /// The name and value of the cookie that it gives, if any.
    pub cookie: Option<String>,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Shown {
    /// What the forms of the page have to bring back.
    pub fn form_key(&self) -> &str {
        self.value("form_key")
    }

    /// The value of the first field of that name.
    pub fn value(&self, name: &str) -> &str {
        let (_, rest) =
            self.text.split_once(&format!("name=\"{name}\" value=\"")).expect("a form with that field");
        rest.split('"').next().expect("a value")
    }
}

impl Dashboard {
    fn at(address: SocketAddr) -> Self {
        let client = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(PATIENCE);
        Self { client: client.build().expect("a client"), address }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request that is still to be sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// Gets a page, with the cookie that it was given, if any.
    pub async fn gets(&self, path: &str, cookie: Option<&str>) -> Shown {
        let request = self.request(Method::GET, path);
        shown(cookie.into_iter().fold(request, |request, cookie| request.header(COOKIE, cookie))).await
    }

    /// Sends a form from a page of its own.
    pub async fn posts(&self, path: &str, cookie: Option<&str>, fields: &[(&str, &str)]) -> Shown {
        let form: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let request = self.request(Method::POST, path).header(ORIGIN, self.url(""));
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.join("&"));
        shown(cookie.into_iter().fold(request, |request, cookie| request.header(COOKIE, cookie))).await
    }

    /// Signs in. Returns the cookie.
    pub async fn lets_in(&self, token: &str) -> String {
        let answer = self.posts("/sign-in", None, &[("token", token)]).await;
        assert_eq!((answer.status, answer.location.as_str()), (StatusCode::SEE_OTHER, "/"));
        answer.cookie.expect("a cookie")
    }
}

/// As forms write it.
fn encoded(text: &str) -> String {
    let each = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(each).collect()
}

/// Sends a request.
pub async fn shown(request: RequestBuilder) -> Shown {
    let answer: Response = request.send().await.expect("an answer");
    let (status, headers) = (answer.status(), answer.headers().clone());
    let text = |name| {
        headers
            .get(name)
            .map(|value: &reqwest::header::HeaderValue| value.to_str().expect("ASCII").to_owned())
    };
    let location = text(LOCATION).unwrap_or_default();
    let cookie = text(SET_COOKIE).map(|cookie| cookie.split(';').next().unwrap_or_default().to_owned());
    let text = answer.text().await.expect("a text");
    canary::saw(&text);
    Shown { status, location, cookie, headers, text }
}
