//! The coordinator's thread: starts it, talks to it, ends it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ambidex_core::view::View;
use arc_swap::ArcSwap;

use crate::clock::Clock;
use crate::config::PoolConfig;
use crate::room::{Diff, Room};

/// What the coordinator is joined to within the process.
#[derive(Debug)]
pub struct Links {
    /// Where it publishes what the request path reads.
    pub view: Arc<ArcSwap<View>>,
    /// The process's clock.
    pub clock: Clock,
    /// How many threads write tallies.
    pub seats: usize,
}

/// What the coordinator starts with.
#[derive(Debug)]
pub struct CoordinatorConfig {
    /// The pools.
    pub pools: Vec<PoolConfig>,
}

/// Why the coordinator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system gave no thread.
    #[error("the coordinator's thread could not start: {0}")]
    Thread(#[source] std::io::Error),
}

/// The running coordinator. Dropping it leaves the last view in place.
#[derive(Debug)]
pub struct Coordinator {
    clock: Clock,
    room: Arc<Mutex<Room>>,
}

impl Coordinator {
    /// Starts it. When this returns, a view with all workers that need no looking up is published.
    ///
    /// # Errors
    /// What could not be had, and why.
    pub fn start(config: CoordinatorConfig, links: Links) -> Result<Self, StartError> {
        let Links { view, clock, seats } = links;
        let mut room = Room::new(seats, view);
        room.apply(clock.now(), config.pools);
        Ok(Self { clock, room: Arc::new(Mutex::new(room)) })
    }

    /// Takes new pools over; identities, live numbers and learned weights of what stays are kept.
    pub fn apply(&self, pools: Vec<PoolConfig>) -> Diff {
        self.room().apply(self.clock.now(), pools)
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test's origin")]
    fn started(pools: Vec<PoolConfig>) -> (Coordinator, Arc<ArcSwap<View>>) {
        let view = Arc::new(ArcSwap::default());
        let links = Links { view: Arc::clone(&view), clock: Clock::starting_at(Instant::now()), seats: 2 };
        (Coordinator::start(CoordinatorConfig { pools }, links).expect("starts"), view)
    }

    fn pool(name: &str, workers: &str) -> PoolConfig {
        PoolConfig::new(name, serde_json::from_str(workers).expect("members"))
    }

    #[test]
    fn static_members_are_published_when_start_returns() {
        let (_coordinator, view) = started(vec![pool("api", r#"["http://10.0.0.1:1","http://10.0.0.2:1"]"#)]);
        let view = view.load();
        assert_eq!(view.pools()[0].workers.len(), 2);
    }

    #[test]
    fn a_reload_keeps_cells_and_ids_and_an_equal_one_publishes_nothing() {
        let (coordinator, view) = started(vec![pool("api", r#"["http://10.0.0.1:1"]"#)]);
        let before = view.load_full();
        coordinator.apply(vec![pool("api", r#"["http://10.0.0.1:1"]"#)]);
        assert!(Arc::ptr_eq(&before, &view.load_full()));
        let diff = coordinator.apply(vec![pool("api", r#"[{"url":"http://10.0.0.1:1","weight":3}]"#)]);
        assert_eq!(diff.changed, ["api".into()]);
        let after = view.load();
        let (old, new) = (&before.pools()[0].workers[0], &after.pools()[0].workers[0]);
        assert!(old.id == new.id && Arc::ptr_eq(&old.cells, &new.cells));
    }
}
