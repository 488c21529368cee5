//! The coordinator's thread: starts it, talks to it, ends it.
//!
//! One thread, one runtime. The loop waits for whichever comes first: a report, the next due moment, news of who is
//! there, or the end. Admin connections, discovery and polls are tasks beside it; all of them meet in the [`Room`].

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::JoinHandle;

use ambidex_core::guard::ejection::Told;
use ambidex_core::probation::ProbationConfig;
use ambidex_core::shard::keyspace::{KeyspaceConfig, KeyspaceName};
use ambidex_core::view::View;
use ambidex_shard::Board;
use ambidex_wire::report::Arrived;
use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc};

use crate::api;
use crate::clock::Clock;
use crate::config::{
    AdminConfig, ElectionConfig, FollowConfig, GatewaysConfig, GossipConfig, HeartbeatsConfig, PoolConfig,
};
use crate::discovery::{Discovery, Names};
use crate::doctor::Desk;
use crate::election;
use crate::facts::{ConfigHost, GatewayFacts};
use crate::follow::tables::{FollowedTables, TableWatch};
use crate::gateways::{self, Gateways};
use crate::gossip::{Gossip, GossipError};
use crate::health::Checker;
use crate::heartbeats::{self, HearError, Hearing, Opened};
use crate::journal::Journal;
use crate::leadership::Leadership;
use crate::orca::Streams;
use crate::poller::{Heard, Poller, Tell};
use crate::publish::{Publish, Publishers};
use crate::room::{Configured, Diff, Room};
use crate::shards::{Shards, ShardsError};
use crate::tls::door::Door;
use crate::tls::{RefusedPeers, TlsError};
use crate::token::{Token, TokenError};

/// What the coordinator is joined to within the process.
#[derive(Debug)]
pub struct Links {
    /// Where it publishes what the request path reads.
    pub view: Arc<ArcSwap<View>>,
    /// Reports that came with answers.
    pub reports: mpsc::Receiver<Arrived>,
    /// What breakers did.
    pub transitions: mpsc::Receiver<Told>,
    /// The process's clock.
    pub clock: Clock,
    /// How many threads write tallies.
    pub seats: usize,
    /// Where decisions are written down.
    pub journal: Arc<dyn Journal>,
    /// The gateway's counters.
    pub gateway: Arc<dyn GatewayFacts>,
    /// The configuration and its history.
    pub config: Arc<dyn ConfigHost>,
}

/// What the coordinator starts with.
#[derive(Clone, Debug)]
pub struct CoordinatorConfig {
    /// The pools.
    pub pools: Vec<PoolConfig>,
    /// Where to serve the admin API; `None`: nowhere.
    pub admin: Option<AdminConfig>,
    /// The data folder: the token's file lies in it.
    pub data: PathBuf,
    /// Whose heartbeats are heard, and where; `None`: nobody's.
    pub heartbeats: Option<HeartbeatsConfig>,
    /// Name servers to ask; none: the system's.
    pub name_servers: Vec<SocketAddr>,
    /// What carries the weights elsewhere.
    pub publish: Vec<Publish>,
    /// Where gateways subscribe; `None`: nowhere.
    pub gateways: Option<GatewaysConfig>,
    /// The coordinator that decides about pools without workers of their own.
    pub follow: Option<FollowConfig>,
    /// The gateways that decide as well, by the same counts.
    pub gossip: Option<GossipConfig>,
    /// How it is decided whether it leads; `None`: there are no others.
    pub election: Option<ElectionConfig>,
    /// Keyspaces: with `follow` the coordinator's, else those whose slices are decided about here.
    pub keyspaces: BTreeMap<KeyspaceName, KeyspaceConfig>,
    /// Whether requests go through this process: only then can a worker be drilled in it.
    pub carries_requests: bool,
}

