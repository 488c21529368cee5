//! A request of a keyed route: held whole, its key found, sent to the owner of its slice, and again when that was another one.
//!
//! ```text
//! rate, deadline (stages.rs) ── body held ── key ── router ── owner ── answer
//!                                  \ 400 408 413  \ 400  \ 503     \ 421, 409 running, unreached, broken off: back to the router
//!                                                                    \ its own 503, 504: why nobody answered
//! ```
//! Who passes where:
//!
//! | of the usual way | keyed requests |
//! |---|---|
//! | admission, rate limit, deadline, log, trace, recording, drills | as all others |
//! | numbers of workers (latency, failures, in flight) | as all others: weights and findings hear of them |
//! | pick, weights, breakers, bulkhead, throttle | have no say: there is one owner, and to keep a request from it is to fail it |
//! | retries, hedge, quorum, fallback, cache, known repeats, mirror | refused when the configuration is read |
//! | change of protocol | is not asked for: what follows would carry no epoch |
//!
//! **What is sent again.** What was not run (421, no connection, an owner that the pool does not have) is sent again, to whom it then
//! belongs. What may have been run is sent again only if it is a read, or its client gave it an op id.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use ambidex_core::attempt::FailureKind;
use ambidex_core::balance::{Pick, PickReason};
use ambidex_core::load::{FAILURE_PRICE, Outcome};
use ambidex_core::shard::keyspace::{KeyspaceName, Reads};
use ambidex_core::shard::router::{Answer, Asked, Refusal, Way};
use ambidex_core::shard::space::Point;
use ambidex_core::stats::histogram::Lack;
use ambidex_core::view::PoolView;
use ambidex_http1::{Name, ResponseHead};
use ambidex_tower::{Flight, Transport as _, outcome};
use ambidex_wire::shard::headers::{self, Told, Word};
use http::{Method, StatusCode};

use super::answer::Notes;
use super::exchange::{Client, Errand, Own, Ready, Relayed, Reply};
use super::sending::why_unread;
use crate::head::REPORTS;
use crate::reason::Reason;
use crate::relay::Relay;
use crate::report::hear_head;
use crate::request::{Request, SliceLines};
use crate::shard::key;
use crate::shard::keyed::{HEAD, Keyed};
use crate::shard::shell::{Order, Waiting};
use crate::stored::Stored;
use crate::upstream::{self, Upstreams};

/// How a try ended.
enum Tried {
    /// With what its client gets.
    Answered { answer: Box<upstream::Answer>, flight: Flight, pick: Pick, word: Option<Word> },
    /// With something that the router has to hear of.
    Again(Answer),
    /// It was called off.
    Refused(Refusal),
}

/// What is the same for all tries of a request.
struct Trip<'t> {
    request: &'t Request,
    ready: &'t Ready,
    pool: &'t Arc<PoolView>,
    waiting: &'t Waiting,
    interim: Option<&'t dyn Fn(&ResponseHead)>,
}

