//! Settles how a log is to be read, from its first lines: its format where nobody said it, what to call nodes, units that no name
//! says. What had to be taken for granted is said; a log that does not say what is needed is refused, with what would add it.

use std::collections::BTreeMap;

use super::entry::Entry;
use super::field::{Field, MOST_EXTRAS, Target, Unit};
use super::format::Format;
use super::json::Keys;
use super::line::{CallerBy, Grammar, NodeBy, Reading, Wrong};
use super::names::{Mapping, Names};
use super::take::{Part, excerpt};
use super::template::Template;
use super::{AccessLogError, NodeFrom, Options};
use crate::history::{Bounds, Weigh};
use crate::sources::moment;

/// A file as far as it must be known to settle how to read it.
pub(super) struct File<'f> {
    /// As people call it.
    pub(super) name: &'f str,
    /// Its first lines.
    pub(super) head: &'f [u8],
    /// The node that it is of, where its name tells it from other files.
    pub(super) node: Option<&'f str>,
}

/// Settles how a file is read.
pub(super) fn settle(file: &File<'_>, options: &Options) -> Result<Reading, AccessLogError> {
    if options.attributes.len() > MOST_EXTRAS {
        return Err(AccessLogError::Attributes { named: options.attributes.len(), most: MOST_EXTRAS });
    }
    let lines = Lines::of(file.head);
    if lines.0.is_empty() {
        return Err(AccessLogError::Empty { file: file.name.into() });
    }
    let mut names = Names::new(&options.fields, &options.attributes);
    let format = match &options.format {
        Some(format) => format.clone(),
        None => detect(file, &lines, &names)?,
    };
    if format == Format::Json {
        names = with_servers(names, options, &lines);
    }
    let grammar = grammar(&format, &names)?;
    let has = Has::new(&grammar, &names, &lines);
    let mut granted = has.missing(&names, &grammar);
    if has.best(Field::Time).is_none() {
        return Err(lacks(
            file,
            &format,
            "time",
            "`$time_iso8601` (nginx), `%t` (Apache) or a key `time` would say it",
        ));
    }
    let node = node(file, &format, &has, options, &mut granted)?;
    let caller = caller(file, &has, &node);
    let unit = unit(&grammar, &has, &lines, &mut granted);
    if options.format.is_none() {
        granted.push(format!("{}: read as `{}`", file.name, format.name()));
    }
    let reading = Reading {
        name: format.name().to_owned(),
        grammar,
        node,
        caller,
        unit,
        status: has.best(Field::Status).is_some() || has.best(Field::TryStatus).is_some(),
        timed: has.best(Field::Took).is_some() || has.best(Field::TryTook).is_some(),
        addresses: has.best(Field::Node).is_some_and(|(name, _)| name == "upstream_addr"),
        offset: options.offset,
        labels: names.labels().map(str::to_owned).collect(),
        service: options.service.clone(),
        granted,
    };
    checked(file, &lines, reading)
}

/// Refuses a format that most of the first lines are not of.
fn checked(file: &File<'_>, lines: &Lines<'_>, reading: Reading) -> Result<Reading, AccessLogError> {
    let wrong: Vec<(&(u64, &[u8]), Wrong)> = {
        let mut part = Part::new(&reading, Bounds::default(), Weigh::Count);
        lines.0.iter().filter_map(|line| part.line(line.1).err().map(|wrong| (line, wrong))).collect()
    };
    match wrong.first() {
        Some(((number, line), first)) if wrong.len() * 2 > lines.0.len() => Err(AccessLogError::OtherFormat {
            file: file.name.into(),
            format: reading.name.clone(),
            wrong: wrong.len(),
            of: lines.0.len(),
            line: *number,
            excerpt: excerpt(line),
            expected: reading.expected(*first),
        }),
        Some(_) | None => Ok(reading),
    }
}

/// The first lines that say something, with their numbers.
struct Lines<'h>(Vec<(u64, &'h [u8])>);

impl<'h> Lines<'h> {
    fn of(head: &'h [u8]) -> Self {
        let lines = (1..).zip(head.split(|byte| *byte == b'\n'));
        let says = |line: &&[u8]| !line.starts_with(b"#") && !line.iter().all(u8::is_ascii_whitespace);
        Self(lines.filter(|(_, line)| says(line)).take(HEAD_LINES).collect())
    }

