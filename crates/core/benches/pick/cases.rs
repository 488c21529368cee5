//! The operations that are counted, each prepared so that only itself runs.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use ambidex_core::again::Mode;
use ambidex_core::again::budget::Budget;
use ambidex_core::again::hedge::HedgeConfig;
use ambidex_core::again::retry::Copies;
use ambidex_core::attempt::{Asked, Attempt, AttemptConfig, Chances, Desk, Effects, Event, Head, Seat, TryId};
use ambidex_core::balance::{Ask, Barred, PickPolicy, Picker, ring};
use ambidex_core::draw::Draw;
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::guard::ejection::Breakers;
use ambidex_core::guard::limit::{Ended, LimitConfig, Served};
use ambidex_core::guard::shed::{Asked as Request, ShedConfig, Shedder, Verdict};
use ambidex_core::load::{Cells, FAILURE_PRICE, Outcome};
use ambidex_core::shard::records::{Epoch, Slice, SliceId};
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::shard::store::Revision;
use ambidex_core::shard::table::Table;
use ambidex_core::share::Share;
use ambidex_core::signal::Report;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::{Address, Arm, PoolParts, PoolView, WorkerView};
use ambidex_core::worker::{PoolId, Standing, WorkerId};

/// Does what is measured, once.
pub(crate) type Operation = Box<dyn FnMut()>;

/// Something to measure.
pub(crate) struct Case {
    /// Under which its figure is stored.
    pub(crate) name: String,
    prepare: Box<dyn Fn() -> Operation>,
}

impl Case {
    fn new(name: String, prepare: impl Fn() -> Operation + 'static) -> Self {
        Self { name, prepare: Box::new(prepare) }
    }

