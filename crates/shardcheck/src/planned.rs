//! Worlds that the planner is tried in: workers with capacities, slices with loads that change, moves that take time.
//!
//! There are no machines here and no faults: [`world`](mod@crate::world) and [`exhaust`](mod@crate::exhaust) have those. What is tried is
//! whether the planner finds the right slices, soon, and leaves alone what moves would not help. Each second the planner gets a sample
//! of every worker and slice, smoothed as real samples are, and what it decides is done: a split at once, a move after the time that its
//! bytes take, during which source and target lose a tenth of their capacity each.
//!
//! | world | what is measured |
//! |---|---|
//! | Zipf 0.99, ten million keys, 16 workers | how far the busiest worker is over the mean in the end |
//! | one key becomes hot | when its worker is relieved |
//! | many slices of one worker become hot | the same |
//! | another part of the space is hot every 5 s to 10 min | throughput against no planner at all; slices sent back within 30 min |

use std::collections::BTreeMap;

use ambidex_core::draw::Draw;
use ambidex_core::shard::plan::{Action, Going, Memory, Mode, PlanConfig, Reason, Sample, SliceNow, WorkerNow, decide};
use ambidex_core::shard::records::SliceId;
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::WorkerId;

/// What a world came to.
#[derive(Clone, Debug, Default)]
pub struct Came {
    /// The busiest worker's load over the mean, in the last second.
    pub residual: f64,
    /// In which second after the change no worker was hot any more.
    pub relieved: Option<u64>,
    /// What was served of what was asked.
    pub served: f64,
    /// The same without a planner.
    pub served_alone: f64,
    /// Slices that were back within half an hour where they had been.
    pub back: usize,
    /// Moves, and splits and merges.
    pub moves: usize,
    /// Splits, isolated keys and merges.
    pub reshapes: usize,
    /// How often each reason was given.
    pub reasons: BTreeMap<Reason, usize>,
}

/// Load at points of the space: heavy keys by themselves, all others spread evenly.
#[derive(Clone, Debug)]
struct Load {
    /// By point: its part of a worker's capacity.
    keys: BTreeMap<u64, f64>,
    /// Of the whole space.
    spread: f64,
    /// Of one part of it besides: from, to, how much.
    hot: Option<(u64, u64, f64)>,
}

impl Load {
    fn of(&self, range: Range) -> f64 {
        let (first, last) = (range.first().0, range.last().0);
        let keys: f64 = self.keys.range(first..=last).map(|(_, load)| load).sum();
        let all = range.points() as f64 / Range::ALL.points() as f64;
        let hot = self.hot.map_or(0.0, |(from, to, load)| {
            let common = Range::new(Point(from), Point(to)).and_then(|hot| hot.overlap(range));
            common.map_or(0.0, |common| load * common.points() as f64 / (to - from + 1) as f64)
        });
        keys + self.spread * all + hot
    }

    fn hottest(&self, range: Range, all: f64) -> Option<(Point, f64)> {
        let keys = self.keys.range(range.first().0..=range.last().0);
        let heaviest = keys.max_by(|one, other| one.1.total_cmp(other.1));
        heaviest.map(|(point, load)| (Point(*point), load / all.max(f64::MIN_POSITIVE)))
    }

    /// Where half of the load lies before, by halving.
    fn middle(&self, range: Range, all: f64) -> Option<Point> {
        let (mut low, mut high) = (range.first().0, range.last().0);
        while low < high {
            let middle = low + (high - low) / 2;
            let before = Range::new(range.first(), Point(middle)).map_or(0.0, |part| self.of(part));
            if before < all / 2.0 { low = middle + 1 } else { high = middle }
        }
        (range.points() > 1).then_some(Point(low))
    }
}

struct Slice {
    range: Range,
    owner: usize,
    born: u64,
    /// What it is asked for.
    real: f64,
    /// Its hottest key, with that one's part; and where half of its load lies before.
    hottest: Option<(Point, f64)>,
    middle: Option<Point>,
    /// As it is seen: fading by half in ten seconds.
    seen: f64,
}

