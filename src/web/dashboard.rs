//! The dashboard: what runs, what waits and what went wrong, for people with a browser.
//!
//! It is one more client of the API ([`api`]): nothing is decided here about who may see what. Where callers are told apart, a person
//! signs in with a token and has a session ([`sessions`]); where they are not, everybody may look, as everybody may call. Personal data
//! is shown in masks, whoever looks. Pages are whole without script; with it they keep themselves as the house is now.
//!
//! **Owns** nothing that a crash may lose. **Fails** in words: what may not or cannot be shown is said in its place.
//! **Limits**: `[dashboard]`; a form is [`FORM_BYTES_MAX`] long at most, and is waited for as long as the head of a request. Whoever
//! sends something must come from a page of ours ([`origin`]) and bring back what that page was given.

mod answer;
mod api;
mod assets;
pub mod config;
mod origin;
mod pages;
mod sessions;
mod templates;
mod view;
mod way;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest as _, Query};
use chrono::Utc;
use http::header::{COOKIE, HeaderValue};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use secrecy::SecretString;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tonic::Code;
use tracing::error;

use self::answer::Answer;
pub use self::api::Served;
use self::api::{Trouble, Visitor};
use self::config::DashboardConfig;
use self::pages::{Fields, boletos, dead_letters, field, overview, timetable, transfers};
use self::sessions::Sessions;
use self::templates::Templates;
use super::forwarded::forwarded_for;
use super::listener::{Limits, Listener, Site};
use crate::supervision::ChildSpec;

const ID: &str = "dashboard";
/// A token, a reason of 500 characters, and the rest.
const FORM_BYTES_MAX: usize = 8 * 1_024;
/// By which the script of a page says that it is no person who asks.
const LIVE: HeaderName = HeaderName::from_static("x-bursar-live");

/// The dashboard as a child, or the reason why there is none. `is_open` says that nobody has to sign in; `bound` is told its address.
pub fn spec(
    config: &DashboardConfig,
    is_open: bool,
    served: Served,
    bound: watch::Sender<Option<SocketAddr>>,
) -> ChildSpec {
    if !config.enabled {
        return ChildSpec::disabled(ID, "dashboard.enabled is false");
    }
    // Whoever knows it has been shown a page of this process.
    let form_key = match sessions::random() {
        Ok(key) => key,
        Err(why) => return ChildSpec::disabled(ID, &why),
    };
    let limits = Limits {
        connections_max: config.connections_max as usize,
        connections_per_address_max: (!config.trusts_forwarded_for)
            .then_some(config.connections_per_address_max as usize),
        header_timeout: config.header_timeout,
        header_bytes_max: config.header_bytes_max,
        connection_timeout: config.connection_timeout,
    };
    let site = Dashboard(Arc::new(Inner {
        sessions: Sessions::new(config),
        config: config.clone(),
        is_open,
        form_key,
        served,
        templates: Templates::new(),
    }));
    Listener::spec(ID, config.listen, limits, site, bound)
}

#[derive(Clone)]
struct Dashboard(Arc<Inner>);

struct Inner {
    config: DashboardConfig,
    is_open: bool,
    /// Of the forms of everybody who has not signed in.
    form_key: String,
    served: Served,
    sessions: Sessions,
    templates: Templates,
}

/// Somebody who looks at a page, and what its forms have to bring back.
struct Visit {
    visitor: Visitor,
    form_key: String,
    is_signed_in: bool,
}

/// Which template shows a page, under which title, by which entry of the menu, and whether it keeps itself as the house is now.
struct Page {
    template: &'static str,
    title: &'static str,
    at: &'static str,
    is_live: bool,
}

const fn page(template: &'static str, title: &'static str, at: &'static str, is_live: bool) -> Page {
    Page { template, title, at, is_live }
}

