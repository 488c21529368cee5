//! What can be configured, from the types themselves: their schema carries the doc comments, and those carry each
//! default with its source.
//!
//! For: `config schema`, `docs/defaults.md`, and the comments of `config show --effective`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{File, Form};

/// The JSON schema of a kind of file.
pub(crate) fn json<F: Form>() -> Value {
    let mut schema = schemars::schema_for!(F).to_value();
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".to_owned(), Value::from("Ambidex configuration"));
    }
    schema
}

/// One thing that can be configured.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Key {
    /// Where it stands: `pools.NAME.workers[]`.
    pub(crate) path: String,
    /// What it takes, in words.
    pub(crate) takes: String,
    /// What it is for.
    pub(crate) about: String,
    /// What it is when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<String>,
    /// Why that is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
}

/// Everything that can be configured: sections in the order in which people write them, keys by name.
pub(crate) fn keys<F: Form>() -> Vec<Key> {
    let root = json::<F>();
    let mut walk = Walk { root: &root, keys: Vec::new() };
    let sections = properties(&root);
    let order = |name: &str| SECTIONS.iter().position(|section| *section == name).unwrap_or(SECTIONS.len());
    let mut names: Vec<&String> = sections.iter().flat_map(|map| map.keys()).collect();
    names.sort_by_key(|name| order(name));
    for name in names {
        walk.visit(name.clone(), &sections.expect("it gave the name")[name], None, 0);
    }
    walk.keys
}

/// Sections in the order in which people write them; others follow.
pub(crate) const SECTIONS: [&str; 4] = ["listeners", "pools", "routes", "admin"];

struct Walk<'s> {
    root: &'s Value,
    keys: Vec<Key>,
}

impl Walk<'_> {
    /// `around` says what the value is for when it does not itself: the only key of a variant has the variant's words.
    fn visit(&mut self, path: String, schema: &Value, around: Option<String>, depth: usize) {
        let full = resolve(self.root, schema);
        let text = description(schema).or(around).or_else(|| description(full)).unwrap_or_default();
        let Doc { about, default, source } = Doc::read(&text);
        self.keys.push(Key { path: path.clone(), takes: takes(self.root, schema), about, default, source });
        if depth < MOST_DEPTH {
            self.inside(&path, full, depth);
        }
    }

    fn inside(&mut self, path: &str, full: &Value, depth: usize) {
        for shape in shapes(self.root, full) {
            for (name, schema) in properties(shape).into_iter().flatten() {
                let path = format!("{path}.{name}");
                if !self.keys.iter().any(|key| key.path == path) {
                    let around = properties(shape).filter(|keys| keys.len() == 1).and_then(|_| description(shape));
                    self.visit(path, schema, around, depth + 1);
                }
            }
            if let Some(values) = shape.get("additionalProperties").filter(|values| values.is_object()) {
                self.inside(&format!("{path}.NAME"), resolve(self.root, values), depth + 1);
            }
            if let Some(items) = shape.get("items") {
                self.inside(&format!("{path}[]"), resolve(self.root, items), depth + 1);
            }
        }
    }
}

/// The alternatives of a schema, itself among them.
fn shapes<'s>(root: &'s Value, schema: &'s Value) -> Vec<&'s Value> {
    let mut found = vec![schema];
    for keyword in ["anyOf", "oneOf", "allOf"] {
        for one in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
            found.extend(shapes(root, resolve(root, one)));
        }
    }
    found
}

fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

fn description(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What the schema says of one value: `Default X; source: Y` of its description, apart.
pub(crate) struct Doc {
    about: String,
    pub(crate) default: Option<String>,
    pub(crate) source: Option<String>,
}

impl Doc {
    /// Takes a description apart. The form is the habit of all our doc comments: `About. Default X; source: Y.`
    fn read(text: &str) -> Self {
        let Some((before, after)) = split_default(text) else {
            return Self { about: text.to_owned(), default: None, source: None };
        };
        let (default, rest) = match after.split_once("; source: ") {
            Some((default, rest)) => (default, Some(rest)),
            None => (after, None),
        };
        let (source, more) = match rest.map(|rest| rest.split_once(". ").unwrap_or((rest, ""))) {
            Some((source, more)) => (Some(source.trim_end_matches('.').to_owned()), more),
            None => (None, ""),
        };
        let about = format!("{} {more}", before.trim()).trim().to_owned();
        Self { about, default: Some(default.trim_end_matches('.').replace('`', "")), source }
    }
}

fn split_default(text: &str) -> Option<(&str, &str)> {
    ["Default: ", "Default "].iter().find_map(|word| text.split_once(word))
}

/// What is known of the value at `path`, given as it stands in a file (`pools.api.workers[1].limit`).
pub(crate) fn doc_at(keys: &[Key], path: &str) -> Option<Doc> {
    let key = keys.iter().find(|key| fits(&key.path, path))?;
    Some(Doc { about: key.about.clone(), default: key.default.clone(), source: key.source.clone() })
}

/// Whether the pattern `pools.NAME.workers[]` covers `pools.api.workers[1]`.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (steps(pattern), steps(path));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) => {
                let item = |step: &str| step.starts_with('[');
                if !(wanted == given || wanted == ".NAME" && !item(given) || item(wanted) && item(given)) {
                    return false;
                }
            }
            (Some(_), None) | (None, Some(_)) => return false,
        }
    }
}

