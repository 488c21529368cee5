//! One thread's router of one keyspace: core's machine, and what performs its effects.
//!
//! ```text
//!   Shell::ask ──> Waiting (the request's own: what it is told to do next; dropped, its place is given up)
//!   tend       a task of the thread: tells the machine of tables, and of its deadlines
//! ```
//! A request drives its own tries, in its own task; the machine only says when. So a router needs no task for each request, and
//! nothing of it is shared between threads but the table.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ambidex_core::shard::holder::Ticket;
use ambidex_core::shard::router::{Answer, Asked, Effect, Event, Refusal, Router, RouterConfig, Way};
use ambidex_core::time::Mono;
use ambidex_core::view::PoolView;
use ambidex_core::worker::WorkerId;
use ambidex_tower::{Clock, Timer as _};
use tokio::sync::{Notify, watch};

use super::keyed::Keyed;
use super::owners::Owners;
use super::tables::{Place, TableUpdate};
use crate::alarms::Alarms;
use crate::stats::ThreadStats;

/// One thread's router of one keyspace.
pub(crate) struct Shell {
    place: Arc<Place>,
    config: RouterConfig,
    clock: Clock,
    stats: Arc<ThreadStats>,
    /// None until a table was shown.
    router: RefCell<Option<Router>>,
    /// The table that the machine was shown last.
    update: RefCell<Option<Arc<TableUpdate>>>,
    owners: RefCell<Option<Owners>>,
    seats: RefCell<BTreeMap<Ticket, Seat>>,
    next: Cell<u64>,
    /// What the machine's last call left to be done; kept for its memory.
    effects: RefCell<Vec<Effect>>,
    /// When `tend` wakes by itself.
    armed: Cell<Option<Mono>>,
    /// Wakes `tend`: a deadline that is earlier, or the end.
    bell: Rc<Notify>,
    /// What of this shell stands in the thread's gauges.
    waiting: Cell<(u64, u64)>,
}

#[derive(Default)]
struct Seat {
    order: Option<Order>,
    waker: Option<Waker>,
}

/// What a request is told to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Go there, and say how it went.
    Send {
        /// Which of its tries this is, from 0.
        hop: u32,
        /// Where.
        way: Way,
    },
    /// Tell its client that there is no answer.
    Refuse(Refusal),
}

/// A request in a router. Dropped, it gives up its place.
pub(crate) struct Waiting {
    shell: Rc<Shell>,
    ticket: Ticket,
    over: bool,
}

impl Shell {
    /// A router that goes by the table of now, with its task begun. To be called on its thread.
    pub(crate) fn start(keyed: &Keyed, clock: Clock, alarms: &Alarms, stats: &Arc<ThreadStats>) -> Rc<Self> {
        let shell = Rc::new(Self {
            place: Arc::clone(&keyed.place),
            config: keyed.router,
            clock,
            stats: Arc::clone(stats),
            router: RefCell::default(),
            update: RefCell::default(),
            owners: RefCell::default(),
            seats: RefCell::default(),
            next: Cell::new(0),
            effects: RefCell::default(),
            armed: Cell::new(None),
            bell: Rc::default(),
            waiting: Cell::default(),
        });
        let mut tables = keyed.place.watch();
        shell.show(tables.borrow_and_update().clone());
        tokio::task::spawn_local(tend(Rc::downgrade(&shell), tables, alarms.clone(), Rc::clone(&shell.bell)));
        shell
    }

    /// Whether it is the one that these settings want.
    pub(crate) fn is_of(&self, keyed: &Keyed) -> bool {
        self.is_at(keyed) && self.config == keyed.router
    }

    /// Whether it is of the same keyspace.
    pub(crate) fn is_at(&self, keyed: &Keyed) -> bool {
        Arc::ptr_eq(&self.place, &keyed.place)
    }

    /// Has a request routed; none while there is no table.
    pub(crate) fn ask(self: &Rc<Self>, asked: Asked) -> Option<Waiting> {
        if self.router.borrow().is_none() {
            self.place.want();
            return None;
        }
        let ticket = Ticket(self.next.get());
        self.next.set(ticket.0 + 1);
        self.seats.borrow_mut().insert(ticket, Seat::default());
        let waiting = Waiting { shell: Rc::clone(self), ticket, over: false };
        self.on(Event::Asked(ticket, asked));
        if waiting.peek().is_none() {
            self.stats.keyed.waited.add(1);
        }
        Some(waiting)
    }

    /// The slot of an owner in this view of the pool.
    pub(crate) fn slot(&self, pool: &Arc<PoolView>, owner: WorkerId) -> Option<usize> {
        let update = self.update.borrow();
        let update = update.as_ref()?;
        let mut owners = self.owners.borrow_mut();
        if !owners.as_ref().is_some_and(|owners| owners.are_of(pool, update)) {
            *owners = Some(Owners::of(pool, update));
        }
        owners.as_ref()?.slot(owner)
    }

    fn show(&self, update: Option<Arc<TableUpdate>>) {
        let Some(update) = update else { return };
        let table = update.table.clone();
        let same_map = self.update.borrow().as_ref().is_some_and(|before| before.map == update.map);
        self.update.replace(Some(update));
        if self.router.borrow().is_none() {
            self.router.replace(Some(Router::new(self.config, table)));
        } else if same_map {
            self.on(Event::Shown(table));
        } else {
            tracing::warn!(keyspace = %self.place.name(), "another map is shown: what was known of slices is void");
            self.on(Event::Replaced(table));
        }
    }

