//! Runs cases on lanes: each lane a thread with a runtime of its own, the next case to whoever is free.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Two cores do not get more out of more.
pub(crate) const LANES: usize = 4;

/// Has `work` done for each case; `begin` makes what a lane has of its sockets, within the lane's runtime.
pub(crate) fn each<Lane: Send, Ready>(
    lanes: Vec<Lane>,
    cases: &[Vec<u8>],
    begin: impl Fn(Lane) -> Ready + Sync,
    work: impl AsyncFn(&Ready, &[u8]) + Sync,
) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for lane in lanes {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    let ready = begin(lane);
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                        work(&ready, case).await;
                    }
                });
            });
        }
    });
}

/// A listener for an origin of a lane.
pub(crate) fn bound() -> TcpListener {
    // An address of this process alone, so that nobody else takes a port that was free a moment ago.
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let own = std::net::Ipv4Addr::new(127, 78, high, low.clamp(1, 254));
    TcpListener::bind((own, 0)).expect("a port")
}
