//! One process, from its start to its end: of gateway and coordinator, or of a coordinator alone.
//!
//! ```text
//! start: store -> coordinator (publishes the first view) -> gateway (serves by it) -> say where
//! run:   SIGHUP or a changed file -> reload          SIGTERM, SIGINT -> drain; a second one hurries
//! end:   gateway drained -> coordinator -> store flushed
//! ```

pub(crate) mod facts;
mod history;
mod host;
mod release;
mod runs;
mod watch;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ambidex_control::Configured;
use ambidex_control::facts::ConfigHost as _;
use ambidex_control::journal::{Journal, NoJournal, StoredJournal};
use ambidex_core::time::Span;
use ambidex_gateway::config::ListenAddress;
use ambidex_store::{Limits, OpenError, Store};
use serde_json::json;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{End, Output, answer, complain};
use crate::config::{Config, Form as _};
use crate::system::{Joints, SystemError};
use crate::{env, logging};
use history::History;
use host::Host;
pub(crate) use release::release;
pub(crate) use runs::Runs;
use watch::Watch;

/// Why the process could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Gateway or coordinator.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The runtime or the signals.
    #[error("the process cannot wait for signals: {0}")]
    Signals(#[source] std::io::Error),
}

/// Runs until it is told to end.
pub(crate) fn run<S: Runs>(config: Config<S::File>, file: Option<&Path>, output: Output) -> End {
    logging::start(config.file.log());
    match Process::<S>::start(config, file).and_then(|process| process.serve(output)) {
        Ok(()) => End::Worked,
        Err(error) => {
            complain(&format!("{error}\n"));
            End::Failed
        }
    }
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Process<S: Runs> {
    host: Arc<Host<S>>,
    file: Option<PathBuf>,
    journal: Option<Arc<StoredJournal>>,
    summary: String,
}

impl<S: Runs> Process<S> {
    /// Starts everything; requests are served when this returns.
    ///
    /// # Errors
    /// What could not be had; nothing is left behind then.
    pub(crate) fn start(config: Config<S::File>, file: Option<&Path>) -> Result<Self, RunError> {
        let data = env::data_folder(config.file.journal().path.as_ref());
        let stored = if S::keeps(&config) { open_store::<S>(&config, &data, file.is_some())? } else { None };
        let journal: Arc<dyn Journal> = match &stored {
            Some(stored) => Arc::clone(stored) as _,
            None => Arc::new(NoJournal),
        };
        let checked = config.file.clone();
        let host = Arc::new(Host::new(config, file.map(Path::to_path_buf), Arc::clone(&journal)));
        let joints = Joints { data, journal, gateway: Arc::clone(&host) as _, config: Arc::clone(&host) as _ };
        host.join(S::start(&checked, joints)?);
        let summary = S::summary(&checked);
        Ok(Self { host, file: file.map(Path::to_path_buf), journal: stored, summary })
    }

    /// Puts another configuration in force.
    ///
    /// # Errors
    /// Why not; the one in force stays.
    pub(crate) fn apply(&self, config: Config<S::File>) -> Result<(), String> {
        self.host.take(config, Some(Configured::Put), History::remember).map(drop)
    }

    /// Where clients connect, with the ports that the system chose.
    pub(crate) fn addresses(&self) -> Vec<ListenAddress> {
        self.system().addresses()
    }

    /// Where the dashboard is.
    pub(crate) fn dashboard(&self) -> Option<String> {
        self.system().admin().map(|address| format!("http://{address}/"))
    }

    /// Where the agent's endpoint is.
    fn endpoint(&self) -> Option<std::net::SocketAddr> {
        self.system().endpoint()
    }

    /// Takes nothing new, lets what runs finish for `grace`, then ends the rest, in the order of the start backwards.
    pub(crate) fn end(self, grace: Span) {
        self.system().drain(grace);
        self.part();
    }

    fn system(&self) -> &S {
        self.host.system().expect("`start` joined it")
    }

    /// Says where, and waits for signals until the end.
    fn serve(self, output: Output) -> Result<(), RunError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(RunError::Signals)?;
        runtime.block_on(self.wait(output))?;
        self.part();
        Ok(())
    }

    fn say(&self, output: Output) {
        let (addresses, dashboard) = (self.addresses(), self.dashboard());
        if output == Output::Json {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let mut said = json!({"schema_version": 1, "listeners": addresses, "dashboard": dashboard});
            if let Some(endpoint) = self.endpoint() {
                said["load"] = json!(format!("http://{endpoint}/load"));
            }
            if let Some(gateways) = self.system().gateways() {
                said["gateways"] = json!(gateways);
            }
            return answer(&format!("{said}\n"));
        }
        let mut text = format!("ambidex {}: {}\n", env!("CARGO_PKG_VERSION"), self.summary);
        for address in addresses {
            let _ = writeln!(text, "  listening on {address}");
        }
        let _ = match dashboard {
            Some(dashboard) => writeln!(text, "  dashboard    {dashboard}"),
            None => writeln!(text, "  no dashboard (admin: off)"),
        };
        if let Some(gateways) = self.system().gateways() {
            let _ = writeln!(text, "  gateways     {gateways}");
        }
        if let Some(endpoint) = self.endpoint() {
            let _ = writeln!(text, "  load         http://{endpoint}/load");
        }
        answer(&text);
    }

    async fn wait(&self, output: Output) -> Result<(), RunError> {
        let listen = |kind| signal(kind).map_err(RunError::Signals);
        let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let mut hup = listen(SignalKind::hangup())?;
        let mut watch = self.file.as_deref().and_then(watched);
        // From here on nothing that is sent or written is missed.
        self.say(output);
        loop {
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
                _ = hup.recv() => self.reload("SIGHUP"),
                () = changed => if self.host.changed() {
                    self.reload("the file changed");
                },
            }
        }
        self.drain(&mut term, &mut int).await;
        Ok(())
    }

    /// What came of it has been logged by the host.
    fn reload(&self, why: &str) {
        tracing::info!("reading the configuration again: {why}");
        let _ = self.host.reload();
    }

    /// Lets what is under way finish; another signal hurries it.
    async fn drain(&self, term: &mut Signal, int: &mut Signal) {
        if !S::CARRIES_REQUESTS {
            tracing::info!("ending");
            return;
        }
        let grace = self.host.drain_grace();
        tracing::info!("draining: no new connections, requests under way have {grace}");
        let ending = |grace: Span| {
            let host = Arc::clone(&self.host);
            tokio::task::spawn_blocking(move || host.system().map_or(0, |system| system.drain(grace)))
        };
        let mut drained = ending(grace);
        loop {
            tokio::select! {
                cut = &mut drained => {
                    let cut = cut.unwrap_or_default();
                    tracing::info!(cut, "drained");
                    return;
                }
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            tracing::warn!("told to end again: cutting what is left");
            // The first call returns when this one has hurried it.
            drop(ending(Span::ZERO));
        }
    }

    /// Ends what the drained gateway no longer needs.
    fn part(&self) {
        self.system().end();
        if let Some(journal) = &self.journal
            && !journal.store().flush(FLUSH_WITHIN)
        {
            tracing::warn!("the journal could not be written to its end");
        }
    }
}

/// The store of the data folder. Without a file nobody asked for one: then it is no reason not to start.
fn open_store<S: Runs>(
    config: &Config<S::File>,
    data: &Path,
    demanded: bool,
) -> Result<Option<Arc<StoredJournal>>, RunError> {
    let settings = config.file.journal();
    let limits = Limits { max_bytes: settings.max_bytes, max_age: settings.max_age };
    match Store::open(&data.join("store"), limits) {
        Ok(store) => Ok(Some(Arc::new(StoredJournal::new(store)))),
        Err(error) if demanded => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "going on without a journal");
            Ok(None)
        }
    }
}

fn watched(file: &Path) -> Option<Watch> {
    Watch::start(file)
        .inspect_err(|error| tracing::warn!(%error, "the file's changes are not seen; SIGHUP still reloads it"))
        .ok()
}

/// How long the journal may take to be written at the end.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);
