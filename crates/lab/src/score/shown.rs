//! What a run showed, measured from what its clients got: a label says what happened, not what was meant to happen.
//!
//! ```text
//! down          5 % or more of the requests that are due in a time fail
//! down before   in the 10 s before anything goes wrong: what follows is not what the label says, and nobody judges it
//! herd          down from 10 s to 20 s after its first worker fell: that one is out by then, so the others fail
//! overload      down from 30 s to 35 s after its trigger was over: what is well by then came back by itself
//! ```
//! Asked only of the modes that bring a pool down: how far one fault does that depends on chance and on what the rest of
//! the gateway does about it. What detectors look at (tries, ticks, breakers) is not looked at here.

use ambidex_core::runbook::FailureMode;
use ambidex_core::time::Span;

use super::Labelled;
use crate::measure::Series;

/// How a run went, beside what was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Went {
    /// It showed what its label says.
    AsMeant,
    /// A mode of its label did not show, and is taken off: a run without it.
    Otherwise,
    /// The pool was down before anything went wrong: not judged.
    DownBefore,
}

/// Takes off the label what did not show.
pub(super) fn settle(labelled: &mut Labelled, clients: &Series) -> Went {
    let Some(begins) = labelled.brings_down else { return Went::AsMeant };
    if is_down(clients, begins - BEFORE, begins) {
        return Went::DownBefore;
    }
    let meant = labelled.modes.len();
    labelled.modes.retain(|(mode, at)| shows(*mode, *at, clients));
    if labelled.modes.len() == meant { Went::AsMeant } else { Went::Otherwise }
}

fn shows(mode: FailureMode, at: Span, clients: &Series) -> bool {
    let is_down = |(from, to)| is_down(clients, at + from, at + to);
    match mode {
        FailureMode::ThunderingHerd => is_down(HERD),
        FailureMode::MetastableOverload => is_down(OVERLOAD),
        FailureMode::StaleMetadata
        | FailureMode::CascadingTimeouts
        | FailureMode::Oscillation
        | FailureMode::Convoy
        | FailureMode::LateralDrift => true,
    }
}

/// Whether so many of the requests that were due in this time failed; times count from the end of the warm-up.
fn is_down(clients: &Series, from: Span, to: Span) -> bool {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bin of a run")]
    let bin = |at: Span| (at.as_secs_f64() / clients.bin_s).round() as usize;
    let sum =
        |counts: &[u32]| -> f64 { counts.iter().take(bin(to)).skip(bin(from)).map(|count| f64::from(*count)).sum() };
    let (ok, failed) = (sum(&clients.ok), sum(&clients.failed));
    failed > 0.0 && failed >= DOWN * (ok + failed)
}

/// Source: R-B1.
const DOWN: f64 = 0.05;
/// Source: ours.
const BEFORE: Span = Span::from_secs(10);
/// Source: ours; the first worker's breaker has opened by then and asks for the first time after it.
const HERD: (Span, Span) = (Span::from_secs(10), Span::from_secs(20));
/// Source: ours; the queue of any trigger here is worked off or given up by then, were it not for what keeps the pool down.
const OVERLOAD: (Span, Span) = (Span::from_secs(30), Span::from_secs(35));

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    /// Clients of whom a tenth fails from one second to another, and nobody at other times.
    fn clients(down: &[(u64, u64)]) -> Series {
        let failed = |second: u64| if down.iter().any(|(from, to)| (*from..*to).contains(&second)) { 10 } else { 0 };
        let failed: Vec<u32> = (0..200).map(failed).collect();
        let ok = failed.iter().map(|failed| 100 - failed).collect();
        Series { bin_s: 1.0, ok, failed, ..Series::default() }
    }

    /// A run of herd and overload, with when its worker fails and when it is well again, in seconds.
    fn herd_and_overload() -> (Labelled, u64, u64) {
        let labelled = Kind::Compound.labelled(5);
        let at = |mode: usize| labelled.modes[mode].1.as_nanos() / 1_000_000_000;
        let (herd, overload) = (at(0), at(1));
        (labelled, herd, overload)
    }

    #[test]
    fn a_pool_that_stays_down_shows_both_and_one_that_comes_back_only_the_herd() {
        let (mut labelled, fails, well) = herd_and_overload();
        assert_eq!(settle(&mut labelled, &clients(&[(fails, 190)])), Went::AsMeant);
        assert_eq!(labelled.modes.len(), 2);
        assert_eq!(settle(&mut labelled, &clients(&[(fails, well + 29)])), Went::Otherwise);
        assert_eq!(labelled.modes.iter().map(|(mode, _)| *mode).collect::<Vec<_>>(), [FailureMode::ThunderingHerd]);
    }

    #[test]
    fn a_pool_that_its_others_bear_is_no_herd() {
        let (mut labelled, fails, well) = herd_and_overload();
        assert_eq!(settle(&mut labelled, &clients(&[(fails, fails + 2), (well + 25, 190)])), Went::Otherwise);
        assert_eq!(labelled.modes.iter().map(|(mode, _)| *mode).collect::<Vec<_>>(), [FailureMode::MetastableOverload]);
    }

    #[test]
    fn a_pool_that_was_down_before_is_not_judged() {
        let (mut labelled, fails, _) = herd_and_overload();
        assert_eq!(settle(&mut labelled, &clients(&[(fails - 8, 190)])), Went::DownBefore);
    }
}
