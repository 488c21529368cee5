//! What a subscription carries: there and back, and what is refused on the way.

use ambidex_core::signal::Report;
use ambidex_core::stats::histogram::{Tally, TallyState};
use ambidex_core::time::Span;
use proptest::prelude::*;

use super::*;

fn worker(name: &str) -> WorkerPicture {
    WorkerPicture {
        name: name.to_owned(),
        url: format!("http://{name}:80"),
        address: "10.0.0.1:80".to_owned(),
        fixed: 1.0,
        learned: 1.0,
        ..WorkerPicture::default()
    }
}

fn picture(workers: Vec<WorkerPicture>) -> Picture {
    Picture { pool: "api".to_owned(), revision: 1, policy: String::new(), workers }
}

#[test]
fn what_was_counted_arrives_as_it_was() {
    let tally = Tally::default();
    for millis in [1, 5, 5, 900] {
        tally.start();
        tally.answer(Span::from_millis(millis));
    }
    tally.fail();
    let mut counted = TallyState::default();
    tally.add_to(&mut counted);
    let report = Report { in_flight: Some(3), mean: Some(Span::from_millis(20)), ..Report::default() };
    let sent = WorkerCounts::of("a", &counted, 7, Some((&report, Span::from_millis(40))));
    let up = Up { said: Some(Said::Counts(Counts { pool: "api".to_owned(), workers: vec![sent.clone()] })) };
    assert_eq!(Up::decode(&*up.encode_to_vec()), Ok(up));
    assert_eq!((sent.counted(), sent.in_flight), (Some(counted), 7));
    let told = sent.report.expect("sent");
    assert_eq!((told.report(), told.age()), (Ok(report), Span::from_millis(40)));
}

#[test]
fn counts_that_nobody_can_have_are_none() {
    let good = WorkerCounts { buckets: vec![3], answers: vec![1], ..WorkerCounts::default() };
    assert!(good.counted().is_some());
    for bad in [
        WorkerCounts { buckets: vec![9_999], ..good.clone() },
        WorkerCounts { answers: Vec::new(), ..good.clone() },
        WorkerCounts { failed: u64::MAX, ..good.clone() },
        WorkerCounts { in_flight: u32::MAX, ..good.clone() },
    ] {
        assert_eq!(bad.counted(), None, "{bad:?}");
    }
}

#[test]
fn a_picture_is_checked_before_it_is_believed() {
    assert_eq!(picture(vec![worker("a"), worker("b")]).check(), Ok(()));
    let with = |change: fn(&mut WorkerPicture)| {
        let mut changed = worker("b");
        change(&mut changed);
        picture(vec![worker("a"), changed]).check()
    };
    assert!(matches!(with(|worker| worker.learned = f64::NAN), Err(PictureError::Weight(..))));
    assert!(matches!(with(|worker| worker.fixed = -1.0), Err(PictureError::Weight(..))));
    assert!(matches!(with(|worker| worker.standing = 9), Err(PictureError::Standing(_, 9))));
    assert!(matches!(with(|worker| worker.address = "b:80".to_owned()), Err(PictureError::Address(..))));
    assert!(matches!(with(|worker| worker.name = "a\n".to_owned()), Err(PictureError::Label("name", 2))));
    let weightless = WorkerPicture { fixed: 0.0, learned: 0.0, ..worker("a") };
    assert_eq!(picture(vec![weightless.clone()]).check(), Err(PictureError::Weightless));
    assert_eq!(picture(vec![WorkerPicture { standing: 1, ..weightless }]).check(), Ok(()));
}

#[test]
fn a_policy_is_read_by_its_checked_types() {
    let policy = Policy {
        pick: ambidex_core::balance::PickPolicy::PeakEwma,
        breaker: ambidex_core::guard::breaker::BreakerConfig::default(),
        learned_share: ambidex_core::share::Share::ALL,
        tick: Span::from_secs(1),
    };
    let text = serde_json::to_string(&policy).expect("plain data");
    let sent = |policy: String| Picture { policy, ..picture(Vec::new()) }.policy();
    assert_eq!(sent(text.clone()), Ok(policy));
    assert!(matches!(sent(text.replace("peak-ewma", "guess")), Err(PictureError::Policy(_))));
    assert!(matches!(sent(text.replace("\"1s\"", "\"1ms\"")), Err(PictureError::Policy(_))));
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(Up { said: Some(Said::Counts(counts)) }) = Up::decode(&*bytes) {
            counts.workers.iter().for_each(|worker| drop((worker.counted(), worker.report.as_ref().map(Reported::report))));
        }
        if let Ok(Down { told: Some(Told::Picture(picture)) }) = Down::decode(&*bytes) {
            drop((picture.check(), picture.policy()));
        }
    }
}
