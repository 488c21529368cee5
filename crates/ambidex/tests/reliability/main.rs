//! What the whole binary does when files, floods, disks and workers are against it.

mod broken_workers;
mod claims;
mod disk;
mod endings;
mod files;
mod labels;
mod lying;
#[path = "../process/mod.rs"]
mod process;
mod rogue;
mod scene;
mod secrets;
