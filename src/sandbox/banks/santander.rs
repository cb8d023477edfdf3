//! Santander's collection_bill_management v2, behind TLS with a client certificate.
//!
//! **Owns** its workspaces and titles. One workspace, [`WORKSPACE`], is there from the start.
//! **Fails** with `_errorCode`, `_message` and `_errors`; the codes are the sandbox's own.
//! **Limits**: registration is idempotent by nsuCode, nsuDate, covenantCode and environment: the same title is answered
//! again. Of a discount only its type is looked at, and amounts and rates may be numbers or text where the sheet does not
//! say which. A bank number of thirteen digits ends in its check digit; a shorter one has none.

mod answers;
mod change;
mod request;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use answers::{Fault, errors};
use request::{Checked, Registration, WorkspaceRequest};

use super::codes::{codes, free_field};
use super::desk::{
    AtDesk, Call, Desk, Filing, REFUSED_CENTS, UNKNOWN_CENTS, UNUSABLE_ATTEMPTS, play, today, unusable,
};
use super::file::{Paper, Till, same_number};
use super::pix::pix;
use super::schema::{Unread, read_json};
use super::token::{SignIn, Tokens};
use crate::sandbox::BankOptions;
use crate::sandbox::outside::Outside;
use crate::sandbox::script::{Act, BankName};

/// The workspace that exists from the start, for every covenant.
pub const WORKSPACE: &str = "3f0c1a52-7d64-4b8e-9a51-2c6de0b7f118";

/// The title is on file under another nsu.
pub const ALREADY_ON_FILE: &str = "0409";

/// A title on file.
#[derive(Clone)]
pub struct Slip {
    checked: Checked,
    key: String,
}

impl Slip {
    fn codes(&self) -> super::codes::Codes {
        let Checked { covenant, title, due, cents, .. } = self.checked;
        codes("033", &free_field::santander(covenant, title), due, cents)
    }

    fn pix(&self) -> Option<super::pix::Pix> {
        let Checked { covenant, title, cents, hybrid, .. } = self.checked;
        hybrid.then(|| pix(&format!("{covenant:07}{title:012}"), cents))
    }
}

impl Paper for Slip {
    fn key(&self) -> String {
        self.key.clone()
    }

    fn answers_to(&self, text: &str) -> bool {
        let codes = self.codes();
        same_number(&self.checked.title.to_string(), text)
            || same_number(&self.checked.bank_number, text)
            || [&self.key, &codes.barcode, &codes.line].iter().any(|name| *name == text)
            || self.pix().is_some_and(|pix| pix.emv == text)
    }
}

struct Santander {
    desk: Desk<Slip>,
    tokens: Tokens,
    app_key: String,
    client_id: String,
    /// The covenants of each workspace; none in the list lets every covenant in.
    workspaces: Mutex<HashMap<String, Vec<u64>>>,
    /// The titles by what their registration is known by.
    by_nsu: Mutex<HashMap<String, String>>,
}

impl AtDesk for Santander {
    type Paper = Slip;

    fn desk(&self) -> &Desk<Slip> {
        &self.desk
    }
}

type Keeper = State<Arc<Santander>>;

/// The bank's door, and the counter at which its titles are paid.
pub fn open(outside: Arc<Outside>, options: &BankOptions) -> (Router, Arc<dyn Till>) {
    let bank = Arc::new(Santander {
        desk: Desk::new(BankName::Santander, outside),
        tokens: Tokens::new(options, SignIn::Form, &[]),
        app_key: options.app_key.clone(),
        client_id: options.client_id.clone(),
        workspaces: Mutex::new(HashMap::from([(WORKSPACE.to_owned(), Vec::new())])),
        by_nsu: Mutex::default(),
    });
    let till = bank.desk.till();
    let api = Router::new()
        .route("/workspaces", post(workspace))
        .route("/workspaces/{id}/bank_slips", post(register).patch(change::change))
        .route("/bills/{bill}", get(answers::bill));
    let router = Router::new()
        .route("/auth/oauth/v2/token", post(token))
        .nest("/collection_bill_management/v2", api)
        .fallback(async || errors(StatusCode::NOT_FOUND, "no such resource", &[]))
        .with_state(bank);
    (router, till)
}

async fn token(State(bank): Keeper, call: Call) -> Response {
    play(
        bank,
        Act::Token,
        call,
        async |bank: Arc<Santander>, call: Call, refuse: Option<String>| match refuse {
            Some(_) => StatusCode::BAD_REQUEST.into_response(),
            None => bank.tokens.issue(&call.headers, &call.body, bank.desk.epoch()),
        },
    )
    .await
}

async fn workspace(State(bank): Keeper, call: Call) -> Response {
    play(bank, Act::Workspace, call, async |bank: Arc<Santander>, call: Call, refuse| match bank
        .admit::<WorkspaceRequest>(
        &call, refuse,
    ) {
        Ok(request) => bank.make_workspace(&request),
        Err(refusal) => *refusal,
    })
    .await
}

async fn register(State(bank): Keeper, Path(id): Path<String>, call: Call) -> Response {
    play(bank, Act::Register, call, async move |bank: Arc<Santander>, call: Call, refuse| {
        bank.register(&id, &call, refuse).await
    })
    .await
}

impl Santander {
    /// The application's key and the token.
    fn let_in(&self, call: &Call) -> Result<(), Box<Response>> {
        let key = call.header("x-application-key");
        // The sheet names the header and not its value; clients send their id or a key of its own.
        if key.is_none_or(|key| key != self.app_key && key != self.client_id) {
            return Err(Box::new(errors(StatusCode::FORBIDDEN, "X-Application-Key", &[])));
        }
        self.tokens
            .check(&call.headers, None, self.desk.epoch())
            .map_err(|_| Box::new(errors(StatusCode::UNAUTHORIZED, "invalid or expired token", &[])))
    }

