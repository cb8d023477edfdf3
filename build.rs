//! Compiles the protocol without `protoc`; the same descriptor set serves reflection.

use std::path::PathBuf;
use std::{env, error, fs};

const FILES: [&str; 27] = [
    "bursar/access/v1/access.proto",
    "bursar/access/v1/audit.proto",
    "bursar/access/v1/audit_service.proto",
    "bursar/access/v1/policy.proto",
    "bursar/access/v1/token_service.proto",
    "bursar/boleto/v1/boleto.proto",
    "bursar/boleto/v1/boleto_erasure.proto",
    "bursar/boleto/v1/boleto_service.proto",
    "bursar/boleto/v1/bank_account.proto",
    "bursar/boleto/v1/bank_account_service.proto",
    "bursar/boleto/v1/reconciliation.proto",
    "bursar/control/v1/control.proto",
    "bursar/control/v1/control_service.proto",
    "bursar/notification/v1/endpoint.proto",
    "bursar/notification/v1/delivery.proto",
    "bursar/notification/v1/notification_service.proto",
    "bursar/openbanking/v1/account.proto",
    "bursar/openbanking/v1/account_service.proto",
    "bursar/openbanking/v1/consent.proto",
    "bursar/openbanking/v1/consent_service.proto",
    "bursar/openbanking/v1/payment.proto",
    "bursar/openbanking/v1/payment_service.proto",
    "bursar/openbanking/v1/sync.proto",
    "bursar/openbanking/v1/sync_service.proto",
    "bursar/openbanking/v1/user_service.proto",
    "bursar/transfer/v1/transfer.proto",
    "bursar/transfer/v1/transfer_service.proto",
];

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // By the compiler and not by the types that code is generated from: those know no options of ours and would drop them.
    fs::write(out.join("bursar_descriptor.bin"), compiler.encode_file_descriptor_set())?;
    let descriptors = compiler.file_descriptor_set();
    // A map that keeps its order has one encoding, and so one hash under a request id.
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
