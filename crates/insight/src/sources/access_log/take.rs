//! What lines say becomes requests of nodes: each part of a log has a recorder of its own.
//!
//! A line of nginx may tell of several tries: each is a request of its own server, and all but the last of a row failed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use ambidex_core::time::Span;
use memchr::memchr;

use super::LONGEST_LINE;
use super::entry::{Entry, Value};
use super::field::{Field, Unit};
use super::line::{CallerBy, NodeBy, Reading, Wrong};
use crate::history::{At, Bounds, Call, Caller, Map, NodeAt, Peers, Recorder, Requests, Weigh};
use crate::sources::{moment, route};

/// What a part of a log said.
#[derive(Debug)]
pub(super) struct Part<'r> {
    reading: &'r Reading,
    pub(super) recorder: Recorder,
    nodes: Map<Box<str>, Map<Box<str>, NodeAt>>,
    pub(super) lines: u64,
    pub(super) wrong: BTreeMap<Wrong, WrongLines>,
    /// Lines that no server had a part in.
    pub(super) nowhere: u64,
    /// Lines whose moment has no zone.
    pub(super) zoneless: u64,
    route: String,
    network: String,
}

/// Lines that were wrong in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WrongLines {
    pub(super) times: u64,
    /// The first one, by number, and how it begins.
    pub(super) first: u64,
    pub(super) excerpt: String,
    pub(super) expected: String,
}

/// What one request was, as far as all tries share it.
struct Asked<'e> {
    at: At,
    route: &'e str,
    caller: Caller<'e>,
    values: Vec<(&'e str, &'e str)>,
}

impl<'r> Part<'r> {
    pub(super) fn new(reading: &'r Reading, bounds: Bounds, weigh: Weigh) -> Self {
        Self {
            reading,
            recorder: Recorder::new(bounds, weigh),
            nodes: Map::default(),
            lines: 0,
            wrong: BTreeMap::new(),
            nowhere: 0,
            zoneless: 0,
            route: String::new(),
            network: String::new(),
        }
    }

    /// Takes a block of lines. The last line of a file may lack its end.
    pub(super) fn block(&mut self, mut block: &[u8]) {
        while !block.is_empty() {
            let end = memchr(b'\n', block);
            let line = &block[..end.unwrap_or(block.len())];
            self.lines += 1;
            if let Err(wrong) = self.line(line) {
                let wrong = if end.is_none() && wrong != Wrong::TooLong { Wrong::Half } else { wrong };
                self.is_wrong(wrong, line);
            }
            block = end.map_or(&[], |end| &block[end + 1..]);
        }
    }

