//! What a route wants done with a request beside sending it, in its order. Each stage may answer by itself.
//!
//! ```text
//! rate ── deadline ── quorum? ── cache ── known repeats (once.rs) ── body kept ── copy (mirrored.rs) ── send (sending.rs)
//!    \ 429       \ 504    \ a hot key is read from several workers, whatever the cache has
//!                                     \ kept    \ 400 409 413 422      \ 400 408
//! ```
//! A keyed route has nothing behind the deadline but its owner (keyed.rs).
//! What can be refused without its body is refused before that is read.
//! Most routes want nothing of this, and their requests never come here.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use ambidex_core::again::hybrid::Way;
use ambidex_core::time::Span;
use ambidex_http1::{Framing, Name, ResponseHead};
use ambidex_tower::Timer as _;

use super::cached::Desk;
use super::exchange::{Client, Errand, Own, Ready, Reply};
use super::mirrored;
use super::once::may_have_key;
use super::sending::why_unread;
use crate::deadline;
use crate::head::host_of;
use crate::limits::{self, Limit, TooMany};
use crate::reason::Reason;
use crate::request::Request;

impl Client {
    /// Answers a request of a route that wants more than sending.
    pub(super) async fn staged(
        &self,
        request: &Request,
        ready: &mut Ready,
        errand: Errand,
        interim: Option<&dyn Fn(&ResponseHead)>,
    ) -> Result<Reply, Own> {
        let mut told = None;
        if let Some(limit) = &ready.extras().limit {
            let peer = self.peer.client.map(|client| client.ip());
            let client = limits::client_of(&request.head, peer, &self.peer.settings.listener.trusted);
            match limit.admit(&request.head, client) {
                Ok(left) => told = limit.tells().then(|| [(POLICY, limit.policy()), (STATE, limit.state_of(left))]),
                Err(refused) => return Err(too_many(limit, refused, errand)),
            }
        }
        let Some(told) = told else { return self.within_rate(request, ready, errand, interim).await };
        // Boxed, as all that is rare.
        let mut reply = Box::pin(self.within_rate(request, ready, errand, interim)).await;
        let notes = match &mut reply {
            Ok(Reply::Relayed(relayed)) => Some(&mut relayed.notes),
            Ok(Reply::Own(own)) | Err(own) => Some(&mut own.notes),
            Ok(Reply::Switched(..)) => None,
        };
        if let Some(notes) = notes {
            told.iter().for_each(|(name, text)| notes.add(*name, text));
        }
        reply
    }

    /// What comes after the rate.
    async fn within_rate(
        &self,
        request: &Request,
        ready: &mut Ready,
        errand: Errand,
        interim: Option<&dyn Fn(&ResponseHead)>,
    ) -> Result<Reply, Own> {
        if let Err(reason) = self.set_deadline(request, ready) {
            return Err(errand.own(reason));
        }
        let many = self.reads_many(request, ready);
        if !many {
            ready.plan.config.chances.quorum = None;
        }
        let hot = many && ready.extras().quorum.as_ref().is_some_and(|quorum| quorum.hot_keys.is_some());
        let ready = &*ready;
        // What is written is to be known to the cache, however often.
        let desk = if hot && request.is_harmless() { None } else { Desk::of(self, request, ready) };
        match desk {
            Some(desk) => self.through_cache(&desk, ready, errand, interim).await,
            None => self.uncached(request, ready, errand, interim).await,
        }
    }

    /// What comes after the cache. A body of known length is read whole before the request is sent, where its route may
    /// send it again, and one of unknown length is kept while it is sent. What waits here is boxed: few requests do, and a
    /// future is as large as its largest part.
    pub(super) async fn uncached(
        &self,
        request: &Request,
        ready: &Ready,
        mut errand: Errand,
        interim: Option<&dyn Fn(&ResponseHead)>,
    ) -> Result<Reply, Own> {
        let extras = ready.extras();
        if let Some(keyed) = &extras.keyed {
            return Box::pin(self.to_owner(keyed, request, ready, errand, interim)).await;
        }
        if let Some(settings) = &extras.deduplicate
            && may_have_key(request, ready)
        {
            match Box::pin(self.once(settings, request, ready, errand, interim)).await {
                ControlFlow::Break(answered) => return answered,
                ControlFlow::Continue(back) => errand = back,
            }
        }
        if let Some(most) = extras.keep_body {
            match request.framing() {
                Framing::Length(length) if usize::try_from(length).is_ok_and(|length| length <= most) => {
                    if let Err(reason) = Box::pin(self.hold(request, most, ready)).await {
                        return Err(errand.own(reason));
                    }
                }
                Framing::Chunked => request.keep_as_it_comes(most),
                Framing::Length(_) | Framing::None | Framing::UntilClose | Framing::Tunnel => {}
            }
        } else if let Some(most) = mirrored::keeps(request, ready) {
            request.keep_as_it_comes(most);
        }
        let copy = self.mirror(request, ready);
        let answered = self.send(request, ready, errand, interim).await;
        if let Some(copy) = copy {
            self.mirror_later(copy, request, ready);
        }
        answered
    }

