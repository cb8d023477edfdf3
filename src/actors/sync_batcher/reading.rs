//! The transactions of an account: every page of what is booked, then what is pending, each taken over as soon as it is whole.
//!
//! Pages of a set that has several are kept as they come, so that a crash costs no access: the set goes on at its cursor for as long
//! as it is the same day at the bank. A page is held against those before it ahead of being kept.
//!
//! **Owns** the set that is being read. **Fails** with a [`Trouble`]; a set that is not whole moves nothing. **Limits**: `pages_max`
//! pages. What is pending is small, and begun again where it was cut off. Days that nobody dates are the bank's own.

use std::sync::Arc;

use chrono::NaiveDate;
use tracing::warn;

use super::accounts::{DONE, HOLDS, PENDING};
use super::calls::{Stop, Trouble, ask};
use super::told::{self, Mapped};
use super::visit::Visit;
use crate::connectors::aspsps::{
    Aspsp as _, AspspCapabilities, Cursor, Operation, TransactionList, TransactionPage, TransactionsRequest,
};
use crate::domain::openbanking::days::first_day;
use crate::domain::openbanking::pages::{Astray, PageGuard};
use crate::store::openbanking::apply::{Applied, Told};
use crate::store::openbanking::page::{KeptPage, PageDraft, PageKept};

/// The days that are asked about.
#[derive(Clone, Copy)]
struct Asked {
    from: NaiveDate,
    until: NaiveDate,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    List(TransactionList),
    Holds,
}

/// A whole set.
#[derive(Default)]
struct Set {
    mapped: Mapped,
    /// The bank has told which ones are pending.
    tells_pending: bool,
}

/// How far the reading of a set has come.
struct Progress {
    set: Set,
    guard: PageGuard,
    /// Pages that are kept.
    pages: i64,
    /// Where it goes on; nowhere yet where nothing has been read.
    cursor: Option<Cursor>,
}

impl Progress {
    fn new(pages_max: u32) -> Self {
        Self { set: Set::default(), guard: PageGuard::new(pages_max), pages: 0, cursor: None }
    }

    /// Takes in a page that was kept.
    fn resume(&mut self, page: KeptPage) -> Result<(), Astray> {
        let KeptPage { next_cursor, booked, pending } = page;
        let mapped = Mapped { booked, pending };
        self.guard.see(mapped.mark(), Some(&next_cursor))?;
        self.set.tells_pending |= !mapped.pending.is_empty();
        self.set.mapped.extend(mapped);
        self.pages += 1;
        Ok(())
    }
}

impl Which {
    fn operation(self) -> Operation {
        match self {
            Self::List(TransactionList::Pending) => Operation::TransactionsPending,
            Self::List(_) => Operation::Transactions,
            Self::Holds => Operation::Holds,
        }
    }
}

impl Visit {
    /// Reads an account's transactions and takes them over.
    pub async fn read_transactions(&mut self, place: usize) -> Result<(), Trouble> {
        if !self.may_read(place, DONE) {
            return Err(Trouble::Unsupported(
                "not_allowed: its transactions may not be read unattended".to_owned(),
            ));
        }
        let can = self.desk.connector().capabilities();
        let wants_pending = self.run.means.config.get().sync.pending;
        let has = |list| can.lists.contains(&list);
        let both = wants_pending && has(TransactionList::Both);
        let list = if both { TransactionList::Both } else { TransactionList::Booked };
        let asked = self.days_of(place, &can);
        if !self.before.has(self.accounts[place].allowed.account.synced_at) {
            self.read_booked(place, list, asked).await?;
        }
        self.accounts[place].is_synced = true;
        if both {
            return Ok(());
        }
        match self.read_pending(place, asked, &can, wants_pending).await {
            // The account's own transactions have come; what is pending comes another time.
            Err(Trouble::Stop(stop)) => Err(stop.into()),
            Err(trouble) => Ok(self.endure(trouble, Some(place), false)?),
            Ok(()) => Ok(()),
        }
    }

