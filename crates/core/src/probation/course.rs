//! The machine of a probation: what is seen of each pool becomes windows, and windows a verdict. The drawing is in the
//! [module](super)'s words.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::config::ProbationConfig;
use super::judge::{Case, Evidence, Runs, What, minute, needed, sum, worst, worst_sum};
use super::swings::Swings;
use super::told::{Explained, Told};
use super::windows::{Meter, Window};
use crate::stats::histogram::TallyState;
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// Where a probation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// What is in force is what later changes are compared with.
    Steady,
    /// Another configuration is in force, and clients find their way.
    Settling,
    /// It is compared.
    Watching,
    /// It is worse, and on its way out.
    Returning,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// What was seen of all pools since the last look.
    Look(&'a [Seen<'a>]),
    /// Another configuration is in force, with these settings.
    Taken(ProbationConfig),
    /// An operator put another one in force, who knows why.
    Put(ProbationConfig),
    /// An operator takes the one on probation as it is.
    Accepted,
    /// What was in force before is in force again.
    Returned,
    /// It could not be, for this reason.
    NotReturned(String),
}

/// What was seen of one pool since the last look.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its name.
    pub pool: &'a Arc<str>,
    /// What its clients got; where nobody counts that, how tries ended.
    pub counted: &'a TallyState,
    /// Its workers.
    pub workers: &'a [Member],
    /// What else goes on in it.
    pub busy: Option<Busy>,
}

/// A worker of a pool.
#[derive(Clone, Debug)]
pub struct Member {
    /// Who.
    pub id: WorkerId,
    /// What people call it.
    pub name: Arc<str>,
    /// The share of the pool's requests that it is to get.
    pub share: f64,
    /// Whether tries found nobody there, since the last one that was answered.
    pub away: bool,
}

/// What else goes on in a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// A canary, a switch or an experiment.
    Trial,
    /// A drill.
    Drill,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// To be told, logged and written down.
    Tell(Told),
    /// What was in force before is to be taken over again; then [`Event::Returned`] or [`Event::NotReturned`].
    Return,
}

/// Compares what clients get with what they got before a change.
#[derive(Clone, Debug)]
pub struct Probation {
    config: ProbationConfig,
    stage: Stage,
    since: Mono,
    looked: Option<Mono>,
    pools: BTreeMap<Arc<str>, Watched>,
}

/// One pool.
#[derive(Clone, Debug, Default)]
struct Watched {
    meter: Meter,
    swings: Swings,
    before: VecDeque<Window>,
    after: Vec<Window>,
    runs: Runs,
    /// Who was there when the comparison began.
    there: BTreeMap<WorkerId, Arc<str>>,
    /// Since when over half of the requests fail, and how many came since.
    outright: Option<(Mono, u64)>,
    /// What explains the window that is filled.
    explained: Option<Explained>,
    /// Windows that count for nobody, and what explains the newest of them.
    left_out: usize,
    because: Option<Explained>,
}

/// One pool, for pages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolLook {
    /// Its name.
    pub pool: Arc<str>,
    /// Windows of the time before.
    pub windows_before: usize,
    /// The worst of each number in them, and what swung in the worst minute.
    pub before: Window,
    /// Windows that count for the new configuration.
    pub windows_after: usize,
    /// The newest of them, and what swung in the newest minute.
    pub after: Option<Window>,
    /// Windows that count for nobody, and why the newest of them does.
    pub left_out: usize,
    /// The same in words.
    pub why: Option<String>,
}

impl Probation {
    /// Begins with a configuration that is in force and not doubted.
    #[must_use]
    pub const fn new(config: ProbationConfig, now: Mono) -> Self {
        Self { config, stage: Stage::Steady, since: now, looked: None, pools: BTreeMap::new() }
    }

