//! TLS towards workers that are polled: made by the binary from the pool's `upstream.tls`, because the gateway, which
//! reads those settings, is none of ours.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

/// Whom polls believe, what they show, and whom they ask for.
#[derive(Clone, Debug)]
pub struct Spoken {
    /// Roots, certificate of the client, and `http/1.1` as protocol.
    pub config: Arc<ClientConfig>,
    /// Whose certificate it must be; else that of the URL's host.
    pub name: Option<ServerName<'static>>,
}

type Load = dyn Fn() -> Result<Spoken, String> + Send + Sync;

/// TLS for polls, read from its files when the first worker with an `https:` URL is asked, and then kept.
#[derive(Clone)]
pub struct PollTls(Arc<Lazy>);

struct Lazy {
    load: Box<Load>,
    loaded: OnceLock<Result<Spoken, String>>,
}

impl PollTls {
    /// What `load` returns when it is needed; its error is the reason why polls fail.
    pub fn new(load: impl Fn() -> Result<Spoken, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Lazy { load: Box::new(load), loaded: OnceLock::new() }))
    }

    /// The settings; files are read off the coordinator's thread.
    pub(crate) async fn spoken(&self) -> Result<Spoken, String> {
        if let Some(loaded) = self.0.loaded.get() {
            return loaded.clone();
        }
        let lazy = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || lazy.loaded.get_or_init(|| (lazy.load)()).clone())
            .await
            .map_err(|why| format!("TLS could not be set up: {why}"))?
    }
}

impl fmt::Debug for PollTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PollTls").field(&self.0.loaded).finish()
    }
}

/// Whether they are one: files may have changed between two.
impl PartialEq for PollTls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
