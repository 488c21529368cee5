//! The gateway as its owner sees it: started, reloaded, drained.

use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use ambidex_core::time::Span;
use ambidex_core::view::View;
use ambidex_tower::Clock;
use ambidex_wire::report::Arrived;
use arc_swap::ArcSwap;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;

use crate::config::{GatewayConfig, ListenAddress, Listener};
use crate::front::{Front, FrontError};
use crate::listen::counters::ListenerStats;
use crate::listen::socket::{self, BindError, Bound};
use crate::listen::{Open, Settings};
use crate::thread::{Command, Thread};

/// What the gateway shares with the rest of the process.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The picture of all pools; the coordinator swaps it, the gateway reads it.
    pub view: Arc<ArcSwap<View>>,
    /// Where reports go that arrive on answers; when it is full, a report is dropped.
    pub reports: mpsc::Sender<Arrived>,
    /// The process's clock.
    pub clock: Clock,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    shared: Shared,
    front: Arc<ArcSwap<Front>>,
    threads: Vec<mpsc::UnboundedSender<Command>>,
    state: Mutex<State>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct State {
    listeners: Vec<Arc<Open>>,
    next_id: u64,
    draining: bool,
}

/// Why a gateway could not start, or a new configuration could not be taken. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A listener could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Routes and pools do not work together.
    #[error(transparent)]
    Front(#[from] FrontError),
    /// Two listeners of one configuration have one address.
    #[error("listeners: {0} is there twice; each address can have one listener")]
    Twice(ListenAddress),
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
    #[error("a serving thread could not be started: {0}")]
    Thread(io::Error),
}

/// Numbers of a gateway, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayStats {
    /// Each listener's.
    pub listeners: Vec<ListenerStats>,
}

impl Gateway {
    /// Opens every listener and starts the threads. Connections are served when this returns.
    ///
    /// # Errors
    /// A listener that cannot be opened, or a thread that cannot be started; then nothing is left behind.
    pub fn start(config: GatewayConfig, shared: Shared) -> Result<Self, GatewayError> {
        let threads = config.threads.max(1);
        let mut gateway = Self {
            shared,
            front: Arc::new(ArcSwap::from_pointee(Front::new(0, &config)?)),
            threads: Vec::with_capacity(threads),
            state: Mutex::new(State { listeners: Vec::new(), next_id: 0, draining: false }),
            handles: Mutex::new(Vec::with_capacity(threads)),
        };
        refuse_twice(&config.listeners)?;
        let mut next_id = 0;
        let opened = open_all(&config.listeners, &mut next_id, threads)?;
        for seat in 0..threads {
            let (sender, handle) =
                spawn(seat, gateway.shared.clone(), Arc::clone(&gateway.front)).map_err(GatewayError::Thread)?;
            gateway.threads.push(sender);
            gateway.handles().push(handle);
        }
        gateway.state().next_id = next_id;
        gateway.state().listeners = opened.iter().map(|(open, _)| Arc::clone(open)).collect();
        gateway.hand_out(opened);
        Ok(gateway)
    }

    /// Takes a new configuration: opens new listeners, swaps what requests go by, lets removed listeners drain.
    /// Connections of listeners that stay are not touched; their new settings hold for new connections.
    ///
    /// # Errors
    /// A configuration that cannot be taken in full; then nothing has changed.
    pub fn reload(&self, config: GatewayConfig) -> Result<(), GatewayError> {
        let mut state = self.state();
        if state.draining {
            return Err(GatewayError::Draining);
        }
        let (was, wanted) = (self.threads.len(), config.threads.max(1));
        if was != wanted {
            return Err(GatewayError::Threads { was, wanted });
        }
        refuse_twice(&config.listeners)?;
        let front = Front::new(self.front.load().revision + 1, &config)?;
        let known = |wanted: &Listener| state.listeners.iter().find(|open| open.configured == *wanted.address());
        let new: Vec<_> = config.listeners.iter().filter(|listener| known(listener).is_none()).cloned().collect();
        let mut next_id = state.next_id;
        let opened = open_all(&new, &mut next_id, wanted)?;
        // From here on nothing can fail.
        self.front.store(Arc::new(front));
        let mut fresh = opened.iter().map(|(open, _)| Arc::clone(open));
        let mut listeners = Vec::with_capacity(config.listeners.len());
        for listener in config.listeners {
            match known(&listener) {
                Some(open) => {
                    open.settings.store(Arc::new(Settings { listener }));
                    listeners.push(Arc::clone(open));
                }
                None => listeners.extend(fresh.next()),
            }
        }
        let stays = |open: &Arc<Open>| listeners.iter().any(|kept| kept.id == open.id);
        let removed: Vec<_> = state.listeners.iter().filter(|open| !stays(open)).cloned().collect();
        state.next_id = next_id;
        state.listeners = listeners;
        self.hand_out(opened);
        let until = self.shared.clock.now() + REMOVED_GRACE;
        for open in removed {
            self.tell(|| Command::Close { id: open.id, until });
            socket::forget(&open.bound);
        }
        Ok(())
    }

