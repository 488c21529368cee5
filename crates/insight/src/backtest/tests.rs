//! Rules on a day of six nodes of which one is hot for two hours, and another bursts once.

use super::*;
use crate::history::{Bounds, Metric, Peers, Recorder, Weigh};

const MINUTE: i64 = 60_000;

/// A day: `c` has twice its part from 10 h to 14 h, `e` six times for five minutes at 18 h.
fn day() -> History {
    let mut recorder = Recorder::new(Bounds::default(), Weigh::Count);
    for (number, name) in ["a", "b", "c", "d", "e", "f"].iter().enumerate() {
        let node = recorder.node(name, &Peers::default()).expect("there is room");
        for minute in 0..24 * 60_i64 {
            let usual = 0.3 + 0.01 * ((minute * 7 + number as i64 * 13) % 5) as f64;
            let value = match (*name, minute) {
                ("c", 600..840) => 2.2 * usual,
                ("e", 1_080..1_085) => 3.0 * usual,
                _ => usual,
            };
            recorder.sample(node, &Metric::Cpu, At(minute * MINUTE), value);
        }
    }
    recorder.finish("a day".into())
}

fn label(node: &str, from: i64, to: i64) -> Label {
    let (from, to) = (At(from * MINUTE), At(to * MINUTE));
    Label { node: node.into(), from, to, cause: Some("cron".into()), so: true }
}

fn sets(names: &[&str]) -> Options {
    let sets = names.iter().map(|name| name.parse().expect("a rule set")).collect();
    Options { sets, ..Options::default() }
}

fn tried(options: &Options, labels: &Labels) -> Report {
    run(&day(), options, labels, &mut |_| ()).expect("a report")
}

#[test]
fn what_was_so_is_found_and_nothing_else_is_told() {
    let labels = Labels { all: vec![label("c", 600, 840)], complete: true };
    let report = tried(&sets(&["effect", "effect@1.5", "effect@5"]), &labels);
    assert_eq!((report.rounds, report.labels, report.elsewhere), (96, 1, 0));
    let [all, high, none] = &report.sets[..] else { panic!("{report:#?}") };
    for set in [all, high] {
        assert_eq!((set.precision, set.recall, set.wrong, set.unknown), (Some(1.0), Some(1.0), 0, 0), "{set:#?}");
        let (half, most) = set.delay_ms.expect("it was told");
        assert!(half == most && (30 * MINUTE..180 * MINUTE).contains(&half), "{set:#?}");
        assert_eq!(set.causes.0, 1);
    }
    assert_eq!((none.alerts, none.precision, none.recall), (0, None, Some(0.0)), "{none:#?}");
    assert_eq!(none.missed[0].node, "c");
    assert!((high.per_week - high.alerts as f64 / report.weeks).abs() < 1e-9 && report.weeks < 0.15);
}

#[test]
fn without_labels_nobody_knows_what_was_right() {
    let report = tried(&sets(&["effect"]), &Labels::default());
    let set = &report.sets[0];
    assert!(set.alerts > 0 && set.unknown > 0, "{set:#?}");
    assert_eq!((set.precision, set.recall, set.right, set.wrong), (None, None, 0, 0));
}

#[test]
fn what_people_called_noise_is_wrong_and_what_nobody_judged_is_unknown() {
    let noise = Label { so: false, ..label("c", 600, 840) };
    let gone = label("gone", 0, 1);
    let report = tried(&sets(&["effect"]), &Labels { all: vec![noise, gone], complete: false });
    let set = &report.sets[0];
    assert!(set.wrong > 0 && set.right == 0 && set.precision == Some(0.0), "{set:#?}");
    assert_eq!(set.wrong_ones[0].node, "c");
    assert_eq!((report.labels, report.noise, report.elsewhere), (0, 1, 1));
}

#[test]
fn what_is_told_of_another_node_or_time_is_wrong_where_labels_are_complete() {
    for wrong in [label("b", 600, 840), label("c", 0, 60)] {
        let report = tried(&sets(&["effect"]), &Labels { all: vec![wrong], complete: true });
        let set = &report.sets[0];
        assert!(set.wrong > 0 && set.precision == Some(0.0) && set.recall == Some(0.0), "{set:#?}");
    }
}

#[test]
fn a_round_knows_what_a_live_doctor_would() {
    // As it is told live: round after round on what there was by then.
    let (history, mut book) = (day(), Book::default());
    let mut opened = Vec::new();
    for round in 1..=96 {
        let mut recorder = Recorder::new(Bounds::default(), Weigh::Count);
        for (node, series) in history.nodes.iter().zip(&history.series[&Metric::Cpu]) {
            let at = recorder.node(&node.name, &node.peers).expect("there is room");
            for window in 0..round * 3 {
                let figure = series.at(window).expect("a figure");
                for part in 0..5 {
                    let moment = At(window * 300_000 + part * MINUTE + MINUTE / 2);
                    recorder.sample(at, &Metric::Cpu, moment, f64::from(figure.mean));
                }
            }
        }
        let diagnosis = diagnose(&recorder.finish("live".into()), &doctor::Options::default());
        let notices = book.round(At(round * 900_000), &diagnosis);
        opened.extend(notices.into_iter().filter(|notice| notice.change == crate::alerts::Change::Opened));
    }
    let report = tried(&sets(&["effect"]), &Labels::default());
    assert_eq!(report.sets[0].alerts, opened.len() as u64);
}

#[test]
fn what_cannot_be_tried_is_told() {
    let history = day();
    let run = |options: &Options, labels: &Labels| run(&history, options, labels, &mut |_| ()).expect_err("wrong");
    let unknown = Labels { all: vec![label("cc", 0, 60)], complete: true };
    assert!(run(&sets(&["effect"]), &unknown).to_string().contains("is `c` meant?"));
    let backwards = Labels { all: vec![label("c", 60, 0)], complete: true };
    assert_eq!(run(&sets(&["effect"]), &backwards), BacktestError::Backwards("c".into()));
    let slow = Options { every: Span::from_secs(86_400), ..Options::default() };
    assert_eq!(run(&slow, &Labels::default()), BacktestError::Short(1));
    let quick = Options { every: Span::from_secs(1), ..Options::default() };
    assert_eq!(run(&quick, &Labels::default()), BacktestError::Every(Span::from_secs(1)));
    for bad in ["", "Effect", "effect@", "effect@0.5", "effect@NaN", "classic@200", "z@2"] {
        assert!(bad.parse::<RuleSet>().is_err_and(|why| why.contains("effect@1.5")), "{bad}");
    }
    for good in ["effect", "classic@2", "effect@1.25"] {
        assert_eq!(good.parse::<RuleSet>().map(|set| set.to_string()), Ok(good.to_owned()));
    }
}
