//! What became of a request or a response, in a form that can be compared between proxies.

use ambidex_http1::Framing;

use crate::reading::Message;

/// A request as an origin got it, without what each proxy says for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) host: Option<String>,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) data: Vec<u8>,
    pub(crate) framing: Framing,
    /// Names that a line `Connection` gave, in small letters.
    pub(crate) hops: Vec<String>,
}

/// What a proxy did with one request of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It went on.
    Passed(Told),
    /// Something went on that is no request by our codec: the codec's word for it.
    PassedOdd(&'static str),
    /// The proxy answered by itself.
    Own(u16),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The proxy closed it.
    Closed,
    /// The proxy waits for more.
    Waits,
    /// The proxy neither answered nor closed in time, though the client had ended its side.
    Stuck,
}

/// All that became of one connection's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Course {
    pub(crate) steps: Vec<Step>,
    pub(crate) end: End,
}

impl Told {
    /// Of a message that was read; its target may be in absolute form.
    pub(crate) fn of(message: &Message) -> Self {
        let (method, target) = message.first.split_once(' ').unwrap_or_default();
        let (authority, target) = split(method, target);
        let named = message.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
        let hops: Vec<String> =
            named.flat_map(|(_, list)| list.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect();
        let host = message.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = authority.or_else(|| host.map(|(_, value)| value.clone()));
        let small = message.fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        let mut fields: Vec<_> = small.filter(|(name, _)| !is_each_hops_own(name)).collect();
        fields.sort();
        let data = message.data.clone();
        Self { method: method.to_owned(), target, host, fields, data, framing: message.framing, hops }
    }

    /// Without the fields that `Connection` named, but for those without which a message is another one.
    pub(crate) fn without_hops(mut self) -> Self {
        self.fields.retain(|(name, _)| END_TO_END.contains(&name.as_str()) || !self.hops.contains(name));
        self
    }
}

impl Course {
    /// Whether the gateway took this course where the codec says `wanted`.
    pub(crate) fn is(&self, wanted: &Self) -> bool {
        let same = |(one, other): (&Step, &Step)| match (one, other) {
            (Step::Passed(one), Step::Passed(wanted)) => one.is(wanted),
            (one, wanted) => one == wanted,
        };
        self.end == wanted.end
            && self.steps.len() == wanted.steps.len()
            && self.steps.iter().zip(&wanted.steps).all(same)
    }
}

impl Told {
    /// Whether this is what has to go on. Who names no host is given the worker's; `Connection` is another matter at
    /// each hop; no body may be said or not said.
    fn is(&self, wanted: &Self) -> bool {
        let none = |framing| matches!(framing, Framing::None | Framing::Length(0));
        let framing = self.framing == wanted.framing || (none(self.framing) && none(wanted.framing));
        let host = if wanted.host.is_none() { self.host.is_some() } else { self.host == wanted.host };
        let line = (&self.method, &self.target) == (&wanted.method, &wanted.target);
        line && host && framing && self.fields == wanted.fields && self.data == wanted.data
    }
}

/// Authority and path of a target.
fn split(method: &str, target: &str) -> (Option<String>, String) {
    let rest = target.split_once("://").map(|(_, rest)| rest).filter(|_| !target.starts_with('/'));
    let Some(rest) = rest.filter(|_| method != "CONNECT") else { return (None, target.to_owned()) };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let path = match &rest[end..] {
        "" if method == "OPTIONS" => "*".to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("/{path}"),
    };
    (Some(rest[..end].to_owned()), path)
}

/// Made anew at every hop, or said by gateways for themselves; other tests look at what ours says.
pub(crate) fn is_each_hops_own(name: &str) -> bool {
    let families = ["proxy-", "x-forwarded-", "ambidex-", "endpoint-load-metrics"];
    families.iter().any(|family| name.starts_with(family)) || EACH_HOPS_OWN.contains(&name)
}

const EACH_HOPS_OWN: [&str; 18] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "server-load",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
    "x-request-id",
];

/// What `Connection` cannot take away.
const END_TO_END: [&str; 6] =
    ["authorization", "cache-control", "content-encoding", "content-type", "cookie", "set-cookie"];
