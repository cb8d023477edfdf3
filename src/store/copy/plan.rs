//! What there is to move, asked of both schemas: tables, columns, keys.
//!
//! **Owns** nothing. **Fails** when the two schemas do not agree, or hold what nobody has taught to travel: a type of
//! column without a way through [`super::page::Cell`], a table without a primary key to page along.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, QueryResult};

use super::page::{Cell, Kind, Row};
use super::{CopyError, Side};
use crate::store::transaction::all;
use crate::store::{Store, StoreError, StoreKind};

/// The schema's own growth: each store has its own.
const STAYS: [&str; 2] = ["schema_meta", "schema_step"];

pub(super) struct Plan {
    /// By name.
    pub tables: Vec<Table>,
}

pub(super) struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// The primary key, by the columns' places, or what keeps the order of events: pages go along it.
    pub key_at_source: Vec<usize>,
    pub key_at_target: Vec<usize>,
}

pub(super) struct Column {
    pub name: String,
    pub kind: Kind,
    pub role: Role,
}

/// How a value arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// As it is.
    Kept,
    /// As its row's place in the source's order.
    Number,
    /// As 0: older than every transaction that the target will ever see.
    Transaction,
    /// As null: whoever held it was a process of the source.
    Holder,
}

/// A column as one database describes it.
struct Described {
    name: String,
    /// PostgreSQL's name of the type; empty on SQLite, where an id and bytes are of one type.
    type_name: String,
    is_identity: bool,
    default: String,
    key_place: Option<i64>,
}

type Schema = BTreeMap<String, Vec<Described>>;

const OF_SQLITE: &str = "
    select m.name as table_name, c.name as column_name, '' as type_name, 0 as is_identity, '' as default_text,
        case when c.pk > 0 then c.pk end as key_place
    from sqlite_master m join pragma_table_info(m.name) c
    where m.type = 'table' and m.name not like 'sqlite_%' order by m.name, c.cid";

const OF_POSTGRES: &str = "
    select c.relname::text as table_name, a.attname::text as column_name, t.typname::text as type_name,
        (a.attidentity <> '')::int::bigint as is_identity,
        coalesce(pg_get_expr(d.adbin, d.adrelid), '') as default_text,
        array_position(k.indkey::int2[], a.attnum)::bigint as key_place
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    left join pg_index k on k.indrelid = c.oid and k.indisprimary
    where c.relkind in ('r', 'p') and c.relnamespace = current_schema()::regnamespace
    order by c.relname, a.attnum";

impl Plan {
    pub async fn of(source: &Store, target: &Store) -> Result<Self, CopyError> {
        let from = describe(source).await.map_err(CopyError::while_doing("reading the source's schema"))?;
        let to = describe(target).await.map_err(CopyError::while_doing("reading the target's schema"))?;
        for (side, own, other) in [(Side::Source, &from, &to), (Side::Target, &to, &from)] {
            if let Some(name) = own.keys().find(|name| !other.contains_key(*name)) {
                return Err(CopyError::SchemasDiffer(format!("only the {side} has table {name}")));
            }
        }
        let mut tables = Vec::new();
        for (name, there) in to {
            let Some(here) = from.get(&name).filter(|_| !STAYS.contains(&name.as_str())) else { continue };
            // The types are PostgreSQL's, whichever side that is.
            let typed = if target.kind() == StoreKind::PostgreSql { &there } else { here };
            tables.push(Table::of(&name, here, &there, typed).map_err(CopyError::SchemasDiffer)?);
        }
        Ok(Self { tables })
    }

    /// That the target holds nothing but what its migrations have put there: one tenant.
    pub async fn target_is_empty(
        &self,
        target: &Store,
        connection: &impl ConnectionTrait,
    ) -> Result<(), CopyError> {
        for table in &self.tables {
            let own = if table.name == "tenant" { "where id <> 'default' or created_at_us <> 0" } else { "" };
            let look = target.statement(&format!("select 1 as found from {} {own} limit 1", table.name), []);
            let found = target.within(async { all(connection, look).await }).await;
            if !found.map_err(CopyError::while_doing("looking whether the target is empty"))?.is_empty() {
                return Err(CopyError::NotEmpty(table.name.clone()));
            }
        }
        Ok(())
    }
}

