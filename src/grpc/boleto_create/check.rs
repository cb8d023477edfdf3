//! What a request for a boleto must hold to, all of it looked at before anything is refused; and under which account it is
//! issued.
//!
//! **Owns** nothing. **Fails** with every violation at once. A rule of the account that leads nowhere is one of them:
//! the caller can name another account, and whoever keeps the accounts is told which rule it was.

use std::sync::Arc;

use chrono::NaiveDate;
use tokio::sync::OnceCell;

use crate::connectors::banks::{Bank as _, Proposal};
use crate::connectors::channels::{Channel as _, ChannelKind, Destination};
use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::due_date_factor::DAYS_AHEAD_MAX;
use crate::domain::boleto::terms::Terms;
use crate::domain::ids::TenantId;
use crate::domain::money::Cents;
use crate::domain::payer::Payer;
use crate::domain::violation::Violation;
use crate::grpc::convert::boleto as convert;
use crate::grpc::convert::charges::{charges_from_proto, guarantor_from_proto, late_payment_from_proto};
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::messages::bank_accounts::AccountKey;
use crate::proto::boleto::v1 as proto;

const TEXT_CHARS_MAX: usize = 255;
const INSTRUCTIONS_CHARS_MAX: usize = 165;

/// A request that breaks no rule.
pub(super) struct Checked {
    pub found: Found,
    pub amount: Cents,
    pub due_date: NaiveDate,
    pub terms: Terms,
    pub payer: Payer,
    pub reference_id: Option<String>,
    pub token: Option<String>,
    pub instructions: Option<String>,
    pub owner: Owner,
    pub hold_registration: bool,
}

/// The account under which a boleto is issued, and why that one.
pub(in crate::grpc) struct Found {
    pub(super) account: Arc<BankAccount>,
    pub(super) resolution: proto::BankAccountResolution,
    /// In a sentence.
    pub(super) reason: String,
}

/// Whom the request wants told.
pub(super) enum Owner {
    Queue(Destination, String),
    Subscriptions,
    Nobody,
}

/// Whether anybody subscribes to the tenant's boleto events: asked once for all requests of a batch.
#[derive(Default)]
pub(in crate::grpc) struct Subscriptions(OnceCell<bool>);

impl Subscriptions {
    async fn are_there(&self, house: &House, tenant: &TenantId) -> Result<bool, ApiError> {
        Ok(*self.0.get_or_try_init(|| house.store.has_subscription(tenant)).await?)
    }
}

pub(super) async fn check(
    house: &House,
    tenant: &TenantId,
    request: proto::CreateBoletoRequest,
    subscriptions: &Subscriptions,
    mut violations: Vec<Violation>,
) -> Result<Checked, ApiError> {
    let amount = Cents(request.amount_cents);
    if !amount.fits_a_boleto() {
        violations.push(Violation::new("amount_cents", "from 1 to 9999999999"));
    }
    let due_date = check_due_date(&request.due_date, &mut violations);
    let terms = Terms {
        charges: charges_from_proto(request.charges, amount, due_date, &mut violations),
        guarantor: guarantor_from_proto(request.guarantor, &mut violations),
        late_payment: late_payment_from_proto(request.late_payment, &mut violations),
    };
    let payer = convert::payer_from_proto(request.payer, &mut violations);
    let reference_id =
        request::optional_text("reference_id", request.reference_id, TEXT_CHARS_MAX, &mut violations);
    let token = request::optional_text("token", request.token, TEXT_CHARS_MAX, &mut violations);
    let instructions =
        request::optional_text("instructions", request.instructions, INSTRUCTIONS_CHARS_MAX, &mut violations);
    let told = (request.queue_url.as_str(), request.notification_opt_out);
    let owner = check_owner(house, tenant, told, subscriptions, &mut violations).await?;
    let named = (request.bank_account_id.as_str(), request.bank_account_external_id.as_str());
    let found = find_account(house, tenant, named, &terms, &mut violations).await?;
    if let (Some(found), Some(payer), Some(due_date)) = (&found, &payer, due_date)
        && let Some(registrar) = house.registrars.get(&found.account.provider)
    {
        let (account, instructions) = (&found.account, instructions.as_deref());
        let proposal = Proposal { account, payer, amount, due_date, terms: &terms, instructions };
        violations.extend(registrar.connector.supports(&proposal));
    }
    let hold_registration = request.hold_registration;
    match (due_date, payer, owner, found) {
        (Some(due_date), Some(payer), Some(owner), Some(found)) if violations.is_empty() => Ok(Checked {
            found,
            amount,
            due_date,
            terms,
            payer,
            reference_id,
            token,
            instructions,
            owner,
            hold_registration,
        }),
        _ => Err(ApiError::Invalid(violations)),
    }
}

