//! A coordinator's part against a store in memory and workers that answer as they are told.

use alloc::sync::Arc;
use alloc::vec;

use super::*;
use crate::shard::messages::{Digest, Stand};
use crate::shard::records::{Epoch, Key, Leader, Record};
use crate::shard::seen::Seen;
use crate::shard::space::Range;
use crate::shard::store::MemoryStore;
use crate::time::Span;

const M: MoveId = MoveId(9);
const S: SliceId = SliceId(1);
const SOURCE: WorkerId = WorkerId(1);
const TARGET: WorkerId = WorkerId(2);

fn at(millis: u64) -> Mono {
    Mono::from_nanos(0) + Span::from_millis(millis)
}

/// A conductor, its store, and what it asked last.
struct Stage {
    now: Mono,
    store: MemoryStore,
    conductor: Conductor,
    asked: Option<(Caller, WorkerId, Message)>,
    ends: Vec<End>,
    /// What the store does with the next transactions.
    lose: Lose,
}

#[derive(Clone, Copy, PartialEq)]
enum Lose {
    Nothing,
    Answer,
    Transaction,
}

fn first() -> MemoryStore {
    let mut store = MemoryStore::new();
    let slice = Slice { range: Range::ALL, owner: SOURCE, epoch: Epoch(4), moving: None, sealed: false };
    let start = Transaction::default()
        .put(Key::Leader, Record::Leader(Leader { who: 1, term: 1 }))
        .put(Key::Slice(S), Record::Slice(slice));
    store.transact(&start);
    store
}

fn order(store: &MemoryStore) -> Order {
    Order { id: M, slice: S, target: TARGET, who: 1, leader: store.revision_of(Key::Leader) }
}

impl Stage {
    fn new() -> Self {
        let store = first();
        let mut out = Vec::new();
        let slice = (store.revision_of(Key::Slice(S)), slice(&store));
        let conductor =
            Conductor::planned(at(0), ConductorConfig::default(), order(&store), slice, Bugs::default(), &mut out);
        let mut stage = Self { now: at(0), store, conductor, asked: None, ends: vec![], lose: Lose::Nothing };
        stage.perform(out);
        stage
    }

    /// Another coordinator, which leads from now on, goes on with the move.
    fn taken_over(mut self) -> Self {
        let leader = Record::Leader(Leader { who: 2, term: 2 });
        self.store.transact(&Transaction::default().put(Key::Leader, leader));
        let found = (self.store.revision_of(Key::Move(M)), move_(&self.store).expect("it was planned"));
        let known = Some((self.store.revision_of(Key::Slice(S)), slice(&self.store)));
        let mut out = Vec::new();
        let (config, order) = (ConductorConfig::default(), Order { who: 2, ..order(&self.store) });
        self.conductor = Conductor::taken_over(self.now, config, order, known, found, Bugs::default(), &mut out);
        self.perform(out);
        self
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Transact { number, transaction } => {
                    let lose = core::mem::replace(&mut self.lose, Lose::Nothing);
                    let outcome = match lose {
                        Lose::Nothing => self.store.transact(&transaction),
                        Lose::Answer => {
                            self.store.transact(&transaction);
                            Outcome::Unknown
                        }
                        Lose::Transaction => Outcome::Unknown,
                    };
                    self.on(Event::Transacted { number, outcome });
                }
                Effect::Read { number } => {
                    let found = Found {
                        leader: self.store.revision_of(Key::Leader),
                        slice: Some((self.store.revision_of(Key::Slice(S)), slice(&self.store))),
                        move_: move_(&self.store).map(|found| (self.store.revision_of(Key::Move(M)), found)),
                    };
                    self.on(Event::Found { number, found });
                }
                Effect::Ask { caller, to, message } => self.asked = Some((caller, to, message)),
                Effect::Over(end) => self.ends.push(end),
            }
        }
    }

    fn on(&mut self, event: Event) {
        let mut out = Vec::new();
        self.conductor.on(self.now, event, &mut out);
        self.perform(out);
    }

    fn reply(&mut self, reply: Reply) -> &mut Self {
        let (caller, ..) = self.asked.take().expect("somebody was asked");
        self.on(Event::Answered { number: caller.ask, reply });
        self
    }

    /// As far as Sealing is stored and the source asked to seal.
    fn sealing() -> Self {
        let mut stage = Self::new();
        stage.reply(Reply::Offered).reply(Reply::Copied { entries: vec![], next: None, dirty: 0 });
        stage.reply(Reply::Applied { number: 0 });
        stage
    }

    /// As far as the target is asked to verify.
    fn verifying() -> Self {
        let mut stage = Self::sealing();
        let (seen, digest) = (Arc::new(Seen::default()), Digest::default());
        stage.reply(Reply::Sealed { entries: vec![], seen, digest }).reply(Reply::Applied { number: 1 });
        stage
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now + Span::from_millis(millis);
        self.on(Event::Due);
    }

    fn phase(&self) -> Option<Phase> {
        move_(&self.store).map(|found| found.phase)
    }
}

