//! Reads an answer along and keeps it when it came whole.
//!
//! Dropped without its end it tells nobody anything, so another of those who wait is sent in its place.

use std::sync::Arc;

use ambidex_tower::Clock;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::Cache;
use super::convoys::{Landed, Leading};
use super::counts::Counts;
use super::entry::{Draft, Now};
use super::key::Key;
use super::store::Token;
use crate::tap::Tap;

/// An answer on its way into the cache.
pub(crate) struct Fill {
    cache: Arc<Cache>,
    key: Key,
    token: Token,
    draft: Option<Draft>,
    body: BytesMut,
    room: u64,
    most: usize,
    leading: Option<Leading>,
    clock: Clock,
}

impl Fill {
    /// Keeps what `draft` is the head of, with a body of at most `most` bytes. `length`: how long the body will be, if it
    /// says so.
    pub(crate) fn new(
        cache: Arc<Cache>,
        key: Key,
        token: Token,
        draft: Draft,
        (length, most): (Option<usize>, usize),
        leading: Option<Leading>,
        clock: Clock,
    ) -> Self {
        let (draft, body) = (Some(draft), BytesMut::new());
        let mut fill = Self { cache, key, token, draft, body, room: 0, most, leading, clock };
        if let Some(length) = length
            && fill.take(length)
        {
            fill.body.reserve(length);
        }
        fill
    }

    /// Takes room for so many bytes in all, or gives up.
    fn take(&mut self, bytes: usize) -> bool {
        let more = (bytes as u64).saturating_sub(self.room);
        let fits = bytes <= self.most && (more == 0 || self.cache.take_room(more));
        if fits {
            self.room += more;
        } else {
            self.give_up();
        }
        fits
    }

    fn give_up(&mut self) {
        self.draft = None;
        self.body = BytesMut::new();
        if let Some(leading) = self.leading.take() {
            leading.landed(Landed::NotKept);
        }
    }
}

impl Tap for Fill {
    fn data(&mut self, data: &Bytes) {
        if self.draft.is_some() && self.take(self.body.len() + data.len()) {
            // Copied: what came is a part of a large buffer, which the entry would hold for as long as it lives.
            self.body.extend_from_slice(data);
        }
    }

    fn trailers(&mut self, _: &HeaderMap) {
        self.give_up();
    }

    fn ended(mut self: Box<Self>, whole: bool) {
        let Some(draft) = self.draft.take() else { return Counts::add(&self.cache.counts.refused) };
        if !whole {
            return Counts::add(&self.cache.counts.refused);
        }
        let body = std::mem::take(&mut self.body);
        // Of its own size: a buffer that grew by doubling would be counted for half of what it takes.
        let body = if body.capacity() > body.len() + SLACK { Bytes::copy_from_slice(&body) } else { body.freeze() };
        let kept = self.cache.put(&self.key, self.token, Arc::new(draft.with_body(body)), Now::at(self.clock.now()));
        Counts::add(if kept { &self.cache.counts.stored } else { &self.cache.counts.refused });
        if let Some(leading) = self.leading.take() {
            leading.landed(if kept { Landed::Kept } else { Landed::NotKept });
        }
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        self.cache.give_room(self.room);
    }
}

/// Bytes that a buffer may be too large.
const SLACK: usize = 256;
