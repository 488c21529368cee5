//! What was learned of one worker, as a row of figures on its way to the next planner.
//!
//! Times are in seconds, what is not known is no number, and what is the same as the figure that it is made of says only
//! that ([`SAME`]): the rate of the terms is mostly the averaged one, the estimated capacity the rule's estimate. Whatever
//! comes back is checked: a worker whose figures are none is taken for one of whom nothing is known.

use super::sound;
use crate::plan::average::Average;
use crate::plan::guards::errors::Errors;
use crate::plan::guards::hysteresis::Hysteresis;
use crate::plan::member::Member;
use crate::plan::rates::Rates;
use crate::plan::terms::{Gauge, Terms};
use crate::time::Span;

/// Figures of one worker. New ones come at the end.
pub(super) const FIGURES: usize = 35;

/// One worker's.
pub(super) type Figures = [f32; FIGURES];

/// What was learned of one worker.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Learned {
    terms: Terms,
    average: Average,
    rates: Rates,
    errors: Errors,
    borne: f64,
    hysteresis: Hysteresis,
    raw: f64,
    wish: Option<f64>,
    found: Option<f64>,
}

impl Learned {
    pub(super) fn of(member: &Member) -> Self {
        let Member { terms, average, errors, borne, hysteresis, raw, wish, found, .. } = *member;
        Self { terms, average, rates: member.rates.summed(), errors, borne, hysteresis, raw, wish, found }
    }

    pub(super) fn give(self, member: &mut Member) {
        let Self { terms, average, rates, errors, borne, hysteresis, raw, wish, found } = self;
        (member.terms, member.average, member.rates) = (terms, average, rates);
        (member.errors, member.borne, member.hysteresis) = (errors, borne, hysteresis);
        (member.raw, member.wish, member.found) = (raw, wish, found);
    }

    pub(super) fn figures(&self) -> Figures {
        let mut pen = Pen::default();
        self.average.write(&mut pen);
        self.errors.write(&mut pen);
        self.rates.write(&mut pen);
        let Terms { measured, rate, utilization, gauge, errors, load, limit, queue, .. } = self.terms;
        pen.put(kind(measured, gauge));
        pen.put_beside(rate, self.average.rate);
        pen.put_beside(utilization, self.average.utilization);
        pen.put(errors);
        [load, limit, queue].into_iter().for_each(|value| pen.put_if(value));
        [self.terms.latency, self.terms.p99].into_iter().for_each(|span| pen.put_if(span.map(Span::as_secs_f64)));
        pen.put_if(self.terms.estimate);
        pen.put_beside(self.terms.capacity, self.terms.estimate.unwrap_or(f64::NAN));
        pen.put(self.borne);
        pen.put(f64::from(self.hysteresis.wanted()));
        pen.put(self.raw);
        [self.wish, self.found].into_iter().for_each(|value| pen.put_if(value));
        pen.figures
    }

    /// From figures that somebody wrote; `None` where a worker cannot have them.
    pub(super) fn read(figures: &Figures) -> Option<Self> {
        let mut eye = Eye { figures, at: 0 };
        let (average, errors) = (Average::read(&mut eye), Errors::read(&mut eye));
        let rates = Rates::read(&mut eye);
        let (measured, gauge) = kind_of(eye.next())?;
        let (rate, utilization) = (eye.beside(Some(average.rate)), eye.beside(Some(average.utilization)));
        let failing = eye.next();
        let [load, limit, queue] = core::array::from_fn(|_| eye.next_if());
        let [latency, p99] = core::array::from_fn(|_| eye.next_if().map(Span::from_secs_f64));
        let estimate = eye.next_if();
        let capacity = eye.beside(estimate);
        let terms = Terms {
            measured,
            rate,
            utilization,
            gauge,
            errors: failing,
            load,
            limit,
            queue,
            latency,
            p99,
            capacity,
            estimate,
        };
        let borne = eye.next();
        let hysteresis = Hysteresis::after(count(eye.next()));
        let raw = eye.next();
        let [wish, found] = core::array::from_fn(|_| eye.next_if());
        let learned = Self { terms, average, rates, errors, borne, hysteresis, raw, wish, found };
        learned.is_sound().then_some(learned)
    }

    fn is_sound(&self) -> bool {
        let Terms { rate, utilization, load, limit, queue, capacity, estimate, errors, .. } = self.terms;
        let some = [rate, utilization, load, limit, queue, capacity, estimate, self.wish, self.found];
        let all = [errors, self.borne, self.raw];
        let of_failures = self.errors.is_sound() && self.rates.is_sound();
        self.average.is_sound()
            && of_failures
            && some.into_iter().flatten().chain(all).all(|value| sound(value).is_some())
    }
}

/// Writes figures, one after the other.
pub(in crate::plan) struct Pen {
    figures: Figures,
    at: usize,
}