fn slice(store: &MemoryStore) -> Slice {
    match store.get(Key::Slice(S)) {
        Some((_, Record::Slice(slice))) => slice,
        other => panic!("{other:?}"),
    }
}

fn move_(store: &MemoryStore) -> Option<Move> {
    match store.get(Key::Move(M)) {
        Some((_, Record::Move(found))) => Some(found),
        other => {
            assert_eq!(other, None);
            None
        }
    }
}

#[test]
fn a_move_goes_from_plan_to_release_and_leaves_no_record() {
    let mut stage = Stage::verifying();
    assert!(slice(&stage.store).sealed);
    stage.reply(Reply::Verified);
    let owned = slice(&stage.store);
    assert_eq!((owned.owner, owned.epoch, owned.moving, owned.sealed), (TARGET, Epoch(5), None, false));
    stage.reply(Reply::Stands(Stand::Serves(Epoch(5))));
    assert_eq!(stage.phase(), Some(Phase::Active));
    stage.wait(60_000);
    assert_eq!(stage.phase(), Some(Phase::Releasing));
    stage.reply(Reply::Stands(Stand::Nothing));
    assert_eq!((stage.phase(), &stage.ends[..]), (None, &[End::Moved][..]));
}

#[test]
fn nothing_is_released_before_the_target_serves() {
    let mut stage = Stage::verifying();
    stage.reply(Reply::Verified).reply(Reply::Stands(Stand::Staging(M)));
    stage.wait(100_000);
    assert_eq!(stage.phase(), Some(Phase::Committed));
}

#[test]
fn another_digest_aborts_in_the_next_epoch() {
    let mut stage = Stage::verifying();
    stage.reply(Reply::Differs { digest: Digest::default() });
    let owned = slice(&stage.store);
    assert_eq!((owned.owner, owned.epoch, owned.moving, owned.sealed), (SOURCE, Epoch(5), None, false));
    stage.reply(Reply::Stands(Stand::Serves(Epoch(5)))).reply(Reply::Stands(Stand::Nothing));
    assert_eq!((stage.phase(), &stage.ends[..]), (None, &[End::Aborted(Why::Differs)][..]));
}

#[test]
fn silence_while_sealed_aborts_within_its_time() {
    let mut stage = Stage::sealing();
    stage.wait(1_500);
    assert_eq!(stage.phase(), Some(Phase::Aborted));
}

#[test]
fn both_are_asked_until_they_know_of_the_abort() {
    let mut stage = Stage::sealing();
    stage.reply(Reply::Stuck { writes: 1 }).reply(Reply::Stands(Stand::Sealed(M)));
    assert_eq!(stage.asked, None);
    stage.wait(500);
    assert!(matches!(stage.asked, Some((_, SOURCE, Message::Look))), "{:?}", stage.asked);
    stage.reply(Reply::Stands(Stand::Serves(Epoch(5))));
    assert!(matches!(stage.asked, Some((_, TARGET, Message::Look))), "{:?}", stage.asked);
}

