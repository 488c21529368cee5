//! A deadline that follows how long the route usually takes [R-L4].
//!
//! ```text
//! deadline = quantile of the last 30 s x times, within least .. most and under what the request itself asks for
//! ```
//! Requests that are given up at their deadline are remembered as having taken that long; without them the quantile would
//! be one of those that made it, and the deadline would follow itself downward. While too little is known it is `most`.

use crate::share::Share;
use crate::time::Span;

/// How a deadline follows its route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// Which quantile it follows.
    pub quantile: Share,
    /// How many times that.
    pub times: f64,
    /// At least.
    pub least: Span,
    /// At most, and while too little is known.
    pub most: Span,
}

impl Adaptive {
    /// The deadline, given the quantile as it was measured.
    #[must_use]
    pub fn deadline(&self, measured: Option<Span>) -> Span {
        measured.map_or(self.most, |usual| {
            Span::from_secs_f64(usual.as_secs_f64() * self.times).max(self.least).min(self.most)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_follows_within_its_bounds_and_is_long_while_nothing_is_known() {
        let adaptive = Adaptive {
            quantile: Share::percent(99),
            times: 3.0,
            least: Span::from_millis(100),
            most: Span::from_secs(10),
        };
        let deadline = |millis: Option<u64>| adaptive.deadline(millis.map(Span::from_millis)).as_millis();
        assert_eq!([None, Some(1), Some(200), Some(9_000)].map(deadline), [10_000, 100, 600, 10_000]);
    }
}
