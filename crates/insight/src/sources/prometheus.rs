//! A Prometheus, and what speaks like it: Thanos, Mimir, and the hosted ones that take its queries.
//!
//! ```text
//! probe each set (is it there? how often is it scraped?) -> who owns which pod, capacities: asked once
//!   -> each metric over the range, in parts, four at once -> Recorder -> History
//! ```
//! | what goes wrong | what becomes of it |
//! |---|---|
//! | no connection, wrong address, refused, no Prometheus | an error at the first question |
//! | a query fails, or times out also when it asks for less | that metric is left out from there on; the history is partial |
//! | four queries in a row get no answer at all | the others are not asked any more; the history is partial |
//! | more series than we take | the first in the server's order stay; a remark names the cut |
//! | nothing of any set, or no figures | an error that says what was looked for |
//!
//! A part is as long as its answer stays small: the first has thirty points of time, the next as many as fit by the number of
//! series that came. So no answer comes near the 11,000 points of a series that Prometheus allows, and what is held of
//! answers does not grow with the range. Points lie at whole multiples of the step, as caches before a Prometheus like them.

mod answer;
mod ask;
mod error;
mod exported;
mod options;
mod own;
mod sets;
mod who;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_core::time::Span;

use self::answer::Told;
use self::ask::{Api, Callers, Failed, Job, Range, Use};
use self::sets::{SETS, Set};
use self::who::{Owners, Who};
use self::words::{Words, length, narrowed};
use super::Progress;
use super::fetch::Site;
use crate::history::{At, Bounds, Call, Caller, Happening, HappeningKind, History, Peers, Recorder, Weigh};

pub use self::error::PrometheusError;
pub use self::options::Options;
pub use self::own::{Labelled, OwnQueries, OwnQuery, OwnQueryError};
pub use self::who::Chosen;
pub(super) use self::who::guessed;
pub use exported::{ExportError, Exported, exported};

/// The names of all sets.
#[must_use]
pub fn names() -> Vec<&'static str> {
    SETS.iter().map(|set| set.name).collect()
}

