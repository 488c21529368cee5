//! What each worker is to get, for proxies that take weights as whole numbers.

use ambidex_core::view::{PoolView, Weights};
use ambidex_core::worker::Standing;

/// By slot, in fair shares among those that get anything: 1 is an equal part, 0 is out (drained, unhealthy, in quarantine).
/// `None` when all are out: requests are better tried than refused, so what goes by the weights is left as it is.
pub(super) fn fair(pool: &PoolView) -> Option<Vec<f64>> {
    let serves = |slot: usize| pool.workers[slot].standing == Standing::Serving;
    let shares: Vec<f64> =
        (0..pool.workers.len()).map(|slot| if serves(slot) { pool.share(slot) } else { 0.0 }).collect();
    let (sum, serving) = (shares.iter().sum::<f64>(), shares.iter().filter(|share| **share > 0.0).count());
    (sum > 0.0).then(|| shares.into_iter().map(|share| share / sum * serving as f64).collect())
}

/// The share that the worker in a slot would get if requests had no zones: 0 for who is to get none whatever happens. What it gets of
/// all requests is 0, too, while none come from zones that it is asked by: that is no reason to take it out.
pub(super) fn anywhere(pool: &PoolView, slot: usize) -> f64 {
    let by_loop = pool.learned_share.get();
    let unzoned = by_loop * part(&pool.learned, slot) + (1.0 - by_loop) * part(&pool.fixed, slot);
    pool.share(slot).max(unzoned)
}

/// A slot's part of the weights.
pub(super) fn part(weights: &Weights, slot: usize) -> f64 {
    if weights.total() > 0.0 { weights.at(slot) / weights.total() } else { 0.0 }
}

/// Fair shares as a whole number, where an average worker has `average`: at least 1 for who gets anything, at most `most`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
pub(super) fn whole(fair: f64, average: u32, most: u32) -> u32 {
    if fair > 0.0 { (fair * f64::from(average)).round().clamp(1.0, f64::from(most)) as u32 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::super::sample::pool;
    use super::*;

    #[test]
    fn who_is_out_gets_nothing_and_the_others_have_one_on_average() {
        assert_eq!(fair(&pool(&[1.0, 3.0, -1.0])), Some(vec![0.5, 1.5, 0.0]));
        assert_eq!(fair(&pool(&[-1.0, -1.0])), None);
    }

    #[test]
    fn whoever_gets_anything_has_a_weight() {
        assert_eq!([0.0, 0.001, 0.5, 99.0].map(|fair| whole(fair, 100, 1_000)), [0, 1, 50, 1_000]);
    }
}