const OVERVIEW: Page = page("overview.html", "Overview", "/", true);
const QUEUES: Page = page("queues.html", "Queues", "/queues", true);
const DEAD_LETTERS: Page = page("dead_letters.html", "Dead letters", "/dead-letters", true);
const WORK: Page = page("work.html", "Work", "/dead-letters", true);
const TIMETABLE: Page = page("timetable.html", "Timetable", "/timetable", true);
const BOLETOS: Page = page("boletos.html", "Boletos", "/boletos", true);
const BOLETO: Page = page("boleto.html", "Boleto", "/boletos", true);
const TRANSFERS: Page = page("transfers.html", "Transfers", "/transfers", true);
const TRANSFER: Page = page("transfer.html", "Transfer", "/transfers", true);
const SIGN_IN: Page = page("sign_in.html", "Sign in", "/sign-in", false);
const TROUBLE: Page = page("trouble.html", "Trouble", "", false);

impl Site for Dashboard {
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Answer {
        self.0.answer(request, peer).await
    }
}

impl Inner {
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Answer {
        let Some(name) = origin::own_name(&request, self.config.base_url.as_deref()) else {
            let words = "The dashboard is not shown under this name. Ask for it by its address in numbers, or set dashboard.base_url.";
            return self.trouble(StatusCode::MISDIRECTED_REQUEST, words);
        };
        let address = match self.config.trusts_forwarded_for {
            true => forwarded_for(request.headers()).unwrap_or(peer),
            false => peer,
        };
        match *request.method() {
            Method::GET | Method::HEAD => self.show(&request, address).await,
            Method::POST => self.take(request, &name, address).await,
            _ => {
                let words = "Pages are got, and forms are posted; there is nothing else.";
                answer::with_allowed(self.trouble(StatusCode::METHOD_NOT_ALLOWED, words), "GET, HEAD, POST")
            }
        }
    }

    async fn show(&self, request: &Request<Incoming>, address: IpAddr) -> Answer {
        let path = request.uri().path();
        if let Some(asset) = assets::find(path) {
            return answer::asset(asset, request.headers());
        }
        if path == SIGN_IN.at {
            return match self.is_open {
                true => answer::see_other(OVERVIEW.at),
                false => {
                    let next = field(&fields_of(request.uri()), "next");
                    self.sign_in_page(StatusCode::OK, None, way::onward(&next))
                }
            };
        }
        let Some(visit) = self.visit(request.headers(), address) else {
            return answer::see_other(&way::by_sign_in(request.uri()));
        };
        let fields = fields_of(request.uri());
        let shown = match path.split('/').collect::<Vec<_>>().as_slice() {
            ["", ""] => (OVERVIEW, overview::overview(&visit.visitor, Utc::now()).await),
            ["", "queues"] => {
                let queues = overview::queues(&visit.visitor).await;
                (QUEUES, queues.map(|queues| json!({ "queues": queues })))
            }
            ["", "dead-letters"] => (DEAD_LETTERS, dead_letters::list(&visit.visitor, &fields).await),
            ["", "dead-letters", id] => (WORK, dead_letters::one(&visit.visitor, id).await),
            ["", "timetable"] => (TIMETABLE, timetable::timetable(&visit.visitor, &fields).await),
            ["", "boletos"] => (BOLETOS, boletos::list(&visit.visitor, &fields).await),
            ["", "boletos", id] => (BOLETO, boletos::one(&visit.visitor, id).await),
            ["", "transfers"] => (TRANSFERS, transfers::list(&visit.visitor, &fields).await),
            ["", "transfers", id] => (TRANSFER, transfers::one(&visit.visitor, id).await),
            _ => {
                let words = json!({ "words": "There is no such page." });
                return self.fill_in(StatusCode::NOT_FOUND, &TROUBLE, Some(&visit), words);
            }
        };
        match shown {
            (page, Ok(values)) => self.fill_in(StatusCode::OK, &page, Some(&visit), values),
            (_, Err(trouble)) => {
                self.refusal(request.headers(), &visit, trouble, &way::by_sign_in(request.uri()))
            }
        }
    }

