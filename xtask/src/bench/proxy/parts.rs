//! The rows of `bench proxy`: what is asked for, on how many threads, and how much of a peer's cost it may be.
//!
//! Goals stand for the ratio of ours to the peer's. Where the project's table names no peer, HAProxy is meant.

use anyhow::{Result, bail};

use crate::bench::rows::Bound;

/// One row: its name on the command line, what it is, and its goals.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Threads that serve, in every balancer.
    pub(super) threads: u32,
    pub(super) way: Way,
    pub(super) bounds: &'static [Bound],
}

/// How a row is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// HTTP/1 by wrk.
    Plain { path: &'static str, bytes: usize, connection_each: bool },
    /// HTTP/2 without TLS, known beforehand, by h2load.
    Http2,
    /// TLS 1.3 by our own generator.
    Tls { connection_each: bool },
    /// Resident memory with idle connections.
    Memory,
    /// Latency that is added at half the most that the slowest can carry.
    Latency,
}

const fn plain(path: &'static str, bytes: usize) -> Way {
    Way::Plain { path, bytes, connection_each: false }
}

const fn at_most(peer: &'static str, most: f64) -> Bound {
    Bound { peer, most, stretch: None }
}

pub(super) const PARTS: [Part; 10] = [
    Part {
        name: "200B",
        what: "CPU per request, 200 B, 1 thread",
        threads: 1,
        way: plain("/", 200),
        bounds: &[
            Bound { peer: "haproxy", most: 0.80, stretch: Some(0.75) },
            at_most("nginx", 0.82),
            at_most("envoy", 0.25),
        ],
    },
    Part {
        name: "16K",
        what: "CPU per request, 16 KiB",
        threads: 1,
        way: plain("/16k", 16 << 10),
        bounds: &[at_most("haproxy", 0.70)],
    },
    Part {
        name: "1M",
        what: "CPU per request, 1 MiB",
        threads: 1,
        way: plain("/1m", 1 << 20),
        bounds: &[at_most("haproxy", 0.60)],
    },
    Part {
        name: "connection",
        what: "CPU per request, a connection each",
        threads: 1,
        way: Way::Plain { path: "/", bytes: 200, connection_each: true },
        bounds: &[at_most("haproxy", 1.0)],
    },
    Part {
        name: "h2",
        what: "CPU per request, HTTP/2 to HTTP/1, 200 B",
        threads: 1,
        way: Way::Http2,
        bounds: &[at_most("haproxy", 1.25), at_most("envoy", 0.40)],
    },
    Part {
        name: "tls",
        what: "CPU per request, TLS 1.3 keep-alive, 200 B",
        threads: 1,
        way: Way::Tls { connection_each: false },
        bounds: &[at_most("haproxy", 1.0)],
    },
    Part {
        name: "tls-new",
        what: "CPU per request, TLS 1.3, a full handshake each",
        threads: 1,
        way: Way::Tls { connection_each: true },
        bounds: &[at_most("haproxy", 1.0)],
    },
    Part { name: "latency", what: "latency added, 200 B", threads: 1, way: Way::Latency, bounds: &[] },
    Part {
        name: "memory",
        what: "RSS with 1,000 idle connections",
        threads: 1,
        way: Way::Memory,
        bounds: &[at_most("haproxy", 0.70)],
    },
    Part {
        name: "200B-2",
        what: "CPU per request, 200 B, 2 threads",
        threads: 2,
        way: plain("/", 200),
        bounds: &[at_most("haproxy", 0.80)],
    },
];

/// The rows that `--only` names, separated by commas; all without it.
pub(super) fn chosen(only: Option<&str>) -> Result<Vec<&'static Part>> {
    let Some(only) = only else { return Ok(PARTS.iter().collect()) };
    let names: Vec<&str> = only.split(',').collect();
    for name in &names {
        if !PARTS.iter().any(|part| part.name.eq_ignore_ascii_case(name)) {
            let known: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
            bail!("there is no row `{name}`: write some of {}", known.join(","));
        }
    }
    Ok(PARTS.iter().filter(|part| names.iter().any(|name| part.name.eq_ignore_ascii_case(name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_by_their_whole_name_and_unknown_ones_are_refused_with_the_known() {
        let names = |only| chosen(only).map(|parts| parts.iter().map(|part| part.name).collect::<Vec<_>>());
        assert_eq!(names(Some("200b")).expect("a row"), ["200B"]);
        assert_eq!(names(Some("memory,h2")).expect("two rows"), ["h2", "memory"]);
        assert_eq!(names(None).expect("all").len(), PARTS.len());
        let error = names(Some("200")).expect_err("no row").to_string();
        assert!(error.contains("200B-2"), "{error}");
    }
}
