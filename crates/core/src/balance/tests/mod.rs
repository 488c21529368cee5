//! Laws of every pick, the shares that each gives, and what they do to latency in a small simulated pool.

mod effects;
mod laws;
mod shares;
mod simulation;

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::*;
use crate::again::budget::Budget;
use crate::guard::breaker::BreakerConfig;
use crate::load::Cells;
use crate::share::Share;
use crate::signal::Report;
use crate::view::{Address, PoolParts, WorkerView};
use crate::worker::{PoolId, Standing};

/// Cells for as many workers as there are weights, to outlive views.
fn cells(count: usize) -> Vec<Arc<Cells>> {
    (0..count).map(|_| Arc::new(Cells::new(1))).collect()
}

/// A view of workers 0, 1, 2 .. with these weights in both arms.
fn pool(pick: PickPolicy, revision: u64, weights: &[f64], cells: &[Arc<Cells>]) -> PoolView {
    let worker = |(slot, cells): (u32, &Arc<Cells>)| WorkerView {
        id: WorkerId(slot),
        name: format!("worker-{slot}").into(),
        url: "http://127.0.0.1:1".into(),
        address: Address::Ip(SocketAddr::from(([127, 0, 0, 1], 1))),
        zone: "".into(),
        standing: Standing::Serving,
        cells: Arc::clone(cells),
        drill: None,
    };
    let parts = PoolParts {
        id: PoolId(0),
        name: "api".into(),
        revision,
        workers: (0..).zip(cells).map(worker).collect(),
        pick,
        learned: weights.to_vec(),
        fixed: weights.to_vec(),
        learned_share: Share::ALL,
        breaker: BreakerConfig::default(),
        budget: Arc::new(Budget::default()),
    };
    PoolView::new(parts, None)
}

fn ask<'a>(now: Mono, pool: &'a PoolView, barred: &'a Barred<'a>) -> Ask<'a> {
    Ask { now, pool, arm: Arm::Learned, weights: &pool.learned, barred, key: None, cost: None }
}

fn at(millis: u64) -> Mono {
    Mono::default() + Span::from_millis(millis)
}
