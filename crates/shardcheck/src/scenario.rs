//! What a seed says of a history: how many take part, and what goes wrong when.

use ambidex_core::draw::Draw;
use ambidex_core::time::{Mono, Span};

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// The metadata store.
    Store,
    /// A coordinator.
    Coordinator(usize),
    /// A worker.
    Worker(usize),
    /// A router.
    Router(usize),
    /// A client, the last one being who looks whether everything is served again. Nothing happens to them.
    Client(usize),
    /// What makes faults.
    Nature,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A process dies, and comes back at the end.
    Crash(Node),
    /// A process stands still, and goes on at the end.
    Stall(Node),
    /// Nothing gets from one to the other.
    Cut(Node, Node),
    /// Messages are lost and doubled.
    Lossy,
    /// Messages take long, so that they overtake each other.
    Slow,
    /// A worker dies when it has answered a coordinator, once in six times, before it does anything else; it comes back at the end.
    Answered(usize),
    /// A worker's disk takes long.
    SlowDisk(usize),
    /// A worker's disk loses entries of what it stages, and says nothing.
    Torn(usize),
}

/// A history's plan.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// It.
    pub seed: u64,
    /// For everything that is drawn later.
    pub draw: Draw,
    /// What goes wrong, from when to when.
    pub faults: Vec<(Mono, Mono, Fault)>,
    /// When the last fault is over.
    pub calm: Mono,
    /// How many of a hundred ticks of a leader begin something.
    pub eagerness: usize,
    /// Whether a worker that has nothing is taken out.
    pub leaving: bool,
    /// How long a source keeps what it handed over.
    pub rest: Span,
}

/// How many coordinators there are.
pub const COORDINATORS: usize = 2;
/// How many workers there are.
pub const WORKERS: usize = 3;
/// How many routers there are.
pub const ROUTERS: usize = 2;
/// How many clients there are.
pub const CLIENTS: usize = 3;
/// How many keys there are.
pub const KEYS: usize = 5;

impl Scenario {
    /// Of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw::seeded(seed ^ 0x5eed_5a17_0000_0000);
        let calm = Mono::from_nanos(0) + Span::from_millis(2_000 + draw.below(1_500) as u64);
        let count = draw.below(8);
        let mut faults: Vec<_> = (0..count).flat_map(|_| fault(&mut draw, calm)).collect();
        let rest = Span::from_millis(if draw.below(2) == 0 { 100 } else { 650 });
        let eagerness = 30 + draw.below(60);
        let leaving = draw.below(3) == 0;
        if leaving {
            // Who stands still while another one lets a worker go must not give it anything afterwards.
            let begin = Mono::default() + Span::from_millis(200 + draw.below(600) as u64);
            let end = begin + Span::from_millis(800 + draw.below(1_000) as u64);
            faults.push((begin, end.min(calm), Fault::Stall(Node::Coordinator(draw.below(COORDINATORS)))));
        }
        Self { seed, draw, faults, calm, eagerness, leaving, rest }
    }
}

/// Something that goes wrong: at times in two ways at once, of which each alone would do no harm.
fn fault(draw: &mut Draw, calm: Mono) -> Vec<(Mono, Mono, Fault)> {
    let begin = Mono::from_nanos(draw.bits() % calm.as_nanos());
    let lasts = Span::from_millis(50 + draw.below(1_600) as u64);
    let end = (begin + lasts).min(calm);
    let fault = match draw.below(11) {
        0 | 1 => Fault::Crash(node(draw)),
        2 => Fault::Stall(node(draw)),
        3 => Fault::Stall(Node::Coordinator(draw.below(COORDINATORS))),
        4 => Fault::Cut(node(draw), node(draw)),
        // A router that hears nothing of the store, and goes on by what it knows.
        5 => Fault::Cut(Node::Store, Node::Router(draw.below(ROUTERS))),
        6 => Fault::Lossy,
        7 => Fault::Slow,
        8 => {
            let worker = draw.below(WORKERS);
            let mut faults = vec![(begin, end, Fault::SlowDisk(worker))];
            if draw.below(2) == 0 {
                // What was not durable yet is gone.
                let middle = begin + Span::from_nanos(end.since(begin).as_nanos() / 2);
                faults.push((middle, end, Fault::Crash(Node::Worker(worker))));
            }
            return faults;
        }
        9 => Fault::Answered(draw.below(WORKERS)),
        _ => Fault::Torn(draw.below(WORKERS)),
    };
    vec![(begin, end, fault)]
}

fn node(draw: &mut Draw) -> Node {
    match draw.below(8) {
        0 => Node::Store,
        1 | 2 => Node::Coordinator(draw.below(COORDINATORS)),
        3..=5 => Node::Worker(draw.below(WORKERS)),
        _ => Node::Router(draw.below(ROUTERS)),
    }
}
