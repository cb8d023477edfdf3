//! Rows on their way: read by the page along a key, fingerprinted, inserted.
//!
//! **Owns** the one reading of a value that both databases agree on. **Fails** as the store does, or when a value is not of
//! its column's type. **Limits**: [`PAGE_ROWS`] rows in memory, whatever the table's size.

use chrono::NaiveDate;
use sea_orm::{ConnectionTrait, QueryResult, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::plan::{Role, Table};
use crate::store::transaction::{all, execute};
use crate::store::{Store, StoreError, StoreKind};

/// A statement takes at most 32,766 parameters on SQLite and 65,535 on PostgreSQL: room for 128 columns.
const PAGE_ROWS: usize = 256;

/// The types of columns that can travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Text,
    Uuid,
    Bytes,
    Date,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Integer(Option<i64>),
    Text(Option<String>),
    Uuid(Option<Uuid>),
    Bytes(Option<Vec<u8>>),
    Date(Option<NaiveDate>),
}

pub(super) type Row = Vec<Cell>;

impl Kind {
    /// By PostgreSQL's name of it.
    pub fn of(type_name: &str) -> Option<Self> {
        match type_name {
            "int8" => Some(Self::Integer),
            "text" => Some(Self::Text),
            "uuid" => Some(Self::Uuid),
            "bytea" => Some(Self::Bytes),
            "date" => Some(Self::Date),
            _ => None,
        }
    }

    pub fn null(self) -> Cell {
        match self {
            Self::Integer => Cell::Integer(None),
            Self::Text => Cell::Text(None),
            Self::Uuid => Cell::Uuid(None),
            Self::Bytes => Cell::Bytes(None),
            Self::Date => Cell::Date(None),
        }
    }

    fn read(self, row: &QueryResult, place: usize) -> Result<Cell, StoreError> {
        Ok(match self {
            Self::Integer => Cell::Integer(row.try_get_by_index(place)?),
            Self::Text => Cell::Text(row.try_get_by_index(place)?),
            Self::Uuid => Cell::Uuid(row.try_get_by_index(place)?),
            Self::Bytes => Cell::Bytes(row.try_get_by_index(place)?),
            Self::Date => Cell::Date(row.try_get_by_index(place)?),
        })
    }
}

impl Cell {
    fn into_value(self) -> Value {
        match self {
            Self::Integer(value) => Value::from(value),
            Self::Text(value) => Value::from(value),
            Self::Uuid(value) => Value::from(value),
            Self::Bytes(value) => Value::from(value),
            Self::Date(value) => Value::from(value),
        }
    }

    /// Adds the value to `digest` in a form that no other value of its column has.
    fn digest(&self, digest: &mut Sha256) {
        let bytes = match self {
            Self::Integer(value) => value.map(|value| value.to_be_bytes().to_vec()),
            Self::Text(value) => value.as_ref().map(|value| value.as_bytes().to_vec()),
            Self::Uuid(value) => value.map(|value| value.as_bytes().to_vec()),
            Self::Bytes(value) => value.clone(),
            Self::Date(value) => value.map(|value| value.to_string().into_bytes()),
        };
        match bytes {
            Some(bytes) => {
                digest.update((bytes.len() as u64 + 1).to_be_bytes());
                digest.update(bytes);
            }
            None => digest.update(0_u64.to_be_bytes()),
        }
    }
}

/// What a table holds, in whatever order: the two databases sort text by different rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub rows: u64,
    sum: u128,
}

impl Fingerprint {
    pub fn add(&mut self, row: &Row) {
        let mut digest = Sha256::new();
        row.iter().for_each(|cell| cell.digest(&mut digest));
        let half: [u8; 16] = std::array::from_fn({
            let digest = digest.finalize();
            move |at| digest[at]
        });
        self.rows += 1;
        // A sum, unlike an exclusive or, does not lose what stands there twice.
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(half));
    }

    pub fn checksum(&self) -> String {
        format!("{:032x}", self.sum)
    }
}

/// A table's rows in the order of a key, a page at a time.
pub(super) struct Pages<'a> {
    table: &'a Table,
    key: &'a [usize],
    /// The key of the last row that was handed out.
    after: Option<Vec<Value>>,
    at_end: bool,
}

