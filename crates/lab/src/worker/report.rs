//! What a worker says of itself: counted over a window, written in one of the forms that gateways read.

use std::collections::VecDeque;

use ambidex_core::share::Share;
use ambidex_core::signal::Report;
use ambidex_core::time::{Mono, Span};
use hdrhistogram::Histogram;
use http::{HeaderName, HeaderValue};

use super::style::ReportStyle;

/// The numbers of one report.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    pub(super) in_flight: usize,
    pub(super) queue: usize,
    pub(super) limit: u32,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) errors: f64,
    pub(super) utilization: f64,
    pub(super) rate: f64,
}

impl Numbers {
    /// The header of `style`, if it has one.
    pub(super) fn header(&self, style: ReportStyle) -> Option<(HeaderName, HeaderValue)> {
        let Self { in_flight, queue, limit, p50_ms, p99_ms, errors, utilization, rate } = self;
        let failures = errors * rate;
        let (name, text) = match style {
            ReportStyle::None | ReportStyle::Endpoint | ReportStyle::Heartbeat => return None,
            ReportStyle::ServerLoad => (
                "server-load",
                format!(
                    "in_flight={in_flight}, queue={queue}, p50_ms={p50_ms:.3}, p99_ms={p99_ms:.3}, err={errors:.3}, \
                     util={utilization:.3}, limit={limit}"
                ),
            ),
            ReportStyle::OrcaText => (
                "endpoint-load-metrics",
                format!(
                    "TEXT application_utilization={utilization:.3}, rps_fractional={rate:.1}, eps={failures:.2}, \
                     named_metrics.in_flight={in_flight}, named_metrics.queue={queue}, named_metrics.p50_ms={p50_ms:.3}, \
                     named_metrics.p99_ms={p99_ms:.3}, named_metrics.limit={limit}"
                ),
            ),
            ReportStyle::OrcaJson => (
                "endpoint-load-metrics",
                format!(
                    "JSON {{\"application_utilization\": {utilization:.3}, \"rps_fractional\": {rate:.1}, \
                     \"eps\": {failures:.2}, \"named_metrics\": {{\"in_flight\": {in_flight}, \"queue\": {queue}, \
                     \"p50_ms\": {p50_ms:.3}, \"p99_ms\": {p99_ms:.3}, \"limit\": {limit}}}}}"
                ),
            ),
        };
        Some((HeaderName::from_static(name), HeaderValue::from_str(&text).ok()?))
    }

    /// The report that a heartbeat carries.
    pub(super) fn report(&self) -> Report {
        let count = |count: usize| Some(u32::try_from(count).unwrap_or(u32::MAX));
        let millis = |millis: f64| Some(Span::from_secs_f64(millis / 1e3));
        Report {
            in_flight: count(self.in_flight),
            queue: count(self.queue),
            p50: millis(self.p50_ms),
            p99: millis(self.p99_ms),
            rate: Some(self.rate),
            errors: Some(Share::clamped(self.errors)),
            utilization: Some(self.utilization),
            limit: Some(self.limit),
            accepting: Some(true),
            ..Report::default()
        }
    }

    /// The answer of the JSON endpoint [R-S2].
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "current_load": self.in_flight,
            "queue_depth": self.queue,
            "average_latency_ms": self.p50_ms,
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
            "error_rate": self.errors,
            "utilization": self.utilization,
            "max_capacity": self.limit,
            "accepting": true,
        })
    }
}

/// What was reported and is not old enough yet, for a worker whose reports come late.
#[derive(Debug, Default)]
pub(super) struct Past {
    delay: Span,
    kept: VecDeque<(Mono, Numbers)>,
}

impl Past {
    pub(super) fn new(delay: Span) -> Self {
        Self { delay, kept: VecDeque::new() }
    }

    /// What was said the delay ago, where something was; `numbers` is said now.
    pub(super) fn say(&mut self, now: Mono, numbers: Numbers) -> Option<Numbers> {
        if self.delay == Span::ZERO {
            return Some(numbers);
        }
        if self.kept.back().is_none_or(|(at, _)| now.since(*at) >= FINEST) {
            self.kept.push_back((now, numbers));
        }
        let is_old = |at: Mono| now.since(at) >= self.delay;
        while self.kept.get(1).is_some_and(|(at, _)| is_old(*at)) {
            self.kept.pop_front();
        }
        self.kept.front().filter(|(at, _)| is_old(*at)).map(|(_, numbers)| *numbers)
    }
}

/// Latencies, failures and occupied slots over about one window: the half that fills and the half before it.
pub(super) struct Window {
    half: Span,
    turned: Mono,
    filling: Half,
    before: Half,
    /// The quantiles, read at most every tenth of a second: walking a histogram for each answer would be the load.
    cached: (Mono, f64, f64),
    busy_marks: [(Mono, f64); 2],
}

