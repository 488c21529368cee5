//! One case: a move, a fault at a point of it, and what clients saw from before it until everything is served again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ambidex_core::shard::space::Point as Spot;
use ambidex_core::shard::store::Revision;
use ambidex_core::shard::table::Table;
use ambidex_shardcheck::judge::judge;
use ambidex_shardcheck::record::Seen;
use ambidex_wire::shard::table::TableText;

use crate::clients::Clients;
use crate::clock;
use crate::points::{Fault, POINTS, Party, Point, RELEASES, When};
use crate::process::{until, until_within};
use crate::scene::{self, Pick, Scene, Store};

/// What fails when, how, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) point: Point,
    pub(crate) party: Party,
    pub(crate) fault: Fault,
    /// So long after the point.
    pub(crate) late_ms: u64,
    /// Until the party comes back.
    pub(crate) away_ms: u64,
}

/// What a case came to.
pub(crate) struct Outcome {
    acknowledged: usize,
    unknown: usize,
    refused: usize,
    moved: bool,
    /// From the party's coming back until every key was served.
    unserved: Duration,
}

impl Case {
    pub(crate) fn run(self, scene: &mut Scene, number: usize) -> Outcome {
        let _told = Told(format!("{self}, as case {number} with {:?}", scene.store));
        until(|| scene.is_settled());
        let pick = scene.pick(number);
        let watch = Watch::start(scene);
        let clients = Clients::start(scene.door(), carts(&until(|| scene.table()), &pick, number), number);
        until(|| clients.are_served_since(0).then_some(()));
        let felled = self.arm(scene, &pick);
        let mut ordered = None;
        until(|| {
            // A move may have been given up before it came so far. Who is asked for that may be down by now: so it is asked seldom.
            if scene.trap.is_armed()
                && ordered.is_none_or(|at: Instant| at.elapsed() > SELDOM)
                && scene.is_settled().is_some()
            {
                ordered = scene.order(&pick).then(clock::now);
            }
            felled.load(Ordering::SeqCst).then_some(())
        });
        clock::pass(Duration::from_millis(self.away_ms));
        let (since, step) = (clock::now(), clients.step());
        scene.revive();
        until(|| clients.are_served_since(step).then_some(()));
        let unserved = since.elapsed();
        until(|| scene.is_settled());
        let mut record = clients.end();
        record.tables = watch.end();
        if let Err(broken) = judge(&record) {
            panic!("{broken}\n{:#?}", record.last);
        }
        let ends = || record.asked.iter().filter(|asked| asked.write).filter_map(|asked| asked.ended.as_ref());
        let seen = |wanted: fn(&Seen) -> bool| ends().filter(|(_, seen)| wanted(seen)).count();
        let outcome = Outcome {
            acknowledged: seen(|seen| matches!(seen, Seen::Acknowledged)),
            unknown: seen(|seen| matches!(seen, Seen::Unknown)),
            refused: seen(|seen| matches!(seen, Seen::NotRun)),
            moved: scene.has_moved(&pick),
            unserved,
        };
        println!("{self}: {outcome}");
        outcome
    }

    /// Says when the party is down.
    fn arm(self, scene: &Scene, pick: &Pick) -> Arc<AtomicBool> {
        let Some(grip) = scene.grip(self.party, pick) else { panic!("{} is no process here", self.party) };
        let Self { point, party, fault, late_ms, .. } = self;
        let felled = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&felled);
        scene.trap.arm(point, move || {
            let fell = move || {
                clock::pass(Duration::from_millis(late_ms));
                grip.fell(fault);
                tell.store(true, Ordering::SeqCst);
            };
            if late_ms > 0 {
                std::thread::spawn(fell);
                return true;
            }
            fell();
            // What the dead has said last is lost with it.
            !(fault == Fault::Kill && point.when == When::Answered && answers(party, point.message))
        });
        felled
    }
}

/// Whether a party is the one that answers a message.
fn answers(party: Party, message: &str) -> bool {
    match party {
        Party::Coordinator | Party::Store => false,
        Party::Source => matches!(message, "snapshot" | "seal"),
        Party::Target => matches!(message, "offer" | "apply" | "verify" | "look"),
        Party::SourceApplication => message == "drop",
        Party::TargetApplication => matches!(message, "import" | "activate"),
    }
}

/// Carts that nobody wrote before: some in the slice that moves, some elsewhere.
fn carts(table: &TableText, pick: &Pick, case: usize) -> Vec<String> {
    let moving = &table.slices[pick.row];
    let carts = |number: u64| format!("cart-{case}-{number}");
    let moves = |cart: &String| (moving.first..=moving.last).contains(&Spot::of(cart.as_bytes()).0);
    let there = (0..).map(carts).filter(moves).take(4);
    let elsewhere = (0..).map(carts).filter(|cart| !moves(cart)).take(3);
    there.chain(elsewhere).collect()
}

/// Between two looks whether a move is to be ordered again.
const SELDOM: Duration = Duration::from_secs(5);

