//! Reviews in a folder: read back, bounded, versioned, and one process at a time.

use std::path::Path;

use ambidex_core::review::{Event, Moment, Number, Outcome, Review, Step, Subject, Who};
use ambidex_core::size::Size;
use ambidex_core::time::Span;
use ambidex_store::reviews::{Filed, MOST_REVIEWS, Reviews, ReviewsError};
use ambidex_store::{Limits, Store};
use serde_json::json;

use super::SOON;

fn filed(number: Number, closed: bool) -> Filed {
    let subject = Subject {
        group: "api".into(),
        metric: "busy".into(),
        nodes: vec![format!("n{number}")],
        cause: "weights".into(),
        about: None,
    };
    let at = Moment(1_000 + u64::from(number.0));
    let mut review = Review::open(number, at, subject, None, None);
    if closed {
        let outcome = Outcome::Accepted { why: "cheap".into() };
        let close = Event::Close { by: Who::Person("ada".into()), outcome };
        review.on(at, close, &mut Vec::new()).expect("it is open");
    }
    Filed { review, finding: json!({"title": "n1: twice as much"}) }
}

fn state(folder: &Path) -> Store {
    Store::open(folder, Limits { max_bytes: Size::mib(1), max_age: Span::from_secs(1) }).expect("a store")
}

#[test]
fn reviews_are_read_back_after_a_restart_by_their_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(matches!(Reviews::existing(folder.path()), Err(ReviewsError::Missing(_))));
    let reviews = Reviews::open(folder.path()).expect("it opens");
    for _ in 0..12 {
        let number = reviews.next().expect("room");
        reviews.put(&filed(number, false)).expect("room");
    }
    reviews.close().expect("written");
    let reviews = Reviews::existing(folder.path()).expect("it is there");
    let (all, broken) = reviews.all();
    assert!(broken.is_empty(), "{broken:?}");
    assert_eq!(all.iter().map(|filed| filed.review.number().0).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    assert_eq!(reviews.get(Number(7)).expect("it is there"), filed(Number(7), false));
    assert!(reviews.get(Number(13)).is_err_and(|error| error.to_string().contains("no review R13")));
    reviews.close().expect("written");
}

#[test]
fn the_oldest_closed_one_goes_when_there_are_too_many_and_an_open_one_never() {
    let folder = tempfile::tempdir().expect("a folder");
    let reviews = Reviews::open(folder.path()).expect("it opens");
    let most = u32::try_from(MOST_REVIEWS).expect("a count");
    for number in 1..=most {
        reviews.put(&filed(Number(number), number == 3 || number == 5)).expect("room");
    }
    for _ in 0..2 {
        reviews.put(&filed(reviews.next().expect("a closed one can go"), false)).expect("room");
    }
    let (all, _) = reviews.all();
    let gone = |number| !all.iter().any(|filed| filed.review.number() == Number(number));
    assert!(all.len() == MOST_REVIEWS && gone(3) && gone(5) && !gone(1) && !gone(most + 2));
    assert!(all.iter().all(|filed| filed.review.step() != Step::Record));
    assert!(matches!(reviews.next(), Err(ReviewsError::Full)));
    reviews.close().expect("written");
}

#[test]
fn what_is_newer_or_broken_is_named_and_the_rest_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let reviews = Reviews::open(folder.path()).expect("it opens");
    reviews.put(&filed(Number(1), false)).expect("room");
    reviews.close().expect("written");
    let store = state(folder.path());
    store.state.put("review/00000002", br#"{"version": 9, "other": true}"#).expect("room");
    store.state.put("review/00000003", b"{\"version\": 1, \"rev").expect("room");
    assert!(store.close(SOON));
    let reviews = Reviews::existing(folder.path()).expect("it is there");
    let (all, broken) = reviews.all();
    let said: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert_eq!((all.len(), said.len()), (1, 2));
    assert!(said[0].contains("newer ambidex (form 9)") && said[1].contains("review/00000003"), "{said:?}");
    // None of the numbers is given again.
    assert_eq!(reviews.next().expect("room"), Number(4));
    reviews.close().expect("written");
}

#[test]
fn who_comes_while_another_has_it_open_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Reviews::open(folder.path()).expect("it opens");
    first.put(&filed(Number(1), false)).expect("room");
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let second = Reviews::existing(folder.path()).expect("it is let go");
            let read = second.all().0.len();
            second.close().expect("written");
            read
        });
        first.close().expect("written");
        assert_eq!(second.join().expect("it ends"), 1);
    });
}
