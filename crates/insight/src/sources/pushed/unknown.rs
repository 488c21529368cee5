//! What was left out, by name: metrics that mean nothing here, and series that are more than may be.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64;

use super::{Labels, MOST_NAMES, MOST_SERIES};
use crate::history::{Map, Recorder};

#[derive(Clone, Debug, Default)]
pub(super) struct Unknown {
    names: BTreeSet<String>,
    /// Points of metrics that mean nothing here.
    points: u64,
    refused: Map<Box<str>, Refused>,
}

/// Series of a metric that were more than may be.
#[derive(Clone, Debug, Default)]
struct Refused {
    points: u64,
    /// Hashes of values by label, as many as show which label it is.
    values: BTreeMap<String, BTreeSet<u64>>,
}

impl Unknown {
    pub(super) fn add(&mut self, name: &str) {
        self.points += 1;
        if self.names.len() < MOST_NAMES && !self.names.contains(name) {
            self.names.insert(name.to_owned());
        }
    }

    pub(super) fn too_many(&mut self, name: &str, labels: Labels<'_>) {
        if self.refused.len() >= MOST_NAMES && !self.refused.contains_key(name) {
            return;
        }
        let refused = self.refused.entry(name.into()).or_default();
        refused.points += 1;
        for (label, value) in labels {
            if refused.values.len() < MOST_LABELS || refused.values.contains_key(*label) {
                let values = refused.values.entry((*label).to_owned()).or_default();
                if values.len() < ENOUGH_VALUES {
                    values.insert(xxh3_64(value.as_bytes()));
                }
            }
        }
    }

    pub(super) fn tell(&self, recorder: &mut Recorder) {
        for (name, refused) in &self.refused {
            let most = refused.values.iter().max_by_key(|(_, values)| values.len());
            let label = most.filter(|(_, values)| values.len() > 1).map_or_else(String::new, |(label, values)| {
                let at_least = if values.len() < ENOUGH_VALUES { "" } else { " and more" };
                format!("; its label `{label}` has {}{at_least} values among them", values.len())
            });
            let what = format!("`{name}`: more than {MOST_SERIES} series of counters: others are left out{label}");
            recorder.remark_times(what, refused.points);
        }
        if self.points > 0 {
            let names: Vec<_> = self.names.iter().map(String::as_str).collect();
            let more = if names.len() < MOST_NAMES { "" } else { ", .." };
            let what = format!(
                "metrics that mean nothing here: {}{more}: left out; `--metric NAME=METRIC` says what one is",
                names.join(", ")
            );
            recorder.remark_times(what, self.points);
        }
    }
}

/// Labels of one metric. Source: ours.
const MOST_LABELS: usize = 32;
/// Values of a label that show that it explodes. Source: ours.
const ENOUGH_VALUES: usize = 64;
