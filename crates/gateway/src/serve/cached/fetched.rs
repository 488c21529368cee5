//! What comes back from a worker for a route with a cache: kept, taken as a freshening, or replaced by what is stale.

use std::sync::Arc;

use ambidex_http1::{Asked, Framing};
use http::{Method, StatusCode};

use super::{CACHE_STATUS, Desk, Quest, TIER, is_no_answer, say};
use crate::cache::{
    ALONE, Counts, Draft, Entry, Fill, Landed, Leading, NotKept, Now, Shape, Token, forwarded, hit, serves_after_error,
};
use crate::request::Condition;
use crate::serve::exchange::{Errand, Own, Relayed, Reply};
use crate::upstream::UpstreamBody;

impl Desk<'_> {
    /// Has a worker asked about what is kept, where that is the question.
    pub(in crate::serve) fn ask_about(&self, quest: &Quest) {
        if let Some(entry) = quest.found.as_ref().filter(|_| self.may_ask_about()) {
            self.request.ask_about(Condition { etag: entry.etag.clone(), modified: entry.modified.clone() });
        }
    }

    fn may_ask_about(&self) -> bool {
        self.settings.mode.acts() && *self.request.head.method() == Method::GET
    }

    /// What becomes of a read that was sent.
    pub(super) fn fetched(&self, quest: Quest, reply: Result<Reply, Own>) -> Result<Reply, Own> {
        match reply {
            Ok(Reply::Relayed(relayed)) => Ok(Reply::Relayed(self.answered(relayed, quest))),
            Ok(reply @ (Reply::Own(_) | Reply::Switched(..))) => Ok(reply),
            Err(own) => {
                if let Some(leading) = quest.leading {
                    leading.landed(Landed::NotKept);
                }
                let acts = self.settings.mode.acts();
                let stale = quest.found.filter(|entry| acts && serves_after_error(entry, &self.asks, self.now()));
                let Some(entry) = stale else { return Err(own) };
                Counts::add(&self.cache.counts.stale);
                let Own { entry: record, service, .. } = own;
                self.served(Errand { entry: record, service }, &entry, false, Some("stale-if-error"))
            }
        }
    }

    /// What becomes of a worker's answer to a read.
    pub(super) fn answered(&self, mut relayed: Relayed, quest: Quest) -> Relayed {
        let Quest { found, forward, token, leading } = quest;
        let status = relayed.head.status();
        let found = found.filter(|_| self.may_ask_about());
        if let Some(entry) = &found {
            if status == StatusCode::NOT_MODIFIED && entry.validates() {
                return self.validated(relayed, entry, Quest { found: None, forward, token, leading });
            }
            if is_no_answer(status) && serves_after_error(entry, &self.asks, self.now()) {
                if let Some(leading) = leading {
                    leading.landed(Landed::NotKept);
                }
                Counts::add(&self.cache.counts.stale);
                let told = hit(entry, self.now(), false, Some("stale-if-error"));
                relayed.relay.note(|record| record.cache = "stale");
                return self.instead(relayed, entry, &told);
            }
        }
        let kept = self.keep(&mut relayed, token, leading);
        if self.settings.mode.acts() {
            relayed.notes.add(CACHE_STATUS, &forwarded(forward, false, kept));
        }
        relayed.relay.note(|record| record.cache = "miss");
        relayed
    }

    /// A worker said that what is kept is still right.
    pub(super) fn validated(&self, mut relayed: Relayed, entry: &Arc<Entry>, quest: Quest) -> Relayed {
        let now = Now::at(self.now());
        Counts::add(&self.cache.counts.validated);
        relayed.relay.note(|record| record.cache = "validated");
        // Another tier speaks of what it would have answered itself.
        let meant = entry.is_meant(relayed.head.head()) && !relayed.notes.names(TIER);
        let (new, kept) = entry.updated(&self.request.head, self.asked, &relayed.head, now, self.settings);
        let new = Arc::new(new);
        let kept = kept.and(if meant { Ok(()) } else { Err(NotKept::Status) });
        let kept = kept.and_then(|()| {
            let there = self.cache.put(&self.key, quest.token, Arc::clone(&new), now);
            if there { Ok(()) } else { Err(NotKept::Overtaken) }
        });
        if kept.is_err() {
            self.cache.store.forget(&self.key, entry);
        }
        if let Some(leading) = quest.leading {
            leading.landed(if kept.is_ok() { Landed::Kept } else { Landed::NotKept });
        }
        let told = forwarded(quest.forward, true, kept);
        self.instead(relayed, &new, &told)
    }

    /// The answer with what is kept in the place of what came.
    pub(super) fn instead(&self, mut relayed: Relayed, entry: &Entry, told: &str) -> Relayed {
        let made = Shape::of(entry, &self.request.head).made(entry);
        let read = made.as_ref().and_then(|stored| stored.read(Asked::of(self.request.head.method(), false)));
        if let (Some(stored), Some(head)) = (made, read) {
            let silent = head.head().framing() == Framing::None;
            let body = if silent { stored.body().slice(..0) } else { stored.body().clone() };
            relayed.relay.instead(UpstreamBody::kept(body), head.status());
            relayed.head = head;
        }
        say(&mut relayed.notes, &entry.age_text(self.now()), told);
        relayed
    }

    /// Reads a worker's answer along, if it may be kept; says whether it will be when it comes whole.
    pub(super) fn keep(&self, relayed: &mut Relayed, token: Token, leading: Option<Leading>) -> Result<(), NotKept> {
        let draft = self.draft(relayed);
        let is_read = matches!(*self.request.head.method(), Method::GET | Method::HEAD);
        match draft {
            Ok(draft) => {
                let most = usize::try_from(self.settings.max_body.get()).unwrap_or(usize::MAX);
                let (cache, key) = (Arc::clone(self.cache), self.key.clone());
                let length = match relayed.head.head().framing() {
                    Framing::Length(length) => usize::try_from(length).ok(),
                    Framing::None | Framing::Chunked | Framing::UntilClose | Framing::Tunnel => None,
                };
                relayed.relay.tap(Box::new(Fill::new(
                    cache,
                    key,
                    token,
                    draft,
                    (length, most),
                    leading,
                    self.client.thread.clock,
                )));
                Ok(())
            }
            Err(why) => {
                Counts::add(&self.cache.counts.refused);
                // What is wrong for now says nothing of the next answer.
                if is_read && relayed.head.status().as_u16() < 500 && leading.is_some() {
                    self.cache.store.put_alone(&self.key, token, self.now() + ALONE);
                }
                if let Some(leading) = leading {
                    leading.landed(Landed::NotKept);
                }
                Err(why)
            }
        }
    }

    pub(super) fn draft(&self, relayed: &Relayed) -> Result<Draft, NotKept> {
        let head = &relayed.head;
        if *self.request.head.method() == Method::HEAD || relayed.notes.names(TIER) {
            return Err(NotKept::Status);
        }
        match head.head().framing() {
            Framing::Length(length) if length > self.settings.max_body.get() => return Err(NotKept::TooLarge),
            // Cut off it looks whole.
            Framing::UntilClose | Framing::Tunnel => return Err(NotKept::NoEnd),
            Framing::None | Framing::Length(_) | Framing::Chunked => {}
        }
        Draft::of(&self.request.head, self.asked, head, || Now::at(self.now()), self.settings)
    }
}
