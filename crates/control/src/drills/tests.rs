//! Drills of a coordinator on its own thread: who may be drilled, and when a drill ends.

use std::sync::Arc;

use ambidex_core::drill::{Ending, Order};
use ambidex_wire::journal::{decode, encode};

use super::*;
use crate::coordinator::tests::{Process, TWO, pool, process};
use crate::journal::{NoJournal, Record};
use crate::orders;

fn two() -> Process {
    process(vec![pool("api", TWO)], Arc::new(NoJournal))
}

fn start(process: &Process, worker: &str, order: &str) -> Result<DrillStatus, DrillError> {
    let order: Order = serde_json::from_str(order).expect("an order");
    let begun = process.room().start_drill(process.clock.now(), "api", worker, order);
    process.shared().changed.notify_one();
    begun
}

const SLOW: &str = r#"{"fault": {"delay": "200ms"}, "for": "10m"}"#;

/// Whether requests meet a drill of this worker.
fn is_drilled(process: &Process, name: &str) -> bool {
    let view = process.view.load();
    let pool = &view.pools()[0];
    let by_worker = pool.workers.iter().any(|worker| &*worker.name == name && worker.drill.is_some());
    assert_eq!(by_worker, pool.drill.is_some());
    by_worker
}

#[test]
fn a_drill_stands_in_the_view_until_it_is_stopped() {
    let process = two();
    let begun = start(&process, "a", SLOW).expect("begun");
    assert!(
        is_drilled(&process, "a") && begun.sentence().contains("a drill begins: delay=200ms on 100% of the tries of a")
    );
    let other = start(&process, "b", SLOW).expect_err("one at a time");
    assert_eq!(other, DrillError::Running("api".into(), "a".into()));
    let stopped = process.room().stop_drill("api").expect("stopped");
    assert_eq!((stopped.id, stopped.ending), (begun.id, Some(Ending::Stopped)));
    assert!(!is_drilled(&process, "a"));
    assert_eq!(process.room().stop_drill("api"), Err(DrillError::None("api".into())));
    assert_eq!(process.room().drills(), [stopped]);
}

#[test]
fn a_drill_that_is_over_leaves_the_view_by_itself_and_is_news() {
    let process = two();
    start(&process, "a", r#"{"fault": {"errors": "1%"}, "for": "1s"}"#).expect("begun");
    process.until("the end", |_| !is_drilled(&process, "a"));
    let room = process.room();
    assert_eq!(room.drills()[0].ending, Some(Ending::Over));
    let told = room.news.since(0).rfind(|item| item.sentence.contains("is over")).expect("told");
    assert!(matches!(&told.what, crate::news::What::Drill { drill } if drill.id == 1));
    let record = Record::News((**told).clone());
    assert_eq!(decode::<Record>(&encode(&record).expect("written")).expect("read back"), record);
}

#[test]
fn a_reload_keeps_a_drill_and_the_end_of_its_worker_ends_it() {
    let process = two();
    start(&process, "b", SLOW).expect("begun");
    process.coordinator.apply(vec![pool("api", &TWO.replace(r#""limit":10}]"#, r#""limit":20}]"#))]);
    assert!(is_drilled(&process, "b"));
    process.coordinator.apply(vec![pool("api", r#"["http://10.0.0.1:1", "http://10.0.0.9:1"]"#)]);
    process.until("the end", |_| process.room().drills().first().is_some_and(|drill| drill.ending.is_some()));
    assert_eq!(process.room().drills()[0].ending, Some(Ending::Gone));
}

#[test]
fn the_end_of_its_pool_ends_a_drill() {
    let process = two();
    start(&process, "b", SLOW).expect("begun");
    process.coordinator.apply(vec![pool("other", TWO)]);
    assert_eq!(process.room().drills()[0].ending, Some(Ending::Gone));
}

#[test]
fn who_gets_nothing_is_alone_or_has_most_is_not_drilled() {
    let process = two();
    let order = |worker: &str, order| process.room().order(process.clock.now(), "api", worker, order).expect("obeyed");
    order("a", orders::Order::Pin(3.0));
    order("b", orders::Order::Pin(1.0));
    process.until("the pins", |view| view.pools()[0].learned.at(0) > 2.0 * view.pools()[0].learned.at(1));
    let most = start(&process, "a", SLOW).expect_err("most of the pool");
    assert!(
        matches!(most, DrillError::TooMuch { .. }) && most.to_string().contains("has 75 % of the pool's requests"),
        "{most}"
    );
    let part = r#"{"fault": {"delay": "200ms"}, "share": "60%"}"#;
    start(&process, "a", part).expect("under half of the pool");
    process.room().stop_drill("api").expect("stopped");
    order("b", orders::Order::Drain);
    assert_eq!(start(&process, "b", SLOW), Err(DrillError::Idle("b".into(), "it is draining")));
    assert_eq!(start(&process, "a", part), Err(DrillError::Alone("api".into())));
}
