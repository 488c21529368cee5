//! Publishers: what carries decided weights to something that is not our own request path (another proxy, a file, a
//! stream), and may bring back what that saw of the workers.
//!
//! ```text
//! Room --View--> pictures --> publisher's task ---------------> the other proxy
//!   ^                           |       |                          |
//!   +-- reports, as if polled --+       +-- tell --> status,       |
//!              (hear) <----------------- what it saw of workers ---+   metrics, dashboard
//! ```
//! Each is a task on the coordinator's runtime; what must block starts a thread of its own. They are told apart by their
//! names in the configuration: a reload starts those that are new, ends those that are gone, and starts those anew whose
//! settings are others. Nobody waits for them: a publisher that is slow misses pictures, never a decision.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::plan::Mode;
use ambidex_core::time::Span;
use ambidex_core::view::View;
use ambidex_core::worker::{PoolId, WorkerId};
use ambidex_wire::report::Arrived;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::clock::{Clock, wall_millis};
use crate::coordinator::Shared;
use crate::journal::Journal;
use crate::leadership::Office;
use crate::rounds::Rounds;

pub use self::caddy::{CaddyConfig, CaddyError};
pub use self::envoy::{EnvoyConfig, Pick, XdsError};
pub use self::grpc::GrpcConfig;
pub use self::haproxy::{HaproxyConfig, HaproxyError};
pub use self::kubernetes::{KubernetesConfig, RoutesError};
pub use self::nginx::{NginxConfig, NginxError};
pub use self::traefik::{TraefikConfig, TraefikError};

mod caddy;
mod envoy;
mod fair;
mod grpc;
mod haproxy;
mod kubernetes;
mod nginx;
#[cfg(test)]
mod sample;
mod traefik;
mod urgency;

/// One publisher of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    /// What it is called.
    pub name: Arc<str>,
    /// What it carries where, and how.
    pub how: PublishConfig,
}

/// Whether a publisher can send requests where their zone wants them. A proxy is told one weight for each worker, so its
/// requests have to be of one zone; and their number has to come back, or nobody knows what a zone has to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zoned {
    /// It does: it says from which zone its requests come.
    Said,
    /// It could, and does not say.
    Unsaid,
    /// Nothing comes back from it.
    Cannot,
}

/// The kinds of publishers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublishConfig {
    /// Caddy, by its admin API.
    Caddy(CaddyConfig),
    /// Envoys, which take it by xDS and report load.
    Envoy(EnvoyConfig),
    /// gRPC clients, which take it by xDS and report load.
    Grpc(GrpcConfig),
    /// HAProxy, by its runtime API.
    Haproxy(HaproxyConfig),
    /// HTTPRoutes of a Kubernetes cluster.
    Kubernetes(KubernetesConfig),
    /// nginx, by a generated file and a reload.
    Nginx(NginxConfig),
    /// Traefiks, which ask for it by their HTTP provider.
    Traefik(TraefikConfig),
}

