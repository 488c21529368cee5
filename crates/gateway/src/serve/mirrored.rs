//! The copy of a request on its way to a mirror's pool: nobody waits for it, and its answer goes nowhere.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use ambidex_core::attempt::AttemptConfig;
use ambidex_tower::{Answer, Driver, Plan, Timer as _};
use bytes::Bytes;
use http::StatusCode;

use super::exchange::{Client, Ready};
use crate::mirror::{Ended, Mirror};
use crate::report::hear_head;
use crate::request::{Request, Saying};
use crate::turn::Sitting;
use crate::upstream::{self, Upstreams};

/// A request that is to be copied, and was not yet: its body is on its way.
pub(super) struct Later(Arc<Mirror>);

impl Client {
    /// Copies a request, if its route wants that: at once where all of it is here, else later.
    pub(super) fn mirror(&self, request: &Request, ready: &Ready) -> Option<Later> {
        let mirror = ready.extras().mirror.as_ref()?;
        if ready.upgrade || request.websocket.is_some() || !mirror.wants(request.head.method(), self.thread.unit()) {
            return None;
        }
        if request.is_held() {
            self.copy(mirror, request, ready);
            return None;
        }
        Some(Later(Arc::clone(mirror)))
    }

    /// Copies a request whose answer has come, if all of its body was kept.
    pub(super) fn mirror_later(&self, later: Later, request: &Request, ready: &Ready) {
        let Later(mirror) = later;
        if request.is_held() {
            self.copy(&mirror, request, ready);
        } else {
            mirror.counts.count(Ended::Body);
        }
    }

    fn copy(&self, mirror: &Arc<Mirror>, request: &Request, ready: &Ready) {
        let Some(place) = mirror.enter() else { return };
        let client = Self::new(Rc::clone(&self.thread), self.peer.again(), Rc::default());
        let (request, mirror) = (request.alone(), Arc::clone(mirror));
        let ready = Ready {
            plan: Plan { arrived: self.thread.clock.now(), config: bounds(&mirror), ..ready.plan },
            tell: None,
            sampled: None,
            ..ready.clone()
        };
        tokio::task::spawn_local(async move {
            let until = ready.plan.arrived + mirror.config.deadline;
            let mut late = pin!(client.thread.alarms.at(until));
            let mut asked = pin!(client.ask(&mirror, &request, &ready));
            let status = poll_fn(|cx| match asked.as_mut().poll(cx) {
                Poll::Ready(status) => Poll::Ready(status),
                Poll::Pending => late.as_mut().poll(cx).map(|()| None),
            });
            if let Some(status) = status.await {
                place.ended(Ended::of(status));
            }
        });
    }

    /// Sends the copy, and reads what comes; the status of an answer that was read to its end, or to where enough was read.
    async fn ask(&self, mirror: &Mirror, request: &Request, ready: &Ready) -> Option<StatusCode> {
        let thread = &self.thread;
        let Ready { plan, picture, id, .. } = ready;
        let pool = picture.view.pool(mirror.pool)?;
        let home = &picture.front.ways[mirror.way];
        let seat = thread.seat_at(pool);
        let saying = Saying {
            introduction: &self.introduction,
            trusted: self.trusted,
            id: *id,
            upgrade: false,
            deadline: None,
            turn: None,
            mirrored: true,
            slice: None,
        };
        let transport = Upstreams { thread, home, request, saying, interim: None, sampled: None };
        let seats = Sitting { home: &seat, turn: None };
        let driver = Driver { transport: &transport, seats: &seats, timer: &thread.alarms, clock: thread.clock };
        let Answer { response, mut flight, pick, at, .. } = driver.drive(pool, *plan, ()).await.ok()?;
        let upstream::Answer { head, mut body, .. } = *response;
        if home.hears_reports {
            let worker = pool.picked(pick).id;
            hear_head(thread, worker, flight.cells(), head.head(), at);
        }
        let mut read = 0;
        while read < MOST_READ {
            match poll_fn(|cx| body.poll_next(cx)).await {
                Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) => {
                    flight.broke_off();
                    return None;
                }
                None => break,
            }
        }
        Some(head.status())
    }
}

/// How many bytes of a request's body are to be kept for its copy while it is sent, if any are.
pub(super) fn keeps(request: &Request, ready: &Ready) -> Option<usize> {
    let mirror = ready.extras().mirror.as_ref()?;
    let wanted =
        mirror.config.mode.acts() && mirror.config.takes(request.head.method()) && !ready.upgrade && !request.is_held();
    wanted.then_some(mirror.keep_body)
}

/// One try, and no second chances: a copy that is lost is counted.
fn bounds(mirror: &Mirror) -> AttemptConfig {
    AttemptConfig { deadline: mirror.config.deadline, retries: 0, ..AttemptConfig::default() }
}

/// Bytes of an answer that are read; a longer one is cut. Source: ours, as tiers' fixed answers: a page, not a download.
const MOST_READ: usize = 1 << 20;
