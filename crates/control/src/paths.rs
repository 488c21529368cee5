//! The paths of one pool, and the trial that goes on in it: a canary, a switch or an experiment.
//!
//! ```text
//! workers without a path  = the stable path            gets all requests that no trial takes
//! workers with a `path`   = that path                  gets nothing until a trial or a switch says so
//! ```
//! A trial that ended well leaves its mark: the path that requests go by, or the share that goes by the loop's weights. That
//! mark, and a trial that goes on, are kept in the store, so that a coordinator that starts anew goes on with them. What a
//! trial does is core's ([`ambidex_core::trial`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_core::share::Share;
use ambidex_core::time::Mono;
use ambidex_core::trial::{
    Course, Effect, Event, Figures, Group, Groups, Kind, Lack, Look, Memory, Order, Split, Stage, Sums, Told,
};
use ambidex_core::worker::Standing;
use ambidex_wire::subscription::{GroupCounts, SplitPicture};
use serde::{Deserialize, Serialize};

use crate::config::STABLE;
use crate::roster::Worker;

/// Which path a pool's requests go by, and its newest trial.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// The path that requests go by which no trial takes; empty: the stable one.
    serving: Arc<str>,
    /// The share of the requests that goes by the loop's weights since an experiment ended.
    learned: Option<Share>,
    trial: Option<Trial>,
    /// Of the trial that goes on, here or at the coordinator that is followed: its number, and what is counted.
    groups: Option<(u64, Arc<Groups>)>,
    /// What of it was told already to the coordinator that is followed.
    told: [Sums; 2],
}

/// The newest trial of a pool.
#[derive(Debug)]
struct Trial {
    id: u64,
    /// The path that is on trial; of an experiment: empty.
    candidate: Arc<str>,
    course: Course,
    basis: Basis,
}

/// What a trial is judged by.
#[derive(Debug)]
enum Basis {
    /// Not known yet; what the workers of both paths had counted when it began.
    Open(Option<Box<[Sums; 2]>>),
    /// Requests, which gateways count by groups.
    Requests,
    /// What the workers of both paths count, and had counted when it began.
    Workers(Box<[Sums; 2]>),
}

/// What is kept of it all.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    serving: Arc<str>,
    learned: Option<Share>,
    trial: Option<KeptTrial>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptTrial {
    id: u64,
    candidate: Arc<str>,
    memory: Memory,
}

/// A trial as pages, programs and the journal are told of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrialStatus {
    /// Its number: when it was begun, by the wall clock, in milliseconds since 1970.
    pub id: u64,
    /// The pool's name.
    pub pool: Arc<str>,
    /// What is compared.
    pub kind: Kind,
    /// What goes the new way: the path's name, or `learned weights`.
    pub candidate: Arc<str>,
    /// Where it stands.
    pub stage: Stage,
    /// The step it is at, from 1.
    pub step: usize,
    /// All of its steps, as shares of the requests.
    pub steps: Vec<Share>,
    /// The candidate's share of the requests.
    pub share: Share,
    /// The control group's.
    pub control: Share,
    /// How long it has been there.
    pub lasted_ms: f64,
    /// Both groups in this step.
    pub figures: Figures,
    /// What is missing for the step to be passed.
    pub lacks: Vec<Lack>,
    /// The same in words; where nothing is missing, how it stands.
    pub why: String,
}

/// Why a trial does not begin, or an order changes nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum TrialError {
    /// An unknown name, or a pool that is decided about elsewhere.
    #[error(transparent)]
    Pool(#[from] crate::room::OrderError),
    /// One at a time.
    #[error("pool `{0}` has a {1} already: end it with `abort` or `promote --full` first")]
    Running(Arc<str>, &'static str),
    /// Nobody is on that path.
    #[error("no worker of pool `{0}` is on the path `{1}`; paths with workers: {2}")]
    NoPath(Arc<str>, Arc<str>, String),
    /// It has its requests already.
    #[error("requests of pool `{0}` go by the path `{1}` already")]
    Serving(Arc<str>, Arc<str>),
    /// Nobody of the path takes requests.
    #[error("no worker of pool `{0}` on the path `{1}` takes requests now")]
    Idle(Arc<str>, Arc<str>),
    /// The path cannot carry the step.
    #[error(
        "the path `{path}` would be {:.0} % full with {share} of the requests, and at most {:.0} % is begun with: add workers, \
         or write smaller `steps`",
        .full * 100.0,
        MOST_FULL * 100.0
    )]
    Full {
        /// Which.
        path: Arc<str>,
        /// How full.
        full: f64,
        /// With which share.
        share: Share,
    },
    /// Fixed weights have nothing to be compared with.
    #[error("pool `{0}` learns no weights (`policy: static`), so that there is nothing to try")]
    Static(Arc<str>),
    /// No trial.
    #[error("pool `{0}` has no {1}")]
    None(Arc<str>, &'static str),
    /// It cannot be done where the trial stands.
    #[error("the {kind} of pool `{pool}` is {stage}: it cannot be {order}")]
    Stage {
        /// Which pool.
        pool: Arc<str>,
        /// Which trial.
        kind: &'static str,
        /// Where it stands.
        stage: &'static str,
        /// What was ordered.
        order: &'static str,
    },
}