    /// Takes one line. One that says nothing is no wrong one.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), Wrong> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > LONGEST_LINE {
            return Err(Wrong::TooLong);
        }
        if says_nothing(line) {
            return Ok(());
        }
        // Nearly all lines are plain, which the quick check finds; only for others is a lossy copy made.
        let text = std::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed);
        let mut entry = Entry::new();
        self.reading.grammar.read(&text, &mut entry)?;
        self.entry(&entry)
    }

    fn is_wrong(&mut self, wrong: Wrong, line: &[u8]) {
        let (reading, number) = (self.reading, self.lines);
        let new = || WrongLines { times: 0, first: number, excerpt: excerpt(line), expected: reading.expected(wrong) };
        self.wrong.entry(wrong.kind()).or_insert_with(new).times += 1;
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Wrong> {
        let at = self.moment(entry)?;
        let status = match entry.get(Field::Status) {
            Some(_) => Some(entry.number(Field::Status).ok_or(Wrong::Status)?),
            None => None,
        };
        let (mut route, mut network) = (std::mem::take(&mut self.route), std::mem::take(&mut self.network));
        let method = write_route(entry, &mut route);
        let values = values(self.reading, entry, method, &mut network);
        let caller = caller(self.reading, entry);
        self.tries(entry, status, Asked { at, route: &route, caller, values });
        (self.route, self.network) = (route, network);
        Ok(())
    }

    fn moment(&mut self, entry: &Entry<'_>) -> Result<At, Wrong> {
        match entry.get(Field::Time).ok_or(Wrong::Time)? {
            Value::Number(number) => moment::epoch(*number).ok_or(Wrong::Time),
            Value::Text(text) => {
                let moment = moment::read(text, self.reading.offset).ok_or(Wrong::Time)?;
                self.zoneless += u64::from(!moment.zoned);
                Ok(moment.at)
            }
        }
    }

    fn tries(&mut self, entry: &Entry<'_>, status: Option<f64>, mut asked: Asked<'_>) {
        let reading = self.reading;
        let list = match &reading.node {
            NodeBy::Name(name) => Some(name.as_str()),
            NodeBy::Field(field) => entry.text(*field),
        };
        let Some(list) = list else {
            self.nowhere += 1;
            return;
        };
        let service = entry.text(Field::Service).or(reading.service.as_deref()).unwrap_or_default();
        if reading.node != NodeBy::Field(Field::Node) || !is_list(list) {
            let status = entry.number(Field::TryStatus).or(status);
            let took = self.seconds(entry, Field::TryTook).or_else(|| self.seconds(entry, Field::Took));
            self.one_try(service, list, self.failed(status), took, &asked);
            return;
        }
        let statuses: Vec<&str> = tries(entry.text(Field::TryStatus).unwrap_or_default()).map(|one| one.0).collect();
        let times: Vec<&str> = tries(entry.text(Field::TryTook).unwrap_or_default()).map(|one| one.0).collect();
        let unit = entry.unit(Field::TryTook).unwrap_or(reading.unit);
        let all: Vec<(&str, bool)> = tries(list).collect();
        asked.values.push(("try", ""));
        for (number, (node, again)) in all.iter().enumerate() {
            // Lists that are not of one length do not say which is whose.
            let own = |list: &[&str]| (list.len() == all.len()).then(|| list[number].to_owned());
            let own_status = own(&statuses).and_then(|text| text.parse().ok());
            let took = own(&times).and_then(|text| seconds(&text, unit));
            let last = number + 1 == all.len();
            let failed = *again || self.failed(own_status.or(if last { status } else { None }));
            if let Some(value) = asked.values.last_mut() {
                value.1 = if number == 0 { "first" } else { "again" };
            }
            if let Some(node) = self.one_try(service, node, failed, took, &asked)
                && number > 0
            {
                self.recorder.tried_again(node, asked.at);
            }
        }
    }

    fn one_try(
        &mut self,
        service: &str,
        node: &str,
        failed: bool,
        took: Option<f64>,
        asked: &Asked<'_>,
    ) -> Option<NodeAt> {
        let name = if self.reading.node == NodeBy::Field(Field::Node) { bare(node) } else { node };
        // Where no server could be had nginx writes the group's name, which has no port.
        if name.is_empty() || name == "-" || (self.reading.addresses && !name.contains(':')) {
            self.nowhere += 1;
            return None;
        }
        let node = self.node(service, name)?;
        self.recorder.requests(&Requests {
            at: asked.at,
            node,
            route: asked.route,
            count: 1,
            failed: u64::from(failed),
            busy: took.map(Span::from_secs_f64),
            values: &asked.values,
        });
        let (at, route, caller) = (asked.at, asked.route, asked.caller);
        self.recorder.called(&Call { at, node, caller, route: Some(route), count: 1.0 });
        Some(node)
    }

    fn node(&mut self, service: &str, name: &str) -> Option<NodeAt> {
        if let Some(known) = self.nodes.get(service).and_then(|nodes| nodes.get(name)) {
            return Some(*known);
        }
        let peers = Peers { service: Some(service.to_owned()).filter(|name| !name.is_empty()), ..Peers::default() };
        let node = self.recorder.node(name, &peers)?;
        self.nodes.entry(service.into()).or_default().insert(name.into(), node);
        Some(node)
    }

    /// Whether a try failed: it had no answer, or one that says so. A client that left (0, 499) is not the server's failure.
    fn failed(&self, status: Option<f64>) -> bool {
        match status {
            Some(status) => !(0.0..500.0).contains(&status),
            None => self.reading.status,
        }
    }

    fn seconds(&self, entry: &Entry<'_>, field: Field) -> Option<f64> {
        let unit = entry.unit(field).unwrap_or(self.reading.unit);
        match entry.get(field)? {
            Value::Number(number) => Some(*number * unit.seconds()).filter(|seconds| *seconds >= 0.0),
            Value::Text(text) => seconds(text, unit),
        }
    }
}

