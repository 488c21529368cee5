//! From the tree of a file to a type, reporting every mistake and not only the first.
//!
//! A serde deserializer over [`Node`]s. It knows the place of each value, so every error has one, whoever raised it; it
//! knows the keys of each struct beforehand, so an unknown key costs a line and not the whole reading.
//!
//! ```text
//! read(tree) ── mistake at node N? ── note it, leave N out, read again ── .. ── value, or the notes
//! ```
//! A value that was left out may make what contains it wrong as well (a list that is empty now); such an echo is not
//! reported.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

use crate::fault::{Fault, What, unknown, wanted_words};
use crate::problem::{Findings, Problem};
use crate::tree::{Entry, Kind, Node, Value};

/// Reads a `T` from the tree.
///
/// # Errors
/// Every mistake found, in the order of the file.
pub fn read<T: DeserializeOwned>(root: &Node) -> Result<T, Vec<Problem>> {
    let notes = RefCell::new(Notes::default());
    let mut value = None;
    // Each round leaves out one node more, so rounds are bounded by the mistakes, which are bounded here.
    while notes.borrow().problems.len() < MOST_PROBLEMS {
        match T::deserialize(Reader { node: root, notes: &notes }) {
            Ok(read) => {
                value = Some(read);
                break;
            }
            Err(fault) => {
                if !notes.borrow_mut().take(root, fault) {
                    break;
                }
            }
        }
    }
    let mut problems = notes.into_inner().problems;
    problems.sort_by_key(|problem| (problem.mark.line, problem.mark.column));
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        Some(_) | None => Err(problems),
    }
}

/// Reads any type from text; `name` is what it is called in messages.
///
/// # Errors
/// What is wrong with it.
pub fn read_as<T: DeserializeOwned>(name: &str, text: String) -> Result<T, Findings> {
    let read = match Node::parse(&text) {
        Ok(tree) => self::read(&tree),
        Err(problem) => Err(vec![problem]),
    };
    read.map_err(|problems| Findings { file: name.to_owned(), text, problems })
}

/// What was found so far.
#[derive(Default)]
struct Notes {
    problems: Vec<Problem>,
    /// Nodes left out, by id.
    left_out: BTreeSet<usize>,
}

impl Notes {
    /// Takes one fault; says whether another round can find more.
    fn take(&mut self, root: &Node, fault: Fault) -> bool {
        let Some(at) = fault.at else {
            let (message, help) = fault.what.words();
            self.problems.push(Problem::error(root.mark, "", message, help));
            return false;
        };
        let echo = self.left_out.range(at.blamed.clone()).next().is_some();
        // What cannot be without a value that was left out goes as well, and is nothing new.
        let out = if echo { at.raised } else { *at.blamed.start() };
        if !echo {
            let (message, help) = fault.what.words();
            self.problems.push(Problem::error(at.mark, &at.path, message, help));
        }
        self.left_out.insert(out) && out != root.id
    }
}

/// One node, being read.
#[derive(Clone, Copy)]
struct Reader<'de> {
    node: &'de Node,
    notes: &'de RefCell<Notes>,
}

impl<'de> Reader<'de> {
    fn left_out(self, node: &Node) -> bool {
        self.notes.borrow().left_out.contains(&node.id)
    }

    /// Notes the keys that the type does not have, and leaves them out.
    fn sieve(self, known: &'static [&'static str]) {
        for entry in self.node.entries() {
            if !known.contains(&entry.key.as_str()) && !self.left_out(&entry.node) {
                let mut notes = self.notes.borrow_mut();
                if notes.problems.len() < MOST_PROBLEMS {
                    let (message, help) = unknown("key", &entry.key, known.iter().copied());
                    notes.problems.push(Problem::error(entry.mark, &entry.node.path, message, help));
                }
                notes.left_out.insert(entry.node.id);
            }
        }
    }

    fn number<V: Visitor<'de>>(self, visitor: V, wanted: &str) -> Result<V::Value, Fault> {
        let Value::Scalar { text, kind: Kind::Number | Kind::Text } = &self.node.value else {
            return Err(Fault::wanted(self.node, wanted));
        };
        let bare = text.replace('_', "");
        let read = if let Ok(number) = bare.parse::<u64>() {
            visitor.visit_u64(number)
        } else if let Ok(number) = bare.parse::<i64>() {
            visitor.visit_i64(number)
        } else if let Some(number) = bare.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
            visitor.visit_u64(number)
        } else if let Ok(number) = bare.parse::<f64>() {
            visitor.visit_f64(number)
        } else {
            return Err(Fault::wanted(self.node, wanted));
        };
        read.map_err(|fault: Fault| fault.within(self.node))
    }

    fn pairs(self) -> Result<Pairs<'de>, Fault> {
        match &self.node.value {
            Value::Map(entries) => Ok(Pairs { reader: self, entries: entries.iter(), value: None }),
            // `admin:` with nothing after it is an empty map.
            Value::Null => Ok(Pairs { reader: self, entries: [].iter(), value: None }),
            Value::Scalar { .. } | Value::List(_) => Err(Fault::wanted(self.node, "a map of keys and values")),
        }
    }
}

