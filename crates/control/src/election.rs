//! The shell of core's election: asks the store, does what the machine says, and writes down what the next leader must know.
//!
//! ```text
//! machine (core::election) --Ask, Renew, Release--> ballot (store) --Won, Held, Renewed, Lost, Away--> machine
//!         |                                                     ^
//!         +--Lead, StepDown--> room, leadership                 +-- what the next leader must know, with each picture
//! ```
//! One question at a time, in their order; the clock goes on while one is asked, so that a lease ends when it is over and not
//! when an answer comes. It runs on the coordinator's own thread on purpose: a coordinator whose loop stands still does not
//! renew its lease, and another one takes over.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::election::{Effect, Election, Event, Why};
use ambidex_core::time::{Mono, Span};
use ambidex_store::ballot::{self, Asked, BallotError, Candidate, Leader, Stored};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::ElectionConfig;
use crate::coordinator::Shared;
use crate::leadership::{Leadership, Leading};
use crate::room::Room;

use self::question::{Answer, Job, Place, Prepared, open};

mod lease;
mod question;

/// What this process asks for when it stands for election.
pub(crate) struct Chair {
    config: ElectionConfig,
    /// Where this coordinator is found.
    gateways: Option<String>,
    admin: Option<String>,
    /// Terms that somebody has heard of.
    heard: mpsc::Receiver<u64>,
}

/// Whether this process decides, and what it stands for if that is to be found out.
pub(crate) fn chair(room: &mut Room, clock: Clock, config: Option<ElectionConfig>) -> (Leadership, Option<Chair>) {
    let Some(config) = config else { return (Leadership::alone(clock), None) };
    room.stand(clock.now(), config.name(), config.place().word());
    let (tell, heard) = mpsc::channel(TERMS);
    let (gateways, admin) = (config.gateways().map(str::to_owned), config.admin().map(str::to_owned));
    (Leadership::elected(clock, tell), Some(Chair { config, gateways, admin, heard }))
}

impl Chair {
    /// Where this coordinator listens: there it is found, unless the configuration says where else.
    pub(crate) fn found_at(mut self, gateways: Option<String>, admin: Option<String>) -> Self {
        self.gateways = self.gateways.or(gateways);
        self.admin = self.admin.or(admin);
        self
    }

    /// Stands for election from now on. Within the runtime only.
    pub(crate) fn take(self, shared: &Arc<Shared>) -> Standing {
        let resign = Arc::new(Notify::new());
        let task = tokio::spawn(stand(self, Arc::clone(shared), Arc::clone(&resign)));
        Standing { task, resign }
    }
}

/// A process that stands for election.
pub(crate) struct Standing {
    task: JoinHandle<()>,
    resign: Arc<Notify>,
}

impl Standing {
    /// Gives back what it has.
    pub(crate) async fn resign(self) {
        self.resign.notify_one();
        // What cannot be given back in time ends by itself.
        drop(tokio::time::timeout(RESIGNS_WITHIN, self.task).await);
    }
}

/// Until it is told to resign.
async fn stand(chair: Chair, shared: Arc<Shared>, resign: Arc<Notify>) {
    let Chair { config, gateways, admin, heard } = chair;
    let mut place = open(&shared, &config).await;
    workers_are_known(&shared, &resign).await;
    let now = shared.clock.now();
    let mut candidacy = Candidacy {
        who: Candidate { name: config.name().to_owned(), gateways, admin },
        lease: config.lease(),
        machine: Election::new(now, config.lease(), 0).counting_to(place.most_term()),
        most_state: place.most_state(),
        jobs: VecDeque::new(),
        found: None,
        read: 0,
        written: None,
        pause: WRITES_PAUSE,
        last: None,
        trouble: None,
        held: now,
        held_by_namesake: None,
        heard,
        resign,
        over: false,
        shared,
    };
    candidacy.run(&mut place).await;
}

