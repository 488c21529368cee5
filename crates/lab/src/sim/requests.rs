//! Requests under way, in places that are used again.

use ambidex_core::attempt::{Attempt, Head, TryId};
use ambidex_core::balance::{MOST_TRIES, Pick};
use ambidex_core::cost::Costing;
use ambidex_core::time::Mono;
use arrayvec::ArrayVec;

use super::due::NEVER;
use crate::worker::processor::Ticket;

/// A request under way.
#[derive(Debug)]
pub(super) struct Request<'c> {
    pub(super) attempt: Attempt<'c>,
    pub(super) due: Mono,
    pub(super) gateway: u32,
    pub(super) seat: u32,
    pub(super) class: u32,
    /// How many times a worker's service time it costs.
    pub(super) cost: f64,
    /// The same as its gateway has learned it, where that tells classes apart.
    pub(super) costing: Option<Costing>,
    pub(super) tries: ArrayVec<Try, MOST_TRIES>,
    /// When its machine is to be called next, as far as an alarm is set; [`NEVER`] without one.
    pub(super) alarm: u64,
}

/// One worker asked once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Try {
    /// Whom it was sent to, and why.
    pub(super) pick: Pick,
    pub(super) begun: Mono,
    pub(super) stage: Stage,
}

/// Where a try stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// At its worker.
    Running,
    /// Its worker has answered, and the answer is on its way from another zone.
    OnItsWay,
    /// Answered so; `broken`: the answer broke off.
    Answered {
        /// What its head said.
        head: Head,
        /// Whether it broke off.
        broken: bool,
    },
    /// Nothing more comes of it.
    Over,
}

/// All requests under way.
#[derive(Debug)]
pub(super) struct Requests<'c> {
    places: Vec<Place<'c>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<'c> {
    /// Grows with each request that has it.
    turn: u32,
    request: Option<Request<'c>>,
}

/// Names a request, also after its end: then it is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RequestId {
    pub(super) place: u32,
    pub(super) turn: u32,
}

impl<'c> Requests<'c> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    pub(super) fn add(&mut self, request: Request<'c>) -> RequestId {
        if let Some(place) = self.free.pop() {
            let known = &mut self.places[place as usize];
            known.request = Some(request);
            return RequestId { place, turn: known.turn };
        }
        let place = u32::try_from(self.places.len()).expect("under 2^32 requests at once fit into memory");
        self.places.push(Place { turn: 0, request: Some(request) });
        RequestId { place, turn: 0 }
    }

    /// The request of this name, while it is under way.
    pub(super) fn get(&mut self, id: RequestId) -> Option<&mut Request<'c>> {
        let place = &mut self.places[id.place as usize];
        if place.turn == id.turn { place.request.as_mut() } else { None }
    }

    /// The request in a place.
    pub(super) fn at(&mut self, place: u32) -> Option<(RequestId, &mut Request<'c>)> {
        let Place { turn, request } = &mut self.places[place as usize];
        let turn = *turn;
        request.as_mut().map(|request| (RequestId { place, turn }, request))
    }

    /// Takes a request that has ended out.
    pub(super) fn remove(&mut self, id: RequestId) {
        let place = &mut self.places[id.place as usize];
        if place.turn == id.turn && place.request.is_some() {
            // Not taken out: it is large, and nobody wants it any more.
            place.request = None;
            place.turn = place.turn.wrapping_add(1);
            self.free.push(id.place);
        }
    }

    /// How many are under way.
    pub(super) fn under_way(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl Request<'_> {
    /// Whether an alarm for this time is the one that is set; then it is set no more.
    pub(super) fn take_alarm(&mut self, at: u64) -> bool {
        let is_ours = self.alarm == at;
        if is_ours {
            self.alarm = NEVER;
        }
        is_ours
    }
}

/// What a worker calls a try. A try is over at its worker before its request's place is used again.
pub(super) fn ticket(id: RequestId, number: TryId) -> Ticket {
    u64::from(id.place) << 8 | u64::from(number.0)
}

/// The place and the try that a worker speaks of.
#[expect(clippy::cast_possible_truncation, reason = "as `ticket` put them together")]
pub(super) const fn of_ticket(ticket: Ticket) -> (u32, TryId) {
    ((ticket >> 8) as u32, TryId(ticket as u8))
}
