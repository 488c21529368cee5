//! The herd index: whether several gateways send to the same worker at the same time.
//!
//! For each worker, what each gateway gave it in a bin, less what that gateway gives it on average; then
//! `var(sum over gateways) / sum of the variances` is 1 when gateways choose independently and G when all G choose as
//! one. The index is that, as a mean correlation: `(ratio - 1) / (G - 1)`, from 0 (independent) to 1 (one herd); less
//! than 0 when they avoid each other.

use ambidex_core::time::Span;

/// What each gateway sent to each worker, by bins of [`STEP`].
#[derive(Debug)]
pub(super) struct Herd {
    gateways: usize,
    workers: usize,
    sent: Vec<u32>,
}

impl Herd {
    /// Room for a run; none for one gateway.
    pub(super) fn over(duration: Span, gateways: usize, workers: usize) -> Self {
        let bins = usize::try_from(duration.as_nanos().div_ceil(STEP.as_nanos())).unwrap_or(0);
        let sent = if gateways > 1 { vec![0; bins * gateways * workers] } else { Vec::new() };
        Self { gateways, workers, sent }
    }

    pub(super) fn count(&mut self, elapsed: Span, gateway: usize, worker: usize) {
        let bin = usize::try_from(elapsed.as_nanos() / STEP.as_nanos()).unwrap_or(usize::MAX);
        let cell = bin.checked_mul(self.gateways * self.workers).map(|row| row + gateway * self.workers + worker);
        if let Some(count) = cell.and_then(|cell| self.sent.get_mut(cell)) {
            *count += 1;
        }
    }

    /// The index; `None` with one gateway, or when nothing varies.
    pub(super) fn index(&self) -> Option<f64> {
        let row = self.gateways * self.workers;
        if self.gateways < 2 || row == 0 {
            return None;
        }
        let (mut together, mut apart) = (0.0, 0.0);
        for worker in 0..self.workers {
            let of = |gateway: usize| {
                self.sent.chunks_exact(row).map(move |bin| f64::from(bin[gateway * self.workers + worker]))
            };
            apart += (0..self.gateways).map(|gateway| variance(of(gateway))).sum::<f64>();
            let all = |bin: &[u32]| {
                (0..self.gateways).map(|gateway| f64::from(bin[gateway * self.workers + worker])).sum::<f64>()
            };
            together += variance(self.sent.chunks_exact(row).map(all));
        }
        (apart > 0.0).then(|| (together / apart - 1.0) / (self.gateways - 1) as f64)
    }
}

fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let off = value - mean;
        mean += off / count;
        squares += off * (value - mean);
    }
    if count > 0.0 { squares / count } else { 0.0 }
}

/// Source: ours; the interval of heartbeats (balancing.md, "Reports"), at which herds turn.
const STEP: Span = Span::from_millis(500);

#[cfg(test)]
mod tests {
    use ambidex_core::draw::Draw;

    use super::*;

    /// Four gateways and ten workers; each bin every gateway sends 20 requests to the worker that `choose` names.
    fn herd(mut choose: impl FnMut(usize, usize) -> usize) -> f64 {
        let mut herd = Herd::over(Span::from_secs(200), 4, 10);
        for bin in 0..400 {
            for gateway in 0..4 {
                let worker = choose(bin, gateway);
                for _ in 0..20 {
                    herd.count(STEP.times(bin as u64), gateway, worker);
                }
            }
        }
        herd.index().expect("several gateways")
    }

    #[test]
    fn gateways_that_choose_as_one_are_a_herd_and_others_are_none() {
        assert!((herd(|bin, _| bin % 10) - 1.0).abs() < 1e-9);
        let mut draw = Draw::seeded(4);
        let apart = herd(|_, _| draw.below(10));
        assert!(apart.abs() < 0.05, "{apart}");
        let turns = herd(|bin, gateway| (bin + gateway * 2) % 10);
        assert!(turns < -0.05, "{turns}: they avoid each other");
    }

    #[test]
    fn one_gateway_is_no_herd() {
        let mut herd = Herd::over(Span::from_secs(10), 1, 3);
        herd.count(Span::ZERO, 0, 0);
        assert_eq!(herd.index(), None);
    }
}
