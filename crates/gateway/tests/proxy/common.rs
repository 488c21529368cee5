//! A gateway before one scripted worker, and what it takes to speak to both by hand.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use ambidex_core::again::budget::Budget;
use ambidex_core::balance::PickPolicy;
use ambidex_core::drill::Drill;
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::guard::pool::PoolGuards;
use ambidex_core::load::Cells;
use ambidex_core::shard::keyspace::KeyspaceName;
use ambidex_core::share::Share;
use ambidex_core::view::{Address, PoolParts, PoolView, View, WorkerView};
use ambidex_core::worker::{PoolId, Standing, WorkerId};
use ambidex_gateway::admission::Admission;
use ambidex_gateway::config::{
    Deduplication, GatewayConfig, Keyspace, ListenAddress, Listener, PoolTransport, Route, UpstreamTransport,
};
use ambidex_gateway::{Gateway, Shared, Stores, Tables};
use ambidex_tower::Clock;
use ambidex_wire::report::Arrived;
use arc_swap::ArcSwap;
use serde_json::json;
use tokio::sync::mpsc;

/// A gateway with one pool, and what it shares.
pub(crate) struct Setup {
    pub(crate) gateway: Gateway,
    pub(crate) reports: mpsc::Receiver<Arrived>,
    pub(crate) view: Arc<ArcSwap<View>>,
    pub(crate) address: SocketAddr,
    pub(crate) tables: Tables,
}

/// What to set up, with everything plain by default.
pub(crate) struct Wanted {
    pub(crate) urls: Vec<String>,
    pub(crate) listener: serde_json::Value,
    pub(crate) route: serde_json::Value,
    pub(crate) upstream: serde_json::Value,
    pub(crate) tracing: serde_json::Value,
    pub(crate) admission: Option<Arc<dyn Admission>>,
    pub(crate) threads: usize,
    /// The keyspace `carts`, to which the route leads then.
    pub(crate) keyspace: serde_json::Value,
    pub(crate) cache: serde_json::Value,
    pub(crate) redis: serde_json::Value,
    hears_reports: bool,
    /// Of the workers, in their order.
    zones: Vec<&'static str>,
    /// A second pool, for those who fall back.
    spare: Vec<String>,
}

impl Wanted {
    pub(crate) fn before(addresses: &[SocketAddr]) -> Self {
        Self {
            urls: addresses.iter().map(|address| format!("http://{address}")).collect(),
            listener: json!({}),
            route: json!({}),
            upstream: json!({}),
            tracing: json!(null),
            admission: None,
            threads: 1,
            keyspace: json!(null),
            cache: json!({}),
            redis: json!(null),
            hears_reports: true,
            zones: Vec::new(),
            spare: Vec::new(),
        }
    }

    pub(crate) fn zones(mut self, zones: &[&'static str]) -> Self {
        self.zones = zones.to_vec();
        self
    }

    /// With a second pool, `spare`.
    pub(crate) fn spare(mut self, addresses: &[SocketAddr]) -> Self {
        self.spare = addresses.iter().map(|address| format!("http://{address}")).collect();
        self
    }

    pub(crate) fn deaf_to_reports(mut self) -> Self {
        self.hears_reports = false;
        self
    }

    pub(crate) fn listener(mut self, json: serde_json::Value) -> Self {
        self.listener = json;
        self
    }

    pub(crate) fn route(mut self, json: serde_json::Value) -> Self {
        self.route = json;
        self
    }

    pub(crate) fn upstream(mut self, json: serde_json::Value) -> Self {
        self.upstream = json;
        self
    }

    pub(crate) fn start(mut self) -> Setup {
        self.listener["address"] = json!("127.0.0.1:0");
        let mut keyspaces = BTreeMap::new();
        if self.keyspace.is_null() {
            self.route["pool"] = json!("api");
        } else {
            self.keyspace["pool"] = json!("api");
            self.route["keyspace"] = json!("carts");
            let keyspace: Keyspace = serde_json::from_value(self.keyspace).expect("a keyspace");
            keyspaces.insert(carts(), keyspace);
        }
        let listener: Listener = serde_json::from_value(self.listener).expect("a listener");
        let mut route: Route = serde_json::from_value(self.route).expect("a route");
        route.of_pool("api");
        let transport: UpstreamTransport = serde_json::from_value(self.upstream).expect("a transport");
        let home = zoned(0, "api", &self.urls, &self.zones, Standing::Serving);
        let spare = zoned(1, "spare", &self.spare, &[], Standing::Serving);
        let view = Arc::new(ArcSwap::from_pointee(View::new(1, vec![Arc::new(home), Arc::new(spare)])));
        let (sender, reports) = mpsc::channel(64);
        let (transitions, _) = mpsc::channel(1);
        let hears_reports = self.hears_reports;
        let (view_of_it, clock, admission) = (Arc::clone(&view), Clock::starting_now(), self.admission);
        let (stores, tables) = (Stores::default(), Tables::default());
        let tables_of_it = tables.clone();
        let shared =
            Shared { view: view_of_it, reports: sender, transitions, clock, admission, stores, tables: tables_of_it };
        let config = GatewayConfig {
            threads: self.threads,
            listeners: vec![listener],
            routes: vec![route],
            keyspaces,
            homes: None,
            pools: vec![
                PoolTransport {
                    name: "api".into(),
                    id: PoolId(0),
                    hears_reports,
                    transport: transport.clone(),
                    costs: None,
                },
                PoolTransport { name: "spare".into(), id: PoolId(1), hears_reports, transport, costs: None },
            ],
            cache: serde_json::from_value(self.cache).expect("bounds"),
            access_log: None,
            record: None,
            tracing: serde_json::from_value(self.tracing).expect("a collector"),
            deduplication: Deduplication::default(),
            redis: serde_json::from_value(self.redis).expect("a server"),
        };
        let gateway = Gateway::start(config, shared).expect("the gateway starts");
        let ListenAddress::Tcp(address) = gateway.addresses()[0] else { unreachable!("it listens on TCP") };
        Setup { gateway, reports, view, address, tables }
    }
}

impl Setup {
    /// A gateway before `worker`, everything else by default.
    pub(crate) fn before(worker: SocketAddr) -> Self {
        Wanted::before(&[worker]).start()
    }