impl Slice {
    fn new(range: Range, owner: usize, born: u64, load: &Load) -> Self {
        let mut slice = Self { range, owner, born, real: 0.0, hottest: None, middle: None, seen: 0.0 };
        slice.look(load);
        slice.seen = slice.real;
        slice
    }

    /// Its range or its load is another one.
    fn look(&mut self, load: &Load) {
        self.real = load.of(self.range);
        self.hottest = load.hottest(self.range, self.real);
        self.middle = load.middle(self.range, self.real);
    }
}

struct World {
    config: PlanConfig,
    workers: usize,
    load: Load,
    slices: BTreeMap<u64, Slice>,
    highest: u64,
    /// Slice, to whom, and when it is over.
    moves: BTreeMap<u64, (usize, u64)>,
    memory: Memory,
    seen: Vec<f64>,
    /// When each range left whom.
    left: Vec<(u64, Range, usize)>,
    came: Came,
    asked: f64,
    served: f64,
    planner: bool,
}

impl World {
    fn new(workers: usize, per_worker: usize, load: Load, planner: bool) -> Self {
        let count = (workers * per_worker) as u64;
        let width = u64::MAX / count;
        let slice = |place: u64| {
            let last = if place + 1 == count { u64::MAX } else { (place + 1) * width - 1 };
            let range = Range::new(Point(place * width), Point(last)).expect("in order");
            let owner = usize::try_from(place).expect("a few slices") / per_worker;
            (place + 1, Slice::new(range, owner, 0, &load))
        };
        let slices: BTreeMap<u64, Slice> = (0..count).map(slice).collect();
        let config = PlanConfig { mode: Mode::Auto, ..PlanConfig::default() };
        Self {
            config,
            workers,
            load,
            slices,
            highest: count,
            moves: BTreeMap::new(),
            memory: Memory::default(),
            seen: vec![0.0; workers],
            left: Vec::new(),
            came: Came::default(),
            asked: 0.0,
            served: 0.0,
            planner,
        }
    }

    /// The load is another one.
    fn changed(&mut self) {
        let load = &self.load;
        self.slices.values_mut().for_each(|slice| slice.look(load));
    }

    /// What each worker is asked for, as a part of its capacity.
    fn asked(&self) -> Vec<f64> {
        let mut asked = vec![0.0; self.workers];
        for slice in self.slices.values() {
            asked[slice.owner] += slice.real;
        }
        asked
    }

    fn second(&mut self, now: u64) {
        self.arrive(now);
        let asked = self.asked();
        let mut capacity = vec![1.0; self.workers];
        for (id, (to, _)) in &self.moves {
            capacity[*to] -= self.config.copy_load;
            capacity[self.slices[id].owner] -= self.config.copy_load;
        }
        for (asked, capacity) in asked.iter().zip(&capacity) {
            self.asked += asked;
            self.served += asked.min(*capacity);
        }
        // Utilization is of about the last second; the load of a slice fades by half in ten.
        for (seen, asked) in self.seen.iter_mut().zip(&asked) {
            *seen += (asked.min(1.0) - *seen) * 0.7;
        }
        for slice in self.slices.values_mut() {
            slice.seen += (slice.real - slice.seen) * FADES;
        }
        if self.planner {
            self.plan(now);
        }
    }

    fn plan(&mut self, now: u64) {
        let sample = self.sample(now);
        let decisions = decide(&self.config, &mut self.memory, at(now), &sample);
        for decision in decisions {
            *self.came.reasons.entry(decision.reason).or_default() += 1;
            if let Some((action, _)) = decision.action {
                self.memory.began(at(now), &sample, action);
                self.act(now, action);
            }
        }
    }

