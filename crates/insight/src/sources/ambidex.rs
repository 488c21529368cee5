//! A running gateway or coordinator of our own, by its page of metrics: what it counts of each worker, looked at a few times.
//!
//! ```text
//! GET /metrics, each look:  ambidex_worker_latency_seconds{pool, worker, le}   requests, time, latencies   growth from look to look
//!                           ambidex_worker_failures_total, _in_flight, _weight_applied
//! ```
//! The page is for Prometheus, and is read by the rules for what a Prometheus sends: what is found here and by `--prom` is the same.
//! Workers of one pool are compared; a worker's capacity is its weight. The page needs no token, whoever else does. A pool of a
//! follower or a coordinator's counts what all its gateways sent.

use std::collections::BTreeMap;

use ambidex_core::time::Span;

use super::Progress;
use super::fetch::{Access, FetchError, Site, words};
use super::looks::{Looks, LooksError};
use super::pushed::{self, OptionsError};
use super::remote_write::RemoteWrite;
use super::remote_write::messages::{Label, Sample, TimeSeries, WriteRequest};
use crate::history::{At, History, Peers};

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the admin API is.
    pub access: Access,
    /// The pools that are looked at; empty: all.
    pub pools: Vec<String>,
    /// How often and how long.
    pub looks: Looks,
    /// How long an answer may take. Default: 5 s; source: as of an Envoy.
    pub timeout: Span,
    /// The moment of the first look.
    pub now: At,
}

impl Options {
    /// All by default, of the one at this address.
    #[must_use]
    pub fn new(url: &str, now: At) -> Self {
        let access = Access { url: url.to_owned(), ..Access::default() };
        Self { access, pools: Vec::new(), looks: Looks::default(), timeout: Span::from_secs(5), now }
    }
}

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub enum AmbidexError {
    /// Nobody can look so.
    #[error(transparent)]
    Looks(#[from] LooksError),
    /// It cannot be asked, or does not answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What the user says cannot be.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// Something else answers.
    #[error(
        "what answers at {url} is no admin API of a gateway or a coordinator: {why}; `dashboard` of what `ambidex run` prints is its address"
    )]
    Other {
        /// Where.
        url: String,
        /// What came.
        why: String,
    },
    /// There are no workers.
    #[error("the ambidex at {url} has no workers{of}; its pools: {known}")]
    NoWorkers {
        /// Where.
        url: String,
        /// Of which pools.
        of: String,
        /// Those that there are.
        known: String,
    },
    /// Only the first look succeeded.
    #[error("the ambidex at {url} answered only once, and counters say nothing until they are seen twice: {why}")]
    Once {
        /// Where.
        url: String,
        /// Why the others failed.
        why: String,
    },
}

/// Looks at it for as long as is said.
///
/// # Errors
/// The first look fails, or all later ones do; there are no workers.
pub async fn read(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<History, AmbidexError> {
    let looks = options.looks.checked()?;
    let site = Site::new(&options.access, options.timeout)?.cut(&["/ui/", "/api/"], &["/metrics"]);
    let mut watch = Watch::new(RemoteWrite::new(pushed::Options::default(), Some(looks.window()))?, &options.pools);
    let (mut turns, mut failure) = (looks.begin(options.now), None);
    while let Some((turn, at)) = turns.next().await {
        match page(&site).await {
            Ok(page) => watch.take(at, &page),
            Err(error) if watch.looks == 0 => return Err(error),
            Err(error) => {
                let said = error.to_string();
                watch.failed.push(format!("a look failed: {said}"));
                failure.get_or_insert(said);
            }
        }
        if watch.looks == 1 && watch.weights.is_empty() {
            return Err(watch.no_workers(&site));
        }
        progress(Progress { what: "looking at ambidex".into(), done: turn + 1, of: Some(looks.count()) });
    }
    if watch.looks < 2 {
        let why = failure.unwrap_or_else(|| "each look took longer than all of the time".into());
        return Err(AmbidexError::Once { url: site.shown().to_owned(), why });
    }
    Ok(watch.finish(format!("ambidex at {}", site.shown())))
}

async fn page(site: &Site) -> Result<String, AmbidexError> {
    let answer = site.get("/metrics", &[]).await?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status == 200 && text.contains(MARK) {
        return Ok(text);
    }
    let why = format!("{} with `{}`", answer.status, words(&answer.body));
    Err(AmbidexError::Other { url: site.shown().to_owned(), why })
}

/// What is known from look to look.
struct Watch<'o> {
    taken: RemoteWrite,
    pools: &'o [String],
    looks: u64,
    known: Vec<String>,
    /// By pool and worker: the sum of the weights that were seen, and how many.
    weights: BTreeMap<(String, String), (f64, f64)>,
    others: bool,
    failed: Vec<String>,
}

