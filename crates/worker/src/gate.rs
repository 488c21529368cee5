//! The gate before a worker: every request asks here first, and every answer says here how it went.
//!
//! One short lock around core's [`Shedder`]: taken when a request comes, when its answer begins, for the report on it, and
//! when it ends; held for some hundred instructions, never across an await. Who waits holds a channel that its turn comes by; whatever becomes of its task, the place is given back.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ambidex_core::guard::limit::{Ended, Served};
use ambidex_core::guard::shed::{Asked, Shed, ShedCounts, Shedder, Ticket, Turn, Verdict};
use ambidex_core::signal::Report;
use ambidex_core::time::{Mono, Span};
use tokio::sync::{Notify, oneshot};

use crate::clock::Clock;
use crate::config::{Priority, ReportForm, WorkerConfig};
use crate::meter::{Done, Meter, Summary};
use crate::scrape;

/// What stands before a worker.
pub struct Gate {
    clock: Clock,
    priority: Priority,
    reports: ReportForm,
    room: Mutex<Room>,
    accepting: AtomicBool,
    /// What the worker's own page says.
    scraped: Mutex<Option<Report>>,
    /// Whether no request comes here, so that nothing is measured.
    beside: bool,
    /// Whether it wants new requests has changed.
    turned: Notify,
    sequence: AtomicU64,
}

struct Room {
    shedder: Shedder,
    meter: Meter,
    summary: Summary,
    waiting: HashMap<Ticket, oneshot::Sender<Result<Mono, Shed>>>,
    turns: Vec<Turn>,
}

/// What a request is told.
#[derive(Debug)]
pub enum Word {
    /// It may begin.
    Begin(Permit),
    /// It waits.
    Wait(Waiting),
    /// It is not served.
    Shed(Shed),
}

/// A request that is served. Its place is free again when this is dropped: at the end of its answer.
#[must_use = "its place is free again when it is dropped"]
pub struct Permit {
    gate: Arc<Gate>,
    began: Mono,
    deadline: Option<Mono>,
    /// How it went, once its answer has begun.
    went: Option<(Span, Ended)>,
}

/// A request that waits for its turn. Dropping it gives its place in the queue back.
#[must_use = "nothing waits unless it is awaited"]
pub struct Waiting {
    gate: Arc<Gate>,
    ticket: Ticket,
    until: Mono,
    deadline: Option<Mono>,
    turn: oneshot::Receiver<Result<Mono, Shed>>,
    over: bool,
}

impl Gate {
    /// A gate that nobody has passed yet.
    #[must_use]
    pub fn new(config: &WorkerConfig, clock: Clock) -> Arc<Self> {
        let room = Room {
            shedder: Shedder::new(config.shed),
            meter: Meter::new(clock.now()),
            summary: Summary::default(),
            waiting: HashMap::new(),
            turns: Vec::new(),
        };
        Arc::new(Self {
            clock,
            priority: config.priority.clone(),
            reports: config.reports,
            room: Mutex::new(room),
            accepting: AtomicBool::new(true),
            scraped: Mutex::default(),
            beside: config.scrape.as_ref().is_some_and(|scrape| scrape.beside),
            turned: Notify::new(),
            sequence: AtomicU64::new(0),
        })
    }

    /// Where requests say how important they are.
    #[must_use]
    pub fn priority(&self) -> &Priority {
        &self.priority
    }

    /// In which headers load is reported.
    #[must_use]
    pub fn reports(&self) -> ReportForm {
        self.reports
    }

    /// The moment `left` from now, for a request that says how much time it has.
    #[must_use]
    pub fn deadline(&self, left: Span) -> Mono {
        self.clock.now() + left
    }

    /// Asks for a request to be let in.
    pub fn ask(self: &Arc<Self>, asked: Asked) -> Word {
        let now = self.clock.now();
        let mut room = self.room();
        let mut turns = std::mem::take(&mut room.turns);
        let verdict = room.shedder.arrive(now, asked, &mut turns);
        room.turns = turns;
        room.tell(now);
        let (gate, deadline) = (Arc::clone(self), asked.deadline);
        match verdict {
            Verdict::Admit => {
                drop(room);
                Word::Begin(Permit { gate, began: now, deadline, went: None })
            }
            Verdict::Wait { ticket, until } => {
                let (sender, turn) = oneshot::channel();
                room.waiting.insert(ticket, sender);
                drop(room);
                Word::Wait(Waiting { gate, ticket, until, deadline, turn, over: false })
            }
            Verdict::Shed(shed) => Word::Shed(shed),
        }
    }

    /// Says whether it wants new requests; reports carry it, heartbeats at once, and nothing is refused because of it.
    pub fn accept(&self, accepting: bool) {
        if self.accepting.swap(accepting, Relaxed) != accepting {
            self.turned.notify_waiters();
        }
    }

    /// Waits until it wants new requests, or wants them no more, otherwise than before.
    pub(crate) async fn turned(&self) {
        self.turned.notified().await;
    }

    /// What the worker's own page says from now on; `None`: nothing any more.
    pub(crate) fn hear(&self, said: Option<Report>) {
        *self.scraped() = said;
    }

    /// Whether nothing is known of the worker, so that nothing may be said of it.
    pub(crate) fn is_silent(&self) -> bool {
        self.beside && self.scraped().is_none()
    }

    fn scraped(&self) -> MutexGuard<'_, Option<Report>> {
        self.scraped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is said on an answer.
    #[must_use]
    pub fn report(&self) -> Report {
        let room = self.room();
        let (in_flight, queue) = (room.shedder.in_flight(), room.shedder.waiting());
        let (limit, summary) = (room.shedder.limit(), room.summary);
        drop(room);
        self.written(in_flight, queue, limit, &summary)
    }

