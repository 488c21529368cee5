//! What of a recording is sent, when, and in which form; and what is left out, counted by its reason.

use std::fmt;

use ambidex_core::time::Span;
use ambidex_wire::recording::{Answer, Body, Exchange, FieldValue, OF_THE_CONNECTION};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri, header};
use serde::{Deserialize, Serialize};

use super::ReplayOptions;

/// One request that is sent.
#[derive(Clone, Debug)]
pub(super) struct Shot {
    /// When, from the beginning of the replay.
    pub(super) due: Span,
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
    /// What it was answered then.
    pub(super) then: Option<Answer>,
}

/// How many requests of a recording are not sent, and why. Each counts once, by the first reason that holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// No filter takes them.
    pub filtered: u64,
    /// Their method may change something (RFC 9110, 9.2.1): all but GET, HEAD and OPTIONS.
    pub unsafe_method: u64,
    /// They changed the protocol, or speak gRPC, which needs HTTP/2.
    pub protocol: u64,
    /// Their body is not in the recording.
    pub no_body: u64,
    /// A method, path or field that cannot be sent.
    pub unsendable: u64,
}

/// Why one is left out.
enum Why {
    Filtered,
    Unsafe,
    Protocol,
    NoBody,
    Unsendable,
}

/// What is sent.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) shots: Vec<Shot>,
    pub(super) left_out: LeftOut,
    /// Sent requests without a field that the recording, or this replay, leaves out.
    pub(super) stripped: u64,
}

impl Plan {
    /// Of exchanges in the order of their times. The first that is sent is due at once.
    pub(super) fn of(exchanges: &[Exchange], options: &ReplayOptions) -> Self {
        let mut plan = Self::default();
        let mut first = None;
        for exchange in exchanges {
            let shot = match shot(exchange, options) {
                Ok(shot) => shot,
                Err(why) => {
                    *plan.left_out.of(&why) += 1;
                    continue;
                }
            };
            let first = *first.get_or_insert(exchange.at);
            let after = (exchange.at.as_secs_f64() - first.as_secs_f64()) / options.speed;
            plan.stripped += u64::from(exchange.fields.iter().any(|(name, value)| is_left_out(name, value)));
            plan.shots.push(Shot { due: Span::from_secs_f64(after), ..shot });
        }
        plan
    }
}

