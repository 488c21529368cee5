//! Slices that move between two agents, by the hand of a test.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ambidex_core::shard::messages::{Cursor, Digest, Message, Reply, Stand};
use ambidex_core::shard::records::{Epoch, MoveId, Phase};
use ambidex_core::shard::space::Range;
use ambidex_core::worker::WorkerId;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use http::{Method, StatusCode};

use crate::scene::{SLICE, Shared, Worker};

const M: MoveId = MoveId(9);

const OFFER: Message = Message::Offer { slice: SLICE, range: Range::ALL, epoch: Epoch(1) };

const fn copy(cursor: Cursor) -> Message {
    Message::Copy { epoch: Epoch(1), cursor }
}

/// Copies the first pass and one round; says the number of the next batch.
async fn copied(store: &Shared, source: &Worker, target: &Worker) -> u32 {
    store.phase(M, Phase::Copying);
    assert_eq!(target.tell(M, OFFER).await, Reply::Offered);
    let (mut cursor, mut number) = (Cursor::Start, 0);
    loop {
        let reply = source.tell(M, copy(cursor.clone())).await;
        let Reply::Copied { entries, next, .. } = reply else { panic!("{reply:?}") };
        let reply = target.tell(M, Message::Apply { number, entries, seen: None }).await;
        assert_eq!(reply, Reply::Applied { number });
        number += 1;
        cursor = match (next, cursor) {
            (Some(key), _) => Cursor::After(key),
            (None, Cursor::Round(_)) => return number,
            (None, Cursor::Start | Cursor::After(_)) => Cursor::Round(1),
        };
    }
}

