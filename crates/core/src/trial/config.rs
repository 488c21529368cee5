//! By what a trial is judged, and in which steps it grows.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::share::Share;
use crate::time::Span;

/// Steps, floors and bounds of a trial, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "RawCriteria", into = "RawCriteria")]
pub struct Criteria {
    steps: Option<Vec<Share>>,
    pub(super) least_requests: u64,
    pub(super) least_time: Span,
    pub(super) alpha: Share,
    pub(super) errors_within: Share,
    pub(super) latency_within: Share,
    pub(super) throughput_within: Share,
    pub(super) quantiles: Vec<Share>,
    pub(super) abort_over: Share,
    pub(super) abort_from: u64,
    pub(super) abort_when: AbortWhen,
    pub(super) warm_up: Span,
    pub(super) settle: Span,
}

/// By what a trial is judged: its first tries against those of a control group at the same time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Criteria"))]
#[serde(default, deny_unknown_fields)]
struct RawCriteria {
    /// Shares of the requests, growing; after the last one under 100% it waits for an order. Default [1%, 5%, 25%, 50%, 100%],
    /// of an experiment [10%, 25%, 50%, 100%]; source: balancing.md "Canary", R-P3.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<Share>>,
    /// Requests of the candidate in each step, at least. Default 100; source: balancing.md "Canary".
    least_requests: u64,
    /// Time of each step, at least. Default 60s; source: balancing.md "Canary".
    least_time: Span,
    /// How often a trial of something that is no worse may end badly, or one of something worse well, at most. Default 1%;
    /// source: balancing.md "Canary".
    alpha: Share,
    /// Errors that may be more, as a difference of shares: a step is passed when as much as this is ruled out. Default 1%;
    /// source: X17, whose bad canary has 2 % more.
    errors_within: Share,
    /// How much longer answers may take. Default 10%; source: balancing.md "Canary".
    latency_within: Share,
    /// How much fewer of the requests may be answered well. Default 10%; source: balancing.md "Canary".
    throughput_within: Share,
    /// Where latencies are compared, at most 4; `[]`: nowhere. Default [50%, 99%]; source: balancing.md "Canary".
    quantiles: Vec<Share>,
    /// Share of failed requests that aborts at once, when surely over it. Default 5%; source: balancing.md "Canary".
    abort_over: Share,
    /// When that many have failed: `surely`, by the lower end of an interval, or `plainly`, as they were counted. Default surely;
    /// source: measured, one of twenty is 5% by chance (core's tests: plainly, nearly all good canaries with 1 % errors end).
    abort_when: AbortWhen,
    /// Requests from which on that is looked for. Default 20; source: balancing.md "Canary".
    abort_from: u64,
    /// For this long only the former is looked for: workers without traffic are cold. Default 30s; source: balancing.md
    /// "Weight `capacity`" (slow start).
    warm_up: Span,
    /// For this long errors still bring it back after its last step. Default 10m; source: ours.
    settle: Span,
}

/// When the share of failed requests is over a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AbortWhen {
    /// When it is not by chance, and not so in the control group: the lower end of Wilson's interval is over it.
    #[default]
    Surely,
    /// When it was counted to be over it: the catalogue's rule, as it is written.
    Plainly,
}

