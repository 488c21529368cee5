//! What a field of a log says, and by which names products call it.
//!
//! One table serves every format: names of nginx's variables, of Envoy's operators, and of keys in lines of JSON are all names. Of
//! several names for one thing the first in the table that a line has is taken; `-` and nothing are not had.

/// What a field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// When.
    Time,
    /// Method, target and version in one: `GET /a HTTP/1.1`.
    Request,
    /// The method.
    Method,
    /// The path, with or without a query; or the whole URL.
    Path,
    /// The status that the client got.
    Status,
    /// The statuses of the servers that were asked.
    TryStatus,
    /// The servers that were asked: one, or several tries.
    Node,
    /// The machine that wrote the line, or the address that it listens on.
    Server,
    /// The virtual host.
    VirtualHost,
    /// The host that was asked for.
    Host,
    /// The pool, cluster or backend.
    Service,
    /// How long the request took.
    Took,
    /// How long the servers took.
    TryTook,
    /// Bytes of the answer.
    Bytes,
    /// The client's address.
    Client,
    /// The client's address, as a proxy before this one says it.
    Forwarded,
    /// `User-Agent`.
    Agent,
    /// The instance that sent it to the node: a gateway, a pod of another service.
    Caller,
    /// Which service that is of.
    CallerService,
    /// One of the attributes that the user named, by number.
    Extra(u8),
}

/// In what a time is written that has no unit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) field: Field,
    /// Of several names for one field, the least that is there.
    pub(super) rank: u8,
    /// `None`: the name does not say it.
    pub(super) unit: Option<Unit>,
}

impl Field {
    /// How many fields there are at most.
    pub(super) const COUNT: usize = 19 + MOST_EXTRAS;

    /// Its place among all.
    pub(super) fn index(self) -> usize {
        match self {
            Self::Time => 0,
            Self::Request => 1,
            Self::Method => 2,
            Self::Path => 3,
            Self::Status => 4,
            Self::TryStatus => 5,
            Self::Node => 6,
            Self::Server => 7,
            Self::VirtualHost => 8,
            Self::Host => 9,
            Self::Service => 10,
            Self::Took => 11,
            Self::TryTook => 12,
            Self::Bytes => 13,
            Self::Client => 14,
            Self::Forwarded => 15,
            Self::Agent => 16,
            Self::Caller => 17,
            Self::CallerService => 18,
            Self::Extra(number) => 19 + usize::from(number).min(MOST_EXTRAS - 1),
        }
    }

    /// A field by the name that a mapping calls it.
    pub(super) fn named(name: &str) -> Option<Self> {
        MAPPED.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
    }

    /// Whether several tries of one request stand in it, as nginx writes them.
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::Node | Self::TryStatus | Self::TryTook)
    }
}

impl Unit {
    /// Seconds of one.
    pub(super) fn seconds(self) -> f64 {
        match self {
            Self::Seconds => 1.0,
            Self::Millis => 1e-3,
            Self::Micros => 1e-6,
            Self::Nanos => 1e-9,
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [
            ("s", Self::Seconds),
            ("ms", Self::Millis),
            ("us", Self::Micros),
            ("\u{b5}s", Self::Micros),
            ("ns", Self::Nanos),
        ]
        .into_iter()
        .find(|(known, _)| *known == name)
        .map(|(_, unit)| unit)
    }
}

/// What a name stands for by the table; `None` of a name that stands for nothing here.
pub(super) fn target(name: &str) -> Option<Target> {
    let at = NAMES.iter().position(|(known, _, _)| *known == name)?;
    Some(target_at(at))
}

/// By which names a mapping calls fields.
pub(super) fn mapped_names() -> impl Iterator<Item = &'static str> {
    MAPPED.iter().map(|(name, _)| *name)
}

/// All names that the table has.
pub(super) fn targets() -> impl Iterator<Item = (&'static str, Target)> {
    NAMES.iter().enumerate().map(|(at, (name, _, _))| (*name, target_at(at)))
}

fn target_at(at: usize) -> Target {
    let (_, field, unit) = NAMES[at];
    let rank = NAMES[..at].iter().filter(|(_, other, _)| *other == field).count();
    // What the user names comes before all names of the table.
    Target { field, rank: u8::try_from(rank + 1).unwrap_or(u8::MAX), unit }
}

/// By which names a mapping calls fields.
const MAPPED: [(&str, Field); 19] = [
    ("time", Field::Time),
    ("request", Field::Request),
    ("method", Field::Method),
    ("path", Field::Path),
    ("status", Field::Status),
    ("node_status", Field::TryStatus),
    ("node", Field::Node),
    ("server", Field::Server),
    ("virtual_host", Field::VirtualHost),
    ("host", Field::Host),
    ("service", Field::Service),
    ("duration", Field::Took),
    ("node_duration", Field::TryTook),
    ("bytes", Field::Bytes),
    ("client", Field::Client),
    ("forwarded", Field::Forwarded),
    ("user_agent", Field::Agent),
    ("caller", Field::Caller),
    ("caller_service", Field::CallerService),
];

