//! What the sandbox shows of open banking: two customers of two banks whose accounts are refreshed, and a payment that is followed.
//!
//! The banks forget when the world ends and the store does not, so that all of it has the same names at every start, and the
//! consents allow more than the law's four accesses a day.
//!
//! **Owns** nothing. **Fails** when a run does not end in time, or a payment does not end. **Limits**: twenty seconds; the customers
//! are nobody, and their accounts' numbers only check.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, Days, NaiveTime, Utc};
use prost_types::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use tonic::transport::Channel;

use super::aspsps::{BERLIN, POLISH};
use crate::proto::control::v1::control_service_client::ControlServiceClient;
use crate::proto::control::v1::{GetJobRunRequest, JobRun, TriggerJobRequest};
use crate::proto::openbanking::v1 as openbanking;
use crate::proto::openbanking::v1::account_service_client::AccountServiceClient;
use crate::proto::openbanking::v1::consent_service_client::ConsentServiceClient;
use crate::proto::openbanking::v1::new_consent::{AllowedAccount, Tokens};
use crate::proto::openbanking::v1::payment_service_client::PaymentServiceClient;
use crate::proto::openbanking::v1::sync_service_client::SyncServiceClient;
use crate::proto::openbanking::v1::user_service_client::UserServiceClient;
use crate::sandbox::{Addresses, AspspAccount, AspspConsent, AspspEntry, AspspPayment, AspspTokens};

/// The customer at both banks.
pub(super) const ANA: &str = "sandbox-ana";
const JAN: &str = "sandbox-jan";
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Enough for a person who starts the sandbox all day.
const ACCESSES_A_DAY: u32 = 100;
/// Days on which something was bought.
const DAYS: u64 = 5;

/// Whose accounts are where, by the places of the banks among the world's.
const CONSENTS: [(&str, u8, &str, &[&str]); 3] = [
    (ANA, 0, BERLIN, &["PL24999000000000000000000101", "PL94999000000000000000000102"]),
    (ANA, 1, POLISH, &["PL67999000000000000000000103"]),
    (JAN, 1, POLISH, &["PL40999000000000000000000104"]),
];

/// Somebody who keeps customers, and looks at what comes of it.
pub(super) struct Keeper<'a> {
    outside: &'a Addresses,
    channel: Channel,
    client: reqwest::Client,
}

impl<'a> Keeper<'a> {
    pub fn new(outside: &'a Addresses, channel: Channel) -> Self {
        Self { outside, channel, client: reqwest::Client::new() }
    }

    /// Imports the customers with what they allow, has them refreshed, and follows a payment to its end. Returns what happened, for
    /// people.
    pub async fn show(&self) -> anyhow::Result<String> {
        let started = Instant::now();
        self.import().await?;
        let mut text = String::new();
        let _ = writeln!(text, "Two customers of two banks of open banking, their accounts refreshed:");
        for customer in [ANA, JAN] {
            let request = openbanking::SyncUserRequest {
                request_id: String::new(),
                external_id: customer.to_owned(),
                reason: "shown at the sandbox's start".to_owned(),
            };
            let answer = SyncServiceClient::new(self.channel.clone()).sync_user(request).await?.into_inner();
            let run = self.end_of(answer.run).await?;
            self.tell_sessions(customer, &run, &mut text).await?;
            self.tell_accounts(customer, &mut text).await?;
        }
        let _ = writeln!(text, "  a payment at {BERLIN}: {}", self.payment().await?);
        let _ = writeln!(text, "within {} ms.", started.elapsed().as_millis());
        Ok(text)
    }

    /// Puts everybody at their banks, and into the house.
    async fn import(&self) -> anyhow::Result<()> {
        let user = |name: &str| openbanking::NewUser {
            external_id: name.to_owned(),
            update_offline: true,
            ..Default::default()
        };
        let request = openbanking::PutUsersRequest { users: vec![user(ANA), user(JAN)] };
        UserServiceClient::new(self.channel.clone()).put_users(request).await?;
        let mut consents = Vec::new();
        for (customer, bank, aspsp, numbers) in CONSENTS {
            consents.push(self.consent(customer, bank, aspsp, numbers).await?);
        }
        let request = openbanking::ImportConsentsRequest { consents };
        let answer = ConsentServiceClient::new(self.channel.clone()).import_consents(request).await?;
        let ended = answer.into_inner().results.iter().filter(|result| result.ended).count();
        ensure!(
            ended == 0,
            "{ended} of the sandbox's consents have ended in this store; another data directory has none"
        );
        Ok(())
    }

