//! Zones of a pool, as the API and the pages show them.

use std::sync::Arc;

use ambidex_core::again::Mode;
use ambidex_core::share::Share;
use ambidex_core::zone::{Stage, ZoneLook};
use ambidex_wire::subscription::{ZonePicture, ZonesPicture};
use serde::Serialize;

use crate::pool::Pool;
use crate::track::millis;

/// One zone, as a place to serve and as the home of requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ZoneStatus {
    /// Its name; empty of workers that have none.
    pub name: Arc<str>,
    /// Whether zones act in this pool.
    pub mode: Mode,
    /// Where its requests are served.
    pub stage: Stage,
    /// Requests a second that come from it.
    pub demand: f64,
    /// Requests a second that its workers answer.
    pub served: f64,
    /// Requests a second that they can carry, where that is known.
    pub capacity: Option<f64>,
    /// `served` of `capacity`; 1 is full.
    pub utilization: Option<f64>,
    /// The least that its answers took lately.
    pub latency_ms: Option<f64>,
    /// Where its requests go.
    pub to: Vec<ZoneFlow>,
    /// Why they go there: the newest decision.
    pub why: Option<String>,
    /// The number of that decision.
    pub decision: Option<u64>,
}

/// Where a part of a zone's requests goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ZoneFlow {
    /// To which zone.
    pub zone: Arc<str>,
    /// Which share of them is meant to.
    pub share: Share,
    /// How many have, since the start.
    pub requests: u64,
}

impl ZoneStatus {
    pub(crate) fn of(pool: &Pool) -> Vec<Self> {
        if let Some(told) = pool.followed.as_ref().and_then(|followed| followed.policy().zones.as_ref()) {
            return Self::followed(pool, told);
        }
        let Some(zones) = &pool.zones else { return Vec::new() };
        let looks: Vec<ZoneLook> = zones.spill.looks().collect();
        let status = |(home, look): (usize, &ZoneLook)| {
            let flow = |(zone, other): (usize, &ZoneLook)| {
                let share = look.shares.iter().find(|(name, _)| *name == other.name);
                let share = share.map_or(Share::NONE, |(_, share)| *share);
                let requests = zones.spill.flows().of(home, zone);
                (share > Share::NONE || requests > 0).then(|| ZoneFlow {
                    zone: Arc::clone(&other.name),
                    share,
                    requests,
                })
            };
            let told = zones.told.get(&look.name);
            Self {
                name: Arc::clone(&look.name),
                mode: zones.spill.config().mode(),
                stage: look.stage,
                demand: look.demand,
                served: look.served,
                capacity: look.capacity,
                utilization: look.utilization,
                latency_ms: look.latency.map(millis),
                to: looks.iter().enumerate().filter_map(flow).collect(),
                why: told.map(|item| item.sentence.clone()),
                decision: told.map(|item| item.seq),
            }
        };
        looks.iter().enumerate().map(status).collect()
    }

    /// As a gateway that follows knows them: where requests go, and went. What zones carry its coordinator knows.
    fn followed(pool: &Pool, told: &ZonesPicture) -> Vec<Self> {
        let status = |(home, zone): (usize, &ZonePicture)| {
            let flow = |(at, (other, share)): (usize, (&ZonePicture, &Share))| {
                let (share, requests) = (*share, pool.homes.of(home, at));
                let zone = other.name.as_str().into();
                (share > Share::NONE || requests > 0).then_some(ZoneFlow { zone, share, requests })
            };
            let stays = zone.shares.get(home).is_some_and(|share| share.get() >= ALMOST_ALL);
            Self {
                name: zone.name.as_str().into(),
                mode: if told.acts { Mode::On } else { Mode::Observe },
                stage: if stays { Stage::Home } else { Stage::Spilling },
                demand: 0.0,
                served: 0.0,
                capacity: None,
                utilization: None,
                latency_ms: None,
                to: told.zones.iter().zip(&zone.shares).enumerate().filter_map(flow).collect(),
                why: None,
                decision: None,
            }
        };
        told.zones.iter().enumerate().map(status).collect()
    }
}

/// What stays at home but for the probes. Source: the most that probes may be.
const ALMOST_ALL: f64 = 0.9;
