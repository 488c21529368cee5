//! The coordinator's whole state, behind one lock that is never held across a wait.
//!
//! All of it is changed by the coordinator's own thread (ticks, discovery, the admin API) and by the binary's reloads.
//! The request path never comes here: it reads the published [`View`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use ambidex_core::drill::Ending;
use ambidex_core::plan::Held;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::View;
use ambidex_core::worker::{PoolId, WorkerId};
use ambidex_wire::report::Arrived;
use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::watch;

use crate::clock::wall_millis;
use crate::config::{PoolConfig, Source};
use crate::discovery;
use crate::drills::{DrillStatus, Drilling};
use crate::gossip::Standing;
use crate::health;
use crate::heartbeats::{Beat, Counts, Names, Waiting};
use crate::journal::Journal;
use crate::news::News;
use crate::orca;
use crate::orders::Orders;
use crate::poller::Target;
use crate::pool::Pool;
use crate::publish::{Publish, PublisherState};
use crate::reach::Place;
use crate::roster::{Event, Ids};
use crate::series::MOST_SERIES;
use crate::tls::RefusedPeers;

mod answered;
mod breakers;
mod drill;
mod followed;
mod gossip;
mod guests;
mod leading;
mod obey;
mod probation;
mod record;
mod ring;
mod shards;
mod trial;
mod zones;

pub use answered::Approved;
pub use followed::FollowStatus;
pub(crate) use followed::Following;
pub(crate) use guests::Guest;
pub(crate) use leading::Elected;
pub use leading::ElectionStatus;
pub use obey::{Obeyed, OrderError};
pub(crate) use probation::Probing;
pub use probation::{Configured, ProbationStatus};

/// The coordinator's state.
#[derive(Debug)]
pub(crate) struct Room {
    seats: usize,
    /// Which run of the process this is, in the journal.
    run: u64,
    ids: Ids,
    pub(crate) pools: Vec<Pool>,
    published: Arc<ArcSwap<View>>,
    /// The same for publishers, which wait for the next one.
    pictures: watch::Sender<Arc<View>>,
    /// The publishers that the configuration names.
    pub(crate) publish: Vec<Publish>,
    /// What those that run have done.
    pub(crate) publishers: Vec<PublisherState>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) news: News,
    /// What came of datagrams at the heartbeats' port.
    pub(crate) heartbeats: Arc<Counts>,
    /// Heartbeats that came while somebody was here.
    pub(crate) waiting: Arc<Waiting>,
    /// Who is there, for those who do not come in to ask.
    pub(crate) names: Arc<ArcSwap<Names>>,
    /// Whether pools are others than those whose workers are in it.
    pools_differ: bool,
    orders: Orders,
    /// Whether requests go through this process.
    pub(crate) carries_requests: bool,
    /// How many drills were begun.
    drills: u64,
    /// Drills that ended, the newest first.
    drilled: VecDeque<DrillStatus>,
    /// The coordinator that pools without workers of their own follow.
    pub(crate) following: Option<Following>,
    /// What this process is among several coordinators, where there are.
    pub(crate) elected: Option<Elected>,
    /// Whether its lease is over by the clock, though it leads as far as it knows.
    pub(crate) lease_over: bool,
    /// How often standing orders were changed, or what runbooks do.
    ordered: u64,
    /// How many gateways and other proxies told how fast workers answer since this process began.
    tellers: u64,
    /// How many gateways follow this process.
    pub(crate) guests: Arc<AtomicUsize>,
    /// How it stands with the gateways that decide as well; `None`: it decides alone.
    pub(crate) gossip: Option<Arc<Standing>>,
    /// Who wanted to subscribe and failed the handshake.
    pub(crate) refused: Arc<RefusedPeers>,
    /// The configuration in force, and what came of it.
    pub(crate) probing: Probing,
    /// When the proof of running trials is kept next.
    next_trials_kept: Mono,
    next_second: Mono,
    next_checkpoint: Mono,
    /// When pictures of followed pools are kept next.
    next_kept: Mono,
}

/// What a reload changed, by pool name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Pools that are new.
    pub added: Vec<Arc<str>>,
    /// Pools whose settings are others; identities and live numbers stay.
    pub changed: Vec<Arc<str>>,
    /// Pools that are gone.
    pub removed: Vec<Arc<str>>,
}

