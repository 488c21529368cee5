//! One try in flight, as its worker's live numbers see it: begun once, ended once, whatever happens between.
//!
//! The flight lasts until the answer's body has ended or was dropped, because a worker is busy until then. Latency is
//! taken at the head. A flight that is dropped before its head (client gone, another try won) still says that the
//! worker took at least this long; otherwise giving up on slow workers would hide that they are slow.

use std::sync::Arc;

use ambidex_core::cost::{Costing, Costs};
use ambidex_core::load::{Cells, FAILURE_PRICE, Outcome};
use ambidex_core::stats::histogram::Lack;
use ambidex_core::time::{Mono, Span};

use crate::clock::Clock;

/// Counts one try of a worker for as long as it lives.
#[derive(Debug)]
pub struct Flight {
    cells: Arc<Cells>,
    clock: Clock,
    seat: usize,
    begun: Mono,
    waiting: bool,
    /// Its head said that all is well, and its body has not belied that.
    good: bool,
    lack: Option<Lack>,
    /// What it costs, where its pool minds that.
    work: Option<Box<(Arc<Costs>, Costing)>>,
}

impl Flight {
    /// A try that begins at `now`, counted by the tally of `seat`.
    #[must_use]
    pub fn begin(cells: Arc<Cells>, clock: Clock, seat: usize, now: Mono) -> Self {
        cells.load.begin();
        cells.tally(seat).start();
        Self { cells, clock, seat, begun: now, waiting: true, good: false, lack: None, work: None }
    }

    /// The same of a request that costs so much.
    #[must_use]
    pub fn costing(mut self, costs: Arc<Costs>, costing: Costing) -> Self {
        self.cells.load.begin_work(costing);
        self.work = Some(Box::new((costs, costing)));
        self
    }

    /// Says how the failure that is about to be recorded came.
    pub fn lacks(&mut self, lack: Lack) {
        self.lack = Some(lack);
    }

    /// Records how the wait for the head ended. Only the first call counts.
    pub fn ended(&mut self, now: Mono, outcome: Outcome) {
        if !std::mem::take(&mut self.waiting) {
            return;
        }
        let took = self.took(now);
        self.good = outcome == Outcome::Good;
        self.cells.load.observe(now, self.in_mean_requests(took), outcome);
        if let (Some(work), Outcome::Good) = (&self.work, outcome) {
            work.0.answered(work.1, took);
        }
        match outcome {
            Outcome::Good => self.cells.tally(self.seat).answer(took),
            Outcome::Failed { .. } | Outcome::Full { .. } => self.cells.tally(self.seat).fail_by(self.lack),
            Outcome::Cancelled => {}
        }
    }

    /// Ends the wait for the head without a word on the worker: its client was waited for.
    pub fn void(&mut self) {
        self.waiting = false;
    }

    /// Records that the worker broke its answer off after the head. One that failed by its head has failed once.
    pub fn broke_off(&mut self) {
        if !std::mem::take(&mut self.good) {
            return;
        }
        let now = self.clock.now();
        self.cells.load.observe(now, self.in_mean_requests(self.took(now)), Outcome::Failed { price: FAILURE_PRICE });
        self.cells.tally(self.seat).break_off();
    }

    /// What a mean request would have taken where this one took so long: what is compared between workers.
    fn in_mean_requests(&self, took: Span) -> Span {
        match &self.work {
            Some(work) => Span::from_secs_f64(took.as_secs_f64() / work.1.cost()),
            None => took,
        }
    }

    /// The worker's live numbers.
    #[must_use]
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// How long the try has lasted at `now`.
    #[must_use]
    pub fn took(&self, now: Mono) -> Span {
        now.since(self.begun)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.waiting {
            self.ended(self.clock.now(), Outcome::Cancelled);
        }
        if let Some(work) = &self.work {
            self.cells.load.end_work(work.1);
        }
        self.cells.load.end();
    }
}
