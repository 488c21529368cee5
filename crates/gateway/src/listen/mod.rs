//! Listeners: from a socket that somebody connects to, to a connection that speaks HTTP.
//!
//! ```text
//! accept ── too many open? ── 503, close
//!    └── task: PROXY header ── TLS handshake ── serve::connection     (header and handshake within one time limit)
//!                   └ wrong, late: count, close ┘
//! ```
//! A listener is one [`Open`] for the whole process and one [`Door`] in each thread.

mod arrival;
pub(crate) mod bell;
pub(crate) mod change;
pub(crate) mod counters;
pub(crate) mod crowd;
mod door;
mod frames;
pub(crate) mod hall;
pub(crate) mod io;
pub(crate) mod peer;
pub(crate) mod socket;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub(crate) use self::door::Door;

use self::counters::Counters;
use self::crowd::Crowd;
use self::socket::{BindError, Bound};
use crate::config::{ListenAddress, Listener};
use crate::tls::{Tls, TlsError};

/// A listener's settings, with what was read from files for them. Swapped whole at a reload; a connection keeps those
/// that it began with.
#[derive(Debug)]
pub(crate) struct Settings {
    /// As configured.
    pub(crate) listener: Listener,
    /// TLS, if it is spoken.
    pub(crate) tls: Option<Tls>,
}

impl Settings {
    /// Reads what the settings name. `previous` are those that they replace.
    pub(crate) fn new(listener: Listener, previous: Option<&Self>) -> Result<Self, TlsError> {
        let spoken = previous.and_then(|previous| previous.tls.as_ref());
        let tls = listener.tls.as_ref().map(|tls| Tls::new(tls, spoken)).transpose()?;
        Ok(Self { listener, tls })
    }
}

/// What all listeners of a process stand on.
#[derive(Debug)]
pub(crate) struct Ground {
    /// How many threads serve; each gets a socket of every listener.
    pub(crate) threads: usize,
    /// All client connections.
    pub(crate) crowd: Arc<Crowd>,
}

/// An open listener.
#[derive(Debug)]
pub(crate) struct Open {
    /// Its number in this process, never reused.
    pub(crate) id: u64,
    /// As configured; tells whether a listener of a new configuration is this one.
    pub(crate) configured: ListenAddress,
    /// With the port that the system chose.
    pub(crate) bound: ListenAddress,
    /// What new connections go by.
    pub(crate) settings: ArcSwap<Settings>,
    /// What happened.
    pub(crate) counters: Counters,
    /// All client connections of the process.
    pub(crate) crowd: Arc<Crowd>,
}

impl Open {
    /// Opens a listener: itself, and a socket for each thread.
    pub(crate) fn new(id: u64, settings: Settings, ground: &Ground) -> Result<(Arc<Self>, Vec<Bound>), BindError> {
        let configured = settings.listener.address().clone();
        let (sockets, bound) = socket::open(&settings.listener, ground.threads)?;
        let settings = ArcSwap::from_pointee(settings);
        Ok((
            Arc::new(Self {
                id,
                configured,
                bound,
                settings,
                counters: Counters::default(),
                crowd: Arc::clone(&ground.crowd),
            }),
            sockets,
        ))
    }
}