/// Who sent the request to the node. Of an address the port is left out, of a list the first is taken.
fn caller<'e>(reading: &'e Reading, entry: &'e Entry<'_>) -> Caller<'e> {
    let instance = match &reading.caller {
        CallerBy::Nobody => None,
        CallerBy::Name(name) => Some(name.as_str()),
        CallerBy::Field(field) => entry.text(*field).map(|text| {
            let first = text.split(',').next().unwrap_or_default().trim();
            address(first).map_or(first, |(host, _)| host)
        }),
    };
    Caller::named(entry.text(Field::CallerService), instance)
}

/// What the request can be told apart by.
fn values<'e>(
    reading: &'e Reading,
    entry: &'e Entry<'_>,
    method: Option<&'static str>,
    network: &'e mut String,
) -> Vec<(&'e str, &'e str)> {
    let mut values = Vec::with_capacity(8 + reading.labels.len());
    let forwarded = entry.text(Field::Forwarded).and_then(|list| list.split(',').next()).map(str::trim);
    if let Some((client, address)) = forwarded.or_else(|| entry.text(Field::Client)).and_then(address) {
        values.push(("client", client));
        write_network(address, network);
        values.push(("network", &**network));
    }
    let by_host = reading.node == NodeBy::Field(Field::VirtualHost);
    let host = entry.text(Field::Host).or_else(|| entry.text(Field::VirtualHost).filter(|_| !by_host));
    values.extend(host.map(|host| ("host", short(host))));
    let agent = entry.text(Field::Agent).and_then(|agent| agent.split(['/', ' ', ';', '(']).next());
    values.extend(agent.filter(|agent| !agent.is_empty()).map(|agent| ("user agent", short(agent))));
    values.extend(method.map(|method| ("method", method)));
    values.extend(entry.number(Field::Bytes).map(|bytes| ("size", size_class(bytes))));
    for (number, label) in (0_u8..).zip(&reading.labels) {
        values.extend(entry.text(Field::Extra(number)).map(|value| (label.as_str(), short(value))));
    }
    values
}

/// Writes what a line was for, and says its method.
fn write_route(entry: &Entry<'_>, route: &mut String) -> Option<&'static str> {
    let request = entry.text(Field::Request).and_then(|request| {
        let (method, rest) = request.trim().split_once(' ')?;
        Some((method, rest.split(' ').next().unwrap_or_default()))
    });
    let method = entry.text(Field::Method).or(request.map(|(method, _)| method));
    let target = entry.text(Field::Path).or(request.map(|(_, target)| target));
    route.clear();
    match (method, target) {
        (method, Some(target)) => route::template(method.unwrap_or_default(), target, route),
        (Some(_) | None, None) => route.push_str(NO_REQUEST),
    }
    method.map(route::known)
}

fn says_nothing(line: &[u8]) -> bool {
    line.first().is_none_or(|first| *first == b'#') || line.iter().all(u8::is_ascii_whitespace)
}

/// A list of tries: each, and whether it failed so that another one followed. After a colon another location took over.
fn tries(list: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut rest = Some(list).filter(|list| !list.is_empty());
    std::iter::from_fn(move || {
        let text = rest?;
        let (comma, colon) = (text.find(", "), text.find(" : "));
        let again = comma.is_some_and(|comma| colon.is_none_or(|colon| comma < colon));
        let (end, mark) = if again { (comma, 2) } else { (colon, 3) };
        rest = end.map(|end| &text[end + mark..]);
        Some((end.map_or(text, |end| &text[..end]), again))
    })
}

fn is_list(text: &str) -> bool {
    text.contains(' ') && (text.contains(", ") || text.contains(" : "))
}

/// A server's name without the scheme and what is after the host: `http://10.0.0.1:80/` is `10.0.0.1:80`.
fn bare(node: &str) -> &str {
    match node.find('/').and_then(|at| node.split_at_checked(at)) {
        Some((scheme, rest)) if scheme.ends_with(':') && rest.starts_with("//") => {
            rest[2..].split('/').next().unwrap_or_default()
        }
        Some(_) | None => node,
    }
}

/// A time by its own unit (`12ms`) or by this one. None of what is no time: `-`, `-1`.
fn seconds(text: &str, unit: Unit) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_alphabetic() || c == '\u{b5}').unwrap_or(text.len());
    let unit = if end == text.len() { unit } else { Unit::named(&text[end..])? };
    let number: f64 = text[..end].parse().ok()?;
    Some(number * unit.seconds()).filter(|seconds| *seconds >= 0.0)
}