    /// Takes in a form.
    async fn take(&self, request: Request<Incoming>, name: &Authority, address: IpAddr) -> Answer {
        let (head, body) = request.into_parts();
        if !origin::is_from_own_page(&head.headers, name, self.config.base_url.as_deref()) {
            return self.trouble(StatusCode::FORBIDDEN, "This was not sent by a page of the dashboard.");
        }
        let form = match self.form(&head.headers, body).await {
            Ok(form) => form,
            Err((status, words)) => return self.trouble(status, words),
        };
        if head.uri.path() == SIGN_IN.at {
            return self.sign_in(&form, address).await;
        }
        let Some(visit) = self.visit(&head.headers, address) else { return answer::see_other(SIGN_IN.at) };
        let brought: bool = field(&form, "form_key").as_bytes().ct_eq(visit.form_key.as_bytes()).into();
        if !brought {
            let words = "This form was not made for you, or before you signed in. Open its page again and send it from there.";
            return self.trouble(StatusCode::FORBIDDEN, words);
        }
        let done = match head.uri.path() {
            "/sign-out" => return self.sign_out(&head.headers, SIGN_IN.at),
            "/dead-letters/retry" => dead_letters::retry(&visit.visitor, &form).await,
            "/timetable/run" => timetable::run_now(&visit.visitor, &form).await,
            _ => return self.trouble(StatusCode::NOT_FOUND, "There is no such form."),
        };
        match done {
            Ok(()) => answer::see_other(&way::back(head.uri.path(), &form)),
            Err(trouble) => self.refusal(&head.headers, &visit, trouble, SIGN_IN.at),
        }
    }

    async fn form(&self, headers: &HeaderMap, body: Incoming) -> Result<Fields, (StatusCode, &'static str)> {
        let whole = timeout(self.config.header_timeout, Limited::new(body, FORM_BYTES_MAX).collect()).await;
        let whole = whole.map_err(|_| (StatusCode::REQUEST_TIMEOUT, "The form did not come in time."))?;
        let whole =
            whole.map_err(|_| (StatusCode::PAYLOAD_TOO_LARGE, "The form is too long, or broke off."))?;
        let mut request = Request::new(axum::body::Body::from(whole.to_bytes()));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers.clone();
        let form = axum::Form::<Fields>::from_request(request, &()).await;
        form.map(|axum::Form(fields)| fields).map_err(|_| (StatusCode::BAD_REQUEST, "This is no form."))
    }

    /// Who looks; nobody where somebody has to sign in first.
    fn visit(&self, headers: &HeaderMap, address: IpAddr) -> Option<Visit> {
        if self.is_open {
            let visitor = Visitor::new(&self.served, None, address);
            return Some(Visit { visitor, form_key: self.form_key.clone(), is_signed_in: false });
        }
        let session =
            self.sessions.find(self.cookie(headers)?, !headers.contains_key(LIVE), Instant::now())?;
        let visitor = Visitor::new(&self.served, Some(&session.token), address);
        Some(Visit { visitor, form_key: session.form_key, is_signed_in: true })
    }

    /// Lets somebody in whose token the API knows, whatever it allows.
    async fn sign_in(&self, form: &Fields, address: IpAddr) -> Answer {
        if self.is_open {
            return answer::see_other(OVERVIEW.at);
        }
        let next = field(form, "next");
        let next = way::onward(&next);
        let token = SecretString::from(field(form, "token").trim());
        let visitor = Visitor::new(&self.served, Some(&token), address);
        match visitor.is_known().await {
            Ok(()) => {}
            Err(Trouble::SignedOut) => {
                let words = "This is no token, or one that has ended or was revoked.";
                return self.sign_in_page(StatusCode::UNAUTHORIZED, Some(words), next);
            }
            Err(Trouble::Refused { code, words }) => {
                return self.sign_in_page(status_of(code), Some(&words), next);
            }
        }
        match self.sessions.open(token, Instant::now()) {
            Ok(id) => answer::with_cookie(answer::see_other(next), &self.cookie_of(&id, None)),
            Err(why) => {
                error!(error = why, "nobody can sign in");
                self.trouble(StatusCode::INTERNAL_SERVER_ERROR, "Nobody can sign in at present.")
            }
        }
    }

