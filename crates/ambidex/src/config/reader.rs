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
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

use super::problem::{Mark, Problem};
use super::tree::{Entry, Kind, Node, Value};

/// Reads a `T` from the tree.
///
/// # Errors
/// Every mistake found, in the order of the file.
pub(crate) fn read<T: DeserializeOwned>(root: &Node) -> Result<T, Vec<Problem>> {
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

/// Why a value could not be read.
#[derive(Debug)]
pub(crate) struct Fault {
    at: Option<Box<At>>,
    what: What,
}

/// The node that is to blame.
#[derive(Debug)]
struct At {
    /// Its id, and those of what is in it.
    blamed: RangeInclusive<usize>,
    /// The node whose reading failed, which may be one around it.
    raised: usize,
    mark: Mark,
    path: String,
}

#[derive(Debug)]
enum What {
    /// A check said so.
    Said(String),
    /// Another kind or value was wanted.
    Wanted { given: String, wanted: String },
    /// A name that is none of a closed set.
    Unknown { noun: &'static str, given: String, known: Vec<String> },
    /// A key that must be there is not.
    Missing { key: String },
}

impl Fault {
    fn new(what: What) -> Self {
        Self { at: None, what }
    }

    fn wanted(node: &Node, wanted: &str) -> Self {
        Self::new(What::Wanted { given: describe(node), wanted: wanted.to_owned() }).within(node)
    }

    /// Names the place, unless an inner value has been named already.
    fn within(mut self, node: &Node) -> Self {
        if self.at.is_none() {
            self.what.show(node);
            let named = match &self.what {
                What::Said(message) => named(node, message),
                What::Wanted { .. } | What::Unknown { .. } | What::Missing { .. } => None,
            };
            let place = named.unwrap_or(node);
            self.at = Some(Box::new(At {
                blamed: place.id..=place.last,
                raised: node.id,
                mark: place.mark,
                path: place.path.clone(),
            }));
        }
        self
    }

    fn of_key(mut self, entry: &Entry) -> Self {
        let node = &entry.node;
        self.at.get_or_insert_with(|| {
            Box::new(At { blamed: node.id..=node.last, raised: node.id, mark: entry.mark, path: node.path.clone() })
        });
        self
    }
}

/// The value that a check's message is about: the key it begins with (`header_timeout: 0s is ..`), a key it has in
/// backticks (`` `slew.down: 0.1` ``), the last value that it quotes; and within a key, what it quotes.
fn named<'n>(node: &'n Node, message: &str) -> Option<&'n Node> {
    let quoted = || message.split('`').skip(1).step_by(2);
    let inside = |node: &'n Node| quoted().find_map(|text| descend(node, text).or_else(|| last_saying(node, text)));
    let first = message.split([':', ' ']).next().unwrap_or_default();
    let key = std::iter::once(first).chain(quoted()).find_map(|name| {
        let name = name.split(':').next().unwrap_or(name).trim();
        // A check may name itself as well: `tracing.otlp` in what stands under `tracing`.
        descend(node, name).or_else(|| descend(node, name.split_once('.')?.1))
    });
    match key {
        Some(key) => inside(key).or(Some(key)),
        None => inside(node),
    }
}

fn descend<'n>(node: &'n Node, path: &str) -> Option<&'n Node> {
    path.split('.').try_fold(node, |node, key| Some(&node.entry(key)?.node))
}

fn last_saying<'n>(node: &'n Node, wanted: &str) -> Option<&'n Node> {
    match &node.value {
        Value::Scalar { text, .. } => (text == wanted).then_some(node),
        Value::List(items) => items.iter().rev().find_map(|item| last_saying(item, wanted)),
        Value::Map(entries) => entries.iter().rev().find_map(|entry| last_saying(&entry.node, wanted)),
        Value::Null => None,
    }
}

impl What {
    /// What a check said names the offending value; some parsers forget to.
    fn show(&mut self, node: &Node) {
        let Value::Scalar { text, .. } = &node.value else { return };
        match self {
            Self::Wanted { given, .. } if given == ALONE => *given = format!("`{text}` alone"),
            Self::Wanted { .. } | Self::Unknown { .. } | Self::Missing { .. } => {}
            Self::Said(message) => Self::show_in(message, text),
        }
    }

    fn show_in(message: &mut String, text: &str) {
        if message.starts_with("invalid socket address") {
            *message = format!("`{text}` is no address: write an IP address and a port, such as `127.0.0.1:9901`");
        } else if !message.contains(text) {
            *message = format!("`{text}`: {message}");
        }
    }