#[test]
fn a_transaction_whose_outcome_is_lost_is_read_and_happens_once() {
    for (lose, epoch) in [(Lose::Answer, Epoch(5)), (Lose::Transaction, Epoch(5))] {
        let mut stage = Stage::verifying();
        stage.lose = lose;
        stage.reply(Reply::Verified);
        assert_eq!((stage.phase(), slice(&stage.store).epoch), (Some(Phase::Committed), epoch));
    }
}

#[test]
fn a_deposed_coordinator_changes_nothing_any_more() {
    let mut stage = Stage::verifying();
    let leader = Record::Leader(Leader { who: 2, term: 2 });
    stage.store.transact(&Transaction::default().put(Key::Leader, leader));
    let before = stage.store.clone();
    stage.reply(Reply::Verified);
    assert_eq!((stage.store == before, &stage.ends[..]), (true, &[End::Deposed][..]));
}

#[test]
fn a_new_leader_aborts_what_was_not_ready() {
    assert_eq!(Stage::sealing().taken_over().phase(), Some(Phase::Aborted));
}

#[test]
fn a_new_leader_commits_what_was_ready() {
    let mut stage = Stage::verifying();
    let ready = Move { phase: Phase::Ready, ..move_(&stage.store).expect("it was planned") };
    stage.store.transact(&Transaction::default().put(Key::Move(M), Record::Move(ready)));
    let stage = stage.taken_over();
    assert_eq!((stage.phase(), slice(&stage.store).owner), (Some(Phase::Committed), TARGET));
}

#[test]
fn an_operators_abort_is_not_forgotten_while_a_transaction_is_under_way() {
    let store = first();
    let mut out = Vec::new();
    let known = (store.revision_of(Key::Slice(S)), slice(&store));
    let config = ConductorConfig::default();
    let conductor = Conductor::planned(at(0), config, order(&store), known, Bugs::default(), &mut out);
    let mut stage = Stage { now: at(0), store, conductor, asked: None, ends: vec![], lose: Lose::Nothing };
    stage.on(Event::AbortWanted);
    stage.perform(out);
    assert_eq!(stage.phase(), Some(Phase::Aborted));
}

#[test]
fn a_slice_that_changed_since_it_was_read_is_not_moved() {
    let mut store = first();
    let known = (store.revision_of(Key::Slice(S)), slice(&store));
    let changed = Slice { epoch: Epoch(7), ..known.1 };
    store.transact(&Transaction::default().put(Key::Slice(S), Record::Slice(changed)));
    let mut out = Vec::new();
    let config = ConductorConfig::default();
    let conductor = Conductor::planned(at(0), config, order(&store), known, Bugs::default(), &mut out);
    let mut stage = Stage { now: at(0), store, conductor, asked: None, ends: vec![], lose: Lose::Nothing };
    stage.perform(out);
    assert_eq!((stage.phase(), &stage.ends[..]), (None, &[End::NotPlanned][..]));
}

#[test]
fn keys_that_are_written_as_fast_as_they_are_copied_end_the_move() {
    let mut stage = Stage::new();
    stage.reply(Reply::Offered);
    for number in 0..=10 {
        let entry = Entry { key: b"k"[..].into(), value: None };
        stage.reply(Reply::Copied { entries: vec![entry; 10], next: None, dirty: 10_000 });
        stage.now = stage.now + Span::from_millis(10);
        stage.reply(Reply::Applied { number });
    }
    assert_eq!((stage.phase(), stage.conductor.why), (Some(Phase::Aborted), Why::NeverSmall));
}

#[test]
fn an_answer_to_an_earlier_question_is_not_heard() {
    let mut stage = Stage::new();
    let (late, ..) = stage.asked.clone().expect("the target is asked");
    stage.wait(500);
    stage.on(Event::Answered { number: late.ask, reply: Reply::Lost });
    assert_eq!(stage.phase(), Some(Phase::Copying));
}
