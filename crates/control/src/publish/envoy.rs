//! The publisher for Envoy: an xDS server that Envoys ask for clusters, endpoints and routes, and that they send their load
//! reports to. Nothing is installed at the workers. gRPC clients are served alike ([`super::grpc`]).
//!
//! ```text
//! pictures --picture--> ambidex_xds::server <--ask, accept, refuse-- Envoys
//!                            |        |
//!    Ports::tell <--status---+        +--loads, once a period--> reports --> Ports::hear
//! ```
//! A worker's weight is its share of the pool in fair shares, both arms together. With `mode: observe` Envoys get the
//! workers with the weights of the configuration, and what the loop's would change is shown.
//!
//! | what happens | what is done |
//! |---|---|
//! | the address cannot be listened at | told; tried again once a second |
//! | no Envoy is connected | told as a fault: the weights reach nobody |
//! | files of TLS cannot be read | likewise |
//! | an Envoy and we do not believe each other's certificates | told with whose, why, and what to do |
//! | an Envoy refuses resources | it keeps what it had; told with its words; sent again when they change |
//! | the coordinator ends | Envoys keep what they have and come back by themselves |
//! | a report that no worker can have sent | what Envoy counted is used without it, and the failure is counted |

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambidex_core::plan::{Mode, Source};
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::{Address, View};
use ambidex_core::worker::WorkerId;
use ambidex_wire::report::Arrived;
use ambidex_xds::limits::Limits;
use ambidex_xds::loads::ClusterLoad;
use ambidex_xds::picture::EnvoyOffer;
use ambidex_xds::server::{Options, Outside, serve};
use ambidex_xds::status::Board;
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::picture::Drawer;
use super::{Ports, Publisher};
use crate::clock::duration;
use crate::config::DoorTls;
use crate::tls::RefusedPeers;
use crate::tls::door::Door;

pub use self::config::{EnvoyConfig, Pick, XdsError};
pub(super) use self::config::{guarded, named, reported_every};

mod config;
mod picture;
mod reports;
mod told;

impl Publisher for EnvoyConfig {
    fn kind(&self) -> &'static str {
        "envoy"
    }

    fn target(&self) -> String {
        format!("xDS on {}", self.listen)
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    async fn run(self, ports: Ports) {
        let audience = Audience::Envoys(self.offer());
        let Self { listen, mode, tls, load_reports, zone, .. } = self;
        Serving { listen, mode, tls, load_reports, zone, audience }.run(ports).await;
    }
}

/// For whom weights are served.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Audience {
    /// Envoys that use clusters like this.
    Envoys(EnvoyOffer),
    /// gRPC clients.
    Grpc,
}

/// A publisher by xDS.
pub(super) struct Serving {
    pub(super) listen: SocketAddr,
    pub(super) mode: Mode,
    pub(super) tls: Option<DoorTls>,
    pub(super) load_reports: Span,
    /// That requests come from.
    pub(super) zone: Option<Arc<str>>,
    pub(super) audience: Audience,
}

impl Serving {
    /// Serves until there are no more pictures.
    pub(super) async fn run(self, ports: Ports) {
        let mut views = ports.pictures.clone();
        let mut drawer = Drawer::new(self.mode, self.audience.clone(), self.zone.as_deref());
        let (first, changes) = drawer.draw(&views.borrow_and_update());
        let (pictures, shown) = watch::channel(Arc::new(first));
        let ports = Arc::new(ports);
        let outside = Arc::new(Joined::new(Arc::clone(&ports), self.load_reports, self.zone.clone()));
        outside.know(&views.borrow());
        let mut state = told::State::new(&self, changes);
        loop {
            // Whoever asks one that stands by goes on to the next: there is nobody at the address.
            if !ports.may_change() {
                ports.tell(state.standing_by());
                ports.until_may_change().await;
            }
            let door = match self.open(&outside.refused).await {
                Ok(door) => door,
                Err(why) => {
                    ports.tell(state.lost(why));
                    if views.has_changed().is_err() {
                        return;
                    }
                    tokio::time::sleep(LISTENS_AGAIN_AFTER).await;
                    continue;
                }
            };
            let board = Arc::new(Board::default());
            let options = Options { limits: Limits::default(), report_every: outside.every };
            let server = serve(door, options, shown.clone(), Arc::clone(&outside) as _, Arc::clone(&board));
            let ended = tokio::select! {
                ended = server => ended,
                () = carry(&mut views, &mut drawer, &pictures, &outside, &board, &mut state) => return,
                () = ports.until_stands_by() => continue,
            };
            ports.tell(state.lost(ended.err().unwrap_or_else(|| "the server ended".into())));
        }
    }

