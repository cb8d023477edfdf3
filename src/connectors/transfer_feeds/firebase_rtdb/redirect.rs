//! Where the database may send us on to, with what we sign in with.
//!
//! The live service answers 307 with another host, and the authorisation must go along. That is done inside the database's own
//! domain, by whole labels, and for hosts that an operator listed; anything else ends the call before anything is sent.
//!
//! **Owns** nothing. **Fails** with [`RedirectError`], which names a host at most, never a query. **Limits**: [`HOPS_MAX`].

use std::net::IpAddr;

use reqwest::Url;

/// How often one call is sent on, at most.
pub(super) const HOPS_MAX: usize = 5;

/// The domains in which databases live.
const DOMAINS: [&str; 2] = ["firebaseio.com", "firebasedatabase.app"];

/// Why a redirect is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RedirectError {
    #[error("a redirect that says no address")]
    NoAddress,
    #[error("a redirect to host {0}, which is not of the database's own domain")]
    Foreign(String),
    #[error("a redirect to an address without TLS")]
    Plain,
    #[error("more than {HOPS_MAX} redirects")]
    TooMany,
}

/// To whom we may be sent on.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    /// The configured address.
    pub(super) database: &'a Url,
    pub(super) hosts: &'a [String],
    pub(super) allow_loopback: bool,
}

impl Rules<'_> {
    /// The address to which `location` sends a call of `from`.
    pub(super) fn next(&self, from: &Url, location: Option<&str>) -> Result<Url, RedirectError> {
        let target = location.and_then(|text| from.join(text).ok()).ok_or(RedirectError::NoAddress)?;
        if !target.username().is_empty() || target.password().is_some() {
            return Err(RedirectError::NoAddress);
        }
        let host = host_of(&target).ok_or(RedirectError::NoAddress)?;
        if !is_safe(&target, self.allow_loopback) {
            return Err(RedirectError::Plain);
        }
        if self.is_ours(&target, &host) { Ok(target) } else { Err(RedirectError::Foreign(host)) }
    }

    fn is_ours(&self, target: &Url, host: &str) -> bool {
        let with_port = format!("{host}:{}", target.port_or_known_default().unwrap_or_default());
        if self
            .hosts
            .iter()
            .any(|listed| listed.eq_ignore_ascii_case(host) || listed.eq_ignore_ascii_case(&with_port))
        {
            return true;
        }
        let port = target.port_or_known_default();
        let Some(own) = host_of(self.database) else { return false };
        if own == *host && port == self.database.port_or_known_default() {
            return true;
        }
        // Another port of such a host is no database.
        port == Some(443) && DOMAINS.iter().any(|domain| is_below(&own, domain) && is_below(host, domain))
    }
}

/// Whether what is sent there can be read by nobody in between.
pub(super) fn is_safe(url: &Url, allow_loopback: bool) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => allow_loopback && host_of(url).is_some_and(|host| is_own_machine(&host)),
        _ => false,
    }
}

fn is_own_machine(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match literal {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Whether the name's last labels are the domain's, with one before them at least.
fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.')).is_some_and(|labels| !labels.is_empty())
}

/// The host as it is compared: a trailing dot names the same one.
fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?.trim_end_matches('.').to_ascii_lowercase();
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(database: &str, hosts: &[&str], location: &str) -> Result<String, RedirectError> {
        let database = Url::parse(database).unwrap();
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let rules = Rules { database: &database, hosts: &hosts, allow_loopback: true };
        let from = database.join("/Transfer.json?orderBy=x").unwrap();
        rules.next(&from, Some(location)).map(String::from)
    }

    #[test]
    fn inside_the_database_s_own_domain_a_call_is_sent_on() {
        let demo = "https://demo.firebaseio.com";
        for (location, wanted) in [
            ("https://s-usc1c-nss-201.firebaseio.com/Transfer.json?ns=demo", None),
            ("https://S-USC1C.FIREBASEIO.COM./x", Some("https://s-usc1c.firebaseio.com./x")),
            ("/other.json?ns=demo", Some("https://demo.firebaseio.com/other.json?ns=demo")),
            ("https://a.b.firebaseio.com:443/x", Some("https://a.b.firebaseio.com/x")),
        ] {
            assert_eq!(next(demo, &[], location).as_deref(), Ok(wanted.unwrap_or(location)), "{location}");
        }
        let app = "https://demo.europe-west1.firebasedatabase.app";
        assert!(next(app, &[], "https://s.europe-west1.firebasedatabase.app/x").is_ok());
    }

    #[test]
    fn anywhere_else_it_is_not() {
        let demo = "https://demo.firebaseio.com";
        for location in [
            "https://evilfirebaseio.com/x",
            "https://firebaseio.com/x",
            "https://firebaseio.com.evil.example/x",
            "https://demo.firebaseio.com.evil.example/x",
            "https://x.firebasedatabase.app/x",
            "https://s.firebaseio.com:8443/x",
            "https://127.0.0.1/x",
            "//evil.example/x",
        ] {
            assert!(matches!(next(demo, &[], location), Err(RedirectError::Foreign(_))), "{location}");
        }
        for location in ["http://s.firebaseio.com/x", "ftp://s.firebaseio.com/x", "http://evil.example/x"] {
            assert_eq!(next(demo, &[], location), Err(RedirectError::Plain), "{location}");
        }
        assert_eq!(next(demo, &[], "https://a:b@s.firebaseio.com/x"), Err(RedirectError::NoAddress));
        let url = Url::parse(demo).unwrap();
        let rules = Rules { database: &url, hosts: &[], allow_loopback: false };
        assert_eq!(rules.next(&url, None), Err(RedirectError::NoAddress));
    }

    #[test]
    fn other_databases_are_sent_on_to_listed_hosts_only() {
        let own = "http://127.0.0.1:9000/?ns=demo";
        assert!(next(own, &[], "http://127.0.0.1:9000/x.json").is_ok());
        assert!(next(own, &[], "http://127.0.0.1:9001/x.json").is_err());
        assert!(next(own, &[], "http://localhost:9000/x.json").is_err());
        assert!(next(own, &["localhost"], "http://localhost:9001/x.json").is_ok());
        assert!(next(own, &["localhost:9000"], "http://localhost:9000/x.json").is_ok());
        assert!(next(own, &["localhost:9000"], "http://localhost:9001/x.json").is_err());
        assert_eq!(next(own, &["evil.example"], "http://evil.example/x"), Err(RedirectError::Plain));
        assert!(next("https://db.example.com", &[], "https://other.example.com/x").is_err());
    }
}
