//! One stream, event by event.

mod bounds;
mod coming_and_going;
mod protocol;
mod refusing;
mod telling;

use std::collections::HashMap;
use std::sync::Arc;

use super::*;
use crate::proto::Status;
use crate::testing::{cluster, picture};

/// A stream with its catalog, and what it did last.
struct Scene {
    stream: Stream,
    catalog: Catalog,
}

impl Scene {
    fn new(dialect: Dialect, clusters: &[(&str, f64)]) -> Self {
        Self { stream: Stream::new(dialect, Limits::default()), catalog: catalog(clusters, &Catalog::default()) }
    }

    fn on(&mut self, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        self.stream.on(event, &self.catalog, &mut out);
        out
    }

    fn change(&mut self, clusters: &[(&str, f64)]) -> Vec<Effect> {
        self.catalog = catalog(clusters, &self.catalog);
        self.on(Event::Changed)
    }

    fn ask(&mut self, kind: Kind, names: &[&str]) -> Vec<Effect> {
        let event = match self.stream.dialect {
            Dialect::StateOfTheWorld => Event::World(world(kind, names, "", None)),
            Dialect::Delta => Event::Delta(delta(kind, names)),
        };
        self.on(event)
    }

    /// The client's word on an answer; in the state of the world with all names that it wants.
    fn say(&mut self, kind: Kind, nonce: u64, names: &[&str], error: Option<&str>) -> Vec<Effect> {
        let nonce = nonce.to_string();
        let error = error.map(|text| Status { code: 13, message: text.into() });
        let event = match self.stream.dialect {
            Dialect::StateOfTheWorld => Event::World(world(kind, names, &nonce, error)),
            Dialect::Delta => {
                Event::Delta(DeltaDiscoveryRequest { response_nonce: nonce, error_detail: error, ..delta(kind, &[]) })
            }
        };
        self.on(event)
    }
}

fn catalog(clusters: &[(&str, f64)], before: &Catalog) -> Catalog {
    // Beside an endpoint that stays as it is, so that the weight is seen.
    Catalog::of(&picture(clusters.iter().map(|(name, weight)| cluster(name, &[1.0, *weight]))), before)
}

fn node() -> Option<Node> {
    Some(Node { id: "n".into(), ..Node::default() })
}

fn world(kind: Kind, names: &[&str], nonce: &str, error_detail: Option<Status>) -> DiscoveryRequest {
    DiscoveryRequest {
        node: node(),
        resource_names: names.iter().map(ToString::to_string).collect(),
        type_url: kind.url().into(),
        response_nonce: nonce.into(),
        error_detail,
        ..DiscoveryRequest::default()
    }
}

fn delta(kind: Kind, subscribe: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: node(),
        type_url: kind.url().into(),
        resource_names_subscribe: subscribe.iter().map(ToString::to_string).collect(),
        ..DeltaDiscoveryRequest::default()
    }
}

/// What was sent, as (nonce, names, removed).
fn sent(effects: &[Effect]) -> Vec<(u64, Vec<String>, Vec<String>)> {
    let of = |effect: &Effect| match effect {
        Effect::Send(answer) => Some((
            answer.nonce,
            answer.resources.iter().map(|(name, _)| name.to_string()).collect(),
            answer.removed.iter().map(ToString::to_string).collect(),
        )),
        Effect::Introduced(_)
        | Effect::Accepted { .. }
        | Effect::Refused(_)
        | Effect::Unserved(_)
        | Effect::Close(_) => None,
    };
    effects.iter().filter_map(of).collect()
}

fn one(effects: &[Effect]) -> (u64, Vec<String>, Vec<String>) {
    let sent = sent(effects);
    assert_eq!(sent.len(), 1, "{effects:?}");
    sent[0].clone()
}

fn names(some: &[&str]) -> Vec<String> {
    some.iter().map(ToString::to_string).collect()
}

const BOTH: [Dialect; 2] = [Dialect::StateOfTheWorld, Dialect::Delta];
const EDS: Kind = Kind::Endpoints;
const CDS: Kind = Kind::Clusters;
