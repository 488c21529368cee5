//! What of a worker can be changed while it runs: by a call, at a time, and by `POST /admin`.

use std::collections::BTreeMap;

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use serde::{Deserialize, Serialize};

use super::options::{Pauses, WorkerOptions};
use crate::cold::ColdStart;
use crate::fault::Placed;
use crate::service::Service;

/// A change of a running worker. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// How many times as long everything takes.
    pub slowdown: Option<f64>,
    /// Requests that progress at full speed.
    pub slots: Option<u32>,
    /// What a request costs.
    pub service: Option<Service>,
    /// How many times as much a request costs whose path begins so; in place of all that were told before.
    pub costs: Option<BTreeMap<String, f64>>,
    /// Share of requests that fail at once.
    pub error_share: Option<Share>,
    /// Share of requests whose connection is reset before the answer begins.
    pub reset_share: Option<Share>,
    /// Share of requests whose connection is reset in the middle of the answer.
    pub truncate_share: Option<Share>,
    /// Bytes in an answer.
    pub answer_bytes: Option<usize>,
    /// Pauses; counted from the start of the worker.
    pub pauses: Option<Pauses>,
    /// What goes wrong, counted from the change; in place of all that was told before.
    pub faults: Option<Vec<Placed>>,
    /// Makes it cold, counted from the change, and after each time in which it refused connections.
    pub cold_start: Option<ColdStart>,
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
    /// No request can cost that.
    #[error("the cost of {path} is {cost}: write how many times as much it costs, from 0 to 100000")]
    Cost {
        /// Of which requests.
        path: String,
        /// What was written.
        cost: f64,
    },
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
    /// Nobody would hear it.
    #[error("report is heartbeat: say where to and what signs, `heartbeat: {{to: 127.0.0.1:7000, key_file: FILE}}`")]
    NoReceiver,
    /// More than is kept.
    #[error("reports of {0} ago are not kept: 1m is the most")]
    Delay(Span),
    /// A flood.
    #[error("a heartbeat every {0} is too often: 1ms is the least")]
    Every(Span),
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
        if let Some((path, cost)) = self.costs.iter().flatten().find(|(_, cost)| !(0.0..=1e5).contains(*cost)) {
            return Err(OptionError::Cost { path: path.clone(), cost: *cost });
        }
        if let Some(Pauses { length, every, .. }) = self.pauses.filter(|pauses| pauses.length >= pauses.every) {
            return Err(OptionError::Pauses { length, every });
        }
        match self.answer_bytes {
            Some(bytes) if bytes > 64 << 20 => Err(OptionError::AnswerBytes(bytes)),
            _ => Ok(()),
        }
    }

    /// Makes the change to `options`.
    pub(super) fn apply(&self, options: &mut WorkerOptions) {
        fn put<T: Clone>(place: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                place.clone_from(value);
            }
        }
        put(&mut options.slowdown, self.slowdown.as_ref());
        put(&mut options.slots, self.slots.as_ref());
        put(&mut options.service, self.service.as_ref());
        put(&mut options.costs, self.costs.as_ref());
        put(&mut options.error_share, self.error_share.as_ref());
        put(&mut options.reset_share, self.reset_share.as_ref());
        put(&mut options.truncate_share, self.truncate_share.as_ref());
        put(&mut options.answer_bytes, self.answer_bytes.as_ref());
        put(&mut options.faults, self.faults.as_ref());
        options.pauses = self.pauses.or(options.pauses);
        options.cold_start = self.cold_start.or(options.cold_start);
    }
}

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
            r#"{"costs": {"/": -1}}"#,
        ] {
            let change: Change = serde_json::from_str(text).expect("parses");
            assert!(change.check().is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_change_does_not_name_stays() {
        let mut options = WorkerOptions { slots: 9, ..WorkerOptions::default() };
        let change: Change = serde_json::from_str(r#"{"reset_share": "5%"}"#).expect("a change");
        change.apply(&mut options);
        assert_eq!((options.slots, options.reset_share), (9, Share::percent(5)));
    }
}
