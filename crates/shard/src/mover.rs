//! The task of one keyspace: what it waits for, and how it leads.
//!
//! ```text
//! standing by --may lead, key taken, all read--> leading --may not, or somebody else has the key--> standing by
//! ```
//! Moves and orders are in `turns.rs` and its parts, what is shown in `shown.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};

use ambidex_core::shard::conductor::{self, Conductor, Order as MoveOrder};
use ambidex_core::shard::messages::Reply;
use ambidex_core::shard::records::{Key, Leader, MoveId, Record};
use ambidex_core::shard::store::{Outcome, Revision};
use ambidex_core::shard::{Bugs, records::SliceId};
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::WorkerId;
use ambidex_store::shards::{Change, Metadata, MetadataError, Picture, Written};
use ambidex_wire::shard::heat::HeatText;
use ambidex_wire::shard::records::{Named, Path};
use ambidex_wire::shard::table::TableText;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::board::Board;
use crate::clock::Clock;
use crate::conducting::Conducted;
use crate::config::MoverConfig;
use crate::orders::{Done, Ordered, Refusal};
use crate::plan::PlanStatus;
use crate::planning::{PlanRecord, Planning, Timed, Times};
use crate::quarantine::Quarantine;
use crate::reshaping::Work;
use crate::status::{EndedStatus, Status};
use crate::told::{Counts, Told};
use crate::workers::{AskError, Workers};

/// What a mover is joined to.
pub struct Parts {
    /// What it goes by.
    pub config: MoverConfig,
    /// Where the map is.
    pub metadata: Arc<dyn Metadata>,
    /// Who carries its questions.
    pub workers: Arc<dyn Workers>,
    /// Who is in the pool at the moment; `None`: that is not known yet.
    pub members: Arc<dyn Fn() -> Option<Vec<Named>> + Send + Sync>,
    /// Which of them are not well, or taken out: they are given nothing by the planner.
    pub unwell: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Takes the planner's decisions down, with all that they rest on.
    pub record: Arc<dyn Fn(PlanRecord) + Send + Sync>,
    /// Whether its coordinator leads at the moment.
    pub may_lead: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Who is told what happens to slices.
    pub told: Arc<dyn Fn(Told) + Send + Sync>,
    /// A number that was drawn for this life of the process.
    pub who: u32,
    /// A number that was drawn for the map, should it be made in this life.
    pub map_id: u64,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A mover.
#[derive(Debug)]
pub struct Mover;

impl Mover {
    /// Starts it, within a runtime. It ends when the last board of it is dropped.
    #[must_use]
    pub fn start(mut parts: Parts) -> Board {
        let clock = Clock::start();
        let (timed, stores) = Timed::new(Arc::clone(&parts.metadata), clock);
        parts.metadata = timed;
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (tell, events) = mpsc::channel(EVENTS);
        let (table, tables) = watch::channel(None);
        let status = Status { keyspace: parts.config.keyspace.clone(), ..Status::default() };
        let status = Arc::new(Mutex::new(Arc::new(status)));
        let plan = PlanStatus { keyspace: parts.config.keyspace.clone(), ..PlanStatus::default() };
        let plan = Arc::new(Mutex::new(Arc::new(plan)));
        let board = Board {
            keyspace: parts.config.keyspace.as_str().into(),
            hash: parts.config.hash,
            metadata: Arc::clone(&parts.metadata),
            table: tables,
            status: Arc::clone(&status),
            plan: Arc::clone(&plan),
            orders,
        };
        let follower = tokio::spawn(follow(Arc::clone(&parts.metadata), tell.clone()));
        let task = Task {
            parts,
            clock,
            follower,
            behind: None,
            tell,
            picture: None,
            lead: None,
            taking: false,
            members: None,
            ended: VecDeque::new(),
            quarantine: Quarantine::default(),
            counts: Counts::default(),
            fault: None,
            table,
            status,
            plan,
            stores,
        };
        tokio::spawn(task.run(ordered, events));
        board
    }
}

/// What happened elsewhere.
pub(crate) enum Event {
    /// All that stands in the store.
    Pictured(Picture),
    /// What was written since.
    Written(Written),
    /// The store cannot be followed at the moment.
    Unfollowed(MetadataError),
    /// The leader's key was asked for.
    Taken(Result<Taken, String>),
    /// The store answered a conductor.
    Stored { life: Revision, id: MoveId, event: conductor::Event },
    /// A worker answered.
    Answered { life: Revision, id: MoveId, way: u64, result: Result<Reply, AskError> },
    /// A worker has said how hot it is.
    Heat { life: Revision, worker: WorkerId, result: Result<HeatText, AskError> },
    /// A change that is no move's is over.
    Worked { life: Revision, result: Result<Outcome, MetadataError> },
}

/// The map is led.
pub(crate) struct Taken {
    since: Revision,
    term: u64,
    /// All that stood there afterwards.
    picture: Picture,
}

pub(crate) struct Task {
    pub(crate) parts: Parts,
    pub(crate) clock: Clock,
    follower: JoinHandle<()>,
    /// Since when the picture does not show what was done here.
    behind: Option<Mono>,
    pub(crate) tell: mpsc::Sender<Event>,
    pub(crate) picture: Option<Picture>,
    pub(crate) lead: Option<Lead>,
    taking: bool,
    pub(crate) members: Option<Vec<Named>>,
    pub(crate) ended: VecDeque<EndedStatus>,
    pub(crate) quarantine: Quarantine,
    pub(crate) counts: Counts,
    /// What is wrong with the store.
    pub(crate) fault: Option<String>,
    pub(crate) table: watch::Sender<Option<Arc<TableText>>>,
    pub(crate) status: Arc<Mutex<Arc<Status>>>,
    pub(crate) plan: Arc<Mutex<Arc<PlanStatus>>>,
    /// How long the store takes.
    pub(crate) stores: Arc<Times>,
}

/// What only a leader has.
pub(crate) struct Lead {
    pub(crate) since: Revision,
    pub(crate) term: u64,
    /// The latest of our own changes: a picture from before it is not enough to decide by.
    pub(crate) heard: Revision,
    pub(crate) moves: BTreeMap<MoveId, Conducted>,
    /// Moves that were begun in this term.
    pub(crate) given: u64,
    pub(crate) waiting: VecDeque<Wanted>,
    pub(crate) works: VecDeque<Queued>,
    /// A change that is no move's is on its way: for the first of `works`, or by itself.
    pub(crate) busy: Option<Busy>,
    /// Nothing by itself before that.
    pub(crate) quiet_until: Mono,
    /// Why the map is not made, or a drain does not go on.
    pub(crate) stuck: Option<Refusal>,
    pub(crate) planning: Planning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    Ordered,
    ByItself,
}

/// A move that waits.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) slice: SliceId,
    /// To whom; none: wherever there are fewest slices.
    pub(crate) to: Option<String>,
}

