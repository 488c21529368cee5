//! The laboratory: workers whose behaviour is known, and load whose arrivals do not wait for answers.
//!
//! For: `ambidex demo`, `ambidex lab`, `cargo xtask bench` and the tests that put the real binary between the two.
//!
//! - [`worker`]: an HTTP/1 server that sleeps instead of working, as a processor with so many slots would, so that
//!   the machine's own scheduler does not balance for us; it can be slowed, paused and made to fail while it runs;
//! - [`load`]: an open-loop generator: arrivals come from a seed and a rate, and a latency counts from the moment at
//!   which the request was due, so that a slow answer cannot hide the wait of those behind it;
//! - [`curve`] and [`fault`]: what is wrong with a worker, and how much of it at which time;
//! - [`scenario`]: one experiment as a file: who serves, who asks, what goes wrong, what stands between;
//! - [`measure`]: what a run is measured by, whether it is live or simulated;
//! - [`score`]: how well the detectors of failure modes do on labelled, simulated runs;
//! - [`labelled`]: real runs with one thing wrong in each, by which a diagnosis is scored;
//! - [`trials`]: how often the judge of canaries is wrong, in simulated trials;
//! - [`sim`]: a scenario under a virtual clock, with the code that gateways run;
//! - [`replay`]: recorded requests sent again at their gaps, their answers compared with those of then;
//! - [`fit`]: a load model from a recording, as a scenario writes it;
//! - [`report`]: what a run or a comparison gives: a table, JSON, one HTML file;
//! - [`live`]: scenarios with real processes: ours alone, side by side with others, feature by feature;
//! - [`peer`]: real processes: nginx as a worker, and the balancers that people run today, on free ports.

mod clock;
mod cold;
pub mod fault;
pub mod fit;
pub mod labelled;
pub mod live;
pub mod load;
pub mod measure;
pub mod peer;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod score;
mod service;
pub mod sim;
mod standstill;
pub mod trials;
pub mod worker;
pub mod zipf;

pub use ambidex_core::curve;
pub use ambidex_core::share::Share;
pub use ambidex_core::time::Span;
pub use clock::{Clock, poll, rest};
pub use cold::ColdStart;
pub use curve::Curve;
pub use service::{Service, ServiceError, Shape, Trace};
pub use standstill::{Standstill, undisturbed};