impl LeftOut {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.filtered + self.unsafe_method + self.protocol + self.no_body + self.unsendable
    }

    /// Each reason that holds for some, with their number.
    pub(super) fn reasons(&self) -> impl Iterator<Item = (u64, &'static str)> {
        let Self { filtered, unsafe_method, protocol, no_body, unsendable } = *self;
        let all = [
            (filtered, "no filter takes them"),
            (unsafe_method, "their method may change something; --unsafe sends them"),
            (protocol, "they changed the protocol, or speak gRPC"),
            (no_body, "their body is not in the recording"),
            (unsendable, "a method, path or field of theirs cannot be sent"),
        ];
        all.into_iter().filter(|(count, _)| *count > 0)
    }

    fn of(&mut self, why: &Why) -> &mut u64 {
        match why {
            Why::Filtered => &mut self.filtered,
            Why::Unsafe => &mut self.unsafe_method,
            Why::Protocol => &mut self.protocol,
            Why::NoBody => &mut self.no_body,
            Why::Unsendable => &mut self.unsendable,
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (count, why)) in self.reasons().enumerate() {
            write!(f, "{}{count}: {why}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

fn shot(exchange: &Exchange, options: &ReplayOptions) -> Result<Shot, Why> {
    if !options.filters.is_empty() && !options.filters.iter().any(|filter| filter.matches(exchange)) {
        return Err(Why::Filtered);
    }
    let method: Method = exchange.method.parse().map_err(|_| Why::Unsendable)?;
    let switched = exchange.answer.as_ref().is_some_and(|answer| answer.status == 101);
    let grpc = exchange.field("content-type").is_some_and(|kind| kind.starts_with(b"application/grpc"));
    if method == Method::CONNECT || switched || grpc {
        return Err(Why::Protocol);
    }
    if !options.unsafe_methods && !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Err(Why::Unsafe);
    }
    let body = match &exchange.body {
        None => Bytes::new(),
        Some(Body { length: 0, .. }) => Bytes::new(),
        Some(Body { base64, .. }) => Bytes::from(base64.clone().ok_or(Why::NoBody)?),
    };
    let target: Uri = exchange.target.parse().map_err(|_| Why::Unsendable)?;
    let fields = fields(exchange, options).ok_or(Why::Unsendable)?;
    Ok(Shot { due: Span::ZERO, method, target, fields, body, then: exchange.answer.clone() })
}

/// The fields that are sent, host first; nothing when one of them is none.
fn fields(exchange: &Exchange, options: &ReplayOptions) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let host = [&options.host, &exchange.host].into_iter().find(|host| !host.is_empty());
    let host = host.map_or_else(|| options.target.clone(), Clone::clone);
    let mut fields = vec![(header::HOST, HeaderValue::from_str(&host).ok()?)];
    let own = |name: &str| options.fields.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    for (name, value) in &exchange.fields {
        if is_left_out(name, value) || OF_THE_CONNECTION.contains(&&**name) || own(name) {
            continue;
        }
        let value = HeaderValue::from_bytes(value.as_bytes().unwrap_or_default()).ok()?;
        fields.push((HeaderName::from_bytes(name.as_bytes()).ok()?, value));
    }
    for (name, value) in &options.fields {
        fields.push((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?));
    }
    Some(fields)
}

/// Whether a field is not sent because it is, or would be, a credential [reliability.md row 12].
fn is_left_out(name: &str, value: &FieldValue) -> bool {
    *value == FieldValue::Redacted || CREDENTIALS.contains(&name)
}

/// What no replay sends of itself: foreign files have them.
const CREDENTIALS: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(at_ms: u64, method: &str, target: &str) -> Exchange {
        let (at, method, target) = (Span::from_millis(at_ms), method.to_owned(), target.to_owned());
        Exchange { at, method, target, host: "shop.example".into(), ..Exchange::default() }
    }

    fn options() -> ReplayOptions {
        ReplayOptions { target: "127.0.0.1:8080".into(), ..ReplayOptions::default() }
    }

    #[test]
    fn gaps_are_those_of_the_recording_over_the_speed() {
        let exchanges = [exchange(1_000, "GET", "/a"), exchange(1_500, "GET", "/b"), exchange(4_000, "GET", "/c")];
        for (speed, expected) in [(1.0, [0, 500, 3_000]), (2.0, [0, 250, 1_500]), (0.5, [0, 1_000, 6_000])] {
            let plan = Plan::of(&exchanges, &ReplayOptions { speed, ..options() });
            assert_eq!(plan.shots.iter().map(|shot| shot.due.as_millis()).collect::<Vec<_>>(), expected, "{speed}");
        }
    }

    #[test]
    fn what_is_left_out_is_counted_by_its_reason() {
        let body = |base64| Some(Body { length: 3, base64, whole: true, ..Body::default() });
        let switched = Some(Answer { status: 101, ..Answer::default() });
        let exchanges = [
            exchange(0, "GET", "/a"),
            exchange(1, "POST", "/a"),
            exchange(2, "DELETE", "/a"),
            exchange(3, "GET", "/filtered"),
            Exchange { answer: switched, ..exchange(4, "GET", "/a") },
            Exchange { body: body(None), ..exchange(5, "GET", "/a") },
            Exchange { body: body(Some(b"abc".to_vec())), ..exchange(6, "GET", "/a") },
            exchange(7, "GET", "no path"),
        ];
        let filters = vec!["path!=/filtered".parse().expect("right")];
        let plan = Plan::of(&exchanges, &ReplayOptions { filters: filters.clone(), ..options() });
        let left_out = LeftOut { filtered: 1, unsafe_method: 2, protocol: 1, no_body: 1, unsendable: 1 };
        assert_eq!((plan.left_out, plan.shots.len()), (left_out, 2));
        let plan = Plan::of(&exchanges, &ReplayOptions { filters, unsafe_methods: true, ..options() });
        assert_eq!((plan.left_out.unsafe_method, plan.shots.len()), (0, 4));
    }

    #[test]
    fn credentials_are_not_sent_unless_they_are_given() {
        let plain = |text: &str| FieldValue::Plain(text.as_bytes().to_vec());
        let fields = vec![
            ("accept".into(), plain("*/*")),
            ("authorization".into(), plain("Bearer 1")),
            ("x-api-key".into(), FieldValue::Redacted),
            ("connection".into(), plain("close")),
        ];
        let exchanges = [Exchange { fields, ..exchange(0, "GET", "/a") }];
        let sent = |options: &ReplayOptions| {
            let plan = Plan::of(&exchanges, options);
            let said = |(name, value): &(HeaderName, HeaderValue)| format!("{name}: {}", value.to_str().expect("text"));
            (plan.stripped, plan.shots[0].fields.iter().map(said).collect::<Vec<_>>())
        };
        assert_eq!(sent(&options()), (1, vec!["host: shop.example".into(), "accept: */*".into()]));
        let fields = vec![("Authorization".into(), "Bearer 2".into())];
        let given = sent(&ReplayOptions { fields, host: "other.example".into(), ..options() });
        let expected = ["host: other.example", "accept: */*", "authorization: Bearer 2"].map(str::to_owned);
        assert_eq!(given, (1, expected.to_vec()));
    }
}
