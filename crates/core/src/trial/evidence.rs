//! Evidence that may be looked at whenever one likes: the gain of bets against a claim.
//!
//! Whoever bets against a true claim at fair odds cannot expect to gain. So when a stake of 1 has become 100, the claim is
//! false, or something happened that happens at most once in a hundred trials, *however often one looked* (Ville 1939;
//! Ramdas, Gruenwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference", 2023). A p-value has no
//! such promise: looked at each second it finds something in every trial.
//!
//! Two kinds of bets, both on what came since the last look, given how many requests either group had:
//!
//! ```text
//! rates    of x events in both groups, the candidate's are x_c ~ Bin(x, n_c/n) if both have them equally often
//!          (given the numbers: hypergeometric, which varies less; Hoeffding 1963). Bet: the odds are r times that.
//!          gain (p/q)^x_c ((1-p)/(1-q))^x_s,   q = n_c/n,   p = r q / (r q + 1 - q)
//! margin   pairs of one request of each group; d = (candidate failed) - (control failed) has a mean of at least
//!          `margin` if the candidate is worse by that. Bet: it is not. gain 1 + l (margin - d), 0 <= l < 1
//! ```
//! Because they compare what came at the same time, neither minds that errors or latencies of the whole pool drift. They
//! do assume that requests fail one by one: failures that come in bunches by client or key make them too sure.
//!
//! Nobody knows the right `r` or `l` beforehand, so the stake is spread over some. And what was fine for hours may turn bad:
//! bets that lost all would be slow to see it. So a part of the stake is kept back and put in anew each minute, 1/(j(j+1))
//! at the j-th time; these sum to 1, so the promise holds (a mixture over starting times, as in Shiryaev's and Roberts'
//! detectors).

use serde::{Deserialize, Serialize};

/// Counts of one group since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Requests.
    pub of: u64,
    /// Those with the event that is counted.
    pub with: u64,
}

/// Bets that events are more frequent, or rarer, in the candidate's group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    odds: [f64; BETS],
    gains: Gains,
}

/// Bets that the candidate's events are not `margin` more frequent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Margin {
    margin: f64,
    gains: Gains,
}

/// What the stakes have become, as logarithms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Gains {
    logs: [f64; BETS],
    /// How often something was put in.
    stakes: f64,
}

impl Rates {
    /// Against "not more frequent than in the control group".
    #[must_use]
    pub fn against_not_more() -> Self {
        Self { odds: MORE, gains: Gains::new() }
    }

    /// Against "not rarer than in the control group".
    #[must_use]
    pub fn against_not_rarer() -> Self {
        Self { odds: RARER, gains: Gains::new() }
    }

    /// Hears what came since the last look.
    pub fn hear(&mut self, candidate: Part, control: Part) {
        let (ours, theirs) = (candidate.of as f64, control.of as f64);
        if ours <= 0.0 || theirs <= 0.0 {
            return;
        }
        let usual = ours / (ours + theirs);
        let (x, y) = (candidate.with as f64, control.with as f64);
        let gain = |odds: f64| {
            let bet = odds * usual / (odds * usual + 1.0 - usual);
            x * libm::log(bet / usual) + y * libm::log((1.0 - bet) / (1.0 - usual))
        };
        self.gains.multiply(self.odds.map(gain));
    }

    /// Puts a part of the stake in anew.
    pub fn stake(&mut self) {
        self.gains.stake();
    }

    /// The logarithm of what a stake of 1 has become.
    #[must_use]
    pub fn ln(&self) -> f64 {
        self.gains.ln()
    }
}

impl Margin {
    /// Against "more frequent by `margin` or more", a difference of shares in (0, 1).
    #[must_use]
    pub fn against(margin: f64) -> Self {
        Self { margin, gains: Gains::new() }
    }

    /// Hears what came since the last look. Who has more requests is cut to the other's number, to its disadvantage; and
    /// no two failures are taken to be of one pair, which is the pairing of the least gain.
    pub fn hear(&mut self, candidate: Part, control: Part) {
        let pairs = candidate.of.min(control.of) as f64;
        if pairs <= 0.0 {
            return;
        }
        let failed = libm::ceil(candidate.with as f64 * pairs / candidate.of as f64).min(pairs);
        let failed_there = libm::floor(control.with as f64 * pairs / control.of as f64).min(pairs);
        let both = (failed + failed_there - pairs).max(0.0);
        let (ours, theirs) = (failed - both, failed_there - both);
        let margin = self.margin;
        let gain = |part: f64| {
            ours * libm::log1p(part * (margin - 1.0))
                + theirs * libm::log1p(part * (margin + 1.0))
                + (pairs - ours - theirs) * libm::log1p(part * margin)
        };
        self.gains.multiply(PARTS.map(gain));
    }

    /// Puts a part of the stake in anew.
    pub fn stake(&mut self) {
        self.gains.stake();
    }

    /// The logarithm of what a stake of 1 has become.
    #[must_use]
    pub fn ln(&self) -> f64 {
        self.gains.ln()
    }
}

