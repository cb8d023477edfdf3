//! One slice of a batch: its customers as they are now, and their visits side by side.
//!
//! **Owns** the visits in hand. **Fails** as [`NotKept`] says; a visit that panics is a failed one, and a bug. **Limits**: visits at a
//! time as configured, in equal shares for the banks of the slice, so that those who wait for a slow one leave places to the others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{Instrument as _, error, info_span};

use super::tally::{Added, Tally};
use super::visit::{self, Visitor};
use super::{NotKept, Run, internal};
use crate::actors::config::openbanking::Via;
use crate::domain::ids::{ConsentId, PsuUserId};
use crate::domain::job::Progress;
use crate::domain::openbanking::pacing::interleaved;
use crate::store::openbanking::account::AllowedAccount;
use crate::store::openbanking::back_off::BackOff;
use crate::store::openbanking::consent::Consent;
use crate::store::openbanking::session::VisitState;

/// Between two reports of a slice under way.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// What came of a visit, or of all visits of a customer.
pub(super) struct Visited {
    pub user_id: PsuUserId,
    /// How each of them ended; still open where the run is to end.
    pub states: Vec<VisitState>,
    pub added: Added,
}

/// The visits that a customer still has before them, and whether all so far were good.
struct Course {
    open: usize,
    is_good: bool,
}

/// Visits these customers, as far as they still let us, and returns the tally with what that came to.
pub(super) async fn run_slice(
    run: &Arc<Run>,
    users: &[PsuUserId],
    tally: Tally,
    report: &(dyn Fn(&Tally) -> Progress + Sync),
) -> Result<Tally, NotKept> {
    let slice = Slice::read(run, users).await?;
    let users_after = tally.users + i64::try_from(users.len()).unwrap_or_default();
    let mut under_way = UnderWay { run, tally, users: slice.courses(), users_after, visits: JoinSet::new() };
    under_way.tally.users += i64::try_from(users.len() - under_way.users.len()).unwrap_or_default();
    match run.means.config.get().sync.via {
        Via::Aspsps => under_way.set_out(slice),
        Via::InternalApi => under_way.set_out_by_user(slice).await?,
    }
    under_way.finish(report).await
}

/// What the store says of a slice's customers when it begins.
struct Slice {
    external_ids: HashMap<PsuUserId, String>,
    consents: Vec<Consent>,
    accounts: HashMap<ConsentId, Vec<AllowedAccount>>,
    back_offs: HashMap<ConsentId, Vec<BackOff>>,
}

impl Slice {
    async fn read(run: &Run, ids: &[PsuUserId]) -> Result<Self, NotKept> {
        let (store, now) = (&run.means.store, run.now());
        let users = run.patiently(|| store.psu_users_to_sync(ids)).await?;
        let ids: Vec<PsuUserId> = users.iter().map(|user| user.id).collect();
        let consents = run.patiently(|| store.valid_consents(&ids, now)).await?;
        let of: Vec<ConsentId> = consents.iter().map(|consent| consent.id).collect();
        let mut accounts: HashMap<ConsentId, Vec<AllowedAccount>> = HashMap::new();
        let mut back_offs: HashMap<ConsentId, Vec<BackOff>> = HashMap::new();
        if run.means.config.get().sync.via == Via::Aspsps {
            for allowed in run.patiently(|| store.allowed_accounts(&of)).await? {
                accounts.entry(allowed.consent_id).or_default().push(allowed);
            }
            for back_off in run.patiently(|| store.back_offs(&of, now)).await? {
                back_offs.entry(back_off.consent_id).or_default().push(back_off);
            }
        }
        let external_ids = users.into_iter().map(|user| (user.id, user.external_id)).collect();
        Ok(Self { external_ids, consents, accounts, back_offs })
    }

    /// The customers who have anything to be visited for.
    fn courses(&self) -> HashMap<PsuUserId, Course> {
        let mut courses: HashMap<PsuUserId, Course> = HashMap::new();
        for consent in &self.consents {
            courses.entry(consent.user_id).or_insert(Course { open: 0, is_good: true }).open += 1;
        }
        courses
    }
}

struct UnderWay<'a> {
    run: &'a Arc<Run>,
    tally: Tally,
    users: HashMap<PsuUserId, Course>,
    /// Customers who have been dealt with when all of this has ended.
    users_after: i64,
    visits: JoinSet<Visited>,
}

