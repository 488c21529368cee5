//! From a pool's configured sources to what its roster hears: the looking, without which the roster knows nobody.
//!
//! One task a source that must be looked at again: a file when its folder changes, a name when its answer's time to
//! live is over, a service of Kubernetes when the API server says so, keys of an etcd when that does. A task only looks and tells; whether it is believed is the roster's business.

mod etcd;
mod file;
mod kubernetes;
mod names;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ambidex_core::view::Address;
use ambidex_core::worker::PoolId;
use tokio::task::AbortHandle;

use crate::config::{Host, Member, Source};
use crate::roster::{Event, Found};

pub(crate) use names::Names;

/// The source of all workers that need no looking up.
pub(crate) const STATIC: &str = "static";

/// What a source is called in the roster, in logs and on pages.
pub(crate) fn label(source: &Source) -> Arc<str> {
    match source {
        Source::Worker(member) => match member.url.host() {
            Host::Ip(_) | Host::Unix(_) => STATIC.into(),
            Host::Name(..) => format!("name:{}", member.identity()).into(),
        },
        Source::File(path) => format!("file:{}", path.display()).into(),
        Source::Dns(member) => format!("dns:{}", member.url).into(),
        Source::DnsSrv(name) => format!("dns+srv:{name}").into(),
        Source::Kubernetes(service) => service.label().into(),
        Source::Etcd(keys) => keys.label().into(),
    }
}

/// The labels of all sources, each once, in the configuration's order.
pub(crate) fn labels(sources: &[Source]) -> Vec<Arc<str>> {
    let mut labels: Vec<Arc<str>> = Vec::new();
    for name in sources.iter().map(label) {
        if !labels.contains(&name) {
            labels.push(name);
        }
    }
    labels
}

/// The workers that need no looking up.
pub(crate) fn fixed(sources: &[Source]) -> Vec<Found> {
    let standing = |source: &Source| match source {
        Source::Worker(member) => at_once(member),
        Source::File(_) | Source::Dns(_) | Source::DnsSrv(_) | Source::Kubernetes(_) | Source::Etcd(_) => None,
    };
    sources.iter().filter_map(standing).collect()
}

/// The sources that must be looked at, again and again.
pub(crate) fn lookups(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| &*label(source) != STATIC)
}

fn at_once(member: &Member) -> Option<Found> {
    match member.url.host() {
        Host::Ip(address) => Some(found(member, Address::Ip(*address))),
        Host::Unix(path) => Some(found(member, Address::Unix(Arc::clone(path)))),
        Host::Name(..) => None,
    }
}

fn found(member: &Member, address: Address) -> Found {
    Found {
        name: Arc::clone(member.identity()),
        url: Arc::clone(member.url.text()),
        address,
        zone: Arc::clone(&member.zone),
        path: Arc::clone(&member.path),
        weight: member.weight,
        limit: member.limit,
    }
}

/// One of many workers behind one URL: its name is the URL and its address, its URL stays the one that was given, so
/// that `Host` and certificates are those of the name.
fn found_at(member: &Member, address: SocketAddr) -> Found {
    Found { name: format!("{}#{address}", member.url).into(), ..found(member, Address::Ip(address)) }
}

/// Where tasks tell what they found.
pub(crate) type Tell = Arc<dyn Fn(PoolId, Event) + Send + Sync>;

/// The running tasks.
pub(crate) struct Discovery {
    names: Arc<Names>,
    tell: Tell,
    tasks: HashMap<(PoolId, Arc<str>), (Source, AbortHandle)>,
}

impl Discovery {
    pub(crate) fn new(names: Names, tell: Tell) -> Self {
        Self { names: Arc::new(names), tell, tasks: HashMap::new() }
    }

    /// Starts what is wanted and not running, ends what is running and not wanted. Within the runtime only.
    pub(crate) fn reconcile(&mut self, wanted: Vec<(PoolId, Source)>) {
        let mut before = std::mem::take(&mut self.tasks);
        for (pool, source) in wanted {
            let key = (pool, label(&source));
            let task = match before.remove(&key) {
                Some((known, task)) if known == source => task,
                Some((_, old)) => {
                    old.abort();
                    self.begin(pool, source.clone())
                }
                None => self.begin(pool, source.clone()),
            };
            self.tasks.insert(key, (source, task));
        }
        for (_, task) in before.into_values() {
            task.abort();
        }
    }

    /// Looks at these pools' sources anew, as if their answers were too old. Within the runtime only.
    pub(crate) fn again(&mut self, pools: &[PoolId]) {
        let keys: Vec<_> = self.tasks.keys().filter(|(pool, _)| pools.contains(pool)).cloned().collect();
        for key in keys {
            let Some((source, task)) = self.tasks.remove(&key) else { continue };
            task.abort();
            let task = self.begin(key.0, source.clone());
            self.tasks.insert(key, (source, task));
        }
    }

    fn begin(&self, pool: PoolId, source: Source) -> AbortHandle {
        let (names, tell) = (Arc::clone(&self.names), Arc::clone(&self.tell));
        let tell = move |event| tell(pool, event);
        let task = match source {
            Source::File(path) => tokio::spawn(file::follow(path, names, tell)),
            Source::Kubernetes(service) => tokio::spawn(kubernetes::follow(*service, tell)),
            Source::Etcd(keys) => tokio::spawn(etcd::follow(*keys, names, tell)),
            Source::Worker(_) | Source::Dns(_) | Source::DnsSrv(_) => {
                tokio::spawn(async move { names::follow(&names, &source, tell).await })
            }
        };
        task.abort_handle()
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.tasks.values().for_each(|(_, task)| task.abort());
    }
}

#[cfg(test)]
mod tests;
