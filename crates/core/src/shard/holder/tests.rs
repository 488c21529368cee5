//! A worker's part, edge by edge: what it says, what it keeps, and what it admits.

use alloc::vec;

use super::*;
use crate::shard::messages::Cursor;
use crate::shard::records::{Phase, Slice};
use crate::shard::seen::OpId;
use crate::shard::space::Point;
use crate::worker::WorkerId;

const E: Epoch = Epoch(4);
const M: MoveId = MoveId(9);
const CALLER: Caller = Caller { who: 1, ask: 7 };

fn at(millis: u64) -> Mono {
    Mono::from_nanos(0) + Span::from_millis(millis)
}

fn serving() -> Holder {
    Holder::recovered(SliceId(1), Range::ALL, Kept::Serving(E), Seen::default())
}

fn op(key: &[u8], number: u64) -> Op {
    Op { key: key.into(), point: Point::of(key), access: Access::Write, id: Some(OpId { producer: 1, number }) }
}

fn on(holder: &mut Holder, millis: u64, event: Event) -> Vec<Effect> {
    let mut out = Vec::new();
    holder.on(at(millis), event, &mut out);
    out
}

fn told(holder: &mut Holder, message: Message) -> Vec<Effect> {
    on(holder, 0, Event::Told { caller: CALLER, move_: M, message })
}

fn read(holder: &mut Holder, phase: Phase) -> Vec<Effect> {
    let (source, target) = (WorkerId(1), WorkerId(2));
    let found = Move { slice: SliceId(1), range: Range::ALL, epoch: E, source, target, phase };
    on(holder, 0, Event::Read { move_: M, found: Some(found) })
}

/// Storage answers whatever it was asked, with nothing in it.
fn stored(holder: &mut Holder, effects: Vec<Effect>) -> Vec<Effect> {
    let mut out = Vec::new();
    for effect in effects {
        let (entries, next, digest) = (vec![], None, Digest::default());
        match effect {
            Effect::Export { work, .. } | Effect::ExportKeys { work, .. } | Effect::Finish { work, .. } => {
                out.extend(on(holder, 0, Event::Exported { work, entries, next, digest }));
            }
            Effect::Import { work, .. } => out.extend(on(holder, 0, Event::Imported { work })),
            Effect::Digest { work } => out.extend(on(holder, 0, Event::Digested { work, digest })),
            Effect::Keep { work, .. } => out.extend(on(holder, 0, Event::Kept { work })),
            Effect::Reply { .. } | Effect::Read { .. } => out.push(effect),
        }
    }
    out
}

fn reply(effects: &[Effect]) -> Option<&Reply> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply { reply, .. } => Some(reply),
        Effect::Export { .. } | Effect::ExportKeys { .. } | Effect::Finish { .. } | Effect::Import { .. } => None,
        Effect::Digest { .. } | Effect::Keep { .. } | Effect::Read { .. } => None,
    })
}

fn tracking() -> Holder {
    let mut holder = serving();
    let out = told(&mut holder, Message::Copy { epoch: E, cursor: Cursor::Start });
    stored(&mut holder, out);
    holder
}

fn sealed() -> Holder {
    let mut holder = tracking();
    let out = told(&mut holder, Message::Seal { epoch: E });
    let out = stored(&mut holder, out);
    stored(&mut holder, out);
    holder
}

fn verified() -> Holder {
    let mut holder = Holder::new(SliceId(1), Range::ALL);
    let offer = Message::Offer { slice: SliceId(1), range: Range::ALL, epoch: E };
    let batch = Message::Apply { number: 0, entries: vec![], seen: None };
    for message in [offer, batch, Message::Verify { digest: Digest::default() }] {
        let out = told(&mut holder, message);
        let out = stored(&mut holder, out);
        stored(&mut holder, out);
    }
    holder
}

#[test]
fn only_exactly_the_epoch_in_force_is_admitted() {
    for (epoch, admitted) in [(3, false), (4, true), (5, false)] {
        let verdict = serving().admit(Ticket(1), Epoch(epoch), &op(b"k", 1));
        assert_eq!(verdict == Verdict::Run, admitted, "epoch {epoch}: {verdict:?}");
    }
}

