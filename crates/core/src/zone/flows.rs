//! Who went where: requests by the zone that they came from and the zone that they were sent to. They outlive views, and
//! all threads count into the same cells.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::MOST_ZONES;

/// Requests by home and zone, both by their numbers.
#[derive(Debug, Default)]
pub struct Flows([[AtomicU64; MOST_ZONES]; MOST_ZONES]);

impl Flows {
    /// A request of `home` goes to `zone`.
    pub(crate) fn count(&self, home: usize, zone: usize) {
        if let Some(cell) = self.0.get(home).and_then(|row| row.get(zone)) {
            cell.fetch_add(1, Relaxed);
        }
    }

    /// So many requests of `home` went to `zone`, as another process counted.
    pub fn add(&self, home: usize, zone: usize, count: u64) {
        if let Some(cell) = self.0.get(home).and_then(|row| row.get(zone)) {
            cell.fetch_add(count, Relaxed);
        }
    }

    /// Requests of `home` that went to `zone`, since the start.
    #[must_use]
    pub fn of(&self, home: usize, zone: usize) -> u64 {
        self.0.get(home).and_then(|row| row.get(zone)).map_or(0, |cell| cell.load(Relaxed))
    }

    /// Requests of `home`, wherever they went.
    #[must_use]
    pub fn from(&self, home: usize) -> u64 {
        self.0.get(home).map_or(0, |row| row.iter().map(|cell| cell.load(Relaxed)).sum())
    }
}
