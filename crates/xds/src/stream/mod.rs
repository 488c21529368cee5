//! One stream of one client: what it wants, what it has, and what it is sent next.
//!
//! A machine without sockets: [`Stream::on`] takes a request or a new catalog, and gives what is to be done. For each
//! kind of resource, apart from the others:
//!
//! ```text
//!             something that the client wants differs from what it has
//!   Settled ─────────────────────────────────────────────────────────> Sent {nonce, what}
//!      ^  ^                                                               │   │
//!      │  └──────────── accepted: it has what was sent ───────────────────┘   │
//!      └─────────────── refused: it has what it had; what was sent is not ────┘
//!                       sent again before its version is another
//! ```
//!
//! While an answer is *sent* and not spoken of, nothing more of its kind goes out: a slow client gets the newest state
//! and never a queue of old ones. Words on an answer that is not the last one (an old nonce) change nothing.
//!
//! One bad resource must not hold back good ones. An answer of several that is refused is sent again one by one, where
//! the protocol allows answers in parts; the one that is bad is then refused alone, and is known by name.
//!
//! | what happens | what is done |
//! |---|---|
//! | an answer is refused | what the client had stands; told with its text; not resent before the resource changes |
//! | the refused answer held several resources | each is sent alone, once |
//! | an old nonce, or one that we never gave | it is no word on an answer; what the request wants counts |
//! | a name that there is nothing for | delta: told as removed, sent when it comes; state of the world: sent when it comes |
//! | a resource goes away | delta: told as removed; state of the world: CDS and LDS are sent without it, of EDS and RDS nothing can be said |
//! | a cluster is sent again because it changed | its endpoints are sent again: Envoy warms it with them |
//! | the client comes back and says what it has (delta) | only what differs is sent |
//! | a type that we do not serve | told, never answered: other servers of that Envoy may |
//! | no node in the first request, no type, or more or longer names than allowed | the stream ends with the reason |

mod subscription;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::subscription::Subscription;
use crate::catalog::{Catalog, Kind, Resource, Version};
use crate::limits::Limits;
use crate::proto::Node;
use crate::proto::discovery::{DeltaDiscoveryRequest, DiscoveryRequest};

/// Which form of the protocol a stream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// Each request says all that is wanted.
    StateOfTheWorld,
    /// Each request and each answer says what differs.
    Delta,
}

/// What reaches a stream.
#[derive(Debug)]
pub enum Event {
    /// A request in the state of the world.
    World(DiscoveryRequest),
    /// A request in delta.
    Delta(DeltaDiscoveryRequest),
    /// There is another catalog.
    Changed,
}

/// What a stream wants done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Who the client is, from its first request.
    Introduced(Arc<Node>),
    /// This goes to the client.
    Send(Answer),
    /// The client took an answer over.
    Accepted {
        /// Of which kind.
        kind: Kind,
        /// The catalog's version of that kind when it was sent.
        version: Version,
    },
    /// The client refused an answer.
    Refused(Refused),
    /// The client asks for a type that we do not serve.
    Unserved(String),
    /// The stream ends, with this reason.
    Close(Fault),
}

/// An answer, in either dialect.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Of which kind.
    pub kind: Kind,
    /// The catalog's version of that kind.
    pub version: Version,
    /// What the client's word on it will name.
    pub nonce: u64,
    /// What is new to the client.
    pub resources: Vec<(Arc<str>, Resource)>,
    /// What is gone.
    pub removed: Vec<Arc<str>>,
}

/// What a client refused, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Of which kind.
    pub kind: Kind,
    /// The resources of the answer.
    pub names: Vec<Arc<str>>,
    /// The catalog's version of that kind when it was sent.
    pub version: Version,
    /// Its own words, cut.
    pub text: Arc<str>,
    /// Whether each is sent alone now, to find the bad one.
    pub parted: bool,
}

/// Why a stream ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nobody said who asks.
    #[error("the first request of a stream names no node: give `node.id` in the bootstrap")]
    NoNode,
    /// The name is too long to be kept.
    #[error("the node's id has {length} bytes, and at most {most} are kept")]
    LongNode {
        /// How long it is.
        length: usize,
        /// How long it may be.
        most: usize,
    },
    /// On an aggregated stream each request says its type.
    #[error("a request on an aggregated stream names no type_url")]
    NoType,
    /// Too much is wanted.
    #[error("{count} resources of one type are named, and at most {most} may be")]
    ManyNames {
        /// How many it would be.
        count: usize,
        /// How many may be.
        most: usize,
    },
    /// A name is too long to be kept.
    #[error("a resource's name has {length} bytes, and at most {most} are kept")]
    LongName {
        /// How long it is.
        length: usize,
        /// How long it may be.
        most: usize,
    },
}

/// One stream.
#[derive(Debug)]
pub struct Stream {
    limits: Limits,
    dialect: Dialect,
    known: bool,
    nonce: u64,
    subscriptions: [Subscription; 4],
}

impl Stream {
    /// A stream on which nothing was said yet.
    #[must_use]
    pub fn new(dialect: Dialect, limits: Limits) -> Self {
        Self { limits, dialect, known: false, nonce: 0, subscriptions: Kind::ALL.map(Subscription::new) }
    }

