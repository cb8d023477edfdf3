//! Reads the sources of the configuration again, while the house is open.
//!
//! All is read and checked first, then everybody who follows a setting is told of what is in effect from now on; between the two
//! whoever asked may look at it, write it down, or let it be. What is wrong anywhere changes nothing.
//!
//! **Owns** the configuration in effect, and who follows it. **Fails** with all that is wrong with the sources, at once.
//! **Limits**: one reload at a time; this process alone, for each has sources of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tracing::{info, warn};

use crate::config::reload::{Change, Reloaded};
use crate::config::{Config, ConfigErrors, Loaded, Sources};
use crate::store::audit_act::Act;
use crate::store::audit_list::Subject;

/// Takes over what it follows. It must not fail, for the others have taken over theirs: what could be wrong was looked for before.
pub type Follower = Box<dyn Fn(&Config) + Send + Sync>;

/// Settings as they are in effect: those that a reload takes over, and all others as they were at the start. Clones are the same.
#[derive(Clone)]
pub struct Settings<T>(watch::Receiver<Arc<T>>);

impl<T: Clone + Send + Sync + 'static> Settings<T> {
    /// A part of the configuration, and who keeps it as it is.
    pub fn new(
        config: &Config,
        part: impl Fn(&Config) -> &T + Send + Sync + 'static,
    ) -> (Self, impl Fn(&Config) + Send + Sync + 'static) {
        let (sender, receiver) = watch::channel(Arc::new(part(config).clone()));
        (Self(receiver), move |config: &Config| drop(sender.send_replace(Arc::new(part(config).clone()))))
    }
}

impl<T> Settings<T> {
    /// Settings that no reload reaches.
    pub fn fixed(settings: T) -> Self {
        Self(watch::channel(Arc::new(settings)).1)
    }

    /// As they are now.
    pub fn get(&self) -> Arc<T> {
        self.0.borrow().clone()
    }
}

/// The way to a reload; clones are the same.
#[derive(Clone, Default)]
pub struct Reload {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// None in a house that was opened by a configuration that has no sources: nothing ever changes there.
    in_effect: Arc<Mutex<Option<InEffect>>>,
    /// By who they are, so that a house that is put together again takes the place of the one before.
    followers: Lock<BTreeMap<&'static str, Vec<Follower>>>,
}

struct InEffect {
    sources: Sources,
    loaded: Loaded,
}

/// What a reload would come to; nothing has changed yet, and no other reload begins meanwhile.
pub struct Pending {
    reload: Reload,
    in_effect: OwnedMutexGuard<Option<InEffect>>,
    reloaded: Option<Reloaded>,
}

impl Reload {
    /// Of a house that was opened by what these sources came to.
    pub fn of(sources: Sources, loaded: Loaded) -> Self {
        let in_effect = Arc::new(Mutex::new(Some(InEffect { sources, loaded })));
        Self { inner: Arc::new(Inner { in_effect, followers: Lock::default() }) }
    }

    /// Has these told of every reload, instead of those who were here under the same name.
    pub fn set_followers(&self, name: &'static str, followers: Vec<Follower>) {
        self.inner.followers.lock().unwrap_or_else(PoisonError::into_inner).insert(name, followers);
    }

    /// Reads the sources and checks all they say.
    ///
    /// # Errors
    /// All that is wrong with them; what is in effect stays so.
    pub async fn begin(&self) -> Result<Pending, ConfigErrors> {
        let in_effect = self.inner.in_effect.clone().lock_owned().await;
        let reloaded = match &*in_effect {
            None => None,
            Some(InEffect { sources, loaded }) => {
                let (sources, loaded) = (sources.clone(), loaded.clone());
                // Files are read, and may be slow to come.
                let reading = tokio::task::spawn_blocking(move || {
                    Config::load_whole(&sources).map(|read| loaded.take_over(&read))
                });
                let read = reading.await.expect("a reading that is never aborted, and that panics nowhere");
                Some(read?)
            }
        };
        Ok(Pending { reload: self.clone(), in_effect, reloaded })
    }
}

