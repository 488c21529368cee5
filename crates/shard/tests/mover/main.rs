//! The mover against a store and workers in this process: moves, orders, drains, another leader, workers and stores that fail.

mod planner;
mod worker;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ambidex_core::shard::conductor::ConductorConfig;
use ambidex_core::shard::records::SliceId;
use ambidex_core::shard::space::Point;
use ambidex_core::time::Span;
use ambidex_shard::status::Status;
use ambidex_shard::{Board, Done, Mover, MoverConfig, Order, Parts, PlanRecord, Refusal, Step, Told};
use ambidex_store::shards::{EmbeddedMetadata, MemoryMetadata, Metadata};
use ambidex_wire::shard::records::Named;
use ambidex_wire::shard::table::TableText;

use worker::Local;

fn within(run: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(120), run).await.expect("in time") });
}

/// A store, workers, and whoever leads.
struct Scene {
    metadata: Arc<dyn Metadata>,
    workers: Local,
    members: Vec<Named>,
    config: MoverConfig,
    /// What planners had written down.
    records: Arc<Mutex<Vec<PlanRecord>>>,
    /// What movers told.
    told: Arc<Mutex<Vec<Told>>>,
}

impl Scene {
    fn new(metadata: Arc<dyn Metadata>, names: &[&str]) -> Self {
        let named = |name: &&str| Named { name: (*name).to_owned(), address: format!("http://{name}") };
        let moves = ConductorConfig { rest: Span::from_millis(50), ..ConductorConfig::default() };
        let config = MoverConfig { slices: 4, moves, ..MoverConfig::new("carts") };
        let workers = Local::new(Arc::clone(&metadata));
        Self {
            metadata,
            workers,
            members: names.iter().map(named).collect(),
            config,
            records: Arc::default(),
            told: Arc::default(),
        }
    }

    fn in_memory(names: &[&str]) -> Self {
        Self::new(Arc::new(MemoryMetadata::new()), names)
    }

    /// A coordinator that leads while the switch is on.
    fn mover(&self, who: u32) -> (Board, Arc<AtomicBool>) {
        let switch = Arc::new(AtomicBool::new(true));
        let (may, members, told) = (Arc::clone(&switch), self.members.clone(), Arc::clone(&self.told));
        let board = Mover::start(Parts {
            config: self.config.clone(),
            metadata: Arc::clone(&self.metadata),
            workers: Arc::new(self.workers.clone()),
            members: Arc::new(move || Some(members.clone())),
            unwell: Arc::new(Vec::new),
            record: {
                let records = Arc::clone(&self.records);
                Arc::new(move |record| records.lock().expect("nobody panics").push(record))
            },
            may_lead: Arc::new(move || may.load(SeqCst)),
            told: Arc::new(move |step| told.lock().expect("nobody failed").push(step)),
            who,
            map_id: 77,
        });
        (board, switch)
    }

    /// A mover that leads a map, whose workers have what is written into it.
    async fn leading(&self) -> Board {
        let board = self.mover(1).0;
        let table = made(&board).await;
        self.workers.adopt(&table);
        board
    }
}

async fn made(board: &Board) -> Arc<TableText> {
    let mut tables = board.tables();
    let table = tables.wait_for(Option::is_some).await.expect("it goes on").clone();
    until(board, |status| status.leads).await;
    table.expect("there is one")
}

