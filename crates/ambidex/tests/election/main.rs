//! A real etcd and a real Redis: the ballot itself, processes that stand for election by it, and workers that an etcd names.

#[path = "../process/mod.rs"]
mod process;

mod ballots;
mod keys;
mod peers;
mod scene;
mod handed;
#[path = "../proxies/scene.rs"]
#[allow(dead_code, reason = "the scene of other tests")]
mod haproxy;
mod stores;
mod takeover;
