//! Queries: an order, bounds in it, and a limit.
//!
//! **Owns** nothing.
//! **Fails** with the parameter that is missing or does not fit.
//! **Limits**: one order; bounds are booleans, numbers, texts or `null`, with a key behind a comma where children of that value are
//! told apart, as Google's own clients write `startAt` and `endAt`; no order by priority.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound as Edge;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

use super::fault::Fault;
use super::key::{Key, Path, parse_path};
use super::tree::{Node, find};

/// What children are ordered by.
#[derive(Clone, Debug, PartialEq)]
enum Order {
    Key,
    Value,
    Child(Path),
}

/// How many, from which end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    None,
    First(usize),
    Last(usize),
}

/// One query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    order: Order,
    low: Option<Bound>,
    high: Option<Bound>,
    limit: Limit,
}

/// Where a query begins or ends.
#[derive(Clone, Debug, PartialEq)]
struct Bound {
    value: Value,
    /// Among the children of that value, by their keys.
    key: Option<Key>,
}

/// The parameters of an address that make a query, as they came.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub order_by: Option<String>,
    pub start_at: Option<String>,
    pub end_at: Option<String>,
    pub equal_to: Option<String>,
    pub limit_to_first: Option<String>,
    pub limit_to_last: Option<String>,
}

impl Asked {
    /// The query, if one is asked for.
    pub fn query(self) -> Result<Option<Query>, Fault> {
        let bounds =
            [&self.start_at, &self.end_at, &self.equal_to, &self.limit_to_first, &self.limit_to_last];
        let Some(order_by) = &self.order_by else {
            if bounds.iter().any(|bound| bound.is_some()) {
                return Err(Fault::Bad("orderBy must be defined when other query parameters are defined"));
            }
            return Ok(None);
        };
        let order = order(order_by)?;
        if self.equal_to.is_some() && (self.start_at.is_some() || self.end_at.is_some()) {
            return Err(Fault::Bad("equalTo cannot be specified in addition to startAt or endAt"));
        }
        let read = |name: &str, text: Option<&String>| text.map(|text| bound(name, text, &order)).transpose();
        let equal = read("equalTo", self.equal_to.as_ref())?;
        if equal.as_ref().is_some_and(|equal| equal.key.is_some()) {
            return Err(Fault::Parameter("equalTo".to_owned()));
        }
        let low = read("startAt", self.start_at.as_ref())?.or_else(|| equal.clone());
        let high = read("endAt", self.end_at.as_ref())?.or(equal);
        let limit = match (&self.limit_to_first, &self.limit_to_last) {
            (None, None) => Limit::None,
            (Some(first), None) => Limit::First(count("limitToFirst", first)?),
            (None, Some(last)) => Limit::Last(count("limitToLast", last)?),
            (Some(_), Some(_)) => return Err(Fault::Bad("limitToFirst and limitToLast cannot both be set")),
        };
        Ok(Some(Query { order, low, high, limit }))
    }
}

fn order(text: &str) -> Result<Order, Fault> {
    let wrong = || Fault::Parameter("orderBy".to_owned());
    // The value is JSON, so that a name without quotes is a fault, as with the real service.
    let Ok(Value::String(name)) = serde_json::from_str(text) else { return Err(wrong()) };
    match name.as_str() {
        "$key" => Ok(Order::Key),
        "$value" => Ok(Order::Value),
        _ => match parse_path(&name) {
            Ok(path) if !path.is_empty() => Ok(Order::Child(path)),
            _ => Err(wrong()),
        },
    }
}

fn bound(name: &str, text: &str, order: &Order) -> Result<Bound, Fault> {
    let wrong = || Fault::Parameter(name.to_owned());
    let mut rest = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = rest.next().and_then(Result::ok).ok_or_else(wrong)?;
    let key = match text[rest.byte_offset()..].trim_start() {
        "" => None,
        // A key alone orders nothing among keys.
        more if *order != Order::Key => {
            let key = more.strip_prefix(',').and_then(|key| serde_json::from_str::<String>(key).ok());
            Some(Key::of(&key.ok_or_else(wrong)?))
        }
        _ => return Err(wrong()),
    };
    if value.is_object() || value.is_array() || (*order == Order::Key && !value.is_string()) {
        return Err(wrong());
    }
    Ok(Bound { value, key })
}

fn count(name: &str, text: &str) -> Result<usize, Fault> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| Fault::Parameter(name.to_owned()))
}

impl Query {
    /// The rule that it needs: a field, or `.value`. Keys are always in order.
    pub fn index(&self) -> Option<String> {
        match &self.order {
            Order::Key => None,
            Order::Value => Some(".value".to_owned()),
            Order::Child(path) => Some(path.iter().map(Key::as_str).collect::<Vec<_>>().join("/")),
        }
    }

