//! Who asks: how often, for what, and how patiently.

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use serde::{Deserialize, Serialize};

use super::amount::Rate;
use crate::load::{Arrivals, Http};

/// Open-loop load: arrivals do not wait for answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// How much; a trace has its own times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Other rates from some time on. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<RateAt>,
    /// How the arrivals are spread. Default poisson.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// Kinds of requests. Default one, at `/`, of cost 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassShare>,
    /// Keys that requests carry, in the header `x-key`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Keys>,
    /// Tenants that requests come from, in the header `x-tenant`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Tenants>,
    /// The zone that requests come from: the gateways' own. Default none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub zone: String,
    /// Connections at most; real processes only. Default 256.
    #[serde(default = "connections")]
    pub connections: usize,
    /// HTTP of these connections, 1 or 2; real processes only. Default 1.
    #[serde(default)]
    pub http: Http,
    /// After this long a client gives up. Default 10s.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// A request that takes longer is slow: over the objective. Default 500ms.
    #[serde(default = "slow_over")]
    pub slow_over: Span,
}

impl Load {
    /// The mean cost of a request, over the classes' mix.
    #[must_use]
    pub fn mean_cost(&self) -> f64 {
        if self.classes.is_empty() {
            return 1.0;
        }
        self.classes.iter().map(|class| class.share.get() * class.cost).sum()
    }
}

/// Another rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateAt {
    /// From when on.
    pub at: Span,
    /// How much.
    pub rate: Rate,
}

/// A kind of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassShare {
    /// Its name in reports.
    pub name: String,
    /// Its share of the requests; those of all classes are the whole.
    pub share: Share,
    /// The path that it asks for. Default `/`.
    #[serde(default = "root")]
    pub path: String,
    /// How many times a worker's service time it costs. Default 1.
    #[serde(default = "one")]
    pub cost: f64,
}

/// Keys, of which few are asked for often.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// How many there are.
    pub count: u32,
    /// Exponent: the k-th is asked for in proportion to `k^-zipf`; 0 is even. Default 1.
    #[serde(default = "one")]
    pub zipf: f64,
}

/// Tenants, of which few ask often: as [`Keys`].
pub type Tenants = Keys;

const fn connections() -> usize {
    256
}

const fn timeout() -> Span {
    Span::from_secs(10)
}

const fn slow_over() -> Span {
    Span::from_millis(500)
}

const fn one() -> f64 {
    1.0
}

fn root() -> String {
    "/".to_owned()
}
