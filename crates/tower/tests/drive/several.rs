//! Several tries of one request at once: hedges, quorums, answers that are kept, tiers; and that none is forgotten.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::again::Mode;
use ambidex_core::again::fallback::{Fallback, Tier};
use ambidex_core::again::hedge::{HedgeAfter, HedgeConfig};
use ambidex_core::again::quorum::{Mark, QuorumConfig, QuorumRule};
use ambidex_core::again::retry::{Copies, FirstTry, Patience};
use ambidex_core::attempt::{AttemptConfig, Chances, FailureKind, Refusal, Seat};
use ambidex_core::balance::{Pick, PickPolicy};
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use ambidex_core::view::{PoolView, WorkerView};
use ambidex_tower::{
    Answer, Awaits, Clock, Disagreement, Driver, Fallen, Marked, Plan, Refused, SendError, TierPool, TokioTimer,
    Transport,
};
use http::{Response, StatusCode};

use super::{config, failed, in_flight, pool};

/// What a worker does with every request.
#[derive(Clone, Copy)]
enum Does {
    /// Answers after so many milliseconds, with this status and version.
    Answers(u64, u16, u64),
    Resets(u64),
    Never,
}

/// Workers by number, and what was asked of them.
struct Replicas {
    does: Vec<Does>,
    copies: Copies,
    asked: RefCell<Vec<u32>>,
    given_up: Cell<u32>,
    disagreements: RefCell<Vec<Disagreement>>,
    /// What comes of the tiers of the chain, by place.
    tiers: Vec<fn() -> Fallen>,
}

fn replicas(does: &[Does]) -> Replicas {
    let (asked, given_up, disagreements) = (RefCell::default(), Cell::default(), RefCell::default());
    Replicas { does: does.to_vec(), copies: Copies::Any, asked, given_up, disagreements, tiers: Vec::new() }
}

/// Counts a try that is dropped before its end.
struct Pending<'a>(&'a Replicas, bool);

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.given_up.set(self.0.given_up.get() + u32::from(self.1));
    }
}

impl Awaits for Replicas {}

impl Transport for Replicas {
    type Request = &'static str;
    type Answer = Response<u64>;

    async fn send(
        &self,
        worker: &WorkerView,
        _: Pick,
        _: &'static str,
    ) -> Result<Response<u64>, SendError<&'static str>> {
        self.asked.borrow_mut().push(worker.id.0);
        let mut pending_try = Pending(self, true);
        let wait = |millis| tokio::time::sleep(Duration::from_millis(millis));
        let ended = match self.does[worker.id.0 as usize] {
            Does::Answers(after, status, version) => {
                wait(after).await;
                Ok(Response::builder().status(status).body(version).expect("valid"))
            }
            Does::Resets(after) => {
                wait(after).await;
                Err(SendError::sent(FailureKind::Reset, "reset"))
            }
            Does::Never => pending().await,
        };
        pending_try.1 = false;
        ended
    }

    fn copies(&self, _: &&'static str) -> Copies {
        self.copies
    }

    fn again(&self, request: &&'static str) -> Option<&'static str> {
        Some(request)
    }

    async fn mark(&self, answer: Response<u64>) -> Marked<Response<u64>, &'static str> {
        tokio::task::yield_now().await;
        let mark = Some(Mark(*answer.body()));
        Ok((answer, mark))
    }

    fn disagree(&self, disagreement: &Disagreement) {
        self.disagreements.borrow_mut().push(disagreement.clone());
    }

    async fn fall(&self, place: u8, _: Tier, _: Refusal) -> Fallen {
        self.tiers[usize::from(place)]()
    }
}

async fn run(pool: &PoolView, workers: &Replicas, chances: Chances) -> Result<Answer<Response<u64>>, Refused> {
    let clock = Clock::starting_now();
    let seats = RefCell::new(Seat::new(0, PickPolicy::RoundRobin, 1));
    let driver = Driver { transport: workers, seats: &seats, timer: &TokioTimer(clock), clock };
    let config = AttemptConfig { chances, ..config() };
    driver.drive(pool, Plan { arrived: clock.now(), config, key: None, home: None, costing: None }, "ask").await
}

