//! The recorder: what it keeps, what it leaves out by name, and that parts add up.

use super::*;

fn recorder() -> Recorder {
    Recorder::new(Bounds { nodes: 3, routes: 2, figures: 40, ..Bounds::default() }, Weigh::Time)
}

fn request(recorder: &mut Recorder, at: i64, node: NodeAt, route: &str) {
    let values = [("tenant", route)];
    let busy = Some(Span::from_millis(20));
    recorder.requests(&Requests { at: At(at), node, route, count: 1, failed: 0, busy, values: &values });
}

#[test]
fn requests_become_rates_by_window_and_counts_by_route() {
    let mut recorder = recorder();
    let node = recorder.node("a", &Peers::default()).expect("there is room");
    for at in [1_000, 2_000, 601_000] {
        request(&mut recorder, at, node, "/x");
    }
    let history = recorder.finish("test".into());
    let rate = |window| history.figure(&Metric::Requests, 0, window).map(|figure| figure.mean);
    assert_eq!((rate(0), rate(1), rate(2), rate(3)), (Some(2.0 / 300.0), Some(0.0), Some(1.0 / 300.0), None));
    let cell = history.traffic.blocks[&0].cells[&(0, 0)];
    assert_eq!((cell.requests, cell.timed), (3, 3));
    assert!((cell.busy - 0.06).abs() < 1e-9);
    assert_eq!(history.traffic.blocks[&0].latency[&0].count(), 3);
}

#[test]
fn two_recorders_of_parts_say_what_one_says_of_the_whole() {
    let mut whole = recorder();
    let mut parts = [recorder(), recorder()];
    for turn in 0..40_i64 {
        let name = if turn % 3 == 0 { "a" } else { "b" };
        let part = &mut parts[usize::from(turn >= 20)];
        for recorder in [&mut whole, part] {
            let node = recorder.node(name, &Peers::default()).expect("there is room");
            request(recorder, turn * 60_000, node, if turn % 2 == 0 { "/x" } else { "/y" });
            recorder.sample(node, &Metric::Cpu, At(turn * 60_000), turn as f64);
        }
    }
    let [mut first, second] = parts;
    first.merge(second);
    let (one, other) = (whole.finish("w".into()), first.finish("w".into()));
    for node in 0..2 {
        for window in 0..8 {
            let of = |history: &History, metric| history.figure(&metric, node, window).map(|figure| figure.mean);
            assert_eq!(of(&one, Metric::Requests), of(&other, Metric::Requests), "{node} {window}");
            let (a, b) = (of(&one, Metric::Cpu), of(&other, Metric::Cpu));
            assert!((a.unwrap_or(-1.0) - b.unwrap_or(-1.0)).abs() < 1e-4, "{node} {window} {a:?} {b:?}");
        }
    }
    let top = |history: &History| history.traffic.blocks[&0].values[&(0, 0)].top(1)[0].0.to_owned();
    assert_eq!(top(&one), top(&other));
}

#[test]
fn what_is_beyond_a_bound_is_left_out_and_named() {
    let mut recorder = recorder();
    let nodes: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| recorder.node(name, &Peers::default())).collect();
    assert_eq!(nodes[3], None);
    let node = nodes[0].expect("there is room");
    for route in ["/1", "/2", "/3", "/4"] {
        request(&mut recorder, 0, node, route);
    }
    recorder.sample(node, &Metric::Cpu, At(0), f64::NAN);
    recorder.sample(node, &Metric::Cpu, At(90 * 86_400_000), 1.0);
    let history = recorder.finish("test".into());
    assert_eq!(history.traffic.routes, ["/1", "/2", OTHER]);
    let said: Vec<_> = history.remarks.iter().map(|remark| remark.what.as_str()).collect();
    for part in ["more than 3 nodes", "more than 2 routes", "no number", "days from the rest"] {
        assert!(said.iter().any(|text| text.contains(part)), "{part}: {said:?}");
    }
}

#[test]
fn windows_may_be_shorter_for_what_is_looked_at_briefly() {
    let mut recorder = Recorder::of_windows(Bounds::default(), Weigh::Time, 5);
    let node = recorder.node("a", &Peers::default()).expect("there is room");
    for at in [0, 5_000, 10_000] {
        request(&mut recorder, at, node, "/x");
        recorder.sample(node, &Metric::Cpu, At(at), at as f64);
    }
    let history = recorder.finish("test".into());
    assert_eq!((history.step, history.partial), (5, false));
    assert_eq!(history.figure(&Metric::Cpu, 0, 2).map(|figure| figure.mean), Some(10_000.0));
    assert_eq!(history.figure(&Metric::Requests, 0, 1).map(|figure| figure.mean), Some(0.2));
}

#[test]
fn what_could_not_be_read_makes_a_history_partial() {
    let mut recorder = recorder();
    recorder.lacks("the rest".into());
    let history = recorder.finish("test".into());
    assert!(history.partial && history.remarks[0].what == "the rest");
}