    fn sample(&self, now: u64) -> Sample {
        let workers = self.seen.iter().enumerate().map(|(worker, seen)| WorkerNow {
            worker: id(worker),
            heard: true,
            healthy: true,
            utilization: *seen,
            depth: 0.0,
            depth_limit: 0.0,
            wait_p95: Span::ZERO,
            wait_objective: Span::ZERO,
        });
        let slices = self.slices.iter().map(|(slice, known)| SliceNow {
            slice: SliceId(*slice),
            range: known.range,
            owner: id(known.owner),
            load: known.seen,
            forecast: None,
            bytes: bytes(known.range),
            middle: known.middle,
            last_part: 0.0,
            hottest: known.hottest,
            age: Span::from_secs(now - known.born),
        });
        let moves = self.moves.iter().map(|(slice, (to, _))| Going {
            slice: SliceId(*slice),
            from: id(self.slices[slice].owner),
            to: id(*to),
        });
        let mut slices: Vec<SliceNow> = slices.collect();
        slices.sort_by_key(|slice| slice.range.first());
        Sample { workers: workers.collect(), slices, moves: moves.collect(), ..Sample::default() }
    }

    fn act(&mut self, now: u64, action: Action) {
        match action {
            Action::Move { slice, to, .. } => self.depart(now, slice.0, to),
            Action::Swap { slice, from, to, back } => {
                self.depart(now, slice.0, to);
                self.depart(now, back.0, from);
            }
            Action::Split { slice, at } => self.split(now, slice.0, at),
            Action::Isolate { slice, key } => {
                let Some(range) = self.slices.get(&slice.0).map(|slice| slice.range) else { return };
                let mut of = slice.0;
                if range.first() != key {
                    self.split(now, of, key);
                    of = self.highest;
                }
                if range.last() != key {
                    self.split(now, of, Point(key.0 + 1));
                }
            }
            Action::Merge { left, right } => {
                let Some(gone) = self.slices.remove(&right.0) else { return };
                if let Some(slice) = self.slices.get_mut(&left.0) {
                    slice.range = slice.range.joined(gone.range).expect("neighbours");
                    (slice.born, slice.seen) = (now, slice.seen + gone.seen);
                    slice.look(&self.load);
                }
                self.came.reshapes += 1;
            }
        }
    }

    fn split(&mut self, now: u64, of: u64, at: Point) {
        let Some(slice) = self.slices.get(&of) else { return };
        let Some((left, right)) = slice.range.split_at(at) else { return };
        let whole = slice.real.max(f64::MIN_POSITIVE);
        // The meter of a new slice begins with what its part had.
        let seen = slice.seen / whole;
        let owner = slice.owner;
        for (id, range) in [(of, left), (self.highest + 1, right)] {
            let mut part = Slice::new(range, owner, now, &self.load);
            part.seen = seen * part.real;
            self.slices.insert(id, part);
        }
        self.highest += 1;
        self.came.reshapes += 1;
    }

    fn depart(&mut self, now: u64, slice: u64, to: WorkerId) {
        let rate = 10_000_000;
        let takes = bytes(self.slices[&slice].range).div_ceil(rate);
        self.moves.insert(slice, (to.0 as usize, now + takes));
    }

    fn arrive(&mut self, now: u64) {
        let over: Vec<(u64, usize)> =
            self.moves.iter().filter(|(_, (_, at))| *at <= now).map(|(slice, (to, _))| (*slice, *to)).collect();
        for (slice, to) in over {
            self.moves.remove(&slice);
            let known = self.slices.get_mut(&slice).expect("a moving slice stays");
            let was = self.left.iter().rev().take_while(|(at, ..)| now - at < 1_800);
            let back = was.filter(|(_, range, from)| *from == to && range.overlap(known.range).is_some());
            self.came.back += usize::from(back.count() > 0);
            self.left.push((now, known.range, known.owner));
            known.owner = to;
            self.came.moves += 1;
            self.memory.ended(at(now), SliceId(slice), true);
        }
    }

    fn over_mean(&self) -> f64 {
        let asked = self.asked();
        let mean = asked.iter().sum::<f64>() / self.workers as f64;
        asked.iter().copied().fold(0.0, f64::max) / mean
    }

    fn done(mut self) -> Came {
        self.came.residual = self.over_mean();
        self.came.served = self.served / self.asked;
        self.came
    }
}