/// What an operator may order of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialOrder {
    /// It is not to go on by itself.
    Pause,
    /// It may.
    Resume,
    /// On to the next step, or to the end.
    Promote {
        /// To the end.
        full: bool,
    },
    /// Back to what was.
    Abort,
}

impl TrialOrder {
    fn event(self) -> Event {
        match self {
            Self::Pause => Event::Pause,
            Self::Resume => Event::Resume,
            Self::Promote { full } => Event::Promote { full },
            Self::Abort => Event::Abort,
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Promote { .. } => "promoted",
            Self::Abort => "aborted",
        }
    }
}

impl Paths {
    /// Goes on with what was kept; what cannot be read is no trial.
    pub(crate) fn resume(bytes: &[u8], now: Mono, seats: usize) -> Option<Self> {
        let Kept { serving, learned, trial } = serde_json::from_slice(bytes).ok()?;
        let trial = trial.map(|KeptTrial { id, candidate, memory }| {
            let course = Course::resume(memory, now);
            Trial { id, candidate, course, basis: Basis::Open(None) }
        });
        let groups = trial.as_ref().map(|trial| (trial.id, Arc::new(Groups::new(seats))));
        Some(Self { serving, learned, trial, groups, told: Default::default() })
    }

    /// What is to be kept.
    pub(crate) fn kept(&self, now: Mono) -> Vec<u8> {
        let trial = self.trial.as_ref().map(|trial| KeptTrial {
            id: trial.id,
            candidate: Arc::clone(&trial.candidate),
            memory: trial.course.memory(now),
        });
        let kept = Kept { serving: Arc::clone(&self.serving), learned: self.learned, trial };
        serde_json::to_vec(&kept).expect("plain data")
    }

    /// Begins a trial of `candidate`. Whoever calls has checked that it may.
    pub(crate) fn begin(&mut self, order: Order, candidate: &Arc<str>, now: Mono, id: u64, seats: usize) -> Vec<Told> {
        self.close();
        let (kind, mut effects) = (order.kind, Vec::new());
        let course = Course::begin(order, now, &mut effects);
        let candidate = if kind.is_of_path() { Arc::clone(candidate) } else { "".into() };
        self.groups = Some((id, Arc::new(Groups::new(seats))));
        self.told = Default::default();
        self.trial = Some(Trial { id, candidate, course, basis: Basis::Open(None) });
        told(effects)
    }

    /// A trial that has ended leaves its mark.
    fn close(&mut self) {
        let Some(trial) = self.trial.take() else { return };
        let well = matches!(trial.course.stage(), Stage::Settling | Stage::Done);
        match trial.course.order().kind {
            Kind::Canary | Kind::Switch if well => self.serving = trial.candidate,
            Kind::Canary | Kind::Switch => {}
            Kind::Experiment => self.learned = Some(if well { Share::ALL } else { Share::NONE }),
        }
    }

    /// The weights of the pool are configured anew: what an experiment found is of others.
    pub(crate) fn forget_experiment(&mut self) {
        let is_over = |trial: &Trial| !trial.course.is_on() && trial.course.order().kind == Kind::Experiment;
        if self.trial.as_ref().is_some_and(is_over) {
            self.trial = None;
        }
        self.learned = None;
    }