#[test]
fn a_sealed_slice_is_read_by_those_who_take_old_answers_until_it_is_handed_over() {
    let of = |access| Op { access, id: None, ..op(b"k", 1) };
    let mut holder = sealed();
    assert_eq!(holder.admit(Ticket(1), E, &of(Access::StaleRead)), Verdict::RunStale);
    for access in [Access::Read, Access::Write] {
        assert!(matches!(holder.admit(Ticket(1), E, &of(access)), Verdict::Misdirected(Some(_))), "{access:?}");
    }
    assert!(matches!(holder.admit(Ticket(1), E.next(), &of(Access::StaleRead)), Verdict::Misdirected(_)));
    let mut serving = serving();
    assert_eq!(serving.admit(Ticket(1), E, &of(Access::StaleRead)), Verdict::Run);
    let out = read(&mut holder, Phase::Committed);
    stored(&mut holder, out);
    assert!(matches!(holder.admit(Ticket(1), E, &of(Access::StaleRead)), Verdict::Misdirected(_)), "{holder:?}");
}

#[test]
fn a_refused_request_is_told_what_is_known() {
    let hint = Hint { slice: SliceId(1), range: Range::ALL, epoch: E, stands: Stands::Serves };
    assert_eq!(serving().admit(Ticket(1), Epoch(3), &op(b"k", 1)), Verdict::Misdirected(Some(hint)));
}

#[test]
fn a_write_that_comes_again_is_not_run_again() {
    let mut holder = serving();
    assert_eq!(holder.admit(Ticket(1), E, &op(b"k", 1)), Verdict::Run);
    assert_eq!(holder.admit(Ticket(2), E, &op(b"k", 1)), Verdict::Running);
    holder.ran(at(1), Ticket(1), Some(77), &mut Vec::new());
    assert_eq!(holder.admit(Ticket(3), E, &op(b"k", 1)), Verdict::Answered(77));
}

#[test]
fn a_write_that_failed_may_come_again_and_its_key_is_copied_again() {
    let mut holder = tracking();
    holder.admit(Ticket(1), E, &op(b"k", 1));
    holder.ran(at(1), Ticket(1), None, &mut Vec::new());
    assert_eq!(holder.admit(Ticket(2), E, &op(b"k", 1)), Verdict::Run);
    let out = told(&mut holder, Message::Copy { epoch: E, cursor: Cursor::Round(1) });
    assert!(matches!(&out[..], [Effect::ExportKeys { keys, .. }] if keys.len() == 1), "{out:?}");
}

#[test]
fn a_round_that_is_asked_for_again_has_the_same_keys() {
    let mut holder = tracking();
    holder.admit(Ticket(1), E, &op(b"k", 1));
    holder.ran(at(1), Ticket(1), Some(0), &mut Vec::new());
    for _ in 0..2 {
        let out = told(&mut holder, Message::Copy { epoch: E, cursor: Cursor::Round(1) });
        assert!(matches!(&out[..], [Effect::ExportKeys { keys, .. }] if keys.len() == 1), "{out:?}");
        stored(&mut holder, out);
    }
}

#[test]
fn keys_of_a_round_that_do_not_fit_a_batch_come_with_the_next_one() {
    let mut holder = tracking();
    for (ticket, key) in [(1, b"a"), (2, b"b")] {
        holder.admit(Ticket(ticket), E, &op(key, ticket));
        holder.ran(at(1), Ticket(ticket), Some(0), &mut Vec::new());
    }
    let out = told(&mut holder, Message::Copy { epoch: E, cursor: Cursor::Round(1) });
    let Some(&Effect::ExportKeys { work, ref keys }) = out.first() else { panic!("{out:?}") };
    let entries = vec![Entry { key: keys[0].clone(), value: None }];
    let out = on(&mut holder, 1, Event::Exported { work, entries, next: None, digest: Digest::default() });
    assert!(matches!(reply(&out), Some(Reply::Copied { dirty: 1, .. })), "{out:?}");
    let out = told(&mut holder, Message::Copy { epoch: E, cursor: Cursor::Round(2) });
    assert!(matches!(&out[..], [Effect::ExportKeys { keys, .. }] if **keys == [Bytes::from(&b"b"[..])]), "{out:?}");
}