    /// Stops accepting, lets requests under way finish for `grace`, then cuts what is left; returns when all threads
    /// have ended, with the number of connections that were cut. A call during another one hurries that one: the
    /// earlier end holds, and the call returns at once.
    pub fn drain(&self, grace: Span) -> u64 {
        self.state().draining = true;
        let until = self.shared.clock.now() + grace;
        self.tell(|| Command::End { until });
        let handles = std::mem::take(&mut *self.handles());
        for handle in handles {
            if handle.join().is_err() {
                tracing::error!("a serving thread failed; its connections are closed");
            }
        }
        self.state().listeners.iter().for_each(|open| socket::forget(&open.bound));
        self.stats().listeners.iter().map(|listener| listener.cut).sum()
    }

    /// Whether it takes new connections: what `/readyz` says.
    #[must_use]
    pub fn ready(&self) -> bool {
        !self.state().draining
    }

    /// Where it listens, with the ports that the system chose, in the order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> Vec<ListenAddress> {
        self.state().listeners.iter().map(|open| open.bound.clone()).collect()
    }

    /// The numbers of now.
    #[must_use]
    pub fn stats(&self) -> GatewayStats {
        let of = |open: &Arc<Open>| open.counters.stats(open.bound.to_string());
        GatewayStats { listeners: self.state().listeners.iter().map(of).collect() }
    }

    fn hand_out(&self, opened: Vec<(Arc<Open>, Vec<Bound>)>) {
        for (open, sockets) in opened {
            for (thread, socket) in self.threads.iter().zip(sockets) {
                // A thread that is gone has failed, which was logged.
                let _ = thread.send(Command::Open(Arc::clone(&open), socket));
            }
        }
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for thread in &self.threads {
            let _ = thread.send(command());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handles(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refuse_twice(listeners: &[Listener]) -> Result<(), GatewayError> {
    let twice = listeners
        .iter()
        .enumerate()
        .find(|(at, listener)| listeners[..*at].iter().any(|other| other.address() == listener.address()));
    twice.map_or(Ok(()), |(_, listener)| Err(GatewayError::Twice(listener.address().clone())))
}

type Opened = Vec<(Arc<Open>, Vec<Bound>)>;

fn open_all(listeners: &[Listener], next_id: &mut u64, threads: usize) -> Result<Opened, GatewayError> {
    let mut opened = Vec::with_capacity(listeners.len());
    for listener in listeners {
        match Open::new(*next_id, Settings { listener: listener.clone() }, threads) {
            Ok(open) => opened.push(open),
            Err(cause) => {
                opened.iter().for_each(|(open, _): &(Arc<Open>, _)| socket::forget(&open.bound));
                return Err(cause.into());
            }
        }
        *next_id += 1;
    }
    Ok(opened)
}

fn spawn(
    seat: usize,
    shared: Shared,
    front: Arc<ArcSwap<Front>>,
) -> io::Result<(mpsc::UnboundedSender<Command>, JoinHandle<()>)> {
    let (sender, commands) = mpsc::unbounded_channel();
    let serve = move || {
        let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(cause) => return tracing::error!(%cause, "a serving thread has no runtime and serves nothing"),
        };
        runtime.block_on(Rc::new(Thread { seat, shared, front }).run(commands));
    };
    let handle = std::thread::Builder::new().name(format!("gateway-{seat}")).spawn(serve)?;
    Ok((sender, handle))
}

/// How long connections of a removed listener may finish. Default 30 s; source: the grace of a drain.
const REMOVED_GRACE: Span = Span::from_secs(30);
