//! A coordinator as a process runs it, with a stand-in for the gateway: answers and reports that come in all the time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use ambidex_control::clock::Clock;
use ambidex_control::config::{AdminConfig, PoolConfig};
use ambidex_control::facts::Nothing;
use ambidex_control::journal::NoJournal;
use ambidex_control::{Coordinator, CoordinatorConfig, Links};
use ambidex_core::plan::Source;
use ambidex_core::signal::Report;
use ambidex_core::time::Span;
use ambidex_core::view::View;
use ambidex_wire::report::Arrived;
use arc_swap::ArcSwap;
use tokio::sync::mpsc;

/// The running process; it ends when dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    _coordinator: Coordinator,
    _data: tempfile::TempDir,
    over: Arc<AtomicBool>,
}

impl Running {
    #[expect(clippy::disallowed_methods, reason = "a test's origin")]
    pub(crate) fn start() -> Self {
        let workers = r#"[{"url":"http://10.0.0.1:1","name":"fast","limit":10},
            {"url":"http://10.0.0.2:1","name":"<img src=x onerror=alert(1)>","limit":10}]"#;
        let pool = PoolConfig::new("api", serde_json::from_str(workers).expect("members"));
        let view = Arc::new(ArcSwap::<View>::default());
        let (reports, receiver) = mpsc::channel(64);
        let (_, transitions) = mpsc::channel(1);
        let clock = Clock::starting_at(Instant::now());
        let data = tempfile::tempdir().expect("a folder");
        let links = Links {
            view: Arc::clone(&view),
            reports: receiver,
            transitions,
            clock,
            seats: 1,
            journal: Arc::new(NoJournal),
            gateway: Arc::new(Nothing),
            config: Arc::new(Nothing),
        };
        let admin = AdminConfig { address: ([127, 0, 0, 1], 0).into(), ..AdminConfig::default() };
        let config = CoordinatorConfig {
            pools: vec![pool],
            admin: Some(admin),
            data: data.path().into(),
            heartbeats: None,
            name_servers: Vec::new(),
            publish: Vec::new(),
            gateways: None,
            follow: None,
            gossip: None,
            election: None,
            keyspaces: Default::default(),
            carries_requests: true,
        };
        let coordinator = Coordinator::start(config, links).expect("starts");
        let address = coordinator.admin_address().expect("listens");
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        std::thread::spawn(move || {
            while !ended.load(SeqCst) {
                serve(&view.load(), clock, &reports);
                std::thread::park_timeout(Duration::from_millis(50));
            }
        });
        Self { address, _coordinator: coordinator, _data: data, over }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
    }
}

/// A twentieth of a second of traffic: the second worker is five times slower, and full.
fn serve(view: &View, clock: Clock, reports: &mpsc::Sender<Arrived>) {
    for (worker, slow) in view.pools()[0].workers.iter().zip([1, 5]) {
        for at in 0..10 / slow {
            worker.cells.tally(0).start();
            worker.cells.tally(0).answer(Span::from_millis(slow * (10 + at)));
        }
        let (in_flight, utilization) = if slow > 1 { (10, 0.99) } else { (2, 0.2) };
        let report = Report { in_flight: Some(in_flight), utilization: Some(utilization), ..Report::default() };
        worker.cells.load.hear(clock.now(), &report);
        let arrived = Arrived { worker: worker.id, at: clock.now(), report, source: Source::Piggyback };
        let _ = reports.try_send(arrived);
    }
}
