//! A router's part: where requests go, what waits, in which order it goes on, and what is refused.

use alloc::vec;

use super::*;
use crate::shard::holder::Stands;
use crate::shard::records::{Epoch, Slice};
use crate::shard::space::Range;
use crate::shard::store::Revision;
use crate::time::Span;

const A: WorkerId = WorkerId(1);
const B: WorkerId = WorkerId(2);

fn at(millis: u64) -> Mono {
    Mono::from_nanos(0) + Span::from_millis(millis)
}

fn table(revision: u64, owner: WorkerId, epoch: u64, sealed: bool) -> Table {
    let slice = Slice { range: Range::ALL, owner, epoch: Epoch(epoch), moving: None, sealed };
    Table::new(Revision(revision), vec![(SliceId(1), slice)]).expect("it tiles the space")
}

fn router(sealed: bool) -> Router {
    let config = RouterConfig { slice_requests: 3, ..RouterConfig::default() };
    Router::new(config, table(1, A, 4, sealed))
}

fn write(point: u64) -> Asked {
    Asked { point: Point(point), ordered: true, again: true, stale: false, bytes: 10, deadline: at(10_000) }
}

fn on(router: &mut Router, millis: u64, event: Event) -> Vec<Effect> {
    let mut out = Vec::new();
    router.on(at(millis), event, &mut out);
    out
}

fn ask(router: &mut Router, ticket: u64, asked: Asked) -> Vec<Effect> {
    on(router, 0, Event::Asked(Ticket(ticket), asked))
}

fn answer(router: &mut Router, ticket: u64, hop: u32, answer: Answer) -> Vec<Effect> {
    on(router, 0, Event::Answered { ticket: Ticket(ticket), hop, answer })
}

/// Which requests are sent, to whom, in which epoch.
fn sent(effects: &[Effect]) -> Vec<(u64, WorkerId, u64)> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send { ticket, way, .. } => Some((ticket.0, way.owner, way.epoch.0)),
        Effect::Deliver(_) | Effect::Refuse(..) | Effect::Refresh => None,
    });
    sent.collect()
}

fn hint(epoch: u64, stands: Stands) -> Answer {
    Answer::Misdirected(Some(Hint { slice: SliceId(1), range: Range::ALL, epoch: Epoch(epoch), stands }))
}

#[test]
fn a_request_goes_to_the_owner_with_its_epoch() {
    assert_eq!(sent(&ask(&mut router(false), 1, write(5))), [(1, A, 4)]);
}

#[test]
fn writes_to_one_place_go_one_after_the_other() {
    let mut router = router(false);
    ask(&mut router, 1, write(5));
    assert_eq!(sent(&ask(&mut router, 2, write(5))), []);
    let out = answer(&mut router, 1, 0, Answer::Done);
    assert_eq!((out[0].clone(), sent(&out)), (Effect::Deliver(Ticket(1)), vec![(2, A, 4)]));
}

#[test]
fn reads_and_writes_to_other_places_do_not_wait_for_a_write() {
    let mut router = router(false);
    ask(&mut router, 1, write(5));
    assert_eq!(sent(&ask(&mut router, 2, write(6))), [(2, A, 4)]);
    assert_eq!(sent(&ask(&mut router, 3, Asked { ordered: false, ..write(5) })), [(3, A, 4)]);
}

#[test]
fn what_waited_for_a_seal_goes_on_in_key_order_to_the_new_owner() {
    let mut router = router(true);
    for (ticket, point) in [(1, 9), (2, 5), (3, 5)] {
        assert_eq!(ask(&mut router, ticket, write(point)), []);
    }
    let out = on(&mut router, 1, Event::Shown(table(2, B, 5, false)));
    assert_eq!(sent(&out), [(2, B, 5), (1, B, 5)]);
    assert_eq!(sent(&answer(&mut router, 2, 0, Answer::Done)), [(3, B, 5)]);
}

#[test]
fn without_room_a_request_is_refused_at_once() {
    let mut router = router(true);
    (1..=3).for_each(|ticket| assert_eq!(ask(&mut router, ticket, write(5)), []));
    assert_eq!(ask(&mut router, 4, write(6)), [Effect::Refuse(Ticket(4), Refusal::Full)]);
}

#[test]
fn what_waits_too_long_is_refused_and_its_room_is_free_again() {
    let mut router = router(true);
    ask(&mut router, 1, write(5));
    assert_eq!(router.deadline(), Some(at(2_000)));
    assert_eq!(on(&mut router, 2_000, Event::Due), [Effect::Refuse(Ticket(1), Refusal::Unserved)]);
    assert_eq!((router.waiting(), router.deadline()), ((0, 0), None));
}

#[test]
fn a_newer_hint_is_gone_by_at_once() {
    let mut router = router(false);
    ask(&mut router, 1, write(5));
    assert_eq!(sent(&answer(&mut router, 1, 0, hint(5, Stands::Serves))), [(1, A, 5)]);
}

#[test]
fn a_hint_of_a_seal_holds_requests_back_until_there_is_another_epoch() {
    let mut router = router(false);
    ask(&mut router, 1, write(5));
    assert_eq!(answer(&mut router, 1, 0, hint(4, Stands::Stopped)), []);
    assert_eq!(ask(&mut router, 2, write(6)), []);
    assert_eq!(
        sent(&on(&mut router, 1, Event::Shown(table(2, A, 4, false)))),
        [],
        "an epoch that stopped does not come back"
    );
    assert_eq!(sent(&on(&mut router, 1, Event::Shown(table(3, B, 5, false)))).len(), 2);
}

