//! What Envoys count, summed up over all of them.
//!
//! ```text
//! Envoy 1: every second, what it counted ──┐
//! Envoy 2: likewise, at other moments    ──┼─> newest of each, while it is fresh ──(once a period)──> one sum per endpoint
//! ```
//!
//! Load reports name only endpoints that had a request. One that an Envoy has left out of a cluster that it did report
//! had none there, and is counted with zero: silence of the Envoy is one thing, an idle worker another.
//!
//! xDS carries no latency. Two ways make up for it: ORCA figures of the endpoints, where they send such and the cluster
//! lists them; and Little's law, mean latency = requests under way / requests a second, both averaged over some periods
//! because a count of what is under way is one sample of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ambidex_core::time::{Mono, Span};
use ambidex_core::view::Address;

use crate::encode::grpc::endpoint_of;
use crate::encode::read_address;
use crate::limits::Limits;
use crate::proto::load::{ClusterStats, UpstreamEndpointStats, UpstreamLocalityStats};

/// One cluster, over all Envoys that reported it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterLoad {
    /// Its name.
    pub cluster: Arc<str>,
    /// How many Envoys told.
    pub envoys: usize,
    /// Its endpoints.
    pub endpoints: Vec<EndpointLoad>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointLoad {
    /// Which.
    pub address: Address,
    /// Requests that ended a second.
    pub rate: f64,
    /// How many ended; what the share of failures rests on.
    pub samples: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Requests under way when the reports were made.
    pub in_progress: u64,
    /// Mean latency by Little's law; `None` while too little is known.
    pub latency: Option<Span>,
    /// Means of the figures of its ORCA reports, by their names.
    pub metrics: BTreeMap<Arc<str>, f64>,
}

/// Who reports: one stream.
pub type Reporter = u64;

/// The newest reports of all Envoys.
#[derive(Debug)]
pub struct Loads {
    limits: Limits,
    /// How often they report.
    period: Span,
    reports: HashMap<(Reporter, Arc<str>), Report>,
    /// What Little's law needs, by cluster and endpoint.
    averages: HashMap<Arc<str>, HashMap<Address, Average>>,
}

#[derive(Debug)]
struct Report {
    at: Mono,
    over: Span,
    endpoints: HashMap<Address, Counted>,
}