    /// Where it stands.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether a configuration is on probation, or on its way out.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        match self.stage {
            Stage::Steady => false,
            Stage::Settling | Stage::Watching | Stage::Returning => true,
        }
    }

    /// Its settings.
    #[must_use]
    pub const fn config(&self) -> &ProbationConfig {
        &self.config
    }

    /// How long it stands there.
    #[must_use]
    pub const fn lasted(&self, now: Mono) -> Span {
        now.since(self.since)
    }

    /// When it wants to look next; never while it is switched off.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        let every = Span::from_nanos(self.config.window.as_nanos() / LOOKS);
        self.config.mode.watches().then(|| self.looked.unwrap_or(self.since) + every)
    }

    /// Hears what happened. What cannot be in its stage changes nothing.
    pub fn on(&mut self, now: Mono, event: Event<'_>, out: &mut Vec<Effect>) {
        match (self.stage, event) {
            (_, Event::Look(seen)) => self.look(now, seen, out),
            (_, Event::Taken(config)) => {
                self.configure(config);
                self.begin(now, out);
            }
            (_, Event::Put(config)) => {
                self.configure(config);
                self.settle(now, false);
            }
            (Stage::Settling | Stage::Watching, Event::Accepted) => {
                self.settle(now, true);
                out.push(Effect::Tell(Told::Accepted));
            }
            (Stage::Returning, Event::Returned) => {
                self.settle(now, false);
                out.push(Effect::Tell(Told::Returned));
            }
            (Stage::Returning, Event::NotReturned(why)) => {
                self.settle(now, true);
                out.push(Effect::Tell(Told::NotReturned { why }));
            }
            (Stage::Steady | Stage::Returning, Event::Accepted)
            | (Stage::Steady | Stage::Settling | Stage::Watching, Event::Returned | Event::NotReturned(_)) => {}
        }
    }

    /// Each pool, for pages.
    #[must_use]
    pub fn looks(&self) -> Vec<PoolLook> {
        self.pools.iter().map(|(pool, watched)| watched.look(pool, &self.config)).collect()
    }

    fn configure(&mut self, config: ProbationConfig) {
        if config.window != self.config.window || !config.mode.watches() {
            // Windows of another length are not alike.
            self.pools.clear();
        }
        self.config = config;
    }

    fn begin(&mut self, now: Mono, out: &mut Vec<Effect>) {
        self.since = now;
        self.pools.values_mut().for_each(Watched::doubt);
        self.stage = if self.config.mode.watches() { Stage::Settling } else { Stage::Steady };
        if self.is_on() {
            out.push(Effect::Tell(Told::Began { lasts: self.config.lasts }));
        }
    }

    /// What is in force is not doubted any more; `new`: it is the one that was on probation.
    fn settle(&mut self, now: Mono, new: bool) {
        (self.stage, self.since) = (Stage::Steady, now);
        let most = self.config.remembered();
        self.pools.values_mut().for_each(|watched| watched.believe(new, most));
    }

    fn look(&mut self, now: Mono, seen: &[Seen<'_>], out: &mut Vec<Effect>) {
        let over = self.looked.map(|looked| now.since(looked));
        self.looked = Some(now);
        self.pools.retain(|pool, _| seen.iter().any(|seen| *seen.pool == *pool));
        let comparisons = COMPARISONS * seen.len();
        let mut found = None;
        for seen in seen {
            let watched = self.pools.entry(Arc::clone(seen.pool)).or_default();
            let swung = watched.swings.take(seen.workers.iter().map(|member| (member.id, member.share)));
            // What came before the first look came over nobody knows how long.
            let Some(over) = over else { continue };
            let stretch = Stretch { now, over, seen, swung };
            match self.stage {
                Stage::Steady => watched.remember(&stretch, &self.config),
                Stage::Settling => found = found.or(watched.outright(&stretch)),
                Stage::Watching => {
                    let shown = watched.outright(&stretch);
                    found = found.or(shown).or(watched.compare(&stretch, &self.config, comparisons));
                }
                Stage::Returning => {}
            }
        }
        match self.stage {
            Stage::Settling | Stage::Watching if found.is_some() => self.worse(now, found, out),
            Stage::Settling if self.lasted(now) >= self.config.window => {
                (self.stage, self.since) = (Stage::Watching, now);
                for seen in seen {
                    self.pools.entry(Arc::clone(seen.pool)).or_default().watch(seen.workers);
                }
            }
            Stage::Watching if self.lasted(now) >= self.config.lasts => self.over(now, comparisons, out),
            Stage::Steady | Stage::Settling | Stage::Watching | Stage::Returning => {}
        }
    }

    fn worse(&mut self, now: Mono, found: Option<Evidence>, out: &mut Vec<Effect>) {
        let Some(evidence) = found else { return };
        let acts = self.config.mode.acts();
        out.push(Effect::Tell(Told::Worse { evidence, acts }));
        if acts {
            (self.stage, self.since) = (Stage::Returning, now);
            out.push(Effect::Return);
        } else {
            self.settle(now, true);
        }
    }

    fn over(&mut self, now: Mono, comparisons: usize, out: &mut Vec<Effect>) {
        let places = self.config.places();
        let asked = |watched: &&Watched| !watched.before.is_empty() || !watched.after.is_empty();
        let shown = |watched: &Watched| {
            needed(watched.before.len(), places, comparisons).is_some_and(|needed| watched.after.len() >= needed)
        };
        let mut known = self.pools.iter().filter(|(_, watched)| asked(watched)).peekable();
        let told = if known.peek().is_none() {
            Told::Unclear { by: None }
        } else {
            let open = known.filter(|(_, watched)| !shown(watched));
            let open: Vec<_> = open.map(|(pool, watched)| Some((Arc::clone(pool), watched.because.clone()?))).collect();
            match open.first() {
                None => Told::Passed,
                Some(_) => Told::Unclear { by: open.into_iter().flatten().next() },
            }
        };
        self.settle(now, true);
        out.push(Effect::Tell(told));
    }
}

