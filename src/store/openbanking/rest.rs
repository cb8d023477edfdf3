//! Where a bank has said that it is to be left alone about payments, for which nobody's consent is asked: kept like the back-offs of
//! consents, and under an id that is made of the bank's name, so that it outlives runs and restarts as they do.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: the later moment counts; one row a bank, which is written over.

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use super::back_off::BackOff;
use crate::domain::ids::{ConsentId, TenantId};
use crate::store::{Store, StoreError};

/// What is left alone.
const ENDPOINT: &str = "payments";

impl Store {
    /// Leaves a bank alone about payments until then.
    pub async fn rest_aspsp(
        &self,
        aspsp: &str,
        until: DateTime<Utc>,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let rest = BackOff {
            consent_id: holder(aspsp),
            tenant_id: TenantId::default(),
            aspsp: aspsp.to_owned(),
            endpoint: ENDPOINT.to_owned(),
            blocked_until: until,
            reason: reason.to_owned(),
            set_at: now,
        };
        self.set_back_offs(&[rest]).await.map(|_| ())
    }

    /// Until when it is left alone, if it still is.
    pub async fn aspsp_rest(&self, aspsp: &str, now: DateTime<Utc>) -> Result<Option<BackOff>, StoreError> {
        Ok(self.back_offs(&[holder(aspsp)], now).await?.pop())
    }
}

/// The id that stands for the bank where others have a consent's. Ids of consents are made of time and chance, and these are of
/// another version, so that none is both.
fn holder(aspsp: &str) -> ConsentId {
    let digest: [u8; 32] = Sha256::digest(format!("aspsp/{aspsp}")).into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    ConsentId(made_of(half))
}

fn made_of(bytes: [u8; 16]) -> Uuid {
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_has_one_id_and_no_other_bank_has_it() {
        assert_eq!(holder("bank"), holder("bank"));
        assert_ne!(holder("bank"), holder("bank2"));
        assert_eq!(holder("bank").0.get_version_num(), 8);
    }
}