#[test]
fn a_write_of_which_nobody_knows_whether_it_did_anything_is_not_run_again() {
    let mut holder = serving();
    holder.admit(Ticket(1), E, &op(b"k", 1));
    holder.doubt(at(1), Ticket(1));
    holder.ran(at(1), Ticket(1), None, &mut Vec::new());
    assert_eq!(holder.admit(Ticket(2), E, &op(b"k", 1)), Verdict::Forgotten);
}

#[test]
fn a_copy_that_begins_in_the_middle_is_lost() {
    let out = told(&mut serving(), Message::Copy { epoch: E, cursor: Cursor::Round(1) });
    assert_eq!(reply(&out), Some(&Reply::Lost));
}

#[test]
fn a_question_of_an_earlier_epoch_is_refused() {
    let out = told(&mut serving(), Message::Copy { epoch: Epoch(3), cursor: Cursor::Start });
    assert_eq!(reply(&out), Some(&Reply::Lost));
}

#[test]
fn from_the_seal_on_nothing_is_admitted_though_its_marker_is_not_durable_yet() {
    let mut holder = tracking();
    let out = told(&mut holder, Message::Seal { epoch: E });
    assert!(matches!(&out[..], [Effect::Keep { kept: Kept::Sealed(M, E), .. }]), "{out:?}");
    assert!(matches!(holder.admit(Ticket(1), E, &op(b"k", 1)), Verdict::Misdirected(Some(_))));
}

#[test]
fn a_seal_waits_for_what_is_in_flight_and_hands_over_its_key() {
    let mut holder = tracking();
    holder.admit(Ticket(1), E, &op(b"k", 1));
    let out = told(&mut holder, Message::Seal { epoch: E });
    assert_eq!(stored(&mut holder, out), []);
    let mut out = Vec::new();
    holder.ran(at(1), Ticket(1), Some(0), &mut out);
    assert!(matches!(&out[..], [Effect::Finish { keys, .. }] if keys.len() == 1), "{out:?}");
    let out = stored(&mut holder, out);
    let Some(Reply::Sealed { seen, .. }) = reply(&out) else { panic!("{out:?}") };
    assert_eq!(**seen, *holder.seen());
}

#[test]
fn a_write_that_ends_while_the_marker_is_written_is_handed_over() {
    let mut holder = tracking();
    holder.admit(Ticket(1), E, &op(b"k", 1));
    let keep = told(&mut holder, Message::Seal { epoch: E });
    holder.ran(at(1), Ticket(1), Some(0), &mut Vec::new());
    let out = stored(&mut holder, keep);
    assert!(matches!(&out[..], [Effect::Finish { keys, .. }] if keys.len() == 1), "{out:?}");
}

#[test]
fn writes_that_do_not_end_are_told_of_and_nothing_is_reopened() {
    let mut holder = tracking();
    holder.admit(Ticket(1), E, &op(b"k", 1));
    let out = told(&mut holder, Message::Seal { epoch: E });
    stored(&mut holder, out);
    let out = on(&mut holder, 1_000, Event::Due);
    assert!(out.iter().any(|effect| matches!(effect, Effect::Reply { reply: Reply::Stuck { writes: 1 }, .. })));
    assert_eq!(holder.stand(), Stand::Sealed(M));
}

#[test]
fn no_time_reopens_what_is_sealed() {
    let mut holder = sealed();
    for second in 1..100_u64 {
        let out = on(&mut holder, second * 1_000, Event::Due);
        assert_eq!(out, [Effect::Read { move_: M }]);
        on(&mut holder, second * 1_000, Event::Read { move_: M, found: None });
        assert_eq!(holder.stand(), Stand::Sealed(M));
    }
}

#[test]
fn a_sealed_source_that_reads_the_abort_serves_in_the_next_epoch() {
    let mut holder = sealed();
    let out = read(&mut holder, Phase::Aborted);
    assert_eq!(holder.stand(), Stand::Sealed(M), "not before it is durable");
    stored(&mut holder, out);
    assert_eq!(holder.stand(), Stand::Serves(Epoch(5)));
}

#[test]
fn a_source_deletes_only_when_it_has_read_that_it_may() {
    let mut holder = sealed();
    for phase in [Phase::Committed, Phase::Active] {
        let out = read(&mut holder, phase);
        stored(&mut holder, out);
        assert_eq!(holder.stand(), Stand::Handed(M), "{phase:?}");
    }
    let out = read(&mut holder, Phase::Releasing);
    assert!(matches!(&out[..], [Effect::Keep { kept: Kept::Nothing, .. }]), "{out:?}");
}

