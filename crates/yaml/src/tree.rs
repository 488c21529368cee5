//! A file as a tree of nodes that know where they stand.
//!
//! For: the [reader](crate::reader) that turns it into types, and everything that points at a line afterwards (cross
//! checks, `config show --effective`). A YAML library's own typed reading stops at the first mistake and forgets where
//! values stood; a tree lets one run report every mistake and lets a check made long after reading still name its line.
//!
//! ```text
//! bytes -> UTF-8 -> YAML events -> Node { line, column, path, value } -> reader -> File
//! ```

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use crate::problem::{Mark, Problem};

/// One value of the file.
#[derive(Clone, Debug)]
pub struct Node {
    /// Number in reading order, from 0; a node's descendants are `id + 1 ..= last`.
    pub id: usize,
    /// The largest id inside this node.
    pub last: usize,
    /// Where it stands.
    pub mark: Mark,
    /// How people name it: `pools.api.workers[1]`; empty for the whole file.
    pub path: String,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing: `null`, `~` or no text.
    Null,
    /// One value, as written.
    Scalar {
        /// Its text, without quotes.
        text: String,
        /// What YAML takes it for.
        kind: Kind,
    },
    /// `[a, b]`
    List(Vec<Node>),
    /// `{a: b}`
    Map(Vec<Entry>),
}

/// What YAML takes a scalar for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, quoted or not.
    Text,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number,
}

/// One key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub mark: Mark,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// Reads a file's text.
    ///
    /// # Errors
    /// What keeps it from being YAML, with its place.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let options = serde_saphyr::options! {
            duplicate_keys: DuplicateKeyPolicy::Error,
            strict_booleans: true,
            with_snippet: false,
        };
        let raw: Spanned<Raw> =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| not_yaml(text, &error))?;
        let mut next = 0;
        Ok(build(text, raw, String::new(), &mut next))
    }

    /// The entry of `key`, when this is a map that has it.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Value::Null | Value::Scalar { .. } | Value::List(_) => None,
        }
    }

    /// The items, when this is a list.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Null | Value::Scalar { .. } | Value::Map(_) => &[],
        }
    }

    /// The entries, when this is a map.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Null | Value::Scalar { .. } | Value::List(_) => &[],
        }
    }

    /// All nodes by path, this one included.
    #[must_use]
    pub fn by_path(&self) -> BTreeMap<&str, &Self> {
        let mut found = BTreeMap::new();
        let mut left = vec![self];
        while let Some(node) = left.pop() {
            found.insert(node.path.as_str(), node);
            left.extend(node.items());
            left.extend(node.entries().iter().map(|entry| &entry.node));
        }
        found
    }
}

/// The path of `key` under `parent`.
#[must_use]
pub fn under(parent: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let key = if plain { key.to_owned() } else { format!("{key:?}") };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

/// The path of item `at` under `parent`.
#[must_use]
pub fn item(parent: &str, at: usize) -> String {
    format!("{parent}[{at}]")
}

/// What the YAML library hands over, before places are worked out.
enum Raw {
    Null,
    Text(String),
    Bool(bool),
    Number,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<RawKey>, Spanned<Raw>)>),
}

/// A key: its text, whatever YAML takes it for.
struct RawKey(String);

impl<'de> Deserialize<'de> for RawKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        let mut keys = HashSet::new();
        while let Some(entry) = entries.next_entry::<Spanned<RawKey>, Spanned<Raw>>()? {
            // Keys that YAML tells apart (`1` and `"1"`) are one key to us.
            if !keys.insert(entry.0.value.0.clone()) {
                return Err(A::Error::custom(format!("the key `{}` stands here a second time", entry.0.value.0)));
            }
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

fn build(source: &str, raw: Spanned<Raw>, path: String, next: &mut usize) -> Node {
    let id = *next;
    *next += 1;
    let mark = Mark::of(raw.referenced);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(text) => Value::Scalar { text, kind: Kind::Text },
        Raw::Bool(truth) => Value::Scalar { text: truth.to_string(), kind: Kind::Bool(truth) },
        Raw::Number => Value::Scalar { text: as_written(source, raw.defined), kind: Kind::Number },
        Raw::List(items) => Value::List(
            items.into_iter().enumerate().map(|(at, raw)| build(source, raw, item(&path, at), next)).collect(),
        ),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, raw)| {
                    let mut node = build(source, raw, under(&path, &key.value.0), next);
                    let mark = Mark::of(key.referenced);
                    // Nothing after the colon has no place of its own.
                    if matches!(node.value, Value::Null) {
                        node.mark = mark;
                    }
                    Entry { mark, key: key.value.0, node }
                })
                .collect(),
        ),
    };
    Node { id, last: *next - 1, mark, path, value }
}

/// A number's own text: YAML's reading of `1.10` would lose what a text such as a version needs.
fn as_written(source: &str, place: Location) -> String {
    let span = place.span();
    let from = span.byte_offset().and_then(|offset| usize::try_from(offset).ok());
    let length = span.byte_len().and_then(|length| usize::try_from(length).ok());
    from.zip(length).and_then(|(from, length)| source.get(from..from + length)).unwrap_or_default().trim().to_owned()
}

fn not_yaml(text: &str, error: &serde_saphyr::Error) -> Problem {
    let mark = error.location().map_or_else(Mark::start, Mark::of);
    let line = usize::try_from(mark.line).ok().and_then(|line| text.lines().nth(line.saturating_sub(1)));
    let indented_by_tab = line.is_some_and(|line| line.trim_start_matches(' ').starts_with('\t'));
    use serde_saphyr::Error::{DuplicateMappingKey, MultipleDocuments};
    let error = error.without_snippet();
    let (message, help) = if let DuplicateMappingKey { key: Some(key), .. } = error {
        (format!("the key `{key}` stands here a second time"), Some("keep one of them"))
    } else if matches!(error, MultipleDocuments { .. }) {
        let help = "a file is one document: remove the `---` and what follows";
        ("a second document begins here".to_owned(), Some(help))
    } else {
        (plain_message(error), indented_by_tab.then_some("YAML is indented by spaces: replace the tab"))
    };
    let help = help.map(str::to_owned);
    Problem::error(mark, "", message, help)
}

/// The library's message without the place, which we print ourselves.
fn plain_message(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, place)) if place.chars().next().is_some_and(|c| c.is_ascii_digit()) => message.to_owned(),
        _ => text,
    }
}