/// An order that is one change after the other.
pub(crate) struct Queued {
    pub(crate) work: Work,
    pub(crate) before: usize,
    pub(crate) refused: usize,
    pub(crate) tell: Option<oneshot::Sender<Result<Done, Refusal>>>,
}

impl Task {
    async fn run(mut self, mut orders: mpsc::Receiver<Ordered>, mut events: mpsc::Receiver<Event>) {
        let mut tick = tokio::time::interval(TICK.into());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let moves = self.lead.iter().flat_map(|lead| lead.moves.values());
            let deadline = moves.filter_map(|conducted| conducted.conductor.deadline()).min();
            tokio::select! {
                ordered = orders.recv() => match ordered {
                    Some(Ordered { order, tell }) => self.order(order, tell),
                    None => return self.follower.abort(),
                },
                Some(event) = events.recv() => self.heed(event),
                () = until(self.clock, deadline), if deadline.is_some() => self.due(),
                _ = tick.tick() => self.tick(),
            }
            self.go_on();
        }
    }

    fn heed(&mut self, event: Event) {
        let life = self.lead.as_ref().map(|lead| lead.since);
        match event {
            Event::Pictured(picture) => {
                self.fault = None;
                if self.picture.as_ref().is_none_or(|known| known.revision <= picture.revision) {
                    self.picture = Some(picture);
                    self.pictured();
                }
            }
            Event::Written(written) => {
                self.fault = None;
                if let Some(picture) = self.picture.as_mut().filter(|known| known.revision < written.revision) {
                    picture.take(&written);
                    self.pictured();
                }
            }
            Event::Unfollowed(why) => {
                self.fault = Some(why.to_string());
                self.show();
            }
            Event::Taken(taken) => self.taken(taken),
            Event::Stored { life: of, id, event } if life == Some(of) => {
                if let (conductor::Event::Transacted { outcome: Outcome::Done(revision), .. }, Some(lead)) =
                    (&event, &mut self.lead)
                {
                    lead.heard = lead.heard.max(*revision);
                }
                self.conduct(id, event);
            }
            Event::Answered { life: of, id, way, result } if life == Some(of) => self.answered(id, way, result),
            Event::Worked { life: of, result } if life == Some(of) => self.worked(result),
            Event::Heat { life: of, worker, result } if life == Some(of) => self.heated(worker, result),
            Event::Stored { .. } | Event::Answered { .. } | Event::Worked { .. } | Event::Heat { .. } => {}
        }
    }

    /// The picture is another one.
    fn pictured(&mut self) {
        let (Some(lead), Some(picture)) = (&self.lead, &self.picture) else { return self.show_table() };
        let leader = picture.leader().map_or(Revision::ABSENT, |(revision, _)| revision);
        if picture.revision >= lead.since && leader != lead.since {
            self.stand_by("another coordinator has taken the map over");
        }
        self.show_table();
    }

    fn tick(&mut self) {
        self.members = (self.parts.members)();
        let may = (self.parts.may_lead)();
        if !may && self.lead.is_some() {
            self.stand_by("this coordinator does not lead any more");
        }
        if may && self.lead.is_none() && !self.taking && self.picture.is_some() {
            self.taking = true;
            let (metadata, who, tell) = (Arc::clone(&self.parts.metadata), self.parts.who, self.tell.clone());
            tokio::spawn(async move {
                let taken = take(&*metadata, who).await;
                drop(tell.send(Event::Taken(taken)).await);
            });
        }
        self.catch_up();
        self.drain_on();
        self.plan();
        self.show();
    }

    /// A watch that is silent though something was done is opened anew: a change that wrote nothing has a revision that no watch tells.
    fn catch_up(&mut self) {
        let now = self.clock.now();
        let shows = self.picture.as_ref().map(|picture| picture.revision);
        if self.lead.as_ref().is_none_or(|lead| shows >= Some(lead.heard)) {
            self.behind = None;
        } else if now.since(*self.behind.get_or_insert(now)) >= BEHIND {
            self.behind = None;
            self.follower.abort();
            self.follower = tokio::spawn(follow(Arc::clone(&self.parts.metadata), self.tell.clone()));
        }
    }

    fn taken(&mut self, taken: Result<Taken, String>) {
        self.taking = false;
        let Taken { since, term, picture } = match taken {
            Ok(taken) => taken,
            Err(why) => {
                self.fault = Some(why);
                return self.show();
            }
        };
        let ours = picture.leader().is_some_and(|(revision, _)| revision == since);
        if !ours || !(self.parts.may_lead)() {
            return;
        }
        let moves: Vec<_> = picture.moves().collect();
        let keyspace = &self.parts.config.keyspace;
        tracing::info!(%keyspace, term, moves = moves.len(), "leads the map of slices");
        self.lead = Some(Lead {
            since,
            term,
            heard: since,
            moves: BTreeMap::new(),
            given: 0,
            waiting: VecDeque::new(),
            works: VecDeque::new(),
            busy: None,
            quiet_until: self.clock.now(),
            stuck: None,
            planning: Planning::new(self.parts.config.plan(), self.clock.now(), term),
        });
        self.picture = Some(picture);
        self.fault = None;
        for (id, ..) in moves {
            self.take_over(id);
        }
        self.show_table();
        self.show();
    }

    /// Goes on with a move that stands in the picture, and that nobody of ours conducts.
    pub(crate) fn take_over(&mut self, id: MoveId) {
        let now = self.clock.now();
        let (Some(lead), Some(picture)) = (&mut self.lead, &self.picture) else { return };
        let Some((revision, move_)) = picture.move_(id) else { return };
        let who = self.parts.who;
        let order = MoveOrder { id, slice: move_.slice, target: move_.target, who, leader: lead.since };
        let mut out = Vec::new();
        let slice = picture.slice(move_.slice);
        let config = self.parts.config.moves;
        let conductor = Conductor::taken_over(now, config, order, slice, (revision, move_), Bugs::default(), &mut out);
        lead.moves.insert(id, Conducted::new(conductor, now));
        self.perform(id, out);
    }

    /// Gives up what only a leader has.
    pub(crate) fn stand_by(&mut self, why: &'static str) {
        let Some(lead) = self.lead.take() else { return };
        let keyspace = &self.parts.config.keyspace;
        let (moves, waiting) = (lead.moves.len(), lead.waiting.len());
        tracing::info!(%keyspace, why, moves, waiting, "does not lead the map of slices any more");
        for queued in lead.works {
            if let Some(tell) = queued.tell {
                let _ = tell.send(Err(Refusal::NotLeading(keyspace.clone())));
            }
        }
        self.show_plan();
        self.show();
    }
}

