//! What holds of the shares whatever the zones are.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::super::config::ZonesConfig;
use super::super::spread::{Zone, keep, limit, spread};

fn zone() -> impl Strategy<Value = Zone> {
    let capacity = prop_oneof![1 => Just(None), 4 => (0.0..1e4_f64).prop_map(Some)];
    (prop::bool::weighted(0.8), 0.0..1e4_f64, capacity, 0.0..1e3_f64, 0.0..1.0_f64, 0.001..2.0_f64).prop_map(
        |(takes, demand, capacity, base, kept, latency)| Zone {
            takes,
            demand,
            capacity,
            base,
            weight: 1.0,
            latency: Some(latency),
            kept,
        },
    )
}

fn shares(mut zones: Vec<Zone>) -> (Vec<Zone>, f64, Vec<Vec<f64>>) {
    let config = ZonesConfig::default();
    let limit = limit(&config, &zones);
    for zone in &mut zones {
        zone.kept = keep(&config, zone, limit);
    }
    let rows = spread(&config, &zones, limit);
    (zones, limit, rows)
}

proptest! {
    #[test]
    fn every_request_goes_somewhere_and_once(zones in prop::collection::vec(zone(), 1..8)) {
        let (_, _, rows) = shares(zones);
        for row in rows {
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-6 && row.iter().all(|share| *share >= 0.0), "{row:?}");
        }
    }

    #[test]
    fn nothing_goes_where_nobody_takes_it_while_somebody_else_does(zones in prop::collection::vec(zone(), 1..8)) {
        let (zones, _, rows) = shares(zones);
        prop_assume!(zones.iter().any(|zone| zone.takes));
        for row in rows {
            for (share, zone) in row.iter().zip(&zones) {
                prop_assert!(zone.takes || *share <= 1e-9, "{row:?} {zone:?}");
            }
        }
    }

    #[test]
    fn what_comes_from_elsewhere_fills_no_zone_over_the_limit(zones in prop::collection::vec(zone(), 2..8)) {
        let known = |zone: Zone| Zone { takes: true, capacity: Some(zone.capacity.unwrap_or_default().max(1.0)), ..zone };
        let (zones, limit, rows) = shares(zones.into_iter().map(known).collect());
        for (at, zone) in zones.iter().enumerate() {
            let own = zone.demand * rows[at][at] + zone.base;
            let foreign: f64 = (0..zones.len()).filter(|home| *home != at).map(|home| zones[home].demand * rows[home][at]).sum();
            // Probes go in any case.
            let probes: f64 = zones.iter().map(|zone| zone.demand).sum::<f64>() * 0.01;
            let most = (zone.capacity.unwrap_or_default() * limit).max(own);
            prop_assert!(own + foreign <= most + probes + 1e-6, "{at}: {own} and {foreign} of {most}");
        }
    }
}
