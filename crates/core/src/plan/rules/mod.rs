//! The rules: from one worker's terms to a raw value, one small file each.
//!
//! A rule knows nothing of the pool, of guards or of time: what it says is normalized over the pool afterwards. It
//! says `None` where it cannot know; such a worker is taken for an average one.

mod capacity;
mod headroom;
mod score_product;
mod score_sum;
mod scores;
mod tail_latency;
mod throughput;

use super::Rule;
use super::config::Settings;
use super::terms::Terms;

/// What a rule says of one worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Opinion {
    /// The rule's value as the catalogue has it.
    pub value: f64,
    /// The same without what must act at once (failures): this is what smoothing, deadband and slew work on.
    pub steady: f64,
    /// Estimated capacity and present load in one unit, where the rule knows them.
    pub capacity: Option<Capacity>,
    /// The value is a bound that the rule could not pass, not a measurement.
    pub bottom: bool,
}

/// What a worker can carry, and what it carries, in one unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Capacity {
    /// What it can carry.
    pub most: f64,
    /// What it carries.
    pub load: f64,
}

impl Opinion {
    fn plain(value: f64) -> Self {
        Self { value, steady: value, capacity: None, bottom: false }
    }
}

/// What `rule` says of a worker with these terms; `None` when they do not suffice. `Static` reads the configured
/// weight.
pub(super) fn weigh(rule: Rule, configured: f64, terms: &Terms, settings: &Settings) -> Option<Opinion> {
    let reference = &settings.reference;
    let opinion = match rule {
        Rule::Capacity => capacity::weigh(terms),
        Rule::Headroom => headroom::weigh(terms, reference),
        Rule::ScoreSum => score_sum::weigh(terms, reference),
        Rule::ScoreProduct => score_product::weigh(terms, reference),
        Rule::TailLatency => tail_latency::weigh(terms),
        Rule::Throughput => throughput::weigh(terms, reference),
        Rule::Static => Some(Opinion::plain(configured)),
    };
    opinion.filter(|opinion| opinion.value.is_finite() && opinion.steady.is_finite() && opinion.steady >= 0.0)
}
