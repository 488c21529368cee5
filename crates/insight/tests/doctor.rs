//! What the doctor says of fleets whose trouble is known: made of requests and samples by the minute, with seeded chance.

use ambidex_core::draw::Draw;
use ambidex_core::time::Span;
use ambidex_insight::analysis::structure::Verdict;
use ambidex_insight::doctor::{Cause, Diagnosis, Level, Options, Rules, diagnose};
use ambidex_insight::history::{
    At, Bounds, Happening, HappeningKind, Metric, NodeAt, Peers, Recorder, Requests, Weigh,
};
use ambidex_insight::report::terminal::Look;
use ambidex_insight::report::{html, terminal};

/// A fleet that serves requests for some hours.
struct Fleet {
    nodes: usize,
    minutes: i64,
    per_minute: usize,
    seed: u64,
}

impl Default for Fleet {
    fn default() -> Self {
        Self { nodes: 10, minutes: 200, per_minute: 200, seed: 1 }
    }
}

/// One request as it is about to be routed.
struct Asked {
    minute: i64,
    node: usize,
    tenant: u64,
    client: u64,
    route: &'static str,
    millis: f64,
}

impl Fleet {
    /// Serves; `change` says what is wrong.
    fn serve(&self, change: impl Fn(&mut Asked, &mut Draw)) -> (Recorder, Vec<NodeAt>) {
        let mut draw = Draw::seeded(self.seed);
        let mut recorder = Recorder::new(Bounds::default(), Weigh::Time);
        let nodes: Vec<NodeAt> = (0..self.nodes)
            .map(|at| recorder.node(&format!("n{at}"), &Peers::default()).expect("there is room"))
            .collect();
        for minute in 0..self.minutes {
            for turn in 0..self.per_minute {
                let route = ["/list", "/item", "/item", "/buy"][draw.below(4)];
                let usual: f64 = if route == "/buy" { 60.0 } else { 20.0 };
                let mut asked = Asked {
                    minute,
                    node: draw.below(self.nodes),
                    tenant: draw.below(40) as u64,
                    client: draw.below(200) as u64,
                    route,
                    millis: -usual * (1.0 - draw.unit()).ln(),
                };
                change(&mut asked, &mut draw);
                let at = At(BEGIN + minute * 60_000 + (turn * 60_000 / self.per_minute) as i64);
                let (tenant, client) = (format!("t{}", asked.tenant), format!("10.0.0.{}", asked.client));
                let values = [("tenant", tenant.as_str()), ("client", client.as_str())];
                let busy = Some(Span::from_secs_f64(asked.millis / 1e3));
                let node = nodes[asked.node];
                recorder.requests(&Requests {
                    at,
                    node,
                    route: asked.route,
                    count: 1,
                    failed: 0,
                    busy,
                    values: &values,
                });
            }
        }
        (recorder, nodes)
    }
}

fn judged(recorder: Recorder) -> Diagnosis {
    diagnose(&recorder.finish("test".into()), &Options::default())
}

/// The only finding's nodes and first cause.
#[track_caller]
fn only(diagnosis: &Diagnosis) -> (Vec<&str>, Cause, &str) {
    let [finding] = &diagnosis.findings[..] else { panic!("{:#?}", diagnosis.findings) };
    let first = &finding.hypotheses[0];
    let nodes = finding.nodes.iter().map(|node| node.node.as_str()).collect();
    (nodes, first.cause, first.subject.as_deref().unwrap_or_default())
}

const BEGIN: i64 = 1_790_000_100_000;

#[test]
fn a_healthy_fleet_has_no_finding() {
    for seed in 0..20 {
        let (recorder, _) = Fleet { per_minute: 60, seed, ..Fleet::default() }.serve(|_, _| {});
        let diagnosis = judged(recorder);
        assert!(diagnosis.findings.is_empty(), "seed {seed}: {:#?}", diagnosis.findings);
        let spread = &diagnosis.groups[0].spreads[0];
        assert!(spread.insufficient.is_none() && spread.level == Level::Well, "{spread:?}");
    }
}