/// What was seen of a pool over a stretch of time.
#[derive(Clone, Copy, Debug)]
struct Stretch<'a> {
    now: Mono,
    over: Span,
    seen: &'a Seen<'a>,
    swung: f64,
}

impl Watched {
    /// The time before, while nothing is doubted.
    fn remember(&mut self, stretch: &Stretch<'_>, config: &ProbationConfig) {
        if stretch.seen.busy.is_some() {
            return self.meter.empty();
        }
        if let Some(window) = self.meter.add(stretch.seen.counted, stretch.swung, stretch.over, config.window) {
            self.keep(window, config.remembered());
        }
    }

    fn keep(&mut self, window: Window, most: usize) {
        self.before.push_back(window);
        while self.before.len() > most {
            self.before.pop_front();
        }
    }

    /// Another configuration is in force.
    fn doubt(&mut self) {
        let before = core::mem::take(&mut self.before);
        let swings = core::mem::take(&mut self.swings);
        *self = Self { before, swings, ..Self::default() };
    }

    /// The comparison begins.
    fn watch(&mut self, workers: &[Member]) {
        self.meter.empty();
        self.swings.begin();
        self.there =
            workers.iter().filter(|member| !member.away).map(|member| (member.id, Arc::clone(&member.name))).collect();
    }

    /// What is in force is what later changes are compared with.
    fn believe(&mut self, new: bool, most: usize) {
        let after = core::mem::take(&mut self.after);
        self.doubt();
        for window in after.into_iter().filter(|_| new) {
            self.keep(window, most);
        }
    }

    /// Whether nearly nothing works any more.
    fn outright(&mut self, stretch: &Stretch<'_>) -> Option<Evidence> {
        let Seen { pool, counted, workers, busy } = *stretch.seen;
        let (failed, requests) = (counted.failed, counted.failed + counted.latency.count());
        if failed * 2 <= requests && requests > 0 {
            self.outright = None;
            return None;
        }
        let (since, so_far) = self.outright.unwrap_or((stretch.now - stretch.over, 0));
        self.outright = Some((since, so_far + requests)).filter(|(_, requests)| *requests > 0);
        let before = worst(&self.before, Window::failing)?;
        let lasts = stretch.now.since(since) >= OUTRIGHT_FOR && so_far + requests >= OUTRIGHT_OF;
        let explained = busy.is_some() || self.lost(workers).is_some();
        (lasts && before <= WELL && !explained).then(|| Evidence {
            pool: Arc::clone(pool),
            what: What::Errors,
            before,
            after: 0.5,
            windows_before: self.before.len(),
            windows_after: 1,
        })
    }