/// `a.b[0]` as `a`, `.b`, `[0]`; what stands in quotes is one step.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let mut quoted = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| {
            quoted ^= *c == '"';
            !quoted && matches!(c, '.' | '[')
        });
        let (step, tail) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
        rest = tail;
        (!step.is_empty()).then_some(step)
    })
}

/// What a value may be, in words.
fn takes(root: &Value, schema: &Value) -> String {
    let full = resolve(root, schema);
    let title = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next());
    if let Some(known) = title.and_then(|name| NAMED.iter().find(|(key, _)| *key == name)) {
        return known.1.to_owned();
    }
    let choices: Vec<String> = shapes(root, full).into_iter().flat_map(constants).collect();
    let mut words: Vec<String> = if choices.is_empty() { Vec::new() } else { vec![choices.join(", ")] };
    for shape in shapes(root, full) {
        if !constants(shape).is_empty() {
            continue;
        }
        for kind in kinds(shape) {
            let word = match kind {
                "string" => "text".to_owned(),
                "integer" => "whole number".to_owned(),
                "number" => "number".to_owned(),
                "boolean" => "true or false".to_owned(),
                "array" => match shape.get("items") {
                    Some(items) => format!("list of: {}", takes(root, items)),
                    None => "list".to_owned(),
                },
                "object" => "map".to_owned(),
                _ => continue,
            };
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words.join(" or ")
}

/// Types whose form has a name.
const NAMED: [(&str, &str); 3] =
    [("Duration", "duration such as 500ms"), ("Share", "share such as 5%"), ("Size", "size such as 64KiB")];

fn kinds(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn constants(schema: &Value) -> Vec<String> {
    let one = schema.get("const").into_iter();
    let many = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    one.chain(many).filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The keys as people read them in a terminal.
pub(crate) fn text<F: Form>() -> String {
    let mut out = String::new();
    for Key { path, takes, about, default, source } in keys::<F>() {
        let _ = writeln!(out, "{path}: {takes}");
        if !about.is_empty() {
            let _ = writeln!(out, "    {about}");
        }
        if let Some(default) = default {
            let source = source.map(|source| format!(" (source: {source})")).unwrap_or_default();
            let _ = writeln!(out, "    default {default}{source}");
        }
    }
    out
}

/// The keys as `docs/defaults.md`.
pub(crate) fn markdown() -> String {
    let mut out = String::from(
        "# Defaults\n\nGenerated from the code by `ambidex config defaults --markdown`; do not edit. Each default names its source: a\nrequirement (`R-W8`), a design document, an RFC, or a measurement.\n",
    );
    let mut section = String::new();
    for Key { path, takes, about, default, source } in keys::<File>() {
        let top = path.split(['.', '[']).next().unwrap_or_default();
        if top != section {
            top.clone_into(&mut section);
            let _ = write!(out, "\n## `{section}`\n\n| key | takes | default | source | |\n|---|---|---|---|---|\n");
        }
        let cell = |text: &str| text.replace('|', "\\|");
        let default = default.map(|default| format!("`{default}`")).unwrap_or_default();
        let source = source.unwrap_or_default();
        let _ = writeln!(
            out,
            "| `{path}` | {} | {} | {} | {} |",
            cell(&takes),
            cell(&default),
            cell(&source),
            cell(&about)
        );
    }
    out
}

/// Deeper nesting than this is not walked.
const MOST_DEPTH: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_gives_its_default_and_its_source() {
        let doc = Doc::read("How long. Default `10 s`; source: R-B2. More of it.");
        assert_eq!(
            (doc.about.as_str(), doc.default.as_deref(), doc.source.as_deref()),
            ("How long. More of it.", Some("10 s"), Some("R-B2"))
        );
    }

    #[test]
    fn a_pattern_covers_the_paths_of_a_file() {
        assert!(fits("pools.NAME.workers[].limit", "pools.\"a.b\".workers[3].limit"));
        assert!(!fits("pools.NAME.workers[]", "pools.api.workers"));
        assert!(!fits("pools.NAME", "pools[0]"));
    }
}
