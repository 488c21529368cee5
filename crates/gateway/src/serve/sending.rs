//! Sends one request to workers, by the driver of core's machine, and makes a reply of the answer.

use std::rc::Rc;
use std::sync::Arc;

use ambidex_core::attempt;
use ambidex_core::cost::Costing;
use ambidex_core::view::PoolView;
use ambidex_http1::{Known, Name, ResponseHead};
use ambidex_tower::{Answer, Driver, Flight, Plan, Refused};
use http::StatusCode;

use super::answer::Notes;
use super::exchange::{Client, Errand, Own, Ready, Relayed, Reply};
use crate::head::REPORTS;
use crate::reason::Reason;
use crate::relay::Relay;
use crate::report::hear_head;
use crate::request::{Request, Saying, SliceLines};
use crate::turn::{Sitting, Turn};
use crate::upstream::{self, UpstreamBody, Upstreams};
use crate::{costs, deadline};

impl Client {
    /// Sends a request that is ready, whatever its route wants beside that.
    pub(super) async fn send(
        &self,
        request: &Request,
        ready: &Ready,
        mut errand: Errand,
        interim: Option<&dyn Fn(&ResponseHead)>,
    ) -> Result<Reply, Own> {
        let thread = &self.thread;
        let deadline = ready.told(&thread.clock);
        let Ready { plan, target, picture, sampled, .. } = ready;
        let Some(pool) = picture.view.pool(target.pool) else {
            return Err(errand.own(Reason::NoPool));
        };
        let home = &picture.front.ways[target.way];
        let costing = costing(request, ready, pool);
        let plan = &Plan { costing, ..*plan };
        let extras = picture.front.routes.extras(target.route);
        let turn = (!extras.is_plain()).then(|| Turn::new(extras, picture, pool, home));
        let turn = turn.as_ref();
        let seat = thread.seat_at(pool);
        let sampled = sampled.clone();
        let saying = self.saying(ready, deadline, turn);
        let transport = Upstreams { thread, home, request, saying, interim, sampled };
        let seats = Sitting { home: &seat, turn };
        let driver = Driver { transport: &transport, seats: &seats, timer: &thread.alarms, clock: thread.clock };
        let drill = pool.drill.as_ref();
        let answer = match driver.drive(pool, *plan, ()).await {
            Ok(answer) => answer,
            Err(refused) => {
                drill.iter().for_each(|drill| drill.toll.ended(refused.tier.is_some()));
                transport.sampled.iter().for_each(|sampled| sampled.refused(why_refused(request, refused.why)));
                return self.unanswered(request, errand, refused, pool, turn);
            }
        };
        let Answer { response, flight, pick, at, tries, tier: fallen } = answer;
        let pool = fallen.as_ref().map_or(pool, |fallen| &fallen.pool);
        let (tier, way) = fallen.as_ref().zip(turn).and_then(|(fallen, turn)| turn.of(fallen.place)).unzip();
        let way = way.unwrap_or(home);
        let upstream::Answer { head, mut body, .. } = *response;
        drill.iter().for_each(|drill| drill.toll.ended(!head.status().is_server_error()));
        errand.entry.note(|record| {
            record.tries = tries;
            record.worker = Some(Arc::clone(&pool.picked(pick).name));
            record.upstream = Some(at.since(plan.arrived));
            record.status = Some(head.status());
            record.tier = tier.as_deref().unwrap_or("").to_owned();
        });
        if let Some(route) = picture.front.routes.counted(target.route) {
            thread.stats.routes.count(route, pick.worker, head.status().is_server_error(), at.since(plan.arrived));
        }
        let speaker = way.hears_reports.then_some(pick.worker);
        if let Some(worker) = speaker.filter(|_| head.head().known().meets(REPORTS)) {
            hear_head(thread, worker, flight.cells(), head.head(), at);
        }
        if head.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.switched(request, errand, head, body, flight);
        }
        if request.websocket.is_some() && head.status().is_success() {
            // To a CONNECT, success means that the stream is the worker's from here on.
            return Err(errand.own(Reason::UpstreamGarbage));
        }
        let mut notes = Notes::default();
        if tries > 1 {
            notes.add(const { Name::literal("ambidex-attempts") }, &tries.to_string());
        }
        tier.iter().for_each(|tier| notes.add(const { Name::literal("ambidex-tier") }, tier));
        let watch = body.take_watch();
        let Errand { entry, service } = errand;
        let relay =
            Relay::new(body, Some(flight), speaker, Rc::clone(thread), entry, request.progress.clone(), service);
        let mut relay = Box::new(relay);
        watch.into_iter().for_each(|watch| relay.tap(watch.wins()));
        if let Some(snapshots) = extras.snapshots().filter(|_| tier.is_none()) {
            snapshots.read_along(request, &head, at, &mut relay);
        }
        Ok(Reply::Relayed(Relayed { head, notes, relay }))
    }

    /// What is said with a request, wherever it goes.
    fn saying<'a>(
        &'a self,
        ready: &Ready,
        deadline: Option<deadline::Told<'a>>,
        turn: Option<&'a Turn<'a>>,
    ) -> Saying<'a> {
        let (id, upgrade) = (ready.id, ready.upgrade);
        let (introduction, trusted) = (&self.introduction, self.trusted);
        Saying { introduction, trusted, id, upgrade, deadline, turn, mirrored: false, slice: None }
    }

    /// What is said with a request to the owner of its slice.
    pub(super) fn keyed_saying<'a>(
        &'a self,
        ready: &Ready,
        deadline: Option<deadline::Told<'a>>,
        slice: &'a SliceLines,
    ) -> Saying<'a> {
        Saying { upgrade: false, slice: Some(slice), ..self.saying(ready, deadline, None) }
    }

    /// No worker answers: a tier does, that keeps its answers here, or we do.
    fn unanswered(
        &self,
        request: &Request,
        mut errand: Errand,
        refused: Refused,
        pool: &PoolView,
        turn: Option<&Turn<'_>>,
    ) -> Result<Reply, Own> {
        errand.entry.note(|record| {
            record.tries = refused.tries;
            record.worker = refused.last.map(|pick| Arc::clone(&pool.picked(pick).name));
            record.detail = refused.detail;
        });
        let served = turn.filter(|_| refused.tier.is_some()).and_then(|turn| turn.take_served().zip(turn.says()));
        match served {
            Some((stored, tier)) => errand.fallen(self, request, &stored, tier.into_owned()),
            None => Err(errand.own(why_refused(request, refused.why))),
        }
    }

    /// A worker changes the protocol.
    fn switched(
        &self,
        request: &Request,
        errand: Errand,
        head: ResponseHead,
        body: UpstreamBody,
        flight: Flight,
    ) -> Result<Reply, Own> {
        // RFC 9110, 7.8: only to what was asked for.
        let asked = request.head.head().first(Known::Upgrade).map(|name| name.as_bytes());
        let agreed = head.head().first(Known::Upgrade).map(|name| name.as_bytes());
        let agree = asked.zip(agreed).is_some_and(|(asked, agreed)| asked.eq_ignore_ascii_case(agreed));
        // HTTP/2 has no proof of its own that the worker has read the key.
        let proved = request.websocket.as_ref().is_none_or(|asked| asked.is_proved_by(head.head()));
        let Some(worker) = body.into_switched().filter(|_| agree && proved) else {
            return Err(errand.own(Reason::UpstreamGarbage));
        };
        self.thread.stats.upgrades.add(1);
        Ok(errand.switched(head, worker, self.peer.settings.listener.tunnel_timeout, flight))
    }
}

/// What a request costs in its pool, where that tells classes apart.
fn costing(request: &Request, ready: &Ready, pool: &PoolView) -> Option<Costing> {
    let Ready { target, picture, .. } = ready;
    let (classes, costs) = picture.front.ways[target.way].costs.as_ref().zip(pool.costs())?;
    let label = picture.front.routes.label(target.route);
    Some(costs::of(classes, costs, &request.head, (target.route, &label)))
}

fn why_refused(request: &Request, why: attempt::Refusal) -> Reason {
    let starved = || request.progress.as_ref().is_some_and(|upload| upload.is_starved());
    match why_unread(request) {
        Some(reason) => reason,
        None if why == attempt::Refusal::Deadline && starved() => Reason::SlowBody,
        None => why.into(),
    }
}

/// What is wrong with the request's body, if anything is.
pub(super) fn why_unread(request: &Request) -> Option<Reason> {
    let upload = request.progress.as_ref()?;
    if upload.too_large.get() {
        return Some(Reason::BodyTooLarge);
    }
    let reason = Reason::of_message(upload.refused.get()?);
    Some(if reason == Reason::BadRequest { Reason::BadBody } else { reason })
}
