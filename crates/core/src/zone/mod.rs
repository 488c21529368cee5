//! Zones: a request is served where it came from while there is room, and elsewhere when there is none [R-P2].
//!
//! ```text
//! each tick      demand of each home, capacity and latency of each zone -> Spill -> shares of each home, with the reason
//! each request   home -> a lot among the zones by these shares -> the pool's own pick among the workers of that zone
//!                                                  \-- nobody there may be asked -> the pick among all workers
//! ```
//! A home is the zone that a request came from: by its client's network, or the gateway's own. Shares come from requests a
//! second beside `rate / utilization`, as weights do: that quotient does not depend on the shares themselves, so the loop
//! has next to no gain and cannot swing. What acts at once, a zone that nobody in is left of, acts in the pick.

mod config;
mod flows;
mod spill;
mod spread;
mod table;
#[cfg(test)]
mod tests;
mod told;

pub use config::{ZonesConfig, ZonesError};
pub use flows::Flows;
pub use spill::{Sight, Spill, Stage, ZoneLook};
pub use table::{Home, Plan, ZoneTable};
pub use told::{Change, ZoneChange};

/// Zones of a pool that are told apart; workers of further ones are asked by requests of no zone, and when a zone is out.
/// Source: ours; more regions than a client's way can differ by.
pub const MOST_ZONES: usize = 16;
