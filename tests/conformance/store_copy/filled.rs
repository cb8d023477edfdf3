//! A database with rows in every table of its schema, and what it holds in words that both databases share.
//!
//! The tables are asked of the database itself: one that a later migration adds is filled, moved and compared without a
//! word here, or the test fails for want of one.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

/// More than a page of the copy.
const ROWS: usize = 300;
/// Where not every text will do.
const WORDS: [(&str, &str, &str); 19] = [
    ("work", "state", "available"),
    ("work_archive", "state", "discarded"),
    ("runner", "state", "dead"),
    ("boleto", "notify", "nobody"),
    ("boleto_order", "kind", "cancel"),
    ("boleto_order", "state", "done"),
    ("boleto_payment", "source", "owner"),
    ("delivery", "state", "given_up"),
    ("delivery_attempt", "outcome", "accepted"),
    ("transfer", "state", "queued"),
    ("transfer_run", "write_back", "written"),
    ("recorded_answer", "outcome", "scored"),
    ("schedule_slot", "outcome", "missed"),
    ("job_run", "cause", "timetable"),
    ("job_run", "state", "completed"),
    ("consent", "status", "valid"),
    ("payment", "kind", "single"),
    ("payment", "state", "in_progress"),
    ("api_session", "state", "open"),
];
/// What does not survive a move, by design.
const POSITIONS: [(&str, &str); 5] = [
    ("leader", "runner_id"),
    ("boleto_event", "seq"),
    ("boleto_event", "transaction_id"),
    ("transfer_event", "seq"),
    ("transfer_event", "transaction_id"),
];

/// Each table's rows as text, sorted.
pub type Dump = BTreeMap<String, Vec<String>>;

struct Column {
    name: String,
    /// `text`, `integer`, `date`, `uuid` or `bytes`; an id is bytes on SQLite.
    kind: &'static str,
    may_be_null: bool,
}

async fn texts(connection: &DatabaseConnection, sql: &str) -> Vec<Vec<String>> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{error} in {sql}"));
    let read = |row: &sea_orm::QueryResult| {
        let columns = row.column_names().len();
        (0..columns).map(|place| row.try_get_by_index(place).expect("text")).collect()
    };
    rows.iter().map(read).collect()
}

fn is_postgres(connection: &DatabaseConnection) -> bool {
    connection.get_database_backend() == DbBackend::Postgres
}

/// The tables that hold more than the schema's own growth, by name.
pub async fn tables(connection: &DatabaseConnection) -> Vec<String> {
    let sql = match is_postgres(connection) {
        true => {
            "select table_name::text from information_schema.tables where table_schema = current_schema()"
        }
        false => "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'",
    };
    let mut names: Vec<String> = texts(connection, sql).await.into_iter().flatten().collect();
    names.retain(|name| !name.starts_with("schema_"));
    names.sort();
    names
}

async fn columns(connection: &DatabaseConnection, table: &str) -> Vec<Column> {
    let sql = match is_postgres(connection) {
        true => format!(
            "select column_name::text, data_type::text, is_nullable::text from information_schema.columns
             where table_schema = current_schema() and table_name = '{table}'"
        ),
        false => format!(
            "select name, type, case when \"notnull\" or pk > 0 then 'NO' else 'YES' end from pragma_table_info('{table}')"
        ),
    };
    let kind = |name: &str| match name.to_lowercase().as_str() {
        "text" => "text",
        "bigint" | "integer" => "integer",
        "date" => "date",
        "uuid" => "uuid",
        "blob" | "bytea" => "bytes",
        other => panic!("{table} has a column of type {other}"),
    };
    let column =
        |row: Vec<String>| Column { kind: kind(&row[1]), may_be_null: row[2] == "YES", name: row[0].clone() };
    let mut columns: Vec<Column> = texts(connection, &sql).await.into_iter().map(column).collect();
    columns.sort_by(|one, other| one.name.cmp(&other.name));
    columns
}

/// Puts rows into every table.
pub async fn fill(connection: &DatabaseConnection) {
    let is_postgres = is_postgres(connection);
    let overriding = if is_postgres { "overriding system value" } else { "" };
    for table in tables(connection).await {
        let columns = columns(connection, &table).await;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let rows: Vec<String> = (1..=ROWS)
            .map(|row| {
                let values: Vec<String> =
                    columns.iter().map(|column| value(is_postgres, &table, column, row)).collect();
                format!("({})", values.join(", "))
            })
            .collect();
        let sql =
            format!("insert into {table} ({}) {overriding} values {}", names.join(", "), rows.join(", "));
        connection.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{error}: {table}"));
    }
}

fn value(is_postgres: bool, table: &str, column: &Column, row: usize) -> String {
    let name = column.name.as_str();
    if let Some((.., word)) = WORDS.iter().find(|(at, of, _)| (*at, *of) == (table, name)) {
        return format!("'{word}'");
    }
    if column.may_be_null && row.is_multiple_of(3) {
        return "null".to_owned();
    }
    match column.kind {
        // In an order that the two databases do not agree about.
        "text" => format!("'{}{name} {row}'", ["a", "B", "ç", "Z"][row % 4]),
        // Transactions in another order than they began, so that the order of commits is not that of the numbers.
        "integer" if name == "transaction_id" => (2 * ROWS - row).to_string(),
        "integer" => (1_763_000_000_000_000 + row).to_string(),
        "date" => format!("'20{:02}-02-2{}'", row % 100, row % 9),
        "uuid" => format!("'00000000-0000-7000-8000-{row:012x}'"),
        // Sixteen of them, which on SQLite is also an id.
        _ if is_postgres => format!(r"'\x00000000000070008000{row:012x}'"),
        _ => format!("x'00000000000070008000{row:012x}'"),
    }
}

/// Everything that the tables hold, as both databases can say it.
pub async fn dump(connection: &DatabaseConnection) -> Dump {
    let mut dump = Dump::new();
    for table in tables(connection).await {
        let said: Vec<String> = columns(connection, &table)
            .await
            .iter()
            .filter(|column| !POSITIONS.contains(&(table.as_str(), column.name.as_str())))
            .map(|column| {
                let name = &column.name;
                let said = match (is_postgres(connection), column.kind) {
                    (true, "uuid") => format!("replace({name}::text, '-', '')"),
                    (true, "bytes") => format!("encode({name}, 'hex')"),
                    (false, "bytes") => format!("lower(hex({name}))"),
                    _ => format!("cast({name} as text)"),
                };
                // SQLite says the hexadecimal of null as empty text.
                format!("case when {name} is null then '∅' else {said} end")
            })
            .collect();
        let sql = format!("select {} from {table}", said.join(" || '|' || "));
        let mut rows: Vec<String> = texts(connection, &sql).await.into_iter().flatten().collect();
        rows.sort();
        dump.insert(table, rows);
    }
    dump
}

/// The events' ids in the order in which a watcher is told of them.
pub async fn order_of_events(connection: &DatabaseConnection) -> Vec<String> {
    let id = if is_postgres(connection) { "replace(id::text, '-', '')" } else { "lower(hex(id))" };
    let mut order = Vec::new();
    for table in ["boleto_event", "transfer_event"] {
        let sql = format!("select {id} from {table} order by transaction_id, seq");
        order.extend(texts(connection, &sql).await.into_iter().flatten());
    }
    order
}