#[derive(Clone, Debug, Default)]
struct Counted {
    succeeded: u64,
    failed: u64,
    in_progress: u64,
    metrics: Vec<(Arc<str>, u64, f64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Average {
    in_progress: f64,
    rate: f64,
    /// How much of the average is there: 0 at first, then towards 1.
    filled: f64,
}

impl Loads {
    /// Nothing yet, from Envoys that report once a `period`.
    #[must_use]
    pub fn new(period: Span, limits: Limits) -> Self {
        Self { limits, period, reports: HashMap::new(), averages: HashMap::new() }
    }

    /// Takes in what one Envoy counted. `known` says whether a name is a cluster of ours: of others nothing is kept.
    pub fn take(&mut self, now: Mono, from: Reporter, stats: Vec<ClusterStats>, known: impl Fn(&str) -> bool) {
        let mut left = self.limits.most_reported;
        for cluster in stats {
            let named = if cluster.cluster_service_name.is_empty() {
                cluster.cluster_name
            } else {
                cluster.cluster_service_name
            };
            if !known(&named) {
                continue;
            }
            let said =
                cluster.load_report_interval.map_or(0.0, |said| said.seconds as f64 + f64::from(said.nanos) / 1e9);
            let over = if said > 0.0 { Span::from_secs_f64(said) } else { self.period };
            let mut endpoints = HashMap::new();
            let stats = cluster.upstream_locality_stats.into_iter().flat_map(by_endpoint);
            for (address, endpoint) in stats.take(left) {
                endpoints.insert(address, counted(endpoint, self.limits.most_metrics));
            }
            left -= endpoints.len().min(left);
            self.reports.insert((from, named.into()), Report { at: now, over, endpoints });
        }
    }

    /// An Envoy is gone.
    pub fn forget(&mut self, from: Reporter) {
        self.reports.retain(|(reporter, _), _| *reporter != from);
    }

    /// The sums of what is fresh, with an entry for each endpoint of a reported cluster. `endpoints` gives those of a
    /// cluster, `None` when it is gone. To be called once a period.
    pub fn sum(&mut self, now: Mono, endpoints: impl Fn(&str) -> Option<Vec<Address>>) -> Vec<ClusterLoad> {
        let fresh = self.period.times(PERIODS_FRESH);
        self.reports.retain(|_, report| now.since(report.at) <= fresh);
        let mut clusters: BTreeMap<Arc<str>, Vec<&Report>> = BTreeMap::new();
        for ((_, cluster), report) in &self.reports {
            clusters.entry(Arc::clone(cluster)).or_default().push(report);
        }
        self.averages.retain(|cluster, _| clusters.contains_key(cluster));
        let mut out = Vec::with_capacity(clusters.len());
        for (cluster, reports) in clusters {
            let Some(addresses) = endpoints(&cluster) else { continue };
            let averages = self.averages.entry(Arc::clone(&cluster)).or_default();
            let mut kept = HashMap::with_capacity(addresses.len());
            let mut load = Vec::with_capacity(addresses.len());
            for address in addresses {
                let mut average = averages.get(&address).copied().unwrap_or_default();
                load.push(summed(address.clone(), &reports, &mut average));
                kept.insert(address, average);
            }
            *averages = kept;
            out.push(ClusterLoad { cluster, envoys: reports.len(), endpoints: load });
        }
        out
    }
}

/// What a client counted of a locality, endpoint by endpoint. gRPC's clients count localities alone, of which we gave each
/// endpoint its own.
fn by_endpoint(mut locality: UpstreamLocalityStats) -> Vec<(Address, UpstreamEndpointStats)> {
    let endpoints = std::mem::take(&mut locality.upstream_endpoint_stats);
    if let Some(address) = locality.locality.as_ref().and_then(endpoint_of).filter(|_| endpoints.is_empty()) {
        let stats = UpstreamEndpointStats {
            address: None,
            total_successful_requests: locality.total_successful_requests,
            total_requests_in_progress: locality.total_requests_in_progress,
            total_error_requests: locality.total_error_requests,
            load_metric_stats: locality.load_metric_stats,
            total_issued_requests: 0,
        };
        return vec![(address, stats)];
    }
    let known = |stats: UpstreamEndpointStats| Some((stats.address.as_ref().and_then(read_address)?, stats));
    endpoints.into_iter().filter_map(known).collect()
}

fn counted(stats: UpstreamEndpointStats, most_metrics: usize) -> Counted {
    let sound = |value: f64| value.is_finite();
    let metrics = stats.load_metric_stats.into_iter().take(most_metrics);
    Counted {
        succeeded: stats.total_successful_requests,
        failed: stats.total_error_requests,
        in_progress: stats.total_requests_in_progress,
        metrics: metrics
            .filter(|metric| metric.num_requests_finished_with_metric > 0 && sound(metric.total_metric_value))
            .map(|metric| {
                (metric.metric_name.into(), metric.num_requests_finished_with_metric, metric.total_metric_value)
            })
            .collect(),
    }
}

fn summed(address: Address, reports: &[&Report], average: &mut Average) -> EndpointLoad {
    let (mut rate, mut samples, mut failed, mut in_progress) = (0.0, 0_u64, 0_u64, 0_u64);
    let mut metrics: BTreeMap<Arc<str>, (u64, f64)> = BTreeMap::new();
    for report in reports {
        let Some(counted) = report.endpoints.get(&address) else { continue };
        let ended = counted.succeeded.saturating_add(counted.failed);
        rate += ended as f64 / report.over.as_secs_f64().max(LEAST_SECONDS);
        samples = samples.saturating_add(ended);
        failed = failed.saturating_add(counted.failed);
        in_progress = in_progress.saturating_add(counted.in_progress);
        for (name, count, total) in &counted.metrics {
            let sum = metrics.entry(Arc::clone(name)).or_default();
            *sum = (sum.0.saturating_add(*count), sum.1 + total);
        }
    }
    average.take(in_progress as f64, rate);
    let metrics = metrics.into_iter().map(|(name, (count, total))| (name, total / count as f64)).collect();
    EndpointLoad { address, rate, samples, failed, in_progress, latency: average.latency(), metrics }
}

impl Average {
    fn take(&mut self, in_progress: f64, rate: f64) {
        self.in_progress += (in_progress - self.in_progress) * GAIN;
        self.rate += (rate - self.rate) * GAIN;
        self.filled += (1.0 - self.filled) * GAIN;
    }

    /// Both averages fill alike, so that their quotient needs no correction.
    fn latency(&self) -> Option<Span> {
        let known = self.filled >= ENOUGH_FILLED && self.rate > LEAST_RATE && self.in_progress > 0.0;
        known.then(|| Span::from_secs_f64(self.in_progress / self.rate))
    }
}

/// Periods for which an Envoy's newest report counts. Source: balancing.md "Silence": two missed intervals are borne.
const PERIODS_FRESH: u64 = 3;
/// How fast the averages follow: about five periods. Source: ours; as the loop's own time constants.
const GAIN: f64 = 0.2;
/// Source: three periods at that gain.
const ENOUGH_FILLED: f64 = 0.45;
/// Under this many requests a second a count of those under way says nothing of latency.
const LEAST_RATE: f64 = 0.1;
/// A report over less than a millisecond is none.
const LEAST_SECONDS: f64 = 0.001;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode;
    use crate::proto::Duration;
    use crate::proto::Locality;
    use crate::proto::load::EndpointLoadMetricStats;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    fn address(port: u16) -> Address {
        Address::Ip(([127, 0, 0, 1], port).into())
    }

    fn stats(port: u16, good: u64, bad: u64, in_progress: u64) -> UpstreamEndpointStats {
        UpstreamEndpointStats {
            address: Some(encode::address(&address(port))),
            total_successful_requests: good,
            total_error_requests: bad,
            total_requests_in_progress: in_progress,
            ..UpstreamEndpointStats::default()
        }
    }

    fn report(cluster: &str, endpoints: Vec<UpstreamEndpointStats>) -> Vec<ClusterStats> {
        vec![ClusterStats {
            cluster_name: cluster.into(),
            upstream_locality_stats: vec![UpstreamLocalityStats {
                upstream_endpoint_stats: endpoints,
                ..UpstreamLocalityStats::default()
            }],
            load_report_interval: Some(Duration { seconds: 2, nanos: 0 }),
            ..ClusterStats::default()
        }]
    }

    fn loads() -> Loads {
        Loads::new(Span::from_secs(1), Limits::default())
    }

    fn sum(loads: &mut Loads, now: Mono) -> Vec<EndpointLoad> {
        let of = |cluster: &str| (cluster == "c").then(|| vec![address(1), address(2)]);
        loads.sum(now, of).into_iter().flat_map(|cluster| cluster.endpoints).collect()
    }

    #[test]
    fn reports_of_several_envoys_are_summed() {
        let mut loads = loads();
        loads.take(at(0), 1, report("c", vec![stats(1, 10, 2, 3)]), |_| true);
        loads.take(at(500), 2, report("c", vec![stats(1, 4, 0, 1), stats(2, 6, 0, 0)]), |_| true);
        let sums = sum(&mut loads, at(900));
        let of = |load: &EndpointLoad| (load.rate, load.samples, load.failed, load.in_progress);
        assert_eq!(of(&sums[0]), (8.0, 16, 2, 4));
        assert_eq!(of(&sums[1]), (3.0, 6, 0, 0));
    }

    #[test]
    fn what_grpc_counts_of_a_locality_is_that_of_its_endpoint() {
        let mut loads = loads();
        let mut said = report("c", Vec::new());
        said[0].upstream_locality_stats = vec![UpstreamLocalityStats {
            locality: Some(Locality { zone: String::new(), sub_zone: "127.0.0.1:2".into() }),
            total_successful_requests: 6,
            total_error_requests: 2,
            total_requests_in_progress: 1,
            ..UpstreamLocalityStats::default()
        }];
        loads.take(at(0), 1, said, |_| true);
        let sums = sum(&mut loads, at(100));
        assert_eq!((sums[0].samples, sums[1].samples, sums[1].failed, sums[1].in_progress), (0, 8, 2, 1));
    }

    #[test]
    fn an_endpoint_that_a_report_leaves_out_had_no_request() {
        let mut loads = loads();
        loads.take(at(0), 1, report("c", vec![stats(1, 10, 0, 0)]), |_| true);
        let sums = sum(&mut loads, at(100));
        assert_eq!((sums.len(), sums[1].samples), (2, 0));
    }

    #[test]
    fn an_envoy_that_is_silent_or_gone_counts_no_more() {
        let mut loads = loads();
        loads.take(at(0), 1, report("c", vec![stats(1, 10, 0, 0)]), |_| true);
        loads.take(at(2_000), 2, report("c", vec![stats(1, 10, 0, 0)]), |_| true);
        assert_eq!(sum(&mut loads, at(3_100))[0].samples, 10);
        loads.forget(2);
        assert!(sum(&mut loads, at(3_100)).is_empty());
    }

    #[test]
    fn a_cluster_that_is_none_of_ours_is_not_kept() {
        let mut loads = loads();
        loads.take(at(0), 1, report("other", vec![stats(1, 10, 0, 0)]), |name| name == "c");
        assert!(loads.reports.is_empty());
    }

    #[test]
    fn latency_is_what_is_under_way_over_what_ends() {
        let mut loads = loads();
        let mut last = Vec::new();
        for second in 0..4 {
            loads.take(at(second * 1_000), 1, report("c", vec![stats(1, 100, 0, 5)]), |_| true);
            last = sum(&mut loads, at(second * 1_000 + 1));
        }
        assert_eq!(last[0].latency.map(Span::as_millis), Some(100));
        assert_eq!(last[1].latency, None);
    }

    #[test]
    fn orca_figures_are_means_over_the_answers_that_carried_them() {
        let mut loads = loads();
        let metric = |total: f64, count| EndpointLoadMetricStats {
            metric_name: "named_metrics.p99_ms".into(),
            num_requests_finished_with_metric: count,
            total_metric_value: total,
        };
        for (from, total, count) in [(1, 60.0, 2), (2, 10.0, 3), (3, f64::NAN, 1)] {
            let mut stats = stats(1, 10, 0, 0);
            stats.load_metric_stats.push(metric(total, count));
            loads.take(at(0), from, report("c", vec![stats]), |_| true);
        }
        assert_eq!(sum(&mut loads, at(1))[0].metrics.values().copied().collect::<Vec<_>>(), [14.0]);
    }
}
