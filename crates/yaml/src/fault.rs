//! Why a value of the file could not be read: the node to blame, what is wrong, and what would be right.
//!
//! The messages of serde and of the types' own checks become one form here. A check that looks at several keys names the
//! one it means, in the habit of this project: at its beginning, in backticks, or by quoting its value; so the place that
//! is shown is that key's, and not the whole section's.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de;

use crate::problem::Mark;
use crate::tree::{Entry, Node, Value};

/// Why a value could not be read.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at: Option<Box<At>>,
    pub(crate) what: What,
}

/// The node that is to blame.
#[derive(Debug)]
pub(crate) struct At {
    /// Its id, and those of what is in it.
    pub(crate) blamed: RangeInclusive<usize>,
    /// The node whose reading failed, which may be one around it.
    pub(crate) raised: usize,
    pub(crate) mark: Mark,
    pub(crate) path: String,
}

/// What is wrong.
#[derive(Debug)]
pub(crate) enum What {
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
    pub(crate) fn new(what: What) -> Self {
        Self { at: None, what }
    }

    pub(crate) fn wanted(node: &Node, wanted: &str) -> Self {
        Self::new(What::Wanted { given: describe(node), wanted: wanted.to_owned() }).within(node)
    }

    /// Names the place, unless an inner value has been named already.
    pub(crate) fn within(mut self, node: &Node) -> Self {
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

    pub(crate) fn of_key(mut self, entry: &Entry) -> Self {
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
    pub(crate) fn words(&self) -> (String, Option<String>) {
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
#[must_use]
pub fn unknown<'k>(noun: &str, given: &str, known: impl Iterator<Item = &'k str> + Clone) -> (String, Option<String>) {
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
pub(crate) fn wanted_words(name: &str) -> String {
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

/// From this likeness on one name is taken for a slip of another: half of its letters are right.
const ALIKE: f64 = 0.5;
/// A name where a name with a value is wanted.
const ALONE: &str = "a name alone";
/// How the part of a message begins that says what would be right.
const RIGHT: [&str; 8] = ["write ", "it must ", "name ", "drop ", "give ", "use ", "keep ", "at least "];
