//! Every value in use, and where each came from: `ambidex config show --effective`.
//!
//! A value that stands in the file has its line; one that was filled in has the default's source. A short form
//! (`weights: capacity`) gives one of its long form's values; the rest are defaults.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ambidex_yaml::{Node, Value as Written, item, under};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema::{self, Key, SECTIONS};
use super::{Config, Form};
use crate::env;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub(crate) enum Origin {
    /// It stands in the file.
    File {
        /// The file's name.
        file: String,
        /// From 1.
        line: u64,
    },
    /// It was given on the command line.
    CommandLine,
    /// It was not given; the environment says it.
    Environment {
        /// The variable.
        variable: String,
        /// What it says.
        says: String,
    },
    /// It was not given.
    Default {
        /// Why it is the default.
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::CommandLine => f.write_str("command line"),
            Self::Environment { variable, says } => write!(f, "environment: {variable}={says}"),
            Self::Default { source: Some(source) } => write!(f, "default; source: {source}"),
            Self::Default { source: None } => f.write_str("default"),
        }
    }
}

/// One value in use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Leaf {
    /// Which: `pools.api.workers[1].limit`.
    pub(crate) path: String,
    /// What it is.
    pub(crate) value: Value,
    /// Where it came from.
    #[serde(flatten)]
    pub(crate) origin: Origin,
}

/// All values in use, as nested data and one by one.
#[derive(Debug)]
pub(crate) struct Effective {
    /// The configuration with everything filled in.
    pub(crate) value: Value,
    /// Its leaves, by path.
    pub(crate) leaves: BTreeMap<String, Leaf>,
}

impl Effective {
    /// The values of `config`.
    pub(crate) fn of<F: Form>(config: &Config<F>) -> Self {
        let value = serde_json::to_value(&config.file).expect("configuration types are plain data with text keys");
        let keys = schema::keys::<F>();
        let places = config.tree.by_path();
        let (file, from_command_line) = (&config.findings.file, config.from_command_line);
        let origins = Origins { file, from_command_line, keys: &keys, places: &places };
        let mut leaves = BTreeMap::new();
        gather(&value, String::new(), &mut |path, value| {
            let origin = origins.of(&path, value);
            leaves.insert(path.clone(), Leaf { path, value: value.clone(), origin });
        });
        Self { value, leaves }
    }

    /// The values of a running gateway, from what its API says of them.
    pub(crate) fn told(said: &Value) -> Option<Self> {
        let leaves: Vec<Leaf> = serde_json::from_value(said.get("origins")?.clone()).ok()?;
        let leaves = leaves.into_iter().map(|leaf| (leaf.path.clone(), leaf)).collect();
        Some(Self { value: said.get("values")?.clone(), leaves })
    }

    /// As YAML, each value with its origin behind it where `origins` says so.
    pub(crate) fn yaml(&self, origins: bool) -> String {
        let mut lines = Vec::new();
        let top = self.value.as_object().into_iter().flatten();
        let mut sections: Vec<(&String, &Value)> = top.collect();
        let order = |name: &str| SECTIONS.iter().position(|section| *section == name).unwrap_or(SECTIONS.len());
        sections.sort_by_key(|(name, _)| order(name));
        for (name, value) in sections {
            self.write(value, &format!("{}:", plain(name)), 0, under("", name), &mut lines);
        }
        let width = lines.iter().map(|(text, _): &(String, _)| text.chars().count()).max().unwrap_or(0).min(56);
        let mut out = String::new();
        for (text, origin) in lines {
            let _ = match origin {
                Some(origin) if origins => writeln!(out, "{text:width$}  # {origin}"),
                Some(_) | None => writeln!(out, "{text}"),
            };
        }
        out
    }

    /// Writes `head` (`key:` or `-`) and the value behind or below it.
    fn write(&self, value: &Value, head: &str, indent: usize, path: String, lines: &mut Vec<(String, Option<String>)>) {
        let margin = " ".repeat(indent);
        match value {
            Value::Object(map) if !map.is_empty() => {
                let list = head.ends_with('-');
                if !list {
                    lines.push((format!("{margin}{head}"), None));
                }
                for (at, (key, value)) in map.iter().enumerate() {
                    let lead = if list && at == 0 { head } else { "" };
                    let key_head = format!("{lead}{}{}:", if lead.is_empty() { "" } else { " " }, plain(key));
                    let deeper = if lead.is_empty() { indent + 2 } else { indent };
                    self.write(value, &key_head, deeper, under(&path, key), lines);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                lines.push((format!("{margin}{head}"), None));
                // The dash of a map's first entry stands for two columns of its key.
                let inner = indent + 2 * head.matches("- ").count() + 2;
                for (at, value) in items.iter().enumerate() {
                    self.write(value, "-", inner, item(&path, at), lines);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                let origin = self.leaves.get(&path).map(|leaf| leaf.origin.to_string());
                lines.push((format!("{margin}{head} {}", scalar(value)), origin));
            }
        }
    }
}

/// Where the values of one configuration came from.
struct Origins<'c> {
    file: &'c str,
    from_command_line: bool,
    keys: &'c [Key],
    places: &'c BTreeMap<&'c str, &'c Node>,
}

impl Origins<'_> {
    fn of(&self, path: &str, value: &Value) -> Origin {
        match self.places.get(path) {
            Some(node) => self.written(node),
            None => match self.short_form(path, value) {
                Some(node) => self.written(node),
                None if path == "journal.path" && env::data_variable().is_some() => {
                    let says = env::data_variable().unwrap_or_default();
                    Origin::Environment { variable: "AMBIDEX_DATA".to_owned(), says }
                }
                None => {
                    let doc = schema::doc_at(self.keys, path);
                    Origin::Default { source: doc.and_then(|doc| doc.source) }
                }
            },
        }
    }

    fn written(&self, node: &Node) -> Origin {
        if self.from_command_line {
            Origin::CommandLine
        } else {
            Origin::File { file: self.file.to_owned(), line: node.mark.line }
        }
    }

    /// The scalar that stands where the type has a map, and says this very value.
    fn short_form(&self, path: &str, value: &Value) -> Option<&Node> {
        let mut outer = path;
        while let Some(end) = outer.rfind(['.', '[']) {
            outer = &outer[..end];
            let Some(node) = self.places.get(outer) else { continue };
            return match &node.value {
                Written::Scalar { text, .. } => value.as_str().is_some_and(|value| value == text).then_some(node),
                Written::Null | Written::List(_) | Written::Map(_) => None,
            };
        }
        None
    }
}

/// Calls `each` for every value that holds no other.
fn gather(value: &Value, path: String, each: &mut impl FnMut(String, &Value)) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, value)| gather(value, under(&path, key), each));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(at, value)| gather(value, item(&path, at), each));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            each(path, value);
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// A text as YAML: bare where that is safe, in quotes otherwise.
fn plain(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:%@".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    let like_another =
        text.parse::<f64>().is_ok() || matches!(text, "true" | "false" | "null" | "yes" | "no" | "on" | "off");
    if starts && !like_another && text.chars().all(safe) && !text.ends_with(':') && !text.contains(": ") {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}
