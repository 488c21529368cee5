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

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use ambidex_core::time::Mono;
use ambidex_http1::{Form, Known, Name, ResponseHead};
use ambidex_tower::Timer as _;
use http::{Method, StatusCode};

use super::answer::Notes;
use super::exchange::{Client, Errand, Own, Ready, Reply};
use crate::cache::{
    AskedWith, Cache, Counts, Directives, Entry, Flag, Forward, Key, Landed, Leading, NotKept, Now, PATIENCE, Part,
    Place, Resource, Shape, Token, Verdict, forwarded, hit, look,
};
use crate::config::{CacheWrites, RouteCache};
use crate::reason::Reason;
use crate::request::Request;
use crate::routes::Target;
use crate::thread::Picture;

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

/// A write of which nobody knows yet what it did: unless told otherwise, what is kept is wrong.
struct Unsure<'a>(Option<(&'a Arc<Cache>, &'a Key)>);

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
        request: &Request,
        ready: Ready,
        errand: Errand,
        interim: Option<&dyn Fn(&ResponseHead)>,
    ) -> Result<Reply, Own> {
        let picture = Rc::clone(&ready.picture);
        let Some(desk) = Desk::of(self, request, &picture, &ready.target) else {
            return self.uncached(request, ready, errand, interim).await;
        };
        let kind = if ready.upgrade { Kind::Other } else { kind(request) };
        match kind {
            Kind::Read => desk.read(ready, errand, interim).await,
            Kind::Write => desk.write(ready, errand, interim).await,
            Kind::Other => {
                Counts::add(&desk.cache.counts.passed);
                let reply = self.uncached(request, ready, errand, interim).await;
                desk.noted(reply, forwarded(Forward::Bypass, false, Ok(())).trim_end_matches("; stored"), "bypass")
            }
        }
    }
}

fn kind(request: &Request) -> Kind {
    let head = request.head.head();
    let method = request.head.method();
    if request.websocket.is_some() || request.head.form() == Form::Asterisk || *method == Method::OPTIONS {
        return Kind::Other;
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Kind::Write;
    }
    let conditions = head.get(b"if-match").is_some() || head.get(b"if-unmodified-since").is_some();
    if request.progress.is_some() || conditions { Kind::Other } else { Kind::Read }
}

