//! Where a page's links lead, and where they may.
//!
//! A link is opaque: it is followed as it came. Yet our token goes along, so that it must lead to where the ASPSP is.
//!
//! **Owns** nothing. **Fails** as unreadable: a page whose next one cannot be read is no part of a whole set.
//! **Limits**: links of up to 8 KiB. A link to the page itself is refused, or ends the set where the settings say so; longer
//! circles are for the caller to see.

use reqwest::Url;

use super::wire::Links;
use crate::connectors::aspsps::config::AspspConfig;
use crate::connectors::aspsps::error::{misconfigured, unreadable};
use crate::connectors::aspsps::{AspspError, Cursor};

const LINK_BYTES_MAX: usize = 8 * 1024;

/// The next page behind `page`, as its links tell.
pub(super) fn next(links: &Links, page: &Url, config: &AspspConfig) -> Result<Option<Cursor>, AspspError> {
    let Some(href) = links.next.as_deref() else { return Ok(None) };
    let link = resolve(href, page, config)?;
    if link == *page {
        if config.self_link_ends {
            return Ok(None);
        }
        return Err(unreadable("the page names itself as the next one"));
    }
    Ok(Some(Cursor::Link(link.into())))
}

/// The report that stands in for all pages.
pub(super) fn download(
    links: &Links,
    page: &Url,
    config: &AspspConfig,
) -> Result<Option<Cursor>, AspspError> {
    let Some(href) = links.download.as_deref() else { return Ok(None) };
    let link = resolve(href, page, config)?;
    if link == *page {
        return Err(unreadable("the report names itself as its download"));
    }
    Ok(Some(Cursor::Download(link.into())))
}

/// A link that was kept, checked as if it had just come.
pub(super) fn follow(link: &str, config: &AspspConfig) -> Result<Url, AspspError> {
    let url = Url::parse(link).map_err(|_| unreadable("the cursor is no link"))?;
    check(&url, config)?;
    Ok(url)
}

fn resolve(href: &str, page: &Url, config: &AspspConfig) -> Result<Url, AspspError> {
    if href.len() > LINK_BYTES_MAX {
        return Err(unreadable("a link is longer than 8 KiB"));
    }
    let url = match (&config.berlin_group.link_base, Url::parse(href)) {
        (_, Ok(url)) => url,
        // A path of the ASPSP's own world, which begins behind the configured address.
        (Some(base), Err(_)) => {
            let whole =
                format!("{}/{}", base.url().as_str().trim_end_matches('/'), href.trim_start_matches('/'));
            Url::parse(&whole).map_err(|_| unreadable("a link is no link"))?
        }
        (None, Err(_)) => page.join(href).map_err(|_| unreadable("a link is no link"))?,
    };
    check(&url, config)?;
    Ok(url)
}

fn check(url: &Url, config: &AspspConfig) -> Result<(), AspspError> {
    let base = config.base_url.as_ref().ok_or_else(|| misconfigured("base_url is not set"))?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    if is_plain && url.origin() == base.url().origin() {
        return Ok(());
    }
    Err(unreadable("a link leads to another origin"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::http::HttpUrl;

    fn config() -> AspspConfig {
        let base_url = Some(HttpUrl::parse("https://bank.example/psd2").unwrap());
        AspspConfig { base_url, ..AspspConfig::default() }
    }

    fn links(next: &str) -> Links {
        serde_json::from_value(serde_json::json!({"next": {"href": next}})).unwrap()
    }

    fn next_of(href: &str, config: &AspspConfig) -> Result<Option<Cursor>, AspspError> {
        let page =
            Url::parse("https://bank.example/psd2/v1/accounts/a/transactions?bookingStatus=booked").unwrap();
        next(&links(href), &page, config)
    }

    #[test]
    fn a_link_is_followed_as_it_came() {
        for (href, link) in [
            (
                "/psd2/v1/accounts/a/transactions?page=%7B2%7D&x=a+b",
                "https://bank.example/psd2/v1/accounts/a/transactions?page=%7B2%7D&x=a+b",
            ),
            ("https://bank.example:443/other?p=2", "https://bank.example/other?p=2"),
            ("?page=2", "https://bank.example/psd2/v1/accounts/a/transactions?page=2"),
        ] {
            assert_eq!(next_of(href, &config()).unwrap(), Some(Cursor::Link(link.to_owned())), "{href}");
        }
        let mut own_world = config();
        own_world.berlin_group.link_base = Some(HttpUrl::parse("https://bank.example/psd2/").unwrap());
        let link = Cursor::Link("https://bank.example/psd2/v1/x?page=2".to_owned());
        assert_eq!(next_of("/v1/x?page=2", &own_world).unwrap(), Some(link));
        let empty: Links = serde_json::from_str(r#"{"next":{}}"#).unwrap();
        let page = Url::parse("https://bank.example/").unwrap();
        assert_eq!(next(&empty, &page, &config()).unwrap(), None);
    }

    #[test]
    fn a_link_leads_nowhere_else() {
        for href in [
            "http://bank.example/psd2/v1/x",
            "https://bank.example:8443/psd2",
            "https://other.example/psd2",
            "//other.example/psd2",
            "https://bank.example.other.example/",
            "https://user:word@bank.example/",
            "https://bank.example@other.example/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "https://",
        ] {
            let error = next_of(href, &config()).unwrap_err();
            assert!(matches!(error, AspspError::Unreadable { .. }), "{href}: {error}");
            assert!(follow(href, &config()).is_err(), "{href}");
        }
        assert!(next_of(&format!("/{}", "x".repeat(9_000)), &config()).is_err());
    }

    #[test]
    fn a_page_that_names_itself_is_refused_or_the_last() {
        let itself = "/psd2/v1/accounts/a/transactions?bookingStatus=booked";
        assert!(next_of(itself, &config()).unwrap_err().to_string().contains("names itself"));
        let lenient = AspspConfig { self_link_ends: true, ..config() };
        assert_eq!(next_of(itself, &lenient).unwrap(), None);
    }
}
