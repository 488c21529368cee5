//! What is told of a trial, and in which words.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::Kind;
use super::config::AbortWhen;
use super::figures::{Figures, Side, What};
use super::judge::{Lack, Worse};
use crate::share::Share;
use crate::time::Span;

/// Something that happened to a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "snake_case")]
pub enum Told {
    /// It began.
    Began {
        /// Its first share.
        share: Share,
    },
    /// It is at another step.
    Step {
        /// The share from now on.
        to: Share,
        /// Why.
        why: Why,
        /// What the step before came to.
        figures: Figures,
    },
    /// It does not go on by itself any more.
    Paused,
    /// It does again.
    Resumed,
    /// All is over, and well.
    Settled,
    /// Requests go the old way again.
    Aborted {
        /// The share until now.
        from: Share,
        /// Why.
        why: Why,
        /// What the step came to.
        figures: Figures,
    },
}

/// Why a trial moved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The candidate was shown to be as good.
    AsGood,
    /// The candidate was shown to be worse.
    Worse(Worse),
    /// An operator said so.
    Ordered,
}

impl Told {
    /// Whether somebody should be told at once.
    #[must_use]
    pub const fn alerts(&self) -> bool {
        match self {
            Self::Aborted { why: Why::Worse(_), .. } => true,
            Self::Aborted { why: Why::AsGood | Why::Ordered, .. }
            | Self::Began { .. }
            | Self::Step { .. }
            | Self::Paused
            | Self::Resumed
            | Self::Settled => false,
        }
    }

    /// All of it in a sentence; `candidate` is what goes the new way, such as `path canary`.
    #[must_use]
    pub fn sentence(&self, kind: Kind, candidate: &str) -> String {
        let of = format!("{} of {candidate}", kind.name());
        match self {
            Self::Began { share } => format!("{of} begins with {share} of the requests"),
            Self::Step { to, why, figures } => {
                format!("{of} goes on with {to} of the requests, because {}: {}", why.words(), figures.words())
            }
            Self::Paused => format!("{of} is paused: it is still judged, and does not go on by itself"),
            Self::Resumed => format!("{of} goes on by itself again"),
            Self::Settled => format!("{of} is done: all requests go by {candidate}"),
            Self::Aborted { from, why, figures } => {
                format!("{of} is aborted at {from} of the requests, because {}: {}", why.words(), figures.words())
            }
        }
    }
}

impl Why {
    fn words(&self) -> String {
        match self {
            Self::AsGood => "it was shown to be as good as the control group".into(),
            Self::Worse(Worse::TooManyErrors { failed, of, over, when }) => {
                let plain = 100.0 * *failed as f64 / (*of).max(1) as f64;
                let how = match when {
                    AbortWhen::Surely => "surely",
                    AbortWhen::Plainly => "plainly",
                };
                format!("{failed} of its newest {of} requests failed, which is {plain:.1}% and {how} over {over}")
            }
            Self::Worse(Worse::Than { what }) => format!("it was shown to be worse than the control group in {what}"),
            Self::Ordered => "an operator ordered it".into(),
        }
    }
}

impl Lack {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::WarmUp => "it warms up, and is not compared yet".into(),
            Self::Requests { has, of } => format!("it has {has} requests of the {of} that it needs"),
            Self::Time { has, of } => format!("the step has lasted {:.0} s of {of}", has.as_secs_f64()),
            Self::ByWorkers => {
                "no gateway of ours counts its requests: it goes by the failures that the workers of both paths \
                                count, and on by `promote`"
                    .into()
            }
            Self::Control => "nothing is known of the control group".into(),
            Self::Proof(open) => {
                let names: Vec<String> = open.iter().map(|what| what.to_string()).collect();
                format!("not shown to be as good yet: {}", names.join(", "))
            }
            Self::Unfinished { requests } => format!("{requests} requests have not ended that should have"),
            Self::AllFail => "the control group fails, too: the pool has trouble of its own".into(),
            Self::Order => "the last step is passed: it waits for an order".into(),
        }
    }
}

impl Figures {
    /// Both groups in words.
    #[must_use]
    pub fn words(&self) -> String {
        format!("candidate {}; control {}", self.candidate.words(), self.control.words())
    }
}

impl Side {
    fn words(&self) -> String {
        let millis =
            |span: Option<Span>| span.map_or_else(|| "-".into(), |span| format!("{:.1} ms", span.as_secs_f64() * 1e3));
        let Self { requests, failed, p50, p99 } = self;
        format!("{requests} requests, {failed} failed, p50 {}, p99 {}", millis(*p50), millis(*p99))
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errors => f.write_str("errors"),
            Self::Throughput => f.write_str("throughput"),
            Self::Latency(share) => write!(f, "latency at p{}", libm::round(share.get() * 1e4) / 1e2),
        }
    }
}
