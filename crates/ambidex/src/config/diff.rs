//! What two configurations do differently: values in use, not lines of text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ambidex_yaml::under;
use serde::Serialize;
use serde_json::Value;

/// One value that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Change {
    /// Which; items of lists by their name where they have one: `pools.api.workers[b].weight`.
    pub(crate) path: String,
    /// What it was; nothing when it is new.
    pub(crate) old: Option<Value>,
    /// What it is; nothing when it is gone.
    pub(crate) new: Option<Value>,
}

/// All values that differ, by path.
pub(crate) fn between(old: &Value, new: &Value) -> Vec<Change> {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    flatten(old, String::new(), &mut before);
    flatten(new, String::new(), &mut after);
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    let change = |path: &String| {
        let (old, new) = (before.get(path).cloned(), after.get(path).cloned());
        (old != new).then(|| Change { path: path.clone(), old, new })
    };
    paths.into_iter().filter_map(change).collect()
}

/// For people: `~` changed, `+` new, `-` gone.
pub(crate) fn text(changes: &[Change]) -> String {
    let mut out = String::new();
    for Change { path, old, new } in changes {
        let _ = match (old, new) {
            (Some(old), Some(new)) => writeln!(out, "~ {path}: {old} -> {new}"),
            (None, Some(new)) => writeln!(out, "+ {path}: {new}"),
            (Some(old), None) => writeln!(out, "- {path}: {old}"),
            (None, None) => Ok(()),
        };
    }
    out
}

fn flatten(value: &Value, path: String, out: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, value)| flatten(value, under(&path, key), out));
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, value) in items.iter().enumerate() {
                let name = name_of(value).unwrap_or_else(|| at.to_string());
                let mut named = format!("{path}[{name}]");
                // Two items of one name are told apart by their place.
                if out.keys().any(|taken| taken.starts_with(&named)) {
                    named = format!("{path}[{name} #{at}]");
                }
                flatten(value, named, out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            out.insert(path, value.clone());
        }
    }
}

/// What an item of a list is known by, so that a new first worker does not change all the others.
fn name_of(item: &Value) -> Option<String> {
    let by_key = || ["name", "url", "address"].iter().find_map(|key| item.get(key)?.as_str());
    item.as_str().or_else(by_key).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_item_put_before_others_is_one_change() {
        let old = json!({"workers": [{"url": "http://a", "weight": 1}]});
        let new = json!({"workers": [{"url": "http://b", "weight": 1}, {"url": "http://a", "weight": 2}]});
        let changes = text(&between(&old, &new));
        assert_eq!(
            changes,
            "~ workers[http://a].weight: 1 -> 2\n+ workers[http://b].url: \"http://b\"\n+ workers[http://b].weight: 1\n"
        );
    }

    #[test]
    fn equal_configurations_do_not_differ() {
        let value = json!({"pools": {"api": {"workers": ["http://a", "http://a"]}}});
        assert_eq!(between(&value, &value), []);
    }
}
