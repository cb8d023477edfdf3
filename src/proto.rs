//! The generated protocol, one module a package.
//!
//! **Owns** the descriptor set that reflection serves and that the tests over every method read.

/// Every file of the protocol, encoded.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bursar_descriptor.bin"));

/// Who may do what.
#[allow(clippy::all, missing_docs)]
pub mod access {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("bursar.access.v1");
    }
}

/// Boletos and the bank accounts under which they are issued.
#[allow(clippy::all, missing_docs)]
pub mod boleto {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("bursar.boleto.v1");
    }
}

/// What runs, what waits, and how both are steered.
#[allow(clippy::all, missing_docs)]
pub mod control {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("bursar.control.v1");
    }
}

/// Where owners are told.
#[allow(clippy::all, missing_docs)]
pub mod notification {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("bursar.notification.v1");
    }
}

/// Customers of banks, their accounts and their payments.
#[allow(clippy::all, missing_docs)]
pub mod openbanking {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("bursar.openbanking.v1");
    }
}

/// Recorded questionings, from their feed to their result.
#[allow(clippy::all, missing_docs)]
pub mod transfer {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("bursar.transfer.v1");
    }
}
