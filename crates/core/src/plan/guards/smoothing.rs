//! Smoothing of weights, for the rules fed by latency: `new = alpha x computed + (1 - alpha) x old` [R-W8].
//!
//! Weights made of latency have a loop gain of rho / (1 - rho), so alpha is at most (1 - rho) / 2 at utilization rho:
//! against oscillation alpha is *lowered*. It is not lowered under 0.02, where nothing would move any more.

use crate::plan::config::Settings;

/// The share of the computed value that counts in a tick of `seconds`. `utilization` of the pool is taken for 0.9
/// while nobody reports it: too slow is safe, too fast is not.
pub(in crate::plan) fn alpha(settings: &Settings, utilization: Option<f64>, seconds: f64, stretch: f64) -> f64 {
    let bound = ((1.0 - utilization.unwrap_or(0.9)) / 2.0).max(LEAST_ALPHA);
    let per_second = (settings.alpha.get().min(bound) / stretch).min(1.0);
    1.0 - libm::pow(1.0 - per_second, seconds)
}

/// Source: balancing.md "Weight `capacity`".
const LEAST_ALPHA: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busier_pool_is_smoothed_more() {
        let settings = Settings::default();
        let at = |utilization| alpha(&settings, Some(utilization), 1.0, 1.0);
        assert!((at(0.0) - 0.3).abs() < 1e-9 && (at(0.8) - 0.1).abs() < 1e-9 && (at(1.0) - 0.02).abs() < 1e-9);
    }
}
