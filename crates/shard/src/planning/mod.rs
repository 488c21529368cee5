//! The planner's shell: asks workers once a second how hot their slices are, asks core what to do, and does it, proposes it, or only
//! shows it.
//!
//! ```text
//! agents --- heat, each second ---> Heard --+
//! picture, moves, calendar, store times ----+--> Sample --> core's decide --> decisions --> plan (API, page, command line)
//!                                 Memory <--+                                  |
//!                                    ^                                         | observe: nothing
//!                                    +--- began, ended                         | advise: proposals --- approved --+
//!                                                                              | auto -----------------------> orders
//! ```
//! It is a leader's, and begins anew with each leadership: windows fill within seconds, and what is forgotten besides (what rests,
//! what is frozen) is forgotten in favour of doing less for nobody: a slice that moved just before may move once more.
//!
//! | what fails | then |
//! |---|---|
//! | an agent does not answer, or its answer is lost | after five seconds it counts as not heard; under 95 % heard nothing is done: `metrics_missing` |
//! | an agent starts anew | one answer tells nothing of its utilization; the next one does |
//! | an agent of an earlier version | it knows no such question: not heard, and its refusal is shown beside the worker |
//! | a slice is cut, moved or gone between sample and deed | the deed is refused by the map, as an operator's order is |
//! | the last change is not seen in the store yet | nothing is planned until it is |
//! | a proposal is approved that is not right any more | it is refused with what has changed |

mod doing;
mod heard;
mod proposals;
mod record;
mod sampling;
mod shown;
mod stores;
mod words;

use std::collections::{BTreeMap, VecDeque};

use ambidex_core::shard::plan::{Decision, Fate, Memory, PlanConfig, Sample, decide};
use ambidex_core::shard::records::{Membership, SliceId};
use ambidex_core::shard::space::Range;
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::WorkerId;
use ambidex_wire::shard::heat::HeatText;

use crate::mover::{Event, Task};
use crate::plan::Deed;
use crate::turns::membership;
use crate::workers::AskError;

pub use record::PlanRecord;
pub(crate) use stores::{Timed, Times};
pub(crate) use words::words;

use heard::Heard;
use proposals::Proposals;
use record::Recorder;

/// What a leader plans with.
#[derive(Debug)]
pub(crate) struct Planning {
    pub(crate) config: PlanConfig,
    memory: Memory,
    /// Not before that.
    next: Mono,
    heard: BTreeMap<WorkerId, Heard>,
    /// Since when each slice has had its range.
    born: BTreeMap<SliceId, (Range, Mono)>,
    /// What moves have carried: bytes, and over how much of the space.
    carried: (f64, f64),
    proposals: Proposals,
    /// What was decided last, and by what.
    latest: Option<Latest>,
    deeds: VecDeque<Deed>,
    recorder: Recorder,
}

/// One second's plan.
#[derive(Clone, Debug)]
struct Latest {
    at: Mono,
    wall_ms: u64,
    sample: Sample,
    decisions: Vec<Decision>,
}

impl Planning {
    pub(crate) fn new(config: PlanConfig, now: Mono, term: u64) -> Self {
        Self {
            config,
            memory: Memory::default(),
            next: now,
            heard: BTreeMap::new(),
            born: BTreeMap::new(),
            carried: (0.0, 0.0),
            proposals: Proposals::new(term),
            latest: None,
            deeds: VecDeque::new(),
            recorder: Recorder::default(),
        }
    }

    /// What a slice holds, as far as moves so far have shown.
    fn bytes(&self, range: Range) -> u64 {
        let (bytes, points) = self.carried;
        let guess = if points > 0.0 { bytes / points * range.points() as f64 } else { 0.0 };
        // An estimate: its digits after the point are none.
        Span::from_secs_f64(guess / 1e9).as_nanos()
    }

    /// A move has ended.
    pub(crate) fn ended(&mut self, now: Mono, slice: SliceId, range: Option<Range>, bytes: u64, moved: bool) {
        self.memory.ended(now, slice, moved);
        if let Some(range) = range.filter(|_| moved) {
            self.carried.0 += bytes as f64;
            self.carried.1 += range.points() as f64;
        }
    }

