//! What a worker of the laboratory is told to be, at its start and while it runs.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use serde::{Deserialize, Serialize};

use super::processor::Discipline;
use crate::service::Service;

/// A worker's behaviour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerOptions {
    /// What it calls itself in the header `x-worker`. Default `worker`.
    pub name: String,
    /// Where it listens. Default a free port of 127.0.0.1.
    pub listen: SocketAddr,
    /// Whether it may listen off loopback. Default no: it obeys anyone who posts to `/admin`.
    pub remote: bool,
    /// Requests that progress at full speed. Default 4.
    pub slots: u32,
    /// What happens beyond the slots. Default they share.
    pub discipline: Discipline,
    /// What a request costs. Default 10 ms, constant.
    pub service: Service,
    /// How many times as long everything takes. Default 1.
    pub slowdown: f64,
    /// Share of requests that fail at once, without work. Default none.
    pub error_share: Share,
    /// Pauses in which nothing progresses. Default none.
    pub pauses: Option<Pauses>,
    /// Bytes in an answer. Default 200.
    pub answer_bytes: usize,
    /// How it tells of its load. Default not at all.
    pub report: ReportStyle,
    /// The window over which reported latencies and errors are taken. Default 10 s; source: R-S1 (10 to 60 s).
    pub report_window: Span,
    /// Changes that happen by themselves, each so long after the start. Default none.
    pub steps: Vec<Step>,
    /// Seed of its service times and failures. Default 1.
    pub seed: u64,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            name: "worker".into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            remote: false,
            slots: 4,
            discipline: Discipline::Share,
            service: Service::constant(Span::from_millis(10)),
            slowdown: 1.0,
            error_share: Share::NONE,
            pauses: None,
            answer_bytes: 200,
            report: ReportStyle::None,
            report_window: Span::from_secs(10),
            steps: Vec::new(),
            seed: 1,
        }
    }
}

impl WorkerOptions {
    /// Requests a second that it can carry.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        f64::from(self.slots) / (self.service.mean.as_secs_f64() * self.slowdown)
    }
}

/// Regular pauses, as a garbage collector's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pauses {
    /// How long one lasts.
    pub length: Span,
    /// From the beginning of one to that of the next.
    pub every: Span,
    /// When the first begins, counted from the start. Default at once.
    #[serde(default)]
    pub first: Span,
}

/// A change at its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// How long after the start.
    pub at: Span,
    /// What changes then.
    pub change: Change,
}

/// A change of a running worker: what `POST /admin` takes. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// How many times as long everything takes.
    pub slowdown: Option<f64>,
    /// Requests that progress at full speed.
    pub slots: Option<u32>,
    /// What a request costs.
    pub service: Option<Service>,
    /// Share of requests that fail at once.
    pub error_share: Option<Share>,
    /// Bytes in an answer.
    pub answer_bytes: Option<usize>,
    /// Pauses; counted from the start of the worker.
    pub pauses: Option<Pauses>,
}

/// Why a change, or a worker's options, were refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OptionError {
    /// Time would stand still or run backwards.
    #[error("slowdown {0} is not a number from 0.001 to 100000")]
    Slowdown(f64),
    /// Nothing could be served.
    #[error("slots must be from 1 to 100000, not {0}")]
    Slots(u32),
    /// It would never work.
    #[error("pauses of {length} every {every} leave no time to work")]
    Pauses {
        /// How long one lasts.
        length: Span,
        /// From one to the next.
        every: Span,
    },
    /// More than an answer of the laboratory may hold.
    #[error("an answer of {0} bytes is larger than 64 MiB")]
    AnswerBytes(usize),
}

impl Change {
    /// Checks every value.
    ///
    /// # Errors
    /// The first value that no worker can take.
    pub fn check(&self) -> Result<(), OptionError> {
        if let Some(slowdown) = self.slowdown.filter(|slowdown| !(0.001..=1e5).contains(slowdown)) {
            return Err(OptionError::Slowdown(slowdown));
        }
        if let Some(slots) = self.slots.filter(|slots| !(1..=100_000).contains(slots)) {
            return Err(OptionError::Slots(slots));
        }
        if let Some(Pauses { length, every, .. }) = self.pauses.filter(|pauses| pauses.length >= pauses.every) {
            return Err(OptionError::Pauses { length, every });
        }
        match self.answer_bytes {
            Some(bytes) if bytes > 64 << 20 => Err(OptionError::AnswerBytes(bytes)),
            _ => Ok(()),
        }
    }
}

impl WorkerOptions {
    pub(super) fn check(&self) -> Result<(), OptionError> {
        let all = Change {
            slowdown: Some(self.slowdown),
            slots: Some(self.slots),
            answer_bytes: Some(self.answer_bytes),
            pauses: self.pauses,
            ..Change::default()
        };
        all.check()?;
        self.steps.iter().try_for_each(|step| step.change.check())
    }
}

/// How a worker tells of its load. The JSON endpoint `/load` is there in every style but `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportStyle {
    /// Not at all.
    #[default]
    None,
    /// The header `Server-Load` on every answer.
    ServerLoad,
    /// The header `endpoint-load-metrics: TEXT ...` on every answer.
    OrcaText,
    /// The header `endpoint-load-metrics: JSON ...` on every answer.
    OrcaJson,
    /// Only when asked at `/load`.
    Endpoint,
}

impl FromStr for ReportStyle {
    type Err = StyleError;

    fn from_str(text: &str) -> Result<Self, StyleError> {
        STYLES.iter().find(|(name, _)| *name == text).map(|(_, style)| *style).ok_or_else(|| StyleError(text.into()))
    }
}

impl fmt::Display for ReportStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = STYLES.iter().find(|(_, style)| style == self).map_or("none", |(name, _)| name);
        f.write_str(name)
    }
}

/// Why a text names no style of report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a style of report: write none, server-load, orca-text, orca-json or endpoint")]
pub struct StyleError(String);

const STYLES: [(&str, ReportStyle); 5] = [
    ("none", ReportStyle::None),
    ("server-load", ReportStyle::ServerLoad),
    ("orca-text", ReportStyle::OrcaText),
    ("orca-json", ReportStyle::OrcaJson),
    ("endpoint", ReportStyle::Endpoint),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_in_a_change_is_refused() {
        let error = serde_json::from_str::<Change>(r#"{"slow": 10}"#).expect_err("unknown key");
        assert!(error.to_string().contains("slowdown"), "{error}");
    }

    #[test]
    fn values_that_no_worker_can_take_are_refused() {
        for text in [
            r#"{"slowdown": 0}"#,
            r#"{"slots": 0}"#,
            r#"{"pauses": {"length": "2s", "every": "1s"}}"#,
            r#"{"answer_bytes": 100000000}"#,
        ] {
            let change: Change = serde_json::from_str(text).expect("parses");
            assert!(change.check().is_err(), "{text}");
        }
    }

    #[test]
    fn styles_read_back() {
        for (name, style) in STYLES {
            assert_eq!((name.parse(), style.to_string()), (Ok(style), name.to_owned()));
        }
    }
}
