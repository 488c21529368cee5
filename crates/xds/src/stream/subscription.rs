//! One kind of resource on one stream: what the client wants of it, what it has, and what it refused.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Answer, Dialect, Effect, Refused};
use crate::catalog::{Catalog, Kind, Resource, Version};
use crate::proto::Status;

/// What the client makes of a name: a version, or that there is nothing of this name.
type Standing = Option<Version>;

#[derive(Debug)]
pub(super) struct Subscription {
    kind: Kind,
    /// Whether anything was asked yet.
    asked: bool,
    /// Whether anything was ever asked by its name.
    named: bool,
    /// Whether all that there is is wanted.
    all: bool,
    /// What is wanted by name.
    names: BTreeSet<Arc<str>>,
    /// What the client has, or knows to be gone.
    held: HashMap<Arc<str>, Standing>,
    /// What it refused, and in which words.
    refused: BTreeMap<Arc<str>, (Standing, Arc<str>)>,
    /// What is to be sent alone, because an answer that it was part of was refused.
    alone: BTreeSet<Arc<str>>,
    /// Whether anything was ever sent: one who wants all is told even that there is nothing.
    answered: bool,
    sent: Option<Sent>,
}

/// An answer that the client has not spoken of yet.
#[derive(Debug)]
struct Sent {
    nonce: u64,
    version: Version,
    what: Vec<(Arc<str>, Standing)>,
    /// Whether its resources could have been sent one by one.
    parts: bool,
}

/// What is to be sent.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) resources: Vec<DueResource>,
    removed: Vec<Arc<str>>,
    version: Version,
    parts: bool,
}

/// One resource of it.
#[derive(Debug)]
pub(super) struct DueResource {
    pub(super) name: Arc<str>,
    resource: Resource,
    /// Whether the client has another version, or none.
    pub(super) new: bool,
}

