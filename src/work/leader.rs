//! Offices: what one process does for all, such as forgetting what is old enough.
//!
//! The leader stands for every office of the house: at its start, with every heartbeat, and at once when a process left.
//! An office is held as long as the process's own lease is: a process that fences itself has laid down its offices in the
//! same moment, before anybody else can take them.
//!
//! **Owns** what this process knows of its terms. **Fails** softly: while the store is away offices are held until the
//! lease ends. **Limits**: an office saves work that is done twice. Nothing is safe because of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tracing::{info, warn};

use super::config::WorkConfig;
use super::hints::Hints;
use super::lease::Lease;
use super::ticker::Ticker;
use crate::domain::ids::RunnerId;
use crate::store::{Store, StoreError};
use crate::supervision::{Actor, ActorError, ChildSpec, Context};

/// The offices of the house; clones are the same.
#[derive(Clone)]
pub struct Offices {
    lease: Lease,
    names: Arc<Mutex<BTreeSet<String>>>,
    terms: watch::Sender<Terms>,
}

/// Who held which offices in which terms when the store was last asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Terms {
    holder: Option<RunnerId>,
    terms: BTreeMap<String, i64>,
}

impl Offices {
    /// No office yet.
    pub fn new(lease: Lease) -> Self {
        Self { lease, names: Arc::default(), terms: watch::channel(Terms::default()).0 }
    }

    /// The office of this name, for which the leader stands from now on.
    pub fn office(&self, name: &str) -> Office {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        Office { offices: self.clone(), name: name.to_owned() }
    }

    fn term(&self, name: &str) -> Option<i64> {
        let known = self.terms.borrow();
        let term = known.terms.get(name).copied()?;
        // A holder that has fenced itself, or lives on under another identity, holds nothing.
        (known.holder.is_some() && known.holder == self.lease.holder()).then_some(term)
    }

    fn names(&self) -> Vec<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// One office, as whoever does its duties sees it.
#[derive(Clone)]
pub struct Office {
    offices: Offices,
    name: String,
}

impl Office {
    /// The term in which this process holds the office now, if it does.
    pub fn holds(&self) -> Option<i64> {
        self.offices.term(&self.name)
    }

    /// Waits until this process holds the office, and returns its term.
    pub async fn taken(&self) -> i64 {
        let mut changes = self.offices.terms.subscribe();
        loop {
            if let Some(term) = self.holds() {
                return term;
            }
            // The sender lives as long as this handle does.
            let _ = changes.changed().await;
        }
    }

    /// Waits until this process does not hold the office; if it does not now, for nothing.
    pub async fn lost(&self) {
        let mut changes = self.offices.terms.subscribe();
        while self.holds().is_some()
            && let Some(holder) = self.offices.lease.holder()
        {
            tokio::select! {
                // The sender lives as long as this handle does.
                _ = changes.changed() => {}
                () = self.offices.lease.lost(holder) => {}
            }
        }
    }
}

/// What the leader is told.
pub enum LeaderMessage {
    /// Take what is vacant.
    Stand,
}

/// The leader.
pub struct Leader {
    store: Store,
    offices: Offices,
    _ticker: Ticker,
}

impl Leader {
    /// The leader as a child of the foundation. It has stood for its offices once when it is ready.
    pub fn spec(store: Store, offices: Offices, hints: &Hints, config: &WorkConfig) -> ChildSpec {
        let (interval, upheaval) = (config.heartbeat_interval, hints.listen_for_upheavals());
        let (_, spec) = ChildSpec::worker("leader", move |context: Context<LeaderMessage>| {
            let hint = Some(upheaval.clone());
            let ticker = Ticker::start(context.myself, interval, hint, || LeaderMessage::Stand);
            let leader = Self { store: store.clone(), offices: offices.clone(), _ticker: ticker };
            async move {
                leader.stand_or_wait().await;
                Ok(leader)
            }
        });
        spec
    }

    async fn stand_or_wait(&self) {
        if let Err(error) = self.stand().await {
            warn!(%error, "offices not looked at");
        }
    }

    async fn stand(&self) -> Result<(), StoreError> {
        let names = self.offices.names();
        let Some(holder) = self.offices.lease.holder() else { return Ok(()) };
        if names.is_empty() {
            return Ok(());
        }
        let terms = self.store.stand_for_offices(&names, holder, self.store.now()).await?;
        let found = Terms { holder: Some(holder), terms };
        let before = self.offices.terms.send_replace(found.clone());
        if before != found {
            tell(&before, &found);
        }
        Ok(())
    }
}

fn tell(before: &Terms, found: &Terms) {
    for (office, term) in found.terms.iter().filter(|(office, term)| before.terms.get(*office) != Some(term))
    {
        info!(office, term, "office taken");
    }
    for office in before.terms.keys().filter(|office| !found.terms.contains_key(*office)) {
        info!(office, "office lost");
    }
}

impl Actor for Leader {
    type Message = LeaderMessage;

    async fn handle(&mut self, message: LeaderMessage) -> Result<(), ActorError> {
        match message {
            LeaderMessage::Stand => self.stand_or_wait().await,
        }
        Ok(())
    }
}
