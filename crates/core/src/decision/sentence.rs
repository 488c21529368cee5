//! The sentence of a decision, as a person reads it: from what to what, because of what, and what held it back.
//!
//! `b: 1.32 -> 0.91 of a fair share, because it can carry less: 90 requests/s (was 138), from 84 requests/s at 93 %
//! utilization (was 61 %); capacity alone said 0.70, the slew limit made it 0.91`

use core::fmt;

use super::{Decision, Reason};
use crate::plan::{Gauge, Guard, Rule, Terms};
use crate::time::Span;

pub(super) struct Sentence<'a> {
    pub(super) decision: &'a Decision,
    pub(super) worker: &'a str,
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { old, new, reason, .. } = self.decision;
        let worker = self.worker;
        match reason {
            Reason::Left => return write!(f, "{worker} left the pool; it had {old:.2} of a fair share"),
            Reason::Started => write!(f, "{worker} starts with {new:.2} of a fair share, because the pool starts")?,
            Reason::Joined => write!(f, "{worker} joins with {new:.2} of a fair share")?,
            Reason::Drained
            | Reason::Unhealthy
            | Reason::Refuses
            | Reason::Pinned
            | Reason::Frozen
            | Reason::Silent
            | Reason::Unheard
            | Reason::Returning
            | Reason::Errors
            | Reason::Fallen
            | Reason::SlowStart
            | Reason::Known
            | Reason::Better
            | Reason::Worse
            | Reason::Configured
            | Reason::Peers => {
                if (old - new).abs() < 5e-7 {
                    write!(f, "{worker} stays at {new:.2} of a fair share, ")?;
                } else {
                    write!(f, "{worker}: {} -> {} of a fair share, ", Weight(*old), Weight(*new))?;
                }
                f.write_str("because ")?;
                self.cause(f)?;
            }
        }
        self.held_back(f)
    }
}

impl Sentence<'_> {
    fn cause(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { reason, new, seen, terms, was, .. } = self.decision;
        match reason {
            Reason::Drained => f.write_str("it is being drained"),
            Reason::Unhealthy => f.write_str("its health checks fail"),
            Reason::Refuses => f.write_str("it says that it accepts nothing new"),
            Reason::Pinned => f.write_str("an operator pinned it"),
            Reason::Frozen => f.write_str("all weights of the pool are frozen"),
            Reason::Silent | Reason::Unheard => {
                f.write_str("its reports are missing")?;
                if let Some(heard) = seen.report {
                    write!(f, " (one is due every {}, the newest is {} old)", heard.period, Rough(heard.age))?;
                }
                f.write_str(if *reason == Reason::Unheard {
                    ", though it still answers well: own measurements must do"
                } else {
                    " and no good answers come from it"
                })
            }
            Reason::Returning if *new > 0.0 => f.write_str("it was away, is there again and is being brought back"),
            Reason::Returning => f.write_str("it fell silent more than once: it must be heard for a while first"),
            Reason::Fallen => f.write_str("its breaker is open, and nothing but failures came of its last requests"),
            Reason::Errors => {
                let less = terms.errors < was.errors;
                let lead = if less { "fewer of its requests fail: " } else { "its requests fail: " };
                write!(f, "{lead}{}", Percent(terms.errors))?;
                if differ(terms.errors, was.errors, 0.005) {
                    write!(f, " (was {})", Percent(was.errors))?;
                }
                Ok(())
            }
            Reason::SlowStart => f.write_str("it joined not long ago and is being brought in"),
            Reason::Known | Reason::Better | Reason::Worse => self.judgement(f),
            Reason::Configured => write!(f, "its configured weight is {}", seen.configured()),
            Reason::Peers => f.write_str("the others of the pool changed, not it"),
            Reason::Left | Reason::Started | Reason::Joined => Ok(()),
        }
    }

    /// Why the rule values the worker more or less than before.
    fn judgement(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { rule, terms, was, reason, .. } = self.decision;
        let word = |known, better, worse| {
            if *reason == Reason::Better {
                better
            } else if *reason == Reason::Worse {
                worse
            } else {
                known
            }
        };
        let (now, before) = (terms.estimate.unwrap_or(0.0), was.estimate);
        match rule {
            Rule::Capacity | Rule::Throughput => {
                f.write_str(word("it is known now what it can carry: ", "it can carry more: ", "it can carry less: "))?;
                write!(f, "{}", Change(now, before, " requests/s"))?;
                measured(f, terms, was)?;
                match terms.latency.filter(|_| *rule == Rule::Throughput) {
                    Some(latency) => write!(f, ", and a mean latency of {}", Rough(latency)),
                    None => Ok(()),
                }
            }
            Rule::Headroom => {
                f.write_str(word("its headroom is known now: ", "it has more headroom: ", "it has less headroom: "))?;
                write!(f, "{}", Change(now, before, " requests at once"))?;
                let (load, latency) = (terms.load.unwrap_or(0.0), terms.latency.unwrap_or_default());
                write!(f, ", from {load:.1} in flight at {}", Rough(latency))
            }
            Rule::ScoreSum | Rule::ScoreProduct => {
                f.write_str(word("its score is known now: ", "its score rose to ", "its score fell to "))?;
                write!(f, "{}", Change(now, before, ""))?;
                let (latency, queue) = (terms.latency.unwrap_or_default(), terms.queue.unwrap_or(0.0));
                write!(f, ", from {}, {} failed and a queue of {queue:.0}", Rough(latency), Percent(terms.errors))
            }
            Rule::TailLatency => {
                f.write_str("its 99th percentile of latency ")?;
                f.write_str(word("is known now: ", "fell to ", "rose to "))?;
                write!(f, "{}", Rough(terms.p99.unwrap_or_default()))?;
                match was.p99 {
                    Some(before) => write!(f, " (was {})", Rough(before)),
                    None => Ok(()),
                }
            }
            Rule::Static => f.write_str("its configured weight changed"),
        }
    }

    /// The guards that stand between the rule's word and the weight, unless the reason has said so already.
    fn held_back(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { rule, raw, new, guards, reason, .. } = self.decision;
        if !differ(*raw, *new, 0.01) {
            return Ok(());
        }
        let told = |guard: Guard| match guard {
            Guard::Errors => matches!(reason, Reason::Errors | Reason::Fallen),
            Guard::SlowStart => *reason == Reason::SlowStart,
            Guard::Silence => matches!(reason, Reason::Silent | Reason::Unheard),
            Guard::Return => *reason == Reason::Returning,
            Guard::Refusal => *reason == Reason::Refuses,
            Guard::Drain => *reason == Reason::Drained,
            Guard::Health => *reason == Reason::Unhealthy,
            Guard::Pin => *reason == Reason::Pinned,
            Guard::Freeze => *reason == Reason::Frozen,
            Guard::Smoothing | Guard::Hysteresis | Guard::Deadband | Guard::Slew | Guard::Floor | Guard::Cap => false,
        };
        let overruled = matches!(
            reason,
            Reason::Refuses
                | Reason::Drained
                | Reason::Unhealthy
                | Reason::Pinned
                | Reason::Frozen
                | Reason::Silent
                | Reason::Peers
        );
        let mut acts = guards.iter().filter(|act| !overruled && !told(act.guard)).peekable();
        if acts.peek().is_none() {
            return Ok(());
        }
        write!(f, "; {rule} alone said {}", Weight(*raw))?;
        let mut verb = "made it ";
        for act in acts {
            write!(f, ", {} {verb}{}", act.guard, Weight(act.to))?;
            verb = "";
        }
        Ok(())
    }
}

