//! A client of a pool: a `tower::Service` that sends each request to one of several workers, with the gateway's own
//! picks, breakers, hedges, quorum reads and retries.
//!
//! ```text
//! request -> body read ahead, as far as it is there -> Driver::drive ── a pick ── the picked worker's own service
//!                                                                                    |  hyper, reqwest, tonic, ..
//! answer  <- body that keeps its worker's numbers true until it ends  <──────────────┘
//! ```
//! One service for each worker, made by a function of the caller's, so that connections, TLS and name lookup stay with
//! the library that the caller already uses. All settings are those of core, which the gateway reads from its file.

mod answer;
mod asking;
mod kept;
mod reading;
mod workers;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use ambidex_core::again::budget::BudgetConfig;
use ambidex_core::attempt::{AttemptConfig, FailureKind, Seat};
use ambidex_core::balance::Balance;
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::guard::ejection::{Shift, Transition};
use ambidex_core::size::Size;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, Request, Response};
use http_body::Body;
use tower::Service;

pub use self::answer::{AnswerBody, AnsweredBy};
pub use self::kept::KeptBody;
pub use self::workers::{Worker, WorkersError};

use self::asking::{Ask, Asking};
use self::reading::Reading;
use self::workers::Fleet;
use crate::clock::Clock;
use crate::drive::{Driver, Plan, Refused};
use crate::seats::Seats as _;
use crate::timer::TokioTimer;
use crate::transport::Disagreement;

/// What a client may do for a request, in the words of the gateway's configuration.
#[derive(Clone, Copy, Debug)]
pub struct ClientConfig {
    /// Bounds of a request, and its second chances. As in the gateway these are off until switched on. Tiers of a
    /// fallback chain are the gateway's alone: here they have no answer.
    pub attempt: AttemptConfig,
    /// How workers are picked. `auto` is `peak-ewma` here: a client goes by what it measured itself.
    pub balance: Balance,
    /// When requests are kept from a worker.
    pub breaker: BreakerConfig,
    /// How many second tries there may be.
    pub budget: BudgetConfig,
    /// The longest body that is kept for a second try; a longer one is sent once. Default 32 KiB; source:
    /// reliability.md row 7.
    pub keep: Size,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            attempt: AttemptConfig::default(),
            balance: Balance::default(),
            breaker: BreakerConfig::default(),
            budget: BudgetConfig::default(),
            keep: Size::kib(32),
        }
    }
}

/// Sends requests to the workers of one pool. Clones are the same client: they share numbers, breakers and budget.
pub struct Client<S> {
    fleet: Arc<Fleet<S>>,
    reading: Arc<Reading>,
    seat: Arc<Mutex<Seat>>,
    config: Arc<ClientConfig>,
    clock: Clock,
}

impl<S: Clone> Client<S> {
    /// A client of `workers`: URLs, or [`Worker`]s with their names and weights. `service` makes the service that asks
    /// one of them; it is called once for each worker, and gets requests whose URI names that worker.
    ///
    /// # Errors
    /// No worker, one that is named twice, or something that is no URL of a worker.
    pub fn new<W>(
        workers: impl IntoIterator<Item = W>,
        config: ClientConfig,
        service: impl FnMut(&Worker) -> S + Send + 'static,
    ) -> Result<Self, WorkersError>
    where
        W: TryInto<Worker>,
        WorkersError: From<W::Error>,
    {
        let fleet = Fleet::new(workers::listed(workers)?, &config, Box::new(service));
        let (reading, clock) = (Arc::default(), Clock::starting_now());
        let seat = Arc::new(Mutex::new(Seat::new(0, config.balance.resolve(false), seed())));
        Ok(Self { fleet: Arc::new(fleet), reading, seat, config: Arc::new(config), clock })
    }

    /// Replaces the workers, in this client and its clones. Who was known keeps its numbers, its breaker and its
    /// service; requests under way end where they are.
    ///
    /// # Errors
    /// As [`new`](Self::new); then nothing has changed.
    pub fn replace_workers<W>(&self, workers: impl IntoIterator<Item = W>) -> Result<(), WorkersError>
    where
        W: TryInto<Worker>,
        WorkersError: From<W::Error>,
    {
        self.fleet.replace(workers::listed(workers)?, &self.config);
        Ok(())
    }
}

