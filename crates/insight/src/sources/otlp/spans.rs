//! Spans as requests: one of kind server or consumer is a request of the node that its resource is.

use ambidex_core::time::Span as Took;

use super::Otlp;
use super::messages::{Span, Traces};
use super::resource::{NODES, PEERS, attributes, identity, labels, peer, texts};
use crate::history::{At, Caller};
use crate::sources::pushed::{Labels, Seen, View, first, of};
use crate::sources::route;

impl Otlp {
    /// Takes spans.
    pub(crate) fn traces(&mut self, traces: &Traces) {
        for group in &traces.resource_spans {
            let texts = texts(attributes(group.resource.as_ref()));
            let resource = labels(&texts);
            let own = identity(&resource, &self.options);
            for span in group.scope_spans.iter().flat_map(|scope| &scope.spans) {
                self.span(span, &resource, own.as_ref());
            }
        }
    }

    fn span(&mut self, span: &Span, resource: Labels<'_>, own: Option<&super::Identity>) {
        let counts = match self.options.view {
            View::Server => matches!(span.kind, SERVER | CONSUMER),
            View::Client => matches!(span.kind, CLIENT | PRODUCER),
        };
        if !counts {
            self.tally.other_spans += 1;
            return;
        }
        let texts = texts(&span.attributes);
        let all = labels(&texts);
        let asked = match self.options.view {
            View::Server => None,
            View::Client => peer(&all, &self.options),
        };
        let of_whom = match self.options.view {
            View::Server => own,
            View::Client => asked.as_ref(),
        };
        let Some(of_whom) = of_whom else {
            self.tally.nowhere += 1;
            return;
        };
        let Some(at) = moment(span.end_time_unix_nano) else {
            self.tally.timeless += 1;
            return;
        };
        let took = span.end_time_unix_nano.checked_sub(span.start_time_unix_nano);
        let took = took.filter(|_| span.start_time_unix_nano > 0).map(Took::from_nanos);
        if took.is_none() {
            self.tally.backwards += 1;
        }
        let mut path = std::mem::take(&mut self.path);
        path_of(&all, &span.name, &mut path);
        let values = values(&self.told_apart, &all, resource);
        let failed = span.status.as_ref().is_some_and(|status| status.code == FAILED) || server_failed(&all);
        let caller = match (self.options.view, own) {
            // Who asked tells it himself.
            (View::Client, Some(own)) => Caller::named(own.peers.service.as_deref(), Some(&own.name)),
            (View::Client, None) => Caller::named(None, None),
            (View::Server, _) => Caller::named(None, first(&all, CALLERS)),
        };
        self.pushed.seen(of_whom, &Seen { at, route: &path, failed, took, values: &values, caller });
        self.path = path;
    }
}

/// Values of the attributes that requests are told apart by: of the request itself, or of what it belongs to.
pub(super) fn values<'a>(
    told_apart: &'a [(String, Vec<String>)],
    own: Labels<'a>,
    resource: Labels<'a>,
) -> Vec<(&'a str, &'a str)> {
    let value = |names: &[String]| names.iter().find_map(|name| of(own, name).or_else(|| of(resource, name)));
    told_apart.iter().filter_map(|(label, names)| Some((label.as_str(), value(names)?))).collect()
}

/// What a request was for: of HTTP its method and route, of others what was called or where a message came from.
pub(super) fn path_of(all: Labels<'_>, name: &str, out: &mut String) {
    out.clear();
    let method = first(all, &["http.request.method", "http.method"]);
    if let (Some(method), Some(path)) = (method, of(all, "http.route")) {
        out.push_str(route::known(method));
        out.push(' ');
        out.push_str(cut(path));
    } else if let (Some(method), Some(path)) =
        (method, first(all, &["url.path", "http.target", "url.full", "http.url"]))
    {
        route::template(method, path, out);
    } else if let Some(method) = of(all, "rpc.method") {
        if let Some(service) = of(all, "rpc.service") {
            out.push_str(cut(service));
            out.push('/');
        }
        out.push_str(cut(method));
    } else if let Some(from) =
        first(all, &["messaging.destination.template", "messaging.destination.name", "messaging.destination"])
    {
        out.push_str(first(all, &["messaging.operation.type", "messaging.operation"]).unwrap_or("process"));
        out.push(' ');
        out.push_str(cut(from));
    } else {
        out.push_str(cut(name));
    }
}

/// Whether attributes say that the server failed.
pub(super) fn server_failed(all: Labels<'_>) -> bool {
    if let Some(status) = first(all, &["http.response.status_code", "http.status_code"]) {
        return status.len() == 3 && status.starts_with('5');
    }
    if let Some(code) = of(all, "rpc.grpc.status_code") {
        return GRPC_FAILURES.contains(&code);
    }
    of(all, "error.type").is_some()
}

/// A name that is not too long to be kept.
fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(LONGEST_NAME).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// A moment in nanoseconds since 1970; `None` of one that is not said.
pub(super) fn moment(nanos: u64) -> Option<At> {
    i64::try_from(nanos / 1_000_000).ok().filter(|millis| *millis > 0).map(At)
}

/// What an attribute that names a node may be, for an error.
pub(super) fn names(view: View) -> String {
    match view {
        View::Server => NODES.join(", "),
        View::Client => PEERS.join(", "),
    }
}

/// Attributes that name whose connection a request came by. Whoever is behind that (`client.address`) did not choose the node.
const CALLERS: &[&str] = &["network.peer.address", "net.sock.peer.addr", "net.peer.ip"];
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;
const FAILED: i32 = 2;
/// gRPC's codes that are the server's failure: unknown, deadline exceeded, unimplemented, internal, unavailable, data loss. Source:
/// OpenTelemetry's conventions of gRPC.
const GRPC_FAILURES: [&str; 6] = ["2", "4", "12", "13", "14", "15"];
/// Letters. Source: ours; as long as routes of logs.
const LONGEST_NAME: usize = 200;
