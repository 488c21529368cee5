//! What is told of a probation, and in which words.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use serde::{Deserialize, Serialize};

use super::judge::{Evidence, What};
use crate::time::Span;

/// What else may explain that clients get something else than before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Explained {
    /// A canary, a switch or an experiment goes on in the pool.
    Trial,
    /// One of its workers is drilled.
    Drill,
    /// A worker is not there any more.
    Worker {
        /// Which.
        worker: Arc<str>,
    },
    /// More requests come.
    Load {
        /// Requests a second in the fullest window before.
        before: f64,
        /// Requests a second now.
        after: f64,
    },
}

/// Something that happened to a configuration on probation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "snake_case")]
pub enum Told {
    /// It was taken over.
    Began {
        /// For how long it is watched.
        lasts: Span,
    },
    /// It is as good as what was before.
    Passed,
    /// Nothing can be said, and it stays.
    Unclear {
        /// What explains the most recent window that counts for nobody, and of which pool.
        by: Option<(Arc<str>, Explained)>,
    },
    /// An operator takes it as it is.
    Accepted,
    /// It is worse; what was in force before is taken over again, unless it is only observed.
    Worse {
        /// What shows it.
        evidence: Evidence,
        /// Whether it is gone back from.
        acts: bool,
    },
    /// What was in force before is in force again.
    Returned,
    /// It could not be taken over again.
    NotReturned {
        /// Why.
        why: String,
    },
}

impl Told {
    /// Whether somebody should be told at once.
    #[must_use]
    pub const fn alerts(&self) -> bool {
        match self {
            Self::Worse { .. } | Self::NotReturned { .. } => true,
            Self::Began { .. } | Self::Passed | Self::Unclear { .. } | Self::Accepted | Self::Returned => false,
        }
    }

    /// Why a configuration is gone back from; of what does not say so, nothing.
    #[must_use]
    pub fn because(&self) -> String {
        match self {
            Self::Worse { evidence, .. } => evidence.words(),
            Self::Began { .. }
            | Self::Passed
            | Self::Unclear { .. }
            | Self::Accepted
            | Self::Returned
            | Self::NotReturned { .. } => String::new(),
        }
    }

    /// All of it in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Began { lasts } => {
                format!("the new configuration is on probation for {lasts}: it is compared with the time before it")
            }
            Self::Passed => "the new configuration has passed its probation: clients get what they got before it".into(),
            Self::Unclear { by: None } => {
                "the probation of the new configuration is over and shows nothing: too few requests, now or before it; it \
                 stays"
                    .into()
            }
            Self::Unclear { by: Some((pool, by)) } => format!(
                "the probation of the new configuration is over and shows nothing, because in pool {pool} {}; it stays",
                by.words()
            ),
            Self::Accepted => "an operator accepted the new configuration: it is not watched any longer".into(),
            Self::Worse { evidence, acts: true } => {
                format!("the new configuration is gone back from, because {}", evidence.words())
            }
            Self::Worse { evidence, acts: false } => {
                format!("the new configuration would be gone back from, because {}", evidence.words())
            }
            Self::Returned => "the configuration from before is in force again; the file still says another one".into(),
            Self::NotReturned { why } => {
                format!("the configuration from before could not be taken over again, the new one stays: {why}")
            }
        }
    }
}

impl Explained {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Trial => "a canary, a switch or an experiment goes on".into(),
            Self::Drill => "a worker is drilled".into(),
            Self::Worker { worker } => format!("{worker} is not there any more"),
            Self::Load { before, after } => {
                format!("more requests come: {after:.1} a second, and {before:.1} at most before it")
            }
        }
    }
}

impl Evidence {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { pool, what, before, after, windows_before, windows_after } = self;
        let of =
            format!("in {windows_after} windows in a row, against {{}} in the worst of {windows_before} before it");
        let said = |now: String, then: String| format!("{now} {}", of.replace("{}", &then));
        match what {
            What::Errors => {
                let percent = |share: &f64| format!("{:.1} %", share * 1e2);
                said(format!("in pool {pool} at least {} of the requests fail", percent(after)), percent(before))
            }
            What::Latency(share) => {
                let millis = |seconds: &f64| format!("{:.1} ms", seconds * 1e3);
                let at = libm::round(share.get() * 1e4) / 1e2;
                said(format!("in pool {pool} latency at p{at} is at least {}", millis(after)), millis(before))
            }
            What::Swings => {
                let percent = |share: &f64| format!("{:.0} %", share * 1e2);
                said(
                    format!("in pool {pool} at least {} of the requests go to and fro in a minute", percent(after)),
                    percent(before),
                )
            }
        }
    }
}
