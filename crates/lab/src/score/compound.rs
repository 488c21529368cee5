//! Two or three modes at once: what goes wrong in one does not hide another, nor look like a third.

use ambidex_core::runbook::FailureMode;
use ambidex_core::time::Span;

use super::Labelled;
use super::scenarios::Drawn;

/// The run of a seed.
pub(super) fn of(seed: u64) -> Labelled {
    let mut drawn = Drawn::new(seed, 9);
    drawn.workers = drawn.workers.max(8);
    drawn.load = drawn.load.min(55);
    let (at, load) = (drawn.at, drawn.load);
    let later = at + 5 + drawn.below(16);
    let from = |mode, at| (mode, Span::from_secs(at));
    let gone = format!("{{on: [w-1], what: refuse, curve: {{step: {{at: {at}s}}}}}}");
    let slow = |at: u64, to: u64| format!("{{on: [w-2], what: slowdown, to: {to}, curve: {{step: {{at: {at}s}}}}}}");
    let to = 8 + drawn.below(11);
    let (period, duty) = (5 + drawn.below(5), 28);
    let stops =
        format!("{{on: [w], what: pause, curve: {{square: {{first: {later}s, period: {period}s, duty: {duty}%}}}}}}");
    let (kind, faults, modes) = match seed % 4 {
        0 => (
            "stale and cascade",
            format!("{gone}, {}", slow(later, to)),
            vec![from(FailureMode::StaleMetadata, at), from(FailureMode::CascadingTimeouts, later)],
        ),
        1 => (
            "stale and convoy",
            format!("{gone}, {stops}"),
            vec![from(FailureMode::StaleMetadata, at), from(FailureMode::Convoy, later)],
        ),
        2 => (
            "cascade and convoy",
            format!("{}, {stops}", slow(at, to)),
            vec![from(FailureMode::CascadingTimeouts, at), from(FailureMode::Convoy, later)],
        ),
        _ => (
            "stale, cascade and convoy",
            format!("{gone}, {}, {stops}", slow(at, to)),
            vec![
                from(FailureMode::StaleMetadata, at),
                from(FailureMode::CascadingTimeouts, at),
                from(FailureMode::Convoy, later),
            ],
        ),
    };
    let rest = format!("load: {{rate: {load}%}}\nfaults: [{faults}]\nroute: {{deadline: 20s}}");
    let scenario = drawn.scenario(seed, later + 8 * period + 20, &drawn.group(), &rest);
    Labelled { scenario, modes, kind }
}
