//! Scenarios by seed: pools of many shapes, each with one thing that goes wrong, or nothing that has a name.

use ambidex_core::again::Mode;
use ambidex_core::draw::Draw;
use ambidex_core::runbook::{FailureMode, Runbooks};
use ambidex_core::time::Span;

use super::{Labelled, swings};
use crate::scenario::Scenario;

/// A pool, as drawn.
pub(super) struct Drawn {
    pub(super) draw: Draw,
    pub(super) workers: u64,
    pub(super) slots: u64,
    /// Mean service time in milliseconds.
    pub(super) service: u64,
    pub(super) shape: &'static str,
    pub(super) report: &'static str,
    pub(super) discipline: &'static str,
    /// Load in percent of the capacity.
    pub(super) load: u64,
    /// When it happens, in seconds after the warm-up.
    pub(super) at: u64,
}

impl Drawn {
    pub(super) fn new(seed: u64, salt: u64) -> Self {
        let mut draw = Draw::seeded(seed.wrapping_mul(0x9E37_79B9).wrapping_add(salt << 40));
        let workers = 4 + below(&mut draw, 9);
        let slots = 2 + below(&mut draw, 3);
        let service = 15 + below(&mut draw, 36);
        Self {
            workers,
            slots,
            service,
            shape: ["", "exponential:", "exponential:"][draw.below(3)],
            report: ["server-load", "server-load", "none"][draw.below(3)],
            discipline: ["share", "share", "queue"][draw.below(3)],
            load: 40 + below(&mut draw, 31),
            at: 30 + below(&mut draw, 11),
            draw,
        }
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        below(&mut self.draw, bound)
    }

    /// The workers, alike, of one group `w`.
    pub(super) fn group(&self) -> String {
        self.named("w", self.workers, "")
    }

    pub(super) fn named(&self, name: &str, count: u64, more: &str) -> String {
        let Self { slots, service, shape, report, discipline, .. } = self;
        format!(
            "{{name: {name}, count: {count}, slots: {slots}, service: \"{shape}{service}ms\", report: {report}, \
             discipline: {discipline}{more}}}"
        )
    }

    pub(super) fn worker(&mut self) -> String {
        format!("w-{}", 1 + self.below(self.workers))
    }

    /// The whole file: these sections, which follow the workers.
    pub(super) fn scenario(&self, seed: u64, duration: u64, workers: &str, rest: &str) -> Scenario {
        let text = format!(
            "scenario: score\ntitle: a labelled run\nseed: {seed}\nwarm_up: 20s\nduration: {duration}s\n\
             workers: [{workers}]\n{rest}\n"
        );
        match Scenario::read("score", text.clone()) {
            Ok(mut scenario) => {
                scenario.balancer.runbooks = Runbooks::all(Mode::Observe);
                scenario
            }
            Err(findings) => panic!("a scenario of the score: {}\n{text}", findings.render(false)),
        }
    }
}

fn below(draw: &mut Draw, bound: u64) -> u64 {
    draw.below(usize::try_from(bound).expect("small")) as u64
}

/// A run that shows this mode, and no other.
pub(super) fn of(mode: FailureMode, seed: u64) -> Labelled {
    let quiet = |(scenario, from)| (scenario, from, None);
    let mut period = None;
    let (scenario, from, brings_down) = match mode {
        FailureMode::ThunderingHerd => herd(seed),
        FailureMode::StaleMetadata => quiet(stale(seed)),
        FailureMode::CascadingTimeouts => quiet(cascade(seed)),
        FailureMode::Oscillation => {
            let (scenario, from, swings) = swings::of(seed);
            period = Some(swings);
            (scenario, from, None)
        }
        FailureMode::Convoy => quiet(convoy(seed)),
        FailureMode::LateralDrift => quiet(drift(seed)),
        FailureMode::MetastableOverload => overload(seed),
    };
    let modes = vec![(mode, Span::from_secs(from))];
    Labelled { scenario, modes, kind: mode.word(), period, brings_down: brings_down.map(Span::from_secs) }
}

/// A scenario, when its mode shows, and when it begins to bring the pool down, if it does; in seconds after the warm-up.
type Begun = (Scenario, u64, Option<u64>);

/// One worker of few fails at once; what it had brings the others over what they can carry, and retries do the rest.
fn herd(seed: u64) -> Begun {
    let mut drawn = few(seed, 1);
    let what = ["errors", "resets"][drawn.draw.below(2)];
    let (at, worker) = (drawn.at, drawn.worker());
    let rest = format!(
        "{}\nfaults: [{{on: [{worker}], what: {what}, curve: {{step: {{at: {at}s}}}}}}]\n{}",
        full(&drawn),
        impatient(&mut drawn)
    );
    (drawn.scenario(seed, at + 45, &drawn.group(), &rest), at, Some(at))
}