    fn sign_out(&self, headers: &HeaderMap, sign_in: &str) -> Answer {
        if let Some(id) = self.cookie(headers) {
            self.sessions.close(id);
        }
        answer::with_cookie(answer::see_other(sign_in), &self.cookie_of("", Some(Duration::ZERO)))
    }

    /// Says why there is no page; a session whose token holds no more is at its end, and `sign_in` is the way to the next one.
    fn refusal(&self, headers: &HeaderMap, visit: &Visit, trouble: Trouble, sign_in: &str) -> Answer {
        match trouble {
            Trouble::SignedOut => self.sign_out(headers, sign_in),
            Trouble::Refused { code, words } => {
                self.fill_in(status_of(code), &TROUBLE, Some(visit), json!({ "words": words }))
            }
        }
    }

    fn trouble(&self, status: StatusCode, words: &str) -> Answer {
        self.fill_in(status, &TROUBLE, None, json!({ "words": words }))
    }

    fn sign_in_page(&self, status: StatusCode, trouble: Option<&str>, next: &str) -> Answer {
        self.fill_in(status, &SIGN_IN, None, json!({ "trouble": trouble, "next": next }))
    }

    fn fill_in(&self, status: StatusCode, page: &Page, visit: Option<&Visit>, mut values: Value) -> Answer {
        let live_ms = page.is_live.then_some(self.config.refresh_every.as_millis());
        values["title"] = json!(page.title);
        values["at"] = json!(page.at);
        values["live_ms"] = json!(live_ms.and_then(|ms| u64::try_from(ms).ok()));
        values["form_key"] = json!(visit.map_or("", |visit| visit.form_key.as_str()));
        values["has_menu"] = json!(visit.is_some());
        values["is_signed_in"] = json!(visit.is_some_and(|visit| visit.is_signed_in));
        values["now"] = json!(Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        match self.templates.fill_in(page.template, values) {
            Ok(html) => answer::page(status, html),
            Err(error) => {
                error!(page = page.template, error, "page not shown: our fault");
                let words = "This page cannot be shown. The log of the process says why.";
                answer::page(StatusCode::INTERNAL_SERVER_ERROR, words.to_owned())
            }
        }
    }

    /// What the browser keeps for us.
    fn cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let wanted = self.cookie_name();
        let lines = headers.get_all(COOKIE).iter().filter_map(|line: &HeaderValue| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
    }

    /// `Lax`: a link in somebody's chat shows whoever is signed in the page that it is about. What a stranger's page sends comes without
    /// the cookie all the same, and what is changed by a form is guarded by where it comes from and by its key besides.
    fn cookie_of(&self, value: &str, max_age: Option<Duration>) -> String {
        let secure = if self.is_behind_tls() { "; Secure" } else { "" };
        let age = max_age.map_or_else(String::new, |age| format!("; Max-Age={}", age.as_secs()));
        format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", self.cookie_name())
    }

    /// With the prefix, browsers take the cookie from nobody but this very host (RFC 6265bis §4.1.3.2).
    fn cookie_name(&self) -> &'static str {
        if self.is_behind_tls() { "__Host-bursar" } else { "bursar" }
    }

    fn is_behind_tls(&self) -> bool {
        self.config.base_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }
}

fn fields_of(uri: &Uri) -> Fields {
    // What is no query asks for nothing.
    Query::<Fields>::try_from_uri(uri).map(|Query(fields)| fields).unwrap_or_default()
}

/// What HTTP calls a code of gRPC.
fn status_of(code: Code) -> StatusCode {
    match code {
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted | Code::FailedPrecondition => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
