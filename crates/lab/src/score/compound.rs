//! Two or three modes at once: what goes wrong in one does not hide another, nor look like a third.
//!
//! ```text
//!            stale  cascade  convoy  swing  drift  herd  overload
//! stale        .       x        x      x      x     x       -
//! cascade              .        x      x      x     -       -
//! convoy                        .      -      -     -       -
//! swing                                .      -     -       -
//! drift                                       .     -       -
//! herd                                              .       x
//! ```
//! Left out is what cannot be at once, by what the modes are: a pool that is down, by a herd or by an overload, has neither
//! a worker that is slow *beside* the others nor weights or paths that mean anything; the trigger of a metastable overload
//! is gone, so nobody is gone or slow; paths drift beside weights that stand, and when all workers stop together weights
//! and paths stand.

use ambidex_core::runbook::FailureMode;
use ambidex_core::time::Span;

use super::scenarios::{self, Drawn};
use super::{Labelled, swings};
use crate::scenario::Scenario;

/// The run of a seed: the seeds go round the kinds.
pub(super) fn of(seed: u64) -> Labelled {
    let (kind, (scenario, modes)) = match seed % 10 {
        0 => ("stale and cascade", in_a_pool(seed, &[Wrong::Gone, Wrong::Slow])),
        1 => ("stale and convoy", in_a_pool(seed, &[Wrong::Gone, Wrong::Stops])),
        2 => ("cascade and convoy", in_a_pool(seed, &[Wrong::Slow, Wrong::Stops])),
        3 => ("stale, cascade and convoy", in_a_pool(seed, &[Wrong::Gone, Wrong::Slow, Wrong::Stops])),
        4 => ("stale and herd", stale_herd(seed)),
        5 => ("herd and overload", herd_overload(seed)),
        6 => ("oscillation and stale", swinging(seed, One::Gone)),
        7 => ("oscillation and cascade", swinging(seed, One::Slow)),
        8 => ("drift and stale", drifting(seed, One::Gone)),
        _ => ("drift and cascade", drifting(seed, One::Slow)),
    };
    let modes: Vec<_> = modes.into_iter().map(|(mode, at)| (mode, Span::from_secs(at))).collect();
    let herd = modes.iter().find(|(mode, _)| *mode == FailureMode::ThunderingHerd);
    let brings_down = herd.map(|(_, at)| *at);
    Labelled { scenario, modes, kind, period: None, brings_down }
}

/// What goes wrong with a pool of alike workers.
#[derive(Clone, Copy)]
enum Wrong {
    Gone,
    Slow,
    Stops,
}

/// What goes wrong with one worker beside another mode.
#[derive(Clone, Copy)]
enum One {
    Gone,
    Slow,
}

impl One {
    fn mode(self) -> FailureMode {
        match self {
            Self::Gone => FailureMode::StaleMetadata,
            Self::Slow => FailureMode::CascadingTimeouts,
        }
    }

    fn fault(self, worker: &str, at: u64, drawn: &mut Drawn) -> String {
        match self {
            Self::Gone => gone(worker, at),
            Self::Slow => slow(worker, at, 10 + drawn.below(9)),
        }
    }
}

/// What is there, and from when, in seconds after the warm-up.
type Made = (Scenario, Vec<(FailureMode, u64)>);