    /// Of the lines that a format is told by: their texts.
    fn sample(&self) -> impl Iterator<Item = std::borrow::Cow<'h, str>> {
        self.0
            .iter()
            .take(SAMPLE_LINES)
            .map(|(_, line)| String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)))
    }
}

/// The first format of those that have names which most lines are of.
fn detect(file: &File<'_>, lines: &Lines<'_>, names: &Names) -> Result<Format, AccessLogError> {
    let fits = |format: &Format| {
        let Ok(grammar) = grammar(format, names) else { return false };
        let good = lines.sample().filter(|line| {
            let mut entry = Entry::new();
            let read = grammar.read(line, &mut entry).is_ok();
            read && (*format == Format::Json
                || entry.text(Field::Time).is_some_and(|time| moment::read(time, 0).is_some()))
        });
        good.count() * 2 > lines.sample().count()
    };
    Format::NAMED.into_iter().find(fits).ok_or_else(|| {
        let (number, line) = lines.0[0];
        AccessLogError::Unknown { file: file.name.into(), line: number, excerpt: excerpt(line), tried: tried() }
    })
}

fn tried() -> String {
    Format::NAMED.iter().map(Format::name).collect::<Vec<_>>().join(", ")
}

fn grammar(format: &Format, names: &Names) -> Result<Grammar, AccessLogError> {
    let Some(text) = format.text() else {
        return Ok(if *format == Format::Json { Grammar::Json(Keys::of(names)) } else { Grammar::HaProxy });
    };
    let template = Template::new(text, names);
    template.map(Grammar::Template).map_err(|why| AccessLogError::Format { format: text.to_owned(), why })
}

/// In JSON of HAProxy's making `server_name` is the server of a backend; elsewhere it is a virtual host.
fn with_servers(names: Names, options: &Options, lines: &Lines<'_>) -> Names {
    let keys = keys_of(lines);
    let has_node = keys.keys().any(|key| names.of(key).iter().any(|target| target.field == Field::Node));
    let server = ["server_name", "server"].into_iter().find(|name| keys.contains_key(*name));
    match server {
        Some(server) if !has_node && (keys.contains_key("backend_name") || keys.contains_key("backend")) => {
            let mut fields = options.fields.clone();
            fields.push(Mapping { field: Field::Node, name: server.to_owned(), unit: None });
            Names::new(&fields, &options.attributes)
        }
        Some(_) | None => names,
    }
}

/// All keys that the first lines have, with a value that says something.
fn keys_of(lines: &Lines<'_>) -> BTreeMap<String, serde_json::Value> {
    let says = |value: &serde_json::Value| match value {
        serde_json::Value::Null => false,
        serde_json::Value::String(text) => !text.is_empty() && text != "-",
        serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => true,
    };
    lines.sample().filter_map(|line| Keys::all(&line)).flatten().filter(|(_, value)| says(value)).collect()
}

/// The names that a log has, with what they stand for.
struct Has(Vec<(String, Target)>);

impl Has {
    fn new(grammar: &Grammar, names: &Names, lines: &Lines<'_>) -> Self {
        Self(match grammar {
            Grammar::Template(template) => template.targets().map(|(name, target)| (name.to_owned(), target)).collect(),
            Grammar::Json(_) => {
                let keys = keys_of(lines).into_keys();
                keys.flat_map(|key| names.of(&key).into_iter().map(move |target| (key.clone(), target))).collect()
            }
            Grammar::HaProxy => {
                let fields = [Field::Time, Field::Request, Field::Status, Field::Node, Field::Service, Field::TryTook];
                let of = |field| ("haproxy".to_owned(), Target { field, rank: 0, unit: Some(Unit::Millis) });
                fields.into_iter().map(of).collect()
            }
        })
    }

    /// The name that a field is taken from.
    fn best(&self, field: Field) -> Option<(&str, Target)> {
        let of = self.0.iter().filter(|(_, target)| target.field == field);
        of.min_by_key(|(_, target)| target.rank).map(|(name, target)| (name.as_str(), *target))
    }

