//! Edges one by one, then several candidates with clocks that drift, pauses and lost answers against one store.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::draw::Draw;

fn at(millis: u64) -> Mono {
    Mono::default() + Span::from_millis(millis)
}

fn effects(election: &mut Election, millis: u64, event: Event) -> Vec<Effect> {
    let mut out = Vec::new();
    election.on(at(millis), event, &mut out);
    out
}

const LEASE: Span = Span::from_secs(3);

fn asking() -> Election {
    let mut election = Election::new(at(0), LEASE, 4);
    assert_eq!(effects(&mut election, 0, Event::Due), [Effect::Ask { over: 4 }]);
    election
}

fn leading() -> Election {
    let mut election = asking();
    assert_eq!(effects(&mut election, 100, Event::Won { term: 5 }), [Effect::Lead { term: 5 }]);
    election
}

#[test]
fn a_candidate_asks_at_once_and_again_six_times_a_lease() {
    let mut election = asking();
    assert_eq!(election.deadline(), None, "it waits for the answer");
    assert_eq!(effects(&mut election, 40, Event::Held { term: 9, lasts: None }), []);
    assert_eq!(election.deadline(), Some(at(540)));
    assert_eq!(effects(&mut election, 540, Event::Due), [Effect::Ask { over: 9 }]);
    effects(&mut election, 600, Event::Away);
    assert_eq!(election.deadline(), Some(at(1_100)));
    assert_eq!(election.may_publish(at(600)), None);
}

#[test]
fn a_candidate_that_knows_when_the_other_ones_lease_is_over_asks_then() {
    let again = |lasts: u64| {
        let mut election = asking();
        effects(&mut election, 40, Event::Held { term: 9, lasts: Some(Span::from_millis(lasts)) });
        election.deadline()
    };
    assert_eq!((again(300), again(2_000), again(0)), (Some(at(340)), Some(at(540)), Some(at(60))));
}

#[test]
fn a_lease_counts_from_when_it_was_asked_for_and_a_tenth_less() {
    let election = leading();
    assert_eq!((election.until(), election.may_publish(at(2_699))), (Some(at(2_700)), Some(5)));
    assert_eq!(election.may_publish(at(2_700)), None, "before any event says so");
}

#[test]
fn a_leader_renews_each_third_of_its_lease() {
    let mut election = leading();
    assert_eq!(election.deadline(), Some(at(1_000)));
    assert_eq!(effects(&mut election, 1_000, Event::Due), [Effect::Renew]);
    assert_eq!(election.deadline(), Some(at(2_700)));
    assert_eq!(effects(&mut election, 1_200, Event::Renewed), []);
    assert_eq!((election.until(), election.deadline()), (Some(at(3_700)), Some(at(2_000))));
}

#[test]
fn a_leader_without_its_store_asks_again_until_its_lease_is_over() {
    let mut election = leading();
    effects(&mut election, 1_000, Event::Due);
    assert_eq!(effects(&mut election, 1_500, Event::Away), []);
    assert_eq!(effects(&mut election, 2_000, Event::Due), [Effect::Renew]);
    assert_eq!(effects(&mut election, 2_700, Event::Due), [Effect::StepDown(Why::Expired), Effect::Release]);
    assert_eq!(effects(&mut election, 2_800, Event::Renewed), [], "too late, it is a candidate again");
    assert_eq!(election.may_publish(at(2_800)), None);
    assert_eq!(effects(&mut election, 3_200, Event::Due), [Effect::Ask { over: 5 }]);
}

#[test]
fn a_leader_that_the_store_has_forgotten_steps_down_at_once() {
    let mut election = leading();
    effects(&mut election, 1_000, Event::Due);
    assert_eq!(effects(&mut election, 1_001, Event::Lost), [Effect::StepDown(Why::Lost), Effect::Release]);
    assert_eq!(election.may_publish(at(1_001)), None);
}

#[test]
fn an_answer_that_comes_after_the_lease_that_it_grants_is_given_back() {
    let mut election = asking();
    assert_eq!(effects(&mut election, 2_700, Event::Won { term: 5 }), [Effect::Release]);
    assert_eq!(election.may_publish(at(2_700)), None);
    let mut election = leading();
    effects(&mut election, 1_000, Event::Due);
    let late = effects(&mut election, 3_800, Event::Renewed);
    assert_eq!(late, [Effect::StepDown(Why::Expired), Effect::Release]);
}

#[test]
fn a_store_that_grants_an_old_term_is_not_believed() {
    let mut election = asking();
    assert_eq!(effects(&mut election, 10, Event::Won { term: 4 }), [Effect::Release]);
    let mut election = asking();
    assert_eq!(effects(&mut election, 10, Event::Won { term: u64::MAX }), [Effect::Release]);
}

#[test]
fn a_term_beyond_what_the_store_counts_to_is_no_leaders() {
    let mut election = Election::new(at(0), LEASE, 200).counting_to(100);
    assert_eq!(effects(&mut election, 0, Event::Due), [Effect::Ask { over: 0 }]);
    effects(&mut election, 10, Event::HeardOf { term: 100 });
    effects(&mut election, 10, Event::HeardOf { term: 99 });
    assert_eq!(election.latest(), 99);
    assert_eq!(effects(&mut election, 20, Event::Won { term: 100 }), [Effect::Lead { term: 100 }]);
}