/// In one pool of alike workers: one is gone, one is slow, all stop now and then.
fn in_a_pool(seed: u64, wanted: &[Wrong]) -> Made {
    let mut drawn = Drawn::new(seed, 9);
    drawn.workers = drawn.workers.max(8);
    drawn.load = drawn.load.min(55);
    let (at, load) = (drawn.at, drawn.load);
    let later = at + 5 + drawn.below(16);
    let to = 8 + drawn.below(11);
    let (period, duty) = (5 + drawn.below(5), 28);
    let (mut faults, mut modes) = (Vec::new(), Vec::new());
    for (place, wrong) in wanted.iter().enumerate() {
        // Of three the first two come together.
        let from = if place == 0 || (place == 1 && wanted.len() > 2) { at } else { later };
        let (mode, fault) = match wrong {
            Wrong::Gone => (FailureMode::StaleMetadata, gone("w-1", from)),
            Wrong::Slow => (FailureMode::CascadingTimeouts, slow("w-2", from, to)),
            Wrong::Stops => {
                let square = format!("{{first: {from}s, period: {period}s, duty: {duty}%}}");
                (FailureMode::Convoy, format!("{{on: [w], what: pause, curve: {{square: {square}}}}}"))
            }
        };
        faults.push(fault);
        modes.push((mode, from));
    }
    let rest = format!("load: {{rate: {load}%}}\nfaults: [{}]\nroute: {{deadline: 20s}}", faults.join(", "));
    (drawn.scenario(seed, later + 8 * period + 20, &drawn.group(), &rest), modes)
}

/// One worker of few is gone while the view has it in service, and what it had brings the others down.
fn stale_herd(seed: u64) -> Made {
    let mut drawn = scenarios::few(seed, 10);
    let (at, worker) = (drawn.at, drawn.worker());
    let rest =
        format!("{}\nfaults: [{}]\n{}", scenarios::full(&drawn), gone(&worker, at), scenarios::impatient(&mut drawn));
    (
        drawn.scenario(seed, at + 45, &drawn.group(), &rest),
        vec![(FailureMode::StaleMetadata, at), (FailureMode::ThunderingHerd, at)],
    )
}

/// One worker of few fails for a while and brings the others down; it is well again, and they stay down.
fn herd_overload(seed: u64) -> Made {
    let mut drawn = Drawn::new(seed, 11);
    drawn.workers = 4;
    (drawn.discipline, drawn.shape) = ("share", "");
    drawn.load = 85 + drawn.below(4);
    let lasts = 15 + drawn.below(11);
    let (at, load, worker) = (drawn.at, drawn.load, drawn.worker());
    let first = drawn.service * (4 + drawn.below(4));
    let over = at + lasts;
    let rest = format!(
        "load: {{rate: {load}%}}\nfaults: [{{on: [{worker}], what: errors, curve: {{step: {{at: {at}s, until: {over}s}}}}}}]\n\
         route: {{deadline: {}ms, retry: {{}}, first_try: {{after: {first}ms}}}}",
        first * 2
    );
    let modes = vec![(FailureMode::ThunderingHerd, at), (FailureMode::MetastableOverload, over)];
    (drawn.scenario(seed, over + 75, &drawn.group(), &rest), modes)
}

/// Weights swing, and one worker more is gone or slow.
fn swinging(seed: u64, other: One) -> Made {
    let mut drawn = Drawn::new(seed, 12);
    let period = [50, 80, 150, 300][drawn.draw.below(4)];
    let at = 40 + period / 2;
    let fault = other.fault("c", at, &mut drawn);
    let mut swing = swings::Swing::of(&mut drawn, period);
    swing.more = Some((drawn.named("c", 1, ""), fault));
    let modes = vec![(FailureMode::Oscillation, swings::AT), (other.mode(), at)];
    (swing.scenario(&drawn, seed, at + 60), modes)
}

/// One of two zones becomes slower than the other, and one worker of the other zone is gone or slow.
fn drifting(seed: u64, other: One) -> Made {
    let mut drawn = Drawn::new(seed, 13);
    drawn.workers = drawn.workers.max(9);
    let mut drift = scenarios::Drift::of(&mut drawn);
    let later = drift.at + drift.over + 15;
    drift.more = Some(other.fault("a-1", later, &mut drawn));
    let modes = vec![(FailureMode::LateralDrift, drift.at), (other.mode(), later)];
    (drift.scenario(&drawn, seed, 120), modes)
}

fn gone(worker: &str, at: u64) -> String {
    format!("{{on: [{worker}], what: refuse, curve: {{step: {{at: {at}s}}}}}}")
}

fn slow(worker: &str, at: u64, to: u64) -> String {
    format!("{{on: [{worker}], what: slowdown, to: {to}, curve: {{step: {{at: {at}s}}}}}}")
}
