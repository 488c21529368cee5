//! Asks workers whether they are well, off the request path [R-L5].
//!
//! One task a worker, each check on a connection of its own: a worker whose pooled connections work may take no new ones.
//! What an answer is worth is decided in core's `guard/health.rs`; what becomes of the worker, in `judge`.

use std::sync::Arc;

use ambidex_core::time::Mono;
use ambidex_core::worker::WorkerId;
use tokio::sync::Semaphore;

use crate::clock::{Clock, duration};
use crate::config::{Check, HealthChecks, HttpCheck};
use crate::poller;
use crate::reach::Place;
use crate::rounds::{Rounds, Turns};

mod grpc;
mod judge;

pub(crate) use judge::Checked;
pub use judge::Judged;

/// One worker to be checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) checks: HealthChecks,
}

/// How a check ended, or why it failed.
pub(crate) type Tell = Arc<dyn Fn(WorkerId, Mono, Result<(), String>) + Send + Sync>;

/// The running tasks.
pub(crate) struct Checker {
    clock: Clock,
    tell: Tell,
    at_once: Arc<Semaphore>,
    rounds: Rounds<WorkerId, Target>,
}

impl Checker {
    pub(crate) fn new(clock: Clock, tell: Tell) -> Self {
        Self { clock, tell, at_once: Arc::new(Semaphore::new(MOST_AT_ONCE)), rounds: Rounds::new() }
    }

    /// Checks these and no others. Within the runtime only.
    pub(crate) fn reconcile(&mut self, wanted: Vec<(WorkerId, Target)>) {
        self.rounds.reconcile(wanted, |worker, target| {
            let (tell, at_once) = (Arc::clone(&self.tell), Arc::clone(&self.at_once));
            tokio::spawn(check_for_ever(worker, target, self.clock, tell, at_once)).abort_handle()
        });
    }
}

async fn check_for_ever(worker: WorkerId, target: Target, clock: Clock, tell: Tell, at_once: Arc<Semaphore>) {
    let mut turns = Turns::new(worker, duration(target.checks.every));
    turns.first().await;
    loop {
        let ended = {
            let _turn = at_once.acquire().await;
            tokio::time::timeout(duration(target.checks.timeout), check(&target)).await
        };
        let ended = ended.unwrap_or_else(|_| Err(format!("no answer within {}", target.checks.timeout)));
        tell(worker, clock.now(), ended);
        turns.next().await;
    }
}

/// One check.
async fn check(Target { place, checks }: &Target) -> Result<(), String> {
    match &checks.check {
        Check::Tcp => place.connect(false).await.map(drop),
        Check::Http(http) => ask(place, http).await,
        Check::Grpc(grpc) => grpc::ask(place, &grpc.service, duration(checks.timeout)).await,
    }
}

async fn ask(place: &Place, HttpCheck { path, status }: &HttpCheck) -> Result<(), String> {
    let stream = place.connect(false).await?;
    let (answered, _) = poller::get(stream, place.authority(), path, "*/*", None).await?;
    let good = status.map_or_else(|| answered.is_success(), |wanted| answered.as_u16() == wanted);
    let why = if answered.is_redirection() { "; redirects are not followed" } else { "" };
    if good { Ok(()) } else { Err(format!("status {answered}{why}")) }
}

/// Checks under way at once, over all pools. Source: ours; 10,000 workers that answer in 25 ms each are asked within a
/// second, and as many that do not answer hold few descriptors.
const MOST_AT_ONCE: usize = 256;

#[cfg(test)]
mod tests;
