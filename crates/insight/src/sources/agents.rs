//! Agents of workers, by their pages of metrics: what each worker did, and what its host was like meanwhile, looked at a few times.
//!
//! ```text
//! GET /metrics of each agent, each look:   ambidex_worker_*   requests, failures, time, in flight    growth over the pause
//!                                          ambidex_host_*     what the kernel counts                 growth over its own time
//! ```
//! An agent looks at its host at a pace of its own, so what the host counted is taken over the time that the host's cores counted: a
//! look between two of the agent's has nothing new of it. A Prometheus that scrapes agents has the same as the set `ambidex-host`.

mod page;

use std::collections::BTreeMap;

use ambidex_core::time::Span;
use tokio::task::JoinSet;

use self::page::{Page, of_host, of_worker};
use super::Progress;
use super::fetch::{Access, FetchError, Site, words};
use super::looks::{Looks, LooksError};
use crate::history::{At, History, NodeAt, Peers, Recorder};

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where each agent's page is.
    pub agents: Vec<Access>,
    /// What service they are of; agents are compared with each other.
    pub service: Option<String>,
    /// How often and how long.
    pub looks: Looks,
    /// How long an answer may take: [`TIMEOUT`], unless there is a reason.
    pub timeout: Span,
    /// The moment of the first look.
    pub now: At,
}

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub enum AgentsError {
    /// Nobody can look so.
    #[error(transparent)]
    Looks(#[from] LooksError),
    /// One cannot be asked.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Too many.
    #[error(
        "{0} agents are more than can be asked at once ({MOST_AGENTS}): let a Prometheus scrape them, and give --prom"
    )]
    TooMany(usize),
    /// None of them answered twice.
    #[error("none of {agents} agents answered twice, and counters say nothing until they are seen twice: {why}")]
    None {
        /// How many were asked.
        agents: usize,
        /// What the first said.
        why: String,
    },
}

/// Looks at them for as long as is said.
///
/// # Errors
/// An address that is none; no agent answers.
pub async fn read(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<History, AgentsError> {
    let looks = options.looks.checked()?;
    if options.agents.len() > MOST_AGENTS {
        return Err(AgentsError::TooMany(options.agents.len()));
    }
    let site = |access: &Access| Ok(Site::new(access, options.timeout)?.cut(&[], &["/metrics", "/load"]));
    let sites = options.agents.iter().map(site).collect::<Result<Vec<Site>, FetchError>>()?;
    let mut watch = Watch::new(looks, options.service.clone());
    let mut turns = looks.begin(options.now);
    while let Some((turn, at)) = turns.next().await {
        for (agent, came) in ask(&sites).await {
            watch.take(at, sites[agent].shown(), came);
        }
        progress(Progress { what: "looking at agents".into(), done: turn + 1, of: Some(looks.count()) });
    }
    watch.finish(sites.len())
}

/// All of them at once; answers in the order of the agents.
async fn ask(sites: &[Site]) -> BTreeMap<usize, Result<Page, String>> {
    let mut asked = JoinSet::new();
    for (agent, site) in sites.iter().cloned().enumerate() {
        asked.spawn(async move { (agent, page_of(&site).await) });
    }
    asked.join_all().await.into_iter().collect()
}

async fn page_of(site: &Site) -> Result<Page, String> {
    let answer = site.get("/metrics", &[]).await.map_err(|error| error.to_string())?;
    let said = || format!("{} answers {} with `{}`", site.shown(), answer.status, words(&answer.body));
    let page = Page::read(&String::from_utf8_lossy(&answer.body));
    page.filter(|_| answer.status == 200)
        .ok_or_else(|| format!("{}, which is no page of an agent (`agent.endpoint`, or its gateway's `admin`)", said()))
}

/// What is known from look to look.
struct Watch {
    recorder: Recorder,
    service: Option<String>,
    seen: BTreeMap<String, Seen>,
    failure: Option<String>,
}

/// The pages of an agent that later ones are compared with.
struct Seen {
    node: NodeAt,
    /// The newest.
    worker: (At, Page),
    /// The newest on which the host had been looked at anew.
    host: Page,
}

impl Watch {
    fn new(looks: Looks, service: Option<String>) -> Self {
        Self { recorder: looks.recorder(), service, seen: BTreeMap::new(), failure: None }
    }

    fn take(&mut self, at: At, agent: &str, came: Result<Page, String>) {
        let page = match came {
            Ok(page) => page,
            Err(why) => {
                self.recorder.lacks(format!("a look failed: {why}"));
                self.failure.get_or_insert(why);
                return;
            }
        };
        let Some(seen) = self.seen.get_mut(agent) else {
            let name = agent.split_once("://").map_or(agent, |(_, rest)| rest);
            let peers = Peers { service: self.service.clone(), ..Peers::default() };
            let Some(node) = self.recorder.node(name, &peers) else { return };
            if let Some(capacity) = page.capacity() {
                self.recorder.capacity(node, capacity);
            }
            self.seen.insert(agent.to_owned(), Seen { node, worker: (at, page.clone()), host: page });
            return;
        };
        let seconds = (at.0 - seen.worker.0.0) as f64 / 1_000.0;
        for (metric, value) in of_worker(&seen.worker.1, &page, seconds) {
            self.recorder.sample(seen.node, &metric, at, value);
        }
        if let Some(figures) = of_host(&seen.host, &page) {
            for (metric, value) in figures {
                self.recorder.sample(seen.node, &metric, at, value);
            }
            seen.host = page.clone();
        }
        seen.worker = (at, page);
    }

    fn finish(self, agents: usize) -> Result<History, AgentsError> {
        let history = self.recorder.finish(format!("{agents} agents"));
        if history.span.is_some() {
            return Ok(history);
        }
        let why = self.failure.unwrap_or_else(|| "each look took longer than all of the time".into());
        Err(AgentsError::None { agents, why })
    }
}

/// How long an answer may take. Source: ours, as of an Envoy.
pub const TIMEOUT: Span = Span::from_secs(5);
/// Agents that are asked at once. Source: ours; more are a Prometheus' matter.
const MOST_AGENTS: usize = 1_000;

#[cfg(test)]
mod tests;
