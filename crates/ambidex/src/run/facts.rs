//! The gateway's numbers, in the form in which the coordinator serves them at `/metrics`.

use ambidex_control::facts::{Family, GatewayFacts, Kind};
use ambidex_gateway::{
    CacheStats, GatewayStats, KeyStats, KeyedTotals, LimitStats, ListenerStats, MirrorStats, Reason, TableStats, Totals,
};
use ambidex_store::remote::RemoteStatus;

use super::Runs;
use super::host::Host;
use crate::agent::Agent;

impl<S: Runs> GatewayFacts for Host<S> {
    fn families(&self) -> Vec<Family> {
        let Some(system) = self.system() else { return Vec::new() };
        let mut families = system.families();
        families.push(gauge(
            "config_refused",
            "1 while what the configuration file says was refused, and the last good one stays",
            f64::from(u8::from(self.refused())),
        ));
        families
    }
}

/// The numbers of a gateway, and of the agent before it.
pub(crate) fn of_gateway(stats: &GatewayStats, agent: Option<&Agent>) -> Vec<Family> {
    let listeners = LISTENER.iter().map(|of| of.family(&stats.listeners));
    let (log, spans) = (&stats.access_log, &stats.tracing);
    let log = [("written", log.written), ("dropped", log.dropped), ("failed", log.failed)];
    let taken = &stats.recording;
    let recorded =
        [("written", taken.written), ("dropped", taken.dropped), ("failed", taken.failed), ("beyond", taken.beyond)];
    let spans = [("sent", spans.sent), ("dropped", spans.dropped), ("failed", spans.failed)];
    listeners
        .chain([
            outcomes("gateway_access_log_lines", "Lines of the access log, by what became of them", log),
            outcomes("gateway_recorded", "Requests drawn for the recording, by what became of them", recorded),
            outcomes("gateway_spans", "Spans for the collector, by what became of them", spans),
        ])
        .chain(traffic(&stats.traffic))
        .chain(keyed(&stats.traffic.keyed))
        .chain(tables(&stats.tables))
        .chain(cache(&stats.cache))
        .chain(agent.map(Agent::families).unwrap_or_default())
        .chain(keys(&stats.keys))
        .chain(stats.remote.iter().flat_map(remote))
        .chain(limits(stats.limits))
        .chain(mirrors(stats.mirrors))
        .chain(stats.places_failing.map(places))
        .collect()
}

/// Name, help, and what of a table it shows.
type TableGauge = (&'static str, &'static str, fn(&TableStats) -> f64);

/// What the gateway goes by, for each keyspace; nothing without any.
fn tables(stats: &[TableStats]) -> Vec<Family> {
    let gauges: [TableGauge; 4] = [
        ("gateway_table_revision", "The metadata store's revision of the table that requests go by; 0 without", |of| {
            of.revision as f64
        }),
        ("gateway_table_slices", "Slices of that table", |of| of.slices as f64),
        ("gateway_table_sealed", "Those for which requests wait now", |of| of.sealed as f64),
        ("gateway_table_epoch", "The highest epoch of its slices", |of| of.epoch as f64),
    ];
    let family = |(name, help, figure): TableGauge| {
        let sample = |of: &TableStats| (vec![("keyspace", of.keyspace.to_string())], figure(of));
        Family { name, help, kind: Kind::Gauge, samples: stats.iter().map(sample).collect() }
    };
    gauges.into_iter().map(family).filter(|family| !family.samples.is_empty()).collect()
}

/// One number without labels.
fn gauge(name: &'static str, help: &'static str, value: f64) -> Family {
    Family { name, help, kind: Kind::Gauge, samples: vec![(Vec::new(), value)] }
}

/// One counter for each way a thing can end.
fn outcomes<const N: usize>(name: &'static str, help: &'static str, counts: [(&str, u64); N]) -> Family {
    let sample = |(outcome, count): (&str, u64)| (vec![("outcome", outcome.to_owned())], count as f64);
    Family { name, help, kind: Kind::Counter, samples: counts.into_iter().map(sample).collect() }
}

