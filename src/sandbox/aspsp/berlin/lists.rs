//! Consents, accounts, balances and transactions.
//!
//! **Owns** nothing.
//! **Fails** in the standard's codes; a parameter that the standard does not have is a complaint.
//! **Limits**: a next page must be asked for exactly as its link says, and counts with the first one as one read.

use chrono::{NaiveDate, SecondsFormat};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::wire::{
    Access, Account as WireAccount, AccountDetails, AccountLinks, AccountList, Amount, Balance, Balances,
    Consent as WireConsent, ConsentStatus, Download, Link, Reference, Report, ReportLinks, Transaction,
    Transactions,
};
use super::{Ask, Bank, Note, Refusal, Told, reading_consent, resource_id};
use crate::sandbox::aspsp::account::{Account, List};
use crate::sandbox::aspsp::consent::Consent;
use crate::sandbox::aspsp::entry::{Item, decimal};
use crate::sandbox::aspsp::options::PageTrap;
use crate::sandbox::aspsp::paging::{Cursor, Page, turn};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WithBalance {
    with_balance: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    booking_status: String,
    date_from: Option<NaiveDate>,
    date_to: Option<NaiveDate>,
    entry_reference_from: Option<String>,
    delta_list: Option<bool>,
    with_balance: Option<bool>,
    page_index: Option<u32>,
    items_per_page: Option<usize>,
    /// Ours alone, and only in a link.
    page_key: Option<String>,
}

pub fn consent_status(bank: &Bank, id: &str, ask: &Ask, note: &mut Note) -> Result<Told, Refusal> {
    let consent = known_consent(bank, id, ask, note)?;
    Ok(Told::of(&ConsentStatus { consent_status: consent.status(ask.now) }))
}

pub fn consent(bank: &Bank, id: &str, ask: &Ask, note: &mut Note) -> Result<Told, Refusal> {
    let consent = known_consent(bank, id, ask, note)?;
    let references = || -> Vec<_> {
        consent.about.accounts.iter().map(|iban| Reference { iban, currency: None }).collect()
    };
    Ok(Told::of(&WireConsent {
        access: Access { accounts: references(), balances: references(), transactions: references() },
        recurring_indicator: true,
        valid_until: consent.about.valid_until,
        frequency_per_day: consent.about.frequency_per_day,
        last_action_date: consent.made_at.date_naive(),
        consent_status: consent.status(ask.now),
    }))
}

pub fn accounts(bank: &mut Bank, ask: &Ask, note: &mut Note) -> Result<Told, Refusal> {
    let consent = reading_consent(bank, ask, note)?;
    let wanted: WithBalance = query(ask)?;
    bank.count(note, consent.about.frequency_per_day)?;
    let links = Links::of(bank, ask);
    let found: Vec<_> = consent.about.accounts.iter().filter_map(|number| bank.account(number)).collect();
    let with_balance = wanted.with_balance == Some(true);
    let shown = |account| show(account, &consent, &links, ask, with_balance);
    Ok(Told::of(&AccountList { accounts: found.iter().map(shown).collect() }))
}

pub fn account(bank: &mut Bank, id: &str, ask: &Ask, note: &mut Note) -> Result<Told, Refusal> {
    let consent = reading_consent(bank, ask, note)?;
    let wanted: WithBalance = query(ask)?;
    let number = find(bank, &consent, id, note)?;
    bank.count(note, consent.about.frequency_per_day)?;
    let links = Links::of(bank, ask);
    let account = there(bank, &number)?;
    let shown = show(&account, &consent, &links, ask, wanted.with_balance == Some(true));
    Ok(Told::of(&AccountDetails { account: shown }))
}

pub fn balances(bank: &mut Bank, id: &str, ask: &Ask, note: &mut Note) -> Result<Told, Refusal> {
    let consent = reading_consent(bank, ask, note)?;
    let Nothing {} = query(ask)?;
    let number = find(bank, &consent, id, note)?;
    bank.count(note, consent.about.frequency_per_day)?;
    let account = there(bank, &number)?;
    Ok(Told::of(&Balances { account: reference(&account), balances: show_balances(&account, ask) }))
}

