//! What a subscription carries: there and back, and what is refused on the way.

use ambidex_core::share::Share;
use ambidex_core::signal::Report;
use ambidex_core::stats::histogram::{Tally, TallyState};
use ambidex_core::time::Span;
use ambidex_core::trial::{Group, Sums};
use proptest::prelude::*;

use super::*;

fn worker(name: &str) -> WorkerPicture {
    WorkerPicture {
        points: 100,
        name: name.to_owned(),
        url: format!("http://{name}:80"),
        address: "10.0.0.1:80".to_owned(),
        fixed: 1.0,
        learned: 1.0,
        ..WorkerPicture::default()
    }
}

fn picture(workers: Vec<WorkerPicture>) -> Picture {
    Picture { pool: "api".to_owned(), revision: 1, policy: String::new(), workers, more: false }
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
    let up = Up {
        said: Some(Said::Counts(Counts { pool: "api".to_owned(), workers: vec![sent.clone()], ..Counts::default() })),
    };
    assert_eq!(Up::decode(&*up.encode_to_vec()), Ok(up));
    assert_eq!((sent.counted(), sent.in_flight), (Some(counted), 7));
    let told = sent.report.expect("sent");
    assert_eq!((told.report(), told.age()), (Ok(report), Span::from_millis(40)));
}

#[test]
fn what_a_trial_counted_arrives_as_it_was_and_nonsense_does_not() {
    let mut sums = Sums { begun: 5, failed: 1, gone: 1, ..Sums::default() };
    [3, 3, 900].map(Span::from_millis).into_iter().for_each(|took| sums.latency.record(took));
    let sent = GroupCounts::of(7, Group::Control, &sums);
    assert_eq!(
        GroupCounts::decode(&*sent.encode_to_vec()).map(|sent| sent.counted()),
        Ok(Some((Group::Control, sums)))
    );
    for bad in [
        GroupCounts { group: 2, ..sent.clone() },
        GroupCounts { begun: u64::MAX, ..sent.clone() },
        GroupCounts { buckets: vec![9_999], answers: vec![1], ..sent.clone() },
        GroupCounts { answers: Vec::new(), ..sent },
    ] {
        assert_eq!(bad.counted(), None, "{bad:?}");
    }
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
        split: None,
        zones: Some(ZonesPicture {
            acts: true,
            zones: vec![ZonePicture { name: "a".into(), shares: vec![Share::ALL], part: Share::percent(40) }],
        }),
    };
    let text = serde_json::to_string(&policy).expect("plain data");
    let sent = |policy: String| Picture { policy, ..picture(Vec::new()) }.policy();
    assert_eq!(sent(text.clone()), Ok(policy));
    assert!(matches!(sent(text.replace("peak-ewma", "guess")), Err(PictureError::Policy(_))));
    assert!(matches!(sent(text.replace("\"1s\"", "\"1ms\"")), Err(PictureError::Policy(_))));
    for wrong in [text.replace("\"a\"", "\"a\\n\""), text.replace("[1.0]", "[1.0,1.0]"), text.replace("[1.0]", "[2.0]")]
    {
        assert!(matches!(sent(wrong.clone()), Err(PictureError::Policy(_))), "{wrong}");
    }
    let older =
        serde_json::to_string(&Policy { zones: None, ..sent(text.clone()).expect("good") }).expect("plain data");
    assert!(!older.contains("zones"), "who is older is told of none");
}

fn weighed(names: &[(u8, u32, u8)]) -> Vec<WorkerPicture> {
    let one = |(name, standing, learned): &(u8, u32, u8)| WorkerPicture {
        standing: standing % 3,
        learned: f64::from(*learned) + 1.0,
        ..worker(&format!("w{name}"))
    };
    names.iter().map(one).collect()
}

#[test]
fn changes_hold_what_is_another_and_nothing_else() {
    let old = picture(weighed(&[(1, 0, 1), (2, 0, 1), (3, 0, 1), (4, 0, 1)]));
    let new = Picture { revision: 2, ..picture(weighed(&[(1, 0, 1), (3, 1, 1), (5, 0, 1), (4, 0, 7)])) };
    let changes = new.since(&old).expect("they keep their order");
    assert_eq!((changes.gone.as_slice(), changes.anew.as_slice()), (&[1][..], &[1, 2][..]));
    assert_eq!((changes.places.as_slice(), changes.policy.as_ref()), (&[3][..], None));
    assert!(!changes.are_of_weights_alone());
    let reordered = picture(weighed(&[(2, 0, 1), (1, 0, 1), (3, 0, 1), (4, 0, 1)]));
    assert_eq!(reordered.since(&old), None, "only a whole picture says so");
}

