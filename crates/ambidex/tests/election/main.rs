//! A real etcd and a real Redis: the ballot itself, processes that stand for election by it, and workers that an etcd names.
//! The same processes by a Lease of Kubernetes', whose API server is ours.

#[path = "../process/mod.rs"]
mod process;

#[path = "../../../control/src/kubernetes/sample.rs"]
mod api_server;
mod ballots;
mod handed;
#[path = "../proxies/scene.rs"]
#[allow(dead_code, reason = "the scene of other tests")]
mod haproxy;
mod keys;
mod lease;
mod peers;
mod scene;
mod stores;
mod takeover;
