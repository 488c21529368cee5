//! A unit on its way: held by the router while its slice is sealed, sent to the owner, and sent again when that was another one.
//!
//! | an agent's answer, or none | the router hears | the client, if there is no other try |
//! |---|---|---|
//! | replies | done | the replies |
//! | `MOVED-ON` with a hint | misdirected | `-TRYAGAIN`: not run |
//! | `NOT-RUN`; no connection; an owner without an address | misdirected, without a hint | `-TRYAGAIN`, with the reason |
//! | `UNKNOWN`; the connection broke; time is over | broken | `-IOERR`: it may have been run. Units that only read are tried again |

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ambidex_core::shard::router::{Answer as Told, Asked, Refusal, Way};
use ambidex_core::time::Span;
use ambidex_redis::envelope::{Answer, Envelope};
use ambidex_redis::link::{LinkError, Target};
use ambidex_redis::session::{Protocol, Unit};
use ambidex_wire::shard::headers;
use bytes::Bytes;

use super::{Came, point};
use crate::reason::Reason;
use crate::shard::keyed::{HEAD, Keyed};
use crate::shard::shell::{Order, Waiting};
use crate::thread::Thread;

/// What is the same for all units of a connection.
pub(super) struct Asking {
    thread: Rc<Thread>,
    keyed: Arc<Keyed>,
    timeout: Span,
}

/// How a try ended that brought no replies.
enum Failed {
    /// The router has to hear of it; and why, for the client.
    Again(Told, String),
    /// It was called off.
    Refused(Refusal),
}

impl Asking {
    pub(super) fn new(thread: Rc<Thread>, keyed: Arc<Keyed>, timeout: Span) -> Self {
        Self { thread, keyed, timeout }
    }

    pub(super) fn keyed(&self) -> &Keyed {
        &self.keyed
    }

    /// Brings a unit to its owner; an error is what its client is told for each of its commands.
    pub(super) async fn ask(&self, protocol: Protocol, unit: Unit) -> Came {
        let counts = &self.thread.stats.keyed;
        let asked = Asked {
            point: point(&unit),
            // The connection has an order of its own (`Turns`): those of other connections need not wait for it.
            ordered: false,
            again: !unit.write,
            stale: false,
            bytes: unit.body.len() as u64 + HEAD,
            deadline: self.thread.clock.now() + self.timeout,
        };
        counts.asked.add(1);
        let Some(waiting) = self.thread.shell(&self.keyed).ask(asked) else {
            self.thread.stats.refusals[Reason::NoTable as usize].add(1);
            return Err(format!("CLUSTERDOWN nobody has said yet who owns slot {}: not run", unit.slot));
        };
        let slot = unit.slot;
        let mut envelope = Envelope {
            protocol,
            whole: unit.whole,
            keyspace: Bytes::copy_from_slice(self.keyed.place.name().as_str().as_bytes()),
            slice: 0,
            epoch: 0,
            body: unit.body.freeze(),
        };
        let mut last = String::new();
        loop {
            let (hop, way) = match waiting.order().await {
                Order::Send { hop, way } => (hop, way),
                Order::Refuse(why) => return Err(self.refused(why, slot, &last)),
            };
            if hop > 0 {
                counts.hops.add(1);
            }
            (envelope.slice, envelope.epoch) = (way.slice.0, way.epoch.0);
            match self.try_owner(&waiting, way, &envelope).await {
                Ok(replies) => {
                    waiting.done(hop);
                    return Ok(replies);
                }
                Err(Failed::Again(told, why)) => {
                    last = why;
                    waiting.failed(hop, told);
                }
                Err(Failed::Refused(why)) => {
                    counts.broken.add(1);
                    return Err(self.refused(why, slot, &last));
                }
            }
        }
    }

    /// Sends it once.
    async fn try_owner(&self, waiting: &Waiting, way: Way, envelope: &Envelope) -> Result<Bytes, Failed> {
        let counts = &self.thread.stats.keyed;
        let Some(address) = waiting.address(way.owner) else {
            counts.unreached.add(1);
            return Err(Failed::Again(Told::Misdirected(None), "its owner has no address".to_owned()));
        };
        let sent = self.thread.link(&address, target).send(envelope.encode(), 1);
        let came = {
            let mut comes = pin!(sent.come());
            poll_fn(|cx| match comes.as_mut().poll(cx) {
                Poll::Ready(came) => Poll::Ready(Ok(came)),
                // While it is at its owner, all that the router may say is that its time is over.
                Poll::Pending => waiting.poll_order(cx).map(|order| match order {
                    Order::Refuse(why) => Err(why),
                    Order::Send { .. } => Err(Refusal::Unknown),
                }),
            })
            .await
        };
        let broken = |why: String| {
            counts.broken.add(1);
            Failed::Again(Told::Broken, why)
        };
        match came.map_err(Failed::Refused)? {
            Ok(reply) => match Answer::read(&reply) {
                Some(Answer::Replies(replies)) => Ok(replies),
                Some(Answer::MovedOn(hint)) => {
                    counts.misdirected.add(1);
                    let hint = headers::Told::read(hint.as_bytes()).hint();
                    Err(Failed::Again(Told::Misdirected(hint), "its slice moves".to_owned()))
                }
                Some(Answer::NotRun(why)) => Err(Failed::Again(Told::Misdirected(None), why)),
                Some(Answer::Unknown(why)) => Err(broken(why)),
                None => Err(broken("its owner is no agent before an instance of Redis".to_owned())),
            },
            Err(LinkError::NotSent(why)) => {
                counts.unreached.add(1);
                Err(Failed::Again(Told::Misdirected(None), why))
            }
            Err(LinkError::Broken(why)) => Err(broken(why)),
        }
    }

    fn refused(&self, why: Refusal, slot: u16, last: &str) -> String {
        let because = if last.is_empty() { String::new() } else { format!(" ({last})") };
        let (reason, text) = match why {
            Refusal::Full => (Reason::SliceFull, format!("TRYAGAIN too many commands wait for slot {slot}: not run")),
            Refusal::Unserved => (
                Reason::SliceUnserved,
                format!("TRYAGAIN the owner of slot {slot} did not take it in time: not run{because}"),
            ),
            Refusal::Unknown => (
                Reason::SliceUnknown,
                format!("IOERR the owner of slot {slot} did not answer: it may have been run{because}"),
            ),
        };
        self.thread.stats.refusals[reason as usize].add(1);
        text
    }
}

/// An agent, by its URL.
fn target(url: &str) -> Target {
    let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    Target { address, greeting: Vec::new(), patience: PATIENCE }
}

/// How long an agent may be silent while something is waited for. Source: ours; as long as the agent waits for its instance, and some.
const PATIENCE: Duration = Duration::from_secs(310);