#[test]
fn a_slow_node_is_found_and_called_slow() {
    let (recorder, _) = Fleet::default().serve(|asked, _| asked.millis *= if asked.node == 3 { 2.0 } else { 1.0 });
    let diagnosis = judged(recorder);
    let (nodes, cause, _) = only(&diagnosis);
    assert_eq!((nodes, cause), (vec!["n3"], Cause::Hardware), "{:#?}", diagnosis.findings);
    let finding = &diagnosis.findings[0];
    assert!(finding.impact.hurts && finding.impact.p99_ratio.is_some_and(|ratio| ratio > 1.6), "{finding:#?}");
    let speed = finding.nodes[0].factors.expect("requests are timed").speed;
    assert!((1.7..2.3).contains(&speed), "{speed}");
}

#[test]
fn a_hot_tenant_is_named() {
    let (recorder, _) = Fleet::default().serve(|asked, draw| {
        if draw.unit() < 0.12 {
            (asked.tenant, asked.node) = (77, 4);
        }
    });
    let diagnosis = judged(recorder);
    let (nodes, cause, subject) = only(&diagnosis);
    assert_eq!((nodes, cause, subject), (vec!["n4"], Cause::HotKey, "tenant t77"), "{:#?}", diagnosis.findings);
    let experiment = diagnosis.findings[0].hypotheses[0].experiment.as_ref().expect("there is one");
    assert!(experiment.predicted_r < 1.15 && experiment.else_r > 1.8, "{experiment:?}");
}

#[test]
fn one_client_is_named() {
    let (recorder, _) = Fleet::default().serve(|asked, draw| {
        if draw.unit() < 0.12 {
            (asked.client, asked.node) = (9_999, 2);
        }
    });
    let diagnosis = judged(recorder);
    assert_eq!(only(&diagnosis), (vec!["n2"], Cause::OneClient, "client 10.0.0.9999"), "{:#?}", diagnosis.findings);
}

#[test]
fn sessions_that_stay_where_they_are_are_told_from_one_hot_client() {
    // 200 clients on 10 nodes; three times as many of them on one.
    let home = |client: u64| if client.is_multiple_of(4) { 0 } else { 1 + (client % 9) as usize };
    let (recorder, _) = Fleet::default().serve(|asked, _| asked.node = home(asked.client));
    let diagnosis = judged(recorder);
    let found = diagnosis.findings.iter().find(|finding| finding.nodes[0].node == "n0").expect("n0 is found");
    assert_eq!(found.hypotheses[0].cause, Cause::StickySessions, "{found:#?}");
}

#[test]
fn a_dear_route_that_is_bound_to_a_node_is_named() {
    let (recorder, _) = Fleet::default().serve(|asked, draw| {
        if draw.unit() < 0.04 {
            (asked.route, asked.node, asked.millis) = ("/export", 6, 120.0);
        }
    });
    let diagnosis = judged(recorder);
    assert_eq!(only(&diagnosis), (vec!["n6"], Cause::RouteAffinity, "/export"), "{:#?}", diagnosis.findings);
}

#[test]
fn weights_that_are_wrong_are_found_by_the_weights() {
    let (mut recorder, nodes) = Fleet::default().serve(|asked, draw| {
        if asked.node != 5 && draw.unit() < 0.11 {
            asked.node = 5;
        }
    });
    for (at, node) in nodes.iter().enumerate() {
        for minute in 0..200 {
            let weight = if at == 5 { 200.0 } else { 100.0 };
            recorder.sample(*node, &Metric::Weight, At(BEGIN + minute * 60_000), weight);
        }
    }
    let diagnosis = judged(recorder);
    let (nodes, cause, _) = only(&diagnosis);
    assert_eq!((nodes, cause), (vec!["n5"], Cause::Weights), "{:#?}", diagnosis.findings);
}

#[test]
fn a_zone_with_more_than_its_part_is_told_as_one_finding() {
    let (mut recorder, nodes) = Fleet::default().serve(|asked, draw| {
        if asked.node >= 4 && draw.unit() < 0.35 {
            asked.node = draw.below(4);
        }
    });
    for (at, node) in nodes.iter().enumerate() {
        recorder.zone(*node, if at < 4 { "east" } else { "west" });
    }
    let diagnosis = judged(recorder);
    let finding = &diagnosis.findings[0];
    assert_eq!((finding.nodes.len(), finding.hypotheses[0].cause), (4, Cause::Locality), "{finding:#?}");
    assert_eq!(finding.hypotheses[0].subject.as_deref(), Some("east"));
}

