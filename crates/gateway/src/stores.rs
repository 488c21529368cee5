//! What a process keeps beside its traffic, over all threads and reloads: idempotency keys, the shared server.

use std::path::PathBuf;
use std::sync::Arc;

use ambidex_core::time::Mono;
use ambidex_store::OpenError;
use ambidex_store::remote::{Remote, RemoteConfig, RemoteStatus};
use arc_swap::ArcSwapOption;

use crate::config::GatewayConfig;
use crate::keys::Keys;

/// What a process keeps; cheap to clone. By default in memory only.
#[derive(Clone, Debug, Default)]
pub struct Stores(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The data folder.
    folder: Option<PathBuf>,
    keys: Arc<Keys>,
    remote: ArcSwapOption<Server>,
}

/// What a new configuration goes by, before it is in force.
pub(crate) struct Prepared(Option<Arc<Server>>);

#[derive(Debug)]
struct Server {
    config: RemoteConfig,
    remote: Remote,
}

/// Why what a configuration wants cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoresError {
    /// The idempotency keys' folder.
    #[error("deduplication: {0}; `deduplication: {{persist: false}}` does without")]
    Keys(#[from] OpenError),
    /// The shared server's thread.
    #[error("redis: a thread could not be started: {0}")]
    Thread(std::io::Error),
}

impl Stores {
    /// Stores that keep below this data folder what is to outlive the process.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self(Arc::new(Inner { folder: Some(folder), ..Inner::default() }))
    }

    /// Makes ready what a configuration wants; then [`take`](Self::take) puts it in force.
    pub(crate) fn prepare(&self, config: &GatewayConfig, now: Mono) -> Result<Prepared, StoresError> {
        let Inner { folder, keys, remote } = &*self.0;
        let embedded = config.routes.iter().any(|route| route.deduplicate().is_some_and(|wanted| wanted.is_embedded()));
        let folder = folder.as_deref().filter(|_| embedded && config.deduplication.persist);
        keys.open(config.deduplication.bounds, folder, now)?;
        let known = remote.load_full();
        if known.as_ref().map(|server| &server.config) == config.redis.as_ref() {
            return Ok(Prepared(known));
        }
        let start = |config: &RemoteConfig| {
            let remote = Remote::start(config.clone()).map_err(StoresError::Thread)?;
            Ok::<_, StoresError>(Arc::new(Server { config: config.clone(), remote }))
        };
        Ok(Prepared(config.redis.as_ref().map(start).transpose()?))
    }

    /// Puts in force what was prepared.
    pub(crate) fn take(&self, prepared: Prepared) {
        self.0.remote.store(prepared.0);
    }

    /// The idempotency keys.
    pub(crate) fn keys(&self) -> &Arc<Keys> {
        &self.0.keys
    }

    /// The shared server, if there is one.
    pub(crate) fn remote(&self) -> Option<Remote> {
        self.0.remote.load().as_ref().map(|server| server.remote.clone())
    }

    /// How it goes with the shared server.
    pub(crate) fn remote_status(&self) -> Option<RemoteStatus> {
        self.0.remote.load().as_ref().map(|server| server.remote.status())
    }
}
