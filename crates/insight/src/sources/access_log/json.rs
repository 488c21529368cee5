//! Lines of JSON: only what stands for something is taken out of them.
//!
//! Keys within objects (Caddy's `request.method`, a cloud's `httpRequest.status`) are names with dots; of a list the first counts.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::entry::{Entry, Value};
use super::field::Target;
use super::line::Wrong;
use super::names::Names;
use crate::history::Map;

/// Which keys stand for what.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    keys: Map<Box<str>, Key>,
}

#[derive(Clone, Debug, Default)]
struct Key {
    targets: Vec<Target>,
    inside: Keys,
}

impl Keys {
    pub(super) fn new<'n>(names: impl Iterator<Item = (&'n str, Target)>) -> Self {
        let mut keys = Self::default();
        for (name, target) in names {
            keys.add(name, target);
            keys.add_inside(name, target);
        }
        keys
    }

    pub(super) fn of(names: &Names) -> Self {
        Self::new(names.all())
    }

    /// Takes a line apart.
    pub(super) fn read<'a>(&self, line: &'a str, entry: &mut Entry<'a>) -> Result<(), Wrong> {
        let mut json = serde_json::Deserializer::from_str(line);
        let read = Inside { keys: self, sink: entry }.deserialize(&mut json).and_then(|()| json.end());
        read.map_err(|error| Wrong::Json { column: u32::try_from(error.column()).unwrap_or(u32::MAX) })
    }

    /// All keys of a line, dotted, with what stands there: to find out what a log has.
    pub(super) fn all(line: &str) -> Option<BTreeMap<String, serde_json::Value>> {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
        let mut all = BTreeMap::new();
        for (key, value) in object {
            if let serde_json::Value::Object(inside) = &value {
                all.extend(inside.iter().map(|(inner, value)| (format!("{key}.{inner}"), value.clone())));
            }
            all.insert(key, value);
        }
        Some(all)
    }

    fn add(&mut self, name: &str, target: Target) {
        self.keys.entry(name.into()).or_default().targets.push(target);
    }

    fn add_inside(&mut self, name: &str, target: Target) {
        if let Some((outer, inner)) = name.split_once('.') {
            let inside = &mut self.keys.entry(outer.into()).or_default().inside;
            inside.add(inner, target);
            inside.add_inside(inner, target);
        }
    }
}

/// Reads an object.
struct Inside<'k, 'e, 'a> {
    keys: &'k Keys,
    sink: &'e mut Entry<'a>,
}

impl<'a> DeserializeSeed<'a> for Inside<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Inside<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key_seed(Lookup(self.keys))? {
            match key {
                Some(key) => map.next_value_seed(At { key, sink: &mut *self.sink })?,
                None => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }
}

/// Finds a key without a copy of it.
struct Lookup<'k>(&'k Keys);

impl<'a, 'k> DeserializeSeed<'a> for Lookup<'k> {
    type Value = Option<&'k Key>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'k> Visitor<'_> for Lookup<'k> {
    type Value = Option<&'k Key>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.keys.get(key))
    }
}

/// Reads what stands at a key.
struct At<'k, 'e, 'a> {
    key: &'k Key,
    sink: &'e mut Entry<'a>,
}

impl<'a> At<'_, '_, 'a> {
    fn take(self, value: Value<'a>) {
        if let Some((last, others)) = self.key.targets.split_last() {
            for target in others {
                self.sink.set(*target, value.clone());
            }
            self.sink.set(*last, value);
        }
    }
}

impl<'a> DeserializeSeed<'a> for At<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for At<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<(), E> {
        self.take(Value::Text(text.into()));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.take(Value::Text(text.to_owned().into()));
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.take(Value::Number(number));
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.visit_f64(number as f64)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<M: MapAccess<'a>>(self, map: M) -> Result<(), M::Error> {
        Inside { keys: &self.key.inside, sink: self.sink }.visit_map(map)
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut list: S) -> Result<(), S::Error> {
        if list.next_element_seed(self)?.is_some() {
            while list.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::access_log::field::Field;

    fn reads(line: &str, expected: &[(Field, &str)], numbers: &[(Field, f64)]) {
        let mut entry = Entry::new();
        Keys::of(&Names::default()).read(line, &mut entry).expect("a line of JSON");
        for (field, text) in expected {
            assert_eq!(entry.text(*field), Some(*text), "{field:?} of {line}");
        }
        for (field, number) in numbers {
            assert_eq!(entry.number(*field), Some(*number), "{field:?} of {line}");
        }
    }

    #[test]
    fn keys_within_objects_and_lists_are_found() {
        let line = r#"{"level":"info","ts":1795342530.123,"request":{"remote_ip":"10.0.0.9","method":"GET","host":"a.example",
            "uri":"/a?b=c","headers":{"User-Agent":["curl/8.1","x"],"Accept":["*/*"]}},"duration":0.0021,"size":12,"status":200,
            "resp_headers":{"Server":["Caddy"]},"upstream":"10.0.1.1:80"}"#;
        reads(
            line,
            &[
                (Field::Method, "GET"),
                (Field::Path, "/a?b=c"),
                (Field::Host, "a.example"),
                (Field::Client, "10.0.0.9"),
                (Field::Agent, "curl/8.1"),
                (Field::Node, "10.0.1.1:80"),
            ],
            &[(Field::Time, 1_795_342_530.123), (Field::Took, 0.0021), (Field::Status, 200.0)],
        );
    }

    #[test]
    fn escapes_and_numbers_as_text_are_read() {
        let line = r#"{"time_iso8601":"2026-11-22T10:15:30+00:00","request":"GET \/a\"b HTTP\/1.1","status":"200","upstream_addr":"-"}"#;
        reads(line, &[(Field::Request, "GET /a\"b HTTP/1.1")], &[(Field::Status, 200.0)]);
        let mut entry = Entry::new();
        Keys::of(&Names::default()).read(line, &mut entry).expect("a line of JSON");
        assert_eq!(entry.get(Field::Node), None);
    }

    #[test]
    fn what_is_no_object_is_no_line() {
        let keys = Keys::of(&Names::default());
        for line in ["", "[]", "{", "{\"a\":1} x", "GET /", "{\"status\":}"] {
            assert!(matches!(keys.read(line, &mut Entry::new()), Err(Wrong::Json { .. })), "{line}");
        }
    }
}
