//! The response cache of a gateway: what workers answered, kept for the next who asks [R-Q5, RFC 9111].
//!
//! ```text
//! request ── Key ── Store ── Entry that is Selected ── look: Fresh, Borne ─────────────────────── Shape ── client
//!                     |                                  \─ Meanwhile: the same, and asked for anew behind it
//!                     \─ nothing                          \─ Ask ──┐
//!                          \───────────────────────────────────────┴─ Convoys: one is sent, the others wait
//!                                                                       \─ worker ── judge ── Fill ── Store
//! ```
//! Shared by all threads. A lock is held for a look or a change, never across an await. What goes in is bounded thrice: one
//! body, all that is kept, and all that is on its way in.
//!
//! Where requests meet it: `serve/cached.rs`. What is kept and what is not: docs/cache.md.

mod convoys;
mod counts;
mod directives;
mod entry;
mod fill;
mod judge;
mod key;
mod lookup;
mod shape;
mod shared;
mod status;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ambidex_core::size::Size;
use ambidex_core::time::{Mono, Span};
use ambidex_store::remote::Remote;
use arc_swap::ArcSwapOption;

use crate::clock::Wall;
use crate::config::{CacheBounds, Route};

pub(crate) use convoys::{Convoys, Landed, Leading, Part, Waiting};
pub use counts::CacheStats;
pub(crate) use counts::Counts;
pub(crate) use directives::{Directives, Flag};
pub(crate) use entry::{Draft, Entry, Now};
pub(crate) use fill::Fill;
pub(crate) use judge::{AskedWith, NotKept};
pub(crate) use key::{Key, Place};
pub(crate) use lookup::{Verdict, look, serves_after_error};
pub(crate) use shape::Shape;
pub(crate) use shared::{PATIENCE, SharedLevel};
pub(crate) use status::{Forward, PASSED, forwarded, hit};
pub(crate) use store::{Resource, Store, Token};

/// The cache.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) store: Store,
    pub(crate) convoys: Arc<Convoys>,
    pub(crate) counts: Arc<Counts>,
    /// What several gateways share, if anything.
    shared: ArcSwapOption<SharedLevel>,
    /// Bytes on their way in, and their bound.
    filling: AtomicU64,
    most_filling: AtomicU64,
    refreshing: AtomicU64,
}

/// A background request's place among those that may run at once.
#[derive(Debug)]
pub(crate) struct Refreshing(Arc<Cache>);

impl Cache {
    pub(crate) fn new(bounds: &CacheBounds) -> Self {
        let counts = Arc::<Counts>::default();
        Self {
            store: Store::new(bounds.max_bytes, Arc::clone(&counts)),
            convoys: Arc::default(),
            counts,
            shared: ArcSwapOption::empty(),
            filling: AtomicU64::new(0),
            most_filling: AtomicU64::new(filling(bounds.max_bytes)),
            refreshing: AtomicU64::new(0),
        }
    }

    /// The cache of a new configuration: the one there was, with its new bound; none where no route wants one.
    pub(crate) fn carried(was: Option<&Arc<Self>>, bounds: &CacheBounds, routes: &[Route]) -> Option<Arc<Self>> {
        let wanted = routes.iter().any(|route| route.cache.as_ref().is_some_and(|cache| cache.mode.watches()));
        if !wanted {
            return None;
        }
        let Some(was) = was else { return Some(Arc::new(Self::new(bounds))) };
        was.store.bound(bounds.max_bytes);
        was.most_filling.store(filling(bounds.max_bytes), Relaxed);
        Some(Arc::clone(was))
    }

    /// Shares what is kept, from here on, with the gateways that have the same server; with nobody without one.
    pub(crate) fn share(&self, server: Option<Remote>) {
        self.shared.store(server.map(SharedLevel::new).map(Arc::new));
    }

    /// Whether there is a second level.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared.load().is_some()
    }

    /// The second level, if there is one.
    pub(crate) fn shared(&self) -> Option<Arc<SharedLevel>> {
        self.shared.load_full()
    }

    /// Keeps an entry, here and for other gateways; says whether it is in time.
    pub(crate) fn put(&self, key: &Key, token: Token, entry: Arc<Entry>, now: Now) -> bool {
        let kept = self.store.put(key, token, Arc::clone(&entry));
        if let Some(shared) = self.shared.load().as_ref().filter(|_| kept) {
            shared.put(key, &entry, now);
        }
        kept
    }

    /// Throws out what is kept of a resource, here and for other gateways.
    pub(crate) fn invalidate(&self, key: &Key) {
        if self.store.invalidate(key) {
            Counts::add(&self.counts.invalidated);
        }
        if let Some(shared) = self.shared.load().as_ref() {
            shared.remove(key);
        }
    }

    /// Its numbers.
    pub(crate) fn stats(&self) -> CacheStats {
        let (bytes, resources) = self.store.size();
        CacheStats { bytes, resources, ..CacheStats::of(&self.counts) }
    }

    /// Takes room for bytes on their way in; says whether there was any.
    fn take_room(&self, bytes: u64) -> bool {
        let taken = self.filling.fetch_add(bytes, Relaxed) + bytes;
        let fits = taken <= self.most_filling.load(Relaxed);
        if !fits {
            self.give_room(bytes);
        }
        fits
    }

    fn give_room(&self, bytes: u64) {
        self.filling.fetch_sub(bytes, Relaxed);
    }

    /// A place for a background request, if one is free.
    pub(crate) fn refresh(self: &Arc<Self>) -> Option<Refreshing> {
        if self.refreshing.fetch_add(1, Relaxed) >= MOST_REFRESHING {
            self.refreshing.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Refreshing(Arc::clone(self)))
    }
}

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.refreshing.fetch_sub(1, Relaxed);
    }
}

impl Now {
    /// This moment; `mono` on the process's clock.
    pub(crate) fn at(mono: Mono) -> Self {
        Self { mono, wall: Wall::now() }
    }
}

/// A quarter of the bound may be on its way in. Source: a cache that fills in one go has a working set of that order.
fn filling(max: Size) -> u64 {
    max.get() / 4
}

/// Background requests at once. Source: each stands for a resource that is asked often; a worker that hangs must not be
/// asked for all of them.
const MOST_REFRESHING: u64 = 64;

/// For how long requests to a resource are not collapsed after an answer that was for one request only. Source: Varnish's
/// hit-for-miss is 120 s; a tenth of it costs one wait in a dozen seconds when an answer becomes cacheable again.
pub(crate) const ALONE: Span = Span::from_secs(12);

#[cfg(test)]
mod tests;
