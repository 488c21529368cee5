//! From a pool's view to what travels: a whole picture, or what is another than in the one before.

use std::sync::Arc;

use ambidex_core::time::Span;
use ambidex_core::view::{PoolView, WorkerView};
use ambidex_wire::subscription::{
    Beat, Changes, Down, Guidance, NotLeading, Picture, Policy, SplitPicture, TableNews, Told, WorkerPicture,
    ZonesPicture,
};
use bytes::Bytes;
use prost::Message as _;

use crate::leadership::Leading;

/// All of a pool.
pub(super) fn picture(view: &PoolView, tick: Span) -> Picture {
    let split = view.split.as_ref().map(|split| SplitPicture {
        kind: split.kind,
        id: split.id,
        share: split.share,
        control: split.control,
    });
    let zones = view.zones().map(ZonesPicture::of);
    let policy =
        Policy { pick: view.pick, breaker: view.breaker, learned_share: view.learned_share, tick, split, zones };
    let tried = |slot: usize| view.split.as_ref().map_or(0.0, |split| split.weights.at(slot));
    let worker = |(slot, worker): (usize, &WorkerView)| WorkerPicture {
        name: worker.name.to_string(),
        url: worker.url.to_string(),
        address: WorkerPicture::written(&worker.address),
        zone: worker.zone.to_string(),
        standing: WorkerPicture::number(worker.standing),
        fixed: view.fixed.at(slot),
        learned: view.learned.at(slot),
        tried: tried(slot),
        points: view.points(slot).unwrap_or(0),
    };
    Picture {
        pool: view.name.to_string(),
        revision: view.revision,
        policy: serde_json::to_string(&policy).expect("checked settings are plain data"),
        workers: view.workers.iter().enumerate().map(worker).collect(),
        more: false,
    }
}

/// A picture, whole: its pages.
pub(super) fn whole(picture: &Picture, term: u64) -> Arc<[Bytes]> {
    picture.pages().into_iter().map(|page| said(Told::Picture(page), term)).collect()
}

/// What is another than in a picture before.
pub(super) fn changes(changes: Changes, term: u64) -> Bytes {
    said(Told::Changes(changes), term)
}

/// A sign of life.
pub(super) fn beat(guidance: Vec<Guidance>, term: u64) -> Bytes {
    let pools = guidance.iter().map(|guidance| guidance.pool.clone()).collect();
    said(Told::Beat(Beat { pools, guidance }), term)
}

/// There is no such pool.
pub(super) fn no_pool(name: &str, term: u64) -> Bytes {
    said(Told::NoPool(name.to_owned()), term)
}

/// A table, or what is another in it.
pub(super) fn table(news: TableNews, term: u64) -> Bytes {
    said(Told::Table(news), term)
}

/// No such keyspace is decided about here.
pub(super) fn no_keyspace(name: &str, term: u64) -> Bytes {
    said(Told::NoKeyspace(name.to_owned()), term)
}

/// Another one leads, or nobody does; `latest`: the latest term that is known.
pub(super) fn not_leading(leader: Option<Leading>, latest: u64) -> Bytes {
    let Leading { name, gateways, admin: _ } = leader.unwrap_or_default();
    said(Told::NotLeading(NotLeading { leader: name, url: gateways.unwrap_or_default() }), latest)
}

/// All that is said goes with the term under which it is.
fn said(told: Told, term: u64) -> Bytes {
    Down { told: Some(told), term }.encode_to_vec().into()
}