    /// When the trial wants to be looked at.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        self.trial.as_ref().and_then(|trial| trial.course.deadline())
    }

    /// The trial that goes on.
    pub(crate) fn running(&self) -> Option<Kind> {
        self.trial.as_ref().filter(|trial| trial.course.is_on()).map(|trial| trial.course.order().kind)
    }

    /// Looks at what was counted.
    pub(crate) fn look(&mut self, now: Mono, workers: &[Worker]) -> Vec<Told> {
        let (Some(trial), Some((_, groups))) = (&mut self.trial, &self.groups) else { return Vec::new() };
        let by_request = [groups.sums(Group::Candidate), groups.sums(Group::Control)];
        let look = trial.look(by_request, workers, &self.serving);
        let mut effects = Vec::new();
        trial.course.on(now, Event::Look(look), &mut effects);
        told(effects)
    }

    /// Obeys an order about the newest trial of this kind.
    pub(crate) fn obey(
        &mut self,
        pool: &Arc<str>,
        kind: Kind,
        now: Mono,
        order: TrialOrder,
    ) -> Result<Vec<Told>, TrialError> {
        let trial = self.trial.as_mut().filter(|trial| trial.course.order().kind == kind);
        let trial = trial.ok_or_else(|| TrialError::None(Arc::clone(pool), kind.name()))?;
        let mut effects = Vec::new();
        trial.course.on(now, order.event(), &mut effects);
        if effects.is_empty() {
            let stage = stage_word(trial.course.stage());
            return Err(TrialError::Stage { pool: Arc::clone(pool), kind: kind.name(), stage, order: order.done() });
        }
        Ok(told(effects))
    }

    /// What is told of the trial, in a sentence.
    pub(crate) fn sentence(&self, told: &Told) -> String {
        self.trial.as_ref().map_or_else(String::new, |trial| told.sentence(trial.course.order().kind, &trial.named()))
    }

    /// How the newest trial stands.
    pub(crate) fn status(&self, pool: &Arc<str>, now: Mono) -> Option<TrialStatus> {
        let trial = self.trial.as_ref()?;
        let (course, order) = (&trial.course, trial.course.order());
        let (share, control) = course.shares();
        let lacks = course.lacks().to_vec();
        let why = if course.is_on() && !lacks.is_empty() {
            lacks.iter().map(Lack::words).collect::<Vec<_>>().join("; ")
        } else {
            stage_word(course.stage()).to_owned()
        };
        Some(TrialStatus {
            id: trial.id,
            pool: Arc::clone(pool),
            kind: order.kind,
            candidate: trial.shown(),
            stage: course.stage(),
            step: course.step().0,
            steps: order.criteria.steps(order.kind),
            share,
            control,
            lasted_ms: crate::track::millis(course.lasted(now)),
            figures: course.figures(),
            lacks,
            why,
        })
    }

    /// The path that requests go by which no trial takes.
    pub(crate) fn serving(&self) -> Arc<str> {
        match &self.trial {
            Some(trial) if trial.course.stage() == Stage::Done && trial.course.order().kind.is_of_path() => {
                Arc::clone(&trial.candidate)
            }
            Some(_) | None => Arc::clone(&self.serving),
        }
    }

    /// That path, where there is another one to leave out and anybody on it takes requests.
    pub(crate) fn main(&self, workers: &[Worker]) -> Option<Arc<str>> {
        let serving = self.serving();
        let elsewhere = workers.iter().any(|worker| worker.found.path != serving);
        (elsewhere && takes_requests(workers, &serving)).then_some(serving)
    }

    /// The share of the requests that goes by the loop's weights, where an experiment says it.
    pub(crate) fn learned_share(&self) -> Option<Share> {
        match &self.trial {
            Some(trial) if trial.course.order().kind == Kind::Experiment => Some(trial.course.shares().0),
            Some(_) | None => self.learned,
        }
    }

    /// The split of the requests, while the trial goes on.
    pub(crate) fn split(&self, workers: &[Worker], weights: &[f64]) -> Option<Split> {
        let trial = self.trial.as_ref().filter(|trial| trial.course.is_on())?;
        let (_, groups) = self.groups.as_ref()?;
        let kind = trial.course.order().kind;
        let on_path =
            if kind.is_of_path() { only(workers, weights.to_vec(), Some(&trial.candidate)) } else { Vec::new() };
        Some(Split::new(kind, trial.id, trial.course.shares(), Arc::clone(groups), on_path))
    }

    /// The split that the coordinator which is followed says.
    pub(crate) fn followed(&mut self, picture: Option<SplitPicture>, tried: Vec<f64>, seats: usize) -> Option<Split> {
        let SplitPicture { kind, id, share, control } = picture?;
        let known = self.groups.as_ref().filter(|(known, _)| *known == id).map(|(_, groups)| Arc::clone(groups));
        let groups = known.unwrap_or_else(|| {
            self.told = Default::default();
            let groups = Arc::new(Groups::new(seats));
            self.groups = Some((id, Arc::clone(&groups)));
            groups
        });
        Some(Split::new(kind, id, (share, control), groups, tried))
    }

    /// What was counted since this was last asked, for the coordinator that is followed.
    pub(crate) fn count(&mut self) -> Vec<GroupCounts> {
        let Some((id, groups)) = &self.groups else { return Vec::new() };
        let mut counts = Vec::new();
        for group in [Group::Candidate, Group::Control] {
            let sums = groups.sums(group);
            let counted = sums.since(&self.told[group as usize]);
            if counted != Sums::default() {
                counts.push(GroupCounts::of(*id, group, &counted));
                self.told[group as usize] = sums;
            }
        }
        counts
    }

    /// Adds what a gateway counted; of another trial, or what nobody can count, is left out.
    pub(crate) fn absorb(&self, counts: &[GroupCounts]) {
        let Some((id, groups)) = &self.groups else { return };
        for (group, sums) in counts.iter().filter(|count| count.trial == *id).filter_map(GroupCounts::counted) {
            groups.absorb(group, &sums);
        }
    }
}

