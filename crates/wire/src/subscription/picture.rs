//! All that a gateway needs to know of a pool, checked before it is believed.

use ambidex_core::balance::PickPolicy;
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use ambidex_core::trial::Kind;
use ambidex_core::view::Address;
use ambidex_core::worker::Standing;
use prost::Message;
use serde::{Deserialize, Serialize};

use super::zones::ZonesPicture;

/// A pool, whole.
#[derive(Clone, PartialEq, Message)]
pub struct Picture {
    /// The pool's name.
    #[prost(string, tag = "1")]
    pub pool: String,
    /// Grows with each change while the coordinator runs.
    #[prost(uint64, tag = "2")]
    pub revision: u64,
    /// [`Policy`] as JSON.
    #[prost(string, tag = "3")]
    pub policy: String,
    /// The workers, leaving ones among them.
    #[prost(message, repeated, tag = "4")]
    pub workers: Vec<WorkerPicture>,
    /// Whether more workers come in another page ([`Pages`](super::Pages)).
    #[prost(bool, tag = "5")]
    pub more: bool,
}

/// How requests of a pool are spread, beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// How a worker is picked.
    pub pick: PickPolicy,
    /// When a gateway keeps requests from a worker.
    pub breaker: BreakerConfig,
    /// Which share of the requests goes by the learned weights.
    pub learned_share: Share,
    /// Time between two beats.
    pub tick: Span,
    /// The trial that goes on; a coordinator that is older knows of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitPicture>,
    /// Where requests of each zone go; a coordinator that is older knows of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<ZonesPicture>,
}

/// A trial in a picture: what a gateway has to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitPicture {
    /// What is compared.
    pub kind: Kind,
    /// Which trial it is.
    pub id: u64,
    /// The candidate's share of the requests.
    pub share: Share,
    /// The control group's.
    pub control: Share,
}

/// A worker in a picture.
#[derive(Clone, PartialEq, Message)]
pub struct WorkerPicture {
    /// Its identity in the pool.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Scheme and authority.
    #[prost(string, tag = "2")]
    pub url: String,
    /// `IP:PORT`, or `unix:/PATH`.
    #[prost(string, tag = "3")]
    pub address: String,
    /// Zone label.
    #[prost(string, tag = "4")]
    pub zone: String,
    /// 0 serving, 1 draining, 2 unhealthy.
    #[prost(uint32, tag = "5")]
    pub standing: u32,
    /// The configured weight.
    #[prost(double, tag = "6")]
    pub fixed: f64,
    /// The learned weight, in fair shares.
    #[prost(double, tag = "7")]
    pub learned: f64,
    /// The weight for the requests of a path that is on trial.
    #[prost(double, tag = "8")]
    pub tried: f64,
    /// Points on the ring, where they follow what workers can carry; 0: those of the configured weight.
    #[prost(uint32, tag = "9")]
    pub points: u32,
}

/// Why a picture cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PictureError {
    /// A worker without a place to connect to.
    #[error("worker `{0}` has no address: `{1}` is neither IP:PORT nor unix:/PATH")]
    Address(String, String),
    /// A standing that is none.
    #[error("worker `{0}` has the unknown standing {1}: the coordinator is newer than this gateway")]
    Standing(String, u32),
    /// A weight that is none.
    #[error("worker `{0}` has the weight {1}")]
    Weight(String, f64),
    /// A label that would not fit a table.
    #[error("a worker's {0} has {1} bytes: at most {MOST_LABEL} are allowed, and no control characters")]
    Label(&'static str, usize),
    /// No worker has any weight, though some serve.
    #[error("no worker that serves has any weight")]
    Weightless,
    /// More than any pool has.
    #[error("it has more than {0} workers")]
    TooMany(usize),
    /// The policy.
    #[error("its policy cannot be read: {0}")]
    Policy(String),
}

impl Picture {
    /// The policy, checked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn policy(&self) -> Result<Policy, PictureError> {
        let policy: Policy =
            serde_json::from_str(&self.policy).map_err(|error| PictureError::Policy(error.to_string()))?;
        if policy.split.is_some_and(|split| split.share.get() + split.control.get() > 1.0 + f64::EPSILON) {
            return Err(PictureError::Policy("the groups of its trial are more than all requests".to_owned()));
        }
        if let Some(wrong) = policy.zones.as_ref().and_then(ZonesPicture::wrong) {
            return Err(PictureError::Policy(wrong));
        }
        if policy.tick < LEAST_TICK || policy.tick > MOST_TICK {
            return Err(PictureError::Policy(format!("a tick of {} is not between 10ms and 10m", policy.tick)));
        }
        Ok(policy)
    }

    /// Checks what can be checked without knowing the gateway: labels, addresses, weights.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), PictureError> {
        for worker in &self.workers {
            for (what, label) in
                [("name", &worker.name), ("url", &worker.url), ("address", &worker.address), ("zone", &worker.zone)]
            {
                if label.len() > MOST_LABEL || label.chars().any(char::is_control) {
                    return Err(PictureError::Label(what, label.len()));
                }
            }
            worker.address()?;
            worker.standing()?;
            for weight in [worker.fixed, worker.learned, worker.tried, f64::from(worker.points)] {
                if !(0.0..=MOST_WEIGHT).contains(&weight) {
                    return Err(PictureError::Weight(worker.name.clone(), weight));
                }
            }
        }
        let mut serving = self.workers.iter().filter(|worker| worker.standing == 0).peekable();
        let any = serving.peek().is_some();
        if any && serving.all(|worker| worker.fixed <= 0.0 && worker.learned <= 0.0) {
            return Err(PictureError::Weightless);
        }
        Ok(())
    }
}

impl WorkerPicture {
    /// Where it listens.
    ///
    /// # Errors
    /// A text that names no place.
    pub fn address(&self) -> Result<Address, PictureError> {
        match self.address.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Address::Unix(path.into())),
            Some(_) | None => {
                let ip = self.address.parse().map(Address::Ip);
                ip.map_err(|_| PictureError::Address(self.name.clone(), self.address.clone()))
            }
        }
    }

    /// Whether it takes new requests.
    ///
    /// # Errors
    /// A number that stands for nothing.
    pub fn standing(&self) -> Result<Standing, PictureError> {
        match self.standing {
            0 => Ok(Standing::Serving),
            1 => Ok(Standing::Draining),
            2 => Ok(Standing::Unhealthy),
            unknown => Err(PictureError::Standing(self.name.clone(), unknown)),
        }
    }

    /// A standing's number.
    #[must_use]
    pub const fn number(standing: Standing) -> u32 {
        match standing {
            Standing::Serving => 0,
            Standing::Draining => 1,
            Standing::Unhealthy => 2,
        }
    }

    /// An address as it is written.
    #[must_use]
    pub fn written(address: &Address) -> String {
        match address {
            Address::Ip(address) => address.to_string(),
            Address::Unix(path) => format!("unix:{path}"),
        }
    }
}

/// Source: RFC 1035's longest name, with room for a scheme and a port.
pub(super) const MOST_LABEL: usize = 512;
/// Source: the bound of configured weights, and of points on a ring.
pub(super) const MOST_WEIGHT: f64 = 10_000.0;
const LEAST_TICK: Span = Span::from_millis(10);
const MOST_TICK: Span = Span::from_secs(600);
