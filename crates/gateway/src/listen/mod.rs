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
mod clients;
pub(crate) mod counters;
pub(crate) mod crowd;
mod door;
mod frames;
pub(crate) mod hall;
pub(crate) mod io;
pub(crate) mod peer;
pub(crate) mod socket;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ambidex_http1::{Leniency, Limits, Profile};
use ambidex_redis::session::Password;
use arc_swap::ArcSwap;

pub(crate) use self::door::Door;

use self::clients::Clients;
use self::counters::Counters;
use self::crowd::Crowd;
use self::socket::{BindError, Bound};
use crate::config::{Lenient, ListenAddress, Listener};
use crate::tls::{Tls, TlsError};

/// A listener's settings, with what was read from files for them. Swapped whole at a reload; a connection keeps those
/// that it began with.
#[derive(Debug)]
pub(crate) struct Settings {
    /// As configured.
    pub(crate) listener: Listener,
    /// TLS, if it is spoken.
    pub(crate) tls: Option<Tls>,
    /// What is borne of a message of HTTP/1.
    pub(crate) profile: Profile,
    /// What clients of Redis must say, if anything.
    pub(crate) password: Option<Password>,
}

/// What the settings of a listener name cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No password.
    #[error("redis.password_file: {} {why}", file.display())]
    Password {
        /// The file.
        file: PathBuf,
        /// What is the matter.
        why: String,
    },
}

impl Settings {
    /// Reads what the settings name. `previous` are those that they replace.
    pub(crate) fn new(listener: Listener, previous: Option<&Self>) -> Result<Self, SettingsError> {
        let spoken = previous.and_then(|previous| previous.tls.as_ref());
        let tls = listener.tls.as_ref().map(|tls| Tls::new(tls, spoken)).transpose()?;
        let profile = profile_of(&listener);
        let file = listener.redis.as_ref().and_then(|redis| redis.password_file.as_deref());
        let password = file.map(password).transpose()?;
        Ok(Self { listener, tls, profile, password })
    }
}

fn password(file: &Path) -> Result<Password, SettingsError> {
    let fault = |why: String| SettingsError::Password { file: file.to_path_buf(), why };
    let bytes = std::fs::read(file).map_err(|error| fault(format!("cannot be read: {error}")))?;
    Password::of(&bytes).ok_or_else(|| fault("holds no password of 1 to 4096 bytes".to_owned()))
}

fn profile_of(listener: &Listener) -> Profile {
    let head_bytes = u32::try_from(listener.max_header_bytes.get()).unwrap_or(u32::MAX);
    let bears = |manner| listener.lenient.contains(&manner);
    Profile {
        limits: Limits { head_bytes, ..Limits::default() },
        leniency: Leniency {
            bare_line_feed: bears(Lenient::BareLineFeed),
            chunked_in_any_case: bears(Lenient::ChunkedInAnyCase),
            space_after_chunk_size: bears(Lenient::SpaceAfterChunkSize),
            repeated_equal_length: bears(Lenient::RepeatedEqualLength),
        },
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
    /// Its clients, where each has a bound.
    pub(crate) clients: Clients,
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
                clients: Clients::default(),
                crowd: Arc::clone(&ground.crowd),
            }),
            sockets,
        ))
    }
}