pub fn transactions(bank: &mut Bank, id: &str, ask: &Ask, note: &mut Note) -> Result<Told, Refusal> {
    let consent = reading_consent(bank, ask, note)?;
    let wanted: Wanted = query(ask)?;
    let number = find(bank, &consent, id, note)?;
    let cursor = match &wanted.page_key {
        Some(key) => {
            note.is_page = true;
            let cursor = Cursor::read(key).filter(|cursor| cursor.account == number);
            // The rest of the link is part of it.
            let cursor = cursor.filter(|cursor| ask.query == Some(parameters(cursor).as_str()));
            cursor.ok_or_else(|| Refusal::complaint(400, "FORMAT_ERROR", "this is no link of ours"))?
        }
        None => {
            let cursor = first_page(bank, &wanted, &number, ask)?;
            bank.count(note, consent.about.frequency_per_day)?;
            cursor
        }
    };
    let links = Links::of(bank, ask);
    let account = there(bank, &number)?;
    let trap = bank.traps.get(&number);
    if trap == Some(&PageTrap::Download) {
        let place = format!("/v1/accounts/{id}/transactions/download/{}", cursor.key());
        let download = Some(Download { download: links.to(&place) });
        let (account, transactions, balances) = (reference(&account), None, None);
        return Ok(Told::of(&Transactions { account, transactions, balances, links: download }));
    }
    let page = turn(&account, &cursor, trap, ask.now, None);
    let balances = (wanted.with_balance == Some(true)).then(|| show_balances(&account, ask));
    Ok(report(&account, cursor.list, &page, id, &links, balances))
}

pub fn download(bank: &mut Bank, id: &str, key: &str, ask: &Ask, note: &mut Note) -> Result<Told, Refusal> {
    let consent = reading_consent(bank, ask, note)?;
    let Nothing {} = query(ask)?;
    let number = find(bank, &consent, id, note)?;
    note.is_page = true;
    let cursor = Cursor::read(key).filter(|cursor| cursor.account == number);
    let cursor = cursor.ok_or_else(|| Refusal::complaint(404, "RESOURCE_UNKNOWN", "nothing to download"))?;
    let links = Links::of(bank, ask);
    let account = there(bank, &number)?;
    let all = Cursor { size: usize::MAX - 1, ..cursor };
    let page = turn(&account, &all, None, ask.now, None);
    Ok(report(&account, all.list, &page, id, &links, None))
}

/// What is asked about a list from its beginning.
fn first_page(bank: &Bank, wanted: &Wanted, number: &str, ask: &Ask) -> Result<Cursor, Refusal> {
    let unsupported = |what: &str| Err(Refusal::new(400, "PARAMETER_NOT_SUPPORTED", what));
    if wanted.delta_list == Some(true) || wanted.entry_reference_from.is_some() {
        return unsupported("this bank tells no deltas");
    }
    if wanted.page_index.is_some() {
        return unsupported("this bank's pages have keys");
    }
    let list = match wanted.booking_status.as_str() {
        "booked" => List::Booked,
        "pending" => List::Waiting,
        "both" if bank.rules.both => List::Both,
        "both" | "all" | "information" => {
            return unsupported("this bank tells booked and pending by themselves");
        }
        _ => return Err(Refusal::complaint(400, "PARAMETER_NOT_CONSISTENT", "no such bookingStatus")),
    };
    if wanted.date_from.is_none() {
        return Err(Refusal::complaint(400, "FORMAT_ERROR", "dateFrom is missing"));
    }
    if wanted.items_per_page == Some(0) {
        return Err(Refusal::complaint(400, "FORMAT_ERROR", "itemsPerPage is nothing"));
    }
    let days = bank.days(wanted.date_from, wanted.date_to, ask.now)?;
    let most = bank.rules.page_size.max(1);
    Ok(Cursor {
        account: number.to_owned(),
        list,
        from: *days.start(),
        to: *days.end(),
        size: wanted.items_per_page.map_or(most, |size| size.min(most)),
        page: 0,
        skip: 0,
    })
}

fn known_consent(bank: &Bank, id: &str, ask: &Ask, note: &mut Note) -> Result<Consent, Refusal> {
    note.consent = Some(id.to_owned());
    let Nothing {} = query(ask)?;
    let unknown = || Refusal::new(403, "CONSENT_UNKNOWN", "this consent is not known");
    bank.consent(id, ask.now).ok_or_else(unknown)
}

fn query<T: DeserializeOwned>(ask: &Ask) -> Result<T, Refusal> {
    let text = format!("/?{}", ask.query.unwrap_or_default());
    let read = text.parse().ok().and_then(|uri| axum::extract::Query::try_from_uri(&uri).ok());
    let words = "the parameters are not the standard's";
    read.map(|query| query.0).ok_or_else(|| Refusal::complaint(400, "FORMAT_ERROR", words))
}

/// The number of the consent's account of this name.
fn find(bank: &Bank, consent: &Consent, id: &str, note: &mut Note) -> Result<String, Refusal> {
    let is_it = |iban: &&String| resource_id(&consent.about.id, iban) == id;
    let number = consent.about.accounts.iter().find(is_it);
    let unknown = || Refusal::new(404, "RESOURCE_UNKNOWN", "no such account in this consent");
    let number = number.ok_or_else(unknown)?.clone();
    note.account = Some(number.clone());
    if there(bank, &number)?.is_blocked() {
        return Err(Refusal::new(403, "SERVICE_BLOCKED", "this account cannot be reached"));
    }
    Ok(number)
}

