//! Workers in this process: core's holders over maps in memory, whose disk answers at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ambidex_core::shard::holder::{Access, Effect, Event, Holder, Kept, Op, Ticket, Verdict, recut};
use ambidex_core::shard::messages::{Bytes, Digest, Entry, Message, Reply, Stand};
use ambidex_core::shard::records::{Key, Slice, SliceId};
use ambidex_core::shard::seen::Seen;
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::time::Mono;
use ambidex_shard::{AskError, Asked, Board, Heated, Question, Workers};
use ambidex_store::shards::Metadata;
use ambidex_wire::shard::heat::{HeatText, SliceHeat};
use ambidex_wire::shard::records::{Named, Path};
use ambidex_wire::shard::table::TableText;

type Data = BTreeMap<Bytes, Bytes>;

/// All workers of a scene.
#[derive(Clone, Debug)]
pub(crate) struct Local(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    metadata: Arc<dyn Metadata>,
    workers: Mutex<BTreeMap<String, Worker>>,
    /// What each slice takes of whoever serves it.
    loads: Mutex<BTreeMap<SliceId, f64>>,
}

#[derive(Debug, Default)]
struct Worker {
    holders: BTreeMap<SliceId, Holder>,
    data: Data,
    staging: BTreeMap<SliceId, Data>,
    silent: bool,
    /// It leaves out what it is given.
    lossy: bool,
    /// It says that it served this slice, and that it was another one's.
    stray: Option<SliceId>,
    tickets: u64,
    /// How often it was asked how hot it is, and what it had done by then.
    heated: (u64, f64),
}

