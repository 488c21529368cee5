//! Who is connected, what each has accepted, and what was refused and why: for status, metrics and pages.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ambidex_core::time::Mono;
use serde::Serialize;
use tokio::sync::Notify;

use crate::catalog::{Kind, Version};
use crate::proto::Node;
use crate::stream::{Answer, Dialect, Refused};

/// All that can be shown of the server.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// The streams, the oldest first.
    pub streams: Vec<StreamStatus>,
    /// The last refusals, the newest first; they outlive their streams.
    pub refusals: VecDeque<RefusalStatus>,
    /// What was counted since the start.
    pub counts: Counts,
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Streams that began.
    pub streams: u64,
    /// Streams that we ended, or did not let begin, because a bound was reached or a request was wrong.
    pub cut: u64,
    /// Answers that were sent.
    pub sent: u64,
    /// Bytes of resources in them.
    pub bytes: u64,
    /// Answers that were accepted.
    pub accepted: u64,
    /// Answers that were refused.
    pub refused: u64,
    /// Load reports that came.
    pub reports: u64,
}

/// One stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamStatus {
    /// Its number, never used again.
    pub id: u64,
    /// The node's id.
    pub node: Arc<str>,
    /// The group that the node is of.
    pub cluster: Arc<str>,
    /// What the node is, with its version.
    pub software: Arc<str>,
    /// What is spoken: a dialect of resources, or load reports.
    pub speaks: Speaks,
    /// By kind of resource, for those that were asked for.
    pub kinds: BTreeMap<&'static str, KindStatus>,
    /// What it refuses now, the first few by name.
    pub refuses: Vec<RefusedStatus>,
    /// The newest picture all of which it has, of what it wants; `None` before the first.
    pub in_force: Option<u64>,
    /// Load reports that came on it.
    pub reports: u64,
}

/// What is spoken on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaks {
    /// Resources, each request whole.
    StateOfTheWorld,
    /// Resources, what differs.
    Delta,
    /// Load reports.
    LoadReports,
}

impl From<Dialect> for Speaks {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::StateOfTheWorld => Self::StateOfTheWorld,
            Dialect::Delta => Self::Delta,
        }
    }
}

/// What a stream has of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindStatus {
    /// How many names it wants; `None`: all.
    pub wanted: Option<usize>,
    /// The version that was sent last.
    pub sent: Option<String>,
    /// The version that it accepted last.
    pub accepted: Option<String>,
}

/// One resource that a client does not take as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedStatus {
    /// Of which kind.
    pub kind: &'static str,
    /// Which.
    pub name: Arc<str>,
    /// Why, in the client's own words, cut.
    pub text: Arc<str>,
}

/// One refusal.
#[derive(Clone, Debug, Serialize)]
pub struct RefusalStatus {
    /// Whose.
    pub node: Arc<str>,
    /// Of which kind of resource.
    pub kind: &'static str,
    /// The resources of the answer, the first few of them.
    pub names: Vec<Arc<str>>,
    /// The client's own words, cut.
    pub text: Arc<str>,
    /// When, by the process's clock.
    #[serde(skip)]
    pub at: Mono,
}

/// Where the streams write down what happens.
#[derive(Debug, Default)]
pub struct Board {
    status: Mutex<Status>,
    changed: Notify,
}