    /// Tells the machine what happened, and does what it says. Requests are woken, not run: nothing comes back in here.
    fn on(&self, event: Event) {
        let mut effects = self.effects.take();
        let (due, waiting) = {
            let mut router = self.router.borrow_mut();
            let Some(router) = router.as_mut() else { return };
            router.on(self.clock.now(), event, &mut effects);
            (router.deadline(), router.waiting())
        };
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { ticket, hop, way } => self.tell(ticket, Order::Send { hop, way }),
                Effect::Refuse(ticket, why) => self.tell(ticket, Order::Refuse(why)),
                // Whoever said that it is done has the answer in hand.
                Effect::Deliver(_) => {}
                Effect::Refresh => self.place.want(),
            }
        }
        self.effects.replace(effects);
        self.gauge(waiting.0 as u64, waiting.1);
        if due.is_some_and(|due| self.armed.get().is_none_or(|armed| due < armed)) {
            self.bell.notify_one();
        }
    }

    fn tell(&self, ticket: Ticket, order: Order) {
        if let Some(seat) = self.seats.borrow_mut().get_mut(&ticket) {
            seat.order = Some(order);
            if let Some(waker) = seat.waker.take() {
                waker.wake();
            }
        }
    }

    fn gauge(&self, requests: u64, bytes: u64) {
        let (before, bytes_before) = self.waiting.replace((requests, bytes));
        // Several shells of a thread share its gauges: each adds its own change, wrapping where that is negative.
        self.stats.keyed.waiting.add(requests.wrapping_sub(before));
        self.stats.keyed.waiting_bytes.add(bytes.wrapping_sub(bytes_before));
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.gauge(0, 0);
        self.bell.notify_one();
    }
}

impl Waiting {
    /// What is to be done next.
    pub(crate) fn poll_order(&self, cx: &mut Context<'_>) -> Poll<Order> {
        let mut seats = self.shell.seats.borrow_mut();
        let seat = seats.entry(self.ticket).or_default();
        match seat.order.take() {
            Some(order) => Poll::Ready(order),
            None => {
                seat.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits for what is to be done next.
    pub(crate) async fn order(&self) -> Order {
        poll_fn(|cx| self.poll_order(cx)).await
    }

    /// Says how a try went that is to be followed by another one, or by a refusal.
    pub(crate) fn failed(&self, hop: u32, answer: Answer) {
        self.shell.on(Event::Answered { ticket: self.ticket, hop, answer });
    }

    /// The client gets what the last try brought.
    pub(crate) fn done(mut self, hop: u32) {
        self.over = true;
        self.shell.on(Event::Answered { ticket: self.ticket, hop, answer: Answer::Done });
    }

    /// The URL of an owner, as the table has it.
    pub(crate) fn address(&self, owner: WorkerId) -> Option<String> {
        let update = self.shell.update.borrow();
        update.as_ref()?.workers.get(&owner).map(|place| place.address.clone())
    }

    /// Where an owner is.
    pub(crate) fn slot(&self, pool: &Arc<PoolView>, owner: WorkerId) -> Option<usize> {
        self.shell.slot(pool, owner)
    }

    fn peek(&self) -> Option<Order> {
        self.shell.seats.borrow().get(&self.ticket).and_then(|seat| seat.order)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shell.seats.borrow_mut().remove(&self.ticket);
        if !self.over {
            self.shell.on(Event::Gone(self.ticket));
        }
    }
}

/// Tells the machine of tables and of its deadlines, for as long as there is one.
async fn tend(
    shell: Weak<Shell>,
    mut tables: watch::Receiver<Option<Arc<TableUpdate>>>,
    alarms: Alarms,
    bell: Rc<Notify>,
) {
    enum Woken {
        Table(bool),
        Due,
        Bell,
    }
    loop {
        let due = {
            let Some(shell) = shell.upgrade() else { return };
            let due = shell.router.borrow().as_ref().and_then(Router::deadline);
            shell.armed.set(due);
            due
        };
        let woken = {
            let (mut changed, mut rang) = (pin!(tables.changed()), pin!(bell.notified()));
            let mut alarm = pin!(due.map(|due| alarms.at(due)));
            poll_fn(|cx| {
                if let Poll::Ready(alive) = changed.as_mut().poll(cx) {
                    return Poll::Ready(Woken::Table(alive.is_ok()));
                }
                if rang.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Woken::Bell);
                }
                match alarm.as_mut().as_pin_mut() {
                    Some(alarm) => alarm.poll(cx).map(|()| Woken::Due),
                    None => Poll::Pending,
                }
            })
            .await
        };
        let Some(shell) = shell.upgrade() else { return };
        match woken {
            Woken::Table(true) => {
                let update = tables.borrow_and_update().clone();
                shell.show(update);
            }
            // Nobody shows tables any more: the process ends.
            Woken::Table(false) => return,
            Woken::Due => shell.on(Event::Due),
            Woken::Bell => {}
        }
    }
}