impl<S> Client<S> {
    /// Says which requests may run twice: they may be hedged, read from several workers and sent again. Default GET,
    /// HEAD, OPTIONS and TRACE, which HTTP calls safe; source: reliability.md row 5.
    #[must_use]
    pub fn repeating(self, may: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.reading(|reading| reading.repeats = Arc::new(may))
    }

    /// Says of which class a request is, by a hash: slow classes are remembered (`dear_at_once` of a hedge).
    #[must_use]
    pub fn classed_by(self, class: impl Fn(&Parts) -> Option<u64> + Send + Sync + 'static) -> Self {
        self.reading(|reading| reading.class = Arc::new(class))
    }

    /// Says where a request belongs, by a hash: for the pick `ring`.
    #[must_use]
    pub fn keyed_by(self, key: impl Fn(&Parts) -> Option<u64> + Send + Sync + 'static) -> Self {
        self.reading(|reading| reading.key = Arc::new(key))
    }

    /// Compares the answers of a quorum by this field: a number is a version, more is newer; of anything else only
    /// the rule `majority` makes sense.
    #[must_use]
    pub fn compared_by(self, version: HeaderName) -> Self {
        self.reading(|reading| reading.version = Some(version))
    }

    /// Hears of quorums whose answers differ: to count, log and repair.
    #[must_use]
    pub fn on_disagreement(self, told: impl Fn(&Disagreement) + Send + Sync + 'static) -> Self {
        self.reading(|reading| reading.disagree = Arc::new(told))
    }

    /// Says what an error of a service is. `Connect` and `Tls` promise that the worker got nothing of the request,
    /// which then may go to another one whatever its method. Default: `Connect` where a refused connection is among
    /// the causes, else `Reset`.
    #[must_use]
    pub fn failing_as(
        self,
        kind: impl Fn(&(dyn std::error::Error + 'static)) -> FailureKind + Send + Sync + 'static,
    ) -> Self {
        self.reading(|reading| reading.failure = Arc::new(kind))
    }

    /// Takes the oldest thing that breakers did and that was not taken yet, with the worker's name where it is about
    /// one that is still there: to log it, or to count. Only the newest are kept for who comes late.
    #[must_use]
    pub fn take_transition(&self) -> Option<(Option<Arc<str>>, Transition)> {
        let transition = self.seat.with(Seat::take_transition)?;
        let picture = self.fleet.picture();
        let name = match transition.what {
            Shift::Breaker { worker, .. } => picture.pool.workers.iter().find(|known| known.id == worker),
            Shift::Panic(_) => None,
        };
        Some((name.map(|worker| Arc::clone(&worker.name)), transition))
    }

    fn reading(mut self, change: impl FnOnce(&mut Reading)) -> Self {
        change(Arc::make_mut(&mut self.reading));
        self
    }
}

impl<S, A, B> Service<Request<B>> for Client<S>
where
    S: Service<Request<KeptBody<B>>, Response = Response<A>> + Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send,
    A: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    type Response = Response<AnswerBody<A>>;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Response<AnswerBody<A>>, Refused>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        // Each worker's service is waited for by its own try, so that one that is full holds no other up.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { fleet, reading, seat, config, clock } = self.clone();
        Box::pin(async move {
            let arrived = clock.now();
            let picture = fleet.picture();
            let (parts, body) = request.into_parts();
            let plan = Plan { arrived, config: config.attempt, key: (reading.key)(&parts), home: None, costing: None };
            let body = KeptBody::read_ahead(body, config.keep).await;
            let transport = Asking::new(&picture, &reading);
            let driver = Driver { transport: &transport, seats: &*seat, timer: &TokioTimer(clock), clock };
            let answer = driver.drive(&picture.pool, plan, Box::new(Ask { parts, body })).await?;
            Ok(answer::guarded(answer, &picture.pool))
        })
    }
}

impl<S> Clone for Client<S> {
    fn clone(&self) -> Self {
        Self {
            fleet: Arc::clone(&self.fleet),
            reading: Arc::clone(&self.reading),
            seat: Arc::clone(&self.seat),
            config: Arc::clone(&self.config),
            clock: self.clock,
        }
    }
}

impl<S> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("workers", &self.fleet).field("config", &self.config).finish_non_exhaustive()
    }
}

/// Clients that start together must not pick alike. The standard library's own source of chance is enough for that.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
