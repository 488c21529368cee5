//! How much may wait in a router, and for how long.

use alloc::collections::BTreeMap;

use crate::shard::records::SliceId;
use crate::time::Span;

/// How much may wait in a router, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouterConfig {
    /// Requests that wait for one slice. Default 2,000; source: shards.md "How no write is lost".
    pub slice_requests: usize,
    /// Their bytes. Default 8 MiB; source: as above.
    pub slice_bytes: u64,
    /// Bytes of all. Default 256 MiB; source: as above.
    pub all_bytes: u64,
    /// How long a request waits at most, whatever its deadline. Default 2 s; source: as above.
    pub longest: Span,
    /// The pause before the first retry; each is twice as long as the one before. Default 2 ms; source: shards.md "Worker contract".
    pub pause: Span,
    /// Retries of one request. Default 6; source: as above.
    pub hops: u32,
    /// Whether writes to a slice keep their order, and not only those to a key. Default no; source: shards.md "Data model", `per_key`.
    pub by_slice: bool,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            slice_requests: 2_000,
            slice_bytes: 8 << 20,
            all_bytes: 256 << 20,
            longest: Span::from_secs(2),
            pause: Span::from_millis(2),
            hops: 6,
            by_slice: false,
        }
    }
}

/// What waits now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Room {
    config: RouterConfig,
    slices: BTreeMap<SliceId, (usize, u64)>,
    requests: usize,
    bytes: u64,
}

impl Room {
    pub(super) fn new(config: RouterConfig) -> Self {
        Self { config, slices: BTreeMap::new(), requests: 0, bytes: 0 }
    }

    /// Takes room for a request, if there is.
    pub(super) fn take(&mut self, slice: SliceId, bytes: u64) -> bool {
        let (requests, taken) = self.slices.get(&slice).copied().unwrap_or_default();
        let fits = requests < self.config.slice_requests
            && taken.saturating_add(bytes) <= self.config.slice_bytes
            && self.bytes.saturating_add(bytes) <= self.config.all_bytes;
        if fits {
            self.slices.insert(slice, (requests + 1, taken + bytes));
            self.requests += 1;
            self.bytes += bytes;
        }
        fits
    }

    /// Gives back what a request took.
    pub(super) fn give_back(&mut self, slice: SliceId, bytes: u64) {
        if let Some((requests, taken)) = self.slices.get_mut(&slice) {
            *requests = requests.saturating_sub(1);
            *taken = taken.saturating_sub(bytes);
            self.requests = self.requests.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(bytes);
            if *requests == 0 {
                self.slices.remove(&slice);
            }
        }
    }

    /// Requests and bytes that wait.
    pub(super) fn taken(&self) -> (usize, u64) {
        (self.requests, self.bytes)
    }
}
