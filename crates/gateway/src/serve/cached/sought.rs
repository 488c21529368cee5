//! What is kept for a read: found at the first look, waited for, or to be asked for.
//!
//! ```text
//! look ── Kept, NotKept: answered
//!     \── Ask: sent
//!     \── Later ── another request for the same has its answer, or left: look again
//!              \── other gateways were asked: look again, or Ask
//! ```
//! Few requests wait. For all others this is one look, and no future of its own.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use ambidex_core::time::Mono;
use ambidex_http1::Known;
use ambidex_tower::Timer as _;
use http::Method;

use super::{Desk, Quest};
use crate::cache::{
    Counts, Entry, Flag, Forward, Landed, Now, PATIENCE, Part, Resource, Token, Verdict, Waiting, look,
};
use crate::serve::exchange::Ready;

/// What there is for a read.
pub(super) enum Sought {
    /// The answer.
    Kept { entry: Arc<Entry>, waited: bool, detail: Option<&'static str> },
    /// Nothing, and the client wants nothing else.
    NotKept,
    /// A worker is to be asked.
    Ask(Quest),
}

/// What a read waits for.
enum Later {
    /// The answer to another one.
    Convoy(Waiting),
    /// What other gateways have kept.
    Others(Quest),
}

/// How a read goes on seeking.
struct Seeking {
    now: Mono,
    /// Until when it waits for another one's answer.
    until: Mono,
    may_wait: bool,
    waited: bool,
    /// Other gateways were not asked yet.
    beyond: bool,
}

impl Desk<'_> {
    /// Seeks what is kept for a read.
    pub(super) async fn sought(&self, ready: &Ready) -> Sought {
        let (settings, plan) = (self.settings, &ready.plan);
        let acts = settings.mode.acts();
        let mut seeking = Seeking {
            now: plan.arrived,
            until: plan.arrived + settings.collapse_wait.min(plan.config.deadline),
            may_wait: settings.collapse && acts,
            waited: false,
            beyond: acts && self.cache.is_shared() && !self.asked.authorization,
        };
        match self.look(ready, &mut seeking) {
            Ok(sought) => sought,
            Err(later) => Box::pin(self.wait_and_look(ready, seeking, later)).await,
        }
    }

    fn look(&self, ready: &Ready, seeking: &mut Seeking) -> Result<Sought, Later> {
        let now = seeking.now;
        let token = self.cache.store.token(&self.key);
        let resource = self.cache.store.get(&self.key);
        let found = resource.as_ref().and_then(|resource| resource.entry_for(&self.request.head));
        let found = found.filter(|entry| entry.terms.for_authorized || !self.asked.authorization).cloned();
        let verdict = found.as_ref().map(|entry| look(entry, &self.asks, now));
        if let (Some(entry), Some(verdict)) = (&found, verdict)
            && let Some(detail) = self.good(entry, verdict, ready)
        {
            return Ok(Sought::Kept { entry: Arc::clone(entry), waited: seeking.waited, detail });
        }
        if self.asks.has(Flag::OnlyIfCached) && self.settings.mode.acts() {
            return Ok(Sought::NotKept);
        }
        let by_request = matches!(verdict, Some(Verdict::Ask { by_request: true }));
        let mut leading = None;
        if seeking.may_wait && !by_request && self.shares(found.as_ref(), resource.as_deref(), now) {
            match self.cache.convoys.join(self.convoy(resource.as_deref())) {
                Part::Leads(lead) => leading = Some(lead),
                Part::Waits(waiting) => {
                    if !std::mem::replace(&mut seeking.waited, true) {
                        Counts::add(&self.cache.counts.collapsed);
                    }
                    return Err(Later::Convoy(waiting));
                }
            }
        }
        let forward = match (&found, by_request, resource.as_ref().and_then(|resource| resource.newest())) {
            (Some(_), true, _) => Forward::Request,
            (Some(_), false, _) => Forward::Stale,
            (None, _, Some(_)) => Forward::VaryMiss,
            (None, _, None) => Forward::UriMiss,
        };
        let quest = Quest { found, forward, token, leading };
        let asks_others = std::mem::take(&mut seeking.beyond) && quest.found.is_none();
        if asks_others { Err(Later::Others(quest)) } else { Ok(Sought::Ask(quest)) }
    }

    async fn wait_and_look(&self, ready: &Ready, mut seeking: Seeking, mut later: Later) -> Sought {
        loop {
            match later {
                // Whoever waits for one that left may lead; else one look more, and then it goes by itself.
                Later::Convoy(waiting) => {
                    seeking.may_wait = self.wait(waiting.landed(), seeking.until).await == Some(None);
                }
                Later::Others(quest) => {
                    if !self.look_beyond(quest.token).await {
                        return Sought::Ask(quest);
                    }
                    if let Some(leading) = quest.leading {
                        leading.landed(Landed::Kept);
                    }
                    seeking.may_wait = false;
                }
            }
            seeking.now = self.now();
            match self.look(ready, &mut seeking) {
                Ok(sought) => return sought,
                Err(next) => later = next,
            }
        }
    }

    /// Looks what other gateways have kept; says whether it is kept here now.
    async fn look_beyond(&self, token: Token) -> bool {
        let Some(shared) = self.cache.shared() else { return false };
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
        let conditional = || head.other(b"if-none-match").or(head.other(b"if-modified-since")).is_some();
        resource.is_none_or(|resource| !resource.is_alone(now))
            && *self.request.head.method() == Method::GET
            && !self.asked.authorization
            && !self.asked.no_store
            // Its answer may be none of the whole.
            && (found.is_some() || !(head.has(Known::Range) || conditional()))
    }

    /// What a convoy is told apart by: the resource, and what its newest answer varies by.
    pub(in crate::serve) fn convoy(&self, resource: Option<&Resource>) -> Vec<u8> {
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
}