/// A pool of few workers, so full that without one of them the others have at least a fifth more than they can carry,
/// before any retry.
pub(super) fn few(seed: u64, salt: u64) -> Drawn {
    let mut drawn = Drawn::new(seed, salt);
    drawn.workers = 3 + drawn.below(2);
    if drawn.workers == 4 {
        // Of unlike work the cheap part would still be done in time.
        drawn.shape = "";
    }
    let over = 120 + drawn.below(21);
    drawn.load = over * (drawn.workers - 1) / drawn.workers;
    drawn.load = drawn.load.min(91);
    drawn
}

/// The load of a pool of [`few`].
pub(super) fn full(drawn: &Drawn) -> String {
    format!("load: {{rate: {}%}}", drawn.load)
}

/// A route that does not wait long and asks again.
pub(super) fn impatient(drawn: &mut Drawn) -> String {
    let deadline = drawn.service * (8 + drawn.below(12));
    format!("route: {{deadline: {deadline}ms, retry: {{}}}}")
}

/// A worker is not there any more, and the view says that it is.
fn stale(seed: u64) -> (Scenario, u64) {
    let mut drawn = Drawn::new(seed, 2);
    let what = ["refuse", "refuse", "blackhole"][drawn.draw.below(3)];
    let (at, load, worker) = (drawn.at, drawn.load.min(60), drawn.worker());
    let rest = format!(
        "load: {{rate: {load}%}}\nfaults: [{{on: [{worker}], what: {what}, curve: {{step: {{at: {at}s}}}}}}]\n\
         route: {{deadline: 2s}}"
    );
    (drawn.scenario(seed, at + 40, &drawn.group(), &rest), at)
}

/// A worker becomes 6 to 20 times slower, at once or within half a minute.
fn cascade(seed: u64) -> (Scenario, u64) {
    let mut drawn = Drawn::new(seed, 3);
    let to = 6 + drawn.below(15);
    let (at, load, worker) = (drawn.at, drawn.load.min(60), drawn.worker());
    let over = [0, 0, 5, 15, 30][drawn.draw.below(5)];
    let curve = if over == 0 {
        format!("{{step: {{at: {at}s}}}}")
    } else {
        format!("{{ramp: {{from: {at}s, until: {}s}}}}", at + over)
    };
    let rest = format!(
        "load: {{rate: {load}%}}\nfaults: [{{on: [{worker}], what: slowdown, to: {to}, curve: {curve}}}]\n\
         route: {{deadline: 10s}}"
    );
    (drawn.scenario(seed, at + over + 40, &drawn.group(), &rest), at)
}

/// All workers stop for what they have in common, again and again.
fn convoy(seed: u64) -> (Scenario, u64) {
    let mut drawn = Drawn::new(seed, 4);
    drawn.load = 35 + drawn.below(21);
    let period = 4 + drawn.below(7);
    // Stalls of 1.2 s or more, and of 40 % of the time at most: what waits must be worked off in between.
    let least = 1_200 / (period * 10);
    let duty = least + drawn.below(41_u64.saturating_sub(least).max(1));
    let (at, load) = (drawn.at, drawn.load.min(95 - duty));
    let rest = format!(
        "load: {{rate: {load}%}}\nfaults: [{{on: [w], what: pause, curve: {{square: {{first: {at}s, period: {period}s, \
         duty: {duty}%}}}}}}]\nroute: {{deadline: 30s}}"
    );
    (drawn.scenario(seed, at + 8 * period + 10, &drawn.group(), &rest), at)
}

/// One of two zones becomes slower than the other, and the weights are fixed on purpose.
fn drift(seed: u64) -> (Scenario, u64) {
    let mut drawn = Drawn::new(seed, 5);
    drawn.workers = drawn.workers.max(6);
    let drift = Drift::of(&mut drawn);
    (drift.scenario(&drawn, seed, 70), drift.at)
}

/// How far, and when.
pub(super) struct Drift {
    there: u64,
    to: u64,
    load: u64,
    pub(super) at: u64,
    pub(super) over: u64,
    /// Another fault beside it.
    pub(super) more: Option<String>,
}

impl Drift {
    pub(super) fn of(drawn: &mut Drawn) -> Self {
        let there = drawn.workers / 2 + drawn.below(2);
        let to = 16 + drawn.below(8);
        let load = 25 + drawn.below(16);
        Self { there, to, load, at: drawn.at, over: 1 + drawn.below(40), more: None }
    }

