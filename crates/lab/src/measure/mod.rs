//! What a run is measured by: one recorder and one set of metrics for live load and for the simulator.
//!
//! ```text
//! request (due, ended, worker, class, gateway, fate) ─┐
//! weights, once a tick ───────────────────────────────┼─> Recorder -> Figures -> Metric::of(&Figures)
//! busy slot-seconds of each worker, tries ────────────┘
//! ```
//! Nothing here reads a clock. Requests count by the moment at which they were due, so that a slow answer is written
//! down where it began to hurt, and so that live and simulated runs compare bin by bin.

mod bins;
mod fate;
mod figures;
mod herd;
mod latency;
mod metric;
mod recorder;
mod shift;
mod weights;

pub use self::fate::{Fate, Tallies};
pub use self::figures::{ClassFigures, Figures, Lateness, Oscillation, Reached, Series, WeightsAt, WorkerFigures};
pub use self::latency::Latency;
pub(crate) use self::latency::micros;
pub use self::metric::{Better, Metric, MetricError};
pub use self::recorder::{Ended, Event, Recorder, Scope};