macro_rules! numbers {
    ($($method:ident $name:literal),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.number(visitor, &wanted_words($name))
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    numbers!(
        deserialize_i8 "i8", deserialize_i16 "i16", deserialize_i32 "i32", deserialize_i64 "i64",
        deserialize_u8 "u8", deserialize_u16 "u16", deserialize_u32 "u32", deserialize_u64 "u64",
        deserialize_f32 "f32", deserialize_f64 "f64"
    );

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_unit().map_err(|fault: Fault| fault.within(self.node)),
            Value::Scalar { kind: Kind::Bool(truth), .. } => {
                visitor.visit_bool(*truth).map_err(|fault: Fault| fault.within(self.node))
            }
            Value::Scalar { kind: Kind::Number, .. } => self.number(visitor, "a number"),
            Value::Scalar { kind: Kind::Text, .. } => self.deserialize_str(visitor),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Scalar { kind: Kind::Bool(truth), .. } => visitor.visit_bool(*truth),
            Value::Null | Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                Err(Fault::wanted(self.node, "`true` or `false`"))
            }
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Scalar { text, .. } => {
                visitor.visit_borrowed_str(text).map_err(|fault: Fault| fault.within(self.node))
            }
            Value::Null | Value::List(_) | Value::Map(_) => Err(Fault::wanted(self.node, "a text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_none(),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                visitor.visit_some(self).map_err(|fault: Fault| fault.within(self.node))
            }
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items { reader: self, items: items.iter() }),
            Value::Null | Value::Scalar { .. } | Value::Map(_) => Err(Fault::wanted(self.node, "a list")),
        }
        .map_err(|fault| fault.within(self.node))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_map(self.pairs()?).map_err(|fault| fault.within(self.node))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.sieve(fields);
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let one_of = || format!("one of {}", variants.join(", "));
        match &self.node.value {
            Value::Scalar { text, .. } => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Map(entries) if entries.len() == 1 => {
                visitor.visit_enum(de::value::MapAccessDeserializer::new(self.pairs()?))
            }
            Value::Null | Value::List(_) | Value::Map(_) => Err(Fault::wanted(self.node, &one_of())),
        }
        .map_err(|fault| fault.within(self.node))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => Err(Fault::wanted(self.node, "nothing")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 char bytes byte_buf unit_struct tuple tuple_struct identifier }
}

/// The items of a list, without those left out.
struct Items<'de> {
    reader: Reader<'de>,
    items: std::slice::Iter<'de, Node>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let reader = self.reader;
        match self.items.find(|item| !reader.left_out(item)) {
            Some(item) => {
                seed.deserialize(Reader { node: item, ..reader }).map(Some).map_err(|fault| fault.within(item))
            }
            None => Ok(None),
        }
    }
}

/// The entries of a map, without those left out.
struct Pairs<'de> {
    reader: Reader<'de>,
    entries: std::slice::Iter<'de, Entry>,
    value: Option<&'de Entry>,
}

impl<'de> de::MapAccess<'de> for Pairs<'de> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let reader = self.reader;
        self.value = self.entries.find(|entry| !reader.left_out(&entry.node));
        match self.value {
            Some(entry) => {
                let key: de::value::StrDeserializer<'_, Fault> = entry.key.as_str().into_deserializer();
                seed.deserialize(key).map(Some).map_err(|fault| fault.of_key(entry))
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let entry = self.value.take().ok_or_else(|| Fault::new(What::Said("a value without its key".to_owned())))?;
        let read = seed.deserialize(Reader { node: &entry.node, ..self.reader });
        read.map_err(|fault| fault.within(&entry.node))
    }
}

/// More mistakes than this are not a configuration with mistakes but something else.
const MOST_PROBLEMS: usize = 50;
