//! Drawing a stored boleto, for every face that shows it.
//!
//! **Owns** nothing. **Fails** as the store does when the account has to be looked for, and when the form cannot hold a text,
//! which is our bug. **Limits**: it is drawn on a thread of its own kind, so that a page keeps no other call waiting.

use super::bank_accounts::AccountKey;
use super::house::House;
use crate::documents::{self, Format};
use crate::domain::boleto::Boleto;
use crate::store::StoreError;

/// Why a boleto was not drawn.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// Nothing is left of its payer, so that it would be nobody's.
    #[error("the boleto's payer was erased")]
    Erased,
    /// Its bank account is not there.
    #[error("the boleto's bank account is not there")]
    NoAccount,
    /// Its bank account could not be looked for.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was not drawn; our bug.
    #[error("the document was not drawn: {0}")]
    Broken(String),
}

impl House {
    /// The boleto, as it stands now, written as a document.
    ///
    /// # Errors
    /// [`DrawError`].
    pub async fn draw(&self, boleto: &Boleto, format: Format) -> Result<Vec<u8>, DrawError> {
        if boleto.is_erased() {
            return Err(DrawError::Erased);
        }
        let key = AccountKey::Id(boleto.bank_account_id);
        let account = self.accounts.find(&boleto.tenant_id, &key).await?.ok_or(DrawError::NoAccount)?;
        let document = documents::of_boleto(boleto, &account);
        // Drawing takes milliseconds of a processor; it is not to keep other calls waiting.
        let drawn = tokio::task::spawn_blocking(move || documents::render(&document, format)).await;
        let drawn = drawn.map_err(|error| DrawError::Broken(error.to_string()))?;
        drawn.map_err(|error| DrawError::Broken(error.to_string()))
    }
}
