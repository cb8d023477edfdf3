//! The database of the service before, made anew for a test: its schema as the reference sheet has it, and rows of every
//! kind that it could come to hold.
//!
//! **Owns** a database of the test server. **Fails** a test that cannot make it.

use std::collections::BTreeMap;

use bursar::domain::boleto::issuer::Issuer;
use bursar::domain::money::Cents;
use bursar::store::pool;
use chrono::NaiveDate;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::database::server_url;

/// Plain registered boletos.
pub const GOOD: usize = 40;

const SCHEMA: [&str; 5] = [
    "create type \"enum_Boletos_status\" as enum ('issued', 'pending_registration', 'registered', 'refused')",
    "create type \"enum_Boletos_payer_document_type\" as enum ('cpf', 'cnpj')",
    "create sequence \"Boletos_title_id_seq\" as integer",
    "create table \"Boletos\" (
        id varchar(255) primary key, token varchar(255) not null, queue_url varchar(255) not null,
        status \"enum_Boletos_status\" not null default 'issued', expiration_date timestamptz not null,
        amount integer not null, paid_amount integer not null default 0, interest json default '{}', fine json default '{}',
        instructions text, issuer varchar(255) not null, issuer_id varchar(255), issuer_wallet varchar(255),
        issuer_agency varchar(255), issuer_account varchar(255),
        title_id integer not null default nextval('\"Boletos_title_id_seq\"'), reference_id varchar(255),
        external_id varchar(255), barcode varchar(255), digitable_line varchar(255), boleto_url varchar(255),
        bank_response_code varchar(255), issuer_response_code varchar(255), payer_name varchar(255),
        payer_document_number varchar(255), payer_document_type \"enum_Boletos_payer_document_type\",
        payer_address json, company_address json, company_name varchar(255), company_document_number varchar(255),
        rules text[], created_at timestamptz not null, updated_at timestamptz not null
    )",
    "create table \"Configurations\" (
        id varchar(255) primary key, external_id varchar(255) not null unique, issuer varchar(255) not null,
        issuer_account varchar(255) not null, issuer_agency varchar(255) not null, issuer_wallet varchar(255) not null,
        created_at timestamptz not null default now(), updated_at timestamptz not null default now()
    )",
];

/// The other database.
pub struct Before {
    pub url: String,
    name: String,
    connection: DatabaseConnection,
}

impl Before {
    /// Its schema, without a row.
    pub async fn create() -> Self {
        let server = server_url();
        let name = format!("bursar_test_before_{}", Uuid::now_v7().simple());
        let maker = pool::connect(&server).await.expect("the PostgreSQL server of the tests");
        maker.execute_unprepared(&format!("create database {name}")).await.expect("a database");
        maker.close().await.expect("the server lets go");
        let (head, _) = server.rsplit_once('/').expect("a URL that names a database");
        let url = format!("{head}/{name}");
        let connection = pool::connect(&url).await.expect("the database");
        for statement in SCHEMA {
            connection.execute_unprepared(statement).await.expect("its schema");
        }
        Self { url, name, connection }
    }

    /// Rows of every kind.
    pub async fn fill(&self) {
        for (external_id, issuer, agency, account, wallet) in [
            ("pagarme", "bradesco", "3381", "9721", "26"),
            ("of caixa", "boleto-api-caixa", "3337", "1103388", "14"),
            ("odd", "bradesco", "33", "x", "26"),
        ] {
            self.knows([external_id, issuer, agency, account, wallet]).await;
        }
        for row in rows() {
            self.holds(&row).await;
        }
    }

    /// A configuration: external id, issuer, agency, account, wallet.
    pub async fn knows(&self, configuration: [&str; 5]) {
        let text = "insert into \"Configurations\" (id, external_id, issuer, issuer_agency, issuer_account, issuer_wallet)
            values ('cf_' || $1, $1, $2, $3, $4, $5)";
        self.execute(text, configuration.map(Into::into)).await;
    }

    /// A boleto.
    pub async fn holds(&self, row: &Value) {
        let text = "insert into \"Boletos\" select * from json_populate_record(null::\"Boletos\", $1::json)";
        self.execute(text, [row.to_string().into()]).await;
    }

