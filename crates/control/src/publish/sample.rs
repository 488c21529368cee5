//! A pool, as publishers are shown it in tests.

use std::sync::Arc;

use ambidex_core::again::budget::Budget;
use ambidex_core::balance::PickPolicy;
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::load::Cells;
use ambidex_core::share::Share;
use ambidex_core::view::{Address, PoolParts, PoolView, WorkerView};
use ambidex_core::worker::{PoolId, Standing, WorkerId};

fn worker(number: u16) -> WorkerView {
    WorkerView {
        id: WorkerId(number.into()),
        name: "".into(),
        url: format!("http://10.0.0.{number}:80").into(),
        address: Address::Ip(([10, 0, 0, 1], 8000 + number).into()),
        zone: "".into(),
        standing: Standing::Serving,
        cells: Arc::new(Cells::new(1)),
        drill: None,
    }
}

/// A pool of w1, w2 .. with these learned weights; under 0 is drained. Configured weights are all 1.
pub(crate) fn pool(weights: &[f64]) -> PoolView {
    let names: Vec<String> = (1..=weights.len()).map(|number| format!("w{number}")).collect();
    named(&names.iter().map(String::as_str).zip(weights.iter().copied()).collect::<Vec<_>>())
}

/// The same with names.
pub(crate) fn named(workers: &[(&str, f64)]) -> PoolView {
    let of = |number: u16, name: &str, weight: f64| {
        let standing = if weight < 0.0 { Standing::Draining } else { Standing::Serving };
        WorkerView { name: name.into(), standing, ..worker(number) }
    };
    let parts = PoolParts {
        id: PoolId(1),
        name: "api".into(),
        revision: 1,
        workers: (1..).zip(workers).map(|(number, (name, weight))| of(number, name, *weight)).collect(),
        pick: PickPolicy::default(),
        learned: workers.iter().map(|(_, weight)| *weight).collect(),
        fixed: vec![1.0; workers.len()],
        learned_share: Share::ALL,
        breaker: BreakerConfig::default(),
        budget: Arc::<Budget>::default(),
    };
    PoolView::new(parts, None)
}
