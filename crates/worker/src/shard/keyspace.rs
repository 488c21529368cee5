//! One keyspace of a worker: its slices' machines, what goes into them, and what comes out.
//!
//! Every machine is called under one lock, for microseconds; everything that takes time is a task of its own ([`work`](super::work)) and comes back
//! as an event. A slice is found by number; what a machine no longer waits for changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ambidex_core::shard::holder::{Access, Effect, Event, Hint, Holder, Kept, Op, Ticket, Verdict, recut, strays};
use ambidex_core::shard::keyspace::Hash;
use ambidex_core::shard::messages::{Caller, Message, Reply, Stand};
use ambidex_core::shard::plan::{Busy, Came};
use ambidex_core::shard::records::{Epoch, MoveId, Slice, SliceId};
use ambidex_core::shard::seen::OpId;
use ambidex_core::shard::slot;
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::time::{Mono, Span};
use ambidex_redis::envelope::Contents;
use ambidex_store::held::{Held, Records, Write};
use ambidex_wire::shard::headers::Tag;
use ambidex_wire::shard::heat::{HeatText, MOST_STRAYS};
use tokio::sync::{Notify, oneshot};

use super::application::Application;
use super::book::{Book, Found};
use super::heat::Heats;
use super::ledger::Ledger;
use super::metadata::{Metadata, Shown};
use super::work::{self, Job};
use crate::clock::Clock;

/// One keyspace of a worker.
#[derive(Debug)]
pub(super) struct Keyspace {
    pub(super) name: String,
    /// What the coordinators call this worker.
    me: String,
    /// How its keys are spread.
    pub(super) hash: Hash,
    clock: Clock,
    pub(super) application: Arc<dyn Application>,
    pub(super) metadata: Arc<dyn Metadata>,
    pub(super) disk: Held,
    pub(super) book: Book,
    inner: Mutex<Inner>,
    /// Deadlines are to be looked at again.
    wake: Notify,
    /// The store's slices are to be read again.
    stale: Notify,
    /// Ranges of the application's data change hands one at a time, each with its record.
    pub(super) surgery: tokio::sync::Mutex<()>,
    /// How hot its slices are.
    pub(super) heats: Heats,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    map: Option<String>,
    /// Why nothing is served: another map.
    trouble: Option<String>,
    /// When the application broke the contract last, and how.
    broken: Option<(Mono, String)>,
    pub(super) holders: BTreeMap<SliceId, Holder>,
    pub(super) ledgers: BTreeMap<SliceId, Ledger>,
    waiting: HashMap<(u32, u64), oneshot::Sender<Reply>>,
    tickets: u64,
    /// Numbered writes that ended, and are written down one by one.
    ended: Vec<(Point, OpId)>,
    asked: Option<Mono>,
    /// Slices that are this worker's by the store, and of which nothing is held: told once.
    missing: Vec<SliceId>,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It ran, with an answer of this digest.
    Answered(u64),
    /// It did nothing.
    NotRun,
    /// Nobody knows.
    Unknown,
}

/// How the worker stands with a slice, to be shown.
pub(super) struct Standing {
    pub(super) slice: SliceId,
    pub(super) range: Range,
    pub(super) stand: Stand,
    pub(super) in_flight: usize,
}

