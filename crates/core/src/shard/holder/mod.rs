//! A worker's part, for one slice: it admits requests, gives the slice away as a source, or takes it as a target.
//!
//! ```text
//!            Offer                 Apply.. Verify           reads Committed
//! Nothing ---------> Staging ------------------> (verified) ---------------> Serving
//!    ^                  | reads Aborted                                        |   ^
//!    +------------------+                                                Seal  |   | reads Aborted: epoch + 1
//!    |                          reads Releasing            reads Committed     v   |
//!    +------------------------------------------- Handed <------------------- Sealed
//! ```
//! **It acts on what it reads, never on what it is told.** Reopening, serving what was staged, and deleting are each allowed
//! by one phase of the move in the store, and the machine takes the step only when it has read that phase ([`Event::Read`]).
//! A coordinator's message ([`Message::Look`]) only makes it read at once; without one it reads
//! every half second while it is in a move. So a coordinator that was deposed, is late, or lies, can waste time and no write.
//!
//! **Storage** is behind effects with a number, and answers by events with the same number. One is under way at a time; what
//! comes meanwhile is dropped, because whoever asked asks again. [`Kept`] is what survives a crash; a machine made from it
//! ([`Holder::recovered`]) goes on by it, and says [`Lost`](super::messages::Reply::Lost) where it needs more.
//!
//! | it crashes | what it is then | who repairs |
//! |---|---|---|
//! | while it copies | serving, without tracked keys | the coordinator hears `Lost`, and aborts |
//! | before its seal is durable | serving | the same; it never said that it was sealed |
//! | sealed | sealed; it reads how the move ended | the coordinator hears `Lost`, or has it all, and commits |
//! | while it stages | nothing | the coordinator hears `Lost`, and aborts |
//! | verified | verified; it reads how the move ended | itself |
//! | handed | handed, until it reads `Releasing` | itself |
//! | and comes back with older records | serving, until it reads that the slice is another one's ([`strays`]) | a person |

mod admission;
mod recut;
mod source;
mod strays;
mod target;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::bugs::Bugs;
use super::messages::{Bytes, Caller, Digest, Entry, Message, Reply, Stand};
use super::records::{Epoch, Move, MoveId, SliceId};
use super::seen::Seen;
use super::space::Range;
use crate::time::{Mono, Span};

pub use admission::{Access, Hint, Op, Stands, Ticket, Verdict};
pub use recut::{Recut, recut};
pub use strays::strays;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A coordinator asks something.
    Told {
        /// Who, and its number for it.
        caller: Caller,
        /// For which move.
        move_: MoveId,
        /// What.
        message: Message,
    },
    /// Entries that were asked for.
    Exported {
        /// For which effect.
        work: u64,
        /// They.
        entries: Vec<Entry>,
        /// The last key, where there are more after it.
        next: Option<Bytes>,
        /// Of all entries of the slice: where [`Effect::Finish`] asked for it.
        digest: Digest,
    },
    /// Entries are in the staging.
    Imported {
        /// For which effect.
        work: u64,
    },
    /// The staging's digest.
    Digested {
        /// For which effect.
        work: u64,
        /// It.
        digest: Digest,
    },
    /// It is durable.
    Kept {
        /// For which effect.
        work: u64,
    },
    /// What the store says of a move. Nothing is said while the store cannot be asked.
    Read {
        /// Which.
        move_: MoveId,
        /// Its record; none where there is none.
        found: Option<Move>,
    },
    /// Time has passed.
    Due,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer a coordinator.
    Reply {
        /// To which question.
        caller: Caller,
        /// For which move.
        move_: MoveId,
        /// With what.
        reply: Reply,
    },
    /// Read some entries in the order of keys: [`Event::Exported`].
    Export {
        /// Its number.
        work: u64,
        /// After which key.
        after: Option<Bytes>,
    },
    /// Read these keys, or as many of them as fit a batch, at least one: [`Event::Exported`]. The others come again.
    ExportKeys {
        /// Its number.
        work: u64,
        /// They.
        keys: Vec<Bytes>,
    },
    /// Read these keys, and the digest of all entries: [`Event::Exported`].
    Finish {
        /// Its number.
        work: u64,
        /// They.
        keys: Vec<Bytes>,
    },
    /// Put these into the staging: [`Event::Imported`].
    Import {
        /// Its number.
        work: u64,
        /// They.
        entries: Vec<Entry>,
    },
    /// Say the staging's digest: [`Event::Digested`].
    Digest {
        /// Its number.
        work: u64,
    },
    /// Make this durable, in one step with what it says of the data: [`Event::Kept`].
    Keep {
        /// Its number.
        work: u64,
        /// It.
        kept: Kept,
    },
    /// Read a move's record: [`Event::Read`], if the store answers.
    Read {
        /// Which.
        move_: MoveId,
    },
}