impl UnderWay<'_> {
    /// A visit by each consent, banks in turn.
    fn set_out(&mut self, mut slice: Slice) {
        let in_flight_max = self.run.means.config.get().sync.in_flight_max.max(1) as usize;
        let all = Arc::new(Semaphore::new(in_flight_max));
        let mut banks: BTreeMap<String, Arc<Semaphore>> =
            slice.consents.iter().map(|consent| (consent.aspsp.clone(), all.clone())).collect();
        let share = in_flight_max.div_ceil(banks.len().max(1));
        banks.values_mut().for_each(|bank| *bank = Arc::new(Semaphore::new(share)));
        for consent in interleaved(slice.consents, |consent: &Consent| &consent.aspsp) {
            let (all, bank) = (all.clone(), banks[&consent.aspsp].clone());
            let visitor = Visitor {
                accounts: slice.accounts.remove(&consent.id).unwrap_or_default(),
                back_offs: slice.back_offs.remove(&consent.id).unwrap_or_default(),
                consent,
            };
            let span =
                info_span!("sync.visit", consent_id = %visitor.consent.id, aspsp = visitor.consent.aspsp);
            let run = self.run.clone();
            self.visits.spawn(
                async move {
                    // The bank's first, so that who waits for a slow bank takes nobody else's place.
                    let _of_bank = bank.acquire_owned().await;
                    let _of_all = all.acquire_owned().await;
                    // Made only now, so that a visit that waits for its place takes next to no memory.
                    Box::pin(visit::make(run, visitor)).await
                }
                .instrument(span),
            );
        }
    }

    /// One call for each customer, to whoever asks the banks in our place.
    async fn set_out_by_user(&mut self, slice: Slice) -> Result<(), NotKept> {
        let places = Arc::new(Semaphore::new(self.run.means.config.get().sync.in_flight_max.max(1) as usize));
        let mut by_user: HashMap<PsuUserId, Vec<Consent>> = HashMap::new();
        for consent in slice.consents {
            by_user.entry(consent.user_id).or_default().push(consent);
        }
        for (user, consents) in by_user {
            let external_id = slice.external_ids.get(&user).cloned().unwrap_or_default();
            let (run, places) = (self.run.clone(), places.clone());
            let span = info_span!("sync.user", user_id = %user);
            self.visits.spawn(
                async move {
                    let _place = places.acquire_owned().await;
                    Box::pin(internal::refresh(run, user, external_id, consents)).await
                }
                .instrument(span),
            );
        }
        Ok(())
    }

    /// Waits for all visits, telling now and then how far they have come.
    async fn finish(mut self, report: &(dyn Fn(&Tally) -> Progress + Sync)) -> Result<Tally, NotKept> {
        let mut ticks = tokio::time::interval(REPORT_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut synced = Vec::new();
        loop {
            tokio::select! {
                visited = self.visits.join_next() => match visited {
                    Some(Ok(visited)) => self.note(visited, &mut synced),
                    // Whose it was, its span has told; it stays open, and its customer unsynced.
                    Some(Err(panic)) => {
                        error!(%panic, "a visit panicked");
                        self.tally.sessions_failed += 1;
                    }
                    None => break,
                },
                // Visits hear of the run's end by themselves.
                _ = ticks.tick() => drop(self.run.context.report(&report(&self.tally)).await),
            }
        }
        let (store, now) = (&self.run.means.store, self.run.now());
        self.run.patiently(|| store.psu_users_synced(&synced, now)).await?;
        crate::failpoint::reached("sync.users.synced");
        self.run.context.is_wanted().map_err(NotKept::Wanted)?;
        self.tally.users = self.users_after;
        Ok(self.tally)
    }

    fn note(&mut self, visited: Visited, synced: &mut Vec<PsuUserId>) {
        for (place, state) in visited.states.iter().enumerate() {
            self.tally.add(*state, if place == 0 { visited.added } else { Added::default() });
        }
        let Some(course) = self.users.get_mut(&visited.user_id) else { return };
        course.open = course.open.saturating_sub(visited.states.len());
        course.is_good &= visited.states.iter().all(|state| *state == VisitState::Ok);
        if course.open > 0 {
            return;
        }
        self.tally.users += 1;
        if course.is_good {
            self.tally.users_synced += 1;
            synced.push(visited.user_id);
        }
    }
}