/// The text of an address, without its port, and the address.
fn address(text: &str) -> Option<(&str, IpAddr)> {
    if let Ok(address) = text.parse() {
        return Some((text, address));
    }
    let address: SocketAddr = text.parse().ok()?;
    let (host, _) = text.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']), address.ip()))
}

/// The network that is likely one site's: of 24 bits, or of 48.
fn write_network(address: IpAddr, out: &mut String) {
    out.clear();
    let written = match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            write!(out, "{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            write!(out, "{a:x}:{b:x}:{c:x}::/48")
        }
    };
    debug_assert!(written.is_ok(), "a string takes what is written to it");
}

/// Bytes by powers of ten.
fn size_class(bytes: f64) -> &'static str {
    const CLASSES: [(f64, &str); 8] = [
        (1.0, "nothing"),
        (1e2, "under 100 B"),
        (1e3, "100 B to 1 kB"),
        (1e4, "1 to 10 kB"),
        (1e5, "10 to 100 kB"),
        (1e6, "100 kB to 1 MB"),
        (1e7, "1 to 10 MB"),
        (1e8, "10 to 100 MB"),
    ];
    CLASSES.into_iter().find(|(end, _)| bytes < *end).map_or("over 100 MB", |(_, name)| name)
}

/// Not more of a value than can be told apart by.
fn short(value: &str) -> &str {
    &value[..value.floor_char_boundary(LONGEST_VALUE)]
}

/// How a line begins.
pub(super) fn excerpt(line: &[u8]) -> String {
    let many = line.len().min(LONGEST_EXCERPT);
    let text: String = String::from_utf8_lossy(&line[..many]).chars().filter(|c| !c.is_control()).collect();
    if many < line.len() { format!("{text}...") } else { text }
}

/// The route of lines that have no request.
const NO_REQUEST: &str = "(no request)";
/// Bytes of an attribute's value. Source: ours; a report shows fewer.
const LONGEST_VALUE: usize = 120;
/// Bytes of a line that an error shows. Source: ours; a line of a terminal or two.
const LONGEST_EXCERPT: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_told_apart_by_what_followed() {
        let all = |list| tries(list).collect::<Vec<_>>();
        assert_eq!(all("a:1"), [("a:1", false)]);
        assert_eq!(all("a:1, b:2"), [("a:1", true), ("b:2", false)]);
        assert_eq!(all("a:1 : b:2, c:3"), [("a:1", false), ("b:2", true), ("c:3", false)]);
        assert_eq!(all(""), []);
    }

    #[test]
    fn times_have_units_of_their_own_or_those_of_the_format() {
        let close =
            |text, expected: f64| seconds(text, Unit::Millis).is_some_and(|read| (read - expected).abs() < 1e-12);
        assert!(close("12", 0.012) && close("12ms", 0.012) && close("1.5s", 1.5) && close("300\u{b5}s", 3e-4));
        assert_eq!([seconds("-", Unit::Seconds), seconds("-1", Unit::Millis), seconds("1x", Unit::Seconds)], [None; 3]);
    }

    #[test]
    fn clients_have_networks() {
        let network = |text| {
            let (client, address) = address(text)?;
            let mut out = String::from("old");
            write_network(address, &mut out);
            Some(format!("{client} {out}"))
        };
        assert_eq!(network("10.1.2.3:4567").as_deref(), Some("10.1.2.3 10.1.2.0/24"));
        assert_eq!(network("10.1.2.3").as_deref(), Some("10.1.2.3 10.1.2.0/24"));
        assert_eq!(network("[2001:db8:1:2::3]:443").as_deref(), Some("2001:db8:1:2::3 2001:db8:1::/48"));
        assert_eq!(network("unix:"), None);
    }

    #[test]
    fn names_of_servers_are_bare() {
        for (node, expected) in [("tcp://10.0.0.1:80", "10.0.0.1:80"), ("http://a:1/x", "a:1"), ("srv1", "srv1")] {
            assert_eq!(bare(node), expected);
        }
        assert_eq!(
            [size_class(0.0), size_class(99.0), size_class(2_750.0), size_class(1e9)],
            ["nothing", "under 100 B", "1 to 10 kB", "over 100 MB"]
        );
    }
}