#[test]
fn a_burst_of_five_minutes_is_no_finding_but_by_the_classic_rule() {
    let burst = |asked: &mut Asked, draw: &mut Draw| {
        if asked.minute >= 195 && draw.unit() < 0.6 {
            asked.node = 1;
        }
    };
    let (recorder, _) = Fleet::default().serve(burst);
    let history = recorder.finish("test".into());
    assert!(diagnose(&history, &Options::default()).findings.is_empty());
    let classic = diagnose(&history, &Options { rules: Rules::Classic, ..Options::default() });
    assert!(classic.findings.iter().any(|finding| finding.nodes[0].node == "n1"), "{:#?}", classic.findings);
}

#[test]
fn one_of_ten_nodes_at_double_load_is_found_by_effect_and_not_by_the_classic_spread() {
    let (recorder, _) = Fleet::default().serve(|asked, draw| {
        if asked.node != 5 && draw.unit() < 1.0 / 11.0 {
            asked.node = 5;
        }
    });
    let history = recorder.finish("test".into());
    assert_eq!(diagnose(&history, &Options::default()).findings.len(), 1);
    let classic = diagnose(&history, &Options { rules: Rules::Classic, ..Options::default() });
    assert!(
        classic.groups[0].spreads.iter().all(|spread| spread.level == Level::Well),
        "{:#?}",
        classic.groups[0].spreads
    );
}

#[test]
fn a_node_that_gets_more_because_it_can_carry_more_is_as_it_should_be() {
    let (mut recorder, nodes) = Fleet::default().serve(|asked, draw| {
        if asked.node != 5 && draw.unit() < 0.11 {
            asked.node = 5;
        }
    });
    for node in &nodes {
        for minute in 0..200 {
            recorder.sample(*node, &Metric::Cpu, At(BEGIN + minute * 60_000), 0.4);
        }
    }
    let diagnosis = judged(recorder);
    assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
}

#[test]
fn a_cpu_of_nothing_does_not_say_that_a_node_can_carry_more() {
    let (mut recorder, nodes) = Fleet::default().serve(|asked, draw| {
        if asked.node != 5 && draw.unit() < 0.11 {
            asked.node = 5;
        }
    });
    for node in &nodes {
        for minute in 0..200 {
            recorder.sample(*node, &Metric::Cpu, At(BEGIN + minute * 60_000), 0.0);
        }
    }
    let diagnosis = judged(recorder);
    assert_eq!(only(&diagnosis).0, ["n5"], "{:#?}", diagnosis.findings);
}

#[test]
fn garbage_interrupts_and_neighbours_are_told_apart_by_what_holds_the_node() {
    let cases = [
        (Metric::GarbageCollection, Cause::GarbageCollection),
        (Metric::SoftIrq, Cause::Interrupts),
        (Metric::Steal, Cause::Hardware),
    ];
    for (metric, cause) in cases {
        let slow = |asked: &mut Asked, _: &mut Draw| asked.millis *= if asked.node == 3 { 1.6 } else { 1.0 };
        let (mut recorder, nodes) = Fleet::default().serve(slow);
        for (at, node) in nodes.iter().enumerate() {
            for minute in 0..200 {
                let held = if at == 3 { 0.3 + 0.01 * (minute % 7) as f64 } else { 0.01 };
                recorder.sample(*node, &metric, At(BEGIN + minute * 60_000), held);
            }
        }
        let diagnosis = judged(recorder);
        let causes: Vec<Cause> = diagnosis.findings[0].hypotheses.iter().map(|one| one.cause).collect();
        assert!(causes[..causes.len().min(2)].contains(&cause), "{metric}: {:#?}", diagnosis.findings[0].hypotheses);
    }
}