impl Local {
    pub(crate) fn new(metadata: Arc<dyn Metadata>) -> Self {
        Self(Arc::new(Inner { metadata, workers: Mutex::default(), loads: Mutex::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Worker>> {
        self.0.workers.lock().expect("nobody panics")
    }

    /// Workers serve what a new map gives them.
    pub(crate) fn adopt(&self, table: &TableText) {
        let mut workers = self.lock();
        for (id, slice) in table.table().expect("it tiles the space").slices() {
            let worker = workers.entry(table.workers[&slice.owner.0].name.clone()).or_default();
            let serving = Kept::Serving(slice.epoch);
            worker.holders.insert(*id, Holder::recovered(*id, slice.range, serving, Seen::default()));
        }
        for named in table.workers.values() {
            workers.entry(named.name.clone()).or_default();
        }
    }

    /// A slice takes so much of a worker from now on.
    pub(crate) fn load(&self, slice: SliceId, load: f64) {
        self.0.loads.lock().expect("nobody panics").insert(slice, load);
    }

    /// As an agent counts: between two questions lies a second.
    fn told(&self, name: &str) -> HeatText {
        let loads = self.0.loads.lock().expect("nobody panics").clone();
        let mut workers = self.lock();
        let worker = workers.entry(name.to_owned()).or_default();
        let serves = |slice: &SliceId| {
            worker.holders.get(slice).is_some_and(|holder| matches!(holder.stand(), Stand::Serves(_)))
        };
        let slices: Vec<SliceHeat> =
            loads.iter().filter(|(slice, _)| serves(slice)).map(|(slice, load)| heat(*slice, *load)).collect();
        worker.heated.0 += 1;
        worker.heated.1 += slices.iter().map(|slice| slice.work).sum::<f64>();
        let (times, done) = worker.heated;
        let strays = worker.stray.iter().map(|slice| format!("{:016x}", slice.0)).collect();
        HeatText { millis: times * 1_000, places: 1, done, slices, strays, ..HeatText::default() }
    }

    pub(crate) fn silence(&self, name: &str, silent: bool) {
        self.lock().entry(name.to_owned()).or_default().silent = silent;
    }

    pub(crate) fn lose(&self, name: &str) {
        self.lock().entry(name.to_owned()).or_default().lossy = true;
    }

    pub(crate) fn stray(&self, name: &str, slice: SliceId) {
        self.lock().entry(name.to_owned()).or_default().stray = Some(slice);
    }

    /// Writes by the table, again until the owner takes it.
    pub(crate) async fn write(&self, board: &Board, key: &str, value: &str) {
        loop {
            if self.written(board, key, value) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn written(&self, board: &Board, key: &str, value: &str) -> bool {
        let table = board.tables().borrow().clone().expect("there is a table");
        let (id, slice) = table.table().expect("it tiles the space").look_up(Point::of(key.as_bytes()));
        let mut workers = self.lock();
        let worker = workers.get_mut(&table.workers[&slice.owner.0].name).expect("it is there");
        let owner = slice.owner;
        let all = table.table().expect("it tiles the space");
        let owned: Vec<_> = all.slices().iter().filter(|(_, slice)| slice.owner == owner).copied().collect();
        worker.recut(&owned);
        worker.tickets += 1;
        let ticket = Ticket(worker.tickets);
        let op = Op { key: key.as_bytes().into(), point: Point::of(key.as_bytes()), id: None, access: Access::Write };
        let Some(holder) = worker.holders.get_mut(&id) else { return false };
        if holder.admit(ticket, slice.epoch, &op) != Verdict::Run {
            return false;
        }
        worker.data.insert(key.as_bytes().into(), value.as_bytes().into());
        let mut out = Vec::new();
        holder.ran(Mono::default(), ticket, Some(1), &mut out);
        assert_eq!(out, [], "nothing is sealed while its writes run here");
        true
    }

    /// What its owner has.
    pub(crate) fn read(&self, board: &Board, key: &str) -> Option<String> {
        let table = board.tables().borrow().clone().expect("there is a table");
        let (_, slice) = table.table().expect("it tiles the space").look_up(Point::of(key.as_bytes()));
        let workers = self.lock();
        let data = &workers[&table.workers[&slice.owner.0].name].data;
        data.get(key.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Tells a worker something, and gives it what it wants, until it has answered.
    async fn tell(&self, name: &str, question: Question) -> Option<Reply> {
        let (slice, move_) = (question.slice, question.move_);
        // As an agent does that watches the table: an abort of a move that it never heard of is a new epoch.
        let picture = self.0.metadata.list().await.ok()?;
        if let Some(number) = picture.number_of(name) {
            let owned: Vec<_> = picture.slices().filter(|(_, slice)| slice.owner == number).collect();
            self.lock().entry(name.to_owned()).or_default().recut(&owned);
        }
        let mut events = vec![Event::Told { caller: question.caller, move_, message: question.message.clone() }];
        let mut reply = None;
        while let Some(event) = events.pop() {
            let mut reads = Vec::new();
            {
                let mut workers = self.lock();
                let worker = workers.entry(name.to_owned()).or_default();
                let offered = if let Message::Offer { range, .. } = &question.message { Some(*range) } else { None };
                let effects = worker.on(slice, offered, event)?;
                for effect in effects {
                    if let Effect::Reply { reply: said, .. } = effect {
                        reply = Some(said);
                    } else if let Effect::Read { move_ } = effect {
                        reads.push(move_);
                    } else {
                        events.extend(worker.stored(slice, effect));
                    }
                }
            }
            for move_ in reads {
                let picture = self.0.metadata.read(vec![Path::Record(Key::Move(move_))]).await.ok()?;
                events.push(Event::Read { move_, found: picture.move_(move_).map(|(_, found)| found) });
            }
        }
        reply
    }
}

impl Worker {
    fn on(&mut self, slice: SliceId, offered: Option<Range>, event: Event) -> Option<Vec<Effect>> {
        if let Some(range) = offered {
            let nothing = || Holder::new(slice, range);
            let holder = self.holders.entry(slice).or_insert_with(nothing);
            if holder.range() != range && holder.stand() == ambidex_core::shard::messages::Stand::Nothing {
                *holder = nothing();
            }
        }
        let holder = self.holders.entry(slice).or_insert_with(|| Holder::new(slice, Range::ALL));
        let mut out = Vec::new();
        holder.on(Mono::default(), event, &mut out);
        Some(out)
    }

    /// Takes over what the table calls its slices.
    fn recut(&mut self, owned: &[(SliceId, Slice)]) {
        let cut = recut(Mono::default(), &self.holders, owned);
        self.holders.extend(cut.put);
        let gone: BTreeSet<SliceId> = cut.gone.into_iter().collect();
        self.holders.retain(|id, _| !gone.contains(id));
    }

    /// What the disk says.
    fn stored(&mut self, slice: SliceId, effect: Effect) -> Option<Event> {
        let range = self.holders.get(&slice).map_or(Range::ALL, Holder::range);
        let inside = |data: &Data| -> Vec<Entry> {
            let mine = data.iter().filter(|(key, _)| range.contains(Point::of(key)));
            mine.map(|(key, value)| Entry { key: key.clone(), value: Some(value.clone()) }).collect()
        };
        let of = |data: &Data| {
            let mine = data.iter().filter(|(key, _)| range.contains(Point::of(key)));
            Digest::of(mine.map(|(key, value)| (&**key, &**value)))
        };
        let these = |keys: Vec<Bytes>| -> Vec<Entry> {
            keys.into_iter().map(|key| Entry { value: self.data.get(&key).cloned(), key }).collect()
        };
        Some(match effect {
            Effect::Export { work, after } => {
                let mut entries = inside(&self.data);
                entries.retain(|entry| after.as_ref().is_none_or(|after| *after < entry.key));
                let more = entries.len() > BATCH;
                entries.truncate(BATCH);
                let next = entries.last().filter(|_| more).map(|entry| entry.key.clone());
                Event::Exported { work, entries, next, digest: Digest::default() }
            }
            Effect::ExportKeys { work, keys } => {
                Event::Exported { work, entries: these(keys), next: None, digest: Digest::default() }
            }
            Effect::Finish { work, keys } => {
                Event::Exported { work, entries: these(keys), next: None, digest: of(&self.data) }
            }
            Effect::Import { work, entries } => {
                let staging = self.staging.entry(slice).or_default();
                for Entry { key, value } in entries.into_iter().skip(usize::from(self.lossy)) {
                    match value {
                        Some(value) => staging.insert(key, value),
                        None => staging.remove(&key),
                    };
                }
                Event::Imported { work }
            }
            Effect::Digest { work } => Event::Digested { work, digest: of(self.staging.entry(slice).or_default()) },
            Effect::Keep { work, kept } => {
                match kept {
                    Kept::Nothing => {
                        self.staging.remove(&slice);
                        self.data.retain(|key, _| !range.contains(Point::of(key)));
                    }
                    Kept::Serving(_) => {
                        if let Some(staging) = self.staging.remove(&slice) {
                            self.data.retain(|key, _| !range.contains(Point::of(key)));
                            self.data.extend(staging);
                        }
                    }
                    Kept::Sealed(..) | Kept::Handed(..) | Kept::Staged(..) => {}
                }
                Event::Kept { work }
            }
            Effect::Reply { .. } | Effect::Read { .. } => return None,
        })
    }
}

impl Workers for Local {
    fn ask(&self, worker: &Named, question: Question) -> Asked {
        let (local, name) = (self.clone(), worker.name.clone());
        Box::pin(async move {
            if local.lock().get(&name).is_some_and(|worker| worker.silent) {
                return Err(AskError { worker: name, why: "it is silent".to_owned() });
            }
            let reply = local.tell(&name, question).await;
            reply.ok_or_else(|| AskError { worker: name, why: "it is busy".to_owned() })
        })
    }

    fn heat(&self, worker: &Named, _keyspace: &str) -> Heated {
        let (told, name) = (self.told(&worker.name), worker.name.clone());
        let silent = self.lock().get(&name).is_some_and(|worker| worker.silent);
        Box::pin(async move {
            if silent { Err(AskError { worker: name, why: "it is silent".to_owned() }) } else { Ok(told) }
        })
    }
}

fn heat(slice: SliceId, load: f64) -> SliceHeat {
    SliceHeat {
        id: slice.0,
        rate: load * 100.0,
        work: load,
        bytes: 0.0,
        depth: load,
        wait_p95_micros: 0,
        latency_p99_micros: 10_000,
        middle: None,
        last_part: 0.0,
        hottest: None,
        hottest_share: 0.0,
    }
}

/// Entries of one batch.
const BATCH: usize = 50;