fn hedging() -> Chances {
    let after = HedgeAfter::Fixed(Span::from_millis(20));
    Chances {
        hedge: HedgeConfig { mode: Mode::On, after, extra: Share::ALL, ..HedgeConfig::default() },
        ..Chances::default()
    }
}

fn quorum(ask: u8, need: u8, most: u8, rule: QuorumRule) -> Chances {
    let quorum = QuorumConfig::new(Mode::On, ask, need, most, rule, Share::ALL).expect("valid");
    Chances { quorum: Some(quorum), ..Chances::default() }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_answers_for_a_frozen_worker_which_is_given_up_and_has_not_failed() {
    let (pool, workers) = (pool(2), replicas(&[Does::Never, Does::Answers(5, 200, 1)]));
    let answer = run(&pool, &workers, hedging()).await.expect("answered");
    assert_eq!((answer.pick.worker.0, answer.tries), (1, 2));
    assert_eq!((workers.given_up.get(), failed(&pool), in_flight(&pool)), (1, 0, 1));
    let now = Clock::starting_now().now();
    assert!(pool.workers[0].cells.load.latency(now).is_some(), "it took at least as long as it was waited for");
    drop(answer);
    assert_eq!(in_flight(&pool), 0);
}

#[tokio::test(start_paused = true)]
async fn a_quick_answer_is_not_hedged_and_what_may_run_once_only_never() {
    let pool = pool(2);
    let quick = replicas(&[Does::Answers(10, 200, 1); 2]);
    run(&pool, &quick, hedging()).await.expect("answered");
    let mut once = replicas(&[Does::Answers(100, 200, 1); 2]);
    once.copies = Copies::IfUnbegun;
    run(&pool, &once, hedging()).await.expect("answered");
    assert_eq!((quick.asked.borrow().len(), once.asked.borrow().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_first_try_may_still_win_and_fail_beside_its_hedge() {
    for (first, by) in [(Does::Answers(25, 200, 1), 0), (Does::Resets(25), 1)] {
        let (pool, workers) = (pool(2), replicas(&[first, Does::Answers(50, 200, 1)]));
        let answer = run(&pool, &workers, hedging()).await.expect("answered");
        assert_eq!((answer.pick.worker.0, answer.tries), (by, 2));
        assert_eq!((workers.given_up.get(), in_flight(&pool)), (1 - by, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn two_that_never_answer_are_both_late_at_the_deadline() {
    let (pool, workers) = (pool(3), replicas(&[Does::Never; 3]));
    let refused = run(&pool, &workers, hedging()).await.expect_err("deadline");
    assert_eq!((refused.why, refused.tries), (Refusal::Deadline, 2));
    assert_eq!((failed(&pool), in_flight(&pool), workers.given_up.get()), (2, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_all_tries() {
    let (pool, workers) = (pool(2), replicas(&[Does::Never; 2]));
    let left = tokio::time::timeout(Duration::from_millis(100), run(&pool, &workers, hedging())).await;
    assert!(left.is_err());
    assert_eq!((workers.asked.borrow().len(), workers.given_up.get()), (2, 2));
    assert_eq!((failed(&pool), in_flight(&pool)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_quorum_answers_with_the_newest_and_tells_who_differs() {
    let does = [Does::Answers(5, 200, 7), Does::Answers(9, 200, 8), Does::Never];
    let (pool, workers) = (pool(3), replicas(&does));
    let answer = run(&pool, &workers, quorum(3, 2, 3, QuorumRule::Newest)).await.expect("answered");
    assert_eq!((*answer.response.body(), answer.tries, in_flight(&pool)), (8, 3, 1));
    let told = workers.disagreements.borrow();
    let [Disagreement { winner, agreeing: 1, of: 2, said }] = &told[..] else { panic!("{told:?}") };
    assert_eq!((winner.map(|id| id.0), said.len(), workers.given_up.get()), (Some(1), 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_quorum_replaces_one_that_fails_and_a_slow_replica_does_not_matter() {
    let does = [Does::Resets(1), Does::Answers(30, 200, 7), Does::Answers(20, 200, 7)];
    let (pool, workers) = (pool(3), replicas(&does));
    let answer = run(&pool, &workers, quorum(2, 2, 3, QuorumRule::Majority)).await.expect("answered");
    assert_eq!((answer.tries, answer.pick.worker.0), (3, 2));
    assert_eq!((workers.disagreements.borrow().len(), failed(&pool), in_flight(&pool)), (0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failing_answer_is_left_for_a_better_one_and_passed_on_if_there_is_none() {
    let chances = Chances { answers: Mode::On, ..Chances::default() };
    for (second, status) in [(Does::Answers(1, 200, 1), StatusCode::OK), (Does::Resets(1), StatusCode::BAD_GATEWAY)] {
        // The third answers well: two good ones of three keep the pool from being called overloaded.
        let (pool, workers) = (pool(3), replicas(&[Does::Answers(1, 502, 1), second, Does::Answers(1, 200, 1)]));
        let answer = run(&pool, &workers, chances).await.expect("answered");
        assert_eq!((answer.response.status(), answer.tries, in_flight(&pool)), (status, 2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_try_that_takes_too_long_is_given_up_and_its_worker_has_failed() {
    let first_try = FirstTry { mode: Mode::On, patience: Patience::Fixed(Span::from_millis(50)) };
    let (pool, workers) = (pool(2), replicas(&[Does::Never, Does::Answers(1, 200, 1)]));
    let answer = run(&pool, &workers, Chances { first_try, ..Chances::default() }).await.expect("answered");
    assert_eq!((answer.pick.worker.0, failed(&pool), in_flight(&pool)), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_tier_asks_workers_of_its_own_pool_and_says_whose_they_are() {
    let fallback = Fallback::on(&[Tier::Zone, Tier::Pool], None);
    let mut workers = replicas(&[Does::Resets(1), Does::Answers(1, 200, 1)]);
    workers.tiers = vec![|| Fallen::Missing, || Fallen::Ready(Arc::new(pool_of_the_second()))];
    let home = pool(1);
    let answer = run(&home, &workers, Chances { fallback, ..Chances::default() }).await.expect("answered");
    let TierPool { place, pool: other } = answer.tier.as_ref().expect("a tier's");
    assert_eq!((other.picked(answer.pick).id.0, answer.tries, in_flight(&home), in_flight(other)), (1, 2, 0, 1));
    assert_eq!(*place, 1);
}

/// A pool of a worker that does what the second replica does.
fn pool_of_the_second() -> PoolView {
    use ambidex_core::view::PoolParts;
    use ambidex_core::worker::PoolId;
    let PoolView { name, workers, pick, breaker, budget, .. } = pool(2);
    let parts = PoolParts {
        id: PoolId(8),
        name,
        revision: 1,
        workers: workers.into_iter().skip(1).collect(),
        pick,
        learned: vec![1.0],
        fixed: vec![1.0],
        learned_share: Share::ALL,
        breaker,
        budget,
    };
    PoolView::new(parts, None)
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_serves_from_here_ends_the_attempt_and_is_named() {
    let fallback = Fallback::on(&[Tier::Snapshot, Tier::Static], None);
    let mut workers = replicas(&[Does::Answers(1, 503, 1)]);
    workers.tiers = vec![|| Fallen::Missing, || Fallen::Served];
    let home = pool(1);
    let refused =
        run(&home, &workers, Chances { fallback, ..Chances::default() }).await.expect_err("no worker's answer");
    assert_eq!((refused.tier, in_flight(&home)), (Some(Tier::Static), 0));
}

#[tokio::test(start_paused = true)]
async fn a_failing_answer_is_passed_on_after_a_chain_that_had_nothing() {
    let fallback = Fallback::on(&[Tier::Pool, Tier::Static], None);
    let mut workers = replicas(&[Does::Answers(1, 503, 1), Does::Resets(1)]);
    workers.tiers = vec![|| Fallen::Ready(Arc::new(pool_of_the_second())), || Fallen::Missing];
    let home = pool(1);
    let answer = run(&home, &workers, Chances { fallback, ..Chances::default() }).await.expect("the worker's own");
    assert_eq!((answer.response.status().as_u16(), answer.tier.is_none(), in_flight(&home)), (503, true, 1));
}
