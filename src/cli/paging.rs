//! Pages of a list: one, or all of them one after another.
//!
//! **Owns** nothing. **Fails** as the call that fetches a page does; a list that never ends, because the service
//! gives the same token again, is refused.
//! **Limits**: `--all` holds the whole list in memory.

use std::future::Future;

use clap::Args;
use serde_json::{Value, json};
use tonic::Code;

use super::failure::Failure;
use super::screen::Screen;
use super::table::{self, Column};

/// Which page of a list.
#[derive(Args, Clone)]
pub(super) struct PageArgs {
    /// Rows of a page at most; 0 leaves it to the service
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..))]
    pub page_size: i32,
    /// Go on after an earlier page, under the same filters
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    pub page_token: String,
    /// Fetch every page
    #[arg(long)]
    pub all: bool,
}

/// One page: its rows, and where the next one starts (empty on the last).
pub(super) struct Page {
    pub rows: Vec<Value>,
    pub next_page_token: String,
}

/// Fetches one page, or all, each by its token.
pub(super) async fn fetch<F, A>(args: &PageArgs, mut page: F) -> Result<Page, Failure>
where
    F: FnMut(String) -> A,
    A: Future<Output = Result<Page, Failure>>,
{
    let mut whole = page(args.page_token.clone()).await?;
    let mut before = args.page_token.clone();
    while args.all && !whole.next_page_token.is_empty() {
        if whole.next_page_token == before {
            return Err(Failure::found(Code::Internal, "the service gave the same page token twice"));
        }
        let next = page(whole.next_page_token.clone()).await?;
        before = std::mem::replace(&mut whole.next_page_token, next.next_page_token);
        whole.rows.extend(next.rows);
    }
    Ok(whole)
}

/// Shows a page: `field` is the name of its rows in the protocol.
pub(super) fn show(
    page: Page,
    field: &'static str,
    columns: &[Column],
    screen: &mut Screen,
) -> Result<(), Failure> {
    let Page { rows, next_page_token } = page;
    let document = json!({ field: rows, "next_page_token": next_page_token });
    screen.show(&document, |document| {
        let rows = document[field].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut text = table::rows(columns, rows);
        if !next_page_token.is_empty() {
            text.push_str(&format!("more: --page-token {}\n", table::safe(&next_page_token)));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(all: bool) -> PageArgs {
        PageArgs { page_size: 0, page_token: String::new(), all }
    }

    fn page_after(token: &str) -> Page {
        let (row, next) = match token {
            "" => (1, "a"),
            "a" => (2, "b"),
            "b" => (3, ""),
            other => unreachable!("nobody gave the token {other}"),
        };
        Page { rows: vec![json!(row)], next_page_token: next.to_owned() }
    }

    #[tokio::test]
    async fn all_follows_the_tokens_to_the_end_and_one_page_does_not() {
        let all = fetch(&args(true), async |token: String| Ok(page_after(&token))).await.unwrap();
        assert_eq!((all.rows, all.next_page_token), (vec![json!(1), json!(2), json!(3)], String::new()));
        let one = fetch(&args(false), async |token: String| Ok(page_after(&token))).await.unwrap();
        assert_eq!((one.rows, one.next_page_token.as_str()), (vec![json!(1)], "a"));
    }

    #[tokio::test]
    async fn a_list_that_never_ends_is_refused() {
        let same = async |_| Ok(Page { rows: Vec::new(), next_page_token: "again".to_owned() });
        assert!(fetch(&args(true), same).await.is_err());
    }
}