#[test]
fn a_hint_goes_for_its_own_range_only() {
    let mut router = router(false);
    ask(&mut router, 1, write(5));
    let range = Range::new(Point(0), Point(99)).expect("in order");
    let hint = Hint { slice: SliceId(1), range, epoch: Epoch(5), stands: Stands::Serves };
    answer(&mut router, 1, 0, Answer::Misdirected(Some(hint)));
    assert_eq!(sent(&ask(&mut router, 2, write(100))), [(2, A, 4)]);
    assert_eq!(sent(&ask(&mut router, 3, write(99))), [(3, A, 5)]);
}

#[test]
fn an_old_table_changes_nothing() {
    let mut router = router(true);
    ask(&mut router, 1, write(5));
    assert_eq!(on(&mut router, 1, Event::Shown(table(1, B, 9, false))), []);
}

#[test]
fn without_a_newer_hint_the_pause_doubles_and_hops_end() {
    let mut router = router(false);
    let mut now = 0;
    ask(&mut router, 1, write(5));
    for hop in 0..6 {
        let out = on(&mut router, now, Event::Answered { ticket: Ticket(1), hop, answer: Answer::Misdirected(None) });
        assert_eq!(out, [Effect::Refresh]);
        now += 2 << hop;
        assert_eq!(sent(&on(&mut router, now, Event::Due)), [(1, A, 4)], "hop {hop}");
    }
    let out = on(&mut router, now, Event::Answered { ticket: Ticket(1), hop: 6, answer: Answer::Misdirected(None) });
    assert_eq!(out, [Effect::Refuse(Ticket(1), Refusal::Unserved)]);
}

#[test]
fn a_read_that_takes_old_answers_asks_an_owner_that_has_stopped_and_waits_if_that_has_none() {
    let read = Asked { ordered: false, stale: true, ..write(5) };
    let mut router = router(true);
    assert_eq!(sent(&ask(&mut router, 1, read)), [(1, A, 4)]);
    assert_eq!(sent(&ask(&mut router, 2, read)), [(2, A, 4)]);
    assert_eq!(answer(&mut router, 1, 0, Answer::Done)[0], Effect::Deliver(Ticket(1)));
    assert_eq!(sent(&answer(&mut router, 2, 0, hint(4, Stands::Stopped))), []);
    assert_eq!(sent(&on(&mut router, 100, Event::Due)), [], "nobody serves it");
    assert_eq!(sent(&on(&mut router, 101, Event::Shown(table(2, B, 5, false)))), [(2, B, 5)]);
}

#[test]
fn a_write_without_an_op_id_is_not_sent_again_when_nobody_knows_what_became_of_it() {
    let mut router = router(false);
    ask(&mut router, 1, Asked { again: false, ..write(5) });
    assert_eq!(answer(&mut router, 1, 0, Answer::Broken), [Effect::Refuse(Ticket(1), Refusal::Unknown)]);
}

#[test]
fn what_may_have_been_run_is_never_refused_as_not_run() {
    let mut router = router(false);
    ask(&mut router, 1, write(5));
    answer(&mut router, 1, 0, Answer::Broken);
    on(&mut router, 2, Event::Due);
    answer(&mut router, 1, 1, hint(4, Stands::Stopped));
    assert_eq!(on(&mut router, 2_000, Event::Due), [Effect::Refuse(Ticket(1), Refusal::Unknown)]);
}

#[test]
fn a_late_answer_of_an_earlier_try_changes_nothing() {
    let mut router = router(false);
    ask(&mut router, 1, write(5));
    answer(&mut router, 1, 0, Answer::Broken);
    on(&mut router, 2, Event::Due);
    assert_eq!(answer(&mut router, 1, 0, Answer::Misdirected(None)), []);
}

#[test]
fn writes_to_a_slice_go_one_after_the_other_where_that_is_the_order() {
    let config = RouterConfig { by_slice: true, ..RouterConfig::default() };
    let mut router = Router::new(config, table(1, A, 4, false));
    ask(&mut router, 1, write(5));
    assert_eq!(sent(&ask(&mut router, 2, write(6))), []);
    assert_eq!(sent(&answer(&mut router, 1, 0, Answer::Done)), [(2, A, 4)]);
}

#[test]
fn a_client_that_leaves_gives_up_its_room_and_its_place() {
    let mut router = router(false);
    (1..=3).for_each(|ticket| _ = ask(&mut router, ticket, write(5)));
    assert_eq!(on(&mut router, 0, Event::Gone(Ticket(2))), []);
    assert_eq!(sent(&on(&mut router, 0, Event::Gone(Ticket(1)))), [(3, A, 4)]);
    assert_eq!(on(&mut router, 0, Event::Gone(Ticket(3))), []);
    assert_eq!((router.waiting(), router.deadline()), ((0, 0), None));
}

#[test]
fn a_client_that_leaves_while_its_slice_is_sealed_is_not_sent_later() {
    let mut router = router(true);
    ask(&mut router, 1, write(5));
    on(&mut router, 0, Event::Gone(Ticket(1)));
    assert_eq!(on(&mut router, 1, Event::Shown(table(2, B, 5, false))), []);
}

#[test]
fn another_store_is_believed_whatever_its_revision() {
    let mut router = router(true);
    ask(&mut router, 1, write(5));
    assert_eq!(sent(&on(&mut router, 1, Event::Replaced(table(1, B, 1, false)))), [(1, B, 1)]);
}
