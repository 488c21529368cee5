//! What is kept, within its bound in bytes: resources, each with its answers, thrown out by S3-FIFO.
//!
//! S3-FIFO (`quick_cache`) rather than LRU: a scan over many resources that are asked once does not push out those that are
//! asked often, and a hit moves nothing, so it takes a shard's lock only for reading.
//!
//! A fetch that began before a write to its resource must not be kept after it: each write raises the epoch of its
//! stripe, and what comes with an older [`Token`] is too late.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ambidex_core::size::Size;
use ambidex_core::time::Mono;
use ambidex_http1::RequestHead;
use nohash_hasher::BuildNoHashHasher;
use quick_cache::sync::Cache as Shards;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use super::counts::Counts;
use super::entry::Entry;
use super::key::Key;

/// One resource: its answers, the newest first, and until when its requests are not collapsed because its last answer
/// was for one request only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resource {
    entries: Vec<Arc<Entry>>,
    alone_until: Option<Mono>,
}

/// The state of a resource's stripe when a fetch began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u64);

/// All that is kept.
#[derive(Debug)]
pub(crate) struct Store {
    shards: Shards<Key, Arc<Resource>, Weight, BuildNoHashHasher<u64>, Evictions>,
    stripes: [Mutex<u64>; STRIPES],
}

/// Weighs a resource by its bytes.
#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Key, Arc<Resource>> for Weight {
    fn weight(&self, key: &Key, resource: &Arc<Resource>) -> u64 {
        (key.as_bytes().len() + RESOURCE_BYTES + resource.entries.iter().map(|entry| entry.bytes()).sum::<usize>())
            as u64
    }
}

/// Counts what is thrown out.
#[derive(Clone, Debug)]
struct Evictions(Arc<Counts>);

impl Lifecycle<Key, Arc<Resource>> for Evictions {
    /// What was thrown out is dropped when the shard's lock is free again.
    type RequestState = Vec<(Key, Arc<Resource>)>;

    fn begin_request(&self) -> Self::RequestState {
        Vec::new()
    }

    fn on_evict(&self, state: &mut Self::RequestState, key: Key, resource: Arc<Resource>) {
        self.0.evicted.fetch_add(1, Relaxed);
        state.push((key, resource));
    }
}

impl Resource {
    /// Its newest answer that `request` selects.
    pub(crate) fn entry_for(&self, request: &RequestHead) -> Option<&Arc<Entry>> {
        self.entries.iter().find(|entry| entry.selected.fits(request))
    }

    /// Its newest answer.
    pub(crate) fn newest(&self) -> Option<&Arc<Entry>> {
        self.entries.first()
    }

    /// Whether its requests are sent each by itself.
    pub(crate) fn is_alone(&self, now: Mono) -> bool {
        self.alone_until.is_some_and(|until| now < until)
    }
}

impl Store {
    pub(crate) fn new(max: Size, counts: Arc<Counts>) -> Self {
        let usual = usize::try_from(max.get() / USUAL_BYTES).unwrap_or(usize::MAX).clamp(64, MOST_EXPECTED);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usual)
            .weight_capacity(max.get())
            .shards(if max >= Size::mib(32) { 4 } else { 1 })
            .build()
            .expect("both capacities are set");
        let shards = Shards::with_options(options, Weight, BuildNoHashHasher::default(), Evictions(counts));
        Self { shards, stripes: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Changes the bound.
    pub(crate) fn bound(&self, max: Size) {
        self.shards.set_capacity(max.get());
    }

    /// What is kept of a resource.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Resource>> {
        self.shards.get(key)
    }

    /// To be taken before a worker is asked.
    pub(crate) fn token(&self, key: &Key) -> Token {
        Token(*self.stripe(key))
    }

    /// Keeps an answer, in the place of those that the same requests select; says whether it did.
    pub(crate) fn put(&self, key: &Key, token: Token, entry: Arc<Entry>) -> bool {
        let stripe = self.stripe(key);
        if *stripe != token.0 {
            return false;
        }
        let known = self.shards.peek(key);
        let others = known.iter().flat_map(|known| &known.entries).filter(|other| other.selected != entry.selected);
        let others: Vec<_> = others.take(MOST_ANSWERS - 1).cloned().collect();
        let entries = [vec![entry], others].concat();
        self.shards.insert(key.clone(), Arc::new(Resource { entries, alone_until: None }));
        drop(stripe);
        true
    }

    /// Remembers that the resource's answers are for one request each.
    pub(crate) fn put_alone(&self, key: &Key, token: Token, until: Mono) {
        let stripe = self.stripe(key);
        if *stripe == token.0 {
            let mut resource = self.shards.peek(key).map(|known| Resource::clone(&known)).unwrap_or_default();
            resource.alone_until = Some(until);
            self.shards.insert(key.clone(), Arc::new(resource));
        }
    }

    /// Throws an answer out, if it is still there.
    pub(crate) fn forget(&self, key: &Key, entry: &Arc<Entry>) {
        let _stripe = self.stripe(key);
        let Some(resource) = self.shards.peek(key) else { return };
        let entries: Vec<_> = resource.entries.iter().filter(|other| !Arc::ptr_eq(other, entry)).cloned().collect();
        if entries.is_empty() {
            self.shards.remove(key);
        } else {
            self.shards.insert(key.clone(), Arc::new(Resource { entries, alone_until: resource.alone_until }));
        }
    }

    /// Throws all answers of a resource out, and those that are under way; says whether there was any.
    pub(crate) fn invalidate(&self, key: &Key) -> bool {
        let mut stripe = self.stripe(key);
        *stripe += 1;
        self.shards.remove(key).is_some_and(|(_, resource)| !resource.entries.is_empty())
    }

    /// Bytes and resources.
    pub(crate) fn size(&self) -> (u64, u64) {
        (self.shards.weight(), self.shards.len() as u64)
    }

    fn stripe(&self, key: &Key) -> MutexGuard<'_, u64> {
        let at = key.hashed() % STRIPES as u64;
        let stripe = &self.stripes[usize::try_from(at).unwrap_or(0)];
        // A number: whatever happened while it was held, it is right.
        stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Locks of changes. Source: enough that sixteen threads seldom meet.
const STRIPES: usize = 64;
/// Answers of one resource. Source: languages times codings of a page that is asked often; more are told apart by what
/// only few share.
const MOST_ANSWERS: usize = 16;
/// What a resource takes beside its key and answers.
const RESOURCE_BYTES: usize = 192;
/// Usual size of an entry. It only sizes the table.
const USUAL_BYTES: u64 = 16 << 10;
const MOST_EXPECTED: usize = 1 << 20;