    /// Whether each child is in or out by itself, whatever the others are.
    pub fn is_boundless(&self) -> bool {
        self.limit == Limit::None
    }

    /// Whether a child lies between the bounds.
    pub fn admits(&self, key: &Key, node: &Node) -> bool {
        let side = |bound: &Bound| self.compare(key, node, bound);
        self.low.as_ref().is_none_or(|low| side(low).is_ge())
            && self.high.as_ref().is_none_or(|high| side(high).is_le())
    }

    /// The children that it finds.
    pub fn window(&self, node: Option<&Node>) -> BTreeSet<Key> {
        if let (Order::Key, Limit::First(count)) = (&self.order, self.limit) {
            return self.page(node, count);
        }
        let children = node.and_then(Node::children).into_iter().flatten();
        let mut found: Vec<(&Key, &Node)> = children.filter(|(key, node)| self.admits(key, node)).collect();
        let taken = match self.limit {
            Limit::None => 0..found.len(),
            Limit::First(count) => 0..count.min(found.len()),
            Limit::Last(count) => found.len().saturating_sub(count)..found.len(),
        };
        if !self.is_boundless() {
            found.sort_by(|one, two| {
                self.rank(one.0, one.1).cmp(&self.rank(two.0, two.1)).then(one.0.cmp(two.0))
            });
        }
        found[taken].iter().map(|(key, _)| (*key).clone()).collect()
    }

    /// The children are kept in the order of their keys, so that a page of many costs no more than itself.
    fn page(&self, node: Option<&Node>, count: usize) -> BTreeSet<Key> {
        let Some(children) = node.and_then(Node::children) else { return BTreeSet::new() };
        let bound = |bound: &Bound| bound.value.as_str().map(Key::of);
        let low = self.low.as_ref().and_then(bound).map_or(Edge::Unbounded, Edge::Included);
        let behind = children.range((low, Edge::Unbounded));
        behind
            .take_while(|(key, node)| self.admits(key, node))
            .take(count)
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn rank<'a>(&self, key: &'a Key, node: &'a Node) -> Rank<'a> {
        match &self.order {
            Order::Key => Rank::Key(key),
            Order::Value => Rank::of_node(Some(node)),
            Order::Child(path) => Rank::of_node(find(Some(node), path)),
        }
    }

    fn compare(&self, key: &Key, node: &Node, bound: &Bound) -> Ordering {
        match (&self.order, &bound.value) {
            (Order::Key, Value::String(text)) => key.cmp(&Key::of(text)),
            (_, value) => {
                let by_key = bound.key.as_ref().map_or(Ordering::Equal, |bound| key.cmp(bound));
                self.rank(key, node).cmp(&Rank::of_value(value)).then(by_key)
            }
        }
    }
}

/// What a child is ordered by: nothing, false, true, numbers, texts, and last all that has children.
#[derive(Clone, Copy, Debug)]
enum Rank<'a> {
    Key(&'a Key),
    Nothing,
    False,
    True,
    Number(f64),
    Text(&'a str),
    Branch,
}

impl<'a> Rank<'a> {
    fn of_node(node: Option<&'a Node>) -> Self {
        match node {
            None => Rank::Nothing,
            Some(Node::Leaf(value)) => Rank::of_value(value),
            Some(Node::Branch(_)) => Rank::Branch,
        }
    }

    fn of_value(value: &'a Value) -> Self {
        match value {
            Value::Null => Rank::Nothing,
            Value::Bool(false) => Rank::False,
            Value::Bool(true) => Rank::True,
            Value::Number(number) => Rank::Number(number.as_f64().unwrap_or_default()),
            Value::String(text) => Rank::Text(text),
            Value::Array(_) | Value::Object(_) => Rank::Branch,
        }
    }

    fn class(self) -> u8 {
        match self {
            Rank::Key(_) => 0,
            Rank::Nothing => 1,
            Rank::False => 2,
            Rank::True => 3,
            Rank::Number(_) => 4,
            Rank::Text(_) => 5,
            Rank::Branch => 6,
        }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Rank::Key(one), Rank::Key(two)) => one.cmp(two),
            (Rank::Number(one), Rank::Number(two)) => one.total_cmp(two),
            (Rank::Text(one), Rank::Text(two)) => one.cmp(two),
            _ => self.class().cmp(&other.class()),
        }
    }
}