/// What is durable of a worker's part in a slice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kept {
    /// Nothing: neither data nor staging remain.
    Nothing,
    /// It serves. What was staged is its data from now on.
    Serving(Epoch),
    /// It is sealed for a move.
    Sealed(MoveId, Epoch),
    /// It was handed over by a move.
    Handed(MoveId, Epoch),
    /// All of it is staged for a move, with what was seen of producers.
    Staged(MoveId, Epoch, Arc<Seen>),
}

/// A worker's part in one slice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    slice: SliceId,
    range: Range,
    state: State,
    seen: Seen,
    /// Writes that were admitted and have not ended.
    running: BTreeMap<Ticket, Op>,
    /// What storage has been asked and has not answered.
    work: Option<(u64, Work)>,
    works: u64,
    /// Who wants to know how this stands, once the move has been read.
    asker: Option<(MoveId, Caller)>,
    /// When to read the move again.
    read_at: Option<Mono>,
    forget_at: Option<Mono>,
    bugs: Bugs,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Nothing,
    Serving { epoch: Epoch, leaving: Option<Leaving> },
    Sealed { move_: MoveId, epoch: Epoch, leaving: Option<Leaving>, seal: Seal },
    Handed { move_: MoveId, epoch: Epoch },
    Staging { move_: MoveId, epoch: Epoch, next: u32, verified: bool },
}

/// What a source knows of a move besides serving.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Leaving {
    move_: MoveId,
    /// Written since the last round began.
    dirty: BTreeSet<Bytes>,
    round: u32,
    /// The keys of that round, for when it is asked for again.
    out: Vec<Bytes>,
}

/// How far a seal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Seal {
    /// Being made durable.
    Keeping(Caller),
    /// Durable; writes are in flight, until at most this.
    Draining(Caller, Mono),
    /// Whoever asks gets the rest.
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Work {
    Copy(Caller),
    Finish(Caller),
    Import(Caller, Option<Arc<Seen>>),
    Digest(Caller, Digest),
    /// And the state after it, where that is another one.
    Keep(Option<State>, Option<(Caller, Reply)>),
}

impl Holder {
    /// With nothing of the slice.
    #[must_use]
    pub fn new(slice: SliceId, range: Range) -> Self {
        Self::recovered(slice, range, Kept::Nothing, Seen::default())
    }

    /// As it was kept, after a start of the process. `seen` is what was durable with the data, by this process's clock.
    #[must_use]
    pub fn recovered(slice: SliceId, range: Range, kept: Kept, seen: Seen) -> Self {
        let (state, seen) = match kept {
            Kept::Nothing => (State::Nothing, Seen::default()),
            Kept::Serving(epoch) => (State::Serving { epoch, leaving: None }, seen),
            Kept::Sealed(move_, epoch) => (State::Sealed { move_, epoch, leaving: None, seal: Seal::Done }, seen),
            Kept::Handed(move_, epoch) => (State::Handed { move_, epoch }, Seen::default()),
            Kept::Staged(move_, epoch, seen) => {
                (State::Staging { move_, epoch, next: 0, verified: true }, Arc::unwrap_or_clone(seen))
            }
        };
        let now = Mono::default();
        let mut holder = Self {
            slice,
            range,
            state,
            seen,
            running: BTreeMap::new(),
            work: None,
            works: 0,
            asker: None,
            read_at: None,
            forget_at: None,
            bugs: Bugs::default(),
        };
        holder.read_at = holder.in_move().map(|_| now);
        holder
    }

    /// The same with a bug.
    #[cfg(feature = "seeded-bugs")]
    #[must_use]
    pub fn with(self, bugs: Bugs) -> Self {
        Self { bugs, ..self }
    }

    /// Its range, as this worker knows it.
    #[must_use]
    pub fn range(&self) -> Range {
        self.range
    }

    /// What was seen of producers.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// How it stands.
    #[must_use]
    pub fn stand(&self) -> Stand {
        match &self.state {
            State::Nothing => Stand::Nothing,
            State::Serving { epoch, .. } => Stand::Serves(*epoch),
            State::Sealed { move_, .. } => Stand::Sealed(*move_),
            State::Handed { move_, .. } => Stand::Handed(*move_),
            State::Staging { move_, .. } => Stand::Staging(*move_),
        }
    }

    /// Whether storage is still to answer this; otherwise something else has become of the slice.
    #[must_use]
    pub fn waits_for(&self, work: u64) -> bool {
        self.work.as_ref().is_some_and(|(number, _)| *number == work)
    }

