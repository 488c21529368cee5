//! Open connections of one thread to workers, kept for the next request.
//!
//! Keyed by the worker's identity: a worker that left or drains has its idle connections closed when the view changes.
//! The last used is the first used again, so that what is not needed grows old and goes.

use std::cell::RefCell;

use ambidex_core::time::{Mono, Span};
use ambidex_core::view::{View, WorkerView};
use ambidex_core::worker::{Standing, WorkerId};

use super::Way;
use super::h1::H1;
use super::h2::{H2, Stream};
use crate::by_worker::ByWorker;

/// Connections by worker.
#[derive(Default)]
pub(crate) struct Pool(RefCell<ByWorker<Kept>>);

#[derive(Default)]
struct Kept {
    #[expect(clippy::vec_box, reason = "a connection moves into each try and back; only its address should")]
    h1: Vec<Box<H1>>,
    h2: Vec<H2>,
    idle_timeout: Span,
    max_age: Span,
}

/// A connection that is open already.
pub(crate) enum Ready {
    H1(Box<H1>),
    H2(Stream),
}

impl Pool {
    /// A live connection to `worker`, if one is kept.
    pub(crate) fn take(&self, worker: &WorkerView, way: &Way, now: Mono) -> Option<Ready> {
        let mut all = self.0.borrow_mut();
        let kept = all.get_mut(&worker.id)?;
        while let Some(mut connection) = kept.h1.pop() {
            let lasts = connection.lasts(way.transport.idle_timeout, way.transport.max_age, now);
            if lasts && connection.address == worker.address && connection.is_alive() {
                return Some(Ready::H1(connection));
            }
        }
        let takes = |connection: &&H2| {
            connection.address == worker.address
                && connection.has_room()
                && connection.lasts(way.transport.idle_timeout, way.transport.max_age, now)
        };
        Some(Ready::H2(kept.h2.iter().find(takes)?.stream(now)))
    }

    /// Keeps a connection whose exchange has ended, if it can serve another.
    pub(crate) fn keep(&self, worker: WorkerId, mut connection: Box<H1>, way: &Way, now: Mono) {
        connection.used = now;
        let mut all = self.0.borrow_mut();
        let kept = all.entry(worker).or_default();
        (kept.idle_timeout, kept.max_age) = (way.transport.idle_timeout, way.transport.max_age);
        if kept.h1.len() < way.transport.max_idle_per_thread as usize {
            kept.h1.push(connection);
        }
    }

    /// Shares a new HTTP/2 connection with later requests.
    pub(crate) fn share(&self, worker: WorkerId, connection: H2, way: &Way) {
        let mut all = self.0.borrow_mut();
        let kept = all.entry(worker).or_default();
        (kept.idle_timeout, kept.max_age) = (way.transport.idle_timeout, way.transport.max_age);
        kept.h2.push(connection);
    }

    /// Closes what is too old, what the worker closed, and what is kept for workers that take no requests by `view`.
    pub(crate) fn sweep(&self, view: &View, now: Mono) {
        self.0.borrow_mut().retain(|id, kept| {
            let serving = |worker: &WorkerView| worker.id == *id && worker.standing == Standing::Serving;
            let worker = view.pools().iter().flat_map(|pool| &pool.workers).find(|worker| serving(worker));
            let Some(worker) = worker else {
                // Streams in flight hold their connection themselves.
                return false;
            };
            let (idle_timeout, max_age) = (kept.idle_timeout, kept.max_age);
            kept.h1.retain_mut(|connection| {
                let lasts = connection.lasts(idle_timeout, max_age, now);
                lasts && connection.address == worker.address && connection.is_alive()
            });
            // What is forgotten here still carries the streams that it has.
            kept.h2.retain(|connection| {
                let lasts = connection.lasts(idle_timeout, max_age, now);
                lasts && connection.address == worker.address && !connection.is_closed()
            });
            !(kept.h1.is_empty() && kept.h2.is_empty())
        });
    }
}

impl H1 {
    fn lasts(&self, idle_timeout: Span, max_age: Span, now: Mono) -> bool {
        now.since(self.used) < idle_timeout
            && now.since(self.opened) < max_age
            && self.until.is_none_or(|until| now < until)
    }
}