fn there<'a>(bank: &'a Bank, number: &str) -> Result<Account<'a>, Refusal> {
    bank.account(number).ok_or_else(|| Refusal::new(404, "RESOURCE_UNKNOWN", "the account is closed"))
}

/// Where links begin.
struct Links {
    origin: String,
}

impl Links {
    fn of(bank: &Bank, ask: &Ask) -> Self {
        let host = ask.header("host").filter(|_| bank.rules.absolute_links);
        Links { origin: host.map(|host| format!("http://{host}")).unwrap_or_default() }
    }

    fn to(&self, place: &str) -> Link {
        Link { href: format!("{}{place}", self.origin) }
    }
}

fn parameters(cursor: &Cursor) -> String {
    let status = match cursor.list {
        List::Booked => "booked",
        List::Pending | List::Holds | List::Waiting => "pending",
        List::Both => "both",
    };
    format!("bookingStatus={status}&dateFrom={}&dateTo={}&pageKey={}", cursor.from, cursor.to, cursor.key())
}

fn reference<'a>(account: &'a Account) -> Reference<'a> {
    Reference { iban: account.iban(), currency: Some(account.currency()) }
}

fn show<'a>(
    account: &'a Account,
    consent: &Consent,
    links: &Links,
    ask: &Ask,
    with_balance: bool,
) -> WireAccount<'a> {
    let resource_id = resource_id(&consent.about.id, account.iban());
    let place = format!("/v1/accounts/{resource_id}");
    WireAccount {
        iban: account.iban(),
        currency: account.currency(),
        name: "Sandbox account",
        product: "Current account",
        cash_account_type: "CACC",
        status: if account.is_blocked() { "blocked" } else { "enabled" },
        balances: with_balance.then(|| show_balances(account, ask)),
        links: AccountLinks {
            balances: links.to(&format!("{place}/balances")),
            transactions: links.to(&format!("{place}/transactions")),
        },
        resource_id,
    }
}

fn show_balances<'a>(account: &'a Account, ask: &Ask) -> Vec<Balance<'a>> {
    let (booked, available) = account.balances(ask.now);
    let last_change = account.last_change(ask.now);
    let last_change = last_change.map(|moment| moment.to_rfc3339_opts(SecondsFormat::Millis, true));
    [("interimBooked", booked), ("interimAvailable", available)]
        .map(|(balance_type, amount)| Balance {
            balance_amount: sum(account, amount),
            balance_type,
            reference_date: Some(ask.now.date_naive()),
            last_change_date_time: last_change.clone(),
        })
        .into()
}

fn sum<'a>(account: &'a Account, amount: i64) -> Amount<'a> {
    Amount { currency: account.currency(), amount: decimal(amount, account.decimals()) }
}

fn report(
    account: &Account,
    list: List,
    page: &Page,
    id: &str,
    links: &Links,
    balances: Option<Vec<Balance>>,
) -> Told {
    let of = |booked: bool| -> Vec<_> {
        let is_of = |item: &&Item| item.booked_at.is_some() == booked;
        page.items.iter().filter(is_of).map(|item| transaction(account, item)).collect()
    };
    let next = page.next.as_ref().map(|next| {
        let place = format!("/v1/accounts/{id}/transactions?{}", parameters(next));
        match &page.elsewhere {
            Some(origin) => Link { href: format!("{origin}{place}") },
            None => links.to(&place),
        }
    });
    let transactions = Report {
        booked: (list != List::Waiting).then(|| of(true)),
        pending: (list != List::Booked).then(|| of(false)),
        links: ReportLinks { account: links.to(&format!("/v1/accounts/{id}")), next },
    };
    Told::of(&Transactions {
        account: reference(account),
        transactions: Some(transactions),
        balances,
        links: None,
    })
}

fn transaction<'a>(account: &'a Account, item: &'a Item) -> Transaction<'a> {
    let other = Some(item.other_name.as_str());
    let other_account = item.other_account.as_deref().map(|iban| Reference { iban, currency: None });
    let leaves = item.amount < 0;
    let ((creditor_name, creditor_account), (debtor_name, debtor_account)) =
        if leaves { ((other, other_account), (None, None)) } else { ((None, None), (other, other_account)) };
    let day = item.booked_at.map(|moment| moment.date_naive());
    Transaction {
        transaction_id: item.id.as_deref(),
        entry_reference: item.id.as_deref().filter(|id| day.is_some() && id.len() <= 35),
        booking_date: day,
        value_date: day,
        transaction_amount: sum(account, item.amount),
        creditor_name,
        creditor_account,
        debtor_name,
        debtor_account,
        remittance_information_unstructured: &item.text,
        balance_after_transaction: item.balance_after.map(|amount| Balance {
            balance_amount: sum(account, amount),
            balance_type: "interimBooked",
            reference_date: None,
            last_change_date_time: None,
        }),
    }
}