impl PublishConfig {
    /// Its key in the configuration.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.kind()
    }

    /// For Envoys, if it is.
    #[must_use]
    pub fn envoy(&self) -> Option<&EnvoyConfig> {
        if let Self::Envoy(envoy) = self { Some(envoy) } else { None }
    }

    /// For gRPC clients, if it is.
    #[must_use]
    pub fn grpc(&self) -> Option<&GrpcConfig> {
        if let Self::Grpc(grpc) = self { Some(grpc) } else { None }
    }

    /// The pools that its keys name, each with where, such as `backends.app`. Who names none carries all of them.
    #[must_use]
    pub fn pools(&self) -> Vec<(String, &str)> {
        match self {
            Self::Caddy(caddy) => caddy.pools(),
            Self::Envoy(_) | Self::Grpc(_) => Vec::new(),
            Self::Haproxy(haproxy) => haproxy.pools(),
            Self::Kubernetes(kubernetes) => kubernetes.pools(),
            Self::Nginx(nginx) => nginx.pools(),
            Self::Traefik(traefik) => traefik.pools(),
        }
    }

    /// Whether it carries weights of this pool.
    #[must_use]
    pub fn carries(&self, pool: &str) -> bool {
        let pools = self.pools();
        pools.is_empty() || pools.iter().any(|(_, name)| *name == pool)
    }

    /// Whether it can send requests where their zone wants them.
    #[must_use]
    pub fn zoned(&self) -> Zoned {
        let zone = match self {
            Self::Envoy(EnvoyConfig { zone, .. })
            | Self::Grpc(GrpcConfig { zone, .. })
            | Self::Haproxy(HaproxyConfig { zone, .. }) => zone,
            Self::Caddy(_) | Self::Kubernetes(_) | Self::Nginx(_) | Self::Traefik(_) => return Zoned::Cannot,
        };
        if zone.is_some() { Zoned::Said } else { Zoned::Unsaid }
    }

    /// Takes relative paths as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        match self {
            Self::Caddy(_) | Self::Haproxy(_) | Self::Traefik(_) => {}
            Self::Envoy(envoy) => envoy.beside(folder),
            Self::Grpc(grpc) => grpc.beside(folder),
            Self::Kubernetes(kubernetes) => kubernetes.beside(folder),
            Self::Nginx(nginx) => nginx.beside(folder),
        }
    }

    async fn release(&self, found: &[u8]) -> Result<Vec<String>, String> {
        match self {
            Self::Caddy(caddy) => caddy.release(found).await,
            // Who asks us for weights keeps the last ones until it starts anew; nothing of its own is changed.
            Self::Envoy(_) | Self::Grpc(_) | Self::Traefik(_) => Ok(Vec::new()),
            Self::Haproxy(haproxy) => haproxy.release(found).await,
            Self::Kubernetes(kubernetes) => kubernetes.release(found).await,
            Self::Nginx(nginx) => nginx.release(found).await,
        }
    }
}

impl Publisher for PublishConfig {
    fn kind(&self) -> &'static str {
        match self {
            Self::Caddy(caddy) => caddy.kind(),
            Self::Envoy(envoy) => envoy.kind(),
            Self::Grpc(grpc) => grpc.kind(),
            Self::Haproxy(haproxy) => haproxy.kind(),
            Self::Kubernetes(kubernetes) => kubernetes.kind(),
            Self::Nginx(nginx) => nginx.kind(),
            Self::Traefik(traefik) => traefik.kind(),
        }
    }

    fn target(&self) -> String {
        match self {
            Self::Caddy(caddy) => caddy.target(),
            Self::Envoy(envoy) => envoy.target(),
            Self::Grpc(grpc) => grpc.target(),
            Self::Haproxy(haproxy) => haproxy.target(),
            Self::Kubernetes(kubernetes) => kubernetes.target(),
            Self::Nginx(nginx) => nginx.target(),
            Self::Traefik(traefik) => traefik.target(),
        }
    }

    fn mode(&self) -> Mode {
        match self {
            Self::Caddy(caddy) => caddy.mode(),
            Self::Envoy(envoy) => envoy.mode(),
            Self::Grpc(grpc) => grpc.mode(),
            Self::Haproxy(haproxy) => haproxy.mode(),
            Self::Kubernetes(kubernetes) => kubernetes.mode(),
            Self::Nginx(nginx) => nginx.mode(),
            Self::Traefik(traefik) => traefik.mode(),
        }
    }

    async fn run(self, ports: Ports) {
        match self {
            Self::Caddy(caddy) => caddy.run(ports).await,
            Self::Envoy(envoy) => envoy.run(ports).await,
            Self::Grpc(grpc) => grpc.run(ports).await,
            Self::Haproxy(haproxy) => haproxy.run(ports).await,
            Self::Kubernetes(kubernetes) => kubernetes.run(ports).await,
            Self::Nginx(nginx) => nginx.run(ports).await,
            Self::Traefik(traefik) => traefik.run(ports).await,
        }
    }
}

/// A publisher, as it is configured: equal ones need no new start.
pub(crate) trait Publisher: Clone + PartialEq + Send + 'static {
    /// Its kind, in the word of the configuration.
    fn kind(&self) -> &'static str;

    /// Where it carries weights, for people; without secrets.
    fn target(&self) -> String;

    /// Whether it changes anything there, or only says what it would change.
    fn mode(&self) -> Mode;

    /// Carries until it is dropped.
    fn run(self, ports: Ports) -> impl Future<Output = ()> + Send + 'static;
}