/// Why criteria cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CriteriaError {
    /// No step, or too many.
    #[error("{0} steps: write 1 to {MOST_STEPS}")]
    Steps(usize),
    /// Steps that do not grow.
    #[error("steps have to grow from over 0% to 100% at most: {0} does not")]
    Growth(Share),
    /// A share that decides nothing, or everything.
    #[error("{0} {1} is not between 0% and {2}")]
    Share(&'static str, Share, Share),
    /// Too many quantiles.
    #[error("{0} quantiles: at most {MOST_QUANTILES}")]
    Quantiles(usize),
    /// A time that cannot be meant.
    #[error("{0} {1} is over {MOST_TIME}")]
    Time(&'static str, Span),
    /// Too few requests.
    #[error("{0} {1} is under {LEAST_COUNT}: that few prove nothing")]
    Count(&'static str, u64),
}

impl Default for Criteria {
    fn default() -> Self {
        RawCriteria::default().unchecked()
    }
}

impl Default for RawCriteria {
    fn default() -> Self {
        Self {
            steps: None,
            least_requests: 100,
            least_time: Span::from_secs(60),
            alpha: Share::percent(1),
            errors_within: Share::percent(1),
            latency_within: Share::percent(10),
            throughput_within: Share::percent(10),
            quantiles: [50, 99].map(Share::percent).to_vec(),
            abort_over: Share::percent(5),
            abort_from: 20,
            abort_when: AbortWhen::Surely,
            warm_up: Span::from_secs(30),
            settle: Span::from_secs(600),
        }
    }
}

impl Criteria {
    /// The shares of the requests, step by step.
    #[must_use]
    pub fn steps(&self, kind: Kind) -> Vec<Share> {
        match (kind, &self.steps) {
            // What is left keeps the old path warm, and is the control group.
            (Kind::Switch, _) => [99, 100].map(Share::percent).to_vec(),
            (Kind::Canary | Kind::Experiment, Some(steps)) => steps.clone(),
            (Kind::Canary, None) => [1, 5, 25, 50, 100].map(Share::percent).to_vec(),
            (Kind::Experiment, None) => [10, 25, 50, 100].map(Share::percent).to_vec(),
        }
    }
}

impl RawCriteria {
    fn unchecked(self) -> Criteria {
        Criteria {
            steps: self.steps,
            least_requests: self.least_requests,
            least_time: self.least_time,
            alpha: self.alpha,
            errors_within: self.errors_within,
            latency_within: self.latency_within,
            throughput_within: self.throughput_within,
            quantiles: self.quantiles,
            abort_over: self.abort_over,
            abort_from: self.abort_from,
            abort_when: self.abort_when,
            warm_up: self.warm_up,
            settle: self.settle,
        }
    }
}

impl TryFrom<RawCriteria> for Criteria {
    type Error = CriteriaError;

    fn try_from(raw: RawCriteria) -> Result<Self, CriteriaError> {
        if let Some(steps) = &raw.steps {
            if !(1..=MOST_STEPS).contains(&steps.len()) {
                return Err(CriteriaError::Steps(steps.len()));
            }
            let before = [Share::NONE].into_iter().chain(steps.iter().copied());
            if let Some((_, at)) = before.zip(steps).find(|(before, step)| **step <= *before) {
                return Err(CriteriaError::Growth(*at));
            }
        }
        if raw.quantiles.len() > MOST_QUANTILES {
            return Err(CriteriaError::Quantiles(raw.quantiles.len()));
        }
        let shares = [
            ("alpha", raw.alpha, Share::percent(20)),
            ("errors_within", raw.errors_within, Share::percent(50)),
            ("latency_within", raw.latency_within, Share::ALL),
            ("throughput_within", raw.throughput_within, Share::percent(50)),
            ("abort_over", raw.abort_over, Share::ALL),
        ];
        let quantiles = raw.quantiles.iter().map(|share| ("quantile", *share, Share::clamped(0.999)));
        for (what, share, most) in shares.into_iter().chain(quantiles) {
            if share == Share::NONE || share > most {
                return Err(CriteriaError::Share(what, share, most));
            }
        }
        for (what, time) in [("least_time", raw.least_time), ("warm_up", raw.warm_up), ("settle", raw.settle)] {
            if time > MOST_TIME {
                return Err(CriteriaError::Time(what, time));
            }
        }
        for (what, count) in [("least_requests", raw.least_requests), ("abort_from", raw.abort_from)] {
            if count < LEAST_COUNT {
                return Err(CriteriaError::Count(what, count));
            }
        }
        Ok(raw.unchecked())
    }
}

impl From<Criteria> for RawCriteria {
    fn from(checked: Criteria) -> Self {
        Self {
            steps: checked.steps,
            least_requests: checked.least_requests,
            least_time: checked.least_time,
            alpha: checked.alpha,
            errors_within: checked.errors_within,
            latency_within: checked.latency_within,
            throughput_within: checked.throughput_within,
            quantiles: checked.quantiles,
            abort_over: checked.abort_over,
            abort_from: checked.abort_from,
            abort_when: checked.abort_when,
            warm_up: checked.warm_up,
            settle: checked.settle,
        }
    }
}

const MOST_STEPS: usize = 20;
const MOST_QUANTILES: usize = 4;
const LEAST_COUNT: u64 = 10;
/// Source: ours, a week; who waits longer has written the wrong unit.
const MOST_TIME: Span = Span::from_secs(7 * 24 * 3_600);

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    fn read(text: &str) -> Result<Criteria, alloc::string::String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_was_written_reads_back() {
        for text in ["{}", r#"{"steps":["2%","10%"],"quantiles":[],"settle":"1h"}"#] {
            let criteria = read(text).expect(text);
            assert_eq!(read(&serde_json::to_string(&criteria).expect("plain data")), Ok(criteria));
        }
        assert_eq!(read("{}"), Ok(Criteria::default()));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        for (text, reason) in [
            (r#"{"steps":[]}"#, "0 steps"),
            (r#"{"steps":["5%","5%"]}"#, "have to grow"),
            (r#"{"steps":["0%"]}"#, "have to grow"),
            (r#"{"alpha":"0%"}"#, "alpha 0%"),
            (r#"{"alpha":"30%"}"#, "alpha 30% is not between 0% and 20%"),
            (r#"{"quantiles":["100%"]}"#, "quantile 100%"),
            (r#"{"least_requests":1}"#, "prove nothing"),
            (r#"{"settle":"200h"}"#, "settle 200h is over"),
            (r#"{"step":["5%"]}"#, "unknown field"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_switch_keeps_one_of_a_hundred_on_the_old_path_until_it_is_judged() {
        let steps = Criteria::default().steps(Kind::Switch);
        assert_eq!(steps, [Share::percent(99), Share::ALL]);
    }
}
