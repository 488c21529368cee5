//! A Redis or Valkey server that several gateways share.
//!
//! ```text
//! any thread: Remote::get, set, run --> bounded queue --> thread "remote": one connection, commands in a row
//!                 |                         |                 |
//!             Away at once              Busy, full        PING each second; lost: connect again, in the background
//! ```
//! **Nothing here ever hangs.** An answer comes within the configured time, or [`RemoteError`] does. While the server is
//! away (down, frozen, not yet reached) nobody waits for it at all: what is asked fails at once, and one thread tries
//! to reach it again. What a caller does then is its own choice; it is told whether its command may have been carried
//! out. No command is ever sent twice.

mod config;
mod link;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ambidex_core::time::Span;
use tokio::sync::{mpsc, oneshot};

pub use config::{RemoteConfig, RemoteConfigError};

/// A handle to the server; cheap to clone, usable from every thread with a tokio runtime that has a timer. The last one
/// that goes ends the connection.
#[derive(Clone, Debug)]
pub struct Remote {
    jobs: mpsc::Sender<Job>,
    state: Arc<State>,
    timeout: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// It is not connected. Nothing was sent.
    #[error("the shared store is away")]
    Away,
    /// Too many commands wait. Nothing was sent.
    #[error("the shared store does not keep up: its queue is full")]
    Busy,
    /// No answer came in time, or the connection ended before. The command may have been carried out.
    #[error("the shared store did not answer in time")]
    Late,
    /// It answered with an error.
    #[error("the shared store refused: {0}")]
    Refused(String),
}

impl RemoteError {
    /// Whether the command may have been carried out all the same.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        match self {
            Self::Away | Self::Busy | Self::Refused(_) => false,
            Self::Late => true,
        }
    }
}

/// A program that the server runs as a whole, with nothing in between.
#[derive(Clone, Debug)]
pub struct Script(Arc<redis::Script>);

impl Script {
    /// A program in Lua. It reads `KEYS` and `ARGV`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Arc::new(redis::Script::new(text)))
    }
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing of that name, or no.
    Nil,
    /// A number.
    Number(i64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Several.
    List(Vec<Said>),
    /// Of a kind that is not asked for here.
    Other,
}

/// How it goes with the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteStatus {
    /// Whether it can be asked.
    pub here: bool,
    /// Commands that were asked for.
    pub asked: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// How often it was connected.
    pub connected: u64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    here: AtomicBool,
    asked: AtomicU64,
    failed: AtomicU64,
    connected: AtomicU64,
}

/// One command on its way to the thread.
pub(crate) struct Job {
    pub(crate) command: Command,
    pub(crate) reply: oneshot::Sender<Result<Said, RemoteError>>,
}

pub(crate) enum Command {
    Plain(redis::Cmd),
    Script { script: Arc<redis::Script>, keys: Vec<Vec<u8>>, args: Vec<Vec<u8>> },
}

impl Remote {
    /// Starts the thread that keeps the connection. Waits for the first connection, at most as long as connecting may
    /// take; a server that is not there is no error, it is away.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(config: RemoteConfig) -> io::Result<Self> {
        let timeout = config.timeout().into();
        let wait = Duration::from(config.connect_timeout()) + Duration::from_millis(100);
        let (jobs, queue) = mpsc::channel(MOST_QUEUED);
        let state = Arc::<State>::default();
        let (ready, begun) = std::sync::mpsc::sync_channel(1);
        link::spawn(config, queue, Arc::clone(&state), ready)?;
        // Whatever comes of it: who asks before the first connection is told that the server is away.
        let _ = begun.recv_timeout(wait);
        Ok(Self { jobs, state, timeout })
    }

    /// The value of a key.
    ///
    /// # Errors
    /// Why there is no answer; so for all commands.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RemoteError> {
        let mut command = redis::cmd("GET");
        command.arg(key);
        match self.ask(Command::Plain(command)).await? {
            Said::Bytes(bytes) => Ok(Some(bytes)),
            Said::Nil | Said::Number(_) | Said::List(_) | Said::Other => Ok(None),
        }
    }

    /// Sets a value for a time.
    ///
    /// # Errors
    /// Why it may not be set.
    pub async fn set(&self, key: &[u8], value: &[u8], keep: Span) -> Result<(), RemoteError> {
        let mut command = redis::cmd("SET");
        command.arg(key).arg(value).arg("PX").arg(keep.as_millis().max(1));
        self.ask(Command::Plain(command)).await.map(drop)
    }

    /// Removes keys.
    ///
    /// # Errors
    /// Why they may not be removed.
    pub async fn remove(&self, keys: &[&[u8]]) -> Result<(), RemoteError> {
        let mut command = redis::cmd("UNLINK");
        command.arg(keys);
        self.ask(Command::Plain(command)).await.map(drop)
    }

    /// Runs a script.
    ///
    /// # Errors
    /// Why there is no answer; it may have run all the same when the error says so.
    pub async fn run(&self, script: &Script, keys: &[&[u8]], args: Vec<Vec<u8>>) -> Result<Said, RemoteError> {
        let keys = keys.iter().map(|key| key.to_vec()).collect();
        self.ask(Command::Script { script: Arc::clone(&script.0), keys, args }).await
    }

    /// Whether it can be asked now.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.state.here.load(Relaxed)
    }

    /// How it goes.
    #[must_use]
    pub fn status(&self) -> RemoteStatus {
        let State { here, asked, failed, connected } = &*self.state;
        RemoteStatus {
            here: here.load(Relaxed),
            asked: asked.load(Relaxed),
            failed: failed.load(Relaxed),
            connected: connected.load(Relaxed),
        }
    }

    async fn ask(&self, command: Command) -> Result<Said, RemoteError> {
        self.state.asked.fetch_add(1, Relaxed);
        let said = self.sent(command).await;
        if said.is_err() {
            self.state.failed.fetch_add(1, Relaxed);
        }
        said
    }

    async fn sent(&self, command: Command) -> Result<Said, RemoteError> {
        if !self.is_here() {
            return Err(RemoteError::Away);
        }
        let (reply, said) = oneshot::channel();
        self.jobs.try_send(Job { command, reply }).map_err(|_| RemoteError::Busy)?;
        match tokio::time::timeout(self.timeout, said).await {
            Ok(Ok(said)) => said,
            // The thread lets go of a job only when its connection is lost.
            Ok(Err(_)) | Err(_) => Err(RemoteError::Late),
        }
    }
}

/// Commands that wait at most. Source: ours; a tenth of a second at 10,000 requests a second.
const MOST_QUEUED: usize = 1_024;