    /// Takes in what happened. After [`Effect::Close`] the stream is over.
    pub fn on(&mut self, event: Event, catalog: &Catalog, out: &mut Vec<Effect>) {
        let taken = match event {
            Event::World(request) => self.world(request, out),
            Event::Delta(request) => self.delta(request, out),
            Event::Changed => Ok(()),
        };
        match taken {
            Ok(()) => self.answer(catalog, out),
            Err(fault) => out.push(Effect::Close(fault)),
        }
    }

    /// How many names the client wants of a kind; `None`: all.
    #[must_use]
    pub fn wanted(&self, kind: Kind) -> Option<usize> {
        self.subscriptions[kind as usize].wanted()
    }

    /// Whether the client has all that it wants: nothing is out, and nothing of this catalog is refused.
    #[must_use]
    pub fn is_settled(&self, catalog: &Catalog) -> bool {
        self.subscriptions.iter().all(|subscription| subscription.is_settled(catalog))
    }

    /// What the client refuses of what this catalog has: kind, name, and its words.
    pub fn refusals<'a>(&'a self, catalog: &'a Catalog) -> impl Iterator<Item = (Kind, &'a Arc<str>, &'a Arc<str>)> {
        let of = |kind: Kind| {
            self.subscriptions[kind as usize].refusals(catalog).map(move |(name, text)| (kind, name, text))
        };
        Kind::ALL.into_iter().flat_map(of)
    }

    /// A request in the state of the world: its names are all that is wanted.
    fn world(&mut self, request: DiscoveryRequest, out: &mut Vec<Effect>) -> Result<(), Fault> {
        self.introduce(request.node, out)?;
        let Some(kind) = served(&request.type_url, out)? else { return Ok(()) };
        let subscription = &mut self.subscriptions[kind as usize];
        check(request.resource_names.len(), &request.resource_names, &self.limits)?;
        out.extend(subscription.hear(&request.response_nonce, request.error_detail));
        subscription.want_exactly(request.resource_names);
        Ok(())
    }

    /// A request in delta: a word on an answer, what is wanted beside what was, or both.
    fn delta(&mut self, request: DeltaDiscoveryRequest, out: &mut Vec<Effect>) -> Result<(), Fault> {
        self.introduce(request.node, out)?;
        let Some(kind) = served(&request.type_url, out)? else { return Ok(()) };
        let subscription = &mut self.subscriptions[kind as usize];
        let more = request.resource_names_subscribe.len().max(request.initial_resource_versions.len());
        let count = subscription.wanted().unwrap_or(0) + more;
        check(count, &request.resource_names_subscribe, &self.limits)?;
        check(count, request.initial_resource_versions.keys(), &self.limits)?;
        out.extend(subscription.hear(&request.response_nonce, request.error_detail));
        subscription.want_no_more(&request.resource_names_unsubscribe);
        subscription.want_also(request.resource_names_subscribe);
        subscription.has(request.initial_resource_versions);
        Ok(())
    }

    fn introduce(&mut self, node: Option<Node>, out: &mut Vec<Effect>) -> Result<(), Fault> {
        if self.known {
            return Ok(());
        }
        let node = node.filter(|node| !node.id.is_empty()).ok_or(Fault::NoNode)?;
        let (length, most) = (node.id.len().max(node.cluster.len()), self.limits.most_node_bytes);
        if length > most {
            return Err(Fault::LongNode { length, most });
        }
        self.known = true;
        out.push(Effect::Introduced(Arc::new(node)));
        Ok(())
    }

    /// Sends what is due, by kind in their order.
    fn answer(&mut self, catalog: &Catalog, out: &mut Vec<Effect>) {
        for kind in Kind::ALL {
            let Some(due) = self.subscriptions[kind as usize].due(catalog, self.dialect) else { continue };
            self.nonce += 1;
            if kind == Kind::Clusters {
                let endpoints = &mut self.subscriptions[Kind::Endpoints as usize];
                due.resources.iter().filter(|due| due.new).for_each(|due| endpoints.forget(&due.name));
            }
            out.push(Effect::Send(self.subscriptions[kind as usize].send(self.nonce, due)));
        }
    }
}

/// The kind of a request; `None` for one that we do not serve, which is told.
fn served(url: &str, out: &mut Vec<Effect>) -> Result<Option<Kind>, Fault> {
    if url.is_empty() {
        return Err(Fault::NoType);
    }
    let kind = Kind::of(url);
    if kind.is_none() {
        out.push(Effect::Unserved(url.chars().take(MOST_URL_SHOWN).collect()));
    }
    Ok(kind)
}

fn check<'a>(count: usize, names: impl IntoIterator<Item = &'a String>, limits: &Limits) -> Result<(), Fault> {
    if count > limits.most_names {
        return Err(Fault::ManyNames { count, most: limits.most_names });
    }
    let long = names.into_iter().map(String::len).find(|length| *length > limits.most_name_bytes);
    long.map_or(Ok(()), |length| Err(Fault::LongName { length, most: limits.most_name_bytes }))
}

/// How much of a type that is not served is shown.
const MOST_URL_SHOWN: usize = 120;