#[test]
fn too_short_a_history_says_what_is_so_now_and_not_that_it_stays() {
    let fleet = Fleet { minutes: 12, ..Fleet::default() };
    let (recorder, _) = fleet.serve(|asked, draw| {
        if draw.unit() < 0.12 {
            asked.node = 4;
        }
    });
    let diagnosis = judged(recorder);
    let [finding] = &diagnosis.findings[..] else { panic!("{:#?}", diagnosis.findings) };
    assert_eq!((finding.nodes[0].node.as_str(), finding.verdict), ("n4", Verdict::Insufficient));
    for seed in 0..20 {
        let (recorder, _) = Fleet { minutes: 12, per_minute: 60, seed, ..Fleet::default() }.serve(|_, _| {});
        assert!(judged(recorder).findings.is_empty(), "seed {seed}");
    }
}

#[test]
fn a_node_that_is_gone_is_not_judged_and_one_that_did_nothing_is() {
    let (recorder, _) = Fleet::default().serve(|asked, _| {
        if asked.minute > 60 && asked.node == 9 {
            asked.node = 8;
        }
    });
    let diagnosis = judged(recorder);
    let out: Vec<&str> = diagnosis.groups[0].not_judged.iter().map(|one| one.node.as_str()).collect();
    assert_eq!(out, ["n9"]);
}

#[test]
fn nothing_at_all_is_no_panic() {
    let empty = Recorder::new(Bounds::default(), Weigh::Count);
    assert!(judged(empty).findings.is_empty());
    let mut alone = Recorder::new(Bounds::default(), Weigh::Count);
    let node = alone.node("a", &Peers::default()).expect("there is room");
    for minute in 0..60 {
        alone.sample(node, &Metric::Cpu, At(minute * 60_000), 0.0);
    }
    let diagnosis = judged(alone);
    assert_eq!(diagnosis.groups[0].insufficient.as_deref(), Some("a node alone cannot be compared with others"));
}

#[test]
fn a_finding_says_since_when_and_what_happened_then() {
    let fleet = Fleet { minutes: 400, ..Fleet::default() };
    let (mut recorder, _) = fleet.serve(|asked, _| {
        if asked.node == 3 && asked.minute >= 280 {
            asked.millis *= 2.0;
        }
    });
    let at = At(BEGIN + 278 * 60_000);
    let other = At(BEGIN + 280 * 60_000);
    let text = "another node's".to_owned();
    recorder.happened(Happening { at: other, kind: HappeningKind::Restart, node: Some("n5".into()), text });
    let text = "api 1.4 on n3".to_owned();
    recorder.happened(Happening { at, kind: HappeningKind::Deploy, node: Some("n3".into()), text });
    let diagnosis = judged(recorder);
    let since = diagnosis.findings[0].since.as_ref().expect("it began within the history");
    assert!((since.at.0 - (BEGIN + 280 * 60_000)).abs() <= 15 * 60_000, "{since:?}");
    assert_eq!(since.happened.as_ref().map(|one| one.text.as_str()), Some("api 1.4 on n3"));
}

#[test]
fn what_comes_back_every_night_is_recurring_at_its_hour() {
    let mut recorder = Recorder::new(Bounds::default(), Weigh::Count);
    let mut draw = Draw::seeded(3);
    // Four days from midnight on, to noon.
    let begin = 20_700 * 86_400_000;
    for at in 0..10 {
        let node = recorder.node(&format!("n{at}"), &Peers::default()).expect("there is room");
        for minute in 0..4 * 1_440 - 720 {
            let night = minute % 1_440 / 60 == 3;
            let usual = 0.3 + 0.02 * draw.unit();
            let value = if at == 7 && night { 0.8 } else { usual };
            recorder.sample(node, &Metric::Cpu, At(begin + minute * 60_000), value);
        }
    }
    let diagnosis = judged(recorder);
    let [finding] = &diagnosis.findings[..] else { panic!("{:#?}", diagnosis.findings) };
    assert_eq!(
        (finding.nodes[0].node.as_str(), finding.verdict, &finding.hours[..]),
        ("n7", Verdict::Recurring, &[3][..])
    );
    assert!(finding.title.ends_with("at 3 h UTC"), "{}", finding.title);
}