impl Client {
    /// Answers a request of a keyed route.
    pub(super) async fn to_owner(
        &self,
        keyed: &Keyed,
        request: &Request,
        ready: &Ready,
        mut errand: Errand,
        interim: Option<&dyn Fn(&ResponseHead)>,
    ) -> Result<Reply, Own> {
        if ready.extras().guides && *request.head.method() == Method::GET {
            return self.guide(request, ready, errand);
        }
        let Some(pool) = ready.picture.view.pool(ready.target.pool) else { return Err(errand.own(Reason::NoPool)) };
        errand.entry.note(|record| record.keyspace = Some(Arc::clone(&keyed.place)));
        let (mut lines, point) = match self.slice_lines(keyed, request, ready).await {
            Ok(found) => found,
            Err(reason) => return Err(errand.own(reason)),
        };
        let read = matches!(*request.head.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let stale = read && keyed.reads == Reads::StaleOk;
        if stale {
            lines.texts[READS] = headers::STALE_OK.to_owned();
        }
        let asked = Asked {
            point,
            ordered: keyed.ordered && !read,
            again: read || !lines.texts[OP_ID].is_empty(),
            stale,
            bytes: request.held().len() as u64 + HEAD,
            deadline: ready.plan.arrived + ready.plan.config.deadline,
        };
        let counts = &self.thread.stats.keyed;
        counts.asked.add(1);
        let Some(waiting) = self.thread.shell(keyed).ask(asked) else {
            return Err(later(errand.own(Reason::NoTable)));
        };
        let trip = Trip { request, ready, pool, waiting: &waiting, interim };
        let mut tries = 0;
        // Whether an earlier try may have been run: then it is not told as not run, whatever the last one comes to.
        let mut unsure = false;
        loop {
            let (hop, way) = match waiting.order().await {
                Order::Send { hop, way } => (hop, way),
                Order::Refuse(why) => return Err(self.refused(errand, request, why)),
            };
            if hop == 0 {
                let waited = self.thread.clock.now().since(ready.plan.arrived);
                errand.entry.note(|record| record.waited = Some(waited));
            } else {
                counts.hops.add(1);
            }
            tries += 1;
            lines.texts[SLICE] = format!("{:016x}", way.slice.0);
            lines.texts[EPOCH] = way.epoch.0.to_string();
            match self.try_owner(&trip, way, &lines, tries, &mut errand).await {
                Tried::Answered { answer, word, .. } if unsure && !read && says_not_run(answer.head.status(), word) => {
                    waiting.failed(hop, Answer::Broken);
                }
                Tried::Answered { answer, flight, pick, word } => {
                    waiting.done(hop);
                    return Ok(self.relayed((request, ready, pool), *answer, flight, (pick, tries, word), errand));
                }
                Tried::Again(answer) => {
                    unsure |= matches!(answer, Answer::Broken | Answer::Running);
                    waiting.failed(hop, answer);
                }
                Tried::Refused(why) => return Err(self.refused(errand, request, why)),
            }
        }
    }

    /// Answers where a key lies, for clients that route themselves: `?keyspace=NAME&key=KEY`.
    fn guide(&self, request: &Request, ready: &Ready, errand: Errand) -> Result<Reply, Own> {
        let asked = key::query(&request.head, "keyspace").ok().zip(key::query(&request.head, "key").ok());
        let Some((name, key)) = asked else { return Err(errand.own(Reason::NoShardKey)) };
        let name = String::from_utf8(name).ok().and_then(|name| KeyspaceName::try_from(name).ok());
        let Some(keyed) = name.and_then(|name| ready.picture.front.keyed.get(&name)) else {
            return Err(errand.own(Reason::NoRoute));
        };
        let Some(answer) = keyed.place.route(keyed.hash.point(&key)) else {
            keyed.place.want();
            return Err(later(errand.own(Reason::NoTable)));
        };
        let body = serde_json::to_vec(&answer).unwrap_or_default();
        let fields = [("content-type", "application/json"), ("cache-control", "no-store")];
        let stored = Stored::made(StatusCode::OK, &fields, body.into(), self.thread.clock.now());
        errand.kept(self, request, &stored, Notes::default())
    }

    /// What the owner is told of a request, as far as its key says it, and where that lies.
    async fn slice_lines(
        &self,
        keyed: &Keyed,
        request: &Request,
        ready: &Ready,
    ) -> Result<(SliceLines, Point), Reason> {
        if request.websocket.is_some() {
            return Err(Reason::BadMethod);
        }
        if !self.hold(request, keyed.most_body, ready).await? {
            return Err(Reason::BodyTooLarge);
        }
        let key = key::of(&keyed.key, &request.head, request.held())?;
        let op = op_id(request)?;
        let text = headers::key_text(&key);
        let none = String::new;
        let texts = [keyed.place.name().to_string(), none(), none(), text, op, none()];
        Ok((SliceLines { texts }, keyed.hash.point(&key)))
    }

    /// Sends a request to an owner, once.
    async fn try_owner(
        &self,
        trip: &Trip<'_>,
        way: Way,
        lines: &SliceLines,
        tries: usize,
        errand: &mut Errand,
    ) -> Tried {
        let Trip { request, ready, pool, waiting, interim } = trip;
        let thread = &self.thread;
        let counts = &thread.stats.keyed;
        let Some(slot) = waiting.slot(pool, way.owner) else {
            counts.unreached.add(1);
            errand.entry.note(|record| record.detail = "the slice's owner is no worker of the pool".to_owned());
            return Tried::Again(Answer::Misdirected(None));
        };
        let worker = &pool.workers[slot];
        let pick = Pick { slot, worker: worker.id, why: PickReason::Home };
        errand.entry.note(|record| {
            record.tries = tries;
            record.worker = Some(Arc::clone(&worker.name));
        });
        let saying = self.keyed_saying(ready, ready.told(&thread.clock), lines);
        let home = &ready.picture.front.ways[ready.target.way];
        let sampled = ready.sampled.clone();
        let transport = Upstreams { thread, home, request, saying, interim: *interim, sampled };
        let mut flight = Flight::begin(Arc::clone(&worker.cells), thread.clock, thread.seat, thread.clock.now());
        let ended = {
            let mut sending = pin!(transport.send(worker, pick, ()));
            poll_fn(|cx| match sending.as_mut().poll(cx) {
                Poll::Ready(ended) => Poll::Ready(Ok(ended)),
                // While it is at its owner, all that the router may say is that its time is over.
                Poll::Pending => waiting.poll_order(cx).map(|order| match order {
                    Order::Refuse(why) => Err(why),
                    Order::Send { .. } => Err(Refusal::Unknown),
                }),
            })
            .await
        };
        let now = thread.clock.now();
        match ended {
            Ok(Ok(answer)) => {
                flight.ended(now, outcome::of_head(&answer));
                self.heard(answer, flight, pick)
            }
            Ok(Err(error)) => {
                if error.kind == FailureKind::Connect {
                    flight.lacks(Lack::Unreached);
                }
                match error.kind {
                    FailureKind::RequestBody => flight.void(),
                    FailureKind::Connect | FailureKind::Tls | FailureKind::Reset | FailureKind::Garbage => {
                        flight.ended(now, Outcome::Failed { price: FAILURE_PRICE });
                    }
                }
                let unsent = error.unsent.is_some();
                errand.entry.note(|record| record.detail = error.detail);
                if unsent {
                    counts.unreached.add(1)
                } else {
                    counts.broken.add(1)
                }
                Tried::Again(if unsent { Answer::Misdirected(None) } else { Answer::Broken })
            }
            Err(why) => {
                counts.broken.add(1);
                flight.lacks(Lack::Late);
                flight.ended(now, Outcome::Failed { price: FAILURE_PRICE });
                Tried::Refused(why)
            }
        }
    }

    /// What a worker's answer means.
    fn heard(&self, answer: Box<upstream::Answer>, flight: Flight, pick: Pick) -> Tried {
        let said = |name: &str| answer.head.head().get(name.as_bytes()).map(|value| value.as_bytes().to_vec());
        let word = said(headers::SHARD).and_then(|value| Word::read(&value));
        match (answer.head.status(), word) {
            (StatusCode::MISDIRECTED_REQUEST, _) => {
                self.thread.stats.keyed.misdirected.add(1);
                let hint = said(headers::HINT).and_then(|value| Told::read(&value).hint());
                Tried::Again(Answer::Misdirected(hint))
            }
            (_, Some(Word::Running)) => Tried::Again(Answer::Running),
            (_, Some(Word::Stale)) => {
                self.thread.stats.keyed.stale.add(1);
                Tried::Answered { answer, flight, pick, word }
            }
            (_, word) => Tried::Answered { answer, flight, pick, word },
        }
    }

    /// The owner's answer, on its way to the client.
    fn relayed(
        &self,
        (request, ready, pool): (&Request, &Ready, &Arc<PoolView>),
        answer: upstream::Answer,
        flight: Flight,
        (pick, tries, word): (Pick, usize, Option<Word>),
        mut errand: Errand,
    ) -> Reply {
        let thread = &self.thread;
        let upstream::Answer { head, body, .. } = answer;
        let at = thread.clock.now();
        let took = at.since(ready.plan.arrived);
        pool.drill.iter().for_each(|drill| drill.toll.ended(!head.status().is_server_error()));
        errand.entry.note(|record| {
            record.upstream = Some(took);
            record.status = Some(head.status());
        });
        if let Some(route) = ready.picture.front.routes.counted(ready.target.route) {
            thread.stats.routes.count(route, pick.worker, head.status().is_server_error(), took);
        }
        let hears = ready.picture.front.ways[ready.target.way].hears_reports;
        let speaker = hears.then_some(pick.worker);
        if let Some(worker) = speaker.filter(|_| head.head().known().meets(REPORTS)) {
            hear_head(thread, worker, flight.cells(), head.head(), at);
        }
        let mut notes = Notes::default();
        if tries > 1 {
            notes.add(const { Name::literal("ambidex-attempts") }, &tries.to_string());
        }
        if let Some(word) = word {
            notes.add(const { Name::literal(headers::SHARD) }, word.text());
        }
        let Errand { entry, service } = errand;
        let progress = request.progress.clone();
        let relay = Relay::new(body, Some(flight), speaker, Rc::clone(thread), entry, progress, service);
        Reply::Relayed(Relayed { head, notes, relay: Box::new(relay) })
    }

    /// Nobody answers: why.
    fn refused(&self, errand: Errand, request: &Request, why: Refusal) -> Own {
        if let Some(reason) = why_unread(request) {
            return errand.own(reason);
        }
        match why {
            Refusal::Full => later(errand.own(Reason::SliceFull)),
            Refusal::Unserved => later(errand.own(Reason::SliceUnserved)),
            Refusal::Unknown => errand.own(Reason::SliceUnknown),
        }
    }
}

/// Whether a worker says that this try did nothing: by its agent's word, or by the contract's two statuses.
fn says_not_run(status: StatusCode, word: Option<Word>) -> bool {
    let by_status = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    match word {
        Some(Word::Refused | Word::Crowded) => true,
        Some(Word::Running | Word::Answered | Word::Forgotten | Word::Stale) => false,
        None => by_status,
    }
}

/// With word of when to come again.
fn later(mut own: Own) -> Own {
    own.notes.add(const { Name::literal("retry-after") }, "1");
    own
}

/// What a request calls itself, as its owner is told it; empty where it has no name.
fn op_id(request: &Request) -> Result<String, Reason> {
    let head = request.head.head();
    let mut lines =
        head.fields().iter().filter(|field| head.name(field).eq_ignore_ascii_case(headers::OP_ID.as_bytes()));
    let Some(line) = lines.next() else { return Ok(String::new()) };
    if lines.next().is_some() {
        return Err(Reason::BadOpId);
    }
    let op = headers::read_op(head.value(line).as_bytes()).ok_or(Reason::BadOpId)?;
    Ok(headers::op_text(op))
}

/// Places in [`SliceLines`].
const SLICE: usize = 1;
const EPOCH: usize = 2;
const OP_ID: usize = 4;
const READS: usize = 5;
