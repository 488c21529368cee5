//! An Envoy, by its admin page: what it counts of each host of each cluster, looked at a few times.
//!
//! ```text
//! /clusters?format=json      each look: hosts with counters, gauges, weight, health, locality
//! /stats?format=json&..      first and last look: retries, panic and ejections of clusters, which no host's figures show
//! /server_info               once: which version, and that it is an Envoy at all
//! ```
//! Peers are the hosts of one cluster and priority. A host that Envoy holds for unhealthy, or that drains, has no figures while it
//! is so: it is not judged. A host's capacity is its weight where weights differ: what whoever set it thinks that it can carry.
//! Envoy does not tell how long single hosts took; how many requests each had at once it does.

mod told;

use std::collections::{BTreeMap, HashMap, HashSet};

use ambidex_core::time::Span;

use self::told::{Cluster, Host, Tally};
use super::Progress;
use super::fetch::{Access, Answer, FetchError, Site, words};
use super::looks::{Looks, LooksError, grown};
use crate::history::{At, Happening, HappeningKind, History, Metric, Peers, Recorder, Requests};

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the admin page is.
    pub access: Access,
    /// The clusters that are looked at; empty: all.
    pub clusters: Vec<String>,
    /// How often and how long.
    pub looks: Looks,
    /// How long an answer may take. Default: 5 s.
    pub timeout: Span,
    /// The moment of the first look.
    pub now: At,
}

