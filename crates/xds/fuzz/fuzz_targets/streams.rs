//! What a client of xDS says on one stream of resources, for libFuzzer: a byte that chooses the dialect, then messages, each
//! with a byte and two bytes of length. An odd byte is another picture instead of a message.
//!
//! Whatever comes: nothing panics, a stream keeps no more names than it may, no resource is sent that is not there, and
//! nothing more of a kind is sent while an answer is not spoken of.
#![no_main]

use std::collections::HashSet;
use std::sync::Arc;

use ambidex_core::view::Address;
use ambidex_xds::catalog::{Catalog, Kind};
use ambidex_xds::limits::Limits;
use ambidex_xds::picture::{Cluster, Endpoint, Health, Offer, Picture};
use ambidex_xds::proto::discovery::{DeltaDiscoveryRequest, DiscoveryRequest};
use ambidex_xds::stream::{Dialect, Effect, Event, Stream};
use prost::Message as _;

/// Names of a kind that a client may want.
const MOST: usize = 4;

fn cluster(name: &str, endpoints: u16) -> Arc<Cluster> {
    let endpoint = |at: u16| Endpoint {
        name: format!("w{at}").into(),
        address: Address::Ip(([127, 0, 0, 1], 1 + at).into()),
        weight: f64::from(at),
        health: if at % 3 == 2 { Health::Draining } else { Health::Healthy },
        zone: if at % 2 == 0 { "a" } else { "b" }.into(),
        priority: u32::from(at % 2),
    };
    let endpoints = (0..endpoints).map(endpoint).collect();
    Arc::new(Cluster { name: name.into(), endpoints, offer: Offer::Grpc })
}

/// Three pictures, one after the other: with more, with less, with another.
fn catalogs() -> Vec<Catalog> {
    let pictures = [vec![("a", 2)], vec![("a", 3), ("b", 1)], vec![("b", 1)]];
    let mut made: Vec<Catalog> = Vec::new();
    for (revision, clusters) in (1..).zip(pictures) {
        let clusters = clusters.into_iter().map(|(name, endpoints)| cluster(name, endpoints)).collect();
        let next = Catalog::of(&Picture { revision, clusters }, made.last().unwrap_or(&Catalog::default()));
        made.push(next);
    }
    made
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, mut rest)) = bytes.split_first() else { return };
    let dialect = if first % 2 == 0 { Dialect::Delta } else { Dialect::StateOfTheWorld };
    let limits = Limits { most_names: MOST, ..Limits::default() };
    let (catalogs, mut stream, mut at) = (catalogs(), Stream::new(dialect, limits), 0);
    let (mut effects, mut nonces) = (Vec::new(), HashSet::new());
    while let Some(([what, length @ ..], more)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(more.len());
        let (message, more) = more.split_at(length);
        rest = more;
        let event = match (what % 2, dialect) {
            (1, _) => {
                at = (at + 1) % catalogs.len();
                Event::Changed
            }
            (_, Dialect::Delta) => match DeltaDiscoveryRequest::decode(message) {
                Ok(asked) => Event::Delta(asked),
                Err(_) => continue,
            },
            (_, Dialect::StateOfTheWorld) => match DiscoveryRequest::decode(message) {
                Ok(asked) => Event::World(asked),
                Err(_) => continue,
            },
        };
        let catalog = &catalogs[at];
        stream.on(event, catalog, &mut effects);
        let _ = stream.is_settled(catalog);
        stream.refusals(catalog).for_each(|refusal| drop(format!("{refusal:?}")));
        let mut over = false;
        let mut kinds: Vec<Kind> = Vec::new();
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(answer) => {
                    assert!(nonces.insert((answer.kind.url(), answer.nonce)), "a nonce twice");
                    assert!(!kinds.contains(&answer.kind), "two answers of a kind at once");
                    kinds.push(answer.kind);
                    for (name, _) in &answer.resources {
                        assert!(catalog.get(answer.kind, name).is_some(), "{name} is not there");
                    }
                    assert!(stream.wanted(answer.kind).is_none_or(|wanted| wanted <= MOST), "more names than may be");
                }
                Effect::Close(fault) => {
                    drop(fault.to_string());
                    over = true;
                }
                other => drop(format!("{other:?}")),
            }
        }
        if over {
            return;
        }
    }
});
