//! Keys of requests: what is granted, told again and refused, within which bounds, and that nothing runs twice.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::time::Mono;

const TERMS: Terms = Terms { lease: Span::from_secs(10), keep: Span::from_secs(100), unsure: Unsure::Hold };
const RELEASE: Terms = Terms { unsure: Unsure::Release, ..TERMS };

fn at(seconds: u64) -> Mono {
    Mono::default() + Span::from_secs(seconds)
}

fn keyed(key: u8, body: u8) -> Keyed {
    Keyed { name: Name([key; 32]), print: Print([body; 16]), tenant: Tenant::default() }
}

fn table() -> Table<&'static str> {
    Table::new(Bounds::default())
}

fn run(table: &mut Table<&'static str>, now: Mono, keyed: Keyed) -> Claim {
    let verdict = table.begin(now, keyed, TERMS);
    let Verdict::Run(claim) = verdict else { panic!("{verdict:?}") };
    claim
}

#[test]
fn a_repeat_waits_while_the_first_runs_and_gets_its_answer_then() {
    let mut table = table();
    let claim = run(&mut table, at(0), keyed(1, 1));
    let conflict = Verdict::Conflict { retry_after: Span::from_secs(1) };
    assert_eq!(table.begin(at(1), keyed(1, 1), TERMS), conflict);
    assert!(table.finish(at(2), keyed(1, 1).name, claim, TERMS.keep, End::Answer("yes", 3)));
    assert_eq!(table.begin(at(3), keyed(1, 1), TERMS), Verdict::Replay("yes"));
    assert_eq!(table.begin(at(101), keyed(1, 1), TERMS), Verdict::Replay("yes"));
    run(&mut table, at(102), keyed(1, 1));
}

#[test]
fn another_body_is_a_mismatch_whatever_the_state() {
    let mut table = table();
    let claim = run(&mut table, at(0), keyed(1, 1));
    assert_eq!(table.begin(at(1), keyed(1, 2), TERMS), Verdict::Mismatch);
    table.finish(at(2), keyed(1, 1).name, claim, TERMS.keep, End::Answer("yes", 3));
    assert_eq!(table.begin(at(3), keyed(1, 2), TERMS), Verdict::Mismatch);
}

#[test]
fn what_never_began_leaves_no_trace() {
    let mut table = table();
    let claim = run(&mut table, at(0), keyed(1, 1));
    assert!(table.finish(at(1), keyed(1, 1).name, claim, TERMS.keep, End::Never));
    assert_eq!((table.keys(), table.bytes()), (0, 0));
    run(&mut table, at(1), keyed(1, 2));
}

#[test]
fn what_may_have_run_stays_used_when_its_lease_is_over() {
    let mut table = table();
    run(&mut table, at(0), keyed(1, 1));
    assert_eq!(table.begin(at(10), keyed(1, 1), TERMS), Verdict::Lost(Gone::Unknown));
    run(&mut table, at(110), keyed(1, 1));
}

#[test]
fn where_the_worker_knows_keys_a_lease_that_is_over_frees_the_key_and_late_news_change_nothing() {
    let mut table = table();
    let Verdict::Run(first) = table.begin(at(0), keyed(1, 1), RELEASE) else { panic!("absent") };
    let Verdict::Run(second) = table.begin(at(10), keyed(1, 1), RELEASE) else { panic!("released") };
    assert!(!table.finish(at(11), keyed(1, 1).name, first, TERMS.keep, End::Answer("late", 4)));
    assert!(table.finish(at(11), keyed(1, 1).name, second, TERMS.keep, End::Answer("right", 5)));
    assert_eq!(table.begin(at(12), keyed(1, 1), RELEASE), Verdict::Replay("right"));
}

#[test]
fn answers_make_room_oldest_first_and_their_keys_stay_used() {
    let bounds = Bounds { keys: 10, bytes: 3 * KEY_BYTES + 100, ..Bounds::default() };
    let mut table = Table::new(bounds);
    for (key, answer) in [(1, "one"), (2, "two")] {
        let claim = run(&mut table, at(0), keyed(key, 1));
        table.finish(at(0), keyed(key, 1).name, claim, TERMS.keep, End::Answer(answer, 50));
    }
    let claim = run(&mut table, at(1), keyed(3, 1));
    table.finish(at(1), keyed(3, 1).name, claim, TERMS.keep, End::Answer("three", 40));
    assert_eq!(table.begin(at(2), keyed(1, 1), TERMS), Verdict::Lost(Gone::Dropped));
    assert_eq!(table.begin(at(2), keyed(2, 1), TERMS), Verdict::Replay("two"));
    assert_eq!(table.begin(at(2), keyed(4, 1), TERMS), Verdict::Full(Fullness::Bytes));
}