    /// What is booked, and what is pending where that is told along.
    async fn read_booked(
        &mut self,
        place: usize,
        list: TransactionList,
        asked: Asked,
    ) -> Result<(), Trouble> {
        let resumed = self.unfinished(place, asked).await?;
        // What was begun by other days is read to its end by those.
        let asked = resumed.as_ref().map_or(asked, |(_, asked)| *asked);
        let which = Which::List(list);
        let set = match resumed {
            Some((progress, _)) => match self.read_on(place, which, asked, progress).await {
                // The bank does not know its cursor any more.
                Err(Trouble::Of(_) | Trouble::Unsupported(_)) => {
                    self.forget_pages(place).await?;
                    self.read_set(place, which, asked).await
                }
                read => read,
            },
            None => self.read_set(place, which, asked).await,
        };
        let set = set?;
        let pending = set.tells_pending.then_some(set.mapped.pending);
        let booked = Some((asked.from, asked.until, set.mapped.booked));
        self.apply(self.told(place, |told| (told.booked, told.pending) = (booked, pending))).await
    }

    /// What is not booked yet, from as many lists as there are; taken over only where all of them have come.
    async fn read_pending(
        &mut self,
        place: usize,
        asked: Asked,
        can: &AspspCapabilities,
        wants_pending: bool,
    ) -> Result<(), Trouble> {
        let wants_holds = self.run.means.config.get().sync.holds;
        let is_listed = can.lists.contains(&TransactionList::Pending);
        let mut wanted = Vec::new();
        if wants_pending && is_listed && self.may_read(place, PENDING) {
            wanted.push(Which::List(TransactionList::Pending));
        }
        if wants_holds && can.holds && self.may_read(place, HOLDS) {
            wanted.push(Which::Holds);
        }
        let id = self.accounts[place].id();
        // None is wanted, or all were taken over before the run was cut off.
        if wanted.iter().all(|which| self.before.told(which.operation(), Some(id))) {
            return Ok(());
        }
        let mut pending = Vec::new();
        for which in wanted {
            let set = self.read_set(place, which, asked).await?;
            if !set.tells_pending {
                return Ok(());
            }
            pending.extend(set.mapped.pending);
        }
        self.apply(self.told(place, |told| told.pending = Some(pending))).await.map(drop)
    }

    fn days_of(&self, place: usize, can: &AspspCapabilities) -> Asked {
        let allowed = &self.accounts[place].allowed;
        let until = self.run.now().with_timezone(&self.zone.tz()).date_naive();
        let caps = [Some(can.history_days_max), allowed.history_days];
        let overlap = self.run.means.config.get().sync.overlap_days;
        let from = first_day(until, allowed.account.synced_through, overlap, caps.into_iter().flatten());
        Asked { from, until }
    }

    /// The set that was cut off, if it can still go on; what is too old is forgotten.
    async fn unfinished(&mut self, place: usize, asked: Asked) -> Result<Option<(Progress, Asked)>, Stop> {
        let account = &self.accounts[place].allowed.account;
        let Some(unfinished) = account.unfinished.clone() else { return Ok(None) };
        let cursor = Cursor::from_text(&unfinished.cursor).filter(|_| unfinished.until == asked.until);
        let Some(cursor) = cursor else {
            self.forget_pages(place).await?;
            return Ok(None);
        };
        let (store, tenant, id) = (&self.run.means.store, &account.tenant_id, account.id);
        let kept = self.run.patiently(|| store.kept_account_pages(tenant, id)).await?;
        let mut progress = Progress::new(self.run.means.config.get().sync.pages_max);
        if kept.into_iter().try_for_each(|page| progress.resume(page)).is_err() {
            // More of them than one set may have by now.
            self.forget_pages(place).await?;
            return Ok(None);
        }
        progress.cursor = Some(cursor);
        Ok(Some((progress, Asked { from: unfinished.from, until: unfinished.until })))
    }

    async fn forget_pages(&self, place: usize) -> Result<(), Stop> {
        let account = &self.accounts[place].allowed.account;
        let store = &self.run.means.store;
        Ok(self.run.patiently(|| store.forget_account_pages(&account.tenant_id, account.id)).await?)
    }

    /// Reads a set from its beginning to its end.
    async fn read_set(&mut self, place: usize, which: Which, asked: Asked) -> Result<Set, Trouble> {
        let progress = Progress::new(self.run.means.config.get().sync.pages_max);
        self.read_on(place, which, asked, progress).await
    }

