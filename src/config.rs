//! What the house is told before it opens: the defaults, then a file, then the environment, then the command line.
//!
//! Each room owns its own settings and this one composes them. `config/default.toml` is the manual, the list of all
//! keys, and part of the program.
//!
//! **Owns** nothing once it is loaded. **Fails** with all that is wrong at once, each problem with its key, where the
//! key was set and what is needed there; values are never repeated, for they may be secrets.
//! **Limits**: a configuration file holds at most 1 MiB.

mod bounds;
mod error;
mod in_effect;
mod legacy_scheduler;
mod origin;
mod redact;
pub mod reload;
mod schema;
mod source;
mod together;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::access::config::AccessConfig;
use crate::actors::config::openbanking::OpenBankingConfig;
use crate::actors::config::timetable::TimetableConfig;
use crate::actors::config::transfers::TransfersConfig;
use crate::actors::config::{
    NotificationConfig, ReconciliationConfig, RegistrationConfig, SupervisionConfig,
};
use crate::actors::queue_consumer::config::IngressConfig;
use crate::connectors::analyzers::config::AnalyzersConfig;
use crate::connectors::banks::BanksConfig;
use crate::connectors::channels::ChannelsConfig;
use crate::connectors::http::HttpConfig;
use crate::connectors::secret::policy::SecretsConfig;
use crate::grpc::config::{ApiConfig, CalendarConfig, LimitsConfig};
use crate::metrics::MetricsConfig;
use crate::store::StoreConfig;
use crate::telemetry::TelemetryConfig;
use crate::web::config::DocumentsConfig;
use crate::web::dashboard::config::DashboardConfig;
use crate::work::breaker::BreakerConfig;
use crate::work::config::WorkConfig;
use crate::work::retention::RetentionConfig;

pub use self::error::{ConfigErrors, Problem};
pub use self::in_effect::{CertificateSource, Outside};
pub use self::legacy_scheduler::warnings;
pub use self::origin::Origins;
use self::schema::Schema;
pub use self::source::Sources;

/// Every key with its default and what it means.
pub const DEFAULT_TOML: &str = include_str!("../config/default.toml");

/// All settings.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where what this process owns is kept, above all the embedded database.
    pub data_dir: PathBuf,
    pub api: ApiConfig,
    pub access: AccessConfig,
    pub limits: LimitsConfig,
    pub calendar: CalendarConfig,
    pub documents: DocumentsConfig,
    pub store: StoreConfig,
    pub work: WorkConfig,
    pub breaker: BreakerConfig,
    pub registration: RegistrationConfig,
    pub reconciliation: ReconciliationConfig,
    pub notification: NotificationConfig,
    pub ingress: IngressConfig,
    pub supervision: SupervisionConfig,
    pub http: HttpConfig,
    pub secrets: SecretsConfig,
    pub banks: BanksConfig,
    pub channels: ChannelsConfig,
    pub analyzers: AnalyzersConfig,
    pub transfers: TransfersConfig,
    pub openbanking: OpenBankingConfig,
    pub timetable: TimetableConfig,
    pub retention: RetentionConfig,
    pub telemetry: TelemetryConfig,
    pub metrics: MetricsConfig,
    pub dashboard: DashboardConfig,
}

/// What the sources come to.
#[derive(Clone)]
pub struct Loaded {
    pub config: Config,
    pub origins: Origins,
    /// Every key with its value as the sources have it.
    merged: Table,
}

impl Config {
    /// Reads all sources, each going over the one before it.
    ///
    /// # Errors
    /// Every unknown key and every value that is of the wrong kind, out of bounds or at odds with another.
    pub fn load(sources: &Sources) -> Result<Self, ConfigErrors> {
        Self::load_with_origins(sources).map(|(config, _)| config)
    }

    /// Reads all sources, and says of every key which of them its value comes from.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with_origins(sources: &Sources) -> Result<(Self, Origins), ConfigErrors> {
        Self::load_whole(sources).map(|loaded| (loaded.config, loaded.origins))
    }

    /// Reads all sources, and keeps beside what they come to all that a reload asks for.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_whole(sources: &Sources) -> Result<Loaded, ConfigErrors> {
        let schema = Schema::of_defaults();
        let (mut problems, mut origins) = (Vec::new(), Origins::default());
        let mut merged = schema.defaults().clone();
        for setting in sources.read(&schema, &mut problems) {
            match schema.verdict(&setting) {
                Ok(()) => {
                    origins.note(&setting);
                    schema::put(&mut merged, &setting.path, setting.value);
                }
                Err(problem) => problems.push(problem),
            }
        }
        schema::inherit(&mut merged);
        origins.inherit(schema::inheritance(&merged));
        bounds::check_relations(&merged, &mut problems);
        together::check_reach(&merged, &mut problems);
        together::check_tls(&merged, &mut problems);
        together::check_links(&merged, &mut problems);
        together::check_collector(&merged, &mut problems);
        together::check_mail(&merged, &mut problems);
        schema::check_whole(&mut merged, &mut problems);
        schema::check_nats(&merged, &mut problems);
        let extracted = schema::extract::<Self>(&merged);
        if let Ok(config) = &extracted {
            let faults = config.channels.mail.template_faults().into_iter();
            problems
                .extend(faults.map(|fault| Problem::bad("channels.mail.templates", error::TOGETHER, fault)));
            // A bad value has been left out: that it is missing now would be told twice.
            let mut faults = config.transfers.faults(&config.analyzers);
            faults.extend(config.openbanking.faults());
            faults.extend(config.timetable.faults());
            faults.extend(config.retention.faults());
            faults.retain(|(key, _)| !problems.iter().any(|problem| problem.key() == Some(key)));
            let faults = faults.into_iter().map(|(key, fault)| Problem::bad(key, error::TOGETHER, fault));
            problems.extend(faults);
        }
        match extracted {
            Ok(config) if problems.is_empty() => Ok(Loaded { config, origins, merged }),
            Ok(_) => Err(ConfigErrors::new(problems)),
            Err(error) => {
                problems.push(Problem::bad(
                    error.path.join("."),
                    error::TOGETHER,
                    schema::reason(&error.kind),
                ));
                Err(ConfigErrors::new(problems))
            }
        }
    }

    /// The settings in effect as TOML, as [`to_toml_redacted`](Self::to_toml_redacted) has them, each with its origin behind it.
    pub fn to_toml_with_origins(&self, origins: &Origins) -> String {
        origins.annotate(&self.to_toml_redacted())
    }

    /// The settings in effect as TOML, every key, with passwords masked.
    pub fn to_toml_redacted(&self) -> String {
        let mut shown = Schema::of_defaults().defaults().clone();
        let mut masked = self.clone();
        masked.store.url = redact::url(&masked.store.url);
        // TOML is UTF-8; a path that somebody set from elsewhere need not be.
        masked.data_dir = masked.data_dir.to_string_lossy().into_owned().into();
        let own = Table::try_from(&masked)
            .expect("texts, numbers, lists and tables, which is all there is, can be written as TOML");
        schema::show_entries(&mut shown, &own);
        for (path, value) in schema::flatten(own) {
            schema::put(&mut shown, &path, value);
        }
        toml::to_string(&shown).expect("a table that was put together from TOML can be written as TOML")
    }
}

/// The defaults, as they stand in `config/default.toml`.
impl Default for Config {
    fn default() -> Self {
        Self::load(&Sources::default())
            .expect("a test reads config/default.toml, which is part of the program")
    }
}

impl fmt::Debug for Config {
    /// Masked, so that a password in the database's URL does not end up in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_toml_redacted())
    }
}

#[cfg(test)]
mod tests;