    /// The scenario, which goes on for so many seconds after it is whole.
    pub(super) fn scenario(&self, drawn: &Drawn, seed: u64, goes_on: u64) -> Scenario {
        let Self { there, to, load, at, over, more } = self;
        let workers = format!(
            "{}, {}",
            drawn.named("a", drawn.workers - there, ", zone: a"),
            drawn.named("b", *there, ", zone: b")
        );
        let (whole, tenth, until) = (to / 10, to % 10, at + over);
        let slower = format!(
            "{{on: [b], what: slowdown, to: {whole}.{tenth}, curve: {{ramp: {{from: {at}s, until: {until}s}}}}}}"
        );
        let faults = [Some(slower), more.clone()].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let rest = format!(
            "load: {{rate: {load}%}}\nfaults: [{faults}]\nbalancer: {{weights: static}}\nroute: {{deadline: 30s}}"
        );
        drawn.scenario(seed, until + goes_on, &workers, &rest)
    }
}

/// Clients ask for more than there is for a while; then they ask as before, and retries keep the pool down.
fn overload(seed: u64) -> Begun {
    let mut drawn = Drawn::new(seed, 6);
    drawn.workers = 4 + drawn.below(3);
    drawn.discipline = "share";
    // Work that is all alike: of unlike work the cheap part is still done in time, and the pool recovers.
    drawn.shape = "";
    drawn.load = 85 + drawn.below(4);
    let (spike, lasts) = (150 + drawn.below(80), 8 + drawn.below(13));
    let (at, load) = (drawn.at, drawn.load);
    let first = drawn.service * (4 + drawn.below(4));
    let over = at + lasts;
    let rest = format!(
        "load: {{rate: {load}%, rates: [{{at: {at}s, rate: {spike}%}}, {{at: {over}s, rate: {load}%}}]}}\n\
         route: {{deadline: {}ms, retry: {{}}, first_try: {{after: {first}ms}}}}",
        first * 2
    );
    (drawn.scenario(seed, over + 60, &drawn.group(), &rest), over, Some(at))
}

/// A run that shows no mode: a pool that is well, or whose trouble has no name here.
pub(super) fn well(seed: u64) -> Labelled {
    let mut drawn = Drawn::new(seed, 7);
    let (at, load, worker) = (drawn.at, drawn.load, drawn.worker());
    let mut workers = drawn.group();
    let fault = |text: &str| format!("load: {{rate: {load}%}}\nfaults: [{text}]");
    let (kind, rest) = match seed % 10 {
        0 => ("well: steady", format!("load: {{rate: {load}%}}")),
        1 => {
            let more = 70 + drawn.below(15);
            ("well: more load", format!("load: {{rate: 40%, rates: [{{at: {at}s, rate: {more}%}}]}}"))
        }
        2 => {
            let count = drawn.workers / 2;
            drawn.report = "server-load";
            let small = drawn.named("small", count, ", zone: a");
            drawn.slots *= 2 + drawn.draw.below(2) as u64;
            workers = format!("{small}, {}", drawn.named("large", drawn.workers - count, ", zone: b"));
            ("well: unlike workers", format!("load: {{rate: {load}%}}"))
        }
        3 => {
            let curve = "{square: {first: 5s, period: 5s, duty: 4%, stagger: 100%}}";
            ("well: short pauses", fault(&format!("{{on: [w], what: pause, curve: {curve}}}")))
        }
        4 => {
            let share = 1 + drawn.below(3);
            ("well: a few errors", fault(&format!("{{on: [w], what: errors, to: {share}%}}")))
        }
        5 => {
            let classes = "[{name: cheap, share: 95%}, {name: dear, share: 5%, cost: 8}]";
            ("well: dear requests", format!("load: {{rate: {}%, classes: {classes}}}", load.min(60)))
        }
        6 => {
            let to = 11 + drawn.below(6);
            let curve = format!("{{step: {{at: {at}s}}}}");
            let (whole, tenth) = (to / 10, to % 10);
            (
                "well: a little slower",
                fault(&format!("{{on: [{worker}], what: slowdown, to: {whole}.{tenth}, curve: {curve}}}")),
            )
        }
        7 => {
            let spike = 95 + drawn.below(20);
            let rates = format!("[{{at: {at}s, rate: {spike}%}}, {{at: {}s, rate: {load}%}}]", at + 10);
            ("well: a spike", format!("load: {{rate: {load}%, rates: {rates}}}\nroute: {{deadline: 10s}}"))
        }
        8 => {
            let (more, deadline) = (115 + drawn.below(30), drawn.service * 20);
            let rates = format!("[{{at: {at}s, rate: {more}%}}]");
            (
                "other: too much load",
                format!("load: {{rate: {load}%, rates: {rates}}}\nroute: {{deadline: {deadline}ms, retry: {{}}}}"),
            )
        }
        _ => {
            let to = 2 + drawn.below(4);
            let curve = format!("{{step: {{at: {at}s, until: {}s}}}}", at + 30);
            (
                "other: all slower",
                format!("load: {{rate: 35%}}\nfaults: [{{on: [w], what: slowdown, to: {to}, curve: {curve}}}]"),
            )
        }
    };
    let scenario = drawn.scenario(seed, at + 60, &workers, &rest);
    Labelled { scenario, modes: Vec::new(), kind, period: None, brings_down: None }
}