    /// Lets a caller in and reads what it asks for, unless the script refuses it.
    fn admit<T: DeserializeOwned>(&self, call: &Call, refuse: Option<String>) -> Result<T, Box<Response>> {
        self.let_in(call)?;
        let request = read_json(&call.headers, &call.body).map_err(|unread| {
            Box::new(match unread {
                Unread::Kind => errors(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json expected", &[]),
                Unread::Schema(text) => {
                    errors(StatusCode::BAD_REQUEST, "invalid body", &[Fault::new("0400", "", &text)])
                }
            })
        })?;
        match refuse {
            Some(code) => {
                let fault = Fault::new(&code, "", "refused");
                Err(Box::new(errors(StatusCode::BAD_REQUEST, "refused", &[fault])))
            }
            None => Ok(request),
        }
    }

    fn make_workspace(&self, request: &WorkspaceRequest) -> Response {
        let Some(covenants) = request.covenants() else {
            let fault = Fault::new("0422", "covenants", "type, code or description invalid");
            return errors(StatusCode::BAD_REQUEST, "invalid workspace", &[fault]);
        };
        let id = uuid::Uuid::new_v4().to_string();
        let codes: Vec<_> = covenants.iter().map(|code| json!({"code": format!("{code:07}")})).collect();
        self.workspaces.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), covenants);
        let answer = json!({"id": id, "status": "ACTIVE", "type": "BILLING", "covenants": codes});
        (StatusCode::CREATED, Json(answer)).into_response()
    }

    /// Whether the covenant may be used in the workspace.
    fn allows(&self, workspace: &str, covenant: u64) -> bool {
        let workspaces = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        workspaces
            .get(workspace)
            .is_some_and(|covenants| covenants.is_empty() || covenants.contains(&covenant))
    }

    async fn register(&self, workspace: &str, call: &Call, refuse: Option<String>) -> Response {
        let request: Registration = match self.admit(call, None) {
            Ok(request) => request,
            Err(refusal) => return *refusal,
        };
        let key = self.desk.key(&request.covenant_code.text(), &request.bank_number.text());
        let checked = match request::check(&request) {
            Ok(checked) => checked,
            Err(faults) => return self.refuse(key, None, &faults).await,
        };
        if !self.allows(workspace, checked.covenant) {
            return errors(StatusCode::NOT_FOUND, "no such workspace for this covenant", &[]);
        }
        if let Some(code) = refuse {
            return self.refuse(key, Some(checked.cents), &[Fault::new(&code, "", "refused")]).await;
        }
        if checked.cents == REFUSED_CENTS {
            let fault = Fault::new("0048", "nominalValue", "refused by the magic amount");
            return self.refuse(key, Some(checked.cents), &[fault]).await;
        }
        let (number, nsu) = (checked.id(), checked.nsu.clone());
        let (cents, due) = (checked.cents, checked.due);
        let slip = Slip { checked, key };
        let answer = answers::registered(&slip, &request, today());
        match self.known_by(nsu, &number) {
            Nsu::New => {}
            Nsu::SameTitle => return self.again(&number, &slip, answer),
            Nsu::OtherTitle => {
                return already(Fault::new("0410", "nsuCode", "already used for another title"));
            }
        }
        match self.desk.file_title(number, slip, cents, due).await {
            Filing::Fresh => (StatusCode::CREATED, Json(answer)).into_response(),
            Filing::Unanswerable => unusable(),
            Filing::AlreadyOnFile => already(Fault::new(ALREADY_ON_FILE, "bankNumber", "already registered")),
            Filing::NotRecorded => answers::not_recorded(),
        }
    }

    /// What the natural key was used for before, and binds it to this title if for nothing.
    fn known_by(&self, nsu: String, number: &str) -> Nsu {
        match self.by_nsu.lock().unwrap_or_else(PoisonError::into_inner).entry(nsu) {
            Entry::Vacant(free) => {
                free.insert(number.to_owned());
                Nsu::New
            }
            Entry::Occupied(known) if known.get() == number => Nsu::SameTitle,
            Entry::Occupied(_) => Nsu::OtherTitle,
        }
    }

    /// The natural key came again for its own title: the answer is given again, and nothing happens.
    fn again(&self, number: &str, slip: &Slip, answer: Value) -> Response {
        let mut titles = self.desk.file.lock();
        let Some(kept) = titles.get_mut(number) else {
            return already(Fault::new("0411", "nsuCode", "being registered"));
        };
        kept.attempts += 1;
        if !kept.paper.checked.same_as(&slip.checked) {
            return already(Fault::new("0410", "nsuCode", "already used with other contents"));
        }
        if slip.checked.cents == UNKNOWN_CENTS && kept.attempts <= UNUSABLE_ATTEMPTS {
            return unusable();
        }
        (StatusCode::CREATED, Json(answer)).into_response()
    }

    async fn refuse(&self, key: String, cents: Option<u64>, faults: &[Fault]) -> Response {
        let codes: Vec<_> = faults.iter().map(|fault| fault.code.as_str()).collect();
        match self.desk.refused(key, cents, &codes).await {
            Ok(()) => errors(StatusCode::BAD_REQUEST, "refused", faults),
            Err(_) => answers::not_recorded(),
        }
    }
}

/// What a natural key stands for.
enum Nsu {
    New,
    SameTitle,
    OtherTitle,
}

fn already(fault: Fault) -> Response {
    errors(StatusCode::BAD_REQUEST, "already registered", &[fault])
}