/// Takes down every table that is shown meanwhile.
struct Watch {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<BTreeMap<u64, TableText>>>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn start(scene: &Scene) -> Self {
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<BTreeMap<_, _>>>::default());
        let admins = scene.admins();
        let thread = std::thread::spawn({
            let (over, seen) = (Arc::clone(&over), Arc::clone(&seen));
            move || {
                while !over.load(Ordering::Relaxed) {
                    if let Some(table) = scene::table(admins.iter().copied()) {
                        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(table.revision, table);
                    }
                    clock::pass(Duration::from_millis(50));
                }
            }
        });
        Self { over, seen, thread }
    }

    fn end(self) -> Vec<(Revision, Option<Table>)> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("it ends");
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.values().map(|table| (Revision(table.revision), table.table().ok())).collect()
    }
}

/// Says which case it was, where one fails.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("FAILED: {}", self.0);
        }
    }
}

/// Moves a slice for each of the last points, and kills its source there a minute later.
pub(crate) fn released(scene: &mut Scene) {
    until(|| scene.is_settled());
    let picks = [scene.pick(0), scene.pick(1)];
    let clients = Clients::start(scene.door(), carts(&until(|| scene.table()), &picks[0], 0), 0);
    until(|| clients.are_served_since(0).then_some(()));
    for pick in &picks {
        until(|| scene.order(pick).then_some(()));
    }
    // Slices go round the workers: both moves have the one source, or each is the other's.
    assert_eq!(picks[0].source, picks[1].source, "the first slices are one worker's");
    for point in RELEASES {
        let case = Case { point, party: Party::Source, fault: Fault::Kill, late_ms: 0, away_ms: 0 };
        let felled = case.arm(scene, &picks[0]);
        until_within(LATE, || felled.load(Ordering::SeqCst).then_some(()));
        scene.revive();
    }
    until_within(LATE, || scene.is_released());
    let record = clients.end();
    if let Err(broken) = judge(&record) {
        panic!("{broken}");
    }
    scene.ends_well();
}

/// A minute, and as long as a machine stands still.
const LATE: Duration = Duration::from_secs(150);

/// As many cases as wanted, each of its own seed; both kinds of store.
pub(crate) fn drawn(first: u64, runs: u64) {
    let (mut own, mut etcd): (Option<Scene>, Option<Scene>) = (None, None);
    let mut figures = Figures::default();
    for seed in first..first + runs {
        let mut draw = Draw(seed);
        let (store, scene) = if draw.below(2) == 0 { (Store::Own, &mut own) } else { (Store::Etcd, &mut etcd) };
        let scene = scene.get_or_insert_with(|| Scene::start(store));
        let parties: Vec<Party> =
            Party::ALL.into_iter().filter(|party| store == Store::Etcd || *party != Party::Store).collect();
        let case = Case {
            point: POINTS[draw.below(POINTS.len())],
            party: parties[draw.below(parties.len())],
            fault: if draw.below(2) == 0 { Fault::Kill } else { Fault::Stop },
            late_ms: [0, 0, 1, 3, 10, 40][draw.below(6)],
            away_ms: [0, 100, 500, 1_000, 2_500, 4_000][draw.below(6)],
        };
        let _told = Told(format!("once more: cargo xtask crash 1 {seed}"));
        let number = usize::try_from(seed).expect("small");
        figures.add(&case.run(scene, number));
    }
    for scene in own.iter().chain(&etcd) {
        scene.ends_well();
    }
    println!("{runs} cases from seed {first}: {figures}");
}

/// A sequence of numbers from a seed (splitmix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("below a length")
    }
}

/// What several cases came to.
#[derive(Default)]
pub(crate) struct Figures {
    cases: usize,
    moved: usize,
    acknowledged: usize,
    unknown: usize,
    refused: usize,
    unserved: Vec<Duration>,
}

impl Figures {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.cases += 1;
        self.moved += usize::from(outcome.moved);
        self.acknowledged += outcome.acknowledged;
        self.unknown += outcome.unknown;
        self.refused += outcome.refused;
        self.unserved.push(outcome.unserved);
        self.unserved.sort_unstable();
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cases, moved, acknowledged, unknown, refused, unserved } = self;
        let at = |part: usize| {
            unserved
                .get((unserved.len() * part / 100).min(unserved.len().saturating_sub(1)))
                .copied()
                .unwrap_or_default()
        };
        write!(
            f,
            "{cases} cases, {moved} moved; writes: {acknowledged} acknowledged, {unknown} unknown, {refused} refused, 0 lost, doubled or \
             reordered; all served again after the party came back: p50 {:.1} s, p99 {:.1} s, at most {:.1} s",
            at(50).as_secs_f64(),
            at(99).as_secs_f64(),
            at(100).as_secs_f64()
        )
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, unknown, refused, moved, unserved } = self;
        let end = if *moved { "moved" } else { "aborted" };
        write!(
            f,
            "{end}; {acknowledged} acknowledged, {unknown} unknown, {refused} refused; served again after {:.2} s",
            unserved.as_secs_f64()
        )
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { point, party, fault, late_ms, away_ms } = self;
        write!(f, "{point}, {late_ms} ms later the {party} {fault} for {away_ms} ms")
    }
}
