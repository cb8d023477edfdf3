//! The arguments that every change by hand shares: why, under which id, and a yes where nothing brings it back.
//!
//! **Owns** nothing. **Fails** without `--yes` as the call would, before it is made.

use clap::Args;
use tonic::Code;
use uuid::Uuid;

use super::failure::Failure;

/// What every change by hand says.
#[derive(Args)]
pub(in crate::cli) struct HandArgs {
    /// Why; kept for the audit
    #[arg(long)]
    pub(in crate::cli) reason: String,
    /// The same id and request give the same answer; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

impl HandArgs {
    /// The given one, or a new one at each call.
    pub(in crate::cli) fn request_id(&self) -> String {
        self.request_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string())
    }
}

/// What every erasure says.
#[derive(Args)]
pub(in crate::cli) struct ErasureArgs {
    /// Do it; nothing brings it back
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    hand: HandArgs,
}

impl ErasureArgs {
    /// What was said, of somebody who has said yes.
    pub(in crate::cli) fn confirmed(self) -> Result<HandArgs, Failure> {
        match self.yes {
            true => Ok(self.hand),
            false => {
                let message = "nothing brings it back; give --yes to have it erased";
                Err(Failure::found(Code::FailedPrecondition, message))
            }
        }
    }
}
