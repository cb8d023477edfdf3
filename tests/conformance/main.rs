//! Every implementation of a thing through the same list: both databases, every bank, every channel.

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "shared with other test binaries, which use the rest")]
#[path = "../support/callers.rs"]
mod callers;
#[path = "../support/nats.rs"]
mod nats;
#[path = "../support/peers.rs"]
mod peers;
#[path = "../support/prism.rs"]
mod prism;
#[path = "../support/process.rs"]
#[allow(dead_code, reason = "shared with other test binaries, which use the rest")]
mod process;
#[path = "../support/small_house.rs"]
mod small_house;

mod access_policy;
mod analyzers;
mod aspsp_scene;
mod aspsps;
mod audit_methods;
mod bank_scene;
mod claims_ahead;
mod claims_held_back;
mod consent_watcher;
mod documents;
mod engine_machine;
mod engine_model;
mod erasing;
mod event_schemas;
mod import_superbowleto;
mod manual;
mod payment_poller;
mod peer_aspsp;
mod peer_aspsp_connectors;
mod peer_firebase;
mod peer_grpc;
mod peer_grpc_tour;
mod peer_mail;
mod peer_nats;
mod peer_otlp;
mod peer_otlp_http;
mod peer_otlp_tls;
mod peer_sqs;
mod peer_webhook;
mod personal_fields;
mod poll_scene;
mod store_audit;
mod store_boleto_erase;
mod store_boleto_erase_plans;
mod store_boletos;
mod store_copy;
mod store_deliveries;
mod store_delivery_plans;
mod store_delivery_steering;
mod store_document_links;
mod store_endpoint_steering;
mod store_examine;
mod store_ingress;
mod store_leader;
mod store_look_ups;
mod store_notify;
mod store_open;
mod store_openbanking_apply;
mod store_openbanking_erase;
mod store_openbanking_payments;
mod store_openbanking_people;
mod store_openbanking_plans;
mod store_openbanking_quotas;
mod store_openbanking_tokens;
mod store_orders;
mod store_pauses;
mod store_payments;
mod store_plans;
mod store_queues;
mod store_reconciliation;
mod store_timetable;
mod store_tokens;
mod store_transfer_erase;
mod store_transfer_lists;
mod store_transfer_plans;
mod store_transfer_run_plans;
mod store_transfer_runs;
mod store_transfer_steering;
mod store_transfers;
mod store_work;
mod sync_batcher;
mod sync_scene;
mod transfer_feed;
mod transfer_scene;

/// Runs a list of checks on both databases, as tests of their own.
macro_rules! on_both_databases {
    ($($check:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check(crate::support::database::Kind::Sqlite).await;
            })*
        }
        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check(crate::support::database::Kind::PostgreSql).await;
            })*
        }
    };
}
use on_both_databases;
