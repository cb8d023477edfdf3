//! What a request asks for beyond its path: its parameters and headers, against a closed list.
//!
//! **Owns** nothing.
//! **Fails** with the first parameter that is unknown, comes twice, has a value that does not fit, or does not go with
//! another or with the method.
//! **Limits**: `timeout`, `writeSizeLimit` and `format=export` are checked and change nothing here.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, Method, header};

use super::fault::Fault;
use super::query::{Asked, Query};

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Print {
    Plain,
    Pretty,
    /// Without a body, under 204.
    Silent,
}

/// What is asked for.
#[derive(Debug)]
pub struct Request {
    pub namespace: Option<String>,
    pub access_token: Option<String>,
    pub auth: Option<String>,
    pub query: Option<Query>,
    pub shallow: bool,
    pub print: Print,
    /// The version wanted beside the value.
    pub wants_etag: bool,
    /// Only if this version is there.
    pub if_match: Option<String>,
    /// Only if another version is there.
    pub if_none_match: Option<String>,
}

const WRITE_SIZES: [&str; 5] = ["tiny", "small", "medium", "large", "unlimited"];

/// Whether somebody wants to listen.
pub fn is_stream(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET
        && text(headers, &header::ACCEPT).is_some_and(|accepted| accepted.contains("text/event-stream"))
}

impl Request {
    pub fn read(
        method: &Method,
        headers: &HeaderMap,
        parameters: Vec<(String, String)>,
    ) -> Result<Self, Fault> {
        let mut given = BTreeMap::new();
        for (name, value) in parameters {
            if given.insert(name.clone(), value).is_some() {
                return Err(Fault::Parameter(name));
            }
        }
        let mut take = |name: &str| given.remove(name);
        let print = match take("print").as_deref() {
            None => Print::Plain,
            Some("pretty") => Print::Pretty,
            Some("silent") => Print::Silent,
            Some(_) => return Err(Fault::Parameter("print".to_owned())),
        };
        let shallow = match take("shallow").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Fault::Parameter("shallow".to_owned())),
        };
        let asked = Asked {
            order_by: take("orderBy"),
            start_at: take("startAt"),
            end_at: take("endAt"),
            equal_to: take("equalTo"),
            limit_to_first: take("limitToFirst"),
            limit_to_last: take("limitToLast"),
        };
        check("timeout", take("timeout"), is_timeout)?;
        check("writeSizeLimit", take("writeSizeLimit"), |size| WRITE_SIZES.contains(&size))?;
        check("format", take("format"), |format| format == "export")?;
        let (namespace, access_token, auth) = (take("ns"), take("access_token"), take("auth"));
        if let Some(unknown) = given.into_keys().next() {
            return Err(Fault::Parameter(unknown));
        }
        let request = Request {
            namespace,
            access_token,
            auth,
            query: asked.query()?,
            shallow,
            print,
            wants_etag: text(headers, &HeaderName::from_static("x-firebase-etag")) == Some("true"),
            if_match: text(headers, &header::IF_MATCH).map(str::to_owned),
            if_none_match: text(headers, &header::IF_NONE_MATCH).map(str::to_owned),
        };
        request.check(method)?;
        Ok(request)
    }

    /// What does not go together.
    fn check(&self, method: &Method) -> Result<(), Fault> {
        let versions = self.wants_etag || self.if_match.is_some() || self.if_none_match.is_some();
        if self.shallow && (versions || self.query.is_some()) {
            return Err(Fault::Bad("shallow goes with neither a version nor a query"));
        }
        if versions && self.query.is_some() {
            return Err(Fault::Bad("a query has no version"));
        }
        if self.if_match.is_some() && self.print == Print::Silent {
            return Err(Fault::Bad("print=silent does not go with if-match"));
        }
        if self.if_match.is_some() && !matches!(*method, Method::PUT | Method::DELETE) {
            return Err(Fault::Bad("if-match goes with PUT and DELETE only"));
        }
        if method != Method::GET && (self.shallow || self.query.is_some() || self.if_none_match.is_some()) {
            return Err(Fault::Bad(
                "only a GET can be shallow, a query, or depend on a version that is another",
            ));
        }
        Ok(())
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn check(name: &str, value: Option<String>, fits: impl FnOnce(&str) -> bool) -> Result<(), Fault> {
    match value {
        Some(value) if !fits(&value) => Err(Fault::Parameter(name.to_owned())),
        _ => Ok(()),
    }
}

/// A number and its unit, such as `10s`.
fn is_timeout(value: &str) -> bool {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    digits.parse::<u32>().is_ok() && matches!(&value[digits.len()..], "ms" | "s" | "min")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        method: &Method,
        headers: &[(&'static str, &str)],
        query: &[(&str, &str)],
    ) -> Result<Request, Fault> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let parameters =
            query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request::read(method, &headers, parameters)
    }

    #[test]
    fn what_is_documented_is_understood() {
        let query = [
            ("ns", "x"),
            ("timeout", "10s"),
            ("writeSizeLimit", "large"),
            ("format", "export"),
            ("print", "pretty"),
        ];
        let request = read(&Method::GET, &[("x-firebase-etag", "true")], &query).unwrap();
        assert!(
            request.wants_etag && request.namespace.as_deref() == Some("x") && request.print == Print::Pretty
        );
        let paged = [("orderBy", "\"$key\""), ("startAt", "\"a\""), ("limitToFirst", "10")];
        assert!(read(&Method::GET, &[], &paged).unwrap().query.is_some());
        assert!(read(&Method::PUT, &[("if-match", "null_etag")], &[]).unwrap().if_match.is_some());
    }

    #[test]
    fn what_is_unknown_or_does_not_go_together_is_refused() {
        type Case<'a> = (Method, &'a [(&'static str, &'a str)], &'a [(&'a str, &'a str)]);
        let cases: [Case<'_>; 11] = [
            (Method::GET, &[], &[("orderby", "\"a\"")]),
            (Method::GET, &[], &[("ns", "a"), ("ns", "b")]),
            (Method::GET, &[], &[("timeout", "soon")]),
            (Method::GET, &[], &[("print", "loud")]),
            (Method::GET, &[("x-firebase-etag", "true")], &[("shallow", "true")]),
            (Method::GET, &[], &[("shallow", "true"), ("orderBy", "\"$key\"")]),
            (Method::GET, &[("if-none-match", "x")], &[("orderBy", "\"$key\"")]),
            (Method::PUT, &[("if-match", "x")], &[("print", "silent")]),
            (Method::PATCH, &[("if-match", "x")], &[]),
            (Method::PUT, &[], &[("shallow", "true")]),
            (Method::DELETE, &[], &[("orderBy", "\"$key\"")]),
        ];
        for (method, headers, query) in cases {
            assert!(read(&method, headers, query).is_err(), "{method} {headers:?} {query:?}");
        }
    }
}
