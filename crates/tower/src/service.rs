//! The driver as a `tower::Service`, for clients: a request goes in, the answer of some worker comes out.
//!
//! The transport is a service too, of a [`Call`] (one request to one worker), so that its future has a name and this
//! service is `Send` exactly when that one is. Seats sit behind a lock that is held for one event, never across an
//! await.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use ambidex_core::attempt::{AttemptConfig, Seat};
use ambidex_core::balance::Pick;
use ambidex_core::view::{PoolView, View, WorkerView};
use ambidex_core::worker::PoolId;
use arc_swap::ArcSwap;
use http::{Request, Response};
use tower::Service;

use crate::clock::Clock;
use crate::drive::{Answer, Driver, Plan, Refused};
use crate::timer::TokioTimer;
use crate::transport::{Awaits, SendError, Transport};

/// One request to one worker.
#[derive(Debug)]
pub struct Call<B> {
    /// Whom to ask.
    pub worker: WorkerView,
    /// What to ask.
    pub request: Request<B>,
}

/// Sends each request to a worker of one pool, by the pool's policies.
#[derive(Clone, Debug)]
pub struct Attempts<C> {
    calls: C,
    view: Arc<ArcSwap<View>>,
    pool: PoolId,
    config: AttemptConfig,
    seat: Arc<Mutex<Seat>>,
    clock: Clock,
}

/// Why a client got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AttemptsError {
    /// No worker answered.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The view has no such pool.
    #[error("no pool {0:?} in the view")]
    NoPool(PoolId),
}

impl<C> Attempts<C> {
    /// Requests to `pool` as `view` shows it, sent by `calls`.
    #[must_use]
    pub fn new(
        calls: C,
        view: Arc<ArcSwap<View>>,
        pool: PoolId,
        config: AttemptConfig,
        seat: Seat,
        clock: Clock,
    ) -> Self {
        Self { calls, view, pool, config, seat: Arc::new(Mutex::new(seat)), clock }
    }
}

impl<C, A, B> Service<Request<B>> for Attempts<C>
where
    C: Service<Call<B>, Response = Response<A>, Error = SendError<Box<Request<B>>>> + Clone + Send + Sync + 'static,
    C::Future: Send,
    A: Send + 'static,
    B: Send + 'static,
{
    type Response = Answer<Response<A>>;
    type Error = AttemptsError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer<Response<A>>, AttemptsError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { calls, view, pool, config, seat, clock } = self.clone();
        Box::pin(async move {
            let pool: Arc<PoolView> = view.load().pool(pool).cloned().ok_or(AttemptsError::NoPool(pool))?;
            let plan = Plan { arrived: clock.now(), config, key: None };
            let driver =
                Driver { transport: &Calls(calls, PhantomData), seats: &*seat, timer: &TokioTimer(clock), clock };
            Ok(driver.drive(&pool, plan, Box::new(request)).await?)
        })
    }
}

/// A service of calls, as the driver wants it.
struct Calls<C, B>(C, PhantomData<fn(B)>);

impl<C, B> Awaits for Calls<C, B> {}

impl<C, A, B> Transport for Calls<C, B>
where
    C: Service<Call<B>, Response = Response<A>, Error = SendError<Box<Request<B>>>> + Clone,
{
    type Request = Box<Request<B>>;
    type Answer = Response<A>;

    async fn send(
        &self,
        worker: &WorkerView,
        _: Pick,
        request: Box<Request<B>>,
    ) -> Result<Response<A>, SendError<Box<Request<B>>>> {
        let mut calls = self.0.clone();
        std::future::poll_fn(|cx| calls.poll_ready(cx)).await?;
        calls.call(Call { worker: worker.clone(), request: *request }).await
    }
}
