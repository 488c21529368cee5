//! Several coordinators, with a real etcd and a real Redis: the ballot itself, and processes that stand for election by it.

#[path = "../process/mod.rs"]
mod process;

mod ballots;
mod peers;
mod scene;
mod stores;
mod takeover;
