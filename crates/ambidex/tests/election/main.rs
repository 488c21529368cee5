//! Who of several leads, by a real etcd and a real Redis: the drivers of the ballot.

#[path = "../process/mod.rs"]
mod process;

mod ballots;
mod peers;
