//! A failure mode that was found: what it rests on as data, and one sentence.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::FailureMode;
use crate::share::Share;
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// A failure mode that was found in a pool.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// When it was found.
    pub at: Mono,
    /// What it rests on.
    pub evidence: Evidence,
}

/// What a finding rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Evidence {
    /// Of [`FailureMode::ThunderingHerd`].
    ThunderingHerd {
        /// The worker that failed first.
        first: WorkerId,
        /// How long ago it did.
        after: Span,
        /// How many of the others fail now.
        failing: u32,
        /// Of how many.
        of: u32,
        /// Which share of the others' tries fails.
        share: Share,
        /// Tries for each request.
        tries: f64,
    },
    /// Of [`FailureMode::StaleMetadata`].
    StaleMetadata {
        /// The worker that is not there, or the one that was tried most.
        worker: WorkerId,
        /// Tries without a connection since its last sign of life.
        unreached: u64,
        /// Tries without an answer in time since then.
        late: u64,
        /// How long that has lasted.
        lasts: Span,
    },
    /// Of [`FailureMode::CascadingTimeouts`].
    CascadingTimeouts {
        /// The slow worker, or the slowest.
        worker: WorkerId,
        /// How many times as long as the others' its answers take; `None` when hardly any come in time.
        times: Option<f64>,
        /// Which share of its tries fails, lateness among it.
        failing: Share,
        /// How many requests wait for it.
        in_flight: u32,
    },
    /// Of [`FailureMode::Oscillation`].
    Oscillation {
        /// The worker that swings most.
        worker: WorkerId,
        /// How many swing.
        workers: u32,
        /// The period.
        period: Span,
        /// How often the loop's time constant is doubled.
        doublings: u32,
    },
    /// Of [`FailureMode::Convoy`].
    Convoy {
        /// How often answers stopped and came together within the last minute.
        bunches: u32,
        /// How long one is from the next.
        apart: Span,
        /// At how many workers.
        workers: u32,
    },
    /// Of [`FailureMode::LateralDrift`].
    LateralDrift {
        /// Which path, by the shell's number.
        path: u32,
        /// What it is to get.
        intended: Share,
        /// What it gets.
        actual: Share,
    },
    /// Of [`FailureMode::MetastableOverload`].
    MetastableOverload {
        /// What brought the pool down.
        trigger: Trigger,
        /// How long ago that was over.
        gone_for: Span,
        /// Which share of all tries fails.
        failing: Share,
        /// How many times as long as usual answers take.
        slower: f64,
        /// Tries for each request.
        tries: f64,
    },
}

/// What brought a pool down.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// More requests of clients.
    Demand {
        /// Beside the usual: 1 as usual.
        times: f64,
    },
    /// A worker that failed, or was slow, while the others were not.
    Worker {
        /// Which.
        worker: WorkerId,
    },
}

/// How workers and paths are called.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// A worker's name.
    pub worker: &'a dyn Fn(WorkerId) -> String,
    /// A path's name.
    pub path: &'a dyn Fn(u32) -> String,
}

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}

impl Evidence {
    /// Whose evidence it is.
    #[must_use]
    pub const fn mode(&self) -> FailureMode {
        match self {
            Self::ThunderingHerd { .. } => FailureMode::ThunderingHerd,
            Self::StaleMetadata { .. } => FailureMode::StaleMetadata,
            Self::CascadingTimeouts { .. } => FailureMode::CascadingTimeouts,
            Self::Oscillation { .. } => FailureMode::Oscillation,
            Self::Convoy { .. } => FailureMode::Convoy,
            Self::LateralDrift { .. } => FailureMode::LateralDrift,
            Self::MetastableOverload { .. } => FailureMode::MetastableOverload,
        }
    }

