//! Where the next try of a request goes, while its route's fallback chain has its turn.
//!
//! ```text
//! home pool ── fall(zone) ── the same pool, one zone of it
//!          ├── fall(pool) ── another pool: its way, its seat
//!          ├── fall(path) ── the same pool, another question
//!          └── fall(snapshot), fall(static): served from here, nobody is asked
//! ```
//! A tier's change holds until the next one's: `path` goes back to the pool that the request is for.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use ambidex_core::attempt::Seat;
use ambidex_core::view::PoolView;
use ambidex_tower::{Fallen, Seats};

use crate::differ::{Comparison, Question};
use crate::extras::Extras;
use crate::head::query_of;
use crate::request::Request;
use crate::stored::Stored;
use crate::thread::{Picture, Thread};
use crate::tiers::TierWay;
use crate::upstream::Way;

/// What a request's second chances change.
pub(crate) struct Turn<'a> {
    pub(crate) extras: &'a Extras,
    picture: &'a Picture,
    home: &'a Arc<PoolView>,
    home_way: &'a Arc<Way>,
    way: Cell<&'a Arc<Way>>,
    seat: RefCell<Option<Rc<RefCell<Seat>>>>,
    path: RefCell<Option<String>>,
    tier: Cell<Option<&'a TierWay>>,
    served: RefCell<Option<Arc<Stored>>>,
    comparison: RefCell<Option<Rc<Comparison>>>,
}

impl<'a> Turn<'a> {
    /// A request of a route with `extras`, for the pool `home`, which `way` leads to.
    pub(crate) fn new(extras: &'a Extras, picture: &'a Picture, home: &'a Arc<PoolView>, way: &'a Arc<Way>) -> Self {
        Self {
            extras,
            picture,
            home,
            home_way: way,
            way: Cell::new(way),
            seat: RefCell::default(),
            path: RefCell::default(),
            tier: Cell::default(),
            served: RefCell::default(),
            comparison: RefCell::default(),
        }
    }

    /// How the workers of the present pool are reached.
    pub(crate) fn way(&self) -> &'a Arc<Way> {
        self.way.get()
    }

    /// The path and query that are asked for instead of the client's.
    pub(crate) fn path(&self) -> Option<String> {
        self.path.borrow().clone()
    }

    /// What an answer says of the tier at `place`, and how that one's workers are reached. Not those of the present tier:
    /// an answer that was kept may be of one that had its turn before.
    pub(crate) fn of(&self, place: u8) -> Option<(Cow<'a, str>, &'a Arc<Way>)> {
        let tier = self.extras.tiers.get(usize::from(place))?;
        let way = if let TierWay::Pool { way, .. } = tier { &self.picture.front.ways[*way] } else { self.home_way };
        Some((tier.says(), way))
    }

    /// What an answer from here says of the tier that has its turn.
    pub(crate) fn says(&self) -> Option<Cow<'a, str>> {
        self.tier.get().map(TierWay::says)
    }

    /// What serves instead of workers.
    pub(crate) fn take_served(&self) -> Option<Arc<Stored>> {
        self.served.take()
    }

    /// What is asked, for those who compare its answers.
    pub(crate) fn question(&self, thread: &Rc<Thread>, request: &Request, id: Option<&[u8; 32]>) -> Question {
        let hook = self.extras.quorum.as_ref().and_then(|quorum| quorum.repair.as_ref());
        Question::new(thread, self.home, hook, request, id)
    }

    /// The comparison of long answers, made when the first of them comes.
    pub(crate) fn comparison(&self, question: impl FnOnce() -> Question) -> Rc<Comparison> {
        Rc::clone(self.comparison.borrow_mut().get_or_insert_with(|| Comparison::new(question())))
    }

    /// Gives the tier at `place` its turn.
    pub(crate) fn fall(&self, place: u8, thread: &Thread, request: &Request) -> Fallen {
        let Some(tier) = self.extras.tiers.get(usize::from(place)) else { return Fallen::Missing };
        self.tier.set(Some(tier));
        self.path.take();
        match tier {
            TierWay::Zone(zone) => self.home.within(zone).map_or(Fallen::Missing, |view| self.at_home(Arc::new(view))),
            TierWay::Path(path) => {
                let query = query_of(&request.head).and_then(|query| str::from_utf8(query).ok());
                self.path.replace(Some(query.map_or_else(|| path.to_string(), |query| format!("{path}?{query}"))));
                self.at_home(Arc::clone(self.home))
            }
            TierWay::Pool { id, way, .. } => {
                let Some(pool) = self.picture.view.pool(*id) else { return Fallen::Missing };
                self.way.set(&self.picture.front.ways[*way]);
                self.seat.replace(Some(thread.seat_at(pool)));
                Fallen::Ready(Arc::clone(pool))
            }
            TierWay::Snapshot(snapshots) => self.serve(snapshots.find(&request.head, thread.clock.now())),
            TierWay::Static(fixed) => self.serve(Some(Arc::clone(fixed))),
        }
    }

    fn at_home(&self, pool: Arc<PoolView>) -> Fallen {
        self.seat.take();
        self.way.set(self.home_way);
        Fallen::Ready(pool)
    }

    fn serve(&self, stored: Option<Arc<Stored>>) -> Fallen {
        let served = stored.is_some();
        self.served.replace(stored);
        if served { Fallen::Served } else { Fallen::Missing }
    }
}

/// The seat that the present pool is asked from.
pub(crate) struct Sitting<'a> {
    pub(crate) home: &'a RefCell<Seat>,
    pub(crate) turn: Option<&'a Turn<'a>>,
}

impl Seats for Sitting<'_> {
    fn with<R>(&self, use_it: impl FnOnce(&mut Seat) -> R) -> R {
        let away = self.turn.and_then(|turn| turn.seat.borrow().clone());
        match away {
            Some(seat) => use_it(&mut seat.borrow_mut()),
            None => use_it(&mut self.home.borrow_mut()),
        }
    }
}
