//! Accounts, transactions and holds.
//!
//! **Owns** nothing.
//! **Fails** with 403 for an account that the consent is not for.
//! **Limits**: a next page is asked for with the same body and its `pageId`, and counts with the first one as one read.

use super::envelope::{self, has_no};
use super::wire::{
    AccountAnswer, AccountBase, AccountInfo, AccountRequest, Accounts, AccountsRequest, Category,
    DictionaryItem, ItemInfo, Items, ItemsRequest, Names, PageInfo, Party, Relation,
};
use super::{Ask, Asked, Bank, Note, Refusal, Told, header, moment, play};
use crate::sandbox::aspsp::account::{Account, List};
use crate::sandbox::aspsp::consent::Consent;
use crate::sandbox::aspsp::entry::{Item, decimal};
use crate::sandbox::aspsp::paging::{Cursor, turn};

const RELATION: [Relation; 1] = [Relation { type_of_relation: "Owner" }];
const CURRENT: DictionaryItem = DictionaryItem { code: "CACC", description: "Current account" };
const TYPE_NAME: &str = "Current account";
/// Every sum of the standard has so many.
const DECIMALS: u8 = 2;

pub fn accounts(bank: &mut Bank, ask: &Ask, refuse: Option<&str>, note: &mut Note) -> Result<Told, Refusal> {
    let request: AccountsRequest = envelope::read(bank, ask, note)?;
    has_no(&request.request_header, true, true)?;
    let consent = envelope::consent(bank, &request.request_header, ask, note)?;
    let size = page_size(bank, request.per_page)?;
    if let Some(told) = play(refuse, ask, note)? {
        return Ok(told);
    }
    let skip = match &request.page_id {
        None => {
            bank.count(note, consent.about.frequency_per_day)?;
            0
        }
        Some(key) => {
            note.is_page = true;
            let skip = key.strip_prefix("accounts-").and_then(|skip| skip.parse::<usize>().ok());
            skip.ok_or_else(|| Refusal::complaint(400, "PAGE_ID", "this is no key of ours"))?
        }
    };
    let numbers = &consent.about.accounts;
    let page: Vec<_> = numbers.iter().skip(skip).take(size).collect();
    let next = skip + page.len();
    let shown = |number: &&String| AccountBase {
        account_number: masked(number),
        account_type_name: TYPE_NAME,
        account_type: CURRENT,
        psu_relations: RELATION,
    };
    Ok(Told::of(&Accounts {
        response_header: header(ask, note),
        accounts: page.iter().map(shown).collect(),
        page_info: PageInfo { next_page: (next < numbers.len()).then(|| format!("accounts-{next}")) },
    }))
}

pub fn account(bank: &mut Bank, ask: &Ask, refuse: Option<&str>, note: &mut Note) -> Result<Told, Refusal> {
    let request: AccountRequest = envelope::read(bank, ask, note)?;
    has_no(&request.request_header, false, true)?;
    let consent = envelope::consent(bank, &request.request_header, ask, note)?;
    find(bank, &consent, &request.account_number, note)?;
    if let Some(told) = play(refuse, ask, note)? {
        return Ok(told);
    }
    bank.count(note, consent.about.frequency_per_day)?;
    let account = there(bank, &request.account_number)?;
    let (booked, available) = account.balances(ask.now);
    Ok(Told::of(&AccountAnswer {
        response_header: header(ask, note),
        account: AccountInfo {
            account_number: account.iban(),
            name_address: Names { value: ["Sandbox holder"] },
            account_type: CURRENT,
            account_type_name: TYPE_NAME,
            account_holder_type: "individual",
            currency: account.currency(),
            // The standard has no available funds below nothing, though the account be overdrawn.
            available_balance: decimal(available.max(0), DECIMALS),
            booking_balance: decimal(booked, DECIMALS),
            psu_relations: RELATION,
        },
    }))
}