    /// Reads a set to its end.
    async fn read_on(
        &mut self,
        place: usize,
        which: Which,
        asked: Asked,
        progress: Progress,
    ) -> Result<Set, Trouble> {
        let keeps = matches!(which, Which::List(TransactionList::Booked | TransactionList::Both));
        let Progress { mut set, mut guard, mut pages, mut cursor } = progress;
        let currency = self.accounts[place].allowed.account.key.currency.clone();
        loop {
            let page = self.read_page(place, which, asked, cursor.as_ref()).await?;
            let TransactionPage { transactions, tells_pending, balances, next } = page;
            let mapped = told::mapped(transactions, &currency)
                .map_err(|why| Trouble::of(format!("unreadable: {why}")))?;
            let text = next.as_ref().map(Cursor::to_text);
            let is_new = match guard.see(mapped.mark(), text.as_deref()) {
                Ok(is_new) => is_new,
                Err(astray) => {
                    if keeps {
                        self.forget_pages(place).await?;
                    }
                    return Err(Trouble::of(format!("pages: {astray}")));
                }
            };
            if !is_new {
                warn!(account_id = %self.accounts[place].id(), "a page came twice");
            }
            let mapped = if is_new { mapped } else { Mapped::default() };
            set.tells_pending |= tells_pending;
            if !balances.is_empty() {
                self.accounts[place].balances = balances;
            }
            let Some(text) = text else {
                set.mapped.extend(mapped);
                return Ok(set);
            };
            let mapped =
                if keeps { self.keep_page(place, asked, pages, text, mapped).await? } else { mapped };
            set.mapped.extend(mapped);
            (pages, cursor) = (pages + 1, next);
        }
    }

    async fn read_page(
        &mut self,
        place: usize,
        which: Which,
        asked: Asked,
        cursor: Option<&Cursor>,
    ) -> Result<TransactionPage, Trouble> {
        let connector = self.desk.connector().clone();
        let account = &self.accounts[place];
        let id = account.id();
        let Some(name) = account.name_at(self.standard).map(str::to_owned) else {
            return Err(Trouble::of("unnamed: the bank has not said by what it is asked about"));
        };
        let request =
            TransactionsRequest { account: &name, from: asked.from, to: None, after_item: None, cursor };
        Ok(ask!(self, which.operation(), Some(id), cursor.is_some(), access => async {
            match which {
                Which::List(list) => connector.transactions(&access, list, &request).await,
                Which::Holds => connector.holds(&access, &request).await,
            }
        }))
    }

    /// Keeps a page that is not the last, and gives back what is on it.
    async fn keep_page(
        &self,
        place: usize,
        asked: Asked,
        number: i64,
        next_cursor: String,
        mapped: Mapped,
    ) -> Result<Mapped, Trouble> {
        let account = &self.accounts[place].allowed.account;
        let Mapped { booked, pending } = mapped;
        let draft = PageDraft {
            tenant_id: account.tenant_id.clone(),
            account_id: account.id,
            number,
            from: asked.from,
            until: asked.until,
            next_cursor,
            booked,
            pending,
            now: self.run.now(),
        };
        let store = &self.run.means.store;
        let kept = self.run.patiently(|| store.keep_account_page(&draft)).await?;
        crate::failpoint::reached("sync.page.kept");
        match kept {
            PageKept::Kept => Ok(Mapped { booked: draft.booked, pending: draft.pending }),
            PageKept::Gone => Err(Trouble::Gone),
            PageKept::OutOfOrder => {
                self.forget_pages(place).await?;
                Err(Trouble::of("pages: somebody else reads the same set"))
            }
        }
    }

    /// What the bank has told of an account, to be filled in.
    pub fn told(&self, place: usize, fill: impl FnOnce(&mut Told)) -> Told {
        let account = &self.accounts[place].allowed.account;
        let mut told = Told {
            tenant_id: account.tenant_id.clone(),
            account_id: account.id,
            booked: None,
            pending: None,
            balances: Vec::new(),
            details: None,
            now: self.run.now(),
        };
        fill(&mut told);
        told
    }

    /// Takes over what was told.
    pub async fn apply(&mut self, told: Told) -> Result<(), Trouble> {
        let told = Arc::new(told);
        crate::failpoint::reached("sync.apply.before");
        let run = &self.run;
        let applied = run.patiently(|| run.lanes.told.run(told.clone())).await?;
        crate::failpoint::reached("sync.apply.after");
        match applied {
            Applied::Gone => Err(Trouble::Gone),
            Applied::Done(counts) => {
                let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
                self.added.new += count(counts.new);
                self.added.changed += count(counts.changed);
                self.added.missing += count(counts.missing);
                Ok(())
            }
        }
    }
}