#[test]
fn a_leader_that_hears_of_a_later_one_asks_for_a_later_term() {
    let mut election = leading();
    assert_eq!(effects(&mut election, 200, Event::HeardOf { term: 5 }), [], "that is itself");
    assert_eq!(
        effects(&mut election, 200, Event::HeardOf { term: 8 }),
        [Effect::StepDown(Why::Outranked), Effect::Release]
    );
    assert_eq!(effects(&mut election, 700, Event::Due), [Effect::Ask { over: 8 }]);
    assert_eq!(effects(&mut election, 710, Event::HeardOf { term: u64::MAX }), []);
    assert_eq!(effects(&mut election, 720, Event::Won { term: 9 }), [Effect::Lead { term: 9 }]);
}

#[test]
fn who_ends_gives_its_lease_back_and_wants_no_other() {
    let mut election = leading();
    assert_eq!(effects(&mut election, 200, Event::Resign), [Effect::StepDown(Why::Ended), Effect::Release]);
    assert_eq!((election.deadline(), effects(&mut election, 9_000, Event::Due)), (None, vec![]));
    let mut election = asking();
    assert_eq!(effects(&mut election, 10, Event::Resign), [Effect::Release]);
    assert_eq!(effects(&mut election, 20, Event::Won { term: 5 }), [Effect::Release]);
}

/// The store, by its own clock: who has the lease until when, and the latest term.
#[derive(Default)]
struct Store {
    holder: Option<(usize, u64)>,
    term: u64,
}

/// One process: its clock runs at its own rate; the process may stand still, its clock does not.
struct Process {
    election: Election,
    rate: f64,
    paused_until: u64,
    /// What was asked and when its answer comes: at this moment, of true time.
    answer: Option<(u64, Option<Event>)>,
}

impl Process {
    fn now(&self, millis: u64) -> Mono {
        Mono::default() + Span::from_secs_f64(millis as f64 / 1e3 * self.rate)
    }
}

/// What was published: when, by whom, under which term.
type Published = (u64, usize, u64);

impl Store {
    /// What it answers to a question that arrives `at`.
    fn answer(&mut self, who: usize, at: u64, effect: Effect) -> Option<Event> {
        let free = self.holder.is_none_or(|(_, until)| until <= at);
        let ours = self.holder.is_some_and(|(holder, until)| holder == who && until > at);
        match effect {
            Effect::Ask { over } if free => {
                self.term = self.term.max(over) + 1;
                self.holder = Some((who, at + LEASE.as_millis()));
                Some(Event::Won { term: self.term })
            }
            Effect::Ask { .. } => Some(Event::Held { term: self.term, lasts: None }),
            Effect::Renew if ours => {
                self.holder = Some((who, at + LEASE.as_millis()));
                Some(Event::Renewed)
            }
            Effect::Renew => Some(Event::Lost),
            Effect::Release => {
                self.holder = self.holder.filter(|(holder, _)| *holder != who);
                None
            }
            Effect::Lead { .. } | Effect::StepDown(_) => None,
        }
    }
}

/// A length of time by lot.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousand milliseconds")]
fn up_to(draw: &mut Draw, most: f64) -> u64 {
    (draw.unit() * most) as u64
}

fn run(seed: u64, rates: &[f64], disturbed_until: u64, end: u64) -> Vec<Published> {
    let (mut draw, mut store) = (Draw::seeded(seed), Store::default());
    let begin = |rate: &f64| {
        let election = Election::new(Mono::default(), LEASE, 0);
        Process { election, rate: *rate, paused_until: 0, answer: None }
    };
    let mut processes: Vec<Process> = rates.iter().map(begin).collect();
    let mut published = Vec::new();
    for millis in (0..end).step_by(10) {
        let disturbed = millis < disturbed_until;
        for (who, process) in processes.iter_mut().enumerate() {
            if disturbed && process.paused_until <= millis && draw.unit() < 0.001 {
                process.paused_until = millis + up_to(&mut draw, 8_000.0);
            }
            if process.paused_until > millis {
                continue;
            }
            let now = process.now(millis);
            // A process that wakes may publish before it reads anything.
            published.extend(process.election.may_publish(now).map(|term| (millis, who, term)));
            let mut out = Vec::new();
            if let Some((_, event)) = process.answer.take_if(|(when, _)| *when <= millis) {
                process.election.on(now, event.unwrap_or(Event::Away), &mut out);
            }
            if process.election.deadline().is_some_and(|deadline| deadline <= now) {
                process.election.on(now, Event::Due, &mut out);
            }
            for effect in out {
                let (there, back) = if disturbed { (up_to(&mut draw, 900.0), up_to(&mut draw, 900.0)) } else { (0, 0) };
                let lost = disturbed && draw.unit() < 0.1;
                // The store acts when the question arrives: later than it was asked, which only makes leases longer.
                if let Some(event) = store.answer(who, millis + there, effect) {
                    process.answer = Some((millis + there + back, Some(event).filter(|_| !lost)));
                }
            }
        }
    }
    published
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Clocks a twentieth fast or slow, pauses of up to eight seconds, answers late or lost.
    #[test]
    fn never_do_two_publish_at_once_nor_under_one_term(seed in any::<u64>(), rates in prop::collection::vec(0.96_f64..1.04, 2..4)) {
        let published = run(seed, &rates, 60_000, 80_000);
        for pair in published.windows(2) {
            prop_assert!(pair[0].0 < pair[1].0 || pair[0].1 == pair[1].1, "two publish at {} ms", pair[0].0);
            prop_assert!(pair[0].2 <= pair[1].2, "an older term after a later one at {} ms", pair[1].0);
            prop_assert!(pair[0].1 == pair[1].1 || pair[0].2 < pair[1].2, "two leaders of one term at {} ms", pair[1].0);
        }
        let calm = published.iter().filter(|(millis, ..)| *millis > 75_000).count();
        prop_assert!(calm > 400, "in calm times somebody leads: {calm} of 500");
    }
}
