//! What is another in a pool's picture than in the one before, so that a fleet of thousands is sent once and not at each
//! step of one worker.
//!
//! ```text
//! before   a b c d        gone: the place of b                       a c d
//! after    a c' e d       anew: c' at 1 (there is a c: it is         a c' d
//!                         another now), e at 2 (a d: e comes         a c' e d
//!                         before it)
//! ```
//! Weights are multiplied by `scale` first, where there is one; those of `places` and of `anew` are what they say. A weight
//! that is off by less than a thousandth of itself is not told. So what a gateway has is the picture that it was told, and
//! not quite the newest one: what comes next is made of [`Picture::since`] that picture, and errors do not add up.
//!
//! Places of `anew` and of moved weights are those after the change, in ascending order. Names are what workers are told
//! apart by; those that stay keep their order, else the whole picture is sent.

use std::collections::HashMap;

use prost::Message;

use super::picture::{MOST_WEIGHT, Picture, PictureError, WorkerPicture};

/// What is another than at the revision before.
#[derive(Clone, PartialEq, Message)]
pub struct Changes {
    /// The pool's name.
    #[prost(string, tag = "1")]
    pub pool: String,
    /// The revision that these follow.
    #[prost(uint64, tag = "2")]
    pub from: u64,
    /// The revision with these.
    #[prost(uint64, tag = "3")]
    pub revision: u64,
    /// Places of workers of which only the learned weight moved.
    #[prost(uint32, repeated, tag = "4")]
    pub places: Vec<u32>,
    /// Their weights, in fair shares.
    #[prost(double, repeated, tag = "5")]
    pub learned: Vec<f64>,
    /// Places of those that are gone, in the list before.
    #[prost(uint32, repeated, tag = "6")]
    pub gone: Vec<u32>,
    /// Places of those that came, or of which more than the learned weight is another.
    #[prost(uint32, repeated, tag = "7")]
    pub anew: Vec<u32>,
    /// These workers.
    #[prost(message, repeated, tag = "8")]
    pub workers: Vec<WorkerPicture>,
    /// The policy, when it is another.
    #[prost(string, optional, tag = "9")]
    pub policy: Option<String>,
    /// What all learned weights are multiplied by first.
    #[prost(double, optional, tag = "10")]
    pub scale: Option<f64>,
}

/// Why changes cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ChangesError {
    /// They follow another picture.
    #[error("they follow revision {from}, and {here} is here")]
    Gap {
        /// Which they follow.
        from: u64,
        /// Which is here.
        here: u64,
    },
    /// They name places that are not there, or not in order.
    #[error("they name places that the picture does not have")]
    Places,
    /// A weight that is none.
    #[error("they bring the weight {0}")]
    Weight(f64),
    /// The picture that they make.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

impl Changes {
    /// Whether the same workers are there as before, and nothing but learned weights moved.
    #[must_use]
    pub fn are_of_weights_alone(&self) -> bool {
        self.gone.is_empty() && self.anew.is_empty() && self.workers.is_empty() && self.policy.is_none()
    }
}

impl Picture {
    /// What makes this picture of an `old` one; `None` when those that stay stand in another order, or a name stands
    /// twice.
    #[must_use]
    pub fn since(&self, old: &Self) -> Option<Changes> {
        let mut changes = Changes {
            pool: self.pool.clone(),
            from: old.revision,
            revision: self.revision,
            policy: (self.policy != old.policy).then(|| self.policy.clone()),
            ..Changes::default()
        };
        let before = places(&old.workers)?;
        let now = places(&self.workers)?;
        let scale = scale(old, self, &before);
        changes.scale = scale;
        let gone = old.workers.iter().enumerate().filter(|(_, worker)| !now.contains_key(worker.name.as_str()));
        changes.gone = gone.map(|(at, _)| number(at)).collect::<Option<_>>()?;
        let mut last = None;
        for (at, worker) in self.workers.iter().enumerate() {
            let known = before.get(worker.name.as_str()).copied();
            if known.is_some() {
                if known < last {
                    return None;
                }
                last = known;
            }
            match known.map(|place| &old.workers[place]) {
                Some(old) if same(old, worker) => {
                    if is_off(old.learned * scale.unwrap_or(1.0), worker.learned) {
                        changes.places.push(number(at)?);
                        changes.learned.push(worker.learned);
                    }
                }
                Some(_) | None => {
                    changes.anew.push(number(at)?);
                    changes.workers.push(worker.clone());
                }
            }
        }
        Some(changes)
    }