/// Puts back what a publisher found where it carries weights, and forgets it; what that took, one sentence each. For a
/// process in which no publisher runs.
///
/// # Errors
/// What could not be put back, and why; then it is not forgotten.
pub async fn release(publish: &Publish, journal: &dyn Journal) -> Result<Vec<String>, String> {
    let key = key(&publish.name);
    let Some(found) = journal.state(&key).filter(|kept| !kept.is_empty()) else { return Ok(Vec::new()) };
    let done = publish.how.release(&found).await?;
    journal.keep(&key, b"")?;
    Ok(done)
}

/// What a publisher is joined to.
pub struct Ports {
    /// The process's clock.
    pub clock: Clock,
    /// The newest picture of all pools; it changes with each that is made. Closed at the end of the process.
    pub pictures: watch::Receiver<Arc<View>>,
    name: Arc<str>,
    shared: Arc<Shared>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Ports {
    /// What the publisher is called.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is to be done now: what the configuration says while this process leads, else nothing is changed.
    #[must_use]
    pub fn mode(&self, configured: Mode) -> Mode {
        if self.may_change() { configured } else { Mode::Observe }
    }

    /// Whether anything may be changed now: where several coordinators could, only the one that leads does.
    #[must_use]
    pub fn may_change(&self) -> bool {
        self.shared.leadership.may_publish().is_some()
    }

    /// Waits until anything may be changed.
    pub(crate) async fn until_may_change(&self) {
        while !self.may_change() {
            // Its end is the end of the process.
            let _ = self.offices().wait_for(Office::decides).await;
            if !self.may_change() {
                // Its lease is over, and nobody has had the time to say so.
                tokio::time::sleep(OVER).await;
            }
        }
    }

    /// Waits until another coordinator leads, or nobody does.
    pub(crate) async fn until_stands_by(&self) {
        let _ = self.offices().wait_for(|office| !office.decides()).await;
    }

    /// What this process is among the coordinators.
    pub(crate) fn offices(&self) -> watch::Receiver<Office> {
        self.shared.leadership.offices()
    }

    /// Says what has become of the pictures so far: to be called whenever that changes. A fault that is new is logged.
    pub fn tell(&self, mut carried: Carried) {
        carried.changes.truncate(MOST_CHANGES);
        if !self.may_change() {
            carried.remarks.insert(0, "another coordinator leads: nothing is changed from here".to_owned());
        }
        carried.remarks.truncate(MOST_CHANGES);
        let mut room = self.shared.room();
        // One that was ended and has not noticed yet has nothing to say.
        let Some(state) = room.publishers.iter_mut().find(|state| state.name == self.name) else { return };
        match &carried.fault {
            Some(why) if state.carried.fault != carried.fault => {
                tracing::warn!(publisher = &*self.name, kind = state.kind, target = %state.target, "{why}");
            }
            None if state.carried.fault.is_some() => {
                tracing::info!(publisher = &*self.name, kind = state.kind, target = %state.target, "it is well again");
            }
            Some(_) | None => {}
        }
        state.carried = carried;
    }

    /// Takes what was seen of a worker, as if it had been polled every `period`.
    pub fn hear(&self, arrived: Arrived, period: Span) {
        self.shared.room().hear(arrived, Some(period));
    }

    /// Takes how many answers were counted, of each worker of a pool, in the time that this covers; they stand in the workers'
    /// tallies, and are [told](ambidex_core::load::Cells::tell) there. `teller`: which of all; given with the first counts.
    pub(crate) fn count(&self, pool: PoolId, teller: &mut Option<u64>, covers: Span, answers: Vec<(WorkerId, u64)>) {
        self.shared.room().hear_tempo(self.clock.now(), pool, teller, covers, answers);
    }

    /// Takes that so many requests came from a zone and were sent to workers of another, or the same.
    pub(crate) fn flow(&self, pool: &str, home: &str, zone: &str, count: u64) {
        self.shared.room().hear_flow(pool, home, zone, count);
    }

    /// What [`remember`](Self::remember) kept, in this run or in one before.
    #[must_use]
    pub fn remembered(&self) -> Option<Vec<u8>> {
        let journal = Arc::clone(&self.shared.room().journal);
        journal.state(&key(&self.name)).filter(|kept| !kept.is_empty())
    }

    /// Keeps what is needed to put things back as they were found, beyond the end of the process.
    ///
    /// # Errors
    /// Why it could not be kept, in words.
    pub fn remember(&self, found: &[u8]) -> Result<(), String> {
        let journal = Arc::clone(&self.shared.room().journal);
        journal.keep(&key(&self.name), found)
    }
}

/// Where a publisher's memory stands in the store.
pub(crate) fn key(name: &str) -> String {
    format!("publish/{name}")
}

/// One publisher, as status, metrics and dashboard show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PublisherState {
    /// What it is called.
    pub name: Arc<str>,
    /// Its kind, in the word of the configuration.
    pub kind: &'static str,
    /// Where it carries weights.
    pub target: String,
    /// Whether it changes anything there.
    pub mode: Mode,
    /// What has become of the pictures.
    #[serde(flatten)]
    pub carried: Carried,
}