impl<'o> Watch<'o> {
    fn new(taken: RemoteWrite, pools: &'o [String]) -> Self {
        let (known, weights, failed) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { taken, pools, looks: 0, known, weights, others: false, failed }
    }

    fn take(&mut self, at: At, page: &str) {
        self.looks += 1;
        let mut timeseries = Vec::new();
        for (name, mut labels, value) in page.lines().filter_map(line).take(MOST_SERIES) {
            let of = |name: &str| labels.iter().find(|label| label.name == name).map(|label| label.value.clone());
            let (Some(pool), Some(worker)) = (of("pool"), of("worker")) else { continue };
            if !self.known.contains(&pool) {
                self.known.push(pool.clone());
            }
            if !self.pools.is_empty() && !self.pools.contains(&pool) {
                continue;
            }
            if worker == OTHERS {
                self.others = true;
                continue;
            }
            if name == WEIGHT {
                let (sum, many) = self.weights.entry((pool.clone(), worker)).or_default();
                (*sum, *many) = (*sum + value, *many + 1.0);
            }
            labels.push(Label { name: "__name__".into(), value: name.to_owned() });
            // What requests are for is not counted by worker: the pool is what is known of it.
            labels.push(Label { name: "route".into(), value: pool });
            let samples = vec![Sample { value, timestamp: at.0 }];
            timeseries.push(TimeSeries { labels, samples, histograms: Vec::new() });
        }
        self.taken.write(&WriteRequest { timeseries });
    }

    fn no_workers(&self, site: &Site) -> AmbidexError {
        let of = if self.pools.is_empty() { String::new() } else { format!(" of {}", self.pools.join(", ")) };
        let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
        AmbidexError::NoWorkers { url: site.shown().to_owned(), of, known }
    }

    fn finish(self, source: String) -> History {
        let mut recorder = self.taken.into_recorder();
        for ((pool, worker), (sum, many)) in self.weights.into_iter().filter(|(_, (sum, _))| *sum > 0.0) {
            let peers = Peers { service: Some(pool), ..Peers::default() };
            if let Some(node) = recorder.node(&worker, &peers) {
                recorder.capacity(node, sum / many);
            }
        }
        if self.others {
            recorder.remark("the page tells of the workers that joined first: later ones are left out".to_owned());
        }
        self.failed.into_iter().for_each(|what| recorder.lacks(what));
        recorder.finish(source)
    }
}

/// A line of the page that says something of a worker: name, labels, value.
fn line(line: &str) -> Option<(&str, Vec<Label>, f64)> {
    let (name, rest) = line.split_once('{')?;
    if !READ.contains(&name) {
        return None;
    }
    let mut labels = Vec::new();
    let mut rest = rest;
    loop {
        let (label, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.push(Label { name: label.to_owned(), value });
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => {
                let value: f64 = after.strip_prefix("} ")?.split(' ').next()?.parse().ok()?;
                return value.is_finite().then_some((name, labels, value));
            }
        }
    }
}

