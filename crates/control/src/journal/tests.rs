//! The journal: what is written, what is read back, and what replays to the same decisions.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ambidex_core::guard::breaker::{BreakerState, Cause, Change, Trip};
use ambidex_core::guard::ejection::{Panic, Shift, Told, Transition};
use ambidex_core::plan::{PlanConfig, Seen};
use ambidex_core::share::Share;
use ambidex_core::size::Size;
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::PoolId;
use ambidex_store::{Limits, Store};

use super::*;
use crate::coordinator::tests::{TWO, pool, process};
use crate::explain;
use crate::news::What;
use crate::orders::Order;

/// A disk that is full.
#[derive(Debug, Default)]
pub(crate) struct Failing(AtomicU64);

impl Journal for Failing {
    fn append(&self, _wall_ms: u64, _record: Record) {
        self.0.fetch_add(1, Relaxed);
    }

    fn decided_at(&self, _pool: &str, _worker: &str, _wall_ms: u64) -> Decided {
        Decided::default()
    }

    fn news(&self, _from_ms: u64, _to_ms: u64, _most: usize) -> Vec<Item> {
        Vec::new()
    }

    fn verify(&self, _most: usize) -> Result<Verified, String> {
        Err("no space left on device".into())
    }

    fn health(&self) -> JournalHealth {
        let degraded = Some("no space left on device".into());
        JournalHealth { degraded, dropped: self.0.load(Relaxed), ..JournalHealth::default() }
    }

    fn state(&self, _key: &str) -> Option<Vec<u8>> {
        None
    }

    fn keep(&self, _key: &str, _value: &[u8]) -> Result<(), String> {
        Err("no space left on device".into())
    }
}

fn stored(folder: &std::path::Path) -> Arc<StoredJournal> {
    let limits = Limits { max_bytes: Size::mib(64), max_age: Span::from_secs(3_600) };
    Arc::new(StoredJournal::new(Store::open(folder, limits).expect("opens")))
}

#[test]
fn a_recorded_run_replays_to_the_same_decisions() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = stored(folder.path());
    let ours: Arc<dyn Journal> = Arc::<StoredJournal>::clone(&journal);
    let process = process(vec![pool("api", TWO)], ours);
    let ticks = || process.room().news.newest();
    process.until("some decisions", |_| ticks() >= 4);
    process.room().order(process.clock.now(), "api", "a", Order::Pin(0.5)).expect("obeyed");
    let pinned = ticks();
    process.room().order(process.clock.now(), "api", "a", Order::Unpin).expect("obeyed");
    process.until("a tick after the orders", |_| {
        ticks() > pinned && process.room().pools[0].planner.pinned(WorkerId(1)).is_none()
    });
    let ended = process.clock.now() + Span::from_millis(300);
    process.until("more ticks", |_| process.clock.now() > ended);
    drop(process);
    assert!(journal.store().flush(Duration::from_secs(20)));
    let verified = journal.verify(100_000).expect("readable");
    assert_eq!(verified.differences, Vec::<String>::new());
    assert!(verified.inputs > 2 && verified.decisions > 2 && verified.skipped == 0, "{verified:?}");
    let item = journal.decided_at("api", "a", u64::MAX).weight.expect("there was one");
    assert_eq!(item.worker.as_deref(), Some("a"));
}

