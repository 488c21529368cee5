//! Percentiles of latencies, in milliseconds.

use hdrhistogram::{Counter, Histogram};
use serde::{Deserialize, Serialize};

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many there are.
    pub count: u64,
    /// Mean.
    pub mean_ms: f64,
    /// Median.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// 99.9th percentile.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Latency {
    /// The percentiles of a histogram of microseconds.
    #[must_use]
    pub fn of<C: Counter>(histogram: &Histogram<C>) -> Self {
        let millis = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            count: histogram.len(),
            mean_ms: histogram.mean() / 1e3,
            p50_ms: millis(0.5),
            p90_ms: millis(0.9),
            p95_ms: millis(0.95),
            p99_ms: millis(0.99),
            p999_ms: millis(0.999),
            max_ms: histogram.max() as f64 / 1e3,
        }
    }
}

/// An empty histogram from 1 us to 2 min that keeps this many digits.
pub(crate) fn micros<C: Counter>(digits: u8) -> Histogram<C> {
    Histogram::new_with_bounds(1, 120_000_000, digits).expect("1 us to 120 s in up to 3 digits is a valid range")
}
