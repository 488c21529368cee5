//! Begins and ends a worker's part in keyspaces: a thread with its own runtime, a port, and the records.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ambidex_core::shard::keyspace::Hash;
use ambidex_core::shard::plan::Busy;
use ambidex_store::OpenError;
use ambidex_store::held::Held;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::application::{Application, Dropped, HttpApplication};
use super::config::ShardsConfig;
use super::contract::Token;
use super::doors::{self, Doors};
use super::keyspace::Keyspace;
use super::metadata::Metadata;
use super::redis::Instance;
use super::relay::Relay;
use crate::clock::Clock;

/// A worker's part in keyspaces, until it is dropped.
#[derive(Debug)]
pub struct ShardAgent {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why it cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum ShardStartError {
    /// The records cannot be opened.
    #[error("agent.shards.data: {0}")]
    Disk(#[from] OpenError),
    /// They cannot be read.
    #[error("agent.shards.data: the records of keyspace {keyspace} in {} cannot be read: {why}", folder.display())]
    Records {
        /// Of which keyspace.
        keyspace: String,
        /// Where.
        folder: PathBuf,
        /// What is the matter.
        why: String,
    },
    /// No password.
    #[error("agent.shards.redis.password_file: {} {why}", file.display())]
    Password {
        /// Which file.
        file: PathBuf,
        /// What is the matter.
        why: String,
    },
    /// No token.
    #[error("agent.shards.token_file: {} {why}", file.display())]
    Token {
        /// Which file.
        file: PathBuf,
        /// What is the matter.
        why: String,
    },
    /// No port.
    #[error("agent.shards.listen: {address} cannot be listened at: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// No thread.
    #[error("no thread for the worker's slices: {0}")]
    Thread(#[source] io::Error),
}

impl ShardAgent {
    /// Begins before an application at `http://HOST:PORT`. Requests for the worker come at [`address`](Self::address).
    ///
    /// # Errors
    /// What cannot be opened or read.
    pub fn start(
        config: &ShardsConfig,
        application: &str,
        metadata: Arc<dyn Metadata>,
    ) -> Result<Self, ShardStartError> {
        let token = token(&config.token_file)?;
        let (disk, records) = Held::open(&config.data)?;
        let timeout: Duration = config.timeout.into();
        let runtime = Builder::new_current_thread().enable_all().build().map_err(ShardStartError::Thread)?;
        let instance = config.redis.as_ref().map(|redis| Instance::start(redis, timeout, &runtime)).transpose()?;
        let (asked, hash): (Arc<dyn Application>, Hash) = match &instance {
            Some(instance) => (Arc::new(instance.clone()), Hash::Crc16),
            None => (Arc::new(HttpApplication::new(application, &config.prefix, timeout)), Hash::Xxh3),
        };
        let clock = Clock::starting_now();
        // One application: what any keyspace has done for it makes it busy.
        let busy = Arc::new(Mutex::new(Busy::new(config.places(), clock.now())));
        let mut keyspaces = BTreeMap::new();
        for name in &config.keyspaces {
            let (asked, metadata) = (Arc::clone(&asked), Arc::clone(&metadata));
            let keyspace = Keyspace::new(
                name,
                &config.name,
                hash,
                (asked, metadata),
                (disk.clone(), &records),
                (clock, Arc::clone(&busy)),
            );
            let unreadable =
                |why| ShardStartError::Records { keyspace: name.clone(), folder: config.data.clone(), why };
            keyspaces.insert(name.clone(), keyspace.map_err(unreadable)?);
        }
        let listen = |source| ShardStartError::Listen { address: config.listen, source };
        let socket = std::net::TcpListener::bind(config.listen).map_err(listen)?;
        socket.set_nonblocking(true).map_err(listen)?;
        let address = socket.local_addr().map_err(listen)?;
        let (relay, prefix) = (Relay::new(application, timeout), config.prefix.clone());
        let doors = Doors { keyspaces, token, relay, prefix, instance };
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = all(socket, Arc::new(doors)) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("shards".into()).spawn(run).map_err(ShardStartError::Thread)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where requests for the worker come, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ShardAgent {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the worker's slices failed");
        }
    }
}

async fn all(socket: std::net::TcpListener, doors: Arc<Doors>) {
    let Ok(listener) = TcpListener::from_std(socket) else {
        return tracing::error!("the worker's slices are not served: no runtime takes their port");
    };
    for keyspace in doors.keyspaces.values() {
        tokio::spawn(tidy(Arc::clone(keyspace)));
        tokio::spawn(Arc::clone(keyspace).keep_time());
        tokio::spawn(Arc::clone(keyspace).keep_up());
    }
    doors::serve(listener, doors).await;
}

/// What a crash left of stagings is dropped, as soon as the application can be asked.
async fn tidy(keyspace: Arc<Keyspace>) {
    for _ in 0..TIDIED {
        // No staging begins meanwhile.
        let surgery = keyspace.surgery.lock().await;
        let (names, held) = keyspace.stagings();
        if keyspace.application.stages_in_place() && !keyspace.knows_its_map() {
            return; // Whose the keys are that it finds is not known yet.
        }
        let others = Dropped::StagingsExcept { names: &names, held: &held };
        if keyspace.application.delete(&keyspace.name, others).await.is_ok() {
            return;
        }
        drop(surgery);
        tokio::time::sleep(PAUSE).await;
    }
}

fn token(file: &Path) -> Result<Token, ShardStartError> {
    let fault = |why: String| ShardStartError::Token { file: file.to_path_buf(), why };
    let plain = std::fs::metadata(file).map_err(|error| fault(format!("cannot be read: {error}")))?.is_file();
    if !plain {
        return Err(fault("is no plain file".to_owned()));
    }
    let bytes = std::fs::read(file).map_err(|error| fault(format!("cannot be read: {error}")))?;
    let short = || {
        fault(format!(
            "has {} bytes: 16 to 4096 are needed, as `head -c 32 /dev/urandom | base64` gives",
            bytes.trim_ascii().len()
        ))
    };
    Token::of(&bytes).ok_or_else(short)
}

/// Source: ours; an application that starts later than its agent does so within a minute.
const TIDIED: usize = 60;
const PAUSE: Duration = Duration::from_secs(1);
