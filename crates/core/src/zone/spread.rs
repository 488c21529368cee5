//! Where requests of each home go, as a function of what is known: no memory, no time.
//!
//! ```text
//! limit     spill_at; where all zones together are over it, what they are together: then all are filled alike
//! kept      what home has room for under the limit; moved only when home's utilization leaves [return_at, spill_at]
//! away      the rest, in proportion to   room / (1 + extra latency / slo),   and to no zone more than it has room for
//! probes    a hundredth of it goes to the others in any case
//! ```

use alloc::vec;
use alloc::vec::Vec;

use super::config::ZonesConfig;
use super::table::stay;

/// One zone, as home and as a place to go to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Zone {
    /// Whether anybody in it takes requests.
    pub(super) takes: bool,
    /// Requests a second that came from it.
    pub(super) demand: f64,
    /// Requests a second that its workers can carry, where that is known.
    pub(super) capacity: Option<f64>,
    /// Requests a second that it has of no home.
    pub(super) base: f64,
    /// Sum of its workers' weights.
    pub(super) weight: f64,
    /// What its answers take at least, in seconds.
    pub(super) latency: Option<f64>,
    /// The share of its own that it kept until now.
    pub(super) kept: f64,
}

impl Zone {
    /// The utilization that it would have if it kept `share` of its own.
    pub(super) fn utilization(&self, share: f64) -> Option<f64> {
        let capacity = self.capacity.filter(|capacity| *capacity > 0.0)?;
        Some((self.demand * share + self.base) / capacity)
    }

    fn room(&self, limit: f64) -> f64 {
        let carried = self.demand * self.kept + self.base;
        if self.takes { (self.capacity.unwrap_or(0.0) * limit - carried).max(0.0) } else { 0.0 }
    }
}

/// The utilization up to which zones are filled.
pub(super) fn limit(config: &ZonesConfig, zones: &[Zone]) -> f64 {
    let known = || zones.iter().filter(|zone| zone.takes && zone.capacity.is_some());
    let capacity: f64 = known().filter_map(|zone| zone.capacity).sum();
    // Of a zone that nobody is left in, too: its requests are somewhere.
    let load: f64 = zones.iter().map(|zone| zone.demand).sum::<f64>() + known().map(|zone| zone.base).sum::<f64>();
    let together = if capacity > 0.0 { load / capacity } else { 0.0 };
    config.spill_at.get().max(together)
}

/// The share of its own that a zone keeps.
pub(super) fn keep(config: &ZonesConfig, zone: &Zone, limit: f64) -> f64 {
    if !zone.takes {
        return 0.0;
    }
    if zone.demand <= 0.0 {
        return 1.0;
    }
    let (Some(now), Some(capacity)) = (zone.utilization(zone.kept), zone.capacity) else { return 1.0 };
    let back = config.return_at.get() * limit / config.spill_at.get();
    let fits = |limit: f64| ((capacity * limit - zone.base) / zone.demand).clamp(0.0, 1.0);
    if now > limit {
        fits(limit)
    } else if now < back {
        fits(back).max(zone.kept)
    } else {
        zone.kept
    }
}

/// Shares of each home over all zones. `zones` keep what they keep from now on.
pub(super) fn spread(config: &ZonesConfig, zones: &[Zone], limit: f64) -> Vec<Vec<f64>> {
    let mut rooms: Vec<f64> = zones.iter().map(|zone| zone.room(limit)).collect();
    let mut rows = Vec::with_capacity(zones.len());
    for (home, zone) in zones.iter().enumerate() {
        let mut row = stay(home, zones.len());
        row[home] = zone.kept;
        let over = zone.demand * (1.0 - zone.kept);
        if zone.kept < 1.0 {
            let farther = |at: usize| match (zone.latency, zones[at].latency) {
                (Some(own), Some(other)) => (other - own).max(0.0) / config.slo.as_secs_f64(),
                (None, _) | (_, None) => 0.0,
            };
            let sent = pour(over, home, &mut rooms, |at| 1.0 / (1.0 + farther(at)));
            let all: f64 = sent.iter().sum();
            let part = |sent: f64| if over > 0.0 { sent / over * (1.0 - zone.kept) } else { 0.0 };
            row.iter_mut().zip(&sent).for_each(|(share, sent)| *share += part(*sent));
            rest(&mut row, home, zones, (1.0 - zone.kept) - part(all));
        }
        probe(&mut row, home, zones, config.probes.get());
        rows.push(row);
    }
    rows
}

/// Pours `over` into the rooms of all zones but `home`, in proportion to room times `worth`, to none more than its room.
fn pour(over: f64, home: usize, rooms: &mut [f64], worth: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut sent = vec![0.0; rooms.len()];
    let wants: Vec<f64> =
        rooms.iter().enumerate().map(|(at, room)| if at == home { 0.0 } else { room * worth(at) }).collect();
    let mut left = over;
    let mut open: Vec<usize> = (0..rooms.len()).filter(|at| wants[*at] > 0.0).collect();
    while left > 1e-9 && !open.is_empty() {
        let sum: f64 = open.iter().map(|at| wants[*at]).sum();
        let full: Vec<usize> = open.iter().copied().filter(|at| wants[*at] / sum * left >= rooms[*at]).collect();
        if full.is_empty() {
            for at in &open {
                let part = wants[*at] / sum * left;
                sent[*at] += part;
                rooms[*at] -= part;
            }
            break;
        }
        for at in full {
            left -= rooms[at];
            sent[at] += rooms[at];
            rooms[at] = 0.0;
            open.retain(|other| *other != at);
        }
        left = left.max(0.0);
    }
    sent
}

/// What no zone has room for stays at home; where nobody is at home, it goes by capacity, else by weight.
fn rest(row: &mut [f64], home: usize, zones: &[Zone], left: f64) {
    if left <= 0.0 {
        return;
    }
    if zones[home].takes {
        row[home] += left;
        return;
    }
    let all_known = zones.iter().filter(|zone| zone.takes).all(|zone| zone.capacity.is_some());
    let size = |zone: &Zone| match zone.capacity.filter(|_| all_known) {
        _ if !zone.takes => 0.0,
        Some(capacity) => capacity,
        None => zone.weight,
    };
    let sum: f64 = zones.iter().map(size).sum();
    if sum > 0.0 {
        row.iter_mut().zip(zones).for_each(|(share, zone)| *share += left * size(zone) / sum);
    } else {
        // Nobody takes anything anywhere: the request finds that out at home.
        row[home] += left;
    }
}

/// Sends a little of what stays at home to zones that get less than their part of it.
fn probe(row: &mut [f64], home: usize, zones: &[Zone], probes: f64) {
    let others: Vec<usize> = (0..zones.len()).filter(|at| *at != home && zones[*at].takes).collect();
    let each = probes / others.len().max(1) as f64;
    for at in others {
        let more = (each - row[at]).clamp(0.0, row[home]);
        row[at] += more;
        row[home] -= more;
    }
}
