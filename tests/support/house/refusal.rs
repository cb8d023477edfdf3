//! What an error says beside its code.

use std::time::Duration;

use tonic::Status;
use tonic_types::StatusExt as _;

/// An error's details.
pub trait Refusal {
    /// The reason that its `ErrorInfo` gives.
    fn reason(&self) -> String;
    /// The fields that its `BadRequest` names, in order.
    fn fields(&self) -> Vec<String>;
    /// The time that its `RetryInfo` gives.
    fn retry_after(&self) -> Option<Duration>;
}

impl Refusal for Status {
    fn reason(&self) -> String {
        let details = self.get_error_details();
        let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {self:?}"));
        assert_eq!(info.domain, "bursar");
        info.reason.clone()
    }

    fn fields(&self) -> Vec<String> {
        let details = self.get_error_details();
        let Some(bad) = details.bad_request() else { return Vec::new() };
        let mut fields: Vec<String> = bad.field_violations.iter().map(|found| found.field.clone()).collect();
        fields.sort();
        fields
    }

    fn retry_after(&self) -> Option<Duration> {
        self.get_error_details().retry_info()?.retry_delay
    }
}
