//! Laws of the shares, the machine in a loop with workers of known capacity, and what requests make of the table.

mod laws;
mod picks;

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::*;
use crate::plan::Terms;
use crate::share::Share;
use crate::time::{Mono, Span};

/// Zones whose workers are what they are, and requests of which so many come from each.
struct World {
    spill: Spill,
    names: Vec<Arc<str>>,
    /// Requests a second that each carries; 0 is out.
    capacity: Vec<f64>,
    demand: Vec<f64>,
    latency: Vec<f64>,
    seconds: u64,
    changes: Vec<ZoneChange>,
}

impl World {
    fn of(capacity: &[f64], demand: &[f64]) -> Self {
        let names = ["a", "b", "c"][..capacity.len()].iter().map(|name| Arc::from(*name)).collect();
        let latency = capacity.iter().map(|_| 0.02).collect();
        let spill = Spill::new(ZonesConfig::default());
        let (capacity, demand) = (capacity.to_vec(), demand.to_vec());
        Self { spill, names, capacity, demand, latency, seconds: 0, changes: Vec::new() }
    }

    /// So many seconds, with a tick each.
    fn run(&mut self, seconds: u64) -> &mut Self {
        for _ in 0..seconds {
            let mut served: Vec<f64> = self.names.iter().map(|_| 0.0).collect();
            for home in 0..self.names.len() {
                for (zone, served) in served.iter_mut().enumerate() {
                    let part = self.share(home, zone) * self.demand[home];
                    (0..whole(part)).for_each(|_| self.spill.flows().count(home, zone));
                    *served += part;
                }
            }
            self.seconds += 1;
            let now = Mono::default() + Span::from_secs(self.seconds);
            let terms: Vec<(f64, Terms)> = (0..self.names.len()).map(|at| self.terms(at, served[at])).collect();
            let sights = self.names.iter().zip(&terms).enumerate().map(|(at, (zone, (carried, terms)))| Sight {
                zone,
                takes: self.capacity[at] > 0.0,
                weight: 1.0,
                terms: *terms,
                answers: (whole(*carried), Span::from_secs_f64(self.latency[at])),
            });
            self.spill.tick(now, sights, &mut self.changes);
        }
        self
    }

    fn terms(&self, at: usize, served: f64) -> (f64, Terms) {
        let carried = served.min(self.capacity[at]);
        let known = carried > 0.0;
        let utilization = known.then(|| carried / self.capacity[at]);
        (carried, Terms { rate: known.then_some(carried), utilization, ..Terms::default() })
    }

    fn share(&self, home: usize, zone: usize) -> f64 {
        let Some(look) = self.spill.looks().nth(home) else { return if home == zone { 1.0 } else { 0.0 } };
        look.shares.iter().find(|(name, _)| *name == self.names[zone]).map_or(0.0, |(_, share)| share.get())
    }

    fn words(&self) -> Vec<(&str, &'static str)> {
        self.changes.iter().map(|change| (&*change.zone, change.to.word())).collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "some hundreds")]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

fn near(value: f64, wanted: f64) -> bool {
    (value - wanted).abs() < 0.03
}

#[test]
fn what_fits_stays_at_home_but_for_the_probes() {
    let mut world = World::of(&[800.0, 200.0], &[600.0, 100.0]);
    world.run(20);
    assert!(near(world.share(0, 1), 0.01), "{}", world.share(0, 1));
    assert_eq!(world.words(), []);
}

#[test]
fn what_does_not_fit_under_the_limit_goes_and_no_more_than_that() {
    let mut world = World::of(&[800.0, 800.0], &[400.0, 100.0]);
    world.run(10);
    world.capacity[0] = 400.0;
    world.run(30);
    assert_eq!(world.words(), [("a", "spill")]);
    assert!(near(world.share(0, 0), 0.8), "{}", world.share(0, 0));
}

#[test]
fn a_zone_that_has_room_again_takes_its_own_back() {
    let mut world = World::of(&[400.0, 800.0], &[400.0, 100.0]);
    world.run(30);
    world.demand[0] = 290.0;
    world.run(30);
    assert_eq!(world.words(), [("a", "spill")], "it does not all fit under the lower limit");
    world.demand[0] = 270.0;
    world.run(30);
    assert_eq!(world.words(), [("a", "spill"), ("a", "return")]);
}

#[test]
fn where_everybody_is_over_the_limit_all_are_filled_alike() {
    let mut world = World::of(&[800.0, 400.0], &[960.0, 120.0]);
    world.run(40);
    let to_b = world.share(0, 1) * 960.0 + world.share(1, 1) * 120.0;
    assert!(near(to_b / 400.0, 0.9), "{to_b}");
}

#[test]
fn a_zone_that_is_out_gives_everything_at_once_and_gets_it_back() {
    let mut world = World::of(&[400.0, 800.0, 800.0], &[200.0, 100.0, 100.0]);
    world.run(10);
    world.capacity[0] = 0.0;
    world.run(2);
    assert!(world.share(0, 0) <= 0.0 && near(world.share(0, 1), 0.5) && near(world.share(0, 2), 0.5));
    world.capacity[0] = 400.0;
    world.run(20);
    assert!(world.share(0, 0) > 0.97, "{}", world.share(0, 0));
    assert_eq!(world.words(), [("a", "out"), ("a", "return")]);
}

#[test]
fn a_zone_that_is_farther_by_the_slo_gets_half_as_much_for_its_room() {
    let mut world = World::of(&[400.0, 800.0, 800.0], &[600.0, 1.0, 1.0]);
    world.latency[2] = 0.12;
    world.run(60);
    let ratio = world.share(0, 1) / world.share(0, 2);
    assert!((ratio - 2.0).abs() < 0.2, "{ratio}");
}

#[test]
fn zones_that_are_only_watched_draw_nothing_and_say_so() {
    let watched: ZonesConfig = serde_json::from_str(r#"{"mode": "observe"}"#).expect("sound");
    let mut world = World::of(&[400.0, 800.0], &[600.0, 1.0]);
    world.spill.configure(watched);
    world.run(20);
    assert!(world.changes[0].watched && world.changes[0].sentence().contains("would go"), "{:?}", world.changes);
}

#[test]
fn a_change_is_told_with_what_it_rests_on() {
    let change = ZoneChange {
        zone: "a".into(),
        to: Change::Spill { utilization: 1.0, limit: 0.8 },
        demand: 400.0,
        shares: [("a".into(), Share::percent(80)), ("b".into(), Share::percent(20))].into(),
        watched: false,
    };
    let wanted =
        "requests of zone a would fill it to 100 % of what it can carry, more than 80 %: they go 80 % to a, 20 % to b";
    assert_eq!(change.sentence(), wanted);
}

#[test]
fn settings_out_of_their_range_are_refused_with_the_range() {
    for (written, wanted) in [
        (r#"{"spill_at": "5%"}"#, "`spill_at: 5%` cannot be: it must be 10% to 100%"),
        (r#"{"return_at": "90%"}"#, "`return_at: 90%` cannot be: it must be 5% to `spill_at`"),
        (r#"{"slo": "0s"}"#, "`slo: 0s` cannot be: it must be 1ms to 1m"),
        (r#"{"probes": "20%"}"#, "`probes: 20%` cannot be: it must be at most 10%"),
    ] {
        let error = serde_json::from_str::<ZonesConfig>(written).expect_err("out of range");
        assert!(alloc::format!("{error}").contains(wanted), "{error}");
    }
}
