//! The xDS server alone, without a coordinator: its picture is the test's.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use ambidex_core::time::{Mono, Span};
use ambidex_core::view::Address;
use ambidex_lab::Clock;
use ambidex_lab::worker::{Worker, WorkerOptions, start_all};
use ambidex_xds::loads::{ClusterLoad, EndpointLoad};
use ambidex_xds::picture::{Cluster, Endpoint, EnvoyOffer, EnvoyPick, Health, Offer, Picture};
use ambidex_xds::server::{Options, Outside, TcpIncoming, serve};
use ambidex_xds::status::{Board, Status};
use tokio::sync::{oneshot, watch};

/// A server whose port stays ours while it is down.
pub(crate) struct Server {
    listener: TcpListener,
    pictures: watch::Sender<Arc<Picture>>,
    told: Arc<Told>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    board: Arc<Board>,
}

/// What it gave back.
struct Told {
    clock: Clock,
    loads: Mutex<Vec<ClusterLoad>>,
}

impl Outside for Told {
    fn now(&self) -> Mono {
        self.clock.now()
    }

    fn loads(&self, loads: Vec<ClusterLoad>) {
        self.loads.lock().expect("no panic").extend(loads);
    }
}

impl Server {
    pub(crate) fn start(first: Picture) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let told = Arc::new(Told { clock: Clock::starting_now(), loads: Mutex::default() });
        let (pictures, _) = watch::channel(Arc::new(first));
        let mut server = Self { listener, pictures, told, running: None, board: Arc::default() };
        server.again();
        server
    }

    /// Ends it; what its clients send then is not answered.
    pub(crate) fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            thread.join().expect("no panic");
        }
    }

    /// Starts it again, with nothing remembered.
    pub(crate) fn again(&mut self) {
        self.board = Arc::default();
        let listener = self.listener.try_clone().expect("a socket");
        let (pictures, board) = (self.pictures.subscribe(), Arc::clone(&self.board));
        let outside: Arc<dyn Outside> = Arc::clone(&self.told) as _;
        let options = Options { report_every: Span::from_millis(250), ..Options::default() };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                tokio::select! {
                    served = serve(incoming, options, pictures, outside, board) => served.expect("it serves"),
                    _ = stopped => {}
                }
            });
        });
        self.running = Some((stop, thread));
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound")
    }

    pub(crate) fn show(&self, picture: Picture) {
        self.pictures.send_replace(Arc::new(picture));
    }

    pub(crate) fn status(&self) -> Status {
        self.board.status()
    }

    /// All loads in the order in which they came.
    pub(crate) fn clusters(&self) -> Vec<ClusterLoad> {
        self.told.loads.lock().expect("no panic").clone()
    }

    /// The load of an endpoint in the order in which it came.
    pub(crate) fn loads(&self, address: SocketAddr) -> Vec<EndpointLoad> {
        let loads = self.told.loads.lock().expect("no panic");
        let all = loads.iter().flat_map(|cluster| &cluster.endpoints);
        all.filter(|load| load.address == Address::Ip(address)).cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running = None;
    }
}

/// Workers that answer at once.
pub(crate) fn workers(count: usize) -> Vec<Worker> {
    let options = |at: usize| WorkerOptions { name: format!("w{at}"), slots: 64, ..WorkerOptions::default() };
    start_all((0..count).map(options).collect()).expect("workers")
}

/// Pool `api` with these weights.
pub(crate) fn api(workers: &[Worker], weights: &[f64]) -> Arc<Cluster> {
    let endpoint = |(worker, weight): (&Worker, &f64)| Endpoint {
        name: worker.name.as_str().into(),
        address: Address::Ip(worker.address),
        weight: *weight,
        health: Health::Healthy,
        zone: "".into(),
        priority: 0,
    };
    let endpoints = workers.iter().zip(weights).map(endpoint).collect();
    Arc::new(Cluster { name: "api".into(), endpoints, offer: offer() })
}

/// A picture of one cluster.
pub(crate) fn only(cluster: Arc<Cluster>) -> Picture {
    Picture { revision: 1, clusters: vec![cluster] }
}

pub(crate) fn offer() -> Offer {
    let (pick, connect_timeout) = (EnvoyPick::RoundRobin, Span::from_secs(5));
    let metrics = vec!["cpu_utilization".into(), "named_metrics.*".into()];
    Offer::Envoy(EnvoyOffer { pick, connect_timeout, http2: false, metrics })
}