#[test]
fn one_tenant_cannot_take_the_room_of_another() {
    let bounds = Bounds { keys: 8, ..Bounds::default() };
    let mut table: Table<()> = Table::new(bounds);
    let of = |tenant: u64, key: u8| Keyed { tenant: Tenant(tenant), ..keyed(key, 1) };
    for key in 0..2 {
        assert!(matches!(table.begin(at(0), of(1, key), TERMS), Verdict::Run(_)));
    }
    assert_eq!(table.begin(at(0), of(1, 2), TERMS), Verdict::Full(Fullness::Tenant));
    assert!(matches!(table.begin(at(0), of(2, 3), TERMS), Verdict::Run(_)));
}

#[test]
fn what_an_earlier_process_left_is_taken_up() {
    let mut table = table();
    assert!(table.restore_running(at(0), keyed(1, 1), Span::from_secs(3), TERMS));
    table.restore_running(at(0), keyed(2, 1), Span::from_secs(3), TERMS);
    table.restore(at(0), keyed(2, 1), Span::from_secs(50), End::Answer("kept", 4));
    assert!(matches!(table.begin(at(2), keyed(1, 1), TERMS), Verdict::Conflict { .. }));
    assert_eq!(table.begin(at(3), keyed(1, 1), TERMS), Verdict::Lost(Gone::Unknown));
    assert_eq!(table.begin(at(3), keyed(2, 1), TERMS), Verdict::Replay("kept"));
}

#[derive(Clone, Debug)]
enum Step {
    Begin { key: u8, body: u8, tenant: u8 },
    Finish { nth: usize, how: u8, bytes: u64 },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_u8, 0..2_u8, 0..3_u8).prop_map(|(key, body, tenant)| Step::Begin { key, body, tenant }),
        3 => (any::<usize>(), 0..4_u8, 0..400_u64).prop_map(|(nth, how, bytes)| Step::Finish { nth, how, bytes }),
        1 => (0..30_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Whatever comes in whatever order: no request of a key runs twice while the key is kept, an answer is replayed only
    /// to the request that it belongs to, and the bounds hold.
    #[test]
    fn nothing_runs_twice_and_nothing_outgrows_its_bounds(steps in prop::collection::vec(step(), 1..120)) {
        let bounds = Bounds { keys: 8, bytes: 3_000, ..Bounds::default() };
        let mut table: Table<(Name, Print)> = Table::new(bounds);
        let mut now = at(0);
        // Begun and not finished: claim, request, since when. And until when a key may not run again.
        let mut open: Vec<(Claim, Keyed, Mono)> = Vec::new();
        let mut used: BTreeMap<Name, Mono> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Wait(seconds) => now = now + Span::from_secs(seconds),
                Step::Begin { key, body, tenant } => {
                    let request = Keyed { tenant: Tenant(tenant.into()), ..keyed(key, body) };
                    match table.begin(now, request, TERMS) {
                        Verdict::Run(claim) => {
                            prop_assert!(used.get(&request.name).is_none_or(|end| *end <= now), "{request:?} ran twice");
                            used.insert(request.name, now + TERMS.lease + TERMS.keep);
                            open.push((claim, request, now));
                        }
                        Verdict::Replay(answer) => prop_assert_eq!(answer, (request.name, request.print)),
                        Verdict::Conflict { retry_after } => {
                            prop_assert!(retry_after > Span::ZERO);
                            prop_assert!(open.iter().any(|(_, running, _)| running.name == request.name));
                        }
                        Verdict::Lost(_) | Verdict::Mismatch => {
                            prop_assert!(used.get(&request.name).is_some_and(|end| *end > now));
                        }
                        Verdict::Full(_) => {}
                    }
                }
                Step::Finish { nth, how, bytes } if !open.is_empty() => {
                    let (claim, request, since) = open.swap_remove(nth % open.len());
                    let end = match how {
                        0 => End::Never,
                        1 => End::Without(Gone::Unknown),
                        _ => End::Answer((request.name, request.print), bytes),
                    };
                    let never = how == 0;
                    let alive = now < since + TERMS.lease + TERMS.keep;
                    let took = table.finish(now, request.name, claim, TERMS.keep, end);
                    prop_assert!(took || !alive, "what runs is never dropped");
                    if took {
                        used.insert(request.name, if never { now } else { now + TERMS.keep });
                    }
                }
                Step::Finish { .. } => {}
            }
            prop_assert!(table.keys() <= bounds.keys && table.bytes() <= bounds.bytes);
            prop_assert!(table.bytes() >= table.keys() as u64 * KEY_BYTES);
        }
        // When all is over nothing is left.
        now = now + TERMS.lease + TERMS.keep;
        let last = keyed(200, 1);
        prop_assert!(matches!(table.begin(now, last, TERMS), Verdict::Run(_)));
        prop_assert_eq!((table.keys(), table.bytes()), (1, KEY_BYTES));
    }
}
