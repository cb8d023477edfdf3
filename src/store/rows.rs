//! A slice of rows as one parameter set, so that a statement reads the same on both databases.
//!
//! A verb writes its SQL against a common table expression called `r`. On PostgreSQL `r` is an `unnest` of arrays, so
//! there is one prepared plan for every size of group. On SQLite it is a `values` list, padded to a power of two by
//! rows of nulls that are filtered out again, so that there are seven prepared statements a verb and not sixty-four. A
//! statement's own parameters stand before the rows' in number and behind them in text; where it has none, the rows' have no
//! numbers on SQLite, which spends a square of their count on numbers.
//!
//! **Owns** nothing. **Limits**: the binder takes no nulls inside an array, so an optional column sends a value that no
//! row can hold (empty text, the nil UUID, the smallest integer, the first day of the calendar) and `r` turns it back into null. The first column of
//! every slice is mandatory; SQLite's padding is told by its being null.

use std::fmt::Write as _;

use chrono::NaiveDate;
use sea_orm::sea_query::ArrayType;
use sea_orm::{DbBackend, Value};
use uuid::Uuid;

/// The smallest integer stands for null in an optional column.
const NO_INTEGER: i64 = i64::MIN;
/// The first day of the calendar stands for null in an optional column.
const NO_DATE: NaiveDate = NaiveDate::from_ymd_opt(1, 1, 1).expect("the calendar has a first day");

enum Column {
    Uuid(Vec<Uuid>),
    OptionalUuid(Vec<Option<Uuid>>),
    Text(Vec<String>),
    OptionalText(Vec<Option<String>>),
    Integer(Vec<i64>),
    OptionalInteger(Vec<Option<i64>>),
    Date(Vec<NaiveDate>),
    OptionalDate(Vec<Option<NaiveDate>>),
    Bytes(Vec<Vec<u8>>),
}

/// The columns of a slice, under construction.
#[derive(Default)]
pub struct Rows {
    columns: Vec<(&'static str, Column)>,
    len: usize,
}

macro_rules! column {
    ($(#[$meta:meta])* $method:ident, $variant:ident, $item:ty) => {
        $(#[$meta])*
        pub fn $method(mut self, name: &'static str, items: impl IntoIterator<Item = $item>) -> Self {
            let items: Vec<$item> = items.into_iter().collect();
            self.check_len(items.len());
            self.columns.push((name, Column::$variant(items)));
            self
        }
    };
}

impl Rows {
    /// A slice without columns.
    pub fn new() -> Self {
        Self::default()
    }

    column!(
        /// A mandatory id.
        uuid, Uuid, Uuid
    );
    column!(
        /// An id that may be absent.
        optional_uuid, OptionalUuid, Option<Uuid>
    );
    column!(
        /// A mandatory text.
        text, Text, String
    );
    column!(
        /// A text that may be absent; empty text is absent.
        optional_text, OptionalText, Option<String>
    );
    column!(
        /// A mandatory integer.
        integer, Integer, i64
    );
    column!(
        /// An integer that may be absent.
        optional_integer, OptionalInteger, Option<i64>
    );
    column!(
        /// A civil date.
        date, Date, NaiveDate
    );
    column!(
        /// A civil date that may be absent.
        optional_date, OptionalDate, Option<NaiveDate>
    );
    column!(
        /// Mandatory bytes.
        bytes, Bytes, Vec<u8>
    );

    fn check_len(&mut self, len: usize) {
        debug_assert!(self.columns.is_empty() || self.len == len, "columns of unlike length");
        self.len = len;
    }

    /// The text of `r(…) as (…)`, to stand behind `with`; its parameters are appended to `values`, after those there.
    pub fn into_expression(self, backend: DbBackend, values: &mut Vec<Value>) -> String {
        match backend {
            DbBackend::Postgres => self.unnest(values),
            _ => self.value_list(values),
        }
    }

    fn unnest(self, values: &mut Vec<Value>) -> String {
        let mut names = String::new();
        let mut selected = String::new();
        let mut arrays = String::new();
        for (index, (name, column)) in self.columns.into_iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let (sql_type, null) = column.sql_type();
            let place = values.len() + 1;
            // Writing to a String cannot fail.
            let _ = write!(names, "{comma}{name}");
            let _ = match null {
                Some(null) => write!(selected, "{comma}nullif(u.{name}, {null})"),
                None => write!(selected, "{comma}u.{name}"),
            };
            let _ = write!(arrays, "{comma}${place}::{sql_type}[]");
            values.push(column.into_array());
        }
        format!("r({names}) as (select {selected} from unnest({arrays}) as u({names}))")
    }

    fn value_list(self, values: &mut Vec<Value>) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let width = names.len();
        let padded = self.len.next_power_of_two();
        let first_place = values.len() + 1;
        let mut columns: Vec<std::vec::IntoIter<Value>> =
            self.columns.into_iter().map(|(_, column)| column.into_values().into_iter()).collect();
        for row in 0..padded {
            for column in &mut columns {
                values.push(if row < self.len { column.next() } else { None }.unwrap_or(Value::BigInt(None)));
            }
        }
        // The list is the first thing in its statement, so that places without a number are counted as they are bound. With numbers
        // each is a name to the database, which looks through all names before it for each value that is bound: the square of them.
        let is_counted = first_place == 1;
        let mut list = String::with_capacity(padded * width * if is_counted { 2 } else { 7 } + padded * 4);
        for row in 0..padded {
            list.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..width {
                list.push_str(if column == 0 { "?" } else { ",?" });
                if !is_counted {
                    let _ = write!(list, "{}", first_place + row * width + column);
                }
            }
            list.push(')');
        }
        format!("r({}) as (select * from (values {list}) where column1 is not null)", names.join(", "))
    }
}

impl Column {
    /// The element's type on PostgreSQL and, for an optional column, what stands for null.
    fn sql_type(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Uuid(_) => ("uuid", None),
            Self::OptionalUuid(_) => ("uuid", Some("'00000000-0000-0000-0000-000000000000'::uuid")),
            Self::Text(_) => ("text", None),
            Self::OptionalText(_) => ("text", Some("''")),
            Self::Integer(_) => ("bigint", None),
            Self::OptionalInteger(_) => ("bigint", Some("'-9223372036854775808'::bigint")),
            Self::Date(_) => ("date", None),
            Self::OptionalDate(_) => ("date", Some("'0001-01-01'::date")),
            Self::Bytes(_) => ("bytea", None),
        }
    }