/// Takes the leader's key, and reads all there is. The key is written anew even where it names us: changes of an earlier leadership of
/// ours that are still on their way must not hold any more.
async fn take(metadata: &dyn Metadata, who: u32) -> Result<Taken, String> {
    let path = Path::Record(Key::Leader);
    let known = metadata.read(vec![path]).await.map_err(|error| error.to_string())?;
    let term = known.leader().map_or(0, |(_, leader)| leader.term).saturating_add(1);
    let leader = Record::Leader(Leader { who, term });
    let change = Change::default().if_still(path, known.revision_of(path)).put_record(Key::Leader, leader);
    let since = match metadata.transact(change).await {
        Ok(Outcome::Done(revision)) => revision,
        Ok(Outcome::Refused | Outcome::Unknown) => return Err("another coordinator took the map meanwhile".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let picture = metadata.list().await.map_err(|error| error.to_string())?;
    Ok(Taken { since, term, picture })
}

/// Tells the picture, and each change of it, in the store's order.
async fn follow(metadata: Arc<dyn Metadata>, tell: mpsc::Sender<Event>) {
    loop {
        let ended = followed(&*metadata, &tell).await;
        let forgotten = ended == MetadataError::Forgotten;
        if !forgotten && tell.send(Event::Unfollowed(ended)).await.is_err() {
            return;
        }
        tokio::time::sleep(if forgotten { SHORT } else { PAUSE }.into()).await;
    }
}

/// Until it cannot.
async fn followed(metadata: &dyn Metadata, tell: &mpsc::Sender<Event>) -> MetadataError {
    let run = async {
        let picture = metadata.list().await?;
        let mut watch = metadata.watch(picture.revision).await?;
        let ending = || MetadataError::Away("the process is ending".to_owned());
        tell.send(Event::Pictured(picture)).await.map_err(|_| ending())?;
        loop {
            let written = watch.next().await?;
            tell.send(Event::Written(written)).await.map_err(|_| ending())?;
        }
    };
    let ended: Result<std::convert::Infallible, MetadataError> = run.await;
    match ended {
        Ok(never) => match never {},
        Err(why) => why,
    }
}

async fn until(clock: Clock, at: Option<Mono>) {
    match at {
        Some(at) => tokio::time::sleep_until(clock.instant(at)).await,
        None => std::future::pending().await,
    }
}

/// Orders that wait to be heard. Source: ours; a person gives one.
const ORDERS: usize = 256;
/// Answers that wait to be heard; who brings one more waits. Source: ours.
const EVENTS: usize = 1_024;
/// How often is looked whether it may lead, who is in the pool, and what is left to do. Source: ours.
const TICK: Span = Span::from_millis(250);
/// Before the store is followed again that could not be. Source: ours.
const PAUSE: Span = Span::from_millis(500);
/// How long the picture may not show what was done. Source: ours, longer than a store that is slow takes.
const BEHIND: Span = Span::from_secs(5);
/// Before it is listed anew because it has forgotten something. Source: ours.
const SHORT: Span = Span::from_millis(20);
