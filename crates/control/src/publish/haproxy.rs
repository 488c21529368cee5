//! The publisher for HAProxy: weights and drains by its runtime API, and what it saw of the workers back. Nothing is
//! installed at the workers.
//!
//! ```text
//! each second   show stat; show servers state ---> told ---> counted ---> the workers' cells ---> the loop
//!                                                   |
//!               the pool's picture --------------> steer ---> set server b/s weight N; set server b/s state drain
//! ```
//! There is no state that could get out of step: each look compares what HAProxy has with what it should have. So one that
//! started anew, or was changed by hand, has the weights again a second later. What was there before the first change is
//! kept in the store, to be put back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ambidex_core::draw::Draw;
use ambidex_core::plan::Mode;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::{PoolView, View};
use ambidex_core::worker::WorkerId;
use ambidex_core::zone::Home;
use ambidex_haproxy::{Level, exchange};

use self::counted::Counts;
use self::memory::{Found, Memory};
use self::orders::{obeyed, said};
use self::steer::{Change, What, matches, steer};
use self::told::{Backend, Out, Untold, question, read};
use super::{Carried, Ports, Publisher};
use crate::clock::{duration, wall_millis};

pub use self::config::{HaproxyConfig, HaproxyError};

mod config;
mod counted;
mod memory;
mod orders;
mod release;
mod steer;
mod told;

impl Publisher for HaproxyConfig {
    fn kind(&self) -> &'static str {
        "haproxy"
    }

    fn target(&self) -> String {
        self.address.to_string()
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    async fn run(self, ports: Ports) {
        let mut steward = Steward::new(self, ports);
        while steward.ports.pictures.has_changed().is_ok() {
            steward.look().await;
            tokio::time::sleep(duration(steward.pause())).await;
        }
    }
}

/// What keeps one HAProxy as it should be.
struct Steward {
    config: HaproxyConfig,
    ports: Ports,
    memory: Memory,
    counts: BTreeMap<Arc<str>, Counts>,
    carried: Carried,
    draw: Draw,
    /// Looks in a row without an answer.
    lost: u32,
    /// Changes in a row that were refused, why, and when they are tried again.
    refused: u32,
    refusal: Option<String>,
    again: Mono,
}

/// What one look found of all backends.
#[derive(Default)]
struct Look {
    changes: Vec<Change>,
    remarks: Vec<String>,
    faults: Vec<String>,
}

impl Steward {
    fn new(config: HaproxyConfig, ports: Ports) -> Self {
        Self {
            memory: Memory::of(ports.remembered().as_deref()),
            config,
            ports,
            counts: BTreeMap::new(),
            carried: Carried::default(),
            draw: Draw::seeded(wall_millis()),
            lost: 0,
            refused: 0,
            refusal: None,
            again: Mono::default(),
        }
    }

    /// Looks once, and changes what is not as it should be.
    async fn look(&mut self) {
        let backends: Vec<(Arc<str>, Arc<str>)> =
            self.config.backends.iter().map(|(name, pool)| (Arc::clone(name), Arc::clone(pool))).collect();
        let names: Vec<&str> = backends.iter().map(|(name, _)| &**name).collect();
        let line = question(names.iter().copied());
        let text = match exchange(&self.config.address, Level::Admin, &line, self.config.timeout).await {
            Ok(text) => text,
            Err(why) => return self.lose(why.to_string()),
        };
        self.lost = 0;
        let view = Arc::clone(&self.ports.pictures.borrow_and_update());
        let mut look = Look::default();
        for ((name, pool), told) in backends.iter().zip(read(&text, &names)) {
            match told {
                Ok(backend) => self.compare(&view, name, pool, &backend, &mut look),
                Err(Untold::NoBackend(name)) => look.faults.push(self.no_backend(&name).await),
                Err(why) => look.faults.push(why.to_string()),
            }
        }
        let open = self.carry(&look).await;
        self.tell(&view, look, open);
    }

    /// Compares one backend with its pool's picture; what HAProxy counted goes to the workers' cells.
    fn compare(&mut self, view: &View, name: &Arc<str>, pool: &str, backend: &Backend, look: &mut Look) {
        let Some(pool) = view.pools().iter().find(|known| *known.name == *pool) else {
            look.faults.push(format!("backend `{name}` is to have the workers of pool `{pool}`, which is not there"));
            return;
        };
        let slots = matches(pool, backend);
        let counts = self.counts.entry(Arc::clone(name)).or_default();
        let looked = counts.take(self.ports.clock.now(), pool, backend, &slots);
        let answers = counts.take_answers();
        self.ports.count(pool.id, &mut counts.teller, looked.covers, answers.clone());
        self.flow(pool, &answers);
        self.carried.counts.reports += looked.workers;
        let kept = self.memory.backends.entry(name.to_string()).or_default();
        for server in backend.servers.iter().filter(|server| server.out == Out::No) {
            kept.entry(server.name.clone()).and_modify(|found| found.drained = false);
        }
        let steering = steer(name, pool, backend, &slots, kept, self.config.zone.as_deref().map(Home::of));
        look.changes.extend(steering.changes);
        look.remarks.extend(steering.remarks);
        if looked.unnamed > 0 {
            let of = looked.unnamed;
            look.remarks.push(format!(
                "{of} servers of {name} have no `maxconn`: how many requests at once they have room for is learned from how long answers \
                 take, unless the pool says `limit`"
            ));
        }
    }

