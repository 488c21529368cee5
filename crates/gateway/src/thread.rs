//! What one serving thread keeps: its seats at the pools, its connections to workers, its alarms and counters.
//!
//! Nothing here is shared with another thread but the view and the front, which are read, and the counters, which
//! others read. So a request takes no lock.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use ambidex_core::attempt::Seat;
use ambidex_core::draw::Draw;
use ambidex_core::guard::ejection::Told;
use ambidex_core::stats::frequent::Frequent;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::{PoolView, View};
use ambidex_core::worker::PoolId;
use ambidex_redis::link::{Link, Target};
use ambidex_tower::{Clock, Timer as _};
use ambidex_wire::report::Arrived;
use arc_swap::ArcSwap;

use crate::admission::Admission;
use crate::alarms::Alarms;
use crate::buffers::{self, Buffers, Lists, Texts};
use crate::by_worker::ByWorker;
use crate::front::Front;
use crate::gateway::Shared;
use crate::places::Places;
use crate::repair::Repairs;
use crate::report::Heard;
use crate::shard::keyed::Keyed;
use crate::shard::shell::Shell;
use crate::splice::Pipes;
use crate::stats::ThreadStats;
use crate::stores::Stores;
use crate::upstream::Pool;
use crate::watch::Observer;

/// One serving thread.
pub(crate) struct Thread {
    pub(crate) seat: usize,
    pub(crate) clock: Clock,
    pub(crate) alarms: Alarms,
    pub(crate) pool: Pool,
    /// What answers and uploads are read into.
    pub(crate) buffers: Buffers,
    /// What clients' heads are read into.
    pub(crate) heads: Buffers,
    pub(crate) texts: Texts,
    pub(crate) lists: Lists,
    /// Of requests of HTTP/1 under way.
    pub(crate) places: Rc<Places>,
    /// Of those of HTTP/2.
    pub(crate) streams: Rc<Places>,
    pub(crate) pipes: Rc<Pipes>,
    pub(crate) repairs: Repairs,
    /// Long answers that are read to their ends for a comparison alone.
    pub(crate) drains: Rc<Cell<usize>>,
    pub(crate) stats: Arc<ThreadStats>,
    pub(crate) observer: RefCell<Option<Rc<Observer>>>,
    shared: Shared,
    front: Arc<ArcSwap<Front>>,
    now: RefCell<Rc<Picture>>,
    seats: RefCell<Vec<(PoolId, Rc<RefCell<Seat>>)>>,
    draw: RefCell<Draw>,
    /// Connections to agents before instances of Redis, by URL.
    links: RefCell<BTreeMap<String, Link>>,
    /// The routers of keyspaces.
    shells: RefCell<Vec<Rc<Shell>>>,
    /// Of routes, by number, that want to know which keys come most often.
    keys: RefCell<BTreeMap<usize, Box<Frequent>>>,
    reported: RefCell<ByWorker<Mono>>,
    pub(crate) heard: RefCell<ByWorker<Heard>>,
}

/// View and front as one request sees them, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) view: Arc<View>,
    pub(crate) front: Arc<Front>,
}

impl Thread {
    /// A thread's state, with its housekeeping begun. To be called on that thread, inside its local runtime. `seed`
    /// must differ between threads and starts: ids of requests come from it.
    pub(crate) fn start(
        seat: usize,
        shared: Shared,
        front: Arc<ArcSwap<Front>>,
        stats: Arc<ThreadStats>,
        seed: u64,
    ) -> Rc<Self> {
        let picture = Picture { view: shared.view.load_full(), front: front.load_full() };
        let clock = shared.clock;
        let thread = Rc::new(Self {
            seat,
            clock,
            alarms: Alarms::new(clock),
            pool: Pool::default(),
            buffers: Buffers::of(buffers::SIZE),
            heads: Buffers::of(buffers::HEAD),
            texts: Texts::default(),
            lists: Lists::default(),
            places: Rc::default(),
            streams: Rc::default(),
            pipes: Rc::default(),
            repairs: Repairs::default(),
            drains: Rc::default(),
            stats,
            observer: RefCell::default(),
            shared,
            front,
            now: RefCell::new(Rc::new(picture)),
            seats: RefCell::default(),
            draw: RefCell::new(Draw::seeded(seed)),
            links: RefCell::default(),
            shells: RefCell::default(),
            keys: RefCell::default(),
            reported: RefCell::default(),
            heard: RefCell::default(),
        });
        tokio::task::spawn_local(thread.alarms.clone().ring());
        let weak = Rc::downgrade(&thread);
        tokio::task::spawn_local(async move {
            while let Some(thread) = weak.upgrade() {
                let pause = thread.alarms.at(thread.clock.now() + SWEEP);
                thread.sweep();
                drop(thread);
                pause.await;
            }
        });
        thread
    }

    /// What the process keeps beside its traffic.
    pub(crate) fn stores(&self) -> &Stores {
        &self.shared.stores
    }

    /// Changes who is told of finished requests.
    pub(crate) fn watch(&self, observer: Option<Rc<Observer>>) {
        self.observer.replace(observer);
    }