/// Requests of keyed routes, over all threads.
fn keyed(totals: &KeyedTotals) -> Vec<Family> {
    let counter =
        |name, help, count: u64| Family { name, help, kind: Kind::Counter, samples: vec![(Vec::new(), count as f64)] };
    let &KeyedTotals { asked, waited, waiting, waiting_bytes, hops, misdirected, broken, unreached, stale } = totals;
    vec![
        counter("gateway_keyed_requests", "Requests that were routed by a table of slices", asked),
        counter("gateway_keyed_waited", "Those that were not sent at once", waited),
        gauge("gateway_keyed_waiting", "Those that wait now", waiting as f64),
        gauge("gateway_keyed_waiting_bytes", "Their bytes", waiting_bytes as f64),
        counter("gateway_keyed_hops", "Their tries after the first", hops),
        counter("gateway_keyed_misdirected", "Their tries that a worker did not admit", misdirected),
        counter("gateway_keyed_broken", "Their tries whose end nobody knows", broken),
        counter("gateway_keyed_unreached", "Their tries for which no owner could be reached", unreached),
        counter("gateway_keyed_stale", "Reads that got an old answer while their slice was sealed", stale),
    ]
}

/// What became of requests, over all threads. Labels are closed sets.
fn traffic(totals: &Totals) -> Vec<Family> {
    let counter =
        |name, help, count: u64| Family { name, help, kind: Kind::Counter, samples: vec![(Vec::new(), count as f64)] };
    let labelled = |name, help, label: &'static str, counts: Vec<(&str, u64)>| {
        let sample = |(value, count): (&str, u64)| (vec![(label, value.to_owned())], count as f64);
        Family { name, help, kind: Kind::Counter, samples: counts.into_iter().map(sample).collect() }
    };
    let answers = CLASSES.into_iter().zip(totals.answers).collect();
    let refusals = Reason::ALL.iter().map(|reason| reason.word()).zip(totals.refusals.iter().copied()).collect();
    vec![
        counter("gateway_requests", "Requests that arrived", totals.requests),
        labelled("gateway_answers", "Answers to clients, by class; none: the client left", "class", answers),
        labelled("gateway_refusals", "Requests that the gateway answered itself, by reason", "reason", refusals),
        counter("gateway_answers_broken", "Answers that broke off after their head", totals.broken),
        counter("gateway_upgrades", "Connections handed over to another protocol", totals.upgrades),
        counter("gateway_request_bytes", "Bytes of request bodies", totals.bytes_in),
        counter("gateway_answer_bytes", "Bytes of answers' bodies", totals.bytes_out),
        counter("gateway_upstream_connects", "Connections opened to workers", totals.connects),
        counter("gateway_upstream_connect_failures", "Connections to workers that failed", totals.connect_failures),
        counter("gateway_upstream_reuses", "Requests sent on a connection that had served before", totals.reuses),
        counter("gateway_repairs_told", "Disagreements of quorums that a repair hook was told of", totals.repairs),
        counter("gateway_repairs_lost", "Disagreements that no repair hook could be told of", totals.repairs_lost),
    ]
}

/// What the response cache did.
fn cache(stats: &CacheStats) -> Vec<Family> {
    let requests = [
        ("hit", stats.hits),
        ("stale", stats.stale),
        ("miss", stats.misses),
        ("bypass", stats.passed),
        ("would_hit", stats.observed),
    ];
    let answers = [("stored", stats.stored), ("refused", stats.refused), ("validated", stats.validated)];
    let shared = [("hit", stats.shared_hits), ("miss", stats.shared_misses), ("failed", stats.shared_failures)];
    let resources = [("evicted", stats.evicted), ("invalidated", stats.invalidated)];
    let counter =
        |name, help, count: u64| Family { name, help, kind: Kind::Counter, samples: vec![(Vec::new(), count as f64)] };
    vec![
        outcomes("gateway_cache_requests", "Requests of routes with a cache, by what it did", requests),
        outcomes("gateway_cache_answers", "Workers' answers, by what the cache made of them", answers),
        outcomes("gateway_cache_shared", "Misses, by what the second level had for them", shared),
        outcomes("gateway_cache_removed", "Resources thrown out of the cache, by why", resources),
        counter("gateway_cache_collapsed", "Requests that waited for another one's answer", stats.collapsed),
        gauge("gateway_cache_bytes", "Bytes of answers that the cache keeps", stats.bytes as f64),
        gauge("gateway_cache_resources", "Resources of which the cache keeps an answer", stats.resources as f64),
    ]
}

