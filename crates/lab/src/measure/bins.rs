//! A run in bins of time: what ended how, where, and how fast, by the moment at which requests were due.

use ambidex_core::time::Span;
use hdrhistogram::Histogram;

use super::latency::micros;

/// Counts of each bin. Rows are bins; `by_worker` has a column for each worker.
#[derive(Debug)]
pub(super) struct Bins {
    pub(super) width: Span,
    workers: usize,
    pub(super) ok: Vec<u32>,
    pub(super) failed: Vec<u32>,
    /// Answered well and in time.
    pub(super) good: Vec<u32>,
    latency: Vec<Histogram<u32>>,
    by_worker: Vec<u32>,
}

impl Bins {
    /// Bins of [`FINEST`], or as many times as wide as a long run needs.
    pub(super) fn over(duration: Span, workers: usize) -> Self {
        let finest = duration.as_nanos().div_ceil(FINEST.as_nanos()).max(1);
        let width = FINEST.times(finest.div_ceil(MOST));
        let count = usize::try_from(duration.as_nanos().div_ceil(width.as_nanos())).unwrap_or(1).max(1);
        Self {
            width,
            workers,
            ok: vec![0; count],
            failed: vec![0; count],
            good: vec![0; count],
            latency: vec![micros(1); count],
            by_worker: vec![0; count * workers],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ok.len()
    }

    /// The bin that holds this moment of the run, the last one at most.
    pub(super) fn at(&self, elapsed: Span) -> usize {
        let bin = usize::try_from(elapsed.as_nanos() / self.width.as_nanos()).unwrap_or(usize::MAX);
        bin.min(self.len() - 1)
    }

    /// How many bins so long a time is; one at least.
    pub(super) fn within(&self, span: Span) -> usize {
        usize::try_from(span.as_nanos().div_ceil(self.width.as_nanos())).unwrap_or(usize::MAX).max(1)
    }

    pub(super) fn count(&mut self, bin: usize, worker: Option<usize>, well: Option<u64>, in_time: bool) {
        match well {
            Some(micros_taken) => {
                self.ok[bin] += 1;
                self.good[bin] += u32::from(in_time);
                self.latency[bin].saturating_record(micros_taken);
            }
            None => self.failed[bin] += 1,
        }
        if let Some(worker) = worker {
            self.by_worker[bin * self.workers + worker] += 1;
        }
    }

    /// Requests that each worker answered in one bin.
    pub(super) fn row(&self, bin: usize) -> &[u32] {
        &self.by_worker[bin * self.workers..(bin + 1) * self.workers]
    }

    /// Requests that each worker answered in these bins.
    pub(super) fn sum(&self, bins: std::ops::Range<usize>) -> Vec<f64> {
        let mut sum = vec![0.0; self.workers];
        for bin in bins {
            for (sum, count) in sum.iter_mut().zip(self.row(bin)) {
                *sum += f64::from(*count);
            }
        }
        sum
    }

    /// The latencies of all bins, so many together.
    pub(super) fn latencies(&self, together: usize) -> Vec<Histogram<u32>> {
        let merged = self.latency.chunks(together.max(1)).map(|bins| {
            let mut all = micros(1);
            for bin in bins {
                // All have the same bounds.
                let _ = all.add(bin);
            }
            all
        });
        merged.collect()
    }
}

/// The finest bin. Source: balancing.md's metrics are of seconds; a tenth tells the moment well enough.
const FINEST: Span = Span::from_millis(100);
/// The most bins. Source: ours; ten minutes of tenths, about 10 MB.
const MOST: u64 = 6_000;
