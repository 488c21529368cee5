//! The gateway as its owner sees it: started, reloaded, drained.

use std::io;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use ambidex_core::guard::ejection::Told;
use ambidex_core::time::Span;
use ambidex_core::view::View;
use ambidex_store::remote::RemoteStatus;
use ambidex_tower::Clock;
use ambidex_wire::report::Arrived;
use arc_swap::ArcSwap;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;

use crate::access_log::LogStats;
use crate::admission::Admission;
use crate::by_route::RouteCounts;
use crate::cache::CacheStats;
use crate::config::{GatewayConfig, ListenAddress};
use crate::front::{Front, FrontError};
use crate::keeper;
use crate::keys::KeyStats;
use crate::limits::LimitStats;
use crate::listen::change::{Change, ListenError};
use crate::listen::counters::ListenerStats;
use crate::listen::crowd::Crowd;
use crate::listen::hall::{Command, Hall};
use crate::listen::socket;
use crate::listen::{Ground, Open};
use crate::mirror::MirrorStats;
use crate::recording::RecordingStats;
use crate::seldom::Seldom;
use crate::serve::Thread;
use crate::shard::tables::{TableStats, Tables};
use crate::stats::{ThreadStats, Totals};
use crate::stores::{Stores, StoresError};
use crate::trace::export::TraceStats;
use crate::watch::{Ends, Watch, WatchError};

/// What the gateway shares with the rest of the process.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The picture of all pools; the coordinator swaps it, the gateway reads it.
    pub view: Arc<ArcSwap<View>>,
    /// Where reports go that arrive on answers; when it is full, a report is dropped.
    pub reports: mpsc::Sender<Arrived>,
    /// Where it is told what breakers did; while it is full, that waits in its thread, within bounds.
    pub transitions: mpsc::Sender<Told>,
    /// The process's clock.
    pub clock: Clock,
    /// What is asked whether a request is to be served, if anything is: in an agent.
    pub admission: Option<Arc<dyn Admission>>,
    /// What is kept beside the traffic.
    pub stores: Stores,
    /// Where slices of keyspaces are, as a coordinator shows it.
    pub tables: Tables,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    shared: Shared,
    ground: Ground,
    front: Arc<ArcSwap<Front>>,
    threads: Vec<mpsc::UnboundedSender<Command>>,
    stats: Vec<Arc<ThreadStats>>,
    listeners: keeper::Listeners,
    state: Mutex<State>,
    handles: Mutex<Vec<JoinHandle<()>>>,
    _keeper: Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    draining: bool,
    watch: Watch,
    ends: Ends,
}

/// Why a gateway could not start, or a new configuration could not be taken. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The listeners cannot be as wanted.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Routes and pools do not work together.
    #[error(transparent)]
    Front(#[from] FrontError),
    /// What is to be kept cannot be.
    #[error(transparent)]
    Stores(#[from] StoresError),
    /// Requests cannot be watched as configured.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The number of threads cannot change while it runs.
    #[error("threads: cannot change from {was} to {wanted} while running; restart to apply it")]
    Threads {
        /// Running.
        was: usize,
        /// Wanted.
        wanted: usize,
    },
    /// It is ending.
    #[error("the gateway is draining; no new configuration is taken")]
    Draining,
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(io::Error),
}

/// Numbers of a gateway, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayStats {
    /// Each listener's.
    pub listeners: Vec<ListenerStats>,
    /// The access log's; all 0 without one.
    pub access_log: LogStats,
    /// The recording's; all 0 without one.
    pub recording: RecordingStats,
    /// The trace export's; all 0 without one.
    pub tracing: TraceStats,
    /// The requests of all threads.
    pub traffic: Totals,
    /// The response cache's; all 0 without one.
    pub cache: CacheStats,
    /// The idempotency keys'.
    pub keys: KeyStats,
    /// The shared server's, if there is one.
    pub remote: Option<RemoteStatus>,
    /// The rate limits'.
    pub limits: LimitStats,
    /// What became of copies for mirrors.
    pub mirrors: MirrorStats,
    /// Whether the database of clients' places cannot be used as its file is now, if there is one.
    pub places_failing: Option<bool>,
    /// The tables of its keyspaces.
    pub tables: Vec<TableStats>,
}

