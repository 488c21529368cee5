//! An answer that is kept: its text as it goes out again, the terms it is kept on, and for which requests it is.
//!
//! A 304 makes a new entry of an old one [RFC 9111, 3.2 and 4.3.4]: its fields take the place of those of the same name,
//! but not of those that speak of the body, which stays.

use ambidex_core::time::{Mono, Span};
use ambidex_http1::write::Edits;
use ambidex_http1::{Asked, Head, Known, KnownSet, RequestHead, ResponseHead};
use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::directives::whole_seconds;
use super::judge::{AskedWith, NotKept, Terms, dated, first_look, judge, weigh};
use super::key::Selected;
use crate::clock::Wall;
use crate::config::RouteCache;
use crate::head::OURS;
use crate::head::text::{line, start};
use crate::stored::Stored;

/// One kept answer.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) stored: Stored,
    pub(crate) status: StatusCode,
    pub(crate) terms: Terms,
    pub(crate) selected: Selected,
    pub(crate) etag: Option<Bytes>,
    pub(crate) modified: Option<Bytes>,
    pub(crate) date: Option<Bytes>,
}

/// The present, on the clock that ages are told by and on the one that dates are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) mono: Mono,
    pub(crate) wall: Wall,
}

/// A head that waits for its body, to be an entry then.
#[derive(Debug)]
pub(crate) struct Draft(Entry);

impl Draft {
    /// Of an answer to `request`. The time is asked for only where it matters.
    ///
    /// # Errors
    /// Why it may not be kept.
    pub(crate) fn of(
        request: &RequestHead,
        asked: AskedWith,
        answer: &ResponseHead,
        now: impl FnOnce() -> Now,
        settings: &RouteCache,
    ) -> Result<Self, NotKept> {
        let (status, head) = (answer.status(), answer.head());
        let said = first_look(asked, status, head, settings)?;
        let selected = Selected::of(head, request, &settings.key).ok_or(NotKept::Vary)?;
        let now = now();
        let terms = weigh(&said, asked, status, head, now.wall, settings)?;
        let mut text = start(answer.status(), answer.reason(), answer.head().bytes().len() + DATE_BYTES);
        for (name, value) in kept(answer.head(), &Edits { drop: OURS.and(NEVER_KEPT), ..Edits::default() }) {
            line(&mut text, name, value);
        }
        if !answer.head().has(Known::Date) {
            // RFC 9110, 6.6.1: who keeps an answer without a date says when it came.
            line(&mut text, b"Date", dated(now.wall.point()).as_bytes());
        }
        Self::read(text, answer.status(), terms, selected, now).ok_or(NotKept::Status)
    }

    /// The entry, with its body.
    pub(crate) fn with_body(self, body: Bytes) -> Entry {
        let Self(entry) = self;
        Entry { stored: entry.stored.with_body(body), ..entry }
    }

    /// What is made of text that was kept, here or elsewhere. `None`: it is no head.
    pub(crate) fn read(text: BytesMut, status: StatusCode, terms: Terms, selected: Selected, now: Now) -> Option<Self> {
        let stored = Stored::from_parts(text.freeze(), Bytes::new(), now.mono);
        let head = stored.read(GET).filter(|head| head.status() == status)?;
        let copy = |known| head.head().first(known).map(|value| Bytes::copy_from_slice(value.as_bytes()));
        let (etag, modified, date) = (copy(Known::Etag), copy(Known::LastModified), copy(Known::Date));
        Some(Self(Entry { stored, status, terms, selected, etag, modified, date }))
    }
}

impl Entry {
    /// How old it is.
    pub(crate) fn age(&self, now: Mono) -> Span {
        self.terms.age + now.since(self.stored.at)
    }

    /// What `Age` says of it.
    pub(crate) fn age_text(&self, now: Mono) -> String {
        whole_seconds(self.age(now)).to_string()
    }

    /// Whether there is anything by which a worker could say that it is still right.
    pub(crate) fn validates(&self) -> bool {
        self.etag.is_some() || self.modified.is_some()
    }

    /// Whether a 304 speaks of this answer [RFC 9111, 4.3.4].
    pub(crate) fn is_meant(&self, update: &Head) -> bool {
        let says = |known, mine: &Option<Bytes>| {
            update.first(known).is_none_or(|value| mine.as_deref().is_some_and(|mine| same_tag(mine, value.as_bytes())))
        };
        says(Known::Etag, &self.etag) && (self.etag.is_some() || says(Known::LastModified, &self.modified))
    }