pub fn transactions(
    bank: &mut Bank,
    asked: Asked,
    ask: &Ask,
    refuse: Option<&str>,
    note: &mut Note,
) -> Result<Told, Refusal> {
    let request: ItemsRequest = envelope::read(bank, ask, note)?;
    let list = if asked == Asked::Pending { List::Pending } else { List::Booked };
    let Reading { cursor, told } = begin(bank, &request, list, ask, refuse, note)?;
    if let Some(told) = told {
        return Ok(told);
    }
    if asked == Asked::NeverAny {
        let (transactions, page_info) = (Some(Vec::new()), PageInfo { next_page: None });
        let answer = Items { response_header: header(ask, note), transactions, holds: None, page_info };
        return Ok(Told::of(&answer));
    }
    show(bank, &request, &cursor, ask, note)
}

pub fn holds(bank: &mut Bank, ask: &Ask, refuse: Option<&str>, note: &mut Note) -> Result<Told, Refusal> {
    let request: ItemsRequest = envelope::read(bank, ask, note)?;
    if request.category == Some(Category::Credit) {
        return Err(Refusal::complaint(422, "BODY", "a hold's type is DEBIT"));
    }
    let Reading { cursor, told } = begin(bank, &request, List::Holds, ask, refuse, note)?;
    match told {
        Some(told) => Ok(told),
        None => show(bank, &request, &cursor, ask, note),
    }
}

/// Where reading begins, or what a script has said instead.
struct Reading {
    cursor: Cursor,
    told: Option<Told>,
}

fn begin(
    bank: &mut Bank,
    request: &ItemsRequest,
    list: List,
    ask: &Ask,
    refuse: Option<&str>,
    note: &mut Note,
) -> Result<Reading, Refusal> {
    has_no(&request.request_header, true, true)?;
    let consent = envelope::consent(bank, &request.request_header, ask, note)?;
    find(bank, &consent, &request.account_number, note)?;
    if request.item_id_from.is_some() {
        return Err(Refusal::new(501, "ITEM_ID_FROM", "this bank does not go on from an item"));
    }
    for amount in [&request.min_amount, &request.max_amount].into_iter().flatten() {
        if cents(amount).is_none() {
            return Err(Refusal::complaint(422, "BODY", "an amount has two decimals and no sign"));
        }
    }
    let size = page_size(bank, request.per_page)?;
    let days = bank.days(request.booking_date_from, request.booking_date_to, ask.now)?;
    bank.days(request.transaction_date_from, request.transaction_date_to, ask.now)?;
    let told = play(refuse, ask, note)?;
    let account = request.account_number.clone();
    let (from, to) = (*days.start(), *days.end());
    let first = Cursor { account, list, from, to, size, page: 0, skip: 0 };
    if told.is_some() {
        return Ok(Reading { cursor: first, told });
    }
    let cursor = match &request.page_id {
        None => {
            bank.count(note, consent.about.frequency_per_day)?;
            first
        }
        Some(key) => {
            note.is_page = true;
            let is_of = |cursor: &Cursor| Cursor { page: 0, skip: 0, ..cursor.clone() } == first;
            let cursor = Cursor::read(key).filter(is_of);
            cursor.ok_or_else(|| Refusal::complaint(400, "PAGE_ID", "this key is not of this list"))?
        }
    };
    Ok(Reading { cursor, told: None })
}

fn show(
    bank: &Bank,
    request: &ItemsRequest,
    cursor: &Cursor,
    ask: &Ask,
    note: &Note,
) -> Result<Told, Refusal> {
    let account = there(bank, &cursor.account)?;
    let sieve = |item: &Item| is_wanted(request, item);
    let has_sieve = request.category.is_some()
        || request.min_amount.is_some()
        || request.max_amount.is_some()
        || request.transaction_date_from.is_some()
        || request.transaction_date_to.is_some();
    let sieve: Option<&dyn Fn(&Item) -> bool> = has_sieve.then_some(&sieve);
    let page = turn(&account, cursor, bank.traps.get(&cursor.account), ask.now, sieve);
    let is_hold = cursor.list == List::Holds;
    let zoneless = bank.rules.zoneless;
    let shown = page.items.iter().map(|item| describe(&account, item, is_hold, zoneless)).collect();
    let (transactions, holds) = if is_hold { (None, Some(shown)) } else { (Some(shown), None) };
    Ok(Told::of(&Items {
        response_header: header(ask, note),
        transactions,
        holds,
        page_info: PageInfo { next_page: page.next.map(|next| next.key()) },
    }))
}

