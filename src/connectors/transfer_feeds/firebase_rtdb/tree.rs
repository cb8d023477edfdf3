//! The rules of the database's tree for one value: null deletes, what holds nothing is not there, a list is an object.
//!
//! **Owns** nothing. **Fails** never. **Limits**: as deep as a JSON text may be that was read; a path has [`DEPTH_MAX`] keys.

use serde_json::{Map, Value};

/// The keys of one path, at most; the database itself lets 32 be.
pub(super) const DEPTH_MAX: usize = 64;

/// The value with another one at a path below it.
pub(super) fn with(value: Value, path: &[&str], data: Value) -> Value {
    let Some((key, rest)) = path.split_first() else { return pruned(data) };
    let is_leaf = !matches!(value, Value::Null | Value::Object(_) | Value::Array(_));
    if is_leaf && pruned(data.clone()).is_null() {
        // Below a scalar there is nothing that could be deleted.
        return value;
    }
    let mut children = children(value);
    let child = children.remove(*key).unwrap_or(Value::Null);
    let child = with(child, rest, data);
    if !child.is_null() {
        children.insert((*key).to_owned(), child);
    }
    if children.is_empty() { Value::Null } else { Value::Object(children) }
}

/// The value without nulls and without what holds nothing; null if nothing is left.
pub(super) fn pruned(value: Value) -> Value {
    match value {
        Value::Object(children) => {
            let children = children.into_iter().map(|(key, child)| (key, pruned(child)));
            let children: Map<String, Value> = children.filter(|(_, child)| !child.is_null()).collect();
            if children.is_empty() { Value::Null } else { Value::Object(children) }
        }
        Value::Array(items) => {
            let items: Vec<Value> = items.into_iter().map(pruned).collect();
            if items.iter().all(Value::is_null) { Value::Null } else { Value::Array(items) }
        }
        scalar => scalar,
    }
}

/// What stands directly below a value; below a scalar nothing does.
fn children(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(children) => children,
        Value::Array(items) => {
            let numbered = items.into_iter().enumerate().filter(|(_, item)| !item.is_null());
            numbered.map(|(index, item)| (index.to_string(), item)).collect()
        }
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_set_below_makes_its_way_and_what_is_emptied_vanishes() {
        assert_eq!(with(json!({"a": 1}), &["b", "c"], json!(2)), json!({"a": 1, "b": {"c": 2}}));
        assert_eq!(with(json!({"b": {"c": 2}}), &["b", "c"], json!(null)), json!(null));
        assert_eq!(with(json!({"a": 1, "b": {"c": 2}}), &["b", "c"], json!({})), json!({"a": 1}));
        assert_eq!(with(json!(7), &["a"], json!(1)), json!({"a": 1}));
        assert_eq!(with(json!({"a": 7}), &["a", "b"], json!(null)), json!({"a": 7}));
        assert_eq!(with(json!({"l": [5, 6]}), &["l", "1"], json!(null)), json!({"l": {"0": 5}}));
        assert_eq!(with(json!([1]), &[], json!({"a": null, "b": [null, {}]})), json!(null));
    }
}
