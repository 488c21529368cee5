//! Zones and cost classes, on the page for Prometheus. Labels are bounded by core's bounds of what is told apart.

use ambidex_core::zone::Stage;

use super::page::{Labels, Page};
use super::{Column, PoolRow, Snapshot};
use crate::status::ZoneStatus;

impl Snapshot {
    pub(super) fn encode_zones(&self, page: &mut Page<'_, '_>) -> std::fmt::Result {
        let zones = || self.pools.iter().flat_map(|pool| pool.zones.iter().map(move |zone| (pool, zone)));
        let gauges: [Column<Option<f64>, ZoneStatus>; 4] = [
            ("ambidex_zone_demand", "Requests a second that come from a zone", |zone| Some(zone.demand)),
            ("ambidex_zone_utilization", "Utilization of a zone's workers; 1 is full", |zone| zone.utilization),
            ("ambidex_zone_latency_seconds", "The least that a zone's answers took lately", |zone| {
                zone.latency_ms.map(|ms| ms / 1e3)
            }),
            ("ambidex_zone_away", "1 while requests of a zone go elsewhere because it is full or out", |zone| {
                Some(f64::from(u8::from(zone.stage != Stage::Home)))
            }),
        ];
        for (name, help, value) in gauges {
            page.gauges(name, help, zones().filter_map(|(pool, zone)| Some((of(pool, zone), value(zone)?))))?;
        }
        let flows = || {
            zones().flat_map(|(pool, zone)| {
                zone.to.iter().map(move |flow| {
                    let mut labels = of(pool, zone);
                    labels.push(("to", flow.zone.to_string()));
                    (labels, flow)
                })
            })
        };
        let shares = flows().map(|(labels, flow)| (labels, flow.share.get()));
        page.gauges("ambidex_zone_share", "Share of a zone's requests that is meant to go to a zone", shares)?;
        let sent = flows().map(|(labels, flow)| (labels, flow.requests));
        page.counters("ambidex_zone_requests", "Requests of a zone by the zone that they were sent to first", sent)
    }
}

impl Snapshot {
    pub(super) fn encode_costs(&self, page: &mut Page<'_, '_>) -> std::fmt::Result {
        let classes = || {
            self.pools.iter().flat_map(|pool| {
                pool.costs
                    .iter()
                    .map(move |class| (vec![("pool", pool.name.clone()), ("class", class.class.clone())], class))
            })
        };
        let help = "What a request of a class costs beside the pool's mean request";
        page.gauges("ambidex_class_cost", help, classes().map(|(labels, class)| (labels, class.cost)))?;
        let answers = classes().map(|(labels, class)| (labels, class.answers));
        page.counters("ambidex_class_answers", "Good answers to requests of a class", answers)
    }
}

fn of(pool: &PoolRow, zone: &ZoneStatus) -> Labels {
    vec![("pool", pool.name.clone()), ("zone", zone.name.to_string())]
}
