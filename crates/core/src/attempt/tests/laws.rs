//! What holds in every order of events, with every mix of second chances.

use alloc::sync::Arc;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::bench::{Bench, at, bench, with};
use super::*;
use crate::again::budget::{Budget, BudgetConfig};
use crate::again::fallback::{Fallback, Tier};
use crate::again::hedge::{HedgeAfter, HedgeConfig};
use crate::again::quorum::{Mark, QuorumConfig, QuorumRule};
use crate::again::retry::{FirstTry, Patience};
use crate::balance::MOST_TRIES;
use crate::guard::pool::PoolGuards;

/// An event by its code: what is drawn is a number, because a hundred thousand events are drawn.
fn event(code: u16) -> Event {
    let id = TryId(u8::try_from(code / 32 % 5).expect("small"));
    let (pick, bit) = (usize::from(code / 160), (code / 160).is_multiple_of(2));
    match code % 32 {
        0..6 => Event::Head(id, [Head::Good, Head::Failing, Head::Shed { elsewhere: bit }][pick % 3]),
        6..10 => Event::Mark(id, [None, Some(Mark(1)), Some(Mark(2))][pick % 3]),
        10..19 => {
            let repeat = if bit { Repeat::Unsent } else { Repeat::Never };
            Event::Failed(id, Failure { kind: FailureKind::Reset, repeat })
        }
        19..22 => Event::Tier([TierNews::Ready, TierNews::Served, TierNews::Missing][pick % 3]),
        22..30 => Event::Due,
        30 => Event::Gone,
        _ => Event::Start,
    }
}

fn any_mode() -> impl Strategy<Value = Mode> {
    prop_oneof![1 => Just(Mode::Off), 1 => Just(Mode::Observe), 3 => Just(Mode::On)]
}

fn any_chances() -> impl Strategy<Value = Chances> {
    let quorum = (any_mode(), 1_u8..5, 1_u8..5, 0_u8..3, 0..3_usize).prop_map(|(mode, ask, need, more, rule)| {
        let rule = [QuorumRule::First, QuorumRule::Newest, QuorumRule::Majority][rule];
        QuorumConfig::new(mode, ask, need.min(ask), ask + more, rule, Share::ALL).expect("valid")
    });
    let tiers =
        prop::sample::subsequence(&[Tier::Zone, Tier::Pool, Tier::Simpler, Tier::Snapshot, Tier::Static], 0..=5);
    let fallback = (any_mode(), tiers, any::<bool>()).prop_map(|(mode, tiers, early)| {
        let after = early.then_some(Span::from_millis(20));
        Fallback { mode, ..Fallback::on(&tiers, after) }
    });
    (any_mode(), any_mode(), any_mode(), any_mode(), prop::option::of(quorum), fallback).prop_map(
        |(resend, answers, first, hedge, quorum, fallback)| Chances {
            route: RouteId(1),
            resend,
            answers,
            first_try: FirstTry { mode: first, patience: Patience::Fixed(Span::from_millis(6)) },
            hedge: HedgeConfig {
                mode: hedge,
                after: HedgeAfter::Fixed(Span::from_millis(3)),
                dear_at_once: true,
                extra: EXTRA,
                ..HedgeConfig::default()
            },
            quorum,
            adaptive: true,
            fallback,
        },
    )
}

fn any_asked() -> impl Strategy<Value = Asked> {
    let copies = prop_oneof![1 => Just(Copies::One), 1 => Just(Copies::IfUnbegun), 2 => Just(Copies::Any)];
    (copies, 0_u64..3).prop_map(|(copies, class)| Asked {
        key: None,
        class: Some(class),
        copies,
        home: None,
        cost: None,
    })
}

/// Who watches one attempt and everything that it wants done.
#[derive(Default)]
struct Watch {
    ends: usize,
    /// By try: still to be ended, and whether it provably did not run.
    open: Vec<bool>,
    unbegun: Vec<bool>,
    /// Every send of it may be a second execution.
    unsafe_sends: bool,
    slots: Vec<usize>,
}

impl Watch {
    fn event(&mut self, event: Event) {
        match event {
            Event::Failed(id, failure) if self.open.get(usize::from(id.0)) == Some(&true) => {
                self.open[usize::from(id.0)] = false;
                self.unbegun[usize::from(id.0)] = failure.repeat == Repeat::Unsent;
            }
            Event::Head(id, Head::Shed { .. }) if self.open.get(usize::from(id.0)) == Some(&true) => {
                self.unbegun[usize::from(id.0)] = true;
            }
            Event::Start
            | Event::Head(..)
            | Event::Mark(..)
            | Event::Failed(..)
            | Event::Tier(_)
            | Event::Due
            | Event::Gone => {}
        }
        if matches!(event, Event::Tier(_)) {
            self.slots.clear();
        }
    }