/// Seals the source, and gives the target the rest; says the source's digest.
async fn sealed(store: &Shared, source: &Worker, target: &Worker, number: u32) -> Digest {
    store.phase(M, Phase::Sealing);
    let reply = source.tell(M, Message::Seal { epoch: Epoch(1) }).await;
    let Reply::Sealed { entries, seen, digest } = reply else { panic!("{reply:?}") };
    let last = Message::Apply { number, entries, seen: Some(seen) };
    assert_eq!(target.tell(M, last).await, Reply::Applied { number });
    digest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_moves_under_writes_and_nothing_that_was_acknowledged_is_lost_or_doubled() {
    let store = Shared::with_one_slice();
    let (source, target) = (Arc::new(Worker::start("a", &store).await), Worker::start("b", &store).await);
    let number = Arc::new(AtomicU64::new(0));
    for key in 0..50 {
        assert_eq!(source.add(&format!("cart-{key}"), 1, None, "first").await.status, StatusCode::CREATED);
    }
    // One writer, until it is turned away.
    let writer = tokio::spawn({
        let (source, number) = (Arc::clone(&source), Arc::clone(&number));
        async move {
            let mut acknowledged = Vec::new();
            loop {
                let op = number.fetch_add(1, Ordering::Relaxed) + 1;
                let (key, line) = (format!("cart-{}", op % 50), format!("line-{op}"));
                match source.add(&key, 1, Some(op), &line).await.status {
                    StatusCode::CREATED => acknowledged.push((key, line, op)),
                    StatusCode::MISDIRECTED_REQUEST => return acknowledged,
                    other => panic!("{other}"),
                }
            }
        }
    });
    let last = copied(&store, &source, &target).await;
    let digest = sealed(&store, &source, &target, last).await;
    let acknowledged = writer.await.expect("the writer ends");
    assert_eq!(target.tell(M, Message::Verify { digest }).await, Reply::Verified);
    let early = target.add("cart-1", 2, None, "early").await;
    assert_eq!(early.status, StatusCode::MISDIRECTED_REQUEST, "nothing is served before COMMIT");
    store.phase(M, Phase::Committed);
    assert_eq!(target.tell(M, Message::Look).await, Reply::Stands(Stand::Serves(Epoch(2))));
    for (key, line, op) in &acknowledged {
        let has = target.has(key).await;
        assert_eq!(has.lines().filter(|one| one == line).count(), 1, "{key}: {line}: {has}");
        let again = target.add(key, 2, Some(*op), line).await;
        assert_eq!((again.status, &*again.word), (StatusCode::CREATED, "answered"), "{line}");
    }
    store.phase(M, Phase::Releasing);
    let deadline = Instant::now() + crate::scene::PATIENCE;
    while source.tell(M, Message::Look).await != Reply::Stands(Stand::Nothing) {
        assert!(Instant::now() < deadline, "the source does not delete");
    }
    let left: BTreeSet<String> = [source.has("cart-1").await, source.has("cart-2").await].into();
    assert_eq!(left, BTreeSet::from([String::new()]), "the source has deleted what it had");
    assert_eq!(target.add("cart-1", 2, None, "late").await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_slice_gives_old_answers_to_those_who_take_them_until_it_is_handed_over() {
    let store = Shared::with_one_slice();
    let (source, target) = (Worker::start("a", &store).await, Worker::start("b", &store).await);
    source.add("bob", 1, None, "apples").await;
    let number = copied(&store, &source, &target).await;
    let serving = source.read_old("bob", 1).await;
    assert_eq!((&*serving.text, &*serving.word), ("apples\n", ""));
    let digest = sealed(&store, &source, &target, number).await;
    assert_eq!(source.ask(Method::GET, "bob", 1, None, "").await.status, StatusCode::MISDIRECTED_REQUEST);
    let old = source.read_old("bob", 1).await;
    assert_eq!((old.status, &*old.text, &*old.word), (StatusCode::OK, "apples\n", "stale"));
    assert_eq!(target.read_old("bob", 1).await.status, StatusCode::MISDIRECTED_REQUEST, "nobody sees a staging");
    assert_eq!(target.tell(M, Message::Verify { digest }).await, Reply::Verified);
    store.phase(M, Phase::Committed);
    source.until_it("handed").await;
    assert_eq!(source.read_old("bob", 1).await.status, StatusCode::MISDIRECTED_REQUEST);
    target.until_it("serves").await;
    let new = target.read_old("bob", 2).await;
    assert_eq!((&*new.text, &*new.word), ("apples\n", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_survives_a_crash_and_only_the_store_reopens_it() {
    let store = Shared::with_one_slice();
    let (mut source, target) = (Worker::start("a", &store).await, Worker::start("b", &store).await);
    source.add("bob", 1, Some(1), "apples").await;
    let number = copied(&store, &source, &target).await;
    sealed(&store, &source, &target, number).await;
    source.restart().await;
    let refused = source.add("bob", 1, Some(2), "pears").await;
    assert_eq!(refused.status, StatusCode::MISDIRECTED_REQUEST);
    assert!(refused.hint.contains("sealed=1"), "{}", refused.hint);
    assert_eq!(source.tell(M, Message::Seal { epoch: Epoch(1) }).await, Reply::Lost);
    store.phase(M, Phase::Aborted);
    source.until_it("serves").await;
    assert_eq!(source.add("bob", 1, Some(2), "pears").await.status, StatusCode::MISDIRECTED_REQUEST, "epoch 1 is past");
    assert_eq!(source.add("bob", 2, Some(2), "pears").await.status, StatusCode::CREATED);
    assert_eq!(source.add("bob", 2, Some(1), "apples").await.word, "answered");
    assert_eq!(source.has("bob").await, "apples\npears\n");
    target.until("its staging is gone", |slices| slices["slices"].as_array().is_some_and(Vec::is_empty)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_was_verified_serves_after_a_crash_once_it_reads_the_commit() {
    let store = Shared::with_one_slice();
    let (source, mut target) = (Worker::start("a", &store).await, Worker::start("b", &store).await);
    source.add("bob", 1, Some(1), "apples").await;
    let number = copied(&store, &source, &target).await;
    let digest = sealed(&store, &source, &target, number).await;
    assert_eq!(target.tell(M, Message::Verify { digest }).await, Reply::Verified);
    target.restart().await;
    target.until_it("staging").await;
    store.phase(M, Phase::Committed);
    target.until_it("serves").await;
    assert_eq!(target.has("bob").await, "apples\n");
    assert_eq!(target.add("bob", 2, Some(1), "apples").await.word, "answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_reopens_while_the_store_is_away() {
    let store = Shared::with_one_slice();
    let (source, target) = (Worker::start("a", &store).await, Worker::start("b", &store).await);
    let number = copied(&store, &source, &target).await;
    sealed(&store, &source, &target, number).await;
    store.lock().away = true;
    store.phase(M, Phase::Aborted);
    for _ in 0..20 {
        assert_eq!(source.add("bob", 2, None, "pears").await.status, StatusCode::MISDIRECTED_REQUEST);
    }
    store.lock().away = false;
    source.until_it("serves").await;
}

/// An application that says it has taken entries, and has not taken the last one.
async fn loses_one(request: Request, next: Next) -> axum::response::Response {
    if request.uri().path() != "/.ambidex/app/v1/import" {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    let mut asked: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    let given = asked["entries"].as_array_mut().map_or(0, |entries| {
        let count = entries.len();
        entries.pop();
        count
    });
    let response = next.run(Request::from_parts(head, asked.to_string().into())).await;
    if given == 0 { response } else { format!("{{\"total\": {given}}}").into_response() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_loses_entries_is_caught_and_gets_no_slices_for_a_while() {
    let store = Shared::with_one_slice();
    let source = Worker::start("a", &store).await;
    let liar = Worker::with("b", &store, crate::app::app().layer(from_fn(loses_one))).await;
    source.add("bob", 1, None, "apples").await;
    source.add("eve", 1, None, "pears").await;
    let number = copied(&store, &source, &liar).await;
    let digest = sealed(&store, &source, &liar, number).await;
    let reply = liar.tell(M, Message::Verify { digest }).await;
    assert!(matches!(reply, Reply::Differs { .. }), "{reply:?}");
    let slices = liar.slices().await;
    assert!(slices["wrong"].as_str().is_some_and(|why| why.contains("breaks the contract at import")), "{slices}");
    store.phase(M, Phase::Aborted);
    liar.until("its staging is gone", |slices| slices["slices"].as_array().is_some_and(Vec::is_empty)).await;
    assert_eq!(liar.tell(MoveId(10), OFFER).await, Reply::Lost);
    source.until_it("serves").await;
    assert_eq!(source.add("bob", 2, None, "plums").await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_move_is_gone() {
    let store = Shared::with_one_slice();
    let worker = Worker::start("a", &store).await;
    assert_eq!(worker.tell(M, copy(Cursor::Round(1))).await, Reply::Lost);
    assert_eq!(worker.tell(M, Message::Seal { epoch: Epoch(1) }).await, Reply::Lost);
    assert_eq!(worker.add("bob", 1, None, "apples").await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_gives_new_names_to_the_same_data() {
    use ambidex_core::shard::records::SliceId;
    use ambidex_core::shard::space::Point;
    let store = Shared::with_one_slice();
    let mut worker = Worker::start("a", &store).await;
    worker.add("bob", 1, Some(1), "apples").await;
    let (left, right) = Range::ALL.split_at(Point(1 << 63)).expect("halves");
    {
        let mut store = store.lock();
        let (_, slice) = store.shown.slices[0];
        let part = |id, range| (SliceId(id), ambidex_core::shard::records::Slice { range, epoch: Epoch(2), ..slice });
        store.shown.slices = vec![part(1, left), part(2, right)];
    }
    let in_left = left.contains(Point::of(b"bob"));
    // A request in the new epoch makes it look.
    let deadline = Instant::now() + crate::scene::PATIENCE;
    while worker.slices().await["slices"].as_array().is_none_or(|slices| slices.len() < 2) {
        assert!(Instant::now() < deadline, "it does not take the new names over");
        worker.add("bob", 2, Some(2), "pears").await;
    }
    for _ in 0..2 {
        if in_left {
            let again = worker.add("bob", 2, Some(1), "apples").await;
            assert!(["answered", "forgotten"].contains(&&*again.word), "{}", again.word);
        }
        worker.restart().await;
        let slices = worker.slices().await;
        assert_eq!(slices["slices"].as_array().map(Vec::len), Some(2), "{slices}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_records_were_put_back_stops_serving_what_is_another_ones_and_keeps_it() {
    let store = Shared::with_one_slice();
    let mut worker = Worker::start("a", &store).await;
    worker.add("bob", 1, None, "apples").await;
    {
        let slice = &mut store.lock().shown.slices[0].1;
        (slice.owner, slice.epoch) = (WorkerId(2), Epoch(2));
    }
    for _ in 0..2 {
        worker.until_it("stray").await;
        let refused = worker.add("bob", 1, None, "pears").await;
        assert_eq!(refused.status, StatusCode::MISDIRECTED_REQUEST, "{}", refused.text);
        assert!(refused.hint.contains("sealed=1"), "{}", refused.hint);
        let offer = Message::Offer { slice: SLICE, range: Range::ALL, epoch: Epoch(2) };
        assert_eq!(worker.tell(M, offer).await, Reply::Lost);
        assert_eq!(worker.has("bob").await, "apples\n");
        worker.restart().await;
    }
}