/// Ten million keys by Zipf's law, on so many workers that are half busy in the mean: the first 20,000 by themselves, all others evenly.
#[must_use]
pub fn zipf(workers: usize, seconds: u64) -> Came {
    let mut draw = Draw::seeded(99);
    let weight = |rank: f64| rank.powf(-0.99);
    let heavy: f64 = (1..=HEAVY).map(|rank| weight(f64::from(rank))).sum();
    // The rest of the sum, by its integral.
    let rest = (1e7_f64.powf(0.01) - f64::from(HEAVY).powf(0.01)) / 0.01;
    let scale = 0.5 * workers as f64 / (heavy + rest);
    let keys = (1..=HEAVY).map(|rank| (draw.bits(), weight(f64::from(rank)) * scale)).collect();
    let load = Load { keys, spread: rest * scale, hot: None };
    let mut world = World::new(workers, 32, load, true);
    (0..seconds).for_each(|now| world.second(now));
    world.done()
}

/// On 16 workers at 30 %, one key takes 55 % of a worker besides from the first minute on: until its worker is under the 80 % that are
/// hot at once.
#[must_use]
pub fn one_hot_key() -> Came {
    let load = Load { keys: BTreeMap::new(), spread: 0.3 * 16.0, hot: None };
    relieved(load, HOT, |load| {
        load.keys.insert(u64::MAX / 3, 0.55);
    })
}

/// On 16 workers at 30 %, a range that is one worker's takes 36 % besides, over all of its slices: until its worker is under the 60 % that
/// are hot after a while.
#[must_use]
pub fn many_hot_slices() -> Came {
    let load = Load { keys: BTreeMap::new(), spread: 0.3 * 16.0, hot: None };
    relieved(load, WARM, |load| load.hot = Some((u64::MAX / 16 * 3, u64::MAX / 16 * 4 - 1, 0.36)))
}

fn relieved(load: Load, under: f64, change: impl Fn(&mut Load)) -> Came {
    let mut world = World::new(16, 32, load, true);
    let mut relieved = None;
    for now in 0..360 {
        if now == 60 {
            change(&mut world.load);
            world.changed();
        }
        world.second(now);
        let highest = world.asked().into_iter().fold(0.0, f64::max);
        if now >= 60 && relieved.is_none() && highest < under {
            relieved = Some(now - 60);
        }
    }
    Came { relieved, ..world.done() }
}

/// On 16 workers at 45 %, another sixteenth of the space takes 80 % of a worker besides each time a period is over.
#[must_use]
pub fn rotating(period: u64) -> Came {
    let run = |planner: bool| {
        let mut draw = Draw::seeded(period);
        let load = Load { keys: BTreeMap::new(), spread: 0.45 * 16.0, hot: None };
        let mut world = World::new(16, 32, load, planner);
        for now in 0..ROTATES {
            if now % period == 0 {
                let from = draw.below(16) as u64 * (u64::MAX / 16);
                world.load.hot = Some((from, from + (u64::MAX / 16 - 1), 0.8));
                world.changed();
            }
            world.second(now);
        }
        world.done()
    };
    Came { served_alone: run(false).served, ..run(true) }
}

const fn id(worker: usize) -> WorkerId {
    #[expect(clippy::cast_possible_truncation, reason = "a few workers")]
    WorkerId(worker as u32)
}

fn at(second: u64) -> Mono {
    Mono::default() + Span::from_secs(second)
}

/// Of a gigabyte that the whole space holds; one key has a little.
fn bytes(range: Range) -> u64 {
    100 + u64::try_from(range.points() * 1_000_000_000 / Range::ALL.points()).unwrap_or(u64::MAX)
}

/// Periods of rotating hot sets, in seconds. Source: shards.md "Goals": 5 s to 10 min.
pub const PERIODS: [u64; 5] = [5, 20, 60, 180, 600];
const HOT: f64 = 0.80;
const WARM: f64 = 0.60;
/// What of a new load is seen after a second, by a half-life of ten: 1 - 2^-0.1.
const FADES: f64 = 0.066_967;
const HEAVY: u32 = 20_000;
/// An hour, so that half an hour is a part of it.
const ROTATES: u64 = 3_600;