    fn into_array(self) -> Value {
        let array_type = match &self {
            Self::Uuid(_) | Self::OptionalUuid(_) => ArrayType::Uuid,
            Self::Text(_) | Self::OptionalText(_) => ArrayType::String,
            Self::Integer(_) | Self::OptionalInteger(_) => ArrayType::BigInt,
            Self::Date(_) | Self::OptionalDate(_) => ArrayType::ChronoDate,
            Self::Bytes(_) => ArrayType::Bytes,
        };
        let filled = match self {
            Self::OptionalUuid(items) => {
                Self::Uuid(items.into_iter().map(Option::unwrap_or_default).collect())
            }
            Self::OptionalText(items) => {
                Self::Text(items.into_iter().map(Option::unwrap_or_default).collect())
            }
            Self::OptionalInteger(items) => {
                Self::Integer(items.into_iter().map(|item| item.unwrap_or(NO_INTEGER)).collect())
            }
            Self::OptionalDate(items) => {
                Self::Date(items.into_iter().map(|item| item.unwrap_or(NO_DATE)).collect())
            }
            other => other,
        };
        Value::Array(array_type, Some(Box::new(filled.into_values())))
    }

    fn into_values(self) -> Vec<Value> {
        match self {
            Self::Uuid(items) => items.into_iter().map(Value::from).collect(),
            Self::OptionalUuid(items) => items.into_iter().map(Value::from).collect(),
            Self::Text(items) => items.into_iter().map(Value::from).collect(),
            Self::OptionalText(items) => {
                items.into_iter().map(|item| Value::from(item.filter(|text| !text.is_empty()))).collect()
            }
            Self::Integer(items) => items.into_iter().map(Value::from).collect(),
            Self::OptionalInteger(items) => items.into_iter().map(Value::from).collect(),
            Self::Date(items) => items.into_iter().map(Value::from).collect(),
            Self::OptionalDate(items) => items.into_iter().map(Value::from).collect(),
            Self::Bytes(items) => items.into_iter().map(Value::from).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_rows() -> Rows {
        Rows::new()
            .integer("id", [1, 2, 3])
            .optional_text("name", [Some("a".to_owned()), None, Some(String::new())])
    }

    #[test]
    fn sqlite_pads_to_a_power_of_two_and_filters_the_padding() {
        let mut values = vec![Value::from(7_i64)];
        let text = three_rows().into_expression(DbBackend::Sqlite, &mut values);
        assert_eq!(
            text,
            "r(id, name) as (select * from (values (?2,?3), (?4,?5), (?6,?7), (?8,?9)) where column1 is not null)"
        );
        assert_eq!(values.len(), 9);
        assert_eq!(values[8], Value::BigInt(None));
        assert_eq!(values[6], Value::String(None), "empty text is absent");
    }

    #[test]
    fn sqlite_counts_places_where_a_statement_has_no_others() {
        let mut values = vec![];
        let text = Rows::new().integer("id", [1, 2]).into_expression(DbBackend::Sqlite, &mut values);
        assert_eq!(text, "r(id) as (select * from (values (?), (?)) where column1 is not null)");
        assert_eq!(values, [Value::from(1_i64), Value::from(2_i64)]);
    }

    #[test]
    fn postgres_takes_one_array_a_column_at_any_size() {
        let mut values = vec![];
        let text = three_rows().into_expression(DbBackend::Postgres, &mut values);
        assert_eq!(
            text,
            "r(id, name) as (select u.id, nullif(u.name, '') from unnest($1::bigint[], $2::text[]) as u(id, name))"
        );
        assert_eq!(values.len(), 2);
    }
}