#[test]
fn a_weight_that_says_too_much_is_the_reason_though_the_node_has_what_it_says() {
    let mut recorder = Recorder::new(Bounds::default(), Weigh::Count);
    for at in 0..8 {
        let node = recorder.node(&format!("n{at}"), &Peers::default()).expect("there is room");
        let heavy = if at == 5 { 2.0 } else { 1.0 };
        recorder.capacity(node, heavy);
        for five in 0..36_i64 {
            let moment = At(1_790_000_100_000 + five * 300_000);
            let wobble = 1.0 + 0.01 * ((five + at) % 5) as f64;
            recorder.sample(node, &Metric::Requests, moment, 50.0 * heavy * wobble);
            recorder.sample(node, &Metric::LatencyP50, moment, 0.02 * heavy * wobble);
        }
    }
    let diagnosis = judged(recorder);
    let [finding] = &diagnosis.findings[..] else { panic!("{:#?}", diagnosis.findings) };
    assert_eq!((finding.nodes[0].node.as_str(), finding.hypotheses[0].cause), ("n5", Cause::Weights), "{finding:#?}");
}

#[test]
fn a_load_test_of_three_minutes_is_judged_by_windows_of_its_own() {
    let of = |window: u32| {
        let mut recorder = Recorder::new(Bounds { window, ..Bounds::default() }, Weigh::Count);
        for at in 0..8 {
            let node = recorder.node(&format!("n{at}"), &Peers::default()).expect("there is room");
            for second in 0..180 {
                let value = if at == 5 { 0.5 } else { 0.2 + 0.01 * f64::from(second % 3) };
                recorder.sample(node, &Metric::Cpu, At(1_790_000_100_000 + i64::from(second) * 1_000), value);
            }
        }
        judged(recorder)
    };
    let diagnosis = of(15);
    let [finding] = &diagnosis.findings[..] else { panic!("{:#?}", diagnosis.findings) };
    assert_eq!((finding.nodes[0].node.as_str(), finding.verdict), ("n5", Verdict::Structural));
    // By quarters of an hour nobody can say whether it stays.
    assert_eq!(of(900).findings[0].verdict, Verdict::Insufficient);
}

/// Twenty-three days and three hours of ten nodes, one of which has three times its part in the first half of some hours.
fn half_hours(uneven: impl Fn(i64) -> bool) -> Diagnosis {
    let mut recorder = Recorder::new(Bounds::default(), Weigh::Count);
    let begin = 20_700 * 86_400_000;
    for at in 0..10 {
        let node = recorder.node(&format!("n{at}"), &Peers::default()).expect("there is room");
        for five in 0..(23 * 24 + 3) * 12 {
            let (hour, half) = (five / 12, five % 12 < 6);
            let value = if at == 7 && half && uneven(hour) { 0.6 } else { 0.2 };
            recorder.sample(node, &Metric::Cpu, At(begin + five * 300_000), value);
        }
    }
    judged(recorder)
}

#[test]
fn a_spread_that_is_usual_at_its_hours_is_told_over_what_is_usual() {
    let of = |diagnosis: &Diagnosis| diagnosis.groups[0].spreads[0].clone();
    // The judged hours are the first three of a day.
    let usual = of(&half_hours(|hour| hour % 24 < 3));
    let learned = usual.usual.expect("three weeks are known");
    assert!(usual.w_adj > 0.25 && usual.level == Level::Well, "{usual:?}");
    assert!((0.5..=0.6).contains(&learned.warn) && learned.critical <= 0.6, "{learned:?}");
    let first = of(&half_hours(|hour| hour >= 23 * 24));
    assert!(first.level == Level::Warn && first.usual.is_some_and(|usual| !usual.differs()), "{first:?}");
    let text = terminal::text(&half_hours(|hour| hour % 24 < 3), Look { colour: false, width: 110, verbose: true });
    assert!(text.contains("usual at these hours"), "{text}");
}