#[test]
fn a_target_serves_only_when_it_has_read_the_commit() {
    let mut holder = verified();
    for phase in [Phase::Copying, Phase::Sealing, Phase::Ready] {
        read(&mut holder, phase);
        assert_eq!(holder.stand(), Stand::Staging(M), "{phase:?}");
        assert_eq!(holder.admit(Ticket(1), Epoch(5), &op(b"k", 1)), Verdict::Misdirected(None));
    }
    let out = read(&mut holder, Phase::Committed);
    stored(&mut holder, out);
    assert_eq!(holder.stand(), Stand::Serves(Epoch(5)));
}

#[test]
fn a_target_whose_digest_is_another_one_says_so_and_keeps_nothing() {
    let mut holder = verified_but(Digest { keys: 1, sum: 1 });
    assert_eq!(reply(&holder.1), Some(&Reply::Differs { digest: Digest::default() }));
    let out = read(&mut holder.0, Phase::Committed);
    assert_eq!(out, [], "what was not verified is never served");
}

fn verified_but(digest: Digest) -> (Holder, Vec<Effect>) {
    let mut holder = Holder::new(SliceId(1), Range::ALL);
    let out = told(&mut holder, Message::Offer { slice: SliceId(1), range: Range::ALL, epoch: E });
    stored(&mut holder, out);
    let out = told(&mut holder, Message::Verify { digest });
    let out = stored(&mut holder, out);
    (holder, out)
}

#[test]
fn a_batch_that_comes_again_is_taken_once() {
    let mut holder = Holder::new(SliceId(1), Range::ALL);
    let out = told(&mut holder, Message::Offer { slice: SliceId(1), range: Range::ALL, epoch: E });
    stored(&mut holder, out);
    let batch = Message::Apply { number: 0, entries: vec![], seen: None };
    let out = told(&mut holder, batch.clone());
    assert!(matches!(&out[..], [Effect::Import { .. }]), "{out:?}");
    stored(&mut holder, out);
    assert_eq!(reply(&told(&mut holder, batch)), Some(&Reply::Applied { number: 0 }));
    let gap = Message::Apply { number: 2, entries: vec![], seen: None };
    assert_eq!(reply(&told(&mut holder, gap)), Some(&Reply::Lost));
}

#[test]
fn a_target_drops_its_staging_when_it_reads_the_abort_or_finds_no_move() {
    let mut holder = verified();
    let out = read(&mut holder, Phase::Aborted);
    stored(&mut holder, out);
    assert_eq!(holder.stand(), Stand::Nothing);
}

#[test]
fn whoever_looks_is_told_how_it_stands_after_the_step_that_the_store_allows() {
    let mut holder = verified();
    assert_eq!(told(&mut holder, Message::Look), [Effect::Read { move_: M }]);
    let out = read(&mut holder, Phase::Committed);
    assert_eq!(reply(&out), None);
    assert_eq!(stored(&mut holder, out), [Effect::Read { move_: M }]);
    let out = read(&mut holder, Phase::Committed);
    assert_eq!(reply(&out), Some(&Reply::Stands(Stand::Serves(Epoch(5)))));
}

#[test]
fn after_a_crash_a_sealed_source_is_sealed_and_a_verified_target_verified() {
    let mut source = Holder::recovered(SliceId(1), Range::ALL, Kept::Sealed(M, E), Seen::default());
    assert!(matches!(source.admit(Ticket(1), E, &op(b"k", 1)), Verdict::Misdirected(_)));
    assert_eq!(reply(&told(&mut source, Message::Seal { epoch: E })), Some(&Reply::Lost));
    let kept = Kept::Staged(M, E, Arc::new(Seen::default()));
    let mut target = Holder::recovered(SliceId(1), Range::ALL, kept, Seen::default());
    let verify = Message::Verify { digest: Digest::default() };
    assert_eq!(reply(&told(&mut target, verify)), Some(&Reply::Verified));
}

mod cuts {
    use super::*;
    use crate::shard::records::Slice;

    fn slice(range: Range, epoch: u64) -> Slice {
        Slice { range, owner: WorkerId(1), epoch: Epoch(epoch), moving: None, sealed: false }
    }

