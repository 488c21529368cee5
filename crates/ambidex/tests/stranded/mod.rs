//! A canary of a review that nobody looks at any more, as a process that died leaves it behind: for whoever has to take it back.

use std::path::Path;

use ambidex_core::review::{Abort, Action, Draft, Event, Look, Moment, Number, Part, Review, Subject, Who};
use ambidex_core::time::Span;
use ambidex_store::reviews::{Filed, Reviews};
use serde_json::Value;

/// Puts one in a folder of reviews, as its first.
pub(crate) fn leave_in(folder: &Path) {
    let reviews = Reviews::open(folder).expect("it opens");
    let number = reviews.next().expect("room");
    reviews.put(&Filed { review: left_alone(number), finding: Value::Null }).expect("room");
    reviews.close().expect("written");
}

/// A review whose canary began an hour ago, at half of the way from 2.5 to 1, and was never looked at.
fn left_alone(number: Number) -> Review {
    let at = Moment(u64::try_from(ambidex_insight::clock::now().0).expect("after 1970") - 3_600_000);
    let nodes = vec!["b".to_owned()];
    let subject =
        Subject { group: "api".into(), metric: "requests".into(), nodes, cause: "weights".into(), about: None };
    let part = |(node, r): (&str, f64)| Part { node: node.into(), fair: 0.2, r };
    let parts = [("a", 0.625), ("b", 2.5), ("c", 0.625), ("d", 0.625), ("e", 0.625)].map(part).into();
    let before = Look { at, parts, cmi: None, errors: None, p99_ms: None };
    let draft = Draft {
        action: Action::Weight { pool: "api".into(), worker: "b".into(), from: 2.5, pinned: true, to: 1.0 },
        predicted: None,
        blast: None,
        aborts: Abort::usual(),
        canary: Span::from_secs(10),
        watch: Span::from_secs(10),
        valid: Span::from_secs(86_400),
    };
    let by = Who::Person("ada".into());
    let mut review = Review::open(number, at, subject, None, None);
    for event in [
        Event::Propose { by: by.clone(), proposal: draft.try_into().expect("it can be"), trust: None },
        Event::Approve { by, why: String::new() },
        Event::Begin { by: Who::Carrier, before },
    ] {
        review.on(at, event, &mut Vec::new()).expect("it fits");
    }
    review
}
