//! Orders, acts, and the watch over simulated looks.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Mono {
    Mono::default() + Span::from_millis(millis)
}

fn order(json: &str) -> Result<Order, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn an_order_that_names_its_fault_alone_has_the_usual_bounds() {
    let order = order(r#"{"fault": {"delay": "200ms"}}"#).expect("an order");
    assert_eq!(order, Order::of(Fault::Delay(Span::from_millis(200))).expect("an order"));
    assert_eq!((order.length(), order.share()), (Span::from_secs(60), Share::ALL));
}

#[test]
fn an_order_that_does_nothing_or_never_ends_is_refused() {
    for (json, why) in [
        (r#"{"fault": {"delay": "0s"}}"#, "would do nothing"),
        (r#"{"fault": {"errors": "0%"}}"#, "would do nothing"),
        (r#"{"fault": {"resets": "10%"}, "share": 0}"#, "would do nothing"),
        (r#"{"fault": {"delay": "1m"}}"#, "30s is the most"),
        (r#"{"fault": {"delay": "1s"}, "for": "1h"}"#, "not between 1s and 10m"),
        (r#"{"fault": {"delay": "1s"}, "for": "0s"}"#, "not between 1s and 10m"),
        (r#"{"fault": {"delay": "1s"}, "forever": true}"#, "unknown field `forever`"),
        (r#"{"fault": {"fire": "1s"}}"#, "unknown variant `fire`"),
    ] {
        let error = order(json).expect_err(json);
        assert!(error.contains(why), "{json}: {error}");
    }
}

#[test]
fn a_fault_is_written_as_it_is_read() {
    for text in ["delay=200ms", "errors=50%", "resets=10%"] {
        assert_eq!(text.parse::<Fault>().expect("a fault").to_string(), text);
    }
    for text in ["delay", "delay=fast", "errors=200%", "fire=1s", ""] {
        assert!(text.parse::<Fault>().is_err(), "{text}");
    }
}

#[test]
fn a_fault_acts_from_its_beginning_to_its_end_whoever_forgets_it() {
    let drill = order(r#"{"fault": {"delay": "200ms"}, "for": "10s"}"#).expect("an order").announce(at(1_000));
    let delayed = Act::Wait(Span::from_millis(200));
    for (millis, act) in
        [(1_000, Act::Pass), (3_999, Act::Pass), (4_000, delayed), (13_999, delayed), (14_000, Act::Pass)]
    {
        assert_eq!(drill.act(at(millis), 0.5), act, "{millis}");
    }
}

#[test]
fn a_fault_meets_its_share_along_its_curve() {
    let json = r#"{"fault": {"errors": "50%"}, "share": "20%", "curve": {"ramp": {"from": "0s", "until": "10s"}}}"#;
    let drill = order(json).expect("an order").announce(at(0));
    let met = |millis| (0..1_000).filter(|draw| drill.act(at(millis), f64::from(*draw) / 1_000.0) == Act::Fail).count();
    assert_eq!([met(3_000), met(8_000), met(20_000)], [0, 50, 100]);
}

/// A pool of four in which the drilled worker's share goes by `share`, at so many tries a look; nobody fails but as said.
struct Pool {
    order: Order,
    drill: Drill,
    tries: [u64; 4],
    failed_of_ten: u64,
    usable: u32,
}

impl Pool {
    fn new(json: &str) -> Self {
        let order = order(json).expect("an order");
        Self { order, drill: order.announce(at(0)), tries: [0; 4], failed_of_ten: 0, usable: 3 }
    }

    /// Runs to the end; what came of it.
    fn run(mut self, share: impl Fn(u64) -> f64) -> (Ending, u64, Measured) {
        let mut watch = Watch::over(&self.order, &self.drill, at(0));
        for look in 0_u64.. {
            let now = at(look * 100);
            assert!(watch.deadline() <= now);
            let sums = self.drill.toll.sums();
            let seen = Look { at: now, tries: Box::from(self.tries), sums, others: 3, usable: self.usable };
            if let Some(ending) = watch.see(seen) {
                return (ending, look * 100, watch.measured());
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "tens of tries")]
            let own = (share(look * 100) * 120.0) as u64;
            self.tries[0] += own;
            self.tries[1..].iter_mut().for_each(|tries| *tries += (120 - own) / 3);
            (0..10).for_each(|request| self.drill.toll.ended(now < self.drill.from() || request >= self.failed_of_ten));
        }
        unreachable!("a drill has an end")
    }
}

#[test]
fn a_drill_that_is_over_says_how_soon_traffic_shifted_and_came_to_rest() {
    let pool = Pool::new(r#"{"fault": {"delay": "200ms"}, "for": "30s"}"#);
    // The fault begins after 3 s; the share falls 800 ms later.
    let (ending, ended, measured) = pool.run(|millis| if millis < 3_800 { 0.25 } else { 0.05 });
    assert_eq!((ending, ended), (Ending::Over, 33_000));
    assert!(measured.before.is_some_and(|before| (before - 0.25).abs() < 0.01), "{measured:?}");
    assert!(measured.after.is_some_and(|after| (after - 0.05).abs() < 0.01), "{measured:?}");
    assert_eq!(measured.shift_90, Some(Span::from_millis(800)));
    assert!(measured.converged.is_some_and(|span| span <= Span::from_millis(900)), "{measured:?}");
    assert_eq!((measured.requests, measured.failed, measured.lasted), (3_000, 0, Span::from_secs(30)));
}

#[test]
fn a_share_that_stays_was_not_shifted() {
    let (ending, _, measured) = Pool::new(r#"{"fault": {"delay": "1ms"}, "for": "10s"}"#).run(|_| 0.25);
    assert_eq!((ending, measured.shift_90, measured.converged), (Ending::Over, None, Some(Span::ZERO)));
}

#[test]
fn a_drill_that_hurts_clients_is_aborted_within_its_window() {
    let pool = Pool { failed_of_ten: 2, ..Pool::new(r#"{"fault": {"errors": "100%"}, "for": "60s"}"#) };
    let (ending, ended, measured) = pool.run(|_| 0.25);
    assert!(matches!(ending, Ending::TooManyFailed { .. }) && ending.is_abort(), "{ending:?}");
    assert!((3_100..6_000).contains(&ended), "{ended}");
    assert!(measured.failed > 0 && measured.lasted < Span::from_secs(3), "{measured:?}");
}

#[test]
fn a_drill_whose_fault_spreads_is_aborted() {
    let pool = Pool { usable: 1, ..Pool::new(r#"{"fault": {"delay": "1s"}}"#) };
    assert_eq!(pool.run(|_| 0.25).0, Ending::TooFewUsable { usable: 1, of: 3 });
}

#[test]
fn a_pool_without_traffic_measures_nothing_and_ends_all_the_same() {
    let order = Order::of(Fault::Delay(Span::from_secs(1))).expect("an order");
    let drill = order.announce(at(0));
    let mut watch = Watch::over(&order, &drill, at(0));
    assert_eq!(watch.measured(), Measured::default());
    let look =
        |millis| Look { at: at(millis), tries: Box::from([0_u64; 2]), sums: Sums::default(), others: 1, usable: 1 };
    assert_eq!(watch.see(look(0)), None);
    assert_eq!(watch.see(look(63_000)), Some(Ending::Over));
    let measured = watch.measured();
    assert_eq!((measured.before, measured.after, measured.shift_90, measured.converged), (None, None, None, None));
}

#[test]
fn beyond_so_many_workers_a_column_is_shared() {
    assert_eq!([0, 63, 64, 9_999].map(Column::of), [Column(0), Column(63), Column(63), Column(63)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_course_of_looks_is_too_odd_to_measure(
        steps in prop::collection::vec((1_u64..5_000, 0_u64..50, 0_u64..50, 0_u64..30, 0_u32..4), 1..80)
    ) {
        let order = Order::of(Fault::Delay(Span::from_secs(1))).expect("an order");
        let drill = order.announce(at(0));
        let mut watch = Watch::over(&order, &drill, at(0));
        let (mut now, mut tries, mut sums) = (0, vec![0_u64; 2], Sums::default());
        let mut endings = Vec::new();
        for (step, own, other, failed, usable) in steps {
            (now, tries[0], tries[1]) = (now + step, tries[0] + own, tries[1] + other);
            (sums.requests, sums.failed) = (sums.requests + own + other, sums.failed + failed.min(own + other));
            let look = Look { at: at(now), tries: tries.clone().into(), sums, others: 3, usable: usable.min(3) };
            endings.extend(watch.see(look));
            let measured = watch.measured();
            prop_assert!(measured.before.is_none_or(|share| (0.0..=1.0).contains(&share)));
            prop_assert!(measured.failed <= measured.requests);
            prop_assert!(measured.shift_90.is_none_or(|span| span <= measured.lasted));
            prop_assert!(measured.converged.is_none_or(|span| span <= measured.lasted));
        }
        prop_assert!(now < 63_000 || !endings.is_empty());
    }
}