/// Rate and utilization behind a capacity.
fn measured(f: &mut fmt::Formatter<'_>, terms: &Terms, was: &Terms) -> fmt::Result {
    let (Some(rate), Some(utilization)) = (terms.rate, terms.utilization) else { return Ok(()) };
    write!(f, ", from {} requests/s at {} ", Number(rate), Percent(utilization))?;
    f.write_str(match terms.gauge {
        Some(Gauge::Application) | None => "utilization",
        Some(Gauge::Slots) => "of its slots",
        Some(Gauge::Processor) => "processor",
    })?;
    match was.utilization.filter(|before| differ(*before, utilization, 0.005)) {
        Some(before) => write!(f, " (was {})", Percent(before)),
        None => Ok(()),
    }
}

fn differ(a: f64, b: f64, by: f64) -> bool {
    (a - b).abs() > by
}

/// A weight: two decimals, more where two would hide it.
struct Weight(f64);

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(weight) = *self;
        if weight == 0.0 {
            f.write_str("0")
        } else if weight < 0.0005 {
            f.write_str("under 0.001")
        } else if weight < 0.095 {
            write!(f, "{weight:.3}")
        } else {
            write!(f, "{weight:.2}")
        }
    }
}

/// A number now, and before if that is known.
struct Change<'a>(f64, Option<f64>, &'a str);

impl fmt::Display for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(now, before, unit) = *self;
        write!(f, "{}{unit}", Number(now))?;
        match before {
            Some(before) => write!(f, " (was {})", Number(before)),
            None => Ok(()),
        }
    }
}

/// Three significant digits or so.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = *self;
        if number >= 99.5 {
            write!(f, "{number:.0}")
        } else if number >= 9.95 {
            write!(f, "{number:.1}")
        } else {
            write!(f, "{number:.2}")
        }
    }
}

struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        if percent < 9.95 && percent > 0.0 { write!(f, "{percent:.1} %") } else { write!(f, "{percent:.0} %") }
    }
}

