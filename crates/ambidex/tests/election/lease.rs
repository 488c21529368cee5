//! Coordinators that agree by a Lease: an API server that is away, refuses, or has forgotten, and what is told of it.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use crate::api_server::ApiServer;
use crate::process::{Running, until};
use crate::scene::{Cast, leads, status, term};

/// An API server, on a thread of its own.
pub(crate) struct Cluster {
    server: ApiServer,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tell.send(ApiServer::start().await).expect("it is waited for");
                drop(stopped.await);
            });
        });
        Self { server: told.recv().expect("it starts"), stop: Some(stop), thread: Some(thread) }
    }

    /// The place of an election.
    pub(crate) fn section(&self) -> String {
        format!("kubernetes: {{server: \"http://{}\", namespace: shop}}", self.server.address)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/shop/leases";

fn fault(running: &Running) -> String {
    status(running)["election"]["fault"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn without_the_api_server_a_leader_leads_while_its_lease_lasts_and_then_under_a_later_term() {
    let cluster = Cluster::start();
    let cast = Cast::of(&cluster.section());
    let first = cast.coordinator("first");
    until(|| leads(&first).then_some(()));
    assert_eq!((term(&first), status(&first)["election"]["place"].as_str()), (1, Some("kubernetes")));
    cluster.server.refuse_with("/", 503);
    until(|| (!leads(&first)).then_some(()));
    assert!(fault(&first).contains("status 503"), "{}", fault(&first));
    cluster.server.allow();
    until(|| (leads(&first) && term(&first) == 2).then_some(()));
    // Deleted, as if somebody had cleared up.
    cluster.server.put(LEASES, "ambidex", None);
    until(|| (leads(&first) && term(&first) == 3).then_some(()));
    until(|| fault(&first).is_empty().then_some(()));
    drop(first);
    cast.end();
}

#[test]
fn who_lacks_a_right_leads_nobody_and_says_which_until_it_is_granted() {
    let cluster = Cluster::start();
    let cast = Cast::of(&cluster.section());
    cluster.server.refuse("/api/v1/namespaces/shop/configmaps");
    let first = cast.coordinator("first");
    until(|| fault(&first).contains("configmaps").then_some(()));
    assert!(fault(&first).contains("grant it by a role") && !leads(&first), "{}", fault(&first));
    cluster.server.allow();
    until(|| leads(&first).then_some(()));
    drop(first);
    cast.end();
}
