//! What is asked of a Prometheus by name: ready-made sets of queries, a table a file, for what is often there.
//!
//! ```text
//! {selector}  matchers that narrow all queries, such as job="node"     {rate}   over how long a counter's growth is taken
//! {by}        the labels that say which node a series is of            {range}  all of the time that is asked for
//! ```
//! A set is there when its probe has series. Rates and quotients are the server's own, so counters that began anew are its matter.

mod ambidex;
mod ambidex_host;
mod envoy;
mod haproxy;
mod istio;
mod kubernetes;
mod nginx;
mod node;

use crate::history::Metric;

/// Queries that go together.
#[derive(Debug)]
pub(super) struct Set {
    /// As people choose it.
    pub(super) name: &'static str,
    /// A metric, of at most a few series a node, that is there where the set is.
    pub(super) probe: &'static str,
    /// Which labels say what.
    pub(super) labels: By,
    /// What is asked.
    pub(super) queries: &'static [Query],
    /// What a node can carry, asked once.
    pub(super) capacity: Option<&'static str>,
    /// Who sends nodes how many requests a second.
    pub(super) calls: Option<Calling>,
}

/// How requests are told apart by who sends them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calling {
    /// In PromQL, with the words in braces; by the labels below, too.
    pub(super) promql: &'static str,
    /// The label that names the instance; `None`: only services are told apart.
    pub(super) instance: Option<&'static str>,
    /// Labels that name the calling service, joined by `/`.
    pub(super) service: &'static [&'static str],
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    /// By the name that [`Metric::of`] knows.
    pub(super) metric: &'static str,
    /// In PromQL, with the words in braces.
    pub(super) promql: &'static str,
    /// What makes our unit of theirs.
    pub(super) factor: f64,
}

/// Which labels say of which node a series is, and whom it is compared with. Of several the first that is there counts, and of a
/// service all that are there, joined by `/`.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    pub(super) node: &'static [&'static str],
    pub(super) service: &'static [&'static str],
    pub(super) version: &'static [&'static str],
    /// The node is a pod, whose workload is its service.
    pub(super) pods: bool,
}

pub(super) use self::kubernetes::{OWNERS, PLACES, ZONES_OF_NODES};

/// All of them.
pub(super) const SETS: [&Set; 10] = [
    &node::NODE,
    &kubernetes::KUBERNETES,
    &istio::ISTIO,
    &envoy::ENVOY,
    &haproxy::BUILT_IN,
    &haproxy::EXPORTER,
    &nginx::STATUS,
    &nginx::VTS,
    &ambidex::AMBIDEX,
    &ambidex_host::AMBIDEX_HOST,
];

/// Labels that say in which zone a node stands, in the order in which they are believed.
pub(super) const ZONES: [&str; 5] =
    ["zone", "availability_zone", "az", "topology_kubernetes_io_zone", "failure_domain_beta_kubernetes_io_zone"];

/// In the unit that is ours.
const fn plain(metric: &'static str, promql: &'static str) -> Query {
    Query { metric, promql, factor: 1.0 }
}

/// Of proxies that count what they send themselves: who is scraped is who calls.
const fn by_instance(promql: &'static str) -> Calling {
    Calling { promql, instance: Some("instance"), service: &[] }
}

/// In milliseconds.
const fn millis(metric: &'static str, promql: &'static str) -> Query {
    Query { metric, promql, factor: 0.001 }
}

impl Query {
    /// What it is a figure of.
    pub(super) fn of(&self) -> Metric {
        Metric::of(self.metric)
    }
}

#[cfg(test)]
mod tests;
