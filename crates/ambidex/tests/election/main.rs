//! A real etcd and a real Redis: the ballot itself, processes that stand for election by it, and workers that an etcd names.

#[path = "../process/mod.rs"]
mod process;

mod ballots;
mod keys;
mod peers;
mod scene;
mod stores;
mod takeover;