/// Why the coordinator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system gave no thread, or no runtime.
    #[error("the coordinator's thread could not start: {0}")]
    Thread(#[source] std::io::Error),
    /// The admin address cannot be listened at.
    #[error("admin.address {0} cannot be listened at: {1}; another process may use it, then give another port")]
    Admin(SocketAddr, #[source] std::io::Error),
    /// Heartbeats cannot be heard.
    #[error(transparent)]
    Heartbeats(#[from] HearError),
    /// The other gateways cannot be talked with.
    #[error(transparent)]
    Gossip(#[from] GossipError),
    /// The address for gateways cannot be listened at.
    #[error("gateways.address {0} cannot be listened at: {1}; another process may use it, then give another port")]
    Gateways(SocketAddr, #[source] std::io::Error),
    /// Its TLS cannot be spoken.
    #[error("gateways.{0}")]
    GatewaysTls(#[from] TlsError),
    /// No token, no admin API.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Keyspaces cannot be decided about.
    #[error(transparent)]
    Shards(#[from] ShardsError),
}

/// What tasks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) gateway: Arc<dyn GatewayFacts>,
    pub(crate) config: Arc<dyn ConfigHost>,
    /// Somebody came or went, or the configuration changed: discovery and polls must follow.
    pub(crate) changed: Notify,
    /// Other pools may be followed than before.
    pub(crate) pools_changed: Notify,
    /// Whether what is decided here holds.
    pub(crate) leadership: Leadership,
    /// What the doctor told.
    pub(crate) desk: Desk,
    /// The movers of keyspaces, once they run.
    pub(crate) boards: OnceLock<BTreeMap<String, Board>>,
    /// Tables of keyspaces that the followed coordinator decides about.
    pub(crate) tables: FollowedTables,
    stop: Notify,
    room: Mutex<Room>,
}

impl Shared {
    pub(crate) fn new(
        clock: Clock,
        gateway: Arc<dyn GatewayFacts>,
        config: Arc<dyn ConfigHost>,
        leadership: Leadership,
        tables: FollowedTables,
        room: Room,
    ) -> Self {
        let (changed, pools_changed, stop) = (Notify::new(), Notify::new(), Notify::new());
        let (desk, boards, room) = (Desk::default(), OnceLock::new(), Mutex::new(room));
        Self { clock, gateway, config, changed, pools_changed, leadership, desk, boards, tables, stop, room }
    }

    pub(crate) fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The room, if nobody is in it.
    pub(crate) fn room_if_free(&self) -> Option<MutexGuard<'_, Room>> {
        match self.room.try_lock() {
            Ok(room) => Some(room),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// The running coordinator. Dropping it ends its thread and leaves the last view in place.
#[derive(Debug)]
pub struct Coordinator {
    pub(crate) shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    hearing: Mutex<Option<Hearing>>,
    gossip: Option<Gossip>,
    shards: Shards,
    admin: Option<SocketAddr>,
    gateways: Option<SocketAddr>,
    token_path: Option<PathBuf>,
}

impl Coordinator {
    /// Starts it. When this returns, a view with all workers that need no looking up is published, and the admin
    /// address is listened at.
    ///
    /// # Errors
    /// What could not be had, and why.
    pub fn start(config: CoordinatorConfig, links: Links) -> Result<Self, StartError> {
        let (carries_requests, election) = (config.carries_requests, config.election);
        let CoordinatorConfig {
            pools,
            admin,
            data,
            heartbeats,
            name_servers,
            publish,
            gateways,
            follow,
            gossip,
            keyspaces,
            ..
        } = config;
        let place = election.clone();
        let Links { view, reports, transitions, clock, seats, journal, gateway, config } = links;
        let mut room = Room::new(seats, view, journal, clock.now());
        room.carries_requests = carries_requests;
        let (leadership, chair) = election::chair(&mut room, clock, election);
        if let Some(follow) = &follow {
            room.follow(clock.now(), follow);
        }
        room.apply(clock.now(), pools);
        room.publish = publish;
        let (here, refused) = (Arc::clone(&room.guests), Arc::clone(&room.refused));
        // Who follows another coordinator decides about no keyspace.
        let (decided, tables) = match follow {
            None => (keyspaces, FollowedTables::default()),
            Some(_) => (BTreeMap::new(), FollowedTables::of(keyspaces.keys())),
        };
        let shared = Arc::new(Shared::new(clock, gateway, config, leadership, tables, room));
        let shards = Shards::start(&decided, &data, place.as_ref(), &shared)?;
        let bound = admin.map(|admin| open_to_admins(admin, &data)).transpose()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let scheme = if gateways.as_ref().is_some_and(|gateways| gateways.tls.is_some()) { "https" } else { "http" };
        let open = |gateways| open_to_gateways(gateways, &runtime, &data, &shared, here, refused);
        let subscribed = gateways.map(open).transpose()?;
        let gateways = subscribed.as_ref().map(|bound| bound.1);
        let admin = bound.as_ref().map(|bound| bound.2);
        let token_path = bound.as_ref().map(|bound| bound.3.path().to_path_buf());
        let chair = chair.map(|chair| chair.found_at(url(scheme, gateways), url("http", admin)));
        let ours = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("coordinator".into())
            .spawn(move || {
                runtime.block_on(async {
                    if let Some((listener, admin, _, token)) = bound {
                        tokio::spawn(api::serve(listener, admin, token, Arc::clone(&ours)));
                    }
                    if let Some((door, _, gateways)) = subscribed {
                        tokio::spawn(gateways::serve(door, gateways));
                    }
                    if let Some(config) = follow {
                        tokio::spawn(crate::follow::follow(Arc::clone(&ours), config));
                    }
                    let standing = chair.map(|chair| chair.take(&ours));
                    run(&ours, reports, transitions, &name_servers).await;
                    if let Some(standing) = standing {
                        standing.resign().await;
                    }
                });
                // Tasks that still look something up must not hold the end.
                runtime.shutdown_background();
            })
            .map_err(StartError::Thread)?;
        let (thread, hearing) = (Some(thread), Mutex::new(None));
        let mut coordinator = Self { shared, thread, hearing, gossip: None, shards, admin, gateways, token_path };
        coordinator.gossip =
            gossip.map(|config| Gossip::start(&config, Arc::clone(&coordinator.shared))).transpose()?;
        coordinator.hear(coordinator.open_heartbeats(heartbeats.as_ref())?)?;
        Ok(coordinator)
    }

    /// Takes new pools over; identities, live numbers and learned weights of what stays are kept.
    pub fn apply(&self, pools: Vec<PoolConfig>) -> Diff {
        let diff = self.shared.room().apply(self.shared.clock.now(), pools);
        self.shared.changed.notify_one();
        if !diff.added.is_empty() || !diff.changed.is_empty() {
            self.shared.pools_changed.notify_one();
        }
        diff
    }

    /// Another configuration is in force, with these settings of its probation; which one it is, for
    /// [`give_back`](ConfigHost::give_back).
    pub fn configured(&self, how: Configured, config: ProbationConfig) -> u64 {
        let serial = self.shared.room().configured(self.shared.clock.now(), how, config);
        self.shared.changed.notify_one();
        serial
    }

    /// Takes the configuration on probation as it is; whether there was one.
    pub fn accept(&self) -> bool {
        self.shared.room().accept(self.shared.clock.now())
    }

    /// Whether the configuration in force is on probation.
    pub fn is_on_probation(&self) -> bool {
        self.shared.room().is_on_probation()
    }

    /// Takes other publishers over; those whose settings are the same go on.
    pub fn publish(&self, publishers: Vec<Publish>) {
        self.shared.room().publish = publishers;
        self.shared.changed.notify_one();
    }

    /// Reads the keys and has the socket that these heartbeats need; nothing changes until [`hear`](Self::hear).
    ///
    /// # Errors
    /// A key that cannot be read, or an address that cannot be had.
    pub fn open_heartbeats(&self, config: Option<&HeartbeatsConfig>) -> Result<Opened, HearError> {
        heartbeats::open(config, self.hearing().as_ref())
    }

    /// Hears heartbeats as opened from now on; workers keep their sessions where the address is the same.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn hear(&self, opened: Opened) -> Result<(), HearError> {
        heartbeats::take(opened, &mut self.hearing(), &self.shared)
    }

    fn hearing(&self) -> MutexGuard<'_, Option<Hearing>> {
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tables of keyspaces, by keyspace: of those that are decided about here, or by the followed coordinator.
    #[must_use]
    pub fn tables(&self) -> BTreeMap<String, TableWatch> {
        let boards = self.shared.boards.get().into_iter().flatten();
        let decided = boards.map(|(keyspace, board)| (keyspace.clone(), board.tables()));
        decided.chain(self.shared.tables.watch()).collect()
    }

    /// Where the admin API listens.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Where gateways subscribe.
    #[must_use]
    pub fn gateways_address(&self) -> Option<SocketAddr> {
        self.gateways
    }

    /// The file that holds the token for changes.
    #[must_use]
    pub fn token_path(&self) -> Option<&std::path::Path> {
        self.token_path.as_deref()
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        drop(self.hearing().take());
        drop(self.gossip.take());
        self.shards.end();
        self.shared.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic over there was told when it happened.
            let _ = thread.join();
        }
    }
}

/// Where the admin API is from now on, once it is served.
fn open_to_admins(
    admin: AdminConfig,
    data: &std::path::Path,
) -> Result<(TcpListener, AdminConfig, SocketAddr, Token), StartError> {
    let token = Token::open(data)?;
    let (listener, address) = listen(admin.address).map_err(|error| StartError::Admin(admin.address, error))?;
    Ok((listener, admin, address, token))
}

/// Where gateways subscribe from now on, once it is served.
fn open_to_gateways(
    gateways: GatewaysConfig,
    runtime: &tokio::runtime::Runtime,
    data: &std::path::Path,
    shared: &Arc<Shared>,
    here: Arc<AtomicUsize>,
    refused: Arc<RefusedPeers>,
) -> Result<(Door, SocketAddr, Gateways), StartError> {
    let GatewaysConfig { address, token_file, tls } = gateways;
    let token = Token::of_gateways(data, token_file)?;
    let wrong = |error| StartError::Gateways(address, error);
    let (listener, address) = listen(address).map_err(wrong)?;
    let _within = runtime.enter();
    let listener = tokio::net::TcpListener::from_std(listener).map_err(wrong)?;
    let door = Door::open(listener, tls.as_ref(), refused)?;
    Ok((door, address, Gateways::new(Arc::clone(shared), token, here)))
}

fn url(scheme: &str, address: Option<SocketAddr>) -> Option<String> {
    Some(format!("{scheme}://{}", address?))
}

/// A listener that tasks can use, and where it is.
fn listen(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn run(
    shared: &Arc<Shared>,
    mut reports: mpsc::Receiver<Arrived>,
    mut transitions: mpsc::Receiver<Told>,
    name_servers: &[SocketAddr],
) {
    let ours = Arc::clone(shared);
    let tell = move |pool, event| {
        ours.room().hear_source(ours.clock.now(), pool, event);
        ours.changed.notify_one();
    };
    let mut discovery = Discovery::new(Names::asking(name_servers), Arc::new(tell));
    let ours = Arc::clone(shared);
    let tell: Tell = Arc::new(move |heard| match heard {
        Heard::Report(arrived, period) => ours.room().hear(arrived, Some(period)),
        Heard::Fault(worker, why) => ours.room().poll_failed(worker, why),
    });
    let mut poller = Poller::new(shared.clock, Arc::clone(&tell));
    let mut streams = Streams::new(shared.clock, tell);
    let ours = Arc::clone(shared);
    let mut checker =
        Checker::new(shared.clock, Arc::new(move |worker, at, ended| ours.room().checked(at, worker, ended)));
    let mut publishers = Publishers::new(Arc::clone(shared));
    let waiting = Arc::clone(&shared.room().waiting);
    shared.changed.notify_one();
    let mut batch = Vec::with_capacity(BATCH);
    let mut due = shared.clock.now();
    let mut open = true;
    loop {
        tokio::select! {
            () = shared.stop.notified() => return,
            () = shared.changed.notified() => {
                let (lookups, polls, orca_streams, checks, publish) = {
                    let room = shared.room();
                    let publish = room.publish.iter().map(|one| (Arc::clone(&one.name), one.how.clone())).collect();
                    (room.lookups(), room.polls(), room.orca_streams(), room.health_targets(), publish)
                };
                discovery.reconcile(lookups);
                poller.reconcile(polls);
                streams.reconcile(orca_streams);
                checker.reconcile(checks);
                publishers.reconcile(publish);
                due = shared.clock.now();
            }
            count = reports.recv_many(&mut batch, BATCH), if open => {
                open = count > 0;
                let mut room = shared.room();
                batch.drain(..).for_each(|arrived| room.hear(arrived, None));
            }
            () = tokio::time::sleep_until(shared.clock.instant(due).into()) => {
                waiting.catch_up(shared.clock, due).await;
                let now = shared.clock.now();
                let (looks, order) = {
                    let mut room = shared.room();
                    // What came before the tick counts in it: after a stall both are due, and a worker whose answers are
                    // counted and whose reports still wait would look silent.
                    for _ in 0..reports.len() {
                        reports.try_recv().into_iter().for_each(|arrived| room.hear(arrived, None));
                    }
                    // They are written down by the tick, so that those of several threads become one.
                    while let Ok(told) = transitions.try_recv() {
                        room.hear_transition(told);
                    }
                    room.lease_over = shared.leadership.may_publish().is_none();
                    due = room.due(now);
                    (room.looks_again(now), room.take_return())
                };
                discovery.again(&looks);
                if let Some((serial, why)) = order {
                    give_back(shared, serial, why);
                }
            }
        }
    }
}

/// Has the binary go back from a configuration: that reads, and waits for the gateway, so it is done off the loop.
fn give_back(shared: &Arc<Shared>, serial: u64, why: String) {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        let came = shared.config.give_back(serial, &why);
        shared.room().gave_back(shared.clock.now(), serial, came);
        shared.changed.notify_one();
    });
}

const BATCH: usize = 256;

#[cfg(test)]
pub(crate) mod tests;
