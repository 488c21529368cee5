//! What the rules read: one worker's signals, cleaned and averaged over the tick's window.
//!
//! Own measurements come before what the worker says of itself, where both exist [reliability row 2]; utilization,
//! which only the worker can know, is taken from the application's own figure, else from requests in flight over
//! their limit, else from the processor.

use serde::{Deserialize, Serialize};

use super::average::{Average, Sample};
use super::config::{Settings, Window};
use super::seen::{Seen, Source};
use crate::time::Span;

/// One worker's signals as the rules see them. The decision record prints them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Whether we measured it ourselves; from then on its own word on its rate and load counts no more.
    pub measured: bool,
    /// Requests a second, averaged.
    pub rate: Option<f64>,
    /// Utilization, averaged; 1 is full.
    pub utilization: Option<f64>,
    /// Where the utilization comes from.
    pub gauge: Option<Gauge>,
    /// Share of requests that failed, 0 to 1: the worse of this tick and the last ten seconds.
    pub errors: f64,
    /// Requests in flight.
    pub load: Option<f64>,
    /// Requests at once that the worker can serve.
    pub limit: Option<f64>,
    /// Requests waiting at the worker.
    pub queue: Option<f64>,
    /// Mean latency.
    pub latency: Option<Span>,
    /// 99th percentile of latency.
    pub p99: Option<Span>,
    /// Estimated capacity, in the unit in which the rule reckons it (requests a second, or requests at once).
    pub capacity: Option<f64>,
    /// What the rule made of it, in the rule's own unit (`capacity`: requests a second at full utilization).
    pub estimate: Option<f64>,
}

/// Where a utilization comes from, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gauge {
    /// The application's own figure.
    Application,
    /// Requests in flight over the limit.
    Slots,
    /// The processor.
    Processor,
}

/// How one tick's signals are taken in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intake {
    /// Whether the report may still be used.
    pub(super) fresh: bool,
    /// The length of the tick.
    pub(super) step: Span,
    /// Our own mean rate over the window that polled figures are means over.
    pub(super) windowed: Option<f64>,
    /// Multiplies the time constant: the oscillation guard's answer.
    pub(super) stretch: f64,
}