impl Keyspace {
    pub(super) fn new(
        name: &str,
        me: &str,
        hash: Hash,
        (application, metadata): (Arc<dyn Application>, Arc<dyn Metadata>),
        (disk, records): (Held, &Records),
        (clock, busy): (Clock, Arc<Mutex<Busy>>),
    ) -> Result<Arc<Self>, String> {
        let book = Book::of(name);
        let Found { map, holders, ops } = book.read(clock.now(), records)?;
        let inner = Mutex::new(Inner { map, holders, ended: ops, ..Inner::default() });
        let (wake, stale, surgery) = (Notify::new(), Notify::new(), tokio::sync::Mutex::default());
        let (name, me) = (name.to_owned(), me.to_owned());
        let heats = Heats::new(busy, clock);
        Ok(Arc::new(Self {
            name,
            me,
            hash,
            clock,
            application,
            metadata,
            disk,
            book,
            inner,
            wake,
            stale,
            surgery,
            heats,
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether a request is run; a write has the ticket for [`ended`](Self::ended). An error: nothing is, for this reason.
    pub(super) fn admit(&self, tag: &Tag, access: Access) -> Result<(Verdict, Ticket), String> {
        let point = self.hash.point(&tag.key);
        let op = Op { key: tag.key[..].into(), point, access, id: tag.op };
        let now = self.clock.now();
        let mut inner = self.lock();
        if let Some(trouble) = &inner.trouble {
            return Err(trouble.clone());
        }
        inner.tickets += 1;
        let ticket = Ticket(inner.tickets);
        let verdict = match inner.holders.get_mut(&tag.slice) {
            // A point elsewhere is asked for in an epoch that no slice has: so it hears what is known.
            Some(holder) if !holder.range().contains(point) => holder.admit(ticket, Epoch(0), &op),
            Some(holder) => holder.admit(ticket, tag.epoch, &op),
            None => Verdict::Misdirected(None),
        };
        if let Verdict::Misdirected(hint) = verdict
            && hint.is_none_or(|hint| hint.epoch < tag.epoch)
            && inner.asked.is_none_or(|asked| now.since(asked) >= ASK_EVERY)
        {
            inner.asked = Some(now);
            self.stale.notify_one();
        }
        Ok((verdict, ticket))
    }

    /// Says whether commands of one slot are run, whose keys all lie at one point; what they write has tickets for
    /// [`ended`](Self::ended), one for each key. An error: nothing is, for this reason.
    pub(super) fn admit_all(
        &self,
        (slice, epoch): (SliceId, Epoch),
        contents: &Contents,
    ) -> Result<Result<Vec<Ticket>, Option<Hint>>, String> {
        let (now, point) = (self.clock.now(), slot::point_of(contents.slot));
        let mut inner = self.lock();
        if let Some(trouble) = &inner.trouble {
            return Err(trouble.clone());
        }
        let mut next = inner.tickets;
        let holder = inner.holders.get_mut(&slice);
        let verdict = holder.map(|holder| {
            let inside = holder.range().contains(point);
            let look = Op { key: contents.key[..].into(), point, access: Access::Read, id: None };
            // Asked as a read first: then all are admitted, or none.
            match holder.admit(Ticket(next), if inside { epoch } else { Epoch(0) }, &look) {
                Verdict::Run => {
                    let tickets = contents.written.iter().map(|key| {
                        next += 1;
                        let op = Op { key: key[..].into(), point, access: Access::Write, id: None };
                        holder.admit(Ticket(next), epoch, &op);
                        Ticket(next)
                    });
                    Ok(tickets.collect())
                }
                Verdict::Misdirected(hint) => Err(hint),
                // Of numbered writes, and of reads that take old answers.
                Verdict::RunStale => Err(None),
                Verdict::Answered(_) | Verdict::Running | Verdict::Forgotten | Verdict::Crowded => Err(None),
            }
        });
        inner.tickets = next;
        let verdict = verdict.unwrap_or(Err(None));
        if let Err(hint) = &verdict
            && hint.is_none_or(|hint| hint.epoch < epoch)
            && inner.asked.is_none_or(|asked| now.since(asked) >= ASK_EVERY)
        {
            inner.asked = Some(now);
            self.stale.notify_one();
        }
        Ok(verdict)
    }

    /// Takes down that a numbered write is about to run; only then it may.
    pub(super) async fn begin(&self, point: Point, op: OpId) -> Result<(), String> {
        self.disk.durable(vec![self.book.op(point, op, None)]).await.map_err(|error| error.to_string())
    }

    /// A write that was admitted has ended.
    pub(super) fn ended(self: &Arc<Self>, ticket: Ticket, point: Point, op: Option<OpId>, end: End) {
        let now = self.clock.now();
        let mut inner = self.lock();
        let slice = inner.holders.iter().find(|(_, holder)| holder.runs(ticket)).map(|(slice, _)| *slice);
        let Some(slice) = slice else { return };
        let mut out = Vec::new();
        if let Some(holder) = inner.holders.get_mut(&slice) {
            let answer = match end {
                End::Answered(answer) => Some(answer),
                End::NotRun => None,
                End::Unknown => {
                    holder.doubt(now, ticket);
                    None
                }
            };
            holder.ran(now, ticket, answer, &mut out);
        }
        if let Some(op) = op {
            let write = match end {
                End::Answered(answer) => Some(self.book.op(point, op, Some(answer))),
                End::NotRun => Some(self.book.no_op(op)),
                End::Unknown => None,
            };
            // What a crash forgets of this is that it ended: then nobody knows, and it is not run again.
            let _ = self.disk.soon(write.into_iter().collect());
            if end != End::NotRun {
                inner.ended.push((point, op));
            }
        }
        self.act(&mut inner, slice, None, out);
        if inner.ended.len() >= MOST_ENDED {
            self.sum_up(&mut inner);
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// Asks a slice's machine for a coordinator.
    pub(super) fn told(
        self: &Arc<Self>,
        slice: SliceId,
        caller: Caller,
        move_: MoveId,
        message: Message,
    ) -> Result<oneshot::Receiver<Reply>, String> {
        let now = self.clock.now();
        let (answer, waits) = oneshot::channel();
        let mut inner = self.lock();
        if let Some(trouble) = &inner.trouble {
            return Err(trouble.clone());
        }
        inner.waiting.retain(|_, waits| !waits.is_closed());
        let unknown = !inner.holders.contains_key(&slice);
        if inner.waiting.len() >= MOST_WAITING || (unknown && inner.holders.len() >= MOST_SLICES) {
            return Err("too many questions wait, or too many slices are held".to_owned());
        }
        let offer = matches!(message, Message::Offer { .. });
        let barred = inner.broken.as_ref().is_some_and(|(at, _)| now.since(*at) < BARRED_FOR);
        if (offer && (barred || inner.map.is_none())) || (unknown && !offer && !matches!(message, Message::Look)) {
            let _ = answer.send(Reply::Lost);
            return Ok(waits);
        }
        inner.waiting.insert((caller.who, caller.ask), answer);
        inner.holders.entry(slice).or_insert_with(|| Holder::new(slice, Range::ALL));
        self.put(&mut inner, slice, Some(move_), Event::Told { caller, move_, message });
        drop(inner);
        self.wake.notify_one();
        Ok(waits)
    }

    /// Something that was asked for has come.
    pub(super) fn on(self: &Arc<Self>, slice: SliceId, event: Event) {
        self.put(&mut self.lock(), slice, None, event);
        self.wake.notify_one();
    }

    fn put(self: &Arc<Self>, inner: &mut Inner, slice: SliceId, move_: Option<MoveId>, event: Event) {
        let Some(holder) = inner.holders.get_mut(&slice) else { return };
        let (before, mut out) = (holder.stand(), Vec::new());
        holder.on(self.clock.now(), event, &mut out);
        let after = holder.stand();
        if before != after {
            tracing::info!(keyspace = self.name, slice = slice.0, "{before:?} -> {after:?}");
        }
        if after == Stand::Nothing && before != Stand::Nothing {
            inner.ledgers.remove(&slice);
        }
        self.act(inner, slice, move_, out);
    }

    fn act(self: &Arc<Self>, inner: &mut Inner, slice: SliceId, told: Option<MoveId>, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Reply { caller, reply, .. } = effect {
                if let Some(waits) = inner.waiting.remove(&(caller.who, caller.ask)) {
                    // Whoever went away asks again.
                    let _ = waits.send(reply);
                }
                continue;
            }
            let Some(holder) = inner.holders.get(&slice) else { return };
            let (stand, range) = (holder.stand(), holder.range());
            let move_ = match stand {
                Stand::Sealed(move_) | Stand::Handed(move_) | Stand::Staging(move_) => Some(move_),
                Stand::Nothing | Stand::Serves(_) => told,
            };
            let job = Job { slice, range, stand, move_ };
            tokio::spawn(work::perform(Arc::clone(self), job, effect));
        }
    }

    /// Whether a slice's machine still waits for this.
    pub(super) fn waits_for(&self, slice: SliceId, work: u64) -> bool {
        self.lock().holders.get(&slice).is_some_and(|holder| holder.waits_for(work))
    }

    /// The application broke the contract: it is given no other slice for a while.
    pub(super) fn broke(&self, why: &str) {
        tracing::error!(keyspace = self.name, "{why}; it takes no slices for {BARRED_FOR}");
        self.lock().broken = Some((self.clock.now(), why.to_owned()));
    }

    /// Calls machines when they are due, for ever.
    pub(super) async fn keep_time(self: Arc<Self>) {
        loop {
            let next = self.lock().holders.values().filter_map(Holder::deadline).min();
            let pause = next.map_or(IDLE, |at| self.clock.until(at));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
            }
            let now = self.clock.now();
            let mut inner = self.lock();
            let due = |holder: &Holder| holder.deadline().is_some_and(|at| at <= now);
            let due: Vec<SliceId> = inner.holders.iter().filter(|(_, one)| due(one)).map(|(slice, _)| *slice).collect();
            due.into_iter().for_each(|slice| self.put(&mut inner, slice, None, Event::Due));
        }
    }

    /// Reads what the store says of slices, for ever.
    pub(super) async fn keep_up(self: Arc<Self>) {
        let mut told = String::new();
        loop {
            match self.learn().await {
                Ok(()) => told.clear(),
                Err(why) if why != told => {
                    tracing::warn!(keyspace = self.name, "{why}");
                    told = why;
                }
                Err(_) => {}
            }
            let pause = if self.lock().map.is_some() { KEEP_UP } else { SOON };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stale.notified() => {}
            }
        }
    }

    /// Takes over what the store says of this worker's slices.
    pub(super) async fn learn(self: &Arc<Self>) -> Result<(), String> {
        let shown =
            self.metadata.slices(&self.name).await.map_err(|why| format!("the store's slices are not known: {why}"))?;
        if shown.slices.is_empty() {
            return Ok(());
        }
        let map = self.lock().map.clone();
        match map {
            Some(map) if map != shown.map_id => {
                let trouble = format!(
                    "this worker holds slices of map {map} of keyspace {}, and the store has map {}: it serves nothing. If the old map is \
                     gone for good, stop the agent and remove its folder",
                    self.name, shown.map_id
                );
                self.lock().trouble = Some(trouble.clone());
                Err(trouble)
            }
            Some(_) => {
                self.lock().trouble = None;
                self.disown(&shown);
                self.cut(&shown).await
            }
            None => self.adopt(&shown).await,
        }
    }

    /// The first meeting: what the store calls this worker's own, it serves, with what the application has.
    async fn adopt(&self, shown: &Shown) -> Result<(), String> {
        if !shown.workers.values().any(|name| *name == self.me) {
            return Err(format!("keyspace {} does not know a worker named {} yet", self.name, self.me));
        }
        let mine = shown.of(&self.me);
        if let Some((slice, _)) = mine.iter().find(|(_, slice)| slice.moving.is_some()) {
            return Err(format!("slice {} is in a move: it is taken up when that is over", slice.0));
        }
        let ranges: Vec<Range> = mine.iter().map(|(_, slice)| slice.range).collect();
        let foreign = self.application.foreign(&ranges).await;
        if let Some((keys, one)) = foreign.map_err(|why| format!("what is held already is not known: {why}"))? {
            return Err(format!(
                "{keys} keys of {} belong to slices of other workers, such as {:?}: it serves nothing. Begin the map with the worker that \
                 has the data alone, and add the others afterwards; or remove these keys (docs/redis.md)",
                self.me,
                String::from_utf8_lossy(&one)
            ));
        }
        let mut writes = vec![self.book.map(&shown.map_id)];
        for (id, slice) in &mine {
            writes.extend(self.book.kept(*id, slice.range, &Kept::Serving(slice.epoch))?);
        }
        self.disk.durable(writes).await.map_err(|error| error.to_string())?;
        let mut inner = self.lock();
        inner.map = Some(shown.map_id.clone());
        for (id, slice) in &mine {
            let holder = Holder::recovered(*id, slice.range, Kept::Serving(slice.epoch), Default::default());
            inner.holders.insert(*id, holder);
        }
        tracing::info!(
            keyspace = self.name,
            slices = mine.len(),
            "serves slices of map {} for the first time",
            shown.map_id
        );
        Ok(())
    }

    /// Stops serving what the store says is another one's.
    fn disown(self: &Arc<Self>, shown: &Shown) {
        let mut inner = self.lock();
        for id in strays(&inner.holders, &shown.of_others(&self.me)) {
            let mut out = Vec::new();
            if inner.holders.get_mut(&id).is_some_and(|holder| holder.disown(&mut out)) {
                tracing::error!(
                    keyspace = self.name,
                    slice = id.0,
                    "it is another worker's, and was served here: this worker's records are older than what it had promised, as after its \
                     folder or its disk was put back. It is not served any more, and its data is kept: what is in it may be nowhere else \
                     (docs/shard-workers.md)"
                );
            }
            self.act(&mut inner, id, None, out);
        }
    }

    /// Slices that were split or merged, or whose abort was not heard of: the same data under other names.
    async fn cut(&self, shown: &Shown) -> Result<(), String> {
        let owned = shown.of(&self.me);
        self.tell_missing(&owned);
        let surgery = self.surgery.lock().await;
        let names = |inner: &Inner| {
            let cut = recut(self.clock.now(), &inner.holders, &owned);
            let new = cut.put.iter().map(|(id, new)| (*id, new.range(), new.stand())).collect::<Vec<_>>();
            (cut, new)
        };
        let (cut, planned) = names(&self.lock());
        if cut.put.is_empty() {
            return Ok(());
        }
        self.disk.durable(self.cut_writes(&cut.put, &cut.gone)?).await.map_err(|error| error.to_string())?;
        let mut inner = self.lock();
        // What ended meanwhile is in the machines as they are now; what began to move is left for the next time.
        let (cut, now) = names(&inner);
        if planned != now {
            return Err("slices were cut anew while they changed: once more".to_owned());
        }
        for slice in cut.gone {
            inner.holders.remove(&slice);
            inner.ledgers.remove(&slice);
        }
        for (slice, holder) in cut.put {
            inner.ledgers.remove(&slice);
            inner.holders.insert(slice, holder);
        }
        drop(surgery);
        Ok(())
    }

    fn cut_writes(&self, put: &[(SliceId, Holder)], gone: &[SliceId]) -> Result<Vec<Write>, String> {
        let mut writes = Vec::new();
        for slice in gone {
            writes.extend(self.book.kept(*slice, Range::ALL, &Kept::Nothing)?);
        }
        for (slice, holder) in put {
            if let Stand::Serves(epoch) = holder.stand() {
                writes.extend(self.book.kept(*slice, holder.range(), &Kept::Serving(epoch))?);
                writes.push(self.book.seen(*slice, holder.seen())?);
            }
        }
        Ok(writes)
    }

    fn tell_missing(&self, owned: &[(SliceId, Slice)]) {
        let mut inner = self.lock();
        let held = |slice: &Slice| {
            inner
                .holders
                .values()
                .any(|one| one.stand() != Stand::Nothing && one.range().overlap(slice.range).is_some())
        };
        let missing: Vec<SliceId> = owned.iter().filter(|(_, slice)| !held(slice)).map(|(id, _)| *id).collect();
        if missing != inner.missing {
            for slice in &missing {
                tracing::error!(
                    keyspace = self.name,
                    "the store says that slice {} is this worker's, and nothing of it is held here: it is not served",
                    slice.0
                );
            }
            inner.missing = missing;
        }
    }

    /// Numbered writes that ended are written down together, and no longer one by one.
    fn sum_up(self: &Arc<Self>, inner: &mut Inner) {
        let ended = std::mem::take(&mut inner.ended);
        let mut writes: Vec<Write> = ended.iter().map(|(_, op)| self.book.no_op(*op)).collect();
        for (slice, holder) in &inner.holders {
            if ended.iter().any(|(point, _)| holder.range().contains(*point)) {
                match self.book.seen(*slice, holder.seen()) {
                    Ok(write) => writes.push(write),
                    Err(why) => {
                        tracing::error!(keyspace = self.name, "{why}");
                        inner.ended = ended;
                        return;
                    }
                }
            }
        }
        // Queued here, under the lock: after everything that these writes say of them.
        let written = self.disk.durable(writes);
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if written.await.is_err() {
                this.lock().ended.extend(ended);
            }
        });
    }

    /// Numbered writes of a range that need not be known here any more.
    pub(super) fn forget_ops(&self, range: Range) -> Vec<Write> {
        let mut inner = self.lock();
        let (gone, stay): (Vec<_>, Vec<_>) = inner.ended.drain(..).partition(|(point, _)| range.contains(*point));
        inner.ended = stay;
        gone.iter().map(|(_, op)| self.book.no_op(*op)).collect()
    }

    /// How this worker stands with its slices, and what is wrong with it.
    pub(super) fn standing(&self) -> (Option<String>, Option<String>, Vec<Standing>) {
        let inner = self.lock();
        let one = |(slice, holder): (&SliceId, &Holder)| Standing {
            slice: *slice,
            range: holder.range(),
            stand: holder.stand(),
            in_flight: holder.in_flight(),
        };
        let wrong = inner.trouble.clone().or_else(|| inner.broken.as_ref().map(|(_, why)| why.clone()));
        (inner.map.clone(), wrong, inner.holders.iter().map(one).collect())
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// A request that was admitted has ended.
    pub(super) fn had(&self, slice: SliceId, key: &[u8], bytes: u64, came: Came) {
        self.heats.had(self.clock.now(), slice, key, bytes, came, || self.ranges());
    }

    /// How hot its slices are.
    pub(super) fn heat(&self) -> HeatText {
        let mut told = self.heats.told(self.clock.now(), &self.ranges());
        let inner = self.lock();
        let strays = inner.holders.iter().filter(|(_, holder)| holder.stand().is_stray());
        told.strays = strays.map(|(id, _)| format!("{:016x}", id.0)).take(MOST_STRAYS).collect();
        told
    }

    /// The slices that it serves, or is about to.
    fn ranges(&self) -> Vec<(SliceId, Range)> {
        let inner = self.lock();
        let here = |(slice, holder): (&SliceId, &Holder)| match holder.stand() {
            Stand::Serves(_) | Stand::Sealed(_) => Some((*slice, holder.range())),
            Stand::Nothing | Stand::Handed(_) | Stand::Staging(_) => None,
        };
        inner.holders.iter().filter_map(here).collect()
    }

    /// The stagings that are to stay, and the ranges of all that is held.
    pub(super) fn stagings(&self) -> (Vec<String>, Vec<Range>) {
        let inner = self.lock();
        let staging = |(slice, holder): (&SliceId, &Holder)| match holder.stand() {
            Stand::Staging(move_) => Some(work::staging(*slice, move_)),
            Stand::Nothing | Stand::Serves(_) | Stand::Sealed(_) | Stand::Handed(_) => None,
        };
        let held = inner.holders.values().filter(|holder| holder.stand() != Stand::Nothing);
        (inner.holders.iter().filter_map(staging).collect(), held.map(Holder::range).collect())
    }

    /// Whether it was settled which map its slices are of.
    pub(super) fn knows_its_map(&self) -> bool {
        self.lock().map.is_some()
    }
}

/// How soon the store's slices are read again because of a request. Source: ours; as in the checker's world.
const ASK_EVERY: Span = Span::from_millis(20);
/// How often they are read anyway. Source: ours; a split is heard of when requests say its epoch.
const KEEP_UP: Duration = Duration::from_secs(5);
/// How often until there is a map. Source: ours; people wait.
const SOON: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_secs(60);
/// How long an application that broke the contract gets no slices. Source: shards.md "Thresholds", as automation that is off.
const BARRED_FOR: Span = Span::from_secs(600);
/// Numbered writes that are written down one by one. Source: ours; they are read at each start.
const MOST_ENDED: usize = 4_096;
/// Questions of coordinators at once. Source: ours; one for each move that a worker is in, and repeats.
const MOST_WAITING: usize = 256;
/// Source: core's table.
const MOST_SLICES: usize = ambidex_core::shard::table::MOST_SLICES;
