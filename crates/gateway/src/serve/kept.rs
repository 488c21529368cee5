//! Answers with what is kept in memory: an entry of the cache, a stored answer, a snapshot, a fixed answer.

use std::rc::Rc;

use ambidex_core::time::Mono;
use ambidex_http1::{Asked, Framing, Name};
use bytes::Bytes;

use super::answer::Notes;
use super::exchange::{Client, Errand, Own, Relayed, Reply};
use crate::reason::Reason;
use crate::relay::Relay;
use crate::request::Request;
use crate::stored::Stored;
use crate::upstream::UpstreamBody;

impl Errand {
    /// Ends with what a tier of the fallback chain keeps.
    ///
    /// # Errors
    /// As of [`kept`](Self::kept).
    pub(super) fn fallen(
        mut self,
        client: &Client,
        request: &Request,
        stored: &Stored,
        tier: String,
    ) -> Result<Reply, Own> {
        let mut notes = Notes::default();
        let mut says = tier.clone();
        if stored.at > Mono::default() {
            let age = client.thread.clock.now().since(stored.at).as_millis() / 1_000;
            notes.add(const { Name::literal("age") }, &age.to_string());
            says.push_str(&format!("; age={age}"));
        }
        notes.add(const { Name::literal("ambidex-tier") }, &says);
        self.entry.note(|record| record.tier = tier);
        self.kept(client, request, stored, notes)
    }

    /// Ends with an answer that is kept, as if a worker had given it. What is left of the request's body is not read.
    ///
    /// # Errors
    /// An answer of our own, where what was kept is none.
    pub(super) fn kept(
        mut self,
        client: &Client,
        request: &Request,
        stored: &Stored,
        notes: Notes,
    ) -> Result<Reply, Own> {
        let Some(head) = stored.read(Asked::of(request.head.method(), false)) else {
            return Err(self.own(Reason::UpstreamGarbage));
        };
        self.entry.note(|record| record.status = Some(head.status()));
        let silent = head.head().framing() == Framing::None;
        let body = UpstreamBody::kept(if silent { Bytes::new() } else { stored.body().clone() });
        let Self { entry, service } = self;
        let relay = Relay::new(body, None, None, Rc::clone(&client.thread), entry, request.progress.clone(), service);
        Ok(Reply::Relayed(Relayed { head, notes, relay: Box::new(relay) }))
    }
}