    /// The message, and what would be right.
    fn words(&self) -> (String, Option<String>) {
        match self {
            // What would be right stands at the end of a good message, as the style asks.
            Self::Said(message) => {
                let right = |(at, mark): (usize, &str)| {
                    let right = &message[at + mark.len()..];
                    RIGHT
                        .iter()
                        .any(|word| right.starts_with(word))
                        .then(|| (message[..at].to_owned(), right.to_owned()))
                };
                let marks = message.match_indices(": ").chain(message.match_indices("; "));
                match marks.into_iter().find_map(right) {
                    Some((message, right)) => (message, Some(right)),
                    None => (message.clone(), None),
                }
            }
            Self::Wanted { given, wanted } => {
                (format!("{given} does not fit here"), Some(format!("expected {wanted}")))
            }
            Self::Unknown { noun, given, known } => unknown(noun, given, known.iter().map(String::as_str)),
            Self::Missing { key } => (format!("`{key}` is missing"), Some(format!("add `{key}:` here"))),
        }
    }
}

/// Words for a name that is none of the known ones.
pub(crate) fn unknown<'k>(
    noun: &str,
    given: &str,
    known: impl Iterator<Item = &'k str> + Clone,
) -> (String, Option<String>) {
    let near = known
        .clone()
        .map(|name| (strsim::normalized_damerau_levenshtein(name, &given.to_lowercase()), name))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        // A number is not a misspelt one of another.
        .filter(|(likeness, _)| *likeness >= ALIKE && given.contains(|c: char| c.is_alphabetic()));
    let message = format!("unknown {noun} `{given}`");
    let all: Vec<&str> = known.collect();
    let help = match (near, all.is_empty()) {
        (Some((_, near)), _) => format!("did you mean `{near}`?"),
        (None, false) => format!("known: {}", all.join(", ")),
        (None, true) => "there are none".to_owned(),
    };
    (message, Some(help))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what.words().0)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(What::Said(message.to_string()))
    }

    fn invalid_type(given: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::new(What::Wanted { given: given_words(given), wanted: wanted_words(&wanted.to_string()) })
    }

    fn invalid_value(given: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::invalid_type(given, wanted)
    }

    fn unknown_variant(given: &str, known: &'static [&'static str]) -> Self {
        let known = known.iter().map(|name| (*name).to_owned()).collect();
        Self::new(What::Unknown { noun: "value", given: given.to_owned(), known })
    }

    fn unknown_field(given: &str, known: &'static [&'static str]) -> Self {
        let known = known.iter().map(|name| (*name).to_owned()).collect();
        Self::new(What::Unknown { noun: "key", given: given.to_owned(), known })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(What::Missing { key: key.to_owned() })
    }
}

fn given_words(given: de::Unexpected<'_>) -> String {
    match given {
        de::Unexpected::Str(text) => format!("`{text}`"),
        de::Unexpected::Unsigned(number) => format!("`{number}`"),
        de::Unexpected::Signed(number) => format!("`{number}`"),
        de::Unexpected::Float(number) => format!("`{number}`"),
        de::Unexpected::Bool(truth) => format!("`{truth}`"),
        de::Unexpected::UnitVariant => ALONE.to_owned(),
        de::Unexpected::Seq => "a list".to_owned(),
        de::Unexpected::Map => "a map".to_owned(),
        de::Unexpected::Unit | de::Unexpected::Option => "nothing".to_owned(),
        de::Unexpected::Char(_)
        | de::Unexpected::Bytes(_)
        | de::Unexpected::NewtypeStruct
        | de::Unexpected::Enum
        | de::Unexpected::NewtypeVariant
        | de::Unexpected::TupleVariant
        | de::Unexpected::StructVariant
        | de::Unexpected::Other(_) => given.to_string(),
    }
}

/// serde's names of types, in the words of the configuration.
fn wanted_words(name: &str) -> String {
    match name {
        "a boolean" | "bool" => "`true` or `false`".to_owned(),
        "a string" => "a text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "newtype variant" => "a name with its value, as in `{NAME: VALUE}`".to_owned(),
        _ if name.starts_with("a nonzero ") => wanted_words(&name["a nonzero ".len()..]).replace(" 0", " 1"),
        _ if name.starts_with("struct ") || name == "a map" => "a map of keys and values".to_owned(),
        _ => name.to_owned(),
    }
}

fn describe(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Scalar { text, .. } => format!("`{text}`"),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
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
                let (message, help) = unknown("key", &entry.key, known.iter().copied());
                let mut notes = self.notes.borrow_mut();
                notes.problems.push(Problem::error(entry.mark, &entry.node.path, message, help));
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

/// From this likeness on one name is taken for a slip of another: half of its letters are right.
const ALIKE: f64 = 0.5;
/// A name where a name with a value is wanted.
const ALONE: &str = "a name alone";
/// How the part of a message begins that says what would be right.
const RIGHT: [&str; 8] = ["write ", "it must ", "name ", "drop ", "give ", "use ", "keep ", "at least "];
