//! The last quarter of an hour of one worker, second by second: what the dashboard draws.
//!
//! Fixed memory: 900 points of 24 bytes. A process keeps at most `MOST_SERIES` of them; a pool with more workers
//! shows the first of them, and says so.

use std::collections::VecDeque;

use serde::Serialize;

/// Seconds kept. Source: ours, an incident's beginning is still on the page when somebody looks.
pub(crate) const SECONDS: usize = 900;
/// Series kept by one process: 22 MB.
pub(crate) const MOST_SERIES: usize = 1_000;

/// One second of one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Point {
    /// Second since the process's start.
    pub second: u32,
    /// Weight in force, in fair shares.
    pub weight: f32,
    /// Median latency in milliseconds; `null` when nothing was answered.
    pub p50_ms: Option<f32>,
    /// 99th percentile of latency in milliseconds.
    pub p99_ms: Option<f32>,
    /// Answers a second.
    pub rate: f32,
    /// Requests in flight.
    pub in_flight: u32,
    /// Share of failures.
    pub errors: f32,
}

/// The last [`SECONDS`] points.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(VecDeque<Point>);

impl Series {
    pub(crate) fn push(&mut self, point: Point) {
        if self.0.len() == SECONDS {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    /// The points after `second`, oldest first.
    pub(crate) fn since(&self, second: u32) -> impl Iterator<Item = &Point> {
        let from = self.0.partition_point(|point| point.second <= second);
        self.0.range(from..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_quarter_of_an_hour_is_kept() {
        let mut series = Series::default();
        (0..2_000).for_each(|second| series.push(Point { second, ..Point::default() }));
        assert_eq!(series.since(0).count(), SECONDS);
        assert_eq!(series.since(1_997).map(|point| point.second).collect::<Vec<_>>(), [1_998, 1_999]);
    }
}