    /// The time that the request has: what its route usually takes, and what it says itself, where the route wants that.
    fn set_deadline(&self, request: &Request, ready: &mut Ready) -> Result<(), Reason> {
        let picture = Rc::clone(&ready.picture);
        let extras = picture.front.routes.extras(ready.target.route);
        let config = &mut ready.plan.config;
        if let Some(adaptive) = &extras.adaptive
            && let Some(pool) = picture.view.pool(ready.target.pool)
        {
            let seat = self.thread.seat_at(pool);
            config.deadline = seat.borrow_mut().deadline(ready.plan.arrived, config.chances.route, adaptive);
        }
        if extras.pass_deadline {
            let own = deadline::asked(&request.head);
            config.deadline = own.map_or(config.deadline, |own| own.min(config.deadline));
            if config.deadline == Span::ZERO {
                return Err(Reason::Deadline);
            }
            ready.tell = Some(deadline::Field::of(&request.head));
        }
        Ok(())
    }

    /// Whether the request is one that is read from several workers: urgent enough, and of a key that comes often.
    fn reads_many(&self, request: &Request, ready: &Ready) -> bool {
        let Some(quorum) = &ready.extras().quorum else { return false };
        let hot = quorum.hot_keys.is_none_or(|hybrid| {
            let now = ready.plan.arrived;
            let key = [host_of(&request.head).as_bytes(), request.head.path()].join(&0);
            self.thread.keys_of(ready.target.route, |frequent| {
                frequent.see(now, &key);
                hybrid.way(now, &key, frequent, || false) == Way::Quorum
            })
        });
        hot && urgency(request) <= quorum.urgency
    }

    /// Reads the request's body whole, within the time that its answer may take.
    pub(super) async fn hold(&self, request: &Request, most: usize, ready: &Ready) -> Result<bool, Reason> {
        let mut holding = pin!(request.hold(most));
        let mut late = pin!(self.thread.alarms.at(ready.plan.arrived + ready.plan.config.deadline));
        let held = poll_fn(|cx| match holding.as_mut().poll(cx) {
            Poll::Ready(held) => Poll::Ready(Some(held)),
            Poll::Pending => late.as_mut().poll(cx).map(|()| None),
        });
        match held.await {
            Some(Ok(held)) => Ok(held),
            Some(Err(_)) => Err(why_unread(request).unwrap_or(Reason::BadBody)),
            None => Err(Reason::SlowBody),
        }
    }
}

/// The answer to a request that came too early.
fn too_many(limit: &Limit, refused: TooMany, errand: Errand) -> Own {
    let mut own = errand.own(Reason::RateLimited);
    own.notes.add(const { Name::literal("retry-after") }, &refused.seconds().to_string());
    own.notes.add(POLICY, &limit.policy());
    own.notes.add(STATE, &limit.state(refused));
    own
}

/// How little a request is in a hurry: 0 to 7, 3 where it says nothing (RFC 9218, 4.1).
fn urgency(request: &Request) -> u8 {
    let said = request.head.head().other(b"priority").and_then(|line| {
        let mut parameters = line.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        parameters.find_map(|parameter| match parameter.strip_prefix(b"u=")? {
            [digit @ b'0'..=b'7'] => Some(digit - b'0'),
            _ => None,
        })
    });
    said.unwrap_or(USUAL_URGENCY)
}

const POLICY: Name<'static> = Name::literal("ratelimit-policy");
const STATE: Name<'static> = Name::literal("ratelimit");
/// Source: RFC 9218, 4.1.
const USUAL_URGENCY: u8 = 3;
