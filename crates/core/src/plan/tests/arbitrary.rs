//! Anything that could come in, sound or not.

use alloc::boxed::Box;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::at;
use crate::plan::{Command, Heard, Passive, PlanConfig, PlanInput, Rule, Seen, Source};
use crate::share::Share;
use crate::signal::Report;
use crate::time::Span;
use crate::worker::{Standing, WorkerId};

/// Every rule.
pub(in crate::plan) const RULES: [Rule; 7] = [
    Rule::Capacity,
    Rule::Headroom,
    Rule::ScoreSum,
    Rule::ScoreProduct,
    Rule::TailLatency,
    Rule::Throughput,
    Rule::Static,
];

pub(super) fn rule() -> impl Strategy<Value = Rule> {
    prop::sample::select(&RULES[..])
}

/// Numbers that a sound sender would never send are among them.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => 0.0..2.0_f64,
        3 => 0.0..1e4_f64,
        1 => prop::sample::select(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300, f64::MIN_POSITIVE][..]),
    ]
}

fn sound() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..2.0_f64, 0.0..1e4_f64]
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![
        8 => (0..10_000_u64).prop_map(Span::from_millis),
        1 => Just(Span::ZERO),
        1 => any::<u64>().prop_map(Span::from_nanos),
    ]
}

fn report_of(number: impl Strategy<Value = f64> + Clone + 'static) -> impl Strategy<Value = Report> {
    let count = || prop::option::of(0..2_000_u32);
    let value = || prop::option::of(number.clone());
    let loads = (count(), count(), prop::option::of(span()), prop::option::of(span()), value());
    let gauges = (value(), value(), value(), count(), prop::option::of(any::<bool>()));
    (loads, gauges).prop_map(|((in_flight, queue, mean, p99, rate), (errors, utilization, cpu, limit, accepting))| {
        let errors = errors.map(Share::clamped);
        Report { in_flight, queue, mean, p99, rate, errors, utilization, cpu, limit, accepting, ..Report::default() }
    })
}

fn heard_of(report: impl Strategy<Value = Report>) -> impl Strategy<Value = Heard> {
    let source = prop::sample::select(&[Source::Poll, Source::Piggyback, Source::Heartbeat][..]);
    (report, span(), span(), source).prop_map(|(report, age, period, source)| Heard { report, age, period, source })
}

fn passive() -> impl Strategy<Value = Passive> {
    (number(), number(), 0..5_000_u64, 0..500_u32, span(), span()).prop_map(
        |(rate, errors, samples, in_flight, mean, p99)| Passive {
            rate,
            errors: Share::clamped(errors),
            samples,
            in_flight,
            mean,
            p50: mean,
            p99,
        },
    )
}

/// What could be seen of a worker.
pub(super) fn seen() -> impl Strategy<Value = Seen> {
    let option = prop::option::of::<BoxedStrategy<Span>>;
    let standing =
        prop_oneof![5 => Just(Standing::Serving), 1 => Just(Standing::Draining), 1 => Just(Standing::Unhealthy)];
    let weight = prop_oneof![4 => Just(1.0), 1 => number()];
    (
        prop::option::of(passive()),
        prop::option::of(heard_of(report_of(number().boxed()))),
        option(span().boxed()),
        prop::option::of(0..200_u32),
        weight,
        standing,
        any::<bool>(),
    )
        .prop_map(|(passive, report, success_age, declared_limit, weight, standing, kept_out)| Seen {
            passive,
            report,
            success_age,
            declared_limit,
            weight,
            standing,
            kept_out,
        })
}

/// Whatever one worker may say of itself, once checked; when it says nothing new its newest report ages.
pub(super) fn said() -> impl Strategy<Value = Option<Heard>> {
    prop::option::of(heard_of(report_of(sound().boxed())))
}

/// Ticks, commands and settings, a second apart or so; workers come and go.
pub(super) fn inputs() -> impl Strategy<Value = Vec<PlanInput>> {
    let worker = || (0..7_u32).prop_map(WorkerId);
    let tick = prop::collection::vec((worker(), seen()), 0..8);
    let command = prop_oneof![
        (worker(), number()).prop_map(|(worker, weight)| Command::Pin { worker, weight }),
        worker().prop_map(|worker| Command::Unpin { worker }),
        Just(Command::Freeze),
        Just(Command::Unfreeze),
    ];
    let found = prop::collection::vec((worker(), number()), 0..8);
    let settings = rule().prop_map(PlanConfig::of).prop_map(Box::new);
    let step = prop_oneof![
        10 => tick.prop_map(|workers| PlanInput::Tick { at: at(0.0), workers }),
        2 => command.prop_map(|command| PlanInput::Command { at: at(0.0), command }),
        1 => settings.prop_map(|config| PlanInput::Config { at: at(0.0), config }),
        1 => found.prop_map(|weights| PlanInput::Found { at: at(0.0), weights }),
    ];
    prop::collection::vec((step, 0.0..2.0_f64), 1..40).prop_map(|steps| {
        let mut seconds = 0.0;
        let stamp = |(mut input, later): (PlanInput, f64)| {
            seconds += later;
            let (PlanInput::Tick { at: stamp, .. }
            | PlanInput::Command { at: stamp, .. }
            | PlanInput::Config { at: stamp, .. }
            | PlanInput::Found { at: stamp, .. }) = &mut input;
            *stamp = at(seconds);
            input
        };
        steps.into_iter().map(stamp).collect()
    })
}
