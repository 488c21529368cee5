//! Snapshots: the last good answers of a route, for when nobody gives a better one [R-B3].
//!
//! Kept are whole answers of 200 to GET that are the same for everybody: the request names neither `Authorization` nor
//! `Cookie`, the answer neither `Set-Cookie` nor `private` nor `no-store`, and varies by `Accept-Encoding` at most. An
//! answer is read along only when the one that is kept is older than `refresh`, so passing traffic pays for one in 30 s.
//!
//! Each table is shared by all threads; its locks are held for a look or a change, never over a wait.

use std::sync::Arc;

use ambidex_core::time::Mono;
use ambidex_http1::{Head, Known, RequestHead, ResponseHead};
use http::{Method, StatusCode};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::config::Snapshot;
use crate::relay::Relay;
use crate::request::Request;
use crate::stored::Stored;
use crate::tap::Keep;

/// The kept answers of one route.
pub(crate) struct Snapshots {
    config: Snapshot,
    kept: Cache<Box<[u8]>, Arc<Stored>, Bytes>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Box<[u8]>, Arc<Stored>> for Bytes {
    fn weight(&self, key: &Box<[u8]>, kept: &Arc<Stored>) -> u64 {
        (key.len() + kept.head().len() + kept.body().len() + ENTRY_BYTES) as u64
    }
}

impl Snapshots {
    /// Room for the answers of one route.
    pub(crate) fn new(config: Snapshot) -> Self {
        let most = config.max_bytes.get();
        let kept = Cache::with_weighter(usize::try_from(most / TYPICAL_BYTES).unwrap_or(1).max(16), most, Bytes);
        Self { config, kept }
    }

    /// Its settings.
    pub(crate) const fn config(&self) -> &Snapshot {
        &self.config
    }

    /// The last good answer to this question, unless it is too old.
    pub(crate) fn find(&self, asked: &RequestHead, now: Mono) -> Option<Arc<Stored>> {
        let kept = matches!(*asked.method(), Method::GET | Method::HEAD).then(|| self.kept.get(&*key(asked)))??;
        (now.since(kept.at) <= self.config.max_age).then_some(kept)
    }

    /// The most bytes of a body that are kept of this answer, and under which key; `None` if it is not to be kept now.
    pub(crate) fn wants(&self, asked: &RequestHead, head: &ResponseHead, now: Mono) -> Option<(Box<[u8]>, usize)> {
        let plain = *asked.method() == Method::GET && is_for_all(asked.head());
        if !plain || head.status() != StatusCode::OK || !may_be_kept(head.head()) {
            return None;
        }
        let most = self.config.max_bytes.get() / 4;
        if head.head().announced().is_some_and(|length| length > most) {
            return None;
        }
        let key = key(asked);
        let fresh = self.kept.peek(&key).is_some_and(|kept| now.since(kept.at) < self.config.refresh);
        (!fresh).then(|| (key, usize::try_from(most).unwrap_or(usize::MAX)))
    }

    /// Lets a good answer be read along, if it is to be kept.
    pub(crate) fn read_along(self: &Arc<Self>, request: &Request, head: &ResponseHead, now: Mono, relay: &mut Relay) {
        if let Some((key, most)) = self.wants(&request.head, head, now) {
            let kept = Arc::clone(self);
            let keep = Keep::new(Stored::of(head, now), most, move |whole| {
                whole.into_iter().for_each(|stored| kept.keep(key.clone(), stored));
            });
            relay.tap(Box::new(keep));
        }
    }

    /// Keeps a good answer.
    fn keep(&self, key: Box<[u8]>, stored: Stored) {
        self.kept.insert(key, Arc::new(stored));
    }
}

impl std::fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshots").field("config", &self.config).field("kept", &self.kept.len()).finish()
    }
}

fn is_for_all(head: &Head) -> bool {
    head.get(b"authorization").is_none() && !head.has(Known::Cookie)
}

