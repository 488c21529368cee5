//! The coordinator, in a gateway's process or by itself: who the workers are, what they can carry, and what was decided.
//!
//! For: the binary, which joins it to a gateway in the same process by one `ArcSwap<View>` and one bounded channel of
//! reports. It runs on a thread of its own; nothing here is on the way of a request.
//!
//! ```text
//! sources (list, file, DNS) -> roster -+                       +-> View -> gateway threads
//! reports (headers, polls)  -----------+-> tick -> decisions --+-> journal, pages, streams
//! tallies of the gateway    -----------+
//! ```

mod api;
pub mod clock;
pub mod config;
mod coordinator;
mod discovery;
pub mod doctor;
mod drills;
mod election;
mod explain;
pub mod facts;
mod follow;
mod gateways;
mod gossip;
mod health;
mod heartbeats;
pub mod journal;
mod kubernetes;
mod leadership;
mod line;
mod lookout;
mod metrics;
pub mod news;
mod orca;
mod orders;
mod paths;
mod poller;
mod pool;
pub mod publish;
mod reach;
mod room;
pub mod roster;
mod rounds;
pub mod series;
mod shards;
pub mod status;
pub mod tls;
mod token;
mod track;
mod transitions;
pub mod ui;

pub use api::openapi;
pub use coordinator::{Coordinator, CoordinatorConfig, Links, StartError};
pub use drills::DrillStatus;
pub use follow::tables::TableWatch;
pub use gossip::{GossipError, GossipStatus, PeerStatus};
pub use health::Judged;
pub use heartbeats::{HearError, HeartbeatsStatus, Listening, Opened, Totals};
pub use leadership::Leading;
pub use orders::Order;
pub use paths::{TrialOrder, TrialStatus};
pub use room::{Approved, Configured, Diff, ElectionStatus, FollowStatus, Obeyed, OrderError, ProbationStatus};
pub use shards::ShardsError;
pub use token::TokenError;
pub use track::{KeptOut, Measured};
pub use transitions::Extent;