impl Gateway {
    /// Opens every listener and starts the threads. Connections are served when this returns.
    ///
    /// # Errors
    /// A listener that cannot be opened, or a thread that cannot be started; then nothing is left behind.
    pub fn start(config: GatewayConfig, shared: Shared) -> Result<Self, GatewayError> {
        let threads = config.threads.max(1);
        let front = Arc::new(ArcSwap::from_pointee(Front::new(&config, None, shared.clock, &shared.tables)?));
        let ground = Ground { threads, crowd: Arc::new(Crowd::measured()) };
        warn_of_too_many(&config, &ground.crowd);
        shared.stores.take(shared.stores.prepare(&config, shared.clock.now())?);
        front.load().share(&shared.stores, config.cache.is_shared());
        let mut state = State::default();
        let watch = state.watch.changed(&config, shared.clock, &mut state.ends)?;
        let change = Change::prepare(&[], config.listeners, &mut state.next_id, &ground)?;
        let listeners = keeper::Listeners::default();
        let keeper = keeper::start(Arc::clone(&listeners), Arc::clone(&front)).map_err(GatewayError::Thread)?;
        let stats: Vec<Arc<ThreadStats>> = (0..threads).map(|_| Arc::default()).collect();
        let spawned = stats
            .iter()
            .enumerate()
            .map(|(seat, stats)| spawn(seat, shared.clone(), Arc::clone(&front), Arc::clone(stats)));
        let spawned = spawned.collect::<io::Result<Vec<_>>>().map_err(GatewayError::Thread)?;
        let (threads, handles) = spawned.into_iter().unzip();
        let handles = Mutex::new(handles);
        let state = Mutex::new(state);
        let gateway = Self { shared, ground, front, threads, stats, listeners, state, handles, _keeper: keeper };
        gateway.make(change);
        gateway.watch(&mut locked(&gateway.state), watch);
        Ok(gateway)
    }

    /// Takes a new configuration: opens new listeners, swaps what requests go by, lets removed listeners drain.
    /// Connections of listeners that stay are not touched; their new settings hold for new connections.
    ///
    /// # Errors
    /// A configuration that cannot be taken in full; then nothing has changed.
    pub fn reload(&self, config: GatewayConfig) -> Result<(), GatewayError> {
        let mut state = locked(&self.state);
        if state.draining {
            return Err(GatewayError::Draining);
        }
        let (was, wanted) = (self.threads.len(), config.threads.max(1));
        if was != wanted {
            return Err(GatewayError::Threads { was, wanted });
        }
        let front = Front::new(&config, Some(&**self.front.load()), self.shared.clock, &self.shared.tables)?;
        let stores = self.shared.stores.prepare(&config, self.shared.clock.now())?;
        let mut ends = Ends::default();
        let watch = state.watch.changed(&config, self.shared.clock, &mut ends)?;
        let known = self.listeners();
        let change = Change::prepare(&known, config.listeners, &mut state.next_id, &self.ground)?;
        // From here on nothing can fail.
        self.shared.stores.take(stores);
        front.share(&self.shared.stores, config.cache.is_shared());
        self.front.store(Arc::new(front));
        self.make(change);
        state.ends.take_over(ends);
        self.watch(&mut state, watch);
        Ok(())
    }

    fn watch(&self, state: &mut State, watch: Watch) {
        watch.reopen();
        self.tell(|| Command::Watch(watch.clone()));
        state.watch = watch;
    }

    fn make(&self, change: Change) {
        let made = change.make(&self.listeners());
        *locked(&self.listeners) = made.listeners;
        for (open, sockets) in made.new {
            for (thread, socket) in self.threads.iter().zip(sockets) {
                // A thread that is gone has failed, which was logged.
                let _ = thread.send(Command::Open(Arc::clone(&open), socket));
            }
        }
        let until = self.shared.clock.now() + REMOVED_GRACE;
        for open in made.removed {
            self.tell(|| Command::Close { id: open.id, until });
            socket::forget(&open.bound);
        }
    }