impl Gains {
    fn new() -> Self {
        let mut gains = Self { logs: [LEAST; BETS], stakes: 0.0 };
        gains.stake();
        gains
    }

    fn stake(&mut self) {
        self.stakes += 1.0;
        let each = -libm::log(self.stakes * (self.stakes + 1.0) * BETS as f64);
        for log in &mut self.logs {
            let (small, great) = (log.min(each), log.max(each));
            *log = great + libm::log1p(libm::exp(small - great));
        }
    }

    fn multiply(&mut self, gains: [f64; BETS]) {
        for (log, gain) in self.logs.iter_mut().zip(gains) {
            *log = (*log + gain).max(LEAST);
        }
    }

    fn ln(&self) -> f64 {
        let great = self.logs.iter().fold(LEAST, |great, log| great.max(*log));
        great + libm::log(self.logs.iter().map(|log| libm::exp(log - great)).sum())
    }
}

const BETS: usize = 5;
/// From a little more to all of them. Source: ours; each is right to within a half of its logarithm for what lies near it.
const MORE: [f64; BETS] = [1.15, 1.5, 2.0, 4.0, 16.0];
/// From a little rarer to hardly any.
const RARER: [f64; BETS] = [0.95, 0.85, 0.7, 0.5, 0.3];
/// Parts of the stake: small ones are for many failures, great ones for few.
const PARTS: [f64; BETS] = [0.02, 0.1, 0.25, 0.5, 0.9];
/// Lost. Not without end, so that it can be written down and sums stay numbers.
const LEAST: f64 = -1e6;

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;

    use proptest::prelude::*;

    use super::*;
    use crate::draw::Draw;

    /// How many looks, and what a look finds.
    type Run = (usize, Box<dyn FnMut(Part, Part) -> f64>);

    /// Of 1,000 trials of some looks each: how many gained a hundredfold at any look.
    fn found(rate: f64, rate_there: f64, begin: impl Fn() -> Run) -> usize {
        let mut found = 0;
        for seed in 0..1_000 {
            let (looks, mut evidence) = begin();
            let mut draw = Draw::seeded(seed);
            let mut count = |rate: f64| {
                let of = 1 + draw.below(3) as u64;
                Part { of, with: (0..of).map(|_| u64::from(draw.unit() < rate)).sum() }
            };
            found += usize::from((0..looks).any(|_| {
                let (ours, theirs) = (count(rate), count(rate_there));
                evidence(ours, theirs) >= libm::log(100.0)
            }));
        }
        found
    }

    fn rates(make: fn() -> Rates) -> Run {
        let mut rates = make();
        let mut looks = 0;
        (
            1_000,
            Box::new(move |ours, theirs| {
                looks += 1;
                if looks % 60 == 0 {
                    rates.stake();
                }
                rates.hear(ours, theirs);
                rates.ln()
            }),
        )
    }

    fn margin() -> Run {
        let mut margin = Margin::against(0.01);
        (
            1_000,
            Box::new(move |ours, theirs| {
                margin.hear(ours, theirs);
                margin.ln()
            }),
        )
    }

    #[test]
    fn a_true_claim_is_refuted_in_less_than_one_of_a_hundred_trials_though_each_look_counts() {
        assert!(found(0.02, 0.02, || rates(Rates::against_not_more)) <= 10);
        assert!(found(0.5, 0.5, || rates(Rates::against_not_rarer)) <= 10);
        assert!(found(0.02, 0.01, margin) <= 10);
    }

    #[test]
    fn a_false_claim_is_mostly_refuted_within_two_thousand_requests() {
        assert!(found(0.03, 0.01, || rates(Rates::against_not_more)) > 850);
        assert!(found(0.04, 0.01, || rates(Rates::against_not_more)) > 990);
        assert!(found(0.40, 0.5, || rates(Rates::against_not_rarer)) > 900);
        assert!(found(0.001, 0.001, margin) > 900);
    }

    #[test]
    fn what_turns_bad_after_a_long_good_time_is_found() {
        let mut rates = Rates::against_not_more();
        for minute in 0..600 {
            rates.stake();
            let ours = if minute < 590 { 5 } else { 40 };
            rates.hear(Part { of: 1_000, with: ours }, Part { of: 1_000, with: 10 });
        }
        assert!(rates.ln() > libm::log(100.0), "{}", rates.ln());
    }

    proptest! {
        #[test]
        fn no_counts_make_the_gain_something_else_than_a_number(
            looks in prop::collection::vec((0_u64..1_000_000, 0_u64..1_000_000, 0_u64..1_000_000, 0_u64..1_000_000), 0..20)
        ) {
            let (mut rates, mut margin) = (Rates::against_not_more(), Margin::against(0.1));
            for (a, b, c, d) in looks {
                let (ours, theirs) = (Part { of: a.max(b), with: a.min(b) }, Part { of: c.max(d), with: c.min(d) });
                rates.hear(ours, theirs);
                margin.hear(ours, theirs);
                rates.stake();
            }
            prop_assert!(rates.ln().is_finite() && margin.ln().is_finite());
        }
    }
}
