//! The book of alerts, round by round, on a fleet with a slow node.

use super::*;
use crate::doctor::{Options, diagnose};
use crate::history::{Bounds, Metric, Peers, Recorder, Weigh};

/// A round: `n0` works so much of its CPU, the others a third; of no minutes nothing can be said.
fn seen(cpu: f64, minutes: i64) -> Diagnosis {
    let mut recorder = Recorder::new(Bounds::default(), Weigh::Count);
    for at in 0..10 {
        let node = recorder.node(&format!("n{at}"), &Peers::default()).expect("there is room");
        for minute in 0..minutes {
            let value = if at == 0 { cpu } else { 0.33 + 0.01 * ((minute + at) % 3) as f64 };
            recorder.sample(node, &Metric::Cpu, At(minute * 60_000), value);
        }
    }
    diagnose(&recorder.finish("test".into()), &Options::default())
}

fn changes(book: &mut Book, rounds: usize, diagnosis: &Diagnosis) -> Vec<(Change, bool)> {
    let round = |at: usize| At(i64::try_from(at).expect("few rounds") * 300_000);
    let notices = (0..rounds).flat_map(|at| book.round(round(at), diagnosis)).collect::<Vec<_>>();
    notices
        .iter()
        .filter(|notice| notice.finding.id.contains("cpu/n0"))
        .map(|notice| (notice.change, notice.page))
        .collect()
}

#[test]
fn a_finding_opens_after_three_rounds_escalates_after_eight_and_ends_as_slowly() {
    let (hot, well) = (seen(0.9, 200), seen(0.34, 200));
    let mut book = Book::default();
    assert_eq!(changes(&mut book, 2, &hot), []);
    assert_eq!(changes(&mut book, 1, &hot), [(Change::Opened, true)]);
    assert_eq!(changes(&mut book, 9, &hot), [(Change::Escalated, true)]);
    assert_eq!(changes(&mut book, 1, &well), []);
    assert_eq!(changes(&mut book, 1, &hot), [], "down a step and up again is no news");
    assert_eq!(changes(&mut book, 8, &well), [(Change::Closed, false)]);
    assert_eq!(book.open().count(), 0);
}

#[test]
fn one_round_of_it_is_never_told() {
    let (hot, well) = (seen(0.9, 200), seen(0.34, 200));
    let mut book = Book::default();
    for _ in 0..20 {
        assert_eq!(changes(&mut book, 1, &hot), []);
        assert_eq!(changes(&mut book, 1, &well), []);
    }
}

#[test]
fn a_round_that_cannot_be_judged_neither_ends_nor_confirms_it() {
    let (hot, nothing) = (seen(0.9, 200), seen(0.9, 0));
    let mut book = Book::default();
    changes(&mut book, 3, &hot);
    assert_eq!(changes(&mut book, 20, &nothing), [(Change::Inconclusive, false)]);
    assert!(book.open().count() >= 1);
}

#[test]
fn payloads_answer_why() {
    let mut book = Book::default();
    let hot = seen(0.9, 200);
    let notices: Vec<Notice> = (0..3).flat_map(|at| book.round(At(at), &hot)).collect();
    let ours = webhook("test", &notices);
    assert!(ours.pointer("/notices/0/finding/hypotheses/0/evidence/0/seen").is_some(), "{ours:#}");
    let theirs = alertmanager("test", &notices, 600_000);
    let labels = theirs.pointer("/0/labels").expect("an alert");
    assert_eq!((&labels["severity"], &labels["group"]), (&"page".into(), &"all nodes".into()), "{theirs:#}");
    let annotations = theirs.pointer("/0/annotations").expect("an alert");
    assert!(annotations["summary"].as_str().is_some_and(|text| text.contains("n0")), "{theirs:#}");
    assert!(annotations["description"].as_str().is_some_and(|text| text.contains("structural")), "{theirs:#}");
    assert_eq!(theirs.pointer("/0/startsAt"), Some(&"1970-01-01T00:00:00Z".into()));
}
