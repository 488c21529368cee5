//! From a pool's view to what travels: a whole picture, or the weights that moved since the one before.

use ambidex_core::time::Span;
use ambidex_core::view::{PoolView, WorkerView};
use ambidex_wire::subscription::{Beat, Down, Picture, Policy, Told, Weights, WorkerPicture};
use bytes::Bytes;
use prost::Message as _;

/// All of a pool.
pub(super) fn whole(view: &PoolView, tick: Span) -> Bytes {
    let policy = Policy { pick: view.pick, breaker: view.breaker, learned_share: view.learned_share, tick };
    let worker = |(slot, worker): (usize, &WorkerView)| WorkerPicture {
        name: worker.name.to_string(),
        url: worker.url.to_string(),
        address: WorkerPicture::written(&worker.address),
        zone: worker.zone.to_string(),
        standing: WorkerPicture::number(worker.standing),
        fixed: view.fixed.at(slot),
        learned: view.learned.at(slot),
    };
    said(Told::Picture(Picture {
        pool: view.name.to_string(),
        revision: view.revision,
        policy: serde_json::to_string(&policy).expect("checked settings are plain data"),
        workers: view.workers.iter().enumerate().map(worker).collect(),
    }))
}

/// The learned weights that moved from one view to the next; `None` when more than that is another.
pub(super) fn moved(old: &PoolView, new: &PoolView) -> Option<Bytes> {
    let same = |(a, b): (&WorkerView, &WorkerView)| {
        a.id == b.id
            && a.standing == b.standing
            && (&a.name, &a.url, &a.address, &a.zone) == (&b.name, &b.url, &b.address, &b.zone)
    };
    let alike = old.workers.len() == new.workers.len()
        && old.workers.iter().zip(&new.workers).all(same)
        && (old.pick, old.breaker, old.learned_share) == (new.pick, new.breaker, new.learned_share)
        && old.fixed.as_slice() == new.fixed.as_slice();
    if !alike {
        return None;
    }
    let pairs = old.learned.as_slice().iter().zip(new.learned.as_slice()).enumerate();
    let differ = pairs.filter(|(_, (old, new))| old.to_bits() != new.to_bits());
    let (places, learned) = differ.filter_map(|(at, (_, new))| Some((u32::try_from(at).ok()?, *new))).unzip();
    Some(said(Told::Weights(Weights {
        pool: new.name.to_string(),
        from: old.revision,
        revision: new.revision,
        places,
        learned,
    })))
}

/// A sign of life.
pub(super) fn beat(pools: Vec<String>) -> Bytes {
    said(Told::Beat(Beat { pools }))
}

/// There is no such pool.
pub(super) fn no_pool(name: &str) -> Bytes {
    said(Told::NoPool(name.to_owned()))
}

fn said(told: Told) -> Bytes {
    Down { told: Some(told) }.encode_to_vec().into()
}