impl Room {
    pub(crate) fn new(seats: usize, published: Arc<ArcSwap<View>>, journal: Arc<dyn Journal>, now: Mono) -> Self {
        let kept = journal.state(ORDERS).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            seats,
            run: wall_millis(),
            ids: Ids::default(),
            pools: Vec::new(),
            pictures: watch::Sender::new(published.load_full()),
            published,
            publish: Vec::new(),
            publishers: Vec::new(),
            journal,
            news: News::default(),
            heartbeats: Arc::default(),
            waiting: Arc::default(),
            names: Arc::default(),
            pools_differ: false,
            orders: kept.unwrap_or_default(),
            carries_requests: true,
            drills: 0,
            drilled: VecDeque::new(),
            following: None,
            elected: None,
            lease_over: false,
            ordered: 0,
            tellers: 0,
            guests: Arc::default(),
            gossip: None,
            refused: Arc::default(),
            probing: Probing::new(now),
            next_trials_kept: now,
            next_second: now,
            next_checkpoint: now + CHECKPOINT,
            next_kept: now,
        }
    }

    /// Takes a configuration over. Pools of the same name stay the same pools.
    pub(crate) fn apply(&mut self, now: Mono, configs: Vec<PoolConfig>) -> Diff {
        let mut known: HashMap<Arc<str>, Pool> =
            self.pools.drain(..).map(|pool| (Arc::clone(&pool.config.name), pool)).collect();
        let mut diff = Diff::default();
        for config in configs {
            let name = Arc::clone(&config.name);
            let pool = match known.remove(&name) {
                Some(pool) if pool.config == config => {
                    self.pools.push(pool);
                    continue;
                }
                Some(pool) => {
                    diff.changed.push(name);
                    pool
                }
                None => {
                    diff.added.push(name);
                    Pool::new(config.clone(), now, self.seats, &mut self.ids)
                }
            };
            self.pools.push(pool);
            let at = self.pools.len() - 1;
            if self.pools[at].pictured().is_none() {
                self.remember_paths(at, now);
                self.remember_points(at);
                self.checkpoint(at);
            }
            let (effects, planned) = self.pools[at].configure(now, config, &mut self.ids);
            self.record_effects(at, now, effects);
            if self.pools[at].is_followed() && self.pools[at].followed.is_none() {
                self.remembered(at, now);
            }
            self.judge_health(at, now);
            match planned {
                Some(planned) if self.leads() => self.record(at, planned),
                // What it brought is that of planners which are another one's.
                Some(_) | None => {}
            }
        }
        for (name, mut gone) in known {
            if let Some(drilling) = gone.drill(None) {
                self.keep_drill(drilling.status(&name, Some(Ending::Gone)));
            }
            diff.removed.push(name);
        }
        diff.removed.sort();
        self.pools_differ = true;
        self.publish();
        diff
    }

    /// Takes in what a discovery task told.
    pub(crate) fn hear_source(&mut self, now: Mono, pool: PoolId, event: Event) {
        let Some(at) = self.pools.iter().position(|known| known.id == pool) else { return };
        let effects = self.pools[at].hear_source(now, event, &mut self.ids);
        self.record_effects(at, now, effects);
        self.publish();
    }

    /// Takes a report in, with the period in which its source is expected to speak.
    pub(crate) fn hear(&mut self, arrived: Arrived, period: Option<Span>) {
        for pool in &mut self.pools {
            let period = period.unwrap_or(pool.config.weights.tick);
            let held = Held { report: arrived.report, at: arrived.at, period, source: arrived.source };
            if pool.hear(arrived.worker, held) {
                if arrived.source != ambidex_core::plan::Source::Piggyback
                    && let Some(track) = pool.tracks.get_mut(&arrived.worker)
                {
                    track.poll_fault = None;
                }
                return;
            }
        }
    }

    /// Takes a worker's heartbeat in, in each pool that it is in.
    pub(crate) fn hear_beat(&mut self, beat: &Beat) {
        for pool in &mut self.pools {
            let Some(worker) = pool.named(&beat.worker) else { continue };
            let (id, cells) = (worker.id, Arc::clone(&worker.cells));
            let Some(report) = beat.report else {
                cells.report_faults.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                continue;
            };
            if let Some(queue) = report.queue {
                cells.load.hear_queue(beat.at, queue);
            }
            pool.hear(
                id,
                Held { report, at: beat.at, period: beat.every, source: ambidex_core::plan::Source::Heartbeat },
            );
        }
    }

    /// Does what is due, and says when to come again.
    pub(crate) fn due(&mut self, now: Mono) -> Mono {
        // What came before a tick counts in it.
        Arc::clone(&self.waiting).hand_over(self);
        let drawn = self.pools.iter().flat_map(|pool| pool.tracks.values()).filter(|t| t.series.is_some()).count();
        let mut left = MOST_SERIES.saturating_sub(drawn);
        let plans = self.plans(now);
        for at in 0..self.pools.len() {
            if self.pools[at].roster.deadline(now).is_some() {
                let effects = self.pools[at].hear_source(now, Event::Due, &mut self.ids);
                self.record_effects(at, now, effects);
            }
            if self.pools[at].next_tick <= now {
                // Who joined, left or was drained may have made the checks doubtful, or believable again.
                self.judge_health(at, now);
                let planned = self.pools[at].tick(now, plans, &mut left);
                self.record_breakers(at, now);
                if let Some(planned) = planned {
                    self.record(at, planned);
                    self.keep_points(at);
                    self.answered(at, now);
                    self.tell_zones(at);
                    self.obey_pins(at, now);
                }
            }
        }
        self.watch_drills(now);
        self.watch_trials(now);
        self.watch_probation(now);
        self.watch_contact(now);
        if self.next_second <= now {
            let second = u32::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX);
            self.pools.iter_mut().for_each(|pool| pool.draw(second));
            self.next_second = now + Span::from_secs(1);
        }
        if self.next_checkpoint <= now {
            if self.leads() {
                (0..self.pools.len()).for_each(|at| self.checkpoint(at));
            }
            self.next_checkpoint = now + CHECKPOINT;
        }
        self.publish();
        let leave = self.pools.iter().filter_map(|pool| pool.roster.deadline(now));
        let ticks = self.pools.iter().map(|pool| pool.next_tick);
        let looks = self.pools.iter().filter_map(|pool| pool.drilling.as_ref()).map(Drilling::deadline);
        let trials = self.pools.iter().filter_map(|pool| pool.paths.deadline());
        let silence = self.following.as_ref().and_then(|following| following.contact.deadline());
        ticks
            .chain(leave)
            .chain(looks)
            .chain(trials)
            .chain(silence)
            .chain(self.probing.deadline())
            .chain([self.next_second])
            .min()
            .unwrap_or(self.next_second)
    }

    /// Notes why a worker's endpoint gave no report.
    pub(crate) fn poll_failed(&mut self, worker: WorkerId, why: String) {
        for pool in &mut self.pools {
            if let Some(known) = pool.roster.worker(worker) {
                known.cells.report_faults.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let fault = &mut pool.tracks.entry(worker).or_default().poll_fault;
                if fault.is_none() {
                    // Once, not with each poll; quoted, because a worker may have chosen the words.
                    tracing::warn!(pool = &*pool.config.name, worker = &*known.found.url, ?why, "polls fail");
                }
                *fault = Some(why);
                return;
            }
        }
    }

    /// The workers whose endpoints are to be asked.
    pub(crate) fn polls(&self) -> Vec<(WorkerId, Target)> {
        let of = |pool: &Pool| {
            let Some(poll) = &pool.config.reports.poll else { return Vec::new() };
            let target = |worker: &crate::roster::Worker| {
                let place = Place {
                    address: worker.found.address.clone(),
                    url: Arc::clone(&worker.found.url),
                    port: poll.port,
                    tls: pool.config.poll_tls.clone(),
                };
                (worker.id, Target { place, poll: poll.clone() })
            };
            pool.roster.workers().iter().filter(|worker| !worker.is_leaving()).map(target).collect::<Vec<_>>()
        };
        self.pools.iter().flat_map(of).collect()
    }

    /// The workers whose reports are to be streamed.
    pub(crate) fn orca_streams(&self) -> Vec<(WorkerId, orca::Target)> {
        let of = |pool: &Pool| {
            let Some(wanted) = pool.config.reports.orca else { return Vec::new() };
            let target = |worker: &crate::roster::Worker| {
                let place = Place {
                    address: worker.found.address.clone(),
                    url: Arc::clone(&worker.found.url),
                    port: wanted.port,
                    tls: pool.config.poll_tls.clone(),
                };
                (worker.id, orca::Target { place, interval: wanted.interval })
            };
            pool.roster.workers().iter().filter(|worker| !worker.is_leaving()).map(target).collect::<Vec<_>>()
        };
        self.pools.iter().flat_map(of).collect()
    }

    /// The workers whose health is to be checked.
    pub(crate) fn health_targets(&self) -> Vec<(WorkerId, health::Target)> {
        self.pools.iter().flat_map(Pool::health_targets).collect()
    }

    /// The sources that must be looked at.
    pub(crate) fn lookups(&self) -> Vec<(PoolId, Source)> {
        let of = |pool: &Pool| {
            let id = pool.id;
            discovery::lookups(pool.config.members.sources())
                .map(move |source| (id, source.clone()))
                .collect::<Vec<_>>()
        };
        self.pools.iter().flat_map(of).collect()
    }

    /// The pools whose sources are to be asked again, now.
    pub(crate) fn looks_again(&mut self, now: Mono) -> Vec<PoolId> {
        self.pools.iter_mut().filter_map(|pool| pool.lookout.wants_look(now).then_some(pool.id)).collect()
    }

    /// The pool of this name.
    ///
    /// # Errors
    /// An unknown name, with those that are known.
    pub(crate) fn pool(&self, name: &str) -> Result<&Pool, OrderError> {
        self.place(name).map(|at| &self.pools[at])
    }

    /// The worker of this name, or of this id in figures, in the pool of this name.
    ///
    /// # Errors
    /// An unknown name, with those that are known.
    pub(crate) fn worker(&self, pool: &str, worker: &str) -> Result<WorkerId, OrderError> {
        let known = self.pool(pool)?;
        let names = || some(known.roster.workers().iter().map(|worker| &*worker.found.name));
        let found = known.worker(worker).map(|worker| worker.id);
        found.ok_or_else(|| OrderError::NoWorker(pool.into(), worker.into(), names()))
    }

    /// Another one with each picture, each order, and what runbooks begin and end: what a leader hands over is another then.
    pub(crate) fn stamp(&self) -> u64 {
        self.revision() + self.ordered
    }

    /// The revision of the published view.
    pub(crate) fn revision(&self) -> u64 {
        self.published.load().revision
    }

    fn place(&self, name: &str) -> Result<usize, OrderError> {
        let names = || some(self.pools.iter().map(|pool| &*pool.config.name));
        self.pools
            .iter()
            .position(|pool| &*pool.config.name == name)
            .ok_or_else(|| OrderError::NoPool(name.into(), names()))
    }

    /// Hands the request path a new view, if any pool changed.
    pub(crate) fn publish(&mut self) {
        let differ = self.pools.iter_mut().fold(self.pools_differ, |differ, pool| differ | pool.take_renamed());
        if std::mem::take(&mut self.pools_differ) || differ {
            self.names.store(Arc::new(self.pools.iter().flat_map(Pool::names).cloned().collect()));
        }
        let pools: Vec<_> = self.pools.iter_mut().map(Pool::view).collect();
        let current = self.published.load();
        let mut sorted: Vec<_> = pools.iter().collect();
        sorted.sort_by_key(|pool| pool.id);
        let same = sorted.len() == current.pools().len()
            && sorted.iter().zip(current.pools()).all(|(new, old)| Arc::ptr_eq(new, old));
        if !same {
            let view = Arc::new(View::new(current.revision + 1, pools));
            self.published.store(Arc::clone(&view));
            self.pictures.send_replace(view);
        }
    }

    /// Each new view, as it is published.
    pub(crate) fn pictures(&self) -> watch::Receiver<Arc<View>> {
        self.pictures.subscribe()
    }
}

/// The first few names, for an error.
fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.take(11).collect();
    if names.len() > 10 {
        names[10] = "...";
    }
    names.join(", ")
}

/// The key of the standing orders in the store.
const ORDERS: &str = "orders";
/// Time between two checkpoints. Source: ours; a replay reads at most this much to get to any decision.
const CHECKPOINT: Span = Span::from_secs(300);
