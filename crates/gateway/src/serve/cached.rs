//! The response cache on a request's way: answers from it, and what goes into it (cache/mod.rs).
//!
//! ```text
//! read   ── kept and good ───────────────────────────────────────────────────────────── answered
//!        ── wait for the one that was sent ── look again ──┐
//!        ── send, with what is kept as the condition ── 304: kept anew ── answered with it
//!                                                     \─ 5xx, none: answered with what is stale, where that is allowed
//!                                                     \─ else relayed, and read along
//! write  ── send ── what is kept of the resource is thrown out, and where the route wants it the answer kept
//! other  ── send
//! ```
//! A request whose body nobody reads is never answered from here: only GET and HEAD without a body are reads.

mod fetched;
mod sought;

use std::borrow::Cow;
use std::sync::Arc;

use ambidex_core::time::Mono;
use ambidex_http1::{Form, Known, Name, ResponseHead};
use http::{Method, StatusCode};

use self::sought::Sought;
use super::answer::Notes;
use super::exchange::{Client, Errand, Own, Ready, Reply};
use crate::cache::{
    AskedWith, Cache, Counts, Directives, Entry, Flag, Forward, Key, Leading, NotKept, PASSED, Place, Shape, Token,
    forwarded, hit,
};
use crate::config::{CacheWrites, RouteCache};
use crate::reason::Reason;
use crate::request::Request;

/// The cache as one request sees it.
pub(super) struct Desk<'a> {
    pub(super) client: &'a Client,
    pub(super) request: &'a Request,
    pub(super) cache: &'a Arc<Cache>,
    pub(super) settings: &'a RouteCache,
    place: Place<'a>,
    pub(super) key: Key,
    asks: Directives,
    asked: AskedWith,
}

/// What a request is to the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Other,
}

/// What was found for a request that is sent nevertheless, and what sending it brings along.
pub(super) struct Quest {
    pub(super) found: Option<Arc<Entry>>,
    pub(super) forward: Forward,
    pub(super) token: Token,
    pub(super) leading: Option<Leading>,
}

/// What the cache wants of a request that is sent.
pub(super) enum Wants<'a> {
    Read(Quest),
    Write(Unsure<'a>),
    Nothing,
}

/// A write of which nobody knows yet what it did: unless told otherwise, what is kept is wrong.
pub(super) struct Unsure<'a>(Option<(&'a Arc<Cache>, &'a Key)>);

impl Drop for Unsure<'_> {
    fn drop(&mut self) {
        if let Some((cache, key)) = self.0.take() {
            cache.invalidate(key);
        }
    }
}

impl Client {
    /// Answers a request of a route with a cache.
    pub(super) async fn through_cache(
        &self,
        desk: &Desk<'_>,
        ready: &Ready,
        errand: Errand,
        interim: Option<&dyn Fn(&ResponseHead)>,
    ) -> Result<Reply, Own> {
        let counts = &desk.cache.counts;
        let wants = match desk.kind(ready) {
            Kind::Read => match desk.sought(ready).await {
                Sought::Kept { entry, waited, detail } => return desk.served(errand, &entry, waited, detail),
                Sought::NotKept => return Err(errand.own(Reason::NotCached)),
                Sought::Ask(quest) => {
                    Counts::add(&counts.misses);
                    desk.ask_about(&quest);
                    Wants::Read(quest)
                }
            },
            Kind::Write => {
                Counts::add(&counts.passed);
                Wants::Write(Unsure(Some((desk.cache, &desk.key))))
            }
            Kind::Other => {
                Counts::add(&counts.passed);
                Wants::Nothing
            }
        };
        let reply = self.uncached(desk.request, ready, errand, interim).await;
        desk.came(wants, reply)
    }
}

impl<'a> Desk<'a> {
    /// `None`: no cache is wanted, or the request names no host by which its resource could be told.
    pub(super) fn of(client: &'a Client, request: &'a Request, ready: &'a Ready) -> Option<Self> {
        let settings = ready.extras().cache.as_ref()?;
        let front = &ready.picture.front;
        let cache = front.cache.as_ref()?;
        let head = request.head.head();
        let told = if client.trusted { head.first(Known::XForwardedProto) } else { None };
        let https = told.map_or(client.peer.is_tls(), |told| told.as_bytes().eq_ignore_ascii_case(b"https"));
        let place = Place {
            pool: &front.ways[ready.target.way].pool,
            scheme: if https { "https" } else { "http" },
            authority: request.head.authority()?.as_bytes(),
        };
        let key = Key::of(place, request.head.path(), &settings.key);
        let asks = Directives::of_request(head);
        let asked = AskedWith { authorization: head.has(Known::Authorization), no_store: asks.has(Flag::NoStore) };
        Some(Self { client, request, cache, settings, place, key, asks, asked })
    }