impl Terms {
    /// Takes one tick's signals in.
    pub(super) fn take(&mut self, average: &mut Average, seen: &Seen, intake: &Intake, settings: &Settings) {
        let Intake { fresh, step, windowed, stretch } = *intake;
        let report = seen.report.filter(|_| fresh).map(|heard| heard.report).unwrap_or_default();
        let passive = seen.passive.filter(|passive| passive.samples > 0 || passive.in_flight > 0);
        let limit = seen.declared_limit.or(report.limit).filter(|limit| *limit > 0).map(f64::from);
        self.limit = limit.or(self.limit);
        let mean = passive.filter(|passive| passive.samples > 0).map(|passive| passive.mean);
        self.latency = mean.or(report.mean).or(report.p50).or(self.latency);
        let own_p99 = passive.filter(|passive| passive.samples > 0).map(|passive| passive.p99);
        let sure_p99 = passive.filter(|passive| passive.samples >= ENOUGH_FOR_P99).map(|passive| passive.p99);
        self.p99 = sure_p99.or(report.p99).or(own_p99).or(self.p99);
        self.queue = report.queue.map(f64::from).or(self.queue);
        // Little's law gives the average over the tick, where a count taken at its end would be one sample.
        // Where none ended in the tick, and there is a rate, its answers are counted elsewhere and on their way: they take
        // what the last ones took.
        let own_load = passive.map(|own| {
            let took = if own.samples > 0 { own.mean } else { self.latency.unwrap_or_default() };
            (sound(own.rate) * took.as_secs_f64()).max(0.0)
        });
        self.measured |= passive.is_some();
        let believed = !self.measured;
        let load = own_load.or(report.in_flight.filter(|_| believed).map(f64::from));
        self.load = load.or(self.load);
        let rate = passive.map(|own| sound(own.rate)).or(report.rate.filter(|_| believed).map(sound));
        // A count taken as an answer leaves may hold that very request, and one of a queue says more than full: the
        // smaller of the worker's count and our average is the better gauge of its slots.
        let slots = report.in_flight.map(f64::from).zip(own_load).map(|(told, own)| told.min(own)).or(load);
        let gauged = gauge(report.utilization, slots, limit, report.cpu);
        // Rate and utilization are averaged alike and only together: their quotient is what counts, and a rate that
        // fades beside a utilization that stands still would be a capacity that falls.
        let (Some(mut rate), Some((gauge, utilization))) = (rate, gauged) else {
            if let Some(rate) = rate.filter(|_| self.gauge.is_none()) {
                self.rate = Some(rate);
            }
            return;
        };
        let polled = seen.report.filter(|heard| heard.source == Source::Poll && gauge != Gauge::Slots);
        if let Some(heard) = polled {
            // A polled figure is a mean over a window that ended when it came: it belongs to the mean rate of then.
            if heard.age >= step && self.gauge == Some(gauge) {
                return;
            }
            rate = windowed.filter(|_| self.measured).unwrap_or(rate);
        }
        if rate <= 0.0 {
            return;
        }
        // Polled figures are means already and come one a period, not one a tick.
        let seconds = polled.map_or(step, |heard| heard.period.max(step)).as_secs_f64();
        let keep = match settings.window {
            Window::Time => {
                let least = settings.time_constant.as_secs_f64();
                let wanted = (ENOUGH_FOR_RATE / rate).min(least * MOST_STRETCH_FOR_RATE).max(least);
                libm::exp(-seconds / (wanted * stretch))
            }
            Window::Reports(count) => {
                // A report is taken in once, in the tick in which it came; several may have come in one tick.
                let Some(heard) = seen.report.filter(|heard| heard.age <= step) else { return };
                let came = (step.as_secs_f64() / heard.period.as_secs_f64().max(1e-3)).max(1.0);
                libm::pow(1.0 - 2.0 / (f64::from(count) * stretch + 1.0), came)
            }
        };
        if self.gauge != Some(gauge) {
            *average = Average::default();
        }
        self.gauge = Some(gauge);
        // A loop that is damped takes jumps as slowly as the rest: they may be its own swing.
        #[expect(clippy::cast_possible_truncation, reason = "a small power of two")]
        let jump = (settings.window == Window::Time && polled.is_none()).then_some((JUMP_TICKS * stretch) as i32);
        let utilization = utilization.min(MOST_UTILIZATION);
        average.take(&Sample { rate, utilization, seconds, gain: 1.0 - keep, jump });
        (self.rate, self.utilization) = (Some(average.rate), Some(average.utilization));
    }
}

/// The first utilization that there is, and whose it is.
fn gauge(application: Option<f64>, in_use: Option<f64>, limit: Option<f64>, cpu: Option<f64>) -> Option<(Gauge, f64)> {
    let slots = in_use.zip(limit).map(|(in_use, limit)| in_use / limit);
    application
        .map(|said| (Gauge::Application, sound(said)))
        .or(slots.map(|slots| (Gauge::Slots, slots)))
        .or(cpu.map(|cpu| (Gauge::Processor, sound(cpu))))
}

/// A value that arithmetic can stand: not negative, finite, not beyond anything real.
pub(super) fn sound(value: f64) -> f64 {
    if value.is_finite() { value.clamp(0.0, MOST_VALUE) } else { 0.0 }
}