    /// The operation, fresh and warmed.
    pub(crate) fn prepared(&self) -> Operation {
        let mut run = (self.prepare)();
        (0..1_000).for_each(|_| run());
        run
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    let of = |policy: PickPolicy, workers| {
        let name = serde_json::to_string(&policy).expect("a name");
        Case::new(format!("pick {} of {workers}", name.trim_matches('"')), move || pick(policy, workers))
    };
    let picks = PickPolicy::ALL.into_iter().flat_map(|policy| [16, 1_000].map(|workers| of(policy, workers)));
    let others = [
        Case::new("breakers of 16, closed".to_owned(), || admit(0)),
        Case::new("breakers of 16, 5 open".to_owned(), || admit(5)),
        Case::new("attempt of a plain request, prequal of 16".to_owned(), || attempt(AttemptConfig::default())),
        Case::new("attempt that might be hedged, prequal of 16".to_owned(), || attempt(hedged())),
    ];
    let sheds = [
        Case::new("shedder: a request in and out".to_owned(), || shed(false)),
        Case::new("shedder: one that waits and is shed, 8 in flight".to_owned(), || shed(true)),
    ];
    let slices =
        [64, 16_384].map(|slices| Case::new(format!("owner of a key among {slices} slices"), move || owner(slices)));
    picks.chain(others).chain(sheds).chain(slices).collect()
}

/// The slice and the owner of a key's point, in a table whose slices are of unlike length.
fn owner(slices: u64) -> Operation {
    let mut draw = Draw::seeded(7);
    let mut firsts: Vec<u64> = (1..slices).map(|_| draw.bits()).collect();
    firsts.push(0);
    firsts.sort_unstable();
    firsts.dedup();
    let slice = |(at, first): (usize, &u64)| {
        let last = firsts.get(at + 1).map_or(u64::MAX, |next| next - 1);
        let range = Range::new(Point(*first), Point(last)).expect("in order");
        let slice = Slice { range, owner: WorkerId(1), epoch: Epoch::FIRST, moving: None, sealed: false };
        (SliceId(at as u64), slice)
    };
    let table = Table::new(Revision(1), firsts.iter().enumerate().map(slice).collect()).expect("they tile the space");
    let mut point = 0_u64;
    Box::new(move || {
        // By the golden ratio: all over the space, and no two near each other.
        point = point.wrapping_add(0x9E37_79B9_7F4A_7C15);
        _ = black_box(table.look_up(Point(point)));
    })
}

/// A request through a worker's gate, or one that finds no room there and waits in vain.
fn shed(full: bool) -> Operation {
    let limit = LimitConfig::fixed(8).expect("a limit");
    let mut shedder = Shedder::new(if full { ShedConfig::default().with_limit(limit) } else { ShedConfig::default() });
    let (mut now, mut turns) = (START, Vec::with_capacity(8));
    if full {
        (0..8).for_each(|_| _ = black_box(shedder.arrive(now, Request::default(), &mut turns)));
    }
    Box::new(move || {
        now = now + Span::from_micros(50);
        match shedder.arrive(now, Request::default(), &mut turns) {
            Verdict::Admit => {
                let served = Served { began: now, took: Span::from_millis(5), how: Ended::Answered };
                shedder.leave(now, served, &mut turns);
            }
            Verdict::Wait { ticket, .. } => _ = black_box(shedder.give_up(now, ticket)),
            Verdict::Shed(shed) => _ = black_box(shed),
        }
        turns.clear();
    })
}

/// Workers in the middle of their work: some requests in flight, measured, reporting, unlike in weight.
fn pool(policy: PickPolicy, workers: u32) -> PoolView {
    let mut draw = Draw::seeded(5);
    let worker = |id: u32| {
        let cells = Cells::new(1);
        (0..20).for_each(|_| cells.load.observe(START, Span::from_millis(5), Outcome::Good));
        (0..draw.below(8)).for_each(|_| cells.load.begin());
        WorkerView {
            id: WorkerId(id),
            name: format!("http://10.0.0.{id}:80").into(),
            url: "http://10.0.0.1:80".into(),
            address: Address::Ip(SocketAddr::from(([10, 0, 0, 1], 80))),
            zone: "".into(),
            standing: Standing::Serving,
            cells: Arc::new(cells),
            drill: None,
        }
    };
    let workers: Vec<WorkerView> = (0..workers).map(worker).collect();
    let weights: Vec<f64> = workers.iter().map(|_| 1.0 + draw.unit() * 3.0).collect();
    let parts = PoolParts {
        id: PoolId(0),
        name: "api".into(),
        revision: 1,
        workers,
        pick: policy,
        learned: weights.clone(),
        fixed: weights,
        learned_share: Share::ALL,
        breaker: BreakerConfig::default(),
        budget: Arc::new(Budget::default()),
    };
    PoolView::new(parts, None)
}

fn pick(policy: PickPolicy, workers: u32) -> Operation {
    let pool = pool(policy, workers);
    let (mut picker, mut draw, mut clock) = (Picker::new(policy), Draw::seeded(1), Clock::default());
    Box::new(move || {
        let now = clock.tick(&pool);
        let key = Some(ring::key(&now.as_nanos().to_le_bytes()));
        let barred = Barred::default();
        let ask = Ask { now, pool: &pool, arm: Arm::Learned, weights: &pool.learned, barred: &barred, key, cost: None };
        black_box(picker.pick(black_box(&ask), &mut draw));
    })
}

fn admit(open: usize) -> Operation {
    let pool = pool(PickPolicy::P2c, 16);
    let (mut breakers, mut draw) = (Breakers::new(0), Draw::seeded(1));
    breakers.admit(START, &pool, Arm::Learned, false, &mut draw);
    for slot in 0..open {
        for _ in 0..5 {
            let failed = Outcome::Failed { price: FAILURE_PRICE };
            breakers.outcome(START, slot, pool.workers[slot].id, None, failed, &mut draw);
        }
    }
    Box::new(move || {
        let probe = breakers.admit(black_box(START), &pool, Arm::Learned, true, &mut draw);
        black_box((probe, breakers.kept_out()));
    })
}

/// Everything that may act is on, and nothing has to.
fn hedged() -> AttemptConfig {
    let hedge = HedgeConfig { mode: Mode::On, ..HedgeConfig::default() };
    let chances = Chances { resend: Mode::On, answers: Mode::On, hedge, ..Chances::default() };
    AttemptConfig { chances, ..AttemptConfig::default() }
}

/// A plain request: one try, one answer.
fn attempt(config: AttemptConfig) -> Operation {
    let pool = pool(PickPolicy::Prequal, 16);
    let (mut seat, mut clock) = (Seat::new(0, PickPolicy::Prequal, 1), Clock::default());
    Box::new(move || {
        let now = clock.tick(&pool);
        let asked = Asked { copies: Copies::Any, ..Asked::default() };
        let (mut attempt, mut effects) = (Attempt::new(now, &config, asked), Effects::new());
        let mut desk = Desk { pool: &pool, seat: &mut seat };
        attempt.on(now, Event::Start, &mut desk, &mut effects);
        attempt.on(now, Event::Head(TryId(0), Head::Good), &mut desk, &mut effects);
        black_box(&effects);
    })
}

/// 50,000 requests a second; each time one worker reports, as it would with an answer.
#[derive(Default)]
struct Clock {
    ticks: u64,
}

impl Clock {
    fn tick(&mut self, pool: &PoolView) -> Mono {
        self.ticks += 1;
        let now = START + Span::from_micros(20 * self.ticks);
        #[expect(clippy::cast_possible_truncation, reason = "a slot")]
        let worker = &pool.workers[(self.ticks % pool.workers.len() as u64) as usize];
        let (in_flight, p50, limit) = (Some(5), Some(Span::from_millis(5)), Some(8));
        let report = Report { in_flight, p50, limit, ..Report::default() };
        worker.cells.load.hear(now, &report);
        now
    }
}

const START: Mono = Mono::from_nanos(1_000_000_000);