impl Board {
    /// What there is now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.lock().clone()
    }

    /// Waits until something has changed since this was last asked.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(crate) fn open(&self, speaks: Speaks) -> u64 {
        let mut status = self.lock();
        status.counts.streams += 1;
        let id = status.counts.streams;
        let nobody: Arc<str> = "".into();
        status.streams.push(StreamStatus {
            id,
            node: Arc::clone(&nobody),
            cluster: Arc::clone(&nobody),
            software: nobody,
            speaks,
            kinds: BTreeMap::new(),
            refuses: Vec::new(),
            in_force: None,
            reports: 0,
        });
        id
    }

    pub(crate) fn close(&self, id: u64) {
        self.lock().streams.retain(|stream| stream.id != id);
        self.changed.notify_one();
    }

    pub(crate) fn cut(&self) {
        self.lock().counts.cut += 1;
    }

    pub(crate) fn introduce(&self, id: u64, node: &Node) {
        self.of(id, |stream| {
            stream.node = node.id.as_str().into();
            stream.cluster = node.cluster.as_str().into();
            stream.software = software(node).into();
        });
    }

    pub(crate) fn sent(&self, id: u64, answer: &Answer, wanted: Option<usize>) {
        {
            let counts = &mut self.lock().counts;
            counts.sent += 1;
            counts.bytes += answer.resources.iter().map(|(_, resource)| resource.body.len() as u64).sum::<u64>();
        }
        self.of(id, |stream| {
            let kind = stream.kinds.entry(answer.kind.name()).or_default();
            (kind.wanted, kind.sent) = (wanted, Some(answer.version.to_string()));
        });
    }

    pub(crate) fn accepted(&self, id: u64, kind: Kind, version: Version) {
        self.lock().counts.accepted += 1;
        self.of(id, |stream| {
            let kind = stream.kinds.entry(kind.name()).or_default();
            kind.accepted = Some(version.to_string());
        });
    }

    pub(crate) fn refused(&self, id: u64, at: Mono, refused: &Refused) {
        let text = Arc::clone(&refused.text);
        let mut node = None;
        self.of(id, |stream| node = Some(Arc::clone(&stream.node)));
        let names = refused.names.iter().take(MOST_NAMES).cloned().collect();
        let refusal =
            RefusalStatus { node: node.unwrap_or_else(|| "".into()), kind: refused.kind.name(), names, text, at };
        let mut status = self.lock();
        status.counts.refused += 1;
        status.refusals.push_front(refusal);
        status.refusals.truncate(MOST_REFUSALS);
        self.changed.notify_one();
    }

    pub(crate) fn refuses<'a>(&self, id: u64, now: impl Iterator<Item = (Kind, &'a Arc<str>, &'a Arc<str>)>) {
        let status = |(kind, name, text): (Kind, &Arc<str>, &Arc<str>)| {
            let (kind, name, text) = (kind.name(), Arc::clone(name), Arc::clone(text));
            RefusedStatus { kind, name, text }
        };
        let now: Vec<_> = now.take(MOST_NAMES).map(status).collect();
        let mut news = false;
        self.of(id, |stream| {
            news = stream.refuses != now;
            stream.refuses = now;
        });
        if news {
            self.changed.notify_one();
        }
    }

    pub(crate) fn in_force(&self, id: u64, revision: u64) {
        let mut news = false;
        self.of(id, |stream| news = stream.in_force.replace(revision) != Some(revision));
        if news {
            self.changed.notify_one();
        }
    }

    pub(crate) fn reported(&self, id: u64) {
        self.lock().counts.reports += 1;
        self.of(id, |stream| stream.reports += 1);
    }

    fn of(&self, id: u64, change: impl FnOnce(&mut StreamStatus)) {
        if let Some(stream) = self.lock().streams.iter_mut().find(|stream| stream.id == id) {
            change(stream);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn software(node: &Node) -> String {
    let name: String = node.user_agent_name.chars().take(MOST_SOFTWARE).collect();
    match node.user_agent_build_version.and_then(|build| build.version) {
        Some(version) => format!("{name} {}.{}.{}", version.major, version.minor, version.patch),
        None => format!("{name} {}", node.user_agent_version.chars().take(MOST_SOFTWARE).collect::<String>()),
    }
}

/// How many names of a refused answer are kept.
const MOST_NAMES: usize = 10;
/// How many refusals are kept.
const MOST_REFUSALS: usize = 20;
/// How much of the name and the version of a client is kept.
const MOST_SOFTWARE: usize = 64;