    /// What it holds, in one word.
    pub async fn fingerprint(&self) -> String {
        let text = "select md5((select string_agg(t::text, '|' order by t.id) from \"Boletos\" t)
            || (select string_agg(t::text, '|' order by t.id) from \"Configurations\" t)) as word";
        let statement = Statement::from_string(self.connection.get_database_backend(), text);
        let row = self.connection.query_one_raw(statement).await.expect("an answer").expect("a row");
        row.try_get("", "word").expect("a text")
    }

    /// Drops it.
    pub async fn remove(self) {
        self.connection.close().await.expect("the database lets go");
        let maker = pool::connect(server_url()).await.expect("the PostgreSQL server of the tests");
        maker
            .execute_unprepared(&format!("drop database {} with (force)", self.name))
            .await
            .expect("dropped");
        maker.close().await.expect("the server lets go");
    }

    async fn execute<const N: usize>(&self, text: &str, values: [sea_orm::Value; N]) {
        let statement = Statement::from_sql_and_values(self.connection.get_database_backend(), text, values);
        self.connection.execute_raw(statement).await.unwrap_or_else(|error| panic!("{error} in {text}"));
    }
}

pub fn title_of_good(number: usize) -> i64 {
    1_000 + i64::try_from(number).expect("a small number")
}

/// What our rules refuse, and the column that each is refused for.
pub fn refused() -> BTreeMap<String, &'static str> {
    BTreeMap::from(
        [
            ("bol_bad_address", "payer_address"),
            ("bol_bad_barcode", "barcode"),
            ("bol_bad_document", "payer_document_number"),
            ("bol_both_charges", "fine.amount"),
            ("bol_no_payer", "payer.name"),
            ("bol_odd_agreement", "issuer"),
            ("bol_odd_queue", "queue_url"),
            ("bol_same_number", "title_id"),
            ("bol_zero", "amount"),
        ]
        .map(|(id, field)| (id.to_owned(), field)),
    )
}

/// A registered boleto under the first configuration, with its codes.
pub fn a_row(id: &str, title_id: i64) -> Value {
    let address = json!({"zipcode": "04551010", "street": "Rua Fidêncio Ramos", "street_number": "308",
        "complementary": "9º andar, conjunto 91", "neighborhood": "Vila Olímpia", "city": "São Paulo", "state": "SP"});
    let issuer =
        Issuer::Bradesco { agency: "3381".to_owned(), account: "9721".to_owned(), carteira: "26".to_owned() };
    let due = NaiveDate::from_ymd_opt(2031, 5, 20).expect("a date");
    let codes = issuer.compose(title_id, Cents(12_590), due).expect("codes");
    json!({
        "id": id, "token": "prd_x", "queue_url": "https://sqs.us-east-1.amazonaws.com/123456789012/owners",
        "status": "registered", "expiration_date": "2031-05-20T00:00:00+00:00", "amount": 12_590, "paid_amount": 0,
        "interest": {}, "fine": {}, "issuer": "bradesco", "issuer_wallet": "26", "issuer_agency": "3381",
        "issuer_account": "9721", "title_id": title_id, "reference_id": null, "external_id": null,
        "barcode": codes.barcode.expect("a barcode").as_str(), "issuer_response_code": "0",
        "payer_name": "Maria Exemplo", "payer_document_number": "529.982.247-25", "payer_document_type": "cpf",
        "payer_address": address, "company_address": address,
        "created_at": "2026-10-01T12:00:00.000+00:00", "updated_at": "2026-10-02T12:00:00.000+00:00",
    })
}

/// The row with other values in some of its columns.
pub fn with(mut row: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().expect("changes") {
        row[name] = value.clone();
    }
    row
}

fn rows() -> Vec<Value> {
    let good = (0..GOOD).map(|number| {
        let row = a_row(&format!("bol_good_{number:03}"), title_of_good(number));
        with(row, json!({"reference_id": format!("order-{number}"), "token": format!("prd_{number}")}))
    });
    let caixa = json!({"issuer": "boleto-api-caixa", "issuer_agency": "3337", "issuer_account": "1103388",
        "issuer_wallet": "14", "external_id": "of caixa", "status": "pending_registration",
        "issuer_response_code": null});
    let pending = json!({"status": "pending_registration", "issuer_response_code": null});
    let ruled = json!({"issuer_agency": "1229", "issuer_account": "469", "issuer_wallet": "25", "barcode": null,
        "rules": ["strict_expiration_date"], "status": "issued", "issuer_response_code": null});
    let others = [
        with(a_row("bol_paid", 1), json!({"paid_amount": 12_590, "bank_response_code": "06"})),
        with(a_row("bol_pending", 2), pending),
        with(a_row("bol_pending_caixa", 3), caixa),
        with(a_row("bol_issued", 4), ruled),
        with(a_row("bol_refused", 5), json!({"status": "refused", "issuer_response_code": "9300522"})),
        with(a_row("bol_timed_out", 6), json!({"status": "refused", "issuer_response_code": "ECONNABORTED"})),
        // From here on, what our rules refuse.
        with(a_row("bol_zero", 11), json!({"amount": 0})),
        with(a_row("bol_bad_document", 12), json!({"payer_document_number": "52998224724"})),
        with(a_row("bol_bad_address", 13), json!({"payer_address": {"street": "Rua", "city": "São Paulo"}})),
        with(a_row("bol_bad_barcode", 14), json!({"title_id": 15})),
        with(a_row("bol_no_payer", 16), json!({"payer_name": null, "payer_document_type": null})),
        with(a_row("bol_both_charges", 17), json!({"fine": {"amount": 5, "percentage": 2}})),
        with(a_row("bol_odd_queue", 18), json!({"queue_url": "http://yopa/queue/test"})),
        with(a_row("bol_odd_agreement", 19), json!({"issuer_agency": "33", "issuer_account": "x"})),
        // Two rows with one number: the first in the order of their ids came over.
        a_row("bol_same_number", title_of_good(0)),
    ];
    good.chain(others).collect()
}