    /// What the endpoint says: means over the window, so that whoever asks more often sees no more than others. Sums up;
    /// to be called off the request path, every second.
    #[must_use]
    pub fn sum_up(&self) -> Report {
        let now = self.clock.now();
        let mut room = self.room();
        room.summary = room.meter.sum_up(now);
        let (limit, summary) = (room.shedder.limit(), room.summary);
        drop(room);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of counts")]
        let whole = |mean: f64| mean.round() as u32;
        self.written(whole(summary.in_flight), whole(summary.waiting), limit, &summary)
    }

    /// How often what was said.
    #[must_use]
    pub fn counts(&self) -> ShedCounts {
        *self.room().shedder.counts()
    }

    /// What was done since it began.
    #[must_use]
    pub fn done(&self) -> Done {
        let now = self.clock.now();
        self.room().meter.done(now)
    }

    /// Whether no request comes through it.
    #[must_use]
    pub fn is_beside(&self) -> bool {
        self.beside
    }

    fn written(&self, in_flight: u32, queue: u32, limit: Option<u32>, summary: &Summary) -> Report {
        let Summary { mean, p50, p95, p99, rate, errors, .. } = *summary;
        let busy = |limit: u32| (f64::from(in_flight) + f64::from(queue)) / f64::from(limit.max(1));
        let own = Report {
            accepting: Some(self.accepting.load(Relaxed)),
            sequence: Some(self.sequence.fetch_add(1, Relaxed)),
            ..Report::default()
        };
        let measured = Report {
            in_flight: Some(in_flight),
            queue: Some(queue),
            mean,
            p50,
            p95,
            p99,
            rate: Some(rate),
            errors,
            utilization: limit.map(|limit| busy(limit).min(MOST_UTILIZATION)),
            limit,
            ..own
        };
        let known = if self.beside { own } else { measured };
        self.scraped().as_ref().map_or(known, |said| scrape::over(known, said))
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // A panic elsewhere leaves nothing half done: each lock is held for a whole change.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, served: Served) {
        let now = self.clock.now();
        let mut room = self.room();
        let mut turns = std::mem::take(&mut room.turns);
        room.shedder.leave(now, served, &mut turns);
        room.turns = turns;
        room.tell(now);
    }
}

impl Room {
    /// Hands out turns, and counts who is where.
    fn tell(&mut self, now: Mono) {
        for turn in self.turns.drain(..) {
            let (ticket, word) = match turn {
                Turn::Start(ticket) => (ticket, Ok(now)),
                Turn::Shed(ticket, shed) => (ticket, Err(shed)),
            };
            if let Some(sender) = self.waiting.remove(&ticket) {
                // Who has just left finds its turn when it gives its place back.
                let _ = sender.send(word);
            }
        }
        self.meter.stand(now, self.shedder.in_flight(), self.shedder.waiting());
    }
}

impl Permit {
    /// Its answer has begun. `failed`: the worker did not do its part; `dropped`: because it has too much to do.
    pub fn answered(&mut self, failed: bool, dropped: bool) {
        let now = self.gate.clock.now();
        let late = self.deadline.is_some_and(|deadline| now > deadline);
        let how = match (failed, dropped || late) {
            (_, true) => Ended::Dropped,
            // One that fails fast is not fast.
            (true, false) => Ended::Ignored,
            (false, false) => Ended::Answered,
        };
        let took = now.since(self.began);
        if self.went.is_none() {
            self.gate.room().meter.answered(took, failed);
        }
        self.went = Some((took, how));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // Without an answer its client has left, or its task was ended.
        let (took, how) = self.went.unwrap_or((Span::ZERO, Ended::Ignored));
        self.gate.leave(Served { began: self.began, took, how });
    }
}

impl Waiting {
    /// Waits for its turn, as long as it may.
    ///
    /// # Errors
    /// It is not served.
    pub async fn turn(mut self) -> Result<Permit, Shed> {
        let patience = tokio::time::sleep(self.gate.clock.until(self.until));
        let told = tokio::select! {
            biased;
            told = &mut self.turn => told.ok(),
            () = patience => None,
        };
        let told = match told {
            Some(told) => told,
            None => match self.give_up() {
                Some(shed) => Err(shed),
                None => self.turn.try_recv().unwrap_or_else(|_| unreachable!("turns are sent under the lock")),
            },
        };
        self.over = true;
        let (gate, deadline) = (Arc::clone(&self.gate), self.deadline);
        told.map(|began| Permit { gate, began, deadline, went: None })
    }

    fn give_up(&self) -> Option<Shed> {
        let now = self.gate.clock.now();
        let mut room = self.gate.room();
        let shed = room.shedder.give_up(now, self.ticket)?;
        room.waiting.remove(&self.ticket);
        room.tell(now);
        Some(shed)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let now = self.gate.clock.now();
        let mut room = self.gate.room();
        if room.shedder.forget(now, self.ticket) {
            room.waiting.remove(&self.ticket);
            room.tell(now);
            return;
        }
        drop(room);
        if let Ok(Ok(began)) = self.turn.try_recv() {
            self.gate.leave(Served { began, took: Span::ZERO, how: Ended::Ignored });
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let room = self.room();
        let shedder = &room.shedder;
        let (in_flight, waiting) = (shedder.in_flight(), shedder.waiting());
        f.debug_struct("Gate").field("in_flight", &in_flight).field("waiting", &waiting).finish_non_exhaustive()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("began", &self.began).finish_non_exhaustive()
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("until", &self.until).finish_non_exhaustive()
    }
}

/// More is not believed of a report.
const MOST_UTILIZATION: f64 = 50.0;