#[test]
fn what_a_breaker_did_is_read_back_from_the_journal_as_it_was_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = stored(folder.path());
    let process = process(vec![pool("api", TWO)], Arc::<StoredJournal>::clone(&journal) as Arc<dyn Journal>);
    let view = process.view.load_full();
    let (pool, worker) = (view.pools()[0].id, view.pools()[0].workers[1].id);
    let (proven, limit, others) = (Share::clamped(0.081), Share::percent(5), Share::percent(1));
    let by = Trip::Errors { failed: 9, of: 60, proven, limit, others };
    let cause = Cause::Tripped { by, cool_down: Span::from_millis(11_430) };
    let opened =
        Shift::Breaker { worker, change: Change { from: BreakerState::Closed, to: BreakerState::Open, cause } };
    let panic = Shift::Panic(Panic { on: true, usable: 0, of: 2, under: Share::percent(50) });
    for what in [opened, panic] {
        let transition = Transition { at: process.clock.now(), what, lost: 0 };
        process.teller.try_send(Told { pool, seat: 0, transition }).expect("there is room");
    }
    let told = || process.room().news.since(0).find(|item| matches!(item.what, What::Panic { .. })).cloned();
    process.until("it is told", |_| told().is_some());
    let explained = explain::now(&process.room(), "api", "b", process.clock.now()).expect("known");
    let shown = serde_json::to_value(&explained).expect("data");
    let sentence = shown["sentence"].as_str().expect("a sentence");
    assert!(sentence.contains("But the breaker of b opened: 9 of 60 requests failed"), "{sentence}");
    assert_eq!(shown["breaker"]["cause"]["tripped"]["cool_down"], "11430ms");
    assert!(journal.store().flush(Duration::from_secs(20)));
    let Some(What::Breaker { from, to, cause: read, .. }) =
        journal.decided_at("api", "b", u64::MAX).breaker.map(|item| item.what)
    else {
        panic!("it is not in the journal")
    };
    assert_eq!((from, to, read), (BreakerState::Closed, BreakerState::Open, cause));
    let news = journal.news(0, u64::MAX, 1_000);
    assert!(news.iter().any(|item| Some(item) == told().as_deref()), "{news:?}");
}

#[test]
fn a_record_that_was_tampered_with_is_found() {
    let config = PlanConfig::default();
    let mut planner = Planner::new(config).for_pool(PoolId(1));
    let mut replay = replay::Replay::default();
    let pool: Arc<str> = "api".into();
    let checkpoint = Box::new(planner.clone());
    replay.take(Record::Checkpoint { run: 1, pool: Arc::clone(&pool), planner: checkpoint, names: Vec::new() });
    let input = PlanInput::Tick { at: Mono::default(), workers: vec![(WorkerId(1), Seen::default())] };
    let mut decisions = Vec::new();
    planner.on(&input, &mut decisions);
    decisions[0].new += 1e-9;
    replay.take(Record::Input { run: 1, pool, input, decisions });
    assert_eq!(replay.end().differences.len(), 1);
}

#[test]
fn orders_outlive_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let journal = stored(folder.path());
        let first = process(vec![pool("api", TWO)], Arc::<StoredJournal>::clone(&journal) as Arc<dyn Journal>);
        let now = first.clock.now();
        let mut room = first.room();
        let obeyed = room.order(now, "api", "b", Order::Drain).expect("obeyed");
        assert_eq!(obeyed.not_kept, None);
        room.order(now, "api", "a", Order::Pin(0.5)).expect("obeyed");
        room.freeze(now, "api", true).expect("obeyed");
        drop(room);
        drop(first);
        assert!(journal.store().flush(Duration::from_secs(20)));
    }
    // The store's lock goes with its thread; until then the folder is in use.
    let limits = Limits { max_bytes: Size::mib(64), max_age: Span::from_secs(3_600) };
    let mut store = Store::open(folder.path(), limits);
    while store.is_err() {
        std::thread::park_timeout(Duration::from_millis(1));
        store = Store::open(folder.path(), limits);
    }
    let second = process(vec![pool("api", TWO)], Arc::new(StoredJournal::new(store.expect("opened"))));
    second.until("orders are obeyed again", |view| {
        let room = second.room();
        let pool = room.pool("api").expect("there");
        let b = &view.pools()[0].workers[1];
        b.standing == ambidex_core::worker::Standing::Draining
            && pool.planner.is_frozen()
            && pool.planner.pinned(view.pools()[0].workers[0].id) == Some(0.5)
    });
}