    /// A worker that was there when the comparison began, and is not any more.
    fn lost(&self, workers: &[Member]) -> Option<Arc<str>> {
        let here = |id: &WorkerId| workers.iter().any(|member| member.id == *id && !member.away);
        if self.there.len() <= workers.len() && workers.iter().all(|member| !member.away) {
            // Nearly always: nobody left, or others came.
            let known = workers.iter().filter(|member| self.there.contains_key(&member.id)).count();
            if known == self.there.len() {
                return None;
            }
        }
        self.there.iter().find(|(id, _)| !here(id)).map(|(_, name)| Arc::clone(name))
    }

    fn compare(&mut self, stretch: &Stretch<'_>, config: &ProbationConfig, comparisons: usize) -> Option<Evidence> {
        let Seen { pool, counted, workers, busy } = *stretch.seen;
        let busy = busy.map(|busy| match busy {
            Busy::Trial => Explained::Trial,
            Busy::Drill => Explained::Drill,
        });
        let lost = || self.lost(workers).map(|worker| Explained::Worker { worker });
        let explained = busy.or_else(lost);
        self.explained = explained.or(self.explained.take());
        let window = self.meter.add(counted, stretch.swung, stretch.over, config.window)?;
        let fullest = worst(&self.before, |window| Some(window.rate));
        let load = fullest.filter(|before| window.rate > before * FULLER);
        let load = load.map(|before| Explained::Load { before, after: window.rate });
        if let Some(explained) = self.explained.take().or(load) {
            self.left_out += 1;
            self.because = Some(explained);
            return None;
        }
        self.after.push(window);
        let needed = needed(self.before.len(), config.places(), comparisons);
        let (before, after, turns) = (&self.before, &self.after, self.swings.turns());
        self.runs.hear(&Case { pool, before, after, turns, needed }, config)
    }

    fn look(&self, pool: &Arc<str>, config: &ProbationConfig) -> PoolLook {
        let longest = |of: fn(&Window) -> Option<Span>| self.before.iter().filter_map(of).max();
        let by_failures =
            |a: &&Window, b: &&Window| (a.failed * b.requests.max(1)).cmp(&(b.failed * a.requests.max(1)));
        let failing = self.before.iter().max_by(by_failures).copied().unwrap_or_default();
        let before = Window {
            p50: longest(|window| window.p50),
            p99: longest(|window| window.p99),
            rate: worst(&self.before, |window| Some(window.rate)).unwrap_or(0.0),
            swung: worst_sum(&self.before, minute(config)).unwrap_or(0.0),
            ..failing
        };
        let swung = sum(&self.after, minute(config)).unwrap_or(0.0);
        PoolLook {
            pool: Arc::clone(pool),
            windows_before: self.before.len(),
            before,
            windows_after: self.after.len(),
            after: self.after.last().map(|newest| Window { swung, ..*newest }),
            left_out: self.left_out,
            why: self.because.as_ref().map(Explained::words),
        }
    }
}

/// Looks in a window. Source: ours; with the default window one a second, as often as weights are decided.
const LOOKS: u64 = 10;
/// What is compared of each pool by rank: errors, and latency at two quantiles.
const COMPARISONS: usize = 3;
/// How many times the requests of the fullest window before explain what clients get. Source: ours; at 80 % utilization a
/// quarter more is more than there is room for.
const FULLER: f64 = 1.25;
/// For how long over half of the requests fail, and how many, before that is enough by itself. Source: ours, three looks.
const OUTRIGHT_FOR: Span = Span::from_secs(3);
const OUTRIGHT_OF: u64 = 20;
/// The share of failures before a change under which a pool was well. Source: R-B1, twice as much.
const WELL: f64 = 0.1;