    /// The entry as a 304 changes it, asked for by `request`.
    ///
    /// # Errors
    /// Why it may not be kept any longer; the answer to this request it still is.
    pub(crate) fn updated(
        &self,
        request: &RequestHead,
        asked: AskedWith,
        update: &ResponseHead,
        now: Now,
        settings: &RouteCache,
    ) -> (Self, Result<(), NotKept>) {
        let update = update.head();
        let edits = Edits { drop: OURS.and(NEVER_UPDATED), ..Edits::default() };
        let news: Vec<_> = kept(update, &edits).filter(|(name, _)| !is_of_body(name)).collect();
        let Some(old) = self.stored.read(GET) else { return (self.again(self.terms, now), Err(NotKept::Status)) };
        let mut text = start(self.status, old.reason(), self.stored.head().len() + update.bytes().len());
        for (name, value) in kept(old.head(), &Edits::default()) {
            if !news.iter().any(|(new, _)| new.eq_ignore_ascii_case(name)) {
                line(&mut text, name, value);
            }
        }
        news.iter().for_each(|(name, value)| line(&mut text, name, value));
        let draft = Draft::read(text, self.status, self.terms, self.selected.clone(), now);
        let Some(Draft(mut entry)) = draft else { return (self.again(self.terms, now), Err(NotKept::Status)) };
        entry.stored = entry.stored.with_body(self.stored.body().clone());
        let Some(head) = entry.stored.read(GET) else { return (entry, Err(NotKept::Status)) };
        let judged = judge(asked, self.status, head.head(), now.wall, settings).and_then(|terms| {
            let selected = Selected::of(head.head(), request, &settings.key).ok_or(NotKept::Vary)?;
            Ok((terms, selected))
        });
        // A 304 without `Age` comes from the worker itself: what is kept is as young as it.
        match judged {
            Ok((terms, selected)) => (Self { terms, selected, ..entry }, Ok(())),
            Err(why) => (Self { terms: Terms { age: Span::ZERO, ..self.terms }, ..entry }, Err(why)),
        }
    }

    fn again(&self, terms: Terms, now: Now) -> Self {
        let stored = Stored::from_parts(self.stored.head().clone(), self.stored.body().clone(), now.mono);
        let (etag, modified, date) = (self.etag.clone(), self.modified.clone(), self.date.clone());
        Self { stored, status: self.status, terms, selected: self.selected.clone(), etag, modified, date }
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let texts = [&self.etag, &self.modified, &self.date];
        let texts: usize = texts.iter().filter_map(|text| text.as_ref().map(Bytes::len)).sum();
        self.stored.head().len() + self.stored.body().len() + self.selected.bytes() + texts + ENTRY_BYTES
    }
}

/// Whether two entity tags are the same, whatever their strength [RFC 9110, 8.8.3.2].
pub(crate) fn same_tag(one: &[u8], other: &[u8]) -> bool {
    let strong = |tag: &[u8]| tag.strip_prefix(b"W/").map_or_else(|| tag.to_vec(), <[u8]>::to_vec);
    strong(one) == strong(other)
}

/// Names and values that go on, without those that no known name tells.
fn kept<'a>(head: &'a Head, edits: &'a Edits<'_>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    head.kept(edits).map(|(name, value)| (name, value.as_bytes()))
}

/// Fields that belong to the body that is kept, not to the answer that says it is still right.
fn is_of_body(name: &[u8]) -> bool {
    [&b"content-md5"[..], b"content-range", b"content-digest", b"repr-digest", b"trailer"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// What a kept answer is read as, whoever asks.
pub(crate) const GET: Asked = Asked { head: false, connect: false, upgrade: false };

/// Room for a `Date` of ours.
const DATE_BYTES: usize = 48;
/// Fields that we say anew.
const NEVER_KEPT: KnownSet = KnownSet::of(&[Known::Age, Known::Trailer]);
/// Fields that a 304 does not change: its own age, and what belongs to the body that is kept.
const NEVER_UPDATED: KnownSet = KnownSet::of(&[Known::Age, Known::ContentEncoding, Known::Etag, Known::Trailer]);
/// What an entry takes beside its texts: itself, its place in the store, and what an allocator adds to a few pieces.
const ENTRY_BYTES: usize = 512;

#[cfg(test)]
pub(crate) mod tests;