    fn now(&self) -> Mono {
        self.client.thread.clock.now()
    }

    fn kind(&self, ready: &Ready) -> Kind {
        let Request { head, websocket, progress, .. } = self.request;
        let asterisk = head.form() == Form::Asterisk || *head.method() == Method::OPTIONS;
        if ready.upgrade || websocket.is_some() || asterisk {
            return Kind::Other;
        }
        if !matches!(*head.method(), Method::GET | Method::HEAD) {
            return Kind::Write;
        }
        let fields = head.head();
        let conditional = fields.other(b"if-match").or(fields.other(b"if-unmodified-since")).is_some();
        if progress.is_some() || conditional { Kind::Other } else { Kind::Read }
    }

    /// What becomes of a request that was sent.
    pub(super) fn came(&self, wants: Wants<'_>, reply: Result<Reply, Own>) -> Result<Reply, Own> {
        match wants {
            Wants::Read(quest) => self.fetched(quest, reply),
            Wants::Write(unsure) => self.wrote(unsure, reply),
            Wants::Nothing => self.passed(reply),
        }
    }

    /// Answers with what is kept.
    fn served(
        &self,
        mut errand: Errand,
        entry: &Entry,
        waited: bool,
        detail: Option<&'static str>,
    ) -> Result<Reply, Own> {
        let Some(stored) = Shape::of(entry, &self.request.head).made(entry) else {
            return Err(errand.own(Reason::UpstreamGarbage));
        };
        let now = self.now();
        let mut notes = Notes::default();
        say(&mut notes, &entry.age_text(now), &hit(entry, now, waited, detail));
        errand.entry.note(|record| record.cache = if detail.is_some() { "stale" } else { "hit" });
        errand.kept(self.client, self.request, &stored, notes)
    }

    /// What a write did.
    fn wrote(&self, mut unsure: Unsure<'_>, reply: Result<Reply, Own>) -> Result<Reply, Own> {
        let Ok(Reply::Relayed(mut relayed)) = reply else { return reply };
        let status = relayed.head.status();
        if status.is_client_error() {
            // RFC 9111, 4.4: an error changes nothing.
            unsure.0 = None;
            relayed.notes.add(CACHE_STATUS, &written(None));
            return Ok(Reply::Relayed(relayed));
        }
        drop(unsure);
        let mut is_it = false;
        for name in [&b"location"[..], b"content-location"] {
            let named = relayed.head.head().get(name);
            let named = named.and_then(|reference| {
                Key::named(self.place, self.request.head.path(), reference.as_bytes(), &self.settings.key)
            });
            if let Some(named) = named.filter(|_| status.is_success() || status.is_redirection()) {
                is_it |= named == self.key && name == b"content-location";
                self.cache.invalidate(&named);
            }
        }
        let mut kept = None;
        let through = self.settings.writes == CacheWrites::WriteThrough;
        let fits = status == StatusCode::OK && Directives::of_response(relayed.head.head()).limits_age();
        if through && (is_it && status.is_success() || fits) {
            let token = self.cache.store.token(&self.key);
            kept = Some(self.keep(&mut relayed, token, None));
        }
        relayed.notes.add(CACHE_STATUS, &written(kept));
        relayed.relay.note(|record| record.cache = "write");
        Ok(Reply::Relayed(relayed))
    }

    /// What the cache has nothing to do with.
    fn passed(&self, reply: Result<Reply, Own>) -> Result<Reply, Own> {
        let mut reply = reply?;
        if let Reply::Relayed(relayed) = &mut reply {
            if self.settings.mode.acts() {
                relayed.notes.add(CACHE_STATUS, PASSED);
            }
            relayed.relay.note(|record| record.cache = "bypass");
        }
        Ok(reply)
    }
}

/// What `Cache-Status` says of a write.
fn written(kept: Option<Result<(), NotKept>>) -> Cow<'static, str> {
    kept.map_or("ambidex; fwd=method".into(), |kept| forwarded(Forward::Method, false, kept).to_string().into())
}

fn say(notes: &mut Notes, age: &str, told: &str) {
    notes.add(const { Name::literal("age") }, age);
    notes.add(CACHE_STATUS, told);
}

/// Statuses for which a stale answer is better [RFC 5861, 4].
fn is_no_answer(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

const CACHE_STATUS: Name<'static> = Name::literal("cache-status");
/// On what no worker of the pool answered as it was asked.
const TIER: &[u8] = b"ambidex-tier";