fn is_wanted(request: &ItemsRequest, item: &Item) -> bool {
    let day = item.traded_at.date_naive();
    let amount = item.amount.unsigned_abs();
    let bound = |text: &Option<String>| text.as_deref().and_then(cents);
    request.category.is_none_or(|category| category == category_of(item))
        && bound(&request.min_amount).is_none_or(|least| amount >= least)
        && bound(&request.max_amount).is_none_or(|most| amount <= most)
        && request.transaction_date_from.is_none_or(|from| day >= from)
        && request.transaction_date_to.is_none_or(|to| day <= to)
}

fn category_of(item: &Item) -> Category {
    if item.amount < 0 { Category::Debit } else { Category::Credit }
}

fn describe<'a>(account: &'a Account, item: &'a Item, is_hold: bool, zoneless: bool) -> ItemInfo<'a> {
    let category = category_of(item);
    let other = Some(Party {
        account_number: item.other_account.as_deref(),
        name_address: Names { value: [&item.other_name] },
    });
    let (sender, recipient) = if category == Category::Debit { (None, other) } else { (other, None) };
    ItemInfo {
        // The standard wants one; what a bank without any sends is one space.
        item_id: item.id.as_deref().unwrap_or(" "),
        amount: decimal(item.amount.abs(), DECIMALS),
        currency: account.currency(),
        description: &item.text,
        trade_date: moment(item.traded_at, zoneless),
        transaction_category: (!is_hold).then_some(category),
        booking_date: item.booked_at.map(|booked_at| moment(booked_at, zoneless)),
        post_transaction_balance: item.balance_after.map(|balance| decimal(balance, DECIMALS)),
        hold_expiration_date: is_hold.then(|| moment(item.books_at, zoneless)),
        sender,
        recipient,
    }
}

fn find(bank: &Bank, consent: &Consent, number: &str, note: &mut Note) -> Result<(), Refusal> {
    note.account = Some(number.to_owned());
    if !consent.about.accounts.iter().any(|known| known == number) {
        return Err(Refusal::new(403, "NO_PRIVILEGE", "the consent is not for this account"));
    }
    if consent.about.single {
        return Err(Refusal::new(403, "NO_PRIVILEGE", "the privilege was good for one use"));
    }
    if there(bank, number)?.is_blocked() {
        return Err(Refusal::new(403, "BLOCKED", "this account cannot be reached"));
    }
    Ok(())
}

fn there<'a>(bank: &'a Bank, number: &str) -> Result<Account<'a>, Refusal> {
    bank.account(number).ok_or_else(|| Refusal::new(400, "ACCOUNT_CLOSED", "the account is closed"))
}

fn page_size(bank: &Bank, wanted: Option<i32>) -> Result<usize, Refusal> {
    let most = bank.rules.page_size.max(1);
    match wanted.map(usize::try_from) {
        None => Ok(most),
        Some(Ok(size)) if size > 0 => Ok(size.min(most)),
        Some(_) => Err(Refusal::complaint(422, "BODY", "perPage is at least 1")),
    }
}

/// Whole cents of a sum as the standard writes it.
fn cents(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain =
        part.len() == 2 && is_number(part) && is_number(whole) && (whole == "0" || !whole.starts_with('0'));
    if !is_plain {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(part.parse().ok()?)
}

/// The first and the last digits, and stars for the others.
fn masked(number: &str) -> String {
    let end = number.len().saturating_sub(4);
    number.char_indices().map(|(at, digit)| if at < 6 || at >= end { digit } else { '*' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_as_the_standard_writes_them() {
        assert_eq!((cents("0.05"), cents("123.45")), (Some(5), Some(12_345)));
        for wrong in ["1", "1.5", "-1.00", "01.00", ".50", "1.000", "1,00"] {
            assert_eq!(cents(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_masked_number_tells_its_ends() {
        assert_eq!(masked("PL61109010140000071219812874"), "PL6110******************2874");
    }
}