pub(in crate::grpc) fn check_due_date(text: &str, violations: &mut Vec<Violation>) -> Option<NaiveDate> {
    if text.is_empty() {
        violations.push(Violation::new("due_date", "required, YYYY-MM-DD"));
        return None;
    }
    let date = request::optional_date("due_date", text, violations)?;
    let days_ahead = (date - request::today()).num_days();
    if days_ahead < 0 {
        violations.push(Violation::new("due_date", "must not be in the past (America/Sao_Paulo)"));
    } else if days_ahead > DAYS_AHEAD_MAX {
        violations.push(Violation::new("due_date", format!("at most {DAYS_AHEAD_MAX} days ahead")));
    }
    Some(date)
}

async fn check_owner(
    house: &House,
    tenant: &TenantId,
    (queue_url, opt_out): (&str, bool),
    subscriptions: &Subscriptions,
    violations: &mut Vec<Violation>,
) -> Result<Option<Owner>, ApiError> {
    if opt_out {
        if !queue_url.is_empty() {
            violations.push(Violation::new("queue_url", "must be empty with notification_opt_out"));
        }
        return Ok(Some(Owner::Nobody));
    }
    if queue_url.is_empty() {
        if subscriptions.are_there(house, tenant).await? {
            return Ok(Some(Owner::Subscriptions));
        }
        let rule = "required unless a subscription wants boleto events or notification_opt_out is set";
        violations.push(Violation::new("queue_url", rule));
        return Ok(None);
    }
    // A URL's reader passes over what it would not send; what is stored is what was given.
    if queue_url.chars().any(|character| character.is_control() || character.is_whitespace()) {
        violations.push(Violation::new("queue_url", "no blanks and no control characters"));
        return Ok(None);
    }
    let destination = Destination::Sqs { queue_url: queue_url.to_owned(), region: None };
    if let Some(channel) = house.channels.get(&ChannelKind::Sqs) {
        violations.extend(channel.check(tenant, &destination));
    }
    Ok(Some(Owner::Queue(destination, queue_url.to_owned())))
}

async fn find_account(
    house: &House,
    tenant: &TenantId,
    (id, external_id): (&str, &str),
    terms: &Terms,
    violations: &mut Vec<Violation>,
) -> Result<Option<Found>, ApiError> {
    use proto::BankAccountResolution as Resolution;
    let (field, key, resolution, reason) = match (id, external_id) {
        ("", "") => {
            let reason = "the request named no account, so that the tenant's default was taken";
            ("bank_account_id", AccountKey::Default, Resolution::Default, reason)
        }
        ("", name) => {
            let key = AccountKey::ExternalId(name.to_owned());
            let reason = "the request named it by its external id";
            ("bank_account_external_id", key, Resolution::ExternalId, reason)
        }
        (text, "") => match request::optional_id("bank_account_id", text, violations) {
            Some(id) => {
                ("bank_account_id", AccountKey::Id(id), Resolution::Id, "the request named it by its id")
            }
            None => return Ok(None),
        },
        _ => {
            let rule = "must be empty with bank_account_id";
            violations.push(Violation::new("bank_account_external_id", rule));
            return Ok(None);
        }
    };
    let Some(account) = house.accounts.find(tenant, &key).await? else {
        let rule = match key {
            AccountKey::Default => "required: there is no default bank account",
            _ => "no such bank account",
        };
        violations.push(Violation::new(field, rule));
        return Ok(None);
    };
    let Some((rule, target)) = account.rules.applying_to(terms) else {
        return Ok(Some(Found { account, resolution, reason: reason.to_owned() }));
    };
    let key = AccountKey::ExternalId(target.to_owned());
    let Some(arrived) = house.accounts.find(tenant, &key).await? else {
        let rule =
            format!("its rule {} leads to {target:?}, and there is no such bank account", rule.as_str());
        violations.push(Violation::new(field, rule));
        return Ok(None);
    };
    let rule = rule.as_str();
    let reason =
        format!("{reason}; the rule {rule} of that account, {:?}, leads to {target:?}", account.display_name);
    Ok(Some(Found { account: arrived, resolution: Resolution::Rule, reason }))
}
