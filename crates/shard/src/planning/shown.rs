//! What the planner shows.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use ambidex_core::shard::plan::{Decision, Fate, Mode, SliceNow, Subject, WorkerNow, explain};
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::time::Mono;
use ambidex_core::worker::WorkerId;

use super::words::{told, words};
use super::{Latest, Planning};
use crate::conducting::shown;
use crate::mover::Task;
use crate::plan::{DecisionText, KeyHeat, PlanStatus, ProposalText, RingSlice, SliceHeat, WorkerHeat};

impl Task {
    /// Shows what was seen and decided last.
    pub(crate) fn show_plan(&self) {
        let now = self.clock.now();
        let config = &self.parts.config;
        let mut status = PlanStatus {
            keyspace: config.keyspace.clone(),
            mode: word(config.planner.mode()),
            plans: self.lead.is_some(),
            ..PlanStatus::default()
        };
        if let Some(planning) = self.lead.as_ref().map(|lead| &lead.planning) {
            let name = |worker| self.name(worker);
            status.deeds = planning.deeds.iter().cloned().collect();
            status.proposals = planning.proposals.open().iter().map(|one| proposed(now, one, name)).collect();
            if let Some(latest) = &planning.latest {
                planning.tell(latest, name, &mut status);
            }
        }
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(status);
    }
}

impl Planning {
    fn tell(&self, latest: &Latest, name: impl Fn(WorkerId) -> String + Copy, status: &mut PlanStatus) {
        let sample = &latest.sample;
        let mut loads: BTreeMap<WorkerId, f64> = BTreeMap::new();
        for slice in &sample.slices {
            *loads.entry(slice.owner).or_default() += slice.load;
        }
        status.looked_ms = Some(latest.wall_ms);
        status.mean = latest.decisions.first().map_or(0.0, |decision| decision.mean);
        let worker = |worker: &WorkerNow| WorkerHeat {
            name: name(worker.worker),
            heard: worker.heard,
            healthy: worker.healthy,
            utilization: worker.utilization,
            load: loads.get(&worker.worker).copied().unwrap_or(0.0),
            waiting: worker.depth,
            wait_p95_millis: worker.wait_p95.as_secs_f64() * 1_000.0,
            fault: self.heard.get(&worker.worker).and_then(|heard| heard.fault.clone()),
        };
        status.workers = sample.workers.iter().map(worker).collect();
        status.slices_in_all = sample.slices.len();
        let mut hottest: Vec<&SliceNow> = sample.slices.iter().collect();
        hottest.sort_by(|one, other| other.load.total_cmp(&one.load));
        let slices = hottest.into_iter().take(MOST_SHOWN).enumerate();
        status.slices = slices.map(|(place, slice)| self.slice_text(latest, place, slice, name)).collect();
        status.keys = self.keys(latest, name);
        status.decisions = latest.decisions.iter().map(|one| decided(one, name)).collect();
        let owner = |id| sample.workers.iter().position(|worker| worker.worker == id);
        let ring = |slice: &SliceNow| RingSlice {
            slice: shown(slice.slice.0),
            from: part(slice.range.first()),
            to: part(slice.range.last()) + 1.0 / Range::ALL.points() as f64,
            owner: owner(slice.owner),
            load: slice.load,
            moving: sample.moves.iter().any(|going| going.slice == slice.slice),
        };
        status.ring = sample.slices.iter().map(ring).collect();
    }

    fn slice_text(
        &self,
        latest: &Latest,
        place: usize,
        slice: &SliceNow,
        name: impl Fn(WorkerId) -> String,
    ) -> SliceHeat {
        let heard = self.heard.get(&slice.owner).and_then(|heard| heard.text.as_ref());
        let heat = heard.and_then(|text| text.slices.iter().find(|heat| heat.id == slice.slice.0));
        // Each asks anew what is in the way of everything: not for all of thousands.
        let held = (place < MOST_EXPLAINED)
            .then(|| explain(&self.config, &self.memory, latest.at, &latest.sample, slice.slice))
            .flatten();
        SliceHeat {
            slice: shown(slice.slice.0),
            owner: name(slice.owner),
            load: slice.load,
            rate: heat.map_or(0.0, |heat| heat.rate),
            hottest: slice.hottest.map_or(0.0, |(_, share)| share),
            held: held.map(|reason| reason.code()),
        }
    }

    fn keys(&self, latest: &Latest, name: impl Fn(WorkerId) -> String) -> Vec<KeyHeat> {
        let mut keys = Vec::new();
        for worker in &latest.sample.workers {
            let Some((text, _)) = self.heard.get(&worker.worker).and_then(|heard| heard.now(latest.at)) else {
                continue;
            };
            let work: f64 = text.slices.iter().map(|slice| slice.work).sum::<f64>() + text.others;
            let work = work / f64::from(text.places.max(1));
            keys.extend(text.keys.iter().map(|key| KeyHeat {
                point: shown(key.point),
                key: key.key.clone(),
                owner: name(worker.worker),
                load: (key.share - key.error).max(0.0) * work,
            }));
        }
        keys.sort_by(|one, other| other.load.total_cmp(&one.load));
        keys.truncate(MOST_KEYS);
        keys
    }
}

fn proposed(now: Mono, one: &super::proposals::Proposal, name: impl Fn(WorkerId) -> String) -> ProposalText {
    ProposalText {
        proposal: shown(one.id),
        action: told(one.action, name),
        code: one.decision.reason.code(),
        why: words(one.decision.reason),
        load: one.decision.load,
        gain: one.decision.gain,
        millis: now.since(one.since).as_millis(),
        expires_millis: one.until.since(now).as_millis(),
    }
}

fn decided(one: &Decision, name: impl Fn(WorkerId) -> String + Copy) -> DecisionText {
    let subject = match one.subject {
        Subject::Keyspace => "keyspace".to_owned(),
        Subject::Worker(worker) => format!("worker {}", name(worker)),
        Subject::Slice(slice) => format!("slice {}", shown(slice.0)),
    };
    let fate = one.action.map(|(_, fate)| match fate {
        Fate::Shown => "shown",
        Fate::Asked => "asked",
        Fate::Done => "done",
    });
    DecisionText {
        subject,
        action: one.action.map(|(action, _)| told(action, name)),
        fate,
        code: one.reason.code(),
        why: words(one.reason),
        load: one.load,
        gain: one.gain,
        alerts: one.reason.alerts(),
    }
}

/// A mode in a word.
pub(crate) const fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe",
        Mode::Advise => "advise",
        Mode::Auto => "auto",
    }
}

/// Where a point lies, as a part of the space.
fn part(point: Point) -> f64 {
    point.0 as f64 / Range::ALL.points() as f64
}

/// Slices that are told with numbers. Source: ours.
const MOST_SHOWN: usize = 100;
/// Of these, those that it is explained of why they are left alone. Source: ours.
const MOST_EXPLAINED: usize = 32;
/// Source: ours, what a person reads.
const MOST_KEYS: usize = 16;