/// Children of a node that are in a window; always an object, as a query's answer is.
pub struct Shown<'a> {
    pub node: Option<&'a Node>,
    pub window: &'a BTreeSet<Key>,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for key in self.window {
            if let Some(child) = self.node.and_then(|node| node.child(key)) {
                map.serialize_entry(key.as_str(), child)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tree::Now;
    use super::*;

    fn asked(parameters: &[(&str, &str)]) -> Result<Option<Query>, Fault> {
        let mut asked = Asked::default();
        for (name, value) in parameters {
            let place = match *name {
                "orderBy" => &mut asked.order_by,
                "startAt" => &mut asked.start_at,
                "endAt" => &mut asked.end_at,
                "equalTo" => &mut asked.equal_to,
                "limitToFirst" => &mut asked.limit_to_first,
                _ => &mut asked.limit_to_last,
            };
            *place = Some((*value).to_owned());
        }
        asked.query()
    }

    fn found(node: &Value, parameters: &[(&str, &str)]) -> Vec<String> {
        let node = Node::plant(node.clone(), None, 0, Now { unix_ms: 0 }).unwrap();
        let window = asked(parameters).unwrap().unwrap().window(node.as_ref());
        window.iter().map(|key| key.as_str().to_owned()).collect()
    }

    #[test]
    fn children_are_found_by_type_before_value() {
        let node = json!({"none": {"x": 1}, "no": {"p": false}, "yes": {"p": true}, "one": {"p": 1}, "two": {"p": 2.5},
            "text": {"p": "a"}, "deep": {"p": {"q": 1}}});
        let by = ("orderBy", "\"p\"");
        assert_eq!(found(&node, &[by, ("equalTo", "false")]), ["no"]);
        assert_eq!(found(&node, &[by, ("equalTo", "null")]), ["none"]);
        assert_eq!(found(&node, &[by, ("startAt", "1"), ("endAt", "2.5")]), ["one", "two"]);
        assert_eq!(found(&node, &[by, ("startAt", "\"a\"")]), ["deep", "text"]);
        assert_eq!(found(&node, &[by, ("endAt", "true")]), ["no", "none", "yes"]);
        assert_eq!(found(&node, &[by, ("limitToFirst", "2")]), ["no", "none"]);
        assert_eq!(found(&node, &[by, ("limitToLast", "1")]), ["deep"]);
        assert_eq!(found(&node, &[("orderBy", "\"p/q\""), ("equalTo", "1")]), ["deep"]);
    }

    #[test]
    fn keys_are_paged_in_their_order() {
        let node = json!({"10": 1, "9": 1, "b": 1, "a": 1});
        let by = ("orderBy", "\"$key\"");
        assert_eq!(found(&node, &[by, ("limitToFirst", "3")]), ["9", "10", "a"]);
        assert_eq!(found(&node, &[by, ("startAt", "\"10\""), ("limitToFirst", "2")]), ["10", "a"]);
        assert_eq!(found(&node, &[by, ("equalTo", "\"a\"")]), ["a"]);
        assert_eq!(
            found(&json!({"a": 3, "b": 1}), &[("orderBy", "\"$value\""), ("limitToFirst", "1")]),
            ["b"]
        );
    }

    #[test]
    fn children_of_one_value_are_paged_by_their_keys() {
        let node = json!({"a": {"p": false}, "b": {"p": false}, "c": {"p": false}, "d": {"p": true}, "9": {"p": false}});
        let (by, end) = (("orderBy", "\"p\""), ("endAt", "false"));
        assert_eq!(found(&node, &[by, ("startAt", "false,\"b\""), end]), ["b", "c"]);
        let first = [by, ("startAt", "false,\"9\""), end, ("limitToFirst", "2")];
        assert_eq!(found(&node, &first), ["9", "a"]);
        assert_eq!(found(&node, &[by, ("startAt", "false"), ("endAt", "false,\"a\"")]), ["9", "a"]);
        assert_eq!(found(&node, &[by, ("startAt", "false , \"c\"")]), ["c", "d"]);
    }

    #[test]
    fn a_query_that_does_not_hold_together_is_refused() {
        let by = ("orderBy", "\"p\"");
        let bad: [&[(&str, &str)]; 12] = [
            &[("equalTo", "false")],
            &[("orderBy", "p")],
            &[("orderBy", "\"$priority\"")],
            &[by, ("equalTo", "false"), ("startAt", "false")],
            &[by, ("limitToFirst", "1"), ("limitToLast", "1")],
            &[by, ("limitToFirst", "0")],
            &[by, ("startAt", "{}")],
            &[("orderBy", "\"$key\""), ("startAt", "7")],
            &[("orderBy", "\"$key\""), ("startAt", "\"a\",\"b\"")],
            &[by, ("startAt", "false,b")],
            &[by, ("startAt", "false \"b\"")],
            &[by, ("equalTo", "false,\"b\"")],
        ];
        for parameters in bad {
            assert!(asked(parameters).is_err(), "{parameters:?}");
        }
        assert_eq!(asked(&[]), Ok(None));
    }
}