/// Reads what it has.
///
/// # Errors
/// Options that cannot be used; nobody answers, or not as Prometheus does; there is nothing that we know.
pub async fn read(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<History, PrometheusError> {
    let sets = options.chosen_sets()?;
    let range = options.range()?;
    let site = Site::new(&options.access, options.timeout)?.cut(&["/api/v1"], &["/graph", "/query"]);
    let mut reader = Reader {
        api: Arc::new(Api::new(site)),
        options,
        range,
        recorder: Recorder::new(Bounds::default(), Weigh::Time),
        lacks: None,
        found: Vec::new(),
        versions: BTreeMap::new(),
    };
    progress(Progress { what: "looking for metrics".into(), done: 0, of: None });
    reader.probe(&sets).await?;
    let jobs = reader.jobs().await;
    reader.ask(jobs, progress).await;
    reader.finish()
}

struct Reader<'a> {
    api: Arc<Api>,
    options: &'a Options,
    range: Range,
    recorder: Recorder,
    /// What could not be read first.
    lacks: Option<String>,
    /// The sets that are there, and over how long their counters' growth is taken.
    found: Vec<(&'static Set, Span)>,
    /// When each version of each service was first seen.
    versions: BTreeMap<String, BTreeMap<String, At>>,
}

impl Reader<'_> {
    /// Looks which sets are there. The first question also says whether anybody is.
    async fn probe(&mut self, sets: &[&'static Set]) -> Result<(), PrometheusError> {
        if sets.is_empty() {
            self.instant("count(up)").await.map(drop).or_else(|failed| self.fatal(failed))?;
        }
        let mut answered = false;
        for set in sets {
            let series = narrowed(set.probe, &self.options.matchers);
            let asked = self.instant(&format!("quantile(0.5, count_over_time({series}[10m]))")).await;
            match asked {
                Ok(told) => {
                    answered = true;
                    if let Some(count) = only(&told) {
                        let rate = self.rate(&series, count).await;
                        self.found.push((set, rate));
                    }
                }
                Err(failed) => {
                    let words = failed.to_string();
                    if !answered {
                        self.fatal(failed)?;
                    }
                    self.lack(format!("{}: could not look whether it is there: {words}", set.name));
                }
            }
        }
        if self.found.is_empty() && self.options.own.queries.is_empty() {
            let (url, looked) = (self.api.shown(), sets.iter().map(|set| set.name).collect::<Vec<_>>().join(", "));
            let narrowed = match self.options.matchers.as_str() {
                "" => String::new(),
                matchers => format!(" with {matchers}"),
            };
            return Err(match self.lacks.take() {
                Some(why) => PrometheusError::NoFigures { url, asked: looked, why },
                None => PrometheusError::Nothing { url, looked, narrowed },
            });
        }
        Ok(())
    }

    /// Whether a failure of a first question ends it all: nobody is there, or somebody else.
    fn fatal(&self, failed: Failed) -> Result<(), PrometheusError> {
        let url = self.api.shown();
        match failed {
            Failed::Fetch(error) => Err(error.into()),
            Failed::Untold(answer::Untold::Forbidden { .. }) => {
                Err(PrometheusError::Forbidden { url, why: failed.to_string() })
            }
            Failed::Untold(answer::Untold::Other(why)) => Err(PrometheusError::NotPrometheus { url, why }),
            Failed::Untold(answer::Untold::Refused { .. } | answer::Untold::Busy { .. }) => Ok(()),
        }
    }

    /// Over how long growth is taken: four scrapes, as one may be lost; at least a step, or what lies between is not seen. How often
    /// is scraped is told by the samples of ten minutes, or of the last where a younger Prometheus has more in that.
    async fn rate(&self, series: &str, in_ten_minutes: f64) -> Span {
        let last = self.instant(&format!("quantile(0.5, count_over_time({series}[1m]))")).await;
        let last = last.ok().and_then(|told| only(&told)).unwrap_or(0.0);
        let pause = (600.0 / in_ten_minutes.max(1.0)).min(60.0 / last.max(0.1));
        Span::from_secs_f64(4.0 * pause).max(self.range.step).clamp(SHORTEST_RATE, LONGEST_RATE)
    }

    /// All that is to be asked over the range. What is asked once is asked here.
    async fn jobs(&mut self) -> Vec<Job> {
        let owners =
            if self.found.iter().any(|(set, _)| set.labels.pods) { self.owners().await } else { Owners::default() };
        let owners = Arc::new(owners);
        let mut jobs = Vec::new();
        for (set, rate) in self.found.clone() {
            let who = Arc::new(Who::new(&set.labels, &self.options.chosen));
            let words = self.words(&who, rate);
            let job = |promql: &str, name: &str, factor: f64, into: Use| Job {
                name: format!("{}: {name}", set.name),
                promql: words.put(promql),
                factor,
                into,
                who: Arc::clone(&who),
                owners: Arc::clone(&owners),
            };
            if let Some(promql) = set.capacity {
                self.once(&job(promql, "capacity", 1.0, Use::Capacity)).await;
            }
            jobs.extend(
                set.queries.iter().map(|query| job(query.promql, query.metric, query.factor, Use::Of(query.of()))),
            );
            jobs.extend(set.calls.map(|calling| {
                let service = calling.service.iter().map(|&label| label.to_owned()).collect();
                let callers = Callers { instance: calling.instance.map(str::to_owned), service };
                job(calling.promql, "calls", 1.0, Use::Calls(callers))
            }));
        }
        let slowest = self.found.iter().map(|(_, rate)| *rate).max();
        for own in &self.options.own.queries {
            let none = sets::By { node: &[], service: &[], version: &[], pods: false };
            let who = Arc::new(Who::new(&none, &own.chosen()));
            let mut words = self.words(&who, slowest.unwrap_or(RATE));
            for label in [&own.labels.caller, &own.labels.caller_service].into_iter().flatten() {
                words.by = format!("{}, {label}", words.by);
            }
            let job = Job {
                name: format!("own query: {}", own.metric),
                promql: words.put(&own.query),
                factor: own.factor,
                into: own.used_as(),
                who,
                owners: Arc::clone(&owners),
            };
            if own.is_capacity() { self.once(&job).await } else { jobs.push(job) }
        }
        jobs
    }

    fn words(&self, who: &Who, rate: Span) -> Words {
        Words {
            selector: self.options.matchers.clone(),
            rate: length(rate),
            by: who.by(),
            range: length(self.options.since),
        }
    }

    /// What Kubernetes knows of pods.
    async fn owners(&mut self) -> Owners {
        let words = Words {
            selector: self.options.matchers.clone(),
            rate: String::new(),
            by: String::new(),
            range: length(self.options.since),
        };
        let mut owners = match self.instant(&words.put(sets::OWNERS)).await {
            Ok(told) if told.rows.is_empty() => {
                self.recorder.remark(
                    "kubernetes: no kube_pod_owner, so the name of a pod says which workload it is of: run kube-state-metrics".into(),
                );
                return Owners::default();
            }
            Ok(told) => Owners::of(told.rows),
            Err(failed) => {
                self.lack(format!("kubernetes: who owns which pod is not known: {failed}"));
                return Owners::default();
            }
        };
        // Few clusters show these labels; without them a pod's zone is not known.
        let zones = self.instant(&words.put(sets::ZONES_OF_NODES)).await.map(|told| told.rows).unwrap_or_default();
        if !zones.is_empty() {
            let places = self.instant(&words.put(sets::PLACES)).await.map(|told| told.rows).unwrap_or_default();
            owners.place(places, zones);
        }
        owners
    }

    /// Asks what is asked once.
    async fn once(&mut self, job: &Job) {
        match self.instant(&job.promql).await {
            Ok(told) => self.record(job, told),
            Err(failed) => self.lack(format!("{}: left out: {failed}", job.name)),
        }
    }

    async fn instant(&self, promql: &str) -> Result<Told, Failed> {
        self.api.instant(promql, self.range.end).await
    }

    /// Asks all jobs over the range, and records what comes.
    async fn ask(&mut self, jobs: Vec<Job>, progress: &mut dyn FnMut(Progress)) {
        let of = jobs.len() as u64 * self.range.points();
        let mut done = 0;
        let mut asked = ask::all(&self.api, self.range, jobs);
        while let Some(part) = asked.next().await {
            done += part.points;
            match part.told {
                Ok(told) => self.record(&part.job, told),
                Err(why) => self.lack(why),
            }
            progress(Progress { what: part.job.name.clone(), done, of: Some(of) });
        }
    }

    fn record(&mut self, job: &Job, told: Told) {
        for words in &told.warnings {
            // Some say there what is only remarkable of a query.
            if words.starts_with("PromQL") {
                self.recorder.remark(format!("{}: {words}", job.name));
            } else {
                self.lack(format!("{}: the server warns: {words}", job.name));
            }
        }
        if told.histograms > 0 {
            self.recorder.remark(format!("{}: series of native histograms are left out", job.name));
        }
        if told.rows.len() > MOST_SERIES {
            self.recorder.remark(format!(
                "{}: {} series in one answer are more than {MOST_SERIES}: the others are left out; narrow with matchers",
                job.name,
                told.rows.len()
            ));
        }
        for row in told.rows.into_iter().take(MOST_SERIES) {
            let Some(seen) = job.who.of(&row.labels, &job.owners) else {
                self.recorder.remark(format!("{}: a series without a label {}: left out", job.name, job.who.names()));
                continue;
            };
            let Some(node) = self.recorder.node(&seen.name, &seen.peers) else { continue };
            if let Some(zone) = &seen.zone {
                self.recorder.zone(node, zone);
            }
            if let (Use::Of(_), Some((at, _))) = (&job.into, row.values.first()) {
                self.version(seen.peers, *at);
            }
            let (service, instance) = match &job.into {
                Use::Calls(callers) => callers.of(&row.labels),
                Use::Of(_) | Use::Capacity => (None, None),
            };
            let caller = Caller::named(service.as_deref(), instance.as_deref());
            for (at, value) in row.values {
                match &job.into {
                    Use::Of(metric) => self.recorder.sample(node, metric, at, value * job.factor),
                    Use::Capacity => self.recorder.capacity(node, value * job.factor),
                    Use::Calls(_) => {
                        let count = value * job.factor * self.range.step.as_secs_f64();
                        self.recorder.called(&Call { at, node, caller, route: None, count });
                    }
                }
            }
        }
    }

    fn version(&mut self, peers: Peers, at: At) {
        let (Some(service), Some(version)) = (peers.service, peers.version) else { return };
        let first = self.versions.entry(service).or_default().entry(version).or_insert(at);
        *first = at.min(*first);
    }

    /// A version that was not there from the beginning came by a deploy.
    fn deploys(&mut self) {
        let begun = At(self.range.begin.0 + A_WHILE);
        for (service, versions) in std::mem::take(&mut self.versions) {
            let (later, earlier): (Vec<_>, Vec<_>) = versions.into_iter().partition(|(_, first)| *first > begun);
            if earlier.is_empty() {
                continue;
            }
            for (version, at) in later {
                let text = format!("{service}: version {version} came");
                self.recorder.happened(Happening { at, kind: HappeningKind::Deploy, node: None, text });
            }
        }
    }

    fn lack(&mut self, what: String) {
        self.lacks.get_or_insert_with(|| what.clone());
        self.recorder.lacks(what);
    }

    fn finish(mut self) -> Result<History, PrometheusError> {
        self.deploys();
        let url = self.api.shown();
        let history = self.recorder.finish(format!("Prometheus at {url}"));
        if history.span.is_some() {
            return Ok(history);
        }
        let found = self.found.iter().map(|(set, _)| set.name);
        let own = self.options.own.queries.iter().map(|own| own.metric.as_str());
        let asked = found.chain(own).collect::<Vec<_>>().join(", ");
        let first = || history.remarks.first().map(|remark| remark.what.clone());
        let why = self.lacks.or_else(first).unwrap_or_else(|| "no query has a series in this range".into());
        Err(PrometheusError::NoFigures { url, asked, why })
    }
}

/// The value of an answer that has one.
fn only(told: &Told) -> Option<f64> {
    told.rows.first()?.values.first().map(|(_, value)| *value)
}

/// Series of one answer that are taken. Source: ours; twice the nodes that a recorder keeps.
const MOST_SERIES: usize = 20_000;
/// Milliseconds after the beginning in which what is first seen may have been there before. Source: ours; two windows.
const A_WHILE: i64 = 600_000;
/// Over how long growth is taken where nothing says how often is scraped. Source: Prometheus's default pause of a minute, four times.
const RATE: Span = Span::from_secs(240);
/// Source: ours; two scrapes at every second, with room for a late one.
const SHORTEST_RATE: Span = Span::from_secs(5);
/// Source: ours; four scrapes of five minutes.
const LONGEST_RATE: Span = Span::from_secs(1_200);

#[cfg(test)]
mod tests;
