//! What the faces and the workers say to each other, and where they meet.
//!
//! gRPC and actors do not know each other; both know this room. A message carries ids, or says that there is work:
//! whatever must survive is a row, so a message may be lost with the incarnation that had it.
//!
//! **Owns** the [`House`]: the handles that both sides share.

pub mod analysis_client;
pub mod aspsps;
pub mod backlogs;
pub mod bank_accounts;
pub mod boleto_clerk;
pub mod boleto_registrar;
pub mod document_links;
pub mod drawing;
pub mod feed_writer;
pub mod house;
pub mod jobs;
pub mod known_queues;
pub mod notice;
pub mod notifier;
pub mod queue_consumer;
pub mod reconciler;
pub mod reload;
pub mod sync_terms;
pub mod transfers;

pub use self::analysis_client::AnalysisClientMessage;
pub use self::aspsps::Aspsps;
pub use self::backlogs::Backlogs;
pub use self::bank_accounts::BankAccounts;
pub use self::boleto_clerk::BoletoClerkMessage;
pub use self::boleto_registrar::{BoletoRegistrarMessage, FreshRegistration};
pub use self::document_links::LinkTerms;
pub use self::feed_writer::FeedWriterMessage;
pub use self::house::{House, Registrar};
pub use self::jobs::Jobs;
pub use self::known_queues::KnownQueues;
pub use self::notifier::NotifierMessage;
pub use self::queue_consumer::QueueConsumerMessage;
pub use self::reconciler::ReconcilerMessage;
pub use self::reload::Reload;
pub use self::transfers::Transfers;
