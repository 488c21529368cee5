//! A pool of workers that nobody reaches, a seat, and a hand to play events.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::super::*;
use crate::again::budget::Budget;
use crate::balance::PickPolicy;
use crate::guard::breaker::BreakerConfig;
use crate::load::Cells;
use crate::view::{Address, PoolParts, PoolView, WorkerView};
use crate::worker::{PoolId, Standing, WorkerId};

/// A request that may run twice.
pub(super) const SAFE: Asked = Asked { key: None, class: None, copies: Copies::Any, home: None, cost: None };

pub(super) struct Bench {
    pub(super) pool: PoolView,
    pub(super) seat: Seat,
}

pub(super) fn pool(id: u32, weights: &[f64]) -> PoolView {
    let workers = (0..weights.len()).map(|slot| WorkerView {
        id: WorkerId(u32::try_from(slot).expect("small") + 100 * id),
        name: "w".into(),
        url: "http://127.0.0.1:1".into(),
        address: Address::Ip(SocketAddr::from(([127, 0, 0, 1], 1))),
        zone: "".into(),
        standing: Standing::Serving,
        cells: Arc::new(Cells::new(1)),
        drill: None,
    });
    let parts = PoolParts {
        id: PoolId(id),
        name: "api".into(),
        revision: 1,
        workers: workers.collect(),
        pick: PickPolicy::RoundRobin,
        learned: weights.to_vec(),
        fixed: weights.to_vec(),
        learned_share: Share::ALL,
        breaker: BreakerConfig::default(),
        budget: Arc::new(Budget::default()),
    };
    PoolView::new(parts, None)
}

pub(super) fn bench(weights: &[f64]) -> Bench {
    Bench { pool: pool(0, weights), seat: Seat::new(0, PickPolicy::RoundRobin, 1) }
}

impl Bench {
    pub(super) fn on(&mut self, attempt: &mut Attempt<'_>, now: Mono, event: Event) -> Vec<Effect> {
        let mut out = Effects::new();
        let mut desk = Desk { pool: &self.pool, seat: &mut self.seat };
        attempt.on(now, event, &mut desk, &mut out);
        out.into_iter().collect()
    }

    pub(super) fn start<'c>(&mut self, config: &'c AttemptConfig, asked: Asked) -> (Attempt<'c>, Vec<Effect>) {
        let mut attempt = Attempt::new(at(0), config, asked);
        let effects = self.on(&mut attempt, at(0), Event::Start);
        (attempt, effects)
    }

    pub(super) fn count(&self, chance: Chance, came: Came) -> u64 {
        self.pool.budget.counts().get(chance, came)
    }
}

/// A route with these second chances.
pub(super) fn with(chances: Chances) -> AttemptConfig {
    AttemptConfig { chances, ..AttemptConfig::default() }
}

/// A route with none.
pub(super) fn plain() -> &'static AttemptConfig {
    Box::leak(Box::default())
}

pub(super) fn at(millis: u64) -> Mono {
    Mono::default() + Span::from_millis(millis)
}

pub(super) fn unsent() -> Failure {
    Failure { kind: FailureKind::Connect, repeat: Repeat::Unsent }
}

pub(super) fn reset() -> Failure {
    Failure { kind: FailureKind::Reset, repeat: Repeat::Never }
}

/// The tries that were sent, by number.
pub(super) fn sends(effects: &[Effect]) -> Vec<u8> {
    effects.iter().filter_map(|effect| if let Effect::Send(id, _) = effect { Some(id.0) } else { None }).collect()
}