    /// Has the address, and TLS.
    async fn open(&self, refused: &Arc<RefusedPeers>) -> Result<Door, String> {
        let Self { listen, tls, .. } = self;
        let wrong = |error| {
            format!("{listen} cannot be listened at: {error}; another process may use it, then give another port")
        };
        let listener = TcpListener::bind(listen).await.map_err(wrong)?;
        Door::open(listener, tls.as_ref(), Arc::clone(refused)).map_err(|error| error.to_string())
    }
}

/// Shows each view, and tells what became of it, until there are no more.
async fn carry(
    views: &mut watch::Receiver<Arc<View>>,
    drawer: &mut Drawer,
    pictures: &watch::Sender<Arc<ambidex_xds::picture::Picture>>,
    outside: &Joined,
    board: &Board,
    state: &mut told::State,
) {
    loop {
        outside.ports.tell(state.look(&board.status(), outside.counts(), outside.refused.last()));
        tokio::select! {
            changed = views.changed() => {
                if changed.is_err() {
                    return;
                }
                let view = Arc::clone(&views.borrow_and_update());
                outside.know(&view);
                let (picture, changes) = drawer.draw(&view);
                state.show(changes);
                pictures.send_replace(Arc::new(picture));
            }
            // Many Envoys take one picture within moments: that is told once.
            () = async { board.changed().await; tokio::time::sleep(GATHERS_FOR).await } => {}
            () = outside.refused.changed() => {}
            // What came back is counted, whether or not anything else changes.
            () = tokio::time::sleep(duration(outside.every)) => {}
        }
    }
}

/// What the server is joined to: the process's clock, and the workers that loads are of.
struct Joined {
    ports: Arc<Ports>,
    every: Span,
    zone: Option<Arc<str>>,
    refused: Arc<RefusedPeers>,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// The workers, by pool and address, each with its zone.
    workers: HashMap<(Arc<str>, Address), (WorkerId, Arc<str>)>,
    counts: reports::Counts,
    /// Requests by pool and zone, as far as they are no whole ones yet.
    flows: HashMap<(Arc<str>, Arc<str>), f64>,
}

impl Joined {
    fn new(ports: Arc<Ports>, every: Span, zone: Option<Arc<str>>) -> Self {
        Self { ports, every, zone, refused: Arc::default(), heard: Mutex::default() }
    }

    /// Notes who the workers of a view are.
    fn know(&self, view: &View) {
        let pool = |pool: &Arc<ambidex_core::view::PoolView>| {
            let name = Arc::clone(&pool.name);
            let worker = move |worker: &ambidex_core::view::WorkerView| {
                let here = (worker.id, Arc::clone(&worker.zone));
                ((Arc::clone(&name), worker.address.clone()), here)
            };
            pool.workers.iter().map(worker).collect::<Vec<_>>()
        };
        self.heard().workers = view.pools().iter().flat_map(pool).collect();
    }

    fn counts(&self) -> reports::Counts {
        self.heard().counts
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outside for Joined {
    fn now(&self) -> Mono {
        self.ports.clock.now()
    }

    fn loads(&self, loads: Vec<ClusterLoad>) {
        let at = self.now();
        let mut arrived = Vec::new();
        {
            let mut heard = self.heard();
            for cluster in loads {
                for load in cluster.endpoints {
                    let key = (Arc::clone(&cluster.cluster), load.address.clone());
                    let Some((worker, zone)) = heard.workers.get(&key).cloned() else { continue };
                    if self.zone.is_some() {
                        let ended = load.rate * self.every.as_secs_f64();
                        *heard.flows.entry((Arc::clone(&cluster.cluster), zone)).or_default() += ended;
                    }
                    if let Some(report) = heard.counts.report(&load) {
                        arrived.push(Arrived { worker, at, report, source: Source::Poll });
                    }
                }
            }
        }
        arrived.into_iter().for_each(|arrived| self.ports.hear(arrived, self.every));
        self.tell_flows();
    }
}

impl Joined {
    /// Tells how many requests of these clients' zone went to which, whole ones.
    fn tell_flows(&self) {
        let Some(home) = &self.zone else { return };
        let mut whole = Vec::new();
        self.heard().flows.retain(|(pool, zone), count| {
            let ended = count.floor().clamp(0.0, MOST_AT_ONCE);
            *count -= ended;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
            whole.push((Arc::clone(pool), Arc::clone(zone), ended as u64));
            *count > 0.0 && *count < 1.0
        });
        whole.into_iter().for_each(|(pool, zone, count)| self.ports.flow(&pool, home, &zone, count));
    }
}

/// Requests that are taken from the reports of one period. Source: ours; beyond what any proxies send.
const MOST_AT_ONCE: f64 = 1e9;

/// How long news of Envoys is gathered before it is told. Source: ours; people read it.
const GATHERS_FOR: Duration = Duration::from_millis(50);
/// Pause before an address that could not be had is tried again.
const LISTENS_AGAIN_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
