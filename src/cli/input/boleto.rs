//! The request for a boleto, and its payer.

use serde::Deserialize;

use crate::proto::boleto::v1::{
    Address, Charges, CreateBoletoRequest, Discount, Fine, Guarantor, Interest, LatePayment, Payer, discount,
    fine, interest,
};

/// `CreateBoletoRequest`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct BoletoInput {
    pub request_id: String,
    pub bank_account_id: String,
    pub bank_account_external_id: String,
    pub amount_cents: i64,
    pub due_date: String,
    pub payer: Option<PayerInput>,
    pub reference_id: String,
    pub token: String,
    pub instructions: String,
    pub queue_url: String,
    pub notification_opt_out: bool,
    pub charges: Option<ChargesInput>,
    pub guarantor: Option<GuarantorInput>,
    pub late_payment: Option<LatePaymentInput>,
    pub hold_registration: bool,
}

/// `Charges`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct ChargesInput {
    pub fine: Option<FineInput>,
    pub interest: Option<InterestInput>,
    pub discounts: Vec<DiscountInput>,
    pub abatement_cents: i64,
}

/// `Fine`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct FineInput {
    pub amount_cents: Option<i64>,
    pub percentage: Option<String>,
    pub after_days: i32,
}

/// `Interest`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct InterestInput {
    pub amount_per_day_cents: Option<i64>,
    pub percentage_per_month: Option<String>,
    pub after_days: i32,
}

/// `Discount`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct DiscountInput {
    pub until: String,
    pub amount_cents: Option<i64>,
    pub percentage: Option<String>,
    pub amount_per_day_early_cents: Option<i64>,
}

/// `Guarantor`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct GuarantorInput {
    pub name: String,
    pub tax_id: String,
    pub address: Option<AddressInput>,
}

/// `LatePayment`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct LatePaymentInput {
    pub accepted_days: i32,
}

/// `Payer`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct PayerInput {
    pub name: String,
    pub tax_id: String,
    pub address: Option<AddressInput>,
}

/// `Address`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct AddressInput {
    pub street: String,
    pub number: String,
    pub complement: String,
    pub district: String,
    pub city: String,
    pub state: String,
    pub postal_code: String,
}

/// What the protocol cannot carry: two values where it has room for one.
const TWO_VALUES: &str = "the values of a fine, of interest or of a discount exclude each other";

impl TryFrom<BoletoInput> for CreateBoletoRequest {
    type Error = &'static str;

    fn try_from(input: BoletoInput) -> Result<Self, Self::Error> {
        Ok(Self {
            request_id: input.request_id,
            bank_account_id: input.bank_account_id,
            bank_account_external_id: input.bank_account_external_id,
            amount_cents: input.amount_cents,
            due_date: input.due_date,
            payer: input.payer.map(Payer::from),
            reference_id: input.reference_id,
            token: input.token,
            instructions: input.instructions,
            queue_url: input.queue_url,
            notification_opt_out: input.notification_opt_out,
            charges: input.charges.map(Charges::try_from).transpose()?,
            guarantor: input.guarantor.map(Guarantor::from),
            late_payment: input.late_payment.map(|it| LatePayment { accepted_days: it.accepted_days }),
            hold_registration: input.hold_registration,
        })
    }
}

impl TryFrom<ChargesInput> for Charges {
    type Error = &'static str;

    fn try_from(input: ChargesInput) -> Result<Self, Self::Error> {
        Ok(Self {
            fine: input.fine.map(Fine::try_from).transpose()?,
            interest: input.interest.map(Interest::try_from).transpose()?,
            discounts: input.discounts.into_iter().map(Discount::try_from).collect::<Result<_, _>>()?,
            abatement_cents: input.abatement_cents,
        })
    }
}

impl TryFrom<FineInput> for Fine {
    type Error = &'static str;

    fn try_from(input: FineInput) -> Result<Self, Self::Error> {
        use fine::Value;
        let values = [input.amount_cents.map(Value::AmountCents), input.percentage.map(Value::Percentage)];
        Ok(Self { value: the_one(values)?, after_days: input.after_days })
    }
}

impl TryFrom<InterestInput> for Interest {
    type Error = &'static str;

    fn try_from(input: InterestInput) -> Result<Self, Self::Error> {
        use interest::Value;
        let values = [
            input.amount_per_day_cents.map(Value::AmountPerDayCents),
            input.percentage_per_month.map(Value::PercentagePerMonth),
        ];
        Ok(Self { value: the_one(values)?, after_days: input.after_days })
    }
}

impl TryFrom<DiscountInput> for Discount {
    type Error = &'static str;

    fn try_from(input: DiscountInput) -> Result<Self, Self::Error> {
        use discount::Value;
        let values = [
            input.amount_cents.map(Value::AmountCents),
            input.percentage.map(Value::Percentage),
            input.amount_per_day_early_cents.map(Value::AmountPerDayEarlyCents),
        ];
        Ok(Self { until: input.until, value: the_one(values)? })
    }
}

/// The value that was given; none is for the service to judge.
fn the_one<T>(values: impl IntoIterator<Item = Option<T>>) -> Result<Option<T>, &'static str> {
    let mut given = values.into_iter().flatten();
    let first = given.next();
    if given.next().is_some() { Err(TWO_VALUES) } else { Ok(first) }
}

impl From<GuarantorInput> for Guarantor {
    fn from(input: GuarantorInput) -> Self {
        Self { name: input.name, tax_id: input.tax_id, address: input.address.map(Address::from) }
    }
}

impl From<PayerInput> for Payer {
    fn from(input: PayerInput) -> Self {
        Self { name: input.name, tax_id: input.tax_id, address: input.address.map(Address::from) }
    }
}

impl From<AddressInput> for Address {
    fn from(input: AddressInput) -> Self {
        Self {
            street: input.street,
            number: input.number,
            complement: input.complement,
            district: input.district,
            city: input.city,
            state: input.state,
            postal_code: input.postal_code,
        }
    }
}
