//! The edges of a trial, each drawn one.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::draw::Draw;
use crate::share::Share;
use crate::time::{Mono, Span};

/// A trial, and what either group has counted.
struct Scene {
    course: Course,
    now: Mono,
    candidate: Sums,
    control: Sums,
    draw: Draw,
    out: Vec<Effect>,
}

/// One second of a group: requests, share of them that fail, mean latency.
#[derive(Clone, Copy)]
struct Second {
    requests: u32,
    failing: f64,
    mean: Span,
}

const WELL: Second = Second { requests: 100, failing: 0.002, mean: Span::from_millis(20) };

impl Scene {
    fn new(kind: Kind) -> Self {
        Self::with(kind, "{}")
    }

    fn with(kind: Kind, criteria: &str) -> Self {
        let mut out = Vec::new();
        let criteria = serde_json::from_str(criteria).expect("good");
        let course = Course::begin(Order { kind, criteria }, Mono::default(), &mut out);
        let (candidate, control) = (Sums::default(), Sums::default());
        Self { course, now: Mono::default(), candidate, control, draw: Draw::seeded(1), out }
    }

    fn serve(draw: &mut Draw, sums: &mut Sums, second: Second) {
        for _ in 0..second.requests {
            sums.begun += 1;
            if draw.unit() < second.failing {
                sums.failed += 1;
            } else {
                let took = second.mean.as_secs_f64() * (0.5 + 0.5 * -libm::log(1.0 - draw.unit()));
                sums.latency.record(Span::from_secs_f64(took));
            }
        }
    }

    fn second(&mut self, candidate: Second, control: Second) {
        Self::serve(&mut self.draw, &mut self.candidate, candidate);
        Self::serve(&mut self.draw, &mut self.control, control);
        self.now = self.now + Span::from_secs(1);
        let look = Look { candidate: self.candidate.clone(), control: self.control.clone(), by_workers: false };
        self.on(Event::Look(look));
    }

    /// Seconds until it is in another stage or step; at most `most`.
    fn until_moved(&mut self, candidate: Second, control: Second, most: u32) -> u32 {
        let before = (self.course.stage(), self.course.step());
        (1..=most)
            .find(|_| {
                self.second(candidate, control);
                (self.course.stage(), self.course.step()) != before
            })
            .unwrap_or(u32::MAX)
    }

    fn on(&mut self, event: Event) {
        self.course.on(self.now, event, &mut self.out);
    }

    fn stage(&self) -> Stage {
        self.course.stage()
    }

    fn share(&self) -> Share {
        self.course.shares().0
    }

    fn why(&self) -> Why {
        let why = |effect: &Effect| match effect {
            Effect::Tell(Told::Aborted { why, .. } | Told::Step { why, .. }) => Some(*why),
            Effect::Tell(_) | Effect::Split => None,
        };
        self.out.iter().rev().find_map(why).expect("it moved")
    }
}

#[test]
fn what_is_as_good_goes_through_all_steps_and_is_done() {
    let mut scene = Scene::new(Kind::Canary);
    let mut shares = alloc::vec![scene.share()];
    while scene.stage() == Stage::Running {
        assert!(scene.until_moved(WELL, WELL, 2_000) >= 60, "a step has a least time");
        assert_eq!(scene.why(), Why::AsGood);
        shares.push(scene.share());
    }
    assert_eq!(shares, [1, 5, 25, 50, 100].map(Share::percent));
    assert_eq!(scene.stage(), Stage::Settling);
    assert_eq!(scene.until_moved(WELL, Second { requests: 0, ..WELL }, 700), 600);
    assert_eq!((scene.stage(), scene.course.deadline()), (Stage::Done, None));
}

#[test]
fn what_fails_outright_is_aborted_within_a_second_of_its_twentieth_request() {
    let mut scene = Scene::new(Kind::Canary);
    let dead = Second { requests: 10, failing: 1.0, ..WELL };
    assert_eq!(scene.until_moved(dead, WELL, 10), 2);
    assert_eq!((scene.stage(), scene.share()), (Stage::Aborted, Share::NONE));
    assert_eq!(
        scene.why(),
        Why::Worse(Worse::TooManyErrors { failed: 20, of: 20, over: Share::percent(5), when: AbortWhen::Surely })
    );
    assert!(scene.out.iter().any(|effect| matches!(effect, Effect::Tell(told) if told.alerts())));
}