impl Options {
    /// All by default, of the Envoy whose admin page is there.
    #[must_use]
    pub fn new(url: &str, now: At) -> Self {
        let access = Access { url: url.to_owned(), ..Access::default() };
        Self { access, clusters: Vec::new(), looks: Looks::default(), timeout: Span::from_secs(5), now }
    }
}

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub enum EnvoyError {
    /// Nobody can look so.
    #[error(transparent)]
    Looks(#[from] LooksError),
    /// It cannot be asked, or did not answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What answers is something else.
    #[error(
        "what answers at {url} is not Envoy's admin page: {why}; its address is `admin.address` of Envoy's configuration"
    )]
    NotEnvoy {
        /// Where.
        url: String,
        /// What came.
        why: String,
    },
    /// There are no hosts.
    #[error("Envoy at {url} has no hosts{of}; its clusters: {known}")]
    NoHosts {
        /// Where.
        url: String,
        /// Of which clusters.
        of: String,
        /// Those that there are.
        known: String,
    },
    /// Only the first look succeeded.
    #[error("Envoy at {url} answered only once, and counters say nothing until they are seen twice: {why}")]
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
/// The first look fails, or all later ones do; there are no hosts.
pub async fn read(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<History, EnvoyError> {
    let looks = options.looks.checked()?;
    let page = Page { site: Site::new(&options.access, options.timeout)?.cut(&[], &["/clusters", "/stats"]) };
    let version = page.version().await?;
    let mut watch = Watch::new(looks);
    let before = page.tally().await;
    let (mut turns, mut failure) = (looks.begin(options.now), None);
    while let Some((turn, at)) = turns.next().await {
        match page.clusters().await {
            Ok(mut clusters) => {
                clusters.retain(|cluster| options.clusters.is_empty() || options.clusters.contains(&cluster.name));
                if watch.looks == 0 {
                    page.check(options, &clusters).await?;
                    watch.capacities(&clusters);
                }
                watch.take(at, &clusters);
            }
            Err(error) if watch.looks == 0 => return Err(error),
            Err(error) => {
                let said = error.to_string();
                watch.recorder.lacks(format!("a look failed: {said}"));
                failure.get_or_insert(said);
            }
        }
        progress(Progress { what: "looking at Envoy".into(), done: turn + 1, of: Some(looks.count()) });
    }
    let url = page.site.shown().to_owned();
    if watch.looks < 2 {
        let why = failure.unwrap_or_else(|| "each look took longer than all of the time".into());
        return Err(EnvoyError::Once { url, why });
    }
    for remark in told::remarks(&before, &page.tally().await, &options.clusters) {
        watch.recorder.remark(remark);
    }
    Ok(watch.recorder.finish(format!("Envoy {version} at {url}")))
}

/// The admin page.
struct Page {
    site: Site,
}

impl Page {
    async fn version(&self) -> Result<String, EnvoyError> {
        let answer = self.site.get("/server_info", &[]).await?;
        told::version(&answer.body).ok_or_else(|| self.not_envoy(&answer))
    }

    async fn clusters(&self) -> Result<Vec<Cluster>, EnvoyError> {
        let answer = self.site.get("/clusters", &[("format", "json")]).await?;
        told::clusters(&answer.body).map_err(|why| match answer.status {
            200 => EnvoyError::NotEnvoy { url: self.site.shown().to_owned(), why },
            _ => self.not_envoy(&answer),
        })
    }

    /// What clusters counted as a whole; nothing where that cannot be read, as hosts are what matters.
    async fn tally(&self) -> BTreeMap<(String, Tally), u64> {
        let query = [("format", "json"), ("filter", told::FILTER)];
        match self.site.get("/stats", &query).await {
            Ok(answer) => told::tally(&answer.body),
            Err(_) => BTreeMap::new(),
        }
    }

    fn not_envoy(&self, answer: &Answer) -> EnvoyError {
        let why = format!("it answers {} with `{}`", answer.status, words(&answer.body));
        EnvoyError::NotEnvoy { url: self.site.shown().to_owned(), why }
    }

    async fn check(&self, options: &Options, clusters: &[Cluster]) -> Result<(), EnvoyError> {
        if clusters.iter().any(|cluster| !cluster.hosts.is_empty()) {
            return Ok(());
        }
        let all = self.clusters().await?;
        let names: Vec<&str> = all.iter().map(|cluster| cluster.name.as_str()).take(20).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let of =
            if options.clusters.is_empty() { String::new() } else { format!(" of {}", options.clusters.join(", ")) };
        Err(EnvoyError::NoHosts { url: self.site.shown().to_owned(), of, known })
    }
}

/// What is known from look to look.
struct Watch {
    recorder: Recorder,
    /// The newest look at each host, by cluster and address.
    seen: HashMap<(String, String), Host>,
    /// Clusters whose weights say what hosts can carry.
    weighted: HashSet<String>,
    looks: u64,
}

impl Watch {
    fn new(looks: Looks) -> Self {
        Self { recorder: looks.recorder(), seen: HashMap::new(), weighted: HashSet::new(), looks: 0 }
    }

    /// In which clusters weights say what hosts can carry, by the first look.
    fn capacities(&mut self, clusters: &[Cluster]) {
        let differ = |cluster: &&Cluster| cluster.hosts.iter().any(|host| host.weight != cluster.hosts[0].weight);
        self.weighted = clusters.iter().filter(differ).map(|cluster| cluster.name.clone()).collect();
    }

    fn take(&mut self, at: At, clusters: &[Cluster]) {
        self.looks += 1;
        let mut fell = false;
        for cluster in clusters {
            // What is proxied as TCP are connections: no host of such a cluster ever has a request.
            let tcp = cluster.hosts.iter().all(|host| host.requests == 0);
            for host in &cluster.hosts {
                fell |= self.host(at, cluster, host, tcp);
            }
        }
        if fell {
            self.recorder.happened(Happening {
                at,
                kind: HappeningKind::Restart,
                node: None,
                text: "counters fell: Envoy began anew, or a host was taken out and came back".into(),
            });
        }
    }

    /// Says whether its counters fell.
    fn host(&mut self, at: At, cluster: &Cluster, host: &Host, tcp: bool) -> bool {
        let before = self.seen.insert((cluster.name.clone(), host.address.clone()), host.clone());
        if let Some(why) = &host.unwell {
            self.recorder
                .remark(format!("cluster {}: {} is {why}: it is not judged while it is", cluster.name, host.address));
            return false;
        }
        let Some(node) = self.recorder.node(&host.address, &peers(cluster, host)) else { return false };
        let recorder = &mut self.recorder;
        if let Some(zone) = &host.zone {
            recorder.zone(node, zone);
        }
        recorder.sample(node, &Metric::InFlight, at, host.active as f64);
        recorder.sample(node, &Metric::Connections, at, host.connections as f64);
        recorder.sample(node, &Metric::Weight, at, f64::from(host.weight));
        let Some(before) = before.filter(|before| before.unwell.is_none()) else {
            if host.weight > 0 && self.weighted.contains(&cluster.name) {
                recorder.capacity(node, f64::from(host.weight));
            }
            return false;
        };
        let counts = |host: &Host| if tcp { (host.opened, host.refused) } else { (host.requests, host.failures) };
        let (then, now) = (counts(&before), counts(host));
        let (Some(count), Some(failed)) = (grown(then.0, now.0), grown(then.1, now.1)) else { return true };
        recorder.requests(&Requests { at, node, route: &cluster.name, count, failed, busy: None, values: &[] });
        false
    }
}

fn peers(cluster: &Cluster, host: &Host) -> Peers {
    let role = (host.priority > 0).then(|| format!("priority {}", host.priority));
    Peers { service: Some(cluster.name.clone()), version: None, role }
}

#[cfg(test)]
mod tests;
