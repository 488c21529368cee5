//! What a mover does at its turn: heeds an order, conducts moves, begins what waits, and goes on with drains.

mod drains;
mod moves;
mod orders;
mod works;

use ambidex_core::shard::records::{Key, Membership, Record};
use ambidex_core::worker::WorkerId;
use ambidex_store::shards::Picture;

use crate::mover::Task;
use crate::status::Reason;

impl Task {
    /// Whatever can begin, begins.
    pub(crate) fn go_on(&mut self) {
        self.next_work();
        self.begin_waiting();
    }

    /// What a worker is called.
    pub(crate) fn name(&self, worker: WorkerId) -> String {
        let named = self.picture.iter().flat_map(Picture::names).find(|(id, _)| *id == worker);
        named.map_or_else(|| format!("worker {}", worker.0), |(_, named)| named.name.clone())
    }
}

/// Whether a worker may be given slices: who was never marked, may.
pub(crate) fn membership(picture: &Picture, worker: WorkerId) -> Membership {
    match picture.record(Key::Worker(worker)) {
        Some((_, Record::Worker(membership))) => membership,
        Some((_, Record::Leader(_) | Record::Ids(_) | Record::Slice(_) | Record::Move(_))) | None => Membership::In,
    }
}

fn catches_up() -> Reason {
    Reason { code: "catches_up", why: "what was changed last is not seen in the store yet".to_owned() }
}
