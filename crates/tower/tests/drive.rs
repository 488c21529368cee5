//! The driver against scripted workers: what it asks of them, and what their numbers say afterwards.

#[path = "drive/client.rs"]
mod client;
#[path = "drive/examples.rs"]
mod examples;
#[path = "drive/several.rs"]
mod several;

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;

use ambidex_core::again::budget::Budget;
use ambidex_core::attempt::{AttemptConfig, Backoff, FailureKind, Refusal, Seat};
use ambidex_core::balance::{Pick, PickPolicy};
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::load::Cells;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use ambidex_core::view::{Address, PoolParts, PoolView, WorkerView};
use ambidex_core::worker::{PoolId, Standing, WorkerId};
use ambidex_tower::{Answer, Awaits, Clock, Driver, Plan, Refused, SendError, TokioTimer, Transport};
use http::{Request, Response};

/// What a worker does with each request, in turn; afterwards it answers 200. `Rc` makes it `!Send`.
#[derive(Clone, Default)]
struct Script(Rc<RefCell<Vec<Step>>>);

#[derive(Clone, Copy)]
enum Step {
    Status(u16),
    Refuse,
    Reset,
    Never,
}

impl Awaits for Script {}

impl Transport for Script {
    type Request = Box<Request<&'static str>>;
    type Answer = Response<&'static str>;

    async fn send(
        &self,
        worker: &WorkerView,
        _: Pick,
        request: Box<Request<&'static str>>,
    ) -> Result<Response<&'static str>, SendError<Box<Request<&'static str>>>> {
        let step = self.0.borrow_mut().pop().unwrap_or(Step::Status(200));
        match step {
            Step::Status(code) => {
                Ok(Response::builder().status(code).header("x-by", &*worker.name).body("hi").expect("valid"))
            }
            Step::Refuse => Err(SendError::unsent(FailureKind::Connect, request, "refused")),
            Step::Reset => Err(SendError::sent(FailureKind::Reset, "reset")),
            Step::Never => pending().await,
        }
    }
}

fn script(steps: &[Step]) -> Script {
    Script(Rc::new(RefCell::new(steps.iter().rev().copied().collect())))
}

fn pool(workers: u32) -> PoolView {
    let worker = |id: u32| WorkerView {
        id: WorkerId(id),
        name: format!("w{id}").into(),
        url: "http://127.0.0.1:1".into(),
        address: Address::Unix("/nowhere".into()),
        zone: "".into(),
        standing: Standing::Serving,
        cells: Arc::new(Cells::new(1)),
        drill: None,
    };
    let parts = PoolParts {
        id: PoolId(7),
        name: "api".into(),
        revision: 1,
        workers: (0..workers).map(worker).collect(),
        pick: PickPolicy::RoundRobin,
        learned: vec![1.0; workers as usize],
        fixed: vec![1.0; workers as usize],
        learned_share: Share::ALL,
        breaker: BreakerConfig::default(),
        budget: Arc::new(Budget::default()),
    };
    PoolView::new(parts, None)
}

fn config() -> AttemptConfig {
    let backoff = Backoff { first: Span::from_millis(2), most: Span::from_millis(2) };
    AttemptConfig { deadline: Span::from_millis(200), retries: 2, backoff, ..AttemptConfig::default() }
}

async fn run(pool: &PoolView, transport: &Script) -> Result<Answer<Response<&'static str>>, Refused> {
    let clock = Clock::starting_now();
    let seats = RefCell::new(Seat::new(0, PickPolicy::RoundRobin, 1));
    let driver = Driver { transport, seats: &seats, timer: &TokioTimer(clock), clock };
    let plan = Plan { arrived: clock.now(), config: config(), key: None, home: None, costing: None };
    driver.drive(pool, plan, Box::new(Request::new("ask"))).await
}

fn in_flight(pool: &PoolView) -> u32 {
    pool.workers.iter().map(|worker| worker.cells.load.in_flight()).sum()
}

fn failed(pool: &PoolView) -> u64 {
    pool.workers.iter().map(|worker| worker.cells.totals().failed).sum()
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_is_not_send_is_driven_to_its_answer() {
    let pool = pool(2);
    let answer = run(&pool, &script(&[])).await.expect("answered");
    assert_eq!((*answer.response.body(), answer.tries), ("hi", 1));
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_busy_until_the_flight_ends() {
    let pool = pool(1);
    let answer = run(&pool, &script(&[])).await.expect("answered");
    assert_eq!(in_flight(&pool), 1);
    drop(answer.flight);
    assert_eq!(in_flight(&pool), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_never_got_goes_to_another() {
    let pool = pool(3);
    let answer = run(&pool, &script(&[Step::Refuse, Step::Refuse])).await.expect("the third answers");
    assert_eq!((answer.tries, failed(&pool), in_flight(&pool)), (3, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_may_have_run_is_not_sent_again() {
    let pool = pool(3);
    let refused = run(&pool, &script(&[Step::Reset])).await.expect_err("reset");
    assert_eq!((refused.why, refused.tries), (Refusal::Failed(FailureKind::Reset), 1));
    assert_eq!((failed(&pool), in_flight(&pool)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_never_answers_is_given_up_at_the_deadline_and_has_failed() {
    let pool = pool(1);
    let refused = run(&pool, &script(&[Step::Never])).await.expect_err("deadline");
    assert_eq!((refused.why, failed(&pool), in_flight(&pool)), (Refusal::Deadline, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_the_worker_is_broken_is_passed_on_and_counted() {
    let pool = pool(1);
    let answer = run(&pool, &script(&[Step::Status(503)])).await.expect("an answer all the same");
    assert_eq!((answer.response.status().as_u16(), failed(&pool)), (503, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_one_failure_however_it_began() {
    for status in [200, 503] {
        let pool = pool(1);
        let mut answer = run(&pool, &script(&[Step::Status(status)])).await.expect("a head");
        answer.flight.broke_off();
        answer.flight.broke_off();
        assert_eq!(failed(&pool), 1, "{status}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_flight_and_says_how_long_the_worker_took_at_least() {
    let pool = pool(1);
    let script = script(&[Step::Never]);
    {
        let mut running = Box::pin(run(&pool, &script));
        tokio::select! {
            biased;
            _ = &mut running => unreachable!("it never answers"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(in_flight(&pool), 1);
    }
    let now = Clock::starting_now().now();
    assert_eq!((in_flight(&pool), failed(&pool)), (0, 0));
    assert!(pool.workers[0].cells.load.latency(now).is_some());
}
