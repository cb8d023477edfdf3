//! How much each worker may have in hand, now and after every reload.
//!
//! Where a worker's places are made it is said once how they follow from the configuration; who reloads it asks the same again.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: places are neither made nor taken away while the house is open.

use std::sync::Arc;

use tokio::sync::Notify;

use super::Builder;
use crate::config::Config;
use crate::messages::reload::{Follower, Settings};
use crate::messages::{Backlogs, Jobs};
use crate::work::config::QueueLimit;
use crate::work::places::each_its_own;
use crate::work::tenants::Tenants;
use crate::work::{Limits, Places};

/// What bounds one worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Of each queue that has no limit of its own.
    pub per_queue: QueueLimit,
    pub total_max: usize,
}

/// Where places are.
pub(super) struct Site {
    /// How the names of their queues begin.
    pub prefix: String,
    /// Signalled when one becomes free.
    pub freed: Arc<Notify>,
    pub tenants: Tenants,
    /// See [`Limits::party_of`].
    pub party_of: fn(&str) -> &str,
}

impl Builder<'_> {
    /// The places of a worker over the queues that begin with `prefix`; the house counts them.
    pub(super) fn places(
        &self,
        prefix: &str,
        bounds: impl Fn(&Config) -> Bounds + Send + Sync + 'static,
    ) -> Places {
        self.counted(self.places_at(self.site(prefix, self.hints.listen(prefix)), bounds))
    }

    /// Where the places of a worker are that takes its turns with the others.
    pub(super) fn site(&self, prefix: &str, freed: Arc<Notify>) -> Site {
        Site { prefix: prefix.to_owned(), freed, tenants: self.tenants.clone(), party_of: each_its_own }
    }

    pub(super) fn places_at(
        &self,
        site: Site,
        bounds: impl Fn(&Config) -> Bounds + Send + Sync + 'static,
    ) -> Places {
        let Site { prefix, freed, tenants, party_of } = site;
        let limits = move |config: &Config| {
            let Bounds { per_queue, total_max } = bounds(config);
            let own = config.work.queues.iter().filter(|(name, _)| name.starts_with(&prefix));
            let queues = own.map(|(name, limit)| (name.clone(), *limit)).collect();
            Limits { queues, party_of, ..Limits::uniform(per_queue, total_max, config.breaker.clone()) }
        };
        let places = Places::new(limits(self.config), tenants, freed);
        let following = places.clone();
        self.follow(move |config| following.set_limits(limits(config)));
        self.all_places.borrow_mut().push(places.clone());
        places
    }

    /// Adds places to what this process may claim.
    pub(super) fn counted(&self, places: Places) -> Places {
        places.count_in(&self.load.places);
        places
    }

    /// A part of the configuration for somebody who looks at it again and again.
    pub(super) fn settings<T: Clone + Send + Sync + 'static>(
        &self,
        part: impl Fn(&Config) -> &T + Send + Sync + 'static,
    ) -> Settings<T> {
        let (settings, follower) = Settings::new(self.config, part);
        self.follow(follower);
        settings
    }

    pub(super) fn follow(&self, follower: impl Fn(&Config) + Send + Sync + 'static) {
        self.followers.borrow_mut().push(Box::new(follower));
    }

    /// Everybody who takes something over from a reload: the places, and what stands beside them.
    pub(super) fn followers(&self, backlogs: &Backlogs, jobs: &Jobs) -> Vec<Follower> {
        let (tenants, backlogs) = (self.tenants.clone(), backlogs.clone());
        self.follow(move |config| tenants.set_limit(config.work.tenants));
        self.follow(move |config| backlogs.set_max(config.registration.backlog_max));
        self.follow(self.rescheduling(jobs));
        self.followers.take()
    }
}
