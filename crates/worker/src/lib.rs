//! The worker's side: what a worker can carry is known best where it works.
//!
//! ```text
//! request ── Gate::ask ── room ──────────── Permit ── the worker ── answer ── report on it ── body ends: Permit ends
//!                     \── none: Waiting ──/     \
//!                      \── enough: 503, Retry-After, Ambidex-Shed      Reporter: JSON endpoint on a port of its own,
//!                                                                               heartbeats to coordinators
//! ```
//! For Rust workers it is a tower layer ([`WorkerLayer`]); for workers in other languages the same [`Gate`] stands in
//! `ambidex agent`. What it decides is core's [`Shedder`](ambidex_core::guard::shed::Shedder); this crate owns the
//! clock, the waiting tasks and the port.
//!
//! ```no_run
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! use ambidex_worker::{WorkerConfig, WorkerLayer};
//! use axum::{Router, routing::get};
//!
//! let config = WorkerConfig { endpoint: Some("0.0.0.0:9902".parse()?), ..WorkerConfig::default() };
//! let app = Router::new().route("/", get(async || "hello")).layer(WorkerLayer::start(config)?);
//! axum::serve(tokio::net::TcpListener::bind("0.0.0.0:9000").await?, app).await?;
//! # Ok(())
//! # }
//! ```

pub mod answer;
pub mod clock;
pub mod config;
pub mod gate;
pub mod heartbeats;
pub mod host;
pub mod layer;
pub mod meter;
pub mod metrics;
mod orca;
pub mod reporter;
pub mod scrape;
#[cfg(feature = "shards")]
pub mod shard;

pub use ambidex_host::{Family as HostFamily, Kind as HostKind};
pub use clock::Clock;
pub use config::{Priority, ReportForm, WorkerConfig};
pub use gate::{Gate, Permit, Waiting, Word};
pub use heartbeats::{SendHeartbeats, SentCounts, SigningKey, Target};
pub use host::{HostConfig, HostMode};
pub use layer::{Guarded, WorkerLayer, WorkerService};
pub use reporter::{Reporter, StartError};
pub use scrape::ScrapeConfig;
