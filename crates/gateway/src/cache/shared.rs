//! The cache's second level: a Redis or Valkey server that several gateways share.
//!
//! ```text
//! miss ── get, 20 ms at most ── found: kept here, as old as it is ── answered
//!     \─ nothing, late, away: a worker is asked, as if there were no second level
//! kept here ── set, behind the answer        written to ── removed there as well
//! ```
//! Of each resource it holds the newest answer, with all that an entry says, for as long as that can be of use. What comes
//! back is input like any other: bounded, of a version that is known, with a digest, its head read by the codec.

use ambidex_core::time::{Mono, Span};
use ambidex_http1::RequestHead;
use ambidex_store::remote::Remote;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use tokio::runtime::Handle;
use xxhash_rust::xxh3::xxh3_64;

use super::entry::{Draft, Entry, Now};
use super::judge::Terms;
use super::key::{Key, Selected};
use crate::clock::Wall;

/// The second level.
#[derive(Debug)]
pub(crate) struct SharedLevel(Remote);

impl SharedLevel {
    pub(crate) const fn new(remote: Remote) -> Self {
        Self(remote)
    }

    /// What is kept there for a request. `Err`: it did not answer.
    pub(crate) async fn get(&self, key: &Key, request: &RequestHead, now: Now, most: u64) -> Result<Option<Entry>, ()> {
        let text = self.0.get(&name(key)).await.map_err(drop)?;
        let entry = text.and_then(|text| read(text.into(), now));
        Ok(entry.filter(|entry| entry.selected.fits(request) && entry.stored.body().len() as u64 <= most))
    }

    /// Keeps an entry there, behind whatever goes on here.
    pub(crate) fn put(&self, key: &Key, entry: &Entry, now: Now) {
        let keep = useful_for(entry, now.mono);
        // Outside of a runtime a thread ends, and its cache with it.
        if let Some(handle) = Handle::try_current().ok().filter(|_| keep > Span::ZERO && self.0.is_here()) {
            let (remote, name, text) = (self.0.clone(), name(key), written(entry, now));
            handle.spawn(async move { remote.set(&name, &text, keep).await });
        }
    }

    /// Throws out what is kept there of a resource.
    pub(crate) fn remove(&self, key: &Key) {
        if let Some(handle) = Handle::try_current().ok().filter(|_| self.0.is_here()) {
            let (remote, name) = (self.0.clone(), name(key));
            handle.spawn(async move { remote.remove(&[&name]).await });
        }
    }
}

/// For how long an entry may be of use to somebody.
fn useful_for(entry: &Entry, now: Mono) -> Span {
    let Terms { lifetime, while_revalidate, if_error, .. } = entry.terms;
    let stale = while_revalidate.max(if_error).max(if entry.validates() { ASKED_ABOUT } else { Span::ZERO });
    (lifetime + stale - entry.age(now)).min(LONGEST)
}

fn name(key: &Key) -> Vec<u8> {
    [b"ambidex:cache:1:", key.as_bytes()].concat()
}

/// An entry as text: numbers, then what it varies by, head, body, and a digest of all.
fn written(entry: &Entry, now: Now) -> Vec<u8> {
    let Terms { lifetime, while_revalidate, if_error, strict, for_authorized, .. } = entry.terms;
    let (head, body) = (entry.stored.head(), entry.stored.body());
    let mut out = Vec::with_capacity(head.len() + body.len() + 128);
    out.push(VERSION);
    out.push(u8::from(strict) | u8::from(for_authorized) << 1);
    out.extend(entry.status.as_u16().to_le_bytes());
    for number in [now.wall.0, nanos(entry.age(now.mono)), nanos(lifetime), nanos(while_revalidate), nanos(if_error)] {
        out.extend(number.to_le_bytes());
    }
    entry.selected.write(&mut out);
    put(&mut out, head);
    put(&mut out, body);
    let digest = xxh3_64(&out);
    out.extend(digest.to_le_bytes());
    out
}