    /// Publishes a view with other workers, which keep the ids of those before by their order.
    pub(crate) fn publish(&self, urls: &[String], standing: Standing) {
        self.view.store(Arc::new(View::new(2, vec![Arc::new(pool(urls, standing))])));
    }

    /// Publishes a view of these workers with these guards.
    pub(crate) fn guard(&self, urls: &[String], guards: PoolGuards) {
        let pool = pool(urls, Standing::Serving).guarded(guards);
        self.view.store(Arc::new(View::new(2, vec![Arc::new(pool)])));
    }

    /// Publishes a view of these workers in which the one in a slot is drilled.
    pub(crate) fn drill(&self, addresses: &[SocketAddr], slot: usize, drill: &Arc<Drill>) {
        let urls: Vec<String> = addresses.iter().map(|address| format!("http://{address}")).collect();
        let mut workers = pool(&urls, Standing::Serving).workers;
        workers[slot].drill = Some(Arc::clone(drill));
        let pool = PoolView::new(parts(0, "api", workers), None);
        self.view.store(Arc::new(View::new(2, vec![Arc::new(pool)])));
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// Sends `request` on a connection of its own and reads all that comes.
    pub(crate) fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("sent");
        read_all(&mut stream)
    }

    /// Tries in flight at all workers, as the gateway counts them.
    pub(crate) fn in_flight(&self) -> u32 {
        let view = self.view.load();
        view.pools().iter().flat_map(|pool| &pool.workers).map(|worker| worker.cells.load.in_flight()).sum()
    }
}

/// The keyspace that a keyed route leads to.
pub(crate) fn carts() -> KeyspaceName {
    KeyspaceName::try_from("carts".to_owned()).expect("a name")
}

fn pool(urls: &[String], standing: Standing) -> PoolView {
    zoned(0, "api", urls, &[], standing)
}

fn zoned(pool: u32, name: &str, urls: &[String], zones: &[&str], standing: Standing) -> PoolView {
    let worker = |(id, url): (usize, &String)| WorkerView {
        id: WorkerId(100 * pool + u32::try_from(id).expect("few")),
        name: url.as_str().into(),
        url: url.as_str().into(),
        address: match url.strip_prefix("unix:") {
            Some(path) => Address::Unix(path.into()),
            None => {
                let authority = url.split_once("://").expect("a URL").1;
                let port = authority.rsplit_once(':').expect("a port").1.parse().expect("a number");
                Address::Ip(SocketAddr::from(([127, 0, 0, 1], port)))
            }
        },
        zone: zones.get(id).copied().unwrap_or("").into(),
        standing,
        cells: Arc::new(Cells::new(1)),
        drill: None,
    };
    PoolView::new(parts(pool, name, urls.iter().enumerate().map(worker).collect()), None)
}

fn parts(pool: u32, name: &str, workers: Vec<WorkerView>) -> PoolParts {
    PoolParts {
        id: PoolId(pool),
        name: name.into(),
        revision: 1,
        pick: PickPolicy::RoundRobin,
        learned: vec![1.0; workers.len()],
        fixed: vec![1.0; workers.len()],
        learned_share: Share::ALL,
        breaker: BreakerConfig::default(),
        budget: Arc::new(Budget::default()),
        workers,
    }
}

/// A connection whose reads give up after ten seconds.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// All that comes until the other side closes.
pub(crate) fn read_all(stream: &mut impl Read) -> String {
    let mut all = Vec::new();
    // A reset ends what came as a close does.
    let _ = stream.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads up to the end of a head.
pub(crate) fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Ok(_) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Reads exactly so much.
pub(crate) fn exactly(stream: &mut impl Read, count: usize) -> String {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("so much comes");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A worker of a few lines: `serve` gets each connection, with its number, on a thread of its own.
pub(crate) fn worker(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { return };
            stream.set_nodelay(true).expect("no delay");
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(number, stream));
        }
    });
    address
}

/// A worker that answers every request with `answer`, and tells the heads that it got, connection by connection.
pub(crate) fn answering(answer: &'static str) -> (SocketAddr, Receiver<(usize, String)>) {
    let (told, heads): (Sender<(usize, String)>, _) = channel();
    let told = std::sync::Mutex::new(told);
    let address = worker(move |number, mut stream| {
        loop {
            let head = head(&mut stream);
            if head.is_empty() {
                return;
            }
            let _ = told.lock().expect("unpoisoned").send((number, head));
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    (address, heads)
}

/// The next head, within ten seconds.
pub(crate) fn next(heads: &Receiver<(usize, String)>) -> String {
    heads.recv_timeout(Duration::from_secs(60)).expect("a request comes").1
}

/// Waits until something is so, at most a minute.
pub(crate) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let (_wake, sleep) = channel::<()>();
    for _ in 0..6_000 {
        if is() {
            return;
        }
        // Nobody sends: this is a pause between two looks.
        let _ = sleep.recv_timeout(Duration::from_millis(10));
    }
    panic!("not within a minute: {what}");
}

/// A plain answer.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
