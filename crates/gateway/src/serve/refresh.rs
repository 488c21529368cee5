//! Asks anew behind a stale answer that was served: stale-while-revalidate [RFC 5861, 3].
//!
//! The request that was answered is asked once more by nobody: a copy of its head, on the same thread, on nobody's
//! connection. One at a time for each resource, and a bounded number of them over all.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use ambidex_http1::{Fields, HeadReader, MAX_FIELDS};
use ambidex_tower::Plan;
use bytes::BytesMut;

use super::cached::{Desk, Quest, Wants};
use super::exchange::{Client, Errand, Ready, Reply};
use super::pulse::InService;
use crate::body::RequestBody;
use crate::cache::{Entry, Forward, Leading, Part, Refreshing};
use crate::head;
use crate::request::Request;

impl Desk<'_> {
    /// Asks anew for `entry`, unless somebody does.
    pub(super) fn refresh(&self, entry: &Arc<Entry>, ready: &Ready) {
        let resource = self.cache.store.get(&self.key);
        let Part::Leads(leading) = self.cache.convoys.join(self.convoy(resource.as_deref())) else { return };
        let Some(place) = self.cache.refresh() else { return };
        let Some(request) = self.copied() else { return };
        let thread = &self.client.thread;
        let client = Client::new(Rc::clone(thread), self.client.peer.again(), Rc::default());
        let ready = Ready {
            plan: Plan { arrived: thread.clock.now(), ..ready.plan },
            target: ready.target,
            picture: Rc::clone(&ready.picture),
            id: Some(head::id_text(thread.id())),
            upgrade: false,
            tell: None,
            sampled: None,
        };
        let entry = Arc::clone(entry);
        tokio::task::spawn_local(async move { client.refreshed(request, ready, entry, (leading, place)).await });
    }

    /// The request as it came, to be sent by nobody.
    fn copied(&self) -> Option<Request> {
        let mut profile = self.client.peer.settings.profile;
        profile.limits.fields = u8::try_from(MAX_FIELDS).unwrap_or(u8::MAX);
        let bytes = self.request.head.head().bytes();
        // Its text may be longer than what came in HTTP/2, which was bounded then.
        profile.limits.head_bytes = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        profile.limits.target_bytes = profile.limits.head_bytes;
        let mut text = BytesMut::from(&bytes[..]);
        let head = HeadReader::default().request(&mut text, &mut Fields::default(), &profile).ok().flatten()?;
        Some(Request::new(head, self.request.version, RequestBody::default()))
    }
}

impl Client {
    async fn refreshed(self, request: Request, ready: Ready, entry: Arc<Entry>, held: (Leading, Refreshing)) {
        let (leading, _place) = held;
        let Some(desk) = Desk::of(&self, &request, &ready) else { return };
        let token = desk.cache.store.token(&desk.key);
        let quest = Quest { found: Some(entry), forward: Forward::Stale, token, leading: Some(leading) };
        let errand = Errand::unrecorded(InService::begin(&self.pulse, None));
        desk.ask_about(&quest);
        let reply = self.uncached(&request, &ready, errand, None).await;
        if let Ok(Reply::Relayed(mut relayed)) = desk.came(Wants::Read(quest), reply) {
            // Nobody reads it but the cache.
            while let Some(Ok(_)) = poll_fn(|cx| relayed.relay.poll_next(cx)).await {}
        }
    }
}
