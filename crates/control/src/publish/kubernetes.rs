//! The publisher for Kubernetes: an operator that sets the weights of HTTPRoutes' backends (Gateway API), which Istio, Linkerd,
//! Envoy Gateway and others carry out.
//!
//! ```text
//! each second   GET httproutes/shop ---> weights of its backends ---> moved enough, and not too soon ---> server-side apply
//! ```
//! Backends are services: the weight of one is what its pods are to get together. Within a service nobody's weights are heard:
//! EndpointSlices have no field for them. A route's rules have one owner, whom the API server knows by its field manager; while
//! that is somebody else, nothing is changed and the conflict is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::plan::Mode;
use ambidex_core::view::View;

use self::route::{Route, decided};
use super::urgency::{Attempts, Lines, Urgency, changes, urgency};
use super::{Carried, Ports, Publisher};
use crate::kubernetes::{Client, Refusal, namespace};

pub use self::config::{KubernetesConfig, RoutesError};

mod config;
mod route;

impl Publisher for KubernetesConfig {
    fn kind(&self) -> &'static str {
        "kubernetes"
    }

    fn target(&self) -> String {
        let namespace = self.namespace.as_ref().map_or_else(String::new, |namespace| format!(" of {namespace}"));
        format!("HTTPRoutes{namespace} by {}", self.access.server)
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    async fn run(self, ports: Ports) {
        let memory = ports.remembered().and_then(|kept| serde_json::from_slice(&kept).ok()).unwrap_or_default();
        let mut operator = Operator {
            client: Client::new(self.access.clone()),
            config: self,
            ports,
            memory,
            attempts: BTreeMap::new(),
            carried: Carried::default(),
        };
        while operator.ports.pictures.has_changed().is_ok() {
            operator.look().await;
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

/// The weights that were found before the first change, by route and line; `None` where none was said.
type Memory = BTreeMap<String, BTreeMap<String, Option<u32>>>;

/// What keeps routes as they should be.
struct Operator {
    config: KubernetesConfig,
    client: Client,
    ports: Ports,
    memory: Memory,
    attempts: BTreeMap<Arc<str>, Attempts<Lines>>,
    carried: Carried,
}

impl Operator {
    /// Looks once at all routes, and changes what is not as it should be.
    async fn look(&mut self) {
        let view = Arc::clone(&self.ports.pictures.borrow_and_update());
        self.carried.remarks.clear();
        let (mut faults, mut pending, mut waits) = (Vec::new(), Vec::new(), false);
        for (route, pool) in self.config.routes.clone() {
            match self.compare(&view, &route, &pool).await {
                Ok(Some(changes)) => pending.extend(changes),
                Ok(None) => waits = true,
                Err(why) => {
                    self.carried.counts.failures += 1;
                    faults.push(why);
                }
            }
            faults.extend(self.attempts.get(&route).and_then(Attempts::why));
        }
        if !pending.is_empty() || self.config.mode == Mode::Observe {
            self.carried.changes = pending;
        }
        if faults.is_empty() && !waits {
            self.carried.in_force(view.revision);
        }
        self.carried.fault = (!faults.is_empty()).then(|| faults.join("; "));
        self.ports.tell(self.carried.clone());
    }

    /// Compares one route with its pool's picture, and changes it if that is worth it. What was changed, or would be; `None`
    /// while it is not as it should be.
    async fn compare(&mut self, view: &View, name: &Arc<str>, pool: &str) -> Result<Option<Vec<String>>, String> {
        let picture = view.pools().iter().find(|known| *known.name == *pool);
        let picture = picture.ok_or_else(|| format!("route {name} is to go by pool `{pool}`, which is not there"))?;
        let Some(decided) = decided(picture) else {
            let why = "no worker of the pool that a `kubernetes` source named takes requests";
            self.carried.remarks.push(format!("{name} is left as it is: {why}"));
            return Ok(Some(Vec::new()));
        };
        let namespace = namespace(self.config.namespace.as_ref()).await?;
        let route = read(&self.client, &namespace, name).await?;
        let (rules, others) = route.ours(&namespace, &decided);
        self.carried.remarks.extend(others.into_iter().map(|why| format!("{name}: {why}")));
        let (known, wanted) = (route.lines(&rules), route.wanted(&rules, &decided));
        let changes = changes(name, &known, &wanted);
        let urgency = urgency(&known, &wanted, self.config.step.get());
        let attempts = self.attempts.entry(Arc::clone(name)).or_insert_with(Attempts::none);
        match (self.ports.mode(self.config.mode), urgency) {
            (Mode::Observe, _) => return Ok(Some(changes)),
            (Mode::Apply, Urgency::Not) => {
                attempts.forgive();
                return Ok(Some(Vec::new()));
            }
            (Mode::Apply, Urgency::Due | Urgency::Now) => {}
        }
        let now = self.ports.clock.now();
        if !attempts.is_time(now, urgency, self.config.every, &wanted) {
            return Ok(None);
        }
        let found = route.found(&rules);
        let lines = wanted.iter().map(|(line, weight)| (line.clone(), Some(*weight))).collect();
        let done = match self.remember(name, found) {
            Ok(()) => apply(&self.client, &namespace, name, &route, &lines, self.config.force).await,
            Err(why) => Err(format!("nothing is changed, because what was found could not be kept: {why}")),
        };
        self.attempts.entry(Arc::clone(name)).or_insert_with(Attempts::none).note(now, wanted, &done);
        match done {
            Ok(()) => {
                self.carried.counts.changes += changes.len() as u64;
                Ok(Some(changes))
            }
            Err(_) => {
                self.carried.counts.failures += 1;
                Ok(None)
            }
        }
    }

    /// Keeps what is about to be changed, unless that was done before.
    fn remember(&mut self, name: &str, found: BTreeMap<String, Option<u32>>) -> Result<(), String> {
        let mut memory = self.memory.clone();
        let kept = memory.entry(name.to_owned()).or_default();
        for (line, weight) in found {
            kept.entry(line).or_insert(weight);
        }
        if memory != self.memory {
            self.ports.remember(&serde_json::to_vec(&memory).map_err(|error| error.to_string())?)?;
            self.memory = memory;
        }
        Ok(())
    }
}

impl KubernetesConfig {
    /// Puts back the weights that were found.
    ///
    /// # Errors
    /// What could not be put back, and why.
    pub(crate) async fn release(&self, kept: &[u8]) -> Result<Vec<String>, String> {
        let memory: Memory =
            serde_json::from_slice(kept).map_err(|why| format!("what was kept cannot be read: {why}"))?;
        let client = Client::new(self.access.clone());
        let namespace = namespace(self.namespace.as_ref()).await?;
        let mut done = Vec::new();
        for (name, lines) in &memory {
            let route = read(&client, &namespace, name).await?;
            apply(&client, &namespace, name, &route, lines, self.force).await?;
            done.push(format!("route {name} has the weights that were found"));
        }
        Ok(done)
    }
}

fn path(namespace: &str, name: &str) -> String {
    format!("/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/{name}")
}

async fn read(client: &Client, namespace: &str, name: &str) -> Result<Route, String> {
    let body = client.get(&path(namespace, name), "application/json").await?;
    let body = body.map_err(|refusal| format!("route {name} of {namespace} cannot be read: {refusal}"))?;
    Route::read(&body).map_err(|why| format!("route {name}: {why}"))
}

async fn apply(
    client: &Client,
    namespace: &str,
    name: &str,
    route: &Route,
    lines: &BTreeMap<String, Option<u32>>,
    force: bool,
) -> Result<(), String> {
    let text = route.with(namespace, lines).to_string();
    let refusal = match client.apply(&path(namespace, name), MANAGER, force, text).await? {
        Ok(_) => return Ok(()),
        Err(refusal) => refusal,
    };
    Err(if is_owned(&refusal) {
        let message = &refusal.message;
        format!("the rules of route {name} are set by somebody else: {message}; write `force: true` to take them over")
    } else if refusal.code == CONFLICT {
        format!("route {name} was changed by somebody else meanwhile: {}", refusal.message)
    } else {
        format!("route {name} is not changed: {refusal}")
    })
}

/// Whether another field manager set what we want to set.
fn is_owned(refusal: &Refusal) -> bool {
    refusal.code == CONFLICT && refusal.details.causes.iter().any(|cause| cause.reason == "FieldManagerConflict")
}

/// By which the API server knows what is set from here.
const MANAGER: &str = "ambidex";
const CONFLICT: u16 = 409;
/// Source: the slow loop's tick.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