#[test]
fn a_wrong_clock_at_first_does_not_hide_the_rest() {
    let mut recorder = recorder();
    let node = recorder.node("a", &Peers::default()).expect("there is room");
    recorder.sample(node, &Metric::Cpu, At(0), 9.0);
    request(&mut recorder, 0, node, "/x");
    let begin = 20_000 * DAY;
    for turn in 0..500 {
        recorder.sample(node, &Metric::Cpu, At(begin + turn * 10_000), 0.5);
    }
    let history = recorder.finish("test".into());
    assert!(history.span.is_some_and(|(first, last)| first.0 > begin && last.0 > first.0), "{:?}", history.span);
    assert!(history.series[&Metric::Cpu][0].windows().count() < 100 && history.traffic.is_empty());
}

#[test]
fn parts_that_are_years_apart_are_not_put_together() {
    let mut parts = [recorder(), recorder()];
    for (part, begin, many) in [(0, 0, 3), (1, 20_000 * DAY, 40)] {
        let node = parts[part].node("a", &Peers::default()).expect("there is room");
        for turn in 0..many {
            parts[part].sample(node, &Metric::Cpu, At(begin + turn * 10_000), 0.5);
            request(&mut parts[part], begin + turn * 10_000, node, "/x");
        }
    }
    let [mut first, second] = parts;
    first.merge(second);
    let history = first.finish("test".into());
    assert!(history.series[&Metric::Cpu][0].windows().count() < 10, "{:?}", history.span);
    assert_eq!(history.traffic.blocks.values().map(|block| block.cells[&(0, 0)].requests).sum::<u64>(), 40);
    assert!(history.remarks.iter().any(|remark| remark.what.contains("days from the rest") && remark.times == 6));
}

#[test]
fn many_values_on_many_nodes_stay_within_the_bound() {
    let mut recorder = Recorder::new(Bounds { kept: 200, ..Bounds::default() }, Weigh::Time);
    let nodes: Vec<_> = (0..10).filter_map(|node| recorder.node(&format!("n{node}"), &Peers::default())).collect();
    for turn in 0..5_000_usize {
        let route = if turn % 2 == 0 { "hot".to_owned() } else { format!("light{turn}") };
        request(&mut recorder, 0, nodes[turn / 2 % 10], &route);
        let kept: usize =
            recorder.traffic.blocks.values().flat_map(|block| block.values.values()).map(Heavy::kept).sum();
        assert!(kept == recorder.kept && kept <= 200, "{kept} {}", recorder.kept);
    }
    let history = recorder.finish("test".into());
    assert_eq!(history.traffic.blocks[&0].values[&(0, 3)].top(1)[0].0, "hot");
    assert!(history.remarks.iter().any(|remark| remark.what.contains("fewer of each")));
}

#[test]
fn what_is_newest_first_has_the_same_figures() {
    let mut recorder = recorder();
    let node = recorder.node("a", &Peers::default()).expect("there is room");
    let cpu = recorder.metric(&Metric::Cpu).expect("there is room");
    for turn in (0..60).rev() {
        recorder.sample_of(node, cpu, At(turn * 15_000), (turn % 20) as f64);
    }
    let history = recorder.finish("test".into());
    for window in 0..3 {
        let figure = history.figure(&Metric::Cpu, 0, window);
        assert_eq!(figure, Some(Figure { mean: 9.5, p95: 18.0, samples: 20 }));
    }
}

#[test]
fn too_many_figures_make_windows_longer() {
    let mut recorder = recorder();
    let node = recorder.node("a", &Peers::default()).expect("there is room");
    for window in 0..100 {
        recorder.sample(node, &Metric::Cpu, At(window * 300_000), 0.5);
    }
    let history = recorder.finish("test".into());
    assert_eq!(history.step, 900);
    let figures: Vec<_> = (0..34).filter_map(|window| history.figure(&Metric::Cpu, 0, window)).collect();
    assert_eq!(figures.len(), 34);
    assert_eq!(figures.iter().map(|figure| u32::from(figure.samples)).sum::<u32>(), 100);
}

#[test]
fn latencies_of_the_oldest_hours_go_first_and_are_bounded() {
    let bounds = Bounds { histograms: 10, ..Bounds::default() };
    let fill = |hours: std::ops::Range<i64>| {
        let mut recorder = Recorder::new(bounds, Weigh::Time);
        for hour in hours {
            for name in ["a", "b", "c", "d"] {
                let node = recorder.node(name, &Peers::default()).expect("there is room");
                let (at, busy) = (At(hour * 3_600_000), Some(Span::from_millis(5)));
                recorder.requests(&Requests { at, node, route: "GET /", count: 1, failed: 0, busy, values: &[] });
            }
        }
        recorder
    };
    let (mut one, other) = (fill(100..106), fill(106..112));
    one.merge(other);
    let history = one.finish("test".into());
    let kept: Vec<usize> = history.traffic.blocks.values().map(|block| block.latency.len()).collect();
    assert_eq!((kept.len(), kept.iter().sum::<usize>(), &kept[10..]), (12, 8, &[4, 4][..]));
    assert!(history.traffic.blocks.values().all(|block| block.cells.len() == 4), "what was counted stays");
    assert!(history.remarks.iter().any(|remark| remark.what.contains("latencies of the oldest hours")));
}