#[test]
fn both_reports_tell_the_same_findings() {
    let (recorder, _) = Fleet::default().serve(|asked, draw| {
        if draw.unit() < 0.12 {
            (asked.tenant, asked.node) = (77, 4);
        }
    });
    let diagnosis = judged(recorder);
    let look = Look { colour: false, width: 100, verbose: false };
    let text = terminal::text(&diagnosis, look);
    let page = html::page(&diagnosis);
    for part in ["n4: 2.", "fair part of busy time", "a hot key or tenant", "tenant t77"] {
        assert!(text.contains(part) && page.contains(part), "{part}\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 160), "{text}");
    assert!(!text.contains('\u{1b}') && terminal::text(&diagnosis, Look { colour: true, ..look }).contains('\u{1b}'));
    assert!(!page.contains("<script") && !page.contains("http"), "nothing is loaded");
}

#[test]
fn names_of_nodes_and_routes_cannot_break_out_of_the_page() {
    let mut recorder = Recorder::new(Bounds::default(), Weigh::Time);
    for at in 0..10 {
        let node = recorder.node(&format!("<script>{at}"), &Peers::default()).expect("there is room");
        for minute in 0..200 {
            let value = if at == 0 { 0.9 } else { 0.3 };
            recorder.sample(node, &Metric::Cpu, At(BEGIN + minute * 60_000), value);
        }
    }
    let page = html::page(&judged(recorder));
    assert!(page.contains("&lt;script&gt;0") && !page.contains("<script"));
}

/// What is wrong with a fleet of a trial, on node 1.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    Slow,
    Tenant,
    Client,
    Route,
    Weights,
}

/// A fleet in which node 1 has `r` times its part for one reason.
fn trial(nodes: usize, r: f64, wrong: Wrong, seed: u64) -> Diagnosis {
    let fleet = Fleet { nodes, per_minute: 5 * nodes, seed, ..Fleet::default() };
    // So much more goes to node 1 that it has `r` fair parts of all.
    let more = (r - 1.0) / (nodes as f64 - 1.0);
    let (recorder, _) = fleet.serve(|asked, draw| match wrong {
        Wrong::Slow if asked.node == 1 => asked.millis *= r,
        Wrong::Tenant if draw.unit() < more => (asked.node, asked.tenant) = (1, 77),
        Wrong::Client if draw.unit() < more => (asked.node, asked.client) = (1, 999),
        Wrong::Route if draw.unit() < more => (asked.node, asked.route) = (1, "/export"),
        Wrong::Weights if draw.unit() < more => asked.node = 1,
        Wrong::Slow | Wrong::Tenant | Wrong::Client | Wrong::Route | Wrong::Weights => {}
    });
    judged(recorder)
}

#[test]
fn fleets_of_many_sizes_have_their_node_found_and_their_cause_named() {
    let expected = |wrong| match wrong {
        Wrong::Slow => Cause::Hardware,
        Wrong::Tenant => Cause::HotKey,
        Wrong::Client => Cause::OneClient,
        Wrong::Route => Cause::RouteAffinity,
        // Nothing but the rate tells of it where no weights are known.
        Wrong::Weights => Cause::Unknown,
    };
    let (mut runs, mut found, mut false_alarms, mut first) = (0, 0, 0, 0);
    for nodes in [3, 5, 12] {
        for r in [1.6_f64, 2.0, 3.0] {
            for wrong in [Wrong::Slow, Wrong::Tenant, Wrong::Client, Wrong::Route, Wrong::Weights] {
                let diagnosis = trial(nodes, r.min(nodes as f64 * 0.8), wrong, runs);
                runs += 1;
                let mut told =
                    diagnosis.findings.iter().flat_map(|finding| &finding.nodes).map(|node| node.node.as_str());
                let hits = told.clone().filter(|node| *node == "n1").count();
                found += u64::from(hits > 0);
                false_alarms += told.by_ref().filter(|node| *node != "n1").count();
                let cause =
                    diagnosis.findings.first().and_then(|finding| finding.hypotheses.first()).map(|one| one.cause);
                first += u64::from(cause == Some(expected(wrong)));
                if hits == 0 || cause != Some(expected(wrong)) {
                    println!("{nodes} nodes, r {r}, {wrong:?}: {cause:?} {:?}", diagnosis.findings);
                }
            }
        }
    }
    println!("{found} of {runs} found, {false_alarms} others told, cause first in {first}");
    assert!(
        found * 100 >= runs * 95 && false_alarms <= 3 && first * 100 >= runs * 90,
        "{found} {false_alarms} {first} of {runs}"
    );
}