/// What a publisher has done so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Carried {
    /// The newest picture that is in force there; with `mode: observe` that was compared.
    pub applied: Option<AppliedPicture>,
    /// What the newest picture changed there, or would change, one sentence each: at most 100.
    pub changes: Vec<String>,
    /// What people should know of it, one sentence each: who is left alone and why, what is presumed.
    pub remarks: Vec<String>,
    /// Why pictures do not get there now, and what to do about it.
    pub fault: Option<String>,
    /// How often what happened.
    pub counts: CarriedCounts,
}

impl Carried {
    /// Notes that a view of this revision is in force, or was compared.
    fn in_force(&mut self, revision: u64) {
        if self.applied.is_none_or(|applied| applied.revision != revision) {
            self.counts.pictures += 1;
            self.applied = Some(AppliedPicture { revision, wall_ms: wall_millis() });
        }
    }
}

/// A picture that got to where it was carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AppliedPicture {
    /// Revision of the view.
    pub revision: u64,
    /// When, in milliseconds since 1970: for people.
    pub wall_ms: u64,
}

/// How often what happened since the publisher was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CarriedCounts {
    /// Pictures that are, or were, in force there.
    pub pictures: u64,
    /// Single changes made there.
    pub changes: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Reports of workers that came back.
    pub reports: u64,
}

/// The running publishers.
pub(crate) struct Publishers<P> {
    shared: Arc<Shared>,
    tasks: Rounds<Arc<str>, P>,
}

impl<P: Publisher> Publishers<P> {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, tasks: Rounds::new() }
    }

    /// Runs these and no others. Within the runtime only.
    pub(crate) fn reconcile(&mut self, wanted: Vec<(Arc<str>, P)>) {
        {
            let mut room = self.shared.room();
            let before = std::mem::take(&mut room.publishers);
            room.publishers = wanted.iter().map(|(name, how)| state(name, how, &before)).collect();
        }
        let shared = &self.shared;
        self.tasks.reconcile(wanted, |name, how| {
            let pictures = shared.room().pictures();
            let ports = Ports { clock: shared.clock, pictures, name, shared: Arc::clone(shared) };
            tokio::spawn(how.run(ports)).abort_handle()
        });
    }
}

/// The state of a publisher that is wanted: what it has done stays known when only others changed.
fn state<P: Publisher>(name: &Arc<str>, how: &P, before: &[PublisherState]) -> PublisherState {
    let fresh = PublisherState {
        name: Arc::clone(name),
        kind: how.kind(),
        target: how.target(),
        mode: how.mode(),
        carried: Carried::default(),
    };
    let same = |known: &&PublisherState| {
        (&known.name, known.kind, &known.target, known.mode) == (&fresh.name, fresh.kind, &fresh.target, fresh.mode)
    };
    before.iter().find(same).cloned().unwrap_or(fresh)
}

/// Between two looks whether a lease that is over is known to be. Source: ours.
const OVER: Duration = Duration::from_millis(20);
/// Changes, and remarks, that are kept for pages. Source: ours; who wants all of them looks at the other proxy.
const MOST_CHANGES: usize = 100;

#[cfg(test)]
mod tests;