async fn until(board: &Board, is: impl Fn(&Status) -> bool) -> Arc<Status> {
    loop {
        let status = board.status();
        if is(&status) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A slice of a worker, and another worker.
fn slice_of(board: &Board, name: &str) -> SliceId {
    let table = board.tables().borrow().clone().expect("there is a table");
    let number = number(&table, name);
    SliceId(table.slices.iter().find(|row| row.owner == number).expect("it owns one").id)
}

fn number(table: &TableText, name: &str) -> u32 {
    *table.workers.iter().find(|(_, named)| named.name == name).expect("it has a number").0
}

fn owner(board: &Board, slice: SliceId) -> String {
    let table = board.tables().borrow().clone().expect("there is a table");
    let row = table.slices.iter().find(|row| row.id == slice.0).expect("it is there").clone();
    table.workers[&row.owner].name.clone()
}

async fn moved(board: &Board, slice: SliceId, to: &str) {
    let order = Order::Move { slice, to: to.to_owned() };
    let done = board.order(order).await;
    assert!(matches!(done, Ok(Done::Moving { .. })), "{done:?}");
    let status = until(board, |status| !status.ended.is_empty() && status.moves.is_empty()).await;
    assert_eq!(status.ended[0].end, "moved", "{:?}", status.ended[0]);
    assert_eq!(owner(board, slice), to);
}

#[test]
fn what_happens_to_a_slice_is_told_once_and_counted() {
    within(async {
        let scene = Scene::in_memory(&["a", "b"]);
        let board = scene.leading().await;
        let slice = slice_of(&board, "a");
        moved(&board, slice, "b").await;
        let told = scene.told.lock().expect("nobody failed").clone();
        let steps: Vec<Step> = told.iter().map(|told| told.step).collect();
        assert_eq!(steps, [Step::Begun, Step::Committed]);
        assert!(told.iter().all(|told| (&*told.from, &*told.to, &*told.keyspace) == ("a", "b", "carts")), "{told:?}");
        let counts = board.status().counts.clone();
        assert_eq!((counts.begun, counts.committed, counts.aborted.len()), (1, 1, 0));
    });
}

#[test]
fn a_slice_moves_with_its_data_while_it_is_written_and_back_again() {
    let folder = tempfile::tempdir().expect("a folder");
    within(async {
        let scene = Scene::new(Arc::new(EmbeddedMetadata::open(folder.path()).expect("it opens")), &["a", "b"]);
        let board = scene.leading().await;
        let slice = slice_of(&board, "a");
        for at in 0..500 {
            scene.workers.write(&board, &format!("key{at}"), "before").await;
        }
        let writing = {
            let (workers, board) = (scene.workers.clone(), board.clone());
            tokio::spawn(async move {
                let mut acknowledged = BTreeMap::new();
                for at in 0..2_000 {
                    let (key, value) = (format!("key{}", at % 500), format!("{at}"));
                    workers.write(&board, &key, &value).await;
                    acknowledged.insert(key, value);
                    tokio::task::yield_now().await;
                }
                acknowledged
            })
        };
        moved(&board, slice, "b").await;
        moved(&board, slice, "a").await;
        for (key, value) in writing.await.expect("it writes") {
            assert_eq!(scene.workers.read(&board, &key).as_deref(), Some(&*value), "{key}");
        }
    });
}

#[test]
fn a_drained_worker_has_nothing_in_the_end_and_gets_nothing_until_that_is_taken_back() {
    within(async {
        let scene = Scene::in_memory(&["a", "b", "c"]);
        let board = scene.leading().await;
        let done = board.order(Order::Drain { worker: "a".to_owned() }).await;
        assert!(matches!(done, Ok(Done::Draining { slices: 1.. })), "{done:?}");
        let state =
            |status: &Status| status.workers.iter().find(|worker| worker.name == "a").map(|worker| worker.state);
        until(&board, |status| state(status) == Some("left")).await;
        let status = board.status();
        assert!(status.workers.iter().all(|worker| worker.name != "a" || worker.slices == 0));
        let slice = slice_of(&board, "b");
        let refused = board.order(Order::Move { slice, to: "a".to_owned() }).await;
        assert_eq!(refused, Err(Refusal::Leaving("a".to_owned())));
        assert_eq!(board.order(Order::Undrain { worker: "a".to_owned() }).await, Ok(Done::Undrained));
        moved(&board, slice, "a").await;
    });
}

#[test]
fn another_leader_goes_on_with_what_the_first_one_has_left() {
    within(async {
        let scene = Scene::in_memory(&["a", "b"]);
        let (first, leads) = scene.mover(1);
        scene.workers.adopt(&*made(&first).await);
        let slice = slice_of(&first, "a");
        // The target is silent, so the move stays where it is.
        scene.workers.silence("b", true);
        let done = first.order(Order::Move { slice, to: "b".to_owned() }).await;
        assert!(matches!(done, Ok(Done::Moving { .. })), "{done:?}");
        leads.store(false, SeqCst);
        until(&first, |status| !status.leads).await;
        let second = scene.mover(2).0;
        until(&second, |status| status.leads && status.moves.len() == 1).await;
        scene.workers.silence("b", false);
        let status = until(&second, |status| status.moves.is_empty() && !status.ended.is_empty()).await;
        assert_eq!((status.ended[0].end, status.ended[0].why), ("aborted", Some("taken_over")));
        moved(&second, slice, "b").await;
        let refused = first.order(Order::Move { slice, to: "a".to_owned() }).await;
        assert_eq!(refused, Err(Refusal::NotLeading("carts".to_owned())));
        // Both show the same table.
        first.tables().wait_for(|table| *table == *second.tables().borrow()).await.expect("it goes on");
    });
}

#[test]
fn who_is_deposed_without_knowing_changes_nothing_and_leads_again_when_it_may() {
    within(async {
        let scene = Scene::in_memory(&["a", "b"]);
        let (first, leads) = scene.mover(1);
        scene.workers.adopt(&*made(&first).await);
        // Both may lead, as two sides of a lease that is over for one of them only.
        let (second, second_leads) = scene.mover(2);
        until(&second, |status| status.leads).await;
        second_leads.store(false, SeqCst);
        until(&first, |status| status.leads).await;
        assert!(leads.load(SeqCst));
        moved(&first, slice_of(&first, "a"), "b").await;
    });
}

#[test]
fn a_move_is_aborted_by_order_and_by_a_worker_that_says_nothing() {
    within(async {
        let mut scene = Scene::in_memory(&["a", "b"]);
        scene.config.moves.silence = Span::from_millis(700);
        let board = scene.leading().await;
        let slice = slice_of(&board, "a");
        scene.workers.silence("b", true);
        let begun = board.order(Order::Move { slice, to: "b".to_owned() }).await;
        let Ok(Done::Moving { move_ }) = begun else { panic!("{begun:?}") };
        let again = board.order(Order::Move { slice, to: "b".to_owned() }).await;
        assert_eq!(again, Err(Refusal::Moves { slice: slice.0, move_: move_.0 }));
        until(&board, |status| status.moves.iter().any(|move_| move_.phase == "aborted")).await;
        scene.workers.silence("b", false);
        let status = until(&board, |status| !status.ended.is_empty()).await;
        assert_eq!((status.ended[0].end, status.ended[0].why), ("aborted", Some("silent")));
        scene.workers.silence("b", true);
        let begun = board.order(Order::Move { slice, to: "b".to_owned() }).await;
        let Ok(Done::Moving { move_ }) = begun else { panic!("{begun:?}") };
        until(&board, |status| status.moves.iter().any(|move_| move_.phase == "copying")).await;
        assert_eq!(board.order(Order::Abort { move_ }).await, Ok(Done::Aborting));
        scene.workers.silence("b", false);
        let status = until(&board, |status| status.ended.len() == 2).await;
        assert_eq!((status.ended[0].end, status.ended[0].why), ("aborted", Some("operator")));
        assert_eq!(board.order(Order::Abort { move_ }).await, Err(Refusal::UnknownMove(move_.0)));
    });
}

#[test]
fn a_worker_that_does_not_keep_what_it_was_given_gets_no_slices() {
    within(async {
        let scene = Scene::in_memory(&["a", "b", "c"]);
        let board = scene.leading().await;
        for number in 0..40 {
            scene.workers.write(&board, &format!("key-{number}"), "value").await;
        }
        let slice = slice_of(&board, "a");
        scene.workers.lose("b");
        let begun = board.order(Order::Move { slice, to: "b".to_owned() }).await;
        assert!(matches!(begun, Ok(Done::Moving { .. })), "{begun:?}");
        let status = until(&board, |status| !status.ended.is_empty() && status.moves.is_empty()).await;
        assert_eq!((status.ended[0].end, status.ended[0].why), ("aborted", Some("differs")));
        let told = status.reasons.iter().find(|reason| reason.code == "quarantined").expect("it is told");
        assert!(told.why.starts_with("`b` gets no slices for"), "{}", told.why);
        let again = board.order(Order::Move { slice, to: "b".to_owned() }).await;
        assert!(again.as_ref().is_err_and(|why| why.code() == "quarantined"), "{again:?}");
        assert!(board.order(Order::Drain { worker: "a".to_owned() }).await.is_ok());
        until(&board, |status| status.workers.iter().any(|worker| worker.name == "a" && worker.state == "left")).await;
        assert_eq!(owner(&board, slice), "c");
        assert_eq!(scene.workers.read(&board, "key-7"), Some("value".to_owned()));
    });
}

#[test]
fn a_worker_that_served_what_was_another_ones_gets_no_slices() {
    within(async {
        let scene = Scene::in_memory(&["a", "b", "c"]);
        let board = scene.leading().await;
        let slice = slice_of(&board, "a");
        scene.workers.stray("b", slice);
        let status = until(&board, |status| status.reasons.iter().any(|reason| reason.code == "quarantined")).await;
        let told = status.reasons.iter().find(|reason| reason.code == "quarantined").expect("it is told");
        assert!(
            told.why.starts_with("`b` gets no slices for") && told.why.contains("another worker's"),
            "{}",
            told.why
        );
        let refused = board.order(Order::Move { slice, to: "b".to_owned() }).await;
        assert!(refused.as_ref().is_err_and(|why| why.code() == "quarantined"), "{refused:?}");
    });
}

#[test]
fn splits_merges_and_a_key_of_its_own_change_the_table_and_move_nothing() {
    within(async {
        let scene = Scene::in_memory(&["a", "b"]);
        let board = scene.leading().await;
        let slice = slice_of(&board, "a");
        let done = board.order(Order::Split { slice, at: None }).await;
        assert!(matches!(done, Ok(Done::Reshaped { slices: 5, .. })), "{done:?}");
        let table = board.tables().borrow().clone().expect("there is one");
        let at = table.slices.iter().position(|row| row.id == slice.0).expect("it is there");
        let right = SliceId(table.slices[at + 1].id);
        let done = board.order(Order::Merge { left: slice, right }).await;
        assert!(matches!(done, Ok(Done::Reshaped { slices: 4, .. })), "{done:?}");
        let point = Point::of(b"celebrity");
        assert!(matches!(board.order(Order::Isolate { point }).await, Ok(Done::Reshaped { slices: 6, .. })));
        let table = board.tables().borrow().clone().expect("there is one").table().expect("it tiles the space");
        assert_eq!(table.look_up(point).1.range.points(), 1);
        assert!(matches!(board.order(Order::Presplit { slices: 20 }).await, Ok(Done::Reshaped { slices: 20, .. })));
        let refused = board.order(Order::Merge { left: right, right: slice }).await;
        assert!(matches!(refused, Err(Refusal::UnknownSlice(_) | Refusal::Reshape(_))), "{refused:?}");
    });
}

#[test]
fn what_is_ordered_wrongly_is_refused_with_a_code_and_what_would_be_right() {
    within(async {
        let mut scene = Scene::in_memory(&["a", "b"]);
        scene.config.per_shard_order = true;
        let board = scene.leading().await;
        let slice = slice_of(&board, "a");
        let to = |to: &str| Order::Move { slice, to: to.to_owned() };
        for (order, code, text) in [
            (to("nobody"), "unknown_worker", "it knows a, b"),
            (to("a"), "owns_it", "owns that slice already"),
            (Order::Move { slice: SliceId(u64::MAX), to: "a".to_owned() }, "unknown_slice", "ffffffffffffffff"),
            (Order::Split { slice, at: None }, "ordered", "ordering: per_shard"),
            (Order::Presplit { slices: 9 }, "ordered", "move the slice instead"),
        ] {
            let refusal = board.order(order.clone()).await.expect_err("it is wrong");
            assert_eq!(refusal.code(), code, "{order:?}");
            assert!(refusal.to_string().contains(text), "{refusal}");
        }
        assert!(matches!(board.order(Order::Drain { worker: "a".to_owned() }).await, Ok(Done::Draining { .. })));
        let last = board.order(Order::Drain { worker: "b".to_owned() }).await;
        assert_eq!(last, Err(Refusal::LastWorker("b".to_owned())));
    });
}

#[test]
fn without_members_there_is_no_map_and_the_status_says_why() {
    within(async {
        let scene = Scene::in_memory(&[]);
        let board = scene.mover(1).0;
        let status = until(&board, |status| status.reasons.iter().any(|reason| reason.code == "no_members")).await;
        assert_eq!(status.map_id, None);
        let refused = board.order(Order::Presplit { slices: 9 }).await;
        assert_eq!(refused, Err(Refusal::NoMembers("carts".to_owned())));
    });
}

#[test]
fn no_more_moves_begin_at_once_than_may_and_the_others_say_what_for_they_wait() {
    within(async {
        let mut scene = Scene::in_memory(&["a", "b"]);
        (scene.config.slices, scene.config.most_moves_of_a_worker) = (8, 1);
        let board = scene.leading().await;
        scene.workers.silence("b", true);
        let first = slice_of(&board, "a");
        let table = board.tables().borrow().clone().expect("there is one");
        let a = number(&table, "a");
        let others: Vec<SliceId> =
            table.slices.iter().filter(|row| row.owner == a && row.id != first.0).map(|row| SliceId(row.id)).collect();
        let to_b = |slice| Order::Move { slice, to: "b".to_owned() };
        assert!(matches!(board.order(to_b(first)).await, Ok(Done::Moving { .. })));
        for slice in &others {
            let done = board.order(to_b(*slice)).await;
            let Ok(Done::Waiting { why, .. }) = done else { panic!("{done:?}") };
            assert!(!why.is_empty());
        }
        until(&board, |status| status.waiting.iter().all(|waits| waits.code == "most_moves_of_a_worker")).await;
        scene.workers.silence("b", false);
        let status = until(&board, |status| status.waiting.is_empty() && status.moves.is_empty()).await;
        assert!(status.ended.len() == others.len() + 1 && status.ended.iter().all(|ended| ended.end == "moved"));
    });
}