/// Attributes that a user may name. Source: ours; each is looked at for every node, every hour.
pub(super) const MOST_EXTRAS: usize = 8;

const S: Option<Unit> = Some(Unit::Seconds);
const MS: Option<Unit> = Some(Unit::Millis);
const US: Option<Unit> = Some(Unit::Micros);
const NS: Option<Unit> = Some(Unit::Nanos);

/// Sources: nginx's variables, Envoy's operators and the keys of its JSON logs, the fields of Traefik's, Caddy's, HAProxy's and our
/// own logs, and of load balancers that clouds sell. A dot stands for a key within an object.
const NAMES: &[(&str, Field, Option<Unit>)] = &[
    ("msec", Field::Time, None),
    ("time_iso8601", Field::Time, None),
    ("time_local", Field::Time, None),
    ("StartUTC", Field::Time, None),
    ("StartLocal", Field::Time, None),
    ("start_time", Field::Time, None),
    ("ts", Field::Time, None),
    ("@timestamp", Field::Time, None),
    ("timestamp", Field::Time, None),
    ("time", Field::Time, None),
    ("datetime", Field::Time, None),
    ("date_time", Field::Time, None),
    ("accept_date", Field::Time, None),
    ("request_date", Field::Time, None),
    ("date", Field::Time, None),
    ("request", Field::Request, None),
    ("request_line", Field::Request, None),
    ("http_request", Field::Request, None),
    ("request_method", Field::Method, None),
    ("method", Field::Method, None),
    ("RequestMethod", Field::Method, None),
    ("request.method", Field::Method, None),
    ("httpRequest.requestMethod", Field::Method, None),
    ("http_method", Field::Method, None),
    (":method", Field::Method, None),
    ("verb", Field::Method, None),
    ("request_uri", Field::Path, None),
    ("x_envoy_original_path", Field::Path, None),
    ("path", Field::Path, None),
    ("uri", Field::Path, None),
    ("RequestPath", Field::Path, None),
    ("request.uri", Field::Path, None),
    ("httpRequest.requestUrl", Field::Path, None),
    ("request_path", Field::Path, None),
    ("http_path", Field::Path, None),
    (":path", Field::Path, None),
    ("url", Field::Path, None),
    ("target", Field::Path, None),
    ("status", Field::Status, None),
    ("response_code", Field::Status, None),
    ("DownstreamStatus", Field::Status, None),
    ("status_code", Field::Status, None),
    ("httpRequest.status", Field::Status, None),
    ("http_status", Field::Status, None),
    ("statusCode", Field::Status, None),
    ("response.status", Field::Status, None),
    ("code", Field::Status, None),
    ("upstream_status", Field::TryStatus, None),
    ("OriginStatus", Field::TryStatus, None),
    ("upstream_addr", Field::Node, None),
    ("upstream_host", Field::Node, None),
    ("ServiceAddr", Field::Node, None),
    ("ServiceURL", Field::Node, None),
    ("ServiceURL.Host", Field::Node, None),
    ("worker", Field::Node, None),
    ("upstream", Field::Node, None),
    ("upstream_address", Field::Node, None),
    ("upstream_hostport", Field::Node, None),
    ("httpRequest.serverIp", Field::Node, None),
    ("backend_server", Field::Node, None),
    ("backend_addr", Field::Node, None),
    ("server_url", Field::Node, None),
    ("env_balancer_worker_name", Field::Node, None),
    ("instance", Field::Node, None),
    ("node", Field::Node, None),
    ("pod", Field::Node, None),
    ("server_addr", Field::Server, None),
    ("server_ip", Field::Server, None),
    ("hostname", Field::Server, None),
    ("server", Field::Server, None),
    ("server_name", Field::VirtualHost, None),
    ("vhost", Field::VirtualHost, None),
    ("virtual_host", Field::VirtualHost, None),
    ("http_host", Field::Host, None),
    ("host", Field::Host, None),
    ("authority", Field::Host, None),
    (":authority", Field::Host, None),
    ("RequestHost", Field::Host, None),
    ("request.host", Field::Host, None),
    ("proxy_upstream_name", Field::Service, None),
    ("upstream_cluster", Field::Service, None),
    ("upstream_cluster_raw", Field::Service, None),
    ("upstream_name", Field::Service, None),
    ("ServiceName", Field::Service, None),
    ("pool", Field::Service, None),
    ("backend_name", Field::Service, None),
    ("backend", Field::Service, None),
    ("env_balancer_name", Field::Service, None),
    ("proxy_host", Field::Service, None),
    ("service", Field::Service, None),
    ("service_name", Field::Service, None),
    ("request_time", Field::Took, S),
    ("duration_ms", Field::Took, MS),
    ("Duration", Field::Took, NS),
    ("httpRequest.latency", Field::Took, S),
    ("duration_s", Field::Took, S),
    ("duration_us", Field::Took, US),
    ("duration_ns", Field::Took, NS),
    ("request_time_ms", Field::Took, MS),
    ("request_time_us", Field::Took, US),
    ("latency_ms", Field::Took, MS),
    ("elapsed_ms", Field::Took, MS),
    ("time_active", Field::Took, MS),
    ("Ta", Field::Took, MS),
    ("duration", Field::Took, None),
    ("request_duration", Field::Took, None),
    ("response_time", Field::Took, None),
    ("latency", Field::Took, None),
    ("elapsed", Field::Took, None),
    ("time_taken", Field::Took, None),
    ("took", Field::Took, None),
    ("upstream_response_time", Field::TryTook, S),
    ("upstream_ms", Field::TryTook, MS),
    ("OriginDuration", Field::TryTook, NS),
    ("upstream_service_time", Field::TryTook, MS),
    ("x_envoy_upstream_service_time", Field::TryTook, MS),
    ("target_processing_time", Field::TryTook, S),
    ("backend_processing_time", Field::TryTook, S),
    ("upstream_duration_ms", Field::TryTook, MS),
    ("upstream_time_ms", Field::TryTook, MS),
    ("Tr", Field::TryTook, MS),
    ("upstream_duration", Field::TryTook, None),
    ("upstream_latency", Field::TryTook, None),
    ("upstream_time", Field::TryTook, None),
    ("body_bytes_sent", Field::Bytes, None),
    ("bytes_sent", Field::Bytes, None),
    ("DownstreamContentSize", Field::Bytes, None),
    ("bytes", Field::Bytes, None),
    ("size", Field::Bytes, None),
    ("httpRequest.responseSize", Field::Bytes, None),
    ("response_size", Field::Bytes, None),
    ("bytes_read", Field::Bytes, None),
    ("content_length", Field::Bytes, None),
    ("request.client_ip", Field::Client, None),
    ("request.remote_ip", Field::Client, None),
    ("remote_addr", Field::Client, None),
    ("ClientHost", Field::Client, None),
    ("ClientAddr", Field::Client, None),
    ("client", Field::Client, None),
    ("client_ip", Field::Client, None),
    ("remote_ip", Field::Client, None),
    ("client_addr", Field::Client, None),
    ("client_port", Field::Client, None),
    ("downstream_remote_address", Field::Client, None),
    ("httpRequest.remoteIp", Field::Client, None),
    ("remote_host", Field::Client, None),
    ("http_x_forwarded_for", Field::Forwarded, None),
    ("x_forwarded_for", Field::Forwarded, None),
    ("request_X-Forwarded-For", Field::Forwarded, None),
    ("request.headers.X-Forwarded-For", Field::Forwarded, None),
    ("forwarded_for", Field::Forwarded, None),
    ("xff", Field::Forwarded, None),
    ("http_user_agent", Field::Agent, None),
    ("user_agent", Field::Agent, None),
    ("request_User-Agent", Field::Agent, None),
    ("request.headers.User-Agent", Field::Agent, None),
    ("httpRequest.userAgent", Field::Agent, None),
    ("agent", Field::Agent, None),
    ("userAgent", Field::Agent, None),
    ("useragent", Field::Agent, None),
    ("caller", Field::Caller, None),
    ("caller_instance", Field::Caller, None),
    ("source_instance", Field::Caller, None),
    ("source_pod", Field::Caller, None),
    ("gateway", Field::Caller, None),
    ("caller_service", Field::CallerService, None),
    ("source_service", Field::CallerService, None),
    ("source_workload", Field::CallerService, None),
    ("source_app", Field::CallerService, None),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_name_stands_for_two_things_and_no_two_fields_share_a_place() {
        let names: HashSet<_> = NAMES.iter().map(|(name, _, _)| name).collect();
        assert_eq!(names.len(), NAMES.len());
        let places: HashSet<_> = MAPPED.iter().map(|(_, field)| field.index()).collect();
        assert_eq!(places.len(), 19);
        assert!(places.iter().all(|place| *place < Field::Extra(0).index()));
        assert!(Field::Extra(200).index() < Field::COUNT);
    }

    #[test]
    fn names_of_one_field_are_taken_in_the_order_of_the_table() {
        let rank = |name| target(name).map(|target| target.rank);
        assert!(rank("request_uri") < rank("uri"));
        assert!(rank("duration_ms") < rank("duration"));
        assert_eq!(target("no_such_name"), None);
    }
}
