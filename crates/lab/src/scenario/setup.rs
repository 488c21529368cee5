//! What stands between clients and workers: gateways, their pool and their route, by the keys of the configuration.

use ambidex_core::again::Mode;
use ambidex_core::again::hedge::HedgeConfig;
use ambidex_core::again::retry::FirstTry;
use ambidex_core::attempt::{AttemptConfig, Chances};
use ambidex_core::balance::Balance;
use ambidex_core::curve::Curve;
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::guard::bulkhead::BulkheadConfig;
use ambidex_core::guard::throttle::ThrottleConfig;
use ambidex_core::plan::PlanConfig;
use ambidex_core::runbook::Runbooks;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use ambidex_core::zone::ZonesConfig;
use serde::{Deserialize, Serialize};

/// The gateways.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gateways {
    /// How many, each with measurements of its own; requests come to them by lot. Default 1.
    pub count: u32,
    /// Threads of each. Default 1.
    pub threads: u32,
    /// How late reports of load arrive. Default 0s.
    pub report_delay: Span,
    /// Share of reports that never arrive. Default 0%.
    pub report_loss: Share,
    /// How much longer an answer takes from another zone than the requests'; simulator only. Default 0s.
    pub apart: Span,
    /// When the coordinators are away, so that nobody weighs; simulator only. Default never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinator_away: Option<Curve>,
}

impl Default for Gateways {
    fn default() -> Self {
        let (report_delay, report_loss) = (Span::ZERO, Share::NONE);
        Self { count: 1, threads: 1, report_delay, report_loss, apart: Span::ZERO, coordinator_away: None }
    }
}

/// Keys of a pool in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Balancer {
    /// How a worker is picked. Default auto.
    pub balance: Balance,
    /// How weights are learned. Default capacity.
    pub weights: PlanConfig,
    /// When a worker is kept from traffic.
    pub breaker: BreakerConfig,
    /// Which failure modes are looked for, and what is done about them. Default on.
    pub runbooks: Runbooks,
    /// Whether what each class of requests costs is learned, and minded by the picks. Default false.
    pub costs: bool,
    /// When requests leave the zone that they came from, which is `load.zone`. Default: zones do not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zones: Option<ZonesConfig>,
    /// How many requests one worker may have at once. Default any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bulkhead: Option<BulkheadConfig>,
    /// When requests are refused by the gateway. Default never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle: Option<ThrottleConfig>,
}

/// Keys of a route in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// How long an answer's head may take. Default 60s.
    pub deadline: Span,
    /// How many workers may be tried after the first. Default 2.
    pub retries: u8,
    /// What is tried again beside what no worker got. Default nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Gives a slow first try up early. Default not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_try: Option<FirstTry>,
    /// Sends what takes long to a second worker as well. Default not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge: Option<HedgeConfig>,
}

impl Default for Route {
    fn default() -> Self {
        let AttemptConfig { deadline, retries, .. } = AttemptConfig::default();
        Self { deadline, retries, retry: None, first_try: None, hedge: None }
    }
}

impl Route {
    /// As a request's machine takes it.
    #[must_use]
    pub fn attempt(&self) -> AttemptConfig {
        let Retry { sent, answers } = self.retry.unwrap_or(Retry { sent: Mode::Off, answers: Mode::Off });
        let chances = Chances {
            resend: sent,
            answers,
            first_try: self.first_try.unwrap_or_default(),
            hedge: self.hedge.unwrap_or_default(),
            ..Chances::default()
        };
        AttemptConfig { deadline: self.deadline, retries: self.retries, chances, ..AttemptConfig::default() }
    }
}

/// What is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Requests whose try failed after a worker got them. Default on where the section is written.
    pub sent: Mode,
    /// Requests that were answered with a failure. Default on where the section is written.
    pub answers: Mode,
}

impl Default for Retry {
    fn default() -> Self {
        Self { sent: Mode::On, answers: Mode::On }
    }
}
