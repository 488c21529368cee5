//! What the whole binary does when files, floods, disks and workers are against it.

mod amplified;
mod beats_alone;
mod broken_workers;
mod claims;
mod clocks;
mod crowd;
mod disk;
mod early_answers;
mod endings;
mod files;
mod filled;
mod gossip;
mod heartbeats;
mod hostile_clients;
mod labels;
mod lying;
mod once;
#[path = "../process/mod.rs"]
mod process;
mod recorded;
mod rogue;
mod scene;
mod secrets;
mod twice;