    fn effect(&mut self, effect: Effect) -> Result<(), TestCaseError> {
        match effect {
            Effect::Send(id, pick) => {
                prop_assert_eq!(usize::from(id.0), self.open.len(), "tries are numbered in their order");
                prop_assert!(!self.slots.contains(&pick.slot), "a worker was tried twice");
                self.unsafe_sends |= self.unbegun.iter().any(|unbegun| !unbegun);
                self.slots.push(pick.slot);
                self.open.push(true);
                self.unbegun.push(false);
            }
            Effect::Cancel(id, _) => self.end(id)?,
            Effect::Answer(id) => {
                self.end(id)?;
                self.ends += 1;
            }
            Effect::Refuse(_) => self.ends += 1,
            Effect::Compare(id) | Effect::Disagree { winner: id, .. } => {
                prop_assert!(self.open[usize::from(id.0)]);
            }
            Effect::Fall { .. } => {}
        }
        Ok(())
    }

    fn end(&mut self, id: TryId) -> Result<(), TestCaseError> {
        prop_assert!(core::mem::take(&mut self.open[usize::from(id.0)]), "{:?} ended twice", id);
        Ok(())
    }
}

/// One attempt, from `now` on; what it sent, and when it was over.
fn play(
    bench: &mut Bench,
    mut now: Mono,
    config: &AttemptConfig,
    asked: Asked,
    events: &[Event],
) -> Result<(usize, Mono), TestCaseError> {
    let mut watch = Watch::default();
    let mut attempt = Attempt::new(now, config, asked);
    for event in [&Event::Start].into_iter().chain(events).chain([&Event::Gone]) {
        now = if *event == Event::Due { attempt.deadline().unwrap_or(now) } else { now + Span::from_millis(1) };
        // Only what can be about a try at all: a driver tells of no try that has ended.
        let heard = match (attempt.state, event) {
            (_, Event::Head(id, _)) => attempt.tries.stands(*id, Stand::Running),
            (_, Event::Failed(id, _)) => attempt.tries.is_open(*id),
            (State::Falling { .. }, Event::Tier(_)) => true,
            (_, Event::Tier(_)) => false,
            (_, Event::Start | Event::Mark(..) | Event::Due | Event::Gone) => true,
        };
        if heard {
            watch.event(*event);
        }
        for effect in bench.on(&mut attempt, now, *event) {
            watch.effect(effect)?;
        }
        let ended = attempt.state == State::Ended;
        prop_assert!(attempt.deadline().is_none_or(|due| due <= attempt.until), "a deadline after the last");
        prop_assert!(!ended || watch.open.iter().all(|open| !open), "a try was forgotten");
        prop_assert!(ended || watch.ends == 0, "an end that is none");
        prop_assert!(attempt.state != State::Trying || attempt.tries.open() > 0, "nobody is waited for");
    }
    prop_assert!(attempt.state == State::Ended && watch.ends <= 1, "two answers");
    prop_assert!(asked.copies == Copies::Any || !watch.unsafe_sends, "what must not run twice was sent twice");
    Ok((watch.open.len(), now))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    /// 20 attempts a case, one after the other, on one pool and within one window of its budget: 10,000 in all.
    #[test]
    fn at_most_one_answer_every_try_ends_budgets_hold_and_nothing_unsafe_is_sent_twice(
        chances in any_chances(),
        attempts in prop::collection::vec((any_asked(), prop::collection::vec(0_u16..9_600, 0..24)), REQUESTS),
        (full, walled, throttled) in (0..=6_usize, any::<bool>(), any::<bool>()),
    ) {
        let mut bench = bench(&[1.0; 6]);
        let bulkhead = serde_json::from_str(r#"{"per_worker":1,"waiting":1,"wait":"9ms"}"#).expect("sensible");
        let throttle = serde_json::from_str("{}").expect("sensible");
        let guards = PoolGuards {
            bulkhead: walled.then_some(bulkhead),
            throttle: throttled.then_some(throttle),
            ..PoolGuards::default()
        };
        (0..full).for_each(|slot| bench.pool.load(slot).begin());
        bench.pool = bench.pool.guarded(guards);
        bench.pool.budget = Arc::new(Budget::new(BudgetConfig { floor_per_second: 1, ..BudgetConfig::default() }));
        let config = AttemptConfig { deadline: Span::from_millis(100), ..with(chances) };
        let (mut now, mut more) = (at(0), 0);
        for (asked, events) in &attempts {
            let events: Vec<_> = events.iter().copied().map(event).collect();
            let (sent, over) = play(&mut bench, now, &config, *asked, &events)?;
            prop_assert!(sent <= MOST_TRIES);
            more += sent.saturating_sub(1);
            now = over;
        }
        prop_assert_eq!(bench.pool.guards.anteroom.waiting(), 0, "somebody waits for ever");
        let count = |chance, came| usize::try_from(bench.count(chance, came)).expect("small");
        let reads = chances.quorum.map_or(0, |quorum| usize::from(quorum.ask()) - 1) * count(Chance::Quorum, Came::Taken);
        prop_assert!(more.saturating_sub(reads) <= 10 + REQUESTS / 5, "{} tries more than requests, {} of them asked for", more, reads);
        let hedges = count(Chance::Hedge, Came::Taken);
        prop_assert!(hedges <= REQUESTS / 4, "{} hedges", hedges);
    }
}

const REQUESTS: usize = 20;
/// A quarter, so that some of twenty requests are hedged.
const EXTRA: Share = Share::percent(25);
