//! Peers of two kinds: offered as two groups, judged as two where that is asked for, and only then.

use ambidex_core::draw::Draw;
use ambidex_insight::doctor::{Diagnosis, Options, diagnose};
use ambidex_insight::history::{At, Bounds, History, Metric, Peers, Recorder, Weigh};
use ambidex_insight::report::terminal::Look;
use ambidex_insight::report::{html, terminal};

/// Nodes that have so many requests a second, for 200 minutes. `change` says what one has in a minute.
fn fleet(rates: &[f64], change: impl Fn(usize, i64) -> f64) -> History {
    let mut recorder = Recorder::new(Bounds::default(), Weigh::Count);
    let mut draw = Draw::seeded(3);
    for (node, rate) in rates.iter().enumerate() {
        let at = recorder.node(&format!("n{node}"), &Peers::default()).expect("there is room");
        for minute in 0..200 {
            let rate = rate * change(node, minute) * (0.95 + 0.1 * draw.unit());
            recorder.sample(at, &Metric::Requests, At(1_790_000_100_000 + minute * 60_000), rate);
        }
    }
    recorder.finish("test".into())
}

fn judged(history: &History, split: bool) -> Diagnosis {
    diagnose(history, &Options { split, ..Options::default() })
}

/// Six nodes with 100 requests a second, and six with 220.
const TWO_KINDS: [f64; 12] = [100.0, 220.0, 100.0, 220.0, 100.0, 220.0, 100.0, 220.0, 100.0, 220.0, 100.0, 220.0];

#[test]
fn a_split_is_offered_and_findings_stay_until_it_is_taken() {
    let history = fleet(&TWO_KINDS, |_, _| 1.0);
    let offered = judged(&history, false);
    let split = offered.groups[0].split.as_ref().expect("an offer");
    assert_eq!((split.metric.clone(), split.low.len(), split.high.len()), (Metric::Requests, 6, 6));
    assert!(split.high.contains(&"n1".to_owned()) && split.ratio.is_some_and(|ratio| (2.1..2.3).contains(&ratio)));
    assert!(!offered.findings.is_empty() && offered.groups.len() == 1);
    let look = Look { colour: false, width: 110, verbose: false };
    for page in [terminal::text(&offered, look), html::page(&offered)] {
        assert!(page.contains("Two kinds of nodes?") && page.contains("--split"), "{page}");
    }

    let taken = judged(&history, true);
    assert!(taken.findings.is_empty(), "{:#?}", taken.findings);
    let names: Vec<&str> = taken.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["all nodes (those with less)", "all nodes (those with more)"]);
    assert!(taken.groups.iter().all(|group| group.split.is_none() && group.nodes.len() == 6));
}

#[test]
fn a_node_that_stands_out_within_its_kind_is_found_when_kinds_are_judged_apart() {
    let history = fleet(&TWO_KINDS, |node, _| if node == 4 { 1.35 } else { 1.0 });
    let nodes = |diagnosis: &Diagnosis| -> Vec<String> {
        diagnosis.findings.iter().flat_map(|finding| &finding.nodes).map(|node| node.node.clone()).collect()
    };
    assert!(!nodes(&judged(&history, false)).contains(&"n4".to_owned()));
    assert_eq!(nodes(&judged(&history, true)), ["n4"]);
}

#[test]
fn what_did_not_stay_and_what_is_one_kind_is_not_split() {
    let turned = fleet(&[150.0; 12], |node, minute| if (node % 2 == 0) == (minute < 110) { 0.6 } else { 1.4 });
    let alike = fleet(&[150.0; 12], |_, _| 1.0);
    let one_hot = fleet(&[150.0; 12], |node, _| if node == 5 { 2.0 } else { 1.0 });
    let few = fleet(&TWO_KINDS[..6], |_, _| 1.0);
    for history in [turned, alike, one_hot, few] {
        for split in [false, true] {
            let diagnosis = judged(&history, split);
            assert!(
                diagnosis.groups.len() == 1 && diagnosis.groups[0].split.is_none(),
                "{:?}",
                diagnosis.groups[0].split
            );
        }
    }
}