/// Who does not know its workers yet would give away weights that the leader before has learned of them; so it waits for
/// them, for a while.
async fn workers_are_known(shared: &Arc<Shared>, resign: &Notify) {
    let mut pictures = shared.room().pictures();
    let known = async {
        loop {
            if shared.room().ready().ready {
                return;
            }
            pictures.borrow_and_update();
            if pictures.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = known => {}
        () = resign.notified() => resign.notify_one(),
        () = tokio::time::sleep(WORKERS_WITHIN) => {}
    }
}

struct Candidacy {
    shared: Arc<Shared>,
    who: Candidate,
    lease: Span,
    machine: Election,
    /// The most that the store takes of a state.
    most_state: usize,
    /// What the store is to be asked, in this order.
    jobs: VecDeque<Job>,
    /// What the leader before wrote down, until it is used.
    found: Option<Stored>,
    /// The version of the state that this process goes along with.
    read: u64,
    /// The stamp of what was written down last, and when.
    written: Option<(u64, Mono)>,
    /// How long after that the next one may be.
    pause: Span,
    /// What is written down last of all.
    last: Option<Prepared>,
    /// What is wrong though the store answers.
    trouble: Option<String>,
    /// Until when another one is known to lead.
    held: Mono,
    /// Since when somebody of our name leads.
    held_by_namesake: Option<Mono>,
    heard: mpsc::Receiver<u64>,
    resign: Arc<Notify>,
    over: bool,
}

impl Candidacy {
    async fn run(&mut self, place: &mut Place) {
        let mut pictures = self.shared.room().pictures();
        loop {
            if let Some(job) = self.jobs.pop_front() {
                let Some(prepared) = self.prepare(job) else { continue };
                let who = self.who.clone();
                let mut asked = pin!(place.ask(&who, self.lease, prepared));
                let answer = loop {
                    tokio::select! {
                        biased;
                        answer = &mut asked => break answer,
                        () = self.something_happens() => {}
                    }
                };
                self.heed(answer);
                continue;
            }
            if self.over {
                return;
            }
            if self.has_news() {
                self.jobs.push_back(Job::Write);
                continue;
            }
            let (writes_at, shared) = (self.writes_again(), Arc::clone(&self.shared));
            tokio::select! {
                () = self.something_happens() => {}
                changed = pictures.changed(), if writes_at.is_none() => {
                    if changed.is_err() {
                        return;
                    }
                    pictures.borrow_and_update();
                }
                () = sleep_until(&shared, writes_at), if writes_at.is_some() => {}
            }
        }
    }

    /// Waits for the clock, for a term that somebody has heard of, or for the end, and has the machine heed it.
    async fn something_happens(&mut self) {
        let deadline = self.machine.deadline();
        let event = tokio::select! {
            () = sleep_until(&self.shared, deadline), if deadline.is_some() => Event::Due,
            Some(term) = self.heard.recv() => Event::HeardOf { term },
            () = self.resign.notified(), if !self.over => {
                self.over = true;
                if self.machine.may_publish(self.shared.clock.now()).is_some() {
                    // The newest state, before the lease is given back.
                    self.last = self.state();
                    self.jobs.push_back(Job::Write);
                }
                Event::Resign
            }
        };
        self.tell(event);
    }

    fn tell(&mut self, event: Event) {
        let now = self.shared.clock.now();
        let mut effects = Vec::new();
        self.machine.on(now, event, &mut effects);
        for effect in effects {
            match effect {
                Effect::Ask { over } => self.jobs.push_back(Job::Ask { over }),
                Effect::Renew => self.jobs.push_back(Job::Renew),
                Effect::Release => self.jobs.push_back(Job::Release),
                Effect::Lead { term } => self.lead(now, term),
                Effect::StepDown(why) => self.step_down(now, why),
            }
        }
    }

    fn lead(&mut self, now: Mono, term: u64) {
        let Some(until) = self.machine.until() else { return };
        let found = self.found.take();
        {
            let mut room = self.shared.room();
            room.lead(now, term, found.as_ref().map(|found| &*found.bytes));
        }
        (self.written, self.held_by_namesake, self.trouble) = (None, None, None);
        self.is_well();
        self.shared.leadership.lead(term, until);
        self.shared.changed.notify_one();
    }

    fn step_down(&mut self, now: Mono, why: Why) {
        self.shared.leadership.stand_by(self.machine.latest(), None);
        // Nobody has written anything since that is not known here.
        self.read = 0;
        self.jobs.retain(|job| !matches!(job, Job::Renew) && (self.over || *job != Job::Write));
        self.shared.room().step_down(now, why.words());
        self.shared.changed.notify_one();
    }

    /// What the store is asked; `None`: there is nothing to ask any more.
    fn prepare(&mut self, job: Job) -> Option<Prepared> {
        match job {
            Job::Ask { over } => Some(Prepared::Ask { over, nonce: nonce() }),
            Job::Renew => Some(Prepared::Renew),
            Job::Release => Some(Prepared::Release),
            Job::Read => Some(Prepared::Read),
            Job::Write => self.last.take().or_else(|| self.state()),
        }
    }

    /// What the next leader must know, while we lead.
    fn state(&mut self) -> Option<Prepared> {
        let now = self.shared.clock.now();
        let (handed, stamp) = {
            let mut room = self.shared.room();
            (room.hand_over(now)?, room.stamp())
        };
        self.written = Some((stamp, now));
        match handed.bytes(self.most_state) {
            Ok(state) => {
                self.trouble = None;
                self.pause = WRITES_PAUSE.max(Span::from_secs_f64(state.len() as f64 / WRITES_A_SECOND));
                Some(Prepared::Write(state))
            }
            Err(why) => {
                self.trouble = Some(why);
                self.is_well();
                None
            }
        }
    }

    fn heed(&mut self, answer: Answer) {
        match answer {
            Answer::Asked(Ok(Asked::Won { term, state })) => {
                self.found = state;
                self.tell(Event::Won { term });
                self.prolong();
                self.found = None;
            }
            Answer::Asked(Ok(Asked::Held { leader, state, lasts })) => self.is_held(leader, state, lasts),
            Answer::Renewed(Ok(ballot::Standing::Still)) => {
                self.tell(Event::Renewed);
                self.prolong();
                self.is_well();
            }
            Answer::Renewed(Ok(ballot::Standing::Lost)) | Answer::Written(Ok(ballot::Standing::Lost)) => {
                self.tell(Event::Lost)
            }
            Answer::Asked(Err(why)) | Answer::Renewed(Err(why)) => {
                self.is_away(&why);
                self.tell(Event::Away);
                self.nobody_known();
            }
            Answer::Read(Ok(Some(stored))) => {
                let now = self.shared.clock.now();
                let taken = self.shared.room().go_along(now, &stored.bytes);
                self.trouble = taken.err().map(|why| format!("what the leader wrote down cannot be read here: {why}"));
                self.is_well();
                self.read = stored.version;
            }
            Answer::Written(Err(why)) => {
                // Once more, with what is new by then.
                self.written = Some((NOTHING, self.shared.clock.now()));
                self.pause = AFTER_A_FAILURE;
                self.is_away(&why);
            }
            Answer::Read(Err(why)) | Answer::Released(Err(why)) => self.is_away(&why),
            Answer::Released(Ok(())) | Answer::Read(Ok(None)) | Answer::Written(Ok(ballot::Standing::Still)) => {}
        }
    }

    /// Somebody else leads.
    fn is_held(&mut self, leader: Option<Leader>, state: u64, lasts: Option<Span>) {
        let now = self.shared.clock.now();
        self.tell(Event::Held { term: leader.as_ref().map_or(0, |leader| leader.term), lasts });
        let Some(Leader { who, term }) = leader else { return };
        self.held = now + self.lease;
        let since = *self.held_by_namesake.get_or_insert(now);
        let namesake = who.name == self.who.name;
        if !namesake {
            self.held_by_namesake = None;
        }
        let leading = Leading { name: who.name, gateways: who.gateways, admin: who.admin };
        self.shared.leadership.stand_by(term, Some(leading.clone()));
        self.shared.room().led_by(now, term, Some(leading));
        // What an earlier process of ours left ends with its lease.
        if namesake && now.since(since) > self.lease.times(2) {
            let why = format!("another coordinator is called `{}`, too: give each a name of its own", self.who.name);
            self.shared.room().election_fault(Some(why));
        } else {
            self.is_well();
        }
        if state != self.read && state != 0 {
            self.jobs.push_back(Job::Read);
        }
    }

    /// While the store does not answer, whoever led leads for as long as its lease may last.
    fn nobody_known(&self) {
        let now = self.shared.clock.now();
        if self.machine.may_publish(now).is_none() && self.held <= now {
            let latest = self.machine.latest();
            self.shared.leadership.stand_by(latest, None);
            self.shared.room().led_by(now, latest, None);
        }
    }

    fn is_away(&self, why: &BallotError) {
        self.shared.room().election_fault(Some(why.to_string()));
    }

    /// The store answers.
    fn is_well(&self) {
        self.shared.room().election_fault(self.trouble.clone());
    }

    /// The lease may be longer than it was.
    fn prolong(&self) {
        if let Some(until) = self.machine.until() {
            self.shared.leadership.prolong(until);
        }
    }

    /// Whether there is something to write down, and it is time.
    fn has_news(&self) -> bool {
        let now = self.shared.clock.now();
        if self.machine.may_publish(now).is_none() {
            return false;
        }
        match self.written {
            None => true,
            Some((stamp, at)) => {
                let passed = now.since(at);
                passed >= LEARNED_EVERY || (passed >= self.pause && stamp != self.shared.room().stamp())
            }
        }
    }

    /// When to look again whether there is something to write down, where that is not when the picture changes.
    fn writes_again(&self) -> Option<Mono> {
        let (stamp, at) = self.written?;
        let leads = self.machine.may_publish(self.shared.clock.now()).is_some();
        (leads && stamp != self.shared.room().stamp()).then(|| at + self.pause)
    }
}

async fn sleep_until(shared: &Shared, at: Option<Mono>) {
    match at {
        Some(at) => tokio::time::sleep_until(shared.clock.instant(at).into()).await,
        None => std::future::pending().await,
    }
}

/// Another one for each lease.
fn nonce() -> u128 {
    let mut bytes = [0; 16];
    // Without it two leases of one process in one nanosecond would look alike: they are given back in their order anyhow.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    u128::from_le_bytes(bytes)
}

/// Terms that wait to be heard of. Source: ours; who has heard of one says so again.
const TERMS: usize = 16;
/// How long it may take to resign: longer than a store may take for its last two answers. Then the lease ends by itself.
const RESIGNS_WITHIN: Duration = Duration::from_secs(3);
/// How long a candidate waits for its first workers. Source: ours, twice the time to live of names in a cluster.
const WORKERS_WITHIN: Duration = Duration::from_secs(10);
/// Between two states that are written down. Source: ours; the shortest tick that makes sense over a network.
const WRITES_PAUSE: Span = Span::from_millis(100);
/// Bytes of states that are written down in a second, at most. Source: an etcd keeps each version for a while, Kubernetes' own for
/// five minutes: 80 MB of the 2 GB that it may have.
const WRITES_A_SECOND: f64 = 262_144.0;
/// Before a state is written that could not be. Source: ours, a store that refuses is not helped by being asked ten times a second.
const AFTER_A_FAILURE: Span = Span::from_secs(1);
/// The stamp of no state.
const NOTHING: u64 = u64::MAX;
/// How often a state is written down of which only what was learned is another. Source: ours; who takes over learns that
/// much again.
const LEARNED_EVERY: Span = Span::from_secs(5);