/// Samples under which a tick's own 99th percentile is little more than its slowest request; source: ours.
const ENOUGH_FOR_P99: u64 = 100;
/// Requests that a rate should be averaged over: of exponential work, an error of four in a hundred. Source: measured,
/// `ambidex lab simulate lab/scenarios/x6.yaml`: of ten workers none is off by a tenth then.
const ENOUGH_FOR_RATE: f64 = 700.0;
/// Ticks in a row that make a jump. Source: balancing.md "Hysteresis".
const JUMP_TICKS: f64 = 2.0;
/// How many time constants the window may grow to, at low rates: 10 s at the default; source: R-S9.
const MOST_STRETCH_FOR_RATE: f64 = 5.0;
/// Over 1 a queue grows, and by how much says more of the queue than of the worker; a little is kept, so that an
/// overloaded worker is given less than it serves and its queue drains. Source: closed-loop tests.
const MOST_UTILIZATION: f64 = 1.25;
/// Nothing real is larger; keeps every product finite.
const MOST_VALUE: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::seen::{Heard, Passive, Source};
    use crate::signal::Report;

    fn seen(report: Report, passive: Option<Passive>) -> Seen {
        let (age, period, source) = (Span::from_millis(100), Span::from_secs(1), Source::Poll);
        Seen { report: Some(Heard { report, age, period, source }), passive, ..Seen::default() }
    }

    fn after_one(seen: &Seen) -> Terms {
        let mut terms = Terms::default();
        terms.take(&mut Average::default(), seen, &intake(), &Settings::default());
        terms
    }

    fn intake() -> Intake {
        Intake { fresh: true, step: Span::from_secs(1), windowed: None, stretch: 1.0 }
    }

    #[test]
    fn utilization_is_the_applications_else_of_the_slots_else_the_processors() {
        let rate = Some(10.0);
        let full = Report {
            rate,
            utilization: Some(0.7),
            in_flight: Some(2),
            limit: Some(8),
            cpu: Some(0.5),
            ..Report::default()
        };
        let gauge = |report| {
            let terms = after_one(&seen(report, None));
            (terms.gauge, terms.utilization)
        };
        assert_eq!(gauge(full), (Some(Gauge::Application), Some(0.7)));
        assert_eq!(gauge(Report { utilization: None, ..full }), (Some(Gauge::Slots), Some(0.25)));
        assert_eq!(gauge(Report { utilization: None, limit: None, ..full }), (Some(Gauge::Processor), Some(0.5)));
        assert_eq!(gauge(Report { rate, ..Report::default() }), (None, None));
    }

    #[test]
    fn own_measurements_come_before_what_the_worker_says() {
        let report = Report { rate: Some(1e6), mean: Some(Span::from_micros(1)), ..Report::default() };
        let own = Passive { rate: 50.0, samples: 50, mean: Span::from_millis(20), ..Passive::default() };
        let terms = after_one(&seen(Report { utilization: Some(0.5), ..report }, Some(own)));
        assert_eq!((terms.rate, terms.latency), (Some(50.0), Some(Span::from_millis(20))));
    }

    #[test]
    fn a_worker_without_traffic_keeps_what_was_known_of_it() {
        let own = Passive { rate: 50.0, samples: 50, mean: Span::from_millis(20), ..Passive::default() };
        let report = Report { utilization: Some(0.5), ..Report::default() };
        let mut terms = after_one(&seen(report, Some(own)));
        let before = terms;
        terms.take(&mut Average::default(), &seen(report, None), &intake(), &Settings::default());
        assert_eq!(terms, before);
    }

    #[test]
    fn a_window_of_reports_takes_each_report_in_once() {
        let settings = Settings { window: Window::Reports(5), ..Settings::default() };
        let own = Passive { rate: 50.0, samples: 50, mean: Span::from_millis(20), ..Passive::default() };
        let (mut terms, mut average) = (Terms::default(), Average::default());
        let first = seen(Report { utilization: Some(0.5), ..Report::default() }, Some(own));
        terms.take(&mut average, &first, &intake(), &settings);
        let mut late = seen(Report { utilization: Some(1.0), ..Report::default() }, Some(own));
        terms.take(&mut average, &late, &intake(), &settings);
        let once = terms.utilization;
        late.report = late.report.map(|heard| Heard { age: Span::from_millis(1_100), ..heard });
        terms.take(&mut average, &late, &intake(), &settings);
        assert_eq!(terms.utilization, once);
        assert!(once.is_some_and(|value| (value - (0.5 + 0.5 / 3.0)).abs() < 1e-9), "{once:?}");
    }
}