impl Table {
    fn of(name: &str, here: &[Described], there: &[Described], typed: &[Described]) -> Result<Self, String> {
        if let Some(column) = here.iter().find(|column| place_of(there, &column.name).is_none()) {
            return Err(format!("only the source has column {name}.{}", column.name));
        }
        if let Some(column) = there.iter().find(|column| place_of(here, &column.name).is_none()) {
            return Err(format!("only the target has column {name}.{}", column.name));
        }
        let mut columns = Vec::new();
        for column in typed {
            let kind = Kind::of(&column.type_name)
                .ok_or_else(|| format!("{name}.{} is of type {}", column.name, column.type_name))?;
            columns.push(Column { name: column.name.clone(), kind, role: role(name, column) });
        }
        let key = |described: &[Described]| -> Result<Vec<usize>, String> {
            let mut key: Vec<(i64, usize)> = described
                .iter()
                .filter_map(|column| Some((column.key_place?, place_of(typed, &column.name)?)))
                .collect();
            key.sort_unstable();
            if key.is_empty() {
                return Err(format!("table {name} has no primary key"));
            }
            let numbered = in_order_of_commits(&columns);
            Ok(if numbered.is_empty() { key.into_iter().map(|(_, place)| place).collect() } else { numbered })
        };
        let (key_at_source, key_at_target) = (key(here)?, key(there)?);
        Ok(Self { name: name.to_owned(), columns, key_at_source, key_at_target })
    }

    /// Makes a row of the source one of the target; it is the one with this number, counted from 1.
    pub fn settle_in(&self, row: &mut Row, number: u64) {
        for (column, cell) in self.columns.iter().zip(row) {
            match column.role {
                Role::Kept => {}
                // Fewer rows than that fit into any database.
                Role::Number => *cell = Cell::Integer(i64::try_from(number).ok()),
                Role::Transaction => *cell = Cell::Integer(Some(0)),
                Role::Holder => *cell = column.kind.null(),
            }
        }
    }

    /// What makes the target count on after so many rows. SQLite remembers the highest number by itself.
    pub fn next_number_after(&self, target: StoreKind, rows: u64) -> Option<String> {
        let numbered = self.columns.iter().find(|column| column.role == Role::Number)?;
        (target == StoreKind::PostgreSql && rows > 0).then(|| {
            format!("select setval(pg_get_serial_sequence('{}', '{}'), {rows})", self.name, numbered.name)
        })
    }
}

/// What a stream of changes is read by; nothing for a table that is none.
fn in_order_of_commits(columns: &[Column]) -> Vec<usize> {
    let of = |role| columns.iter().position(|column| column.role == role);
    of(Role::Number)
        .map_or_else(Vec::new, |number| of(Role::Transaction).into_iter().chain([number]).collect())
}

fn role(table: &str, column: &Described) -> Role {
    if column.is_identity {
        Role::Number
    } else if column.default.contains("pg_current_xact_id") {
        Role::Transaction
    } else if (table, column.name.as_str()) == ("leader", "runner_id") {
        Role::Holder
    } else {
        Role::Kept
    }
}

fn place_of(columns: &[Described], name: &str) -> Option<usize> {
    columns.iter().position(|column| column.name == name)
}

async fn describe(store: &Store) -> Result<Schema, StoreError> {
    let text = match store.kind() {
        StoreKind::PostgreSql => OF_POSTGRES,
        StoreKind::Sqlite => OF_SQLITE,
    };
    let rows = store.within(async { all(store.reader(), store.statement(text, [])).await }).await?;
    let mut schema = Schema::new();
    for row in &rows {
        let (table, column) = read(row)?;
        schema.entry(table).or_default().push(column);
    }
    Ok(schema)
}

fn read(row: &QueryResult) -> Result<(String, Described), StoreError> {
    let is_identity: i64 = row.try_get("", "is_identity")?;
    let column = Described {
        name: row.try_get("", "column_name")?,
        type_name: row.try_get("", "type_name")?,
        is_identity: is_identity != 0,
        default: row.try_get("", "default_text")?,
        key_place: row.try_get("", "key_place")?,
    };
    Ok((row.try_get("", "table_name")?, column))
}
