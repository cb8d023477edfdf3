//! What a person does about a failure: the last column of the README's table of reasons, which a test holds against this, and more
//! exact words where the command line knows better.
//!
//! **Owns** nothing. **Fails** never: a reason of a later service has no words here, and its message stands alone.

use tonic::Code;

/// What somebody does whom the service does not know.
const SHOW_A_TOKEN: &str = "name a file with a token by --token-file, or set BURSAR_TOKEN; an administrator makes tokens by \
    `bursar token create`, and whoever runs the service makes the first one by `bursar token create --store URL`";
/// What somebody does who may not do this.
const ASK_FOR_ANOTHER: &str = "an administrator makes a token that may by `bursar token create --scope SCOPE`; \
    what a token has been given cannot be changed";

/// What to do about an error with this code and, where it has one, this `google.rpc.ErrorInfo.reason`; empty where there is nothing to say.
pub(super) fn of(code: Code, reason: Option<&str>) -> &'static str {
    match (code, reason) {
        (Code::Unauthenticated, _) => SHOW_A_TOKEN,
        (Code::PermissionDenied, None | Some("SCOPE_MISSING")) => ASK_FOR_ANOTHER,
        (_, reason) => reason.and_then(by_reason).unwrap_or_default(),
    }
}

/// What the README says to do about a reason.
pub fn by_reason(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "INVALID_FIELDS" => "correct every field of BadRequest",
        reason if reason.ends_with("_NOT_FOUND") => "look for another",
        "REQUEST_ID_REUSED" => "take another request_id, or send the first body",
        "PAYMENT_ID_REUSED" => "take another payment_id: under this one another payment is written down",
        "EXTERNAL_ID_TAKEN" => "take another name",
        "ENDPOINT_TAKEN" => "use the endpoint that is this destination for these events already",
        "VERSION_CHANGED" => "read again, then update",
        "NUMBERS_EXHAUSTED" => "give the account another agreement",
        "REGISTRATION_NOT_OPEN" => "nothing: the bank has decided",
        "CANCEL_NOT_OPEN" | "AMEND_NOT_OPEN" => "look at the boleto: its status does not allow it",
        "ORDER_PENDING" => "wait for the end of the boleto's pending order",
        "NOT_SUPPORTED_BY_BANK" => "do it otherwise; the words say what the bank cannot do",
        "NOT_IN_REVIEW" | "NO_CODES" => "look at the boleto: this is no decision that it waits for",
        "RECONCILIATION_DISABLED" => "set reconciliation.enabled",
        "SECRETS_NOT_KEPT" => "set secrets.key",
        "DOCUMENT_LINKS_DISABLED" => "set documents.links.enabled",
        "ENDPOINT_DISABLED" => "enable the endpoint first",
        "NOTHING_TO_SEND" => "nothing: all was taken; name an event_id to send it once more",
        "DIFFERENCE_SETTLED" => "nothing: somebody, or a later run, has settled it",
        "BANK_COUNTS" => "nothing: the bank counts the numbers of this agreement",
        "TRANSFER_UNDER_WAY" => "follow it, or wait for its end",
        "TRANSFER_ENDED" => "have it analysed once more by ReprocessTransfer, or follow it to see its end",
        "TRANSFER_ERASED" => "nothing: nothing of it is left",
        "BOLETO_ERASED" => "nothing: nothing of its payer is left",
        "BOLETO_STILL_OPEN" => "cancel it first, or wait for its end",
        "KEPT_BY_LAW" => "ask again after the day that the words name, or set retention.tenants",
        "FEED_REFUSED" => "look at the feed's key, rules and settings, as the words say",
        "CONSENT_ENDED" => "nothing: it has ended; another consent takes its place",
        "PAYMENT_NOT_OPEN" => "look at it: it has ended, or its bank can still be asked",
        "NOTHING_TO_SYNC" => "have the customer allow it; the words say what is missing",
        "WORK_RUNNING" | "WORK_ENDED" | "WORK_SUPERSEDED" => "look at the work first",
        "JOB_RUNS" => "wait for the end of the run that lives, or allow an overlap",
        "JOB_RUN_ENDED" => "nothing: the run has ended",
        "JOB_NOT_BUILT" => "nothing: nobody does this job as it is configured, or in this release",
        "CURSOR_OF_ANOTHER_STORE" => "watch from 0 or from now on; the changes were moved to another store",
        "ACTOR_NOT_CONTROLLABLE" => "look at the tree first",
        "NOT_AUTHENTICATED" => {
            "show a token that holds, as authorization: Bearer …; what was wrong with this one is not told"
        }
        "SCOPE_MISSING" => "ask for a token with the scope that is named",
        "HOUSE_ONLY" => "nothing: this is for callers of the tenant default",
        "METHOD_CLOSED" => "nothing: the method is open to nobody; our bug",
        "TOO_MANY_FAILURES" => "correct the token, then wait as RetryInfo says",
        "TOO_MANY_REQUESTS" | "TOO_MANY_STREAMS" | "BACKLOG_FULL" => "wait as RetryInfo says",
        "NOT_READY" | "DRAINING" | "STORE_UNAVAILABLE" | "FEED_UNAVAILABLE" => {
            "wait as RetryInfo says, then try again"
        }
        "INTERNAL" => "report the trace id it carries; a bug of ours",
        "PROTOCOL" => "correct the call itself",
        _ => return None,
    })
}