impl Default for Pen {
    fn default() -> Self {
        Self { figures: [f32::NAN; FIGURES], at: 0 }
    }
}

impl Pen {
    /// A figure.
    #[expect(clippy::cast_possible_truncation, reason = "24 bits are what is handed over")]
    pub(in crate::plan) fn put(&mut self, value: f64) {
        if let Some(figure) = self.figures.get_mut(self.at) {
            *figure = value as f32;
        }
        self.at += 1;
    }

    /// One that may not be known.
    pub(in crate::plan) fn put_if(&mut self, value: Option<f64>) {
        self.put(value.unwrap_or(f64::NAN));
    }

    /// One that is mostly the same as this one.
    fn put_beside(&mut self, value: Option<f64>, other: f64) {
        let same = value.is_some_and(|value| value.to_bits() == other.to_bits());
        if same { self.put(SAME) } else { self.put_if(value) }
    }
}

/// Reads them in the same order.
pub(in crate::plan) struct Eye<'a> {
    figures: &'a Figures,
    at: usize,
}

impl Eye<'_> {
    /// A figure; no number where it is none.
    pub(in crate::plan) fn next(&mut self) -> f64 {
        let figure = self.figures.get(self.at).copied().unwrap_or(f32::NAN);
        self.at += 1;
        f64::from(figure)
    }

    /// One that may not be known.
    pub(in crate::plan) fn next_if(&mut self) -> Option<f64> {
        Some(self.next()).filter(|value| !value.is_nan())
    }

    fn beside(&mut self, other: Option<f64>) -> Option<f64> {
        let value = self.next_if()?;
        if value < 0.0 { other } else { Some(value) }
    }
}

/// A number of times, as far as it is one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and sends no number to zero"
)]
pub(in crate::plan) fn count(value: f64) -> u32 {
    value as u32
}

/// Whether it was measured, and what its utilization comes from.
fn kind(measured: bool, gauge: Option<Gauge>) -> f64 {
    let gauge = match gauge {
        None => 0.0,
        Some(Gauge::Application) => 2.0,
        Some(Gauge::Slots) => 4.0,
        Some(Gauge::Processor) => 6.0,
    };
    gauge + f64::from(u8::from(measured))
}

fn kind_of(value: f64) -> Option<(bool, Option<Gauge>)> {
    let number = if value >= 0.0 { count(value) } else { return None };
    let gauge = match number / 2 {
        0 => None,
        1 => Some(Gauge::Application),
        2 => Some(Gauge::Slots),
        3 => Some(Gauge::Processor),
        _ => return None,
    };
    Some((number % 2 == 1, gauge))
}

/// Stands for the figure that this one is made of: nothing that is handed over is negative.
const SAME: f64 = -1.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::guards::slow_start::SlowStart;
    use crate::plan::seen::Seen;
    use crate::worker::WorkerId;

    #[test]
    fn figures_are_read_as_they_were_written_and_there_is_a_place_for_each() {
        let terms = Terms {
            measured: true,
            rate: Some(50.0),
            utilization: Some(0.5),
            gauge: Some(Gauge::Slots),
            load: Some(3.0),
            latency: Some(Span::from_millis(250)),
            capacity: Some(100.0),
            estimate: Some(100.0),
            ..Terms::default()
        };
        let learned = Learned {
            terms,
            average: Average::default(),
            rates: Rates::default(),
            errors: Errors::default(),
            borne: 0.25,
            hysteresis: Hysteresis::after(1),
            raw: 1.5,
            wish: Some(0.75),
            found: None,
        };
        assert_eq!(Learned::read(&learned.figures()), Some(learned.clone()));
        let mut pen = Pen::default();
        learned.average.write(&mut pen);
        learned.errors.write(&mut pen);
        learned.rates.write(&mut pen);
        // The terms have eleven, what follows five.
        assert_eq!(pen.at + 16, FIGURES);
        assert!(!learned.figures()[FIGURES - 2].is_nan(), "the last but one is the wish");
    }

    #[test]
    fn figures_that_no_worker_can_have_are_none() {
        let member = Member::new(WorkerId(1), Seen::default(), SlowStart::Whole);
        let figures = Learned::of(&member).figures();
        assert!(Learned::read(&figures).is_some());
        for at in 0..FIGURES {
            let bad = |value: f32| {
                let mut figures = figures;
                figures[at] = value;
                Learned::read(&figures)
            };
            for value in [f32::INFINITY, f32::NEG_INFINITY, -5.0, f32::NAN] {
                // Whatever comes is either refused or sound.
                assert!(bad(value).is_none_or(|learned| learned.is_sound()), "figure {at}: {value}");
            }
        }
        assert_eq!(Learned::read(&[f32::NAN; FIGURES]), None);
    }
}
