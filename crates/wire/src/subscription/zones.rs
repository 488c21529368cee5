//! Zones between a coordinator and the gateways that follow it: where requests go, down; where they came from and went, up.
//!
//! Homes are known where requests arrive, what zones can carry where weights are decided. So gateways count, and the
//! coordinator says which share of each zone's requests goes where. Names stand in the order of their numbers; a coordinator
//! only adds to it while it runs.

use std::sync::Arc;

use ambidex_core::share::Share;
use ambidex_core::zone::{Flows, MOST_ZONES, Plan, ZoneTable};
use prost::Message;
use serde::{Deserialize, Serialize};

use super::counts::MOST_COUNT;
use super::picture::MOST_LABEL;

/// The zones of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZonesPicture {
    /// Whether requests go by them.
    pub acts: bool,
    /// Each of them.
    pub zones: Vec<ZonePicture>,
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZonePicture {
    /// Its name.
    pub name: String,
    /// Where the requests that came from it go, by the place of the zone.
    pub shares: Vec<Share>,
    /// Of the pool's requests, what comes from it, to a hundredth.
    pub part: Share,
}

/// Requests of one zone that were sent to another, or the same, since the beat before.
#[derive(Clone, PartialEq, Message)]
pub struct FlowCounts {
    /// The zone that they came from.
    #[prost(string, tag = "1")]
    pub home: String,
    /// The zone that they were sent to.
    #[prost(string, tag = "2")]
    pub zone: String,
    /// How many.
    #[prost(uint64, tag = "3")]
    pub count: u64,
}

impl ZonesPicture {
    /// The zones that requests go by.
    #[must_use]
    pub fn of(table: &ZoneTable) -> Self {
        let zone = |plan: Plan| ZonePicture {
            name: plan.name.to_string(),
            shares: plan.shares.into_iter().map(Share::clamped).collect(),
            // It moves all the time, and nobody goes by it.
            part: Share::clamped((plan.part * 100.0).round() / 100.0),
        };
        Self { acts: table.acts(), zones: table.plans().map(zone).collect() }
    }

    /// The same as requests read them.
    #[must_use]
    pub fn table(&self, flows: &Arc<Flows>) -> ZoneTable {
        let plan = |zone: &ZonePicture| Plan {
            name: zone.name.as_str().into(),
            shares: zone.shares.iter().map(|share| share.get()).collect(),
            part: zone.part.get(),
        };
        ZoneTable::new(self.acts, self.zones.iter().map(plan).collect(), Arc::clone(flows))
    }

    /// Why it cannot be believed, if that is so.
    pub(super) fn wrong(&self) -> Option<String> {
        if self.zones.len() > MOST_ZONES {
            return Some(format!("it has {} zones: at most {MOST_ZONES} are told apart", self.zones.len()));
        }
        let fits = |zone: &ZonePicture| {
            zone.name.len() <= MOST_LABEL
                && !zone.name.contains(char::is_control)
                && zone.shares.len() == self.zones.len()
        };
        (!self.zones.iter().all(fits)).then(|| "a zone of it has no name, or not one share for each zone".to_owned())
    }
}

impl FlowCounts {
    /// How many requests; `None` of more than a gateway can have.
    #[must_use]
    pub fn counted(&self) -> Option<u64> {
        (self.count <= MOST_COUNT).then_some(self.count)
    }
}
