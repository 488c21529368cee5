//! The names of the picks, as the configuration says them.

use serde::{Deserialize, Serialize};

/// Which rule picks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PickPolicy {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// Each in turn, as often as its weight says, evenly spread.
    WeightedRoundRobin,
    /// By lot, in proportion to the weight.
    WeightedRandom,
    /// The one with the fewest requests in flight for its weight.
    LeastRequest,
    /// The less loaded of two that are drawn in proportion to their weights.
    P2c,
    /// The one of two that will likely answer sooner: latency times requests in flight.
    PeakEwma,
    /// The fastest of those that are not hot, by what the workers report.
    Prequal,
    /// The worker that the request's key belongs to, unless it is too full.
    Ring,
}

impl PickPolicy {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::WeightedRandom,
        Self::LeastRequest,
        Self::P2c,
        Self::PeakEwma,
        Self::Prequal,
        Self::Ring,
    ];
}

/// The setting `balance:` of a pool.
///
/// Default `auto`; source: architecture.md "Configuration".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(from = "RawBalance", into = "RawBalance")]
pub enum Balance {
    /// `prequal` while workers report on their answers, `peak-ewma` otherwise; see [`Balance::resolve`].
    #[default]
    Auto,
    /// Always this one.
    Fixed(PickPolicy),
}

impl Balance {
    /// The pick to use. `reporting`: whether workers of the pool report with their answers; reports that are only
    /// polled are too old to pick by (balancing.md "Sources").
    #[must_use]
    pub const fn resolve(self, reporting: bool) -> PickPolicy {
        match self {
            Self::Auto if reporting => PickPolicy::Prequal,
            Self::Auto => PickPolicy::PeakEwma,
            Self::Fixed(policy) => policy,
        }
    }
}

/// How a pool picks: `auto`, or a policy by name.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Balance"))]
#[serde(rename_all = "kebab-case")]
enum RawBalance {
    /// `prequal` while workers report on their answers, `peak-ewma` otherwise.
    Auto,
    /// Each in turn.
    RoundRobin,
    /// Each in turn, as often as its weight says, evenly spread.
    WeightedRoundRobin,
    /// By lot, in proportion to the weight.
    WeightedRandom,
    /// The one with the fewest requests in flight for its weight.
    LeastRequest,
    /// The less loaded of two that are drawn in proportion to their weights.
    P2c,
    /// The one of two that will likely answer sooner: latency times requests in flight.
    PeakEwma,
    /// The fastest of those that are not hot, by what the workers report.
    Prequal,
    /// The worker that the request's key belongs to, unless it is too full.
    Ring,
}

impl From<RawBalance> for Balance {
    fn from(raw: RawBalance) -> Self {
        Self::Fixed(match raw {
            RawBalance::Auto => return Self::Auto,
            RawBalance::RoundRobin => PickPolicy::RoundRobin,
            RawBalance::WeightedRoundRobin => PickPolicy::WeightedRoundRobin,
            RawBalance::WeightedRandom => PickPolicy::WeightedRandom,
            RawBalance::LeastRequest => PickPolicy::LeastRequest,
            RawBalance::P2c => PickPolicy::P2c,
            RawBalance::PeakEwma => PickPolicy::PeakEwma,
            RawBalance::Prequal => PickPolicy::Prequal,
            RawBalance::Ring => PickPolicy::Ring,
        })
    }
}

impl From<Balance> for RawBalance {
    fn from(balance: Balance) -> Self {
        match balance {
            Balance::Auto => Self::Auto,
            Balance::Fixed(policy) => match policy {
                PickPolicy::RoundRobin => Self::RoundRobin,
                PickPolicy::WeightedRoundRobin => Self::WeightedRoundRobin,
                PickPolicy::WeightedRandom => Self::WeightedRandom,
                PickPolicy::LeastRequest => Self::LeastRequest,
                PickPolicy::P2c => Self::P2c,
                PickPolicy::PeakEwma => Self::PeakEwma,
                PickPolicy::Prequal => Self::Prequal,
                PickPolicy::Ring => Self::Ring,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn every_policy_is_written_and_read_as_its_plain_name() {
        for policy in PickPolicy::ALL {
            let name = serde_json::to_string(&policy).expect("a name");
            assert_eq!(serde_json::to_string(&Balance::Fixed(policy)).expect("a name"), name);
            assert_eq!(serde_json::from_str::<Balance>(&name).expect("the same name"), Balance::Fixed(policy));
        }
        assert_eq!(serde_json::from_str::<Balance>("\"auto\"").expect("a name"), Balance::Auto);
    }

    #[test]
    fn an_unknown_policy_is_refused_with_the_known_ones() {
        let error = serde_json::from_str::<Balance>("\"random\"").expect_err("no such policy").to_string();
        assert!(error.contains("weighted-random") && error.contains("auto"), "{error}");
    }

    #[test]
    fn auto_is_prequal_only_where_answers_carry_reports() {
        assert_eq!(
            [Balance::Auto.resolve(true), Balance::Auto.resolve(false)],
            [PickPolicy::Prequal, PickPolicy::PeakEwma]
        );
    }
}
