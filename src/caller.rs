//! Who asks: carried along with the work that a call causes, as its trace is.
//!
//! The server lets a call run [`within`] its caller, once it knows who that is. Whatever the call does itself can then ask
//! [`current`]: whose rows it is about, whether it may see personal data, and under which name the audit writes it down. A task that a
//! call starts is no part of it until it is let run within the caller as well.
//!
//! **Owns** nothing. **Fails** closed: where no caller is known, nothing is allowed, and [`name`] is the house's own.
//! **Limits**: none.

use std::sync::Arc;

use crate::domain::access::{Scope, Scopes};
use crate::domain::ids::TenantId;

/// Under which the audit has what nobody asked for.
pub const HOUSE: &str = "house";

/// Under which the audit has what somebody did with the store itself in hand, beside every service.
pub const CONSOLE: &str = "console";

/// The metadata by which a call asks for masks, whatever its caller may read; the value counts for nothing. For faces that show
/// everybody who stands behind their user what they show.
pub const MASKED: &str = "bursar-masked";

/// Somebody who may do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose rows they see and change.
    pub tenant_id: TenantId,
    /// As the audit names them: `token:PREFIX`, `certificate:NAME`, `local`. No personal data.
    pub name: String,
    pub scopes: Scopes,
}

impl Caller {
    /// Whoever has the store itself in hand, for rows of this tenant.
    pub fn console(tenant_id: TenantId) -> Arc<Self> {
        Arc::new(Self { tenant_id, name: CONSOLE.to_owned(), scopes: Scopes::all() })
    }

    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.allow(scope)
    }

    /// The same caller, who is shown personal data in masks alone.
    pub fn masked(&self) -> Self {
        Self { scopes: self.scopes.masked(), ..self.clone() }
    }
}

tokio::task_local! {
    static CALLER: Arc<Caller>;
}

/// Runs something as part of what a caller has asked for.
pub async fn within<F: Future>(caller: Arc<Caller>, work: F) -> F::Output {
    CALLER.scope(caller, work).await
}

/// Starts a task that is part of what its caller has asked for, as a stream's is.
pub fn spawn<F>(work: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match current() {
        Some(caller) => tokio::spawn(within(caller, work)),
        None => tokio::spawn(work),
    }
}

/// Who has asked for what is running here; nobody where the house does it by itself.
pub fn current() -> Option<Arc<Caller>> {
    CALLER.try_with(Clone::clone).ok()
}

/// Who has asked, as the audit names them.
pub fn name() -> String {
    current().map_or_else(|| HOUSE.to_owned(), |caller| caller.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_caller_is_known_within_their_call_and_nowhere_else() {
        let caller = Arc::new(Caller {
            tenant_id: TenantId::default(),
            name: "token:abc".to_owned(),
            scopes: [Scope::BoletoRead].into_iter().collect(),
        });
        let (inside, started) = within(caller.clone(), async {
            let started = tokio::spawn(async { name() });
            assert_eq!(spawn(async { name() }).await.unwrap(), "token:abc");
            (current(), started.await.unwrap())
        })
        .await;
        assert_eq!(inside, Some(caller));
        assert_eq!(started, HOUSE, "a task is no part of the call that started it");
        assert_eq!(current(), None);
    }
}