/// Requests with idempotency keys, and what is kept to know them again.
fn keys(stats: &KeyStats) -> [Family; 4] {
    let sides = ["act", "observe"].into_iter().zip(&stats.outcomes);
    let samples = sides.flat_map(|(side, counts)| {
        let sample = move |(word, count): (&&str, &u64)| {
            (vec![("outcome", (*word).to_owned()), ("mode", side.to_owned())], *count as f64)
        };
        KeyStats::OUTCOMES.iter().zip(counts).map(sample)
    });
    let unwritten = vec![(Vec::new(), stats.unwritten as f64)];
    [
        Family {
            name: "idempotency_requests",
            help: "Requests with an idempotency key, by what became of them, or would have become",
            kind: Kind::Counter,
            samples: samples.collect(),
        },
        gauge("idempotency_keys", "Idempotency keys known in this process", stats.keys as f64),
        gauge("idempotency_bytes", "Bytes of idempotency keys and their answers", stats.bytes as f64),
        Family {
            name: "idempotency_records_dropped",
            help: "Records of idempotency keys that the disk did not take in time",
            kind: Kind::Counter,
            samples: unwritten,
        },
    ]
}

/// How it goes with the shared server.
fn remote(status: &RemoteStatus) -> [Family; 2] {
    let commands = [("answered", status.asked - status.failed.min(status.asked)), ("failed", status.failed)];
    [
        gauge("redis_up", "1 while the shared server can be asked", f64::from(u8::from(status.here))),
        outcomes("redis_commands", "Commands to the shared server, by what became of them", commands),
    ]
}

/// What became of requests that were to be copied for a mirror. How soon its workers answer stands with them.
fn mirrors(stats: MirrorStats) -> [Family; 2] {
    [
        outcomes(
            "gateway_mirrored",
            "Requests to be copied for a mirror, by what became of the copy",
            stats.outcomes(),
        ),
        gauge("gateway_mirrored_in_flight", "Copies for mirrors under way", stats.in_flight as f64),
    ]
}

/// How it goes with the database of clients' places.
fn places(failing: bool) -> Family {
    gauge(
        "gateway_places_failing",
        "1 while the database of clients' places cannot be used as its file is now, and the last good one stays",
        f64::from(u8::from(failing)),
    )
}

/// What rate limits remember and did; refusals are among the gateway's.
fn limits(stats: LimitStats) -> [Family; 3] {
    let counter =
        |name, help, count: u64| Family { name, help, kind: Kind::Counter, samples: vec![(Vec::new(), count as f64)] };
    [
        gauge("gateway_limit_clients", "Clients that rate limits remember", stats.clients as f64),
        counter(
            "gateway_limit_forgotten",
            "Clients that rate limits forgot, because a table was full",
            stats.forgotten,
        ),
        counter(
            "gateway_limit_watched",
            "Requests that limits would have refused, were they not observed",
            stats.watched,
        ),
    ]
}

/// Classes of answers, by the first digit of their status.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// One number of each listener.
struct OfListener {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    read: fn(&ListenerStats) -> u64,
}

impl OfListener {
    fn family(&self, listeners: &[ListenerStats]) -> Family {
        let sample = |stats: &ListenerStats| (vec![("listener", stats.address.clone())], (self.read)(stats) as f64);
        Family { name: self.name, help: self.help, kind: self.kind, samples: listeners.iter().map(sample).collect() }
    }
}

const LISTENER: [OfListener; 9] = [
    OfListener {
        name: "gateway_connections_refused_client",
        help: "Client connections refused because their client had max_connections_per_client",
        kind: Kind::Counter,
        read: |stats| stats.refused_client,
    },
    OfListener {
        name: "gateway_connections_open",
        help: "Client connections that are open",
        kind: Kind::Gauge,
        read: |stats| stats.open,
    },
    OfListener {
        name: "gateway_connections",
        help: "Client connections accepted",
        kind: Kind::Counter,
        read: |stats| stats.accepted,
    },
    OfListener {
        name: "gateway_connections_refused_full",
        help: "Client connections refused because max_connections were open",
        kind: Kind::Counter,
        read: |stats| stats.refused_full,
    },
    OfListener {
        name: "gateway_proxy_header_failures",
        help: "Client connections without a right PROXY header in time",
        kind: Kind::Counter,
        read: |stats| stats.failed_proxy_header,
    },
    OfListener {
        name: "gateway_handshake_failures",
        help: "Client connections on which no TLS was agreed in time",
        kind: Kind::Counter,
        read: |stats| stats.failed_handshake,
    },
    OfListener {
        name: "gateway_accept_failures",
        help: "Times that the system refused to hand a connection over",
        kind: Kind::Counter,
        read: |stats| stats.failed_accept,
    },
    OfListener {
        name: "gateway_connections_cut_for_flood",
        help: "Client connections cut because they sent a flood of HTTP/2 control frames",
        kind: Kind::Counter,
        read: |stats| stats.cut_for_flood,
    },
    OfListener {
        name: "gateway_connections_cut",
        help: "Client connections cut at the end of a drain",
        kind: Kind::Counter,
        read: |stats| stats.cut,
    },
];