    /// What the user named and the log has not.
    fn missing(&self, names: &Names, grammar: &Grammar) -> Vec<String> {
        let place = match grammar {
            Grammar::Json(_) => "its first lines",
            Grammar::Template(_) | Grammar::HaProxy => "its format",
        };
        let lacks = |name: &str| !self.0.iter().any(|(has, _)| has == name);
        names.own().filter(|(name, _)| lacks(name)).map(|(name, _)| format!("no field `{name}` in {place}")).collect()
    }
}

fn node(
    file: &File<'_>,
    format: &Format,
    has: &Has,
    options: &Options,
    granted: &mut Vec<String>,
) -> Result<NodeBy, AccessLogError> {
    let field = |field| has.best(field).is_some().then_some(NodeBy::Field(field));
    let of_file = || file.node.map(|name| NodeBy::Name(name.to_owned()));
    if options.node == NodeFrom::File {
        return of_file().ok_or_else(|| AccessLogError::NoFileName { file: file.name.into() });
    }
    if let Some(node) = field(Field::Node).or_else(|| field(Field::Server)) {
        return Ok(node);
    }
    if let Some(node) = of_file() {
        granted.push("each file is of one node: no field says which server answered".to_owned());
        return Ok(node);
    }
    if let Some(node) = field(Field::VirtualHost).or_else(|| field(Field::Host)) {
        granted.push("nodes are the hosts that were asked for: no field says which server answered".to_owned());
        return Ok(node);
    }
    Err(lacks(file, format, "server that answered", ADD_NODE))
}

/// Who sent requests to nodes: as a field says it; where lines name the server that answered, the machine that wrote the line.
fn caller(file: &File<'_>, has: &Has, node: &NodeBy) -> CallerBy {
    if has.best(Field::Caller).is_some() {
        return CallerBy::Field(Field::Caller);
    }
    let behind = *node == NodeBy::Field(Field::Node);
    match (file.node, has.best(Field::CallerService)) {
        (_, _) if behind && has.best(Field::Server).is_some() => CallerBy::Field(Field::Server),
        (Some(name), _) if behind => CallerBy::Name(name.to_owned()),
        (_, Some(_)) => CallerBy::Field(Field::Caller),
        (_, None) => CallerBy::Nobody,
    }
}

fn lacks(file: &File<'_>, format: &Format, what: &'static str, add: &'static str) -> AccessLogError {
    AccessLogError::Lacks { file: file.name.into(), format: format.name().into(), what, add }
}

/// The unit of times whose names say none: by the product, or by how they look.
fn unit(grammar: &Grammar, has: &Has, lines: &Lines<'_>, granted: &mut Vec<String>) -> Unit {
    let unclear = [Field::TryTook, Field::Took].into_iter().find_map(|field| {
        let (name, target) = has.best(field)?;
        target.unit.is_none().then(|| (field, name.to_owned()))
    });
    let Some((field, name)) = unclear else { return Unit::Seconds };
    let keys = match grammar {
        Grammar::Json(_) => keys_of(lines),
        Grammar::Template(_) | Grammar::HaProxy => BTreeMap::new(),
    };
    let has_any = |names: &[&str]| names.iter().any(|name| keys.contains_key(*name));
    if has_any(&["request.uri"]) {
        return Unit::Seconds;
    }
    if has_any(&["response_code", "response_flags", "upstream_host"]) {
        return Unit::Millis;
    }
    let fraction = lines.sample().any(|line| {
        let mut entry = Entry::new();
        let read = grammar.read(&line, &mut entry).is_ok();
        read && entry.number(field).is_some_and(|number| number.fract() > 0.0)
    });
    let (unit, called) = if fraction { (Unit::Seconds, "seconds") } else { (Unit::Millis, "milliseconds") };
    granted
        .push(format!("`{name}` is taken for {called}: its name does not say (a mapping `duration={name}:ms` would)"));
    unit
}

const ADD_NODE: &str = "in nginx, add `$upstream_addr $upstream_status $upstream_response_time` to its log_format and name the same \
                        here; in Apache, `%{BALANCER_WORKER_NAME}e %D`; or give a file of each server, and each is a node";
/// Lines that must be of the format for the most part. Source: issue 7.
const HEAD_LINES: usize = 1_000;
/// Lines that the format is told by. Source: ours.
const SAMPLE_LINES: usize = 100;
