//! Which transfers a filter finds: pages of ids, in the order of time.
//!
//! Ids are in order of time, so that a page goes along an index of what is asked for with the id behind it and ends when it is
//! full. A time of recording is in no such order: what was recorded within a range is found along an index of its own, and the
//! page is made of the ids that were found.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: where several things are asked for, one index serves and the rest is looked at
//! row by row; a feed, an analyzer and a formula, of which there are few, have none. A range of recording is read whole.

use sea_orm::Value;

use super::to_us;
use super::transfer_list::TransferFilter;
use crate::domain::ids::{TenantId, TransferId};
use crate::domain::transfer::TransferState;

/// A page of what a filter finds.
pub(super) struct FilterPage<'a> {
    pub tenant: &'a TenantId,
    pub filter: &'a TransferFilter,
    /// Any of these states, beside the one of the filter; none for any.
    pub states: &'a [TransferState],
    /// Behind this one, in the order of the page.
    pub after: Option<TransferId>,
    pub newest_first: bool,
    pub limit: i64,
}

/// Conditions and their parameters, under construction.
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// One more, in which `{}` stands for the parameter.
    fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.sql.push_str(" and ");
        self.sql.push_str(&condition.replace("{}", &format!("${}", self.values.len())));
    }

    fn and_text(&mut self, condition: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.and(condition, text);
        }
    }
}

impl FilterPage<'_> {
    /// Text to stand behind `with`, which makes a table `page(id)`, and its parameters.
    pub(super) fn sql(&self) -> (String, Vec<Value>) {
        let mut all = self.conditions();
        let mut behind = Conditions { sql: String::new(), values: std::mem::take(&mut all.values) };
        let (than, order) = if self.newest_first { ("<", "desc") } else { (">", "asc") };
        if let Some(TransferId(after)) = self.after {
            behind.and(&format!("t.id {than} {{}}"), after);
        }
        behind.values.push(Value::from(self.limit));
        let Conditions { sql: behind, values } = behind;
        let place = values.len();
        let order = format!("order by t.id {order} limit ${place}");
        let conditions = all.sql;
        let is_range = self.filter.recorded_from.is_some() || self.filter.recorded_until.is_some();
        let sql = if is_range {
            format!(
                "found as materialized (select t.id from transfer t where {conditions}),
                 page as materialized (select t.id from found t where true {behind} {order})"
            )
        } else {
            format!("page as materialized (select t.id from transfer t where {conditions} {behind} {order})")
        };
        (sql, values)
    }

    fn conditions(&self) -> Conditions {
        let filter = self.filter;
        let tenant = Value::from(self.tenant.as_str());
        let mut all = Conditions { sql: "t.tenant_id = $1".to_owned(), values: vec![tenant] };
        all.and_text("t.feed = {}", filter.feed.as_deref());
        for states in [filter.state.as_slice(), self.states] {
            all.sql.push_str(&any_of(states));
        }
        // The first half is spelled as its index has it. The wildcards of `like` may stand in a reason as they are.
        all.and_text(
            "t.reason is not null and substr(t.reason, 1, length({})) = {}",
            filter.reason.as_deref(),
        );
        all.and_text("t.alias_key = {}", filter.alias_key.as_deref());
        all.and_text("t.person_key = {}", filter.person_key.as_deref());
        all.and_text("t.company_key = {}", filter.company_key.as_deref());
        if let Some(from) = filter.recorded_from {
            all.and("t.recorded_at_us >= {}", to_us(from));
        }
        if let Some(until) = filter.recorded_until {
            all.and("t.recorded_at_us < {}", to_us(until));
        }
        let of_run = |column: &str| {
            format!(
                "exists (select 1 from transfer_run u where u.transfer_id = t.id and u.number = t.run and u.{column} = {{}})"
            )
        };
        all.and_text(&of_run("formula"), filter.formula.as_deref());
        all.and_text(&of_run("analyzer"), filter.analyzer.as_deref());
        all
    }
}

/// Names of ours, so that they may stand in the text: the index of those that are not done is known by it.
fn any_of(states: &[TransferState]) -> String {
    if states.is_empty() {
        return String::new();
    }
    let names: Vec<String> = states.iter().map(|state| format!("'{}'", state.as_str())).collect();
    let undone = if states.contains(&TransferState::Done) { "" } else { " and t.state <> 'done'" };
    match names.as_slice() {
        [name] => format!(" and t.state = {name}{undone}"),
        names => format!(" and t.state in ({}){undone}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_has_its_place() {
        let tenant = TenantId::default();
        let filter = TransferFilter {
            state: Some(TransferState::Failed),
            reason: Some("gave_up".to_owned()),
            person_key: Some("p".to_owned()),
            recorded_from: Some(chrono::DateTime::UNIX_EPOCH),
            ..TransferFilter::default()
        };
        let page = FilterPage {
            tenant: &tenant,
            filter: &filter,
            states: &[],
            after: Some(TransferId(uuid::Uuid::nil())),
            newest_first: true,
            limit: 7,
        };
        let (sql, values) = page.sql();
        let found = "found as materialized (select t.id from transfer t where t.tenant_id = $1 and t.state = 'failed' \
             and t.state <> 'done' and t.reason is not null and substr(t.reason, 1, length($2)) = $2 and t.person_key = $3 \
             and t.recorded_at_us >= $4),";
        let page = "page as materialized (select t.id from found t where true  and t.id < $5 order by t.id desc limit $6)";
        assert_eq!(sql.split_whitespace().collect::<Vec<_>>(), {
            let expected = format!("{found} {page}");
            expected.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        });
        assert_eq!(values.len(), 6);
        assert_eq!((&values[3], &values[5]), (&Value::from(0_i64), &Value::from(7_i64)));
    }
}