    fn did(&mut self, deed: Deed) {
        self.deeds.push_front(deed);
        self.deeds.truncate(MOST_DEEDS);
    }
}

impl Task {
    /// Once a second: asks how hot it is, and plans by what was heard before.
    pub(crate) fn plan(&mut self) {
        let now = self.clock.now();
        let caught_up = self.picture.as_ref().zip(self.lead.as_ref());
        let caught_up = caught_up.is_some_and(|(picture, lead)| {
            picture.map().is_some() && picture.revision >= lead.heard && lead.works.is_empty() && lead.busy.is_none()
        });
        let Some(lead) = &mut self.lead else { return };
        if now < lead.planning.next {
            return;
        }
        lead.planning.next = now + EVERY;
        self.ask_heat(now);
        if caught_up {
            self.decide(now);
        }
        self.show_plan();
    }

    fn ask_heat(&mut self, now: Mono) {
        let (Some(lead), Some(picture)) = (&mut self.lead, &self.picture) else { return };
        let members = self.members.as_deref().unwrap_or_default();
        let asked: Vec<(WorkerId, _)> = picture
            .names()
            .filter(|(id, named)| {
                membership(picture, *id) != Membership::Left && members.iter().any(|member| member.name == named.name)
            })
            .map(|(id, named)| (id, named.clone()))
            .collect();
        lead.planning.heard.retain(|id, _| asked.iter().any(|(asked, _)| asked == id));
        for (id, named) in asked {
            if !lead.planning.heard.entry(id).or_default().asks(now) {
                continue;
            }
            let (tell, life) = (self.tell.clone(), lead.since);
            let heat = self.parts.workers.heat(&named, &self.parts.config.keyspace);
            tokio::spawn(async move {
                let result = heat.await;
                drop(tell.send(Event::Heat { life, worker: id, result }).await);
            });
        }
    }

    /// A worker has said how hot it is.
    pub(crate) fn heated(&mut self, worker: WorkerId, result: Result<HeatText, AskError>) {
        let now = self.clock.now();
        let stray = result.as_ref().ok().and_then(|text| text.strays.first());
        if let Some(slice) = stray
            && let Some(why) = self.quarantine.stray(now, worker, slice)
        {
            let (keyspace, why) = (&self.parts.config.keyspace, why.to_owned());
            tracing::error!(%keyspace, worker = self.name(worker), why, "a worker breaks the contract: it gets no slices");
            self.show();
        }
        let Some(lead) = &mut self.lead else { return };
        if let Some(heard) = lead.planning.heard.get_mut(&worker) {
            heard.hear(now, result);
        }
    }

    fn decide(&mut self, now: Mono) {
        let Some(sample) = self.sample(now) else { return };
        let Some(lead) = &mut self.lead else { return };
        let planning = &mut lead.planning;
        let before = planning.memory.clone();
        let decisions = decide(&planning.config, &mut planning.memory, now, &sample);
        let keyspace = &self.parts.config.keyspace;
        if let Some(record) = planning.recorder.record(now, &planning.config, (keyspace, before), &sample, &decisions) {
            (self.parts.record)(record);
        }
        planning.latest =
            Some(Latest { at: now, wall_ms: crate::clock::wall_millis(), sample, decisions: decisions.clone() });
        let lasts = self.parts.config.planner.proposals_for();
        let mut wanted = Vec::new();
        for decision in &decisions {
            match decision.action {
                Some((action, Fate::Done)) => wanted.push((action, *decision)),
                Some((_, Fate::Asked)) => planning.proposals.propose(now, lasts, decision),
                Some((_, Fate::Shown)) | None => {}
            }
        }
        let lapsed = planning.proposals.tidy(now);
        lapsed.iter().for_each(|(proposal, lapse)| self.lapsed(proposal, *lapse));
        for (action, decision) in wanted {
            // What is refused stands among the deeds, and is decided anew.
            drop(self.act(&decision, action, "done"));
        }
    }
}

/// How often. Source: shards.md "Thresholds" counts in seconds.
const EVERY: Span = Span::from_secs(1);
/// Deeds that are shown. Source: ours, as moves that are over.
const MOST_DEEDS: usize = 64;