/// balancing.md's rule as it is written, looked at each second: what it costs is why it is not the default.
#[test]
fn by_the_plain_rule_two_of_twenty_abort_and_so_does_chance() {
    let mut scene = Scene::with(Kind::Canary, r#"{"abort_when":"plainly"}"#);
    scene.candidate.failed += 1;
    scene.second(Second { requests: 19, failing: 0.0, ..WELL }, WELL);
    assert_eq!(scene.stage(), Stage::Running, "5 % is not over 5 %");
    scene.candidate.failed += 1;
    scene.second(Second { requests: 0, ..WELL }, WELL);
    assert_eq!(scene.stage(), Stage::Aborted);
    assert!(matches!(scene.why(), Why::Worse(Worse::TooManyErrors { failed: 2, of: 21, .. })), "{:?}", scene.why());
    let aborted = |when: &str| {
        let ends = |seed: &u64| {
            let mut scene = Scene::with(Kind::Canary, &alloc::format!(r#"{{"abort_when":"{when}"}}"#));
            scene.draw = Draw::seeded(*seed);
            let slow = Second { requests: 10, failing: 0.01, ..WELL };
            scene.until_moved(slow, slow, 300);
            scene.stage() == Stage::Aborted
        };
        (0..50).filter(ends).count()
    };
    let (plainly, surely) = (aborted("plainly"), aborted("surely"));
    assert!(plainly > 40 && surely == 0, "of 50 good canaries {plainly} ended plainly, {surely} surely");
}

#[test]
fn a_pool_that_fails_as_a_whole_holds_its_canary_and_says_why() {
    let mut scene = Scene::new(Kind::Canary);
    let failing = Second { failing: 0.4, ..WELL };
    assert_eq!(scene.until_moved(failing, failing, 120), u32::MAX);
    assert!(scene.course.lacks().contains(&Lack::AllFail), "{:?}", scene.course.lacks());
}

#[test]
fn what_is_slower_by_a_third_is_aborted_for_its_latency() {
    let mut scene = Scene::new(Kind::Canary);
    let slow = Second { mean: Span::from_millis(26), ..WELL };
    scene.until_moved(slow, WELL, 2_000);
    assert_eq!(scene.stage(), Stage::Aborted);
    assert!(matches!(scene.why(), Why::Worse(Worse::Than { what: What::Latency(_) })), "{:?}", scene.why());
}

#[test]
fn what_fails_two_percent_more_is_aborted_for_its_errors() {
    let mut scene = Scene::new(Kind::Canary);
    scene.until_moved(Second { failing: 0.022, ..WELL }, WELL, 2_000);
    assert_eq!(scene.why(), Why::Worse(Worse::Than { what: What::Errors }));
}

#[test]
fn few_requests_hold_a_trial_and_it_says_how_many_there_are() {
    let mut scene = Scene::new(Kind::Canary);
    let few = Second { requests: 1, ..WELL };
    assert_eq!(scene.until_moved(few, few, 80), u32::MAX);
    assert!(scene.course.lacks().contains(&Lack::Requests { has: 80, of: 100 }), "{:?}", scene.course.lacks());
}

#[test]
fn requests_that_never_end_hold_a_trial() {
    let mut scene = Scene::new(Kind::Canary);
    for _ in 0..1_000 {
        scene.candidate.begun += 50;
        scene.second(WELL, WELL);
    }
    assert_eq!(scene.course.step().0, 1);
    assert!(scene.course.lacks().iter().any(|lack| matches!(lack, Lack::Unfinished { .. })));
}

#[test]
fn a_cold_candidate_is_not_compared_while_it_warms_up() {
    let mut scene = Scene::new(Kind::Canary);
    let cold = Second { mean: Span::from_millis(200), ..WELL };
    for _ in 0..29 {
        scene.second(cold, WELL);
    }
    assert!(scene.course.lacks().contains(&Lack::WarmUp));
    assert!(scene.until_moved(WELL, WELL, 2_000) < 2_000);
    assert_eq!(scene.why(), Why::AsGood);
}

#[test]
fn a_paused_trial_stays_at_its_step_and_is_aborted_all_the_same() {
    let mut scene = Scene::new(Kind::Canary);
    scene.on(Event::Pause);
    assert_eq!(scene.until_moved(WELL, WELL, 1_000), u32::MAX);
    scene.on(Event::Resume);
    assert_eq!(scene.until_moved(WELL, WELL, 5), 1);
    scene.on(Event::Pause);
    scene.until_moved(Second { failing: 0.5, ..WELL }, WELL, 10);
    assert_eq!(scene.stage(), Stage::Aborted);
}

#[test]
fn an_operator_promotes_by_one_step_or_to_the_end_and_aborts_at_any_time() {
    let mut scene = Scene::new(Kind::Canary);
    scene.on(Event::Promote { full: false });
    assert_eq!((scene.share(), scene.why()), (Share::percent(5), Why::Ordered));
    scene.on(Event::Promote { full: true });
    assert_eq!((scene.share(), scene.stage()), (Share::ALL, Stage::Settling));
    scene.until_moved(WELL, WELL, 700);
    assert_eq!(scene.stage(), Stage::Done);
    scene.on(Event::Abort);
    assert_eq!((scene.share(), scene.stage()), (Share::NONE, Stage::Aborted));
    scene.on(Event::Promote { full: true });
    assert_eq!(scene.stage(), Stage::Aborted, "what is over is over");
}

#[test]
fn errors_bring_it_back_while_it_settles() {
    let mut scene = Scene::new(Kind::Switch);
    assert_eq!(scene.course.shares(), (Share::percent(99), Share::percent(99).rest()));
    scene.on(Event::Promote { full: true });
    let nobody = Second { requests: 0, ..WELL };
    scene.until_moved(Second { failing: 0.3, ..WELL }, nobody, 10);
    assert_eq!(scene.stage(), Stage::Aborted);
}

#[test]
fn what_only_workers_count_is_judged_by_its_failures_and_goes_on_by_order() {
    let mut scene = Scene::new(Kind::Canary);
    for _ in 0..600 {
        Scene::serve(&mut scene.draw, &mut scene.candidate, WELL);
        Scene::serve(&mut scene.draw, &mut scene.control, WELL);
        scene.now = scene.now + Span::from_secs(1);
        let (candidate, control) = (scene.candidate.clone(), scene.control.clone());
        scene.on(Event::Look(Look { candidate, control, by_workers: true }));
    }
    assert_eq!((scene.course.step().0, scene.course.lacks()), (1, &[Lack::ByWorkers][..]));
    scene.candidate.failed += 100;
    scene.candidate.begun += 100;
    scene.now = scene.now + Span::from_secs(1);
    let (candidate, control) = (scene.candidate.clone(), scene.control.clone());
    scene.on(Event::Look(Look { candidate, control, by_workers: true }));
    assert_eq!(scene.stage(), Stage::Aborted);
}

#[test]
fn steps_that_end_under_the_whole_wait_for_an_order() {
    let mut scene = Scene::with(Kind::Canary, r#"{"steps":["10%"]}"#);
    assert_eq!(scene.until_moved(WELL, WELL, 1_000), u32::MAX);
    assert_eq!(scene.course.lacks(), [Lack::Order]);
    scene.on(Event::Promote { full: false });
    assert_eq!(scene.stage(), Stage::Settling);
}

#[test]
fn a_trial_goes_on_at_its_step_after_a_restart_with_what_was_proved() {
    let mut scene = Scene::new(Kind::Canary);
    while scene.course.step().0 < 3 {
        scene.second(WELL, WELL);
    }
    (0..30).for_each(|_| scene.second(WELL, WELL));
    let kept = serde_json::to_string(&scene.course.memory(scene.now)).expect("plain data");
    let later = Mono::default() + Span::from_secs(5);
    let again = Course::resume(serde_json::from_str(&kept).expect("as it was written"), later);
    assert_eq!((again.stage(), again.shares(), again.step()), (Stage::Running, scene.course.shares(), (3, 5)));
    assert_eq!(again.figures().progress, scene.course.figures().progress);
    assert_eq!(again.figures().exposed, scene.course.figures().exposed);
}

proptest! {
    #[test]
    fn no_counts_and_orders_break_a_trial(
        seconds in prop::collection::vec((0_u32..300, 0_u32..300, 0.0..1.0_f64, 0_u8..12), 1..60)
    ) {
        let mut scene = Scene::new(Kind::Experiment);
        for (ours, theirs, failing, order) in seconds {
            match order {
                0 => scene.on(Event::Pause),
                1 => scene.on(Event::Resume),
                2 => scene.on(Event::Promote { full: false }),
                3 => scene.on(Event::Abort),
                _ => {}
            }
            scene.second(Second { requests: ours, failing, ..WELL }, Second { requests: theirs, ..WELL });
            let (share, control) = scene.course.shares();
            prop_assert!(share.get() + control.get() <= 1.0 + 1e-9 && control <= share);
            prop_assert_eq!(scene.course.is_on(), scene.course.deadline().is_some());
        }
    }
}
