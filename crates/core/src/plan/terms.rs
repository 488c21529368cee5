//! What the rules read: one worker's signals, cleaned and averaged over the tick's window.
//!
//! Own measurements come before what the worker says of itself, where both exist [reliability row 2]; utilization,
//! which only the worker can know, is taken from the application's own figure, else from requests in flight over
//! their limit, else from the processor.

use serde::{Deserialize, Serialize};

use super::config::{Settings, Window};
use super::seen::Seen;
use crate::time::Span;

/// One worker's signals as the rules see them. The decision record prints them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
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

impl Terms {
    /// Takes one tick's signals in. `fresh` says whether the report may still be used; `stretch` multiplies the time
    /// constant (the oscillation guard's answer).
    pub(super) fn take(&mut self, seen: &Seen, fresh: bool, step: Span, settings: &Settings, stretch: f64) {
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
        let own_load = passive.map(|own| (sound(own.rate) * own.mean.as_secs_f64()).max(0.0));
        let load = report.in_flight.map(f64::from).or(own_load);
        self.load = load.or(self.load);
        let rate = passive.map(|own| sound(own.rate)).or(report.rate.map(sound));
        // A count taken as an answer leaves may hold that very request, and one of a queue says more than full: the
        // smaller of the worker's count and our average is the better gauge of its slots.
        let slots = report.in_flight.map(f64::from).zip(own_load).map(|(told, own)| told.min(own)).or(load);
        let gauged = gauge(report.utilization, slots, limit, report.cpu);
        // Rate and utilization are averaged alike and only together: their quotient is what counts, and a rate that
        // fades beside a utilization that stands still would be a capacity that falls.
        let (Some(rate), Some((gauge, utilization))) = (rate, gauged) else {
            if let Some(rate) = rate.filter(|_| self.gauge.is_none()) {
                self.rate = Some(rate);
            }
            return;
        };
        if rate <= 0.0 {
            return;
        }
        let keep = match settings.window {
            Window::Time => {
                let least = settings.time_constant.as_secs_f64();
                // A utilization that comes every five seconds must not be set against the rate of the last two.
                let period = seen.report.map_or(0.0, |heard| heard.period.as_secs_f64());
                let wanted = (ENOUGH_FOR_RATE / rate).max(period).min(least * MOST_STRETCH_FOR_RATE).max(least);
                libm::exp(-step.as_secs_f64() / (wanted * stretch))
            }
            Window::Reports(count) => 1.0 - 2.0 / (f64::from(count) * stretch + 1.0),
        };
        let same = self.gauge == Some(gauge);
        self.gauge = Some(gauge);
        self.rate = Some(mix(self.rate.filter(|_| same), rate, keep));
        self.utilization = Some(mix(self.utilization.filter(|_| same), utilization.min(MOST_UTILIZATION), keep));
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

/// The exponential average; the first value counts in full.
fn mix(old: Option<f64>, new: f64, keep: f64) -> f64 {
    old.map_or(new, |old| old * keep + new * (1.0 - keep))
}

/// A value that arithmetic can stand: not negative, finite, not beyond anything real.
fn sound(value: f64) -> f64 {
    if value.is_finite() { value.clamp(0.0, MOST_VALUE) } else { 0.0 }
}

/// Samples under which a tick's own 99th percentile is little more than its slowest request; source: ours.
const ENOUGH_FOR_P99: u64 = 100;
/// Requests that a rate should be averaged over; source: ours, an error of about a fifth.
const ENOUGH_FOR_RATE: f64 = 20.0;
/// How many time constants the window may grow to, for low rates and long periods: 10 s at the default; source: R-S9.
const MOST_STRETCH_FOR_RATE: f64 = 5.0;
/// Over 1 a queue grows, and by how much says more of the queue than of the worker; a little is kept, so that an
/// overloaded worker is given less than it serves and its queue drains. Source: closed-loop tests.
const MOST_UTILIZATION: f64 = 1.25;
/// Nothing real is larger; keeps every product finite.
const MOST_VALUE: f64 = 1e9;