    /// Stops accepting, lets requests under way finish for `grace`, then cuts what is left; returns when all threads
    /// have ended, with the number of connections that were cut. A call during another one hurries that one: the
    /// earlier end holds, and the call returns 0 at once.
    pub fn drain(&self, grace: Span) -> u64 {
        locked(&self.state).draining = true;
        let until = self.shared.clock.now() + grace;
        self.tell(|| Command::End { until });
        let handles = std::mem::take(&mut *locked(&self.handles));
        if handles.is_empty() {
            return 0; // Another call waits for the end.
        }
        for handle in handles {
            if handle.join().is_err() {
                tracing::error!("a serving thread failed; its connections are closed");
            }
        }
        self.listeners().iter().for_each(|open| socket::forget(&open.bound));
        self.shared.stores.keys().flush();
        let mut state = locked(&self.state);
        state.watch = Watch::default();
        std::mem::take(&mut state.ends).wait();
        drop(state);
        self.stats().listeners.iter().map(|listener| listener.cut).sum()
    }

    /// Whether it takes new connections: what `/readyz` says.
    #[must_use]
    pub fn ready(&self) -> bool {
        !locked(&self.state).draining
    }

    /// Where it listens, with the ports that the system chose, in the order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> Vec<ListenAddress> {
        self.listeners().iter().map(|open| open.bound.clone()).collect()
    }

    /// Which route's requests which worker answered, to be read whenever somebody wants to know.
    #[must_use]
    pub fn route_counts(&self) -> RouteCounts {
        RouteCounts { threads: self.stats.clone(), front: Arc::clone(&self.front) }
    }

    /// The numbers of now.
    #[must_use]
    pub fn stats(&self) -> GatewayStats {
        let of = |open: &Arc<Open>| open.counters.stats(open.bound.to_string());
        let (access_log, recording, tracing) = locked(&self.state).watch.stats();
        let mut traffic = Totals::default();
        self.stats.iter().for_each(|thread| traffic.add(thread));
        let cache = self.front.load().cache.as_ref().map_or_else(CacheStats::default, |cache| cache.stats());
        let listeners = self.listeners().iter().map(of).collect();
        let (keys, remote) = (self.shared.stores.keys().stats(), self.shared.stores.remote_status());
        let front = self.front.load();
        let (limits, mirrors) = (front.routes.limits(), front.routes.mirrors());
        let atlas = front.homes.as_ref().and_then(|homes| homes.atlas());
        let places_failing = atlas.map(|atlas| atlas.is_failing());
        GatewayStats {
            listeners,
            access_log,
            recording,
            tracing,
            traffic,
            cache,
            keys,
            remote,
            limits,
            mirrors,
            places_failing,
            tables: self.shared.tables.stats(),
        }
    }

    fn listeners(&self) -> Vec<Arc<Open>> {
        locked(&self.listeners).clone()
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for thread in &self.threads {
            let _ = thread.send(command());
        }
    }
}

fn warn_of_too_many(config: &GatewayConfig, crowd: &Crowd) {
    let wanted: u64 = config.listeners.iter().map(|listener| u64::from(listener.max_connections)).sum();
    if wanted > crowd.most() {
        tracing::warn!(
            max_connections = wanted,
            possible = crowd.most(),
            "the limit of open files allows fewer connections than configured; raise it (`ulimit -n`, LimitNOFILE=)"
        );
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves nothing half done: each lock is held for a whole change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(
    seat: usize,
    shared: Shared,
    front: Arc<ArcSwap<Front>>,
    stats: Arc<ThreadStats>,
) -> io::Result<(mpsc::UnboundedSender<Command>, JoinHandle<()>)> {
    let (sender, commands) = mpsc::unbounded_channel();
    let serve = move || {
        let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(cause) => return tracing::error!(%cause, "a serving thread has no runtime and serves nothing"),
        };
        let clock = shared.clock;
        runtime.block_on(async {
            let thread = Thread::start(seat, shared, front, stats, seed());
            Rc::new(Hall { thread, clock, turned_away: Seldom::default() }).run(commands).await;
        });
    };
    let handle = std::thread::Builder::new().name(format!("gateway-{seat}")).spawn(serve)?;
    Ok((sender, handle))
}

/// A seed for a thread's draws, which nobody outside can guess: they choose workers and name requests. Of the system's,
/// because the library for TLS gathers entropy first, and all else of a start takes less: who speaks no TLS need not wait.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    if getrandom(&mut bytes, GetRandomFlags::empty()) != Ok(bytes.len()) {
        tracing::warn!("the system gave no random bytes; ids of requests may repeat after a restart");
    }
    u64::from_ne_bytes(bytes)
}

/// How long connections of a removed listener may finish. Default 30 s; source: the grace of a drain.
const REMOVED_GRACE: Span = Span::from_secs(30);