/// `None`: of another version, or damaged.
fn read(text: Bytes, now: Now) -> Option<Entry> {
    let (rest, digest) = text.split_last_chunk::<8>()?;
    if xxh3_64(rest) != u64::from_le_bytes(*digest) {
        return None;
    }
    let mut reader = Reader(rest);
    let [version, flags] = *reader.take::<2>()?;
    if version != VERSION {
        return None;
    }
    let status = StatusCode::from_u16(u16::from_le_bytes(*reader.take::<2>()?)).ok()?;
    let mut number = || Some(u64::from_le_bytes(*reader.take::<8>()?));
    let (at, age) = (Wall(number()?), Span::from_nanos(number()?));
    let (lifetime, while_revalidate) = (Span::from_nanos(number()?), Span::from_nanos(number()?));
    let if_error = Span::from_nanos(number()?);
    let selected = Selected::read(&mut reader)?;
    let (head, body) = (reader.text()?, reader.text()?);
    // Clocks of two gateways: what seems to come from the future came now.
    let age = age + Span::from_nanos(now.wall.0.saturating_sub(at.0));
    let (strict, for_authorized) = (flags & 1 != 0, flags & 2 != 0);
    let terms = Terms { age, lifetime, while_revalidate, if_error, strict, for_authorized };
    let draft = Draft::read(BytesMut::from(head), status, terms, selected, now)?;
    Some(draft.with_body(text.slice_ref(body)))
}

fn nanos(span: Span) -> u64 {
    span.as_nanos()
}

/// Writes a text with its length.
pub(crate) fn put(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend_from_slice(text);
}

/// Reads what was written.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// So many bytes.
    pub(crate) fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    /// A text with its length.
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(u64::from_le_bytes(*self.take::<8>()?)).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }
}

/// How long the second level is waited for. Source: ours; a server nearby answers within 1 ms, and a worker that is asked
/// instead within some more.
pub(crate) const PATIENCE: Span = Span::from_millis(20);
/// For how long what can be asked about stays after its lifetime. Source: ours; to ask about it costs less than to have it
/// sent.
const ASKED_ABOUT: Span = Span::from_secs(3_600);
/// Source: as for guessed lifetimes.
const LONGEST: Span = Span::from_secs(24 * 3_600);
/// Of the text. Another one is not read.
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::entry::tests::{at, entry, now};

    const ANSWER: &str = "cache-control: max-age=60, stale-if-error=30\r\nvary: accept\r\netag: \"a\"\r\nage: 5";

    #[test]
    fn what_was_written_is_read_as_old_as_it_is() {
        let text = written(&entry(ANSWER), now(10));
        let read = read(text.into(), now(25)).expect("it is whole");
        let entry = entry(ANSWER);
        assert_eq!(read.age(at(25)), entry.age(at(25)));
        assert_eq!((read.stored.head(), read.stored.body()), (entry.stored.head(), entry.stored.body()));
        assert_eq!((&read.selected, &read.etag, read.status), (&entry.selected, &entry.etag, entry.status));
        assert_eq!(Terms { age: entry.terms.age, ..read.terms }, entry.terms);
    }

    #[test]
    fn what_is_cut_or_changed_is_not_read_and_nothing_panics() {
        let text = written(&entry(ANSWER), now(0));
        for cut in 0..text.len() {
            assert!(read(text[..cut].to_vec().into(), now(0)).is_none(), "{cut}");
            let mut changed = text.clone();
            changed[cut] ^= 0x10;
            assert!(read(changed.into(), now(0)).is_none(), "{cut}");
        }
        // With a right digest, too.
        for at in 0..text.len() - 8 {
            let mut changed = text[..text.len() - 8].to_vec();
            changed[at] ^= 0x80;
            let digest = xxh3_64(&changed);
            changed.extend(digest.to_le_bytes());
            let _ = read(changed.into(), now(0));
        }
    }

    #[test]
    fn it_is_kept_there_for_as_long_as_it_may_be_of_use() {
        assert_eq!(useful_for(&entry("cache-control: max-age=60"), at(20)), Span::from_secs(40));
        assert_eq!(useful_for(&entry("cache-control: max-age=60, stale-if-error=30"), at(20)), Span::from_secs(70));
        assert_eq!(useful_for(&entry("cache-control: max-age=60"), at(70)), Span::ZERO);
        assert_eq!(useful_for(&entry("cache-control: max-age=99999999"), at(0)), LONGEST);
    }
}