struct Half {
    latency: Histogram<u64>,
    failed: u64,
}

impl Window {
    pub(super) fn new(window: Span, start: Mono) -> Self {
        Self {
            half: Span::from_nanos((window.as_nanos() / 2).max(1)),
            turned: start,
            filling: Half::empty(),
            before: Half::empty(),
            cached: (start, 0.0, 0.0),
            busy_marks: [(start, 0.0); 2],
        }
    }

    pub(super) fn record(&mut self, now: Mono, latency: Span, failed: bool) {
        self.turn(now);
        self.filling.latency.saturating_record(latency.as_micros());
        self.filling.failed += u64::from(failed);
    }

    pub(super) fn read(&mut self, now: Mono, busy_slot_seconds: f64, slots: u32, numbers: &mut Numbers) {
        self.turn(now);
        if now.since(self.cached.0) >= Span::from_millis(100) || self.cached.1 <= 0.0 {
            let mut both = self.before.latency.clone();
            if both.add(&self.filling.latency).is_ok() {
                let millis = |quantile| both.value_at_quantile(quantile) as f64 / 1e3;
                self.cached = (now, millis(0.5), millis(0.99));
            }
        }
        (numbers.p50_ms, numbers.p99_ms) = (self.cached.1, self.cached.2);
        let count = self.before.latency.len() + self.filling.latency.len();
        numbers.errors = Share::of(self.before.failed + self.filling.failed, count).get();
        let seconds = (now.since(self.turned) + self.half).as_secs_f64();
        numbers.rate = count as f64 / seconds;
        if now.since(self.busy_marks[1].0) >= BUSY_HALF {
            self.busy_marks = [self.busy_marks[1], (now, busy_slot_seconds)];
        }
        let (from, busy_then) = self.busy_marks[0];
        let slot_seconds = now.since(from).as_secs_f64() * f64::from(slots);
        numbers.utilization = if slot_seconds > 0.0 { (busy_slot_seconds - busy_then) / slot_seconds } else { 0.0 };
    }

    fn turn(&mut self, now: Mono) {
        if now.since(self.turned) >= self.half {
            self.before = std::mem::replace(&mut self.filling, Half::empty());
            self.turned = now;
        }
    }
}

impl Half {
    fn empty() -> Self {
        let latency = Histogram::new_with_bounds(1, 60_000_000, 3).expect("1 us to 60 s in 3 digits is a valid range");
        Self { latency, failed: 0 }
    }
}

/// Reports that are kept are so far apart. Source: ours; a delay is not told more finely.
const FINEST: Span = Span::from_millis(1);
/// Half of the time over which utilization is taken.
const BUSY_HALF: Span = Span::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_says_how_many_requests_are_in_flight() {
        let numbers = Numbers { in_flight: 3, limit: 8, ..Numbers::default() };
        let header = |style| numbers.header(style).map(|(_, value)| value.to_str().expect("text").to_owned());
        assert!(header(ReportStyle::ServerLoad).expect("a header").starts_with("in_flight=3, queue=0"));
        assert!(header(ReportStyle::OrcaText).expect("a header").contains("named_metrics.in_flight=3"));
        let json = header(ReportStyle::OrcaJson).expect("a header");
        let json: serde_json::Value = serde_json::from_str(json.strip_prefix("JSON ").expect("marked")).expect("JSON");
        assert_eq!(json["named_metrics"]["in_flight"], 3);
        assert_eq!(header(ReportStyle::Endpoint), None);
    }

    #[test]
    fn late_reports_tell_of_the_time_before_the_delay() {
        let at = |millis: u64| Mono::from_nanos(millis * 1_000_000);
        let mut past = Past::new(Span::from_secs(2));
        let said = [0, 500, 2_000, 2_400, 2_600].map(|millis| {
            let now = Numbers { in_flight: usize::try_from(millis).unwrap_or(0), ..Numbers::default() };
            past.say(at(millis), now).map(|numbers| numbers.in_flight)
        });
        assert_eq!(said, [None, None, Some(0), Some(0), Some(500)]);
    }

    #[test]
    fn a_window_forgets_what_is_older_than_itself() {
        let second = |n: u64| Mono::from_nanos(n * 1_000_000_000);
        let mut window = Window::new(Span::from_secs(2), second(0));
        window.record(second(0), Span::from_millis(500), true);
        window.record(second(1), Span::from_millis(10), false);
        window.record(second(2), Span::from_millis(10), false);
        let mut numbers = Numbers::default();
        window.read(second(2), 0.0, 1, &mut numbers);
        assert!(numbers.p99_ms < 11.0 && numbers.errors < 0.01, "{numbers:?}");
    }
}