impl Subscription {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            asked: false,
            named: false,
            all: false,
            names: BTreeSet::new(),
            held: HashMap::new(),
            refused: BTreeMap::new(),
            alone: BTreeSet::new(),
            answered: false,
            sent: None,
        }
    }

    /// How many names are wanted; `None`: all.
    pub(super) fn wanted(&self) -> Option<usize> {
        (!self.all).then_some(self.names.len())
    }

    /// Whether nothing is out, and nothing that there is now is refused.
    pub(super) fn is_settled(&self, catalog: &Catalog) -> bool {
        self.sent.is_none() && self.refusals(catalog).next().is_none()
    }

    /// What it refuses of what there is now, by name, with its words.
    pub(super) fn refusals<'a>(&'a self, catalog: &'a Catalog) -> impl Iterator<Item = (&'a Arc<str>, &'a Arc<str>)> {
        let now = |name: &str| catalog.get(self.kind, name).map(|resource| resource.version);
        let stands =
            move |name: &Arc<str>, standing: &Standing| now(name) == *standing && self.held.get(name) != Some(standing);
        self.refused
            .iter()
            .filter(move |(name, (standing, _))| stands(name, standing))
            .map(|(name, (_, text))| (name, text))
    }

    /// Takes the client's word on the last answer, if this is one.
    pub(super) fn hear(&mut self, nonce: &str, error: Option<Status>) -> Option<Effect> {
        self.sent.as_ref().filter(|sent| sent.nonce.to_string() == nonce)?;
        let Sent { nonce: _, version, what, parts } = self.sent.take()?;
        let kind = self.kind;
        let Some(error) = error else {
            for (name, standing) in what {
                self.refused.remove(&name);
                if standing.is_some() || self.names.contains(&name) {
                    self.held.insert(name, standing);
                } else {
                    self.held.remove(&name);
                }
            }
            return Some(Effect::Accepted { kind, version });
        };
        let text: Arc<str> = error.message.chars().take(MOST_TEXT).collect::<String>().into();
        let names: Vec<_> = what.iter().map(|(name, _)| Arc::clone(name)).collect();
        let parted = parts && what.len() > 1;
        if parted {
            self.alone.extend(names.iter().cloned());
        } else {
            self.refused.extend(what.into_iter().map(|(name, standing)| (name, (standing, Arc::clone(&text)))));
        }
        Some(Effect::Refused(Refused { kind, names, version, text, parted }))
    }

    /// State of the world: these are all names that are wanted.
    pub(super) fn want_exactly(&mut self, names: Vec<String>) {
        // Who never named anything and may have all of a kind means all by naming nothing.
        self.named |= !names.is_empty();
        let unnamed = !self.named && self.kind.is_whole();
        let all = unnamed || names.iter().any(|name| name == ALL);
        let before = std::mem::take(&mut self.names);
        let names = names.into_iter().filter(|name| name != ALL).map(Arc::from);
        self.names = names.collect();
        (self.asked, self.all) = (true, all);
        let fresh: Vec<_> = self.names.difference(&before).cloned().collect();
        fresh.iter().for_each(|name| self.forget(name));
        self.forget_unwanted();
    }

    /// Delta: these are wanted from now on, and are sent even if the client had them.
    pub(super) fn want_also(&mut self, names: Vec<String>) {
        // The first request of a kind that names nothing means all, in Envoys that know no `*`.
        self.all |= !self.asked && names.is_empty() && self.kind.is_whole();
        self.asked = true;
        for name in names {
            if name == ALL {
                self.all = true;
                continue;
            }
            let name: Arc<str> = name.into();
            self.forget(&name);
            self.names.insert(name);
        }
    }

    /// Delta: these are wanted no more.
    pub(super) fn want_no_more(&mut self, names: &[String]) {
        for name in names {
            if name == ALL {
                self.all = false;
            } else {
                self.names.remove(name.as_str());
            }
        }
        if !names.is_empty() {
            self.forget_unwanted();
        }
    }

    /// Delta: the client has these from an earlier stream.
    pub(super) fn has(&mut self, versions: HashMap<String, String>) {
        // Who has something from us needs not be told that there is nothing.
        self.answered |= !versions.is_empty();
        for (name, version) in versions {
            if self.wants(&name) {
                self.held.insert(name.into(), Some(Version::read(&version)));
            }
        }
    }

    /// Whatever the client has of this name, it is to be sent again.
    pub(super) fn forget(&mut self, name: &str) {
        self.held.remove(name);
        self.refused.remove(name);
        if let Some(sent) = &mut self.sent {
            sent.what.retain(|(known, _)| **known != *name);
        }
    }

    fn forget_unwanted(&mut self) {
        if self.all {
            return;
        }
        let names = &self.names;
        self.held.retain(|name, _| names.contains(name));
        self.refused.retain(|name, _| names.contains(name));
        self.alone.retain(|name| names.contains(name));
        if let Some(sent) = &mut self.sent {
            sent.what.retain(|(name, _)| names.contains(name));
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.all || self.names.contains(name)
    }

    /// What is to be sent now: nothing while an answer is out.
    pub(super) fn due(&mut self, catalog: &Catalog, dialect: Dialect) -> Option<Due> {
        if !self.asked || self.sent.is_some() {
            return None;
        }
        let whole = dialect == Dialect::StateOfTheWorld && self.kind.is_whole();
        let mut differs: Vec<(Arc<str>, Standing)> = self.differing(catalog);
        if dialect == Dialect::StateOfTheWorld && !whole {
            // That something is not there cannot be said.
            differs.retain(|(_, standing)| standing.is_some());
        }
        let first = self.all && !self.answered;
        self.alone.retain(|name| differs.iter().any(|(known, _)| known == name));
        if differs.is_empty() && !first {
            return None;
        }
        if whole {
            let gone = differs.into_iter().filter(|(_, standing)| standing.is_none()).map(|(name, _)| name).collect();
            let there = self.wanted_names(catalog).cloned().collect();
            return Some(self.gather(catalog, there, gone, false));
        }
        if let Some(alone) = self.alone.pop_first() {
            differs.retain(|(name, _)| *name == alone);
        }
        let (there, gone): (Vec<_>, Vec<_>) = differs.into_iter().partition(|(_, standing)| standing.is_some());
        let names = |some: Vec<(Arc<str>, Standing)>| some.into_iter().map(|(name, _)| name).collect();
        Some(self.gather(catalog, names(there), names(gone), true))
    }

    /// What there is that the client has not, in the order of the names, and what it has that is not there.
    fn differing(&self, catalog: &Catalog) -> Vec<(Arc<str>, Standing)> {
        let there = self.wanted_names(catalog).filter_map(|name| {
            let version = catalog.get(self.kind, name).map(|resource| resource.version);
            Some((Arc::clone(name), version)).filter(|_| version.is_some())
        });
        let named = self.names.iter().filter(|name| catalog.get(self.kind, name).is_none());
        let held = self.held.iter().filter(|(name, standing)| {
            standing.is_some() && !self.names.contains(*name) && catalog.get(self.kind, name).is_none()
        });
        let gone = named.chain(held.map(|(name, _)| name)).map(|name| (Arc::clone(name), None));
        let differs = |(name, standing): &(Arc<str>, Standing)| {
            self.held.get(name) != Some(standing)
                && self.refused.get(name).is_none_or(|(refused, _)| refused != standing)
        };
        there.chain(gone).filter(differs).collect()
    }

    fn wanted_names<'a>(&'a self, catalog: &'a Catalog) -> Box<dyn Iterator<Item = &'a Arc<str>> + 'a> {
        if self.all {
            Box::new(catalog.names(self.kind))
        } else {
            Box::new(self.names.iter().filter(|name| catalog.get(self.kind, name).is_some()))
        }
    }

    fn gather(&self, catalog: &Catalog, there: Vec<Arc<str>>, removed: Vec<Arc<str>>, parts: bool) -> Due {
        let due = |name: Arc<str>| {
            let resource = catalog.get(self.kind, &name)?.clone();
            let new = self.held.get(&name) != Some(&Some(resource.version));
            Some(DueResource { name, resource, new })
        };
        let resources = there.into_iter().filter_map(due).collect();
        Due { resources, removed, version: catalog.total(self.kind), parts }
    }

    /// Notes that this goes out.
    pub(super) fn send(&mut self, nonce: u64, due: Due) -> Answer {
        let Due { resources, removed, version, parts } = due;
        let there = resources.iter().map(|due| (Arc::clone(&due.name), Some(due.resource.version)));
        let what = there.chain(removed.iter().map(|name| (Arc::clone(name), None))).collect();
        self.sent = Some(Sent { nonce, version, what, parts });
        self.answered = true;
        let resources = resources.into_iter().map(|due| (due.name, due.resource)).collect();
        Answer { kind: self.kind, version, nonce, resources, removed }
    }
}

/// How much of a client's words is kept. Source: ours; Envoy's longest messages name the resource and the field.
const MOST_TEXT: usize = 2_000;
/// The name that stands for all.
const ALL: &str = "*";
