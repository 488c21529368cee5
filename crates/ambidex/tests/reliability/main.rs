//! What the whole binary does when files, floods and disks are against it.

mod disk;
mod endings;
mod files;
mod labels;
#[path = "../process/mod.rs"]
mod process;
mod scene;
mod secrets;