impl Pending {
    /// What would be taken over.
    pub fn taken(&self) -> &[Change] {
        self.reloaded.as_ref().map_or(&[], |reloaded| &reloaded.taken)
    }

    /// The keys that wait for a restart.
    pub fn waiting(&self) -> &[String] {
        self.reloaded.as_ref().map_or(&[], |reloaded| &reloaded.waiting)
    }

    /// The record of it; none where nothing would change.
    pub fn act(&self, reason: String, now: DateTime<Utc>) -> Option<Act> {
        let values = |of: fn(&Change) -> &Option<String>| -> Value {
            let pairs = self.taken().iter().map(|change| (change.key.clone(), json!(of(change))));
            Value::Object(Map::from_iter(pairs))
        };
        (!self.taken().is_empty()).then(|| Act {
            method: "ReloadConfig",
            subject: Subject::Named("configuration".to_owned()),
            reason,
            before: values(|change| &change.before),
            after: values(|change| &change.after),
            now,
        })
    }

    /// Has everybody take over what has changed.
    pub fn apply(mut self) {
        let (Some(in_effect), Some(reloaded)) = (&mut *self.in_effect, self.reloaded.take()) else { return };
        let Reloaded { loaded, taken, waiting } = reloaded;
        in_effect.loaded = loaded;
        for Change { key, before, after } in &taken {
            let (before, after) = (before.as_deref(), after.as_deref());
            info!(key, before, after, "setting taken over");
        }
        for key in &waiting {
            warn!(key, "setting waits for a restart");
        }
        if taken.is_empty() {
            info!(waiting = waiting.len(), "configuration read again; nothing to take over");
            return;
        }
        let followers = self.reload.inner.followers.lock().unwrap_or_else(PoisonError::into_inner);
        for follower in followers.values().flatten() {
            follower(&in_effect.loaded.config);
        }
        info!(taken = taken.len(), waiting = waiting.len(), "configuration reloaded");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn a_reload(file: &std::path::Path) -> (Reload, Arc<AtomicU32>) {
        let sources = Sources { file: Some(file.to_owned()), ..Sources::default() };
        let reload = Reload::of(sources.clone(), Config::load_whole(&sources).expect("a configuration"));
        let seen = Arc::new(AtomicU32::new(0));
        let follower = seen.clone();
        let follow = move |config: &Config| follower.store(config.breaker.failures_max, Ordering::SeqCst);
        reload.set_followers("test", vec![Box::new(follow)]);
        (reload, seen)
    }

    #[tokio::test]
    async fn what_is_wrong_anywhere_changes_nothing_and_what_is_put_right_is_taken_over() {
        let file = std::env::temp_dir().join(format!("bursar-reload-{}.toml", uuid::Uuid::now_v7()));
        let write = |text: &str| std::fs::write(&file, text).expect("the file is written");
        write("breaker.failures_max = 5");
        let (reload, seen) = a_reload(&file);
        write("breaker.failures_max = 6\nwork.lanes = 0\n[nothing]\nhere = 1");
        let Err(refused) = reload.begin().await else { panic!("two faults") };
        assert_eq!(refused.problems().len(), 2, "{refused}");
        assert_eq!(seen.load(Ordering::SeqCst), 0);
        write("breaker.failures_max = 7\nwork.lanes = 2");
        let pending = reload.begin().await.expect("all is well");
        assert_eq!(pending.taken().len(), 1);
        assert_eq!(pending.waiting(), ["work.lanes"]);
        let act = pending.act(String::new(), Utc::now()).expect("something to be told");
        assert_eq!(
            (act.before, act.after),
            (json!({"breaker.failures_max": "5"}), json!({"breaker.failures_max": "7"}))
        );
        drop(pending);
        assert_eq!(seen.load(Ordering::SeqCst), 0, "looked at only");
        reload.begin().await.expect("still well").apply();
        assert_eq!(seen.load(Ordering::SeqCst), 7);
        let again = reload.begin().await.expect("still well");
        assert!(again.taken().is_empty() && again.act(String::new(), Utc::now()).is_none());
        std::fs::remove_file(&file).expect("the file goes away");
    }
}