#[test]
fn changes_that_do_not_fit_change_nothing() {
    let old = picture(weighed(&[(1, 0, 1), (2, 0, 1)]));
    let good = Changes { from: 1, revision: 2, places: vec![1], learned: vec![0.5], ..Changes::default() };
    let takes = |changes: Changes| {
        let mut here = old.clone();
        let taken = here.take(&changes);
        assert!(taken.is_ok() || here == old, "{changes:?}");
        taken
    };
    assert_eq!(takes(good.clone()), Ok(()));
    assert_eq!(takes(Changes { from: 9, ..good.clone() }), Err(ChangesError::Gap { from: 9, here: 1 }));
    assert_eq!(
        takes(Changes { learned: vec![f64::INFINITY], ..good.clone() }),
        Err(ChangesError::Weight(f64::INFINITY))
    );
    let (extra, far) = (vec![worker("w3")], vec![7]);
    for bad in [
        Changes { places: vec![2], ..good.clone() },
        Changes { places: Vec::new(), ..good.clone() },
        Changes { gone: vec![2], ..good.clone() },
        Changes { gone: vec![1, 0], ..good.clone() },
        Changes { anew: far, workers: extra.clone(), ..good.clone() },
        Changes { anew: vec![0, 0], workers: vec![worker("w3"), worker("w4")], ..good.clone() },
        Changes { workers: extra, ..good.clone() },
    ] {
        assert_eq!(takes(bad), Err(ChangesError::Places));
    }
    let evil = WorkerPicture { standing: 9, ..worker("w3") };
    let bad = Changes { anew: vec![2], workers: vec![evil], ..good };
    assert!(matches!(takes(bad), Err(ChangesError::Picture(PictureError::Standing(..)))));
}

#[test]
fn what_one_loses_and_all_others_gain_is_told_of_that_one() {
    let fleet = |lost: f64| {
        let sum = 999.0 + (1.0 - lost);
        let one = |at: usize| {
            let weight = if at == 7 { 1.0 - lost } else { 1.0 };
            WorkerPicture { learned: weight * 1_000.0 / sum, ..worker(&format!("w{at}")) }
        };
        picture((0..1_000).map(one).collect())
    };
    let (mut told, new) = (fleet(0.0), Picture { revision: 2, ..fleet(0.9) });
    let changes = new.since(&told).expect("the same workers");
    assert_eq!((changes.places.as_slice(), changes.scale.is_some()), (&[7][..], true));
    told.take(&changes).expect("they fit");
    for (told, new) in told.workers.iter().zip(&new.workers) {
        assert!((told.learned / new.learned - 1.0).abs() < 1e-3);
    }
    let evil = Changes { from: 2, scale: Some(f64::NAN), ..Changes::default() };
    assert!(matches!(told.take(&evil), Err(ChangesError::Weight(_))));
}

proptest! {
    #[test]
    fn changes_make_the_new_picture_of_the_old_one(
        old in prop::collection::btree_map(0..20_u8, (0..3_u32, 0..3_u8), 0..15),
        new in prop::collection::btree_map(0..20_u8, (0..3_u32, 0..3_u8), 1..15),
        policy in any::<bool>(),
    ) {
        let listed = |workers: &std::collections::BTreeMap<u8, (u32, u8)>| {
            let flat: Vec<_> = workers.iter().map(|(name, (standing, learned))| (*name, *standing, *learned)).collect();
            weighed(&flat)
        };
        let mut here = picture(listed(&old));
        let text = if policy { "other" } else { "" };
        let there = Picture { revision: 2, policy: text.to_owned(), ..picture(listed(&new)) };
        let changes = there.since(&here).expect("names keep their order");
        let bytes = changes.encode_to_vec();
        here.take(&Changes::decode(&*bytes).expect("ours")).expect("they fit");
        prop_assert_eq!(here.workers.len(), there.workers.len());
        for (told, is) in here.workers.iter_mut().zip(&there.workers) {
            prop_assert!((told.learned - is.learned).abs() <= 0.001 * told.learned.max(is.learned));
            told.learned = is.learned;
        }
        prop_assert_eq!(here, there);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(Up { said: Some(Said::Counts(counts)) }) = Up::decode(&*bytes) {
            counts.workers.iter().for_each(|worker| drop((worker.counted(), worker.report.as_ref().map(Reported::report))));
        }
        if let Ok(Down { told: Some(Told::Picture(picture)), .. }) = Down::decode(&*bytes) {
            drop((picture.check(), picture.policy()));
        }
        if let Ok(changes) = Changes::decode(&*bytes) {
            drop(picture(weighed(&[(1, 0, 1), (2, 0, 1)])).take(&Changes { from: 1, ..changes }));
        }
    }
}