    /// A consent at its bank with accounts that something was bought from, as it is told to the house.
    async fn consent(
        &self,
        customer: &str,
        bank: u8,
        aspsp: &str,
        numbers: &[&str],
    ) -> anyhow::Result<openbanking::NewConsent> {
        for number in numbers {
            self.act(bank, json!({"account": AspspAccount::in_zloty(*number)})).await?;
            for entry in entries(number) {
                self.act(bank, json!({"entry": {"iban": number, "entry": entry}})).await?;
            }
        }
        let now = Utc::now();
        let consent = AspspConsent {
            frequency_per_day: ACCESSES_A_DAY,
            ..AspspConsent::of(format!("{customer}-at-{aspsp}"), numbers, now)
        };
        let url = format!("{}/aspsps/{bank}/consent", self.outside.control_url);
        let tokens: AspspTokens = serde_json::from_str(&self.post(&url, &json!(consent)).await?)?;
        let last_day = consent.valid_until.and_time(NaiveTime::MIN).and_utc();
        // The bank that masks its lists has told the accounts with the consent.
        let allowed = |number: &&str| AllowedAccount {
            number: (*number).to_owned(),
            currency: "PLN".to_owned(),
            ..AllowedAccount::default()
        };
        Ok(openbanking::NewConsent {
            user_external_id: customer.to_owned(),
            aspsp: aspsp.to_owned(),
            external_id: consent.id,
            valid_until_time: timestamp(last_day),
            frequency_per_day: i32::try_from(ACCESSES_A_DAY)?,
            tokens: Some(Tokens {
                access_token: tokens.access,
                refresh_token: tokens.refresh,
                expire_time: timestamp(now + chrono::TimeDelta::hours(1)),
            }),
            accounts: if aspsp == POLISH { numbers.iter().map(allowed).collect() } else { Vec::new() },
            ..Default::default()
        })
    }

    async fn tell_sessions(&self, customer: &str, run: &JobRun, text: &mut String) -> anyhow::Result<()> {
        let request = openbanking::ListSessionsRequest { run_id: run.id.clone(), ..Default::default() };
        let answer = SyncServiceClient::new(self.channel.clone()).list_sessions(request).await?.into_inner();
        ensure!(!answer.sessions.is_empty(), "nobody was asked about {customer}: {}", run.error);
        for session in &answer.sessions {
            let state = session.state().as_str_name().trim_start_matches("STATE_").to_lowercase();
            let reason =
                if session.reason.is_empty() { String::new() } else { format!(" ({})", session.reason) };
            let new = session.new_transactions;
            let _ = writeln!(
                text,
                "  {customer:<12} {:<15} {state}{reason}, {new} new transactions",
                session.aspsp
            );
        }
        Ok(())
    }

    async fn tell_accounts(&self, customer: &str, text: &mut String) -> anyhow::Result<()> {
        let request =
            openbanking::ListAccountsRequest { user_external_id: customer.to_owned(), ..Default::default() };
        let answer =
            AccountServiceClient::new(self.channel.clone()).list_accounts(request).await?.into_inner();
        for account in &answer.accounts {
            let freshness = account.freshness.clone().unwrap_or_default();
            let state = freshness.state().as_str_name().trim_start_matches("STATE_").to_lowercase();
            let _ = writeln!(text, "  {:<12} {} {}, {state}", "", account.number, account.currency);
        }
        Ok(())
    }