    /// View and front of this moment.
    pub(crate) fn picture(&self) -> Rc<Picture> {
        let mut now = self.now.borrow_mut();
        // `load` is two atomic operations on the thread's own slot; the pointers tell whether anything changed.
        let (view, front) = (self.shared.view.load(), self.front.load());
        if !Arc::ptr_eq(&now.view, &view) || !Arc::ptr_eq(&now.front, &front) {
            *now = Rc::new(Picture { view: Arc::clone(&view), front: Arc::clone(&front) });
        }
        Rc::clone(&now)
    }

    /// This thread's seat at a pool.
    pub(crate) fn seat_at(&self, pool: &PoolView) -> Rc<RefCell<Seat>> {
        let mut seats = self.seats.borrow_mut();
        if let Some((_, seat)) = seats.iter().find(|(id, _)| *id == pool.id) {
            return Rc::clone(seat);
        }
        let seat = Seat::new(self.seat, pool.pick, self.draw.borrow_mut().bits());
        let seat = Rc::new(RefCell::new(seat));
        seats.push((pool.id, Rc::clone(&seat)));
        seat
    }

    /// This thread's router of a keyspace, made when it is asked for first. One whose settings have changed is let go: what it holds goes on.
    pub(crate) fn shell(&self, keyed: &Keyed) -> Rc<Shell> {
        let mut shells = self.shells.borrow_mut();
        if let Some(shell) = shells.iter().find(|shell| shell.is_of(keyed)) {
            return Rc::clone(shell);
        }
        shells.retain(|shell| !shell.is_at(keyed));
        let shell = Shell::start(keyed, self.clock, &self.alarms, &self.stats);
        shells.push(Rc::clone(&shell));
        shell
    }

    /// This thread's connection to an agent, begun when it is asked for first.
    pub(crate) fn link(&self, url: &str, target: impl FnOnce(&str) -> Target) -> Link {
        let mut links = self.links.borrow_mut();
        if let Some(link) = links.get(url) {
            return link.clone();
        }
        // Those of owners that are no more are let go with the others: they are made again when they are wanted.
        if links.len() >= MOST_LINKS {
            links.clear();
        }
        let link = Link::start(target(url));
        links.insert(url.to_owned(), link.clone());
        link
    }

    /// 128 even bits, for the id of a request.
    pub(crate) fn id(&self) -> u128 {
        let mut draw = self.draw.borrow_mut();
        (u128::from(draw.bits()) << 64) | u128::from(draw.bits())
    }

    /// 64 even bits, for the id of a span.
    pub(crate) fn span_id(&self) -> [u8; 8] {
        self.draw.borrow_mut().bits().to_be_bytes()
    }

    /// What is asked whether a request is to be served, if anything is.
    pub(crate) fn admission(&self) -> Option<&dyn Admission> {
        self.shared.admission.as_deref()
    }

    /// Lends the sketch of a route's keys. Its seed is one that nobody outside can aim at.
    pub(crate) fn keys_of<R>(&self, route: usize, use_it: impl FnOnce(&mut Frequent) -> R) -> R {
        let mut keys = self.keys.borrow_mut();
        use_it(keys.entry(route).or_insert_with(|| Box::new(Frequent::new(self.draw.borrow_mut().bits()))))
    }

    /// An even draw from `[0, 1)`.
    pub(crate) fn unit(&self) -> f64 {
        self.draw.borrow_mut().unit()
    }

    /// Passes a report on to the coordinator, at most one of each worker in [`REPORT_EVERY`].
    pub(crate) fn report(&self, arrived: Arrived) {
        let mut reported = self.reported.borrow_mut();
        let last = reported.get(&arrived.worker).copied();
        if last.is_none_or(|last| arrived.at.since(last) >= REPORT_EVERY) {
            reported.insert(arrived.worker, arrived.at);
            // A full channel means that the coordinator is behind; the next report is as good as this one.
            let _ = self.shared.reports.try_send(arrived);
        }
    }

    /// Hands over what breakers did since the last look. What finds no place waits for the next look.
    fn tell_of_breakers(&self) {
        for (pool, seat) in &*self.seats.borrow() {
            while let Ok(place) = self.shared.transitions.try_reserve()
                && let Some(transition) = seat.borrow_mut().take_transition()
            {
                place.send(Told { pool: *pool, seat: self.seat, transition });
            }
        }
    }

    fn sweep(&self) {
        let picture = self.picture();
        let now = self.clock.now();
        self.pool.sweep(&picture.view, now);
        self.pipes.sweep();
        self.tell_of_breakers();
        self.seats.borrow_mut().retain(|(id, _)| picture.view.pool(*id).is_some());
        self.reported.borrow_mut().retain(|_, at| now.since(*at) < REPORT_EVERY.times(10));
        self.heard.borrow_mut().retain(|worker, _| self.reported.borrow().contains_key(worker));
    }
}

impl std::fmt::Debug for Thread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Thread").field("seat", &self.seat).finish_non_exhaustive()
    }
}

/// Connections to agents. Source: ours; more than a pool of instances has.
const MOST_LINKS: usize = 1_024;
/// How often idle connections are looked at. Source: half of the least that a user would notice of a drained worker.
const SWEEP: Span = Span::from_millis(500);
/// How often one worker's report is passed on by one thread. Source: balancing.md "Reports" (ten a tick).
const REPORT_EVERY: Span = Span::from_millis(100);