/// A text up to its closing quotation mark, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut all = text.char_indices();
    while let Some((at, character)) = all.next() {
        match character {
            '"' => return Some((out, &text[at + 1..])),
            '\\' => match all.next()?.1 {
                'n' => out.push('\n'),
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
    None
}

/// A line that each of our pages has.
const MARK: &str = "\nambidex_view_revision ";
/// What stands for all workers that have no series of their own.
const OTHERS: &str = "other";
const WEIGHT: &str = "ambidex_worker_weight_applied";
/// What is read of the page.
const READ: [&str; 6] = [
    "ambidex_worker_latency_seconds_bucket",
    "ambidex_worker_latency_seconds_sum",
    "ambidex_worker_latency_seconds_count",
    "ambidex_worker_failures_total",
    "ambidex_worker_in_flight",
    WEIGHT,
];
/// Of a look. Source: ours; three times what a page has.
const MOST_SERIES: usize = 30_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Metric;

    /// A page after so many looks: `a` takes half of what `b` takes, and answers 20 ms later.
    fn page(look: u64) -> String {
        let mut page = String::from("# HELP x y\nambidex_view_revision 3\n");
        for (worker, many, seconds) in [("a", 10, 0.05), (r#"b\"\\"#, 20, 0.03), ("other", 99, 0.1)] {
            let (count, pool) = (look * many, format!(r#"pool="api",worker="{worker}""#));
            let sum = count as f64 * seconds;
            page += &format!(
                "ambidex_worker_latency_seconds_sum{{{pool}}} {sum}\nambidex_worker_latency_seconds_count{{{pool}}} {count}\n\
                 ambidex_worker_latency_seconds_bucket{{le=\"0.04\",{pool}}} {}\n\
                 ambidex_worker_latency_seconds_bucket{{le=\"+Inf\",{pool}}} {count}\n\
                 ambidex_worker_failures_total{{{pool}}} {look}\nambidex_worker_in_flight{{{pool}}} {many}\n\
                 ambidex_worker_weight_applied{{{pool}}} {}\n",
                if seconds < 0.04 { count } else { 0 },
                if worker == "a" { 1.5 } else { 0.5 },
            );
        }
        page + "ambidex_pool_serving{pool=\"other\"} 3\nambidex_worker_in_flight{broken 1\n# EOF\n"
    }

    fn seen(pools: &[String]) -> History {
        let looks = Looks { every: Span::from_secs(5), lasts: Span::from_secs(60) };
        let taken = RemoteWrite::new(pushed::Options::default(), Some(looks.window())).expect("options");
        let mut watch = Watch::new(taken, pools);
        (0..13_u64).for_each(|look| watch.take(At(look.cast_signed() * 5_000), &page(look)));
        watch.finish("test".into())
    }

    #[test]
    fn workers_of_a_pool_are_nodes_with_what_they_did_and_may_carry() {
        let history = seen(&[]);
        let named: Vec<_> = history
            .nodes
            .iter()
            .map(|node| (node.name.as_str(), node.peers.service.as_deref(), node.capacity))
            .collect();
        assert_eq!(named, [("a", Some("api"), Some(1.5)), (r#"b"\"#, Some("api"), Some(0.5))]);
        let mean = |metric, node| history.figure(&metric, node, 6).map(|figure| (figure.mean * 1e3).round() / 1e3);
        assert_eq!((mean(Metric::Requests, 0), mean(Metric::Requests, 1)), (Some(2.0), Some(4.0)));
        assert_eq!((mean(Metric::Busy, 0), mean(Metric::Busy, 1)), (Some(0.1), Some(0.12)));
        assert_eq!((mean(Metric::InFlight, 1), mean(Metric::Weight, 0)), (Some(20.0), Some(1.5)));
        assert_eq!(mean(Metric::Errors, 0), Some(0.2));
        assert!(history.remarks.iter().any(|remark| remark.what.contains("joined first")), "{:?}", history.remarks);
        assert_eq!(history.traffic.routes, ["api"]);
    }

    #[test]
    fn only_the_pools_that_are_asked_for_are_looked_at() {
        assert!(seen(&["shop".to_owned()]).nodes.is_empty());
        assert_eq!(seen(&["api".to_owned()]).nodes.len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(text in "(ambidex_worker_in_flight)?[{}a-z=\"\\\\, 0-9é]{0,40}") {
            let _ = line(&text);
        }
    }
}