    /// Takes changes over: all of them, or none.
    ///
    /// # Errors
    /// Why they cannot be made of this picture.
    pub fn take(&mut self, changes: &Changes) -> Result<(), ChangesError> {
        if changes.from != self.revision {
            return Err(ChangesError::Gap { from: changes.from, here: self.revision });
        }
        if changes.places.len() != changes.learned.len() || changes.anew.len() != changes.workers.len() {
            return Err(ChangesError::Places);
        }
        if let Some(bad) = changes.scale.filter(|scale| !SCALES.contains(scale)) {
            return Err(ChangesError::Weight(bad));
        }
        if let Some(bad) = changes.learned.iter().find(|weight| !(0.0..=MOST_WEIGHT).contains(*weight)) {
            return Err(ChangesError::Weight(*bad));
        }
        if changes.are_of_weights_alone() {
            weigh(&mut self.workers, &[], changes)?;
        } else {
            let mut workers = rebuilt(&self.workers, changes)?;
            weigh(&mut workers, &changes.anew, changes)?;
            let policy = changes.policy.as_ref().unwrap_or(&self.policy).clone();
            let made = Self { workers, policy, pool: self.pool.clone(), ..*self };
            made.check()?;
            *self = made;
        }
        self.revision = changes.revision;
        Ok(())
    }
}

/// The workers without those that are gone, and with those that are anew.
fn rebuilt(old: &[WorkerPicture], changes: &Changes) -> Result<Vec<WorkerPicture>, ChangesError> {
    let mut gone = changes.gone.iter().map(|at| *at as usize).peekable();
    let mut stay = old.iter().enumerate().filter(|(at, _)| gone.next_if_eq(at).is_none()).map(|(_, worker)| worker);
    let mut next = stay.next();
    let mut workers = Vec::with_capacity(old.len() + changes.anew.len());
    for (at, worker) in changes.anew.iter().zip(&changes.workers) {
        while workers.len() < *at as usize {
            workers.push(next.ok_or(ChangesError::Places)?.clone());
            next = stay.next();
        }
        if workers.len() > *at as usize {
            return Err(ChangesError::Places);
        }
        if next.is_some_and(|known| known.name == worker.name) {
            next = stay.next();
        }
        workers.push(worker.clone());
    }
    workers.extend(next.into_iter().chain(stay).cloned());
    if gone.peek().is_some() { Err(ChangesError::Places) } else { Ok(workers) }
}

/// Scales the weights of all but those that are anew, and sets those that are told.
fn weigh(workers: &mut [WorkerPicture], anew: &[u32], changes: &Changes) -> Result<(), ChangesError> {
    if changes.places.iter().any(|at| *at as usize >= workers.len()) {
        return Err(ChangesError::Places);
    }
    if let Some(scale) = changes.scale {
        let mut anew = anew.iter().map(|at| *at as usize).peekable();
        for (at, worker) in workers.iter_mut().enumerate() {
            if anew.next_if_eq(&at).is_none() {
                worker.learned = (worker.learned * scale).min(MOST_WEIGHT);
            }
        }
    }
    for (at, learned) in changes.places.iter().zip(&changes.learned) {
        workers[*at as usize].learned = *learned;
    }
    Ok(())
}

/// Places by name; `None` when a name stands twice.
fn places(workers: &[WorkerPicture]) -> Option<HashMap<&str, usize>> {
    let places: HashMap<&str, usize> =
        workers.iter().enumerate().map(|(at, worker)| (worker.name.as_str(), at)).collect();
    (places.len() == workers.len()).then_some(places)
}

/// By how much most weights grew or shrank, if they did: the middle one of their ratios.
fn scale(old: &Picture, new: &Picture, before: &HashMap<&str, usize>) -> Option<f64> {
    let ratio = |worker: &WorkerPicture| {
        let was = old.workers[*before.get(worker.name.as_str())?].learned;
        (was > 0.0 && worker.learned > 0.0).then(|| worker.learned / was)
    };
    let mut ratios: Vec<f64> = new.workers.iter().filter_map(ratio).collect();
    let middle = ratios.len().checked_sub(1)? / 2;
    let (_, scale, _) = ratios.select_nth_unstable_by(middle, f64::total_cmp);
    let scale = *scale;
    ((scale - 1.0).abs() > f64::EPSILON && SCALES.contains(&scale)).then_some(scale)
}

/// Whether a weight has to be told.
fn is_off(told: f64, is: f64) -> bool {
    (told - is).abs() > UNTOLD * told.max(is)
}

/// Whether all but the learned weight is the same.
fn same(old: &WorkerPicture, new: &WorkerPicture) -> bool {
    let WorkerPicture { name, url, address, zone, standing, fixed, learned: _, tried, points } = old;
    (name, url, address, zone, standing) == (&new.name, &new.url, &new.address, &new.zone, &new.standing)
        && *points == new.points
        && [fixed, tried].map(|weight| weight.to_bits()) == [new.fixed, new.tried].map(f64::to_bits)
}

/// The part of a weight that it may be off. Source: ours; a thirtieth of the deadband by which weights move at all.
const UNTOLD: f64 = 0.001;
/// Scales that weights can have between two ticks. Source: ours; beyond it they are told one by one.
const SCALES: std::ops::RangeInclusive<f64> = 0.01..=100.0;

fn number(place: usize) -> Option<u32> {
    u32::try_from(place).ok()
}
