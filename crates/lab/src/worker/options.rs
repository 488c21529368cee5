//! What a worker of the laboratory is told to be at its start.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::change::{Change, OptionError};
use super::processor::Discipline;
use super::style::ReportStyle;
use crate::cold::ColdStart;
use crate::fault::Placed;
use crate::service::Service;

/// A worker's behaviour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerOptions {
    /// What it calls itself in the header `x-worker`. Default `worker`.
    pub name: String,
    /// Where it listens. Default a free port of 127.0.0.1.
    pub listen: SocketAddr,
    /// Whether it may listen off loopback, and send heartbeats there. Default no: it obeys anyone who posts to `/admin`.
    pub remote: bool,
    /// Requests that progress at full speed. Default 4.
    pub slots: u32,
    /// What happens beyond the slots. Default they share.
    pub discipline: Discipline,
    /// What a request costs. Default 10 ms, constant.
    pub service: Service,
    /// How many times as much a request costs whose path begins so; the longest beginning counts. Default once.
    pub costs: BTreeMap<String, f64>,
    /// How many times as long everything takes. Default 1.
    pub slowdown: f64,
    /// How slow it is at first, after its start and after each time in which it refused connections. Default not.
    pub cold_start: Option<ColdStart>,
    /// Share of requests that fail at once, without work. Default none.
    pub error_share: Share,
    /// Share of requests whose connection is reset before the answer begins. Default none.
    pub reset_share: Share,
    /// Share of requests whose connection is reset in the middle of the answer. Default none.
    pub truncate_share: Share,
    /// Pauses in which nothing progresses. Default none.
    pub pauses: Option<Pauses>,
    /// What goes wrong, and its course, counted from the start. Default nothing.
    pub faults: Vec<Placed>,
    /// Bytes in an answer. Default 200.
    pub answer_bytes: usize,
    /// How it tells of its load. Default not at all.
    pub report: ReportStyle,
    /// The window over which reported latencies and errors are taken. Default 10 s; source: R-S1 (10 to 60 s).
    pub report_window: Span,
    /// How old what it reports is. Default as things are.
    pub report_delay: Span,
    /// Share of the reports that are left out. Default none.
    pub report_loss: Share,
    /// Where heartbeats go, and what signs them; for the style `heartbeat`. Default none.
    pub heartbeat: Option<HeartbeatOptions>,
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
            costs: BTreeMap::new(),
            slowdown: 1.0,
            cold_start: None,
            error_share: Share::NONE,
            reset_share: Share::NONE,
            truncate_share: Share::NONE,
            pauses: None,
            faults: Vec::new(),
            answer_bytes: 200,
            report: ReportStyle::None,
            report_window: Span::from_secs(10),
            report_delay: Span::ZERO,
            report_loss: Share::NONE,
            heartbeat: None,
            steps: Vec::new(),
            seed: 1,
        }
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

/// Where a worker's heartbeats go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatOptions {
    /// The receiver's address, or a list of several.
    #[serde(deserialize_with = "one_or_more")]
    pub to: Vec<SocketAddr>,
    /// A file with the key that signs them, at least 32 bytes; space around it does not count.
    pub key_file: PathBuf,
    /// The number by which the receiver knows the key. Default 1.
    #[serde(default = "first_key")]
    pub key_id: u32,
    /// From one to the next. Default 500 ms; source: R-S3.
    #[serde(default = "half_a_second")]
    pub every: Span,
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
    struct OneOrMore;
    impl<'de> Visitor<'de> for OneOrMore {
        type Value = Vec<SocketAddr>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an address such as `127.0.0.1:9903`, or a list of them")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))?])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }
    deserializer.deserialize_any(OneOrMore)
}

const fn first_key() -> u32 {
    1
}

const fn half_a_second() -> Span {
    Span::from_millis(500)
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

impl WorkerOptions {
    /// Requests a second that it can carry, when each costs the same and nothing is wrong.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        f64::from(self.slots) / (self.service.mean.as_secs_f64() * self.slowdown)
    }

    /// How many times as much a request for this path costs.
    pub(super) fn cost(&self, path: &str) -> f64 {
        let begins = self.costs.iter().filter(|(beginning, _)| path.starts_with(beginning.as_str()));
        begins.max_by_key(|(beginning, _)| beginning.len()).map_or(1.0, |(_, cost)| *cost)
    }

    pub(super) fn check(&self) -> Result<(), OptionError> {
        let all = Change {
            slowdown: Some(self.slowdown),
            slots: Some(self.slots),
            costs: Some(self.costs.clone()),
            answer_bytes: Some(self.answer_bytes),
            pauses: self.pauses,
            ..Change::default()
        };
        all.check()?;
        self.steps.iter().try_for_each(|step| step.change.check())?;
        match (&self.heartbeat, self.report) {
            (None, ReportStyle::Heartbeat) => Err(OptionError::NoReceiver),
            _ if self.report_delay > MOST_DELAY => Err(OptionError::Delay(self.report_delay)),
            (Some(heartbeat), _) if heartbeat.every < Span::from_millis(1) => Err(OptionError::Every(heartbeat.every)),
            _ => Ok(()),
        }
    }
}

/// Reports are kept for so long. Source: ours; balancing.md, X14 goes to 5 s.
const MOST_DELAY: Span = Span::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_of_a_path_says_its_cost() {
        let costs = BTreeMap::from([("/".to_owned(), 2.0), ("/dear".to_owned(), 50.0)]);
        let options = WorkerOptions { costs, ..WorkerOptions::default() };
        let costs = ["/dear/1", "/cheap", ""].map(|path| options.cost(path).to_string());
        assert_eq!(costs, ["50", "2", "1"]);
    }

    #[test]
    fn heartbeats_without_a_receiver_are_refused() {
        let options = WorkerOptions { report: ReportStyle::Heartbeat, ..WorkerOptions::default() };
        assert_eq!(options.check(), Err(OptionError::NoReceiver));
    }
}