    /// When to call with [`Event::Due`].
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        let stuck = match &self.state {
            State::Sealed { seal: Seal::Draining(_, until), .. } => Some(*until),
            State::Sealed { .. } | State::Nothing | State::Serving { .. } | State::Handed { .. } => None,
            State::Staging { .. } => None,
        };
        [self.read_at, self.forget_at, stuck].into_iter().flatten().min()
    }

    /// Handles one event.
    pub fn on(&mut self, now: Mono, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Told { caller, move_, message } => self.told(now, caller, move_, message, out),
            Event::Read { move_, found } => self.read(now, move_, found, out),
            Event::Due => self.due(now, out),
            Event::Exported { work, entries, next, digest } => {
                if let Some(done) = self.done(work) {
                    self.exported(done, entries, next, digest, out);
                }
            }
            Event::Imported { work } => {
                if let Some(Work::Import(caller, seen)) = self.done(work) {
                    self.imported(now, caller, seen, out);
                }
            }
            Event::Digested { work, digest } => {
                if let Some(Work::Digest(caller, wanted)) = self.done(work) {
                    self.digested(caller, wanted, digest, out);
                }
            }
            Event::Kept { work } => {
                if let Some(Work::Keep(state, reply)) = self.done(work) {
                    self.kept(now, state, reply, out);
                }
            }
        }
    }

    fn told(&mut self, now: Mono, caller: Caller, move_: MoveId, message: Message, out: &mut Vec<Effect>) {
        if let Message::Look = message {
            self.asker = Some((move_, caller));
            return out.push(Effect::Read { move_ });
        }
        if self.work.is_some() {
            return;
        }
        match message {
            Message::Offer { slice: _, range, epoch } => self.offered(now, caller, move_, (range, epoch), out),
            Message::Copy { epoch, cursor } => self.copy(now, caller, move_, (epoch, cursor), out),
            Message::Apply { number, entries, seen } => self.apply(caller, move_, (number, entries, seen), out),
            Message::Seal { epoch } => self.seal(caller, move_, epoch, out),
            Message::Verify { digest } => self.verify(caller, move_, digest, out),
            Message::Look => {}
        }
    }

    /// Takes the step that the store allows.
    fn read(&mut self, now: Mono, move_: MoveId, found: Option<Move>, out: &mut Vec<Effect>) {
        if self.in_move() == Some(move_) {
            self.read_at = Some(now + READ_EVERY);
            if !self.busy_keeping() {
                self.read_as_source(move_, found, out);
                self.read_as_target(move_, found, out);
            }
        }
        if self.busy_keeping() {
            return;
        }
        if let Some((asked, caller)) = self.asker.take_if(|(asked, _)| *asked == move_) {
            out.push(Effect::Reply { caller, move_: asked, reply: Reply::Stands(self.stand()) });
        }
    }

    fn kept(&mut self, now: Mono, state: Option<State>, reply: Option<(Caller, Reply)>, out: &mut Vec<Effect>) {
        let move_ = self.in_move();
        if let Some(state) = state {
            self.state = state;
        }
        if let State::Nothing | State::Handed { .. } = self.state {
            self.seen = Seen::default();
        }
        if let Some((caller, reply)) = reply {
            let move_ = self.in_move().or(move_).unwrap_or(MoveId(0));
            out.push(Effect::Reply { caller, move_, reply });
        }
        self.read_at = self.in_move().map(|_| now + READ_EVERY);
        self.sealed_on_disk(now, out);
        if let Some((asked, caller)) = self.asker.take_if(|(asked, _)| Some(*asked) == move_) {
            // What was kept may be one of two steps: handed over, and then deleted.
            self.asker = Some((asked, caller));
            out.push(Effect::Read { move_: asked });
        }
    }

    fn due(&mut self, now: Mono, out: &mut Vec<Effect>) {
        if self.read_at.is_some_and(|at| at <= now) {
            self.resumed_on_a_timer(out);
            self.read_at = self.in_move().map(|_| now + READ_EVERY);
            out.extend(self.in_move().map(|move_| Effect::Read { move_ }));
        }
        if self.forget_at.is_some_and(|at| at <= now) {
            self.forget_at = self.seen.forget_silent(now);
        }
        self.drained_too_long(now, out);
    }

    /// The move that this worker takes part in.
    fn in_move(&self) -> Option<MoveId> {
        match &self.state {
            State::Nothing => None,
            stray if stray.is_stray() => None,
            State::Serving { leaving, .. } => leaving.as_ref().map(|leaving| leaving.move_),
            State::Sealed { move_, .. } | State::Handed { move_, .. } | State::Staging { move_, .. } => Some(*move_),
        }
    }

    fn begin(&mut self, work: Work) -> u64 {
        self.works += 1;
        self.work = Some((self.works, work));
        self.works
    }

    /// What storage was asked under this number, unless something else has become of it.
    fn done(&mut self, work: u64) -> Option<Work> {
        self.work.take_if(|(number, _)| *number == work).map(|(_, work)| work)
    }

    fn keep(&mut self, kept: Kept, state: State, reply: Option<(Caller, Reply)>, out: &mut Vec<Effect>) {
        let work = self.begin(Work::Keep(Some(state), reply));
        out.push(Effect::Keep { work, kept });
    }

    fn busy_keeping(&self) -> bool {
        matches!(self.work, Some((_, Work::Keep(..))))
    }
}

/// How often a worker reads the move that it is in. Source: ours; a worker that nobody tells anything serves again within a second
/// of the end of its move.
const READ_EVERY: Span = Span::from_millis(500);