    /// The worker in it, if there is one.
    pub(super) const fn worker(&self) -> Option<WorkerId> {
        match *self {
            Self::ThunderingHerd { first: worker, .. }
            | Self::StaleMetadata { worker, .. }
            | Self::CascadingTimeouts { worker, .. }
            | Self::Oscillation { worker, .. }
            | Self::MetastableOverload { trigger: Trigger::Worker { worker }, .. } => Some(worker),
            Self::Convoy { .. }
            | Self::LateralDrift { .. }
            | Self::MetastableOverload { trigger: Trigger::Demand { .. }, .. } => None,
        }
    }

    /// The same, where workers have other ids; `None` where the one in it has none.
    pub(super) fn of(mut self, known: impl Fn(WorkerId) -> Option<WorkerId>) -> Option<Self> {
        match &mut self {
            Self::ThunderingHerd { first: worker, .. }
            | Self::StaleMetadata { worker, .. }
            | Self::CascadingTimeouts { worker, .. }
            | Self::Oscillation { worker, .. }
            | Self::MetastableOverload { trigger: Trigger::Worker { worker }, .. } => *worker = known(*worker)?,
            Self::Convoy { .. }
            | Self::LateralDrift { .. }
            | Self::MetastableOverload { trigger: Trigger::Demand { .. }, .. } => {}
        }
        Some(self)
    }

    /// The evidence in one sentence.
    #[must_use]
    pub fn sentence(&self, names: &Names<'_>) -> String {
        match *self {
            Self::ThunderingHerd { first, after, failing, of, share, tries } => alloc::format!(
                "{failing} of {of} workers fail together ({} of their tries) {:.0} s after {} did, with {tries:.2} \
                 tries a request",
                Percent(share),
                after.as_secs_f64(),
                (names.worker)(first),
            ),
            Self::StaleMetadata { worker, unreached, late, lasts } => alloc::format!(
                "{} is up in our view and is not there: {unreached} tries found no connection and {late} no answer \
                 in {:.0} s",
                (names.worker)(worker),
                lasts.as_secs_f64(),
            ),
            Self::CascadingTimeouts { worker, times, failing, in_flight } => match times {
                Some(times) => alloc::format!(
                    "{} takes {times:.1} times as long as the others, while {} of its tries fail; {in_flight} requests \
                     wait for it",
                    (names.worker)(worker),
                    Percent(failing),
                ),
                None => alloc::format!(
                    "{} answers hardly anything in time ({} of its tries are late), while the others do; {in_flight} \
                     requests wait for it",
                    (names.worker)(worker),
                    Percent(failing),
                ),
            },
            Self::Oscillation { worker, workers, period, doublings } => alloc::format!(
                "the weights of {workers} {} swing with a period of {:.0} s, {} most; the loop is damped {doublings} \
                 times",
                if workers == 1 { "worker" } else { "workers" },
                period.as_secs_f64(),
                (names.worker)(worker),
            ),
            Self::Convoy { bunches, apart, workers } => alloc::format!(
                "the answers of {workers} workers stop and come together, {bunches} times in the last minute, {:.0} s \
                 apart",
                apart.as_secs_f64(),
            ),
            Self::LateralDrift { path, intended, actual } => alloc::format!(
                "{} gets {} of the requests and is to get {}",
                (names.path)(path),
                Percent(actual),
                Percent(intended),
            ),
            Self::MetastableOverload { trigger, gone_for, failing, slower, tries } => alloc::format!(
                "{} was over {:.0} s ago, and the pool stays down: {} of its tries fail, answers take {slower:.1} \
                 times the usual, with {tries:.2} tries a request",
                match trigger {
                    Trigger::Demand { times } => alloc::format!("a demand of {times:.1} times the usual"),
                    Trigger::Worker { worker } => alloc::format!("the failure of {}", (names.worker)(worker)),
                },
                gone_for.as_secs_f64(),
                Percent(failing),
            ),
        }
    }
}

struct Percent(Share);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} %", self.0.get() * 100.0)
    }
}
