//! One move: core's conductor, the question that is on its way, and what is shown of it.
//!
//! **A question is not sent again while it is on its way.** Core asks again each half second, because a message may be lost; here the
//! transport says when it is. So a worker that takes longer than that over a batch is asked once, and its answer is handed over under
//! the number that core asked with last.

use ambidex_core::shard::conductor::{Conductor, End, Why};
use ambidex_core::shard::messages::{Cursor, Entry, Message, Reply};
use ambidex_core::shard::records::{MoveId, Phase};
use ambidex_core::time::Mono;
use ambidex_core::worker::WorkerId;

use crate::status::{EndedStatus, MoveStatus};

/// A move that is under way.
#[derive(Debug)]
pub(crate) struct Conducted {
    pub(crate) conductor: Conductor,
    began: Mono,
    /// What is on its way to a worker.
    asked: Option<Way>,
    /// Ways so far: an answer of an earlier one is none.
    ways: u64,
    pub(crate) fault: Option<String>,
    rounds: u32,
    entries: u64,
    bytes: u64,
    /// When the seal was stored, and when it was over.
    sealed: Option<Mono>,
    pub(crate) open_again: Option<Mono>,
    /// Whether it is known that the target owns the slice; one that was taken over may be so from the beginning.
    committed: bool,
}

#[derive(Debug)]
struct Way {
    to: WorkerId,
    what: What,
    way: u64,
    /// Under which number core asked last.
    number: u64,
}

/// Which question it is: two of one step are the same.
#[derive(Debug, PartialEq, Eq)]
enum What {
    Offer,
    Copy(Cursor),
    Apply(u32),
    Seal,
    Verify,
    Look,
}

impl What {
    fn of(message: &Message) -> Self {
        match message {
            Message::Offer { .. } => Self::Offer,
            Message::Copy { cursor, .. } => Self::Copy(cursor.clone()),
            Message::Apply { number, .. } => Self::Apply(*number),
            Message::Seal { .. } => Self::Seal,
            Message::Verify { .. } => Self::Verify,
            Message::Look => Self::Look,
        }
    }
}

impl Conducted {
    pub(crate) fn new(conductor: Conductor, now: Mono) -> Self {
        Self {
            committed: is_committed(conductor.plan().phase),
            conductor,
            began: now,
            asked: None,
            ways: 0,
            fault: None,
            rounds: 0,
            entries: 0,
            bytes: 0,
            sealed: None,
            open_again: None,
        }
    }

    /// Whether its slice is still with two workers: a move that only waits for the source to delete is no burden.
    pub(crate) fn is_moving(&self) -> bool {
        match self.conductor.plan().phase {
            Phase::Copying | Phase::Sealing | Phase::Ready | Phase::Committed => true,
            Phase::Active | Phase::Releasing | Phase::Aborted => false,
        }
    }

    /// Core asks a worker: under which way it is to be sent, unless it is on its way already.
    pub(crate) fn asks(&mut self, to: WorkerId, number: u64, message: &Message) -> Option<u64> {
        let what = What::of(message);
        if let Some(way) = self.asked.as_mut().filter(|way| way.to == to && way.what == what) {
            way.number = number;
            return None;
        }
        if let Message::Copy { cursor: Cursor::Round(round), .. } = message {
            self.rounds = *round;
        }
        self.ways += 1;
        self.asked = Some(Way { to, what, way: self.ways, number });
        Some(self.ways)
    }

    /// A way is over: the number that its answer counts for, if anybody waits for it.
    pub(crate) fn over(&mut self, way: u64) -> Option<u64> {
        self.asked.take_if(|asked| asked.way == way).map(|asked| asked.number)
    }

    /// Counts what a worker handed over.
    pub(crate) fn count(&mut self, reply: &Reply) {
        let entries: &[Entry] = match reply {
            Reply::Copied { entries, .. } | Reply::Sealed { entries, .. } => entries,
            Reply::Offered | Reply::Applied { .. } | Reply::Verified | Reply::Differs { .. } => &[],
            Reply::Stuck { .. } | Reply::Lost | Reply::Stands(_) => &[],
        };
        self.entries += entries.len() as u64;
        let bytes = |entry: &Entry| entry.key.len() + entry.value.as_ref().map_or(0, |value| value.len());
        self.bytes += entries.iter().map(bytes).sum::<usize>() as u64;
    }

    /// Takes down when the slice was sealed, and when it was not any more; says whether it has just been committed.
    pub(crate) fn heed_phase(&mut self, now: Mono) -> bool {
        match self.conductor.plan().phase {
            Phase::Copying => {}
            Phase::Sealing | Phase::Ready => self.sealed = self.sealed.or(Some(now)),
            Phase::Committed | Phase::Active | Phase::Releasing | Phase::Aborted => {
                self.open_again = self.open_again.or(Some(now));
            }
        }
        let committed = is_committed(self.conductor.plan().phase);
        committed && !std::mem::replace(&mut self.committed, committed)
    }

    pub(crate) fn status(&self, now: Mono, id: MoveId, name: impl Fn(WorkerId) -> String) -> MoveStatus {
        let plan = self.conductor.plan();
        MoveStatus {
            id: shown(id.0),
            slice: shown(plan.slice.0),
            from: name(plan.source),
            to: name(plan.target),
            phase: word(plan.phase),
            rounds: self.rounds,
            entries: self.entries,
            bytes: self.bytes,
            millis: now.since(self.began).as_millis(),
            fault: self.fault.clone(),
        }
    }

    pub(crate) fn ended(&self, now: Mono, id: MoveId, end: End, name: impl Fn(WorkerId) -> String) -> EndedStatus {
        let plan = self.conductor.plan();
        let (word, why) = match end {
            End::Moved => ("moved", None),
            End::Aborted(why) => ("aborted", Some(reason(why))),
            End::NotPlanned => ("not_planned", None),
            End::Deposed => ("deposed", None),
        };
        let pause = self.sealed.and_then(|sealed| Some(self.open_again?.since(sealed).as_secs_f64() * 1_000.0));
        EndedStatus {
            id: shown(id.0),
            slice: shown(plan.slice.0),
            from: name(plan.source),
            to: name(plan.target),
            end: word,
            why,
            entries: self.entries,
            bytes: self.bytes,
            millis: now.since(self.began).as_millis(),
            pause_millis: pause,
        }
    }
}

/// A number as paths have it.
pub(crate) fn shown(number: u64) -> String {
    format!("{number:016x}")
}

pub(crate) fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Copying => "copying",
        Phase::Sealing => "sealing",
        Phase::Ready => "ready",
        Phase::Committed => "committed",
        Phase::Active => "active",
        Phase::Releasing => "releasing",
        Phase::Aborted => "aborted",
    }
}

fn is_committed(phase: Phase) -> bool {
    match phase {
        Phase::Committed | Phase::Active | Phase::Releasing => true,
        Phase::Copying | Phase::Sealing | Phase::Ready | Phase::Aborted => false,
    }
}

fn reason(why: Why) -> &'static str {
    match why {
        Why::Operator => "operator",
        Why::Silent => "silent",
        Why::Lost => "lost",
        Why::NeverSmall => "never_small",
        Why::Stuck => "stuck",
        Why::Differs => "differs",
        Why::TakenOver => "taken_over",
    }
}
