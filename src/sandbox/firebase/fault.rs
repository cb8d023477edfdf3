//! Why a request to the database is refused, in the form in which the service says so.
//!
//! **Owns** nothing.
//! **Fails** never.
//! **Limits**: the words for a missing index are the service's own, because people copy the rule out of them; the other
//! words are ours.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request itself must change.
    Bad(&'static str),
    /// A parameter that nobody knows, or with a value that does not fit.
    Parameter(String),
    /// A query needs a rule that the database does not have.
    NoIndex {
        /// The field, or `.value`.
        field: String,
        /// Where the rule belongs.
        path: String,
    },
    /// Nobody who may.
    Unauthorized,
    /// No database, or nothing that ends with `.json`.
    NotFound,
    /// This address is only read, or only written.
    Method,
    /// It is done, and could not be put down in the ledger.
    NotRecorded,
}

impl Fault {
    fn status(&self) -> StatusCode {
        match self {
            Fault::Bad(_) | Fault::Parameter(_) | Fault::NoIndex { .. } => StatusCode::BAD_REQUEST,
            Fault::Unauthorized => StatusCode::UNAUTHORIZED,
            Fault::NotFound => StatusCode::NOT_FOUND,
            Fault::Method => StatusCode::METHOD_NOT_ALLOWED,
            // A 503 would say that nothing was attempted, and this was.
            Fault::NotRecorded => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn words(&self) -> String {
        match self {
            Fault::Bad(words) => (*words).to_owned(),
            Fault::Parameter(name) => format!("Invalid parameter or value: {name}"),
            Fault::NoIndex { field, path } => {
                format!("Index not defined, add \".indexOn\": \"{field}\", for path \"{path}\", to the rules")
            }
            Fault::Unauthorized => "Unauthorized request.".to_owned(),
            Fault::NotFound => "404 Not Found".to_owned(),
            Fault::Method => "Method not allowed".to_owned(),
            Fault::NotRecorded => "Internal server error".to_owned(),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.status(), Json(json!({"error": self.words()}))).into_response()
    }
}