    /// Has a payment followed: in progress at first, and then at its end.
    async fn payment(&self) -> anyhow::Result<String> {
        let name = format!("sandbox-payment-{}", Utc::now().timestamp_millis());
        self.act(0, json!({"payment": AspspPayment::settling(&name, &[])})).await?;
        let mut payments = PaymentServiceClient::new(self.channel.clone());
        let new = openbanking::NewPayment {
            aspsp: BERLIN.to_owned(),
            external_id: name.clone(),
            product: "payments/sepa-credit-transfers".to_owned(),
            user_external_id: ANA.to_owned(),
            ..Default::default()
        };
        payments.track_payments(openbanking::TrackPaymentsRequest { payments: vec![new] }).await?;
        let mut seen = Vec::new();
        for code in ["RCVD", "ACSC"] {
            self.act(0, json!({"settle": {"payment": name, "status": code}})).await?;
            let wish = TriggerJobRequest {
                job: "payment_update".to_owned(),
                reason: "shown at the sandbox's start".to_owned(),
                allow_overlap: true,
                ..Default::default()
            };
            let run =
                ControlServiceClient::new(self.channel.clone()).trigger_job(wish).await?.into_inner().run;
            self.end_of(run).await?;
            let request = openbanking::GetPaymentRequest {
                aspsp: BERLIN.to_owned(),
                external_id: name.clone(),
                ..Default::default()
            };
            let payment = payments.get_payment(request).await?.into_inner().payment.context("no payment")?;
            let state = payment.state().as_str_name().trim_start_matches("STATE_").to_lowercase();
            seen.push(format!("{} ({})", state.replace('_', " "), payment.raw_status));
        }
        Ok(seen.join(", then "))
    }

    /// Waits until a run has ended.
    async fn end_of(&self, begun: Option<JobRun>) -> anyhow::Result<JobRun> {
        let id = begun.context("the service answered without the run")?.id;
        let deadline = Instant::now() + PATIENCE;
        let mut control = ControlServiceClient::new(self.channel.clone());
        loop {
            let answer = control.get_job_run(GetJobRunRequest { id: id.clone() }).await?.into_inner();
            let ended = answer.run.filter(|run| run.end_time.is_some());
            if let Some(run) = ended {
                return Ok(run);
            }
            if Instant::now() >= deadline {
                bail!("the run {id} did not end within {PATIENCE:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn act(&self, bank: u8, deed: Value) -> anyhow::Result<()> {
        let url = format!("{}/aspsps/{bank}/do", self.outside.control_url);
        self.post(&url, &deed).await?;
        Ok(())
    }

    async fn post(&self, url: &str, body: &Value) -> anyhow::Result<String> {
        let asked = self.client.post(url).header("content-type", "application/json").body(body.to_string());
        Ok(asked.send().await?.error_for_status()?.text().await?)
    }
}

/// What was bought from an account: on each of the last days something, named by its day, and today something that is not booked yet.
fn entries(number: &str) -> Vec<AspspEntry> {
    let today = Utc::now().date_naive();
    let booked = (1..=DAYS).filter_map(|days| {
        let day = today.checked_sub_days(Days::new(days))?;
        let at = day.and_time(NaiveTime::from_hms_opt(9, 30, 0)?).and_utc();
        Some(AspspEntry::booked(&format!("{number}-{day}"), -1_000 - i64::try_from(days).ok()?, at))
    });
    let now = Utc::now();
    let waiting =
        AspspEntry::pending(&format!("{number}-{today}"), -4_990, now, now + chrono::TimeDelta::days(1));
    booked.chain([waiting]).collect()
}

fn timestamp(moment: DateTime<Utc>) -> Option<Timestamp> {
    Some(Timestamp { seconds: moment.timestamp(), nanos: moment.timestamp_subsec_nanos().cast_signed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_the_accounts_check() {
        for number in CONSENTS.iter().flat_map(|(.., numbers)| *numbers) {
            // ISO 7064: the country's letters as numbers, and with the check digits behind the rest it leaves 1.
            let (head, body) = number.split_at(4);
            let digits = format!("{body}2521{}", &head[2..]);
            let rest = digits.bytes().fold(0_u32, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
            assert_eq!((number.len(), rest), (28, 1), "{number}");
        }
    }
}