impl Trial {
    /// What was counted of both groups. Where other proxies carry the requests, nobody counts them by groups: then the
    /// workers of either path are compared, as far as those proxies say how they fare.
    fn look(&mut self, by_request: [Sums; 2], workers: &[Worker], serving: &str) -> Look {
        if let Basis::Open(before) = &mut self.basis
            && self.course.order().kind.is_of_path()
        {
            let by_worker = [&*self.candidate, serving].map(|path| on_path(workers, path));
            let before = before.get_or_insert_with(|| Box::new(by_worker.clone()));
            let sent: u64 = by_worker.iter().zip(before.iter()).map(|(now, then)| now.since(then).begun).sum();
            let (share, control) = self.course.shares();
            if by_request.iter().any(|sums| sums.begun > 0) {
                self.basis = Basis::Requests;
            } else if sent as f64 * (share.get() + control.get()) >= SURELY_COUNTED {
                self.basis = Basis::Workers(std::mem::take(before));
            }
        }
        match &self.basis {
            Basis::Workers(before) => {
                let since = |path: &str, before: &Sums| on_path(workers, path).since(before);
                let (candidate, control) = (since(&self.candidate, &before[0]), since(serving, &before[1]));
                Look { candidate, control, by_workers: true }
            }
            Basis::Requests | Basis::Open(_) => {
                let [candidate, control] = by_request;
                Look { candidate, control, by_workers: false }
            }
        }
    }

    /// What goes the new way, for tables.
    fn shown(&self) -> Arc<str> {
        match self.course.order().kind {
            Kind::Canary | Kind::Switch => named(&self.candidate),
            Kind::Experiment => "learned weights".into(),
        }
    }

    /// What goes the new way, for sentences.
    fn named(&self) -> String {
        match self.course.order().kind {
            Kind::Canary | Kind::Switch => format!("the path `{}`", named(&self.candidate)),
            Kind::Experiment => "learned weights".to_owned(),
        }
    }
}

/// Weights of the workers on a path only; all of them without one.
pub(crate) fn only(workers: &[Worker], weights: Vec<f64>, path: Option<&str>) -> Vec<f64> {
    let Some(path) = path else { return weights };
    let of = |(worker, weight): (&Worker, f64)| if *worker.found.path == *path { weight } else { 0.0 };
    workers.iter().zip(weights).map(of).collect()
}

/// What the workers of a path counted of their tries.
fn on_path(workers: &[Worker], path: &str) -> Sums {
    let mut sums = Sums::default();
    for worker in workers.iter().filter(|worker| *worker.found.path == *path) {
        sums.add_worker(&worker.cells.totals());
    }
    sums
}

/// Whether anybody on a path takes requests.
pub(crate) fn takes_requests(workers: &[Worker], path: &str) -> bool {
    workers.iter().any(|worker| *worker.found.path == *path && worker.standing() == Standing::Serving)
}

/// The paths of these workers with how many are on each, in words.
pub(crate) fn listed(workers: &[Worker]) -> String {
    let mut paths: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    workers.iter().for_each(|worker| *paths.entry(named(&worker.found.path)).or_default() += 1);
    paths.iter().map(|(path, count)| format!("{path} ({count})")).collect::<Vec<_>>().join(", ")
}

/// What a path is called.
pub(crate) fn named(path: &Arc<str>) -> Arc<str> {
    if path.is_empty() { STABLE.into() } else { Arc::clone(path) }
}

/// The path of this name.
pub(crate) fn path_of(name: &str) -> Arc<str> {
    if name == STABLE { "".into() } else { name.into() }
}

fn told(effects: Vec<Effect>) -> Vec<Told> {
    let told = |effect| match effect {
        Effect::Tell(told) => Some(told),
        Effect::Split => None,
    };
    effects.into_iter().filter_map(told).collect()
}

const fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Running => "running",
        Stage::Paused => "paused",
        Stage::Settling => "settling",
        Stage::Done => "done",
        Stage::Aborted => "aborted",
    }
}

/// Requests that would be in a group, if anybody counted groups: with so many none is no chance. Source: ours.
const SURELY_COUNTED: f64 = 50.0;
/// How full a path may be with its first step. Source: balancing.md "Weight `capacity`": at most 80 % of what is estimated.
pub(crate) const MOST_FULL: f64 = 0.8;

#[cfg(test)]
mod tests;