impl<'a> Desk<'a> {
    /// `None`: no cache is wanted, or the request names no host by which its resource could be told.
    pub(super) fn of(client: &'a Client, request: &'a Request, picture: &'a Picture, target: &Target) -> Option<Self> {
        let cache = picture.front.cache.as_ref()?;
        let settings = picture.front.routes.extras(target.route).cache.as_ref()?;
        let head = request.head.head();
        let told = head.first(Known::XForwardedProto).filter(|_| client.trusted);
        let https = told.map_or(client.peer.is_tls(), |told| told.as_bytes().eq_ignore_ascii_case(b"https"));
        let place = Place {
            pool: &picture.front.ways[target.way].pool,
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

    async fn read(&self, ready: Ready, errand: Errand, interim: Option<&dyn Fn(&ResponseHead)>) -> Result<Reply, Own> {
        let until = (self.now() + self.settings.collapse_wait).min(ready.plan.arrived + ready.plan.config.deadline);
        let (mut may_wait, mut waited) = (self.settings.collapse && self.settings.mode.acts(), false);
        let mut beyond = self.settings.mode.acts();
        loop {
            let now = self.now();
            let token = self.cache.store.token(&self.key);
            let resource = self.cache.store.get(&self.key);
            let found = resource.as_ref().and_then(|resource| resource.entry_for(&self.request.head));
            let found = found.filter(|entry| entry.terms.for_authorized || !self.asked.authorization).cloned();
            let verdict = found.as_ref().map(|entry| look(entry, &self.asks, now));
            if let (Some(entry), Some(verdict)) = (&found, verdict)
                && let Some(detail) = self.good(entry, verdict, &ready)
            {
                return self.served(errand, entry, waited, detail);
            }
            if self.asks.has(Flag::OnlyIfCached) && self.settings.mode.acts() {
                return Err(errand.own(Reason::NotCached));
            }
            let by_request = matches!(verdict, Some(Verdict::Ask { by_request: true }));
            let mut leading = None;
            if may_wait && !by_request && self.shares(found.as_ref(), resource.as_deref(), now) {
                match self.cache.convoys.join(self.convoy(resource.as_deref())) {
                    Part::Leads(lead) => leading = Some(lead),
                    Part::Waits(waiting) => {
                        if !waited {
                            Counts::add(&self.cache.counts.collapsed);
                        }
                        waited = true;
                        // Whoever waits for one that left may lead; else one look more, and then it goes by itself.
                        may_wait = self.wait(waiting.landed(), until).await == Some(None);
                        continue;
                    }
                }
            }
            if std::mem::take(&mut beyond) && found.is_none() && self.look_beyond(token).await {
                // It is kept here now.
                if let Some(leading) = leading {
                    leading.landed(Landed::Kept);
                }
                may_wait = false;
                continue;
            }
            let forward = match (&found, by_request, resource.as_ref().and_then(|resource| resource.newest())) {
                (Some(_), true, _) => Forward::Request,
                (Some(_), false, _) => Forward::Stale,
                (None, _, Some(_)) => Forward::VaryMiss,
                (None, _, None) => Forward::UriMiss,
            };
            Counts::add(&self.cache.counts.misses);
            return self.fetch(ready, errand, interim, Quest { found, forward, token, leading }).await;
        }
    }

    /// Looks what other gateways have kept; says whether it is kept here now.
    async fn look_beyond(&self, token: Token) -> bool {
        let Some(shared) = self.cache.shared().filter(|_| !self.asked.authorization) else { return false };
        let now = Now::at(self.now());
        let most = self.settings.max_body.get();
        let came = self.wait(shared.get(&self.key, &self.request.head, now, most), now.mono + PATIENCE).await;
        let counts = &self.cache.counts;
        let (count, entry) = match came {
            Some(Ok(Some(entry))) => (&counts.shared_hits, Some(entry)),
            Some(Ok(None)) => (&counts.shared_misses, None),
            Some(Err(())) | None => (&counts.shared_failures, None),
        };
        Counts::add(count);
        entry.is_some_and(|entry| self.cache.store.put(&self.key, token, Arc::new(entry)))
    }

    /// Whether what was found is the answer, and what there is to say of that.
    fn good(&self, entry: &Arc<Entry>, verdict: Verdict, ready: &Ready) -> Option<Option<&'static str>> {
        let counts = &self.cache.counts;
        let (count, detail) = match verdict {
            Verdict::Fresh => (&counts.hits, None),
            Verdict::Borne => (&counts.stale, Some("max-stale")),
            Verdict::Meanwhile => (&counts.stale, Some("stale-while-revalidate")),
            Verdict::Ask { .. } => return None,
        };
        if !self.settings.mode.acts() {
            Counts::add(&counts.observed);
            return None;
        }
        if verdict == Verdict::Meanwhile {
            self.refresh(entry, ready);
        }
        Counts::add(count);
        Some(detail)
    }

    /// Whether the answer that it gets may be for others: then one of them is sent.
    fn shares(&self, found: Option<&Arc<Entry>>, resource: Option<&Resource>, now: Mono) -> bool {
        let head = self.request.head.head();
        // Its answer may be none of the whole.
        let own = [&b"if-none-match"[..], b"if-modified-since", b"range"].iter().any(|name| head.get(name).is_some());
        *self.request.head.method() == Method::GET
            && !self.asked.authorization
            && !self.asked.no_store
            && (found.is_some() || !own)
            && resource.is_none_or(|resource| !resource.is_alone(now))
    }

    /// What a convoy is told apart by: the resource, and what its newest answer varies by.
    pub(super) fn convoy(&self, resource: Option<&Resource>) -> Vec<u8> {
        let mut key = self.key.as_bytes().to_vec();
        if let Some(newest) = resource.and_then(Resource::newest) {
            newest.selected.extend(&mut key, &self.request.head);
        }
        key
    }

    /// What is awaited, if it comes before `until`.
    async fn wait<T>(&self, what: impl Future<Output = T>, until: Mono) -> Option<T> {
        let (mut what, mut late) = (pin!(what), pin!(self.client.thread.alarms.at(until)));
        poll_fn(|cx| match what.as_mut().poll(cx) {
            Poll::Ready(came) => Poll::Ready(Some(came)),
            Poll::Pending => late.as_mut().poll(cx).map(|()| None),
        })
        .await
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
        say(&mut notes, entry.age_text(now), hit(entry, now, waited, detail));
        errand.entry.note(|record| record.cache = if detail.is_some() { "stale" } else { "hit" });
        errand.kept(self.client, self.request, &stored, notes)
    }

    async fn write(&self, ready: Ready, errand: Errand, interim: Option<&dyn Fn(&ResponseHead)>) -> Result<Reply, Own> {
        Counts::add(&self.cache.counts.passed);
        let mut unsure = Unsure(Some((self.cache, &self.key)));
        let reply = self.client.uncached(self.request, ready, errand, interim).await;
        let Ok(Reply::Relayed(mut relayed)) = reply else { return reply };
        let status = relayed.head.status();
        if status.is_client_error() {
            // RFC 9111, 4.4: an error changes nothing.
            unsure.0 = None;
            relayed.notes.add(CACHE_STATUS, written(None));
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
            kept = Some(self.keep(&mut relayed, token, None, Now::at(self.now())));
        }
        relayed.notes.add(CACHE_STATUS, written(kept));
        relayed.relay.note(|record| record.cache = "write");
        Ok(Reply::Relayed(relayed))
    }

    fn noted(&self, reply: Result<Reply, Own>, told: &str, word: &'static str) -> Result<Reply, Own> {
        let mut reply = reply?;
        if let Reply::Relayed(relayed) = &mut reply {
            if self.settings.mode.acts() {
                relayed.notes.add(CACHE_STATUS, told.to_owned());
            }
            relayed.relay.note(|record| record.cache = word);
        }
        Ok(reply)
    }
}

/// What `Cache-Status` says of a write.
fn written(kept: Option<Result<(), NotKept>>) -> String {
    match kept {
        None => format!("ambidex; fwd={}", Forward::Method.word()),
        Some(kept) => forwarded(Forward::Method, false, kept),
    }
}

fn say(notes: &mut Notes, age: String, told: String) {
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