impl<'a> Pages<'a> {
    pub fn new(table: &'a Table, key: &'a [usize]) -> Self {
        Self { table, key, after: None, at_end: false }
    }

    /// The next page; none at the end.
    pub async fn next(
        &mut self,
        store: &Store,
        connection: &impl ConnectionTrait,
    ) -> Result<Option<Vec<Row>>, StoreError> {
        if self.at_end {
            return Ok(None);
        }
        let key: Vec<&str> = self.key.iter().map(|&place| self.table.columns[place].name.as_str()).collect();
        let key = key.join(", ");
        let after = self.after.take().unwrap_or_default();
        let places: Vec<String> = (1..=after.len()).map(|place| format!("${place}")).collect();
        let condition = match places.is_empty() {
            true => String::new(),
            false => format!("where ({key}) > ({})", places.join(", ")),
        };
        let (columns, name) = (columns(self.table), &self.table.name);
        let text = format!("select {columns} from {name} {condition} order by {key} limit {PAGE_ROWS}");
        let statement = store.statement(&text, after);
        let found = store.within(async { all(connection, statement).await }).await?;
        let rows: Vec<Row> = found.iter().map(|row| self.read(row)).collect::<Result<_, _>>()?;
        self.at_end = rows.len() < PAGE_ROWS;
        self.after =
            rows.last().map(|last| self.key.iter().map(|&place| last[place].clone().into_value()).collect());
        Ok((!rows.is_empty()).then_some(rows))
    }

    fn read(&self, row: &QueryResult) -> Result<Row, StoreError> {
        let columns = self.table.columns.iter().enumerate();
        columns.map(|(place, column)| column.kind.read(row, place)).collect()
    }
}

/// Adds one page of rows.
pub(super) async fn insert(
    table: &Table,
    store: &Store,
    connection: &impl ConnectionTrait,
    rows: Vec<Row>,
) -> Result<(), StoreError> {
    let width = table.columns.len();
    let tuple = |row: usize| {
        let places: Vec<String> = (1..=width).map(|place| format!("${}", row * width + place)).collect();
        format!("({})", places.join(", "))
    };
    let tuples: Vec<String> = (0..rows.len()).map(tuple).collect();
    let numbered = table.columns.iter().any(|column| column.role == Role::Number);
    let overriding = match store.kind() {
        StoreKind::PostgreSql if numbered => "overriding system value",
        _ => "",
    };
    let (columns, name) = (columns(table), &table.name);
    let text = format!("insert into {name} ({columns}) {overriding} values {}", tuples.join(", "));
    let statement = store.statement(&text, rows.into_iter().flatten().map(Cell::into_value));
    store.within(async { execute(connection, statement).await }).await.map(|_| ())
}

/// How many rows there are, by the database's own count.
pub(super) async fn count(
    table: &Table,
    store: &Store,
    connection: &impl ConnectionTrait,
) -> Result<u64, StoreError> {
    let statement = store.statement(&format!("select count(*) as rows from {}", table.name), []);
    let found = store.within(async { all(connection, statement).await }).await?;
    let row = found.first().ok_or_else(|| StoreError::Broken("a count without an answer".to_owned()))?;
    let rows: i64 = row.try_get("", "rows")?;
    u64::try_from(rows).map_err(|error| StoreError::unreadable("count", error))
}

fn columns(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(rows: &[Row]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        rows.iter().for_each(|row| fingerprint.add(row));
        fingerprint
    }

    fn text(value: &str) -> Cell {
        Cell::Text(Some(value.to_owned()))
    }

    #[test]
    fn a_fingerprint_minds_every_value_and_no_order() {
        let (one, two) = (vec![text("a"), text("bc")], vec![text("ab"), text("c")]);
        assert_eq!(fingerprint(&[one.clone(), two.clone()]), fingerprint(&[two.clone(), one.clone()]));
        assert_ne!(fingerprint(std::slice::from_ref(&one)), fingerprint(std::slice::from_ref(&two)));
        assert_ne!(fingerprint(&[one.clone(), one.clone()]).sum, 0);
        assert_ne!(
            fingerprint(&[vec![text("")]]),
            fingerprint(&[vec![Cell::Text(None)]]),
            "empty is not absent"
        );
        assert_eq!(fingerprint(&[one]).checksum().len(), 32);
    }
}
