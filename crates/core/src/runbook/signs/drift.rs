//! Lateral drift [R-F5]: a path gets another part of the requests than it is meant to get.
//!
//! ```text
//! actual     tries sent to the path's workers, over all tries, in the last 15 s
//! intended   what the weights in force give it, over the same time
//! signs      for the path that is furthest off: 8 points or more, and a fifth of what it is to get or more
//! ```
//! Only among workers that are well: what a worker that fails or is slow beside its own peers loses is another mode's
//! business. With learned weights the slow loop follows what the fast loop finds; where the two stay apart, or the
//! weights are fixed on purpose, somebody should know.

use alloc::vec::Vec;

use super::Signs;
use crate::runbook::finding::Evidence;
use crate::runbook::past::Past;
use crate::share::Share;
use crate::worker::WorkerId;

#[derive(Clone, Debug, Default)]
pub(super) struct Drift {
    /// Sorted by number.
    paths: Vec<Path>,
}

#[derive(Clone, Copy, Debug)]
struct Path {
    number: u32,
    started: f64,
    intended: f64,
}

impl Drift {
    /// What shows now; `slow` are workers that are slow beside the others.
    pub(super) fn signs(&mut self, past: &Past, slow: &[WorkerId]) -> Option<Signs> {
        let kept = libm::exp(-past.step.as_secs_f64() / OVER);
        for path in &mut self.paths {
            path.started *= kept;
            path.intended *= kept;
        }
        let well = || past.serving().filter(|worker| !worker.fails() && !slow.contains(&worker.tick.id));
        let started: u64 = well().map(|worker| worker.tick.counted.started).sum();
        let intended: f64 = well().map(|worker| worker.tick.intended.get()).sum();
        if started > 0 && intended > 0.0 {
            for worker in well() {
                // Of each tick's tries the part that the path was to get: so both are sums of tries.
                let part = worker.tick.intended.get() / intended * started as f64;
                if let Some(path) = self.path(worker.tick.path) {
                    path.started += worker.tick.counted.started as f64;
                    path.intended += part;
                }
            }
        }
        self.paths.retain(|path| path.started + path.intended > FORGOTTEN);
        self.furthest()
    }

    fn path(&mut self, number: u32) -> Option<&mut Path> {
        let at = match self.paths.binary_search_by_key(&number, |path| path.number) {
            Ok(at) => at,
            Err(_) if self.paths.len() >= MOST_PATHS => return None,
            Err(at) => {
                self.paths.insert(at, Path { number, started: 0.0, intended: 0.0 });
                at
            }
        };
        Some(&mut self.paths[at])
    }

    fn furthest(&self) -> Option<Signs> {
        let total: f64 = self.paths.iter().map(|path| path.started).sum();
        let meant: f64 = self.paths.iter().map(|path| path.intended).sum();
        if self.paths.len() < 2 || total < LEAST_TRIES || meant <= 0.0 {
            return None;
        }
        let shares = self.paths.iter().map(|path| (path.number, path.started / total, path.intended / meant));
        let (path, actual, intended) = shares.max_by(|a, b| (a.1 - a.2).abs().total_cmp(&(b.1 - b.2).abs()))?;
        let off = (actual - intended).abs();
        (off >= LEAST_OFF && off >= LEAST_PART * intended).then(|| {
            let (actual, intended) = (Share::clamped(actual), Share::clamped(intended));
            Signs::of_pool(Evidence::LateralDrift { path, intended, actual })
        })
    }
}

/// Time constant in seconds. Source: ours; three of what is recent, because paths are small and drift is slow.
const OVER: f64 = 15.0;
/// Source: ours; 5 points is what the lab allows between simulator and gateway.
const LEAST_OFF: f64 = 0.08;
const LEAST_PART: f64 = 0.2;
/// Source: ours; the deviation of a share of 200 tries is at most 3.5 points.
const LEAST_TRIES: f64 = 200.0;
/// Paths that are told apart. Source: ours, zones of one pool; the rest is not watched.
const MOST_PATHS: usize = 64;
const FORGOTTEN: f64 = 1e-3;