    /// Tells where requests of this HAProxy's zone went.
    fn flow(&self, pool: &PoolView, answers: &[(WorkerId, u64)]) {
        let (Some(home), Some(_)) = (&self.config.zone, pool.zones()) else { return };
        let zones: HashMap<WorkerId, &Arc<str>> = pool.workers.iter().map(|worker| (worker.id, &worker.zone)).collect();
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (worker, count) in answers {
            if let Some(zone) = zones.get(worker) {
                *sums.entry(zone).or_default() += count;
            }
        }
        sums.into_iter().for_each(|(zone, count)| self.ports.flow(&pool.name, home, zone, count));
    }

    /// Carries changes out, as far as that is wanted and allowed; says how many are open.
    async fn carry(&mut self, look: &Look) -> usize {
        let now = self.ports.clock.now();
        match self.ports.mode(self.config.mode) {
            Mode::Observe => return 0,
            Mode::Apply if look.changes.is_empty() => {
                (self.refused, self.refusal) = (0, None);
                return 0;
            }
            Mode::Apply if now < self.again => return look.changes.len(),
            Mode::Apply => {}
        }
        let result = match self.remember(&look.changes) {
            Ok(()) => obeyed(&self.config.address, &look.changes, self.config.timeout).await,
            Err(why) => Err(format!("nothing is changed, because what was found could not be kept: {why}")),
        };
        match result {
            Ok(done) => {
                self.carried.counts.changes += done as u64;
                (self.refused, self.refusal) = (0, None);
                look.changes.len() - done
            }
            Err(why) => {
                self.again = now + self.backoff(self.refused);
                self.refused = self.refused.saturating_add(1);
                self.carried.counts.failures += 1;
                self.refusal = Some(why);
                look.changes.len()
            }
        }
    }

    /// Keeps what the changes are about to change.
    fn remember(&mut self, changes: &[Change]) -> Result<(), String> {
        for Change { backend, server, weight, what } in changes {
            let kept = self.memory.backends.entry(backend.clone()).or_default();
            let found = kept.entry(server.clone()).or_insert(Found { weight: *weight, drained: false });
            found.drained |= *what == What::Drain;
        }
        let bytes = self.memory.bytes();
        if self.ports.remembered().as_deref() == Some(&bytes[..]) { Ok(()) } else { self.ports.remember(&bytes) }
    }

    fn tell(&mut self, view: &View, look: Look, open: usize) {
        let Look { changes, remarks, mut faults } = look;
        faults.extend(self.refusal.clone());
        if !changes.is_empty() || self.config.mode == Mode::Observe {
            self.carried.changes = changes.iter().map(Change::to_string).collect();
        }
        self.carried.remarks = remarks;
        self.carried.fault = (!faults.is_empty()).then(|| faults.join("; "));
        if faults.is_empty() && open == 0 {
            self.carried.in_force(view.revision);
        }
        self.ports.tell(self.carried.clone());
    }

    /// There was no answer: all stays as it is, here and there.
    fn lose(&mut self, why: String) {
        self.lost = self.lost.saturating_add(1);
        if self.lost >= FORGOTTEN {
            // Nobody knows what is in flight; counting begins anew when HAProxy is back.
            self.counts.clear();
        }
        self.carried.counts.failures += 1;
        self.carried.fault = Some(why);
        self.ports.tell(self.carried.clone());
    }

    /// What to say of a backend that is not there, with those that are.
    async fn no_backend(&self, name: &str) -> String {
        let known =
            exchange(&self.config.address, Level::Admin, "show backend", self.config.timeout).await.unwrap_or_default();
        let known: Vec<&str> = said(&known).filter(|line| !line.starts_with('#')).take(10).collect();
        format!("HAProxy has no backend `{name}`; it has: {}", known.join(", "))
    }

    /// The pause until the next look: a twentieth sooner or later, so that several publishers drift apart.
    fn pause(&mut self) -> Span {
        match self.lost {
            0 => scaled(self.config.every, 0.95 + 0.1 * self.draw.unit()),
            lost => self.backoff(lost),
        }
    }

    fn backoff(&mut self, failures: u32) -> Span {
        let longest = self.config.every.times(1 << failures.min(16)).min(LONGEST_PAUSE).max(self.config.every);
        scaled(longest, 0.5 + 0.5 * self.draw.unit())
    }
}

fn scaled(span: Span, by: f64) -> Span {
    Span::from_secs_f64(span.as_secs_f64() * by)
}

/// Looks without an answer after which nobody knows what is in flight. Source: R-W10, three missed.
const FORGOTTEN: u32 = 3;
/// Source: ours; one that is back is found within half a minute.
const LONGEST_PAUSE: Span = Span::from_secs(30);