fn may_be_kept(head: &Head) -> bool {
    let says = |name: &[u8], words: &[&str]| {
        let values = head.fields().iter().filter(|field| head.name(field).eq_ignore_ascii_case(name));
        values
            .map(|field| head.value(field).as_bytes().to_ascii_lowercase())
            .any(|value| words.iter().any(|word| value.windows(word.len()).any(|part| part == word.as_bytes())))
    };
    let varies = head.get(b"vary").is_some_and(|vary| !vary.as_bytes().eq_ignore_ascii_case(b"accept-encoding"));
    head.get(b"set-cookie").is_none() && !varies && !says(b"cache-control", &["private", "no-store"])
}

/// Authority, path and query, and the codings that the client takes.
fn key(asked: &RequestHead) -> Box<[u8]> {
    let authority = asked.authority().map_or(&[][..], |host| host.as_bytes()).to_ascii_lowercase();
    let codings = asked.head().get(b"accept-encoding").map_or(&[][..], |codings| codings.as_bytes());
    [&*authority, asked.path(), codings].join(&0).into_boxed_slice()
}

/// What an entry costs beside its bytes. Source: two `Bytes`, an `Arc`, a slot of the table; rounded up.
const ENTRY_BYTES: usize = 256;
/// Of an answer, to size the table. Source: ours.
const TYPICAL_BYTES: u64 = 8 << 10;

#[cfg(test)]
mod tests {
    use ambidex_core::time::Span;
    use ambidex_http1::{Asked, Fields, HeadReader, Profile};
    use bytes::BytesMut;

    use super::*;
    use crate::head::tests::read;

    fn answer(fields: &str) -> ResponseHead {
        let mut text = BytesMut::from(&*format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{fields}\r\n"));
        let asked = Asked { head: false, connect: false, upgrade: false };
        let head = HeadReader::default().response(&mut text, &mut Fields::default(), &Profile::default(), asked);
        head.expect("a head").expect("whole")
    }

    fn at(seconds: u64) -> Mono {
        Mono::default() + Span::from_secs(seconds)
    }

    #[test]
    fn an_answer_for_everybody_is_kept_until_it_is_too_old_and_replaced_after_its_refresh() {
        let snapshots = Snapshots::new(Snapshot::default());
        let asked = read("GET", "/a?b", &[]);
        let (key, _) = snapshots.wants(&asked, &answer(""), at(0)).expect("nothing is kept yet");
        snapshots.keep(key, Stored::of(&answer(""), at(0)));
        assert!(snapshots.wants(&asked, &answer(""), at(29)).is_none());
        assert!(snapshots.wants(&asked, &answer(""), at(31)).is_some());
        assert!(snapshots.find(&asked, at(3_600)).is_some() && snapshots.find(&asked, at(3_601)).is_none());
        assert!(snapshots.find(&read("GET", "/a?c", &[]), at(0)).is_none());
    }

    #[test]
    fn what_is_one_clients_own_is_never_kept() {
        let snapshots = Snapshots::new(Snapshot::default());
        for asked in [
            read("GET", "/", &[("cookie", "a=1")]),
            read("GET", "/", &[("authorization", "Bearer x")]),
            read("POST", "/", &[]),
        ] {
            assert!(snapshots.wants(&asked, &answer(""), at(0)).is_none());
        }
        for fields in ["set-cookie: a=1\r\n", "cache-control: max-age=1, Private\r\n", "vary: accept-language\r\n"] {
            assert!(snapshots.wants(&read("GET", "/", &[]), &answer(fields), at(0)).is_none(), "{fields}");
        }
    }

    #[test]
    fn what_is_kept_stays_within_its_bytes() {
        let snapshots =
            Snapshots::new(Snapshot { max_bytes: ambidex_core::size::Size::kib(64), ..Snapshot::default() });
        for number in 0..1_000 {
            let asked = read("GET", &format!("/{number}"), &[]);
            let (key, _) = snapshots.wants(&asked, &answer(""), at(0)).expect("new");
            snapshots.keep(key, Stored::of(&answer(""), at(0)).with_body(vec![0; 1_000].into()));
        }
        assert!(snapshots.kept.weight() <= 64 << 10, "{}", snapshots.kept.weight());
        assert!(!snapshots.kept.is_empty());
    }
}