    fn halves() -> (Range, Range) {
        Range::ALL.split_at(Point(1 << 63)).expect("there are points on both sides")
    }

    #[test]
    fn both_parts_of_a_split_know_what_was_seen_and_each_its_own_writes_in_flight() {
        let mut whole = serving();
        whole.admit(Ticket(1), E, &op(b"a", 1));
        whole.ran(at(1), Ticket(1), Some(5), &mut Vec::new());
        whole.admit(Ticket(2), E, &op(b"b", 2));
        let (left, right) = halves();
        let owned = [(SliceId(1), slice(left, 5)), (SliceId(2), slice(right, 5))];
        let recut = recut(at(2), &BTreeMap::from([(SliceId(1), whole)]), &owned);
        assert_eq!(recut.gone, []);
        let mut parts = recut.put;
        assert_eq!(parts.iter().map(|(_, part)| part.in_flight()).collect::<Vec<_>>().iter().sum::<usize>(), 1);
        for (_, part) in &mut parts {
            assert_eq!(part.admit(Ticket(3), Epoch(5), &op(b"a", 1)), Verdict::Answered(5));
        }
    }

    #[test]
    fn what_is_merged_has_one_name() {
        let (left, right) = halves();
        let holder = |id, range| Holder::recovered(SliceId(id), range, Kept::Serving(E), Seen::default());
        let holders = BTreeMap::from([(SliceId(1), holder(1, left)), (SliceId(2), holder(2, right))]);
        let recut = recut(at(0), &holders, &[(SliceId(1), slice(Range::ALL, 5))]);
        assert_eq!((recut.put.len(), &recut.gone[..]), (1, &[SliceId(2)][..]));
    }

    #[test]
    fn a_late_list_changes_nothing() {
        let holders = BTreeMap::from([(SliceId(1), serving())]);
        assert_eq!(recut(at(0), &holders, &[(SliceId(1), slice(Range::ALL, 4))]), Recut::default());
    }

    #[test]
    fn what_is_sealed_is_not_reopened_by_a_list() {
        let holders = BTreeMap::from([(SliceId(1), sealed())]);
        assert_eq!(recut(at(0), &holders, &[(SliceId(1), slice(Range::ALL, 9))]), Recut::default());
    }

    #[test]
    fn a_list_that_leaves_a_part_without_a_name_changes_nothing() {
        let holders = BTreeMap::from([(SliceId(1), serving())]);
        assert_eq!(recut(at(0), &holders, &[(SliceId(1), slice(halves().0, 5))]), Recut::default());
    }
}

fn owned(owner: u32, epoch: u64, range: Range) -> (SliceId, Slice) {
    (SliceId(1), Slice { range, owner: WorkerId(owner), epoch: Epoch(epoch), moving: None, sealed: false })
}

#[test]
fn what_another_one_owns_in_a_later_epoch_is_served_no_more_and_kept() {
    let half = Range::new(Point(0), Point(1 << 40)).expect("a range");
    let stray = |other: (SliceId, Slice)| strays(&BTreeMap::from([(SliceId(1), serving())]), &[other]);
    assert_eq!(stray(owned(2, 5, Range::ALL)), [SliceId(1)]);
    assert_eq!(stray(owned(2, 5, half)), [SliceId(1)], "of a part of it, too");
    assert_eq!(stray(owned(2, 4, Range::ALL)), [], "what the store says is older than what is held");
    assert_eq!(strays(&BTreeMap::from([(SliceId(1), sealed())]), &[owned(2, 5, Range::ALL)]), []);

    let (mut holder, mut out) = (serving(), vec![]);
    assert!(holder.disown(&mut out));
    assert!(matches!(holder.admit(Ticket(1), E, &op(b"k", 1)), Verdict::Misdirected(_)), "at once");
    assert!(matches!(out[..], [Effect::Keep { kept: Kept::Handed(_, E), .. }]), "{out:?}");
    assert_eq!(stored(&mut holder, out), []);
    assert!(holder.stand().is_stray() && !holder.disown(&mut vec![]));
    assert_eq!(holder.deadline(), None, "no move is waited for");
    let offer = Message::Offer { slice: SliceId(1), range: Range::ALL, epoch: Epoch(9) };
    assert_eq!(reply(&told(&mut holder, offer)), Some(&Reply::Lost));
}