/// A span to two or three digits.
struct Rough(Span);

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds >= 1.0 {
            write!(f, "{seconds:.1} s")
        } else if seconds >= 0.001 {
            write!(f, "{:.0} ms", seconds * 1e3)
        } else {
            write!(f, "{:.0} us", seconds * 1e6)
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::decision::Guarded;
    use crate::plan::{Heard, Seen, Source};
    use crate::signal::Report;
    use crate::worker::{PoolId, WorkerId};

    fn decision(reason: Reason, old: f64, new: f64) -> Decision {
        let was = Terms { estimate: Some(138.0), utilization: Some(0.61), ..Terms::default() };
        let terms = Terms {
            estimate: Some(90.3),
            rate: Some(84.0),
            utilization: Some(0.93),
            gauge: Some(Gauge::Application),
            ..Terms::default()
        };
        Decision {
            tick: 7,
            at_nanos: 7_000_000_000,
            pool: PoolId(0),
            worker: WorkerId(1),
            old,
            new,
            raw: new,
            rule: Rule::Capacity,
            reason,
            seen: Seen::default(),
            terms,
            was,
            guards: Vec::new(),
        }
    }

    fn said(decision: &Decision) -> String {
        decision.sentence("b")
    }

    #[test]
    fn a_cut_for_slowness_says_what_the_worker_can_carry_and_what_held_it_back() {
        let held = Guarded { guard: Guard::Slew, from: 0.7, to: 0.91 };
        let cut = Decision { raw: 0.7, guards: vec![held], ..decision(Reason::Worse, 1.32, 0.91) };
        assert_eq!(
            said(&cut),
            "b: 1.32 -> 0.91 of a fair share, because it can carry less: 90.3 requests/s (was 138), from 84.0 \
             requests/s at 93 % utilization (was 61 %); capacity alone said 0.70, the slew limit made it 0.91"
        );
    }

    #[test]
    fn what_is_measured_for_the_first_time_is_told_as_such() {
        let mut known = decision(Reason::Known, 1.0, 1.1);
        known.was = Terms::default();
        assert_eq!(
            said(&known),
            "b: 1.00 -> 1.10 of a fair share, because it is known now what it can carry: 90.3 requests/s, from 84.0 \
             requests/s at 93 % utilization"
        );
    }

    #[test]
    fn failures_are_named_with_their_share() {
        let mut failing = decision(Reason::Errors, 1.0, 0.0004);
        (failing.terms.errors, failing.was.errors) = (0.98, 0.0);
        assert_eq!(said(&failing), "b: 1.00 -> under 0.001 of a fair share, because its requests fail: 98 % (was 0 %)");
    }

    #[test]
    fn silence_says_since_when_and_whether_there_are_answers() {
        let (period, source) = (Span::from_millis(500), Source::Poll);
        let heard = Heard { report: Report::default(), age: Span::from_millis(1_800), period, source };
        let seen = Seen { report: Some(heard), ..Seen::default() };
        let unheard = Decision { seen, ..decision(Reason::Unheard, 1.0, 0.5) };
        assert_eq!(
            said(&unheard),
            "b: 1.00 -> 0.50 of a fair share, because its reports are missing (one is due every 500ms, the newest is \
             1.8 s old), though it still answers well: own measurements must do"
        );
        let silent = Decision { seen, ..decision(Reason::Silent, 1.0, 0.0) };
        assert!(said(&silent).ends_with("1.8 s old) and no good answers come from it"), "{}", said(&silent));
    }

    #[test]
    fn beginnings_and_ends_are_told_as_such() {
        assert_eq!(
            said(&decision(Reason::Started, 0.0, 1.0)),
            "b starts with 1.00 of a fair share, because the pool starts"
        );
        assert_eq!(said(&decision(Reason::Left, 0.9, 0.0)), "b left the pool; it had 0.90 of a fair share");
        let ramp = Guarded { guard: Guard::SlowStart, from: 1.0, to: 0.1 };
        let joined = Decision { raw: 1.0, guards: vec![ramp], ..decision(Reason::Joined, 0.0, 0.1) };
        assert_eq!(
            said(&joined),
            "b joins with 0.10 of a fair share; capacity alone said 1.00, slow start made it 0.10"
        );
    }

    #[test]
    fn an_operators_word_needs_no_excuse_of_guards() {
        let pin = Guarded { guard: Guard::Pin, from: 1.0, to: 0.5 };
        let pinned = Decision { raw: 1.0, guards: vec![pin], ..decision(Reason::Pinned, 1.0, 0.5) };
        assert_eq!(said(&pinned), "b: 1.00 -> 0.50 of a fair share, because an operator pinned it");
    }

    #[test]
    fn a_worker_that_stays_says_so() {
        assert_eq!(
            said(&decision(Reason::Frozen, 0.8, 0.8)),
            "b stays at 0.80 of a fair share, because all weights of the pool are frozen"
        );
    }

    #[test]
    fn each_guard_says_what_it_made_of_the_weight_in_the_order_in_which_they_acted() {
        let act = |guard, to| Guarded { guard, from: 1.0, to };
        let guards = vec![act(Guard::Smoothing, 0.7), act(Guard::Slew, 0.8), act(Guard::Cap, 0.5)];
        let held = Decision { raw: 0.01, guards, ..decision(Reason::Worse, 1.0, 0.5) };
        let wanted = "capacity alone said 0.010, smoothing made it 0.70, the slew limit 0.80, the cap 0.50";
        assert!(said(&held).ends_with(wanted), "{}", said(&held));
    }
}
